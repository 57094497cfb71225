//! The clients of a worker, and the memory for what they fetch ahead.
//!
//! Feeds share a client if brokers and credentials are the same. A client reads a partition once, so feeds of one topic need different clients; all
//! others share. Each reader of theirs holds little, so that bursts in all topics at once stay within an eighth of `redshift.memory_limit`. A feed that is
//! behind needs more, to fetch the next batch while one is loaded: one at a time has a client with half of the limit, in turn (room.rs).

use super::feed::Feed;
use super::opening::Opening;
use crate::access::Access;
use crate::error;
use crate::pg::background::{Failure, transaction};
use crate::pg::setting;
use crate::pg::wait::WakeSet;
use crate::source::Source;
use crate::source::kafka::Kafka;
use plan::room;
use stream::{Client, Config, PartitionRange, ReadOptions, Reader};

/// The memory is divided among so many readers at least.
const FEWEST_READERS: usize = 16;

struct Place {
    access: Access,
    /// It is for the one feed that has room.
    has_room: bool,
    /// With what brokers and credentials it was made: another one for the same access asks nobody for them.
    config: Config,
    client: Client,
}

/// The clients, by what they are made of. Each keeps its place.
pub struct Clients {
    places: Vec<Option<Place>>,
    readers: usize,
    /// What they may hold together, in bytes.
    memory: usize,
}

impl Default for Clients {
    fn default() -> Clients {
        Clients {
            places: Vec::new(),
            readers: FEWEST_READERS,
            memory: setting::memory_limit_bytes(),
        }
    }
}

impl Clients {
    /// There may be so many readers. True if the clients that there are give each too much for that.
    pub fn expect(&mut self, readers: usize) -> bool {
        let is_more = readers > self.readers;
        if is_more {
            self.readers = readers.next_power_of_two();
        }
        is_more && self.places.iter().any(Option::is_some)
    }

    /// They may hold so many bytes together. True if there are clients that hold another part.
    pub fn set_memory(&mut self, bytes: usize) -> bool {
        self.memory = bytes;
        self.places.iter().any(Option::is_some)
    }

    /// What they may hold together, in bytes.
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// The client of that place.
    pub fn get(&self, place: usize) -> &Client {
        let found = self.places.get(place).and_then(Option::as_ref);
        &found.expect("a place that is used").client
    }

    /// Is there a client that no broker has refused?
    pub fn has(&self, source: &Kafka) -> bool {
        self.all(source, false)
            .any(|(_, client)| !client.is_refused())
    }

    fn all(&self, source: &Kafka, has_room: bool) -> impl Iterator<Item = (usize, &Client)> {
        let access = source.access().clone();
        let places = self.places.iter().enumerate();
        places.filter_map(move |(number, place)| {
            let place = place.as_ref()?;
            let is_one = place.access == access && place.has_room == has_room;
            is_one.then_some((number, &place.client))
        })
    }

    /// A shared one that no broker has refused: credentials may have changed where they are looked up. Within a transaction.
    pub fn first(&mut self, source: &Kafka, wake: &WakeSet) -> usize {
        let found = self
            .all(source, false)
            .find(|(_, client)| !client.is_refused());
        let place = found.map(|(place, _)| place);
        place.unwrap_or_else(|| self.add(source, false, wake))
    }

    fn add(&mut self, source: &Kafka, has_room: bool, wake: &WakeSet) -> usize {
        let memory = self.memory;
        let (readers, memory_bytes) = if has_room {
            (1, room::of_turn(memory))
        } else {
            (self.readers, memory)
        };
        let is_like =
            |place: &&Place| place.access == *source.access() && !place.client.is_refused();
        let like = self.places.iter().flatten().find(is_like);
        let config = Config {
            readers,
            memory_bytes,
            ..like.map_or_else(
                || source.access().config(memory_bytes),
                |place| place.config.clone(),
            )
        };
        let client = source.connect_by(&config);
        wake.add(client.wake_fd());
        let free = self.places.iter().position(Option::is_none);
        let number = free.unwrap_or(self.places.len());
        if free.is_none() {
            self.places.push(None);
        }
        self.places[number] = Some(Place {
            access: source.access().clone(),
            has_room,
            config,
            client,
        });
        number
    }

    /// Reads by a shared client, or by the one with room, by which no other feed may be reading. Which one it is.
    pub fn read(
        &mut self,
        source: &Kafka,
        (topic, topic_id): (&str, Option<&String>),
        ranges: Vec<PartitionRange>,
        has_room: bool,
        wake: &WakeSet,
    ) -> Result<(usize, Reader), Failure> {
        let options = ReadOptions {
            topic_id: topic_id.cloned(),
            ..ReadOptions::default()
        };
        let read = |client: &Client| client.read(topic, ranges.clone(), &options);
        // A client that reads the topic already refuses; then it takes another one.
        let found = self
            .all(source, has_room)
            .find_map(|(place, client)| Some((place, read(client).ok()?)));
        if let Some(found) = found {
            return Ok(found);
        }
        let place = transaction(|| self.add(source, has_room, wake))?;
        match read(self.get(place)) {
            Ok(reader) => Ok((place, reader)),
            Err(error) => {
                let label = source.label();
                transaction(|| error::source(&label, &error).raise())
            }
        }
    }

    /// After a wake-up; everything is polled then.
    pub fn clear_wakes(&self) {
        for place in self.places.iter().flatten() {
            place.client.clear_wake();
        }
    }

    /// Ends the clients that no feed or opening has any more.
    pub fn keep(&mut self, openings: &[Opening], feeds: &[Feed]) {
        for (number, place) in self.places.iter_mut().enumerate() {
            let is_used = openings.iter().any(|opening| opening.client == number)
                || feeds.iter().any(|feed| feed.uses(number));
            if !is_used {
                *place = None;
            }
        }
    }
}
