//! What a worker does with topics: begins to follow them, looks whether their brokers answer, and shows it where they do not.

use super::database::Worker;
use super::feed::{self, Feed, Plan, Topic};
use super::opening::{Begun, Opening};
use super::state::State;
use super::trouble::NO_CONNECTION;
use super::view::View;
use crate::access::Access;
use crate::pg::background::Failure;
use crate::pg::batch::Stop;
use std::time::{Duration, Instant};

/// How soon one of the views that wait for brokers tries again.
const SCOUT_PAUSE: Duration = Duration::from_secs(2);
/// So many topics are looked at side by side, each by two threads.
const MOST_LOOKS: usize = 32;

impl Worker {
    /// Begins feeds for views without one, and ends openings that the broker has answered.
    pub(super) fn open_feeds(&mut self) {
        let has_feed = |id: &i64| {
            self.streams.has(*id)
                || self.preparing.iter().any(|p| p.plan.mv_id == *id)
                || self
                    .openings
                    .iter()
                    .any(|opening| opening.plan.mv_id == *id)
                || self.feeds.iter().any(|feed| feed.members.contains(id))
        };
        let now = Instant::now();
        let waiting: Vec<Plan> = self
            .views
            .iter()
            .filter(|(id, view)| view.retry_at <= now && !has_feed(id))
            .map(|(_, view)| view.plan)
            .collect();
        for plan in waiting {
            match Opening::prepare(plan) {
                Ok((origin, begun)) => {
                    if let Some(view) = self.views.get_mut(&plan.mv_id) {
                        view.origin = Some(origin);
                        view.throttled = None;
                        view.kind = Some(begun.kind());
                    }
                    match begun {
                        Begun::Topic(prepared) => {
                            self.preparing.push(*prepared);
                            self.show_unless_failing(plan.mv_id, State::Starting);
                        }
                        Begun::Stream(stream) => self.open_stream(plan, *stream),
                    }
                }
                Err(failure) => self.failed(plan.mv_id, &failure),
            }
        }
        self.begin_openings();
        self.open_streams();
        let mut index = 0;
        while index < self.openings.len() {
            let asked = Instant::now();
            let Some(answer) = self.openings[index].poll(&self.clients) else {
                let opening = &self.openings[index];
                if opening.began.elapsed() > feed::PATIENCE {
                    let (id, cause) = (opening.plan.mv_id, opening.cause(&self.clients));
                    self.silent(id, &cause);
                }
                index += 1;
                continue;
            };
            let opening = self.openings.swap_remove(index);
            let (id, access) = (opening.plan.mv_id, opening.access().clone());
            let feed = answer.and_then(|start| {
                let feed = opening.into_feed(start, &mut self.clients, &self.wake);
                feed.map_err(Stop::Failed)
            });
            match feed {
                Ok(mut feed) => {
                    if let Some(view) = self.views.get(&id) {
                        feed.tempo.most_records = view.most_records;
                    }
                    self.opened(id, &feed);
                    self.feeds.push(feed);
                    self.brokers_answer(&access);
                }
                Err(Stop::Failed(failure)) => self.not_opened(id, access, &failure),
                Err(stop) => self.stopped(id, stop, 0, asked.elapsed()),
            }
        }
    }

    /// Begins the openings for which AWS has answered what had to be asked, if anything had.
    fn begin_openings(&mut self) {
        for prepared in std::mem::take(&mut self.preparing) {
            let (id, access) = (prepared.plan.mv_id, prepared.access().clone());
            let is_ready = prepared.has_client(&self.clients);
            let answered = if is_ready {
                Ok(true)
            } else {
                let questions = &prepared.questions;
                self.lookups.are_answered(questions, Some(&self.wake))
            };
            let begun = match answered {
                Ok(true) => Opening::begin(prepared, &mut self.clients, &self.wake).map(Some),
                Ok(false) => {
                    if prepared.began.elapsed() > feed::PATIENCE {
                        self.silent(id, &prepared.cause());
                    }
                    self.preparing.push(prepared);
                    Ok(None)
                }
                Err(failure) => Err(failure),
            };
            match begun {
                Ok(opening) => self.openings.extend(opening),
                Err(failure) => self.not_opened(id, access, &failure),
            }
        }
    }

