//! What the translator writes for paths and casts of SUPER where the session's settings count: `redshift.attribute`, `redshift.element`,
//! `redshift.checked_cast`, `redshift.unnest_array`. Subscripts themselves are always lax, because Postgres takes them for immutable.

use std::cell::RefCell;

use pgrx::prelude::*;
use super_value::limits::MAX_STRING_BYTES;
use super_value::pace::Pace;
use super_value::text::lower;
use super_value::{Kind, Value};

use crate::pg::datum::{Bytes, Super, Varlena};
use crate::pg::report::{Report, sqlstate};
use crate::pg::setting;
use crate::pg::time;
use crate::types::compose;

fn kind_name(value: Value<'_>) -> &'static str {
    match value.kind() {
        Kind::Null => "null",
        Kind::Boolean => "a boolean",
        Kind::Number => "a number",
        Kind::String => "a string",
        Kind::Array => "an array",
        Kind::Object => "an object",
    }
}

/// Longer names are not looked for in another case.
const MAX_HINTED_BYTES: usize = 1024;

/// The beginning of a name, for a message.
fn start(name: &str) -> &str {
    &name[..name.floor_char_boundary(200)]
}

/// NULL, or with `navigate_super_null_on_error` off an error.
fn lost<T>(message: impl FnOnce() -> String) -> Option<T> {
    if setting::NAVIGATE_SUPER_NULL_ON_ERROR.get() {
        return None;
    }
    Report::new(sqlstate::INVALID_NAVIGATION, message())
        .hint("SET navigate_super_null_on_error = on gives NULL here.")
        .raise()
}

/// `redshift.attribute(super, text, boolean)`: the attribute of an object. The case of the name counts with
/// `enable_case_sensitive_super_attribute`, or where the translator says so.
#[pg_extern]
fn super_attribute(value: Super<'_>, name: Bytes<'_>, keep_case: bool) -> Option<Varlena> {
    let value = value.value();
    if name.as_slice().len() > MAX_STRING_BYTES {
        return lost(|| format!("there is no attribute \"{}\"", name.excerpt()));
    }
    let name = name.as_str();
    let folded;
    let wanted = if keep_case || setting::ENABLE_CASE_SENSITIVE_SUPER_ATTRIBUTE.get() {
        name
    } else {
        folded = compose::made(lower(name));
        &folded
    };
    if let Some(found) = value.get(wanted.as_bytes()) {
        return Some(Varlena::of_value(found));
    }
    if value.kind() != Kind::Object {
        let kind = kind_name(value);
        return lost(|| format!("cannot read attribute \"{}\" of {kind}", start(wanted)));
    }
    hint_at_twin(value, wanted);
    lost(|| format!("there is no attribute \"{}\"", start(wanted)))
}

thread_local! {
    /// The names hinted at in the current statement, and when that began.
    static HINTED: RefCell<(i64, Vec<String>)> = const { RefCell::new((0, Vec::new())) };
}

/// A NOTICE where an object has the name but for its case: once a name and statement of the client.
fn hint_at_twin(value: Value<'_>, wanted: &str) {
    let folded = |name: &str| -> Vec<char> { name.chars().flat_map(char::to_lowercase).collect() };
    if wanted.len() > MAX_HINTED_BYTES {
        return;
    }
    let like = folded(wanted);
    let mut pace = Pace::new();
    let twin = value
        .attributes()
        .inspect(|(name, _)| pace.bytes(name.len()))
        .filter(|(name, _)| name.len() == wanted.len())
        .filter_map(|(name, _)| std::str::from_utf8(name).ok())
        .find(|name| folded(name) == like);
    let Some(twin) = twin else { return };
    let new = HINTED.with_borrow_mut(|(began, names)| {
        let now = time::statement_start_utc();
        if *began != now {
            *began = now;
            names.clear();
        }
        let new = names.len() < 8 && !names.iter().any(|name| name == wanted);
        if new {
            names.push(wanted.to_owned());
        }
        new
    });
    if new {
        let message = format!("there is no attribute \"{wanted}\", but \"{twin}\"");
        Report::new(sqlstate::SUCCESSFUL_COMPLETION, message)
            .hint("Names in a path are folded to lower case unless enable_case_sensitive_super_attribute is on; quoted ones unless enable_case_sensitive_identifier is on.")
            .notice();
    }
}

/// `redshift.element(super, bigint)`: the element of an array, from 0.
#[pg_extern]
fn super_element(value: Super<'_>, index: i64) -> Option<Varlena> {
    let value = value.value();
    let found = usize::try_from(index)
        .ok()
        .and_then(|index| value.element(index));
    match found {
        Some(found) => Some(Varlena::of_value(found)),
        None if value.kind() == Kind::Array => {
            lost(|| format!("there is no element {index} in an array of {}", value.len()))
        }
        None => lost(|| format!("cannot read element {index} of {}", kind_name(value))),
    }
}

/// `redshift.require_castable(super, boolean)`: raises the error of a cast that gave NULL, if `cast_super_null_on_error` is off.
#[pg_extern]
fn require_castable(value: Super<'_>, type_name: Bytes<'_>) -> bool {
    let value = value.value();
    if value.kind() != Kind::Null && !setting::CAST_SUPER_NULL_ON_ERROR.get() {
        let message = format!("cannot cast {} to {}", kind_name(value), type_name.as_str());
        Report::new(sqlstate::CANNOT_COERCE, message)
            .hint("SET cast_super_null_on_error = on gives NULL here.")
            .raise()
    }
    true
}

/// `redshift.as_array(super)`: an array as it is; of what is none nothing, or by the setting an error.
#[pg_extern]
fn as_array(value: Super<'_>) -> Option<Varlena> {
    let value = value.value();
    match value.kind() {
        Kind::Array => Some(Varlena::of_value(value)),
        _ => lost(|| format!("cannot unnest {}", kind_name(value))),
    }
}

/// `redshift.as_object(super)`: as [`as_array`], for objects.
#[pg_extern]
fn as_object(value: Super<'_>) -> Option<Varlena> {
    let value = value.value();
    match value.kind() {
        Kind::Object => Some(Varlena::of_value(value)),
        _ => lost(|| format!("cannot unpivot {}", kind_name(value))),
    }
}
