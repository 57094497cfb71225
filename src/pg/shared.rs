//! Shared memory: which workers serve which database, and who keeps them away from it.
//!
//! A database has a slot while something of it runs or has to run; what is only remembered of one makes room for another (`redshift.max_databases`).

use super::process::{self, wake};
use super::relation::Oid;
use super::shared_memory::SharedValues;
use crate::pg::setting;
use pgrx::prelude::*;
use pgrx::{PGRXSharedMemory, pg_shmem_init, pg_sys};
use std::time::Duration;

pub use super::shared_memory::is_ready;

/// Workers that a database can have.
pub const MOST_WORKERS: usize = settings::setting::MOST_WORKERS as usize;

#[derive(Clone, Copy, Default)]
pub(super) struct Slot {
    pub database: u32,
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
    /// How many statements want the database for themselves: no worker may start.
    pub holds: u32,
    /// Before this moment no statement may stop the workers again.
    pub rest_until: i64,
    /// How often records were committed to streams that the database keeps.
    records_told: u64,
    /// How often somebody changed a setting of the database, or of the role that workers have.
    settings_changes: u64,
    /// When topics that have appeared were last looked for.
    synced: i64,
}

impl Slot {
    fn is_first(&self, pid: i32) -> bool {
        self.pids[0] == pid
    }

    pub fn processes(&self) -> impl Iterator<Item = i32> + use<> {
        self.pids
            .into_iter()
            .chain([self.monitor])
            .filter(|pid| *pid != 0)
    }

    /// Somebody has to look what there is to do.
    pub fn nudge(&mut self) {
        self.nudged = true;
    }

    /// Has nothing to be done, and nobody there: all that it holds may be forgotten.
    fn is_idle(&self) -> bool {
        !self.wanted
            && !self.nudged
            && !self.has_lag_limits
            && self.holds == 0
            && self.processes().next().is_none()
    }

    /// What is forgotten first: who had no extension when he was looked at, then who was looked at longest ago.
    fn worth(&self) -> (bool, i64) {
        (!self.no_extension, self.synced)
    }
}

// SAFETY: plain values without pointers.
unsafe impl PGRXSharedMemory for Slot {}

// SAFETY: the name is unique to this extension.
static SLOTS: SharedValues<Slot> =
    unsafe { SharedValues::new(c"redshift_streaming databases", setting::max_databases) };

/// What is of the whole server.
#[derive(Clone, Copy, Default)]
struct Server {
    launcher: i32,
    /// The last time that the launcher wanted to start a process no background worker was free.
    is_full: bool,
}

// SAFETY: plain values without pointers.
unsafe impl PGRXSharedMemory for Server {}

// SAFETY: the name is unique to this extension.
static SERVER: SharedValues<Server> = unsafe { SharedValues::new(c"redshift_streaming", || 1) };

/// Asks for the memory; called while shared_preload_libraries are loaded.
pub fn request() {
    pg_shmem_init!(SLOTS = ());
    pg_shmem_init!(SERVER = ());
}

/// Changes the slot of a database, which is taken if it has none; `None` if there is no room, or no shared memory.
pub(super) fn with_slot<T>(database: Oid, change: impl FnOnce(&mut Slot) -> T) -> Option<T> {
    if !is_ready() {
        return None;
    }
    let number = database.to_u32();
    let mut slots = SLOTS.exclusive();
    let place = match slots.iter().position(|slot| slot.database == number) {
        Some(place) => place,
        None => {
            let place = place_for_another(&slots)?;
            slots[place] = Slot {
                database: number,
                ..Slot::default()
            };
            place
        }
    };
    Some(change(&mut slots[place]))
}

/// A free slot, or one that holds nothing but what may be forgotten.
fn place_for_another(slots: &[Slot]) -> Option<usize> {
    let free = slots.iter().position(|slot| slot.database == 0);
    free.or_else(|| {
        let idle = slots.iter().enumerate().filter(|(_, slot)| slot.is_idle());
        idle.min_by_key(|(_, slot)| slot.worth())
            .map(|(place, _)| place)
    })
}

/// The slot of a database as it is now; `None` if it has none.
fn slot(database: Oid) -> Option<Slot> {
    if !is_ready() {
        return None;
    }
    let number = database.to_u32();
    let slots = SLOTS.share();
    slots.iter().find(|slot| slot.database == number).copied()
}

/// Changes the slot of a database if it has one.
fn in_slot<T>(database: Oid, change: impl FnOnce(&mut Slot) -> T) -> Option<T> {
    if !is_ready() {
        return None;
    }
    let number = database.to_u32();
    let mut slots = SLOTS.exclusive();
    let slot = slots.iter_mut().find(|slot| slot.database == number)?;
    Some(change(slot))
}

