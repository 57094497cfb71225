//! Shared memory: which workers serve which database, and who asks them to step aside.

use super::background::{self, wake};
use super::relation::Oid;
use super::wait::Event;
use pgrx::prelude::*;
use pgrx::{PGRXSharedMemory, PgLwLock, pg_shmem_init, pg_sys};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Databases that can have workers at a time.
const SLOTS: usize = 64;
/// Workers that a database can have.
pub const MOST_WORKERS: usize = 16;
/// A request to step aside ends by itself: the statement behind it has its locks by then, or has failed.
const HOLD_MICROSECONDS: i64 = 10_000_000;

#[derive(Clone, Copy, Default)]
struct Slot {
    database: u32,
    /// The database's worker, then its ingest workers; 0 for those that do not run.
    pids: [i32; MOST_WORKERS],
    /// How many there should be, as the first has found.
    useful_workers: usize,
    /// There is something to do: a worker that ends must be replaced.
    wanted: bool,
    /// Somebody changed a view, or left a failure: the launcher shall start a worker if none runs.
    nudged: bool,
    /// How often somebody changed a view.
    changes: u64,
    /// The same of servers and user mappings.
    source_changes: u64,
    /// The monitor, 0 if there is none.
    monitor: i32,
    /// A view has limits of its own for its lag, so a monitor is wanted.
    has_lag_limits: bool,
    /// A monitor found no extension in the database.
    no_extension: bool,
    /// No worker may start before this moment.
    held_until: i64,
    /// When topics that have appeared were last looked for.
    synced: i64,
}

impl Slot {
    fn is_first(&self, pid: i32) -> bool {
        self.pids[0] == pid
    }

    fn processes(&self) -> impl Iterator<Item = i32> {
        self.pids
            .into_iter()
            .chain([self.monitor])
            .filter(|pid| *pid != 0)
    }
}

/// Failures that wait for a worker to write them down.
const RING: usize = 256;
/// Of a longer error text the beginning is kept.
const TEXT_BYTES: usize = 512;

/// A refresh that failed, as its backend leaves it: the transaction is gone, so it cannot write anything itself.
#[derive(Clone, Copy)]
struct FailedRefresh {
    database: u32,
    table: u32,
    user: u32,
    pid: i32,
    transaction_id: i64,
    started: i64,
    ended: i64,
    length: usize,
    text: [u8; TEXT_BYTES],
}

#[derive(Clone, Copy)]
struct Shared {
    launcher: i32,
    slots: [Slot; SLOTS],
    failures: [Option<FailedRefresh>; RING],
    /// Failures for which there was no room.
    lost: i64,
}

impl Default for Shared {
    fn default() -> Shared {
        Shared {
            launcher: 0,
            slots: [Slot::default(); SLOTS],
            failures: [None; RING],
            lost: 0,
        }
    }
}

// SAFETY: plain values without pointers.
unsafe impl PGRXSharedMemory for Shared {}

// SAFETY: the name is unique to this extension.
static SHARED: PgLwLock<Shared> = unsafe { PgLwLock::new(c"redshift_streaming") };
static READY: AtomicBool = AtomicBool::new(false);

/// Asks for the memory; called while shared_preload_libraries are loaded.
pub(super) fn request() {
    pg_shmem_init!(SHARED);
    super::statement_ring::request();
    super::batch_table::request();
    READY.store(true, Ordering::Relaxed);
}

/// Is the library in shared_preload_libraries, so that there are workers?
pub fn is_ready() -> bool {
    READY.load(Ordering::Relaxed)
}

fn with_slot<T>(database: Oid, change: impl FnOnce(&mut Slot) -> T) -> Option<T> {
    if !is_ready() {
        return None;
    }
    let number = database.to_u32();
    let mut shared = SHARED.exclusive();
    let taken = shared.slots.iter().position(|slot| slot.database == number);
    let place = taken.or_else(|| shared.slots.iter().position(|slot| slot.database == 0))?;
    let slot = &mut shared.slots[place];
    slot.database = number;
    Some(change(slot))
}

/// The launcher introduces itself.
pub fn set_launcher() {
    SHARED.exclusive().launcher = background::pid();
}

