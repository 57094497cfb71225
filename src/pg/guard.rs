//! The wall between Rust and Postgres's errors, one guard each way.
//!
//! Postgres raises an error by `longjmp`, Rust by unwinding. pgrx guards every call that it binds, but what it keeps of an
//! error is its text: constraint and column names, the cursor position, the context lines and SQLSTATEs of one's own are
//! gone. A user's INSERT, DDL statement or trigger that fails inside ours must look exactly as it does outside, so:
//!
//! - [`preserving`] calls C code that may raise, and unwinds with the *whole* error;
//! - [`entry`] wraps each function that Postgres calls, and raises what reaches it, whole again.
//!
//! Inside [`preserving`] stands nothing but the C call: the jump passes over that frame.

use pgrx::pg_sys;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Functions that are called without pgrx's guard, because they raise (or re-raise) and the error must stay whole.
pub(super) mod unguarded {
    use core::ffi::{c_char, c_int};
    use pgrx::pg_sys;
    unsafe extern "C-unwind" {
        pub fn CopyErrorData() -> *mut pg_sys::ErrorData;
        pub fn FlushErrorState();
        pub fn ReThrowError(error: *mut pg_sys::ErrorData) -> !;
        pub fn errstart(level: c_int, domain: *const c_char) -> bool;
        pub fn errcode(code: c_int) -> c_int;
        pub fn errmsg(format: *const c_char, ...) -> c_int;
        pub fn errdetail(format: *const c_char, ...) -> c_int;
        pub fn errhint(format: *const c_char, ...) -> c_int;
        pub fn geterrcode() -> c_int;
        pub fn errcontext_msg(format: *const c_char, ...) -> c_int;
        pub fn set_errcontext_domain(domain: *const c_char) -> c_int;
        pub fn errfinish(file: *const c_char, line: c_int, function: *const c_char);
    }
}

/// A Postgres error on its way through Rust frames. The data lives until the transaction ends.
struct PostgresError(*mut pg_sys::ErrorData);
// SAFETY: a panic payload must be Send; this one never leaves the one thread that may call Postgres.
unsafe impl Send for PostgresError {}

/// Calls C code that may raise a Postgres error, and unwinds with the whole error if it does.
///
/// # Safety
/// `call` holds no value with a destructor and makes calls of unguarded C functions only: an error jumps over its frame.
pub unsafe fn preserving<T>(call: impl FnOnce() -> T) -> T {
    let mut result = std::mem::MaybeUninit::<T>::uninit();
    // SAFETY: the jump buffer is installed and removed exactly as PG_TRY and PG_END_TRY do (elog.h); an error leaves through
    // the buffer, never through a Rust frame that has something to drop.
    unsafe {
        let context = pg_sys::CurrentMemoryContext;
        let exception_stack = pg_sys::PG_exception_stack;
        let context_stack = pg_sys::error_context_stack;
        let jumped = cee_scape::call_with_sigsetjmp(false, |buffer| {
            pg_sys::PG_exception_stack = (buffer as *const cee_scape::SigJmpBufFields)
                .cast_mut()
                .cast();
            result.write(call());
            0
        });
        pg_sys::PG_exception_stack = exception_stack;
        pg_sys::error_context_stack = context_stack;
        if jumped == 0 {
            return result.assume_init();
        }
        // CopyErrorData refuses to run in ErrorContext. The copy must outlive the contexts that unwinding may delete.
        pg_sys::CurrentMemoryContext = if pg_sys::TopTransactionContext.is_null() {
            pg_sys::TopMemoryContext
        } else {
            pg_sys::TopTransactionContext
        };
        let error = unguarded::CopyErrorData();
        unguarded::FlushErrorState();
        pg_sys::CurrentMemoryContext = context;
        // Not panic!: no hook has to run, the error says where it comes from.
        resume_unwind(Box::new(PostgresError(error)))
    }
}

/// Wraps the body of a function that Postgres calls: what unwinds out of `body` becomes a Postgres error.
///
/// # Safety
/// To be called as the whole body of an `extern "C-unwind"` function, so that no frame above has anything to drop.
pub unsafe fn entry<T>(body: impl FnOnce() -> T) -> T {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => value,
        Err(payload) => raise_payload(payload),
    }
}

fn raise_payload(payload: Box<dyn Any + Send>) -> ! {
    match payload.downcast::<PostgresError>() {
        Ok(error) => {
            let data = error.0;
            drop(error);
            // SAFETY: `data` is a copy made by CopyErrorData in this transaction; nothing is left to drop here.
            unsafe { unguarded::ReThrowError(data) }
        }
        // pgrx's own errors and Rust panics.
        // SAFETY: as `entry`.
        Err(payload) => unsafe {
            pgrx::pg_sys::panic::pgrx_extern_c_guard(move || -> ! { resume_unwind(payload) })
        },
    }
}

