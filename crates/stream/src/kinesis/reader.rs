//! Reads the shards of a stream, record by record: a child only after its parents.

use super::aggregate::{Contents, Deaggregate, HashKeys, UserRecord};
use super::fetch::{self, Fetch, Page, Until};
use super::limit;
use super::memory::Memory;
use super::position::{Position, SequenceNumber};
use super::service::Service;
use super::subscribe::Consumer;
use crate::wake::Wake;
use crate::{Error, Gathered, Next, runtime};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use tokio::task::AbortHandle;

/// A shard to read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShardStart {
    /// Its id.
    pub id: String,
    /// Shards that must be read to their ends before. Those that the reader does not read do not count.
    pub parents: Vec<String>,
    /// Where to read on.
    pub from: Position,
    /// The service says that it is closed: it is read to its end, even if nothing seems to be behind.
    pub is_closed: bool,
    /// The keys whose records it has.
    pub hash_keys: HashKeys,
}

/// How a reader works.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadOptions {
    /// How far to read.
    pub until: Until,
    /// At most so many records a page, for who wants only a few.
    pub page_records: Option<u32>,
    /// What to do with aggregated records.
    pub deaggregate: Deaggregate,
}

/// How far a shard has been read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShardState {
    /// Its id.
    pub id: String,
    /// Its parents, as far as they are known.
    pub parents: Vec<String>,
    /// Where to resume: after the last record that was returned.
    pub position: Position,
    /// It is closed and its last record was returned.
    pub is_drained: bool,
    /// What arrived before this time, in milliseconds since 1970, was returned. None: not known yet.
    pub caught_up_to: Option<i64>,
    /// How far behind the newest record the service said that we are.
    pub behind_ms: Option<i64>,
}

/// A record, or a user record of an aggregated one, borrowed from the reader until its next call.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    page: &'a Page,
    at: u32,
    user: u32,
}

/// Page, record in it, user record in that.
type Place = (u32, u32, u32);

impl<'a> Record<'a> {
    /// The shard, by its place in [`Reader::shards`].
    #[inline]
    pub fn shard(&self) -> usize {
        self.page.shard
    }

    /// The shard's id.
    #[inline]
    pub fn shard_id(&self) -> &'a str {
        &self.page.shard_id
    }

    /// The sequence number, which is text of the service's.
    #[inline]
    pub fn sequence_number(&self) -> &'a str {
        &self.whole().sequence_number
    }

    /// The producer's key, if there was one.
    #[inline]
    pub fn partition_key(&self) -> Option<&'a str> {
        match self.user_record() {
            Some(user) => std::str::from_utf8(user.key(self.whole().data.as_ref())).ok(),
            None => self.whole().partition_key.as_deref(),
        }
    }

    /// Its place among the user records of an aggregated one, from 0 on; None for any other record.
    #[inline]
    pub fn sub_sequence_number(&self) -> Option<u32> {
        matches!(self.contents(), Some(Contents::Users(_))).then_some(self.user)
    }

    /// Is this a user record of another shard, which is to be dropped? Its producer writes it again, where it belongs.
    #[inline]
    pub fn is_of_other_shard(&self) -> bool {
        self.user_record()
            .is_some_and(|user| user.is_of_other_shard)
    }

    fn user_record(&self) -> Option<&'a UserRecord> {
        match self.contents() {
            Some(Contents::Users(users)) => users.get(self.user as usize),
            _ => None,
        }
    }

    fn contents(&self) -> Option<&'a Contents> {
        self.page.contents.get(self.at as usize)
    }

    fn whole(&self) -> &'a aws_sdk_kinesis::types::Record {
        &self.page.records[self.at as usize]
    }

    /// The payload.
    #[inline]
    pub fn data(&self) -> &'a [u8] {
        let data = self.whole().data.as_ref();
        self.user_record().map_or(data, |user| user.data(data))
    }

    /// Bytes of key and data.
    #[inline]
    pub fn bytes(&self) -> u64 {
        let key = self.partition_key().map_or(0, str::len);
        (key + self.data().len()) as u64
    }

    /// When it arrived, in milliseconds since 1970.
    #[inline]
    pub fn arrival_ms(&self) -> Option<i64> {
        fetch::arrival(self.whole())
    }
}

/// Records that were taken from a reader, to be read as often as needed.
#[derive(Default)]
pub struct Records {
    pages: Vec<Arc<Page>>,
    places: Vec<Place>,
    bytes: u64,
}

impl Records {
    fn push(&mut self, page: &Arc<Page>, at: u32, user: u32, bytes: u64) {
        if !self
            .pages
            .last()
            .is_some_and(|last| Arc::ptr_eq(last, page))
        {
            self.pages.push(Arc::clone(page));
        }
        self.places.push((self.pages.len() as u32 - 1, at, user));
        self.bytes += bytes;
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Bytes of keys and data.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// One of them.
    pub fn get(&self, index: usize) -> Option<Record<'_>> {
        let &(page, at, user) = self.places.get(index)?;
        Some(self.pages[page as usize].record(at, user))
    }
}

