//! The task of one shard: page after page, within the limits, whatever goes wrong on the way.

use super::aggregate::{Contents, HashKeys, contents};
use super::limit::Turns;
use super::memory::{Memory, Reserved};
use super::position::{Position, SequenceNumber};
use super::reader::{ReadOptions, ShardStart};
use super::service::{Failure, Pause, Service};
use super::subscribe::Consumer;
use crate::Error;
use crate::wake::Wake;
use aws_sdk_kinesis::types::{ChildShard, Record};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{sleep, sleep_until};

/// The largest page that the service gives.
pub const LARGEST_PAGE: usize = 10 * 1024 * 1024;
/// And the most records in it.
const MOST_RECORDS: u32 = 10_000;
/// What a record costs beyond its data.
const RECORD_OVERHEAD: usize = 256;
/// After a page without records, when nothing is behind: leaves other consumers their part of the reads.
const IDLE_PAUSE: Duration = Duration::from_millis(250);
/// The same where nothing limits.
const UNLIMITED_PAUSE: Duration = Duration::from_millis(10);

/// How far to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// Each shard ends when nothing is behind, or at the first record that arrived after this time (milliseconds since 1970).
    Parity(i64),
    /// For ever.
    Stopped,
}

/// What the service says of a shard at once.
pub struct Answer {
    pub records: Vec<Record>,
    /// The shard was closed, and these are its last records.
    pub has_ended: bool,
    pub behind_ms: Option<i64>,
    pub children: Vec<ChildShard>,
}

/// What a task hands over.
pub struct Page {
    /// The shard, by its place in the reader.
    pub shard: usize,
    /// Its id.
    pub shard_id: Arc<str>,
    /// The records.
    pub records: Vec<Record>,
    /// What each holds; empty where that was not looked at.
    pub contents: Vec<Contents>,
    /// Everything that arrived in the shard before this time, in milliseconds since 1970, is in this page or in one before it.
    pub caught_up_to: Option<i64>,
    /// How old the newest record was that was not in the page yet, as the service said: how far behind we are.
    pub behind_ms: Option<i64>,
    /// The shard was closed and this is its last page.
    pub is_last: bool,
    /// Its children, as far as the service told.
    pub children: Vec<ShardStart>,
    /// Parity is reached, or the shard's end.
    pub is_done: bool,
    /// Its part of the memory.
    _memory: Reserved,
}

/// Bytes of key and data.
pub fn size(record: &Record) -> u64 {
    let key = record.partition_key.as_ref().map_or(0, String::len);
    (key + record.data.as_ref().len()) as u64
}

/// When a record arrived, in milliseconds since 1970.
pub fn arrival(record: &Record) -> Option<i64> {
    record
        .approximate_arrival_timestamp
        .and_then(|time| time.to_millis().ok())
}

/// The time in milliseconds since 1970.
pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_millis() as i64)
}

/// One shard to fetch.
pub struct Fetch {
    pub service: Arc<Service>,
    pub stream: String,
    /// The shard's id.
    pub id: Arc<str>,
    /// Its place in the reader.
    pub place: usize,
    pub from: Position,
    /// Aggregated records are taken apart, for a shard with these keys.
    pub deaggregate: Option<HashKeys>,
    /// By subscription of this consumer.
    pub consumer: Option<Arc<Consumer>>,
    /// It is known to be closed: only its end is the end.
    pub is_closed: bool,
    pub options: ReadOptions,
    pub turns: Option<Turns>,
    /// What pages are reserved of: the reader's, and what that is a part of.
    pub memory: Arc<[Memory]>,
    pub pages: Sender<Result<Page, Error>>,
    pub wake: Arc<Wake>,
}

impl Fetch {
    /// Reads until the end, an error that will not pass, or nobody listens any more.
    pub async fn run(self) {
        let read = match &self.consumer {
            Some(consumer) if !self.is_closed => self.follow(consumer).await,
            _ => self.read().await,
        };
        if let Err(error) = read {
            let _ = self.pages.send(Err(error));
            self.wake.send();
        }
    }

