//! A feed: one reader of a topic, and the views that are at its positions.
//!
//! Views at the same positions share a feed, so the topic is fetched once for them. A view that is elsewhere (new, or after an error) has a feed of its
//! own until it has caught up.

use super::clients::Clients;
use super::ingest::bound_lock_waits;
use super::share::Slice;
use super::tempo::{self, Tempo};
use crate::access::Access;
use crate::catalog::checkpoint::Checkpoint;
use crate::catalog::{checkpoint as checkpoints, materialized_view};
use crate::checkpoint;
use crate::pg::background::{Failure, transaction};
use crate::pg::relation::{self, Oid};
use crate::pg::wait::WakeSet;
use crate::refresh::{self, Locked};
use crate::source::{Source, Stream, Watermarks};
use crate::view::pace::Pace;
use crate::{error, kinesis};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use stream::{
    ListedOffset, OffsetSpec, PartitionRange, Pending, Reader, Records, TopicDescription,
};

/// How often a topic is looked at for new partitions, and whether it is still the same one.
const DESCRIBE_PAUSE: Duration = Duration::from_secs(10);
/// The same for one topic of each server, which tells whether the server answers.
const PROBE_PAUSE: Duration = Duration::from_secs(1);
/// How long the broker may take for that before the views are shown as waiting for it.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(3);

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
    fn own(&self, partitions: &[i32]) -> Vec<i32> {
        let own = partitions.iter().filter(|p| self.slice.takes(**p));
        own.copied().collect()
    }

    fn own_checkpoints(&self, mut checkpoints: Vec<Checkpoint>) -> Vec<Checkpoint> {
        checkpoints.retain(|checkpoint| self.slice.takes(checkpoint.partition));
        checkpoints
    }
}

/// A view whose feed is being opened: the broker's answers are waited for without standing in anybody's way.
pub struct Opening {
    /// The view.
    pub plan: Plan,
    source: Source,
    topic: String,
    client: usize,
    description: Answer<TopicDescription>,
    /// The view's checkpoints before the watermarks were asked for.
    stored: Vec<Checkpoint>,
    earliest: Option<Answer<Vec<ListedOffset>>>,
    latest: Option<Answer<Vec<ListedOffset>>>,
}

/// An answer that has come, or will.
enum Answer<T> {
    Pending(Pending<T>),
    Ready(T),
}

impl<T> Answer<T> {
    fn poll(&mut self) -> Result<Option<&T>, stream::Error> {
        if let Answer::Pending(pending) = self
            && let Some(answer) = pending.poll()
        {
            *self = Answer::Ready(answer?);
        }
        Ok(match self {
            Answer::Ready(value) => Some(value),
            Answer::Pending(_) => None,
        })
    }
}

/// What a view reads.
pub enum Begun {
    /// A topic: its feed is being opened.
    Topic(Box<Opening>),
    /// A stream of Kinesis.
    Stream(Box<kinesis::source::Source>, String),
}

/// Where a view begins to follow its topic.
pub struct Start {
    /// Next offset by partition.
    pub positions: BTreeMap<i32, i64>,
    topic_id: Option<String>,
}

impl Opening {
    /// Asks the broker for the topic's partitions and watermarks; gives a stream of Kinesis back.
    pub fn begin(plan: Plan, clients: &mut Clients, wake: &WakeSet) -> Result<Begun, Failure> {
        let (stream, stored) = transaction(|| {
            bound_lock_waits();
            let view = materialized_view::find(plan.table).unwrap_or_else(|| {
                error::not_a_streaming_view(&plan.table.to_u32().to_string()).raise()
            });
            let Locked { stream, .. } = refresh::lock_source(&view);
            let owner = relation::owner(plan.table);
            match Stream::of_table(stream, owner) {
                Stream::Topic(..) => (
                    Stream::of_table(stream, owner),
                    plan.own_checkpoints(checkpoints::read(view.id)),
                ),
                kinesis => (kinesis, Vec::new()),
            }
        })?;
        let (source, topic) = match stream {
            Stream::Topic(source, topic) => (source, topic),
            Stream::Kinesis(source, stream) => return Ok(Begun::Stream(Box::new(source), stream)),
        };
        let client = transaction(|| clients.first(&source, wake))?;
        let description = clients.get(client).describe_topic(&topic, DESCRIBE_TIMEOUT);
        Ok(Begun::Topic(Box::new(Opening {
            plan,
            source,
            topic,
            client,
            description: Answer::Pending(description),
            stored,
            earliest: None,
            latest: None,
        })))
    }