impl Page {
    /// How many records come of one.
    fn count(&self, at: u32) -> u32 {
        match self.contents.get(at as usize) {
            Some(Contents::Users(users)) => users.len() as u32,
            _ => 1,
        }
    }

    fn record(&self, at: u32, user: u32) -> Record<'_> {
        Record {
            page: self,
            at,
            user,
        }
    }
}

struct Slot {
    state: ShardState,
    is_closed: bool,
    hash_keys: HashKeys,
    is_started: bool,
    is_done: bool,
}

/// Reads the shards of one stream.
pub struct Reader {
    service: Arc<Service>,
    wake: Arc<Wake>,
    stream: String,
    options: ReadOptions,
    consumer: Option<Arc<Consumer>>,
    /// Its own, and what that is a part of.
    memory: Arc<[Memory]>,
    slots: Vec<Slot>,
    pages: Receiver<Result<Page, Error>>,
    sender: Sender<Result<Page, Error>>,
    tasks: Vec<AbortHandle>,
    current: Option<Arc<Page>>,
    /// Number of its records that were returned whole.
    at: u32,
    /// Number of user records of the next one that were returned.
    user: u32,
    /// For [`Reader::take`].
    gathered: Records,
    records: u64,
    bytes: u64,
    answers: u64,
}

impl Reader {
    pub(super) fn start(
        service: &Arc<Service>,
        wake: &Arc<Wake>,
        stream: &str,
        shards: Vec<ShardStart>,
        options: &ReadOptions,
        consumer: Option<&str>,
    ) -> Result<Reader, Error> {
        let (sender, pages) = mpsc::channel();
        let own = Memory::new(service.config().memory_bytes);
        let memories = [own].into_iter().chain(service.config().part_of.clone());
        let mut reader = Reader {
            service: Arc::clone(service),
            wake: Arc::clone(wake),
            stream: stream.to_owned(),
            options: *options,
            consumer: consumer.map(|name| Arc::new(Consumer::new(name))),
            memory: memories.collect(),
            slots: Vec::new(),
            pages,
            sender,
            tasks: Vec::new(),
            current: None,
            at: 0,
            user: 0,
            gathered: Records::default(),
            records: 0,
            bytes: 0,
            answers: 0,
        };
        for shard in shards {
            reader.add(shard);
        }
        reader.start_ready()?;
        Ok(reader)
    }

    fn add(&mut self, shard: ShardStart) {
        if self.slots.iter().any(|slot| slot.state.id == shard.id) {
            return;
        }
        self.slots.push(Slot {
            state: ShardState::new(&shard),
            is_closed: shard.is_closed,
            hash_keys: shard.hash_keys,
            is_started: false,
            is_done: false,
        });
    }

    /// Starts the shards whose parents have been read to their ends.
    fn start_ready(&mut self) -> Result<(), Error> {
        for place in 0..self.slots.len() {
            let slot = &self.slots[place];
            if slot.is_started || !self.is_ready(&slot.state) {
                continue;
            }
            let state = &slot.state;
            let config = self.service.config();
            let endpoint = config.endpoint_url.as_deref().unwrap_or_default();
            let region = config.identity.region.as_deref().unwrap_or_default();
            let name = format!("{endpoint} {region} {} {}", self.stream, state.id);
            let fetch = Fetch {
                service: Arc::clone(&self.service),
                stream: self.stream.clone(),
                id: state.id.as_str().into(),
                place,
                from: state.position.clone(),
                deaggregate: match self.options.deaggregate {
                    Deaggregate::Off => None,
                    Deaggregate::On => Some(slot.hash_keys),
                    Deaggregate::All => Some(HashKeys::ALL),
                },
                is_closed: slot.is_closed,
                consumer: self.consumer.clone(),
                options: self.options,
                turns: config.keep_limits.then(|| limit::turns(name)),
                memory: Arc::clone(&self.memory),
                pages: self.sender.clone(),
                wake: Arc::clone(&self.wake),
            };
            let task = runtime::handle()?.spawn(fetch.run());
            self.tasks.push(task.abort_handle());
            self.slots[place].is_started = true;
        }
        Ok(())
    }

    fn is_ready(&self, shard: &ShardState) -> bool {
        let undrained = |parent: &String| {
            self.slots
                .iter()
                .any(|slot| slot.state.id == *parent && !slot.state.is_drained)
        };
        !shard.parents.iter().any(undrained)
    }

