//! `json_parse` and `can_json_parse`. One function of the library serves varbyte, bytea and text: all three are the document's bytes.

use pgrx::prelude::*;

use crate::pg::datum::{Bytes, Varlena};
use crate::types::json_text;

/// The document as SUPER; an error if it is none.
#[pg_extern]
fn json_parse(document: Bytes<'_>) -> Varlena {
    json_text::parse(document.as_slice(), None)
}

/// Whether [`json_parse`] would succeed; an empty document is no JSON.
#[pg_extern]
fn can_json_parse(document: Bytes<'_>) -> bool {
    json_text::can_parse(document.as_slice())
}
