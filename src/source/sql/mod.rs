//! A topic that the database keeps itself: `INSERT` adds records, and everything else is as of a topic of Kafka.

pub mod append;
mod changes;
mod columns;
mod follow;
mod look;
pub mod manage;
pub mod number;
pub mod read;
pub mod registry;
pub mod retention;

use super::column::{Column, Spec};
use super::current::work_on;
use super::kafka::{self, Watermarks, position::Offset};
use super::outcome::{SkipReason, SkippedRecord};
use super::plan::Plan;
use super::request::{Pending, Ready};
use super::status::{LagQuestion, Listed, PartStatus};
use super::tally::Tally;
use super::{Client, Known, Source, Words};
use crate::catalog::checkpoint::Checkpoint;
use crate::catalog::materialized_view::MaterializedView;
use crate::catalog::position::State;
use crate::error;
use crate::pg::chunk_table;
use crate::pg::foreign::Server;
use crate::pg::relation::Oid;
use crate::pg::report::Report;
use crate::pg::tuple::RowWriter;
use plan::bounds::Bounds;
pub use read::{Reader, Record, Records};
pub use registry::{Stream, is_stream, known, stream_of};
use std::cell::RefCell;
use std::os::fd::RawFd;
use std::rc::Rc;
use stream::{Next, PartitionRange, TopicDescription};

/// The schema of the streams' tables.
pub const SCHEMA: &str = "redshift_stream";

/// An external schema over the database itself.
pub struct Sql {
    server: Oid,
    server_name: String,
}

/// There is nobody to connect to: answers are there at once.
pub struct Here {
    server: Oid,
}

impl Client for Here {
    fn wake_fd(&self) -> RawFd {
        -1
    }

    fn clear_wake(&self) {}

    fn trouble(&self) -> Option<String> {
        None
    }
}

impl Sql {
    /// The bounds of some partitions now.
    fn watermarks(stream: &Stream, is_wanted: impl Fn(&i32) -> bool) -> Vec<Watermarks> {
        let mut bounds = number::bounds(stream);
        bounds.retain(|watermarks| is_wanted(&watermarks.partition));
        bounds
    }
}

impl kafka::position::Numbered for Sql {
    fn ends(&self, _client: &Here, topic: &TopicDescription) -> Vec<Watermarks> {
        number::bounds(&registry::reachable(self.server, &topic.name))
    }

    fn at_or_after(
        &self,
        _client: &Here,
        topic: &str,
        watermarks: &[Watermarks],
        time: i64,
    ) -> Vec<(i32, i64)> {
        let stream = registry::reachable(self.server, topic);
        look::offsets_at(&stream, watermarks, time)
    }
}

impl Source for Sql {
    const WORDS: Words = kafka::Kafka::WORDS;
    const COLUMNS: &'static [Spec] = kafka::Kafka::COLUMNS;
    const SMALL_PEEK_BYTES: usize = kafka::Kafka::SMALL_PEEK_BYTES;
    const LEAVES_OUT: bool = true;

    type Position = Offset;
    type Client = Here;
    type Description = TopicDescription;
    type Reading = Vec<PartitionRange>;
    type Reader = Reader;
    type Record<'a> = Record<'a>;
    type Records = Records;
    type Scratch = ();

    fn of_server(server: &Server, _user: Oid) -> Sql {
        Sql {
            server: server.oid,
            server_name: server.name.clone(),
        }
    }

    fn pattern(&self) -> Option<&str> {
        None
    }

    fn list(&self, _client: &Here) -> Box<dyn Pending<Vec<Listed>>> {
        let listed = |name| Listed {
            name,
            is_internal: false,
        };
        let names = registry::names(self.server).into_iter();
        Box::new(Ready::new(names.map(listed).collect()))
    }

    fn status(&self, _client: &Here, name: &str) -> Vec<PartStatus> {
        look::status(self.server, name)
    }

    fn ask_lag(
        &self,
        name: &str,
        _stored: Vec<Checkpoint<Offset>>,
    ) -> Rc<RefCell<dyn LagQuestion>> {
        let stream = registry::reachable(self.server, name);
        look::require_now(&stream);
        Rc::new(RefCell::new(look::Ends(number::bounds(&stream))))
    }

    fn server_name(&self) -> &str {
        &self.server_name
    }

    fn label(&self) -> String {
        format!("external schema \"{}\"", self.server_name)
    }

