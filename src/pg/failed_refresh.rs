//! Refreshes that failed, in shared memory: their transactions are gone, so a worker writes them down.

use super::relation::Oid;
use super::shared;
use super::shared_memory::{self, SharedValues};
use pgrx::prelude::*;
use pgrx::{PGRXSharedMemory, pg_shmem_init, pg_sys};

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
struct Journal {
    failures: [Option<FailedRefresh>; RING],
    /// Failures for which there was no room.
    lost: i64,
}

impl Default for Journal {
    fn default() -> Journal {
        Journal {
            failures: [None; RING],
            lost: 0,
        }
    }
}

// SAFETY: plain values without pointers.
unsafe impl PGRXSharedMemory for Journal {}

// SAFETY: the name is unique to this extension.
static JOURNAL: SharedValues<Journal> =
    unsafe { SharedValues::new(c"redshift_streaming failures", || 1) };

/// Asks for the memory; called while shared_preload_libraries are loaded.
pub fn request() {
    pg_shmem_init!(JOURNAL = ());
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
    if !shared_memory::is_ready() {
        return;
    }
    super::noted_refresh::note(0);
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
    {
        let mut journals = JOURNAL.exclusive();
        let journal = &mut journals[0];
        let place = match journal.failures.iter().position(Option::is_none) {
            Some(place) => place,
            None => {
                journal.lost += 1;
                oldest_of_most(&journal.failures)
            }
        };
        journal.failures[place] = Some(entry);
    }
    shared::nudge_now(database);
}

/// Which failure gives way where there is no room: the oldest of the database that has most, so that one database, whose workers may be kept away, does not
/// take the others' room.
fn oldest_of_most(failures: &[Option<FailedRefresh>; RING]) -> usize {
    let all = || failures.iter().flatten();
    let most = all()
        .map(|one| one.database)
        .max_by_key(|database| all().filter(|one| one.database == *database).count());
    let of_most = failures.iter().enumerate().filter_map(|(place, one)| {
        let one = one.filter(|one| Some(one.database) == most)?;
        Some((one.ended, place))
    });
    of_most.min().map_or(0, |(_, place)| place)
}

/// Takes the failed refreshes of a database.
pub fn take_failures(database: Oid) -> Vec<Failed> {
    let number = database.to_u32();
    let mut journals = JOURNAL.exclusive();
    let of_database =
        |entry: &&mut Option<FailedRefresh>| entry.is_some_and(|failed| failed.database == number);
    let taken = journals[0]
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
    if shared_memory::is_ready() {
        JOURNAL.share()[0].lost
    } else {
        0
    }
}
