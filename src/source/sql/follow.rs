//! How a worker follows topics that the database keeps: it is told of commits, and looks each second for what nobody tells of.

use super::registry::{self, Stream};
use super::{Reader, Records, Sql, number, retention};
use crate::catalog::checkpoint;
use crate::catalog::materialized_view::MaterializedView;
use crate::catalog::position::State;
use crate::error;
use crate::pg::background::{self, Failure, transaction};
use crate::pg::relation::Oid;
use crate::pg::shared;
use crate::pg::wait::WakeSet;
use crate::source::Records as _;
use crate::source::follow::{self, Asking, Batch, Division, Fault, Follow, Look, Place};
use crate::source::follow::{Share, Tail, Turn, bound_lock_waits};
use crate::source::kafka::asking::Topic;
use crate::source::kafka::moves::{self, Ends, offsets};
use crate::source::kafka::plan::{self, Checkpoint};
use crate::source::kafka::position::Offset;
use crate::source::plan::Plan;
use ::plan::bounds::Bounds;
use ::plan::share::Slice;
use ::plan::{pause, room};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};
use stream::{Gathered, PartitionRange, TopicDescription};

/// How often what a stream does not keep is removed.
const TRIM_PAUSE: Duration = Duration::from_secs(10);

/// A transaction that does not wait long for what somebody else has locked: he may be dropping the stream.
fn brief<T>(work: impl FnOnce() -> T) -> Result<T, Failure> {
    transaction(|| {
        bound_lock_waits();
        work()
    })
}

/// There are no clients; what feeds share is the memory for records that wait.
#[derive(Default)]
pub struct Shares(Share);

impl Shares {
    /// A feed gathers at most so many bytes.
    fn of_feed(&self) -> usize {
        room::of_gathered(self.0.bytes()) / self.0.views()
    }
}

impl follow::Clients for Shares {
    fn divide(&mut self, bytes: usize, views: usize) -> Division {
        self.0.divide(bytes, views)
    }

    fn memory(&self) -> usize {
        self.0.bytes()
    }

    fn clear_wakes(&self) {}
}

/// Nothing is under way: whoever asks has the answer.
pub struct Asked {
    /// The stream that was found last.
    relation: Oid,
}

impl Asking<Sql> for Asked {
    fn poll(&mut self, source: &Sql, name: &str, slice: Slice) -> Result<Option<Topic>, Fault> {
        let found = brief(|| {
            let stream = registry::reachable(source.server, name);
            let mut watermarks = number::bounds(&stream);
            watermarks.retain(|bounds| slice.takes(bounds.partition));
            let description = stream.description(name);
            let topic = Topic {
                description,
                watermarks,
            };
            (stream.relation, topic)
        });
        let (relation, topic) = found?;
        self.relation = relation;
        Ok(Some(topic))
    }

    fn ask_again(&mut self, _source: &Sql, _name: &str) {}

    fn cause(&self) -> String {
        String::new()
    }
}

impl Follow for Sql {
    type Clients = Shares;
    type Asking = Asked;
    type Found = Topic;
    type Tail = SqlTail;

    fn ask(&self, _name: &str, _shares: &mut Shares, _wake: &WakeSet) -> Asked {
        Asked {
            relation: Oid::INVALID,
        }
    }

    fn plan_found(
        &self,
        view: &MaterializedView,
        found: &Topic,
        stored: Vec<Checkpoint>,
        bounds: &Bounds,
    ) -> Plan<Sql> {
        let (read, out) = found.parted(bounds);
        plan::plan(view, &found.description, &stored, (&read, &out), bounds)
    }

    fn left_out(found: &Topic, bounds: &Bounds) -> Vec<i32> {
        found.parted(bounds).1
    }

    fn follow(
        place: &Place<Sql>,
        asking: Asked,
        found: Topic,
        _ranges: Vec<PartitionRange>,
        (shares, _wake): (&mut Shares, &WakeSet),
    ) -> Result<SqlTail, Failure> {
        let is_read = |partition: &i32| !place.excluded.contains(partition);
        let ends = found.watermarks.iter().map(|w| (w.partition, w.latest));
        Ok(SqlTail {
            relation: asking.relation,
            topic: found.description,
            next: offsets(&place.stored).collect(),
            ends: ends.filter(|(partition, _)| is_read(partition)).collect(),
            gathered: Records::default(),
            most_bytes: Cell::new(shares.of_feed()),
            told: None,
            looked: Instant::now(),
            found: None,
            is_silent: false,
            trimmed: Instant::now(),
        })
    }

    /// Workers that share a view lock different partitions, as those of a topic of Kafka.
    fn lock(mv_id: i64, partitions: &[i32]) -> Vec<Checkpoint> {
        checkpoint::lock_positions::<Offset>(mv_id, partitions)
    }
}

/// Reads the rows of a stream, in transactions of its own.
pub struct SqlTail {
    /// The stream's foreign table, by which it was found when it was opened.
    relation: Oid,
    /// The stream as it was when it was opened.
    topic: TopicDescription,
    /// Where reading goes on, by partition.
    next: BTreeMap<i32, i64>,
    ends: Ends,
    gathered: Records,
    most_bytes: Cell<usize>,
    /// Of how many commits the workers had been told at the last look.
    told: Option<u64>,
    looked: Instant,
    /// What that look has found, until the lane asks.
    found: Option<Look>,
    is_silent: bool,
    /// When what the stream does not keep was last removed.
    trimmed: Instant,
}

