//! Kinesis: what of an external schema, a refresh and a start is different from Kafka's.

pub mod plan;
pub mod position;
pub mod refresh;
pub mod source;
pub mod status;
