//! What is committed now, and how far the transaction that asks is.

use crate::pg::relation::Oid;
use pgrx::pg_sys;

/// A snapshot of what is committed now, whatever the transaction's isolation level is.
pub struct Latest(pub(super) pg_sys::Snapshot);

impl Latest {
    /// Takes one; it is let go by [`Latest::release`], or by the end of a transaction that fails.
    pub fn take() -> Latest {
        // SAFETY: within a transaction.
        Latest(unsafe { pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot()) })
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

/// Is a transaction going on, and not being rolled back?
pub fn is_in_transaction() -> bool {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::IsTransactionState() }
}

/// Can nothing be written, because this is a standby?
pub fn is_standby() -> bool {
    // SAFETY: reads shared memory.
    unsafe { pg_sys::RecoveryInProgress() }
}

/// Do statements of this transaction see what was committed when it began, and nothing later?
pub fn sees_an_old_snapshot() -> bool {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ as i32 }
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
