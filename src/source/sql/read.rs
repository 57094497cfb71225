//! Reading records: ranges of offsets, the partitions in turns.

use super::number::earliest_of;
use super::{Sql, Stream, registry};
use crate::error;
use crate::pg::chunk_table::{self, Access, ChunkTable, Cursor, Latest, Row, UNNUMBERED};
use crate::pg::setting;
use crate::source::{self, column::to_milliseconds};
use stream::PartitionRange;
use stream::sql::{Entries, Entry};

/// So many partitions keep their scans open between their turns.
const MOST_SCANS: usize = 16;
/// Rows of many records are smaller: one of a large record is not kept for the next one.
const LARGE_BODY: usize = 64 * 1024;
/// A record may have so many bytes, whatever `redshift.memory_limit` is: as a batch of Kafka's.
const SMALLEST_LIMIT: usize = 16 * 1024 * 1024;

/// A record, borrowed from its reader until the next call.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// Everything else.
    pub entry: Entry<'a>,
}

/// Reads ranges of a stream, within one transaction.
pub struct Reader {
    stream: Stream,
    /// Until it ends.
    open: Option<(ChunkTable, Latest)>,
    parts: Vec<Part>,
    /// The part that is being read.
    turn: usize,
    /// Records read, and their bytes.
    counts: (u64, u64),
}

/// One range.
struct Part {
    range: PartitionRange,
    next: i64,
    cursor: Option<Cursor>,
    row: Row,
    body: Vec<u8>,
    entries: Entries,
}

impl Reader {
    /// Begins to read. The ranges are within what [`super::number::bounds`] has told.
    pub fn begin(stream: Stream, ranges: Vec<PartitionRange>) -> Reader {
        let table = ChunkTable::open(stream.table, Access::Read)
            .unwrap_or_else(|| error::no_stream(&stream.name()).raise());
        let part = |range: PartitionRange| Part {
            next: range.start,
            range,
            cursor: None,
            row: Row::default(),
            body: Vec::new(),
            entries: Entries::default(),
        };
        Reader {
            stream,
            open: Some((table, Latest::take())),
            parts: ranges.into_iter().map(part).collect(),
            turn: 0,
            counts: (0, 0),
        }
    }

    /// The next record; none at the end of all ranges. A partition gives the records of a row before it is another's turn.
    pub fn next_record(&mut self) -> Option<Record<'_>> {
        while !self.parts.get(self.turn)?.has_record() {
            if !self.turn_over() {
                return None;
            }
        }
        let part = &mut self.parts[self.turn];
        let Ok(Some(entry)) = part.entries.next(&part.body) else {
            error::damaged_records(&self.stream.name(), part.range.partition, part.next).raise()
        };
        let offset = part.next;
        part.next += 1;
        self.counts.0 += 1;
        self.counts.1 += bytes(&entry);
        Some(Record {
            partition: part.range.partition,
            offset,
            entry,
        })
    }

    /// Reads a row of the next part that is not at its end; false if all are.
    fn turn_over(&mut self) -> bool {
        let count = self.parts.len();
        if let Some(part) = self.parts.get_mut(self.turn) {
            part.rest(count);
        }
        for step in 1..=count {
            let turn = (self.turn + step) % count;
            let part = &mut self.parts[turn];
            if part.next < part.range.end {
                if let Some((table, latest)) = &self.open {
                    part.read_row(&self.stream, table, latest);
                }
                self.turn = turn;
                return true;
            }
        }
        false
    }

    /// The next offset of a partition.
    pub fn next_offset(&self, partition: i32) -> Option<i64> {
        let of = |part: &&Part| part.range.partition == partition;
        self.parts.iter().find(of).map(|part| part.next)
    }

    /// Records read, and bytes of their keys and values.
    pub fn counts(&self) -> (u64, u64) {
        self.counts
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // After an error Postgres lets go of everything by itself, or has.
        if !chunk_table::keeps_resources() {
            return;
        }
        for cursor in self.parts.iter_mut().filter_map(|part| part.cursor.take()) {
            cursor.end();
        }
        if let Some((table, latest)) = self.open.take() {
            latest.release();
            table.close();
        }
    }
}