/// What the launcher needs to know of a database.
pub struct Wish {
    /// A worker has, or had when it ended, something to do.
    pub wanted: bool,
    /// Somebody changed a view since this was last asked.
    pub nudged: bool,
    /// No worker may start now.
    pub held: bool,
}

/// Takes the wishes of a database.
pub fn take_wish(database: Oid) -> Option<Wish> {
    let now = super::time::now_utc();
    with_slot(database, |slot| Wish {
        wanted: slot.wanted,
        // A worker that runs takes it itself.
        nudged: slot.is_first(0) && std::mem::take(&mut slot.nudged),
        held: slot.held_until > now,
    })
}

/// Forgets databases that are gone.
pub fn forget_other_databases(existing: &[Oid]) {
    let mut shared = SHARED.exclusive();
    for slot in &mut shared.slots {
        if slot.database != 0
            && !existing
                .iter()
                .any(|database| database.to_u32() == slot.database)
        {
            *slot = Slot::default();
        }
    }
}

/// A worker introduces itself with its number; taken back when the process ends. False if it is not wanted: another one has the number, or the
/// database shall be left alone.
pub fn set_worker(database: Oid, number: usize) -> bool {
    let now = super::time::now_utc();
    let taken = with_slot(database, |slot| {
        let free = slot.pids[number] == 0 && slot.held_until <= now;
        if free {
            slot.pids[number] = background::pid();
        }
        free
    });
    if taken != Some(true) {
        return false;
    }
    let argument = pg_sys::Datum::from(u64::from(database.to_u32()) | (number as u64) << 32);
    // SAFETY: called once a process, after the connection: runs before shared memory is detached.
    unsafe { pg_sys::before_shmem_exit(Some(forget_worker), argument) };
    wake_workers(database);
    true
}

#[pg_guard]
unsafe extern "C-unwind" fn forget_worker(_code: i32, argument: pg_sys::Datum) {
    let (database, number) = (argument.value() as u32, argument.value() >> 32);
    let database = pg_sys::Oid::from(database);
    with_slot(database, |slot| {
        if slot.pids[number] == background::pid() {
            slot.pids[number] = 0;
        }
    });
    wake_workers(database);
}

/// Wakes all workers of a database.
fn wake_workers(database: Oid) {
    let workers = with_slot(database, |slot| *slot);
    for pid in workers.iter().flat_map(Slot::processes) {
        wake(pid);
    }
}

/// What a worker has to follow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Crew {
    /// How many workers share the views: the first and those that run, without a number left out.
    pub running: usize,
    /// How many there should be.
    pub useful: usize,
    /// How often somebody changed a view.
    pub changes: u64,
    /// How often somebody changed a server or a user mapping.
    pub source_changes: u64,
}

/// The workers of a database, as they are now.
pub fn crew(database: Oid) -> Crew {
    let slot = with_slot(database, |slot| *slot).unwrap_or_default();
    let useful = slot.useful_workers.clamp(1, MOST_WORKERS);
    let others = slot.pids[1..useful].iter().take_while(|pid| **pid != 0);
    Crew {
        running: 1 + others.count(),
        useful,
        changes: slot.changes,
        source_changes: slot.source_changes,
    }
}

/// Does the worker of this number run?
pub fn is_running(database: Oid, number: usize) -> bool {
    with_slot(database, |slot| slot.pids[number] != 0).unwrap_or(false)
}

/// The first worker says how many there should be.
pub fn set_useful_workers(database: Oid, count: usize) {
    let changed = with_slot(database, |slot| {
        std::mem::replace(&mut slot.useful_workers, count) != count
    });
    if changed == Some(true) {
        wake_workers(database);
    }
}

/// A monitor introduces itself; taken back when the process ends. False if it is not wanted, as for a worker.
pub fn set_monitor(database: Oid) -> bool {
    let now = super::time::now_utc();
    let taken = with_slot(database, |slot| {
        let free = slot.monitor == 0 && slot.held_until <= now;
        if free {
            slot.monitor = background::pid();
        }
        free
    });
    if taken == Some(true) {
        // SAFETY: as for a worker.
        unsafe { pg_sys::before_shmem_exit(Some(forget_monitor), pg_sys::Datum::from(database)) };
    }
    taken == Some(true)
}

