//! What a refresh counts while its scan reads, of any source.

use super::outcome::{Limits, MAX_LISTED_SKIPS, Outcome, Progress, SkipReason, SkippedRecord};
use crate::catalog::position::{Position, State};
use crate::pg::{current_record, progress, time};
use plan::bounds::Bounds;

/// Progress is reported each time that so many records have been read, while there are few at each doubling, and before a wait.
const PROGRESS_RECORDS: u64 = 1024;

/// A record that claims to be so much newer than now has no time that can be true, nor has one from before 1970: none of both counts for the
/// oldest and newest record time. (In microseconds. Brokers since Kafka 4 take an hour: message.timestamp.after.max.ms.)
const MOST_AHEAD: i64 = 24 * 3600 * 1_000_000;

/// The counts of one refresh.
pub struct Tally {
    /// When to stop, and which records to skip.
    pub limits: Limits,
    /// One a partition or shard.
    progress: Vec<Progress>,
    /// Where the parts of these numbers are counted, where parts have numbers.
    places: Vec<usize>,
    /// Where the current record is counted.
    current: usize,
    scanned: u64,
    bytes: u64,
    skipped: Vec<SkippedRecord>,
    stopped_early: bool,
    /// What the scan's bounds are.
    pub bounds: Bounds,
    /// No record is newer, in microseconds since 2000.
    latest_time: i64,
}

impl Tally {
    /// Nothing is read yet of these parts.
    pub fn new<P: Position>(limits: Limits, parts: &[P::Part]) -> Tally {
        current_record::forget_rows();
        let mut places = Vec::new();
        for (place, part) in parts.iter().enumerate() {
            if let Some(number) = P::number(part) {
                places.resize(places.len().max(number + 1), 0);
                places[number] = place;
            }
        }
        Tally {
            places,
            progress: vec![Progress::default(); parts.len()],
            latest_time: time::now_utc().saturating_add(MOST_AHEAD),
            bounds: Bounds::default(),
            limits,
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

    /// Why a record is skipped of which a part has so many bytes, if it is.
    #[inline]
    pub fn too_large(&self, part: &'static str, bytes: u64) -> Option<SkipReason> {
        let limit = self.limits.max_record_bytes;
        (bytes > limit).then_some(SkipReason::TooLarge { part, bytes, limit })
    }

    /// Where the part of that number is counted.
    #[inline]
    pub fn place_of(&self, number: i32) -> usize {
        let place = usize::try_from(number).ok();
        place.and_then(|p| self.places.get(p).copied()).unwrap_or(0)
    }

    /// Counts a record that was read: where, its bytes and its time (milliseconds since 1970). Returns where more can be said of it.
    pub fn count(&mut self, place: usize, bytes: u64, time_ms: Option<i64>) -> &mut Progress {
        self.settle_rows();
        self.current = place;
        self.scanned += 1;
        self.bytes += bytes;
        if self.scanned.is_multiple_of(PROGRESS_RECORDS)
            || self.scanned < PROGRESS_RECORDS && self.scanned.is_power_of_two()
        {
            self.report();
        }
        if place >= self.progress.len() {
            // A child came up while others were read.
            self.progress.resize(place + 1, Progress::default());
        }
        let progress = &mut self.progress[place];
        progress.count(bytes, time_ms, self.latest_time);
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

    /// A record of which all rows were dropped is dropped.
    #[inline]
    fn settle_rows(&mut self) {
        if current_record::settle_rows() {
            self.progress[self.current].dropped += 1;
        }
    }

    /// Shows how far it is.
    pub fn report(&self) {
        progress::loaded(self.scanned, self.bytes);
    }

    /// All that was read; `states` are how far.
    pub fn outcome<P: Position>(&mut self, states: Vec<State<P>>) -> Outcome<P> {
        self.settle_rows();
        if !current_record::forget_rows() {
            for progress in &mut self.progress {
                progress.dropped = 0;
            }
        }
        let parts = self.progress.len().max(states.len());
        self.progress.resize(parts, Progress::default());
        Outcome {
            progress: std::mem::take(&mut self.progress),
            skipped: std::mem::take(&mut self.skipped),
            bounds: self.bounds.clone(),
            stopped_early: self.stopped_early,
            states,
        }
    }
}
