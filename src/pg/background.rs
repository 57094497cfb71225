//! Background workers: how they are registered, started and connected, and how one transaction of theirs runs. Their mains are in `src/entry`.

use super::relation::Oid;
use super::wait::Event;
use super::worker_session;
use pgrx::pg_sys;
use std::ffi::{CStr, c_char};
use std::time::Duration;

pub use super::process::{cancel, pid, terminate, wake};
pub use super::transaction::{Failure, log, transaction, transaction_id};

const LIBRARY: &CStr = c"redshift_streaming";
/// backend_type of a database's worker and of its ingest workers; redshift.worker_status knows them.
const WORKER_KIND: &CStr = c"redshift_streaming worker";
const INGEST_KIND: &CStr = c"redshift_streaming ingest";

mod unguarded {
    //! Signal handlers: called by the kernel, so they must be the functions themselves.
    unsafe extern "C-unwind" {
        pub fn die(signal: i32);
        pub fn SignalHandlerForConfigReload(signal: i32);
    }
}

mod postmaster {
    unsafe extern "C-unwind" {
        pub fn PostmasterIsAliveInternal() -> bool;
    }
}

/// A started worker.
pub struct Handle(*mut pg_sys::BackgroundWorkerHandle);

impl Handle {
    /// Has it ended (or never started)?
    pub fn has_ended(&self) -> bool {
        let mut pid = 0;
        // SAFETY: the handle is the one that registering gave.
        let status = unsafe { pg_sys::GetBackgroundWorkerPid(self.0, &mut pid) };
        matches!(
            status,
            pg_sys::BgwHandleStatus::BGWH_STOPPED | pg_sys::BgwHandleStatus::BGWH_POSTMASTER_DIED
        )
    }
}

/// Registers the launcher; called while shared_preload_libraries are loaded. Postgres starts it when recovery is over: at once on a primary,
/// at promotion on a standby.
pub fn register_launcher() {
    let mut worker = worker(
        c"redshift_streaming launcher",
        c"redshift_streaming launcher",
        c"redshift_launcher_main",
    );
    worker.bgw_restart_time = 5;
    // SAFETY: the struct is copied.
    unsafe { pg_sys::RegisterBackgroundWorker(&mut worker) }
}

/// Starts a database's worker (number 0) or one of its ingest workers; `None` if all of max_worker_processes are taken.
pub fn start_worker(database: Oid, number: usize) -> Option<Handle> {
    let (name, kind) = if number == 0 {
        ("worker".to_owned(), WORKER_KIND)
    } else {
        (format!("ingest worker {number}"), INGEST_KIND)
    };
    start(database, number, &name, kind, c"redshift_worker_main")
}

/// Starts the monitor of a database, in the same way.
pub fn start_monitor(database: Oid) -> Option<Handle> {
    let kind = c"redshift_streaming monitor";
    start(database, 0, "monitor", kind, c"redshift_monitor_main")
}

fn start(database: Oid, number: usize, what: &str, kind: &CStr, function: &CStr) -> Option<Handle> {
    let name = format!(
        "redshift_streaming {what} for database {}",
        database.to_u32()
    );
    let name = super::relation::c_text(&name);
    let mut worker = worker(&name, kind, function);
    worker.bgw_restart_time = pg_sys::BGW_NEVER_RESTART;
    worker.bgw_main_arg = pg_sys::Datum::from(u64::from(database.to_u32()) | (number as u64) << 32);
    // SAFETY: the struct is copied; the handle lives in TopMemoryContext.
    unsafe {
        worker.bgw_notify_pid = pg_sys::MyProcPid;
        let context = pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
        let mut handle = std::ptr::null_mut();
        let registered = pg_sys::RegisterDynamicBackgroundWorker(&mut worker, &mut handle);
        pg_sys::MemoryContextSwitchTo(context);
        registered.then_some(Handle(handle))
    }
}

fn worker(name: &CStr, kind: &CStr, function: &CStr) -> pg_sys::BackgroundWorker {
    let mut worker = pg_sys::BackgroundWorker {
        bgw_flags: (pg_sys::BGWORKER_SHMEM_ACCESS | pg_sys::BGWORKER_BACKEND_DATABASE_CONNECTION)
            as i32,
        bgw_start_time: pg_sys::BgWorkerStartTime::BgWorkerStart_RecoveryFinished,
        ..Default::default()
    };
    put(&mut worker.bgw_name, name);
    put(&mut worker.bgw_type, kind);
    put(&mut worker.bgw_library_name, LIBRARY);
    put(&mut worker.bgw_function_name, function);
    worker
}

