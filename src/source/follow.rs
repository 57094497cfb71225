//! What a worker needs of a source whose streams it follows. Nothing here waits: what is asked is polled, and what has arrived is gathered.
//!
//! A worker has a lane a source: clients that its feeds share, questions under way, and feeds (`worker::lane`). A source whose records are in this
//! server has no clients and answers at once; it is woken through the worker's latch.

use super::Source;
use super::plan::Plan;
use crate::access::Access;
use crate::catalog::checkpoint::Checkpoint;
use crate::catalog::materialized_view::MaterializedView;
use crate::catalog::position::{Position, State};
use crate::pg::background::{Failure, transaction};
use crate::pg::wait::WakeSet;
use crate::pg::{setting, spi};
use ::plan::bounds::Bounds;
use ::plan::share::Slice;
use std::rc::Rc;
use std::time::{Duration, Instant};
use stream::Gathered;

/// How long a source may take to answer before the views are shown as waiting for it.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// How long a lock is waited for before the others get their turn.
const LOCK_TIMEOUT_MS: u32 = 200;

/// Sets the bound on waiting for locks in this transaction.
pub fn bound_lock_waits() {
    spi::set_lock_timeout(LOCK_TIMEOUT_MS);
}

/// What names a part of a source's streams.
pub type Part<S> = <<S as Source>::Position as Position>::Part;

/// Is the part one of a worker's? Parts without a number are all one worker's.
pub fn takes<P: Position>(slice: Slice, part: &P::Part) -> bool {
    P::number(part).is_none_or(|number| slice.takes(number as i32))
}

/// What ends a question or a feed.
pub enum Fault {
    /// The source's own.
    Source(stream::Error),
    /// An error of a transaction of ours.
    Failed(Failure),
}

impl Fault {
    /// As it is shown of a view. `what` says what we were about.
    pub fn into_failure<S: Source>(self, what: &str) -> Failure {
        match self {
            Fault::Source(error) => match transaction(|| S::failure(what, &error).raise()) {
                Ok(()) => unreachable!("a report that is raised is an error"),
                Err(failure) => failure,
            },
            Fault::Failed(failure) => failure,
        }
    }
}

impl From<stream::Error> for Fault {
    fn from(error: stream::Error) -> Fault {
        Fault::Source(error)
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Fault {
        Fault::Failed(failure)
    }
}

/// A source that a worker can follow.
pub trait Follow: Source {
    /// What a worker's feeds share: clients, and the memory for what they fetch ahead.
    type Clients: Clients;
    /// A question where a stream begins and ends, under way.
    type Asking: Asking<Self>;
    /// Its answer.
    type Found;
    /// Reads a stream on from where views stand.
    type Tail: Tail<Self>;

    /// One feed at a time has room to fetch ahead, in turn.
    const TAKES_TURNS: bool = false;

    /// Which servers are asked, as whom: of the views that wait for the same, one tries for all.
    fn access(&self) -> Option<&Access> {
        None
    }

    /// Is there a client already, which asks nobody for what it is made of?
    fn has_client(&self, _clients: &Self::Clients) -> bool {
        false
    }

    /// Asks for a stream. Within a transaction.
    fn ask(&self, name: &str, clients: &mut Self::Clients, wake: &WakeSet) -> Self::Asking;

    /// Compares what is stored of a worker's parts with the answer, as a refresh does: [`Source::plan`].
    fn plan_found(
        &self,
        view: &MaterializedView,
        found: &Self::Found,
        stored: Vec<Checkpoint<Self::Position>>,
        bounds: &Bounds,
    ) -> Plan<Self>;

    /// The worker's parts that the definition does not read.
    fn left_out(_found: &Self::Found, _bounds: &Bounds) -> Vec<Part<Self>> {
        Vec::new()
    }

    /// Reads on from there.
    fn follow(
        place: &Place<Self>,
        asking: Self::Asking,
        found: Self::Found,
        reading: Self::Reading,
        lane: (&mut Self::Clients, &WakeSet),
    ) -> Result<Self::Tail, Failure>;

