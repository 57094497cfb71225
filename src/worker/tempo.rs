//! How fast a feed goes: batches that do not take long, one commit a window, a view's own limits.

use crate::view::pace::Pace;
use std::time::{Duration, Instant};

/// A batch that takes longer delays the worker's other views: the next ones are smaller.
pub const LONG_BATCH: Duration = Duration::from_millis(250);

/// Records in the first batches, until it is known how long they take.
pub const FIRST_BATCH: usize = 100;

/// The tempo of one feed.
pub struct Tempo {
    /// How the members are loaded.
    pub pace: Pace,
    /// At most so many records go into a batch now: fewer when batches take long.
    pub most_records: usize,
    /// Into how many slices the view is cut.
    slices: u32,
    /// When a batch was last committed.
    last_commit: Option<Instant>,
    /// No batch before this moment, for a view with a rate limit.
    not_before: Option<Instant>,
}

/// How many of these records would not have taken too long.
pub fn smaller(records: usize, took: Duration) -> usize {
    let share = LONG_BATCH.as_secs_f64() / took.as_secs_f64();
    ((records as f64 * share) as usize).max(1)
}

impl Tempo {
    /// Of a feed that has not loaded anything yet; its view is cut into so many slices.
    pub fn new(pace: Pace, slices: u32) -> Tempo {
        Tempo {
            pace,
            most_records: FIRST_BATCH,
            slices,
            last_commit: None,
            not_before: None,
        }
    }

    /// Records and bytes that may go into the next batch.
    pub fn limits(&self) -> (usize, u64) {
        let (mut records, bytes) = self.pace.batch_limits();
        if let Some(rate) = self.rate() {
            // So that the records are spread over the second, ten batches of it are enough.
            records = records.min((rate / 10.0).ceil() as usize);
        }
        (records.min(self.most_records), bytes)
    }

    /// How many records a second this worker may load; the workers that share a view divide its limit evenly.
    fn rate(&self) -> Option<f64> {
        let limit = self.pace.max_records_per_second?;
        Some(f64::from(limit) / f64::from(self.slices))
    }

    /// When the next batch may be loaded. The first record after a pause is loaded at once, then there is a commit a window at most.
    pub fn opens_at(&self) -> Option<Instant> {
        let window = self
            .last_commit
            .map(|last| last + self.pace.commit_window());
        window.max(self.not_before)
    }

    /// So many records were loaded, which took so long.
    pub fn loaded(&mut self, records: usize, took: Duration) {
        let now = Instant::now();
        self.last_commit = Some(now);
        if let Some(rate) = self.rate() {
            // What was not used in the last moment may be used now, no more: no burst after a pause.
            let from = self
                .not_before
                .filter(|until| now.saturating_duration_since(*until) < Duration::from_millis(200))
                .unwrap_or(now);
            self.not_before = Some(from + Duration::from_secs_f64(records as f64 / rate));
        }
        if took > LONG_BATCH {
            self.most_records = smaller(records, took);
        } else if took < LONG_BATCH / 4 && records >= self.most_records {
            self.most_records = self.most_records.saturating_mul(2);
        }
    }
}
