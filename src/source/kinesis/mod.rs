//! Kinesis: shards side by side, each to parity, of which new ones come up and old ones end.

pub mod columns;
mod connect;
mod follow;
mod look;
pub mod plan;
mod position;

use super::current::remember;
use super::outcome::{SkipReason, SkippedRecord};
use super::tally::Tally;
use super::{Client, Known, Reader, Record, Records, Source, Words};
use crate::catalog::materialized_view::MaterializedView;
use crate::catalog::position::State;
use crate::error;
use crate::pg::foreign::Server;
use crate::pg::relation::Oid;
use crate::pg::report::Report;
use crate::pg::setting;
use crate::pg::tuple::RowWriter;
use crate::source::column::{Column, Spec, to_milliseconds};
use crate::source::request::{Map, Pending};
use crate::source::status::{LagQuestion, Listed, PartStatus};
use ::plan::bounds::{BoundColumn, Bounds};
use columns::{is_sequence_number, is_shard_id};
pub use connect::{Kinesis, check_shard, check_shards, deaggregate};
use plan::utc;
use std::cell::RefCell;
use std::fmt::Write;
use std::os::fd::RawFd;
use std::rc::Rc;
use stream::kinesis::{
    Deaggregate, Position, ReadOptions, ShardStart, ShardState, StreamDescription, Until, now_ms,
};
use stream::{Next, TimestampType, kinesis};

/// The plan of a refresh.
pub type Plan = super::plan::Plan<Kinesis>;

/// What of a stream is to be read.
#[derive(Clone)]
pub struct Reading {
    /// Its name.
    pub stream: String,
    /// Its shards.
    pub shards: Vec<ShardStart>,
    /// How.
    pub options: ReadOptions,
}

impl Default for Reading {
    /// Nothing.
    fn default() -> Reading {
        Reading {
            stream: String::new(),
            shards: Vec::new(),
            options: ReadOptions {
                until: Until::Stopped,
                page_records: None,
                deaggregate: Deaggregate::Off,
            },
        }
    }
}

/// How far a shard was read.
pub fn state(shard: ShardState) -> State<Position> {
    State {
        part: shard.id,
        position: shard.position,
        caught_up_to: shard.caught_up_to,
        is_drained: shard.is_drained,
    }
}

impl Source for Kinesis {
    const WORDS: Words = Words {
        stream: "stream",
        parts: ("shard", "shards"),
        starts: "earliest, latest, a timestamp, or the last loaded records such as {\"shardId-000000000000\": \"49590338271490256608559692538361571095921575989136588898\"}",
        explain: (c"Stream", c"Shards Read"),
        bound: BoundColumn::Shard,
    };
    const COLUMNS: &'static [Spec] = &columns::COLUMNS;
    const SMALL_PEEK_BYTES: usize = 10 * 1024 * 1024;
    const HAS_CONSUMERS: bool = true;
    const PARTS_APPEAR: bool = true;

    type Position = Position;
    type Client = kinesis::Client;
    type Description = StreamDescription;
    type Reading = Reading;
    type Reader = kinesis::Reader;
    type Record<'a> = kinesis::Record<'a>;
    type Records = kinesis::Records;
    type Scratch = ();

    fn of_server(server: &Server, user: Oid) -> Kinesis {
        Kinesis::of(server, user)
    }

    /// User records, where aggregated ones are not taken apart.
    fn column_left_out(server: &Server) -> Option<Column> {
        (deaggregate(server) == Deaggregate::Off).then_some(Column::SubSequenceNumber)
    }

    fn has_preview_columns(server: &Server) -> bool {
        connect::has_preview_columns(server)
    }

    fn pattern(&self) -> Option<&str> {
        self.streams.as_deref()
    }

    fn list(&self, client: &kinesis::Client) -> Box<dyn Pending<Vec<Listed>>> {
        let listed = |name| Listed {
            name,
            is_internal: false,
        };
        let asked = client.list_streams(setting::connect_timeout());
        Box::new(Map::new(asked, move |names: Vec<String>| {
            names.into_iter().map(listed).collect()
        }))
    }

    fn status(&self, client: &kinesis::Client, name: &str) -> Vec<PartStatus> {
        look::of_stream(self, client, name)
    }

