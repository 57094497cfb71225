//! JSON text to SUPER: the backend's parser, and its errors as Postgres reports them.

use std::cell::RefCell;

use super_value::{JsonError, JsonErrorKind, Parser, Value};

use crate::pg::datum::Varlena;
use crate::pg::report::{Report, sqlstate};

thread_local! {
    /// One per backend. It remembers the last document, so that `can_json_parse(d)` and several `json_parse(d)` of one row cost one parse.
    static PARSER: RefCell<Parser> = const { RefCell::new(Parser::new()) };
}

/// The document as SUPER.
///
/// # Errors
/// 22P02, with the hint if there is one, if it is not JSON or more than SUPER can hold; 53200 if there is no memory for it.
pub fn parse(document: &[u8], hint: Option<&str>) -> Varlena {
    // An error while the parser is borrowed is a Rust panic, which gives the borrow back.
    PARSER.with_borrow_mut(|parser| match parser.parse(document) {
        Ok(image) => {
            let parsed = Varlena::copy(image);
            parser.trim();
            parsed
        }
        Err(error) => refuse(error, document.len(), hint),
    })
}

/// As [`parse`], but an object with two attributes of one name is an error, and what is wrong is returned.
///
/// # Errors
/// 53200 if there is no memory for it.
pub fn parse_unique(document: &[u8]) -> Result<Varlena, JsonError> {
    let result = PARSER.with_borrow_mut(|parser| {
        let result = parser.parse_unique(document).map(Varlena::copy);
        parser.trim();
        result
    });
    match result {
        Err(error) if error.kind == JsonErrorKind::OutOfMemory => {
            refuse(error, document.len(), None)
        }
        other => other,
    }
}

/// Whether [`parse`] would succeed.
///
/// # Errors
/// 53200 if there is no memory to find out.
pub fn can_parse(document: &[u8]) -> bool {
    let result = PARSER.with_borrow_mut(|parser| {
        let result = parser.validate(document);
        parser.trim();
        result
    });
    match result {
        Err(error) if error.kind == JsonErrorKind::OutOfMemory => {
            refuse(error, document.len(), None)
        }
        other => other.is_ok(),
    }
}

/// Reads a document; why it is none, if it is none.
///
/// # Errors
/// 53200 if there is no memory for it.
pub fn with_value<T>(document: &[u8], read: impl FnOnce(Value<'_>) -> T) -> Result<T, JsonError> {
    let result = PARSER.with_borrow_mut(|parser| {
        let result = parser.parse(document).map(|image| {
            read(Value::from_image(image).expect("the parser writes what can be read"))
        });
        parser.trim();
        result
    });
    match result {
        Err(error) if error.kind == JsonErrorKind::OutOfMemory => {
            refuse(error, document.len(), None)
        }
        other => other,
    }
}

/// Raises the error of a document that is none.
#[cold]
pub fn refuse(error: JsonError, length: usize, hint: Option<&str>) -> ! {
    let code = match error.kind {
        JsonErrorKind::OutOfMemory => sqlstate::OUT_OF_MEMORY,
        _ => sqlstate::INVALID_TEXT_REPRESENTATION,
    };
    let mut report = Report::new(code, format!("invalid JSON: {}", error.kind)).detail(format!(
        "At byte {} of {length}, counted from 0.",
        error.position
    ));
    if let Some(hint) = hint {
        report = report.hint(hint);
    }
    report.raise()
}
