//! VARBYTE: bytes, stored as bytea, shown as lower-case hexadecimal without a prefix ("VARBYTE type" in Redshift's Developer Guide).

use core::ffi::CStr;

use pgrx::prelude::*;

use super_value::pace::{self, Pace};

use crate::pg::datum::{Bytes, Output, Received, TextOut, Varlena};
use crate::pg::report::{Report, sqlstate};

/// Largest n of varbyte(n): 16 MB.
const MAX_LENGTH: i32 = 16_777_216;

const HEX_INPUT_HINT: &str = "A varbyte literal is hexadecimal. For the bytes of a text write 'abc'::varchar::varbyte or to_varbyte('abc', 'utf-8').";

#[pg_extern]
fn varbyte_in(text: &CStr, _type: pg_sys::Oid, typmod: i32) -> Varlena {
    let text = text.to_bytes();
    let refuse = |reason: &str| -> ! {
        let message = format!("invalid input syntax for type varbyte: {reason}");
        Report::new(sqlstate::INVALID_TEXT_REPRESENTATION, message)
            .hint(HEX_INPUT_HINT)
            .raise()
    };
    if !text.len().is_multiple_of(2) {
        refuse("odd number of hexadecimal digits");
    }
    let bytes = decode_hex(text).unwrap_or_else(|reason| refuse(reason));
    check_length(text.len() / 2, typmod);
    bytes
}

#[pg_extern]
fn varbyte_out(value: Bytes<'_>) -> TextOut {
    let bytes = value.as_slice();
    TextOut::build(bytes.len().saturating_mul(2), |output| {
        encode_hex(bytes, output);
    })
}

/// Binary input: the bytes.
#[pg_extern]
fn varbyte_recv(message: Received<'_>, _type: pg_sys::Oid, typmod: i32) -> Varlena {
    check_length(message.as_slice().len(), typmod);
    Varlena::of_payload(message.as_slice())
}

/// The n of varbyte(n), which is the type modifier itself.
#[pg_extern]
fn varbyte_typmod_in(typmods: pgrx::Array<'_, &CStr>) -> i32 {
    let mut lengths = typmods.iter();
    let length = match (lengths.next().flatten(), lengths.next()) {
        (Some(length), None) => length
            .to_str()
            .ok()
            .and_then(|length| length.parse::<i32>().ok()),
        _ => None,
    };
    length
        .filter(|length| (1..=MAX_LENGTH).contains(length))
        .unwrap_or_else(|| {
            let message = format!("length for type varbyte must be between 1 and {MAX_LENGTH}");
            Report::new(sqlstate::INVALID_PARAMETER_VALUE, message).raise()
        })
}

#[pg_extern]
fn varbyte_typmod_out(typmod: i32) -> std::ffi::CString {
    let text = if typmod >= 0 {
        format!("({typmod})")
    } else {
        String::new()
    };
    std::ffi::CString::new(text).expect("no zero byte")
}

/// The cast of varbyte to varbyte(n): as for varchar, an explicit one cuts, an assignment of what is too long is an error.
#[pg_extern]
fn varbyte_length_cast(value: Bytes<'_>, typmod: i32, explicit: bool) -> Varlena {
    let bytes = value.as_slice();
    if explicit && typmod >= 0 {
        return Varlena::of_payload(&bytes[..bytes.len().min(typmod as usize)]);
    }
    check_length(bytes.len(), typmod);
    Varlena::of_payload(bytes)
}

fn check_length(length: usize, typmod: i32) {
    if usize::try_from(typmod).is_ok_and(|most| length > most) {
        let message = format!("value too long for type varbyte({typmod})");
        Report::new(sqlstate::STRING_DATA_RIGHT_TRUNCATION, message).raise()
    }
}

/// The bytes as text; an error where they are no UTF-8 or hold a zero byte, which Postgres's text cannot.
#[pg_extern]
fn varbyte_to_text(value: Bytes<'_>) -> Varlena {
    let bytes = value.as_slice();
    let valid = pace::valid_utf8(bytes);
    let position = first_zero(bytes).unwrap_or(bytes.len()).min(valid);
    if position < bytes.len() {
        let message = format!(
            "varbyte is not text in UTF-8: byte 0x{:02x} at position {position}",
            bytes[position]
        );
        Report::new(sqlstate::CHARACTER_NOT_IN_REPERTOIRE, message)
            .hint("is_utf8(value) tells beforehand; from_varbyte(value, 'hex') shows any bytes.")
            .raise()
    }
    Varlena::of_payload(bytes)
}