    fn ask_lag(&self, name: &str, stored: Vec<plan::Checkpoint>) -> Rc<RefCell<dyn LagQuestion>> {
        let open = stored.into_iter().filter(|row| !row.is_drained);
        let positions = open.map(|row| (row.part, row.position)).collect();
        Rc::new(RefCell::new(look::LagReader::start(self, name, positions)))
    }

    fn server_name(&self) -> &str {
        &self.server_name
    }

    fn label(&self) -> String {
        self.name_and_place()
    }

    fn place_columns(&self) -> &'static [&'static str] {
        let places: &[&str] = if self.preview_columns {
            &["shardid", "sequencenumber", "subsequencenumber"]
        } else {
            &["shard_id", "sequence_number", "sub_sequence_number"]
        };
        // Without user records two columns are the whole place of a row.
        let users = usize::from(self.deaggregate != Deaggregate::Off);
        &places[..2 + users]
    }

    fn reads_as(&self, other: &Kinesis) -> bool {
        self.is_like(other)
    }

    fn connect(&self, memory_bytes: usize) -> kinesis::Client {
        self.client(memory_bytes, None)
    }

    fn describe(&self, client: &kinesis::Client, name: &str) -> StreamDescription {
        let asked = client.describe_stream(name, setting::connect_timeout());
        let stream = self.answer(client, asked);
        check_shards(&stream);
        stream
    }

    fn plan(
        &self,
        _client: &kinesis::Client,
        view: &MaterializedView,
        stream: &StreamDescription,
        stored: Vec<plan::Checkpoint>,
        _bounds: &Bounds,
    ) -> Plan {
        plan::plan(view, stream, stored, now_ms(), self.deaggregate)
    }

    fn check_still_same(
        &self,
        client: &kinesis::Client,
        view: &MaterializedView,
        before: &StreamDescription,
    ) {
        let after = self.describe(client, &before.name);
        if after.created_ms != before.created_ms {
            let [old, new] = [before.created_ms, after.created_ms].map(utc);
            error::stream_recreated(&view.name(), &before.name, &old, &new).raise();
        }
    }

    fn peek(
        &self,
        client: &kinesis::Client,
        name: &str,
        bounds: &Bounds,
        few: Option<u32>,
    ) -> Reading {
        let stream = self.describe(client, name);
        let from = match bounds.timestamp_from {
            // Later than now is not taken by the service, and has no records.
            Some(from) => Position::Time(to_milliseconds(from).clamp(0, now_ms())),
            None => Position::Horizon,
        };
        let is_wanted = |shard: &&kinesis::Shard| !bounds.is_never && bounds.has_shard(&shard.id);
        let start = |shard: &kinesis::Shard| ShardStart {
            id: shard.id.clone(),
            // In no order: all at once.
            parents: Vec::new(),
            from: from.clone(),
            is_closed: shard.last.is_some(),
            hash_keys: shard.hash_keys,
        };
        Reading {
            stream: name.to_owned(),
            shards: stream.shards.iter().filter(is_wanted).map(start).collect(),
            options: ReadOptions {
                until: Until::Parity(now_ms()),
                page_records: few,
                deaggregate: self.deaggregate,
            },
        }
    }

    fn read(
        client: &kinesis::Client,
        name: &str,
        reading: &Reading,
    ) -> Result<kinesis::Reader, stream::Error> {
        client.read(name, reading.shards.clone(), &reading.options)
    }

    fn parts(reading: &Reading) -> Vec<String> {
        reading
            .shards
            .iter()
            .map(|shard| shard.id.clone())
            .collect()
    }

    fn reached(reader: &kinesis::Reader, reading: &Reading) -> Vec<State<Position>> {
        let states: Vec<State<Position>> = reader.shards().into_iter().map(state).collect();
        // A child may have come up while its parent was read.
        for state in &states {
            check_shard(&reading.stream, &state.part);
        }
        states
    }

    fn explain(_reading: &Reading, reader: Option<&kinesis::Reader>) -> String {
        let shards = reader.map(kinesis::Reader::shards).unwrap_or_default();
        let shards: Vec<String> = shards.into_iter().map(|shard| shard.id).collect();
        shards.join(", ")
    }

    fn waiting_for(_reading: &Reading, reader: &kinesis::Reader) -> String {
        reader.unfinished().join(", ")
    }

    fn failure(what: &str, error: &stream::Error) -> Report {
        error::service(what, error)
    }

    fn stalled(name: &str, waiting_for: &str, cause: Option<String>) -> Report {
        error::shards_stalled(&format!("stream \"{name}\""), waiting_for, cause)
    }

    fn start(
        &self,
        _client: &kinesis::Client,
        stream: &StreamDescription,
        text: &str,
    ) -> Option<Vec<plan::Checkpoint>> {
        position::start(stream, text)
    }

    fn moved(
        source: Option<(&Kinesis, &str)>,
        _known: &Known<Position>,
        shard: Option<&str>,
        text: &str,
    ) -> Vec<plan::Checkpoint> {
        position::moved(source, shard, text)
    }

    #[inline]
    fn fill(
        record: &kinesis::Record,
        columns: &[(usize, Column)],
        refresh_time: i64,
        (): &mut (),
        row: &mut RowWriter,
    ) -> Result<(), SkipReason> {
        columns::fill(record, columns, refresh_time, row)
    }
}