    /// The next record of any shard. Never waits.
    #[allow(
        clippy::should_implement_trait,
        reason = "a record borrows from the reader, which Iterator cannot say"
    )]
    pub fn next(&mut self) -> Result<Next<Record<'_>>, Error> {
        let (page, at, user) = loop {
            if let Some(page) = self.current.take() {
                if let Some((at, user)) = self.advance(&page) {
                    break (&*self.current.insert(page), at, user);
                }
                self.finish(&page)?;
            }
            match self.pages.try_recv() {
                Ok(page) => {
                    self.answers += 1;
                    (self.at, self.user) = (0, 0);
                    self.current = Some(Arc::new(page?));
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => {
                    return Ok(if self.is_finished() {
                        Next::End
                    } else {
                        Next::Wait
                    });
                }
            }
        };
        let record = page.record(at, user);
        self.records += 1;
        self.bytes += record.bytes();
        Ok(Next::Record(record))
    }

    /// Passes a record of the current page; None if there is none left.
    fn advance(&mut self, page: &Page) -> Option<(u32, u32)> {
        while (self.at as usize) < page.records.len() {
            let (at, user) = (self.at, self.user);
            let count = page.count(at);
            (self.at, self.user) = if user + 1 < count {
                (at, user + 1)
            } else {
                (at + 1, 0)
            };
            if user < count {
                return Some((at, user));
            }
        }
        None
    }

    /// Have some but not all user records of an aggregated record been returned? Its position is that of the whole.
    pub fn is_within_record(&self) -> bool {
        self.user > 0
    }

    /// A page has been returned whole.
    fn finish(&mut self, page: &Page) -> Result<(), Error> {
        let slot = &mut self.slots[page.shard];
        if let Some(last) = page.records.last() {
            slot.state.move_to(last);
        }
        slot.state.caught_up_to = slot.state.caught_up_to.max(page.caught_up_to);
        slot.state.behind_ms = page.behind_ms;
        slot.state.is_drained = page.is_last;
        slot.is_done = page.is_done;
        if page.is_last {
            for child in &page.children {
                self.add(child.clone());
            }
            self.start_ready()?;
        }
        Ok(())
    }

    /// Those that wait for a parent which ended at parity without being closed are not begun.
    fn is_finished(&self) -> bool {
        self.slots
            .iter()
            .all(|slot| slot.is_done || !slot.is_started)
    }

    /// Gathers what has arrived, until there are so many records or bytes (and to the end of an aggregated record), for [`Reader::take`]. Never waits.
    pub fn gather(&mut self, max_records: usize, max_bytes: u64) -> Result<Gathered, Error> {
        let is_full = loop {
            let has_room = self.gathered.len() < max_records && self.gathered.bytes < max_bytes;
            if !has_room && !self.is_within_record() {
                break true;
            }
            let Next::Record(record) = self.next()? else {
                break false;
            };
            let (at, user, bytes) = (record.at, record.user, record.bytes());
            if let Some(page) = &self.current {
                self.gathered.push(page, at, user, bytes);
            }
        };
        let is_behind = |slot: &Slot| slot.state.behind_ms > Some(0);
        let has_more = is_full || self.slots.iter().any(is_behind);
        // What was gathered may stand in the way of the next page.
        let has_no_room = self.memory.iter().any(Memory::is_short);
        Ok(Gathered {
            is_full: is_full || has_more && has_no_room && !self.gathered.is_empty(),
            has_more,
        })
    }

    /// It holds at most so many bytes from now on.
    pub fn set_memory(&self, bytes: usize) {
        if let Some(own) = self.memory.first() {
            own.resize(bytes);
        }
    }

    /// What was gathered, to be read as often as needed.
    pub fn take(&mut self) -> Records {
        std::mem::take(&mut self.gathered)
    }

    /// What was gathered and not taken yet.
    pub fn gathered(&self) -> &Records {
        &self.gathered
    }

    /// All shards: those that were given, in their order, then children that came up.
    pub fn shards(&self) -> Vec<ShardState> {
        let mut states: Vec<ShardState> = self.slots.iter().map(|s| s.state.clone()).collect();
        if let Some(page) = &self.current {
            let state = &mut states[page.shard];
            let at = self.at as usize;
            match at.checked_sub(1).and_then(|at| page.records.get(at)) {
                Some(last) if at < page.records.len() => {
                    state.move_to(last);
                    // What has the same time may follow.
                    let read = fetch::arrival(last).map(|time| time - 1);
                    state.caught_up_to = state.caught_up_to.max(read);
                }
                Some(last) => {
                    state.move_to(last);
                    state.caught_up_to = state.caught_up_to.max(page.caught_up_to);
                }
                None => {}
            }
        }
        states
    }

    /// The shards that are still being read, for a message.
    pub fn unfinished(&self) -> Vec<&str> {
        self.slots
            .iter()
            .filter(|slot| slot.is_started && !slot.is_done)
            .map(|slot| slot.state.id.as_str())
            .collect()
    }

    /// Number of records returned so far.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Bytes of keys and data returned so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Pages that have come so far, empty ones too: whoever waits sees whether anything happens.
    pub fn answers(&self) -> u64 {
        self.answers
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl ShardState {
    /// Nothing is read yet.
    pub fn new(start: &ShardStart) -> ShardState {
        ShardState {
            id: start.id.clone(),
            parents: start.parents.clone(),
            position: start.from.clone(),
            is_drained: false,
            caught_up_to: None,
            behind_ms: None,
        }
    }

    fn move_to(&mut self, record: &aws_sdk_kinesis::types::Record) {
        if let Some(number) = SequenceNumber::parse(&record.sequence_number) {
            self.position = Position::After(number);
        }
    }
}