fn first_zero(bytes: &[u8]) -> Option<usize> {
    let mut before = 0;
    for piece in pace::pieces(bytes) {
        if let Some(at) = piece.iter().position(|&c| c == 0) {
            return Some(before + at);
        }
        before += piece.len();
    }
    None
}

/// Whether the bytes are UTF-8.
#[pg_extern]
fn is_utf8(value: Bytes<'_>) -> bool {
    pace::valid_utf8(value.as_slice()) == value.as_slice().len()
}

/// The ways in which `from_varbyte` and `to_varbyte` write bytes.
#[derive(Clone, Copy)]
enum Format {
    Hex,
    Binary,
    Utf8,
}

impl Format {
    fn named(name: Bytes<'_>) -> Self {
        let is = |format: &str| name.as_slice().eq_ignore_ascii_case(format.as_bytes());
        if is("hex") {
            Format::Hex
        } else if is("binary") {
            Format::Binary
        } else if is("utf-8") || is("utf8") {
            Format::Utf8
        } else {
            Report::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                format!("unknown varbyte format \"{}\"", name.excerpt()),
            )
            .hint("The formats are hex, binary, utf-8 and utf8.")
            .raise()
        }
    }
}

/// The bytes written as text.
#[pg_extern]
fn from_varbyte(value: Bytes<'_>, format: Bytes<'_>) -> Varlena {
    match Format::named(format) {
        Format::Hex => varbyte_to_hex(value),
        Format::Binary => {
            let bytes = value.as_slice();
            Varlena::build(bytes.len().saturating_mul(8), |output| {
                in_blocks(bytes, output, |byte, block| {
                    block.extend((0..8).rev().map(|bit| b'0' + (byte >> bit & 1)));
                });
            })
        }
        Format::Utf8 => varbyte_to_text(value),
    }
}

/// The bytes that a text writes; a first digit that is missing counts as zero.
#[pg_extern]
fn to_varbyte(text: Bytes<'_>, format: Bytes<'_>) -> Varlena {
    let bytes = text.as_slice();
    let decoded = match Format::named(format) {
        Format::Hex => return from_hex(text),
        Format::Binary => decode_binary(bytes),
        Format::Utf8 => return Varlena::of_payload(bytes),
    };
    decoded.unwrap_or_else(|reason| refuse_text(&reason))
}

#[cold]
fn refuse_text(reason: &str) -> ! {
    let message = format!("cannot make varbyte from text: {reason}");
    Report::new(sqlstate::INVALID_TEXT_REPRESENTATION, message).raise()
}

/// `~`: every bit the other way round.
#[pg_extern]
fn varbyte_not(value: Bytes<'_>) -> Varlena {
    let bytes = value.as_slice();
    Varlena::build(bytes.len(), |output| {
        in_blocks(bytes, output, |byte, block| block.push(!byte));
    })
}

/// Bit by bit; both have to have the same length, because Redshift does not say what a missing bit is.
fn bitwise(a: Bytes<'_>, b: Bytes<'_>, operation: fn(u8, u8) -> u8) -> Varlena {
    let (a, b) = (a.as_slice(), b.as_slice());
    if a.len() != b.len() {
        let message = "cannot combine the bits of varbyte values of different lengths";
        Report::new(sqlstate::STRING_DATA_LENGTH_MISMATCH, message)
            .detail(format!("They have {} and {} bytes.", a.len(), b.len()))
            .raise()
    }
    let mut rest = b.iter();
    Varlena::build(a.len(), |output| {
        in_blocks(a, output, |a, block| {
            block.extend(rest.next().map(|&b| operation(a, b)));
        });
    })
}

#[pg_extern]
fn varbyte_and(a: Bytes<'_>, b: Bytes<'_>) -> Varlena {
    bitwise(a, b, |a, b| a & b)
}

#[pg_extern]
fn varbyte_or(a: Bytes<'_>, b: Bytes<'_>) -> Varlena {
    bitwise(a, b, |a, b| a | b)
}

#[pg_extern]
fn varbyte_xor(a: Bytes<'_>, b: Bytes<'_>) -> Varlena {
    bitwise(a, b, |a, b| a ^ b)
}

