//! What a worker does with views of Kinesis, beside its topics.

use super::database::Worker;
use super::feed::Plan;
use super::ingest::Outcome;
use super::shard_feed::{ShardBatch, ShardFeed, ShardOpening, Stream};
use super::state::State;
use super::view::View;
use crate::catalog::checkpoint;
use crate::pg::background::{self, Failure, transaction};
use crate::pg::extension;
use crate::source::any::Named;
use crate::source::kinesis::Kinesis;
use plan::tempo::{self, LONG_BATCH};
use std::time::{Duration, Instant};

/// A view whose shards another worker reads is looked at again after this time.
const NOT_OURS: Duration = Duration::from_secs(3_600);

/// The streams of a worker.
#[derive(Default)]
pub struct Streams {
    openings: Vec<ShardOpening>,
    feeds: Vec<ShardFeed>,
}

impl Streams {
    /// Is the view followed here, or about to be?
    pub fn has(&self, id: i64) -> bool {
        self.openings.iter().any(|opening| opening.plan.mv_id == id)
            || self.feeds.iter().any(|feed| feed.members.contains(&id))
    }

    /// Follows no views but these.
    pub fn retain(&mut self, keep: impl Fn(i64) -> bool) {
        self.openings.retain(|opening| keep(opening.plan.mv_id));
        for feed in &mut self.feeds {
            feed.members.retain(|id| keep(*id));
        }
        self.drop_empty();
    }

    fn drop_empty(&mut self) {
        self.feeds.retain(|feed| !feed.members.is_empty());
    }

    /// Feeds that have come to the same place become one, whose reader reads for all.
    pub fn merge(&mut self) {
        let mut index = 0;
        while index < self.feeds.len() {
            let feed = &self.feeds[index];
            match (0..index).find(|twin| self.feeds[*twin].is_at_same_place(feed)) {
                Some(twin) => {
                    let feed = self.feeds.swap_remove(index);
                    self.feeds[twin].take_over(feed);
                }
                None => index += 1,
            }
        }
    }

    /// After a wake-up; everything is polled then.
    pub fn clear_wakes(&self) {
        self.openings.iter().for_each(ShardOpening::clear_wake);
        self.feeds.iter().for_each(ShardFeed::clear_wake);
    }

    /// Each reader holds at most so many bytes.
    pub fn set_memory(&self, bytes: usize) {
        self.feeds.iter().for_each(|feed| feed.set_memory(bytes));
    }

    /// Does a view have more to load than a batch?
    pub fn has_backlog(&self) -> bool {
        self.feeds.iter().any(|feed| feed.backlog.is_some())
    }

    /// When the next batches may be loaded.
    pub fn opens_at(&self) -> impl Iterator<Item = Instant> {
        self.feeds.iter().filter_map(|feed| feed.tempo.opens_at())
    }
}

impl Worker {
    /// Begins to follow a stream. All its shards are one worker's: a child is read after its parents.
    pub(super) fn open_stream(&mut self, plan: Plan, stream: Named<Kinesis>) {
        if !plan.slice.takes(0) {
            if let Some(view) = self.views.get_mut(&plan.mv_id) {
                view.retry_at = Instant::now() + NOT_OURS;
                view.kind = None;
            }
            return;
        }
        self.divide_memory();
        match transaction(|| ShardOpening::begin(plan, stream, &self.memory, &self.wake)) {
            Ok(opening) => {
                self.streams.openings.push(opening);
                self.show_unless_failing(plan.mv_id, State::Starting);
            }
            Err(failure) => self.failed(plan.mv_id, &failure),
        }
    }

    /// Ends openings that the service has answered.
    pub(super) fn open_streams(&mut self) {
        let mut index = 0;
        while index < self.streams.openings.len() {
            let Some(answer) = self.streams.openings[index].poll() else {
                let opening = &self.streams.openings[index];
                let (id, cause) = (opening.plan.mv_id, opening.cause());
                if let Some(cause) = cause {
                    self.silent(id, &cause);
                }
                index += 1;
                continue;
            };
            let opening = self.streams.openings.swap_remove(index);
            let id = opening.plan.mv_id;
            match answer.and_then(|description| opening.into_feed(&description)) {
                Ok(mut feed) => {
                    if let Some(view) = self.views.get(&id) {
                        feed.tempo.most_records = view.most_records;
                    }
                    self.streams.feeds.push(feed);
                    self.show_unless_failing(id, State::Running);
                }
                Err(failure) => self.failed(id, &failure),
            }
        }
    }

