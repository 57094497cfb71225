//! Redshift streaming ingestion for PostgreSQL: a Kafka topic lands in a table, each record once.
//!
//! A record's way, from left to right and top to bottom:
//!
//! ```text
//! Kafka topic
//!   source      crates/stream + source/       external schema, user mapping (access.rs) -> client
//!   scan        scan/ (+ entry/fdw/)          the foreign table: position -> fixed end; records -> tuple slots
//!   view        view/                         the definition: checked at creation, planned as the source of INSERT .. SELECT
//!   land        Postgres's own ModifyTable    constraints, triggers, partitions, row security    \
//!   checkpoint  source/plan.rs                where to resume, per partition                      > one transaction
//!   ledger      catalog/                      what was read, skipped, lost; sql/views reads it   /
//! ```
//!
//! [`refresh`] strings them together and is the first file to read. Postgres calls `entry` and is called by [`pg`]; scripts/rooms.py has the order in
//! which rooms may import each other.

#![deny(unsafe_code)]

pub mod access;
pub mod api;
pub mod aws;
pub mod catalog;
#[allow(unsafe_code)]
mod entry;
pub mod error;
#[allow(unsafe_code)]
pub mod pg;
pub mod refresh;
pub mod scan;
pub mod source;
pub mod types;
pub mod view;
pub mod worker;