/// The bytes of an integer, the highest first: as many as it has, because a missing one could be a sign or a zero.
fn integer<const SIZE: usize>(value: Bytes<'_>, name: &str) -> [u8; SIZE] {
    value.as_slice().try_into().unwrap_or_else(|_| {
        let message = format!("varbyte of {} bytes is no {name}", value.as_slice().len());
        Report::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, message)
            .detail(format!("It has to have {SIZE} bytes."))
            .raise()
    })
}

#[pg_extern]
fn varbyte_to_int2(value: Bytes<'_>) -> i16 {
    i16::from_be_bytes(integer(value, "smallint"))
}

#[pg_extern]
fn varbyte_to_int4(value: Bytes<'_>) -> i32 {
    i32::from_be_bytes(integer(value, "integer"))
}

#[pg_extern]
fn varbyte_to_int8(value: Bytes<'_>) -> i64 {
    i64::from_be_bytes(integer(value, "bigint"))
}

/// GETBIT: the bit at an index, which counts from 0 and from the last bit on.
#[pg_extern]
fn getbit(value: Bytes<'_>, index: i32) -> i32 {
    let bytes = value.as_slice();
    let byte = usize::try_from(index / 8)
        .ok()
        .filter(|_| index >= 0)
        .and_then(|from_end| bytes.len().checked_sub(from_end + 1));
    match byte {
        Some(byte) => i32::from(bytes[byte] >> (index % 8) & 1),
        None => {
            let message = format!("bit {index} is not in a varbyte of {} bytes", bytes.len());
            Report::new(sqlstate::INVALID_PARAMETER_VALUE, message).raise()
        }
    }
}

/// FROM_HEX: as TO_VARBYTE with format hex.
#[pg_extern]
fn from_hex(text: Bytes<'_>) -> Varlena {
    decode_hex(text.as_slice()).unwrap_or_else(|reason| refuse_text(reason))
}

/// TO_HEX of bytes.
#[pg_extern]
fn varbyte_to_hex(value: Bytes<'_>) -> Varlena {
    let bytes = value.as_slice();
    Varlena::build(bytes.len().saturating_mul(2), |output| {
        encode_hex(bytes, output);
    })
}

/// Puts what `write` makes of each byte into `output`, with a look at interrupts now and then.
fn in_blocks(bytes: &[u8], output: &mut Output, mut write: impl FnMut(u8, &mut Vec<u8>)) {
    const BLOCK: usize = 4096;
    let mut block = Vec::with_capacity(8 * BLOCK);
    let mut pace = Pace::new();
    for piece in bytes.chunks(BLOCK) {
        block.clear();
        piece.iter().for_each(|byte| write(*byte, &mut block));
        output.put(&block);
        pace.bytes(block.len());
    }
}

fn encode_hex(bytes: &[u8], output: &mut Output) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    in_blocks(bytes, output, |byte, block| {
        block.push(DIGITS[usize::from(byte >> 4)]);
        block.push(DIGITS[usize::from(byte & 15)]);
    });
}

/// The bytes; a first digit that is missing counts as zero.
fn decode_hex(text: &[u8]) -> Result<Varlena, &'static str> {
    let digit = |c: u8| char::from(c).to_digit(16).map(|digit| digit as u8);
    let mut wrong = false;
    let mut high = (!text.len().is_multiple_of(2)).then_some(0);
    let decoded = Varlena::build(text.len().div_ceil(2), |output| {
        in_blocks(text, output, |c, block| {
            let digit = digit(c);
            wrong |= digit.is_none();
            let digit = digit.unwrap_or(0);
            match high.take() {
                Some(high) => block.push(high << 4 | digit),
                None => high = Some(digit),
            }
        });
    });
    if wrong {
        return Err("not a hexadecimal digit");
    }
    Ok(decoded)
}

/// The bytes; bits that are missing in the first one count as zero.
fn decode_binary(text: &[u8]) -> Result<Varlena, String> {
    let mut wrong = None;
    let (mut byte, mut bits) = (0, text.len().next_multiple_of(8) - text.len());
    let decoded = Varlena::build(text.len().div_ceil(8), |output| {
        in_blocks(text, output, |c, block| {
            if c != b'0' && c != b'1' {
                wrong.get_or_insert(c);
            }
            byte = byte << 1 | (c & 1);
            bits += 1;
            if bits == 8 {
                block.push(byte);
                (byte, bits) = (0, 0);
            }
        });
    });
    match wrong {
        Some(wrong) => Err(format!("byte 0x{wrong:02x} is not a binary digit")),
        None => Ok(decoded),
    }
}