    /// Locks what a batch that moves these parts compares, and gives it as it is then: a slice of a view's positions, or all.
    fn lock(mv_id: i64, parts: &[Part<Self>]) -> Vec<Checkpoint<Self::Position>>;

    /// Raises an error for a part that came up and whose name cannot be stored.
    fn check_part(_name: &str, _part: &Part<Self>) {}
}

/// What the feeds of a worker share. The default is what a worker has before its first view.
pub trait Clients: Default {
    /// So many views have so many bytes together from now on.
    fn divide(&mut self, bytes: usize, views: usize) -> Division;

    /// What they may hold together, in bytes.
    fn memory(&self) -> usize;

    /// After a wake-up; everything is polled then.
    fn clear_wakes(&self);
}

/// What a new division of the memory asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Division {
    /// It is the same.
    Same,
    /// Each feed takes its part: [`Tail::share`].
    Resized,
    /// Clients cannot be resized: feeds are opened anew.
    Reopen,
}

/// Memory that views share evenly, where a new division acts at once.
pub struct Share {
    bytes: usize,
    views: usize,
}

impl Default for Share {
    fn default() -> Share {
        Share {
            bytes: setting::memory_limit_bytes(),
            views: 1,
        }
    }
}

impl Share {
    /// As [`Clients::divide`].
    pub fn divide(&mut self, bytes: usize, views: usize) -> Division {
        let views = views.max(1);
        if (self.bytes, self.views) == (bytes, views) {
            return Division::Same;
        }
        (self.bytes, self.views) = (bytes, views);
        Division::Resized
    }

    /// All of it.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many views share it, one at least.
    pub fn views(&self) -> usize {
        self.views
    }
}

/// A question under way.
pub trait Asking<S: Follow> {
    /// The answer for a worker's parts, once it has come.
    fn poll(&mut self, source: &S, name: &str, slice: Slice) -> Result<Option<S::Found>, Fault>;

    /// The view was moved meanwhile: the ends may be older than its positions.
    fn ask_again(&mut self, source: &S, name: &str);

    /// Why there is no answer yet.
    fn cause(&self) -> String;
}

/// Where the views of a feed stand, and in which stream.
pub struct Place<S: Source> {
    /// The source.
    pub source: S,
    /// The topic's or stream's name.
    pub name: String,
    /// What tells it from another one of its name.
    pub source_id: Option<String>,
    /// By which registered consumer it is read, if by one.
    pub consumer: Option<String>,
    /// The parts that are the worker's.
    pub slice: Slice,
    /// What is stored of them, in the order in which their records are counted.
    pub stored: Vec<State<S::Position>>,
    /// Those that the definitions do not read.
    pub excluded: Vec<Part<S>>,
}

impl<S: Source> Place<S> {
    fn open(&self) -> Vec<(&Part<S>, &S::Position)> {
        let open = self.stored.iter().filter(|state| !state.is_drained);
        let mut open: Vec<_> = open.map(|state| (&state.part, &state.position)).collect();
        open.sort_by(|one, other| one.0.cmp(other.0));
        open
    }

    /// Would the same be read from here?
    pub fn is_same(&self, other: &Place<S>) -> bool {
        self.name == other.name
            && self.source.reads_as(&other.source)
            && self.source_id == other.source_id
            && self.consumer == other.consumer
            && self.slice == other.slice
            && self.excluded == other.excluded
            && self.open() == other.open()
    }

    /// Are these the positions of all its parts that are not read to their end?
    pub fn is_at(&self, rows: &[(Part<S>, S::Position)]) -> bool {
        let open = self.open();
        let is_here = |(part, position): &(Part<S>, S::Position)| {
            let found = open.binary_search_by(|(known, _)| (*known).cmp(part));
            found.is_ok_and(|at| open[at].1 == position)
        };
        open.len() == rows.len() && rows.iter().all(is_here)
    }

