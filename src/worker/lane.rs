//! A lane: what a worker has of one source. Views of it are opened, looked after and loaded, a batch a feed; clients and memory are shared.

use super::feed::{Feed, Step};
use super::load::Outcome;
use super::lookup::Lookups;
use super::opening::{Opening, Prepared};
use super::views::Views;
use crate::catalog::position::{EARLIEST, Position};
use crate::pg::batch::Stop;
use crate::pg::wait::WakeSet;
use crate::source::Records;
use crate::source::follow::{Clients, Division, Follow, Look, PATIENCE, Tail, Turn, takes};
use plan::room::{self, Waiting};
use plan::tempo::{self, LONG_BATCH};
use std::time::{Duration, Instant};

/// So many streams are looked at side by side.
const MOST_LOOKS: usize = 32;

/// What a worker has of one source.
pub struct Lane<S: Follow> {
    // Readers and questions go before their clients.
    feeds: Vec<Feed<S>>,
    openings: Vec<Opening<S>>,
    preparing: Vec<Prepared<S>>,
    clients: S::Clients,
}

impl<S: Follow> Default for Lane<S> {
    fn default() -> Lane<S> {
        Lane {
            feeds: Vec::new(),
            openings: Vec::new(),
            preparing: Vec::new(),
            clients: S::Clients::default(),
        }
    }
}

impl<S: Follow> Lane<S> {
    /// Is the view followed here, or about to be?
    pub fn has(&self, id: i64) -> bool {
        let mut preparing = self.preparing.iter().map(|p| p.assignment.mv_id);
        let mut openings = self.openings.iter().map(|o| o.assignment.mv_id);
        preparing.any(|other| other == id)
            || openings.any(|other| other == id)
            || self.feeds.iter().any(|feed| feed.members.contains(&id))
    }

    /// Follows no views but these.
    pub fn retain(&mut self, keep: impl Fn(i64) -> bool) {
        self.preparing.retain(|p| keep(p.assignment.mv_id));
        self.openings.retain(|o| keep(o.assignment.mv_id));
        for feed in &mut self.feeds {
            feed.members.retain(|id| keep(*id));
        }
        self.drop_empty();
    }

    fn drop_empty(&mut self) {
        self.feeds.retain(|feed| !feed.members.is_empty());
    }

    /// All feeds are opened anew, with new clients; who has none yet goes on.
    fn reopen(&mut self, views: &mut Views) {
        for id in self.openings.drain(..).map(|o| o.assignment.mv_id) {
            views.try_now(id);
        }
        for id in self.feeds.drain(..).flat_map(|feed| feed.members) {
            views.try_now(id);
        }
    }

    /// So many views have so many bytes together from now on. What was fetched is fetched again if clients hold another part.
    pub fn divide_memory(&mut self, bytes: usize, count: usize, views: &mut Views) {
        match self.clients.divide(bytes, count) {
            Division::Same => {}
            Division::Resized => self.feeds.iter().for_each(|f| f.tail.share(&self.clients)),
            Division::Reopen => self.reopen(views),
        }
    }

    /// After a wake-up; everything is polled then.
    pub fn clear_wakes(&self) {
        self.clients.clear_wakes();
    }

    /// Begins to follow a view.
    pub fn prepare(&mut self, prepared: Prepared<S>) {
        self.preparing.push(prepared);
    }

    /// Begins openings for which AWS has answered what had to be asked, if anything had, and ends those that the source has answered.
    pub fn open(&mut self, views: &mut Views, lookups: &mut Lookups, wake: &WakeSet) {
        self.begin_openings(views, lookups, wake);
        let mut index = 0;
        while index < self.openings.len() {
            let asked = Instant::now();
            let opening = &mut self.openings[index];
            let Some(answer) = opening.poll() else {
                if opening.began.elapsed() > PATIENCE {
                    views.silent(opening.assignment.mv_id, &opening.cause());
                }
                index += 1;
                continue;
            };
            let opening = self.openings.swap_remove(index);
            let id = opening.assignment.mv_id;
            let access = opening.source.access().cloned();
            let feed = answer.and_then(|start| {
                let feed = opening.into_feed(start, &mut self.clients, wake);
                feed.map_err(Stop::Failed)
            });
            match feed {
                Ok(feed) => self.begin(feed, id, views),
                Err(Stop::Failed(failure)) => views.not_opened(id, access.as_ref(), &failure),
                Err(stop) => views.stopped(id, stop, 0, asked.elapsed()),
            }
        }
    }

