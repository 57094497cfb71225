//! The table that a streaming materialized view is.

use crate::pg::report::{Report, sqlstate};

/// A column that the definition fills.
pub fn column_is_mapped(view: &str, column: &str) -> Report {
    Report::new(
        sqlstate::DEPENDENT_OBJECTS_STILL_EXIST,
        format!("cannot drop column \"{column}\" of materialized view \"{view}\": its definition fills it"),
    )
    .hint("Drop the materialized view and create it without the column, or rename the column.")
}

/// A table that is empty after a crash, while the positions say that its records are loaded.
pub fn unlogged(view: &str, table: &str) -> Report {
    Report::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        format!("table {table} of materialized view \"{view}\" cannot be unlogged"),
    )
    .detail("After a crash it would be empty, and the positions would say that its records are loaded.")
    .hint("Keep it logged. For less waiting use synchronous_commit = off: rows and positions are in one transaction, so what a crash takes is loaded again. A table that is to be attached: ALTER TABLE .. SET LOGGED first.")
}

/// add_partition of a view that has no ranges.
pub fn no_range_partitions(view: &str) -> Report {
    Report::new(
        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("materialized view \"{view}\" is not partitioned by ranges of one column or expression"),
    )
    .hint("Views that are: WITH (partition_by = 'RANGE (..)'). For others: CREATE TABLE .. PARTITION OF .., before rows of the partition are in the default partition.")
}

/// Moving rows between partitions would fire it.
pub fn trigger_on_delete(view: &str, name: &str) -> Report {
    Report::new(
        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("rows of materialized view \"{view}\" cannot be moved out of its default partition: \"{name}\" acts on DELETE"),
    )
    .detail("The rows stay in the view, so neither a trigger on DELETE nor a foreign key of another table may act.")
    .hint("Disable the trigger or drop the foreign key meanwhile.")
}

/// A partition whose rows commit somewhere else.
pub fn foreign_partition(view: &str, table: &str) -> Report {
    Report::new(
        sqlstate::WARNING,
        format!("partition {table} of materialized view \"{view}\" is a foreign table"),
    )
    .detail("Its rows commit on another server, apart from the positions: a failure between the two can load records twice or lose them.")
    .hint("For rows that are not loaded any more it is of no matter.")
}

/// CREATE RULE .. ON INSERT.
pub fn insert_rule(view: &str) -> Report {
    Report::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        format!("materialized view \"{view}\" cannot have rules on INSERT or SELECT"),
    )
    .detail("A refresh inserts the rows of records whose positions it moves; a rule would put them elsewhere, or nowhere.")
    .hint("Use a trigger.")
}

/// A landing table that a rule made a view.
pub fn not_a_landing_table(view: &str) -> Report {
    Report::new(
        sqlstate::WRONG_OBJECT_TYPE,
        format!("materialized view \"{view}\" has no table any more, so it has no place for rows"),
    )
}

/// The landing table lost columns of the definition, or has none of them.
pub fn column_missing(view: &str, column: &str) -> Report {
    Report::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("materialized view \"{view}\" has no column \"{column}\" any more"))
        .detail("Its definition fills it; columns are matched by name.")
        .hint(format!(
            "If it was renamed: ALTER TABLE {view} RENAME COLUMN .. TO {}. If it was dropped: add it again with the type that it had, or drop the materialized view and create it anew.",
            pgrx::spi::quote_identifier(column)
        ))
}

/// A deferrable constraint on a landing table.
pub fn deferrable(view: &str, name: &str) -> Report {
    Report::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        format!("\"{name}\" on materialized view \"{view}\" cannot be deferrable"),
    )
    .detail("A refresh runs as the view's owner in a security-restricted operation, where PostgreSQL fires no deferred trigger.")
    .hint("Create it NOT DEFERRABLE.")
}
