//! Errors that this room raises by itself, for want of memory, time or room; all others are in `src/error`.

use super::report::{Report, sqlstate};

/// No memory for what a record holds.
pub fn out_of_memory(bytes: usize) -> Report {
    Report::new(sqlstate::OUT_OF_MEMORY, "out of memory")
        .detail(format!("Failed on request of size {bytes}."))
}

/// The table of a stream's records has lost an index, or `pg_restore` has not built it yet.
pub fn no_index(table: &str) -> Report {
    Report::new(
        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("table redshift_stream.{table} has not the index that its stream is read by"),
    )
    .hint("Wait until pg_restore has built it; if somebody has dropped it, create it as those of other tables of this schema.")
}

/// A batch of auto refresh took too long.
pub fn batch_timed_out(limit: std::time::Duration) -> Report {
    Report::new(
        sqlstate::QUERY_CANCELED,
        format!("the batch was cancelled: it took longer than {} ms", limit.as_millis()),
    )
    .detail("redshift.batch_timeout, or the view's option batch_timeout, is the longest time of a batch. The next one is smaller.")
}

/// Batches of a view took no notice of a cancel, so their workers ended.
pub fn batch_outlasted(times: u32) -> Report {
    Report::new(
        sqlstate::QUERY_CANCELED,
        "the batch took no notice of its cancel, and its worker ended",
    )
    .detail(format!(
        "That has happened {times} times. What the definition or a trigger calls catches query_canceled."
    ))
}

/// More clients in one process than there is room for.
pub fn too_many_clients() -> Report {
    Report::new(
        sqlstate::INSUFFICIENT_RESOURCES,
        "too many clients of brokers are open in this session",
    )
    .detail("Each scan of a topic that has begun has one, with files that count against max_files_per_process.")
    .hint("Close cursors, read fewer topics in one statement, or raise max_files_per_process.")
}

/// Tables inherit from the relation of a stream.
pub fn stream_has_children(stream: &str, child: &str) -> Report {
    Report::new(
        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("{stream} cannot be loaded from: other tables inherit from it"),
    )
    .detail(format!(
        "Rows of {child} are none of the stream's, and each load would insert them again."
    ))
    .hint(format!(
        "ALTER TABLE {child} NO INHERIT {stream}; the owner of the external schema may drop it too."
    ))
}

/// redshift.query_history = 'all' without shared_preload_libraries.
pub fn no_monitor() -> Report {
    Report::new(
        sqlstate::WARNING,
        "redshift.query_history = 'all' has no effect yet: there is no background worker that writes statements down",
    )
    .detail("The library is not in shared_preload_libraries.")
    .hint("ALTER SYSTEM SET shared_preload_libraries = 'redshift_streaming'; and restart.")
}
