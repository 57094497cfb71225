//! How fast a feed goes: batches that do not take long, one commit a window while it is current, a view's own limits.
//!
//! A batch is loaded when its window opens, or before if it is full. So a view that is behind loads one full batch after the other, whatever its window.

use super::cost::Cost;
use crate::view::pace::Pace;
use std::time::{Duration, Instant};
use stream::Gathered;

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

/// The tempo of one feed.
pub struct Tempo {
    /// How the members are loaded.
    pub pace: Pace,
    /// At most so many records go into a batch now: fewer when batches take long.
    pub most_records: usize,
    /// Since when more has been waiting than goes into a batch.
    pub behind_since: Option<Instant>,
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

fn has_passed(moment: Option<Instant>) -> bool {
    moment.is_none_or(|moment| moment <= Instant::now())
}

impl Tempo {
    /// Of a feed that has not loaded anything yet; its view is cut into so many slices.
    pub fn new(pace: Pace, slices: u32) -> Tempo {
        Tempo {
            pace,
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
    pub fn limits(&self) -> (usize, u64) {
        let (mut records, bytes) = self.pace.batch_limits();
        if let Some(rate) = self.rate() {
            // So that the records are spread over the second, ten batches of it are enough.
            let time = self.pace.commit_window().max(Duration::from_millis(100));
            records = records.min((rate * time.as_secs_f64()).ceil() as usize);
        }
        (records.min(self.most_records), bytes)
    }

    /// How many records a second this worker may load; the workers that share a view divide its limit evenly.
    fn rate(&self) -> Option<f64> {
        let limit = self.pace.max_records_per_second?;
        Some(f64::from(limit) / f64::from(self.slices))
    }

    /// The first record after a pause is loaded at once, then there is a commit a window, as long as it holds a batch.
    fn window_opens_at(&self) -> Option<Instant> {
        self.last_commit
            .map(|last| last + self.pace.commit_window())
    }

    /// When the next batch may be loaded if it is not full.
    pub fn opens_at(&self) -> Option<Instant> {
        self.window_opens_at().max(self.not_before)
    }

    /// May records be gathered now? For a window that is not open yet only if there may be a full batch, and memory for it.
    pub fn may_gather(&self, has_memory: bool) -> bool {
        let is_open = has_passed(self.window_opens_at());
        has_passed(self.not_before) && (is_open || self.behind_since.is_some() && has_memory)
    }

    /// Has more been waiting for so long than goes into a batch, which no rate limit holds back?
    pub fn is_behind(&self, time: Duration) -> bool {
        let since = self.behind_since;
        self.rate().is_none() && since.is_some_and(|since| since.elapsed() >= time)
    }

    /// Shall what was gathered be loaded now, or may more join it until the window opens?
    pub fn is_due(&mut self, gathered: Gathered) -> bool {
        let is_open = has_passed(self.window_opens_at());
        if gathered.has_more {
            self.more_seen = Some(Instant::now());
            self.behind_since.get_or_insert_with(Instant::now);
        } else if is_open && has_passed(self.more_seen.map(|seen| seen + CURRENT_AFTER)) {
            self.behind_since = None;
        }
        gathered.is_full || is_open
    }

    /// So many records were loaded, which took so long; the worker has no other views, or has.
    pub fn loaded(&mut self, records: usize, took: Duration, is_alone: bool) {
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
        if took > VERY_LONG_BATCH && !is_alone {
            // The others of its worker have waited for it: they have the most of the time.
            self.not_before = self.not_before.max(Some(now + took * OTHERS_SHARE));
        }
        self.cost.add(records, took);
        self.most_records = self.next_size(records, took);
    }

    /// How many records should go into the next batch: as many as add no more than a long batch's time to what any batch costs.
    fn next_size(&self, records: usize, took: Duration) -> usize {
        let is_full = records >= self.most_records;
        let more = if is_full {
            records.saturating_mul(2)
        } else {
            self.most_records
        };
        if took < LONG_BATCH / 4 {
            return more;
        }
        match self.cost.of_record(records) {
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
