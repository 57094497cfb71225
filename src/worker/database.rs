//! A worker of a database: it has the clients, follows the topics and loads what arrives into its share of the views.
//!
//! One loop: whatever can be done is done, then the process sleeps until a client or somebody who changed a view wakes it. The first worker (number
//! 0) also starts the others and keeps the journal.

use super::clients::Clients;
use super::crew::Crew;
use super::feed::{self, Feed, Plan};
use super::ingest;
use super::journal::Journal;
use super::lookup::Lookups;
use super::memory::Memory;
use super::opening::{Opening, Prepared};
use super::state::{self, LOCK_NOT_AVAILABLE, State};
use super::streams::Streams;
use super::sync::Sync;
use super::trouble::Trouble;
use super::view::View;
use crate::catalog::position::Position;
use crate::catalog::{checkpoint, lag_alert, materialized_view, trouble};
use crate::pg::background::{self, Failure, transaction};
use crate::pg::relation::Oid;
use crate::pg::setting;
use crate::pg::shared;
use crate::pg::wait::WakeSet;
use crate::pg::{extension, invalidation, kept_plan};
use crate::source::any::Kind;
use crate::source::kafka::position::Offset;
use plan::pause;
use plan::share::{self, Share};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How often the list of views is read when nobody said that it changed.
const LIST_PAUSE: Duration = Duration::from_secs(30);
/// A statement wakes the workers a moment before Postgres hands on what it changed in the catalogues: they look again for so long, so often.
const SETTLE: Duration = Duration::from_secs(2);
const SETTLE_PAUSE: Duration = Duration::from_millis(100);
/// A worker lives so long before it makes room for one with the settings that were changed.
const SETTINGS_PAUSE: Duration = Duration::from_secs(2);
/// The longest sleep.
const NAP: Duration = Duration::from_secs(1);

/// The state of a worker.
pub struct Worker {
    database: Oid,
    pub(super) number: usize,
    pub(super) wake: WakeSet,
    pub(super) memory: Memory,
    pub(super) clients: Clients,
    pub(super) views: HashMap<i64, View>,
    /// What AWS is being asked, and the views that wait for it.
    pub(super) lookups: Lookups,
    pub(super) preparing: Vec<Prepared>,
    pub(super) looked_at_sources: Instant,
    pub(super) openings: Vec<Opening>,
    pub(super) feeds: Vec<Feed>,
    pub(super) streams: Streams,
    pub(super) listed: Option<Instant>,
    /// When the list was read because somebody changed something.
    changed: Option<Instant>,
    /// The workers as they were when the list was read.
    crew: shared::Crew,
    started: Instant,
    /// The settings that were read with the connection, as a count of their changes.
    settings_changes: u64,
    /// A version of the extension in the database that this library does not understand: nothing is done until it is another one.
    unknown_version: Option<String>,
    /// What only the first worker has.
    first: Option<First>,
}

struct First {
    journal: Journal,
    others: Crew,
    sync: Sync,
    /// Some view of the database is under auto refresh; `None` until the list has been read once.
    has_views: Option<bool>,
    /// How many workers have something to do.
    useful: usize,
}

/// Runs until the server stops, or until there is nothing to do.
pub fn run(database: Oid, number: usize, settings_changes: u64) {
    invalidation::watch_sources();
    let mut worker = Worker {
        database,
        number,
        wake: WakeSet::new(),
        memory: Memory::default(),
        clients: Clients::default(),
        views: HashMap::new(),
        lookups: Lookups::default(),
        preparing: Vec::new(),
        looked_at_sources: Instant::now(),
        openings: Vec::new(),
        feeds: Vec::new(),
        streams: Streams::default(),
        listed: None,
        changed: None,
        crew: shared::crew(database),
        started: Instant::now(),
        settings_changes,
        unknown_version: None,
        first: (number == 0).then(|| First {
            journal: Journal::new(database),
            others: Crew::new(database),
            sync: Sync::new(database),
            has_views: None,
            useful: 1,
        }),
    };
    if number == 0 {
        // Until it knows better: stopped before, it would leave nothing behind that says so.
        shared::set_wanted(database, true);
        forget_orphans();
    }
    while worker.is_needed() {
        worker.leave_changed_sources();
        worker.open_feeds();
        worker.divide_memory();
        worker.follow_topics();
        worker.follow_streams();
        let busy = worker.load_batches() | worker.load_streams();
        worker.merge_feeds();
        worker.streams.merge();
        worker.give_room();
        worker.write_ledgers();
        if !busy {
            worker.sleep();
        }
        worker.clients.clear_wakes();
        worker.streams.clear_wakes();
    }
}

