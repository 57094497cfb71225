//! Reads ranges of a topic's partitions, record by record, until each has reached its end.

use super::client::{
    Client, Pending, TopicDescription, is_refusal, is_transient, is_unknown_topic, topic_name,
};
use super::config::RECORD_OVERHEAD;
use super::ffi::{Batch, Code, Failure, Message, Queue, Topic, TopicId};
use super::partitions::{PartitionRange, Partitions};
use crate::{Error, Next, Record};
use std::ffi::CString;
use std::time::{Duration, Instant};

/// How a reader works.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadOptions {
    /// Up to how many records are taken from the client's threads in one go.
    pub batch_records: usize,
    /// The id of the topic that the ranges are of ([`crate::TopicDescription::topic_id`]). A topic that is created again under its name ends the reader
    /// with [`Error::Recreated`], before the first record of the new one where brokers fetch by id (Kafka 3.1).
    pub topic_id: Option<String>,
}

impl Default for ReadOptions {
    fn default() -> ReadOptions {
        ReadOptions {
            batch_records: 1024,
            topic_id: None,
        }
    }
}

/// Records that were taken from a reader, to be read as often as needed.
pub struct Records {
    // Before the client.
    batch: Batch,
    bytes: u64,
    _client: Client,
}

impl Records {
    fn none(client: &Client) -> Records {
        Records {
            batch: Batch::new(0),
            bytes: 0,
            _client: client.share(),
        }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of keys and values.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What they take of memory, about.
    pub fn memory(&self) -> usize {
        self.bytes as usize + self.len() * RECORD_OVERHEAD
    }

    /// One of them.
    pub fn get(&self, index: usize) -> Option<Record<'_>> {
        self.batch.get(index).map(Record)
    }
}

/// What [`Reader::gather`] has to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gathered {
    /// As many records or bytes as were asked for are there, or as there is room for.
    pub is_full: bool,
    /// The client had fetched as much as it may: more waits, at the broker at least.
    pub has_more: bool,
}

/// At most this many partitions are looked at when nothing has arrived; the others end by an event, a little later.
const POSITIONS_AT_ONCE: usize = 64;

/// A reader that got nothing for this long has a look at which partitions there are.
const QUIET: Duration = Duration::from_millis(500);

/// After that long nobody needs the topic's description any more.
const DESCRIPTION_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads ranges of one topic.
pub struct Reader {
    // In this order: messages, topic and queue go before the client.
    batch: Batch,
    at: usize,
    /// For [`Reader::take`].
    gathered: Records,
    topic: Topic,
    queue: Queue,
    partitions: Partitions,
    /// Partitions that librdkafka is fetching.
    fetching: Vec<i32>,
    claimed: Vec<i32>,
    /// Which partitions there are, see [`Reader::check_partitions`].
    described: Option<Pending<TopicDescription>>,
    asked: bool,
    /// A partition is said to be gone.
    gone: bool,
    /// When the queue was first found empty since the last record.
    quiet_since: Option<Instant>,
    records: u64,
    bytes: u64,
    name: CString,
    topic_name: String,
    client: Client,
}

impl Reader {
    pub(super) fn start(
        client: &Client,
        topic: &str,
        ranges: &[PartitionRange],
        options: &ReadOptions,
    ) -> Result<Reader, Error> {
        let name = topic_name(topic)?;
        let partitions = Partitions::new(ranges)?;
        let shared = client.shared();
        let handle = shared.handle();
        let refused =
            |failure: Failure| Error::Config(format!("topic \"{topic}\": {}", failure.message));
        let mut reader = Reader {
            batch: Batch::new(options.batch_records),
            at: 0,
            gathered: Records::none(client),
            topic: Topic::new(handle, &name).map_err(refused)?,
            queue: handle.queue(),
            partitions,
            fetching: Vec::new(),
            claimed: Vec::new(),
            described: None,
            asked: false,
            gone: false,
            quiet_since: None,
            records: 0,
            bytes: 0,
            name,
            topic_name: topic.to_owned(),
            client: client.share(),
        };
        let wanted: Vec<i32> = reader.partitions.unfinished().collect();
        let topic_id = options.topic_id.as_deref();
        shared.claims().claim(topic, topic_id, &wanted)?;
        reader.topic.expect_id(expected_id(options)?);
        reader.claimed = wanted;
        for range in ranges.iter().filter(|range| range.start < range.end) {
            reader
                .topic
                .start(range.partition, range.start, &reader.queue)
                .map_err(refused)?;
            reader.fetching.push(range.partition);
        }
        Ok(reader)
    }

