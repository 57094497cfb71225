//! What a worker does with views of Kinesis, beside its topics.

use super::database::Worker;
use super::feed::Plan;
use super::ingest::Outcome;
use super::shard_feed::{ShardBatch, ShardFeed, ShardOpening, Stream};
use super::state::State;
use super::view::View;
use crate::catalog::checkpoint;
use crate::kinesis::source::Source;
use crate::pg::background::{self, Failure, transaction};
use crate::pg::extension;
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
            || self.feeds.iter().any(|feed| feed.mv_id == id)
    }

    /// Follows no views but these.
    pub fn retain(&mut self, keep: impl Fn(i64) -> bool) {
        self.openings.retain(|opening| keep(opening.plan.mv_id));
        self.feeds.retain(|feed| keep(feed.mv_id));
    }

    /// After a wake-up; everything is polled then.
    pub fn clear_wakes(&self) {
        self.openings.iter().for_each(ShardOpening::clear_wake);
        self.feeds.iter().for_each(ShardFeed::clear_wake);
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
    pub(super) fn open_stream(&mut self, plan: Plan, source: Source, stream: String) {
        if !plan.slice.takes(0) {
            if let Some(view) = self.views.get_mut(&plan.mv_id) {
                view.retry_at = Instant::now() + NOT_OURS;
            }
            return;
        }
        let views = self.views.len();
        match transaction(|| ShardOpening::begin(plan, source, stream, views, &self.wake)) {
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
        let feeds = &mut self.streams.feeds;
        if feeds.is_empty() {
            return;
        }
        let compared = transaction(|| {
            if !extension::is_usable() {
                return Vec::new();
            }
            let is_at = |feed: &ShardFeed| {
                // What cannot be read is told when the view is opened anew.
                let stored = checkpoint::try_read(feed.mv_id);
                stored.is_ok_and(|stored| feed.is_at(&stored)) && feed.is_as_wanted()
            };
            feeds
                .iter()
                .filter(|feed| is_at(feed))
                .map(|feed| feed.mv_id)
                .collect()
        });
        match compared {
            Ok(here) => feeds.retain(|feed| here.contains(&feed.mv_id)),
            Err(Failure { message, .. }) => background::log(&format!("positions: {message}")),
        }
    }

    /// Looks for shards that nobody told of, re-created streams, and a service that is away.
    pub(super) fn follow_streams(&mut self) {
        let mut index = 0;
        while index < self.streams.feeds.len() {
            let id = self.streams.feeds[index].mv_id;
            match self.streams.feeds[index].look() {
                Stream::Answers => self.stream_answers(index),
                Stream::Silent(cause) => self.silent(id, &cause),
                Stream::Changed => {
                    self.streams.feeds.swap_remove(index);
                    continue;
                }
            }
            index += 1;
        }
    }

    fn stream_answers(&mut self, index: usize) {
        let id = self.streams.feeds[index].mv_id;
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
            let id = feed.mv_id;
            let stays = match feed.gather() {
                Ok(None) => true,
                Ok(Some(batch)) => {
                    busy = true;
                    self.load_stream(index, &batch)
                }
                Err(failure) => {
                    self.failed(id, &failure);
                    false
                }
            };
            if stays {
                index += 1;
            } else {
                self.streams.feeds.swap_remove(index);
            }
        }
        busy
    }

    /// False if the feed is to be left.
    fn load_stream(&mut self, index: usize, batch: &ShardBatch) -> bool {
        let feed = &mut self.streams.feeds[index];
        let id = feed.mv_id;
        let Some(view) = self.views.get(&id) else {
            return false;
        };
        let (flush, is_alone) = (view.owes_ledger(), self.views.len() < 2);
        let began = Instant::now();
        match feed.load(batch, flush) {
            Ok(Outcome::Loaded) => {
                let took = began.elapsed();
                let records = batch.record_count();
                feed.tempo.loaded(records, took, is_alone, Instant::now());
                let (most, names) = (feed.tempo.most_records, feed.shard_names());
                self.remember_batch(id, most);
                self.loaded(id, flush, names);
                self.stream_answers(index);
                true
            }
            Ok(Outcome::Moved) => false,
            Ok(Outcome::Gone) => {
                self.listed = None;
                false
            }
            Err(stop) => {
                if let Some(trouble) = self.trouble_of(id, &stop) {
                    trouble.cover_shards(batch.reached());
                }
                self.stopped(id, stop, batch.record_count(), began.elapsed());
                false
            }
        }
    }
}