/// Views that were dropped while no event trigger ran, before this worker came.
fn forget_orphans() {
    let forgotten = transaction(|| {
        if extension::is_usable() {
            ingest::bound_lock_waits();
            materialized_view::forget_orphans();
        }
    });
    if let Err(Failure { message, .. }) = forgotten {
        background::log(&format!("registrations without a table: {message}"));
    }
}

/// So many other databases have workers that there is none for this one: said if there is something to do.
pub fn tell_that_there_is_no_room() {
    let has_views = transaction(|| {
        extension::is_usable() && !materialized_view::under_auto_refresh().is_empty()
    });
    if has_views.unwrap_or(false) {
        background::log(&format!(
            "no auto refresh in this database: {} others have it already; raise redshift.max_databases",
            setting::max_databases()
        ));
    }
}

impl Worker {
    /// Does what is not of one view, and reads the list of views if it may be another one. False if there is nothing to do in the database.
    fn is_needed(&mut self) -> bool {
        background::begin_round();
        if shared::crew(self.database).settings_changes != self.settings_changes
            && self.started.elapsed() > SETTINGS_PAUSE
        {
            return false;
        }
        if self.waits_for_another_version() {
            return true;
        }
        if let Some(first) = &mut self.first {
            shared::take_nudge(self.database);
            first.journal.write_failures();
            first.journal.forget_old();
            first.sync.tend();
            first
                .others
                .tend(first.useful.min(setting::ingest_workers()));
        }
        let crew = shared::crew(self.database);
        if self.number >= crew.useful {
            return false;
        }
        let changed = crew.changes != self.crew.changes;
        if crew.source_changes != self.crew.source_changes {
            self.crew.source_changes = crew.source_changes;
            self.changed = Some(Instant::now());
        }
        if changed
            || crew.running != self.crew.running
            || self.listed.is_none_or(|when| when.elapsed() > LIST_PAUSE)
        {
            self.crew = crew;
            if changed {
                self.changed = Some(Instant::now());
            }
            self.list_views(changed);
        } else if self.is_settling() {
            // Takes in what has changed in the catalogues.
            let _ = transaction(|| ());
        }
        let Some(first) = &self.first else {
            return true;
        };
        // Who was stopped before he had the list must not say that there is nothing to do: nobody would start another one.
        let Some(has_views) = first.has_views else {
            return true;
        };
        shared::set_wanted(self.database, has_views);
        if !has_views {
            shared::set_useful_workers(self.database, 1);
        }
        has_views || first.sync.is_busy()
    }

    /// The library and the objects in the database may be of different versions between two steps of an upgrade. Looks as long as they are; else when
    /// the list of views is to be read.
    fn waits_for_another_version(&mut self) -> bool {
        let is_due = self.listed.is_none_or(|when| when.elapsed() > LIST_PAUSE)
            || shared::crew(self.database).changes != self.crew.changes;
        if self.unknown_version.is_none() && !is_due {
            return false;
        }
        let unknown = transaction(|| {
            extension::version().filter(|version| !extension::is_understood(version))
        });
        let unknown = unknown.unwrap_or_default();
        if unknown == self.unknown_version {
            return unknown.is_some();
        }
        if let Some(version) = &unknown {
            background::log(&format!(
                "version {version} of the extension in this database is none that this library, {}, works with: auto refresh waits for ALTER EXTENSION \
                 redshift_streaming UPDATE, or for a restart of the server with the library of that version",
                env!("CARGO_PKG_VERSION")
            ));
            self.views.clear();
            self.streams.retain(|_| false);
            self.leave_topics();
        }
        self.listed = None;
        self.unknown_version = unknown;
        self.unknown_version.is_some()
    }

