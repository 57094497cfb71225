//! One batch into one view: one transaction, as a refresh is.

use super::feed::Batch;
use crate::catalog::checkpoint::{self, Advance};
use crate::catalog::materialized_view;
use crate::pg::background::{Failure, transaction};
use crate::pg::relation::{self, LockMode, Oid};
use crate::pg::{spi, time};
use crate::refresh::{self, Locked};
use crate::scan::job::{Input, Job, Limits};
use std::collections::BTreeMap;
use std::rc::Rc;

/// How long a lock is waited for before the others get their turn.
pub const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '200ms'";

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

/// Loads a batch; `positions` are where the view must be.
pub fn load(
    table: Oid,
    topic: &str,
    positions: &BTreeMap<i32, i64>,
    batch: &Batch,
    flush: bool,
) -> Result<Outcome, Failure> {
    transaction(|| {
        spi::execute(LOCK_TIMEOUT, &[]);
        relation::lock(table, LockMode::RowExclusive);
        let Some(view) =
            materialized_view::find(table).filter(|view| view.auto_refresh && !view.restored)
        else {
            return Outcome::Gone;
        };
        let Locked { stream, definition } = refresh::lock_source(&view);
        let stored = checkpoint::lock(view.id);
        let at = |partition: i32| {
            stored
                .iter()
                .find(|c| c.partition == partition)
                .and_then(|c| c.position)
        };
        if stored.len() != positions.len()
            || positions
                .iter()
                .any(|(p, position)| at(*p) != Some(*position))
        {
            return Outcome::Moved;
        }
        let job = Job {
            table: stream,
            topic: topic.to_owned(),
            input: Input::Taken(Rc::clone(&batch.records)),
            ranges: batch.ranges.clone(),
            limits: Limits {
                max_records: u64::MAX,
                max_bytes: u64::MAX,
                max_record_bytes: view.options.max_record_bytes,
            },
            refresh_time: time::now_utc(),
        };
        let (rows, outcome) = refresh::load(&view, definition, job);
        let outcome = outcome.unwrap_or_default();
        let mut rows = Some(rows);
        for range in &batch.ranges {
            let progress = outcome
                .partitions
                .iter()
                .find(|p| p.partition == range.partition);
            let progress = progress.copied().unwrap_or_default();
            let entry = refresh::entry(range.start, range.end, range.partition, &progress);
            checkpoint::advance(&Advance {
                mv_id: view.id,
                entry: &entry,
                rows: rows.take().unwrap_or(0),
            });
        }
        refresh::log_skipped(&view, &outcome);
        if flush {
            checkpoint::flush(&view);
        }
        Outcome::Loaded
    })
}

/// Writes the ledger of what was loaded since the last time, for a view that has been quiet since.
pub fn flush(table: Oid) -> Result<(), Failure> {
    transaction(|| {
        spi::execute(LOCK_TIMEOUT, &[]);
        relation::lock(table, LockMode::RowExclusive);
        if let Some(view) = materialized_view::find(table) {
            checkpoint::lock(view.id);
            checkpoint::flush(&view);
        }
    })
}
