//! Servers, user mappings and foreign tables that change: the views that read by them begin anew, and nobody else does.

use super::database::Worker;
use crate::pg::background::transaction;
use crate::pg::relation::{self, Oid};
use crate::pg::{foreign, invalidation};
use crate::source::any::Stream;
use std::time::{Duration, Instant};

/// Changes are looked at as often: somebody may make them in a loop.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// What a view was opened by.
pub struct Origin {
    table: Oid,
    stream: Stream,
}

impl Origin {
    /// Of a foreign table, as it is now, for an owner. Within a transaction.
    pub fn of(table: Oid, owner: Oid) -> Origin {
        Origin {
            table,
            stream: Stream::of_table(table, owner),
        }
    }
}

impl Worker {
    /// Has a view's connection changed? Then it is opened anew, with a new client.
    pub(super) fn leave_changed_sources(&mut self) {
        if self.looked_at_sources.elapsed() < LOOK_PAUSE || !invalidation::take_source_change() {
            return;
        }
        self.looked_at_sources = Instant::now();
        let is_same = |table: Oid, origin: &Origin| {
            let same = transaction(|| {
                foreign::is_stream_table(origin.table) && {
                    let now = Stream::of_table(origin.table, relation::owner(table));
                    now.reads_as(&origin.stream)
                }
            });
            same.unwrap_or(false)
        };
        let mut changed = Vec::new();
        for (id, view) in &mut self.views {
            let origin = view.origin.as_ref();
            if !origin.is_some_and(|origin| is_same(view.plan.table, origin)) {
                view.origin = None;
                view.retry_at = Instant::now();
                changed.push(*id);
            }
        }
        for feed in &mut self.feeds {
            feed.members.retain(|id| !changed.contains(id));
        }
        self.preparing.retain(|p| !changed.contains(&p.plan.mv_id));
        self.openings.retain(|o| !changed.contains(&o.plan.mv_id));
        self.streams.retain(|id| !changed.contains(&id));
        self.drop_empty_feeds();
    }
}
