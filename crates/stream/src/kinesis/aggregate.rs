//! Records that Amazon's producer library (KPL) packed together, taken apart.
//!
//! <https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md>: four magic bytes, an `AggregatedRecord` of protobuf, and
//! the MD5 of that. Its three fields are read here; they are checked whole before a single user record is given out.

use md5::{Digest, Md5};
use std::ops::Range;

const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
const DIGEST_BYTES: usize = 16;
/// The service takes no longer partition key, in characters.
const LONGEST_KEY: usize = 256;
/// The same in bytes: what is longer must not be looked at for each of the records that refer to it.
const LONGEST_KEY_BYTES: usize = 4 * LONGEST_KEY;

/// What a reader does with aggregated records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Deaggregate {
    /// They are records as any other.
    #[default]
    Off,
    /// Their user records come one by one; those of another shard are marked ([`super::Record::is_of_other_shard`]).
    On,
    /// The same, whichever shard they belong to.
    All,
}

/// The hash keys of a shard: the first and the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HashKeys(pub u128, pub u128);

impl HashKeys {
    /// Those of a stream.
    pub const ALL: HashKeys = HashKeys(0, u128::MAX);

    /// From the service's decimal numbers; [`HashKeys::ALL`] without them, so that nothing is taken for another shard's by mistake.
    pub(super) fn of(range: Option<aws_sdk_kinesis::types::HashKeyRange>) -> HashKeys {
        let parse = |range: &aws_sdk_kinesis::types::HashKeyRange| {
            let first = range.starting_hash_key.parse().ok()?;
            Some(HashKeys(first, range.ending_hash_key.parse().ok()?))
        };
        range.as_ref().and_then(parse).unwrap_or(HashKeys::ALL)
    }

    fn has(self, key: u128) -> bool {
        (self.0..=self.1).contains(&key)
    }
}

/// A user record: where its partition key and its data are in the aggregated record's data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserRecord {
    key: Range<u32>,
    data: Range<u32>,
    /// Its hash key is not the shard's: it was packed before a split. The producer library sees in the answer where it came to, and writes each such
    /// user record again, where it belongs (retrier.cc, "Wrong Shard"): it is to be dropped here, as KCL documents it. (KCL's code drops the user
    /// records beside it too; since the library takes those for written, they would be lost.)
    pub is_of_other_shard: bool,
}

impl UserRecord {
    pub fn key<'a>(&self, whole: &'a [u8]) -> &'a [u8] {
        &whole[self.key.start as usize..self.key.end as usize]
    }

    pub fn data<'a>(&self, whole: &'a [u8]) -> &'a [u8] {
        &whole[self.data.start as usize..self.data.end as usize]
    }
}

/// What a record holds.
#[derive(PartialEq, Eq, Debug)]
pub enum Contents {
    /// Itself. That is also what has the magic but a wrong sum or a broken message, as in KCL. (Where a record's key is missing, KCL logs an error
    /// and gives what stands before; here nothing may be lost, so the whole is given.)
    Itself,
    /// User records in their order, perhaps none.
    Users(Vec<UserRecord>),
}

impl Contents {
    /// What it costs in bytes.
    pub fn memory(&self) -> usize {
        match self {
            Contents::Users(users) => size_of_val(&users[..]),
            _ => 0,
        }
    }
}

/// What the data of a record of this shard hold. Never more than a few times their size is allocated.
pub fn contents(data: &[u8], shard: HashKeys) -> Contents {
    let end = data.len().saturating_sub(DIGEST_BYTES);
    let Ok(message_end) = u32::try_from(end) else {
        return Contents::Itself;
    };
    let is_marked = data.starts_with(&MAGIC) && end > MAGIC.len();
    if !is_marked || Md5::digest(&data[MAGIC.len()..end])[..] != data[end..] {
        return Contents::Itself;
    }
    let message = MAGIC.len() as u32..message_end;
    read(data, message, shard).unwrap_or(Contents::Itself)
}

/// `AggregatedRecord`; None if it is broken.
fn read(data: &[u8], message: Range<u32>, shard: HashKeys) -> Option<Contents> {
    let (mut keys, mut hash_keys, mut users) = (Vec::new(), Vec::new(), Vec::new());
    // The tables may stand behind the records that refer to them.
    let mut records = Vec::new();
    for field in fields(data, message) {
        match field? {
            (1, Value::Bytes(key)) => keys.push(key),
            (2, Value::Bytes(key)) => hash_keys.push(key),
            (3, Value::Bytes(record)) => records.push(record),
            _ => {}
        }
    }
    for record in records {
        let (key, hash_key, content) = user_record(data, record)?;
        let key = keys.get(usize::try_from(key).ok()?)?.clone();
        let text = text(data, &key)?;
        if text.contains('\0') || text.chars().count() > LONGEST_KEY {
            return None;
        }
        let is_of_shard = if let Some(place) = hash_key {
            let hash_key = hash_keys.get(usize::try_from(place).ok()?)?;
            shard.has(self::text(data, hash_key)?.parse().ok()?)
        } else {
            shard == HashKeys::ALL || shard.has(u128::from_be_bytes(Md5::digest(text).into()))
        };
        users.push(UserRecord {
            key,
            data: content,
            is_of_other_shard: !is_of_shard,
        });
    }
    Some(Contents::Users(users))
}

