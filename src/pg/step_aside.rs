//! Statements that want a database for themselves: Postgres refuses to drop, rename, move or copy one that somebody is connected to, so its workers
//! step aside until the transaction of such a statement ends.

use super::relation::Oid;
use super::shared::{self, Slot, with_slot};
use super::time::now_utc;
use super::wait::Event;
use super::{background, end_of_transaction};
use pgrx::prelude::*;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a worker is waited for. Postgres waits as long again for whoever is connected.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest time that workers have between two such statements.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// What this process keeps for itself.
struct Hold {
    database: Oid,
    began: Instant,
    /// There were some.
    had_workers: bool,
}

thread_local! {
    static HELD: RefCell<Vec<Hold>> = const { RefCell::new(Vec::new()) };
}

/// Makes the workers of a database end and keeps them away until the transaction ends, whatever becomes of it. Between two such statements they have as
/// long as the first one took: whoever repeats one that fails does not keep them away.
pub fn begin(database: Oid) {
    let rests = || with_slot(database, |slot| slot.rest_until).is_some_and(|end| end > now_utc());
    while rests() {
        background::sleep(Duration::from_millis(50), Event::WorkerEnd);
    }
    end_of_transaction::call_once(release_all);
    release_at_exit();
    let began = Instant::now();
    let workers = with_slot(database, |slot| {
        slot.holds += 1;
        *slot
    });
    let workers: Vec<i32> = workers.iter().flat_map(Slot::processes).collect();
    HELD.with_borrow_mut(|held| {
        held.push(Hold {
            database,
            began,
            had_workers: !workers.is_empty(),
        });
    });
    workers.into_iter().for_each(background::terminate);
    let some_run = || with_slot(database, |slot| slot.processes().next().is_some());
    while some_run() == Some(true) && began.elapsed() < PATIENCE {
        background::sleep(Duration::from_millis(10), Event::WorkerEnd);
    }
}

fn release_all() {
    for hold in HELD.take() {
        let rest = i64::try_from(hold.began.elapsed().min(LONGEST_REST).as_micros()).unwrap_or(0);
        with_slot(hold.database, |slot| {
            slot.holds = slot.holds.saturating_sub(1);
            if hold.had_workers {
                slot.nudge();
                slot.rest_until = now_utc() + rest;
            }
        });
        background::wake(shared::launcher());
    }
}

/// A process that is terminated may not come to the end of its transaction.
fn release_at_exit() {
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if !REGISTERED.swap(true, Ordering::Relaxed) {
        // SAFETY: registered once a process; runs before shared memory is detached.
        unsafe { pg_sys::before_shmem_exit(Some(at_exit), pg_sys::Datum::null()) };
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn at_exit(_code: i32, _argument: pg_sys::Datum) {
    release_all();
}
