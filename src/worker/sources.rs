//! Servers, user mappings and foreign tables that change: the views that read by them begin anew, and nobody else does.

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

    /// Does a view read by it in the same way still?
    pub fn is_same(&self, view: Oid) -> bool {
        let same = transaction(|| {
            foreign::is_stream_table(self.table) && {
                let now = Stream::of_table(self.table, relation::owner(view));
                now.reads_as(&self.stream)
            }
        });
        same.unwrap_or(false)
    }
}

/// Watches what views may have been opened by.
pub struct SourceWatch {
    looked: Instant,
}

impl SourceWatch {
    /// Begins.
    pub fn begin() -> SourceWatch {
        invalidation::watch_sources();
        SourceWatch {
            looked: Instant::now(),
        }
    }

    /// Has something changed since the last look that a view may have been opened by?
    pub fn has_news(&mut self) -> bool {
        let is_due = self.looked.elapsed() >= LOOK_PAUSE && invalidation::take_source_change();
        if is_due {
            self.looked = Instant::now();
        }
        is_due
    }
}
