//! The clients of a worker, and the memory for what they fetch ahead.
//!
//! Feeds share a client if brokers and credentials are the same. A client reads a partition once, so feeds of one topic need different clients; all
//! others share. Each reader of theirs holds little, so that bursts in all topics at once stay within an eighth of `redshift.memory_limit`. A feed that is
//! behind needs more, to fetch the next batch while one is loaded: one at a time has a client with half of the limit, in turn (`plan::room`).
//!
//! A client ends with the last feed or question that has it.

use super::Kafka;
use crate::access::Access;
use crate::error;
use crate::pg::background::{Failure, transaction};
use crate::pg::setting;
use crate::pg::wait::WakeSet;
use crate::source::{Source, follow};
use ::plan::room;
use follow::Division;
use std::rc::{Rc, Weak};
use stream::{Client, Config, PartitionRange, ReadOptions, Reader};

/// The memory is divided among so many readers at least.
const FEWEST_READERS: usize = 16;

/// A client that feeds share.
pub struct Shared {
    access: Access,
    /// It is for the one feed that has room.
    has_room: bool,
    /// With what brokers and credentials it was made: another one for the same access asks nobody for them.
    config: Config,
    /// The client.
    pub client: Client,
}

/// The clients that there are.
pub struct Clients {
    shared: Vec<Weak<Shared>>,
    readers: usize,
    /// What they may hold together, in bytes.
    memory: usize,
}

impl Default for Clients {
    fn default() -> Clients {
        Clients {
            shared: Vec::new(),
            readers: FEWEST_READERS,
            memory: setting::memory_limit_bytes(),
        }
    }
}

impl follow::Clients for Clients {
    fn divide(&mut self, bytes: usize, views: usize) -> Division {
        let is_more = views > self.readers;
        if is_more {
            self.readers = views.next_power_of_two();
        }
        let is_other = std::mem::replace(&mut self.memory, bytes) != bytes;
        if (is_more || is_other) && self.all().next().is_some() {
            Division::Reopen
        } else {
            Division::Same
        }
    }

    fn memory(&self) -> usize {
        self.memory
    }

    fn clear_wakes(&self) {
        self.all().for_each(|shared| shared.client.clear_wake());
    }
}

impl Clients {
    fn all(&self) -> impl Iterator<Item = Rc<Shared>> + '_ {
        self.shared.iter().filter_map(Weak::upgrade)
    }

    fn of(&self, source: &Kafka, has_room: bool) -> impl Iterator<Item = Rc<Shared>> + '_ {
        let access = source.access().clone();
        self.all()
            .filter(move |shared| shared.access == access && shared.has_room == has_room)
    }

    /// A shared one that no broker has refused: credentials may have changed where they are looked up.
    pub fn find(&self, source: &Kafka) -> Option<Rc<Shared>> {
        let mut shared = self.of(source, false);
        shared.find(|shared| !shared.client.is_refused())
    }

    /// A new one. Within a transaction.
    pub fn add(&mut self, source: &Kafka, has_room: bool, wake: &WakeSet) -> Rc<Shared> {
        let memory = self.memory;
        let (readers, memory_bytes) = if has_room {
            (1, room::of_turn(memory))
        } else {
            (self.readers, memory)
        };
        let is_like =
            |shared: &Rc<Shared>| shared.access == *source.access() && !shared.client.is_refused();
        let like = self.all().find(is_like);
        let config = Config {
            readers,
            memory_bytes,
            ..like.map_or_else(
                || source.access().config(memory_bytes),
                |shared| shared.config.clone(),
            )
        };
        let client = source.connect_by(&config);
        wake.add(client.wake_fd());
        let added = Rc::new(Shared {
            access: source.access().clone(),
            has_room,
            config,
            client,
        });
        self.shared.retain(|shared| shared.strong_count() > 0);
        self.shared.push(Rc::downgrade(&added));
        added
    }

    /// Reads by a shared client, or by the one with room, by which no other feed may be reading.
    pub fn read(
        &mut self,
        source: &Kafka,
        (topic, topic_id): (&str, Option<&String>),
        ranges: &[PartitionRange],
        has_room: bool,
        wake: &WakeSet,
    ) -> Result<(Reader, Rc<Shared>), Failure> {
        let options = ReadOptions {
            topic_id: topic_id.cloned(),
            ..ReadOptions::default()
        };
        let read = |shared: &Shared| shared.client.read(topic, ranges.to_vec(), &options);
        // A client that reads the topic already refuses; then it takes another one.
        let mut shared = self.of(source, has_room);
        let found = shared.find_map(|shared| Some((read(&shared).ok()?, shared)));
        drop(shared);
        if let Some(found) = found {
            return Ok(found);
        }
        let added = transaction(|| self.add(source, has_room, wake))?;
        match read(&added) {
            Ok(reader) => Ok((reader, added)),
            Err(error) => {
                let label = source.label();
                transaction(|| error::source(&label, &error).raise())
            }
        }
    }
}
