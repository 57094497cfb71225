//! Redshift's functions over SUPER: what a value is, arrays, objects ("SUPER functions" in its Developer Guide). The rules of the array functions are
//! in [`super_value::array`]. A function that is given something else than it works on returns NULL.

use std::cmp::Ordering;

use pgrx::prelude::*;
use super_value::{Kind, Number, Value, array, text};

use crate::pg::datum::{Arguments, Bytes, Collation, SqlValue, Super, Varlena};
use crate::pg::report::{Report, sqlstate};
use crate::settings;
use crate::types::{compose, json_text};

/// Bytes of the longest VARCHAR of Redshift ("Character types").
const MAX_VARCHAR_BYTES: usize = 65_535;

/// JSON_SERIALIZE: the JSON text, without a blank.
#[pg_extern]
fn json_serialize(value: Super<'_>) -> Varlena {
    let json = text::to_string(value.value());
    if json.len() > MAX_VARCHAR_BYTES {
        let message = format!("the JSON text is longer than {MAX_VARCHAR_BYTES} bytes");
        Report::new(sqlstate::STRING_DATA_RIGHT_TRUNCATION, message)
            .detail(format!("It has {} bytes.", json.len()))
            .hint("json_serialize_to_varbyte has no such limit.")
            .raise()
    }
    Varlena::of_payload(json.as_bytes())
}

/// JSON_SERIALIZE_TO_VARBYTE: the JSON text as bytes.
#[pg_extern]
fn json_serialize_to_varbyte(value: Super<'_>) -> Varlena {
    Varlena::of_payload(text::to_string(value.value()).as_bytes())
}

/// JSON_SIZE: bytes of the JSON text.
#[pg_extern]
fn json_size(value: Super<'_>) -> i32 {
    text::to_string(value.value()).len() as i32
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
    value.value().as_bytes().is_some_and(<[u8]>::is_ascii)
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
    let images: Vec<_> = arguments
        .as_slice()
        .iter()
        .map(|argument| compose::image_of(argument, "ARRAY"))
        .collect();
    let elements: Vec<Value<'_>> = images.iter().map(|image| read(image.as_deref())).collect();
    compose::array(&elements)
}

/// The value of an image of ours, null for none.
fn read(image: Option<&[u8]>) -> Value<'_> {
    image
        .and_then(Value::from_image)
        .unwrap_or_else(Value::null)
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
    let images: Vec<_> = arguments
        .iter()
        .map(|argument| compose::image_of(argument, "OBJECT"))
        .collect();
    let values: Vec<Value<'_>> = images.iter().map(|image| read(image.as_deref())).collect();
    let attributes = values.chunks_exact(2).map(|pair| {
        let name = pair[0]
            .as_bytes()
            .unwrap_or_else(|| refuse("a name in OBJECT is no string"));
        (name, pair[1])
    });
    compose::object(attributes.collect())
}

/// `redshift.to_super(any)`: the value as SUPER, by the rules of ARRAY.
#[pg_extern]
fn any_to_super(arguments: Arguments<'_>) -> Option<Varlena> {
    let argument = arguments.as_slice().first()?;
    compose::image_of(argument, "the cast").map(|image| Varlena::copy(&image))
}

/// ARRAY_CONCAT.
#[pg_extern]
fn array_concat(a: Super<'_>, b: Super<'_>) -> Option<Varlena> {
    let (a, b) = (as_array(a)?, as_array(b)?);
    let elements: Vec<Value<'_>> = array::elements(a).chain(array::elements(b)).collect();
    Some(compose::array(&elements))
}

/// ARRAY_FLATTEN: arrays in the array give way to their elements, at all levels.
#[pg_extern]
fn array_flatten(value: Super<'_>) -> Option<Varlena> {
    Some(compose::array(&array::flatten(as_array(value)?)))
}

/// SUBARRAY: `length` elements from `start` on, which counts from 0, or from the end if it is negative. What lies outside is left out.
#[pg_extern]
fn subarray(value: Super<'_>, start: i32, length: i32) -> Option<Varlena> {
    let array = as_array(value)?;
    let count = array.len() as i64;
    let start = i64::from(start);
    let from = if start < 0 { count + start } else { start };
    let to = from + i64::from(length);
    let inside = from.clamp(0, count)..to.clamp(0, count);
    let elements: Vec<Value<'_>> = inside
        .filter_map(|index| array.element(index as usize))
        .collect();
    Some(compose::array(&elements))
}

/// SPLIT_TO_ARRAY: the parts of a string between delimiters; the whole string where the delimiter is empty.
#[pg_extern]
fn split_to_array(string: Bytes<'_>, delimiter: Bytes<'_>) -> Varlena {
    let (string, delimiter) = (string.as_str(), delimiter.as_str());
    let parts: Vec<Value<'_>> = if delimiter.is_empty() {
        vec![compose::string(string.as_bytes())]
    } else {
        let parts = string.split(delimiter);
        parts.map(|part| compose::string(part.as_bytes())).collect()
    };
    compose::array(&parts)
}

