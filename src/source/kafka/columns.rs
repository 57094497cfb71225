//! The columns of a topic as a relation, and how a record fills them.

use super::headers::Headers;
use crate::pg::tuple::RowWriter;
use crate::source::column::{Column, ColumnType, Spec, timestamp_type_letter, to_timestamp};
use crate::source::outcome::SkipReason;
use stream::Record;

/// Name and type of each column of a topic, in the order of the documentation.
pub const COLUMNS: [Spec; 8] = [
    Spec::new("kafka_partition", ColumnType::Bigint, Column::Partition),
    Spec::new("kafka_offset", ColumnType::Bigint, Column::Offset),
    Spec::new(
        "kafka_timestamp_type",
        ColumnType::Character(1),
        Column::TimestampType,
    ),
    Spec::new("kafka_timestamp", ColumnType::Timestamp, Column::Timestamp),
    Spec::new("kafka_key", ColumnType::Varbyte, Column::Key),
    Spec::new("kafka_value", ColumnType::Varbyte, Column::Value),
    Spec::new("kafka_headers", ColumnType::Super, Column::Headers),
    Spec::new("refresh_time", ColumnType::Timestamp, Column::RefreshTime),
];

/// Writes a record as a row, unless it does not fit.
#[inline]
pub fn fill(
    record: &Record,
    columns: &[(usize, Column)],
    refresh_time: i64,
    headers_of: &mut Headers,
    row: &mut RowWriter,
) -> Result<(), SkipReason> {
    let key = record.key();
    let value = record.value();
    let headers = if columns.iter().any(|(_, c)| *c == Column::Headers) {
        headers_of.image(record)?
    } else {
        None
    };
    let bytes = columns.iter().map(|(_, column)| match column {
        Column::Key => key.map_or(0, <[u8]>::len),
        Column::Value => value.map_or(0, <[u8]>::len),
        Column::Headers => headers.map_or(0, <[u8]>::len),
        Column::TimestampType => 1,
        _ => 0,
    });
    row.begin(columns.len(), bytes.sum());
    for &(attribute, column) in columns {
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
            Column::RefreshTime => row.set_i64(attribute, refresh_time),
            _ => {}
        }
    }
    Ok(())
}
