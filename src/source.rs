//! From a foreign server's options to a client of the stream.
//!
//! A request is sent and waited for here, interruptibly; records are waited for in `crate::scan`.

use crate::access::Access;
use crate::pg::descriptors::Descriptors;
use crate::pg::foreign::{self, Server};
use crate::pg::node::Definition;
use crate::pg::relation::Oid;
use crate::pg::wait::{self, Event};
use crate::scan::column::ColumnSet;
use crate::{error, kinesis, settings};
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use stream::kinesis::Deaggregate;
use stream::{Client, ListedOffset, Next, OffsetSpec, PartitionRange, Pending, ReadOptions, Room};

/// What a foreign table stands for.
pub enum Stream {
    /// A topic of Kafka.
    Topic(Source, String),
    /// A stream of Kinesis.
    Kinesis(kinesis::source::Source, String),
}

impl Stream {
    /// Of a foreign table, read as `user`.
    pub fn of_table(table: Oid, user: Oid) -> Stream {
        let (server, options) = foreign::of_table(table);
        if !kinesis::source::Source::is_of(&server) {
            let topic = name_of(&options, "topic");
            return Stream::Topic(Source::of_server(&server, user), topic);
        }
        let stream = name_of(&options, "stream");
        Stream::Kinesis(kinesis::source::Source::of_server(&server, user), stream)
    }

    /// The topic's or stream's name in a foreign table's options.
    pub fn name_in(server: &Server, options: &[Definition]) -> String {
        let of_shards = kinesis::source::Source::is_of(server);
        name_of(options, if of_shards { "stream" } else { "topic" })
    }

    /// Does a foreign table stand for a stream of Kinesis?
    pub fn is_of_shards(table: Oid) -> bool {
        kinesis::source::Source::is_of(&foreign::of_table(table).0)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Stream::Topic(_, name) | Stream::Kinesis(_, name) => name,
        }
    }

    /// The external schema's name.
    pub fn server_name(&self) -> &str {
        match self {
            Stream::Topic(source, _) => &source.server_name,
            Stream::Kinesis(source, _) => &source.server_name,
        }
    }

    /// Would it be read in the same way, by the same client?
    pub fn reads_as(&self, other: &Stream) -> bool {
        match (self, other) {
            (Stream::Topic(one, topic), Stream::Topic(other, other_topic)) => {
                one.access == other.access && topic == other_topic
            }
            (Stream::Kinesis(one, stream), Stream::Kinesis(other, other_stream)) => {
                one.reads_as(other) && stream == other_stream
            }
            _ => false,
        }
    }

    /// What error messages call it.
    pub fn label(&self) -> String {
        match self {
            Stream::Topic(_, name) => format!("topic \"{name}\""),
            Stream::Kinesis(_, name) => format!("stream \"{name}\""),
        }
    }
}

/// Which columns the relations of a server have.
pub fn column_set(server: &Server) -> ColumnSet {
    if kinesis::source::Source::is_of(server) {
        let deaggregated = kinesis::source::deaggregate(server) != Deaggregate::Off;
        ColumnSet::Stream { deaggregated }
    } else {
        ColumnSet::Topic
    }
}

fn name_of(options: &[Definition], name: &str) -> String {
    option(options, name)
        .unwrap_or_else(|| error::foreign_option_missing("the foreign table", name).raise())
}

/// Where an external schema's topics are.
pub struct Source {
    /// The foreign server, whose name is the external schema's.
    pub server_name: String,
    bootstrap_servers: String,
    access: Access,
    /// `topics` of CREATE SERVER: comma-separated names in which `*` stands for any characters. All but internal topics if absent.
    pub topics: Option<String>,
}

/// What a client opens: for itself, and for each broker (a pipe and a connection).
const DESCRIPTORS: u32 = 5;
const DESCRIPTORS_OF_BROKER: u32 = 3;
/// So many brokers are counted beside the bootstrap servers before the cluster has told how many it has.
const BROKERS_EXPECTED: usize = 1;

thread_local! {
    /// How many brokers there has been room for, by bootstrap servers with more than was expected: the next client need not ask twice.
    static BROKERS_SEEN: RefCell<HashMap<String, usize>> = RefCell::default();
}

/// Counts the files of a client's brokers, as many as its cluster has.
struct Brokers {
    bootstrap_servers: String,
    count: usize,
    descriptors: Descriptors,
}

impl Brokers {
    fn of(bootstrap_servers: &str) -> Brokers {
        let least = bootstrap_servers.split(',').count() + BROKERS_EXPECTED;
        let mut brokers = Brokers {
            bootstrap_servers: bootstrap_servers.to_owned(),
            count: least,
            descriptors: Descriptors::acquire(DESCRIPTORS + DESCRIPTORS_OF_BROKER * least as u32),
        };
        let seen = BROKERS_SEEN.with_borrow(|seen| seen.get(bootstrap_servers).copied());
        brokers.more(seen.map_or(0, |seen| seen.saturating_sub(least)));
        brokers
    }
}

