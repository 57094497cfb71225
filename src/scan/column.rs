//! The columns of a topic and of a stream as a relation, and how a record fills them.
//!
//! Names, types and meanings are Redshift's: "Getting started with streaming ingestion from Apache Kafka sources", "from Amazon Kinesis Data Streams". Null keys, tombstones and
//! the shape of the headers are not documented there: NULL, and an object (see [`super::headers`]).

use super::headers::Headers;
use super::job::SkipReason;
pub use crate::pg::attribute::ColumnType;
use crate::pg::tuple::RowWriter;
use plan::bounds::BoundColumn;
use std::borrow::Cow;
use stream::{Record, TimestampType, kinesis};

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

/// Name and type of each column of a topic, in the order of the documentation. Every value that a scan gives is one of its column's type:
/// [`super::shape`] compares a relation with this list before the first one is made.
pub const COLUMNS: [(&str, ColumnType, Column); 8] = [
    ("kafka_partition", ColumnType::Bigint, Column::Partition),
    ("kafka_offset", ColumnType::Bigint, Column::Offset),
    (
        "kafka_timestamp_type",
        ColumnType::Character(1),
        Column::TimestampType,
    ),
    ("kafka_timestamp", ColumnType::Timestamp, Column::Timestamp),
    ("kafka_key", ColumnType::Varbyte, Column::Key),
    ("kafka_value", ColumnType::Varbyte, Column::Value),
    ("kafka_headers", ColumnType::Super, Column::Headers),
    ("refresh_time", ColumnType::Timestamp, Column::RefreshTime),
];

/// The same of a stream of Kinesis, with the name that the column had in Redshift's preview. The last one is there only where aggregated records are
/// taken apart.
pub const KINESIS_COLUMNS: [(&str, &str, ColumnType, Column); 7] = [
    (
        "approximate_arrival_timestamp",
        "approximatearrivaltimestamp",
        ColumnType::Timestamp,
        Column::ArrivalTimestamp,
    ),
    (
        "partition_key",
        "partitionkey",
        ColumnType::Varchar(PARTITION_KEY_LENGTH as u16),
        Column::PartitionKey,
    ),
    (
        "shard_id",
        "shardid",
        ColumnType::Character(SHARD_ID_LENGTH as u16),
        Column::ShardId,
    ),
    (
        "sequence_number",
        "sequencenumber",
        ColumnType::Varchar(SEQUENCE_NUMBER_LENGTH as u16),
        Column::SequenceNumber,
    ),
    (
        "refresh_time",
        "refresh_time",
        ColumnType::Timestamp,
        Column::RefreshTime,
    ),
    ("kinesis_data", "data", ColumnType::Varbyte, Column::Data),
    (
        "sub_sequence_number",
        "subsequencenumber",
        ColumnType::Bigint,
        Column::SubSequenceNumber,
    ),
];

/// Which columns a relation may have: those of its server's service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ColumnSet {
    /// A topic's.
    Topic,
    /// A stream's.
    Stream {
        /// Aggregated records are taken apart.
        deaggregated: bool,
    },
}

impl ColumnSet {
    /// The column of that name, and its type.
    pub fn find(self, name: &str) -> Option<(ColumnType, Column)> {
        match self {
            ColumnSet::Topic => COLUMNS
                .iter()
                .find(|(column, ..)| *column == name)
                .map(|(_, kind, column)| (*kind, *column)),
            ColumnSet::Stream { deaggregated } => KINESIS_COLUMNS
                .iter()
                .find(|(column, preview, ..)| *column == name || *preview == name)
                .map(|(.., kind, column)| (*kind, *column))
                .filter(|(_, column)| deaggregated || *column != Column::SubSequenceNumber),
        }
    }