    fn begin_openings(&mut self, views: &mut Views, lookups: &mut Lookups, wake: &WakeSet) {
        for prepared in std::mem::take(&mut self.preparing) {
            let (id, questions) = (prepared.assignment.mv_id, &prepared.questions);
            let access = prepared.source.access().cloned();
            let is_ready = questions.is_empty() || prepared.source.has_client(&self.clients);
            let answered = if is_ready {
                Ok(true)
            } else {
                lookups.are_answered(questions, Some(wake))
            };
            let begun = match answered {
                Ok(true) => prepared.begin(&mut self.clients, wake).map(Some),
                Ok(false) => {
                    if prepared.began.elapsed() > PATIENCE {
                        views.silent(id, &prepared.cause());
                    }
                    self.preparing.push(prepared);
                    Ok(None)
                }
                Err(failure) => Err(failure),
            };
            match begun {
                Ok(opening) => self.openings.extend(opening),
                Err(failure) => views.not_opened(id, access.as_ref(), &failure),
            }
        }
    }

    fn begin(&mut self, mut feed: Feed<S>, id: i64, views: &mut Views) {
        if let Some(view) = views.by_id.get(&id) {
            feed.tempo.most_records = view.most_records;
        }
        views.opened(id, feed.tail.ends().as_deref());
        views.answered(id, &feed.place.stored, feed.tail.answers());
        if let Some(access) = feed.place.source.access() {
            views.servers_answer(access);
        }
        self.feeds.push(feed);
    }

    /// Looks for new parts, re-created streams and sources that are away or slow views down.
    pub fn follow(&mut self, views: &mut Views) {
        let mut looks = self.feeds.iter().filter(|f| f.tail.is_looking()).count();
        let mut index = 0;
        while index < self.feeds.len() {
            let turn = self.turn(index, looks);
            let feed = &mut self.feeds[index];
            let was_looking = feed.tail.is_looking();
            let found = feed.look(turn);
            looks += usize::from(!was_looking && feed.tail.is_looking());
            views.show_throttling(&feed.members, feed.tail.throttled().as_ref());
            match found {
                Look::Same => {}
                Look::Answers => feed.answered(views),
                Look::ServersAnswer => {
                    for feed in self.of_same_servers(index).filter(|f| f.tail.answers()) {
                        feed.answered(views);
                    }
                }
                Look::Silent(cause) => feed.silent(&cause, views),
                Look::ServersSilent(cause) => {
                    for feed in self.of_same_servers(index) {
                        feed.silent(&cause, views);
                    }
                }
                Look::Changed => {
                    self.feeds.swap_remove(index);
                    continue;
                }
            }
            index += 1;
        }
    }

    fn turn(&self, index: usize, looks: usize) -> Turn {
        let source = &self.feeds[index].place.source;
        let mut before = self.feeds[..index].iter();
        let is_probe = before.all(|feed| !feed.place.source.reads_as(source));
        Turn {
            of: self.feeds.len(),
            is_probe,
            may_ask: is_probe || looks < MOST_LOOKS,
        }
    }

    fn of_same_servers(&self, index: usize) -> impl Iterator<Item = &Feed<S>> {
        let source = &self.feeds[index].place.source;
        let feeds = self.feeds.iter();
        feeds.filter(move |feed| feed.place.source.reads_as(source))
    }

    /// Loads what has arrived, a batch a feed; true if there may be more.
    pub fn load(&mut self, views: &mut Views) -> bool {
        let mut busy = false;
        let mut gathered: usize = self.feeds.iter().map(|f| f.tail.gathered_memory()).sum();
        let mut index = 0;
        while index < self.feeds.len() {
            let feeds = self.feeds.len();
            let feed = &mut self.feeds[index];
            let own = feed.tail.gathered_memory();
            let memory = Waiting::of(self.clients.memory(), gathered, own, feeds);
            feed.tempo.limits = feed.pace.limits();
            let has_memory = memory != Waiting::Others;
            if !feed.tempo.may_gather(has_memory, Instant::now()) {
                index += 1;
                continue;
            }
            gathered -= own;
            match feed.gather(memory == Waiting::Own) {
                Ok(None) => gathered += feed.tail.gathered_memory(),
                Ok(Some(step)) => {
                    busy = true;
                    feed.load_all(step, views);
                }
                Err(failure) => {
                    let feed = self.feeds.swap_remove(index);
                    let next = feed.tail.next(&feed.place.stored);
                    for id in feed.members {
                        if let Some(trouble) = views.trouble(id) {
                            trouble.cover(next.iter());
                        }
                        views.failed(id, &failure);
                    }
                    continue;
                }
            }
            index += 1;
        }
        self.drop_empty();
        busy
    }

