//! The client with room to fetch ahead for a backlog goes from feed to feed.

use super::database::Worker;
use super::feed::Feed;
use plan::room::{self, Place};
use std::time::Instant;

impl Worker {
    /// Ends a turn that is over, and begins the next one.
    pub(super) fn give_room(&mut self) {
        let place = |feed: &Feed| Place {
            behind_since: feed.tempo.behind_since(),
            room_since: feed.has_room_since,
        };
        let line: Vec<Place> = self.feeds.iter().map(place).collect();
        let change = room::turn(&line, Instant::now());
        if let Some(holder) = change.ends {
            self.change_room(holder, false);
        }
        if let Some(next) = change.begins {
            self.change_room(next, true);
        }
    }

    fn change_room(&mut self, index: usize, has_room: bool) {
        let feed = &mut self.feeds[index];
        if let Err(failure) = feed.change_room(has_room, &mut self.clients, &self.wake) {
            // The feeds keep their places until all is done here.
            for id in std::mem::take(&mut feed.members) {
                self.failed(id, &failure);
            }
        } else if !has_room {
            feed.tempo.wait_anew(Instant::now());
        }
        self.clients.keep(&self.openings, &self.feeds);
    }
}
