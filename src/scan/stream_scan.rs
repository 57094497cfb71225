//! The scan of a foreign table, whichever kind of stream it stands for.

use super::column::{Column, ColumnSet};
use super::shards::ShardScan;
use super::{Scan, job};
use crate::pg::relation::{self, Oid};
use crate::pg::tuple::RowWriter;
use crate::source::Stream;
use plan::bounds::{BoundColumn, Bounds};
use std::ffi::CStr;

/// A scan.
pub enum StreamScan {
    /// Of a topic.
    Topic(Scan),
    /// Of a stream of shards.
    Shards(ShardScan),
}

impl StreamScan {
    /// Prepares a scan as `user`; the source is asked when the first record is.
    pub fn begin(
        table: Oid,
        user: Oid,
        set: ColumnSet,
        columns: Vec<(usize, Column)>,
        limit: u64,
    ) -> StreamScan {
        match set {
            ColumnSet::Stream { .. } => {
                StreamScan::Shards(ShardScan::begin(table, user, columns, limit))
            }
            ColumnSet::Topic => StreamScan::Topic(Scan::begin(table, user, columns, limit)),
        }
    }

    /// Passes the records of the job that waits for a scan of `table`, if one does: its plan has needed no scan, so the definition takes none of
    /// them.
    pub fn pass_offered(table: Oid, user: Oid, of_shards: bool) {
        if job::is_offered() {
            let set = if of_shards {
                ColumnSet::Stream {
                    deaggregated: false,
                }
            } else {
                ColumnSet::Topic
            };
            StreamScan::begin(table, user, set, Vec::new(), 0).end();
        }
    }

    /// Has reading begun?
    pub fn is_open(&self) -> bool {
        match self {
            StreamScan::Topic(scan) => scan.is_open(),
            StreamScan::Shards(scan) => scan.is_open(),
        }
    }

    /// Begins to read.
    pub fn open(&mut self, bounds: Bounds) {
        match self {
            StreamScan::Topic(scan) => scan.open(bounds),
            StreamScan::Shards(scan) => scan.open(&bounds),
        }
    }

    /// Reads the same again, for a plan that needs the stream more than once.
    pub fn restart(&mut self) {
        match self {
            StreamScan::Topic(scan) => scan.restart(),
            StreamScan::Shards(scan) => scan.restart(),
        }
    }

    /// Writes the next record as a row; false at the end.
    #[inline]
    pub fn next(&mut self, row: &mut RowWriter) -> bool {
        match self {
            StreamScan::Topic(scan) => scan.next(row),
            StreamScan::Shards(scan) => scan.next(row),
        }
    }

    /// The row that `next` wrote did not pass the WHERE.
    pub fn filtered(&mut self) {
        match self {
            StreamScan::Topic(scan) => scan.filtered(),
            StreamScan::Shards(scan) => scan.filtered(),
        }
    }

    /// Ends the scan; a refresh's outcome is laid down for it.
    pub fn end(self) {
        match self {
            StreamScan::Topic(scan) => scan.end(),
            StreamScan::Shards(scan) => scan.end(),
        }
    }

    /// For EXPLAIN ANALYZE: what was read, and how long records were waited for.
    pub fn statistics(&self, timing: bool) -> Vec<(&'static CStr, String)> {
        match self {
            StreamScan::Topic(scan) => scan.statistics(timing),
            StreamScan::Shards(scan) => scan.statistics(timing),
        }
    }
}

/// For EXPLAIN: what the stream is called, its name, and what its parts are.
pub fn describe(table: Oid) -> (&'static CStr, String, BoundColumn) {
    match Stream::of_table(table, relation::current_user()) {
        Stream::Topic(_, topic) => (c"Topic", topic, BoundColumn::Partition),
        Stream::Kinesis(_, stream) => (c"Stream", stream, BoundColumn::Shard),
    }
}