impl SqlTail {
    /// What the stream does not keep any more goes, whether it was loaded or not: as of a topic.
    fn trim(&self) {
        if let Some(stream) = registry::if_known(self.relation) {
            retention::apply_own(&stream);
        }
    }

    /// Looks at the stream; gives it if there is something to read. Within a transaction.
    fn observe(&mut self) -> Option<Rc<Stream>> {
        // Before: what is told of meanwhile is looked at again.
        self.told = Some(shared::records_told());
        self.looked = Instant::now();
        let stream = registry::if_known(self.relation);
        let found = stream.as_ref().map_or(Look::Changed, |stream| {
            if stream.unreachable {
                Look::Silent(error::stream_unreachable(&self.topic.name, "").message)
            } else {
                self.compare(stream)
            }
        });
        self.is_silent = matches!(found, Look::Silent(_));
        let answers = matches!(found, Look::Answers);
        self.found = Some(found);
        stream.filter(|_| answers && self.has_unread())
    }

    /// Is it the same stream, which has everything that is to be read? If it has not, what that means is for the opening to say.
    fn compare(&mut self, stream: &Stream) -> Look {
        if stream.description(&self.topic.name) != self.topic {
            return Look::Changed;
        }
        if !number::number_if_free(stream) {
            // Somebody numbers what may be a lot. What has its numbers can be read; the rest is looked for again.
            self.told = None;
        }
        for bounds in number::numbered(stream) {
            let Some(next) = self.next.get(&bounds.partition) else {
                continue;
            };
            if !(bounds.earliest..=bounds.latest).contains(next) {
                return Look::Changed;
            }
            self.ends.insert(bounds.partition, bounds.latest);
        }
        Look::Answers
    }

    fn has_unread(&self) -> bool {
        let end = |partition| self.ends.get(partition).copied().unwrap_or(0);
        self.next
            .iter()
            .any(|(partition, next)| *next < end(partition))
    }

    fn is_full(&self, records: usize, bytes: u64) -> bool {
        let gathered = &self.gathered;
        gathered.len() >= records
            || gathered.bytes() >= bytes
            || gathered.memory() >= self.most_bytes.get()
    }

    /// Reads on until there are so many records or bytes.
    fn read(&mut self, stream: Rc<Stream>, records: usize, bytes: u64) {
        let range = |(partition, start): (&i32, &i64)| PartitionRange {
            partition: *partition,
            start: *start,
            end: self.ends.get(partition).copied().unwrap_or(0),
        };
        let ranges = self.next.iter().map(range);
        let ranges = ranges.filter(|range| range.start < range.end).collect();
        let mut reader = Reader::begin(Stream::clone(&stream), ranges);
        let mut is_over = false;
        while !is_over && !self.is_full(records, bytes) {
            match reader.next_record() {
                Some(record) => self.gathered.push(&record),
                None => is_over = true,
            }
        }
        for (partition, next) in &mut self.next {
            *next = reader.next_offset(*partition).unwrap_or(*next);
        }
    }
}

impl Tail<Sql> for SqlTail {
    fn gather(&mut self, records: usize, bytes: u64) -> Result<Gathered, Fault> {
        let is_told = self.told != Some(shared::records_told());
        if (is_told || self.has_unread()) && !self.is_full(records, bytes) {
            brief(|| {
                if let Some(stream) = self.observe() {
                    self.read(stream, records, bytes);
                }
            })?;
        }
        Ok(Gathered {
            is_full: self.is_full(records, bytes),
            has_more: self.has_unread(),
        })
    }

    fn gathered(&self) -> usize {
        self.gathered.len()
    }

    fn gathered_memory(&self) -> usize {
        self.gathered.memory()
    }

    /// Offsets that have no records are passed too.
    fn take(&mut self, stored: &[State<Offset>]) -> Option<Batch<Sql>> {
        let records = std::mem::take(&mut self.gathered);
        let batch = moves::batch(records, stored, |partition| {
            self.next.get(&partition).copied()
        });
        (!batch.moves.is_empty()).then_some(batch)
    }

    fn waiting(&self, stored: &[State<Offset>]) -> Option<u64> {
        Some(moves::waiting(stored, &self.ends))
    }

    fn next(&self, stored: &[State<Offset>]) -> Vec<State<Offset>> {
        moves::next(stored, &self.ends)
    }

    fn ends(&self) -> Option<Vec<State<Offset>>> {
        Some(moves::as_states(&self.ends))
    }

    fn look(&mut self, place: &Place<Sql>, turn: Turn) -> Look {
        if place.slice.takes(0) && self.trimmed.elapsed() >= TRIM_PAUSE {
            self.trimmed = Instant::now();
            let trimmed = brief(|| self.trim());
            if let Err(failure) = trimmed {
                background::log(&format!("stream \"{}\": {}", place.name, failure.message));
            }
        }
        let is_often = turn.is_probe || self.is_silent;
        let is_due = self.looked.elapsed() >= pause::between_looks(turn.of, is_often);
        if is_due && let Err(failure) = brief(|| self.observe().is_some()) {
            return Look::Silent(failure.message);
        }
        self.found.take().unwrap_or(Look::Same)
    }

    fn looks_at(&self) -> Option<Instant> {
        Some(self.looked + pause::LOOK)
    }

    fn answers(&self) -> bool {
        !self.is_silent
    }

    fn share(&self, shares: &Shares) {
        self.most_bytes.set(shares.of_feed());
    }
}
