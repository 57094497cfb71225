//! The scan of a stream: a plain SELECT peeks, a refresh reads its ranges.
//!
//! A peek is bounded by the watermarks when it starts, so it ends under constant load, and moves no position.

pub mod column;
pub mod headers;
pub mod job;
pub mod shape;
pub mod shards;
pub mod stream_scan;
mod tally;

use crate::pg::current_record::{CurrentRecord, work_on};
use crate::pg::relation::{self, Oid};
use crate::pg::tuple::RowWriter;
use crate::pg::wait::Event;
use crate::pg::{progress, time, wait};
use crate::source::{Source, Watermarks};
use crate::{error, settings};
use column::{Column, RowFiller, to_milliseconds};
use job::{Input, Job, Progress, SkipReason, SkippedRecord};
use plan::bounds::Bounds;
use std::ffi::CStr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use stream::{Client, Next, PartitionRange, ReadOptions, Reader, Record};
use tally::Tally;

/// A query that wants a few records buffers no more than this.
const SMALL_PEEK_BYTES: usize = 4 * 1024 * 1024;
/// How often a reader is asked when nothing arrives (it looks whether its partitions still exist).
const READER_CHECKS: Duration = Duration::from_secs(1);
/// LIMITs up to this are a few records.
const SMALL_PEEK_RECORDS: u64 = 1000;

/// A record of a topic in words.
fn describe(partition: i32, offset: i64) -> Option<String> {
    let topic = job::topic();
    Some(format!(
        "topic \"{topic}\", partition {partition}, offset {offset}"
    ))
}

/// Refuses to be planned inside a native CREATE or REFRESH MATERIALIZED VIEW: it would read the topic again each time.
pub fn check_allowed_here(table: Oid) {
    if job::loaded_table().is_none() {
        error::native_materialized_view(&relation::qualified_name(table).unwrap_or_default())
            .raise();
    }
}

/// A scan of a topic.
pub struct Scan {
    table: Oid,
    /// Who reads.
    user: Oid,
    filler: RowFiller,
    /// How many records are enough; 0 for all.
    limit: u64,
    returned: u64,
    waited: Duration,
    /// Before `refresh`: the reader goes before the job's client.
    open: Option<Open>,
    refresh: Option<Refresh>,
}

/// What only a refresh's scan has.
struct Refresh {
    job: Box<Job>,
    /// Its progress is one a range, in their order.
    tally: Tally,
    /// From partition number to place in that.
    places: Vec<usize>,
}

/// A started reading.
struct Open {
    topic: String,
    ranges: Vec<PartitionRange>,
    records: Records,
}

/// Where the records come from.
enum Records {
    /// From the broker. The reader goes before its client; a refresh's job has the client.
    Read(Box<Reader>, Option<Client>),
    /// A worker has taken them already; with the place of the next one.
    Taken(Rc<stream::Records>, usize),
    /// There are none.
    Nothing,
}

impl Scan {
    /// Prepares a scan as `user`; the broker is asked when the first record is.
    pub fn begin(table: Oid, user: Oid, columns: Vec<(usize, Column)>, limit: u64) -> Scan {
        let refresh = job::take(table).map(Refresh::new);
        let refresh_time = refresh
            .as_ref()
            .map_or_else(time::statement_start_utc, |refresh| {
                refresh.job.refresh_time
            });
        Scan {
            table,
            user,
            filler: RowFiller::new(columns, refresh_time),
            limit,
            returned: 0,
            waited: Duration::ZERO,
            open: None,
            refresh,
        }
    }

    /// Has reading begun?
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Begins to read.
    pub fn open(&mut self, bounds: Bounds) {
        self.open = Some(match &mut self.refresh {
            Some(refresh) => {
                let open = refresh.job.open(&bounds);
                refresh.tally.bounds = bounds;
                open
            }
            None => {
                let (source, topic) = Source::of_topic(self.table, self.user);
                let few = (1..=SMALL_PEEK_RECORDS).contains(&self.limit);
                let memory = settings::memory_limit_bytes();
                let client = source.connect(if few {
                    memory.min(SMALL_PEEK_BYTES)
                } else {
                    memory
                });
                let ranges = peek_ranges(&source, &client, &topic, &bounds);
                let reader = start_reading(&client, &topic, &ranges);
                Open {
                    topic,
                    ranges,
                    records: Records::Read(Box::new(reader), Some(client)),
                }
            }
        });
    }

