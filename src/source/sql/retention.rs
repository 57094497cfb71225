//! What is older, or more, than a stream keeps.
//!
//! Rows of many records are removed whole, as segments of a topic are, by DELETE: who reads them by an older snapshot still does, and the room is used for
//! new ones. The earliest offsets move in the same transaction, so that nobody takes for the stream's beginning what is gone.

use super::number::{self, earliest_of};
use super::{Stream, append};
use crate::pg::chunk_table::{Access, ChunkTable, Latest, Row};
use crate::pg::{invalidation, relation, spi};
use pgrx::datum::Interval;
use pgrx::spi::quote_identifier;

/// What a stream keeps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Retention {
    /// Rows whose records are all older than this time (microseconds since 2000, UTC) go.
    pub older_than: Option<i64>,
    /// So many bytes of a partition stay.
    pub bytes: Option<i64>,
}

/// What is to be kept now: by these limits, or without both by the stream's own.
pub fn kept(stream: &Stream, older_than: Option<Interval>, bytes: Option<i64>) -> Retention {
    let kept = spi::as_extension_owner(|| {
        spi::first(
            "SELECT (extract(epoch FROM pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) k.age) * 1000000)::pg_catalog.int8 - 946684800000000 AS older_than, k.bytes
             FROM redshift.stream AS s, LATERAL (SELECT
                 CASE WHEN $2 IS NULL AND $3 IS NULL THEN s.retention ELSE $2 END AS age,
                 CASE WHEN $2 IS NULL AND $3 IS NULL THEN s.retention_bytes ELSE $3 END AS bytes) AS k
             WHERE s.stream_id OPERATOR(pg_catalog.=) $1",
            &[stream.id.into(), older_than.into(), bytes.into()],
            |row| Retention {
                older_than: row.get("older_than"),
                bytes: row.get("bytes"),
            },
        )
    });
    kept.unwrap_or_default()
}

/// Removes what the stream does not keep any more.
pub fn apply_own(stream: &Stream) {
    let keep = kept(stream, None, None);
    if keep.older_than.is_some() || keep.bytes.is_some() {
        apply(stream, keep);
    }
}

/// Removes what is not kept any more; how many offsets that were.
pub fn apply(stream: &Stream, keep: Retention) -> i64 {
    number::number(stream);
    let cuts: Vec<(i32, i64)> = (0..stream.partitions())
        .filter_map(|partition| Some((partition, cut(stream, partition, keep)?)))
        .collect();
    cuts.into_iter()
        .map(|(partition, offset)| remove_before(stream, partition, offset))
        .sum()
}

/// The first offset of a partition that is kept; `None` if all are.
fn cut(stream: &Stream, partition: i32, keep: Retention) -> Option<i64> {
    let table = ChunkTable::open(stream.table, Access::Read)?;
    let latest = Latest::take();
    let last = table.last(&latest, partition).0;
    let is_kept = |row: &Row| {
        let behind = last.map_or(0, |last| last.bytes - row.bytes) + row.length;
        let fits = keep.bytes.is_none_or(|most| behind <= most);
        fits && keep.older_than.is_none_or(|time| row.newest >= time)
    };
    let mut cursor = table.from(&latest, partition, 0);
    let mut end = None;
    while let Some(row) = cursor.next(None).filter(|row| row.base >= 0) {
        if is_kept(&row) {
            end = Some(row.base);
            break;
        }
        end = Some(row.end());
        crate::pg::wait::interruption();
    }
    cursor.end();
    latest.release();
    table.close();
    end.filter(|end| *end > earliest_of(&stream.earliest, partition))
}

/// Removes the records of a partition before an offset; how many offsets that were.
pub fn remove_before(stream: &Stream, partition: i32, offset: i64) -> i64 {
    let earliest = earliest_of(&stream.earliest, partition);
    append::begin_removal(stream.table);
    let table = quote_identifier(relation::name(stream.table).unwrap_or_default());
    spi::as_extension_owner(|| {
        spi::execute(
            "UPDATE redshift.stream SET earliest[$2 + 1] = GREATEST(earliest[$2 + 1], $3) WHERE stream_id OPERATOR(pg_catalog.=) $1",
            &[stream.id.into(), partition.into(), offset.into()],
        );
        spi::execute(
            &format!(
                "DELETE FROM redshift_stream.{table} AS r WHERE r.partition_id OPERATOR(pg_catalog.=) $1 AND r.base OPERATOR(pg_catalog.>=) 0
                 AND (r.base OPERATOR(pg_catalog.+) r.records) OPERATOR(pg_catalog.<=) $2 AND r.base OPERATOR(pg_catalog.<) $2"
            ),
            &[partition.into(), offset.into()],
        );
    });
    invalidation::tell(stream.table);
    (offset - earliest).max(0)
}
