//! Redshift's functions over SUPER: what a value is, arrays, objects ("SUPER functions" in its Developer Guide). The rules of the array functions are
//! in [`super_value::array`]. A function that is given something else than it works on returns NULL.

use std::cmp::Ordering;

use pgrx::prelude::*;
use super_value::limits::MAX_DOCUMENT_BYTES;
use super_value::pace::{self, Pace};
use super_value::{Kind, Limit, Number, Value, array, split, text};

use crate::pg::datum::{Arguments, Bytes, Collation, SqlValue, Super, Varlena};
use crate::pg::report::{Report, sqlstate};
use crate::pg::setting;
use crate::types::compose::{self, Held};
use crate::types::json_text;

/// Bytes of the longest VARCHAR of Redshift ("Character types").
const MAX_VARCHAR_BYTES: usize = 65_535;

/// JSON_SERIALIZE: the JSON text, without a blank.
#[pg_extern]
fn json_serialize(value: Super<'_>) -> Varlena {
    let mut json = text::Text::of_at_most(MAX_VARCHAR_BYTES);
    let written = text::write(value.value(), &mut json);
    if written == Err(Limit::Length) {
        let message = format!("the JSON text is longer than {MAX_VARCHAR_BYTES} bytes");
        let length = compose::made(text::length(value.value()));
        Report::new(sqlstate::STRING_DATA_RIGHT_TRUNCATION, message)
            .detail(format!("It has {length} bytes."))
            .hint("json_serialize_to_varbyte has no such limit.")
            .raise()
    }
    compose::made(written);
    Varlena::of_payload(&json.bytes)
}

/// JSON_SERIALIZE_TO_VARBYTE: the JSON text as bytes.
#[pg_extern]
fn json_serialize_to_varbyte(value: Super<'_>) -> Varlena {
    Varlena::of_payload(&compose::text(value.value()))
}

/// JSON_SIZE: bytes of the JSON text.
#[pg_extern]
fn json_size(value: Super<'_>) -> i32 {
    let length = compose::made(text::length(value.value()));
    i32::try_from(length).unwrap_or_else(|_| {
        let message = "integer out of range";
        Report::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, message)
            .detail(format!("The JSON text would have {length} bytes."))
            .raise()
    })
}

/// JSON_TYPEOF.
#[pg_extern]
fn super_typeof(value: Super<'_>) -> Varlena {
    let name = match value.value().kind() {
        Kind::Null => "null",
        Kind::Boolean => "boolean",
        Kind::Number => "number",
        Kind::String => "string",
        Kind::Array => "array",
        Kind::Object => "object",
    };
    Varlena::of_payload(name.as_bytes())
}

#[pg_extern]
fn is_array(value: Super<'_>) -> bool {
    value.value().kind() == Kind::Array
}

#[pg_extern]
fn is_object(value: Super<'_>) -> bool {
    value.value().kind() == Kind::Object
}

/// IS_SCALAR: neither array nor object nor null.
#[pg_extern]
fn is_scalar(value: Super<'_>) -> bool {
    matches!(
        value.value().kind(),
        Kind::Boolean | Kind::Number | Kind::String
    )
}

#[pg_extern]
fn is_boolean(value: Super<'_>) -> bool {
    value.value().kind() == Kind::Boolean
}

#[pg_extern]
fn is_varchar(value: Super<'_>) -> bool {
    value.value().kind() == Kind::String
}

/// IS_CHAR: a string of ASCII characters.
#[pg_extern]
fn is_char(value: Super<'_>) -> bool {
    let string = value.value().as_bytes();
    string.is_some_and(|bytes| pace::pieces(bytes).all(<[u8]>::is_ascii))
}

/// The integer that a number without decimals is.
fn integer(value: Super<'_>) -> Option<i64> {
    let number = value.value().as_numeric().and_then(Number::new)?;
    if number.scale() == 0 {
        number.to_i64()
    } else {
        None
    }
}

#[pg_extern]
fn is_smallint(value: Super<'_>) -> bool {
    integer(value).is_some_and(|integer| i16::try_from(integer).is_ok())
}

#[pg_extern]
fn is_integer(value: Super<'_>) -> bool {
    integer(value).is_some_and(|integer| i32::try_from(integer).is_ok())
}

#[pg_extern]
fn is_bigint(value: Super<'_>) -> bool {
    integer(value).is_some()
}

/// IS_DECIMAL: any number, because the stored form knows no floats.
#[pg_extern]
fn is_decimal(value: Super<'_>) -> bool {
    value.value().kind() == Kind::Number
}

/// DECIMAL_PRECISION: digits of a number.
#[pg_extern]
fn decimal_precision(value: Super<'_>) -> Option<i32> {
    let number = value.value().as_numeric().and_then(Number::new)?;
    Some(number.precision() as i32)
}