    /// Reads the same ranges again, for a plan that needs the stream more than once.
    pub fn restart(&mut self) {
        self.returned = 0;
        if self.refresh.is_some() && self.open.is_some() {
            error::rescan().raise();
        }
        if let Some(Open {
            topic,
            ranges,
            records: Records::Read(reader, Some(client)),
        }) = self.open.take()
        {
            drop(reader);
            let reader = start_reading(&client, &topic, &ranges);
            self.open = Some(Open {
                topic,
                ranges,
                records: Records::Read(Box::new(reader), Some(client)),
            });
        }
    }

    /// Writes the next record as a row; false at the end.
    pub fn next(&mut self, row: &mut RowWriter) -> bool {
        let more = self.advance(Some(row));
        if !more && self.refresh.is_some() {
            work_on(None);
        }
        more
    }

    /// The next record that is loaded; without `row` a refresh's records are passed instead.
    fn advance(&mut self, mut row: Option<&mut RowWriter>) -> bool {
        let Some(open) = self.open.as_mut() else {
            return false;
        };
        if self.limit > 0 && self.returned >= self.limit {
            return false;
        }
        let mut stalled_at = None;
        loop {
            if let Some(refresh) = &mut self.refresh
                && refresh.tally.reached_limit()
            {
                return false;
            }
            let next = match &mut open.records {
                Records::Taken(records, at) => {
                    *at += 1;
                    records.get(*at - 1).map_or(Next::End, Next::Record)
                }
                Records::Nothing => Next::End,
                Records::Read(reader, _) => match reader.next() {
                    Ok(next) => next,
                    Err(error) => {
                        error::source(&format!("topic \"{}\"", open.topic), &error).raise()
                    }
                },
            };
            match next {
                Next::Record(record) => {
                    if let Some(refresh) = &mut self.refresh
                        && !refresh.accept(&record)
                    {
                        wait::interruption();
                        continue;
                    }
                    let filled = match &mut row {
                        Some(row) => self.filler.fill(&record, row),
                        None => {
                            if let Some(refresh) = &mut self.refresh {
                                refresh.tally.filtered();
                            }
                            wait::interruption();
                            continue;
                        }
                    };
                    match (filled, &mut self.refresh) {
                        (Ok(()), _) => {
                            self.returned += 1;
                            return true;
                        }
                        (Err(reason), Some(refresh)) => refresh.skip(&record, reason),
                        (Err(reason), None) => does_not_fit(&open.topic, &record, reason),
                    }
                }
                Next::End => return false,
                Next::Wait => {
                    if let Some(refresh) = &self.refresh {
                        refresh.tally.report();
                    }
                    let began = Instant::now();
                    let deadline = *stalled_at.get_or_insert(began + settings::fetch_timeout());
                    open.wait(self.refresh.as_ref(), deadline);
                    self.waited += began.elapsed();
                }
            }
        }
    }

    /// The row that `next` wrote did not pass the WHERE.
    pub fn filtered(&mut self) {
        if let Some(refresh) = &mut self.refresh {
            refresh.tally.filtered();
        }
    }

    /// Ends the scan; a refresh's outcome is laid down for it. Records that the plan did not ask for, since it knew that none would pass, are read
    /// all the same and counted as filtered: their offsets are passed, and everything that is passed is counted.
    pub fn end(mut self) {
        if self.refresh.is_some() {
            if self.open.is_none() {
                self.open(Bounds::default());
            }
            while self.advance(None) {}
            work_on(None);
        }
        let Some(refresh) = &mut self.refresh else {
            return;
        };
        if let Some(open) = &self.open {
            for progress in &mut refresh.tally.progress {
                if let Some(next_offset) = open.next_offset(progress.partition) {
                    progress.next_offset = next_offset;
                }
            }
        }
        refresh.tally.finish(Vec::new());
    }