impl Room for Brokers {
    fn more(&mut self, brokers: usize) -> bool {
        let most = (Descriptors::most() / DESCRIPTORS_OF_BROKER) as usize;
        if self.count.saturating_add(brokers) > most
            || !self
                .descriptors
                .more(DESCRIPTORS_OF_BROKER * brokers as u32)
        {
            return false;
        }
        self.count += brokers;
        if brokers > 0 {
            let server = self.bootstrap_servers.clone();
            BROKERS_SEEN.with_borrow_mut(|seen| seen.insert(server, self.count));
        }
        true
    }
}

impl Source {
    /// The source of a server, read as `user`.
    pub fn of_server(server: &Server, user: Oid) -> Source {
        let of = |name| option(&server.options, name);
        let uri = of("uri").or_else(|| of("cluster_arn")).unwrap_or_else(|| {
            error::foreign_option_missing(&format!("server \"{}\"", server.name), "uri").raise()
        });
        Source {
            server_name: server.name.clone(),
            bootstrap_servers: uri,
            access: Access::of(server, user),
            topics: option(&server.options, "topics"),
        }
    }

    /// The source of a topic, read as `user`, and the topic's name; raises if the table is no topic.
    pub fn of_topic(table: Oid, user: Oid) -> (Source, String) {
        match Stream::of_table(table, user) {
            Stream::Topic(source, topic) => (source, topic),
            Stream::Kinesis(_, stream) => error::not_a_topic(&stream).raise(),
        }
    }

    /// What a client of this source is made of.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// What error messages call it.
    pub fn label(&self) -> String {
        format!(
            "external schema \"{}\" ({})",
            self.server_name, self.bootstrap_servers
        )
    }

    /// A new client that buffers at most `memory_bytes`. It connects in the background.
    pub fn connect(&self, memory_bytes: usize) -> Client {
        self.connect_for(1, memory_bytes)
    }

    /// The same for so many readers, which divide the memory.
    pub fn connect_for(&self, readers: usize, memory_bytes: usize) -> Client {
        self.connect_by(&stream::Config {
            readers,
            ..self.access.config(memory_bytes)
        })
    }

    /// The same by what [`Access::config`] has given.
    pub fn connect_by(&self, config: &stream::Config) -> Client {
        let brokers = Brokers::of(&self.bootstrap_servers);
        let client = Client::new(&stream::Config {
            brokers: brokers.count,
            ..config.clone()
        })
        .unwrap_or_else(|error| error::source(&self.label(), &error).raise());
        client.hold_room(Box::new(brokers));
        client
    }

    /// Waits for an answer; raises what went wrong.
    pub fn answer<T>(&self, client: &Client, pending: Pending<T>) -> T {
        self.try_answer(client, pending)
            .unwrap_or_else(|error| error::source(&self.label(), &error).raise())
    }

    /// Waits for an answer. A request ends by itself after `redshift.connect_timeout_ms`; a little later we stop waiting for it.
    pub fn try_answer<T>(
        &self,
        client: &Client,
        mut pending: Pending<T>,
    ) -> Result<T, stream::Error> {
        const GRACE: Duration = Duration::from_millis(500);
        let deadline = pending.deadline() + GRACE;
        loop {
            client.clear_wake();
            if let Some(answer) = pending.poll() {
                return answer;
            }
            if Instant::now() >= deadline {
                return Err(stream::Error::Timeout {
                    request: "request".to_owned(),
                    cause: client.last_broker_error(),
                });
            }
            wait::readable(client.wake_fd(), deadline, Event::BrokerAnswer);
        }
    }
}

/// The value of an option.
pub fn option(options: &[Definition], name: &str) -> Option<String> {
    options
        .iter()
        .find(|option| option.name == name)
        .and_then(|option| option.value.clone())
}

/// One partition's bounds at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Watermarks {
    /// The partition.
    pub partition: i32,
    /// The earliest offset that still exists (or would be the first).
    pub earliest: i64,
    /// The last stable offset: everything before it is committed or aborted for good.
    pub latest: i64,
    /// The leader's epoch, if the broker told.
    pub leader_epoch: Option<i32>,
}

impl Watermarks {
    /// Pairs the answers for earliest and latest, in the order of the partitions.
    pub fn pair(earliest: &[ListedOffset], latest: &[ListedOffset]) -> Vec<Watermarks> {
        let mut watermarks: Vec<Watermarks> = latest
            .iter()
            .filter_map(|latest| {
                let earliest = earliest
                    .iter()
                    .find(|earliest| earliest.partition == latest.partition)?;
                Some(Watermarks {
                    partition: latest.partition,
                    earliest: earliest.offset?,
                    latest: latest.offset?,
                    leader_epoch: latest.leader_epoch,
                })
            })
            .collect();
        watermarks.sort_by_key(|watermarks| watermarks.partition);
        watermarks
    }
}

impl Source {
    /// The watermarks of the partitions, in their order.
    pub fn watermarks(&self, client: &Client, topic: &str, partitions: &[i32]) -> Vec<Watermarks> {
        self.try_watermarks(client, topic, partitions)
            .unwrap_or_else(|error| error::source(&self.label(), &error).raise())
    }

