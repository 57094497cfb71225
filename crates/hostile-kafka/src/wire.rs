//! Writes Kafka's wire format, and now and then something else than it was told.

use crate::random::Random;

/// An answer that is being written. One field in `one_in` is not what it should be.
pub struct Wire {
    /// What has been written.
    pub bytes: Vec<u8>,
    /// Whether strings and arrays are written in the compact form of "flexible versions".
    pub flexible: bool,
    /// Where the lies come from.
    pub random: Random,
    /// How rare they are; 0: there are none.
    pub one_in: u64,
}

const NUMBERS: [i64; 16] = [
    -1,
    0,
    1,
    2,
    -2,
    127,
    255,
    32_767,
    -32_768,
    65_536,
    0x7fff_ffff,
    -0x8000_0000,
    0xffff_ffff,
    i64::MAX,
    i64::MIN,
    1_000_003,
];
const COUNTS: [i64; 12] = [
    -1,
    0,
    1,
    2,
    3,
    100,
    1_000,
    100_000,
    0x0fff_ffff,
    0x7fff_ffff,
    -2,
    -0x8000_0000,
];
const LENGTHS: [i64; 10] = [
    -1,
    0,
    1,
    -2,
    300,
    32_767,
    -32_768,
    0x7fff_ffff,
    -0x8000_0000,
    5_000_000,
];

impl Wire {
    /// Nothing written yet.
    pub fn new(flexible: bool, seed: u64, one_in: u64) -> Wire {
        Wire {
            bytes: Vec::new(),
            flexible,
            random: Random::new(seed),
            one_in,
        }
    }

    /// A part of the same answer that is written apart, such as records before they are compressed.
    pub fn part(&mut self) -> Wire {
        Wire::new(false, self.random.next(), self.one_in)
    }

    fn lies(&mut self) -> bool {
        self.random.one_in(self.one_in)
    }

    fn number(&mut self, value: i64) -> i64 {
        if !self.lies() {
            return value;
        }
        match self.random.below(4) {
            0 => value.wrapping_add(1),
            1 => self.random.next() as i64,
            _ => self.random.of(&NUMBERS),
        }
    }

    /// A number of so many bits.
    pub fn i8(&mut self, value: i8) {
        let value = self.number(value.into());
        self.bytes.push(value as u8);
    }

    /// As [`Wire::i8`].
    pub fn i16(&mut self, value: i16) {
        let value = self.number(value.into()) as i16;
        self.bytes.extend(value.to_be_bytes());
    }

    /// As [`Wire::i8`].
    pub fn i32(&mut self, value: i32) {
        let value = self.number(value.into()) as i32;
        self.bytes.extend(value.to_be_bytes());
    }

    /// As [`Wire::i8`].
    pub fn i64(&mut self, value: i64) {
        let value = self.number(value);
        self.bytes.extend(value.to_be_bytes());
    }

    /// A number without a sign, seven bits a byte.
    pub fn uvarint(&mut self, value: u64) {
        let mut left = value;
        while left > 0x7f {
            self.bytes.push(left as u8 | 0x80);
            left >>= 7;
        }
        self.bytes.push(left as u8);
        if self.one_in > 0 && self.random.one_in(self.one_in * 8) {
            // One that never ends.
            self.bytes.extend([0xff; 12]);
        }
    }

    /// A number with a sign, seven bits a byte.
    pub fn varint(&mut self, value: i64) {
        let value = self.number(value);
        self.uvarint(((value << 1) ^ (value >> 63)) as u64);
    }

    /// How many elements follow; None: a null array.
    pub fn count(&mut self, count: usize) {
        let mut value = count as i64;
        if self.lies() {
            value = match self.random.below(4) {
                0 => value + 1,
                1 => value - 1,
                _ => self.random.of(&COUNTS),
            };
        }
        if self.flexible {
            self.uvarint((value + 1) as u64);
        } else {
            self.bytes.extend((value as i32).to_be_bytes());
        }
    }

    fn length(&mut self, length: i64) -> i64 {
        if !self.lies() {
            return length;
        }
        match self.random.below(4) {
            0 => length + 1,
            1 => length - 1,
            _ => self.random.of(&LENGTHS),
        }
    }

    /// A string, or null.
    pub fn string(&mut self, text: Option<&str>) {
        let long = "x".repeat(40_000);
        let text = match self.lies().then(|| self.random.below(6)) {
            None => text,
            Some(0) => None,
            Some(1) => Some(""),
            Some(2) => Some("a\0b"),
            Some(3) => Some("other"),
            Some(4) => Some(&long[..300]),
            Some(_) => Some(&*long),
        };
        let length = text.map_or(-1, |text| text.len() as i64);
        let length = self.length(length);
        if self.flexible {
            self.uvarint((length + 1) as u64);
        } else {
            self.bytes.extend((length as i16).to_be_bytes());
        }
        self.bytes.extend(text.unwrap_or_default().bytes());
    }

    /// Bytes with their length before them.
    pub fn blob(&mut self, bytes: &[u8]) {
        let length = self.length(bytes.len() as i64);
        if self.flexible {
            self.uvarint((length + 1) as u64);
        } else {
            self.bytes.extend((length as i32).to_be_bytes());
        }
        self.bytes.extend(bytes);
    }

    /// The same with a length of seven bits a byte, as in records.
    pub fn var_blob(&mut self, bytes: Option<&[u8]>) {
        let length = self.length(bytes.map_or(-1, |bytes| bytes.len() as i64));
        self.uvarint(((length << 1) ^ (length >> 63)) as u64);
        self.bytes.extend(bytes.unwrap_or_default());
    }

    /// The end of a structure, where flexible versions may have more.
    pub fn tags(&mut self) {
        if !self.flexible {
            return;
        }
        if !self.lies() {
            return self.uvarint(0);
        }
        let count = self.random.of(&[1, 2, 1 << 31, u64::MAX]);
        self.uvarint(count);
        for _ in 0..count.min(2) {
            let (kind, length) = (self.random.below(3), self.random.of(&[0, 1, 8, 1 << 40]));
            self.uvarint(kind);
            self.uvarint(length);
            let filler = self.random.next().to_be_bytes();
            self.bytes.extend(&filler[..length.min(8) as usize]);
        }
    }

    /// Flips, cuts and adds a few bytes of the whole.
    pub fn scratch(&mut self) {
        if self.one_in == 0 || !self.random.one_in(6) {
            return;
        }
        let length = self.bytes.len() as u64;
        match self.random.below(4) {
            0 => self.bytes.truncate(self.random.below(length) as usize),
            1 => {
                let more = self.random.below(64) as usize;
                self.bytes.resize(self.bytes.len() + more, 0xff);
            }
            _ => {
                for _ in 0..=self.random.below(3) {
                    let at = self.random.below(length) as usize;
                    if let Some(byte) = self.bytes.get_mut(at) {
                        *byte = self.random.next() as u8;
                    }
                }
            }
        }
    }
}
