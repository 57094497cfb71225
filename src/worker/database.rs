//! The worker of one database: it has the clients, follows the topics and loads what arrives into the views.
//!
//! One loop: whatever can be done is done, then the process sleeps until a client or somebody who changed a view wakes it.

use super::feed::{Batch, Clients, Feed, Opening, Topic};
use super::ingest::{self, Outcome};
use super::journal::{self, Journal};
use super::state::{self, LOCK_NOT_AVAILABLE, State};
use crate::access::Access;
use crate::catalog::{checkpoint, materialized_view};
use crate::pg::background::{self, Failure, transaction};
use crate::pg::relation::{self, Oid};
use crate::pg::shared;
use crate::pg::wait::WakeSet;
use crate::settings;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How often the list of views is read when nobody said that it changed.
const LIST_PAUSE: Duration = Duration::from_secs(30);
/// The ledger has at most one row in this time, partition and view.
const LEDGER_PAUSE: Duration = Duration::from_secs(1);
/// The longest sleep.
const NAP: Duration = Duration::from_secs(1);
/// The first and the longest pause after an error.
const RETRY_PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// A view under auto refresh.
struct View {
    table: Oid,
    shown: Option<State>,
    /// Errors in a row.
    errors: u32,
    /// Not before this moment.
    retry_at: Instant,
    /// Since when there is something that the ledger does not have.
    unwritten_since: Option<Instant>,
}

impl View {
    fn new(table: Oid) -> View {
        View {
            table,
            shown: None,
            errors: 0,
            retry_at: Instant::now(),
            unwritten_since: None,
        }
    }
}

struct Worker {
    wake: WakeSet,
    clients: Clients,
    views: HashMap<i64, View>,
    openings: Vec<Opening>,
    feeds: Vec<Feed>,
    listed: Option<Instant>,
    journal: Journal,
}

/// Runs until the server stops, or until there is nothing to do.
pub fn run(database: Oid) {
    shared::set_worker(database);
    let mut worker = Worker {
        wake: WakeSet::new(),
        clients: Clients::default(),
        views: HashMap::new(),
        openings: Vec::new(),
        feeds: Vec::new(),
        listed: None,
        journal: Journal::new(database),
    };
    loop {
        background::reload_settings();
        let nudged = shared::take_nudge(database);
        worker.journal.write_failures();
        worker.journal.forget_old();
        if nudged || worker.listed.is_none_or(|when| when.elapsed() > LIST_PAUSE) {
            worker.list_views(nudged);
            shared::set_wanted(database, !worker.views.is_empty());
            if worker.views.is_empty() {
                return;
            }
        }
        worker.open_feeds();
        worker.follow_topics();
        let busy = worker.load_batches();
        worker.merge_feeds();
        worker.write_ledgers();
        if !busy {
            worker.sleep();
        }
        worker.clients.clear_wakes();
    }
}

impl Worker {
    /// Reads which views there are, and forgets those that are gone. After a nudge (something was changed) each is tried at once.
    fn list_views(&mut self, nudged: bool) {
        self.listed = Some(Instant::now());
        let listed = match transaction(|| {
            if relation::extension_exists() {
                materialized_view::under_auto_refresh()
            } else {
                Vec::new()
            }
        }) {
            Ok(listed) => listed,
            Err(Failure { message, .. }) => {
                return background::log(&format!("list of views: {message}"));
            }
        };
        self.views
            .retain(|id, _| listed.iter().any(|(listed, _)| listed == id));
        for (id, table) in listed {
            let view = self.views.entry(id).or_insert_with(|| View::new(table));
            if view.table != table {
                // Another view of the same number: the extension was created anew.
                *view = View::new(table);
                for feed in &mut self.feeds {
                    feed.members.retain(|member| *member != id);
                }
                self.openings.retain(|opening| opening.mv_id != id);
            }
            if nudged {
                view.retry_at = Instant::now();
            }
        }
        let known = |id: &i64| self.views.contains_key(id);
        self.openings.retain(|opening| known(&opening.mv_id));
        for feed in &mut self.feeds {
            feed.members.retain(known);
        }
        if nudged {
            self.leave_moved_feeds();
        }
        self.drop_empty_feeds();
    }