/// The launcher introduces itself.
pub fn set_launcher() {
    SERVER.exclusive()[0].launcher = process::pid();
}

/// The launcher has wanted to start a process: was there none free?
pub fn set_full(is_full: bool) {
    SERVER.exclusive()[0].is_full = is_full;
}

/// Why no worker loads in this database, as far as shared memory tells.
pub enum Obstacle {
    /// The library is not in shared_preload_libraries.
    NotPreloaded,
    /// So many databases have workers already, and no more can have any.
    TooManyDatabases(usize),
    /// All of max_worker_processes are taken.
    NoFreeProcess,
}

/// What keeps workers from this database.
pub fn obstacle(database: Oid) -> Option<Obstacle> {
    if !is_ready() {
        return Some(Obstacle::NotPreloaded);
    }
    let number = database.to_u32();
    {
        let slots = SLOTS.share();
        let has_slot = slots.iter().any(|slot| slot.database == number);
        if !has_slot && place_for_another(&slots).is_none() {
            return Some(Obstacle::TooManyDatabases(slots.len()));
        }
    }
    SERVER.share()[0].is_full.then_some(Obstacle::NoFreeProcess)
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

/// Takes the wishes of a database. One without a slot has none, and may be looked at.
pub fn take_wish(database: Oid) -> Wish {
    let wish = in_slot(database, |slot| Wish {
        wanted: slot.wanted,
        // A worker that runs takes it itself.
        nudged: slot.is_first(0) && std::mem::take(&mut slot.nudged),
        held: slot.holds > 0,
    });
    wish.unwrap_or(Wish {
        wanted: false,
        nudged: false,
        held: false,
    })
}

/// Does something wait for a worker of the database?
pub fn is_wanted(database: Oid) -> bool {
    slot(database).is_some_and(|slot| slot.wanted || slot.nudged)
}

/// Is it known that there is work in the database, so that its slot is its own?
pub fn is_settled(database: Oid) -> bool {
    slot(database).is_some_and(|slot| slot.wanted)
}

/// How many slots are nobody's own.
pub fn places() -> usize {
    SLOTS.share().iter().filter(|slot| !slot.wanted).count()
}

/// Forgets databases that are gone.
pub fn forget_other_databases(existing: &[Oid]) {
    for slot in SLOTS.exclusive().iter_mut() {
        let exists = |database: &Oid| database.to_u32() == slot.database;
        if slot.database != 0 && !existing.iter().any(exists) {
            *slot = Slot::default();
        }
    }
}

/// What becomes of a worker that introduces itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It is the worker of its number.
    Taken,
    /// It is not wanted: another one has the number, or the database shall be left alone.
    NotWanted,
    /// So many other databases have workers that there is none for this one.
    NoRoom,
}

/// A worker introduces itself with its number; taken back when the process ends.
pub fn set_worker(database: Oid, number: usize) -> Place {
    let taken = with_slot(database, |slot| {
        let free = slot.pids[number] == 0 && slot.holds == 0;
        if free {
            slot.pids[number] = process::pid();
        }
        free
    });
    match taken {
        None => return Place::NoRoom,
        Some(false) => return Place::NotWanted,
        Some(true) => {}
    }
    let argument = pg_sys::Datum::from(u64::from(database.to_u32()) | (number as u64) << 32);
    // SAFETY: called once a process, after the connection: runs before shared memory is detached.
    unsafe { pg_sys::before_shmem_exit(Some(forget_worker), argument) };
    wake_workers(database);
    Place::Taken
}

#[pg_guard]
unsafe extern "C-unwind" fn forget_worker(_code: i32, argument: pg_sys::Datum) {
    let (database, number) = (argument.value() as u32, argument.value() >> 32);
    let database = pg_sys::Oid::from(database);
    in_slot(database, |slot| {
        if slot.pids[number] == process::pid() {
            slot.pids[number] = 0;
        }
        // A database that was only looked at takes nothing.
        if slot.is_idle() && slot.synced == 0 {
            *slot = Slot::default();
        }
    });
    wake_workers(database);
}

/// Tells the workers of this database that records were committed to a stream that it keeps.
pub fn tell_of_records() {
    // SAFETY: reads a variable of the backend.
    let database = unsafe { pg_sys::MyDatabaseId };
    in_slot(database, |slot| slot.records_told += 1);
    wake_workers(database);
}

/// How often they were told.
pub fn records_told() -> u64 {
    // SAFETY: as above.
    let slot = slot(unsafe { pg_sys::MyDatabaseId });
    slot.map_or(0, |slot| slot.records_told)
}

/// Wakes all workers of a database.
fn wake_workers(database: Oid) {
    let workers = slot(database);
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
    /// How often somebody changed a setting that workers read when they connect.
    pub settings_changes: u64,
}

