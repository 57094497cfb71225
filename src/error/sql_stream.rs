//! Streams that the database keeps, and relations that cannot be written.

use super::POSITION_PASSED;
use crate::pg::report::{Report, sqlstate};

/// A foreign table that cannot be written: what Postgres says of one.
pub fn foreign_table_is_read_only(name: &str, verb: &str) -> Report {
    Report::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        format!("cannot {verb} foreign table \"{name}\""),
    )
}

/// Anything but INSERT into a stream that the database keeps.
pub fn stream_only_grows(name: &str, qualified: &str, verb: &str) -> Report {
    Report::new(sqlstate::FEATURE_NOT_SUPPORTED, format!("cannot {verb} stream \"{name}\""))
        .detail("Records are added to a stream and never changed; what is old goes by the stream's retention.")
        .hint(format!(
            "CALL redshift.trim_stream('{0}', older_than => interval '1 day') removes old records, CALL redshift.drop_stream('{0}') all of it.",
            qualified.replace('\'', "''")
        ))
}

/// INSERT INTO a stream RETURNING.
pub fn insert_returning(name: &str) -> Report {
    Report::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        format!("INSERT INTO stream \"{name}\" has no RETURNING"),
    )
    .detail("A record gets its offset when its transaction has committed.")
    .hint("SELECT it from the stream by its key afterwards.")
}

/// No type of a timestamp.
pub fn timestamp_type(name: &str) -> Report {
    Report::new(
        sqlstate::INVALID_PARAMETER_VALUE,
        format!("invalid kafka_timestamp_type for stream \"{name}\""),
    )
    .hint("It is C (the time that the record was made), L (that of its arrival) or U (no time).")
}

/// A value for a column that the stream fills.
pub fn column_is_given(name: &str, column: &str) -> Report {
    Report::new(
        sqlstate::GENERATED_ALWAYS,
        format!("cannot insert a value into column \"{column}\" of stream \"{name}\""),
    )
    .hint("Leave it out: a record gets its offset when its transaction has committed.")
}

/// A time that no record has.
pub fn infinite_time(name: &str) -> Report {
    Report::new(
        sqlstate::DATETIME_FIELD_OVERFLOW,
        format!("a record of stream \"{name}\" cannot have an infinite time"),
    )
}

/// A partition that the stream does not have.
pub fn no_partition(name: &str, given: impl std::fmt::Display, partitions: i32) -> Report {
    Report::new(
        sqlstate::INVALID_PARAMETER_VALUE,
        format!("stream \"{name}\" has no partition {given}"),
    )
    .detail(format!("It has {partitions}, the first is 0."))
}

/// Fewer partitions than there are.
pub fn fewer_partitions(name: &str, partitions: i32) -> Report {
    Report::new(
        sqlstate::INVALID_PARAMETER_VALUE,
        format!("stream \"{name}\" has {partitions} partitions and cannot have fewer"),
    )
    .hint("Partitions that nobody writes to cost nothing; another stream may have fewer.")
}

/// A foreign table of an external schema over SQL that no stream was created for.
pub fn no_stream(name: &str) -> Report {
    Report::new(
        sqlstate::UNDEFINED_OBJECT,
        format!("foreign table \"{name}\" has no stream"),
    )
    .hint("CALL redshift.create_stream(..) creates a stream together with its relation.")
}

/// Something that is for streams kept by the database only.
pub fn not_a_sql_stream(name: &str) -> Report {
    Report::new(
        sqlstate::WRONG_OBJECT_TYPE,
        format!("\"{name}\" is no stream of an external schema over SQL"),
    )
}

/// Somebody else's stream.
pub fn not_owner_of_stream(name: &str) -> Report {
    Report::new(
        sqlstate::INSUFFICIENT_PRIVILEGE,
        format!("must be owner of stream {name}"),
    )
}

/// By `redshift.stream_fault`.
pub fn stream_unreachable(name: &str, qualified: &str) -> Report {
    Report::new(
        sqlstate::SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
        format!("stream \"{name}\": no answer"),
    )
    .detail("redshift.stream_fault has made it unreachable.")
    .hint(format!(
        "CALL redshift.stream_fault('{}', 'none');",
        qualified.replace('\'', "''")
    ))
}

/// Records that are none.
pub fn damaged_records(name: &str, partition: i32, offset: i64) -> Report {
    Report::new(
        sqlstate::DATA_CORRUPTED,
        format!(
            "stream \"{name}\", partition {partition}: the records at offset {offset} are damaged"
        ),
    )
}

/// The table of its records has lost the row that says what is numbered, or is gone itself.
pub fn damaged_stream(qualified: &str) -> Report {
    Report::new(
        sqlstate::DATA_CORRUPTED,
        format!("the records of stream {qualified} are damaged"),
    )
    .detail("The table of its records, in schema redshift_stream, was truncated or dropped.")
    .hint(format!(
        "Restore it from a backup, or CALL redshift.drop_stream('{0}') and create it anew.",
        qualified.replace('\'', "''")
    ))
}

/// Larger than what a scan may hold.
pub fn record_too_large(name: &str, partition: i32, offset: i64, bytes: i64) -> Report {
    Report::new(
        sqlstate::PROGRAM_LIMIT_EXCEEDED,
        format!("stream \"{name}\", partition {partition}: the record at offset {offset} is larger than half of redshift.memory_limit"),
    )
    .detail(format!("It has {bytes} bytes."))
    .hint("Raise redshift.memory_limit: a record may have half of it, and 16 MB in any case. Or pass it: CALL redshift.set_position(..).")
}

/// Offsets without records are written at once.
pub fn gap_in_savepoint(name: &str) -> Report {
    Report::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        format!("no gap can be made in stream \"{name}\" within a savepoint"),
    )
    .hint("Call redshift.stream_fault outside of savepoints and of blocks with EXCEPTION.")
}

/// What this transaction has added has no offsets yet.
pub fn stream_in_use(qualified: &str) -> Report {
    Report::new(
        sqlstate::OBJECT_IN_USE,
        format!("this transaction has added or removed records of stream {qualified}"),
    )
    .hint("Commit first.")
}

/// Another stream has the name.
pub fn stream_exists(relation: &str) -> Report {
    Report::new(
        sqlstate::DUPLICATE_OBJECT,
        format!("the external schema has a stream of this name already: {relation}"),
    )
    .hint("Choose another name for its option topic.")
}

/// Somebody drops it.
pub fn stream_is_locked(qualified: &str) -> Report {
    Report::new(
        sqlstate::LOCK_NOT_AVAILABLE,
        format!("stream {qualified} is locked by another transaction"),
    )
}

/// It was created anew, or dropped, while it was read.
pub fn stream_changed(name: &str) -> Report {
    Report::new(
        sqlstate::SERIALIZATION_FAILURE,
        format!("stream \"{name}\" was changed by another transaction"),
    )
    .hint("Try again.")
}

/// Retention was faster.
pub fn removed_while_read(name: &str, partition: i32, from: i64, until: i64) -> Report {
    Report::new(
        POSITION_PASSED,
        format!(
            "stream \"{name}\", partition {partition}: records {from} to {} are gone",
            until - 1
        ),
    )
    .detail("They were removed while they were about to be read.")
}
