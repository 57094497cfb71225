//! Auto refresh: views that follow their topic without being asked.
//!
//! ```text
//! launcher (one a cluster)      looks which databases need a worker, and starts it
//!   worker (one a database)     starts ingest workers (crew), keeps the journal, and does what they do
//!     ingest workers            each has a share of the views: a lane a source, with clients and feeds; one transaction a batch and view (load)
//!   monitor                     writes what clients ran, tells of lag; only if a setting asks for it
//! ```
//!
//! README.md says how a view is loaded. Topics that appear become relations (sync).
//!
//! A worker recovers from errors in the process: the transaction is aborted, the view waits a little longer each time, the others go on.

pub mod assignment;
pub mod backlog;
pub mod crew;
pub mod database;
pub mod feed;
pub mod journal;
pub mod lane;
pub mod lanes;
pub mod launcher;
pub mod load;
pub mod lookup;
pub mod monitor;
pub mod opening;
pub mod sources;
pub mod state;
pub mod sync;
pub mod trouble;
pub mod view;
pub mod views;
