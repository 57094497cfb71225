//! The scan of a foreign table, whichever source it stands for.

use super::Scan;
use crate::pg::relation::{self, Oid};
use crate::pg::tuple::RowWriter;
use crate::source::Source;
use crate::source::any::{ColumnSet, Kind, Named, Stream, each};
use crate::source::column::Column;
use crate::source::kafka::Kafka;
use crate::source::kinesis::Kinesis;
use crate::source::sql::Sql;
use plan::bounds::{BoundColumn, Bounds};
use std::ffi::CStr;

/// A scan.
pub enum StreamScan {
    /// Of a topic.
    Kafka(Scan<Kafka>),
    /// Of a stream of Kinesis.
    Kinesis(Scan<Kinesis>),
    /// Of a topic that the database keeps.
    Sql(Scan<Sql>),
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
        match set.kind {
            Kind::Kafka => StreamScan::Kafka(Scan::begin(table, user, columns, limit)),
            Kind::Kinesis => StreamScan::Kinesis(Scan::begin(table, user, columns, limit)),
            Kind::Sql => StreamScan::Sql(Scan::begin(table, user, columns, limit)),
        }
    }

    /// Has reading begun?
    pub fn is_open(&self) -> bool {
        each!(StreamScan, self, scan => scan.is_open())
    }

    /// Begins to read.
    pub fn open(&mut self, bounds: Bounds) {
        each!(StreamScan, self, scan => scan.open(bounds))
    }

    /// Reads the same again, for a plan that needs the stream more than once.
    pub fn restart(&mut self) {
        each!(StreamScan, self, scan => scan.restart())
    }

    /// Writes the next record as a row; false at the end.
    #[inline]
    pub fn next(&mut self, row: &mut RowWriter) -> bool {
        each!(StreamScan, self, scan => scan.next(row))
    }

    /// The row that `next` wrote did not pass the WHERE.
    pub fn filtered(&mut self) {
        each!(StreamScan, self, scan => scan.filtered())
    }

    /// Ends the scan; a refresh's outcome is laid down for it.
    pub fn end(self) {
        each!(StreamScan, self, scan => scan.end())
    }

    /// For EXPLAIN ANALYZE: what was read, and how long records were waited for.
    pub fn statistics(&self, timing: bool) -> Vec<(&'static CStr, String)> {
        each!(StreamScan, self, scan => scan.statistics(timing))
    }
}

/// For EXPLAIN: what the stream is called, its name, and what its parts are.
pub fn describe(table: Oid) -> (&'static CStr, String, BoundColumn) {
    fn words<S: Source>(it: Named<S>) -> (&'static CStr, String, BoundColumn) {
        (S::WORDS.explain.0, it.name, S::WORDS.bound)
    }
    each!(Stream, Stream::of_table(table, relation::current_user()), it => words(it))
}