/// Records that were taken from a reader.
#[derive(Default)]
pub struct Records {
    /// Partition, offset, and the record by itself as a chunk has it.
    records: Vec<(i32, i64, Vec<u8>)>,
    bytes: u64,
    memory: usize,
}

impl Records {
    /// Keeps a record.
    pub fn push(&mut self, record: &Record) {
        let mut body = Vec::new();
        if record.entry.append_to(&mut body).is_err() {
            error::out_of_memory(bytes(&record.entry) as usize).raise();
        }
        self.memory += body.len() + std::mem::size_of::<(i32, i64, Vec<u8>)>();
        self.bytes += bytes(&record.entry);
        self.records.push((record.partition, record.offset, body));
    }

    /// Bytes that they take.
    pub fn memory(&self) -> usize {
        self.memory
    }
}

impl source::Records<Sql> for Records {
    fn len(&self) -> usize {
        self.records.len()
    }

    fn get(&self, index: usize) -> Option<Record<'_>> {
        let (partition, offset, body) = self.records.get(index)?;
        let entry = Entries::default().next(body).ok().flatten()?;
        Some(Record {
            partition: *partition,
            offset: *offset,
            entry,
        })
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Record<'_> {
    /// Its time in milliseconds since 1970.
    pub fn milliseconds(&self) -> Option<i64> {
        self.entry.time.map(|(_, time)| to_milliseconds(time))
    }
}

fn bytes(entry: &Entry) -> u64 {
    (entry.key.map_or(0, <[u8]>::len) + entry.value.map_or(0, <[u8]>::len)) as u64
}

impl Part {
    /// It is another part's turn, one of so many. What it has in memory is for its own turn; an open scan keeps a page of the buffers, of which there are not
    /// enough for any number of partitions.
    fn rest(&mut self, parts: usize) {
        if self.body.capacity() > LARGE_BODY {
            self.body = Vec::new();
        }
        if parts > MOST_SCANS
            && let Some(cursor) = self.cursor.take()
        {
            cursor.end();
        }
    }

    fn has_record(&self) -> bool {
        self.next < self.range.end && self.next < self.row.end()
    }

    /// Reads the row that has the next offset. If it has no records, or there is none any more, its offsets are passed.
    fn read_row(&mut self, stream: &Stream, table: &ChunkTable, latest: &Latest) {
        let (partition, next) = (self.range.partition, self.next);
        let cursor = self.cursor.get_or_insert_with(|| {
            let row = table.at(latest, partition, next);
            table.from(latest, partition, row.map_or(next, |row| row.base))
        });
        let limit = (setting::memory_limit_bytes() / 2).max(SMALLEST_LIMIT);
        let row = loop {
            match cursor.next_within(&mut self.body, limit) {
                Some(row) if row.base != UNNUMBERED && row.end() <= self.next => {}
                found => break found.filter(|row| row.base != UNNUMBERED),
            }
        };
        if let Some(row) = row.filter(|row| row.length > limit as i64) {
            error::record_too_large(&stream.name(), partition, row.base, row.length).raise();
        }
        let begins = row.map_or(self.range.end, |row| row.base);
        if begins > self.next {
            self.check_hole(stream, begins);
            self.next = begins.min(self.range.end);
        }
        let Some(row) = row else {
            return;
        };
        if self.body.is_empty() {
            self.next = row.end().min(self.range.end);
            return;
        }
        self.entries = Entries::default();
        for _ in row.base..self.next {
            if !matches!(self.entries.next(&self.body), Ok(Some(_))) {
                error::damaged_records(&stream.name(), partition, row.base).raise();
            }
        }
        self.row = row;
    }

    /// Offsets without rows: either retention has removed them since it was looked where the partition begins, or they were given to others' records while
    /// pg_dump made this copy. Nothing that was removed is passed.
    fn check_hole(&self, stream: &Stream, until: i64) {
        let partition = self.range.partition;
        let latest = Latest::take();
        let now = registry::now(stream, &latest);
        latest.release();
        let now = now.filter(|now| now.topic_id == stream.topic_id);
        let now = now.unwrap_or_else(|| error::stream_changed(&stream.name()).raise());
        if earliest_of(&now.earliest, partition) > self.next {
            error::removed_while_read(&stream.name(), partition, self.next, until).raise();
        }
    }
}
