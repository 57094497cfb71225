//! How a worker follows streams: one reader of all shards, whose children come up while it reads.

use super::plan::{self, Checkpoint};
use super::{Kinesis, Plan, Reading, check_shard, state};
use crate::catalog::checkpoint;
use crate::catalog::materialized_view::MaterializedView;
use crate::catalog::position::State;
use crate::error;
use crate::pg::background::{Failure, transaction};
use crate::pg::setting;
use crate::pg::wait::WakeSet;
use crate::source::Source;
use crate::source::follow::{self, Asking, Batch, Division, Fault, Follow, Look, Move};
use crate::source::follow::{PATIENCE, Place, Share, Tail, Turn};
use ::plan::bounds::Bounds;
use ::plan::share::Slice;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};
use stream::Gathered;
use stream::kinesis::{
    Client, Memory, Pending, Position, ReadOptions, Reader, StreamDescription, Until, now_ms,
};

/// How often a stream is looked at for shards that nobody told of, and whether it is still the same one.
const DESCRIBE_PAUSE: Duration = Duration::from_secs(10);
/// How long the service may be silent where it pushes: without records there is an event every five seconds.
const PUSH_PATIENCE: Duration = Duration::from_secs(10);
/// How far behind the stored parity of a shard may be that has no new records: it matters only when retention has passed.
const PARITY_PAUSE_MS: i64 = 60_000;

/// A client a feed; what they share is the memory.
pub struct Clients {
    all: Vec<Weak<Client>>,
    /// What their readers hold together.
    memory: Memory,
    share: Share,
}

impl Default for Clients {
    fn default() -> Clients {
        let share = Share::default();
        Clients {
            all: Vec::new(),
            memory: Memory::new(share.bytes()),
            share,
        }
    }
}

impl follow::Clients for Clients {
    fn divide(&mut self, bytes: usize, views: usize) -> Division {
        let division = self.share.divide(bytes, views);
        if division != Division::Same {
            self.memory.resize(bytes);
        }
        division
    }

    fn memory(&self) -> usize {
        self.share.bytes()
    }

    fn clear_wakes(&self) {
        let all = self.all.iter().filter_map(Weak::upgrade);
        all.for_each(|client| client.clear_wake());
    }
}

impl Clients {
    /// A reader holds at most so many bytes beside so many others.
    fn of_reader(&self) -> usize {
        self.share.bytes() / self.share.views()
    }
}

/// A stream is asked for.
pub struct StreamAsking {
    description: Pending<StreamDescription>,
    client: Rc<Client>,
}

impl Asking<Kinesis> for StreamAsking {
    fn poll(
        &mut self,
        _source: &Kinesis,
        _name: &str,
        _slice: Slice,
    ) -> Result<Option<StreamDescription>, Fault> {
        Ok(self.description.poll().transpose()?)
    }

    fn ask_again(&mut self, _source: &Kinesis, name: &str) {
        self.description = self
            .client
            .describe_stream(name, setting::connect_timeout());
    }

    fn cause(&self) -> String {
        "no answer from Kinesis yet".to_owned()
    }
}

impl Follow for Kinesis {
    type Clients = Clients;
    type Asking = StreamAsking;
    type Found = StreamDescription;
    type Tail = KinesisTail;

    fn ask(&self, name: &str, clients: &mut Clients, wake: &WakeSet) -> StreamAsking {
        let client = Rc::new(self.client(clients.of_reader(), Some(&clients.memory)));
        wake.add(client.wake_fd());
        clients.all.retain(|client| client.strong_count() > 0);
        clients.all.push(Rc::downgrade(&client));
        StreamAsking {
            description: client.describe_stream(name, setting::connect_timeout()),
            client,
        }
    }

    fn plan_found(
        &self,
        view: &MaterializedView,
        found: &StreamDescription,
        stored: Vec<Checkpoint>,
        _bounds: &Bounds,
    ) -> Plan {
        plan::plan(view, found, stored, now_ms(), self.deaggregate)
    }

    fn follow(
        place: &Place<Kinesis>,
        asking: StreamAsking,
        found: StreamDescription,
        reading: Reading,
        _lane: (&mut Clients, &WakeSet),
    ) -> Result<KinesisTail, Failure> {
        let client = asking.client;
        let deaggregate = place.source.deaggregate;
        let reader = match &place.consumer {
            Some(consumer) => client.follow(&place.name, reading.shards, deaggregate, consumer),
            None => {
                let options = ReadOptions {
                    until: Until::Stopped,
                    page_records: None,
                    deaggregate,
                };
                client.read(&place.name, reading.shards, &options)
            }
        };
        let reader = match reader {
            Ok(reader) => reader,
            Err(error) => {
                let label = place.source.label();
                transaction(|| error::service(&label, &error).raise())?
            }
        };
        Ok(KinesisTail {
            reader,
            client,
            shown: found.shards.into_iter().map(|shard| shard.id).collect(),
            created_ms: found.created_ms,
            answers: 0,
            answered: Instant::now(),
            described: Instant::now(),
            description: None,
        })
    }

