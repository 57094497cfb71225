//! The columns of a topic and of a stream as a relation: their names and types are in each source's folder.
//!
//! Names, types and meanings are Redshift's: "Getting started with streaming ingestion from Apache Kafka sources", "from Amazon Kinesis Data Streams". Null keys, tombstones and
//! the shape of the headers are not documented there: NULL, and an object (see [`super::kafka`]).

pub use crate::pg::attribute::ColumnType;
use plan::bounds::BoundColumn;
use stream::TimestampType;

/// A column of the stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// `kafka_partition bigint`
    Partition,
    /// `kafka_offset bigint`
    Offset,
    /// `kafka_timestamp_type char(1)`: C, L or U
    TimestampType,
    /// `kafka_timestamp timestamp`, UTC
    Timestamp,
    /// `kafka_key varbyte`
    Key,
    /// `kafka_value varbyte`
    Value,
    /// `kafka_headers super`
    Headers,
    /// `approximate_arrival_timestamp timestamp`, UTC
    ArrivalTimestamp,
    /// `partition_key varchar(256)`
    PartitionKey,
    /// `shard_id char(20)`
    ShardId,
    /// `sequence_number varchar(128)`
    SequenceNumber,
    /// `kinesis_data varbyte`
    Data,
    /// `sub_sequence_number bigint`: the place among the user records of an aggregated record; ours, 0 for any other record, as in KCL
    SubSequenceNumber,
    /// `refresh_time timestamp`, UTC: when the refresh (or the query) began
    RefreshTime,
}

impl Column {
    /// The same column as a bound, if it can be one.
    pub fn bound(self) -> Option<BoundColumn> {
        match self {
            Column::Partition => Some(BoundColumn::Partition),
            Column::Offset => Some(BoundColumn::Offset),
            Column::Timestamp | Column::ArrivalTimestamp => Some(BoundColumn::Timestamp),
            Column::ShardId => Some(BoundColumn::Shard),
            _ => None,
        }
    }
}

/// A column of a source's relations. Every value that a scan gives is one of its column's type: `scan::shape` compares a relation with these before
/// the first one is made.
pub struct Spec {
    /// Its name.
    pub name: &'static str,
    /// Its name in Redshift's preview; both are taken.
    pub preview: &'static str,
    /// Its type.
    pub kind: ColumnType,
    /// What it is.
    pub column: Column,
}

impl Spec {
    /// A column.
    pub const fn new(name: &'static str, kind: ColumnType, column: Column) -> Spec {
        Spec::renamed(name, name, kind, column)
    }

    /// A column that had another name once.
    pub const fn renamed(
        name: &'static str,
        preview: &'static str,
        kind: ColumnType,
        column: Column,
    ) -> Spec {
        Spec {
            name,
            preview,
            kind,
            column,
        }
    }
}

/// Microseconds between 1970 and 2000, the epochs of Kafka and Postgres.
const EPOCH_DIFFERENCE_US: i64 = 946_684_800_000_000;
/// Postgres's timestamps end in the year 294276 (timestamp.h, END_TIMESTAMP).
const LAST_TIMESTAMP_US: i64 = 9_223_371_331_200_000_000 - 1;
/// Postgres's timestamps begin in 4713 BC (timestamp.h, MIN_TIMESTAMP).
const FIRST_TIMESTAMP_US: i64 = -211_813_488_000_000_000;

/// A record's time as a Postgres timestamp in UTC; `None` if no timestamp can hold it.
pub fn to_timestamp(milliseconds: i64) -> Option<i64> {
    let microseconds = milliseconds
        .checked_mul(1000)?
        .checked_sub(EPOCH_DIFFERENCE_US)?;
    (FIRST_TIMESTAMP_US..=LAST_TIMESTAMP_US)
        .contains(&microseconds)
        .then_some(microseconds)
}

/// A Postgres timestamp in UTC as milliseconds since 1970, rounded down.
pub fn to_milliseconds(timestamp: i64) -> i64 {
    timestamp
        .saturating_add(EPOCH_DIFFERENCE_US)
        .div_euclid(1000)
}

/// The letter of a record's timestamp type.
pub fn timestamp_type_letter(kind: Option<TimestampType>) -> &'static str {
    match kind {
        Some(TimestampType::Create) => "C",
        Some(TimestampType::LogAppend) => "L",
        None => "U",
    }
}
