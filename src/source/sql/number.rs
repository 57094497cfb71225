//! Giving records their offsets.
//!
//! It is done by whoever looks first, of records whose transactions have committed, in a moment in which nobody else does. So a record that is committed later
//! gets a higher offset, however long its transaction has run: readers pass nothing, and nobody waits for a transaction of somebody else's.
//! What has an offset keeps it, also if the transaction that gave it is rolled back.

use super::changes;
use super::registry::{self, Stream};
use crate::error;
use crate::pg::chunk_table::{self, Access, ChunkTable, Latest, Row, UNNUMBERED};
use crate::pg::wait;
use crate::source::kafka::Watermarks;
use std::collections::HashMap;
use stream::sql::Horizon;

/// Gives offsets to everything that is committed now. A standby shows what its primary has given; who has removed records himself, which his transaction may
/// still take back, leaves it to others.
pub fn number(stream: &Stream) {
    number_by(stream, |table| {
        table.lock();
        true
    });
}

/// The same; false if somebody else is at it, who may take long.
pub fn number_if_free(stream: &Stream) -> bool {
    number_by(stream, ChunkTable::lock_if_free)
}

fn number_by(stream: &Stream, lock: impl Fn(&ChunkTable) -> bool) -> bool {
    if chunk_table::is_standby() || changes::is_changed(stream.table) {
        return true;
    }
    // No lock of a relation may be waited for under the lock of numbers, of which the search for deadlocks knows nothing.
    registry::hold();
    let Some(table) = ChunkTable::open(stream.table, Access::Write) else {
        return true;
    };
    let is_free = lock(&table);
    if is_free {
        let latest = Latest::take();
        run(stream, &table, &latest);
        latest.release();
        table.unlock();
    }
    table.close();
    is_free
}

fn run(stream: &Stream, table: &ChunkTable, latest: &Latest) {
    // By the same snapshot as the rows: what a statement knows of the beginning may be older, and what is numbered below it is nobody's to read.
    let Some(now) = registry::now(stream, latest) else {
        return;
    };
    let (horizon, place) = table
        .horizon(latest)
        .unwrap_or_else(|| error::damaged_stream(&stream.qualified_name()).raise());
    let (next, running) = latest.transactions();
    let own = chunk_table::own_xid();
    let mut pass = Pass {
        earliest: &now.earliest,
        table,
        latest,
        ends: HashMap::new(),
        finished: Vec::new(),
        count: 0,
    };
    let origin = chunk_table::origin(table.oid());
    // In a copy that pg_restore has made transaction ids are others'.
    let known = Some(&horizon).filter(|horizon| horizon.origin == origin);
    let mut rows: Vec<Row> = Vec::new();
    let mut find = |row: &Row| {
        if row.base == UNNUMBERED && Some(row.xid as u64) != own {
            if rows.try_reserve(1).is_err() {
                error::out_of_memory(rows.len() * std::mem::size_of::<Row>()).raise();
            }
            rows.push(*row);
        }
    };
    match known {
        Some(horizon) => {
            for ended in horizon.running.iter().filter(|id| !running.contains(id)) {
                table.of_transactions(latest, *ended, false, &mut find);
            }
            table.of_transactions(latest, horizon.next, true, &mut find);
        }
        None => table.of_transactions(latest, 1, true, &mut find),
    }
    if known.is_some() {
        // What was committed before a record was added comes before it, whichever transaction began first. (In a copy the places of the original's WAL mean
        // nothing beside its own.) Within a transaction the order stays.
        rows.sort_by_key(|row| row.added);
    }
    for row in &rows {
        pass.take(row);
        wait::interruption();
    }
    if pass.count > 0 || known.is_none() {
        table.set_horizon(&place, &Horizon::new(origin, next, running));
    }
}

/// One pass over what has no offsets.
struct Pass<'a> {
    earliest: &'a [i64],
    table: &'a ChunkTable,
    latest: &'a Latest,
    /// The end of each partition that was looked at: in offsets and in bytes.
    ends: HashMap<i32, (i64, i64)>,
    /// Rows that were half numbered before: one of a partition at most.
    finished: Vec<Row>,
    count: u64,
}

impl Pass<'_> {
    fn take(&mut self, row: &Row) {
        let (end, bytes) = match self.ends.get(&row.partition) {
            Some(end) => *end,
            None => {
                let end = self.end(row.partition);
                self.ends.insert(row.partition, end);
                end
            }
        };
        if self.finished.iter().any(|finished| finished.is(row)) {
            return;
        }
        self.table.number(row, end, bytes + row.length);
        self.ended(row, end, bytes);
    }

    fn ended(&mut self, row: &Row, end: i64, bytes: i64) {
        let end = end + i64::from(row.records);
        self.ends.insert(row.partition, (end, bytes + row.length));
        self.count += 1;
    }

    /// The end of a partition. A row that an interrupted pass has left half numbered is made good on the way.
    fn end(&mut self, partition: i32) -> (i64, i64) {
        let (last, unfinished) = self.table.last(self.latest, partition);
        let (end, bytes) = end_of(self.earliest, partition, last.as_ref());
        let Some(row) = unfinished else {
            return (end, bytes);
        };
        self.table.finish_number(&row, end, bytes + row.length);
        self.finished.push(row);
        self.count += 1;
        (end + i64::from(row.records), bytes + row.length)
    }
}

/// The end of a partition in offsets and bytes: behind its last row, or where it begins if nothing is left of it.
fn end_of(earliest: &[i64], partition: i32, last: Option<&Row>) -> (i64, i64) {
    let earliest = earliest_of(earliest, partition);
    last.map_or((earliest, 0), |row| (row.end().max(earliest), row.bytes))
}

/// The earliest offset of a partition.
pub fn earliest_of(earliest: &[i64], partition: i32) -> i64 {
    let place = usize::try_from(partition).ok();
    place
        .and_then(|place| earliest.get(place).copied())
        .unwrap_or(0)
}

/// The bounds of each partition now: earliest offset and end.
pub fn bounds(stream: &Stream) -> Vec<Watermarks> {
    number(stream);
    numbered(stream)
}

/// The same of what has its numbers.
pub fn numbered(stream: &Stream) -> Vec<Watermarks> {
    let Some(table) = ChunkTable::open(stream.table, Access::Read) else {
        return Vec::new();
    };
    let latest = Latest::take();
    let now = registry::now(stream, &latest);
    let earliest = now.map(|now| now.earliest).unwrap_or_default();
    // As many as this statement knows of.
    let bounds = (0..stream.partitions())
        .map(|partition| {
            let (last, _) = table.last(&latest, partition);
            let (end, _) = end_of(&earliest, partition, last.as_ref());
            Watermarks {
                partition,
                earliest: earliest_of(&earliest, partition),
                latest: end,
                leader_epoch: None,
            }
        })
        .collect();
    latest.release();
    table.close();
    bounds
}
