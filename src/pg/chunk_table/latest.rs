//! What is committed now, and how far the transaction that asks is.

use crate::pg::relation::Oid;
use pgrx::FromDatum;
use pgrx::pg_sys::{self, Datum};
use std::cell::Cell;
use std::ffi::CStr;

/// A snapshot of what is committed now, whatever the transaction's isolation level is.
pub struct Latest(pub(super) pg_sys::Snapshot);

impl Latest {
    /// Takes one; it is let go by [`Latest::release`], or by the end of a transaction that fails. It is the snapshot for a catalogue that sends no invalidations,
    /// which is taken anew each time and, unlike `GetLatestSnapshot`, in a parallel query too (snapmgr.c).
    pub fn take() -> Latest {
        // SAFETY: within a transaction.
        Latest(unsafe { pg_sys::RegisterSnapshot(pg_sys::GetCatalogSnapshot(pg_sys::InvalidOid)) })
    }

    /// What a bigint[] and a text of a row hold by this snapshot; the table's primary key is a bigint, its first column.
    pub fn look_up(
        &self,
        table: Oid,
        key: i64,
        numbers: &CStr,
        text: &CStr,
    ) -> Option<(Vec<i64>, String)> {
        // SAFETY: the table is open, and the scan by its primary key goes on, until the values are copied, which are of these types.
        unsafe {
            let relation = pg_sys::try_relation_open(table, pg_sys::AccessShareLock as i32);
            if relation.is_null() {
                return None;
            }
            let mut keys = [pg_sys::ScanKeyData::default()];
            pg_sys::ScanKeyInit(
                keys.as_mut_ptr(),
                1,
                pg_sys::BTEqualStrategyNumber as u16,
                pg_sys::Oid::from(pg_sys::F_INT8EQ),
                Datum::from(key),
            );
            let index = pg_sys::RelationGetPrimaryKeyIndex(relation);
            let scan =
                pg_sys::systable_beginscan(relation, index, true, self.0, 1, keys.as_mut_ptr());
            let tuple = pg_sys::systable_getnext(scan);
            let value = |column: &CStr| {
                let number = i32::from(pg_sys::get_attnum(table, column.as_ptr()));
                let mut is_null = false;
                let value = pg_sys::heap_getattr(tuple, number, (*relation).rd_att, &mut is_null);
                (value, is_null)
            };
            let found = (!tuple.is_null()).then(|| {
                let ((numbers, no_numbers), (text, no_text)) = (value(numbers), value(text));
                let numbers = Vec::<i64>::from_datum(numbers, no_numbers);
                Some((numbers?, String::from_datum(text, no_text)?))
            });
            pg_sys::systable_endscan(scan);
            pg_sys::relation_close(relation, pg_sys::AccessShareLock as i32);
            found.flatten()
        }
    }

    /// Lets it go.
    pub fn release(self) {
        // SAFETY: registered by `take`, with the same resource owner.
        unsafe { pg_sys::UnregisterSnapshot(self.0) }
    }

    /// The first transaction that had not begun, and those that had not ended, our own among them.
    pub fn transactions(&self) -> (u64, Vec<u64>) {
        // SAFETY: an MVCC snapshot has `xcnt` ids in `xip`.
        unsafe {
            let next = pg_sys::ReadNextFullTransactionId().value;
            let full = |id: pg_sys::TransactionId| {
                let full = next & !0xffff_ffff | u64::from(id.into_inner());
                // No id is ahead of the next one: such a one is of the epoch before.
                if full > next { full - (1 << 32) } else { full }
            };
            let snapshot = &*self.0;
            let running = (0..snapshot.xcnt as usize).map(|i| full(*snapshot.xip.add(i)));
            let own = own_xid();
            (full(snapshot.xmax), running.chain(own).collect())
        }
    }
}

/// This transaction's id, if it has one.
pub fn own_xid() -> Option<u64> {
    // SAFETY: reads a variable of the backend.
    let own = unsafe { pg_sys::GetTopFullTransactionIdIfAny() }.value;
    (own != 0).then_some(own)
}

/// This transaction's id; it has one from now on.
pub fn assign_xid() -> u64 {
    // SAFETY: within a transaction; raises where there is none to be had.
    unsafe { pg_sys::GetTopFullTransactionId() }.value
}

/// How deep in subtransactions the transaction is.
pub fn depth() -> i32 {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::GetCurrentTransactionNestLevel() }
}

thread_local! {
    static ABANDONING: Cell<bool> = const { Cell::new(false) };
}

/// Drops what may have scans and snapshots of which Postgres knows already that they are over: those of a cursor that failed are let go with its savepoint, long before its
/// memory is. They are left to it.
pub fn abandoning(drop: impl FnOnce()) {
    let before = ABANDONING.replace(true);
    drop();
    ABANDONING.set(before);
}

/// Are scans and snapshots still this process's to let go? Not after an error, nor without a transaction.
pub fn keeps_resources() -> bool {
    // SAFETY: reads a variable of the backend.
    let is_in_transaction = unsafe { pg_sys::IsTransactionState() };
    is_in_transaction && !ABANDONING.get() && !std::thread::panicking()
}

/// Where the WAL is: what was committed before was added at a lower place.
pub fn moment() -> u64 {
    // SAFETY: reads shared memory. Nothing is added in recovery.
    unsafe { pg_sys::GetXLogInsertRecPtr() }
}

/// Can nothing be written, because this is a standby?
pub fn is_standby() -> bool {
    // SAFETY: reads shared memory.
    unsafe { pg_sys::RecoveryInProgress() }
}

/// Pages of the WAL, and what a page begins with: the first one of a segment with more (xlog_internal.h).
const PAGE: u64 = pg_sys::XLOG_BLCKSZ as u64;
const SHORT_HEADER: u64 = 24;
const LONG_HEADER: u64 = 40;

/// Makes durable what was written until now, numbers too: who has seen one may keep it.
pub fn flush() {
    if is_standby() {
        return;
    }
    // SAFETY: waits for the disk, as a commit does.
    unsafe {
        let next = pg_sys::GetXLogInsertRecPtr();
        let (page, at) = (next - next % PAGE, next % PAGE);
        let is_first = page % pg_sys::wal_segment_size as u64 == 0;
        let header = if is_first { LONG_HEADER } else { SHORT_HEADER };
        // Behind the header of a page that has nothing yet: there is no record up to there to be flushed.
        pg_sys::XLogFlush(if at == header { page } else { next });
    }
}

/// Locks a table until the transaction ends as to number it, unless somebody has it for himself.
pub fn lock_now(table: Oid) -> bool {
    let mode = if is_standby() {
        pg_sys::AccessShareLock
    } else {
        pg_sys::RowExclusiveLock
    };
    // SAFETY: takes a lock, or does not.
    unsafe { pg_sys::ConditionalLockRelationOid(table, mode as i32) }
}

/// Where transaction ids of this table mean something.
pub fn origin(table: Oid) -> stream::sql::Origin {
    // SAFETY: reads variables of the process.
    unsafe {
        stream::sql::Origin {
            system: pg_sys::GetSystemIdentifier(),
            database: pg_sys::MyDatabaseId.to_u32(),
            table: table.to_u32(),
        }
    }
}
