//! A feed: what reads a stream, and the views that are at its positions.
//!
//! Views at the same positions share a feed, so the stream is fetched once for them. A view that is elsewhere (new, or after an error) has a feed of its
//! own until it has caught up.

use super::backlog::Backlog;
use super::load::{self, Known, Order, Outcome};
use crate::catalog::pace::Pace;
use crate::catalog::position::State;
use crate::pg::background::Failure;
use crate::pg::batch::Stop;
use crate::pg::progress;
use crate::pg::relation::Oid;
use crate::source::Records;
use crate::source::follow::{Batch, Follow, Look, Part, Place, Tail, Turn};
use plan::tempo::Tempo;
use std::time::{Duration, Instant};

/// What reads a stream, and the views that are at its positions.
pub struct Feed<S: Follow> {
    /// The views.
    pub members: Vec<i64>,
    /// Where they stand.
    pub place: Place<S>,
    /// Options of the views.
    pub pace: Pace,
    /// How fast it goes.
    pub tempo: Tempo,
    /// What waited when a batch was full, until nothing waits.
    pub backlog: Option<Backlog>,
    /// The reader.
    pub tail: S::Tail,
}

/// What a batch makes of a feed.
pub struct Step<S: Follow> {
    /// What is loaded.
    pub batch: Batch<S>,
    /// What its views have stored then.
    pub after: Vec<State<S::Position>>,
    parts: Vec<Part<S>>,
}

impl<S: Follow> Step<S> {
    /// The names of the worker's parts.
    pub fn part_names(&self) -> Vec<String> {
        self.parts.iter().map(ToString::to_string).collect()
    }
}

impl<S: Follow> Feed<S> {
    /// Gathers what has arrived, within the batch limits; what there is to load now, if there is. `is_short`: there is no memory for more.
    pub fn gather(&mut self, is_short: bool) -> Result<Option<Step<S>>, Failure> {
        let (max_records, max_bytes) = self.tempo.batch();
        let gathered = self.tail.gather(max_records, max_bytes).map_err(|fault| {
            let what = format!("{} \"{}\"", S::WORDS.stream, self.place.name);
            fault.into_failure::<S>(&what)
        })?;
        let is_full = gathered.is_full || is_short;
        let is_due = self
            .tempo
            .is_due(is_full, gathered.has_more, Instant::now());
        let is_more = match self.tail.waiting(&self.place.stored) {
            Some(waiting) => gathered.is_full && waiting > self.tail.gathered() as u64,
            None => gathered.is_full && is_due,
        };
        if is_more && self.backlog.is_none() {
            self.backlog = Some(Backlog::begin());
        }
        if !is_due {
            return Ok(None);
        }
        let batch = self.tail.take(&self.place.stored);
        if !gathered.is_full && self.tail.waiting(&self.place.stored).is_none() {
            self.backlog = None;
        }
        Ok(batch.map(|batch| {
            let after = self.place.after(&batch);
            Step {
                batch,
                parts: after.iter().map(|state| state.part.clone()).collect(),
                after,
            }
        }))
    }

    /// Loads it into a view.
    pub fn load(
        &self,
        step: &Step<S>,
        table: Oid,
        known: &mut Option<Known>,
        flush: bool,
    ) -> Result<Outcome, Stop> {
        self.show_progress(table);
        let order = Order {
            table,
            place: &self.place,
            batch: &step.batch,
            own: &step.parts,
            flush,
            limit: self.pace.batch_timeout(),
        };
        load::load(&order, known)
    }

    /// Shows that a batch of the backlog goes into `table`, or nothing if there is none.
    fn show_progress(&self, table: Oid) {
        let stored = &self.place.stored;
        match &self.backlog {
            Some(backlog) => backlog.show(table, stored.len(), self.tail.waiting(stored)),
            None => progress::end(),
        }
    }

    /// The members have the batch, which took them so long; the worker has no other views, or has.
    pub fn advance(&mut self, step: Step<S>, took: Duration, is_alone: bool) {
        let records = step.batch.records.len();
        self.place.stored = step.after;
        self.tempo.loaded(records, took, is_alone, Instant::now());
        if self.tail.waiting(&self.place.stored) == Some(0) {
            self.backlog = None;
        }
        if let Some(backlog) = &mut self.backlog {
            backlog.add(records, step.batch.records.bytes());
        }
    }

    /// Looks at the stream from time to time, without waiting.
    pub fn look(&mut self, turn: Turn) -> Look {
        self.tail.look(&self.place, turn)
    }

    /// Is another feed at the same place?
    pub fn is_at_same_place(&self, other: &Feed<S>) -> bool {
        self.pace == other.pace && self.place.is_same(&other.place)
    }

    /// Takes over the views of another feed that is at the same place. Of the times of parity the earlier ones are what all have stored.
    pub fn take_over(&mut self, other: Feed<S>) {
        for state in &mut self.place.stored {
            let mut others = other.place.stored.iter();
            if let Some(other) = others.find(|other| other.part == state.part) {
                state.caught_up_to = state.caught_up_to.min(other.caught_up_to);
            }
        }
        self.members.extend(&other.members);
    }

    /// Does it load a view no longer?
    pub fn leave(&mut self, id: i64) {
        self.members.retain(|member| *member != id);
    }
}
