//! The client: requests without waiting, and readers.

use super::aggregate::{Deaggregate, HashKeys};
use super::config::Config;
use super::fetch::Until;
use super::reader::{ReadOptions, Reader, ShardStart};
use super::service::Service;
use crate::Error;
use crate::runtime::{self, Pending};
use crate::wake::Wake;
use std::any::Any;
use std::cell::RefCell;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time;

/// No stream has more; a list that goes on is a mistake.
const MOST_SHARDS: usize = 200_000;
/// No account has more streams.
const MOST_STREAMS: usize = 200_000;
/// No name of a stream and no id of a shard is longer.
const LONGEST_NAME: usize = 128;

/// A client of one account's streams in one region.
pub struct Client {
    service: Arc<Service>,
    wake: Arc<Wake>,
    /// What the caller has given for as long as the client lives.
    kept: RefCell<Vec<Box<dyn Any>>>,
}

/// A stream as the service describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamDescription {
    /// The stream's name or ARN, as it was asked for.
    pub name: String,
    /// When it was created, in milliseconds since 1970: a later time means that it was created anew.
    pub created_ms: i64,
    /// How long records are kept.
    pub retention: Duration,
    /// Its shards, closed ones with records too, by id.
    pub shards: Vec<Shard>,
}

/// A shard as the service describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shard {
    /// Its id.
    pub id: String,
    /// The shards that it came from: one by a split, two by a merge. They may be gone.
    pub parents: Vec<String>,
    /// Its first sequence number.
    pub first: String,
    /// Its last one, once it is closed.
    pub last: Option<String>,
    /// The keys whose records it has.
    pub hash_keys: HashKeys,
}

impl Client {
    /// A client; nothing is asked yet. Starts this process's threads for AWS.
    pub fn new(config: &Config) -> Result<Client, Error> {
        runtime::handle()?;
        let wake = Wake::new().map_err(|error| Error::Config(format!("pipe: {error}")))?;
        Ok(Client {
            service: Arc::new(Service::new(config.clone())),
            wake: Arc::new(wake),
            kept: RefCell::default(),
        })
    }

    /// Keeps a value until the client is gone.
    pub fn keep(&self, value: Box<dyn Any>) {
        self.kept.borrow_mut().push(value);
    }

    /// Becomes readable when an answer or a record may be waiting.
    pub fn wake_fd(&self) -> RawFd {
        self.wake.read_fd()
    }

    /// Makes the descriptor unreadable until something new arrives. Poll every request and reader of this client after it.
    pub fn clear_wake(&self) {
        self.wake.clear();
    }

    /// The last trouble, such as a throttled read. It stays after the trouble is over.
    pub fn last_trouble(&self) -> Option<String> {
        self.service.trouble().map(|(_, trouble)| trouble)
    }

    /// In words, which limit of the service's slows it down, if one did in the last seconds.
    pub fn throttled(&self) -> Option<String> {
        /// Longer than the longest pause between two tries.
        const LATELY: Duration = Duration::from_secs(6);
        let (when, refusal) = self.service.throttled()?;
        (when.elapsed() < LATELY).then_some(refusal)
    }

    /// The same, if it came after this moment.
    pub fn trouble_since(&self, moment: Instant) -> Option<String> {
        let (when, trouble) = self.service.trouble()?;
        (when.into_std() > moment).then_some(trouble)
    }

    /// How long the oldest read that is under way has had no answer.
    pub fn unanswered_for(&self) -> Option<Duration> {
        self.service.unanswered_since().map(|since| since.elapsed())
    }

