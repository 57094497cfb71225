//! When the statement began that calls a function: of each statement in a procedure, not of the one that the client sent.
//!
//! A hook notes which query is being run. A function that is called while that query evaluates its expressions gets the time at which the query
//! first asked, the same for all rows. One that is called outside of any query, as in an assignment of PL/pgSQL, gets the present time.

use std::cell::Cell;

use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::pg::guard;

/// The query that is being run.
#[derive(Clone, Copy)]
struct Running {
    /// What its expressions are set up in.
    context: pg_sys::MemoryContext,
    /// When it first asked for its time.
    began: Option<i64>,
}

thread_local! {
    static RUNNING: Cell<Option<Running>> = const { Cell::new(None) };
}

static mut PREVIOUS: pg_sys::ExecutorRun_hook_type = None;

/// Called when an outermost query has run.
type HasRun = unsafe fn(*mut pg_sys::QueryDesc);
static mut HAS_RUN: Option<HasRun> = None;

/// Installs the hook; to be called once, from `_PG_init`.
pub(super) fn install(has_run: HasRun) {
    // SAFETY: `_PG_init` runs once, in the backend's only thread.
    unsafe {
        HAS_RUN = Some(has_run);
        PREVIOUS = pg_sys::ExecutorRun_hook;
        pg_sys::ExecutorRun_hook = Some(executor_run);
    }
}

/// Puts the outer query back, however the inner one ends.
struct Outer(Option<Running>);

impl Drop for Outer {
    fn drop(&mut self) {
        RUNNING.set(self.0);
    }
}

unsafe extern "C-unwind" fn executor_run(
    query: *mut pg_sys::QueryDesc,
    direction: pg_sys::ScanDirection::Type,
    count: u64,
    execute_once: bool,
) {
    // SAFETY: Postgres's own arguments, handed on; an error comes back whole through both guards.
    unsafe {
        guard::entry(|| {
            let running = Running {
                context: (*(*query).estate).es_query_cxt,
                began: None,
            };
            let outer = RUNNING.replace(Some(running));
            let _outer = Outer(outer);
            guard::preserving(|| match PREVIOUS {
                Some(previous) => previous(query, direction, count, execute_once),
                None => unguarded::standard_ExecutorRun(query, direction, count, execute_once),
            });
            if let Some(has_run) = HAS_RUN.filter(|_| outer.is_none()) {
                has_run(query);
            }
        });
    }
}

/// Is a query being run?
pub(super) fn is_in_query() -> bool {
    RUNNING.get().is_some()
}

mod unguarded {
    use pgrx::pg_sys;
    unsafe extern "C-unwind" {
        pub fn standard_ExecutorRun(
            query: *mut pg_sys::QueryDesc,
            direction: pg_sys::ScanDirection::Type,
            count: u64,
            execute_once: bool,
        );
    }
}

/// When the statement began that makes `call`, in microseconds since 2000-01-01 UTC.
fn began(call: pg_sys::FunctionCallInfo) -> i64 {
    // SAFETY: the running function's call.
    let of_call = unsafe { (*(*call).flinfo).fn_mcxt };
    let now = crate::pg::time::now_utc();
    match RUNNING.get() {
        Some(running) if running.context == of_call => {
            let began = running.began.unwrap_or(now);
            RUNNING.set(Some(Running {
                began: Some(began),
                ..running
            }));
            began
        }
        _ => now,
    }
}

/// When the statement that calls it began: `redshift.statement_time()`.
#[pg_extern]
fn statement_time(call: pg_sys::FunctionCallInfo) -> TimestampWithTimeZone {
    TimestampWithTimeZone::try_from(began(call))
        .unwrap_or_else(|_| TimestampWithTimeZone::positive_infinity())
}
