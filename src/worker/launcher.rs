//! The launcher: one a cluster, connected to no database.

use crate::pg::background::{self, Handle};
use crate::pg::relation::Oid;
use crate::pg::shared;
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

/// Runs until the server stops.
pub fn run() {
    shared::set_launcher();
    let mut known: HashMap<Oid, Database> = HashMap::new();
    let mut complained: Option<Instant> = None;
    loop {
        background::reload_settings();
        let existing = background::databases();
        shared::forget_other_databases(&existing);
        known.retain(|database, _| existing.contains(database));
        let mut nap = NAP;
        for database in existing {
            // A worker that runs takes the nudge itself.
            if known
                .get(&database)
                .and_then(|entry| entry.worker.as_ref())
                .is_some_and(|w| !w.has_ended())
            {
                continue;
            }
            let Some(wish) = shared::take_wish(database) else {
                continue;
            };
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
            let worker = background::start_worker(database, 0);
            if worker.is_none() {
                nap = RESTART_PAUSE;
                if complained.is_none_or(|when| when.elapsed() > PROBE_PAUSE) {
                    complained = Some(Instant::now());
                    background::log(
                        "no background worker is free for auto refresh; raise max_worker_processes",
                    );
                }
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
        background::sleep(nap);
    }
}