    /// The same, or what went wrong.
    pub fn try_watermarks(
        &self,
        client: &Client,
        topic: &str,
        partitions: &[i32],
    ) -> Result<Vec<Watermarks>, stream::Error> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let earliest = self.ask_offsets(client, topic, partitions, OffsetSpec::Earliest);
        let latest = self.ask_offsets(client, topic, partitions, OffsetSpec::Latest);
        let earliest = self.try_answer(client, earliest)?;
        let latest = self.try_answer(client, latest)?;
        Ok(Watermarks::pair(&earliest, &latest))
    }

    /// Asks for one offset of each partition.
    pub fn ask_offsets(
        &self,
        client: &Client,
        topic: &str,
        partitions: &[i32],
        spec: OffsetSpec,
    ) -> Pending<Vec<ListedOffset>> {
        let specs = partitions
            .iter()
            .map(|partition| (*partition, spec))
            .collect();
        client.list_offsets(topic, specs, settings::connect_timeout())
    }

    /// The first offset of each partition whose record is not older than `milliseconds` (since 1970), for the partitions where the broker can
    /// tell. A partition without such a record has its end, `latest`.
    pub fn offsets_at(
        &self,
        client: &Client,
        topic: &str,
        watermarks: &[Watermarks],
        milliseconds: i64,
    ) -> Vec<(i32, i64)> {
        let partitions: Vec<i32> = watermarks
            .iter()
            .map(|watermarks| watermarks.partition)
            .collect();
        let found = self.ask_offsets(
            client,
            topic,
            &partitions,
            // Times before 1970 would be names of other things: -1 is the end.
            OffsetSpec::Timestamp(milliseconds.max(0)),
        );
        let newest = self.ask_offsets(client, topic, &partitions, OffsetSpec::MaxTimestamp);
        // Brokers without timestamp look-up (librdkafka's mock cluster) answer "no such record", as others do for a time past the end. So
        // "none" is believed only of a broker that knows the newest record's time.
        let (Ok(found), Ok(newest)) = (
            self.try_answer(client, found),
            self.try_answer(client, newest),
        ) else {
            return Vec::new();
        };
        let nothing_later = |partition| {
            let newest = newest.iter().find(|offset| offset.partition == partition);
            newest
                .and_then(|offset| offset.timestamp_ms)
                .is_some_and(|newest| newest < milliseconds)
        };
        watermarks
            .iter()
            .filter_map(|watermarks| {
                let partition = watermarks.partition;
                match found
                    .iter()
                    .find(|offset| offset.partition == partition)?
                    .offset
                {
                    Some(offset) => Some((partition, offset)),
                    None => nothing_later(partition).then_some((partition, watermarks.latest)),
                }
            })
            .collect()
    }
}

impl Source {
    /// The time (milliseconds since 1970) of the newest record of each partition that has records.
    pub fn newest_times(
        &self,
        client: &Client,
        topic: &str,
        watermarks: &[Watermarks],
    ) -> Vec<(i32, i64)> {
        let filled: Vec<Watermarks> = watermarks
            .iter()
            .filter(|w| w.earliest < w.latest)
            .copied()
            .collect();
        let partitions: Vec<i32> = filled
            .iter()
            .map(|watermarks| watermarks.partition)
            .collect();
        if partitions.is_empty() {
            return Vec::new();
        }
        let newest = self.ask_offsets(client, topic, &partitions, OffsetSpec::MaxTimestamp);
        let known: Vec<(i32, i64)> = self
            .try_answer(client, newest)
            .unwrap_or_default()
            .iter()
            .filter_map(|offset| Some((offset.partition, offset.timestamp_ms?)))
            .collect();
        if known.is_empty() {
            self.last_times(client, topic, &filled)
        } else {
            known
        }
    }

    /// The same for brokers that cannot tell: the last record is read.
    fn last_times(
        &self,
        client: &Client,
        topic: &str,
        watermarks: &[Watermarks],
    ) -> Vec<(i32, i64)> {
        let range = |w: &Watermarks| PartitionRange {
            partition: w.partition,
            start: w.latest - 1,
            end: w.latest,
        };
        let ranges = watermarks.iter().map(range).collect();
        let Ok(mut reader) = client.read(topic, ranges, &ReadOptions::default()) else {
            return Vec::new();
        };
        let deadline = Instant::now() + settings::connect_timeout();
        let mut times = Vec::new();
        loop {
            match reader.next() {
                Ok(Next::Record(record)) => {
                    times.extend(
                        record
                            .timestamp()
                            .map(|(_, time)| (record.partition(), time)),
                    );
                }
                Ok(Next::Wait) if Instant::now() < deadline => {
                    wait::readable(client.wake_fd(), deadline, Event::StreamFetch);
                    client.clear_wake();
                }
                Ok(Next::Wait | Next::End) | Err(_) => return times,
            }
        }
    }
}
