//! The scan of a stream: a plain SELECT peeks, a refresh reads what its plan says.
//!
//! A peek is bounded by what the stream has when it starts, so it ends under constant load, and moves no position.

pub mod job;
pub mod shape;
pub mod stream_scan;

use crate::error;
use crate::pg::current_record::work_on;
use crate::pg::relation::{self, Oid};
use crate::pg::setting;
use crate::pg::tuple::RowWriter;
use crate::pg::wait::Event;
use crate::pg::{foreign, progress, time, wait};
use crate::source::any::name_of;
use crate::source::column::Column;
use crate::source::outcome::SkipReason;
use crate::source::tally::Tally;
use crate::source::{Client, Reader, Record, Records, Source};
use job::{Input, Job};
use plan::bounds::Bounds;
use std::ffi::CStr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use stream::Next;

/// LIMITs up to this are a few records.
const SMALL_PEEK_RECORDS: u64 = 1000;

/// Refuses to be planned inside a native CREATE or REFRESH MATERIALIZED VIEW: it would read the topic again each time.
pub fn check_allowed_here(table: Oid) {
    if job::loaded_table().is_none() {
        error::native_materialized_view(&relation::qualified_name(table).unwrap_or_default())
            .raise();
    }
}

/// A scan of a stream.
pub struct Scan<S: Source> {
    table: Oid,
    /// Who reads.
    user: Oid,
    /// Attribute number (from 0) and column of what is read.
    columns: Vec<(usize, Column)>,
    refresh_time: i64,
    scratch: S::Scratch,
    /// How many records are enough; 0 for all.
    limit: u64,
    returned: u64,
    waited: Duration,
    open: Option<Open<S>>,
    refresh: Option<Refresh<S>>,
}

/// What only a refresh's scan has.
struct Refresh<S: Source> {
    job: Box<Job<S>>,
    tally: Tally,
}

/// A started reading.
struct Open<S: Source> {
    /// The topic or stream.
    name: String,
    reading: S::Reading,
    from: Supply<S>,
}

/// Where the records come from.
enum Supply<S: Source> {
    /// From the source. The reader goes before its client.
    Read(Box<S::Reader>, Rc<S::Client>),
    /// A worker has taken them already; with the place of the next one.
    Taken(Rc<S::Records>, usize),
    /// There are none.
    Nothing,
}

impl<S: Source> Scan<S> {
    /// Prepares a scan as `user`; the source is asked when the first record is.
    pub fn begin(table: Oid, user: Oid, columns: Vec<(usize, Column)>, limit: u64) -> Scan<S> {
        let refresh = job::take::<S>(table).map(|job| Refresh {
            tally: Tally::new::<S::Position>(job.limits, &S::parts(&job.reading)),
            job,
        });
        let refresh_time = match &refresh {
            Some(refresh) => refresh.job.refresh_time,
            None => time::statement_start_utc(),
        };
        Scan {
            table,
            user,
            columns,
            refresh_time,
            scratch: S::Scratch::default(),
            limit,
            returned: 0,
            waited: Duration::ZERO,
            open: None,
            refresh,
        }
    }

