//! What a worker loads of its topics, a batch a feed: which is due, and the memory for those that wait for their windows.

use super::database::Worker;
use super::feed::{Batch, Feed};
use super::ingest::{self, Order, Outcome};
use super::state::State;
use super::tempo::LONG_BATCH;
use crate::pg::progress;
use crate::settings;
use std::time::{Duration, Instant};

/// Where the memory for records that wait for a window is.
#[derive(PartialEq, Eq)]
enum Memory {
    /// Some is free.
    Free,
    /// Used up, by this feed for one.
    Own,
    /// Used up by others.
    Others,
}

impl Memory {
    /// A quarter of the limit is for records that wait for a window. When it is used up, who has most of it loads at once. All feeds have gathered so
    /// much, this one so much of it.
    fn of(gathered: usize, own: usize, feeds: usize) -> Memory {
        let most = settings::memory_limit_bytes() / 4;
        if gathered < most {
            Memory::Free
        } else if own >= most / feeds {
            Memory::Own
        } else {
            Memory::Others
        }
    }
}

impl Worker {
    /// Loads what has arrived, a batch a feed; true if there may be more.
    pub(super) fn load_batches(&mut self) -> bool {
        let mut busy = false;
        let mut gathered: usize = self.feeds.iter().map(Feed::gathered_memory).sum();
        let mut index = 0;
        while index < self.feeds.len() {
            let feeds = self.feeds.len();
            let feed = &mut self.feeds[index];
            let own = feed.gathered_memory();
            let memory = Memory::of(gathered, own, feeds);
            if !feed.tempo.may_gather(memory != Memory::Others) {
                index += 1;
                continue;
            }
            gathered -= own;
            match feed.gather(memory == Memory::Own) {
                Ok(false) => {
                    gathered += feed.gathered_memory();
                    index += 1;
                }
                Ok(true) => {
                    busy = true;
                    let batch = feed.take();
                    self.load_batch(index, &batch);
                    index += 1;
                }
                Err(failure) => {
                    let feed = self.feeds.swap_remove(index);
                    for id in feed.members {
                        self.failed(id, &failure);
                    }
                }
            }
        }
        self.drop_empty_feeds();
        if !self.has_backlog() {
            progress::end();
        }
        busy
    }

    fn has_backlog(&self) -> bool {
        self.feeds.iter().any(|feed| feed.backlog.is_some()) || self.streams.has_backlog()
    }

    fn load_batch(&mut self, index: usize, batch: &Batch) {
        let members = self.feeds[index].members.clone();
        let mut longest = Duration::ZERO;
        for id in &members {
            let began = Instant::now();
            self.load_view(index, *id, batch);
            let took = began.elapsed();
            if took > LONG_BATCH && members.len() > 1 {
                // It would delay the others on this topic: it gets a feed of its own until it has caught up.
                self.leave(index, *id);
                self.remember_batch(*id, batch.smaller(took));
            } else {
                longest = longest.max(took);
            }
        }
        self.feeds[index].advance(batch, longest);
        if let [id] = self.feeds[index].members[..] {
            self.remember_batch(id, self.feeds[index].tempo.most_records);
        }
    }

    pub(super) fn remember_batch(&mut self, id: i64, records: usize) {
        if let Some(view) = self.views.get_mut(&id) {
            view.most_records = records;
        }
    }

    fn load_view(&mut self, index: usize, id: i64, batch: &Batch) {
        let Some(view) = self.views.get_mut(&id) else {
            return;
        };
        let flush = view.owes_ledger();
        let feed = &self.feeds[index];
        feed.show_progress(view.plan.table);
        let order = Order {
            table: view.plan.table,
            topic: &feed.topic,
            positions: &feed.positions,
            excluded: &feed.excluded,
            batch,
            flush,
        };
        match ingest::load(&order, &mut view.known) {
            Ok(Outcome::Loaded) => {
                let partitions = self.feeds[index].positions.keys();
                let partitions = partitions.map(i32::to_string).collect();
                self.loaded(id, flush, partitions);
                // Not while the leader of another partition is silent.
                if !self.feeds[index].is_silent {
                    self.show(id, State::Running, None);
                }
            }
            Ok(Outcome::Moved) => self.leave(index, id),
            Ok(Outcome::Gone) => {
                self.leave(index, id);
                self.listed = None;
            }
            Err(failure) => {
                self.leave(index, id);
                self.failed(id, &failure);
            }
        }
    }
}