/// Searches the array in the first argument for the second. The third, or the setting without one, tells whether NULL can be found; where it cannot,
/// what is not found in an array with nulls is unknown. The positions found, `None` for unknown.
fn search(arguments: &Arguments<'_>) -> Option<Vec<usize>> {
    let [SqlValue::Super(value), wanted, rest @ ..] = arguments.as_slice() else {
        return None;
    };
    let null_match = match rest {
        [] => settings::DEFAULT_ARRAY_SEARCH_NULL_HANDLING.get(),
        [SqlValue::Boolean(null_match), ..] => *null_match,
        _ => return None,
    };
    let array = as_array(*value)?;
    let image = compose::image_of(wanted, "the search");
    let wanted = read(image.as_deref());
    let is_null = |value: Value<'_>| value.kind() == Kind::Null;
    if !null_match && is_null(wanted) {
        return None;
    }
    let found: Vec<usize> = array::positions(array, wanted).collect();
    let unknown = !null_match && found.is_empty() && array::elements(array).any(is_null);
    (!unknown).then_some(found)
}

/// ARRAY_CONTAINS: whether the value is an element of the array.
#[pg_extern]
fn array_contains(arguments: Arguments<'_>) -> Option<bool> {
    search(&arguments).map(|found| !found.is_empty())
}

/// ARRAY_POSITION: where the value comes first, from 0; -1 if it does not.
#[pg_extern]
fn super_array_position(arguments: Arguments<'_>) -> Option<i32> {
    search(&arguments).map(|found| found.first().map_or(-1, |&first| first as i32))
}

/// ARRAY_POSITIONS: every position of the value, from 0.
#[pg_extern]
fn super_array_positions(arguments: Arguments<'_>) -> Option<Varlena> {
    let found = search(&arguments)?;
    let numbers: Vec<Vec<u8>> = found
        .iter()
        .map(|&index| super_value::number::from_i64(index as i64))
        .collect();
    let elements: Vec<Value<'_>> = numbers.iter().filter_map(|n| Value::number(n)).collect();
    Some(compose::array(&elements))
}

/// ARRAY_DISTINCT: each element once.
#[pg_extern]
fn array_distinct(value: Super<'_>) -> Option<Varlena> {
    let elements = array::distinct(array::elements(as_array(value)?));
    Some(compose::array(&elements))
}

/// ARRAY_UNION: each element of both arrays once.
#[pg_extern]
fn array_union(a: Super<'_>, b: Super<'_>) -> Option<Varlena> {
    let (a, b) = (as_array(a)?, as_array(b)?);
    let elements = array::distinct(array::elements(a).chain(array::elements(b)));
    Some(compose::array(&elements))
}

/// ARRAY_EXCEPT.
#[pg_extern]
fn array_except(a: Super<'_>, b: Super<'_>, distinct: bool) -> Option<Varlena> {
    let elements = array::except(as_array(a)?, as_array(b)?, distinct);
    Some(compose::array(&elements))
}

/// ARRAY_INTERSECTION.
#[pg_extern]
fn array_intersection(a: Super<'_>, b: Super<'_>, distinct: bool) -> Option<Varlena> {
    let elements = array::intersection(as_array(a)?, as_array(b)?, distinct);
    Some(compose::array(&elements))
}

/// ARRAYS_OVERLAP: whether the arrays have an element in common.
#[pg_extern]
fn arrays_overlap(a: Super<'_>, b: Super<'_>) -> Option<bool> {
    Some(array::overlap(as_array(a)?, as_array(b)?))
}

/// ARRAY_SORT: boolean, number, string, array, object.
#[pg_extern]
fn super_array_sort(value: Super<'_>, ascending: bool, nulls_first: bool) -> Option<Varlena> {
    let collation = Collation::default_of_database();
    let mut strings = |a: &[u8], b: &[u8]| -> Ordering { collation.compare(a, b) };
    let elements = array::sort(as_array(value)?, ascending, nulls_first, &mut strings);
    Some(compose::array(&elements))
}

/// The value with the names of its attributes changed, at all levels. Of names that become equal the last one in the stored order wins.
fn rename(value: Super<'_>, change: fn(&str) -> String) -> Varlena {
    let mut json = String::new();
    text::write_renamed(
        value.value(),
        &mut |name, out| text::write_string(&change(name), out),
        &mut json,
    );
    json_text::parse(json.as_bytes(), None)
}

/// LOWER_ATTRIBUTE_NAMES.
#[pg_extern]
fn lower_attribute_names(value: Super<'_>) -> Varlena {
    rename(value, str::to_lowercase)
}

