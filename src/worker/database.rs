//! A worker of a database: it follows the streams of its share of the views, and loads what arrives.
//!
//! One loop: whatever can be done is done, then the process sleeps until a client or somebody who changed a view wakes it. The first worker (number
//! 0) also starts the others and keeps the journal.

use super::assignment::Assignment;
use super::crew::Crew;
use super::journal::Journal;
use super::lanes::Lanes;
use super::load;
use super::lookup::Lookups;
use super::sources::{Origin, SourceWatch};
use super::state::{self, State};
use super::sync::Sync;
use super::trouble::Trouble;
use super::view::View;
use super::views::Views;
use crate::catalog::{checkpoint, lag_alert, materialized_view, trouble};
use crate::error;
use crate::pg::background::{self, Failure, transaction};
use crate::pg::relation::{self, Oid};
use crate::pg::setting;
use crate::pg::shared;
use crate::pg::wait::WakeSet;
use crate::pg::{extension, invalidation, kept_plan};
use crate::refresh::{self, Locked};
use crate::source::any::{Kind, Stream};
use crate::source::follow::bound_lock_waits;
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
/// A view whose parts another worker reads is looked at again after this time.
const NOT_OURS: Duration = Duration::from_secs(3_600);
/// The longest sleep.
const NAP: Duration = Duration::from_secs(1);

/// The state of a worker.
pub struct Worker {
    database: Oid,
    number: usize,
    wake: WakeSet,
    lanes: Lanes,
    views: Views,
    /// What AWS is being asked.
    lookups: Lookups,
    sources: SourceWatch,
    listed: Option<Instant>,
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
    let mut worker = Worker {
        database,
        number,
        wake: WakeSet::new(),
        lanes: Lanes::default(),
        views: Views::of_worker(number),
        lookups: Lookups::default(),
        sources: SourceWatch::begin(),
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
        worker.open();
        worker.lanes.follow(&mut worker.views);
        let busy = worker.lanes.load(&mut worker.views);
        worker.lanes.arrange(&mut worker.views, &worker.wake);
        worker.write_ledgers();
        if !busy {
            worker.sleep();
        }
        worker.lanes.clear_wakes();
    }
}