impl Client for kinesis::Client {
    fn wake_fd(&self) -> RawFd {
        kinesis::Client::wake_fd(self)
    }

    fn clear_wake(&self) {
        kinesis::Client::clear_wake(self);
    }

    fn trouble(&self) -> Option<String> {
        self.last_trouble()
    }

    fn is_throttled(&self) -> bool {
        self.throttled().is_some()
    }
}

impl Reader<Kinesis> for kinesis::Reader {
    #[inline]
    fn next(&mut self) -> Result<Next<kinesis::Record<'_>>, stream::Error> {
        kinesis::Reader::next(self)
    }

    #[inline]
    fn is_within_record(&self) -> bool {
        kinesis::Reader::is_within_record(self)
    }

    fn signs_of_life(&self) -> u64 {
        self.answers()
    }

    fn counts(&self) -> (u64, u64) {
        (self.records(), self.bytes())
    }
}

impl Records<Kinesis> for kinesis::Records {
    fn len(&self) -> usize {
        kinesis::Records::len(self)
    }

    #[inline]
    fn get(&self, index: usize) -> Option<kinesis::Record<'_>> {
        kinesis::Records::get(self, index)
    }

    fn bytes(&self) -> u64 {
        kinesis::Records::bytes(self)
    }
}

impl Record<Kinesis> for kinesis::Record<'_> {
    /// Names go into text columns, and positions are stored by them.
    #[inline]
    fn check(&self, name: &str) {
        if !(is_shard_id(self.shard_id()) && is_sequence_number(self.sequence_number())) {
            not_kinesis(name, self);
        }
    }

    fn is_shown(&self) -> bool {
        !self.is_of_other_shard()
    }

    fn count(&self, tally: &mut Tally) -> Option<SkipReason> {
        remember(|place| write_place(place, self));
        tally.count(self.shard(), self.bytes(), self.arrival_ms());
        if self.is_of_other_shard() {
            let user = self.sub_sequence_number().unwrap_or(0);
            return Some(SkipReason::OtherShard(user));
        }
        tally.too_large("value", self.data().len() as u64)
    }

    fn skipped(&self, reason: SkipReason) -> SkippedRecord {
        SkippedRecord {
            partition: self.shard_id().to_owned(),
            position: self.sequence_number().to_owned(),
            timestamp: self
                .arrival_ms()
                .map(|time| (TimestampType::LogAppend, time)),
            reason,
        }
    }

    fn place(&self) -> String {
        let (shard, number) = (self.shard_id(), self.sequence_number());
        format!("{shard}, sequence number {number}")
    }
}

fn write_place(place: &mut String, record: &kinesis::Record) {
    place.push_str(record.shard_id());
    place.push_str(", sequence number ");
    place.push_str(record.sequence_number());
    if let Some(user) = record.sub_sequence_number() {
        let _ = write!(place, ", user record {user}");
    }
}

#[cold]
fn not_kinesis(stream: &str, record: &kinesis::Record) -> ! {
    let (what, text) = if is_shard_id(record.shard_id()) {
        ("sequence number", record.sequence_number())
    } else {
        ("shard", record.shard_id())
    };
    error::not_kinesis(stream, what, text).raise()
}