    /// Has the broker answered? Then the view's positions are compared with the topic, as a refresh does, and stored.
    pub fn poll(&mut self, clients: &Clients) -> Option<Result<Start, Failure>> {
        loop {
            match self.answers(clients) {
                Ok(None) => return None,
                Ok(Some((description, watermarks))) => {
                    match self.start(&description, &watermarks) {
                        Ok(Ok(start)) => return Some(Ok(start)),
                        Ok(Err(stored)) => {
                            // Somebody refreshed the view meanwhile: the watermarks may be older than its positions, so they are asked for again.
                            self.stored = stored;
                            (self.earliest, self.latest) = (None, None);
                        }
                        Err(failure) => return Some(Err(failure)),
                    }
                }
                Err(error) => {
                    let label = self.source.label();
                    let failure: Result<(), Failure> =
                        transaction(|| error::source(&label, &error).raise());
                    return Some(Err(failure.err()?));
                }
            }
        }
    }

    fn answers(
        &mut self,
        clients: &Clients,
    ) -> Result<Option<(TopicDescription, Vec<Watermarks>)>, stream::Error> {
        let Some(description) = self.description.poll()?.cloned() else {
            return Ok(None);
        };
        let client = clients.get(self.client);
        let (source, topic) = (&self.source, &self.topic);
        let own = self.plan.own(&description.partitions);
        if own.is_empty() {
            return Ok(Some((description, Vec::new())));
        }
        let ask = |spec| Answer::Pending(source.ask_offsets(client, topic, &own, spec));
        let earliest = self
            .earliest
            .get_or_insert_with(|| ask(OffsetSpec::Earliest))
            .poll()?
            .cloned();
        let latest = self
            .latest
            .get_or_insert_with(|| ask(OffsetSpec::Latest))
            .poll()?
            .cloned();
        let (Some(earliest), Some(latest)) = (earliest, latest) else {
            return Ok(None);
        };
        Ok(Some((description, Watermarks::pair(&earliest, &latest))))
    }

    /// The start, or the checkpoints that are stored now if they are others than when the broker was asked.
    fn start(
        &self,
        topic: &TopicDescription,
        watermarks: &[Watermarks],
    ) -> Result<Result<Start, Vec<Checkpoint>>, Failure> {
        transaction(|| {
            bound_lock_waits();
            relation::lock(self.plan.table, relation::LockMode::RowExclusive);
            let view = materialized_view::find(self.plan.table)
                .unwrap_or_else(|| error::not_a_streaming_view(&self.topic).raise());
            let stored = checkpoints::read(view.id);
            if stored.is_empty() {
                error::no_checkpoint(&view.name()).raise();
            }
            // Other workers may be busy with the other partitions.
            let own: Vec<i32> = stored.iter().map(|c| c.partition).collect();
            checkpoints::lock_positions(view.id, &self.plan.own(&own));
            let stored = self.plan.own_checkpoints(checkpoints::read(view.id));
            if stored != self.stored {
                return Err(stored);
            }
            // What the worker before could not write.
            let own: Vec<i32> = stored.iter().map(|c| c.partition).collect();
            checkpoints::flush(&view, Some(&own));
            if stored.is_empty() && watermarks.is_empty() {
                // More workers than partitions.
                return Ok(Start {
                    positions: BTreeMap::new(),
                    topic_id: topic.topic_id.clone(),
                });
            }
            let plan = checkpoint::plan_some(&view, topic, &stored, watermarks);
            let positions: BTreeMap<i32, i64> = plan
                .partitions
                .iter()
                .map(|planned| (planned.range.partition, planned.range.start))
                .collect();
            plan.store(view.id, |partition| positions.get(&partition).copied());
            refresh::log_lost(&view, &plan.lost);
            Ok(Start {
                positions,
                topic_id: topic.topic_id.clone(),
            })
        })
    }

    /// Reads from there on.
    pub fn into_feed(
        self,
        start: Start,
        clients: &mut Clients,
        wake: &WakeSet,
    ) -> Result<Feed, Failure> {
        let ranges = ranges_from(&start.positions);
        let (reader_client, reader) = clients.read(&self.source, &self.topic, ranges, wake)?;
        Ok(Feed {
            members: vec![self.plan.mv_id],
            slice: self.plan.slice,
            tempo: Tempo::new(self.plan.pace, self.plan.slice.of()),
            topic: self.topic,
            client: self.client,
            source: self.source,
            positions: start.positions,
            topic_id: start.topic_id,
            reader,
            reader_client,
            has_room_since: None,
            described: Instant::now(),
            description: None,
        })
    }

