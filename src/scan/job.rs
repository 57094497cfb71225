//! What a refresh gives a scan to do, and what it gets back.
//!
//! The definition's plan runs inside Postgres's executor, which knows nothing of refreshes. So the refresh lays a job down just before the executor
//! starts, the scan of that stream takes it when it begins and lays it back when it ends.

use super::column::to_timestamp;
use crate::pg::current_record;
use crate::pg::relation::Oid;
use plan::bounds::Bounds;
use std::cell::Cell;
use std::rc::Rc;
use stream::kinesis::{self, ShardState};
use stream::{Client, PartitionRange, Records, TimestampType};

/// How many skipped records one refresh lists one by one; beyond it they are only counted.
pub const MAX_LISTED_SKIPS: usize = 10_000;

/// One refresh's reading of a topic.
pub struct Job {
    /// The foreign table that the definition reads.
    pub table: Oid,
    /// The topic.
    pub topic: String,
    /// Where the records come from.
    pub input: Input,
    /// What to read: from the position to the end that was fixed when the refresh began, or where the records end.
    pub ranges: Vec<PartitionRange>,
    /// When to stop earlier, and which records to skip.
    pub limits: Limits,
    /// When the refresh began (a timestamp in UTC).
    pub refresh_time: i64,
}

impl Job {
    /// Is it one of a stream of Kinesis?
    pub fn is_of_shards(&self) -> bool {
        matches!(self.input, Input::FetchShards(..) | Input::TakenShards(..))
    }
}

/// Where a refresh's records come from.
pub enum Input {
    /// The ranges are fetched by the client that asked for their ends.
    Fetch(Rc<Client>),
    /// A worker has them already.
    Taken(Rc<Records>),
    /// There are none: only the bounds are asked for.
    Nothing,
    /// The shards of a stream are fetched; the reader goes before its client.
    FetchShards(Box<kinesis::Reader>, Rc<kinesis::Client>),
    /// A worker has the records of a stream already.
    TakenShards(Rc<kinesis::Records>),
}

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
#[derive(Default)]
pub struct Outcome {
    /// Each range's progress, in the order of the job's ranges.
    pub partitions: Vec<Progress>,
    /// The skipped records, [`MAX_LISTED_SKIPS`] of them at most.
    pub skipped: Vec<SkippedRecord>,
    /// What the definition's WHERE says of the partitions that it reads.
    pub bounds: Bounds,
    /// A limit ended the scan before the fixed ends.
    pub stopped_early: bool,
    /// How far each shard of a stream was read; `partitions` has their counts in the same order.
    pub shards: Vec<ShardState>,
}

/// One partition's progress.
#[derive(Clone, Copy, Default)]
pub struct Progress {
    /// The partition.
    pub partition: i32,
    /// The last record that was read.
    pub last_offset: Option<i64>,
    /// Where the next refresh resumes if this one was stopped early.
    pub next_offset: i64,
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

thread_local! {
    static OFFERED: Cell<Option<Box<Job>>> = const { Cell::new(None) };
    static FINISHED: Cell<Option<Outcome>> = const { Cell::new(None) };
    /// The table of the view whose definition runs.
    static RUNNING: Cell<Option<Oid>> = const { Cell::new(None) };
    /// The topic that is being read, for the CONTEXT of errors.
    static TOPIC: Cell<String> = const { Cell::new(String::new()) };
}

/// Lays the job down for the scan that begins next.
pub fn offer(job: Job) {
    FINISHED.set(None);
    TOPIC.set(job.topic.clone());
    OFFERED.set(Some(Box::new(job)));
}

/// The job for a scan of `table`, if one is waiting.
pub fn take(table: Oid) -> Option<Box<Job>> {
    let job = OFFERED.take()?;
    if job.table == table {
        return Some(job);
    }
    OFFERED.set(Some(job));
    None
}

/// Lays the outcome down for the refresh.
pub fn finish(outcome: Outcome) {
    FINISHED.set(Some(outcome));
}

/// The outcome of the scan, which was begun or made up for: [`is_offered`].
pub fn take_outcome() -> Option<Outcome> {
    OFFERED.set(None);
    FINISHED.take()
}

/// Does the job still wait for its scan? A plan may need none: WHERE false.
pub fn is_offered() -> bool {
    let job = OFFERED.take();
    let is_offered = job.is_some();
    OFFERED.set(job);
    is_offered
}

/// The topic that the running refresh reads.
pub fn topic() -> String {
    let topic = TOPIC.take();
    TOPIC.set(topic.clone());
    topic
}

/// The table that a refresh or a batch loads in this backend, while it runs the definition.
pub fn loaded_table() -> Option<Oid> {
    RUNNING.get()
}

/// Marks the definition's run; the mark goes when the value is dropped, on errors too.
pub struct Running(());

impl Running {
    /// Sets the mark: this table is loaded.
    pub fn begin(table: Oid) -> Running {
        RUNNING.set(Some(table));
        Running(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.set(None);
        OFFERED.set(None);
        current_record::work_on(None);
    }
}
