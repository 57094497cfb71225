//! What users call.

pub mod external_schema;
pub mod json;
pub mod materialized_view;
pub mod super_functions;