    /// The client that it asks.
    pub fn client(&self) -> usize {
        self.client
    }
}

/// To read the partitions from these offsets on.
fn ranges_from(positions: &BTreeMap<i32, i64>) -> Vec<PartitionRange> {
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
    /// How fast it goes.
    pub tempo: Tempo,
    source: Source,
    client: usize,
    /// Next offset by partition, as the members have it stored.
    pub positions: BTreeMap<i32, i64>,
    /// The topic's id.
    pub topic_id: Option<String>,
    reader: Reader,
    /// Whose the reader is: the client that was asked for the start, or another one.
    reader_client: usize,
    /// Since when that client has room to fetch ahead for a backlog.
    has_room_since: Option<Instant>,
    described: Instant,
    description: Option<Pending<TopicDescription>>,
}

/// Records for all members of a feed.
pub struct Batch {
    /// The records.
    pub records: std::rc::Rc<Records>,
    /// Where each partition that has records begins and ends.
    pub ranges: Vec<PartitionRange>,
}

/// What the broker says of a feed's topic.
pub enum Topic {
    /// Nothing new.
    Same,
    /// It answers again after it did not.
    Answered,
    /// Other partitions, or another topic of the same name: open again.
    Changed,
    /// The broker does not answer, for this reason.
    Silent(String),
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
        let (max_records, max_bytes) = self.tempo.limits();
        match self.reader.gather(max_records, max_bytes) {
            Ok(mut gathered) => {
                gathered.is_full |= is_short;
                Ok(self.tempo.is_due(gathered) && !self.reader.gathered().is_empty())
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

    /// The members have the batch, which took them so long.
    pub fn advance(&mut self, batch: &Batch, took: Duration) {
        for range in &batch.ranges {
            self.positions.insert(range.partition, range.end);
        }
        self.tempo.loaded(batch.records.len(), took);
    }

    /// Does it use the client?
    pub fn uses(&self, client: usize) -> bool {
        self.client == client || self.reader_client == client
    }

    /// Since when it has had room to fetch ahead for a backlog.
    pub fn has_room_since(&self) -> Option<Instant> {
        self.has_room_since
    }

    /// Reads on by the client with room, or by one that it shares again. What was fetched and not loaded is fetched again.
    pub fn change_room(
        &mut self,
        has_room: bool,
        clients: &mut Clients,
        wake: &WakeSet,
    ) -> Result<(), Failure> {
        let ranges = ranges_from(&self.positions);
        (self.reader_client, self.reader) = if has_room {
            clients.read_with_room(&self.source, &self.topic, ranges, wake)?
        } else {
            clients.read(&self.source, &self.topic, ranges, wake)?
        };
        self.has_room_since = has_room.then(Instant::now);
        Ok(())
    }

    /// Is another feed at the same place?
    pub fn is_at_same_place(&self, other: &Feed) -> bool {
        self.topic == other.topic
            && self.access() == other.access()
            && self.topic_id == other.topic_id
            && self.tempo.pace == other.tempo.pace
            && self.slice == other.slice
            && self.positions == other.positions
    }

    /// Looks at the topic from time to time, without waiting; more often if it is the one that tells of its server.
    pub fn look_at_topic(&mut self, clients: &Clients, is_probe: bool) -> Topic {
        let pause = if is_probe {
            PROBE_PAUSE
        } else {
            DESCRIBE_PAUSE
        };
        if self.description.is_none() && self.described.elapsed() >= pause {
            let client = clients.get(self.client);
            self.description = Some(client.describe_topic(&self.topic, DESCRIBE_TIMEOUT));
        }
        let Some(answer) = self.description.as_mut().and_then(Pending::poll) else {
            return Topic::Same;
        };
        self.description = None;
        self.described = Instant::now();
        match answer {
            Ok(topic) => {
                let own = topic.partitions.iter().filter(|p| self.slice.takes(**p));
                let same = own.eq(self.positions.keys()) && topic.topic_id == self.topic_id;
                if same {
                    Topic::Answered
                } else {
                    Topic::Changed
                }
            }
            Err(stream::Error::UnknownTopic { .. }) => Topic::Changed,
            Err(error) => Topic::Silent(error.to_string()),
        }
    }
}
