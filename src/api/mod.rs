//! What users call.

pub mod external_schema;
pub mod materialized_view;
