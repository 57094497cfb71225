//! The scan of a stream by a query.

use super::number;
use super::read::Reader;
use crate::error;
use crate::pg::relation::Oid;
use crate::pg::tuple::RowWriter;
use crate::pg::{time, wait};
use crate::scan::bounds::Bounds;
use crate::scan::column::{Column, RowFiller};
use std::ffi::CStr;
use stream::PartitionRange;

/// A scan.
pub struct Peek {
    table: Oid,
    filler: RowFiller,
    limit: u64,
    returned: u64,
    reader: Option<Reader>,
}

impl Peek {
    /// Prepares it.
    pub fn begin(table: Oid, columns: Vec<(usize, Column)>, limit: u64) -> Peek {
        Peek {
            table,
            filler: RowFiller::new(columns, time::statement_start_utc()),
            limit,
            returned: 0,
            reader: None,
        }
    }

    /// Has reading begun?
    pub fn is_open(&self) -> bool {
        self.reader.is_some()
    }

    /// Begins to read what there is now.
    pub fn open(&mut self, bounds: &Bounds) {
        let stream = super::stream_of(self.table);
        if stream.unreachable {
            error::stream_unreachable(&stream.name()).raise();
        }
        let ranges = number::bounds(&stream)
            .into_iter()
            .filter(|(partition, ..)| !bounds.is_never && bounds.has_partition(*partition))
            .map(|(partition, earliest, end)| PartitionRange {
                partition,
                start: earliest.max(bounds.offsets.0),
                end: end.min(bounds.offsets.1.saturating_add(1)),
            })
            .filter(|range| range.start < range.end)
            .collect();
        self.reader = Some(Reader::begin(stream, ranges));
    }

    /// Reads again.
    pub fn restart(&mut self) {
        self.returned = 0;
        if let Some(reader) = self.reader.take() {
            reader.end();
        }
    }

    /// Writes the next record as a row; false at the end.
    pub fn next(&mut self, row: &mut RowWriter) -> bool {
        if self.limit > 0 && self.returned >= self.limit {
            return false;
        }
        let Some(record) = self.reader.as_mut().and_then(Reader::next) else {
            return false;
        };
        self.filler.fill_sql_record(&record, row);
        self.returned += 1;
        wait::interruption();
        true
    }

    /// Ends it.
    pub fn end(self) {
        if let Some(reader) = self.reader {
            reader.end();
        }
    }

    /// For EXPLAIN ANALYZE.
    pub fn statistics(&self) -> Vec<(&'static CStr, String)> {
        let counts = self.reader.as_ref().map(Reader::counts);
        counts.map_or_else(Vec::new, |(records, bytes)| {
            vec![(c"Records", records.to_string()), (c"Bytes", bytes.to_string())]
        })
    }
}
