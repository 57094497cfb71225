//! The types of Redshift that Postgres lacks: text and binary form, casts, comparisons.

pub mod compose;
pub mod json_text;
pub mod super_compare;
pub mod super_guard;
pub mod super_type;
pub mod varbyte;
