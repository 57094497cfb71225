//! The types of Redshift that Postgres lacks: text and binary form, casts, comparisons.

pub mod calendar;
pub mod compose;
pub mod date_format;
pub mod json_text;
pub mod super_compare;
pub mod super_guard;
pub mod super_type;
pub mod varbyte;
