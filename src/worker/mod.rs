//! Auto refresh: views that follow their topic without being asked.
//!
//! ```text
//! launcher (one a cluster)      looks which databases need a worker, and starts it
//!   worker (one a database)     starts ingest workers (crew), keeps the journal, and does what they do
//!     ingest workers            each has a share of the views: clients and readers (feed), one transaction a batch and view (ingest)
//! ```
//!
//! A worker recovers from errors in the process: the transaction is aborted, the view waits a little longer each time, the others go on.

pub mod crew;
pub mod database;
pub mod feed;
pub mod ingest;
pub mod journal;
pub mod launcher;
pub mod share;
pub mod state;
pub mod view;
