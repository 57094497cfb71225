//! Kafka: partitions of numbered records, which end where they ended when a refresh began.

pub(super) mod asking;
mod clients;
pub mod columns;
mod connect;
mod follow;
pub mod headers;
mod lag;
mod look;
pub(super) mod moves;
pub mod plan;
pub mod position;
mod tail;

use super::current::work_on;
use super::outcome::{SkipReason, SkippedRecord};
use super::tally::Tally;
use super::{Client, Known, Reader, Record, Records, Source, Words};
use crate::catalog::materialized_view::MaterializedView;
use crate::catalog::position::State;
use crate::pg::foreign::Server;
use crate::pg::relation::Oid;
use crate::pg::report::Report;
use crate::pg::setting;
use crate::pg::tuple::RowWriter;
use crate::source::column::{Column, Spec, to_milliseconds};
use crate::source::request::{Map, Pending};
use crate::source::status::{LagQuestion, Listed, PartStatus};
use crate::{aws, error};
use ::plan::bounds::{BoundColumn, Bounds};
pub use connect::Kafka;
use headers::Headers;
pub use look::Watermarks;
use position::Offset;
use std::cell::RefCell;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::time::Duration;
use stream::{Next, PartitionRange, ReadOptions, TopicDescription, TopicSummary};

/// The plan of a refresh.
pub type Plan = super::plan::Plan<Kafka>;

impl Source for Kafka {
    const WORDS: Words = Words {
        stream: "topic",
        parts: ("partition", "partitions"),
        starts: "earliest, latest, a timestamp, or positions such as {\"0\": 42, \"1\": 7}",
        explain: (c"Topic", c"Ranges"),
        bound: BoundColumn::Partition,
    };
    const COLUMNS: &'static [Spec] = &columns::COLUMNS;
    const SMALL_PEEK_BYTES: usize = 4 * 1024 * 1024;
    /// A reader looks whether its partitions still exist.
    const CHECKS: Option<Duration> = Some(Duration::from_secs(1));
    const LEAVES_OUT: bool = true;

    type Position = Offset;
    type Client = stream::Client;
    type Description = TopicDescription;
    type Reading = Vec<PartitionRange>;
    type Reader = stream::Reader;
    type Record<'a> = stream::Record<'a>;
    type Records = stream::Records;
    type Scratch = Box<Headers>;

    fn of_server(server: &Server, user: Oid) -> Kafka {
        Kafka::of(server, user)
    }

    fn questions(&self) -> Vec<aws::Question> {
        self.access().questions()
    }

    fn pattern(&self) -> Option<&str> {
        self.topics.as_deref()
    }

    fn list(&self, client: &stream::Client) -> Box<dyn Pending<Vec<Listed>>> {
        let listed = |topic: TopicSummary| Listed {
            is_internal: topic.is_internal || topic.name.starts_with("__"),
            name: topic.name,
        };
        let asked = client.list_topics(setting::connect_timeout());
        Box::new(Map::new(asked, move |topics: Vec<TopicSummary>| {
            topics.into_iter().map(listed).collect()
        }))
    }

    fn status(&self, client: &stream::Client, name: &str) -> Vec<PartStatus> {
        look::status(self, client, name)
    }

    fn ask_lag(&self, name: &str, _stored: Vec<plan::Checkpoint>) -> Rc<RefCell<dyn LagQuestion>> {
        lag::ask(self, name)
    }

    fn server_name(&self) -> &str {
        &self.server_name
    }

    fn label(&self) -> String {
        self.name_and_place()
    }