/// What is left of an error that was caught.
pub struct Failure {
    /// Five characters.
    pub sqlstate: String,
    /// The message, with DETAIL and CONTEXT where there are any.
    pub message: String,
}

/// Runs `body` and catches an error. The transaction that it left behind must be aborted.
pub(super) fn catch<T>(body: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(body)).map_err(|payload| describe_payload(&*payload))
}

/// Runs `body` in a subtransaction, which an error rolls back. A cancel, a termination and what is no error of a statement go on (as with EXCEPTION WHEN
/// OTHERS of PL/pgSQL).
pub fn attempt<T>(body: impl FnOnce() -> T) -> Result<T, Failure> {
    // SAFETY: the order of exec_stmt_block (pl_exec.c): context and owner of the caller are put back after either end.
    let (context, owner) = unsafe {
        let saved = (pg_sys::CurrentMemoryContext, pg_sys::CurrentResourceOwner);
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::CurrentMemoryContext = saved.0;
        saved
    };
    let result = catch_unwind(AssertUnwindSafe(body));
    let failure = result
        .as_ref()
        .err()
        .map(|payload| describe_payload(&**payload));
    let is_end = failure
        .as_ref()
        .is_some_and(|failure| failure.sqlstate == "57014" || failure.sqlstate.starts_with("57P"));
    // SAFETY: as above.
    unsafe {
        match (&failure, is_end) {
            (None, _) => pg_sys::ReleaseCurrentSubTransaction(),
            (Some(_), false) => {
                pg_sys::CurrentMemoryContext = context;
                pg_sys::RollbackAndReleaseCurrentSubTransaction();
            }
            // The abort of the whole transaction takes the subtransaction along.
            (Some(_), true) => {}
        }
        pg_sys::CurrentMemoryContext = context;
        if !is_end {
            pg_sys::CurrentResourceOwner = owner;
        }
    }
    match (result, failure) {
        (Ok(value), _) => Ok(value),
        (Err(_), Some(failure)) if !is_end => Err(failure),
        (Err(payload), _) => resume_unwind(payload),
    }
}

/// Runs `body` and shows an error to `witness` on its way up. The transaction is broken by then: no catalogue, no SQL.
pub fn witness<T>(body: impl FnOnce() -> T, witness: impl FnOnce(&Failure)) -> T {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => value,
        Err(payload) => {
            witness(&describe_payload(&*payload));
            resume_unwind(payload)
        }
    }
}

fn describe_payload(payload: &(dyn Any + Send)) -> Failure {
    match payload.downcast_ref::<PostgresError>() {
        // SAFETY: a copy made by CopyErrorData in this transaction, which has not ended yet.
        Some(error) => unsafe { describe(&*error.0) },
        None => describe_pgrx(payload),
    }
}

unsafe fn describe(error: &pg_sys::ErrorData) -> Failure {
    use super::text::text;
    // SAFETY: the code's text is in a static buffer of Postgres's; the others are part of the copy.
    let sqlstate = text(unsafe { pg_sys::unpack_sql_state(error.sqlerrcode) });
    let parts = [(error.detail, "DETAIL: "), (error.context, "CONTEXT: ")];
    let mut message = text(error.message).unwrap_or_default();
    for (part, label) in parts {
        if let Some(part) = text(part) {
            message += &format!(" {label}{part}");
        }
    }
    Failure {
        sqlstate: sqlstate.unwrap_or_default(),
        message,
    }
}

fn describe_pgrx(payload: &(dyn Any + Send)) -> Failure {
    use pgrx::pg_sys::panic::{CaughtError, ErrorReport, ErrorReportWithLevel};
    let of = |code: pgrx::PgSqlErrorCode, message: &str, detail: Option<&str>| {
        // SAFETY: the code's text is in a static buffer of Postgres's.
        let sqlstate = super::text::text(unsafe { pg_sys::unpack_sql_state(code as i32) });
        let detail = detail
            .map(|detail| format!(" DETAIL: {detail}"))
            .unwrap_or_default();
        Failure {
            sqlstate: sqlstate.unwrap_or_default(),
            message: format!("{message}{detail}"),
        }
    };
    let of_leveled = |report: &ErrorReportWithLevel| {
        of(report.sql_error_code(), report.message(), report.detail())
    };
    if let Some(
        CaughtError::PostgresError(report)
        | CaughtError::ErrorReport(report)
        | CaughtError::RustPanic {
            ereport: report, ..
        },
    ) = payload.downcast_ref()
    {
        return of_leveled(report);
    }
    if let Some(report) = payload.downcast_ref::<ErrorReportWithLevel>() {
        return of_leveled(report);
    }
    let internal = pgrx::PgSqlErrorCode::ERRCODE_INTERNAL_ERROR;
    if let Some(report) = payload.downcast_ref::<ErrorReport>() {
        return of(internal, report.message(), report.detail());
    }
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied());
    of(internal, text.unwrap_or("panic"), None)
}
