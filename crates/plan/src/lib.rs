//! What is decided from plain values. Nothing here knows Postgres, waits, or asks the clock: what a decision needs is given to it, so each rule is
//! tested by itself, in seconds.

#![forbid(unsafe_code)]

pub mod bounds;
pub mod calendar;
mod cost;
pub mod date_format;
pub mod loss;
pub mod names;
pub mod partitions;
pub mod pause;
pub mod redact;
pub mod room;
pub mod shards;
pub mod share;
pub mod tempo;