#[pg_guard]
unsafe extern "C-unwind" fn forget_monitor(_code: i32, database: pg_sys::Datum) {
    with_slot(pg_sys::Oid::from(database.value() as u32), |slot| {
        if slot.monitor == background::pid() {
            slot.monitor = 0;
        }
    });
}

/// The monitor of a database (0 if none runs); `None` where there is no extension to write for.
pub(super) fn monitor_of(database: Oid) -> Option<i32> {
    let number = database.to_u32();
    let shared = SHARED.share();
    match shared.slots.iter().find(|slot| slot.database == number) {
        Some(slot) if slot.no_extension => None,
        Some(slot) => Some(slot.monitor),
        None => Some(0),
    }
}

/// May a monitor start now: is the extension there, or was not looked for yet, and nobody wants the database for himself?
pub fn may_monitor(database: Oid) -> bool {
    let now = super::time::now_utc();
    with_slot(database, |slot| {
        !slot.no_extension && slot.held_until <= now
    })
    .unwrap_or(false)
}

/// Has a view of the database limits of its own for its lag, as far as the first worker knows?
pub fn has_lag_limits(database: Oid) -> bool {
    with_slot(database, |slot| slot.has_lag_limits).unwrap_or(false)
}

/// The first worker has looked; the launcher is to start a monitor.
pub fn set_lag_limits(database: Oid, exist: bool) {
    let before = with_slot(database, |slot| {
        std::mem::replace(&mut slot.has_lag_limits, exist)
    });
    if exist && before == Some(false) {
        wake(launcher());
    }
}

/// The launcher.
pub(super) fn launcher() -> i32 {
    SHARED.share().launcher
}

/// A monitor has looked whether the extension is there.
pub fn set_extension(database: Oid, exists: bool) {
    with_slot(database, |slot| slot.no_extension = !exists);
}

/// Whether there is something to do in the database.
pub fn set_wanted(database: Oid, wanted: bool) {
    with_slot(database, |slot| slot.wanted = wanted);
}

/// Views of this database have changed: when the transaction commits, its worker looks (or is started).
pub fn nudge_at_commit() {
    NUDGE.store(is_ready(), Ordering::Relaxed);
    register_nudge();
}

/// The same for servers and user mappings: the workers wake up to hear what has changed, and look at no view that does not depend on it.
pub(super) fn nudge_sources_at_commit() {
    NUDGE_SOURCES.store(is_ready(), Ordering::Relaxed);
    register_nudge();
}

fn register_nudge() {
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if is_ready() && !REGISTERED.swap(true, Ordering::Relaxed) {
        // SAFETY: registered once a process.
        unsafe { pg_sys::RegisterXactCallback(Some(at_end_of_transaction), std::ptr::null_mut()) };
    }
}

static NUDGE: AtomicBool = AtomicBool::new(false);
static NUDGE_SOURCES: AtomicBool = AtomicBool::new(false);

#[pg_guard]
unsafe extern "C-unwind" fn at_end_of_transaction(
    event: pg_sys::XactEvent::Type,
    _argument: *mut std::ffi::c_void,
) {
    use pg_sys::XactEvent::{XACT_EVENT_ABORT, XACT_EVENT_COMMIT};
    let is_end = event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT;
    let of_sources = is_end && NUDGE_SOURCES.swap(false, Ordering::Relaxed);
    if event == XACT_EVENT_COMMIT && of_sources {
        // SAFETY: reads a variable of the backend.
        let database = unsafe { pg_sys::MyDatabaseId };
        with_slot(database, |slot| {
            slot.nudged = true;
            slot.source_changes += 1;
        });
        wake_workers(database);
        wake(launcher());
    }
    if event == XACT_EVENT_COMMIT && NUDGE.swap(false, Ordering::Relaxed) {
        // SAFETY: reads a variable of the backend.
        let database = unsafe { pg_sys::MyDatabaseId };
        with_slot(database, |slot| {
            slot.nudged = true;
            slot.changes += 1;
            slot.no_extension = false;
        });
        wake_workers(database);
        wake(launcher());
    } else if event == XACT_EVENT_ABORT {
        NUDGE.store(false, Ordering::Relaxed);
    }
}