    /// Views whose positions somebody moved, or that are to be read in another way, begin anew.
    pub(super) fn leave_moved_streams(&mut self) {
        let (feeds, views) = (&self.streams.feeds, &self.views);
        if feeds.is_empty() {
            return;
        }
        let compared = transaction(|| {
            if !extension::is_usable() {
                return Vec::new();
            }
            let is_at = |feed: &ShardFeed, id: i64| {
                // What cannot be read is told when the view is opened anew.
                let stored = checkpoint::try_read(id);
                let table = views.get(&id).map(|view| view.plan.table);
                stored.is_ok_and(|stored| feed.is_at(&stored))
                    && table.is_some_and(|table| feed.is_as_wanted(table))
            };
            let members = feeds.iter().map(|feed| (feed, &feed.members));
            let here = members.flat_map(|(feed, ids)| ids.iter().map(move |id| (feed, *id)));
            let here = here.filter(|(feed, id)| is_at(feed, *id));
            here.map(|(_, id)| id).collect()
        });
        let compared: Result<Vec<i64>, Failure> = compared;
        match compared {
            Ok(here) => {
                for feed in &mut self.streams.feeds {
                    feed.members.retain(|id| here.contains(id));
                }
                self.streams.drop_empty();
            }
            Err(Failure { message, .. }) => background::log(&format!("positions: {message}")),
        }
    }

    /// Looks for shards that nobody told of, re-created streams, and a service that is away.
    pub(super) fn follow_streams(&mut self) {
        let mut index = 0;
        while index < self.streams.feeds.len() {
            let feed = &mut self.streams.feeds[index];
            let (found, throttled) = (feed.look(), feed.throttled());
            let members = feed.members.clone();
            self.show_throttling(&members, throttled.as_ref());
            match found {
                Stream::Answers => {
                    for id in members {
                        self.stream_answers(index, id);
                    }
                }
                Stream::Silent(cause) => {
                    for id in members {
                        self.silent(id, &cause);
                    }
                }
                Stream::Changed => {
                    self.streams.feeds.swap_remove(index);
                    continue;
                }
            }
            index += 1;
        }
    }

    fn stream_answers(&mut self, index: usize, id: i64) {
        let is_in_trouble = |view: &View| view.trouble.is_some();
        if !self.views.get(&id).is_some_and(is_in_trouble) {
            self.show_unless_failing(id, State::Running);
        } else if self.streams.feeds[index].has_answers() {
            let stored = self.streams.feeds[index].stored().to_vec();
            self.settle_stream(id, &stored);
        }
    }

    /// Loads what has arrived, a batch a feed; true if there may be more.
    pub(super) fn load_streams(&mut self) -> bool {
        let mut busy = false;
        let mut index = 0;
        while index < self.streams.feeds.len() {
            let feed = &mut self.streams.feeds[index];
            feed.tempo.limits = feed.pace.limits();
            if !feed.tempo.may_gather(true, Instant::now()) {
                index += 1;
                continue;
            }
            match feed.gather() {
                Ok(None) => index += 1,
                Ok(Some(batch)) => {
                    busy = true;
                    self.load_stream(index, &batch);
                    index += 1;
                }
                Err(failure) => {
                    for id in self.streams.feeds.swap_remove(index).members {
                        self.failed(id, &failure);
                    }
                }
            }
        }
        self.streams.drop_empty();
        busy
    }

    fn load_stream(&mut self, index: usize, batch: &ShardBatch) {
        let members = self.streams.feeds[index].members.clone();
        let times: Vec<Duration> = members
            .iter()
            .map(|id| {
                let began = Instant::now();
                self.load_stream_view(index, *id, batch);
                began.elapsed()
            })
            .collect();
        let shortest = times.iter().min().copied().unwrap_or_default();
        let mut longest = Duration::ZERO;
        for (id, took) in members.iter().zip(times) {
            if took > LONG_BATCH && took > shortest * 2 {
                // It would delay the others on this stream: it has a feed of its own until it has caught up.
                self.leave_stream(index, *id);
                self.remember_batch(*id, tempo::smaller(batch.record_count(), took));
            } else {
                longest = longest.max(took);
            }
        }
        let is_alone = self.views.len() < 2;
        let feed = &mut self.streams.feeds[index];
        feed.advance(batch, longest, is_alone);
        let most = feed.tempo.most_records;
        for id in feed.members.clone() {
            if members.len() == 1 {
                self.remember_batch(id, most);
            }
            self.stream_answers(index, id);
        }
    }

    fn load_stream_view(&mut self, index: usize, id: i64, batch: &ShardBatch) {
        let Some(view) = self.views.get_mut(&id) else {
            return;
        };
        let (flush, feed) = (view.owes_ledger(), &self.streams.feeds[index]);
        feed.show_progress(view.plan.table);
        let began = Instant::now();
        match feed.load(batch, view.plan.table, &mut view.known, flush) {
            Ok(Outcome::Loaded) => {
                let names = feed.shard_names();
                self.loaded(id, flush, names);
            }
            Ok(Outcome::Moved) => self.leave_stream(index, id),
            Ok(Outcome::Gone) => {
                self.leave_stream(index, id);
                self.listed = None;
            }
            Err(stop) => {
                self.leave_stream(index, id);
                if let Some(trouble) = self.trouble_of(id, &stop) {
                    trouble.cover_shards(batch.reached());
                }
                self.stopped(id, stop, batch.record_count(), began.elapsed());
            }
        }
    }

    fn leave_stream(&mut self, index: usize, id: i64) {
        let members = &mut self.streams.feeds[index].members;
        members.retain(|member| *member != id);
    }
}
