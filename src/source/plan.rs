//! What a refresh reads, of any source: from where the view stands to where it is to stand; and how that is stored.
//!
//! Whatever cannot be read from where the last refresh stopped is an error that names what is lost, or, by `on_data_loss = 'continue'`, a logged loss:
//! never silence. That is decided by each source (`kafka::plan`, `kinesis::plan`).

use super::Source;
use super::outcome::{Outcome, Progress};
use crate::catalog::checkpoint::{self, Checkpoint};
use crate::catalog::ledger::{Entry, Failure, Jump};
use crate::catalog::position::{Position, State};
use plan::bounds::Bounds;

/// What a refresh is to read.
pub struct Plan<S: Source> {
    /// The parts of which something may be read.
    pub parts: Vec<Planned<S::Position>>,
    /// What its scan is given.
    pub reading: S::Reading,
    /// Losses that `on_data_loss = 'continue'` accepts.
    pub lost: Vec<Failure>,
    /// What the positions belong to from now on.
    pub source_id: Option<String>,
    /// Parts that the stream does not have any more.
    pub gone: Vec<<S::Position as Position>::Part>,
    /// What is stored of parts that the definition has begun to leave out.
    pub excluded: Vec<Checkpoint<S::Position>>,
}

/// One part.
pub struct Planned<P: Position> {
    /// Where it is read from.
    pub from: State<P>,
    /// Where it ends, if that was fixed when the refresh began.
    pub end: Option<P>,
    /// What is stored.
    pub stored: Option<Checkpoint<P>>,
    /// The epoch of the partition's leader, if there is one.
    pub leader_epoch: Option<i32>,
}

/// How far a part has come.
pub struct Arrival<P: Position> {
    /// Where it was.
    pub from: P,
    /// Where it is.
    pub state: State<P>,
    /// What was read on the way.
    pub progress: Progress,
}

impl<S: Source> Plan<S> {
    /// Is there nothing to read?
    pub fn is_empty(&self) -> bool {
        S::parts(&self.reading).is_empty()
    }

    /// Leaves parts out that were not read after all.
    pub fn keep_read(&mut self, bounds: &Bounds) {
        self.parts
            .retain(|planned| S::is_read(&planned.from.part, bounds));
    }

    /// The steps that accepted losses made: from where the view stood to where it goes on. What expired without a number makes none in positions.
    pub fn jumps(&self) -> Vec<Jump> {
        let jump = |planned: &Planned<S::Position>| {
            let from = match &planned.stored {
                Some(checkpoint) => checkpoint.position.clone(),
                None => S::Position::first(),
            };
            let (part, to) = (planned.from.part.to_string(), &planned.from.position);
            // From the earliest record on nothing was passed.
            let is_step = from != *to && from != S::Position::earliest();
            let is_lost = planned.stored.is_some() && self.lost.iter().any(|l| l.partition == part);
            (is_step || is_lost).then(|| Jump {
                partition: part,
                from: from.to_string(),
                to: to.to_string(),
                lost: true,
            })
        };
        self.parts.iter().filter_map(jump).collect()
    }

    /// Where each part is after what was read, if anything was.
    pub fn arrivals(&self, outcome: &Outcome<S::Position>) -> Vec<Arrival<S::Position>> {
        let place = |part| outcome.states.iter().position(|state| state.part == part);
        let of_planned = self.parts.iter().map(|planned| {
            let place = place(planned.from.part.clone());
            let read = place.map(|place| &outcome.states[place]);
            let state = match (&planned.end, read) {
                (Some(end), read) if read.is_none() || !outcome.stopped_early => State {
                    position: end.clone(),
                    ..planned.from.clone()
                },
                (_, Some(state)) => state.clone(),
                (_, None) => planned.from.clone(),
            };
            Arrival {
                from: planned.from.position.clone(),
                state,
                progress: place.map_or_else(Progress::default, |at| outcome.progress_at(at)),
            }
        });
        let is_new = |state: &State<S::Position>| {
            let mut parts = self.parts.iter();
            S::PARTS_APPEAR && !parts.any(|planned| planned.from.part == state.part)
        };
        // It begins at its first record.
        let new = outcome.states.iter().enumerate();
        let new = new
            .filter(|(_, state)| is_new(state))
            .map(|(place, state)| Arrival {
                from: S::Position::first(),
                state: state.clone(),
                progress: outcome.progress_at(place),
            });
        of_planned.chain(new).collect()
    }

    /// Stores where the next refresh resumes.
    pub fn store(&self, mv_id: i64, arrived: &[State<S::Position>]) {
        for checkpoint in &self.excluded {
            checkpoint::store(mv_id, checkpoint, None);
        }
        for part in &self.gone {
            checkpoint::remove(mv_id, part);
        }
        let mut has_new = false;
        for state in arrived {
            let planned = self.parts.iter().find(|p| p.from.part == state.part);
            let stored = planned.and_then(|planned| planned.stored.as_ref());
            has_new |= stored.is_none();
            let new = self.checkpoint(state, stored);
            if stored != Some(&new) {
                checkpoint::store(mv_id, &new, planned.and_then(|p| p.leader_epoch));
            }
        }
        if has_new {
            checkpoint::touch_first(mv_id);
        }
    }

    /// What is stored of a part that is there.
    fn checkpoint(
        &self,
        state: &State<S::Position>,
        before: Option<&Checkpoint<S::Position>>,
    ) -> Checkpoint<S::Position> {
        let is_same = |row: &&Checkpoint<S::Position>| row.source_id == self.source_id;
        let known = before.filter(is_same).and_then(|row| row.caught_up_to);
        Checkpoint {
            caught_up_to: state.caught_up_to.max(known),
            ..at(state, self.source_id.clone())
        }
    }
}

/// What is stored of a part that is there.
pub fn at<P: Position>(state: &State<P>, source_id: Option<String>) -> Checkpoint<P> {
    Checkpoint {
        part: state.part.clone(),
        position: state.position.clone(),
        source_id,
        caught_up_to: state.caught_up_to,
        is_drained: state.is_drained,
        is_excluded: false,
    }
}

impl<P: Position> Arrival<P> {
    /// The ledger's entry; none if it stayed where it was.
    pub fn entry(&self) -> Option<Entry> {
        entry(&self.from, &self.state, &self.progress)
    }
}

/// The ledger's entry of a part; none if it stayed where it was.
pub fn entry<P: Position>(from: &P, to: &State<P>, progress: &Progress) -> Option<Entry> {
    if to.position == *from {
        return None;
    }
    let last = progress.last_offset.map(|offset| offset.to_string());
    let last = last.or_else(|| to.position.last_record());
    let not_loaded = progress.filtered + progress.skipped + progress.dropped;
    Some(Entry {
        partition: to.part.to_string(),
        first_position: from.to_string(),
        end_position: to.position.to_string(),
        latest_position: last,
        scanned: progress.scanned,
        loaded: progress.scanned - not_loaded,
        filtered: progress.filtered,
        skipped: progress.skipped,
        dropped: progress.dropped,
        bytes: progress.bytes,
        times: progress.times,
    })
}