    /// Views whose positions somebody moved (a refresh by hand, set_position) begin anew from there, also when nothing arrives.
    fn leave_moved_feeds(&mut self) {
        let stored = match transaction(|| {
            if relation::extension_exists() {
                checkpoint::under_auto_refresh()
            } else {
                Vec::new()
            }
        }) {
            Ok(stored) => stored,
            Err(Failure { message, .. }) => {
                return background::log(&format!("positions: {message}"));
            }
        };
        for feed in &mut self.feeds {
            let is_here = |id: &i64| {
                let own = stored.iter().filter(|(view, ..)| view == id);
                own.clone().count() == feed.positions.len()
                    && own.clone().all(|(_, partition, position)| {
                        *position == feed.positions.get(partition).copied()
                    })
            };
            feed.members.retain(is_here);
        }
    }

    fn drop_empty_feeds(&mut self) {
        self.feeds.retain(|feed| !feed.members.is_empty());
        if self.openings.is_empty() && self.feeds.is_empty() {
            self.clients.keep(&[]);
        }
    }

    /// Begins feeds for views without one, and ends openings that the broker has answered.
    fn open_feeds(&mut self) {
        let has_feed = |id: &i64| {
            self.openings.iter().any(|opening| opening.mv_id == *id)
                || self.feeds.iter().any(|feed| feed.members.contains(id))
        };
        let now = Instant::now();
        let waiting: Vec<(i64, Oid)> = self
            .views
            .iter()
            .filter(|(id, view)| view.retry_at <= now && !has_feed(id))
            .map(|(id, view)| (*id, view.table))
            .collect();
        for (id, table) in waiting {
            match Opening::begin(id, table, &mut self.clients, &self.wake) {
                Ok(opening) => {
                    self.openings.push(opening);
                    if self.views.get(&id).is_some_and(|view| view.errors == 0) {
                        self.show(id, State::Starting, None);
                    }
                }
                Err(failure) => self.failed(id, &failure),
            }
        }
        let mut index = 0;
        while index < self.openings.len() {
            let Some(answer) = self.openings[index].poll(&self.clients) else {
                index += 1;
                continue;
            };
            let opening = self.openings.swap_remove(index);
            let id = opening.mv_id;
            let feed =
                answer.and_then(|start| opening.into_feed(start, &mut self.clients, &self.wake));
            match feed {
                Ok(feed) => {
                    self.feeds.push(feed);
                    if self.views.get(&id).is_some_and(|view| view.errors == 0) {
                        self.show(id, State::Running, None);
                    }
                }
                Err(failure) => self.failed(id, &failure),
            }
        }
    }

    /// Looks for new partitions, re-created topics and brokers that are away.
    fn follow_topics(&mut self) {
        let mut index = 0;
        while index < self.feeds.len() {
            let access = self.feeds[index].access().clone();
            let is_probe = self.feeds[..index]
                .iter()
                .all(|feed| *feed.access() != access);
            match self.feeds[index].look_at_topic(&self.clients, is_probe) {
                Topic::Same => {}
                Topic::Answered => self.show_members(&access, State::Running, None),
                Topic::Silent(cause) => self.show_members(&access, State::Retrying, Some(&cause)),
                Topic::Changed => {
                    self.feeds.swap_remove(index);
                    continue;
                }
            }
            index += 1;
        }
    }

    /// Shows a state for each view that is read by these brokers and credentials.
    fn show_members(&mut self, access: &Access, state: State, error: Option<&str>) {
        let of_access = self.feeds.iter().filter(|feed| feed.access() == access);
        let members: Vec<i64> = of_access
            .flat_map(|feed| feed.members.iter().copied())
            .collect();
        for id in members {
            self.show(id, state, error);
        }
    }