/// Views that were dropped while no event trigger ran, before this worker came.
fn forget_orphans() {
    let forgotten = transaction(|| {
        if extension::is_usable() {
            bound_lock_waits();
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
        if std::mem::take(&mut self.views.may_be_gone) {
            self.listed = None;
        }
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
            self.views.by_id.clear();
            self.lanes.retain(|_| false);
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
        let own: Vec<Assignment> = listed
            .iter()
            .zip(slices)
            .filter_map(|(view, slice)| {
                Some(Assignment {
                    mv_id: view.id,
                    table: view.table,
                    slice: slice?,
                    pace: view.pace,
                })
            })
            .collect();
        self.take_share(&own, changed);
        let own: Vec<i64> = own.iter().map(|assigned| assigned.mv_id).collect();
        state::forget_others(self.number, &own, self.crew.running);
        if changed {
            self.leave_moved();
        }
    }

    /// Follows these views from now on, and no others.
    fn take_share(&mut self, own: &[Assignment], changed: bool) {
        let views = &mut self.views.by_id;
        let inherited = if own.iter().all(|one| views.contains_key(&one.mv_id)) {
            Vec::new()
        } else {
            transaction(|| trouble::inherited(self.number)).unwrap_or_default()
        };
        let kinds: HashMap<i64, Option<Kind>> =
            views.iter().map(|(id, view)| (*id, view.kind)).collect();
        // What another worker has, or is loaded in another way (or is another view of the same number: the extension was created anew), begins anew.
        views.retain(|_, view| own.contains(&view.assignment));
        self.lanes.retain(|id| views.contains_key(&id));
        for assignment in own {
            let id = assignment.mv_id;
            let view = views.entry(id).or_insert_with(|| View {
                trouble: inherited.contains(&id).then(Trouble::inherited),
                kind: kinds.get(&id).copied().flatten(),
                ..View::new(*assignment)
            });
            if changed {
                view.retry_at = Instant::now();
            }
        }
    }

    /// Views whose connection has changed begin anew.
    fn leave_changed_sources(&mut self) {
        if self.sources.has_news() {
            let changed = self.views.with_changed_sources();
            self.lanes.retain(|id| !changed.contains(&id));
        }
    }

    /// Views whose positions somebody moved begin anew from there.
    fn leave_moved(&mut self) {
        let has_consumers = |view: &View| view.kind.is_some_and(Kind::has_consumers);
        let found = transaction(|| {
            if !extension::is_usable() {
                return (Vec::new(), HashMap::new());
            }
            let views = self.views.by_id.values();
            let consumer = |view: &View| {
                let found = materialized_view::find(view.assignment.table)?;
                Some((found.id, found.options.consumer?))
            };
            let consumers = views.filter(|view| has_consumers(view));
            let consumers: HashMap<i64, String> = consumers.filter_map(consumer).collect();
            (checkpoint::under_auto_refresh(), consumers)
        });
        match found {
            Ok((stored, consumers)) => {
                let consumer = |id| consumers.get(&id).cloned();
                self.lanes.leave_moved(&stored, consumer);
            }
            Err(Failure { message, .. }) => background::log(&format!("positions: {message}")),
        }
    }

    /// Opens views that are not followed, and goes on with those that are being opened.
    fn open(&mut self) {
        let now = Instant::now();
        let views = self.views.by_id.iter();
        let waiting: Vec<Assignment> = views
            .filter(|(id, view)| view.retry_at <= now && !self.lanes.has(**id))
            .map(|(_, view)| view.assignment)
            .collect();
        for assignment in waiting {
            match looked_up(assignment) {
                Ok((origin, stream)) => self.prepare(assignment, origin, stream),
                Err(failure) => self.views.failed(assignment.mv_id, &failure),
            }
        }
        self.lanes
            .open(&mut self.views, &mut self.lookups, &self.wake);
    }

    fn prepare(&mut self, assignment: Assignment, origin: Origin, stream: Stream) {
        let Some(view) = self.views.by_id.get_mut(&assignment.mv_id) else {
            return;
        };
        view.origin = Some(origin);
        view.throttled = None;
        if stream.kind().has_appearing_parts() && !assignment.slice.takes(0) {
            // All its parts are one worker's: a child is read after its parents.
            view.retry_at = Instant::now() + NOT_OURS;
            view.kind = None;
            return;
        }
        view.kind = Some(stream.kind());
        self.lanes.prepare(assignment, stream);
        self.views
            .show_unless_failing(assignment.mv_id, State::Starting);
    }

    /// Writes the ledger of views that have become quiet.
    fn write_ledgers(&mut self) {
        for (id, view) in &mut self.views.by_id {
            if view.owes_ledger() {
                view.unwritten_since = None;
                if let Err(failure) = load::flush(view.assignment.table, &view.partitions) {
                    background::log(&format!(
                        "ledger of materialized view {id}: {}",
                        failure.message
                    ));
                }
            }
        }
    }

    /// Sleeps until there may be something to do.
    fn sleep(&self) {
        let now = Instant::now();
        let retries = self.views.by_id.values().map(|view| view.retry_at);
        let moments = self.lanes.moments().chain(retries);
        let ahead = moments.filter(|moment| *moment > now);
        let nap = if self.is_settling() {
            SETTLE_PAUSE
        } else {
            NAP
        };
        self.wake.wait(ahead.fold(now + nap, Instant::min));
    }
}

/// Looks up what a view reads.
fn looked_up(assignment: Assignment) -> Result<(Origin, Stream), Failure> {
    let table = assignment.table;
    transaction(|| {
        bound_lock_waits();
        let view = materialized_view::find(table)
            .unwrap_or_else(|| error::not_a_streaming_view(&table.to_u32().to_string()).raise());
        let Locked { stream, .. } = refresh::lock_source(&view);
        let owner = relation::owner(table);
        (Origin::of(stream, owner), Stream::of_table(stream, owner))
    })
}