    /// The next record of any partition. Never waits.
    #[allow(
        clippy::should_implement_trait,
        reason = "a record borrows from the reader, which Iterator cannot say"
    )]
    #[inline]
    pub fn next(&mut self) -> Result<Next<Record<'_>>, Error> {
        let found = loop {
            let Some(message) = self.batch.get(self.at) else {
                if self.refill()? {
                    continue;
                }
                return Ok(if self.partitions.all_finished() {
                    Next::End
                } else {
                    Next::Wait
                });
            };
            let index = self.at;
            self.at += 1;
            if message.code() == Code::NONE {
                if self.partitions.take(message.partition(), message.offset()) {
                    self.records += 1;
                    self.bytes += size(message);
                    break index;
                }
            } else {
                let (partition, offset) = (message.partition(), message.offset());
                let failure = explain(message);
                self.event(partition, offset, failure)?;
            }
        };
        Ok(self
            .batch
            .get(found)
            .map_or(Next::Wait, |message| Next::Record(Record(message))))
    }

    /// Gathers what has arrived, until there are so many records or bytes, for [`Reader::take`]. Never waits.
    pub fn gather(&mut self, max_records: usize, max_bytes: u64) -> Result<Gathered, Error> {
        let before = (self.records, self.bytes);
        let is_full = loop {
            if self.gathered.len() >= max_records || self.gathered.bytes >= max_bytes {
                break true;
            }
            let bytes = self.bytes;
            match self.next()? {
                Next::Record(_) => {}
                Next::Wait | Next::End => break false,
            }
            // `next` has just passed it.
            self.batch.move_to(self.at - 1, &mut self.gathered.batch);
            self.gathered.bytes += self.bytes - bytes;
        };
        let queue = self.client.shared().queue();
        let (records, bytes) = (self.records - before.0, self.bytes - before.1);
        Ok(Gathered {
            is_full,
            has_more: is_full || records >= queue.records as u64 || bytes >= queue.bytes as u64,
        })
    }

    /// What was gathered, to be read as often as needed.
    pub fn take(&mut self) -> Records {
        std::mem::replace(&mut self.gathered, Records::none(&self.client))
    }

    /// What was gathered and not taken yet.
    pub fn gathered(&self) -> &Records {
        &self.gathered
    }

    /// Where to resume a partition: one past its last record so far, or its range's end once that is reached. None if
    /// it is not one of the reader's.
    pub fn next_offset(&self, partition: i32) -> Option<i64> {
        self.partitions.next_offset(partition)
    }

    /// Number of records returned so far.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Bytes of keys and values returned so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the next messages from the queue. Returns whether there are any.
    fn refill(&mut self) -> Result<bool, Error> {
        self.at = 0;
        self.stop_finished();
        if !self.partitions.all_finished() && self.batch.fill(&self.queue) {
            self.quiet_since = None;
            return Ok(true);
        }
        self.batch.clear();
        self.client.shared().listen();
        self.check_errors()?;
        self.check_size()?;
        self.check_partitions()?;
        self.pass_markers();
        self.stop_finished();
        Ok(false)
    }

    /// Finished partitions would go on to fetch what nobody wants.
    fn stop_finished(&mut self) {
        for partition in self.partitions.take_finished() {
            self.topic.stop(partition);
            self.fetching.retain(|&other| other != partition);
        }
    }

    /// Some errors of partitions are told by callback, with the partition in the text only.
    fn check_errors(&mut self) -> Result<(), Error> {
        for failure in self.client.shared().handle().take_errors() {
            if is_transient(failure.code) || is_refusal(failure.code) {
                self.client.shared().remember(failure);
                continue;
            }
            let partition = self.partition_in(&failure.message);
            let Some(partition) =
                partition.filter(|&partition| self.partitions.is_reading(partition))
            else {
                continue;
            };
            self.check_topic(failure.code)?;
            if failure.code != Code::UNKNOWN_PARTITION {
                return Err(self.partition_error(partition, -1, failure));
            }
            // A topic that goes is told as partitions that go: ask which of the two it is.
            self.gone = true;
            self.ask_for_partitions();
        }
        Ok(())
    }

    /// A batch that is too large for an answer has no event of its own: the connection ends, and the next one goes the same way.
    fn check_size(&self) -> Result<(), Error> {
        let quiet = self.quiet_since.filter(|since| since.elapsed() > QUIET);
        let shared = self.client.shared();
        match quiet.and_then(|since| shared.too_large_since(since)) {
            Some(cause) => Err(Error::TooLarge {
                topic: self.topic_name.clone(),
                place: None,
                cause,
            }),
            None => Ok(()),
        }
    }

    fn ask_for_partitions(&mut self) {
        self.asked = true;
        let client = &self.client;
        self.described
            .get_or_insert_with(|| client.describe_topic(&self.topic_name, DESCRIPTION_TIMEOUT));
    }

    /// The partition of a text such as `orders [3]: desired partition is not available`.
    fn partition_in(&self, text: &str) -> Option<i32> {
        let rest = text
            .strip_prefix(self.topic_name.as_str())?
            .strip_prefix(" [")?;
        rest.split_once(']')?.0.parse().ok()
    }

    /// librdkafka says nothing of a partition that does not exist if it knew the topic before, and waits for ever.
    fn check_partitions(&mut self) -> Result<(), Error> {
        if !self.asked && self.quiet_since.get_or_insert_with(Instant::now).elapsed() > QUIET {
            self.ask_for_partitions();
        }
        let Some(answer) = self.described.as_mut().and_then(Pending::poll) else {
            return Ok(());
        };
        self.described = None;
        let topic = match answer {
            Ok(topic) => topic,
            Err(error @ Error::UnknownTopic { .. }) if self.gone => return Err(error),
            // Without an answer there is nothing to say. That a topic is not known yet is left to librdkafka, which
            // gives a new one time to become known everywhere.
            Err(_) => return Ok(()),
        };
        match self
            .partitions
            .unfinished()
            .find(|partition| topic.partitions.binary_search(partition).is_err())
        {
            Some(partition) => {
                Err(self.partition_error(partition, -1, Failure::of(Code::UNKNOWN_PARTITION)))
            }
            None => Ok(()),
        }
    }

    /// The last offset of a transactional topic's range is a marker, which librdkafka swallows: the end of the
    /// partition would be told only after the broker's next, empty answer. Its position tells at once.
    fn pass_markers(&mut self) {
        let partitions: Vec<i32> = self
            .partitions
            .unfinished()
            .take(POSITIONS_AT_ONCE)
            .collect();
        if partitions.is_empty() {
            return;
        }
        let positions = self
            .client
            .shared()
            .handle()
            .positions(&self.name, &partitions);
        for (&partition, position) in partitions.iter().zip(positions) {
            self.partitions.reached_position(partition, position);
        }
    }

    /// Does the code say that the topic is gone, or that another one has its name?
    fn check_topic(&self, code: Code) -> Result<(), Error> {
        if !is_unknown_topic(code) {
            return Ok(());
        }
        let topic = self.topic_name.clone();
        Err(match code {
            Code::UNKNOWN_TOPIC_ID => Error::Recreated { topic },
            _ => Error::UnknownTopic { topic },
        })
    }

    /// Anything that is not a record.
    fn event(&mut self, partition: i32, offset: i64, failure: Failure) -> Result<(), Error> {
        self.partitions.saw_event(partition, offset);
        if failure.code == Code::PARTITION_EOF {
            self.partitions.reached(partition, offset);
            return Ok(());
        }
        if is_transient(failure.code) {
            self.client.shared().remember(failure);
            return Ok(());
        }
        self.check_topic(failure.code)?;
        if !self.partitions.is_reading(partition) {
            return Ok(());
        }
        Err(self.partition_error(partition, offset, failure))
    }

    fn partition_error(&self, partition: i32, offset: i64, failure: Failure) -> Error {
        let topic = self.topic_name.clone();
        let next = self.partitions.next_offset(partition).unwrap_or(offset);
        match failure.code {
            Code::AUTO_OFFSET_RESET | Code::OFFSET_OUT_OF_RANGE => Error::OffsetOutOfRange {
                topic,
                partition,
                offset: if offset >= 0 { offset } else { next },
            },
            Code::MESSAGE_TOO_LARGE => Error::TooLarge {
                topic,
                place: Some((partition, if offset >= 0 { offset } else { next })),
                cause: failure.message,
            },
            _ => Error::Partition {
                topic,
                partition,
                offset: next,
                cause: failure.message,
            },
        }
    }
}

fn expected_id(options: &ReadOptions) -> Result<Option<TopicId>, Error> {
    let parse = |text: &String| {
        TopicId::parse(text).ok_or_else(|| Error::Config(format!("\"{text}\" is no id of a topic")))
    };
    options.topic_id.as_ref().map(parse).transpose()
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.batch.clear();
        for &partition in &self.fetching {
            self.topic.stop(partition);
        }
        self.client
            .shared()
            .claims()
            .disclaim(&self.topic_name, &self.claimed);
    }
}

#[inline]
fn size(message: Message<'_>) -> u64 {
    (message.key().map_or(0, <[u8]>::len) + message.value().map_or(0, <[u8]>::len)) as u64
}

/// An event carries its explanation where a record has its value.
fn explain(message: Message<'_>) -> Failure {
    let code = message.code();
    let text = message
        .value()
        .map(|text| String::from_utf8_lossy(text).into_owned());
    Failure {
        code,
        message: text
            .filter(|text| !text.is_empty())
            .unwrap_or_else(|| code.to_string()),
    }
}
