//! A view as its worker remembers it: how it is doing, and when it is tried again.

use super::assignment::Assignment;
use super::load::Known;
use super::sources::Origin;
use super::state::State;
use super::trouble::Trouble;
use crate::access::Access;
use crate::source::any::Kind;
use plan::pause;
use plan::tempo::FIRST_BATCH;
use std::time::{Duration, Instant};

/// The ledger has at most one row in this time, partition and view.
const LEDGER_PAUSE: Duration = Duration::from_secs(1);

/// A view under auto refresh.
pub struct View {
    /// What of it is this worker's.
    pub assignment: Assignment,
    /// What a batch needs of it.
    pub known: Option<Known>,
    /// What it reads, once that was looked up.
    pub kind: Option<Kind>,
    /// By what it was opened last.
    pub origin: Option<Origin>,
    /// In words, which broker slows it down.
    pub throttled: Option<String>,
    /// It could not be opened because these brokers do not answer.
    pub waits_for: Option<Access>,
    /// The state that is written.
    pub shown: Option<State>,
    /// Failures that are not over.
    pub trouble: Option<Trouble>,
    /// Errors in a row.
    pub errors: u32,
    /// Not before this moment.
    pub retry_at: Instant,
    /// At most so many records go into a batch, as far as is known from the last ones.
    pub most_records: usize,
    /// The partitions or shards that were loaded.
    pub partitions: Vec<String>,
    /// Since when there is something that the ledger does not have.
    pub unwritten_since: Option<Instant>,
}

impl View {
    /// Nothing is known of it yet.
    pub fn new(assignment: Assignment) -> View {
        View {
            assignment,
            known: None,
            kind: None,
            origin: None,
            throttled: None,
            waits_for: None,
            shown: None,
            trouble: None,
            errors: 0,
            retry_at: Instant::now(),
            most_records: FIRST_BATCH,
            partitions: Vec::new(),
            unwritten_since: None,
        }
    }

    /// Is it time to write the ledger?
    pub fn owes_ledger(&self) -> bool {
        self.unwritten_since
            .is_some_and(|since| since.elapsed() >= LEDGER_PAUSE)
    }

    /// One more error: the view waits a little longer each time.
    pub fn put_off(&mut self) {
        self.retry_at = Instant::now() + pause::after_error(self.errors, self.assignment.mv_id);
        self.errors += 1;
        self.known = None;
    }
}