/// The workers of a database, as they are now.
pub fn crew(database: Oid) -> Crew {
    let slot = slot(database).unwrap_or_default();
    let useful = slot.useful_workers.clamp(1, MOST_WORKERS);
    let others = slot.pids[1..useful].iter().take_while(|pid| **pid != 0);
    Crew {
        running: 1 + others.count(),
        useful,
        changes: slot.changes,
        source_changes: slot.source_changes,
        settings_changes: slot.settings_changes,
    }
}

/// Does the worker of this number run?
pub fn is_running(database: Oid, number: usize) -> bool {
    slot(database).is_some_and(|slot| slot.pids[number] != 0)
}

/// The first worker says how many there should be.
pub fn set_useful_workers(database: Oid, count: usize) {
    let changed = in_slot(database, |slot| {
        std::mem::replace(&mut slot.useful_workers, count) != count
    });
    if changed == Some(true) {
        wake_workers(database);
    }
}

/// A monitor introduces itself; taken back when the process ends. False if it is not wanted, as for a worker.
pub fn set_monitor(database: Oid) -> bool {
    let taken = with_slot(database, |slot| {
        let free = slot.monitor == 0 && slot.holds == 0;
        if free {
            slot.monitor = process::pid();
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
    in_slot(pg_sys::Oid::from(database.value() as u32), |slot| {
        if slot.monitor == process::pid() {
            slot.monitor = 0;
        }
    });
}

/// The monitor of a database (0 if none runs); `None` where there is no extension to write for.
pub fn monitor_of(database: Oid) -> Option<i32> {
    match slot(database) {
        Some(slot) if slot.no_extension => None,
        Some(slot) => Some(slot.monitor),
        None => Some(0),
    }
}

/// May a monitor start now: is the extension there, or was not looked for yet, and nobody wants the database for himself?
pub fn may_monitor(database: Oid) -> bool {
    slot(database).is_none_or(|slot| !slot.no_extension && slot.holds == 0)
}

/// Has a view of the database limits of its own for its lag, as far as the first worker knows?
pub fn has_lag_limits(database: Oid) -> bool {
    slot(database).is_some_and(|slot| slot.has_lag_limits)
}

/// The first worker has looked; the launcher is to start a monitor.
pub fn set_lag_limits(database: Oid, exist: bool) {
    let before = in_slot(database, |slot| {
        std::mem::replace(&mut slot.has_lag_limits, exist)
    });
    if exist && before == Some(false) {
        wake(launcher());
    }
}

/// The launcher.
pub fn launcher() -> i32 {
    SERVER.share()[0].launcher
}

/// A monitor has looked whether the extension is there.
pub fn set_extension(database: Oid, exists: bool) {
    in_slot(database, |slot| slot.no_extension = !exists);
}

/// Whether there is something to do in the database.
pub fn set_wanted(database: Oid, wanted: bool) {
    in_slot(database, |slot| slot.wanted = wanted);
}

/// Somebody has changed a view.
pub(super) fn note_view_change(database: Oid) {
    with_slot(database, |slot| {
        slot.nudged = true;
        slot.changes += 1;
        slot.no_extension = false;
    });
    wake_workers(database);
    wake(launcher());
}

/// Somebody has changed a server or a user mapping.
pub(super) fn note_source_change(database: Oid) {
    with_slot(database, |slot| {
        slot.nudged = true;
        slot.source_changes += 1;
    });
    wake_workers(database);
    wake(launcher());
}

/// Somebody has changed a setting that workers read when they connect, in one database or in all.
pub(super) fn renew(database: Option<Oid>) {
    let pids: Vec<i32> = {
        let mut slots = SLOTS.exclusive();
        let is_meant = |slot: &&mut Slot| database.is_none_or(|of| of.to_u32() == slot.database);
        let slots = slots.iter_mut().filter(is_meant);
        slots
            .flat_map(|slot| {
                slot.settings_changes += 1;
                slot.processes()
            })
            .collect()
    };
    pids.into_iter().for_each(wake);
}

/// The first worker has seen what the launcher would have started it for. Until it has read the list of views anew it is wanted: stopped before, it would
/// leave nothing behind that says so.
pub fn take_nudge(database: Oid) {
    in_slot(database, |slot| {
        slot.wanted |= std::mem::take(&mut slot.nudged)
    });
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

/// There is something to do in the database at once, whatever becomes of this transaction.
pub(super) fn nudge_now(database: Oid) {
    let worker = with_slot(database, |slot| {
        slot.nudged = true;
        slot.pids[0]
    });
    wake(worker.unwrap_or(0));
    wake(launcher());
}