    /// For EXPLAIN ANALYZE: what was read, and how long records were waited for.
    pub fn statistics(&self, timing: bool) -> Vec<(&'static CStr, String)> {
        let Some(open) = &self.open else {
            return Vec::new();
        };
        let ranges = open
            .ranges
            .iter()
            .map(|r| format!("{}: {}-{}", r.partition, r.start, r.end));
        let mut lines = vec![
            (c"Ranges", ranges.collect::<Vec<_>>().join(", ")),
            (c"Records", open.counts().0.to_string()),
            (c"Bytes", open.counts().1.to_string()),
        ];
        if timing {
            lines.push((
                c"Wait",
                format!("{:.3} ms", self.waited.as_secs_f64() * 1000.0),
            ));
        }
        lines
    }
}

impl Refresh {
    fn new(job: Box<Job>) -> Refresh {
        let progress: Vec<Progress> = job
            .ranges
            .iter()
            .map(|range| Progress {
                partition: range.partition,
                next_offset: range.start,
                ..Progress::default()
            })
            .collect();
        let highest = job
            .ranges
            .iter()
            .map(|range| range.partition)
            .max()
            .unwrap_or(0);
        let mut places = vec![0; usize::try_from(highest).unwrap_or(0) + 1];
        for (place, range) in job.ranges.iter().enumerate() {
            if let Ok(partition) = usize::try_from(range.partition) {
                places[partition] = place;
            }
        }
        Refresh {
            tally: Tally::new(job.limits, progress),
            job,
            places,
        }
    }

    /// Counts a record; false if it is too large to load.
    fn accept(&mut self, record: &Record) -> bool {
        let (partition, offset) = (record.partition(), record.offset());
        work_on(Some(CurrentRecord {
            at: (partition, offset),
            describe,
        }));
        let place = usize::try_from(partition)
            .ok()
            .and_then(|p| self.places.get(p).copied())
            .unwrap_or(0);
        let key = record.key().map_or(0, <[u8]>::len) as u64;
        let value = record.value().map_or(0, <[u8]>::len) as u64;
        let timestamp = record.timestamp();
        let time = timestamp.map(|(_, time)| time);
        let progress = self.tally.count(place, key + value, time);
        progress.last_offset = Some(offset);
        let tally = &self.tally;
        let reason = tally
            .too_large("value", value)
            .or_else(|| tally.too_large("key", key))
            .or_else(|| {
                let limit = tally.limits.max_record_bytes;
                tally.too_large(headers::PART, headers::size_beyond(record, limit))
            });
        let Some(reason) = reason else {
            return true;
        };
        self.skip(record, reason);
        false
    }

    /// The record that was counted is not loaded.
    fn skip(&mut self, record: &Record, reason: SkipReason) {
        self.tally.skip(|| SkippedRecord {
            partition: record.partition().to_string(),
            position: record.offset().to_string(),
            timestamp: record.timestamp(),
            reason,
        });
    }
}

impl Job {
    fn open(&self, bounds: &Bounds) -> Open {
        let topic = self.topic.clone();
        match &self.input {
            Input::Fetch(client) => {
                // Bounds on offsets and time are conditions on records: what they leave out is read and counted.
                let is_read = |range: &&PartitionRange| bounds.has_partition(range.partition);
                let ranges: Vec<PartitionRange> =
                    self.ranges.iter().filter(is_read).copied().collect();
                let reader = start_reading(client, &topic, &ranges);
                Open {
                    topic,
                    ranges,
                    records: Records::Read(Box::new(reader), None),
                }
            }
            Input::Taken(records) => Open {
                topic,
                ranges: self.ranges.clone(),
                records: Records::Taken(Rc::clone(records), 0),
            },
            Input::Nothing => Open {
                topic,
                ranges: Vec::new(),
                records: Records::Nothing,
            },
            Input::FetchShards(..) | Input::TakenShards(..) => {
                unreachable!("shards have a scan of their own")
            }
        }
    }
}

