//! The headers of a record as a SUPER value: an object `{name: value}`.
//!
//! A value is text if it is UTF-8 (without NUL, which no text can hold), else lower-case hex, null if it is null; a name that comes more than once has an
//! array of its values in their order. (A value by itself is never an array, so an array always means "more than once".)
//!
//! Memory follows what a producer sends: it is asked for so that a refusal is an error.

use crate::error;
use crate::source::outcome::SkipReason;
use std::borrow::Cow;
use stream::Record;
use super_value::JsonErrorKind;
use super_value::limits::MAX_DOCUMENT_BYTES;

/// What the headers are called where they are too large.
pub const PART: &str = "headers";

/// Bytes of all names and values of a record's headers.
fn size(record: &Record) -> u64 {
    let header = |(name, value): (&[u8], Option<&[u8]>)| name.len() + value.map_or(0, <[u8]>::len);
    record.headers().map(|parts| header(parts) as u64).sum()
}

/// The same if it may be more than `limit`, else 0: headers are parsed when they are looked at, so not in each record.
#[inline]
pub fn size_beyond(record: &Record, limit: u64) -> u64 {
    if record.headers_size() as u64 <= limit {
        return 0;
    }
    size(record)
}

/// Makes SUPER values of headers.
pub struct Headers {
    parser: super_value::Parser,
    json: Vec<u8>,
}

impl Default for Headers {
    /// Nothing is kept yet.
    fn default() -> Headers {
        Headers {
            parser: super_value::Parser::new(),
            json: Vec::new(),
        }
    }
}

impl Headers {
    /// The image of a record's headers; `None` without any. Headers whose JSON is longer than a SUPER value may be have none.
    pub fn image(&mut self, record: &Record) -> Result<Option<&[u8]>, SkipReason> {
        let bytes = size(record);
        let too_large = SkipReason::TooLarge {
            part: PART,
            bytes,
            limit: MAX_DOCUMENT_BYTES as u64,
        };
        // The JSON is never shorter.
        if bytes > MAX_DOCUMENT_BYTES as u64 {
            return Err(too_large);
        }
        self.json.clear();
        let Headers { parser, json } = self;
        if !write_object(json, record) {
            return Ok(None);
        }
        let length = json.len();
        parser
            .parse(json)
            .map(Some)
            .map_err(|error| match error.kind {
                JsonErrorKind::OutOfMemory => error::out_of_memory(length).raise(),
                _ => too_large,
            })
    }
}

type Header<'a> = (Cow<'a, str>, Option<Cow<'a, str>>);

/// Writes the object; false if there are no headers.
fn write_object(json: &mut Vec<u8>, record: &Record) -> bool {
    let mut headers: Vec<Header> = Vec::new();
    for (name, value) in record.headers() {
        reserve(&mut headers, 1);
        headers.push((text(name), value.map(text)));
    }
    if headers.is_empty() {
        return false;
    }
    // Those of one name come together, in their order.
    headers.sort_by(|one, other| one.0.cmp(&other.0));
    let mut separator = b'{';
    for same in headers.chunk_by(|one, other| one.0 == other.0) {
        write(json, &[separator]);
        separator = b',';
        write_string(json, &same[0].0);
        write(json, b":");
        if let [(_, value)] = same {
            write_value(json, value.as_deref());
            continue;
        }
        let mut separator = b'[';
        for (_, value) in same {
            write(json, &[separator]);
            separator = b',';
            write_value(json, value.as_deref());
        }
        write(json, b"]");
    }
    write(json, b"}");
    true
}

/// What it is as text.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Cow::Borrowed(text),
        _ => {
            let digit = |digit: u8| char::from(b"0123456789abcdef"[usize::from(digit)]);
            let mut hex = String::new();
            if hex.try_reserve_exact(2 * bytes.len()).is_err() {
                error::out_of_memory(2 * bytes.len()).raise();
            }
            for byte in bytes {
                hex.push(digit(byte >> 4));
                hex.push(digit(byte & 15));
            }
            Cow::Owned(hex)
        }
    }
}

fn write_value(json: &mut Vec<u8>, value: Option<&str>) {
    match value {
        Some(value) => write_string(json, value),
        None => write(json, b"null"),
    }
}

/// A string of JSON: what must be escaped is, and nothing else.
fn write_string(json: &mut Vec<u8>, text: &str) {
    write(json, b"\"");
    let mut rest = text.as_bytes();
    let must_escape = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    while let Some(place) = rest.iter().position(must_escape) {
        write(json, &rest[..place]);
        match rest[place] {
            byte @ (b'"' | b'\\') => write(json, &[b'\\', byte]),
            byte => write(json, format!("\\u{byte:04x}").as_bytes()),
        }
        rest = &rest[place + 1..];
    }
    write(json, rest);
    write(json, b"\"");
}

fn write(json: &mut Vec<u8>, bytes: &[u8]) {
    reserve(json, bytes.len());
    json.extend_from_slice(bytes);
}

fn reserve<T>(list: &mut Vec<T>, more: usize) {
    if list.try_reserve(more).is_err() {
        error::out_of_memory(more * size_of::<T>()).raise();
    }
}