/// Makes the workers of a database end and keeps them away for a moment, so that the database can be dropped, renamed or copied.
pub(super) fn step_aside(database: Oid) {
    let until = super::time::now_utc() + HOLD_MICROSECONDS;
    let workers = with_slot(database, |slot| {
        slot.held_until = until;
        *slot
    });
    for pid in workers.iter().flat_map(Slot::processes) {
        background::terminate(pid);
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    let some_run = || with_slot(database, |slot| slot.processes().next().is_some());
    while some_run() == Some(true) && Instant::now() < deadline {
        background::sleep(Duration::from_millis(10), Event::WorkerEnd);
    }
}

/// The first worker has seen what the launcher would have started it for.
pub fn take_nudge(database: Oid) {
    with_slot(database, |slot| slot.nudged = false);
}

/// Is it time to look for topics that have appeared? Says so once in each interval.
pub fn take_sync_turn(database: Oid, interval: Duration) -> bool {
    // A little early: workers that only look are started once a minute, and a moment less shall not cost a turn.
    let pause = i64::try_from((interval - interval / 10).as_micros()).unwrap_or(i64::MAX);
    let now = super::time::now_utc();
    let due = with_slot(database, |slot| {
        let due = now.saturating_sub(slot.synced) >= pause;
        if due {
            slot.synced = now;
        }
        due
    });
    due == Some(true)
}

/// Puts a nudge back that could not be acted on.
pub fn renudge(database: Oid) {
    with_slot(database, |slot| slot.nudged = true);
}

/// A failed refresh, for the journal.
pub struct Failed {
    /// The landing table.
    pub table: Oid,
    /// Who refreshed.
    pub user: Oid,
    /// The process.
    pub pid: i32,
    /// Its transaction, 0 if it had no id.
    pub transaction_id: i64,
    /// Begin and end, timestamps in UTC.
    pub times: (i64, i64),
    /// The error.
    pub error: String,
}

/// Leaves a failed refresh for the journal. Called while an error is on its way: nothing here looks into the catalogue.
pub fn leave_failure(failed: &Failed) {
    if !is_ready() {
        return;
    }
    super::statement_history::note_refresh(0);
    let mut end = failed.error.len().min(TEXT_BYTES);
    while !failed.error.is_char_boundary(end) {
        end -= 1;
    }
    let mut text = [0; TEXT_BYTES];
    text[..end].copy_from_slice(&failed.error.as_bytes()[..end]);
    // SAFETY: reads a variable of the backend.
    let database = unsafe { pg_sys::MyDatabaseId };
    let entry = FailedRefresh {
        database: database.to_u32(),
        table: failed.table.to_u32(),
        user: failed.user.to_u32(),
        pid: failed.pid,
        transaction_id: failed.transaction_id,
        started: failed.times.0,
        ended: failed.times.1,
        length: end,
        text,
    };
    let launcher = {
        let mut shared = SHARED.exclusive();
        match shared.failures.iter().position(Option::is_none) {
            Some(place) => shared.failures[place] = Some(entry),
            None => shared.lost += 1,
        }
        shared.launcher
    };
    let worker = with_slot(database, |slot| {
        slot.nudged = true;
        slot.pids[0]
    });
    wake(worker.unwrap_or(0));
    wake(launcher);
}

/// Takes the failed refreshes of a database.
pub fn take_failures(database: Oid) -> Vec<Failed> {
    let number = database.to_u32();
    let mut shared = SHARED.exclusive();
    let of_database =
        |entry: &&mut Option<FailedRefresh>| entry.is_some_and(|failed| failed.database == number);
    let taken = shared
        .failures
        .iter_mut()
        .filter(of_database)
        .filter_map(Option::take);
    taken
        .map(|entry| Failed {
            table: pg_sys::Oid::from(entry.table),
            user: pg_sys::Oid::from(entry.user),
            pid: entry.pid,
            transaction_id: entry.transaction_id,
            times: (entry.started, entry.ended),
            error: String::from_utf8_lossy(&entry.text[..entry.length]).into_owned(),
        })
        .collect()
}

/// Failures since the server's start that the journal had no room for.
pub fn lost_failures() -> i64 {
    if is_ready() { SHARED.share().lost } else { 0 }
}
