//! Who has the client with room to fetch ahead for a backlog: one feed at a time, in turn.

use super::database::Worker;
use super::feed::Feed;
use std::time::{Duration, Instant};

/// A feed that has been behind for so long gets room.
const PATIENCE: Duration = Duration::from_millis(100);
/// So long it has it while others wait.
const TURN: Duration = Duration::from_secs(2);
/// And so long while nobody does.
const LONG_TURN: Duration = Duration::from_secs(10);

fn is_waiting(feed: &Feed) -> bool {
    feed.has_room_since.is_none() && feed.tempo.is_behind(PATIENCE)
}

impl Worker {
    /// Ends a turn that is over, and begins the next one.
    pub(super) fn give_room(&mut self) {
        let waiting = self.feeds.iter().enumerate();
        let next = waiting
            .filter(|(_, feed)| is_waiting(feed))
            .min_by_key(|(_, feed)| feed.tempo.behind_since)
            .map(|(index, _)| index);
        let held = |feed: &Feed| feed.has_room_since.map(|since| since.elapsed());
        let mut feeds = self.feeds.iter().enumerate();
        let holder = feeds.find_map(|(index, feed)| Some((index, held(feed)?)));
        if let Some((holder, held)) = holder {
            let is_behind = self.feeds[holder].tempo.is_behind(Duration::ZERO);
            let is_over = match next {
                Some(_) => !is_behind || held > TURN,
                None => !is_behind && held > LONG_TURN,
            };
            if !is_over {
                return;
            }
            self.change_room(holder, false);
        }
        if let Some(next) = next {
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
        } else if !has_room && feed.tempo.behind_since.is_some() {
            // To the end of the line.
            feed.tempo.behind_since = Some(Instant::now());
        }
        self.clients.keep(&self.openings, &self.feeds);
    }
}