    /// All: whether a shard has a row is compared too.
    fn lock(mv_id: i64, _shards: &[String]) -> Vec<Checkpoint> {
        checkpoint::lock(mv_id)
    }

    fn check_part(name: &str, shard: &String) {
        check_shard(name, shard);
    }
}

/// A reader with a client of its own.
pub struct KinesisTail {
    // The reader goes before its client.
    reader: Reader,
    client: Rc<Client>,
    created_ms: i64,
    /// The shards that the service has shown.
    shown: Vec<String>,
    /// The reader's answers, and since when there are so many.
    answers: u64,
    answered: Instant,
    described: Instant,
    description: Option<Pending<StreamDescription>>,
}

/// Must more be stored of a shard than its position?
fn is_news(before: Option<&State<Position>>, now: &State<Position>) -> bool {
    before.is_none_or(|before| {
        let (then, now_at) = (before.caught_up_to, now.caught_up_to);
        let is_due =
            now_at.is_some_and(|now_at| then.is_none_or(|then| now_at - then >= PARITY_PAUSE_MS));
        before.is_drained != now.is_drained || is_due
    })
}

/// From what is stored of a shard to what its reader has reached: parity only where it is stored too.
fn moved(before: Option<&State<Position>>, reached: State<Position>) -> Move<Position> {
    let is_noted = is_news(before, &reached);
    let mut to = reached;
    if let Some(before) = before.filter(|_| !is_noted) {
        to.caught_up_to = before.caught_up_to;
    }
    Move {
        from: before.map_or(Position::Horizon, |before| before.position.clone()),
        to,
        is_new: before.is_none(),
        is_noted,
    }
}

impl Tail<Kinesis> for KinesisTail {
    fn gather(&mut self, records: usize, bytes: u64) -> Result<Gathered, Fault> {
        Ok(self.reader.gather(records, bytes)?)
    }

    fn gathered(&self) -> usize {
        self.reader.gathered().len()
    }

    fn take(&mut self, stored: &[State<Position>]) -> Option<Batch<Kinesis>> {
        let reached = self.reader.shards().into_iter().map(state).enumerate();
        let moves: Vec<Move<Position>> = reached
            .map(|(place, reached)| moved(stored.get(place), reached))
            .collect();
        let has_news = moves.iter().any(|moved| moved.is_noted);
        (has_news || !self.reader.gathered().is_empty()).then(|| Batch {
            records: Rc::new(self.reader.take()),
            reading: Reading::default(),
            moves,
        })
    }

    fn look(&mut self, place: &Place<Kinesis>, _turn: Turn) -> Look {
        if self.reader.answers() != self.answers {
            self.answers = self.reader.answers();
            self.answered = Instant::now();
        }
        if self.description.is_none() && self.described.elapsed() >= DESCRIBE_PAUSE {
            self.description = Some(self.client.describe_stream(&place.name, PATIENCE));
        }
        if let Some(answer) = self.description.as_mut().and_then(Pending::poll) {
            self.description = None;
            self.described = Instant::now();
            match answer {
                Ok(stream) if self.is_other(&stream) => return Look::Changed,
                Err(stream::Error::UnknownStream { .. }) => return Look::Changed,
                Ok(_) => {}
                Err(error) => return Look::Silent(as_text(error.to_string())),
            }
        }
        let patience = match place.consumer {
            Some(_) => PUSH_PATIENCE,
            None => PATIENCE,
        };
        if self.answered.elapsed() <= patience {
            return Look::Answers;
        }
        let unanswered = self.client.unanswered_for();
        match self.client.trouble_since(self.answered) {
            Some(trouble) => Look::Silent(as_text(trouble)),
            None if unanswered.is_some_and(|time| time > patience) => Look::Silent(format!(
                "stream \"{}\": no answer from Kinesis in time",
                place.name
            )),
            None => Look::Answers,
        }
    }

    /// Has the service given anything to read, since it was opened?
    fn answers(&self) -> bool {
        self.reader.answers() > 0
    }

    fn throttled(&self) -> Option<String> {
        self.client.throttled().map(as_text)
    }

    fn share(&self, clients: &Clients) {
        self.reader.set_memory(clients.of_reader());
    }
}

impl KinesisTail {
    /// Another stream, or one with shards that the reader does not know.
    fn is_other(&self, stream: &StreamDescription) -> bool {
        let states = self.reader.shards();
        let is_known =
            |id: &String| self.shown.contains(id) || states.iter().any(|state| state.id == *id);
        stream.created_ms != self.created_ms || !stream.shards.iter().all(|s| is_known(&s.id))
    }
}

/// What a service writes of its troubles, as text that can be stored.
fn as_text(message: String) -> String {
    if message.contains('\0') {
        message.replace('\0', "\u{FFFD}")
    } else {
        message
    }
}
