//! The scan of a stream of Kinesis: its shards side by side, to parity.
//!
//! A peek reads every shard from its oldest record (or the time that the query asks for) and moves no position.

use super::column::{Column, RowFiller, is_sequence_number, is_shard_id, to_milliseconds};
use super::job::{self, Input, Job, Progress, SkipReason, SkippedRecord};
use super::tally::Tally;
use crate::kinesis::source::Source;
use crate::pg::current_record::{CurrentRecord, work_on};
use crate::pg::relation::Oid;
use crate::pg::tuple::RowWriter;
use crate::pg::{time, wait};
use crate::source::Stream;
use crate::{error, settings};
use plan::bounds::Bounds;
use std::cell::RefCell;
use std::ffi::CStr;
use std::fmt::Write;
use std::rc::Rc;
use std::time::{Duration, Instant};
use stream::TimestampType;
use stream::kinesis::{
    Client, Next, Position, ReadOptions, Reader, Record, Records, ShardStart, Until, now_ms,
};

/// A query that wants a few records buffers no more than this.
const SMALL_PEEK_BYTES: usize = 10 * 1024 * 1024;
/// LIMITs up to this are a few records.
const SMALL_PEEK_RECORDS: u64 = 1000;

/// A batch of rows that lands together is not longer: so long it is remembered which record is which.
const REMEMBERED: usize = 2048;

/// Shards and sequence numbers of the latest records. The strings stay, so that a record costs no allocation.
#[derive(Default)]
struct Recent {
    records: Vec<(String, String)>,
    next: u64,
}

thread_local! {
    static RECENT: RefCell<Recent> = RefCell::default();
}

/// One of the latest records in words: its shard and sequence number.
fn describe(_: i32, number: i64) -> Option<String> {
    let stream = job::topic();
    RECENT.with_borrow(|recent| {
        let is_known = recent.next - number as u64 <= REMEMBERED as u64;
        let record = recent.records.get(number as usize % REMEMBERED);
        let (shard, number) = record.filter(|_| is_known)?;
        Some(format!(
            "stream \"{stream}\", {shard}, sequence number {number}"
        ))
    })
}

fn remember(record: &Record) {
    RECENT.with_borrow_mut(|recent| {
        let place = recent.next as usize % REMEMBERED;
        if recent.records.len() <= place {
            recent.records.push(Default::default());
        }
        let (shard, number) = &mut recent.records[place];
        shard.clear();
        shard.push_str(record.shard_id());
        number.clear();
        number.push_str(record.sequence_number());
        if let Some(user) = record.sub_sequence_number() {
            let _ = write!(number, ", user record {user}");
        }
        work_on(Some(CurrentRecord {
            at: (0, recent.next as i64),
            describe,
        }));
        recent.next += 1;
    });
}

/// A scan of a stream.
pub struct ShardScan {
    table: Oid,
    /// Who reads.
    user: Oid,
    filler: RowFiller,
    /// How many records are enough; 0 for all.
    limit: u64,
    returned: u64,
    waited: Duration,
    open: Option<Open>,
    refresh: Option<Refresh>,
}

/// Where the records come from.
enum Open {
    /// The reader goes before its client.
    Read(Box<Reader>, Rc<Client>),
    /// A worker has taken them already; with the place of the next one.
    Taken(Rc<Records>, usize),
}

/// What only a refresh's scan has.
struct Refresh {
    input: Option<Input>,
    refresh_time: i64,
    /// Its progress is one a shard, in the order of the reader's.
    tally: Tally,
}

