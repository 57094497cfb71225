//! One batch into one view: one transaction, as a refresh is.

use super::feed::Batch;
use crate::catalog::checkpoint;
use crate::catalog::ledger::Entry;
use crate::catalog::materialized_view::{self, MaterializedView};
use crate::catalog::position::State;
use crate::pg::background::{Failure, transaction};
use crate::pg::batch::{self, Stop};
use crate::pg::relation::{self, LockMode, Oid};
use crate::pg::{invalidation, spi, time};
use crate::refresh::{self, Locked};
use crate::scan::job::{Input, Job};
use crate::source::kafka::Kafka;
use crate::source::kafka::plan::Checkpoint;
use crate::source::kafka::position::Offset;
use crate::source::outcome::Limits;
use crate::source::plan::entry;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// How long a lock is waited for before the others get their turn.
const LOCK_TIMEOUT_MS: u32 = 200;

/// Sets the bound on waiting for locks in this transaction.
pub fn bound_lock_waits() {
    spi::set_lock_timeout(LOCK_TIMEOUT_MS);
}

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
    pub view: MaterializedView,
    /// Its foreign table.
    pub stream: Oid,
    /// Its hidden view.
    pub definition: Oid,
    /// [`invalidation::changes`] when it was looked up.
    changes: u64,
}

/// What a view is to get.
pub struct Order<'a> {
    /// The landing table.
    pub table: Oid,
    /// The topic.
    pub topic: &'a str,
    /// Where the view must be, in the partitions that this worker has.
    pub positions: &'a BTreeMap<i32, i64>,
    /// Those of the worker's partitions that the definition did not read when the feed was opened.
    pub excluded: &'a BTreeSet<i32>,
    /// What has arrived.
    pub batch: &'a Batch,
    /// Write the ledger as well.
    pub flush: bool,
    /// The longest time that it may take.
    pub limit: Option<Duration>,
}

/// Loads a batch.
pub fn load(order: &Order, known: &mut Option<Known>) -> Result<Outcome, Stop> {
    let Order {
        positions, batch, ..
    } = *order;
    // Looked up anew after an error.
    let mut found = known.take();
    let outcome = batch::run(order.table, order.limit, || {
        bound_lock_waits();
        let Some(Known {
            view,
            stream,
            definition,
            ..
        }) = locked(order.table, &mut found)
        else {
            return Outcome::Gone;
        };
        let partitions: Vec<i32> = batch.ranges.iter().map(|range| range.partition).collect();
        let stored = checkpoint::lock_positions(view.id, &partitions);
        let is_here = |row: &Checkpoint| {
            row.position.0.is_some() && row.position.0 == positions.get(&row.part).copied()
        };
        if stored.len() != partitions.len() || !stored.iter().all(is_here) {
            return Outcome::Moved;
        }
        let job = Job::<Kafka> {
            table: *stream,
            name: order.topic.to_owned(),
            input: Input::Taken(Rc::clone(&batch.records)),
            reading: batch.ranges.clone(),
            limits: Limits {
                max_records: u64::MAX,
                max_bytes: u64::MAX,
                max_record_bytes: view.options.max_record_bytes,
            },
            refresh_time: time::now_utc(),
        };
        let (rows, outcome) = refresh::load(view, *definition, job);
        let outcome = outcome.unwrap_or_default();
        // A function in the definition may choose other partitions than when the feed was opened: the positions of those that it leaves out stay.
        let entries: Vec<Entry> = batch
            .ranges
            .iter()
            .enumerate()
            .filter(|(_, range)| outcome.bounds.has_partition(range.partition))
            .filter_map(|(place, range)| {
                let [from, to] = [range.start, range.end].map(|offset| Offset(Some(offset)));
                let to = State::at(range.partition, to);
                entry(&from, &to, &outcome.progress_at(place))
            })
            .collect();
        checkpoint::advance(view.id, &entries, rows);
        let own: Vec<i32> = positions.keys().copied().collect();
        refresh::log_skipped(view, &outcome, &own);
        if order.flush {
            checkpoint::flush(view, Some(&own));
        }
        let has_more = |p: &i32| outcome.bounds.has_partition(*p);
        if entries.len() < batch.ranges.len() || order.excluded.iter().any(has_more) {
            // What is loaded is stored; which partitions are read now is asked when the view is opened anew.
            return Outcome::Moved;
        }
        Outcome::Loaded
    })?;
    if outcome == Outcome::Loaded {
        *known = found;
    }
    Ok(outcome)
}

/// Locks the view's table, stream and definition, and looks them up unless what is known still holds; `None` if there is nothing to load any more.
pub fn locked(table: Oid, known: &mut Option<Known>) -> Option<&Known> {
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
