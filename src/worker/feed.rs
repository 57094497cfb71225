//! A feed: one reader of a topic, and the views that are at its positions.
//!
//! Views at the same positions share a feed, so the topic is fetched once for them. A view that is elsewhere (new, or after an error) has a feed of its
//! own until it has caught up.

use super::backlog::Backlog;
use super::clients::Clients;
use super::opening::Answer;
use crate::access::Access;
use crate::catalog::pace::Pace;
use crate::error;
use crate::pg::background::{Failure, transaction};
use crate::pg::progress;
use crate::pg::relation::Oid;
use crate::pg::wait::WakeSet;
use crate::source::kafka::Kafka;
use crate::source::kafka::plan::Checkpoint;
use plan::pause;
use plan::share::Slice;
use plan::tempo::{self, Tempo};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use stream::{ListedOffset, OffsetSpec, PartitionRange, Reader, Records, TopicDescription};

/// How long the brokers may take to answer a look at a topic before the views are shown as waiting for them. With the pause it bounds how long trouble stays unseen.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// What of a view a worker follows, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The view.
    pub mv_id: i64,
    /// Its table.
    pub table: Oid,
    /// The partitions that are this worker's.
    pub slice: Slice,
    /// Options of the view.
    pub pace: Pace,
}

impl Plan {
    /// Those of the partitions that are this worker's.
    pub(super) fn own(&self, partitions: &[i32]) -> Vec<i32> {
        let own = partitions.iter().filter(|p| self.slice.takes(**p));
        own.copied().collect()
    }

    /// The same of their checkpoints.
    pub(super) fn own_checkpoints(&self, mut checkpoints: Vec<Checkpoint>) -> Vec<Checkpoint> {
        checkpoints.retain(|checkpoint| self.slice.takes(checkpoint.part));
        checkpoints
    }
}

/// To read the partitions from these offsets on.
pub(super) fn ranges_from(positions: &BTreeMap<i32, i64>) -> Vec<PartitionRange> {
    let range = |(partition, position): (&i32, &i64)| PartitionRange {
        partition: *partition,
        start: *position,
        end: i64::MAX,
    };
    positions.iter().map(range).collect()
}

/// A reader and the views at its positions.
pub struct Feed {
    /// The views.
    pub members: Vec<i64>,
    /// The topic.
    pub topic: String,
    /// The partitions that are this worker's.
    pub slice: Slice,
    /// Options of the views.
    pub pace: Pace,
    /// How fast it goes.
    pub tempo: Tempo,
    pub(super) source: Kafka,
    /// The client that is asked for the topic's partitions and ends.
    pub(super) client: usize,
    /// Next offset by partition, as the members have it stored.
    pub positions: BTreeMap<i32, i64>,
    /// Those of the worker's partitions that the members' definitions do not read.
    pub excluded: BTreeSet<i32>,
    /// The topic's id.
    pub topic_id: Option<String>,
    /// Another topic has its name.
    pub is_recreated: bool,
    /// One past the last record by partition, as the last look has shown them.
    pub(super) ends: BTreeMap<i32, i64>,
    /// What waited when a batch was full, until nothing waits.
    pub backlog: Option<Backlog>,
    pub(super) reader: Reader,
    /// Whose the reader is: the client that was asked for the start, or another one.
    pub(super) reader_client: usize,
    /// Since when that client has room to fetch ahead for a backlog.
    pub(super) has_room_since: Option<Instant>,
    /// When the last look at the topic began.
    pub looked: Instant,
    pub(super) look: Option<Look>,
    /// The last look had no answer.
    pub is_silent: bool,
}

/// A look at the topic that is under way.
pub(super) struct Look {
    description: Answer<TopicDescription>,
    /// The ends of the partitions, which only their leaders know.
    ends: Answer<Vec<ListedOffset>>,
}

/// Records for all members of a feed.
pub struct Batch {
    /// The records.
    pub records: std::rc::Rc<Records>,
    /// Where each partition that has records begins and ends.
    pub ranges: Vec<PartitionRange>,
}

