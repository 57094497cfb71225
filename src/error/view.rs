//! Streaming materialized views: definition, refresh, auto refresh.

use super::RESTORED;
use crate::pg::report::{Report, sqlstate};
use crate::pg::shared::Obstacle;

/// Somebody reads the hidden view of a materialized view.
pub fn definition_is_not_read(view: &str, table: &str) -> Report {
    Report::new(sqlstate::INSUFFICIENT_PRIVILEGE, format!("permission denied for view {view}"))
        .detail(format!("It is the definition of materialized view {table}: only a refresh reads it."))
        .hint(format!("Read the materialized view. SELECT redshift.definition('{table}') shows the definition's text."))
}

/// Somebody drops or changes the hidden view of a materialized view.
pub fn definition_is_not_changed(view: &str, table: &str) -> Report {
    Report::new(sqlstate::DEPENDENT_OBJECTS_STILL_EXIST, format!("view {view} cannot be changed or dropped by itself"))
        .detail(format!("It is the definition of materialized view {table}."))
        .hint(format!("DROP MATERIALIZED VIEW {table} takes it along, and it follows ALTER MATERIALIZED VIEW. For another definition, create another materialized view."))
}

/// The view is a copy: of a backup, or of another database.
pub fn restored(view: &str) -> Report {
    Report::new(RESTORED, format!("materialized view \"{view}\" was restored and is paused"))
        .detail("It came from a backup or a copy of another database. Loading goes on only when you say so, since the original may still load.")
        .hint(format!("CALL redshift.adopt('{view}') lets this copy load from where the original stood."))
}

/// The hidden definition is gone.
pub fn definition_gone(view: &str, external_schema: &str, stream: &str) -> Report {
    Report::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("materialized view \"{view}\" has lost its definition"))
        .detail(format!("Its definition over {external_schema}.\"{stream}\" was dropped, probably with the external schema. The rows are all here, in an ordinary table."))
        .hint(format!("To load again, create the external schema and a new materialized view; CALL redshift.set_position makes it go on where this one stood. DROP MATERIALIZED VIEW {view} removes the rows."))
}

/// Another user's view.
pub fn not_owner(view: &str) -> Report {
    Report::new(
        sqlstate::INSUFFICIENT_PRIVILEGE,
        format!("must be owner of materialized view {view}"),
    )
}

/// Not one of ours.
pub fn not_a_streaming_view(name: &str) -> Report {
    Report::new(
        sqlstate::WRONG_OBJECT_TYPE,
        format!("\"{name}\" is not a streaming materialized view"),
    )
}

/// REFRESH inside a REFRESH, of the same view or of another.
pub fn refresh_running(view: &str, running: &str) -> Report {
    Report::new(
        sqlstate::OBJECT_IN_USE,
        format!("materialized view \"{view}\" cannot be refreshed inside the refresh of \"{running}\""),
    )
    .hint("A trigger or function that a refresh runs cannot refresh a materialized view over a stream. Refresh the views one after the other.")
}

/// AS SELECT FROM topic.
pub fn no_columns() -> Report {
    Report::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        "a streaming materialized view must have a column",
    )
    .hint("SELECT kafka_partition, kafka_offset, .. (of a stream: shard_id, sequence_number, ..).")
}

/// A view is to be changed by what its own batch or refresh runs.
pub fn changes_itself(view: &str) -> Report {
    Report::new(
        sqlstate::OBJECT_IN_USE,
        format!("materialized view \"{view}\" is being loaded by this transaction"),
    )
    .hint("A trigger or function that runs while a view is loaded cannot move, pause, adopt or alter that view.")
}

/// A position is to be moved while a refresh holds it.
pub fn refreshing(view: &str) -> Report {
    Report::new(
        sqlstate::OBJECT_IN_USE,
        format!("materialized view \"{view}\" is being refreshed by another session"),
    )
    .hint("Its position can be moved when that transaction has ended.")
}

/// REFRESH .. WITH NO DATA.
pub fn refresh_without_data(view: &str) -> Report {
    Report::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        format!("materialized view \"{view}\" over a stream cannot be refreshed WITH NO DATA"),
    )
    .hint(format!(
        "TRUNCATE {view} removes its rows; the next refresh goes on with the records after them."
    ))
}

/// A definition that cannot be maintained record by record.
pub fn not_incremental(what: &str, hint: &str) -> Report {
    Report::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        format!("a streaming materialized view cannot have {what}"),
    )
    .detail("Each record is loaded once, when it arrives; earlier records are not read again.")
    .hint(hint)
}

/// CREATE MATERIALIZED VIEW pg_temp.x.
pub fn temporary_view() -> Report {
    Report::new(sqlstate::FEATURE_NOT_SUPPORTED, "a streaming materialized view cannot be temporary")
        .detail("Its definition runs in a security-restricted operation, where temporary tables cannot be written.")
}

/// auto_refresh without shared_preload_libraries.
pub fn no_workers() -> Report {
    Report::new(
        sqlstate::WARNING,
        "auto_refresh has no effect yet: there are no background workers",
    )
    .detail("The library is not in shared_preload_libraries.")
    .hint("ALTER SYSTEM SET shared_preload_libraries = 'redshift_streaming'; and restart.")
}

/// pause or resume of a view that no worker loads.
pub fn not_under_auto_refresh(view: &str) -> Report {
    Report::new(
        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("materialized view \"{view}\" is not under auto refresh"),
    )
    .hint("ALTER MATERIALIZED VIEW .. SET (auto_refresh = on) turns it on.")
}

/// EXPLAIN CREATE MATERIALIZED VIEW.
pub fn explain_create() -> Report {
    Report::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        "EXPLAIN of CREATE MATERIALIZED VIEW over a stream is not supported",
    )
    .hint("EXPLAIN the SELECT of its definition.")
}

/// A native materialized view was about to read a stream.
pub fn native_materialized_view(table: &str) -> Report {
    Report::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("{table} cannot be read by a native materialized view"))
        .detail("PostgreSQL would read the whole topic again at every refresh.")
        .hint("Preload the library: shared_preload_libraries = 'redshift_streaming' (restart), or session_preload_libraries = 'redshift_streaming' (new sessions). A stream is read by one streaming materialized view directly, not through a view.")
}

/// CREATE EXTENSION without preloading.
pub fn not_preloaded() -> Report {
    Report::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, "redshift_streaming must be preloaded")
        .detail("Without it PostgreSQL would take CREATE and REFRESH MATERIALIZED VIEW over a stream for its own and read the topic again each time.")
        .hint("ALTER SYSTEM SET shared_preload_libraries = 'redshift_streaming'; and restart. Where that cannot be: ALTER DATABASE .. SET session_preload_libraries = 'redshift_streaming'; and reconnect.")
}

/// Why no worker loads, in words; for `last_error` of redshift.worker_status.
pub fn obstacle(obstacle: &Obstacle) -> String {
    match obstacle {
        Obstacle::NotPreloaded => "the library is not in shared_preload_libraries".to_owned(),
        Obstacle::TooManyDatabases(most) => {
            format!("{most} other databases have auto refresh; raise redshift.max_databases")
        }
        Obstacle::NoFreeProcess => {
            "no background worker is free; raise max_worker_processes".to_owned()
        }
    }
}

/// A relation that does not exist.
pub fn undefined_relation(name: &str) -> Report {
    Report::new(
        sqlstate::UNDEFINED_TABLE,
        format!("relation \"{name}\" does not exist"),
    )
}