    /// The names, for a message.
    pub fn names(self) -> Vec<&'static str> {
        match self {
            ColumnSet::Topic => COLUMNS.iter().map(|(name, ..)| *name).collect(),
            ColumnSet::Stream { deaggregated } => KINESIS_COLUMNS
                .iter()
                .filter(|(.., column)| deaggregated || *column != Column::SubSequenceNumber)
                .map(|(name, ..)| *name)
                .collect(),
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

/// Fills rows from records.
pub struct RowFiller {
    /// Attribute number (from 0) and column of what is read.
    columns: Vec<(usize, Column)>,
    refresh_time: i64,
    headers: Headers,
}

impl RowFiller {
    /// Fills `columns`; `refresh_time` is a timestamp in UTC.
    pub fn new(columns: Vec<(usize, Column)>, refresh_time: i64) -> RowFiller {
        RowFiller {
            columns,
            refresh_time,
            headers: Headers::default(),
        }
    }

    /// Writes one record as a row, unless it does not fit.
    pub fn fill(&mut self, record: &Record, row: &mut RowWriter) -> Result<(), SkipReason> {
        let key = record.key();
        let value = record.value();
        let headers = if self.columns.iter().any(|(_, c)| *c == Column::Headers) {
            self.headers.image(record)?
        } else {
            None
        };
        let bytes = self.columns.iter().map(|(_, column)| match column {
            Column::Key => key.map_or(0, <[u8]>::len),
            Column::Value => value.map_or(0, <[u8]>::len),
            Column::Headers => headers.map_or(0, <[u8]>::len),
            Column::TimestampType => 1,
            _ => 0,
        });
        row.begin(self.columns.len(), bytes.sum());
        for &(attribute, column) in &self.columns {
            match column {
                Column::Partition => row.set_i64(attribute, i64::from(record.partition())),
                Column::Offset => row.set_i64(attribute, record.offset()),
                Column::TimestampType => {
                    let letter = timestamp_type_letter(record.timestamp().map(|(kind, _)| kind));
                    row.set_bytes(attribute, letter.as_bytes());
                }
                Column::Timestamp => {
                    if let Some(time) = record.timestamp().and_then(|(_, ms)| to_timestamp(ms)) {
                        row.set_i64(attribute, time);
                    }
                }
                Column::Key => {
                    if let Some(key) = key {
                        row.set_bytes(attribute, key);
                    }
                }
                Column::Value => {
                    if let Some(value) = value {
                        row.set_bytes(attribute, value);
                    }
                }
                Column::Headers => {
                    if let Some(image) = headers {
                        row.set_varlena(attribute, image);
                    }
                }
                Column::RefreshTime => row.set_i64(attribute, self.refresh_time),
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes one record of a stream as a row. Its shard's id and its numbers are such as [`is_shard_id`] and [`is_sequence_number`] take; its key
    /// must fit its column.
    pub fn fill_shard_record(
        &mut self,
        record: &kinesis::Record,
        row: &mut RowWriter,
    ) -> Result<(), SkipReason> {
        let (data, number) = (record.data(), record.sequence_number());
        let key = match record.partition_key() {
            Some(key) => Some(partition_key_text(key)?),
            None => None,
        };
        let key_bytes = key.as_ref().map_or(0, |key| key.len());
        let bytes = self.columns.iter().map(|(_, column)| match column {
            Column::PartitionKey => key_bytes,
            Column::ShardId => SHARD_ID_LENGTH,
            Column::SequenceNumber => number.len(),
            Column::Data => data.len(),
            _ => 0,
        });
        row.begin(self.columns.len(), bytes.sum());
        for &(attribute, column) in &self.columns {
            match column {
                Column::ArrivalTimestamp => {
                    if let Some(time) = record.arrival_ms().and_then(to_timestamp) {
                        row.set_i64(attribute, time);
                    }
                }
                Column::PartitionKey => {
                    if let Some(key) = &key {
                        row.set_bytes(attribute, key.as_bytes());
                    }
                }
                Column::ShardId => row.set_bytes(attribute, &padded(record.shard_id())),
                Column::SequenceNumber => row.set_bytes(attribute, number.as_bytes()),
                Column::Data => row.set_bytes(attribute, data),
                Column::SubSequenceNumber => {
                    let number = record.sub_sequence_number().unwrap_or(0);
                    row.set_i64(attribute, i64::from(number));
                }
                Column::RefreshTime => row.set_i64(attribute, self.refresh_time),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The length of a shard's id, and of its column: a longer one does not exist.
const SHARD_ID_LENGTH: usize = 20;
/// The longest partition key, in characters, as the service has it ("PutRecord").
const PARTITION_KEY_LENGTH: usize = 256;
/// The longest sequence number, by the documentation of its column.
const SEQUENCE_NUMBER_LENGTH: usize = 128;

/// Can this be a shard's id? The characters are the service's ("Shard"), the length is the column's. Any other is no text that a service of Kinesis
/// writes, and may hold what no text of Postgres's can.
pub fn is_shard_id(id: &str) -> bool {
    (1..=SHARD_ID_LENGTH).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// Can this be the sequence number of a record?
pub fn is_sequence_number(number: &str) -> bool {
    (1..=SEQUENCE_NUMBER_LENGTH).contains(&number.len())
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// A shard's id as the column's type has it.
fn padded(id: &str) -> [u8; SHARD_ID_LENGTH] {
    let mut padded = [b' '; SHARD_ID_LENGTH];
    for (place, byte) in padded.iter_mut().zip(id.bytes()) {
        *place = byte;
    }
    padded
}

/// A partition key as text of Postgres's: U+0000, which the service takes and no text can hold, becomes U+FFFD. Too long a key, which the service
/// does not take, cannot be in the column.
fn partition_key_text(key: &str) -> Result<Cow<'_, str>, SkipReason> {
    if key.len() > PARTITION_KEY_LENGTH && key.chars().count() > PARTITION_KEY_LENGTH {
        return Err(SkipReason::TooLarge {
            part: "partition key",
            bytes: key.len() as u64,
            limit: PARTITION_KEY_LENGTH as u64,
        });
    }
    Ok(if key.contains('\0') {
        Cow::Owned(key.replace('\0', "\u{FFFD}"))
    } else {
        Cow::Borrowed(key)
    })
}
