//! A feed: one reader of a topic, and the views that are at its positions.
//!
//! Views at the same positions share a feed, so the topic is fetched once for them. A view that is elsewhere (new, or after an error) has a feed of its
//! own until it has caught up.

use super::backlog::Backlog;
use super::clients::Clients;
use super::ingest::bound_lock_waits;
use super::share::Slice;
use super::tempo::{self, Tempo};
use crate::access::Access;
use crate::catalog::checkpoint::Checkpoint;
use crate::catalog::{checkpoint as checkpoints, materialized_view};
use crate::checkpoint;
use crate::pg::background::{Failure, transaction};
use crate::pg::progress;
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

/// How often a topic is looked at: for new partitions, whether it is still the same one, and whether the leaders of its partitions answer.
pub const LOOK_PAUSE: Duration = Duration::from_secs(1);
/// The same where there are many topics: so much for each, up to the longest, but not for the one of each server which tells whether that answers, nor
/// for those whose brokers are in trouble.
const LOOK_PAUSE_EACH: Duration = Duration::from_millis(100);
const LONGEST_LOOK_PAUSE: Duration = Duration::from_secs(10);
/// How long the brokers may take for that before the views are shown as waiting for them. With the pause it bounds how long trouble stays unseen.
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
    /// When the broker was first asked.
    pub began: Instant,
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
    /// One past the last record by partition.
    ends: BTreeMap<i32, i64>,
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
        let description = clients.get(client).describe_topic(&topic, PATIENCE);
        Ok(Begun::Topic(Box::new(Opening {
            plan,
            source,
            topic,
            client,
            description: Answer::Pending(description),
            began: Instant::now(),
            stored,
            earliest: None,
            latest: None,
        })))
    }

    /// Which brokers are asked, as whom.
    pub fn access(&self) -> &Access {
        self.source.access()
    }

    /// Why there is no answer yet, for one who has waited long enough.
    pub fn cause(&self, clients: &Clients) -> String {
        let cause = clients.get(self.client).last_broker_error();
        let cause = cause.unwrap_or_else(|| "no answer from the Kafka broker".to_owned());
        format!("{}: {cause}", self.source.label())
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
                    ends: BTreeMap::new(),
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
                ends: watermarks.iter().map(|w| (w.partition, w.latest)).collect(),
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
            ends: start.ends,
            backlog: None,
            reader,
            looked: Instant::now(),
            look: None,
            is_silent: false,
            reader_client,
            has_room_since: None,
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
    /// The client that is asked for the topic's partitions and ends.
    client: usize,
    /// Next offset by partition, as the members have it stored.
    pub positions: BTreeMap<i32, i64>,
    /// The topic's id.
    pub topic_id: Option<String>,
    /// One past the last record by partition, as the last look has shown them.
    ends: BTreeMap<i32, i64>,
    /// What waited when a batch was full, until nothing waits.
    pub backlog: Option<Backlog>,
    reader: Reader,
    /// Whose the reader is: the client that was asked for the start, or another one.
    reader_client: usize,
    /// Since when that client has room to fetch ahead for a backlog.
    has_room_since: Option<Instant>,
    /// When the last look at the topic began.
    pub looked: Instant,
    look: Option<Look>,
    /// The last look had no answer.
    pub is_silent: bool,
}

/// A look at the topic that is under way.
struct Look {
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
        let (max_records, max_bytes) = self.tempo.limits();
        match self.reader.gather(max_records, max_bytes) {
            Ok(mut gathered) => {
                let records = self.reader.gathered().len() as u64;
                if gathered.is_full && self.backlog.is_none() && self.waiting() > records {
                    self.backlog = Some(Backlog::begin());
                }
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

    /// Looks at the topic, one of so many, from time to time, without waiting; more often if it is the one that tells of its server, or if there is trouble.
    pub fn look_at_topic(
        &mut self,
        clients: &Clients,
        of: usize,
        is_probe: bool,
        may_ask: bool,
    ) -> Topic {
        let client = clients.get(self.client);
        if self.look.is_none() {
            if !may_ask {
                return Topic::Same;
            }
            let has_trouble = client.has_trouble_since(self.looked)
                || clients
                    .get(self.reader_client)
                    .has_trouble_since(self.looked);
            let soon = is_probe || self.is_silent || has_trouble;
            let many = LOOK_PAUSE_EACH * u32::try_from(of).unwrap_or(u32::MAX);
            let pause = if soon {
                LOOK_PAUSE
            } else {
                many.clamp(LOOK_PAUSE, LONGEST_LOOK_PAUSE)
            };
            if self.looked.elapsed() < pause {
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
        let Some(found) = self
            .look
            .as_mut()
            .and_then(|look| look.poll(self.topic_id.as_ref(), &self.positions, self.slice))
        else {
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
        slice: Slice,
    ) -> Option<Topic> {
        let topic = match self.description.poll() {
            Ok(topic) => topic?,
            Err(stream::Error::UnknownTopic { .. }) => return Some(Topic::Changed),
            Err(error) => return Some(Topic::Silent(error.to_string())),
        };
        let own = topic.partitions.iter().filter(|p| slice.takes(**p));
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
