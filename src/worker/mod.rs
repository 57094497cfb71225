//! Auto refresh: views that follow their topic without being asked.
//!
//! ```text
//! launcher (one a cluster)      looks which databases need a worker, and starts it
//!   worker (one a database)     starts ingest workers (crew), keeps the journal, and does what they do
//!     ingest workers            each has a share of the views: clients and readers (feed), one transaction a batch and view (ingest)
//!   monitor                     writes what clients ran, tells of lag; only if a setting asks for it
//! ```
//!
//! Feeds share clients (clients) within one limit of memory (memory), and who is behind gets room to fetch ahead (room). Topics that appear become relations (sync).
//! Views of Kinesis have feeds of their own kind (shard_feed), driven by streams.
//!
//! A worker recovers from errors in the process: the transaction is aborted, the view waits a little longer each time, the others go on.

pub mod backlog;
pub mod batches;
pub mod clients;
pub mod crew;
pub mod database;
pub mod feed;
pub mod ingest;
pub mod journal;
pub mod launcher;
pub mod lookup;
pub mod memory;
pub mod monitor;
pub mod opening;
pub mod room;
pub mod shard_feed;
pub mod sources;
pub mod state;
pub mod streams;
pub mod sync;
pub mod topics;
pub mod trouble;
pub mod view;
