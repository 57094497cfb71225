//! Shared memory: which view each worker is loading. So a view's owner can stop its batch, and whoever waits for a worker can be told so.

use super::process;
use super::relation::Oid;
use super::shared_memory::{self, SharedValues};
use super::time::now_utc;
use pgrx::prelude::*;
use pgrx::{PGRXSharedMemory, pg_shmem_init, pg_sys};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Workers of all databases together. One that finds no place loads all the same, but nobody can stop its batches.
const PLACES: usize = 1024;
/// Views of all databases together that are left alone for a moment.
const HOLDS: usize = 128;
/// A statement that has stopped a batch has its locks after so long, or waits for something else.
const OWNERS_TURN: Duration = Duration::from_secs(5);
/// How long a view is left alone the first time that its batch cost a worker its life; twice as long the next time, and so on.
const PENALTY: Duration = Duration::from_secs(60);
/// The longest such time.
const LONGEST_PENALTY: Duration = Duration::from_secs(3_600);

/// A worker.
#[derive(Clone, Copy, Default)]
struct Place {
    database: u32,
    number: u32,
    /// 0 if the place is free.
    pid: i32,
    /// The table that it loads, 0 between batches.
    table: u32,
    /// Since when.
    since: i64,
    /// A statement of its owner's has stopped the batch.
    is_stopped: bool,
}

/// A view that no worker may load for a while.
#[derive(Clone, Copy, Default)]
struct Hold {
    database: u32,
    table: u32,
    until: i64,
    /// The session for which it is held, 0 if its batches have cost workers their lives: so many.
    session: i32,
    deaths: u32,
}

#[derive(Clone, Copy)]
struct Batches {
    places: [Place; PLACES],
    holds: [Hold; HOLDS],
}

impl Default for Batches {
    fn default() -> Batches {
        Batches {
            places: [Place::default(); PLACES],
            holds: [Hold::default(); HOLDS],
        }
    }
}

// SAFETY: plain values without pointers.
unsafe impl PGRXSharedMemory for Batches {}

// SAFETY: the name is unique to this extension.
static BATCHES: SharedValues<Batches> =
    unsafe { SharedValues::new(c"redshift_streaming batches", || 1) };

thread_local! {
    /// This worker's place.
    static MINE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The batch went on although it was cancelled, and the process ends.
static HAS_OUTLASTED: AtomicBool = AtomicBool::new(false);

/// This worker ends because its batch took no notice of its cancel. Called by a signal handler.
pub(super) fn note_outlasted() {
    HAS_OUTLASTED.store(true, Ordering::Relaxed);
}

/// Asks for the memory; called while shared_preload_libraries are loaded.
pub fn request() {
    pg_shmem_init!(BATCHES = ());
}

/// A worker introduces itself, after it is connected; taken back when the process ends.
pub(super) fn introduce(database: Oid, number: usize) {
    let mut guard = BATCHES.exclusive();
    let batches = &mut guard[0];
    let Some(free) = batches.places.iter().position(|place| place.pid == 0) else {
        return;
    };
    batches.places[free] = Place {
        database: database.to_u32(),
        number: number as u32,
        pid: process::pid(),
        ..Place::default()
    };
    drop(guard);
    MINE.set(Some(free));
    // SAFETY: called once a process: runs before shared memory is detached.
    unsafe { pg_sys::before_shmem_exit(Some(forget), pg_sys::Datum::from(0)) };
}

#[pg_guard]
unsafe extern "C-unwind" fn forget(_code: i32, _argument: pg_sys::Datum) {
    let Some(mine) = MINE.take() else { return };
    let mut guard = BATCHES.exclusive();
    let batches = &mut guard[0];
    let place = std::mem::take(&mut batches.places[mine]);
    if place.table != 0 && HAS_OUTLASTED.load(Ordering::Relaxed) {
        let old = batches.hold_of(place.database, place.table);
        let deaths = old.map_or(0, |hold| hold.deaths) + 1;
        let penalty = PENALTY.saturating_mul(1 << (deaths - 1).min(10));
        batches.hold(Hold {
            database: place.database,
            table: place.table,
            until: later(penalty.min(LONGEST_PENALTY)),
            session: 0,
            deaths,
        });
    }
}

fn later(time: Duration) -> i64 {
    now_utc() + i64::try_from(time.as_micros()).unwrap_or(i64::MAX / 2)
}

impl Batches {
    fn hold_of(&self, database: u32, table: u32) -> Option<Hold> {
        let mut holds = self.holds.iter();
        let is_it = |hold: &&Hold| hold.database == database && hold.table == table;
        holds.find(is_it).copied()
    }

    /// Puts it in the place of an older one of the same view, else of one that ends first.
    fn hold(&mut self, hold: Hold) {
        let is_same = |old: &Hold| old.database == hold.database && old.table == hold.table;
        let same = self.holds.iter().position(is_same);
        let place = same.or_else(|| {
            let places = self.holds.iter().enumerate();
            places.min_by_key(|(_, old)| old.until).map(|(at, _)| at)
        });
        if let Some(place) = place {
            self.holds[place] = hold;
        }
    }
}

/// Why a batch may not begin now.
pub struct Held {
    /// How long.
    pub time: Duration,
    /// So many workers died of its batches; 0: its owner's statement has stopped the last one.
    pub deaths: u32,
}

/// This worker begins to load a table, unless that is to be left alone.
pub(super) fn begin(table: Oid) -> Result<(), Held> {
    let Some(mine) = MINE.get() else {
        return Ok(());
    };
    let now = now_utc();
    let mut guard = BATCHES.exclusive();
    let batches = &mut guard[0];
    let database = batches.places[mine].database;
    if let Some(hold) = batches.hold_of(database, table.to_u32())
        && hold.until > now
    {
        let left = u64::try_from(hold.until - now).unwrap_or(0);
        return Err(Held {
            time: Duration::from_micros(left),
            deaths: hold.deaths,
        });
    }
    let place = &mut batches.places[mine];
    (place.table, place.since, place.is_stopped) = (table.to_u32(), now, false);
    Ok(())
}

/// The batch has ended, in whatever way. If a statement of its owner's has stopped it: how long that holds the view, as far as it is known.
pub(super) fn end() -> Option<Duration> {
    let mine = MINE.get()?;
    let mut guard = BATCHES.exclusive();
    let batches = &mut guard[0];
    let place = &mut batches.places[mine];
    let (database, table) = (place.database, std::mem::take(&mut place.table));
    if !std::mem::take(&mut place.is_stopped) {
        return None;
    }
    let hold = batches.hold_of(database, table);
    let left = hold.map_or(0, |hold| hold.until - now_utc());
    Some(Duration::from_micros(u64::try_from(left).unwrap_or(0)))
}

fn this_database() -> u32 {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::MyDatabaseId }.to_u32()
}