impl ShardScan {
    /// Prepares a scan; the service is asked when the first record is.
    pub fn begin(table: Oid, user: Oid, columns: Vec<(usize, Column)>, limit: u64) -> ShardScan {
        let refresh = job::take(table).map(|job| Refresh::new(*job));
        let refresh_time = refresh
            .as_ref()
            .map_or_else(time::statement_start_utc, |refresh| refresh.refresh_time);
        ShardScan {
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
    pub fn open(&mut self, bounds: &Bounds) {
        self.open = Some(match &mut self.refresh {
            Some(refresh) => match refresh.input.take() {
                Some(Input::FetchShards(reader, client)) => Open::Read(reader, client),
                Some(Input::TakenShards(records)) => Open::Taken(records, 0),
                _ => error::rescan().raise(),
            },
            None => peek(self.table, self.user, self.limit, bounds),
        });
    }

    /// Reads again, for a plan that needs the stream more than once.
    pub fn restart(&mut self) {
        self.returned = 0;
        if self.refresh.is_some() && self.open.is_some() {
            error::rescan().raise();
        }
        // Opened again with the bounds of then.
        self.open = None;
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
        let mut silence: Option<(u64, Instant)> = None;
        loop {
            // An aggregated record is loaded whole, since the position can only be before or behind it.
            let is_within = matches!(open, Open::Read(reader, _) if reader.is_within_record());
            if let Some(refresh) = &mut self.refresh
                && !is_within
                && refresh.tally.reached_limit()
            {
                return false;
            }
            let next = match open {
                Open::Taken(records, at) => {
                    *at += 1;
                    records.get(*at - 1).map_or(Next::End, Next::Record)
                }
                Open::Read(reader, _) => match reader.next() {
                    Ok(next) => next,
                    Err(error) => {
                        let label = Stream::of_table(self.table, self.user).label();
                        error::service(&label, &error).raise()
                    }
                },
            };
            match next {
                Next::Record(record) => {
                    if !is_text(&record) {
                        not_kinesis(self.table, self.user, &record);
                    }
                    let is_wanted = match &mut self.refresh {
                        Some(refresh) => refresh.accept(&record),
                        None => !record.is_of_other_shard(),
                    };
                    if !is_wanted {
                        wait::interruption();
                        continue;
                    }
                    let filled = match &mut row {
                        Some(row) => self.filler.fill_shard_record(&record, row),
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
                        (Err(reason), None) => {
                            let label = Stream::of_table(self.table, self.user).label();
                            does_not_fit(&label, &record, reason);
                        }
                    }
                }
                Next::End => return false,
                Next::Wait => {
                    let Open::Read(reader, client) = &*open else {
                        return false;
                    };
                    if let Some(refresh) = &self.refresh {
                        refresh.tally.report();
                    }
                    let began = Instant::now();
                    // An answer without records is a sign of life.
                    if silence.is_none_or(|(answers, _)| answers != reader.answers()) {
                        silence = Some((reader.answers(), began + settings::fetch_timeout()));
                    }
                    let deadline = silence.map_or(began, |(_, deadline)| deadline);
                    if began >= deadline {
                        let waiting_for = reader.unfinished().join(", ");
                        let label = Stream::of_table(self.table, self.user).label();
                        error::shards_stalled(&label, &waiting_for, client.last_trouble()).raise();
                    }
                    wait::readable(client.wake_fd(), deadline, wait::Event::StreamFetch);
                    client.clear_wake();
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

    /// Ends the scan; a refresh's outcome is laid down for it. Records that the plan did not ask for are read and counted as filtered, as of a topic.
    pub fn end(mut self) {
        if self.refresh.is_some() {
            if self.open.is_none() {
                self.open(&Bounds::default());
            }
            while self.advance(None) {}
            work_on(None);
        }
        let Some(refresh) = &mut self.refresh else {
            return;
        };
        let shards = match &self.open {
            Some(Open::Read(reader, _)) => reader.shards(),
            _ => Vec::new(),
        };
        refresh.know_shards(shards.len());
        refresh.tally.finish(shards);
    }

    /// For EXPLAIN ANALYZE: what was read, and how long records were waited for.
    pub fn statistics(&self, timing: bool) -> Vec<(&'static CStr, String)> {
        let (records, bytes, shards) = match &self.open {
            None => return Vec::new(),
            Some(Open::Read(reader, _)) => {
                let shards: Vec<String> = reader.shards().into_iter().map(|s| s.id).collect();
                (reader.records(), reader.bytes(), shards.join(", "))
            }
            Some(Open::Taken(records, at)) => (*at as u64, records.bytes(), String::new()),
        };
        let mut lines = vec![
            (c"Shards Read", shards),
            (c"Records", records.to_string()),
            (c"Bytes", bytes.to_string()),
        ];
        if timing {
            let waited = self.waited.as_secs_f64() * 1000.0;
            lines.push((c"Wait", format!("{waited:.3} ms")));
        }
        lines
    }
}

impl Refresh {
    fn new(job: Job) -> Refresh {
        Refresh {
            input: Some(job.input),
            refresh_time: job.refresh_time,
            tally: Tally::new(job.limits, Vec::new()),
        }
    }

    /// There is progress for so many shards at least: children come up while others are read.
    fn know_shards(&mut self, count: usize) {
        let progress = &mut self.tally.progress;
        progress.resize(progress.len().max(count), Progress::default());
    }

    /// Counts a record; false if it is not to be loaded.
    fn accept(&mut self, record: &Record) -> bool {
        remember(record);
        self.know_shards(record.shard() + 1);
        let data = record.data().len() as u64;
        self.tally
            .count(record.shard(), record.bytes(), record.arrival_ms());
        let reason = if record.is_of_other_shard() {
            SkipReason::OtherShard(record.sub_sequence_number().unwrap_or(0))
        } else if let Some(reason) = self.tally.too_large("value", data) {
            reason
        } else {
            return true;
        };
        self.skip(record, reason);
        false
    }

    /// The record that was counted is not loaded.
    fn skip(&mut self, record: &Record, reason: SkipReason) {
        let time = record.arrival_ms();
        self.tally.skip(|| SkippedRecord {
            partition: record.shard_id().to_owned(),
            position: record.sequence_number().to_owned(),
            timestamp: time.map(|time| (TimestampType::LogAppend, time)),
            reason,
        });
    }
}

/// Are a record's names such as a service of Kinesis gives? They go into text columns, and positions are stored by them.
#[inline]
fn is_text(record: &Record) -> bool {
    is_shard_id(record.shard_id()) && is_sequence_number(record.sequence_number())
}

#[cold]
fn not_kinesis(table: Oid, user: Oid, record: &Record) -> ! {
    let stream = Stream::of_table(table, user);
    let (what, text) = if is_shard_id(record.shard_id()) {
        ("sequence number", record.sequence_number())
    } else {
        ("shard", record.shard_id())
    };
    error::not_kinesis(stream.name(), what, text).raise()
}

/// A query cannot pass over a record in silence.
fn does_not_fit(stream: &str, record: &Record, reason: SkipReason) {
    if let SkipReason::TooLarge { part, bytes, limit } = reason {
        let (shard, number) = (record.shard_id(), record.sequence_number());
        let place = format!("{stream}, {shard}, sequence number {number}");
        error::record_does_not_fit(&place, part, bytes, limit).raise();
    }
}

/// Everything that is in the stream now, within the bounds.
fn peek(table: Oid, user: Oid, limit: u64, bounds: &Bounds) -> Open {
    let (source, stream) = Source::of_stream(table, user);
    let few = (1..=SMALL_PEEK_RECORDS).contains(&limit);
    let memory = settings::memory_limit_bytes();
    let client = source.connect(if few {
        memory.min(SMALL_PEEK_BYTES)
    } else {
        memory
    });
    let description = source.describe(&client, &stream);
    let from = match bounds.timestamp_from {
        // Later than now is not taken by the service, and has no records.
        Some(from) => Position::Time(to_milliseconds(from).clamp(0, now_ms())),
        None => Position::Horizon,
    };
    let shards = description
        .shards
        .iter()
        .filter(|shard| !bounds.is_never && bounds.has_shard(&shard.id))
        .map(|shard| ShardStart {
            id: shard.id.clone(),
            // In no order: all at once.
            parents: Vec::new(),
            from: from.clone(),
            is_closed: shard.last.is_some(),
            hash_keys: shard.hash_keys,
        })
        .collect();
    let options = ReadOptions {
        until: Until::Parity(now_ms()),
        page_records: few.then_some(limit as u32),
        deaggregate: source.deaggregate,
    };
    let reader = client
        .read(&stream, shards, &options)
        .unwrap_or_else(|error| error::service(&source.label(), &error).raise());
    Open::Read(Box::new(reader), Rc::new(client))
}