    fn place_columns(&self) -> &'static [&'static str] {
        &["kafka_partition", "kafka_offset"]
    }

    fn reads_as(&self, other: &Sql) -> bool {
        self.server == other.server
    }

    fn connect(&self, _memory_bytes: usize) -> Here {
        Here {
            server: self.server,
        }
    }

    fn describe(&self, _client: &Here, name: &str) -> TopicDescription {
        registry::reachable(self.server, name).description(name)
    }

    fn plan(
        &self,
        _client: &Here,
        view: &MaterializedView,
        topic: &TopicDescription,
        stored: Vec<Checkpoint<Offset>>,
        bounds: &Bounds,
    ) -> Plan<Sql> {
        let (read, excluded): (Vec<i32>, Vec<i32>) = topic
            .partitions
            .iter()
            .partition(|partition| bounds.has_partition(**partition));
        let stream = registry::reachable(self.server, &topic.name);
        look::tell_of_own(&stream);
        let watermarks = Sql::watermarks(&stream, |partition| read.contains(partition));
        kafka::plan::plan(view, topic, &stored, (&watermarks, &excluded), bounds)
    }

    fn check_still_same(&self, client: &Here, view: &MaterializedView, before: &TopicDescription) {
        if self.describe(client, &before.name).topic_id != before.topic_id {
            let detail = "It was created again while it was read; nothing was loaded.".to_owned();
            error::topic_recreated(&view.name(), &before.name, detail).raise();
        }
    }

    fn peek(
        &self,
        _client: &Here,
        name: &str,
        bounds: &Bounds,
        _few: Option<u32>,
    ) -> Vec<PartitionRange> {
        let is_read = |partition: &i32| !bounds.is_never && bounds.has_partition(*partition);
        let stream = registry::reachable(self.server, name);
        let watermarks = Sql::watermarks(&stream, is_read);
        // Who is shown an offset may keep it: it must be the record's after a crash too.
        chunk_table::flush();
        let from_time = bounds
            .timestamp_from
            .map(|time| look::offsets_at(&stream, &watermarks, time));
        let range = |w: &Watermarks| {
            let mut from = from_time.iter().flatten();
            let from = from.find(|(partition, _)| *partition == w.partition);
            let range = PartitionRange {
                partition: w.partition,
                start: from.map_or(w.earliest, |(_, offset)| w.earliest.max(*offset)),
                end: w.latest,
            };
            kafka::within_offsets(range, bounds)
        };
        watermarks.iter().filter_map(range).collect()
    }

    fn read(
        client: &Here,
        name: &str,
        ranges: &Vec<PartitionRange>,
    ) -> Result<Reader, stream::Error> {
        let stream = registry::reachable(client.server, name);
        Ok(Reader::begin(stream, ranges.clone()))
    }

    fn within(ranges: &Vec<PartitionRange>, bounds: &Bounds) -> Vec<PartitionRange> {
        kafka::Kafka::within(ranges, bounds)
    }

    fn is_read(partition: &i32, bounds: &Bounds) -> bool {
        bounds.has_partition(*partition)
    }

    fn parts(ranges: &Vec<PartitionRange>) -> Vec<i32> {
        kafka::Kafka::parts(ranges)
    }

    fn expected(ranges: &Vec<PartitionRange>) -> u64 {
        kafka::Kafka::expected(ranges)
    }

    fn reached(reader: &Reader, ranges: &Vec<PartitionRange>) -> Vec<State<Offset>> {
        let state = |range: &PartitionRange| {
            let next = reader.next_offset(range.partition);
            State::at(range.partition, Offset(Some(next.unwrap_or(range.start))))
        };
        ranges.iter().map(state).collect()
    }

    fn explain(ranges: &Vec<PartitionRange>, _reader: Option<&Reader>) -> String {
        kafka::Kafka::explain(ranges, None)
    }

    fn waiting_for(_ranges: &Vec<PartitionRange>, _reader: &Reader) -> String {
        String::new()
    }

    fn failure(what: &str, error: &stream::Error) -> Report {
        error::source(what, error)
    }

    fn stalled(name: &str, waiting_for: &str, cause: Option<String>) -> Report {
        error::stalled(name, waiting_for, cause)
    }

    fn start(
        &self,
        client: &Here,
        topic: &TopicDescription,
        text: &str,
    ) -> Option<Vec<Checkpoint<Offset>>> {
        kafka::position::start(self, client, topic, text)
    }

    fn moved(
        source: Option<(&Sql, &str)>,
        known: &Known<Offset>,
        partition: Option<&str>,
        text: &str,
    ) -> Vec<Checkpoint<Offset>> {
        kafka::position::moved(source, known, partition, text)
    }

    #[inline]
    fn fill(
        record: &Record,
        columns: &[(usize, Column)],
        refresh_time: i64,
        _scratch: &mut (),
        row: &mut RowWriter,
    ) -> Result<(), SkipReason> {
        columns::fill(record, columns, refresh_time, row);
        Ok(())
    }
}

impl super::Reader<Sql> for Reader {
    #[inline]
    fn next(&mut self) -> Result<Next<Record<'_>>, stream::Error> {
        Ok(self.next_record().map_or(Next::End, Next::Record))
    }

    fn counts(&self) -> (u64, u64) {
        Reader::counts(self)
    }
}

impl super::Record<Sql> for Record<'_> {
    #[inline]
    fn count(&self, tally: &mut Tally) -> Option<SkipReason> {
        work_on(self.partition, self.offset);
        let length = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len) as u64;
        let (key, value) = (length(self.entry.key), length(self.entry.value));
        let place = tally.place_of(self.partition);
        tally
            .count(place, key + value, self.milliseconds())
            .last_offset = Some(self.offset);
        tally
            .too_large("value", value)
            .or_else(|| tally.too_large("key", key))
            .or_else(|| tally.too_large(kafka::headers::PART, length(self.entry.headers)))
    }

    fn skipped(&self, reason: SkipReason) -> SkippedRecord {
        let time = self.entry.time.map(|(kind, _)| kind);
        SkippedRecord {
            partition: self.partition.to_string(),
            position: self.offset.to_string(),
            timestamp: time.zip(self.milliseconds()),
            reason,
        }
    }

    fn place(&self) -> String {
        format!("partition {}, offset {}", self.partition, self.offset)
    }
}