    /// Loads what has arrived, a batch a feed; true if there may be more.
    fn load_batches(&mut self) -> bool {
        let mut busy = false;
        let mut index = 0;
        while index < self.feeds.len() {
            if !self.window_is_open(index) {
                index += 1;
                continue;
            }
            match self.feeds[index].take() {
                Ok(None) => index += 1,
                Ok(Some(batch)) => {
                    busy = true;
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
        busy
    }

    /// The first record after a pause is loaded at once, then there is a commit a window at most.
    fn window_is_open(&self, feed: usize) -> bool {
        self.feeds[feed]
            .last_commit
            .is_none_or(|when| when.elapsed() >= settings::commit_window())
    }

    fn load_batch(&mut self, index: usize, batch: &Batch) {
        let members = self.feeds[index].members.clone();
        for id in members {
            let Some(view) = self.views.get(&id) else {
                continue;
            };
            let flush = view
                .unwritten_since
                .is_some_and(|since| since.elapsed() >= LEDGER_PAUSE);
            let feed = &self.feeds[index];
            match ingest::load(view.table, &feed.topic, &feed.positions, batch, flush) {
                Ok(Outcome::Loaded) => self.loaded(id, flush),
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
        self.feeds[index].advance(batch);
    }

    fn loaded(&mut self, id: i64, flushed: bool) {
        let Some(view) = self.views.get_mut(&id) else {
            return;
        };
        if flushed || view.unwritten_since.is_none() {
            view.unwritten_since = Some(Instant::now());
        }
        if view.errors > 0 {
            view.errors = 0;
            journal::recovered(view.table);
            background::log(&format!("materialized view {id} is loaded again"));
        }
        self.show(id, State::Running, None);
    }

    fn leave(&mut self, feed: usize, id: i64) {
        self.feeds[feed].members.retain(|member| *member != id);
    }

    /// Feeds that have come to the same place become one.
    fn merge_feeds(&mut self) {
        let mut index = 0;
        while index < self.feeds.len() {
            let twin =
                (0..index).find(|other| self.feeds[*other].is_at_same_place(&self.feeds[index]));
            match twin {
                Some(twin) => {
                    let feed = self.feeds.swap_remove(index);
                    self.feeds[twin].members.extend(feed.members);
                }
                None => index += 1,
            }
        }
    }

    /// Writes the ledger of views that have become quiet.
    fn write_ledgers(&mut self) {
        let due = |view: &View| {
            view.unwritten_since
                .is_some_and(|since| since.elapsed() >= LEDGER_PAUSE)
        };
        let quiet: Vec<i64> = self
            .views
            .iter()
            .filter(|(_, view)| due(view))
            .map(|(id, _)| *id)
            .collect();
        for id in quiet {
            let Some(view) = self.views.get_mut(&id) else {
                continue;
            };
            view.unwritten_since = None;
            if let Err(failure) = ingest::flush(view.table) {
                background::log(&format!(
                    "ledger of materialized view {id}: {}",
                    failure.message
                ));
            }
        }
    }

    /// An error: the view waits, a little longer each time, and begins anew from what is stored.
    fn failed(&mut self, id: i64, failure: &Failure) {
        let Some(view) = self.views.get_mut(&id) else {
            return;
        };
        let (first, longest) = RETRY_PAUSES;
        let pause = first.saturating_mul(1 << view.errors.min(10)).min(longest);
        view.errors += 1;
        // The view may be gone, or the extension.
        self.listed = None;
        // Up to a quarter more, different for each view: they shall not all come back in the same moment.
        let jitter = pause.mul_f64(
            ((id.unsigned_abs() * 7919 + u64::from(view.errors) * 104_729) % 1000) as f64 / 4000.0,
        );
        view.retry_at = Instant::now() + pause + jitter;
        let blocked = failure.sqlstate == LOCK_NOT_AVAILABLE;
        let table = view.table;
        let first_time = view.errors == 1;
        if !blocked && first_time {
            journal::write_auto(table, failure);
        }
        if first_time || !blocked {
            background::log(&format!("materialized view {id}: {}", failure.message));
        }
        view.shown = None;
        self.show(
            id,
            if blocked {
                State::Blocked
            } else {
                State::Retrying
            },
            Some(&failure.message),
        );
    }

    /// Writes a view's state if it is another one.
    fn show(&mut self, id: i64, state: State, error: Option<&str>) {
        let Some(view) = self.views.get_mut(&id) else {
            return;
        };
        if view.shown != Some(state) {
            view.shown = Some(state);
            state::write(id, state, error);
        }
    }

    /// Sleeps until there may be something to do.
    fn sleep(&self) {
        let now = Instant::now();
        let mut until = now + NAP;
        for feed in &self.feeds {
            if let Some(last) = feed.last_commit {
                let opens = last + settings::commit_window();
                if opens > now {
                    until = until.min(opens);
                }
            }
        }
        for view in self.views.values().filter(|view| view.retry_at > now) {
            until = until.min(view.retry_at);
        }
        self.wake.wait(until);
    }
}
