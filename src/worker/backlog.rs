//! How far a view is with what waited for it, for redshift.refresh_progress: from the first batch that is full until nothing waits.

use crate::pg::progress;
use crate::pg::relation::Oid;
use crate::pg::time;

/// What has been loaded of a backlog.
pub struct Backlog {
    started: i64,
    records: u64,
    bytes: u64,
}

impl Backlog {
    /// It begins with the next batch.
    pub fn begin() -> Backlog {
        Backlog {
            started: time::now_utc(),
            records: 0,
            bytes: 0,
        }
    }

    /// A batch was loaded.
    pub fn add(&mut self, records: usize, bytes: u64) {
        self.records += records as u64;
        self.bytes += bytes;
    }

    /// Shows it while the next batch goes into `table`; `left` are the offsets that still wait, if that is known.
    pub fn show(&self, table: Oid, partitions: usize, left: Option<u64>) {
        let total = left.map(|left| self.records.saturating_add(left));
        progress::show_batch(
            table,
            self.started,
            partitions,
            (self.records, self.bytes),
            total,
        );
    }
}
