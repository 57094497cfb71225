//! Adding records: they are collected in this process and written in rows of many, at the latest when the transaction ends.
//!
//! What is not committed is nobody's to read, the transaction's own statements included: a record has an offset only when nothing can take it back any more.

use super::{Stream, changes};
use crate::error;
use crate::pg::chunk_table::{self, Access, ChunkTable};
use crate::pg::relation::{self, Oid};
use crate::pg::shared;
use crate::pg::transaction_watch::{self, Turn};
use std::cell::{Cell, RefCell};
use stream::sql::{Chunk, Entry, Pending, partition_of};

/// What this transaction has added to one stream.
struct Added {
    /// The foreign table, and the table of the records.
    relation: Oid,
    table: Oid,
    xid: u64,
    pending: Pending,
    /// Where records without a key go until a row is full.
    keyless: i32,
}

thread_local! {
    static ADDED: RefCell<Vec<Added>> = const { RefCell::new(Vec::new()) };
    /// The transaction is ending: what is added now is written at once.
    static IS_ENDING: Cell<bool> = const { Cell::new(false) };
    /// Records without a key begin in another partition each time.
    static TURN: Cell<i32> = const { Cell::new(0) };
}

/// Adds a record to a partition, or to that of its key: where Kafka's default partitioner would put it.
pub fn add(stream: &Stream, partition: Option<i32>, entry: &Entry) {
    follow_transaction();
    let depth = chunk_table::depth();
    ADDED.with_borrow_mut(|added| {
        let place = added.iter().position(|added| added.table == stream.table);
        let place = place.unwrap_or_else(|| {
            added.push(begin(stream));
            added.len() - 1
        });
        let added = &mut added[place];
        let count = stream.partitions();
        let partition = partition.unwrap_or_else(|| match entry.key {
            Some(key) => partition_of(key, count),
            None => added.keyless % count,
        });
        let at = (depth, chunk_table::moment());
        let has_full = added.pending.add(at, partition, entry);
        match has_full {
            Ok(false) => {}
            Ok(true) => {
                while let Some(chunk) = added.pending.take_full(depth) {
                    write((added.relation, added.table), added.xid, &chunk);
                }
                if entry.key.is_none() {
                    added.keyless = added.keyless.wrapping_add(1) & i32::MAX;
                }
            }
            Err(_) => error::out_of_memory(entry.value.map_or(0, <[u8]>::len)).raise(),
        }
    });
    if IS_ENDING.get() {
        write_all();
    }
}

/// Adds offsets that have no records.
pub fn add_gap(stream: &Stream, partition: i32, offsets: i32) {
    if chunk_table::depth() > 1 {
        // What was added before would be written here, and go with the savepoint.
        error::gap_in_savepoint(&stream.name()).raise();
    }
    follow_transaction();
    ADDED.with_borrow_mut(|added| {
        if !added.iter().any(|added| added.table == stream.table) {
            added.push(begin(stream));
        }
    });
    write_all();
    let chunk = Chunk {
        ordinal: i32::MAX,
        partition,
        records: offsets,
        newest: None,
        added: chunk_table::moment(),
        body: Vec::new(),
    };
    let place = (stream.relation, stream.table);
    write(place, chunk_table::assign_xid(), &chunk);
}

fn begin(stream: &Stream) -> Added {
    let turn = TURN.get();
    TURN.set(turn.wrapping_add(1) & i32::MAX);
    Added {
        relation: stream.relation,
        table: stream.table,
        xid: chunk_table::assign_xid(),
        pending: Pending::default(),
        keyless: turn,
    }
}

/// Has this transaction added records to the stream, or removed some?
pub fn has_touched(stream: &Stream) -> bool {
    has_added(stream) || changes::is_changed(stream.table)
}

/// Has this transaction added records to the stream?
pub fn has_added(stream: &Stream) -> bool {
    ADDED.with_borrow(|added| added.iter().any(|added| added.table == stream.table))
}

fn write((relation, table): (Oid, Oid), xid: u64, chunk: &Chunk) {
    match ChunkTable::open(table, Access::Write) {
        Some(table) => {
            table.insert(xid, chunk);
            table.close();
        }
        // The same transaction may have dropped the stream, and nobody else: he who inserts has its relation locked.
        None if !relation::exists(relation) => {}
        None => {
            error::damaged_stream(&relation::qualified_name(relation).unwrap_or_default()).raise()
        }
    }
}

fn write_all() {
    ADDED.with_borrow_mut(|added| {
        for added in added {
            for chunk in added.pending.take_all() {
                write((added.relation, added.table), added.xid, &chunk);
            }
        }
    });
}

/// Records of the stream with this table are about to be removed. What is committed has its numbers.
pub fn begin_removal(table: Oid) {
    follow_transaction();
    changes::mark(table);
}

/// What is added and removed follows the transaction from now on.
fn follow_transaction() {
    transaction_watch::follow(follow);
}

fn follow(turn: Turn) {
    match turn {
        // What others add when they are told of it is written at once.
        Turn::Ending => IS_ENDING.set(true),
        Turn::Committed | Turn::Over => {
            IS_ENDING.set(false);
            changes::forget();
        }
        Turn::Released(_) | Turn::RolledBack(_) => {}
    }
    // A process that is told to end while it writes ends there, with all that it has borrowed; then nothing is left to be done.
    let is_idle = ADDED.with(|added| {
        added
            .try_borrow_mut()
            .map_or(true, |added| added.is_empty())
    });
    if is_idle {
        return;
    }
    match turn {
        Turn::Ending => write_all(),
        Turn::Released(depth) => each(|pending| pending.released(depth)),
        Turn::RolledBack(depth) => each(|pending| pending.rolled_back(depth)),
        Turn::Committed => {
            forget();
            shared::tell_of_records();
        }
        Turn::Over => forget(),
    }
}

fn each(work: impl Fn(&mut Pending)) {
    ADDED.with_borrow_mut(|added| added.iter_mut().for_each(|added| work(&mut added.pending)));
}

fn forget() {
    ADDED.take();
}