/// `Record`: the places of its partition key and, if it has one, its hash key in their tables, and its data.
fn user_record(data: &[u8], message: Range<u32>) -> Option<(u64, Option<u64>, Range<u32>)> {
    let (mut key, mut hash_key, mut content) = (None, None, None);
    for field in fields(data, message) {
        match field? {
            (1, Value::Number(place)) => key = Some(place),
            (2, Value::Number(place)) => hash_key = Some(place),
            (3, Value::Bytes(bytes)) => content = Some(bytes),
            // Tags: no library sets them.
            _ => {}
        }
    }
    Some((key?, hash_key, content?))
}

fn text<'a>(data: &'a [u8], place: &Range<u32>) -> Option<&'a str> {
    let text = &data[place.start as usize..place.end as usize];
    let text = (text.len() <= LONGEST_KEY_BYTES).then_some(text)?;
    std::str::from_utf8(text).ok()
}

/// A value of protobuf's wire format.
enum Value {
    Number(u64),
    Bytes(Range<u32>),
    /// Four or eight bytes.
    Fixed,
}

/// Number and value of each field of a message; None where it is broken, and then nothing more.
fn fields(data: &[u8], message: Range<u32>) -> impl Iterator<Item = Option<(u64, Value)>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = field(data, &mut rest);
        if field.is_none() {
            rest = 0..0;
        }
        Some(field)
    })
}

fn field(data: &[u8], rest: &mut Range<u32>) -> Option<(u64, Value)> {
    let tag = varint(data, rest)?;
    let value = match tag & 7 {
        0 => Value::Number(varint(data, rest)?),
        1 => Value::skip(rest, 8)?,
        2 => {
            let length = u32::try_from(varint(data, rest)?).ok()?;
            let start = rest.start;
            Value::skip(rest, length)?;
            Value::Bytes(start..rest.start)
        }
        5 => Value::skip(rest, 4)?,
        // Groups, which this message never had, would have to be searched for their end.
        _ => return None,
    };
    (tag >> 3 != 0).then_some((tag >> 3, value))
}

impl Value {
    fn skip(rest: &mut Range<u32>, bytes: u32) -> Option<Value> {
        rest.start = rest
            .start
            .checked_add(bytes)
            .filter(|start| *start <= rest.end)?;
        Some(Value::Fixed)
    }
}

