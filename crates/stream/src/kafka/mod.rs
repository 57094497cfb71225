//! Kafka by librdkafka: a consumer without a group, whose offsets are the caller's business.
//!
//! `config` sets it up, `client` holds it and makes requests, `reader` reads ranges whose progress `partitions` keeps,
//! `ffi` is the only file that calls C.

pub mod client;
pub mod config;
pub mod ffi;
pub mod partitions;
pub mod reader;
pub mod security;
mod token;