    /// What is stored after a batch.
    pub fn after(&self, batch: &Batch<S>) -> Vec<State<S::Position>> {
        let mut after = self.stored.clone();
        let mut new = Vec::new();
        // Both are in the same order.
        let mut states = after.iter_mut();
        for moved in &batch.moves {
            if moved.is_new {
                new.push(moved.to.clone());
            } else if let Some(state) = states.find(|state| state.part == moved.to.part) {
                *state = moved.to.clone();
            }
        }
        after.extend(new);
        after
    }
}

/// What is to be stored for all views of a feed.
pub struct Batch<S: Source> {
    /// The records; there may be none.
    pub records: Rc<S::Records>,
    /// What a scan of them is given.
    pub reading: S::Reading,
    /// The parts that move, in the order in which their records are counted.
    pub moves: Vec<Move<S::Position>>,
}

/// What a batch does with a part.
pub struct Move<P: Position> {
    /// Where it is before.
    pub from: P,
    /// What is stored after it.
    pub to: State<P>,
    /// It came up while others were read: nothing is stored of it yet.
    pub is_new: bool,
    /// More than its position has to be stored.
    pub is_noted: bool,
}

/// A look at a stream, one of many.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// How many streams are looked at.
    pub of: usize,
    /// It is the one that tells of its servers.
    pub is_probe: bool,
    /// Another question may be asked now.
    pub may_ask: bool,
}

/// What a source says of a feed's stream.
pub enum Look {
    /// Nothing new.
    Same,
    /// It answers.
    Answers,
    /// Its servers answer, for all streams of theirs.
    ServersAnswer,
    /// Other parts, or another stream of the same name: open again.
    Changed,
    /// It does not answer, for this reason.
    Silent(String),
    /// None of its servers does, for any stream.
    ServersSilent(String),
}

/// Reads a stream on from where views stand. Its reader goes before the client.
pub trait Tail<S: Follow> {
    /// Gathers what has arrived, until there are so many records or bytes.
    fn gather(&mut self, records: usize, bytes: u64) -> Result<Gathered, Fault>;

    /// How many records were gathered.
    fn gathered(&self) -> usize;

    /// Their memory, where nothing else bounds it.
    fn gathered_memory(&self) -> usize {
        0
    }

    /// What there is to store, if there is.
    fn take(&mut self, stored: &[State<S::Position>]) -> Option<Batch<S>>;

    /// How many records wait beyond these positions, as far as is known.
    fn waiting(&self, _stored: &[State<S::Position>]) -> Option<u64> {
        None
    }

    /// Past the next record of each part that has one, as far as is known.
    fn next(&self, _stored: &[State<S::Position>]) -> Vec<State<S::Position>> {
        Vec::new()
    }

    /// Where the parts end, if that was asked.
    fn ends(&self) -> Option<Vec<State<S::Position>>> {
        None
    }

    /// Looks at the stream from time to time.
    fn look(&mut self, place: &Place<S>, turn: Turn) -> Look;

    /// Is a question under way that counts among [`Turn::may_ask`]?
    fn is_looking(&self) -> bool {
        false
    }

    /// When it looks next, if nothing else wakes the worker.
    fn looks_at(&self) -> Option<Instant> {
        None
    }

    /// Does the stream answer, as far as is known?
    fn answers(&self) -> bool;

    /// In words, what slows it down.
    fn throttled(&self) -> Option<String> {
        None
    }

    /// Takes its part of the memory.
    fn share(&self, _clients: &S::Clients) {}

    /// Since when it has room to fetch ahead for a backlog.
    fn room_since(&self) -> Option<Instant> {
        None
    }

    /// Reads on with room, or without it again. What was fetched and not loaded is fetched again.
    fn change_room(
        &mut self,
        _place: &Place<S>,
        _has_room: bool,
        _lane: (&mut S::Clients, &WakeSet),
    ) -> Result<(), Failure> {
        Ok(())
    }
}
