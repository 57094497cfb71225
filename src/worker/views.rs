//! The views of a worker: how each is doing, and what is shown of it.

use super::journal;
use super::state::{self, LOCK_NOT_AVAILABLE, State};
use super::trouble::{NO_CONNECTION, Trouble};
use super::view::View;
use crate::access::Access;
use crate::catalog::position::{self, Position};
use crate::pg::background::{self, Failure};
use crate::pg::batch::Stop;
use plan::pause;
use plan::tempo::{self, LONG_BATCH};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// What is shown of a view whose batch its owner's statement has stopped.
const STOPPED: &str = "the batch was cancelled by a statement of the view's owner";
/// How soon one of the views that wait for brokers tries again.
const SCOUT_PAUSE: Duration = Duration::from_secs(2);

/// The views of a worker.
pub struct Views {
    /// By their numbers.
    pub by_id: HashMap<i64, View>,
    /// The worker's number.
    worker: usize,
    /// One of them may be gone, or the extension: the list is to be read again.
    pub may_be_gone: bool,
}

impl Views {
    /// None yet.
    pub fn of_worker(worker: usize) -> Views {
        Views {
            by_id: HashMap::new(),
            worker,
            may_be_gone: false,
        }
    }

    /// Those whose connection is not what it was when they were opened: they are opened anew, with new clients.
    pub fn with_changed_sources(&mut self) -> Vec<i64> {
        let mut changed = Vec::new();
        for (id, view) in &mut self.by_id {
            let table = view.assignment.table;
            let origin = view.origin.as_ref();
            if !origin.is_some_and(|origin| origin.is_same(table)) {
                view.origin = None;
                view.retry_at = Instant::now();
                changed.push(*id);
            }
        }
        changed
    }

    /// At most so many records go into its next batches.
    pub fn remember_batch(&mut self, id: i64, records: usize) {
        if let Some(view) = self.by_id.get_mut(&id) {
            view.most_records = records;
        }
    }

    /// It is opened anew at once.
    pub fn try_now(&mut self, id: i64) {
        if let Some(view) = self.by_id.get_mut(&id) {
            view.retry_at = Instant::now();
        }
    }

    /// A batch was loaded into these parts of it.
    pub fn loaded(&mut self, id: i64, flushed: bool, parts: Vec<String>) {
        let Some(view) = self.by_id.get_mut(&id) else {
            return;
        };
        if flushed || view.unwritten_since.is_none() {
            view.unwritten_since = Some(Instant::now());
        }
        view.partitions = parts;
    }

    /// A batch of so many records did not come to its end, after this time.
    pub fn stopped(&mut self, id: i64, stop: Stop, records: usize, took: Duration) {
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
        if let Some(view) = self.by_id.get_mut(&id) {
            view.known = None;
            view.retry_at = view.retry_at.max(Instant::now() + time);
        }
    }

