//! The clients of a worker.

use super::feed::Feed;
use super::opening::Opening;
use crate::access::Access;
use crate::pg::wait::WakeSet;
use crate::settings;
use crate::source::Source;
use stream::Client;

/// The clients of the worker, by what they are made of: views share one if brokers and credentials are the same. Each keeps its place.
#[derive(Default)]
pub struct Clients {
    places: Vec<Option<(Access, Client)>>,
}

impl Clients {
    /// The client at a place that is used.
    pub fn get(&self, place: usize) -> &Client {
        let found = self.places.get(place).and_then(Option::as_ref);
        &found.expect("a place that is used").1
    }

    /// Where the clients of a source are.
    pub fn all(&self, source: &Source) -> impl Iterator<Item = (usize, &Client)> {
        let access = source.access().clone();
        let places = self.places.iter().enumerate();
        places.filter_map(move |(place, known)| {
            let (known, client) = known.as_ref()?;
            (*known == access).then_some((place, client))
        })
    }

    /// One that no broker has refused: credentials may have changed where they are looked up.
    pub fn first(&mut self, source: &Source, wake: &WakeSet) -> usize {
        let found = self.all(source).find(|(_, client)| !client.is_refused());
        let place = found.map(|(place, _)| place);
        place.unwrap_or_else(|| self.add(source, wake))
    }

    /// A new one.
    pub fn add(&mut self, source: &Source, wake: &WakeSet) -> usize {
        let client = source.connect(settings::memory_limit_bytes());
        wake.add(client.wake_fd());
        let free = self.places.iter().position(Option::is_none);
        let place = free.unwrap_or(self.places.len());
        if free.is_none() {
            self.places.push(None);
        }
        self.places[place] = Some((source.access().clone(), client));
        place
    }

    /// After a wake-up; everything is polled then.
    pub fn clear_wakes(&self) {
        for (_, client) in self.places.iter().flatten() {
            client.clear_wake();
        }
    }

    /// Ends the clients that no feed or opening has any more.
    pub fn keep(&mut self, openings: &[Opening], feeds: &[Feed]) {
        for (place, client) in self.places.iter_mut().enumerate() {
            let used = openings.iter().any(|opening| opening.client == place)
                || feeds.iter().any(|feed| feed.client == place);
            if !used {
                *client = None;
            }
        }
    }
}
