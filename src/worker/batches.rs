//! What a worker loads of its topics, a batch a feed: which is due, and the memory for those that wait for their windows.

use super::database::Worker;
use super::feed::{Batch, Feed};
use super::ingest::{self, Order, Outcome};
use super::state::State;
use crate::pg::batch::Stop;
use crate::pg::progress;
use plan::pause;
use plan::room::Waiting;
use plan::tempo::{self, LONG_BATCH};
use std::time::{Duration, Instant};

/// What is shown of a view whose batch its owner's statement has stopped.
const STOPPED: &str = "the batch was cancelled by a statement of the view's owner";

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
            let memory = Waiting::of(self.clients.memory(), gathered, own, feeds);
            feed.tempo.limits = feed.pace.limits();
            if !feed
                .tempo
                .may_gather(memory != Waiting::Others, Instant::now())
            {
                index += 1;
                continue;
            }
            gathered -= own;
            match feed.gather(memory == Waiting::Own) {
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
                    for id in feed.members.clone() {
                        if let Some(view) = self.views.get_mut(&id) {
                            let trouble = view.trouble.get_or_insert_default();
                            trouble.cover(&feed.next_records());
                        }
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
        let mut times = Vec::with_capacity(members.len());
        for id in &members {
            let began = Instant::now();
            self.load_view(index, *id, batch);
            times.push(began.elapsed());
        }
        let shortest = times.iter().min().copied().unwrap_or_default();
        let mut longest = Duration::ZERO;
        for (id, took) in members.iter().zip(times) {
            if took > LONG_BATCH && took > shortest * 2 {
                // It would delay the others on this topic: it gets a feed of its own until it has caught up. (Where commits are slow they all take long.)
                self.leave(index, *id);
                self.remember_batch(*id, batch.smaller(took));
            } else {
                longest = longest.max(took);
            }
        }
        let is_alone = self.views.len() < 2;
        self.feeds[index].advance(batch, longest, is_alone);
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
            limit: view.plan.pace.batch_timeout(),
        };
        let began = Instant::now();
        match ingest::load(&order, &mut view.known) {
            Ok(Outcome::Loaded) => {
                let partitions = self.feeds[index].positions.keys();
                let partitions = partitions.map(i32::to_string).collect();
                self.loaded(id, flush, partitions);
                // Not while the leader of another partition is silent.
                if !self.feeds[index].is_silent {
                    let positions = self.feeds[index].positions_after(batch);
                    self.settle(id, &positions);
                }
            }
            Ok(Outcome::Moved) => self.leave(index, id),
            Ok(Outcome::Gone) => {
                self.leave(index, id);
                self.listed = None;
            }
            Err(stop) => {
                self.leave(index, id);
                if let Some(trouble) = self.trouble_of(id, &stop) {
                    trouble.cover(&batch.ranges);
                }
                self.stopped(id, stop, batch.records.len(), began.elapsed());
            }
        }
    }

    /// A batch of so many records did not come to its end, after this time.
    pub(super) fn stopped(&mut self, id: i64, stop: Stop, records: usize, took: Duration) {
        match stop {
            Stop::Failed(failure) => {
                self.remember_smaller(id, records, took);
                self.failed(id, &failure);
            }
            Stop::TimedOut(failure) => {
                self.remember_smaller(id, records, took);
                self.failed(id, &failure);
                self.put_off(id, pause::after_timeout(took));
            }
            Stop::Outlaw(failure, time) => {
                self.failed(id, &failure);
                self.put_off(id, time);
            }
            Stop::ByOwner(time) => {
                self.show(id, State::Blocked, Some(STOPPED));
                self.put_off(id, pause::after_statement(time));
            }
        }
    }

    fn remember_smaller(&mut self, id: i64, records: usize, took: Duration) {
        if took > LONG_BATCH && records > 0 {
            self.remember_batch(id, tempo::smaller(records, took));
        }
    }

    /// Not before this time has passed.
    fn put_off(&mut self, id: i64, time: Duration) {
        if let Some(view) = self.views.get_mut(&id) {
            view.known = None;
            view.retry_at = view.retry_at.max(Instant::now() + time);
        }
    }
}
