//! What users call.

pub mod arithmetic;
pub mod datetime;
pub mod decompress;
pub mod external_schema;
pub mod foreign_options;
pub mod json;
pub mod lag;
pub mod materialized_view;
pub mod navigate;
pub mod object_transform;
pub mod string;
pub mod super_functions;
