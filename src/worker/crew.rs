//! The ingest workers of a database: its first worker starts as many as are useful, and starts those again that ended.

use crate::pg::background::{self, Handle};
use crate::pg::relation::Oid;
use crate::pg::shared;
use std::time::{Duration, Instant};

/// How soon another try is made to start one.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
/// How often it is said that one could not be started.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(60);

/// The other workers, as the first one knows them.
pub struct Crew {
    database: Oid,
    started: [Option<Handle>; shared::MOST_WORKERS],
    tried: Option<Instant>,
    complained: Option<Instant>,
}

impl Crew {
    /// Of this database.
    pub fn new(database: Oid) -> Crew {
        Crew {
            database,
            started: [const { None }; shared::MOST_WORKERS],
            tried: None,
            complained: None,
        }
    }

    /// Starts what is missing of so many workers. Until one runs, the others have its share.
    pub fn tend(&mut self, useful: usize) {
        shared::set_useful_workers(self.database, useful);
        if shared::crew(self.database).running >= useful
            || self.tried.is_some_and(|when| when.elapsed() < RETRY_PAUSE)
        {
            return;
        }
        for number in 1..useful {
            let starting = |handle: &Handle| !handle.has_ended();
            if shared::is_running(self.database, number)
                || self.started[number].as_ref().is_some_and(starting)
            {
                continue;
            }
            self.tried = Some(Instant::now());
            self.started[number] = background::start_worker(self.database, number);
            if self.started[number].is_none() {
                self.complain(number, useful);
                return;
            }
        }
    }

    fn complain(&mut self, running: usize, useful: usize) {
        if self
            .complained
            .is_none_or(|when| when.elapsed() > COMPLAINT_PAUSE)
        {
            self.complained = Some(Instant::now());
            background::log(&format!(
                "{running} of {useful} workers run for this database, no background worker is free for the others; raise max_worker_processes or \
                 lower redshift.ingest_workers"
            ));
        }
    }
}
