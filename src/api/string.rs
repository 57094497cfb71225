//! Redshift's string, hash and aggregate functions that Postgres does not have.

use pgrx::prelude::*;
use super_value::pace::{self, Pace};

use crate::pg::datum::{AnyText, Bytes, Varlena};
use crate::pg::report::{Report, sqlstate};

/// STRTOL: the integer that a text writes in a base from 2 to 36; nothing is 0.
#[pg_extern]
fn strtol(text: Bytes<'_>, base: i32) -> i64 {
    let whole = text;
    let text = text.as_str();
    let Ok(base) = u32::try_from(base) else {
        refuse_base(base)
    };
    if !(2..=36).contains(&base) {
        refuse_base(base as i32);
    }
    let trimmed = text.trim();
    let (negative, digits) = match trimmed.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let prefix = digits
        .get(..2)
        .filter(|start| base == 16 && start.eq_ignore_ascii_case("0x"));
    let digits = prefix.map_or(digits, |prefix| &digits[prefix.len()..]);
    if digits.is_empty() && prefix.is_none() {
        if trimmed.is_empty() {
            return 0;
        }
        refuse_number(whole, base);
    }
    let mut pace = Pace::new();
    let value = digits.chars().try_fold(0i128, |value, c| {
        pace.bytes(16);
        let digit = c.to_digit(base)?;
        // Far beyond 64 bits it need not go.
        Some((value * i128::from(base) + i128::from(digit)).min(1 << 100))
    });
    match value {
        Some(value) if !digits.is_empty() => i64::try_from(if negative { -value } else { value })
            .unwrap_or_else(|_| {
                let message = format!("\"{}\" is out of range for bigint", whole.excerpt());
                Report::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, message).raise()
            }),
        _ => refuse_number(whole, base),
    }
}

#[cold]
fn refuse_base(base: i32) -> ! {
    let message = format!("base {base} is not between 2 and 36");
    Report::new(sqlstate::INVALID_PARAMETER_VALUE, message).raise()
}

#[cold]
fn refuse_number(text: Bytes<'_>, base: u32) -> ! {
    let message = format!("\"{}\" is no number in base {base}", text.excerpt());
    Report::new(sqlstate::INVALID_TEXT_REPRESENTATION, message).raise()
}

/// 64-bit FNV-1a, which starts from `seed`.
fn fnv(bytes: &[u8], seed: i64) -> i64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
    pace::pieces(bytes).fold(seed as u64, |hash, piece| piece.iter().fold(hash, step)) as i64
}

/// FNV_HASH of bytes: those of a text or varbyte, or of a number as stored.
#[pg_extern]
fn fnv_hash_bytes(bytes: Bytes<'_>, seed: i64) -> i64 {
    fnv(bytes.as_slice(), seed)
}

#[pg_extern]
fn fnv_hash_int2(value: i16, seed: i64) -> i64 {
    fnv(&value.to_le_bytes(), seed)
}

#[pg_extern]
fn fnv_hash_int4(value: i32, seed: i64) -> i64 {
    fnv(&value.to_le_bytes(), seed)
}

#[pg_extern]
fn fnv_hash_int8(value: i64, seed: i64) -> i64 {
    fnv(&value.to_le_bytes(), seed)
}

#[pg_extern]
fn fnv_hash_float8(value: f64, seed: i64) -> i64 {
    fnv(&value.to_le_bytes(), seed)
}

/// CHECKSUM: 32 bits of the value's text. Redshift does not say how it computes its own.
#[pg_extern]
fn checksum_of_text(text: Bytes<'_>) -> i32 {
    // FNV-1a of 64 bits, folded.
    let hash = fnv(text.as_slice(), 0xCBF2_9CE4_8422_2325u64 as i64);
    (hash ^ hash >> 32) as i32
}

/// Bytes of the longest result of LISTAGG ("LISTAGG function").
const MAX_LISTAGG_BYTES: usize = 65_535;

/// [`listagg_step`] without a delimiter.
#[pg_extern]
fn listagg_step2(list: Option<Bytes<'_>>, value: Option<AnyText<'_>>) -> Option<Varlena> {
    listagg_step(list, value, None)
}

/// One step of LISTAGG: NULL and empty values are left out.
#[pg_extern]
fn listagg_step(
    list: Option<Bytes<'_>>,
    value: Option<AnyText<'_>>,
    delimiter: Option<Bytes<'_>>,
) -> Option<Varlena> {
    let list = list.map(|list| list.as_slice());
    let value = value
        .as_ref()
        .and_then(AnyText::as_slice)
        .filter(|value| !value.is_empty());
    let delimiter = match (list, value, delimiter) {
        (None, None, _) => return None,
        (Some(_), Some(_), Some(delimiter)) => delimiter.as_slice(),
        _ => &[],
    };
    let parts = [
        list.unwrap_or_default(),
        delimiter,
        value.unwrap_or_default(),
    ];
    let length = parts.iter().map(|part| part.len()).sum();
    if length > MAX_LISTAGG_BYTES {
        let message = "Result size exceeds LISTAGG limit";
        Report::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message)
            .detail(format!("limit: {MAX_LISTAGG_BYTES}"))
            .raise()
    }
    Some(Varlena::build(length, |output| {
        parts.iter().for_each(|part| output.put(part));
    }))
}