impl Open {
    /// Waits for records; raises when the broker has been silent until `deadline`.
    fn wait(&self, refresh: Option<&Refresh>, deadline: Instant) {
        let Records::Read(reader, own_client) = &self.records else {
            return;
        };
        let client = match (own_client, refresh.map(|refresh| &refresh.job.input)) {
            (Some(client), _) => client,
            (None, Some(Input::Fetch(client))) => client,
            (None, _) => return,
        };
        if Instant::now() >= deadline {
            let waiting_for = unfinished(reader, &self.ranges);
            error::stalled(&self.topic, &waiting_for, client.last_broker_error()).raise();
        }
        if refresh.is_some() {
            progress::waiting(client.throttled().is_some());
        }
        // The reader has checks of its own to make when nothing arrives.
        wait::readable(
            client.wake_fd(),
            deadline.min(Instant::now() + READER_CHECKS),
            Event::StreamFetch,
        );
        client.clear_wake();
    }

    fn next_offset(&self, partition: i32) -> Option<i64> {
        match &self.records {
            Records::Read(reader, _) => reader.next_offset(partition),
            Records::Taken(..) | Records::Nothing => None,
        }
    }

    /// Records and bytes read so far.
    fn counts(&self) -> (u64, u64) {
        match &self.records {
            Records::Read(reader, _) => (reader.records(), reader.bytes()),
            Records::Taken(records, at) => (*at as u64, records.bytes()),
            Records::Nothing => (0, 0),
        }
    }
}

/// A query cannot pass over a record in silence.
fn does_not_fit(topic: &str, record: &Record, reason: SkipReason) {
    if let SkipReason::TooLarge { part, bytes, limit } = reason {
        let (partition, offset) = (record.partition(), record.offset());
        let place = format!("topic \"{topic}\", partition {partition}, offset {offset}");
        error::record_does_not_fit(&place, part, bytes, limit).raise();
    }
}

fn start_reading(client: &Client, topic: &str, ranges: &[PartitionRange]) -> Reader {
    client
        .read(topic, ranges.to_vec(), &ReadOptions::default())
        .unwrap_or_else(|error| error::source(&format!("topic \"{topic}\""), &error).raise())
}

/// The part of a range that the bounds leave.
fn within(range: PartitionRange, bounds: &Bounds) -> Option<PartitionRange> {
    let start = range.start.max(bounds.offsets.0);
    let end = range.end.min(bounds.offsets.1.saturating_add(1));
    (bounds.has_partition(range.partition) && start < end).then_some(PartitionRange {
        start,
        end,
        ..range
    })
}

/// Everything that is in the topic now, within the bounds.
fn peek_ranges(
    source: &Source,
    client: &Client,
    topic: &str,
    bounds: &Bounds,
) -> Vec<PartitionRange> {
    let description = source.answer(
        client,
        client.describe_topic(topic, settings::connect_timeout()),
    );
    let partitions: Vec<i32> = description
        .partitions
        .into_iter()
        .filter(|partition| !bounds.is_never && bounds.has_partition(*partition))
        .collect();
    let watermarks = source.watermarks(client, topic, &partitions);
    let from_time = match bounds.timestamp_from {
        Some(timestamp) => {
            source.offsets_at(client, topic, &watermarks, to_milliseconds(timestamp))
        }
        None => Vec::new(),
    };
    let range = |watermarks: &Watermarks| {
        let at_time = from_time
            .iter()
            .find(|(partition, _)| *partition == watermarks.partition);
        let start = at_time.map_or(watermarks.earliest, |(_, offset)| {
            watermarks.earliest.max(*offset)
        });
        let range = PartitionRange {
            partition: watermarks.partition,
            start,
            end: watermarks.latest,
        };
        within(range, bounds)
    };
    watermarks.iter().filter_map(range).collect()
}

/// The partitions that have not reached their end, for a message.
fn unfinished(reader: &Reader, ranges: &[PartitionRange]) -> String {
    let waiting: Vec<String> = ranges
        .iter()
        .filter_map(|range| {
            let next = reader.next_offset(range.partition)?;
            (next < range.end).then(|| {
                format!(
                    "partition {} offset {next} (end {})",
                    range.partition, range.end
                )
            })
        })
        .collect();
    waiting.join(", ")
}
