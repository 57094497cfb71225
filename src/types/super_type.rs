//! SUPER: text input, and casts to and from the scalar types. The rules of the casts from SUPER are those of [`super_value::cast`]: lax.

use core::ffi::CStr;

use pgrx::prelude::*;
use super_value::{Value, cast, number};

use crate::pg::datetime;
use crate::pg::datum::{Bytes, Super, TextOut, Varlena};
use crate::pg::report::{Report, sqlstate};
use crate::types::{compose, json_text};

/// A literal beside a SUPER becomes SUPER wherever Postgres looks for a common type, and is read here.
const LITERAL_HINT: &str = "A literal of type super is JSON text. To compare with or fall back to a string, cast the SUPER value: path::varchar.";

/// Text input: JSON, by the same parser as `json_parse`.
#[pg_extern]
fn super_in(text: &CStr) -> Varlena {
    json_text::parse(text.to_bytes(), Some(LITERAL_HINT))
}

/// Text output: JSON without a blank, as Redshift shows it ("Querying semi-structured data" in its Developer Guide).
#[pg_extern]
fn super_out(value: Super<'_>) -> TextOut {
    TextOut::of(&compose::text(value.value()))
}

#[pg_extern]
fn super_to_int2(value: Super<'_>) -> Option<i16> {
    cast::to_i64(value.value()).and_then(|integer| integer.try_into().ok())
}

#[pg_extern]
fn super_to_int4(value: Super<'_>) -> Option<i32> {
    cast::to_i64(value.value()).and_then(|integer| integer.try_into().ok())
}

#[pg_extern]
fn super_to_int8(value: Super<'_>) -> Option<i64> {
    cast::to_i64(value.value())
}

#[pg_extern]
fn super_to_float4(value: Super<'_>) -> Option<f32> {
    cast::to_f32(value.value())
}

#[pg_extern]
fn super_to_float8(value: Super<'_>) -> Option<f64> {
    cast::to_f64(value.value())
}

/// `typmod` is that of the target: rounding happens here, because numeric's own raises an error for what does not fit.
#[pg_extern]
fn super_to_numeric(value: Super<'_>, typmod: i32, _explicit: bool) -> Option<Varlena> {
    cast::to_numeric(value.value(), precision_and_scale(typmod))
        .map(|numeric| Varlena::copy(&numeric))
}

/// The two numbers of `numeric(precision, scale)`: 16 bits, and 11 bits in two's complement (`make_numeric_typmod` in `numeric.c`).
fn precision_and_scale(typmod: i32) -> Option<(i64, i64)> {
    let packed = typmod
        .checked_sub(pgrx::pg_sys::VARHDRSZ as i32)
        .filter(|&packed| packed >= 0)?;
    let scale = ((packed & 0x7FF) ^ 0x400) - 0x400;
    Some((i64::from((packed >> 16) & 0xFFFF), i64::from(scale)))
}

#[pg_extern]
fn super_to_bool(value: Super<'_>) -> Option<bool> {
    cast::to_bool(value.value())
}

/// Serves text, varchar and bpchar, whose lengths Postgres cuts afterwards.
#[pg_extern]
fn super_to_text(value: Super<'_>) -> Option<Varlena> {
    cast::to_text(value.value()).map(|text| Varlena::of_payload(text.as_bytes()))
}

/// Days since 2000-01-01, which is how a date is passed.
#[pg_extern]
fn super_to_date(value: Super<'_>) -> Option<i32> {
    value.value().as_str().and_then(datetime::date)
}

/// Microseconds since 2000-01-01, which is how a timestamp is passed.
#[pg_extern]
fn super_to_timestamp(value: Super<'_>) -> Option<i64> {
    value.value().as_str().and_then(datetime::timestamp)
}

#[pg_extern]
fn super_to_timestamptz(value: Super<'_>) -> Option<i64> {
    value.value().as_str().and_then(datetime::timestamptz)
}

/// A JSON string, not parsed. Serves text, varchar and bpchar.
#[pg_extern]
fn text_to_super(text: Bytes<'_>) -> Varlena {
    Varlena::of_value(compose::string(text.as_slice()))
}

#[pg_extern]
fn bool_to_super(value: bool) -> Varlena {
    Varlena::of_value(Value::boolean(value))
}

#[pg_extern]
fn int8_to_super(value: i64) -> Varlena {
    number_to_super(Some(number::from_i64(value)))
}

/// The shortest decimal that reads back as the same number.
#[pg_extern]
fn float8_to_super(value: f64) -> Varlena {
    number_to_super(number::from_f64(value))
}

/// As [`float8_to_super`].
#[pg_extern]
fn float4_to_super(value: f32) -> Varlena {
    number_to_super(number::from_f32(value))
}

#[pg_extern]
fn numeric_to_super(value: Bytes<'_>) -> Varlena {
    number_to_super(Some(value.to_numeric()))
}

fn number_to_super(numeric: Option<Vec<u8>>) -> Varlena {
    match numeric.as_deref().and_then(Value::number) {
        Some(value) => Varlena::of_value(value),
        None => Report::new(
            sqlstate::NUMERIC_VALUE_OUT_OF_RANGE,
            "SUPER cannot hold NaN or infinity",
        )
        .raise(),
    }
}