/// What the brokers say of a feed's topic.
pub enum Topic {
    /// Nothing new.
    Same,
    /// They answer.
    Answered,
    /// Other partitions, or another topic of the same name: open again.
    Changed,
    /// None of them answers, for this reason.
    Silent(String),
    /// The leader of one of its partitions does not answer; others do.
    Leaderless(String),
}

impl Batch {
    /// How many records would not have taken too long.
    pub fn smaller(&self, took: Duration) -> usize {
        tempo::smaller(self.records.len(), took)
    }
}

impl Feed {
    /// Which brokers it reads, as whom.
    pub fn access(&self) -> &Access {
        self.source.access()
    }

    /// Gathers what has arrived, within the batch limits; true if it shall be loaded now. `is_short`: there is no memory for more.
    pub fn gather(&mut self, is_short: bool) -> Result<bool, Failure> {
        let (max_records, max_bytes) = self.tempo.batch();
        match self.reader.gather(max_records, max_bytes) {
            Ok(gathered) => {
                let records = self.reader.gathered().len() as u64;
                if gathered.is_full && self.backlog.is_none() && self.waiting() > records {
                    self.backlog = Some(Backlog::begin());
                }
                let is_full = gathered.is_full || is_short;
                let is_due = self
                    .tempo
                    .is_due(is_full, gathered.has_more, Instant::now());
                Ok(is_due && !self.reader.gathered().is_empty())
            }
            // The look finds the same, and how the view goes on is for its opening to say.
            Err(stream::Error::Recreated { .. }) => {
                self.is_recreated = true;
                Ok(false)
            }
            Err(error) => {
                let what = format!("topic \"{}\"", self.topic);
                transaction(|| error::source(&what, &error).raise())
            }
        }
    }

    /// The memory of what was gathered.
    pub fn gathered_memory(&self) -> usize {
        self.reader.gathered().memory()
    }

    /// What was gathered.
    pub fn take(&mut self) -> Batch {
        let records = self.reader.take();
        let range = |(partition, start): (&i32, &i64)| {
            let end = self.reader.next_offset(*partition)?;
            (end > *start).then_some(PartitionRange {
                partition: *partition,
                start: *start,
                end,
            })
        };
        let ranges = self.positions.iter().filter_map(range).collect();
        Batch {
            records: std::rc::Rc::new(records),
            ranges,
        }
    }

    /// Where the members are with a batch.
    pub fn positions_after(&self, batch: &Batch) -> BTreeMap<i32, i64> {
        let mut positions = self.positions.clone();
        let ends = batch.ranges.iter();
        positions.extend(ends.map(|range| (range.partition, range.end)));
        positions
    }

    /// The next record of each partition that has one, as far as is known.
    pub fn next_records(&self) -> Vec<PartitionRange> {
        let next = |(partition, position): (&i32, &i64)| {
            let is_there = self.ends.get(partition).is_some_and(|end| end > position);
            is_there.then_some(PartitionRange {
                partition: *partition,
                start: *position,
                end: position + 1,
            })
        };
        self.positions.iter().filter_map(next).collect()
    }

    /// The members have the batch, which took them so long; the worker has no other views, or has.
    pub fn advance(&mut self, batch: &Batch, took: Duration, is_alone: bool) {
        self.positions = self.positions_after(batch);
        let records = batch.records.len();
        self.tempo.loaded(records, took, is_alone, Instant::now());
        if self.waiting() == 0 {
            self.backlog = None;
        }
        if let Some(backlog) = &mut self.backlog {
            backlog.add(batch.records.len(), batch.records.bytes());
        }
    }

    /// How many offsets wait, as far as is known.
    fn waiting(&self) -> u64 {
        let left = |(partition, position): (&i32, &i64)| {
            let end = self.ends.get(partition)?;
            u64::try_from(end - position).ok()
        };
        self.positions.iter().filter_map(left).sum()
    }

    /// Shows that a batch of the backlog goes into `table`, or nothing if there is none.
    pub fn show_progress(&self, table: Oid) {
        match &self.backlog {
            Some(backlog) => backlog.show(table, self.positions.len(), Some(self.waiting())),
            None => progress::end(),
        }
    }

    /// Does it use the client?
    pub fn uses(&self, client: usize) -> bool {
        self.client == client || self.reader_client == client
    }