    fn is_settling(&self) -> bool {
        self.changed.is_some_and(|when| when.elapsed() < SETTLE)
    }

    /// Reads which views there are, takes this worker's share and forgets the others. After a change each is tried at once.
    fn list_views(&mut self, changed: bool) {
        self.listed = Some(Instant::now());
        // The registration of a view is no catalogue of Postgres's, which would tell of changes.
        invalidation::forget();
        kept_plan::forget_idle();
        let found = transaction(|| {
            if extension::is_usable() {
                (
                    materialized_view::under_auto_refresh(),
                    lag_alert::has_own_limits(),
                )
            } else {
                (Vec::new(), false)
            }
        });
        let (listed, has_lag_limits) = match found {
            Ok(found) => found,
            Err(Failure { message, .. }) => {
                return background::log(&format!("list of views: {message}"));
            }
        };
        let topics: Vec<_> = listed
            .iter()
            .map(|view| (&view.topic, view.pace.parallel))
            .collect();
        if let Some(first) = &mut self.first {
            first.has_views = Some(!listed.is_empty());
            shared::set_lag_limits(self.database, has_lag_limits);
            first.useful = share::useful_workers(&topics);
        }
        let share = Share {
            worker: self.number,
            workers: self.crew.running,
        };
        let slices = share::slices(share, &topics);
        let plans: Vec<Plan> = listed
            .iter()
            .zip(slices)
            .filter_map(|(view, slice)| {
                Some(Plan {
                    mv_id: view.id,
                    table: view.table,
                    slice: slice?,
                    pace: view.pace,
                })
            })
            .collect();
        self.take_share(&plans, changed);
        let own: Vec<i64> = plans.iter().map(|plan| plan.mv_id).collect();
        state::forget_others(self.number, &own, self.crew.running);
        if changed {
            self.leave_moved_feeds();
            self.leave_moved_streams();
        }
        self.drop_empty_feeds();
        if self.clients.expect(self.views.len()) {
            self.leave_topics();
        }
    }

    /// Follows these views from now on, and no others.
    fn take_share(&mut self, plans: &[Plan], changed: bool) {
        let is_known = |plan: &Plan| self.views.contains_key(&plan.mv_id);
        let inherited = if plans.iter().all(is_known) {
            Vec::new()
        } else {
            transaction(|| trouble::inherited(self.number)).unwrap_or_default()
        };
        let (views, openings, feeds) = (&mut self.views, &mut self.openings, &mut self.feeds);
        let keeps = |id: &i64, view: &View| {
            plans
                .iter()
                .any(|plan| plan.mv_id == *id && *plan == view.plan)
        };
        let kinds: HashMap<i64, Option<Kind>> =
            views.iter().map(|(id, view)| (*id, view.kind)).collect();
        // What another worker has, or is loaded in another way (or is another view of the same number: the extension was created anew), begins anew.
        views.retain(|id, view| keeps(id, view));
        openings.retain(|opening| views.contains_key(&opening.plan.mv_id));
        let preparing = &mut self.preparing;
        preparing.retain(|prepared| views.contains_key(&prepared.plan.mv_id));
        for feed in feeds {
            feed.members.retain(|id| views.contains_key(id));
        }
        self.streams.retain(|id| views.contains_key(&id));
        for plan in plans {
            let view = views.entry(plan.mv_id).or_insert_with(|| View {
                trouble: inherited.contains(&plan.mv_id).then(Trouble::inherited),
                kind: kinds.get(&plan.mv_id).copied().flatten(),
                ..View::new(*plan)
            });
            if changed {
                view.retry_at = Instant::now();
            }
        }
    }

