//! How a stream is: its ends, its newest records, what is at a time.

use super::{Reader, Stream, append, number, registry};
use crate::error;
use crate::pg::chunk_table::{self, Access, ChunkTable, Latest};
use crate::pg::relation::Oid;
use crate::pg::{report, wait};
use crate::source::kafka::Watermarks;
use crate::source::status::{Lag, LagQuestion, PartStatus};
use std::os::fd::RawFd;
use std::time::Instant;
use stream::PartitionRange;

/// Who only asks waits for nobody: a stream that is being dropped is told as one that does not answer.
pub fn require_now(stream: &Stream) {
    if !chunk_table::lock_now(stream.table) {
        error::stream_is_locked(&stream.qualified_name()).raise();
    }
}

/// Each partition of a stream, for `redshift.source_status`; or what is wrong with it.
pub fn status(server: Oid, name: &str) -> Vec<PartStatus> {
    let unknown = |report| vec![PartStatus::unknown(name, report)];
    let Some(stream) = registry::named(server, name) else {
        return unknown(error::no_stream(name));
    };
    if stream.unreachable {
        return unknown(error::stream_unreachable(name, &stream.qualified_name()));
    }
    if !chunk_table::lock_now(stream.table) {
        return unknown(error::stream_is_locked(&stream.qualified_name()));
    }
    let newest = |w: &Watermarks| {
        let table = ChunkTable::open(stream.table, Access::Read)?;
        let latest = Latest::take();
        let (last, _) = table.last(&latest, w.partition);
        latest.release();
        table.close();
        last.map(|row| row.newest).filter(|time| *time != i64::MIN)
    };
    let status = |w: &Watermarks| PartStatus {
        topic: name.to_owned(),
        partition_id: Some(i64::from(w.partition)),
        shard_id: None,
        low_watermark: Some(w.earliest),
        high_watermark: Some(w.latest),
        last_record_time: newest(w),
        error: None,
    };
    number::bounds(&stream).iter().map(status).collect()
}

/// The first offset of each partition whose record is not older than a time; its end if there is none.
pub fn offsets_at(stream: &Stream, watermarks: &[Watermarks], time: i64) -> Vec<(i32, i64)> {
    let at = |w: &Watermarks| {
        let range = PartitionRange {
            partition: w.partition,
            start: first_row(stream, w, time),
            end: w.latest,
        };
        let mut reader = Reader::begin(stream.clone(), vec![range]);
        while let Some(record) = reader.next_record() {
            if record.entry.time.is_some_and(|(_, of)| of >= time) {
                return (w.partition, record.offset);
            }
        }
        (w.partition, w.latest)
    };
    watermarks.iter().map(at).collect()
}

/// Where the first row begins that has such a record.
fn first_row(stream: &Stream, w: &Watermarks, time: i64) -> i64 {
    let Some(table) = ChunkTable::open(stream.table, Access::Read) else {
        return w.latest;
    };
    let latest = Latest::take();
    let mut cursor = table.from(&latest, w.partition, 0);
    let mut first = w.latest;
    while let Some(row) = cursor.next(None).filter(|row| row.base >= 0) {
        if row.newest >= time {
            first = row.base;
            break;
        }
        wait::interruption();
    }
    cursor.end();
    latest.release();
    table.close();
    first.clamp(w.earliest, w.latest)
}

/// Who refreshes after he has inserted shall not wonder.
pub fn tell_of_own(stream: &Stream) {
    if append::has_added(stream) {
        report::notice(format!(
            "records that this transaction has added to stream \"{}\" can be read when it has committed",
            stream.name()
        ));
    }
}

/// The ends of the partitions, as the answer to how far a view is behind.
pub struct Ends(pub Vec<Watermarks>);

impl LagQuestion for Ends {
    fn wake_fd(&self) -> RawFd {
        -1
    }

    fn clear_wake(&self) {}

    fn take_in(&mut self) -> Option<Instant> {
        None
    }

    fn rows(&self) -> Vec<Lag> {
        let row = |w: &Watermarks| Lag {
            partition: Some(w.partition.to_string()),
            high_watermark: Some(w.latest),
            seconds: None,
            error: None,
            source_up: Some(true),
        };
        self.0.iter().map(row).collect()
    }
}
