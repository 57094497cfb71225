//! Postgres, behind safe types: the only place of `unsafe` and `pg_sys`.
//!
//! Rules that hold for all of it:
//! - Postgres is called on the main thread only; librdkafka's threads and ours never come here.
//! - Postgres raises errors by longjmp. It may cross no frame that has something to drop: see [`guard`].
//! - What Postgres allocates lives in its memory contexts; nothing of it is kept across a statement.
//! - What differs between the majors is in [`polyfill`].

pub mod analyze;
pub mod background;
pub mod batch;
pub mod batch_table;
mod database_command;
pub mod datetime;
pub mod datum;
mod definition_guard;
pub mod descriptors;
pub mod end_of_transaction;
pub mod error_context;
pub mod execute;
pub mod extension;
mod failed_refresh;
mod fdw;
pub mod foreign;
mod functions;
pub mod guard;
mod hints;
mod init;
pub mod invalidation;
pub mod kept_plan;
mod landing;
mod memory;
mod multi_insert;
pub mod node;
mod polyfill;
pub mod progress;
pub mod query;
pub mod query_history;
pub mod relation;
pub mod report;
mod row_fate;
pub mod search_path;
pub mod server_guard;
pub mod session_setting;
pub mod setting_value;
pub mod shared;
mod shared_memory;
pub mod spi;
pub mod statement_clock;
pub mod statement_history;
pub mod statement_ring;
mod step_aside;
mod stop_batch;
pub mod stream_shape;
pub mod subscript;
pub mod time;
pub mod tuple;
mod utility;
mod utility_call;
mod utility_family;
pub mod varlena;
pub mod wait;
mod worker_session;