/// The tables that workers of this database are loading.
pub fn loaded() -> Vec<Oid> {
    let database = this_database();
    if !shared_memory::is_ready() {
        return Vec::new();
    }
    let guard = BATCHES.share();
    let batches = &guard[0];
    let places = batches.places.iter();
    let loaded = places.filter(|place| place.database == database && place.table != 0);
    loaded.map(|place| Oid::from(place.table)).collect()
}

/// Is a worker of this database loading the table?
pub fn is_loading(table: Oid) -> bool {
    let database = this_database();
    shared_memory::is_ready()
        && BATCHES.share()[0]
            .places
            .iter()
            .any(|place| place.database == database && place.table == table.to_u32())
}

/// Stops the batches that are being loaded into a table, for a statement of its owner's: they roll back, and none begins before this transaction ends, or
/// for a few seconds. Whose the table is must have been checked. True if there was one.
pub fn stop(table: Oid) -> bool {
    if !shared_memory::is_ready() {
        return false;
    }
    let (database, table) = (this_database(), table.to_u32());
    let mut guard = BATCHES.exclusive();
    let batches = &mut guard[0];
    let mut found = false;
    for place in &mut batches.places {
        let is_other = place.pid != 0 && place.pid != process::pid();
        if is_other && place.database == database && place.table == table {
            found = true;
            place.is_stopped = true;
            // Sent under the lock, which the worker takes to go on to another view: the signal is there before that.
            process::cancel(place.pid);
        }
    }
    if found || batches.hold_of(database, table).is_some() {
        batches.hold(Hold {
            database,
            table,
            until: later(OWNERS_TURN),
            session: process::pid(),
            deaths: 0,
        });
        drop(guard);
        release_at_end();
    }
    found
}

fn release_at_end() {
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    HOLDS_SOME.store(true, Ordering::Relaxed);
    if !REGISTERED.swap(true, Ordering::Relaxed) {
        // SAFETY: registered once a process.
        unsafe { pg_sys::RegisterXactCallback(Some(at_end_of_transaction), std::ptr::null_mut()) };
    }
}

static HOLDS_SOME: AtomicBool = AtomicBool::new(false);

#[pg_guard]
unsafe extern "C-unwind" fn at_end_of_transaction(
    event: pg_sys::XactEvent::Type,
    _argument: *mut std::ffi::c_void,
) {
    use pg_sys::XactEvent::{XACT_EVENT_ABORT, XACT_EVENT_COMMIT};
    let ends = event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT;
    if ends && HOLDS_SOME.swap(false, Ordering::Relaxed) {
        let session = process::pid();
        for hold in &mut BATCHES.exclusive()[0].holds {
            if hold.session == session {
                *hold = Hold::default();
            }
        }
    }
}

/// A worker of this database, as whoever may see a view may see it.
pub struct Loader {
    /// The process.
    pub pid: i32,
    /// Since when (UTC) it has been loading another table than this one.
    pub busy_since: Option<i64>,
}

/// The worker of that number, seen from a view.
pub fn loader(number: i32, table: Oid) -> Option<Loader> {
    if !shared_memory::is_ready() {
        return None;
    }
    let database = this_database();
    let guard = BATCHES.share();
    let batches = &guard[0];
    let mut places = batches.places.iter();
    let place = places.find(|place| {
        place.pid != 0 && place.database == database && i64::from(place.number) == i64::from(number)
    })?;
    let is_other = place.table != 0 && place.table != table.to_u32();
    Some(Loader {
        pid: place.pid,
        busy_since: is_other.then_some(place.since),
    })
}