/// DECIMAL_SCALE: digits of a number after the decimal point.
#[pg_extern]
fn decimal_scale(value: Super<'_>) -> Option<i32> {
    let number = value.value().as_numeric().and_then(Number::new)?;
    Some(number.scale() as i32)
}

/// The array that a value is.
fn as_array(value: Super<'_>) -> Option<Value<'_>> {
    let value = value.value();
    (value.kind() == Kind::Array).then_some(value)
}

/// GET_ARRAY_LENGTH.
#[pg_extern]
fn get_array_length(value: Super<'_>) -> Option<i64> {
    as_array(value).map(|array| array.len() as i64)
}

/// GET_NUMBER_ATTRIBUTES: attributes of an object.
#[pg_extern]
fn get_number_attributes(value: Super<'_>) -> Option<i32> {
    let value = value.value();
    (value.kind() == Kind::Object).then(|| value.len() as i32)
}

/// ARRAY: its arguments, NULL as null.
#[pg_extern]
fn array_of(arguments: Arguments<'_>) -> Varlena {
    // A call has a hundred of them at most.
    let held: Vec<Held<'_>> = arguments
        .as_slice()
        .iter()
        .map(|argument| Held::of(argument, "ARRAY"))
        .collect();
    let elements = held.iter().map(Held::or_null);
    compose::image(super_value::compose::array(held.len(), elements))
}

/// OBJECT: its arguments are names and values in turn.
#[pg_extern]
fn object_of(arguments: Arguments<'_>) -> Varlena {
    let arguments = arguments.as_slice();
    let refuse = |message: &str| -> ! {
        Report::new(sqlstate::INVALID_PARAMETER_VALUE, message)
            .hint("The arguments of OBJECT are names and values in turn: object('a', 1, 'b', 2).")
            .raise()
    };
    if !arguments.len().is_multiple_of(2) {
        refuse("OBJECT has a name without a value");
    }
    let held: Vec<Held<'_>> = arguments
        .iter()
        .map(|argument| Held::of(argument, "OBJECT"))
        .collect();
    let attributes = held.chunks_exact(2).map(|pair| {
        let name = pair[0].or_null().as_bytes();
        let name = name.unwrap_or_else(|| refuse("a name in OBJECT is no string"));
        (name, pair[1].or_null())
    });
    compose::object(&mut attributes.collect::<Vec<_>>())
}

/// `redshift.to_super(any)`: the value as SUPER, by the rules of ARRAY.
#[pg_extern]
fn any_to_super(arguments: Arguments<'_>) -> Option<Varlena> {
    let argument = arguments.as_slice().first()?;
    Held::of(argument, "the cast")
        .value()
        .map(Varlena::of_value)
}

/// ARRAY_CONCAT.
#[pg_extern]
fn array_concat(a: Super<'_>, b: Super<'_>) -> Option<Varlena> {
    Some(compose::image(array::concat(as_array(a)?, as_array(b)?)))
}

/// ARRAY_FLATTEN: arrays in the array give way to their elements, at all levels.
#[pg_extern]
fn array_flatten(value: Super<'_>) -> Option<Varlena> {
    Some(compose::image(array::flatten(as_array(value)?)))
}

/// SUBARRAY: `length` elements from `start` on, which counts from 0, or from the end if it is negative. What lies outside is left out.
#[pg_extern]
fn subarray(value: Super<'_>, start: i32, length: i32) -> Option<Varlena> {
    let array = as_array(value)?;
    let count = array.len() as i64;
    let start = i64::from(start);
    let from = if start < 0 { count + start } else { start };
    let to = from + i64::from(length);
    let inside = |index: i64| index.clamp(0, count) as usize;
    Some(compose::image(array::part(array, inside(from), inside(to))))
}

/// SPLIT_TO_ARRAY: the parts of a string between delimiters; the whole string where the delimiter is empty. To prepare the search for a delimiter of many
/// megabytes takes too long to be one step; Redshift's cannot be longer than a VARCHAR.
#[pg_extern]
fn split_to_array(string: Bytes<'_>, delimiter: Bytes<'_>) -> Varlena {
    let (string, delimiter) = (string.as_str(), delimiter.as_str());
    if delimiter.len() > MAX_VARCHAR_BYTES {
        let message = format!("a delimiter has at most {MAX_VARCHAR_BYTES} bytes");
        Report::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message).raise()
    }
    let mut pace = Pace::new();
    let count = split(string, delimiter).inspect(|_| pace.step()).count();
    let parts = split(string, delimiter).map(|part| compose::string(part.as_bytes()));
    compose::image(super_value::compose::array(count, parts))
}