    /// The names of all streams, in their order.
    pub fn list_streams(&self, timeout: Duration) -> Pending<Vec<String>> {
        let service = Arc::clone(&self.service);
        let text = "list of streams";
        let deadline = time::Instant::now() + timeout;
        runtime::ask(&self.wake, text, timeout, async move {
            let mut names: Vec<String> = Vec::new();
            loop {
                let after = names.last().cloned();
                let ask = || service.list_streams(after.clone());
                let (page, more) = service.until(deadline, text, ask).await?;
                let are_names = page.iter().all(|name| name.len() <= LONGEST_NAME);
                // The next page begins behind the last name: a list that does not go on would never end.
                let goes_on = after.is_none_or(|after| page.last() != Some(&after));
                if !are_names || names.len() > MOST_STREAMS || more && !goes_on {
                    return Err(nonsense(text));
                }
                names.extend(page);
                if !more {
                    names.sort();
                    return Ok(names);
                }
            }
        })
    }

    /// A stream and its shards. [`Error::UnknownStream`] if it does not exist.
    pub fn describe_stream(&self, stream: &str, timeout: Duration) -> Pending<StreamDescription> {
        let service = Arc::clone(&self.service);
        let stream = stream.to_owned();
        let text = format!("description of stream \"{stream}\"");
        let deadline = time::Instant::now() + timeout;
        let asked = text.clone();
        runtime::ask(&self.wake, text, timeout, async move {
            describe(&service, stream, deadline, &asked).await
        })
    }

    /// Reads shards side by side, a child after its parents.
    pub fn read(
        &self,
        stream: &str,
        shards: Vec<ShardStart>,
        options: &ReadOptions,
    ) -> Result<Reader, Error> {
        Reader::start(&self.service, &self.wake, stream, shards, options, None)
    }

    /// The same for ever, by subscriptions of a consumer that is registered with the stream (enhanced fan-out): what arrives is pushed, beside the limits
    /// of [`Client::read`]. A consumer has one subscription of a shard at a time. [`Error::UnknownConsumer`] comes from the reader.
    pub fn follow(
        &self,
        stream: &str,
        shards: Vec<ShardStart>,
        deaggregate: Deaggregate,
        consumer: &str,
    ) -> Result<Reader, Error> {
        let options = ReadOptions {
            until: Until::Stopped,
            page_records: None,
            deaggregate,
        };
        let (service, wake) = (&self.service, &self.wake);
        Reader::start(service, wake, stream, shards, &options, Some(consumer))
    }
}

/// What the service never says.
fn nonsense(request: &str) -> Error {
    Error::Broker {
        request: request.to_owned(),
        cause: "the answer makes no sense".to_owned(),
        transient: false,
    }
}

async fn describe(
    service: &Service,
    stream: String,
    deadline: time::Instant,
    text: &str,
) -> Result<StreamDescription, Error> {
    let summary = service
        .until(deadline, text, || service.describe_stream(&stream))
        .await?;
    let mut shards: Vec<Shard> = Vec::new();
    let mut token = None;
    loop {
        let ask = || service.list_shards(&stream, token.clone());
        let (page, next) = service.until(deadline, text, ask).await?;
        if page.iter().any(|shard| shard.shard_id.len() > LONGEST_NAME) {
            return Err(nonsense(text));
        }
        shards.extend(page.into_iter().map(|shard| {
            let parents = [shard.parent_shard_id, shard.adjacent_parent_shard_id];
            let range = shard.sequence_number_range;
            let hash_keys = HashKeys::of(shard.hash_key_range);
            Shard {
                id: shard.shard_id,
                parents: parents.into_iter().flatten().collect(),
                first: range
                    .as_ref()
                    .map(|range| range.starting_sequence_number.clone())
                    .unwrap_or_default(),
                last: range.and_then(|range| range.ending_sequence_number),
                hash_keys,
            }
        }));
        token = next;
        if token.is_none() || shards.len() > MOST_SHARDS {
            break;
        }
    }
    shards.sort_by(|a, b| a.id.cmp(&b.id));
    let hours = u64::try_from(summary.retention_period_hours).unwrap_or(24);
    Ok(StreamDescription {
        name: stream,
        created_ms: summary
            .stream_creation_timestamp
            .to_millis()
            .unwrap_or_default(),
        retention: Duration::from_secs(hours * 3600),
        shards,
    })
}