    async fn read(&self) -> Result<(), Error> {
        let mut from = self.from.clone();
        let mut iterator = None;
        let mut pause = Pause::default();
        let mut late = 0;
        loop {
            let Some(current) = iterator.take() else {
                match self.service.iterator(&self.stream, &self.id, &from).await {
                    Ok(new) => iterator = Some(new),
                    Err(failure) => self.wait_after(failure, &mut pause).await?,
                }
                continue;
            };
            if let Some(turns) = &self.turns {
                sleep_until(turns.take()).await;
            }
            // What the page does not need is given back when it is there.
            let memory = Reserved::of(&self.memory, LARGEST_PAGE).await;
            let asked = now_ms();
            match self
                .service
                .records(&self.stream, &current, self.options.page_records)
                .await
            {
                Ok(answer) => {
                    pause.reset();
                    iterator = answer.next_shard_iterator;
                    // What follows a full page may have arrived in the same millisecond as its last record: 0 is no time, but not always the tip.
                    let most = self.options.page_records.unwrap_or(MOST_RECORDS);
                    let is_full = answer.records.len() >= most as usize;
                    let behind_ms = answer.millis_behind_latest;
                    let answer = Answer {
                        records: answer.records,
                        has_ended: iterator.is_none(),
                        behind_ms: behind_ms.map(|behind| behind.max(i64::from(is_full))),
                        children: answer.child_shards.unwrap_or_default(),
                    };
                    let bytes: u64 = answer.records.iter().map(size).sum();
                    if let Some(turns) = &self.turns {
                        turns.pay(bytes);
                    }
                    let page = self.page(answer, asked, memory, &mut late);
                    if let Some(last) = page.records.last() {
                        from = after(last, from);
                    }
                    let (is_done, is_idle) = (
                        page.is_done,
                        page.records.is_empty() && page.behind_ms == Some(0),
                    );
                    if self.pages.send(Ok(page)).is_err() {
                        return Ok(());
                    }
                    self.wake.send();
                    if is_done {
                        return Ok(());
                    }
                    if is_idle {
                        sleep(if self.turns.is_some() {
                            IDLE_PAUSE
                        } else {
                            UNLIMITED_PAUSE
                        })
                        .await;
                    }
                }
                // A new one is asked for, after the last record that came.
                Err(Failure::ExpiredIterator) => {
                    self.service.remember(format!(
                        "kinesis:GetRecords of stream \"{}\", {}: the iterator expired",
                        self.stream, self.id
                    ));
                }
                Err(failure) => {
                    iterator = Some(current);
                    self.wait_after(failure, &mut pause).await?;
                }
            }
        }
    }

    pub(super) async fn wait_after(
        &self,
        failure: Failure,
        pause: &mut Pause,
    ) -> Result<(), Error> {
        match failure {
            Failure::Final(error) => return Err(self.at_shard(error)),
            Failure::Later(cause) => self.service.remember(format!("{cause} ({})", self.id)),
            Failure::ExpiredIterator => {}
        }
        // The caller looks at the trouble.
        self.wake.send();
        sleep(pause.next()).await;
        Ok(())
    }

    fn at_shard(&self, error: Error) -> Error {
        match error {
            Error::Broker { cause, .. } => Error::Shard {
                stream: self.stream.clone(),
                shard: self.id.to_string(),
                cause,
            },
            other => other,
        }
    }

    /// What is made of an answer that was asked for at that time (milliseconds since 1970).
    pub(super) fn page(
        &self,
        answer: Answer,
        asked: i64,
        memory: Reserved,
        late: &mut i64,
    ) -> Page {
        let mut records = answer.records;
        let bytes: u64 = records.iter().map(size).sum();
        let (has_ended, behind_ms) = (answer.has_ended, answer.behind_ms);
        // The service says how far the last record is behind its clock. If ours is late, what arrived before we began may seem to be newer.
        if let (Some(behind), Some(last)) = (behind_ms, records.last().and_then(arrival)) {
            *late = (*late).max(last.saturating_add(behind) - asked);
        }
        let began = match self.options.until {
            Until::Parity(began) => began.saturating_add(*late),
            Until::Stopped => i64::MAX,
        };
        // At the tip the whole page is taken.
        let is_newer = |record: &Record| arrival(record).is_some_and(|arrived| arrived > began);
        let newer = match behind_ms {
            Some(0) => None,
            _ => records.iter().position(is_newer),
        };
        let caught_up_to = match newer {
            Some(first) => {
                records.truncate(first);
                Some(began)
            }
            _ if behind_ms == Some(0) || has_ended => Some(asked),
            _ => records.last().and_then(arrival),
        };
        let at_end = newer.is_none() && has_ended;
        let at_parity = matches!(self.options.until, Until::Parity(_))
            && (newer.is_some() || behind_ms == Some(0) && !self.is_closed);
        let contents: Vec<Contents> = match self.deaggregate {
            Some(keys) => records
                .iter()
                .map(|record| contents(record.data.as_ref(), keys))
                .collect(),
            None => Vec::new(),
        };
        let memory_bytes = bytes as usize
            + records.len() * RECORD_OVERHEAD
            + contents.iter().map(Contents::memory).sum::<usize>();
        Page {
            shard: self.place,
            shard_id: Arc::clone(&self.id),
            is_last: at_end,
            children: answer
                .children
                .into_iter()
                .map(|child| ShardStart {
                    id: child.shard_id,
                    parents: child.parent_shards,
                    from: Position::Horizon,
                    is_closed: false,
                    hash_keys: HashKeys::of(child.hash_key_range),
                })
                .collect(),
            is_done: at_end || at_parity,
            caught_up_to,
            behind_ms,
            _memory: memory.keep(memory_bytes),
            records,
            contents,
        }
    }
}

/// The position behind a record.
pub fn after(record: &Record, before: Position) -> Position {
    SequenceNumber::parse(&record.sequence_number).map_or(before, Position::After)
}
