//! How a record fills a row: the columns are those of a topic.

use super::Record;
use crate::pg::tuple::RowWriter;
use crate::source::column::{Column, timestamp_type_letter};
use stream::sql::Entry;

/// Writes a record as a row.
#[inline]
pub fn fill(record: &Record, columns: &[(usize, Column)], refresh_time: i64, row: &mut RowWriter) {
    let entry = &record.entry;
    let length = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len);
    let bytes = columns.iter().map(|(_, column)| match column {
        Column::Key => length(entry.key),
        Column::Value => length(entry.value),
        Column::Headers => length(entry.headers),
        Column::TimestampType => 1,
        _ => 0,
    });
    row.begin(columns.len(), bytes.sum());
    for &(attribute, column) in columns {
        match (column, entry) {
            (Column::Partition, _) => row.set_i64(attribute, i64::from(record.partition)),
            (Column::Offset, _) => row.set_i64(attribute, record.offset),
            (Column::TimestampType, _) => {
                let letter = timestamp_type_letter(entry.time.map(|(kind, _)| kind));
                row.set_bytes(attribute, letter.as_bytes());
            }
            (
                Column::Timestamp,
                Entry {
                    time: Some((_, time)),
                    ..
                },
            ) => {
                row.set_i64(attribute, *time);
            }
            (Column::Key, Entry { key: Some(key), .. }) => row.set_bytes(attribute, key),
            (
                Column::Value,
                Entry {
                    value: Some(value), ..
                },
            ) => row.set_bytes(attribute, value),
            (
                Column::Headers,
                Entry {
                    headers: Some(image),
                    ..
                },
            ) => {
                row.set_varlena(attribute, image);
            }
            (Column::RefreshTime, _) => row.set_i64(attribute, refresh_time),
            _ => {}
        }
    }
}
