//! The columns of a topic and of a stream as a relation, and how a record fills them.
//!
//! Names, types and meanings are Redshift's: "Getting started with streaming ingestion from Apache Kafka sources", "from Amazon Kinesis Data Streams". Null keys, tombstones and
//! the shape of the headers are not documented there: NULL, and an object (see [`headers_json`]).

use crate::pg::tuple::RowWriter;
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

/// Name and type of each column, in the order of the documentation. `varbyte` and `super` stand in the extension's schema.
pub const COLUMNS: [(&str, &str, Column); 8] = [
    ("kafka_partition", "bigint", Column::Partition),
    ("kafka_offset", "bigint", Column::Offset),
    (
        "kafka_timestamp_type",
        "character(1)",
        Column::TimestampType,
    ),
    (
        "kafka_timestamp",
        "timestamp without time zone",
        Column::Timestamp,
    ),
    ("kafka_key", "varbyte", Column::Key),
    ("kafka_value", "varbyte", Column::Value),
    ("kafka_headers", "super", Column::Headers),
    (
        "refresh_time",
        "timestamp without time zone",
        Column::RefreshTime,
    ),
];

/// The same of a stream of Kinesis, with the name that the column had in Redshift's preview. The last one is there only where aggregated records are
/// taken apart.
pub const KINESIS_COLUMNS: [(&str, &str, &str, Column); 7] = [
    (
        "approximate_arrival_timestamp",
        "approximatearrivaltimestamp",
        "timestamp without time zone",
        Column::ArrivalTimestamp,
    ),
    (
        "partition_key",
        "partitionkey",
        "character varying(256)",
        Column::PartitionKey,
    ),
    ("shard_id", "shardid", "character(20)", Column::ShardId),
    (
        "sequence_number",
        "sequencenumber",
        "character varying(128)",
        Column::SequenceNumber,
    ),
    (
        "refresh_time",
        "refresh_time",
        "timestamp without time zone",
        Column::RefreshTime,
    ),
    ("kinesis_data", "data", "varbyte", Column::Data),
    (
        "sub_sequence_number",
        "subsequencenumber",
        "bigint",
        Column::SubSequenceNumber,
    ),
];

impl Column {
    /// The column of that name.
    pub fn of_name(name: &str) -> Option<Column> {
        let of_topic = COLUMNS.iter().find(|(column, ..)| *column == name);
        let of_stream = || {
            KINESIS_COLUMNS
                .iter()
                .find(|(column, preview, ..)| *column == name || *preview == name)
        };
        of_topic
            .map(|(.., column)| *column)
            .or_else(|| of_stream().map(|(.., column)| *column))
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
    headers: super_value::Parser,
}

impl RowFiller {
    /// Fills `columns`; `refresh_time` is a timestamp in UTC.
    pub fn new(columns: Vec<(usize, Column)>, refresh_time: i64) -> RowFiller {
        RowFiller {
            columns,
            refresh_time,
            headers: super_value::Parser::new(),
        }
    }

    /// Writes one record as a row.
    pub fn fill(&mut self, record: &Record, row: &mut RowWriter) {
        let key = record.key();
        let value = record.value();
        let headers = if self.columns.iter().any(|(_, c)| *c == Column::Headers) {
            headers_json(record)
        } else {
            None
        };
        let headers = headers.and_then(|json| self.headers.parse(json.as_bytes()).ok());
        let bytes = [key, value, headers]
            .iter()
            .flatten()
            .map(|bytes| bytes.len())
            .sum();
        row.begin(self.columns.len(), bytes);
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
    }

    /// Writes one record of a stream as a row.
    pub fn fill_shard_record(&mut self, record: &kinesis::Record, row: &mut RowWriter) {
        let (key, data) = (record.partition_key(), record.data());
        let number = record.sequence_number();
        let bytes = key.map_or(0, str::len) + data.len() + number.len() + SHARD_ID_LENGTH;
        row.begin(self.columns.len(), bytes);
        for &(attribute, column) in &self.columns {
            match column {
                Column::ArrivalTimestamp => {
                    if let Some(time) = record.arrival_ms().and_then(to_timestamp) {
                        row.set_i64(attribute, time);
                    }
                }
                Column::PartitionKey => {
                    if let Some(key) = key {
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
    }
}

/// The length of a shard's id, and of its column: a longer one does not exist.
const SHARD_ID_LENGTH: usize = 20;

/// A shard's id as the column's type has it.
fn padded(id: &str) -> [u8; SHARD_ID_LENGTH] {
    let mut padded = [b' '; SHARD_ID_LENGTH];
    for (place, byte) in padded.iter_mut().zip(id.bytes().filter(u8::is_ascii)) {
        *place = byte;
    }
    padded
}

/// The headers as a JSON object `{name: value}`; `None` without headers. A value is text if it is UTF-8 (without NUL, which no text can hold),
/// else lower-case hex, null if it is null; a name that comes more than once has an array of its values in their order. (A value by itself is never an array, so an array
/// always means "more than once".)
fn headers_json(record: &Record) -> Option<String> {
    use serde_json::{Map, Value};
    let mut object = Map::new();
    for (name, value) in record.headers() {
        let name = header_text(name);
        let value = value.map_or(Value::Null, |value| Value::String(header_text(value)));
        match object.get_mut(&name) {
            None => {
                object.insert(name, value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    (!object.is_empty()).then(|| Value::Object(object).to_string())
}

fn header_text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => text.to_owned(),
        _ => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}
