//! One batch of a worker: a transaction that has an end, whatever runs in it, and that leaves nothing in the process.
//!
//! The definition and the triggers are a user's, and the next batch of the process is another user's. So a batch is cancelled after a while; if it
//! takes no notice (PL/pgSQL can catch a cancel, as `query_canceled`) the worker ends, which nothing can catch. What a session may keep beyond a
//! transaction is released. C code that looks at no interrupts is not defended against.

use super::batch_table::{self, Held};
use super::error;
use super::relation::Oid;
use super::transaction::{Failure, allow_cancel, may_cancel, transaction};
use super::wait;
use pgrx::pg_sys;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a batch may go on after it was cancelled.
const GRACE: Duration = Duration::from_secs(5);
/// Any number that is none of Postgres's own timeouts asks for a new one (RegisterTimeout of timeout.c).
const NEW_TIMEOUT: i32 = 1_000;
/// USER_LOCKMETHOD of lock.h: advisory locks.
const ADVISORY: u16 = 2;

mod unguarded {
    //! What the kernel calls, and what raises nothing.
    use core::ffi::c_int;
    unsafe extern "C-unwind" {
        pub fn StatementCancelHandler(signal: c_int);
        pub fn RegisterTimeout(id: c_int, handler: unsafe extern "C-unwind" fn()) -> c_int;
        pub fn enable_timeout_after(id: c_int, milliseconds: c_int);
        pub fn disable_timeout(id: c_int, keep_indicator: bool);
        pub fn ResetSequenceCaches();
    }
}

/// The batch's time is over.
static IS_LATE: AtomicBool = AtomicBool::new(false);
thread_local! {
    /// The timeouts that cancel the batch and end the process.
    static TIMEOUTS: Cell<Option<[i32; 2]>> = const { Cell::new(None) };
}

/// A batch that did not come to its end.
pub enum Stop {
    /// By an error.
    Failed(Failure),
    /// Its time was over.
    TimedOut(Failure),
    /// A statement of the owner's stopped it, or does not let it begin; it may be tried after this time.
    ByOwner(Duration),
    /// Its batches ended so many workers, with this error: it may be tried after this time.
    Outlaw(Failure, Duration),
}

/// Prepares a worker; called once, after it is connected.
pub fn prepare(database: Oid, number: usize) {
    // SAFETY: the handlers below; timeouts are initialized in every process that is connected to a database.
    unsafe {
        pg_sys::pqsignal(pg_sys::SIGINT as i32, Some(on_cancel));
        let register = |handler| unguarded::RegisterTimeout(NEW_TIMEOUT, handler);
        TIMEOUTS.set(Some([register(on_time), register(on_patience)]));
    }
    batch_table::introduce(database, number);
}

unsafe extern "C-unwind" fn on_cancel(signal: i32) {
    if may_cancel() {
        // SAFETY: the handler that every backend has for this signal.
        unsafe { unguarded::StatementCancelHandler(signal) }
    }
}

/// Called from Postgres's handler of SIGALRM, which has set the latch.
unsafe extern "C-unwind" fn on_time() {
    if may_cancel() {
        IS_LATE.store(true, Ordering::Relaxed);
        // SAFETY: flags that signal handlers set.
        unsafe {
            pg_sys::QueryCancelPending = 1;
            pg_sys::InterruptPending = 1;
        }
    }
}

/// The same, when a cancelled batch still runs.
unsafe extern "C-unwind" fn on_patience() {
    if may_cancel() {
        batch_table::note_outlasted();
        // SAFETY: flags that signal handlers set.
        unsafe {
            pg_sys::ProcDiePending = 1;
            pg_sys::InterruptPending = 1;
        }
    }
}

/// Loads one batch into `table`: `work` has so much time, and its commit as much as it takes.
pub fn run<T>(table: Oid, limit: Option<Duration>, work: impl FnOnce() -> T) -> Result<T, Stop> {
    if let Err(Held { time, deaths }) = batch_table::begin(table) {
        return Err(held(time, deaths));
    }
    IS_LATE.store(false, Ordering::Relaxed);
    let done = transaction(|| {
        arm(limit);
        let value = work();
        disarm();
        allow_cancel(false);
        // A cancel that came in the last moment, and one that the definition caught.
        wait::interruption();
        if let Some(limit) = limit.filter(|_| IS_LATE.load(Ordering::Relaxed)) {
            error::batch_timed_out(limit).raise();
        }
        value
    });
    disarm();
    // SAFETY: as after any error (postgres.c): what was to be cancelled is over.
    unsafe { pg_sys::QueryCancelPending = 0 };
    let stopped = batch_table::end();
    release_session();
    let failure = match done {
        Ok(value) => return Ok(value),
        Err(failure) => failure,
    };
    let was_cancelled = failure.sqlstate == QUERY_CANCELED;
    Err(match (limit, stopped) {
        (Some(limit), _) if IS_LATE.load(Ordering::Relaxed) => {
            Stop::TimedOut(described(|| error::batch_timed_out(limit)))
        }
        (_, Some(time)) if was_cancelled => Stop::ByOwner(time),
        _ => Stop::Failed(failure),
    })
}

/// SQLSTATE of a statement that was cancelled (errcodes.txt).
const QUERY_CANCELED: &str = "57014";

fn held(time: Duration, deaths: u32) -> Stop {
    match deaths {
        0 => Stop::ByOwner(time),
        _ => Stop::Outlaw(described(|| error::batch_outlasted(deaths)), time),
    }
}

fn described(report: impl FnOnce() -> super::report::Report) -> Failure {
    let described: Result<(), Failure> = transaction(|| report().raise());
    described.err().unwrap_or(Failure {
        sqlstate: QUERY_CANCELED.to_owned(),
        message: String::new(),
    })
}

fn arm(limit: Option<Duration>) {
    let (Some([late, patience]), Some(limit)) = (TIMEOUTS.get(), limit) else {
        return;
    };
    let milliseconds = |time: Duration| i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: timeouts that `prepare` registered.
    unsafe {
        unguarded::enable_timeout_after(late, milliseconds(limit).max(1));
        unguarded::enable_timeout_after(patience, milliseconds(limit.saturating_add(GRACE)));
    }
}

fn disarm() {
    for timeout in TIMEOUTS.get().into_iter().flatten() {
        // SAFETY: as above; one that is not active is passed over.
        unsafe { unguarded::disable_timeout(timeout, false) };
    }
}

/// What DISCARD ALL releases, but for plans, which are ours. The rest of it cannot be there: cursors WITH HOLD, PREPARE, LISTEN, temporary tables and other
/// users are refused in a security-restricted operation, and settings go back when it ends.
fn release_session() {
    // SAFETY: outside of any transaction there is nobody who needs any of it.
    unsafe {
        pg_sys::LockReleaseAll(ADVISORY, true);
        unguarded::ResetSequenceCaches();
    }
}
