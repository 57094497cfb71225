//! What a scan gives back to the refresh: counts, positions, and what was not loaded.

use super::column::to_timestamp;
use crate::catalog::position::{Position, State};
use plan::bounds::Bounds;
use stream::TimestampType;

/// How many skipped records one refresh lists one by one; beyond it they are only counted.
pub const MAX_LISTED_SKIPS: usize = 10_000;

/// Bounds of one refresh.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Stop after this many records.
    pub max_records: u64,
    /// Stop when this many bytes (keys and values) have been read.
    pub max_bytes: u64,
    /// A record whose key, value or headers are longer than this is skipped.
    pub max_record_bytes: u64,
}

/// What was read.
pub struct Outcome<P: Position> {
    /// Each part's counts, in the order of the reading's parts.
    pub progress: Vec<Progress>,
    /// How far each part was read, in the same order; nothing of records that a worker had taken.
    pub states: Vec<State<P>>,
    /// The skipped records, [`MAX_LISTED_SKIPS`] of them at most.
    pub skipped: Vec<SkippedRecord>,
    /// What the definition's WHERE says of the parts that it reads.
    pub bounds: Bounds,
    /// A limit ended the scan before the fixed ends.
    pub stopped_early: bool,
}

impl<P: Position> Default for Outcome<P> {
    fn default() -> Outcome<P> {
        Outcome {
            progress: Vec::new(),
            states: Vec::new(),
            skipped: Vec::new(),
            bounds: Bounds::default(),
            stopped_early: false,
        }
    }
}

impl<P: Position> Outcome<P> {
    /// The counts of the part of that place.
    pub fn progress_at(&self, place: usize) -> Progress {
        self.progress.get(place).copied().unwrap_or_default()
    }
}

/// What was read of one partition or shard.
#[derive(Clone, Copy, Default)]
pub struct Progress {
    /// The last record that was read, where records are numbered.
    pub last_offset: Option<i64>,
    /// Records read.
    pub scanned: i64,
    /// Records that the definition's WHERE dropped.
    pub filtered: i64,
    /// Records that were not loaded.
    pub skipped: i64,
    /// Records of which a trigger dropped every row.
    pub dropped: i64,
    /// Bytes of keys and values.
    pub bytes: i64,
    /// Oldest and newest record time, of those that can be true, in microseconds since 2000 (UTC).
    pub times: Option<(i64, i64)>,
}

impl Progress {
    /// Counts a record that was read: its bytes and its time (in milliseconds since 1970), if that can be true: not before 1970, not after `latest`.
    #[inline]
    pub fn count(&mut self, bytes: u64, time_ms: Option<i64>, latest: i64) {
        self.scanned += 1;
        self.bytes += bytes as i64;
        let time = time_ms.filter(|ms| *ms >= 0).and_then(to_timestamp);
        if let Some(time) = time.filter(|time| *time <= latest) {
            let (oldest, newest) = self.times.unwrap_or((time, time));
            self.times = Some((oldest.min(time), newest.max(time)));
        }
    }
}

/// A record that was not loaded.
pub struct SkippedRecord {
    /// The partition or shard.
    pub partition: String,
    /// The offset or sequence number.
    pub position: String,
    /// Its time and who set it.
    pub timestamp: Option<(TimestampType, i64)>,
    /// Why.
    pub reason: SkipReason,
}

/// Why a record was not loaded.
#[derive(Clone, Copy)]
pub enum SkipReason {
    /// A part of it is larger than it may be.
    TooLarge {
        /// `key`, `value`, `headers` or `partition key`.
        part: &'static str,
        /// Its length in bytes.
        bytes: u64,
        /// What was allowed; of a partition key in characters.
        limit: u64,
    },
    /// This user record belongs to another shard.
    OtherShard(u32),
}
