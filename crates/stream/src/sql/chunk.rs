//! Records of one partition that one transaction has added, kept together: the body of a row.
//!
//! A version byte, then the records one behind the other: flags, then what they say is there: time, key, value, headers, each of the three with its length before it.
//! Numbers are little-endian.

use crate::TimestampType;
use std::collections::TryReserveError;

/// A body is not longer, so that a row fits on a page of 8 kB and is not moved out of line; but for one record that is longer by itself.
pub const CHUNK_BYTES: usize = 8000;

const VERSION: u8 = 1;
const CREATE_TIME: u8 = 1;
const APPEND_TIME: u8 = 2;
const TIME: u8 = CREATE_TIME | APPEND_TIME;
const KEY: u8 = 4;
const VALUE: u8 = 8;
const HEADERS: u8 = 16;
const ALL: u8 = TIME | KEY | VALUE | HEADERS;

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Who set its time, and the time: what it counts from is the writer's business.
    pub time: Option<(TimestampType, i64)>,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: Option<&'a [u8]>,
    /// The headers, as the writer has them.
    pub headers: Option<&'a [u8]>,
}

impl<'a> Entry<'a> {
    fn parts(&self) -> [(u8, Option<&'a [u8]>); 3] {
        [
            (KEY, self.key),
            (VALUE, self.value),
            (HEADERS, self.headers),
        ]
    }

    /// Bytes that it takes in a body.
    pub(super) fn size(&self) -> usize {
        let parts = self.parts();
        let sizes = parts
            .iter()
            .filter_map(|(_, part)| part.map(|part| 4 + part.len()));
        1 + 8 * usize::from(self.time.is_some()) + sizes.sum::<usize>()
    }

    /// Appends it to a body. No part is longer than 1 GB: no value of a database is.
    pub fn append_to(&self, body: &mut Vec<u8>) -> Result<(), TryReserveError> {
        let is_first = body.is_empty();
        body.try_reserve(self.size() + usize::from(is_first))?;
        if is_first {
            body.push(VERSION);
        }
        let mut flags = match self.time {
            None => 0,
            Some((TimestampType::Create, _)) => CREATE_TIME,
            Some((TimestampType::LogAppend, _)) => APPEND_TIME,
        };
        for (flag, part) in self.parts() {
            flags |= if part.is_some() { flag } else { 0 };
        }
        body.push(flags);
        if let Some((_, time)) = self.time {
            body.extend_from_slice(&time.to_le_bytes());
        }
        for part in self.parts().into_iter().filter_map(|(_, part)| part) {
            body.extend_from_slice(&(part.len() as u32).to_le_bytes());
            body.extend_from_slice(part);
        }
        Ok(())
    }
}

/// Appends the records of one body to another.
pub(super) fn append(body: &mut Vec<u8>, other: &[u8]) -> Result<(), TryReserveError> {
    let records = if body.is_empty() { other } else { &other[1..] };
    body.try_reserve(records.len())?;
    body.extend_from_slice(records);
    Ok(())
}

/// A body that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

/// Reads a body record by record. Where the next one begins is kept by itself, so that the body may be another copy of the same bytes each time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Entries {
    next: usize,
}

impl Entries {
    /// The next record; none at the end.
    pub fn next<'a>(&mut self, body: &'a [u8]) -> Result<Option<Entry<'a>>, Damaged> {
        if self.next == 0 {
            if body.first() != Some(&VERSION) {
                return Err(Damaged);
            }
            self.next = 1;
        }
        let mut rest = body.get(self.next..).ok_or(Damaged)?;
        let Some(flags) = rest.first().copied() else {
            return Ok(None);
        };
        rest = &rest[1..];
        if flags & !ALL != 0 || flags & TIME == TIME {
            return Err(Damaged);
        }
        let time = match flags & TIME {
            0 => None,
            kind => {
                let (bytes, behind) = rest.split_first_chunk().ok_or(Damaged)?;
                rest = behind;
                let time = i64::from_le_bytes(*bytes);
                Some(if kind == CREATE_TIME {
                    (TimestampType::Create, time)
                } else {
                    (TimestampType::LogAppend, time)
                })
            }
        };
        let mut part = |flag| {
            if flags & flag == 0 {
                return Ok(None);
            }
            let (length, behind) = rest.split_first_chunk().ok_or(Damaged)?;
            let length = u32::from_le_bytes(*length) as usize;
            let (part, behind) = behind.split_at_checked(length).ok_or(Damaged)?;
            rest = behind;
            Ok(Some(part))
        };
        let entry = Entry {
            time,
            key: part(KEY)?,
            value: part(VALUE)?,
            headers: part(HEADERS)?,
        };
        self.next = body.len() - rest.len();
        Ok(Some(entry))
    }
}

/// The part of a body that holds its first `count` records.
pub fn kept_records(body: &[u8], count: usize) -> Result<&[u8], Damaged> {
    let mut entries = Entries::default();
    for _ in 0..count {
        entries.next(body)?.ok_or(Damaged)?;
    }
    Ok(&body[..entries.next])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> [Entry<'static>; 4] {
        [
            Entry {
                time: Some((TimestampType::Create, -5)),
                key: Some(b"k"),
                value: Some(b"value"),
                headers: Some(b"{}"),
            },
            Entry {
                time: None,
                key: None,
                value: None,
                headers: None,
            },
            Entry {
                time: Some((TimestampType::LogAppend, i64::MAX)),
                key: Some(b""),
                value: None,
                headers: None,
            },
            Entry {
                time: None,
                key: None,
                value: Some(&[7; 3000]),
                headers: None,
            },
        ]
    }

    fn body() -> Vec<u8> {
        let mut body = Vec::new();
        for entry in entries() {
            let before = body.len().max(1);
            entry.append_to(&mut body).unwrap();
            assert_eq!(body.len() - before, entry.size());
        }
        body
    }

    #[test]
    fn what_was_appended_is_read() {
        let body = body();
        let mut reading = Entries::default();
        for entry in entries() {
            assert_eq!(reading.next(&body), Ok(Some(entry)));
        }
        assert_eq!(reading.next(&body), Ok(None));
        assert_eq!(reading.next(&body), Ok(None));
    }

    #[test]
    fn a_part_of_a_body_is_a_body() {
        let body = body();
        let kept = kept_records(&body, 2).unwrap();
        let mut reading = Entries::default();
        assert_eq!(reading.next(kept), Ok(Some(entries()[0])));
        assert_eq!(reading.next(kept), Ok(Some(entries()[1])));
        assert_eq!(reading.next(kept), Ok(None));
        assert_eq!(kept_records(&body, 5), Err(Damaged));
    }

    #[test]
    fn no_bytes_break_the_reader() {
        let body = body();
        for length in 0..body.len().min(60) {
            let mut reading = Entries::default();
            while let Ok(Some(_)) = reading.next(&body[..length]) {}
        }
        for place in 0..30 {
            for byte in 0..=255 {
                let mut other = body.clone();
                other[place] = byte;
                let mut reading = Entries::default();
                while let Ok(Some(_)) = reading.next(&other) {}
            }
        }
    }
}
