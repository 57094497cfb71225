//! Kafka by librdkafka: a consumer without a group, whose offsets are the caller's business.
//!
//! `config` sets it up, `client` holds it and makes requests, `reader` reads ranges whose progress `partitions` keeps,
//! `claims` knows which partitions have a reader, `brokers` for how many brokers there is room; `ffi` is the only file that calls C.

pub mod brokers;
mod claims;
pub mod client;
pub mod config;
pub mod ffi;
pub mod partitions;
pub mod reader;
pub mod security;
mod token;
