//! How fast a feed goes: batches that do not take long, one commit a window while it is current, a view's own limits.
//!
//! A batch is loaded when its window opens, or before if it is full. So a view that is behind loads one full batch after the other, whatever its window.

use crate::cost::Cost;
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// A batch that takes longer delays the worker's other views: the next ones are smaller.
pub const LONG_BATCH: Duration = Duration::from_millis(250);

/// After a batch that takes longer than this the view waits, if its worker has others.
const VERY_LONG_BATCH: Duration = Duration::from_secs(2);
/// So many times as long: it has a fifth of the time.
const OTHERS_SHARE: u32 = 4;

/// A view is current when no more than a batch has been waiting for so long: the broker may keep an answer back for a part of it.
const CURRENT_AFTER: Duration = Duration::from_millis(200);

/// Records in the first batches, until it is known how long they take.
pub const FIRST_BATCH: usize = 100;

/// What the settings and a view's options ask of its batches.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Limits {
    /// The most records of a batch.
    pub records: usize,
    /// The most bytes of keys and values of a batch.
    pub bytes: u64,
    /// There is at most one commit in this time, unless a batch is full.
    pub window: Duration,
    /// The most records a second, of all workers that share the view.
    pub per_second: Option<f64>,
}

/// The tempo of one feed.
pub struct Tempo {
    /// What is asked of its batches now: settings may change while it goes.
    pub limits: Limits,
    /// At most so many records go into a batch now: fewer when batches take long.
    pub most_records: usize,
    /// Since when more has been waiting than goes into a batch.
    behind_since: Option<Instant>,
    /// When that was last seen.
    more_seen: Option<Instant>,
    /// Into how many slices the view is cut.
    slices: u32,
    /// When a batch was last committed.
    last_commit: Option<Instant>,
    /// No batch before this moment, for a view with a rate limit.
    not_before: Option<Instant>,
    /// What its batches cost.
    cost: Cost,
}

/// How many of these records would not have taken too long.
pub fn smaller(records: usize, took: Duration) -> usize {
    let share = LONG_BATCH.as_secs_f64() / took.as_secs_f64();
    ((records as f64 * share) as usize).max(1)
}

fn has_passed(moment: Option<Instant>, now: Instant) -> bool {
    moment.is_none_or(|moment| moment <= now)
}

impl Tempo {
    /// Of a feed that has not loaded anything yet; its view is cut into so many slices.
    pub fn new(limits: Limits, slices: u32) -> Tempo {
        Tempo {
            limits,
            most_records: FIRST_BATCH,
            behind_since: None,
            more_seen: None,
            slices,
            last_commit: None,
            not_before: None,
            cost: Cost::default(),
        }
    }

    /// Records and bytes that may go into the next batch.
    pub fn batch(&self) -> (usize, u64) {
        let Limits { records, bytes, .. } = self.limits;
        let records = self.rate().map_or(records, |rate| {
            // So that the records are spread over the second, ten batches of it are enough.
            let time = self.limits.window.max(Duration::from_millis(100));
            records.min((rate * time.as_secs_f64()).ceil() as usize)
        });
        (records.min(self.most_records), bytes)
    }

    /// How many records a second this worker may load; the workers that share a view divide its limit evenly.
    fn rate(&self) -> Option<f64> {
        Some(self.limits.per_second? / f64::from(self.slices))
    }

    /// The first record after a pause is loaded at once, then there is a commit a window, as long as it holds a batch.
    fn window_opens_at(&self) -> Option<Instant> {
        self.last_commit.map(|last| last + self.limits.window)
    }

    /// When the next batch may be loaded if it is not full.
    pub fn opens_at(&self) -> Option<Instant> {
        self.window_opens_at().max(self.not_before)
    }

    /// May records be gathered now? For a window that is not open yet only if there may be a full batch, and memory for it.
    pub fn may_gather(&self, has_memory: bool, now: Instant) -> bool {
        let is_open = has_passed(self.window_opens_at(), now);
        has_passed(self.not_before, now) && (is_open || self.behind_since.is_some() && has_memory)
    }

    /// Since when more has been waiting than goes into a batch, which no rate limit holds back.
    pub fn behind_since(&self) -> Option<Instant> {
        self.behind_since.filter(|_| self.rate().is_none())
    }

    /// If more is waiting, it counts from now on only: the feed goes to the end of the line.
    pub fn wait_anew(&mut self, now: Instant) {
        self.behind_since = self.behind_since.and(Some(now));
    }

    /// Shall what was gathered be loaded now, or may more join it until the window opens? It is a full batch; there is more than it took.
    pub fn is_due(&mut self, is_full: bool, has_more: bool, now: Instant) -> bool {
        let is_open = has_passed(self.window_opens_at(), now);
        if has_more {
            self.more_seen = Some(now);
            self.behind_since.get_or_insert(now);
        } else if is_open && has_passed(self.more_seen.map(|seen| seen + CURRENT_AFTER), now) {
            self.behind_since = None;
        }
        is_full || is_open
    }

    /// So many records were loaded by now, which took so long; the worker has no other views, or has.
    pub fn loaded(&mut self, records: usize, took: Duration, is_alone: bool, now: Instant) {
        self.last_commit = Some(now);
        if let Some(rate) = self.rate() {
            // What was not used in the last moment may be used now, no more: no burst after a pause.
            let from = self
                .not_before
                .filter(|until| now.saturating_duration_since(*until) < Duration::from_millis(200))
                .unwrap_or(now);
            self.not_before = Some(from + Duration::from_secs_f64(records as f64 / rate));
        }
        if took > VERY_LONG_BATCH && !is_alone {
            // The others of its worker have waited for it: they have the most of the time.
            self.not_before = self.not_before.max(Some(now + took * OTHERS_SHARE));
        }
        self.cost.add(records, took, now);
        self.most_records = self.next_size(records, took, now);
    }

    /// How many records should go into the next batch: as many as add no more than a long batch's time to what any batch costs.
    fn next_size(&self, records: usize, took: Duration, now: Instant) -> usize {
        let is_full = records >= self.most_records;
        let more = if is_full {
            records.saturating_mul(2)
        } else {
            self.most_records
        };
        if took < LONG_BATCH / 4 {
            return more;
        }
        match self.cost.of_record(records, now) {
            // Another size will tell which part of it is the records'.
            None if took > LONG_BATCH => {
                let fewer = smaller(records, took).min(records / 2);
                fewer.max(records / 16).max(1)
            }
            None => more,
            Some(of_record) => {
                let fitting = (LONG_BATCH.as_secs_f64() / of_record.max(1e-9)) as usize;
                if fitting > records {
                    more.min(fitting)
                } else {
                    fitting.max(records / 16).max(1)
                }
            }
        }
    }
}