/// Copies a string into a field of fixed length, which stays NUL-terminated.
fn put(field: &mut [c_char], text: &CStr) {
    let room = field.len() - 1;
    for (place, byte) in field[..room].iter_mut().zip(text.to_bytes()) {
        *place = *byte as c_char;
    }
}

/// Database and number of a worker, which the argument of its main function holds.
pub fn identity(argument: pg_sys::Datum) -> (Oid, usize) {
    let database = pg_sys::Oid::from(argument.value() as u32);
    (database, argument.value() >> 32)
}

/// Connects a process to a database, or to none: then only the shared catalogues can be read, and it stands in no database's way. Makes it independent of
/// settings that were meant for sessions.
///
/// # Safety
/// Called once, in a background worker.
pub unsafe fn connect(database: Option<Oid>) {
    let database = database.unwrap_or(pg_sys::InvalidOid);
    // SAFETY: the caller's promise.
    unsafe {
        pg_sys::BackgroundWorkerInitializeConnectionByOid(database, pg_sys::InvalidOid, 0);
    }
    worker_session::begin();
}

/// Names the process in pg_stat_activity.
pub fn introduce(database: Oid, number: usize) {
    // SAFETY: the name is a copy, or null if the database has just been dropped.
    let named =
        transaction(|| super::relation::text(unsafe { pg_sys::get_database_name(database) }));
    let database = named.ok().flatten().unwrap_or_default();
    let name = if number == 0 {
        format!("redshift_streaming worker {database}")
    } else {
        format!("redshift_streaming ingest {database} {number}")
    };
    worker_session::set(c"application_name", &super::relation::c_text(&name));
}

/// SIGTERM ends the process at the next interruptible point, SIGHUP asks for the settings to be read again.
///
/// # Safety
/// Called first, in a background worker.
pub unsafe fn handle_signals() {
    // SAFETY: handlers of Postgres's own (interrupt.c, postgres.c).
    unsafe {
        pg_sys::pqsignal(pg_sys::SIGTERM as i32, Some(unguarded::die));
        pg_sys::pqsignal(
            pg_sys::SIGHUP as i32,
            Some(unguarded::SignalHandlerForConfigReload),
        );
        pg_sys::BackgroundWorkerUnblockSignals();
    }
}

/// To be called in each round of a process: ends it if the server is gone, or if it was asked to end; also one that is too busy to sleep, where Postgres
/// itself would look.
pub fn begin_round() {
    // SAFETY: looks at the pipe that the postmaster holds open; proc_exit runs what Postgres does at a process's end.
    unsafe {
        if !postmaster::PostmasterIsAliveInternal() {
            pg_sys::proc_exit(1);
        }
    }
    super::wait::interruption();
    reload_settings();
}

/// Reads the configuration again if that was asked for.
fn reload_settings() {
    // SAFETY: reads and clears a flag of the signal handler's.
    unsafe {
        if pg_sys::ConfigReloadPending != 0 {
            pg_sys::ConfigReloadPending = 0;
            pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP);
        }
    }
}

/// Databases that take connections and are no templates. Reads pg_database itself: without a database there is no SQL.
pub fn databases() -> Vec<Oid> {
    let listed = transaction(|| {
        let mut found = Vec::new();
        // SAFETY: the pattern of get_database_list (autovacuum.c).
        unsafe {
            let relation =
                pg_sys::table_open(pg_sys::DatabaseRelationId, pg_sys::AccessShareLock as i32);
            let scan = pg_sys::table_beginscan_catalog(relation, 0, std::ptr::null_mut());
            loop {
                let tuple = pg_sys::heap_getnext(scan, pg_sys::ScanDirection::ForwardScanDirection);
                if tuple.is_null() {
                    break;
                }
                let row = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_database>();
                if row.datallowconn && !row.datistemplate {
                    found.push(row.oid);
                }
            }
            super::polyfill::end_scan(scan);
            pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
        }
        found
    });
    listed.unwrap_or_default()
}

/// Sleeps until the latch is set, at most so long; interruptible.
pub fn sleep(time: Duration, event: Event) {
    // SAFETY: waits as WaitLatch of every Postgres loop does.
    unsafe {
        let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
        pg_sys::WaitLatch(
            pg_sys::MyLatch,
            events as i32,
            time.as_millis() as _,
            event.number(),
        );
        pg_sys::ResetLatch(pg_sys::MyLatch);
    }
    super::wait::interruption();
}