/// UPPER_ATTRIBUTE_NAMES.
#[pg_extern]
fn upper_attribute_names(value: Super<'_>) -> Varlena {
    rename(value, str::to_uppercase)
}

/// OBJECT_TRANSFORM: see `redshift.object_transform` in the SQL. `keep` and `set` are paths such as `"a"."b"`; `values` is an array with one for each of `set`.
#[pg_extern]
fn object_transform(
    value: Super<'_>,
    keep: pgrx::Array<'_, &str>,
    set: pgrx::Array<'_, &str>,
    values: Super<'_>,
) -> Option<Varlena> {
    let value = value.value();
    if value.kind() != Kind::Object {
        return Some(Varlena::of_value(value));
    }
    let paths = |paths: pgrx::Array<'_, &str>| -> Vec<Vec<String>> {
        paths.iter().flatten().map(split_path).collect()
    };
    let mut tree = Tree::Value(value);
    let keep = paths(keep);
    if !keep.is_empty() {
        let mut kept = Tree::Object(Vec::new());
        for path in &keep {
            let found = path
                .iter()
                .try_fold(value, |value, name| value.get(name.as_bytes()));
            if let Some(found) = found {
                kept.set(path, found);
            }
        }
        tree = kept;
    }
    for (path, new) in paths(set).iter().zip(array::elements(values.value())) {
        tree.set(path, new);
    }
    Some(Varlena::copy(&tree.image()))
}

/// An object under change: what is not changed is borrowed.
enum Tree<'a> {
    Value(Value<'a>),
    Object(Vec<(Vec<u8>, Tree<'a>)>),
}

impl<'a> Tree<'a> {
    /// Sets the attribute at `path`, making objects on the way.
    fn set(&mut self, path: &[String], new: Value<'a>) {
        let Some((name, rest)) = path.split_first() else {
            *self = Tree::Value(new);
            return;
        };
        if let Tree::Value(value) = *self {
            let attributes = (0..).map_while(|index| value.attribute(index));
            *self = Tree::Object(
                attributes
                    .map(|(name, value)| (name.to_vec(), Tree::Value(value)))
                    .collect(),
            );
        }
        if let Tree::Object(attributes) = self {
            let at = attributes
                .iter()
                .position(|(own, _)| own == name.as_bytes())
                .unwrap_or_else(|| {
                    attributes.push((name.clone().into_bytes(), Tree::Object(Vec::new())));
                    attributes.len() - 1
                });
            attributes[at].1.set(rest, new);
        }
    }

    fn image(&self) -> Vec<u8> {
        match self {
            Tree::Value(value) => {
                let mut image = vec![0; value.image_len()];
                value.write_image(&mut image);
                image
            }
            Tree::Object(attributes) => {
                let images: Vec<Vec<u8>> =
                    attributes.iter().map(|(_, tree)| tree.image()).collect();
                let pairs = attributes
                    .iter()
                    .zip(&images)
                    .map(|((name, _), image)| (name.as_slice(), read(Some(image))));
                super_value::compose::object(pairs.collect()).unwrap_or_else(|| {
                    Report::new(
                        sqlstate::PROGRAM_LIMIT_EXCEEDED,
                        "the value is too long for SUPER",
                    )
                    .raise()
                })
            }
        }
    }
}

/// The names in a path: `"a"."b c"`, quotes doubled inside, or bare names.
fn split_path(path: &str) -> Vec<String> {
    let refuse = || -> ! {
        Report::new(
            sqlstate::INVALID_PARAMETER_VALUE,
            format!("invalid path {path}"),
        )
        .hint("A path is a list of quoted names with dots between them: '\"a\".\"b\"'.")
        .raise()
    };
    let mut names = Vec::new();
    let mut rest = path.trim();
    loop {
        let (name, after) = if let Some(quoted) = rest.strip_prefix('"') {
            let mut name = String::new();
            let mut left = quoted;
            loop {
                let Some((part, after)) = left.split_once('"') else {
                    refuse()
                };
                name.push_str(part);
                match after.strip_prefix('"') {
                    Some(after) => {
                        name.push('"');
                        left = after;
                    }
                    None => break (name, after),
                }
            }
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            if end == 0 {
                refuse();
            }
            (rest[..end].trim().to_owned(), &rest[end..])
        };
        names.push(name);
        if names.len() > super_value::limits::MAX_DEPTH {
            let message = format!(
                "a path has at most {} names",
                super_value::limits::MAX_DEPTH
            );
            Report::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message).raise()
        }
        let after = after.trim_start();
        if after.is_empty() {
            return names;
        }
        rest = after
            .strip_prefix('.')
            .unwrap_or_else(|| refuse())
            .trim_start();
    }
}