    /// An error: the view waits, and begins anew from what is stored.
    pub fn failed(&mut self, id: i64, failure: &Failure) {
        let Some(view) = self.by_id.get_mut(&id) else {
            return;
        };
        view.put_off();
        self.may_be_gone = true;
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

    /// It could not be opened; where its servers do not answer, one of the views that wait for them tries often, for all.
    pub fn not_opened(&mut self, id: i64, access: Option<&Access>, failure: &Failure) {
        self.failed(id, failure);
        let Some(access) = access.filter(|_| failure.sqlstate == NO_CONNECTION) else {
            return;
        };
        let soon = Instant::now() + SCOUT_PAUSE;
        let is_scout =
            |view: &View| view.waits_for.as_ref() == Some(access) && view.retry_at <= soon;
        let mut others = self.by_id.iter().filter(|(other, _)| **other != id);
        let has_scout = others.any(|(_, view)| is_scout(view));
        if let Some(view) = self.by_id.get_mut(&id) {
            if !has_scout {
                view.retry_at = view.retry_at.min(soon);
            }
            view.waits_for = Some(access.clone());
        }
    }

    /// Servers answer again: nobody waits for them any longer.
    pub fn servers_answer(&mut self, access: &Access) {
        for view in self.by_id.values_mut() {
            if view.waits_for.as_ref() == Some(access) {
                view.waits_for = None;
                view.retry_at = Instant::now();
            }
        }
    }

    /// A view fails: the first time of a row it is told.
    fn tell_trouble(&mut self, id: i64, failure: &Failure) {
        let Some(view) = self.by_id.get_mut(&id) else {
            return;
        };
        let trouble = view.trouble.get_or_insert_default();
        if !std::mem::replace(&mut trouble.is_told, true) {
            background::log(&format!("materialized view {id}: {}", failure.message));
            journal::write_auto(id, self.worker, view.assignment.table, failure);
        }
    }

    /// The trouble of a view, which begins now if there was none.
    pub fn trouble(&mut self, id: i64) -> Option<&mut Trouble> {
        let view = self.by_id.get_mut(&id)?;
        Some(view.trouble.get_or_insert_default())
    }

    /// The source of a view does not answer.
    pub fn silent(&mut self, id: i64, cause: &str) {
        // Where a source slows down its answers are late, and so are those to our looks.
        let is_throttled = |view: &View| view.throttled.is_some() && view.errors == 0;
        if self.by_id.get(&id).is_none_or(is_throttled) {
            return;
        }
        self.tell_trouble(
            id,
            &Failure {
                sqlstate: NO_CONNECTION.to_owned(),
                message: cause.to_owned(),
            },
        );
        self.show(id, State::Retrying, Some(cause));
    }

    /// A stream was opened whose parts end there, if that is known.
    pub fn opened<P: Position>(&mut self, id: i64, ends: Option<&[position::State<P>]>) {
        let trouble = self.by_id.get_mut(&id).and_then(|v| v.trouble.as_mut());
        if let (Some(trouble), Some(ends)) = (trouble, ends) {
            trouble.bound(ends);
        }
    }

    /// The source answers. A view that stands there shows that, once it is past its trouble; of which nothing is known before the stream has given something.
    pub fn answered<P: Position>(
        &mut self,
        id: i64,
        stored: &[position::State<P>],
        has_given: bool,
    ) {
        let Some(view) = self.by_id.get(&id) else {
            return;
        };
        match &view.trouble {
            None => self.show(id, State::Running, None),
            Some(trouble) if has_given && trouble.is_past(stored) => self.end_trouble(id),
            Some(_) => {}
        }
    }

    fn end_trouble(&mut self, id: i64) {
        let Some(view) = self.by_id.get_mut(&id) else {
            return;
        };
        view.errors = 0;
        if view.trouble.take().is_some_and(|trouble| trouble.is_told) {
            journal::recovered(id, self.worker, view.assignment.table);
            background::log(&format!("materialized view {id} is loaded again"));
        }
        self.show(id, State::Running, None);
    }

    /// Shows that the source slows views down, and in which words, or that it does so no more.
    pub fn show_throttling(&mut self, ids: &[i64], cause: Option<&String>) {
        for &id in ids {
            let Some(view) = self.by_id.get_mut(&id) else {
                continue;
            };
            if view.throttled.is_none() && cause.is_none() {
                continue;
            }
            view.throttled = cause.cloned();
            let (shown, is_throttled) = (view.shown, cause.is_some());
            if shown == Some(State::Running) && is_throttled
                || shown == Some(State::Throttled) && !is_throttled
            {
                self.show(id, State::Running, None);
            }
        }
    }

    /// Writes what a view is doing if it is something else, unless it fails: after an error only a batch that is loaded shows that it is over.
    pub fn show_unless_failing(&mut self, id: i64, state: State) {
        if self.by_id.get(&id).is_some_and(|view| view.errors == 0) {
            self.show(id, state, None);
        }
    }

    /// Writes a view's state if it is another one.
    fn show(&mut self, id: i64, state: State, error: Option<&str>) {
        let Some(view) = self.by_id.get_mut(&id) else {
            return;
        };
        let (state, error) = match &view.throttled {
            Some(cause) if state == State::Running => (State::Throttled, Some(cause.as_str())),
            _ => (state, error),
        };
        if view.shown != Some(state) {
            state::write(id, self.worker, state, error);
            view.shown = Some(state);
        }
    }
}
