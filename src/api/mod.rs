//! What users call.

pub mod json;
