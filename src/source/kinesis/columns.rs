//! The columns of a stream as a relation, and how a record fills them.

use crate::pg::tuple::RowWriter;
use crate::source::column::{Column, ColumnType, Spec, to_timestamp};
use crate::source::outcome::SkipReason;
use std::borrow::Cow;
use stream::kinesis::Record;

/// Name and type of each column of a stream, with the name that it had in Redshift's preview. The last one is there only where aggregated records are
/// taken apart.
pub const COLUMNS: [Spec; 7] = [
    Spec::renamed(
        "approximate_arrival_timestamp",
        "approximatearrivaltimestamp",
        ColumnType::Timestamp,
        Column::ArrivalTimestamp,
    ),
    Spec::renamed(
        "partition_key",
        "partitionkey",
        ColumnType::Varchar(PARTITION_KEY_LENGTH as u16),
        Column::PartitionKey,
    ),
    Spec::renamed(
        "shard_id",
        "shardid",
        ColumnType::Character(SHARD_ID_LENGTH as u16),
        Column::ShardId,
    ),
    Spec::renamed(
        "sequence_number",
        "sequencenumber",
        ColumnType::Varchar(SEQUENCE_NUMBER_LENGTH as u16),
        Column::SequenceNumber,
    ),
    Spec::renamed(
        "refresh_time",
        "refresh_time",
        ColumnType::Timestamp,
        Column::RefreshTime,
    ),
    Spec::renamed("kinesis_data", "data", ColumnType::Varbyte, Column::Data),
    Spec::renamed(
        "sub_sequence_number",
        "subsequencenumber",
        ColumnType::Bigint,
        Column::SubSequenceNumber,
    ),
];

/// Writes a record as a row. Its shard's id and its numbers are such as [`is_shard_id`] and [`is_sequence_number`] take; its key must fit its column.
#[inline]
pub fn fill(
    record: &Record,
    columns: &[(usize, Column)],
    refresh_time: i64,
    row: &mut RowWriter,
) -> Result<(), SkipReason> {
    let (data, number) = (record.data(), record.sequence_number());
    let key = match record.partition_key() {
        Some(key) => Some(partition_key_text(key)?),
        None => None,
    };
    let key_bytes = key.as_ref().map_or(0, |key| key.len());
    let bytes = columns.iter().map(|(_, column)| match column {
        Column::PartitionKey => key_bytes,
        Column::ShardId => SHARD_ID_LENGTH,
        Column::SequenceNumber => number.len(),
        Column::Data => data.len(),
        _ => 0,
    });
    row.begin(columns.len(), bytes.sum());
    for &(attribute, column) in columns {
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
            Column::RefreshTime => row.set_i64(attribute, refresh_time),
            _ => {}
        }
    }
    Ok(())
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
