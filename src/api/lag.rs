//! How far views are behind their topics and streams: redshift.stream_lag, redshift.metrics(), redshift.status() and the lag alerts.
//!
//! In two steps, so that all sources are asked side by side: [`ask`] sends the first request for a view, [`answer`] waits for it, and meanwhile takes in
//! what comes for the others. A view or a server that is broken is an answer of its own and spoils no other.

use crate::catalog::checkpoint;
use crate::catalog::materialized_view;
use crate::error;
use crate::pg::guard::attempt;
use crate::pg::relation::{self, Oid};
use crate::pg::wait::{Event, WakeSet};
use crate::pg::{end_of_transaction, foreign};
use crate::source::Source;
use crate::source::any::{Kind, each_kind, name_of};
use crate::source::status::{Lag, LagQuestion, Trouble};
use crate::view::definition;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

/// A view that was asked for.
type Question = Result<Rc<RefCell<dyn LagQuestion>>, Trouble>;

/// What this process has asked and not yet answered.
#[derive(Default)]
struct Board {
    last: i64,
    questions: BTreeMap<i64, Question>,
}

thread_local! {
    static BOARD: RefCell<Board> = RefCell::default();
}

/// Asks how far a view is behind; the number of the question. Whoever may read the view may ask.
pub fn ask(view: Oid) -> i64 {
    end_of_transaction::call_once(forget);
    relation::require_select(view);
    let question = attempt(|| begin(view)).unwrap_or_else(|failure| Err(Trouble::of_view(failure)));
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

fn begin(view: Oid) -> Question {
    let name = relation::name(view).unwrap_or_default();
    let found =
        materialized_view::find(view).unwrap_or_else(|| error::not_a_streaming_view(&name).raise());
    let stream = found.definition.and_then(definition::stream_of);
    let stream = stream.unwrap_or_else(|| {
        error::definition_gone(&name, &found.external_schema_name, &found.stream_name).raise()
    });
    let kind = Kind::of(&foreign::of_table(stream).0);
    each_kind!(kind, S => begin_of::<S>(view, stream, found.id))
}

fn begin_of<S: Source>(view: Oid, stream: Oid, mv_id: i64) -> Question {
    let stored = checkpoint::read::<S::Position>(mv_id);
    let (server, options) = foreign::of_table(stream);
    let name = name_of::<S>(&options);
    // As a view reads its tables: with the owner's credentials, whoever asks.
    let owner = relation::owner(view);
    // From here on the server is at fault.
    let asked = attempt(|| S::of_server(&server, owner).ask_lag(&name, stored));
    asked.map_err(Trouble::of_server)
}

/// Waits for the answer to a question, and takes it: a row for each partition or shard, or one that says what is wrong.
pub fn answer(number: i64) -> Vec<Lag> {
    loop {
        let (done, wake, deadline) = BOARD.with_borrow(|board| board.take_in(number));
        if done {
            break;
        }
        wake.wait_for(deadline, Event::BrokerAnswer);
    }
    let question = BOARD.with_borrow_mut(|board| board.questions.remove(&number));
    match question {
        None => Vec::new(),
        Some(Err(trouble)) => vec![trouble.row()],
        Some(Ok(asked)) => asked.borrow().rows(),
    }
}

impl Board {
    /// Takes in what has come for all questions. Whether this one is answered, what to wait for, and until when.
    fn take_in(&self, number: i64) -> (bool, WakeSet, Instant) {
        let asked = || {
            let questions = self.questions.iter();
            questions.filter_map(|(of, question)| Some((*of, question.as_ref().ok()?)))
        };
        // Before anything is polled: they may share a client.
        for (_, question) in asked() {
            question.borrow().clear_wake();
        }
        let (mut done, mut deadline) = (true, Instant::now());
        let (wake, mut waited_for) = (WakeSet::new(), Vec::new());
        for (of, question) in asked() {
            let mut question = question.borrow_mut();
            let Some(until) = question.take_in() else {
                continue;
            };
            let descriptor = question.wake_fd();
            if !waited_for.contains(&descriptor) {
                waited_for.push(descriptor);
                wake.add(descriptor);
            }
            if of == number {
                (done, deadline) = (false, until);
            }
        }
        (done, wake, deadline)
    }
}