fn varint(data: &[u8], rest: &mut Range<u32>) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = data[rest.next()? as usize];
        number |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(message: &[u8]) -> Vec<u8> {
        [&MAGIC[..], message, &Md5::digest(message)[..]].concat()
    }

    fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
        let mut field = vec![number << 3 | 2];
        let mut length = content.len();
        while length >= 0x80 {
            field.push(length as u8 | 0x80);
            length >>= 7;
        }
        field.push(length as u8);
        [&field[..], content].concat()
    }

    fn record(key: u8, hash_key: Option<u8>, data: &[u8]) -> Vec<u8> {
        let mut message = vec![1 << 3, key];
        message.extend(hash_key.iter().flat_map(|place| [2 << 3, *place]));
        message.extend(bytes(3, data));
        bytes(3, &message)
    }

    /// Keys and data.
    fn users(data: &[u8], shard: HashKeys) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match contents(data, shard) {
            Contents::Users(users) => users
                .iter()
                .map(|user| (text(user.key(data)), text(user.data(data))))
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_record_of_another_library_is_taken_apart() {
        // The example of Elixir's ex_kpl: its documentation has these bytes.
        let sum = [
            208, 54, 153, 218, 90, 34, 47, 163, 33, 8, 173, 27, 217, 85, 161, 78,
        ];
        let message = b"\x0a\x0dpartition_key\x1a\x08\x08\x00\x1a\x04data";
        let data = [&MAGIC[..], message, &sum].concat();
        let expected = [("partition_key".to_owned(), "data".to_owned())];
        assert_eq!(users(&data, HashKeys::ALL), expected);
    }

    #[test]
    fn keys_may_be_shared_and_stand_anywhere() {
        let message = [
            record(1, None, b"one"),
            bytes(1, b"a"),
            record(0, Some(0), b""),
            bytes(1, "\u{e9}".as_bytes()),
            bytes(2, b"7"),
            record(1, None, b"three"),
            // Fields of a later version: a number, four bytes, eight bytes, a message.
            vec![9 << 3, 0xFF, 1, 9 << 3 | 5, 1, 2, 3, 4, 9 << 3 | 1],
            vec![0; 8],
            bytes(9, b"x"),
        ]
        .concat();
        let expected = [("\u{e9}", "one"), ("a", ""), ("\u{e9}", "three")]
            .map(|(key, data)| (key.to_owned(), data.to_owned()));
        assert_eq!(users(&packed(&message), HashKeys::ALL), expected);
        assert_eq!(users(&packed(&bytes(1, b"a")), HashKeys::ALL), []);
    }

    #[test]
    fn whatever_is_broken_is_an_ordinary_record() {
        let key = bytes(1, b"a");
        let good = [key.clone(), record(0, None, b"x")].concat();
        let long = [bytes(1, &[b'k'; 257]), record(0, None, b"x")].concat();
        let broken: [(&str, Vec<u8>); 14] = [
            (
                "key of no entry",
                [key.clone(), record(1, None, b"x")].concat(),
            ),
            (
                "hash key of no entry",
                [key.clone(), record(0, Some(0), b"x")].concat(),
            ),
            (
                "no number",
                [key.clone(), bytes(2, b"-1"), record(0, Some(0), b"x")].concat(),
            ),
            ("no key", [key.clone(), bytes(3, &bytes(3, b"x"))].concat()),
            ("no data", [key.clone(), bytes(3, &[8, 0])].concat()),
            (
                "not UTF-8",
                [bytes(1, b"\xff"), record(0, None, b"x")].concat(),
            ),
            ("NUL", [bytes(1, b"\0"), record(0, None, b"x")].concat()),
            ("longer than a key can be", long),
            ("cut", good[..good.len() - 1].to_vec()),
            (
                "a length of 2^63",
                [
                    key.clone(),
                    vec![26, 255, 255, 255, 255, 255, 255, 255, 255, 127],
                ]
                .concat(),
            ),
            (
                "a length of 2^32 - 1",
                [key.clone(), vec![26, 255, 255, 255, 255, 15]].concat(),
            ),
            (
                "eleven bytes of a number",
                [vec![8], vec![255; 10], vec![1]].concat(),
            ),
            (
                "a group in a group in ..",
                [key.clone(), vec![3 << 3 | 3; 1000]].concat(),
            ),
            ("field 0", vec![0, 0]),
        ];
        for (what, message) in broken {
            assert_eq!(
                contents(&packed(&message), HashKeys::ALL),
                Contents::Itself,
                "{what}"
            );
        }
        let mut wrong_sum = packed(&good);
        *wrong_sum.last_mut().unwrap() ^= 1;
        for data in [&wrong_sum[..], b"", &MAGIC, &packed(b""), b"ordinary"] {
            assert_eq!(contents(data, HashKeys::ALL), Contents::Itself);
        }
    }

    #[test]
    fn a_huge_key_is_not_read_once_a_record() {
        let records = record(0, Some(0), b"").repeat(500_000);
        let huge = vec![b'0'; 4_000_000];
        for (key, hash_key) in [(&huge[..], &b"0"[..]), (b"a", &huge)] {
            let data = packed(&[&bytes(1, key)[..], &bytes(2, hash_key), &records].concat());
            assert_eq!(contents(&data, HashKeys::ALL), Contents::Itself);
        }
    }

    #[test]
    fn no_bytes_do_harm() {
        let good = [
            bytes(1, b"abc"),
            bytes(2, b"12"),
            record(0, None, &[b'x'; 200]),
            record(0, Some(0), b"y"),
        ]
        .concat();
        let mut found = 0;
        for place in 0..good.len() {
            for byte in 0..=255 {
                let mut message = good.clone();
                message[place] = byte;
                let data = packed(&message);
                if let Contents::Users(users) = contents(&data, HashKeys(0, 99)) {
                    found += 1;
                    assert!(
                        users
                            .iter()
                            .all(|user| user.data(&data).len() <= message.len())
                    );
                }
            }
            contents(&packed(&good[..place]), HashKeys::ALL);
        }
        assert!(found > 0);
    }

    #[test]
    fn what_belongs_to_another_shard_is_known() {
        // MD5 of "a" begins with 0c, of "b" with 92.
        let halves = [HashKeys(0, (1 << 127) - 1), HashKeys(1 << 127, u128::MAX)];
        let records = [
            record(0, None, b"x"),
            record(1, None, b"x"),
            // A hash key of its own counts more than the partition key.
            record(1, Some(0), b"x"),
        ];
        let tables = [bytes(1, b"a"), bytes(1, b"b"), bytes(2, b"1")];
        let data = packed(&[tables.concat(), records.concat()].concat());
        let others = |shard| match contents(&data, shard) {
            Contents::Users(users) => users.iter().map(|user| user.is_of_other_shard).collect(),
            Contents::Itself => Vec::new(),
        };
        assert_eq!(others(halves[0]), [false, true, false]);
        assert_eq!(others(halves[1]), [true, false, true]);
        assert_eq!(others(HashKeys::ALL), [false; 3]);
    }
}
