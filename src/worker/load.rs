//! One batch into one view: one transaction, as a refresh is.

use crate::catalog::checkpoint::{self, Checkpoint};
use crate::catalog::ledger::Entry;
use crate::catalog::materialized_view::{self, MaterializedView};
use crate::catalog::position::{Position, State};
use crate::pg::background::{Failure, transaction};
use crate::pg::batch::{self, Stop};
use crate::pg::relation::{self, LockMode, Oid};
use crate::pg::{invalidation, time};
use crate::refresh::{self, Locked};
use crate::scan::job::{Input, Job};
use crate::source::follow::{Batch, Follow, Part, Place, bound_lock_waits};
use crate::source::outcome::{Limits, Outcome as Read};
use crate::source::plan::{at, entry};
use crate::source::{Records, Source};
use std::rc::Rc;
use std::time::Duration;

/// What became of a batch.
#[derive(PartialEq, Eq)]
pub enum Outcome {
    /// It is committed.
    Loaded,
    /// Somebody else moved the view's positions, or changed the view: open again.
    Moved,
    /// The view is dropped, or no longer under auto refresh.
    Gone,
}

/// A view as it was looked up, kept from batch to batch until something of it changes.
pub struct Known {
    /// The view.
    view: MaterializedView,
    /// Its foreign table.
    stream: Oid,
    /// Its hidden view.
    definition: Oid,
    /// [`invalidation::changes`] when it was looked up.
    changes: u64,
}

/// What a view is to get.
pub struct Order<'a, S: Source> {
    /// The landing table.
    pub table: Oid,
    /// Where the view must be.
    pub place: &'a Place<S>,
    /// What has arrived.
    pub batch: &'a Batch<S>,
    /// The parts of the view that this worker has, after the batch.
    pub own: &'a [Part<S>],
    /// Write the ledger as well.
    pub flush: bool,
    /// The longest time that it may take.
    pub limit: Option<Duration>,
}

/// Loads a batch.
pub fn load<S: Follow>(order: &Order<S>, known: &mut Option<Known>) -> Result<Outcome, Stop> {
    // Looked up anew after an error.
    let mut found = known.take();
    let outcome = batch::run(order.table, order.limit, || {
        bound_lock_waits();
        match locked(order.table, &mut found) {
            Some(known) => order.load(known),
            None => Outcome::Gone,
        }
    })?;
    if outcome == Outcome::Loaded {
        *known = found;
    }
    Ok(outcome)
}

impl<S: Follow> Order<'_, S> {
    fn load(&self, known: &Known) -> Outcome {
        let view = &known.view;
        if !self.is_here(view.id) {
            return Outcome::Moved;
        }
        let (rows, outcome) = self.load_records(known);
        // A function in the definition may choose other parts than when the feed was opened: the positions of those that it leaves out stay.
        let is_read = |part: &Part<S>| S::is_read(part, &outcome.bounds);
        self.store(view.id, &outcome, rows);
        refresh::log_skipped(view, &outcome, self.own);
        if self.flush {
            checkpoint::flush(view, Some(self.own));
        }
        let is_as_before = self.batch.moves.iter().all(|moved| is_read(&moved.to.part))
            && !self.place.excluded.iter().any(is_read);
        if is_as_before {
            Outcome::Loaded
        } else {
            // What is loaded is stored; which parts are read now is asked when the view is opened anew.
            Outcome::Moved
        }
    }

    /// Locks the positions that the batch moves; is the view where the feed is?
    fn is_here(&self, mv_id: i64) -> bool {
        let moves = || self.batch.moves.iter().filter(|moved| !moved.is_new);
        let parts: Vec<Part<S>> = moves().map(|moved| moved.to.part.clone()).collect();
        let rows = S::lock(mv_id, &parts);
        let rows = rows.iter().filter(|row| !row.is_drained);
        if S::PARTS_APPEAR {
            let at = |row: &Checkpoint<S::Position>| (row.part.clone(), row.position.clone());
            return self.place.is_at(&rows.map(at).collect::<Vec<_>>());
        }
        // Both are in the order of parts.
        let stored = rows.map(|row| (&row.part, &row.position));
        stored.eq(moves().map(|moved| (&moved.to.part, &moved.from)))
    }

    fn load_records(&self, known: &Known) -> (u64, Read<S::Position>) {
        if self.batch.records.is_empty() {
            return (0, Read::default());
        }
        let job = Job::<S> {
            table: known.stream,
            name: self.place.name.clone(),
            input: Input::Taken(Rc::clone(&self.batch.records)),
            reading: self.batch.reading.clone(),
            limits: Limits {
                max_records: u64::MAX,
                max_bytes: u64::MAX,
                max_record_bytes: known.view.options.max_record_bytes,
            },
            refresh_time: time::now_utc(),
        };
        let (rows, outcome) = refresh::load(&known.view, known.definition, job);
        (rows, outcome.unwrap_or_default())
    }

    fn store(&self, mv_id: i64, outcome: &Read<S::Position>, rows: u64) {
        let row = |state: &State<S::Position>| at(state, self.place.source_id.clone());
        for moved in self.batch.moves.iter().filter(|moved| moved.is_new) {
            // A child that came up: its row is there before it moves.
            S::check_part(&self.place.name, &moved.to.part);
            let first = State {
                position: S::Position::first(),
                ..moved.to.clone()
            };
            checkpoint::store(mv_id, &row(&first), None);
        }
        let moves = self.batch.moves.iter().enumerate();
        let entries: Vec<Entry> = moves
            .filter(|(_, moved)| S::is_read(&moved.to.part, &outcome.bounds))
            .filter_map(|(at, moved)| entry(&moved.from, &moved.to, &outcome.progress_at(at)))
            .collect();
        if !entries.is_empty() {
            checkpoint::advance(mv_id, &entries, rows);
        }
        // Rows of parity, which is true as of this transaction.
        for moved in self.batch.moves.iter().filter(|moved| moved.is_noted) {
            checkpoint::store(mv_id, &row(&moved.to), None);
        }
    }
}

/// Locks the view's table, stream and definition, and looks them up unless what is known still holds; `None` if there is nothing to load any more.
fn locked(table: Oid, known: &mut Option<Known>) -> Option<&Known> {
    relation::lock(table, LockMode::RowExclusive);
    if let Some(known) = known {
        relation::lock(known.stream, LockMode::AccessShare);
        relation::lock(known.definition, LockMode::AccessShare);
    }
    // The locks have brought what others changed.
    if known
        .as_ref()
        .is_none_or(|known| known.changes != invalidation::changes())
    {
        *known = look_up(table);
    }
    known.as_ref()
}

fn look_up(table: Oid) -> Option<Known> {
    invalidation::watch(table);
    let view = materialized_view::find(table)
        .filter(|view| view.auto_refresh && !view.paused && !view.restored)?;
    let Locked { stream, definition } = refresh::lock_source(&view);
    invalidation::watch(stream);
    invalidation::watch(definition);
    Some(Known {
        view,
        stream,
        definition,
        changes: invalidation::changes(),
    })
}

/// Writes the ledger of what was loaded of these partitions since the last time, for a view that has been quiet since.
pub fn flush(table: Oid, partitions: &[String]) -> Result<(), Failure> {
    transaction(|| {
        bound_lock_waits();
        relation::lock(table, LockMode::RowExclusive);
        if let Some(view) = materialized_view::find(table) {
            checkpoint::lock_named(view.id, partitions);
            checkpoint::flush(&view, Some(partitions));
        }
    })
}