    /// Reads on by the client with room, or by one that it shares again. What was fetched and not loaded is fetched again.
    pub fn change_room(
        &mut self,
        has_room: bool,
        clients: &mut Clients,
        wake: &WakeSet,
    ) -> Result<(), Failure> {
        let ranges = ranges_from(&self.positions);
        (self.reader_client, self.reader) = clients.read(
            &self.source,
            (&self.topic, self.topic_id.as_ref()),
            ranges,
            has_room,
            wake,
        )?;
        self.has_room_since = has_room.then(Instant::now);
        Ok(())
    }

    /// Is another feed at the same place?
    pub fn is_at_same_place(&self, other: &Feed) -> bool {
        self.topic == other.topic
            && self.access() == other.access()
            && self.topic_id == other.topic_id
            && self.pace == other.pace
            && self.slice == other.slice
            && self.excluded == other.excluded
            && self.positions == other.positions
    }

    /// Looks at the topic, one of so many, from time to time, without waiting; more often if it is the one that tells of its server, or if there is trouble.
    pub fn look_at_topic(
        &mut self,
        clients: &Clients,
        of: usize,
        is_probe: bool,
        may_ask: bool,
    ) -> Topic {
        if self.is_recreated {
            return Topic::Changed;
        }
        let client = clients.get(self.client);
        if self.look.is_none() {
            if !may_ask {
                return Topic::Same;
            }
            let has_trouble = client.has_trouble_since(self.looked)
                || clients
                    .get(self.reader_client)
                    .has_trouble_since(self.looked);
            let is_often = is_probe || self.is_silent || has_trouble;
            if self.looked.elapsed() < pause::between_looks(of, is_often) {
                return Topic::Same;
            }
            self.looked = Instant::now();
            let ends = self.positions.keys().map(|p| (*p, OffsetSpec::Latest));
            let ends: Vec<_> = ends.collect();
            self.look = Some(Look {
                description: Answer::Pending(client.describe_topic(&self.topic, PATIENCE)),
                ends: if ends.is_empty() {
                    Answer::Ready(Vec::new())
                } else {
                    Answer::Pending(client.list_offsets(&self.topic, ends, PATIENCE))
                },
            });
        }
        let Some(found) = self.look.as_mut().and_then(|look| {
            let own = |p: &i32| self.slice.takes(*p) && !self.excluded.contains(p);
            look.poll(self.topic_id.as_ref(), &self.positions, own)
        }) else {
            return Topic::Same;
        };
        if let Some(Look {
            ends: Answer::Ready(ends),
            ..
        }) = self.look.take()
        {
            self.ends = ends
                .iter()
                .filter_map(|end| Some((end.partition, end.offset?)))
                .collect();
        }
        self.is_silent = matches!(found, Topic::Silent(_) | Topic::Leaderless(_));
        found
    }

    /// Is a look under way?
    pub fn is_looking(&self) -> bool {
        self.look.is_some()
    }

    /// In words, which broker slows this feed down.
    pub fn throttled(&self, clients: &Clients) -> Option<String> {
        let read = clients.get(self.reader_client).throttled();
        read.or_else(|| clients.get(self.client).throttled())
    }
}

impl Look {
    /// What was found, when both questions are answered.
    fn poll(
        &mut self,
        topic_id: Option<&String>,
        positions: &BTreeMap<i32, i64>,
        is_own: impl Fn(&i32) -> bool,
    ) -> Option<Topic> {
        let topic = match self.description.poll() {
            Ok(topic) => topic?,
            Err(stream::Error::UnknownTopic { .. }) => return Some(Topic::Changed),
            Err(error) => return Some(Topic::Silent(error.to_string())),
        };
        let own = topic.partitions.iter().filter(|p| is_own(p));
        if !own.eq(positions.keys()) || topic.topic_id.as_ref() != topic_id {
            return Some(Topic::Changed);
        }
        match self.ends.poll() {
            Ok(ends) => ends.map(|_| Topic::Answered),
            Err(stream::Error::UnknownTopic { .. }) => Some(Topic::Changed),
            Err(error) => Some(Topic::Leaderless(error.to_string())),
        }
    }
}
