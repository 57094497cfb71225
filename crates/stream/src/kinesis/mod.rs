//! Kinesis Data Streams: GetRecords, or a subscription, on all shards of a stream side by side.
//!
//! Every shard has a task of its own that keeps within the service's limits, tries again what may work later, and hands pages of records over.
//! The caller polls; nothing here waits in its thread.

mod aggregate;
mod client;
mod config;
mod fetch;
mod limit;
mod memory;
mod position;
mod reader;
mod service;
mod subscribe;

pub use crate::record::Next;
pub use crate::runtime::Pending;
pub use aggregate::{Deaggregate, HashKeys};
pub use client::{Client, Shard, StreamDescription};
pub use config::Config;
pub use fetch::{Until, now_ms};
pub use memory::Memory;
pub use position::{Position, SequenceNumber};
pub use reader::{ReadOptions, Reader, Record, Records, ShardStart, ShardState};
