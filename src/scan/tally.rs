//! What a refresh counts while its scan reads, of a topic and of a stream alike.

use super::job::{self, Limits, MAX_LISTED_SKIPS, Outcome, Progress, SkippedRecord};
use crate::pg::progress;
use stream::kinesis::ShardState;

/// Progress is reported each time that so many records have been read, while there are few at each doubling, and before a wait.
const PROGRESS_RECORDS: u64 = 1024;

/// The counts of one refresh.
pub struct Tally {
    limits: Limits,
    /// One a partition or shard.
    pub progress: Vec<Progress>,
    /// Where the current record is counted.
    current: usize,
    scanned: u64,
    bytes: u64,
    skipped: Vec<SkippedRecord>,
    stopped_early: bool,
}

impl Tally {
    /// Nothing is read yet.
    pub fn new(limits: Limits, progress: Vec<Progress>) -> Tally {
        Tally {
            limits,
            progress,
            current: 0,
            scanned: 0,
            bytes: 0,
            skipped: Vec::new(),
            stopped_early: false,
        }
    }

    /// Is the refresh to stop here, before its end?
    pub fn reached_limit(&mut self) -> bool {
        let limits = &self.limits;
        self.stopped_early = self.scanned >= limits.max_records || self.bytes >= limits.max_bytes;
        self.stopped_early
    }

    /// Is a key or value so long that the record is skipped?
    pub fn is_too_large(&self, bytes: u64) -> bool {
        bytes > self.limits.max_record_bytes
    }

    /// Counts a record that was read: where, its bytes and its time (milliseconds since 1970). Returns where more can be said of it.
    pub fn count(&mut self, place: usize, bytes: u64, time_ms: Option<i64>) -> &mut Progress {
        self.current = place;
        self.scanned += 1;
        self.bytes += bytes;
        if self.scanned.is_multiple_of(PROGRESS_RECORDS)
            || self.scanned < PROGRESS_RECORDS && self.scanned.is_power_of_two()
        {
            self.report();
        }
        let progress = &mut self.progress[place];
        progress.count(bytes, time_ms);
        progress
    }

    /// The record that was counted is not loaded.
    pub fn skip(&mut self, record: impl FnOnce() -> SkippedRecord) {
        self.progress[self.current].skipped += 1;
        if self.skipped.len() < MAX_LISTED_SKIPS {
            self.skipped.push(record());
        }
    }

    /// The record that was counted did not pass the WHERE.
    pub fn filtered(&mut self) {
        self.progress[self.current].filtered += 1;
    }

    /// Shows how far it is.
    pub fn report(&self) {
        progress::loaded(self.scanned, self.bytes);
    }

    /// Lays the outcome down for the refresh; `shards` are how far those of a stream were read.
    pub fn finish(&mut self, shards: Vec<ShardState>) {
        job::finish(Outcome {
            partitions: std::mem::take(&mut self.progress),
            skipped: std::mem::take(&mut self.skipped),
            stopped_early: self.stopped_early,
            shards,
        });
    }
}