    fn not_opened(&mut self, id: i64, access: Access, failure: &Failure) {
        self.failed(id, failure);
        if failure.sqlstate == NO_CONNECTION {
            self.wait_for_brokers(id, access);
        }
    }

    /// Of the views that wait for the same brokers one tries often, for all of them.
    fn wait_for_brokers(&mut self, id: i64, access: Access) {
        let soon = Instant::now() + SCOUT_PAUSE;
        let is_scout =
            |view: &View| view.waits_for.as_ref() == Some(&access) && view.retry_at <= soon;
        let has_scout = self
            .views
            .iter()
            .any(|(other, view)| *other != id && is_scout(view));
        if let Some(view) = self.views.get_mut(&id) {
            if !has_scout {
                view.retry_at = view.retry_at.min(soon);
            }
            view.waits_for = Some(access);
        }
    }

    /// They answer again: nobody waits for them any longer.
    fn brokers_answer(&mut self, access: &Access) {
        for view in self.views.values_mut() {
            if view.waits_for.as_ref() == Some(access) {
                view.waits_for = None;
                view.retry_at = Instant::now();
            }
        }
    }

    /// Looks for new partitions, re-created topics and brokers that are away.
    pub(super) fn follow_topics(&mut self) {
        let mut index = 0;
        let looks = self.feeds.iter().filter(|feed| feed.is_looking());
        let mut looks = looks.count();
        while index < self.feeds.len() {
            let access = self.feeds[index].access().clone();
            let is_probe = self.feeds[..index]
                .iter()
                .all(|feed| *feed.access() != access);
            let may_ask = is_probe || looks < MOST_LOOKS;
            let of = self.feeds.len();
            let was_looking = self.feeds[index].is_looking();
            match self.feeds[index].look_at_topic(&self.clients, of, is_probe, may_ask) {
                Topic::Same => {}
                Topic::Answered => self.answered(&access),
                Topic::Silent(cause) => {
                    let of_access = |feed: &Feed| *feed.access() == access;
                    for id in self.members_where(of_access) {
                        self.silent(id, &cause);
                    }
                }
                Topic::Leaderless(cause) => {
                    for id in self.feeds[index].members.clone() {
                        self.silent(id, &cause);
                    }
                }
                Topic::Changed => {
                    self.feeds.swap_remove(index);
                    continue;
                }
            }
            looks += usize::from(!was_looking && self.feeds[index].is_looking());
            let cause = self.feeds[index].throttled(&self.clients);
            let members = self.feeds[index].members.clone();
            self.show_throttling(&members, cause.as_ref());
            index += 1;
        }
    }

    fn members_where(&self, which: impl Fn(&Feed) -> bool) -> Vec<i64> {
        let feeds = self.feeds.iter().filter(|feed| which(feed));
        feeds
            .flat_map(|feed| feed.members.iter().copied())
            .collect()
    }

    /// The brokers answer, those of some partitions may not.
    fn answered(&mut self, access: &Access) {
        let of_access = |feed: &Feed| feed.access() == access && !feed.is_silent;
        for id in self.members_where(of_access) {
            let is_in_trouble = |view: &View| view.trouble.is_some();
            if !self.views.get(&id).is_some_and(is_in_trouble) {
                self.show(id, State::Running, None);
                continue;
            }
            let mut feeds = self.feeds.iter();
            let feed = feeds.find(|feed| feed.members.contains(&id));
            if let Some(positions) = feed.map(|feed| feed.positions.clone()) {
                self.settle(id, &positions);
            }
        }
    }

    /// Shows that the source slows views down, and in which words, or that it does so no more.
    pub(super) fn show_throttling(&mut self, ids: &[i64], cause: Option<&String>) {
        let was_throttled = |id: &i64| self.views.get(id).is_some_and(|v| v.throttled.is_some());
        if cause.is_none() && !ids.iter().any(was_throttled) {
            return;
        }
        for &id in ids {
            let Some(view) = self.views.get_mut(&id) else {
                continue;
            };
            view.throttled = cause.cloned();
            let (shown, is_throttled) = (view.shown, cause.is_some());
            if shown == Some(State::Running) && is_throttled
                || shown == Some(State::Throttled) && !is_throttled
            {
                self.show(id, State::Running, None);
            }
        }
    }
}
