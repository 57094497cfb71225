//! File descriptors of clients count as Postgres's own.
//!
//! Postgres keeps below the limit of open files by closing files that it can open again (fd.c), which works as long as it knows of all others. A session
//! that used them up would leave none for the WAL, and that ends the server. So a client is counted before it starts, and there is an end of them.

use super::error;
use pgrx::pg_sys;

/// So many are left: what waits for a client wants one for a moment, and says less when there is none.
const SPARE: u32 = 8;

/// A number of descriptors, counted until it is dropped. On the main thread only.
pub struct Descriptors(u32);

impl Descriptors {
    /// Counts so many; raises 53000 if this process would have more than Postgres allows for files that it cannot close by itself (a third of
    /// `max_files_per_process`).
    pub fn acquire(count: u32) -> Descriptors {
        let mut acquired = Descriptors(0);
        if !acquired.more(count) {
            error::too_many_clients().raise();
        }
        acquired
    }

    /// Counts so many more, or none and is false.
    pub fn more(&mut self, count: u32) -> bool {
        let mut more = Descriptors(0);
        while more.0 < count + SPARE {
            // SAFETY: counts; false where there is no room.
            if !unsafe { pg_sys::AcquireExternalFD() } {
                return false;
            }
            more.0 += 1;
        }
        // The spare ones go with `more`.
        more.0 -= count;
        self.0 += count;
        true
    }

    /// As many as one holder may count: others want some too.
    pub fn most() -> u32 {
        // SAFETY: a setting.
        let files = unsafe { pg_sys::max_files_per_process };
        // A third is what Postgres lets be counted at all (fd.c).
        u32::try_from(files).unwrap_or(0) / 3 / 2
    }
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        for _ in 0..self.0 {
            // SAFETY: as often as acquired.
            unsafe { pg_sys::ReleaseExternalFD() }
        }
    }
}
