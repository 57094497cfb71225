//! How far views are behind their topics and streams: redshift.stream_lag, redshift.metrics(), redshift.status() and the lag alerts.
//!
//! In two steps, so that all sources are asked side by side: [`ask`] sends the first request for a view, [`answer`] waits for it, and meanwhile takes in
//! what comes for the others. A view or a server that is broken is an answer of its own and spoils no other.

use crate::access::Access;
use crate::catalog::checkpoint::{self, Checkpoint};
use crate::catalog::materialized_view;
use crate::catalog::position::Offset;
use crate::kinesis;
use crate::pg::guard::attempt;
use crate::pg::relation::{self, Oid};
use crate::pg::wait::{Event, WakeSet};
use crate::pg::{end_of_transaction, foreign};
use crate::source::{Source, Stream};
use crate::view::definition;
use crate::{error, settings};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::Instant;
use stream::Client;
use stream::kinesis::Position;

mod topic;

use topic::Topic;
pub use topic::Trouble;

/// How far a view is behind in one partition or shard, or why nobody knows.
pub struct Lag {
    /// The partition or shard; `None` if the view as a whole could not be asked for.
    pub partition: Option<String>,
    /// The end of the partition; shards have none.
    pub high_watermark: Option<i64>,
    /// How long the oldest record that is not loaded has been there, in seconds; only of shards.
    pub seconds: Option<f64>,
    /// What went wrong.
    pub error: Option<String>,
    /// Has the source answered? `None` if it was not asked, since the view itself is broken.
    pub source_up: Option<bool>,
}

/// A view that was asked for.
enum Question {
    Broken(Trouble),
    Topic(Rc<RefCell<Topic>>),
    Stream(Box<kinesis::status::LagReader>),
}

/// What this process has asked and not yet answered.
#[derive(Default)]
struct Board {
    last: i64,
    questions: BTreeMap<i64, Question>,
    /// One client for each server and owner.
    clients: Vec<(Access, Weak<Client>)>,
    /// Each topic is asked for once.
    topics: Vec<Weak<RefCell<Topic>>>,
}

thread_local! {
    static BOARD: RefCell<Board> = RefCell::default();
}

/// Asks how far a view is behind; the number of the question. Whoever may read the view may ask.
pub fn ask(view: Oid) -> i64 {
    end_of_transaction::call_once(forget);
    relation::require_select(view);
    let question = match attempt(|| begin(view)) {
        Ok(Ok(question)) => question,
        Ok(Err(trouble)) => Question::Broken(trouble),
        Err(failure) => Question::Broken(Trouble::of_view(failure)),
    };
    BOARD.with_borrow_mut(|board| {
        board.last += 1;
        board.questions.insert(board.last, question);
        board.last
    })
}

/// What nobody has fetched an answer to.
fn forget() {
    drop(BOARD.take());
}

fn begin(view: Oid) -> Result<Question, Trouble> {
    let name = relation::name(view).unwrap_or_default();
    let found =
        materialized_view::find(view).unwrap_or_else(|| error::not_a_streaming_view(&name).raise());
    let stream = found.definition.and_then(definition::stream_of);
    let stream = stream.unwrap_or_else(|| {
        error::definition_gone(&name, &found.external_schema_name, &found.stream_name).raise()
    });
    let (server, options) = foreign::of_table(stream);
    let is_of_kinesis = kinesis::source::Source::is_of(&server);
    let positions = if is_of_kinesis {
        let of_shards: Vec<Checkpoint<Position>> = checkpoint::read(found.id);
        let open = of_shards.into_iter().filter(|row| !row.is_drained);
        open.map(|row| (row.part, row.position)).collect()
    } else {
        checkpoint::read::<Offset>(found.id);
        Vec::new()
    };
    // As a view reads its tables: with the owner's credentials, whoever asks.
    let owner = relation::owner(view);
    let name = Stream::name_in(&server, &options);
    // From here on the server is at fault.
    let asked = attempt(|| {
        if is_of_kinesis {
            let source = kinesis::source::Source::of_server(&server, owner);
            let reader = kinesis::status::LagReader::start(&source, &name, positions);
            Question::Stream(Box::new(reader))
        } else {
            Question::Topic(topic_of(&Source::of_server(&server, owner), name))
        }
    });
    asked.map_err(Trouble::of_server)
}

fn topic_of(source: &Source, name: String) -> Rc<RefCell<Topic>> {
    let known = BOARD.with_borrow_mut(|board| {
        board
            .clients
            .retain(|(_, client)| client.strong_count() > 0);
        let mut clients = board.clients.iter();
        let of_access = clients.find(|(access, _)| access == source.access());
        of_access.and_then(|(_, client)| client.upgrade())
    });
    // Nothing is borrowed here: it may raise.
    let client = known.unwrap_or_else(|| {
        let client = Rc::new(source.connect(settings::memory_limit_bytes()));
        let entry = (source.access().clone(), Rc::downgrade(&client));
        BOARD.with_borrow_mut(|board| board.clients.push(entry));
        client
    });
    BOARD.with_borrow_mut(|board| {
        board.topics.retain(|topic| topic.strong_count() > 0);
        let mut topics = board.topics.iter().filter_map(Weak::upgrade);
        let known = topics.find(|topic| topic.borrow().is_of(&client, &name));
        known.unwrap_or_else(|| {
            let topic = Rc::new(RefCell::new(Topic::ask(source.label(), client, name)));
            board.topics.push(Rc::downgrade(&topic));
            topic
        })
    })
}

/// Waits for the answer to a question, and takes it: a row for each partition or shard, or one that says what is wrong.
pub fn answer(number: i64) -> Vec<Lag> {
    loop {
        let (done, wake, deadline) = BOARD.with_borrow_mut(|board| board.take_in(number));
        if done {
            break;
        }
        wake.wait_for(deadline, Event::BrokerAnswer);
    }
    let question = BOARD.with_borrow_mut(|board| board.questions.remove(&number));
    match question {
        None => Vec::new(),
        Some(Question::Broken(trouble)) => vec![trouble.row()],
        Some(Question::Topic(topic)) => topic.borrow().rows(),
        Some(Question::Stream(reader)) => reader.rows(),
    }
}

impl Board {
    /// Takes in what has come for all questions. Whether this one is answered, what to wait for, and until when.
    fn take_in(&mut self, number: i64) -> (bool, WakeSet, Instant) {
        let wake = WakeSet::new();
        for (_, client) in &self.clients {
            if let Some(client) = client.upgrade() {
                client.clear_wake();
                wake.add(client.wake_fd());
            }
        }
        let mut done = true;
        let mut deadline = Instant::now();
        for (of, question) in &mut self.questions {
            let waits = match question {
                Question::Broken(_) => None,
                Question::Topic(topic) => topic.borrow_mut().take_in(),
                Question::Stream(reader) => {
                    let waits = reader.take_in();
                    if waits.is_some() {
                        wake.add(reader.wake_fd());
                    }
                    waits
                }
            };
            if let Some(until) = waits.filter(|_| *of == number) {
                (done, deadline) = (false, until);
            }
        }
        (done, wake, deadline)
    }
}
