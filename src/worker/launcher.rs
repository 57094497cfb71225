//! The launcher: one a cluster, connected to no database.

use crate::pg::background::{self, Handle};
use crate::pg::relation::Oid;
use crate::pg::wait::Event;
use crate::pg::{shared, statement_ring};
use crate::worker::monitor;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How often databases without work are looked at, in case a nudge was lost.
const PROBE_PAUSE: Duration = Duration::from_secs(60);
/// How long the launcher sleeps when nobody wakes it.
const NAP: Duration = Duration::from_secs(10);
/// How soon a worker that ended is replaced.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

struct Database {
    worker: Option<Handle>,
    started: Instant,
}

/// The monitors, by database.
type Monitors = HashMap<Oid, Database>;

/// Starts monitors where one is wanted; how soon to look again.
fn start_monitors(
    monitors: &mut Monitors,
    existing: &[Oid],
    complained: &mut Option<Instant>,
) -> Duration {
    statement_ring::forget_other_databases(existing);
    monitors.retain(|database, _| existing.contains(database));
    let mut nap = NAP;
    for database in existing {
        let known = monitors.get(database);
        let runs = known
            .and_then(|known| known.worker.as_ref())
            .is_some_and(|worker| !worker.has_ended());
        if runs || !(monitor::is_wanted(*database) || statement_ring::has_waiting(*database)) {
            continue;
        }
        if !shared::may_monitor(*database) {
            continue;
        }
        if known.is_some_and(|known| known.started.elapsed() < RESTART_PAUSE) {
            nap = RESTART_PAUSE;
            continue;
        }
        let worker = background::start_monitor(*database);
        shared::set_full(worker.is_none());
        if worker.is_none() {
            nap = RESTART_PAUSE;
            complain(complained, "monitoring");
        }
        let started = Instant::now();
        monitors.insert(*database, Database { worker, started });
    }
    nap
}

/// Says that max_worker_processes are too few, from time to time.
fn complain(last: &mut Option<Instant>, what_for: &str) {
    if last.is_none_or(|when| when.elapsed() > PROBE_PAUSE) {
        *last = Some(Instant::now());
        background::log(&format!(
            "no background worker is free for {what_for}; raise max_worker_processes"
        ));
    }
}

/// In how many databases a worker looks whether there is something to do. Each has a slot meanwhile: there shall be one left for those that find something.
fn looked_at(known: &HashMap<Oid, Database>) -> usize {
    let looks = |(database, entry): &(&Oid, &Database)| {
        let runs = entry
            .worker
            .as_ref()
            .is_some_and(|worker| !worker.has_ended());
        runs && !shared::is_settled(**database)
    };
    known.iter().filter(looks).count()
}

/// Runs until the server stops.
pub fn run() {
    shared::set_launcher();
    let mut known: HashMap<Oid, Database> = HashMap::new();
    let mut monitors = Monitors::new();
    let mut complained: Option<Instant> = None;
    loop {
        background::begin_round();
        let mut existing = background::databases();
        shared::forget_other_databases(&existing);
        known.retain(|database, _| existing.contains(database));
        let mut nap = start_monitors(&mut monitors, &existing, &mut complained);
        // Those that are only looked at come last.
        existing.sort_by_key(|database| !shared::is_wanted(*database));
        for database in existing {
            // A worker that runs takes the nudge itself.
            if known
                .get(&database)
                .and_then(|entry| entry.worker.as_ref())
                .is_some_and(|w| !w.has_ended())
            {
                continue;
            }
            let wish = shared::take_wish(database);
            let idle = known
                .get(&database)
                .map_or(PROBE_PAUSE, |entry| entry.started.elapsed());
            let due = wish.nudged
                || idle
                    >= if wish.wanted {
                        RESTART_PAUSE
                    } else {
                        PROBE_PAUSE
                    };
            if !due || wish.held {
                if wish.wanted || wish.nudged || wish.held {
                    nap = RESTART_PAUSE;
                }
                if wish.nudged {
                    shared::renudge(database);
                }
                continue;
            }
            if !shared::is_settled(database) && looked_at(&known) >= shared::places().max(1) {
                nap = RESTART_PAUSE;
                if wish.nudged {
                    shared::renudge(database);
                }
                continue;
            }
            let worker = background::start_worker(database, 0);
            shared::set_full(worker.is_none());
            if worker.is_none() {
                nap = RESTART_PAUSE;
                complain(&mut complained, "auto refresh");
                if wish.nudged {
                    shared::renudge(database);
                }
                continue;
            }
            known.insert(
                database,
                Database {
                    worker,
                    started: Instant::now(),
                },
            );
        }
        background::sleep(nap, Event::LauncherMain);
    }
}