    /// Views whose positions somebody moved (a refresh by hand, set_position) begin anew from there, also when nothing arrives.
    fn leave_moved_feeds(&mut self) {
        let stored = match transaction(|| {
            if extension::is_usable() {
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
            // A row that cannot be read is nowhere: that is told when the view is opened anew.
            let place = |(_, partition, position): &(i64, String, Option<String>)| {
                let partition = Offset::read_part(partition)?;
                Some((partition, Offset::read(position.as_deref()?)?.0?))
            };
            let takes =
                |part: &str| Offset::read_part(part).is_none_or(|part| feed.slice.takes(part));
            let is_here = |id: &i64| {
                let own = stored
                    .iter()
                    .filter(|(view, part, _)| view == id && takes(part));
                own.clone().count() == feed.positions.len()
                    && own.clone().all(|row| {
                        place(row).is_some_and(|(partition, position)| {
                            feed.positions.get(&partition) == Some(&position)
                        })
                    })
            };
            feed.members.retain(is_here);
        }
    }

    /// All topics are opened anew, with new clients.
    pub(super) fn leave_topics(&mut self) {
        self.feeds.clear();
        self.preparing.clear();
        self.openings.clear();
        self.clients.keep(&self.openings, &self.feeds);
        for view in self.views.values_mut() {
            view.retry_at = Instant::now();
        }
    }

    pub(super) fn drop_empty_feeds(&mut self) {
        self.feeds.retain(|feed| !feed.members.is_empty());
        self.clients.keep(&self.openings, &self.feeds);
    }

    /// After an error only a batch that is loaded shows that it is over.
    pub(super) fn show_unless_failing(&mut self, id: i64, state: State) {
        if self.views.get(&id).is_some_and(|view| view.errors == 0) {
            self.show(id, state, None);
        }
    }

    pub(super) fn loaded(&mut self, id: i64, flushed: bool, partitions: Vec<String>) {
        let Some(view) = self.views.get_mut(&id) else {
            return;
        };
        if flushed || view.unwritten_since.is_none() {
            view.unwritten_since = Some(Instant::now());
            view.partitions = partitions;
        }
    }

    pub(super) fn leave(&mut self, feed: usize, id: i64) {
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
        for (id, view) in &mut self.views {
            if view.owes_ledger() {
                view.unwritten_since = None;
                if let Err(failure) = ingest::flush(view.plan.table, &view.partitions) {
                    background::log(&format!(
                        "ledger of materialized view {id}: {}",
                        failure.message
                    ));
                }
            }
        }
    }

    /// An error: the view waits, and begins anew from what is stored.
    pub(super) fn failed(&mut self, id: i64, failure: &Failure) {
        let Some(view) = self.views.get_mut(&id) else {
            return;
        };
        view.put_off();
        // The view may be gone, or the extension.
        self.listed = None;
        let blocked = failure.sqlstate == LOCK_NOT_AVAILABLE;
        view.shown = None;
        // Who holds a view for a moment is no failure: a refresh by hand does.
        let is_lasting = !blocked || view.errors > 1;
        view.trouble.get_or_insert_default();
        if is_lasting {
            self.tell_trouble(id, failure);
        }
        let state = if blocked {
            State::Blocked
        } else {
            State::Retrying
        };
        self.show(id, state, Some(&failure.message));
    }

    /// Writes a view's state if it is another one.
    pub(super) fn show(&mut self, id: i64, state: State, error: Option<&str>) {
        let Some(view) = self.views.get_mut(&id) else {
            return;
        };
        let (state, error) = match &view.throttled {
            Some(cause) if state == State::Running => (State::Throttled, Some(cause.as_str())),
            _ => (state, error),
        };
        if view.shown != Some(state) {
            state::write(id, self.number, state, error);
            view.shown = Some(state);
        }
    }

    /// Sleeps until there may be something to do.
    fn sleep(&self) {
        let now = Instant::now();
        let opens = self.feeds.iter().filter_map(|feed| feed.tempo.opens_at());
        let opens = opens.chain(self.streams.opens_at());
        let retries = self.views.values().map(|view| view.retry_at);
        let looks = self.feeds.iter().map(|feed| feed.looked + pause::LOOK);
        let patience = self
            .openings
            .iter()
            .map(|opening| opening.began)
            .chain(self.preparing.iter().map(|prepared| prepared.began))
            .map(|began| began + feed::PATIENCE);
        let ahead = opens
            .chain(retries)
            .chain(looks)
            .chain(patience)
            .filter(|moment| *moment > now);
        let nap = if self.is_settling() {
            SETTLE_PAUSE
        } else {
            NAP
        };
        self.wake.wait(ahead.fold(now + nap, Instant::min));
    }
}
