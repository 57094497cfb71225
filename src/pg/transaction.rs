//! Transactions of a background worker's.

use super::guard;
use pgrx::pg_sys;
use std::sync::atomic::{AtomicBool, Ordering};

pub use super::guard::Failure;

/// A transaction works: the only time in which a cancel is acted on, by whomever or by lock_timeout. (One that came while the commit waits for a
/// synchronous standby would end that wait.)
static MAY_CANCEL: AtomicBool = AtomicBool::new(false);

/// From now on a cancel is acted on, or is not.
pub fn allow_cancel(allowed: bool) {
    MAY_CANCEL.store(allowed, Ordering::Relaxed);
}

/// Is a cancel acted on now?
pub fn may_cancel() -> bool {
    MAY_CANCEL.load(Ordering::Relaxed)
}

/// Runs one transaction; on an error it is aborted and the process goes on.
pub fn transaction<T>(work: impl FnOnce() -> T) -> Result<T, Failure> {
    let result = guard::catch(|| {
        // SAFETY: the pattern of the main loops of Postgres's own workers.
        unsafe {
            pg_sys::SetCurrentStatementStartTimestamp();
            pg_sys::StartTransactionCommand();
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        }
        allow_cancel(true);
        let value = work();
        allow_cancel(false);
        // SAFETY: pushed above.
        unsafe {
            if pg_sys::ActiveSnapshotSet() {
                pg_sys::PopActiveSnapshot();
            }
            pg_sys::CommitTransactionCommand();
        }
        value
    });
    allow_cancel(false);
    // SAFETY: abort is allowed in any state; statistics are reported outside transactions (without them autovacuum sleeps).
    unsafe {
        if result.is_err() {
            pg_sys::error_context_stack = std::ptr::null_mut();
            pg_sys::AbortOutOfAnyTransaction();
        }
        // Between transactions nothing holds interrupts off. A callback of another extension that caught an error while this one ended has left the
        // count unbalanced, and with that SIGTERM would never again be acted on (PostgresMain resets it as well).
        pg_sys::InterruptHoldoffCount = 0;
        pg_sys::QueryCancelHoldoffCount = 0;
        pg_sys::pgstat_report_stat(false);
    }
    result
}

/// Writes a line to the server's log.
pub fn log(message: &str) {
    pgrx::log!("redshift_streaming: {message}");
}

/// The current transaction's id, 0 if it has none (yet).
pub fn transaction_id() -> i64 {
    // SAFETY: reads the state of the transaction.
    unsafe {
        if pg_sys::GetTopTransactionIdIfAny() == pg_sys::InvalidTransactionId {
            return 0;
        }
        pg_sys::GetTopFullTransactionIdIfAny().value as i64
    }
}
