//! Giving records their offsets.
//!
//! It is done by whoever looks first, of records whose transactions have committed, in a moment in which nobody else does. So a record that is committed later
//! gets a higher offset, however long its transaction has run: readers pass nothing, and nobody waits for a transaction of somebody else's.
//! What has an offset keeps it, also if the transaction that gave it is rolled back.

use super::changes;
use super::registry::{self, Stream};
use crate::error;
use crate::pg::chunk_table::{self, Access, ChunkTable, Latest, Row, UNNUMBERED};
use crate::source::kafka::Watermarks;
use std::collections::HashMap;
use stream::sql::Horizon;

/// Gives offsets to everything that is committed now. A standby shows what its primary has given; who has removed records himself, which his transaction may
/// still take back, leaves it to others.
pub fn number(stream: &Stream) {
    if chunk_table::is_standby() || changes::is_changed(stream.table) {
        return;
    }
    let Some(table) = ChunkTable::open(stream.table, Access::Read) else {
        return;
    };
    table.lock();
    let latest = Latest::take();
    run(stream, &table, &latest);
    latest.release();
    table.unlock();
    table.close();
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
        count: 0,
    };
    let origin = chunk_table::origin(table.oid());
    // In a copy that pg_restore has made transaction ids are others'.
    let known = Some(&horizon).filter(|horizon| horizon.origin == origin);
    let mut take = |row: &Row| {
        if Some(row.xid as u64) != own {
            pass.take(row);
        }
    };
    match known {
        Some(horizon) => {
            for ended in horizon.running.iter().filter(|id| !running.contains(id)) {
                table.of_transactions(latest, *ended, false, &mut take);
            }
            table.of_transactions(latest, horizon.next, true, &mut take);
        }
        None => table.of_transactions(latest, 1, true, &mut take),
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
    count: u64,
}

impl Pass<'_> {
    fn take(&mut self, row: &Row) {
        if row.base != UNNUMBERED {
            return;
        }
        let (end, bytes) = match self.ends.get(&row.partition) {
            Some(end) => *end,
            None => {
                let (end, unfinished) = self.end(row.partition);
                self.ends.insert(row.partition, end);
                if unfinished.is_some_and(|unfinished| unfinished.is(row)) {
                    return;
                }
                end
            }
        };
        self.table.number(row, end, bytes + row.length);
        self.ended(row, end, bytes);
    }

    fn ended(&mut self, row: &Row, end: i64, bytes: i64) {
        let end = end + i64::from(row.records);
        self.ends.insert(row.partition, (end, bytes + row.length));
        self.count += 1;
    }

    /// The end of a partition, and the row whose number was made good on the way, if an earlier pass was interrupted.
    fn end(&mut self, partition: i32) -> ((i64, i64), Option<Row>) {
        let (last, unfinished) = self.table.last(self.latest, partition);
        let mut end = end_of(self.earliest, partition, last.as_ref());
        if let Some(row) = &unfinished {
            self.table.finish_number(row, end.0, end.1 + row.length);
            end = (end.0 + i64::from(row.records), end.1 + row.length);
            self.count += 1;
        }
        (end, unfinished)
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