    /// Does a view have more to load than a batch?
    pub fn has_backlog(&self) -> bool {
        self.feeds.iter().any(|feed| feed.backlog.is_some())
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

    /// The room to fetch ahead for a backlog goes from feed to feed: ends a turn that is over, and begins the next one.
    pub fn give_room(&mut self, views: &mut Views, wake: &WakeSet) {
        if !S::TAKES_TURNS {
            return;
        }
        let place = |feed: &Feed<S>| room::Place {
            behind_since: feed.tempo.behind_since(),
            room_since: feed.tail.room_since(),
        };
        let line: Vec<room::Place> = self.feeds.iter().map(place).collect();
        let change = room::turn(&line, Instant::now());
        if let Some(holder) = change.ends {
            self.change_room(holder, false, views, wake);
        }
        if let Some(next) = change.begins {
            self.change_room(next, true, views, wake);
        }
        self.drop_empty();
    }

    fn change_room(&mut self, index: usize, has_room: bool, views: &mut Views, wake: &WakeSet) {
        let feed = &mut self.feeds[index];
        let lane = (&mut self.clients, wake);
        if let Err(failure) = feed.tail.change_room(&feed.place, has_room, lane) {
            // The feeds keep their places until all is done.
            for id in std::mem::take(&mut feed.members) {
                views.failed(id, &failure);
            }
        } else if !has_room {
            feed.tempo.wait_anew(Instant::now());
        }
    }

    /// Leaves views whose positions somebody moved (a refresh by hand, set_position), or that are to be read in another way: they begin anew, also
    /// when nothing arrives. `stored` are view, part and position of all views; `consumer` says by which one a view is to be read.
    pub fn leave_moved(
        &mut self,
        stored: &[(i64, String, Option<String>)],
        consumer: impl Fn(i64) -> Option<String>,
    ) {
        for feed in &mut self.feeds {
            let place = &feed.place;
            let is_here = |id: &i64| {
                let own = stored.iter().filter(|(view, ..)| view == id);
                // A row that cannot be read is nowhere: that is told when the view is opened anew.
                let rows = own.map(|(_, part, position)| {
                    let text = position.as_deref().unwrap_or(EARLIEST);
                    Some((S::Position::read_part(part)?, S::Position::read(text)?))
                });
                let rows: Option<Vec<_>> = rows.collect();
                rows.is_some_and(|mut rows| {
                    rows.retain(|(part, _)| takes::<S::Position>(place.slice, part));
                    place.is_at(&rows)
                }) && (!S::HAS_CONSUMERS || consumer(*id) == place.consumer)
            };
            feed.members.retain(is_here);
        }
        self.drop_empty();
    }

    /// When there may be something to do that nothing wakes the worker for.
    pub fn moments(&self) -> impl Iterator<Item = Instant> {
        let opens = self.feeds.iter().filter_map(|feed| feed.tempo.opens_at());
        let looks = self.feeds.iter().filter_map(|feed| feed.tail.looks_at());
        let began = self.openings.iter().map(|opening| opening.began);
        let began = began.chain(self.preparing.iter().map(|prepared| prepared.began));
        opens
            .chain(looks)
            .chain(began.map(|began| began + PATIENCE))
    }
}

impl<S: Follow> Feed<S> {
    fn answered(&self, views: &mut Views) {
        for id in &self.members {
            views.answered(*id, &self.place.stored, self.tail.answers());
        }
    }

    fn silent(&self, cause: &str, views: &mut Views) {
        for id in &self.members {
            views.silent(*id, cause);
        }
    }

    fn load_all(&mut self, step: Step<S>, views: &mut Views) {
        let records = step.batch.records.len();
        let members = self.members.clone();
        let times: Vec<Duration> = members
            .iter()
            .map(|id| {
                let began = Instant::now();
                self.load_view(*id, &step, views);
                began.elapsed()
            })
            .collect();
        let shortest = times.iter().min().copied().unwrap_or_default();
        let mut longest = Duration::ZERO;
        for (id, took) in members.into_iter().zip(times) {
            if took > LONG_BATCH && took > shortest * 2 {
                // It would delay the others on this stream: it gets a feed of its own until it has caught up. (Where commits are slow they all take long.)
                self.leave(id);
                views.remember_batch(id, tempo::smaller(records, took));
            } else {
                longest = longest.max(took);
            }
        }
        self.advance(step, longest, views.by_id.len() < 2);
        if let [id] = self.members[..] {
            views.remember_batch(id, self.tempo.most_records);
        }
    }

    fn load_view(&mut self, id: i64, step: &Step<S>, views: &mut Views) {
        let Some(view) = views.by_id.get_mut(&id) else {
            return;
        };
        let flush = view.owes_ledger();
        let began = Instant::now();
        match self.load(step, view.assignment.table, &mut view.known, flush) {
            Ok(Outcome::Loaded) => {
                views.loaded(id, flush, step.part_names());
                // Not while the leader of another partition is silent.
                if self.tail.answers() {
                    views.answered(id, &step.after, true);
                }
            }
            Ok(Outcome::Moved) => self.leave(id),
            Ok(Outcome::Gone) => {
                self.leave(id);
                views.may_be_gone = true;
            }
            Err(stop) => {
                self.leave(id);
                if !matches!(stop, Stop::ByOwner(_))
                    && let Some(trouble) = views.trouble(id)
                {
                    trouble.cover(step.batch.moves.iter().map(|moved| &moved.to));
                }
                views.stopped(id, stop, step.batch.records.len(), began.elapsed());
            }
        }
    }
}