    fn place_columns(&self) -> &'static [&'static str] {
        &["kafka_partition", "kafka_offset"]
    }

    fn reads_as(&self, other: &Kafka) -> bool {
        self.access() == other.access()
    }

    fn connect(&self, memory_bytes: usize) -> stream::Client {
        self.connect_for(1, memory_bytes)
    }

    fn describe(&self, client: &stream::Client, name: &str) -> TopicDescription {
        self.answer(
            client,
            client.describe_topic(name, setting::connect_timeout()),
        )
    }

    fn plan(
        &self,
        client: &stream::Client,
        view: &MaterializedView,
        topic: &TopicDescription,
        stored: Vec<plan::Checkpoint>,
        bounds: &Bounds,
    ) -> Plan {
        let (read, excluded): (Vec<i32>, Vec<i32>) = topic
            .partitions
            .iter()
            .partition(|partition| bounds.has_partition(**partition));
        let watermarks = self.watermarks(client, &topic.name, &read);
        plan::plan(view, topic, &stored, (&watermarks, &excluded), bounds)
    }

    fn check_still_same(
        &self,
        client: &stream::Client,
        view: &MaterializedView,
        before: &TopicDescription,
    ) {
        if before.topic_id.is_none() {
            return;
        }
        let after = self.describe(client, &before.name);
        if after.topic_id != before.topic_id {
            let detail = "It was dropped and created again while it was read; nothing was loaded."
                .to_owned();
            error::topic_recreated(&view.name(), &before.name, detail).raise();
        }
    }

    fn peek(
        &self,
        client: &stream::Client,
        name: &str,
        bounds: &Bounds,
        _few: Option<u32>,
    ) -> Vec<PartitionRange> {
        let partitions: Vec<i32> = self
            .describe(client, name)
            .partitions
            .into_iter()
            .filter(|partition| !bounds.is_never && bounds.has_partition(*partition))
            .collect();
        let watermarks = self.watermarks(client, name, &partitions);
        let from_time = match bounds.timestamp_from {
            Some(timestamp) => {
                self.offsets_at(client, name, &watermarks, to_milliseconds(timestamp))
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
            within_offsets(range, bounds)
        };
        watermarks.iter().filter_map(range).collect()
    }

    fn read(
        client: &stream::Client,
        name: &str,
        ranges: &Vec<PartitionRange>,
    ) -> Result<stream::Reader, stream::Error> {
        client.read(name, ranges.clone(), &ReadOptions::default())
    }

    fn within(ranges: &Vec<PartitionRange>, bounds: &Bounds) -> Vec<PartitionRange> {
        let is_read = |range: &&PartitionRange| bounds.has_partition(range.partition);
        ranges.iter().filter(is_read).copied().collect()
    }

    fn is_read(partition: &i32, bounds: &Bounds) -> bool {
        bounds.has_partition(*partition)
    }

    fn parts(ranges: &Vec<PartitionRange>) -> Vec<i32> {
        ranges.iter().map(|range| range.partition).collect()
    }

    fn expected(ranges: &Vec<PartitionRange>) -> u64 {
        ranges.iter().map(|r| (r.end - r.start) as u64).sum()
    }

    fn reached(reader: &stream::Reader, ranges: &Vec<PartitionRange>) -> Vec<State<Offset>> {
        let state = |range: &PartitionRange| {
            let next = reader.next_offset(range.partition);
            State::at(range.partition, Offset(Some(next.unwrap_or(range.start))))
        };
        ranges.iter().map(state).collect()
    }

    fn explain(ranges: &Vec<PartitionRange>, _reader: Option<&stream::Reader>) -> String {
        let range = |r: &PartitionRange| format!("{}: {}-{}", r.partition, r.start, r.end);
        let ranges: Vec<String> = ranges.iter().map(range).collect();
        ranges.join(", ")
    }

    fn waiting_for(ranges: &Vec<PartitionRange>, reader: &stream::Reader) -> String {
        let waiting = |range: &PartitionRange| {
            let next = reader.next_offset(range.partition)?;
            let (partition, end) = (range.partition, range.end);
            (next < end).then(|| format!("partition {partition} offset {next} (end {end})"))
        };
        let waiting: Vec<String> = ranges.iter().filter_map(waiting).collect();
        waiting.join(", ")
    }

    fn failure(what: &str, error: &stream::Error) -> Report {
        error::source(what, error)
    }

    fn stalled(name: &str, waiting_for: &str, cause: Option<String>) -> Report {
        error::stalled(name, waiting_for, cause)
    }

    fn start(
        &self,
        client: &stream::Client,
        topic: &TopicDescription,
        text: &str,
    ) -> Option<Vec<plan::Checkpoint>> {
        position::start(self, client, topic, text)
    }

    fn moved(
        source: Option<(&Kafka, &str)>,
        known: &Known<Offset>,
        partition: Option<&str>,
        text: &str,
    ) -> Vec<plan::Checkpoint> {
        position::moved(source, known, partition, text)
    }

    #[inline]
    fn fill(
        record: &stream::Record,
        columns: &[(usize, Column)],
        refresh_time: i64,
        headers: &mut Box<Headers>,
        row: &mut RowWriter,
    ) -> Result<(), SkipReason> {
        columns::fill(record, columns, refresh_time, headers, row)
    }
}

/// The part of a range that the bounds leave.
pub fn within_offsets(range: PartitionRange, bounds: &Bounds) -> Option<PartitionRange> {
    let start = range.start.max(bounds.offsets.0);
    let end = range.end.min(bounds.offsets.1.saturating_add(1));
    (start < end).then_some(PartitionRange {
        start,
        end,
        ..range
    })
}

impl Client for stream::Client {
    fn wake_fd(&self) -> RawFd {
        stream::Client::wake_fd(self)
    }

    fn clear_wake(&self) {
        stream::Client::clear_wake(self);
    }

    fn trouble(&self) -> Option<String> {
        self.last_broker_error()
    }

    fn is_throttled(&self) -> bool {
        self.throttled().is_some()
    }
}

impl Reader<Kafka> for stream::Reader {
    #[inline]
    fn next(&mut self) -> Result<Next<stream::Record<'_>>, stream::Error> {
        stream::Reader::next(self)
    }

    fn counts(&self) -> (u64, u64) {
        (self.records(), self.bytes())
    }
}

impl Records<Kafka> for stream::Records {
    fn len(&self) -> usize {
        stream::Records::len(self)
    }

    #[inline]
    fn get(&self, index: usize) -> Option<stream::Record<'_>> {
        stream::Records::get(self, index)
    }

    fn bytes(&self) -> u64 {
        stream::Records::bytes(self)
    }
}

impl Record<Kafka> for stream::Record<'_> {
    #[inline]
    fn count(&self, tally: &mut Tally) -> Option<SkipReason> {
        let (partition, offset) = (self.partition(), self.offset());
        work_on(partition, offset);
        let key = self.key().map_or(0, <[u8]>::len) as u64;
        let value = self.value().map_or(0, <[u8]>::len) as u64;
        let time = self.timestamp().map(|(_, time)| time);
        let place = tally.place_of(partition);
        tally.count(place, key + value, time).last_offset = Some(offset);
        tally
            .too_large("value", value)
            .or_else(|| tally.too_large("key", key))
            .or_else(|| {
                let limit = tally.limits.max_record_bytes;
                tally.too_large(headers::PART, headers::size_beyond(self, limit))
            })
    }

    fn skipped(&self, reason: SkipReason) -> SkippedRecord {
        SkippedRecord {
            partition: self.partition().to_string(),
            position: self.offset().to_string(),
            timestamp: self.timestamp(),
            reason,
        }
    }

    fn place(&self) -> String {
        format!("partition {}, offset {}", self.partition(), self.offset())
    }
}
