//! Batches of records in all three formats, with all codecs.

use crate::random::Random;
use crate::wire::Wire;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

/// The codecs by their numbers in a batch's attributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Codec {
    /// Not compressed.
    None,
    /// gzip.
    Gzip,
    /// snappy, in one block.
    Snappy,
    /// An LZ4 frame.
    Lz4,
    /// zstd.
    Zstd,
    /// snappy in the blocks of the Java library.
    SnappyJava,
}

impl Codec {
    /// All that there are.
    pub const ALL: [Codec; 6] = [
        Codec::None,
        Codec::Gzip,
        Codec::Snappy,
        Codec::Lz4,
        Codec::Zstd,
        Codec::SnappyJava,
    ];

    fn number(self) -> i16 {
        match self {
            Codec::None => 0,
            Codec::Gzip => 1,
            Codec::Snappy | Codec::SnappyJava => 2,
            Codec::Lz4 => 3,
            Codec::Zstd => 4,
        }
    }

    /// Its name.
    pub fn parse(name: &str) -> Option<Codec> {
        Codec::ALL
            .into_iter()
            .find(|codec| format!("{codec:?}").eq_ignore_ascii_case(name))
    }

    /// Compresses; nothing here can fail.
    pub fn pack(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Codec::None => bytes.to_vec(),
            Codec::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(bytes).expect("into memory");
                encoder.finish().expect("into memory")
            }
            Codec::Snappy => snap::raw::Encoder::new()
                .compress_vec(bytes)
                .expect("into memory"),
            Codec::SnappyJava => {
                let block = Codec::Snappy.pack(bytes);
                let mut out = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
                out.extend((block.len() as u32).to_be_bytes());
                out.extend(block);
                out
            }
            Codec::Lz4 => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
                encoder.write_all(bytes).expect("into memory");
                encoder.finish().expect("into memory")
            }
            Codec::Zstd => zstd::bulk::compress(bytes, 1).expect("into memory"),
        }
    }
}

/// What a batch is besides its records.
#[derive(Clone, Copy)]
pub struct Batch {
    /// The offset of its first record.
    pub first: i64,
    /// Number of records.
    pub count: i64,
    /// How they are compressed.
    pub codec: Codec,
    /// Records of a transaction.
    pub transactional: bool,
    /// A transaction's end.
    pub control: bool,
}

impl Batch {
    /// Kafka's present format.
    pub fn write(self, wire: &mut Wire) -> Vec<u8> {
        let mut records = wire.part();
        for number in 0..self.count {
            self.record(&mut records, number);
        }
        self.wrap(wire, &self.codec.pack(&records.bytes))
    }

    /// The same around records that are written already.
    pub fn wrap(self, wire: &mut Wire, records: &[u8]) -> Vec<u8> {
        let mut tail = wire.part();
        let flags = i16::from(self.transactional) << 4 | i16::from(self.control) << 5;
        tail.i16(self.codec.number() | flags);
        tail.i32(self.count as i32 - 1);
        tail.i64(1_700_000_000_000);
        tail.i64(1_700_000_000_000);
        tail.i64(if self.transactional { 7 } else { -1 });
        tail.i16(0);
        tail.i32(0);
        tail.i32(self.count as i32);
        tail.bytes.extend(records);
        let mut head = wire.part();
        head.i64(self.first);
        head.i32(tail.bytes.len() as i32 + 9);
        head.i32(1);
        head.i8(2);
        // The checksum is right nearly always: what is behind it is to be reached.
        let sum = crc32c(&tail.bytes);
        let lie = head.one_in > 0 && head.random.one_in(head.one_in * 20);
        head.bytes.extend((sum ^ u32::from(lie)).to_be_bytes());
        head.bytes.extend(tail.bytes);
        head.bytes
    }