    /// Passes the records of the job that waits for a scan of `table`, if one does: its plan has needed no scan, so the definition takes none of
    /// them.
    pub fn pass_offered(table: Oid, user: Oid) {
        if job::is_offered() {
            Scan::<S>::begin(table, user, Vec::new(), 0).end();
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
            None => self.peek(&bounds),
        });
    }

    fn peek(&self, bounds: &Bounds) -> Open<S> {
        let (server, options) = foreign::of_table(self.table);
        let source = S::of_server(&server, self.user);
        let name = name_of::<S>(&options);
        let few = (1..=SMALL_PEEK_RECORDS).contains(&self.limit);
        let memory = setting::memory_limit_bytes();
        let client = Rc::new(source.connect(if few {
            memory.min(S::SMALL_PEEK_BYTES)
        } else {
            memory
        }));
        let reading = source.peek(&client, &name, bounds, few.then_some(self.limit as u32));
        Open::read(name, reading, client)
    }

    /// Reads the same again, for a plan that needs the stream more than once.
    pub fn restart(&mut self) {
        self.returned = 0;
        if self.refresh.is_some() && self.open.is_some() {
            error::rescan().raise();
        }
        if let Some(open) = self.open.take()
            && let Supply::Read(reader, client) = open.from
        {
            drop(reader);
            self.open = Some(Open::read(open.name, open.reading, client));
        }
    }

    /// Writes the next record as a row; false at the end.
    #[inline]
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
        let mut silence = Silence::default();
        loop {
            // What is indivisible is loaded whole, since the position can only be before or behind it.
            let is_within =
                matches!(&open.from, Supply::Read(reader, _) if reader.is_within_record());
            if let Some(refresh) = &mut self.refresh
                && !is_within
                && refresh.tally.reached_limit()
            {
                return false;
            }
            let next = match &mut open.from {
                Supply::Taken(records, at) => {
                    *at += 1;
                    records.get(*at - 1).map_or(Next::End, Next::Record)
                }
                Supply::Nothing => Next::End,
                Supply::Read(reader, _) => match reader.next() {
                    Ok(next) => next,
                    Err(error) => S::failure(&label::<S>(&open.name), &error).raise(),
                },
            };
            match next {
                Next::Record(record) => {
                    record.check(&open.name);
                    let is_wanted = match &mut self.refresh {
                        Some(refresh) => refresh.accept(&record),
                        None => record.is_shown(),
                    };
                    if !is_wanted {
                        wait::interruption();
                        continue;
                    }
                    let Some(row) = row.as_deref_mut() else {
                        if let Some(refresh) = &mut self.refresh {
                            refresh.tally.filtered();
                        }
                        wait::interruption();
                        continue;
                    };
                    let (columns, time) = (&self.columns, self.refresh_time);
                    let filled = S::fill(&record, columns, time, &mut self.scratch, row);
                    match (filled, &mut self.refresh) {
                        (Ok(()), _) => {
                            self.returned += 1;
                            return true;
                        }
                        (Err(reason), Some(refresh)) => refresh.skip(&record, reason),
                        (Err(reason), None) => does_not_fit::<S>(&open.name, &record, reason),
                    }
                }
                Next::End => return false,
                Next::Wait => {
                    if let Some(refresh) = &self.refresh {
                        refresh.tally.report();
                    }
                    let began = Instant::now();
                    open.wait(&mut silence, self.refresh.is_some());
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
    /// all the same and counted as filtered: their positions are passed, and everything that is passed is counted.
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
        let states = match &self.open {
            Some(Open {
                from: Supply::Read(reader, _),
                ..
            }) => S::reached(reader, &refresh.job.reading),
            _ => Vec::new(),
        };
        job::finish::<S>(refresh.tally.outcome(states));
    }

    /// For EXPLAIN ANALYZE: what was read, and how long records were waited for.
    pub fn statistics(&self, timing: bool) -> Vec<(&'static CStr, String)> {
        let Some(open) = &self.open else {
            return Vec::new();
        };
        let (records, bytes) = open.counts();
        let mut lines = vec![
            (S::WORDS.explain.1, open.parts()),
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

impl<S: Source> Refresh<S> {
    /// Counts a record; false if it is not to be loaded.
    #[inline]
    fn accept(&mut self, record: &S::Record<'_>) -> bool {
        match record.count(&mut self.tally) {
            None => true,
            Some(reason) => {
                self.skip(record, reason);
                false
            }
        }
    }

    /// The record that was counted is not loaded.
    fn skip(&mut self, record: &S::Record<'_>, reason: SkipReason) {
        self.tally.skip(|| record.skipped(reason));
    }
}

impl<S: Source> Job<S> {
    fn open(&self, bounds: &Bounds) -> Open<S> {
        let name = self.name.clone();
        match &self.input {
            Input::Fetch(client) => {
                let reading = S::within(&self.reading, bounds);
                Open::read(name, reading, Rc::clone(client))
            }
            Input::Taken(records) => Open {
                name,
                reading: self.reading.clone(),
                from: Supply::Taken(Rc::clone(records), 0),
            },
            Input::Nothing => Open {
                name,
                reading: self.reading.clone(),
                from: Supply::Nothing,
            },
        }
    }
}

/// How long nothing has come.
#[derive(Default)]
struct Silence {
    /// Signs of life, and until when the next one is waited for.
    since: Option<(u64, Instant)>,
}

impl Silence {
    /// Until when to wait; a sign of life puts it off.
    fn deadline(&mut self, signs: u64, now: Instant) -> Instant {
        match self.since {
            Some((known, deadline)) if known == signs => deadline,
            _ => {
                let deadline = now + setting::fetch_timeout();
                self.since = Some((signs, deadline));
                deadline
            }
        }
    }
}

impl<S: Source> Open<S> {
    fn read(name: String, reading: S::Reading, client: Rc<S::Client>) -> Open<S> {
        let reader = S::read(&client, &name, &reading)
            .unwrap_or_else(|error| S::failure(&label::<S>(&name), &error).raise());
        Open {
            name,
            reading,
            from: Supply::Read(Box::new(reader), client),
        }
    }

    /// Waits for records; raises when the source has been silent for too long.
    fn wait(&self, silence: &mut Silence, is_refresh: bool) {
        let Supply::Read(reader, client) = &self.from else {
            return;
        };
        let now = Instant::now();
        let deadline = silence.deadline(reader.signs_of_life(), now);
        if now >= deadline {
            let waiting_for = S::waiting_for(&self.reading, reader);
            S::stalled(&self.name, &waiting_for, client.trouble()).raise();
        }
        if is_refresh {
            progress::waiting(client.is_throttled());
        }
        let until = S::CHECKS.map_or(deadline, |pause| deadline.min(now + pause));
        wait::readable(client.wake_fd(), until, Event::StreamFetch);
        client.clear_wake();
    }

    fn parts(&self) -> String {
        match &self.from {
            Supply::Read(reader, _) => S::explain(&self.reading, Some(reader)),
            Supply::Taken(..) | Supply::Nothing => S::explain(&self.reading, None),
        }
    }

    /// Records and bytes read so far.
    fn counts(&self) -> (u64, u64) {
        match &self.from {
            Supply::Read(reader, _) => reader.counts(),
            Supply::Taken(records, at) => (*at as u64, records.bytes()),
            Supply::Nothing => (0, 0),
        }
    }
}

fn label<S: Source>(name: &str) -> String {
    format!("{} \"{name}\"", S::WORDS.stream)
}

/// A query cannot pass over a record in silence.
fn does_not_fit<S: Source>(name: &str, record: &S::Record<'_>, reason: SkipReason) {
    if let SkipReason::TooLarge { part, bytes, limit } = reason {
        let place = format!("{}, {}", label::<S>(name), record.place());
        error::record_does_not_fit(&place, part, bytes, limit).raise();
    }
}
