//! `json_parse`, `can_json_parse`, and the functions over JSON text. One function of the library serves varbyte, bytea and text: all three are the
//! document's bytes.

use pgrx::prelude::*;
use super_value::pace::Pace;
use super_value::{JsonErrorKind, Kind, Value, cast};

use crate::pg::datum::{Bytes, Varlena};
use crate::pg::report::{Report, sqlstate};
use crate::pg::setting;
use crate::types::{compose, json_text};

/// The document as SUPER; an error if it is none.
#[pg_extern]
fn json_parse(document: Bytes<'_>) -> Varlena {
    json_text::parse(document.as_slice(), None)
}

/// As [`json_parse`], by the session's settings: with `parse_super_null_on_error` on what is no JSON is NULL, with `json_parse_dedup_attributes` off two
/// attributes of one name are no JSON.
#[pg_extern]
fn json_parse_lax(document: Bytes<'_>) -> Option<Varlena> {
    let document = document.as_slice();
    let lax = setting::PARSE_SUPER_NULL_ON_ERROR.get();
    if setting::JSON_PARSE_DEDUP_ATTRIBUTES.get() {
        let refused = lax && !json_text::can_parse(document);
        return (!refused).then(|| json_text::parse(document, None));
    }
    match json_text::parse_unique(document) {
        Ok(parsed) => Some(parsed),
        Err(_) if lax => None,
        Err(error) => json_text::refuse(
            error,
            document.len(),
            (error.kind == JsonErrorKind::EqualNames).then_some(
                "SET json_parse_dedup_attributes = on lets the last one count, as json_parse does.",
            ),
        ),
    }
}

/// Whether [`json_parse`] would succeed; an empty document is no JSON.
#[pg_extern]
fn can_json_parse(document: Bytes<'_>) -> bool {
    json_text::can_parse(document.as_slice())
}

/// Reads a document that has to be of a kind; where it is not, NULL with `null_if_invalid`, else an error as Redshift words it.
fn with_document<T>(
    document: Bytes<'_>,
    null_if_invalid: bool,
    expected: Option<Kind>,
    read: impl FnOnce(Value<'_>) -> Option<T>,
) -> Option<T> {
    let result = json_text::with_value(document.as_slice(), |value| {
        if expected.is_none_or(|kind| value.kind() == kind) {
            Ok(read(value))
        } else {
            Err(None)
        }
    });
    let reason = match result {
        Ok(Ok(value)) => return value,
        Ok(Err(none)) => none,
        Err(error) => Some(error),
    };
    if null_if_invalid {
        return None;
    }
    let what = if expected == Some(Kind::Array) {
        "array object"
    } else {
        "object"
    };
    let mut report = Report::new(
        sqlstate::INVALID_TEXT_REPRESENTATION,
        format!("invalid json {what} {}", document.excerpt()),
    );
    if let Some(reason) = reason {
        report = report.detail(format!("{reason}, counted from 0."));
    }
    report
        .hint("With null_if_invalid, a last argument true, the result is NULL.")
        .raise()
}

/// A string without its quotes, everything else as JSON text; null is NULL.
fn shown(value: Value<'_>) -> Option<Varlena> {
    match value.kind() {
        Kind::Null => None,
        Kind::Array | Kind::Object => Some(Varlena::of_payload(&compose::text(value))),
        _ => cast::to_text(value).map(|text| Varlena::of_payload(text.as_bytes())),
    }
}

/// JSON_EXTRACT_PATH_TEXT: what is at the end of a path of names and positions.
#[pg_extern]
fn json_path_text(
    document: Bytes<'_>,
    path: pgrx::Array<'_, &str>,
    null_if_invalid: bool,
) -> Option<Varlena> {
    let mut pace = Pace::new();
    if path
        .iter()
        .inspect(|_| pace.step())
        .any(|part| part.is_none())
    {
        return None;
    }
    with_document(document, null_if_invalid, None, |value| {
        let mut value = value;
        for part in path.iter().flatten() {
            value = match value.kind() {
                Kind::Array => value.element(part.parse().ok()?)?,
                _ => value.get(part.as_bytes())?,
            };
        }
        shown(value)
    })
}

/// JSON_EXTRACT_ARRAY_ELEMENT_TEXT: the element at a position, from 0.
#[pg_extern]
fn json_array_element_text(
    document: Bytes<'_>,
    position: i32,
    null_if_invalid: bool,
) -> Option<Varlena> {
    with_document(document, null_if_invalid, Some(Kind::Array), |value| {
        shown(value.element(usize::try_from(position).ok()?)?)
    })
}

/// JSON_ARRAY_LENGTH of JSON text.
#[pg_extern]
fn json_text_array_length(document: Bytes<'_>, null_if_invalid: bool) -> Option<i32> {
    with_document(document, null_if_invalid, Some(Kind::Array), |value| {
        Some(value.len() as i32)
    })
}

fn is_document_of(document: Bytes<'_>, kind: Kind) -> bool {
    json_text::with_value(document.as_slice(), |value| value.kind() == kind).unwrap_or(false)
}

/// IS_VALID_JSON: a JSON object.
#[pg_extern]
fn is_valid_json(document: Bytes<'_>) -> bool {
    is_document_of(document, Kind::Object)
}

/// IS_VALID_JSON_ARRAY: a JSON array.
#[pg_extern]
fn is_valid_json_array(document: Bytes<'_>) -> bool {
    is_document_of(document, Kind::Array)
}