    fn record(self, out: &mut Wire, number: i64) {
        let mut record = out.part();
        record.i8(0);
        record.varint(number);
        record.varint(number);
        if self.control {
            record.var_blob(Some(&[0, 0, 0, (number % 2) as u8]));
            record.var_blob(Some(&[0; 6]));
        } else {
            record.var_blob((number % 3 > 0).then_some(b"key"));
            record
                .var_blob((number % 5 > 0).then_some(b"{\"number\": 1, \"text\": \"some value\"}"));
        }
        let headers = number % 3;
        record.varint(headers);
        for _ in 0..headers {
            record.var_blob(Some(b"name"));
            record.var_blob((number % 2 > 0).then_some(b"value"));
        }
        out.varint(record.bytes.len() as i64);
        out.bytes.extend(record.bytes);
    }
}

/// A set of messages of the two formats before: `magic` 0 or 1, compressed ones as sets within sets, so many deep.
pub fn old_messages(
    wire: &mut Wire,
    magic: i8,
    first: i64,
    count: i64,
    codec: Codec,
    depth: u32,
) -> Vec<u8> {
    let mut set = wire.part();
    for number in 0..count {
        old_message(
            &mut set,
            magic,
            first + number,
            Codec::None,
            b"an old value",
        );
    }
    let mut bytes = set.bytes;
    for _ in 0..depth {
        let packed = codec.pack(&bytes);
        let mut outer = wire.part();
        old_message(&mut outer, magic, first + count - 1, codec, &packed);
        bytes = outer.bytes;
    }
    bytes
}

fn old_message(set: &mut Wire, magic: i8, offset: i64, codec: Codec, value: &[u8]) {
    let mut message = set.part();
    message.i8(magic);
    message.i8(codec.number() as i8);
    if magic == 1 {
        message.i64(1_700_000_000_000);
    }
    message.i32(-1);
    message.blob(value);
    let mut sum = flate2::Crc::new();
    sum.update(&message.bytes);
    set.i64(offset);
    set.i32(message.bytes.len() as i32 + 4);
    set.bytes.extend(sum.sum().to_be_bytes());
    set.bytes.extend(message.bytes);
}

/// Records of one partition, of any kind.
pub fn some(wire: &mut Wire, first: i64, count: i64) -> Vec<u8> {
    let codec = wire.random.of(&Codec::ALL);
    let mut random = Random::new(wire.random.next());
    if random.one_in(6) {
        let depth = if codec == Codec::None {
            0
        } else {
            random.of(&[1, 1, 1, 2, 3])
        };
        let magic = random.below(2) as i8;
        return old_messages(wire, magic, first, count, codec, depth);
    }
    let transactional = random.one_in(3);
    let batch = Batch {
        first,
        count,
        codec,
        transactional,
        control: false,
    };
    let mut bytes = batch.write(wire);
    if transactional {
        let end = Batch {
            first: first + count,
            count: 1,
            codec: Codec::None,
            control: true,
            ..batch
        };
        bytes.extend(end.write(wire));
    }
    bytes
}

/// A batch of one record of so many zeros, compressed.
pub fn bomb(codec: Codec, size: usize, first: i64) -> Vec<u8> {
    let mut wire = Wire::new(false, 0, 0);
    let mut record = wire.part();
    record.i8(0);
    record.varint(0);
    record.varint(0);
    record.var_blob(None);
    record.var_blob(Some(&vec![0; size]));
    record.varint(0);
    let mut records = wire.part();
    records.varint(record.bytes.len() as i64);
    records.bytes.extend(record.bytes);
    let batch = Batch {
        first,
        count: 1,
        codec,
        transactional: false,
        control: false,
    };
    batch.wrap(&mut wire, &codec.pack(&records.bytes))
}

fn crc32c(bytes: &[u8]) -> u32 {
    let table: [u32; 256] = std::array::from_fn(|byte| {
        (0..8).fold(byte as u32, |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0x82f6_3b78
            } else {
                crc >> 1
            }
        })
    });
    !bytes.iter().fold(!0, |crc, byte| {
        crc >> 8 ^ table[(crc as u8 ^ byte) as usize]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnolis() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
