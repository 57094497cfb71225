//! Postgres, behind safe types: what we call. Imports nothing from other rooms; what Postgres calls is in `src/entry`.
//!
//! Rules that hold for all of it:
//! - Postgres is called on the main thread only; librdkafka's threads and ours never come here.
//! - Postgres raises errors by longjmp. It may cross no frame that has something to drop: see [`guard`].
//! - What Postgres allocates lives in its memory contexts; nothing of it is kept across a statement.
//! - What differs between the majors is in [`polyfill`].

pub mod analyze;
pub mod attribute;
pub mod background;
pub mod batch;
pub mod batch_table;
pub mod chunk_table;
pub mod current_record;
pub mod datetime;
pub mod datum;
pub mod definition_mark;
pub mod descriptors;
pub mod end_of_transaction;
pub mod error;
pub mod error_context;
pub mod execute;
pub mod extension;
pub mod failed_refresh;
pub mod foreign;
pub mod guard;
pub mod invalidation;
pub mod kept_plan;
mod landing;
pub mod memory;
mod multi_insert;
pub mod node;
pub mod noted_refresh;
pub mod nudge;
pub mod polyfill;
pub mod process;
pub mod progress;
pub mod query;
pub mod relation;
pub mod report;
mod row_fate;
pub mod search_path;
pub mod server_guard;
pub mod setting;
pub mod shared;
pub mod shared_memory;
pub mod spi;
pub mod statement_ring;
pub mod step_aside;
pub mod text;
pub mod time;
pub mod transaction;
pub mod transaction_watch;
pub mod tuple;
pub mod utility_call;
pub mod varlena;
pub mod wait;
mod worker_session;