/// Searches the array in the first argument for the second. The third, or the setting without one, tells whether NULL can be found; where it cannot,
/// what is not found in an array with nulls is unknown. What `take` makes of array and value, `None` for unknown.
fn search<T>(arguments: &Arguments<'_>, take: impl FnOnce(Value<'_>, Value<'_>) -> T) -> Option<T> {
    let [SqlValue::Super(value), wanted, rest @ ..] = arguments.as_slice() else {
        return None;
    };
    let null_match = match rest {
        [] => setting::DEFAULT_ARRAY_SEARCH_NULL_HANDLING.get(),
        [SqlValue::Boolean(null_match), ..] => *null_match,
        _ => return None,
    };
    let array = as_array(*value)?;
    let held = Held::of(wanted, "the search");
    let wanted = held.or_null();
    if !null_match && wanted.kind() == Kind::Null {
        return None;
    }
    let is_found = || array::positions(array, wanted).next().is_some();
    let unknown = !null_match && !is_found() && array::has_null(array);
    (!unknown).then(|| take(array, wanted))
}

/// ARRAY_CONTAINS: whether the value is an element of the array.
#[pg_extern]
fn array_contains(arguments: Arguments<'_>) -> Option<bool> {
    search(&arguments, |array, wanted| {
        array::positions(array, wanted).next().is_some()
    })
}

/// ARRAY_POSITION: where the value comes first, from 0; -1 if it does not.
#[pg_extern]
fn super_array_position(arguments: Arguments<'_>) -> Option<i32> {
    search(&arguments, |array, wanted| {
        let first = array::positions(array, wanted).next();
        first.map_or(-1, |first| first as i32)
    })
}

/// ARRAY_POSITIONS: every position of the value, from 0.
#[pg_extern]
fn super_array_positions(arguments: Arguments<'_>) -> Option<Varlena> {
    search(&arguments, |array, wanted| {
        compose::image(array::all_positions(array, wanted))
    })
}

/// ARRAY_DISTINCT: each element once.
#[pg_extern]
fn array_distinct(value: Super<'_>) -> Option<Varlena> {
    Some(compose::image(array::distinct(as_array(value)?)))
}

/// ARRAY_UNION: each element of both arrays once.
#[pg_extern]
fn array_union(a: Super<'_>, b: Super<'_>) -> Option<Varlena> {
    Some(compose::image(array::union(as_array(a)?, as_array(b)?)))
}

/// ARRAY_EXCEPT.
#[pg_extern]
fn array_except(a: Super<'_>, b: Super<'_>, distinct: bool) -> Option<Varlena> {
    let except = array::except(as_array(a)?, as_array(b)?, distinct);
    Some(compose::image(except))
}

/// ARRAY_INTERSECTION.
#[pg_extern]
fn array_intersection(a: Super<'_>, b: Super<'_>, distinct: bool) -> Option<Varlena> {
    let intersection = array::intersection(as_array(a)?, as_array(b)?, distinct);
    Some(compose::image(intersection))
}

/// ARRAYS_OVERLAP: whether the arrays have an element in common.
#[pg_extern]
fn arrays_overlap(a: Super<'_>, b: Super<'_>) -> Option<bool> {
    Some(compose::made(array::overlap(as_array(a)?, as_array(b)?)))
}

/// ARRAY_SORT: boolean, number, string, array, object.
#[pg_extern]
fn super_array_sort(value: Super<'_>, ascending: bool, nulls_first: bool) -> Option<Varlena> {
    let collation = Collation::default_of_database();
    let mut strings = |a: &[u8], b: &[u8]| -> Ordering { collation.compare(a, b) };
    let sorted = array::sort(as_array(value)?, ascending, nulls_first, &mut strings);
    Some(compose::image(sorted))
}

/// The value with the names of its attributes changed, at all levels. Of names that become equal the last one in the stored order wins.
fn rename(value: Super<'_>, change: fn(&str) -> Result<String, Limit>) -> Varlena {
    // What is longer is no document.
    let mut json = text::Text::of_at_most(MAX_DOCUMENT_BYTES + 1);
    let mut rename = |name: &[u8], out: &mut text::Text| {
        let name = change(std::str::from_utf8(name).unwrap_or_default())?;
        text::write_string(name.as_bytes(), out)
    };
    compose::made(text::write_renamed(value.value(), &mut rename, &mut json));
    json_text::parse(&json.bytes, None)
}

/// LOWER_ATTRIBUTE_NAMES.
#[pg_extern]
fn lower_attribute_names(value: Super<'_>) -> Varlena {
    rename(value, text::lower)
}

/// UPPER_ATTRIBUTE_NAMES.
#[pg_extern]
fn upper_attribute_names(value: Super<'_>) -> Varlena {
    rename(value, text::upper)
}
