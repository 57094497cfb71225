//! The ends of one topic's partitions, asked for without waiting. Each topic is asked for once, by a client for each server and owner.

use super::{Kafka, Watermarks};
use crate::access::Access;
use crate::error;
use crate::pg::setting;
use crate::source::Source;
use crate::source::status::{Lag, LagQuestion, Trouble};
use std::cell::RefCell;
use std::os::fd::RawFd;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};
use stream::{Client, ListedOffset, OffsetSpec, Pending, TopicDescription};

/// What this process is asking.
#[derive(Default)]
struct Asked {
    /// One client for each server and owner.
    clients: Vec<(Access, Weak<Client>)>,
    topics: Vec<Weak<RefCell<Topic>>>,
}

thread_local! {
    static ASKED: RefCell<Asked> = RefCell::default();
}

/// Asks for a topic, unless it is being asked for.
pub(super) fn ask(source: &Kafka, name: &str) -> Rc<RefCell<Topic>> {
    let known = ASKED.with_borrow_mut(|asked| {
        let clients = &mut asked.clients;
        clients.retain(|(_, client)| client.strong_count() > 0);
        let mut clients = clients.iter();
        let of_access = clients.find(|(access, _)| access == source.access());
        of_access.and_then(|(_, client)| client.upgrade())
    });
    // Nothing is borrowed here: it may raise.
    let client = known.unwrap_or_else(|| {
        let client = Rc::new(source.connect(setting::memory_limit_bytes()));
        let entry = (source.access().clone(), Rc::downgrade(&client));
        ASKED.with_borrow_mut(|asked| asked.clients.push(entry));
        client
    });
    ASKED.with_borrow_mut(|asked| {
        asked.topics.retain(|topic| topic.strong_count() > 0);
        let mut topics = asked.topics.iter().filter_map(Weak::upgrade);
        let known = topics.find(|topic| topic.borrow().is_of(&client, name));
        known.unwrap_or_else(|| {
            let topic = Topic::ask(source.label(), client, name.to_owned());
            let topic = Rc::new(RefCell::new(topic));
            asked.topics.push(Rc::downgrade(&topic));
            topic
        })
    })
}

/// A request ends by itself after its time; so much later we stop waiting for it.
const GRACE: Duration = Duration::from_millis(500);

enum State {
    Describing(Pending<TopicDescription>),
    Listing(Box<[Half; 2]>),
    Done(Result<Vec<Watermarks>, Trouble>),
}

/// The first or the last offsets.
struct Half {
    pending: Pending<Vec<ListedOffset>>,
    answer: Option<Vec<ListedOffset>>,
}

impl Half {
    fn take_in(&mut self) -> Result<(), stream::Error> {
        if self.answer.is_none()
            && let Some(answer) = self.pending.poll()
        {
            self.answer = Some(answer?);
        }
        Ok(())
    }
}

/// A topic that was asked for.
pub struct Topic {
    label: String,
    client: Rc<Client>,
    name: String,
    /// All requests together have to be answered by then.
    deadline: Instant,
    state: State,
}

impl Topic {
    /// Asks which partitions it has.
    fn ask(label: String, client: Rc<Client>, name: String) -> Topic {
        let timeout = setting::connect_timeout();
        let asked = client.describe_topic(&name, timeout);
        Topic {
            label,
            name,
            deadline: Instant::now() + timeout,
            state: State::Describing(asked),
            client,
        }
    }

    /// Is it this topic, asked by this client?
    fn is_of(&self, client: &Rc<Client>, name: &str) -> bool {
        Rc::ptr_eq(&self.client, client) && self.name == name
    }

    fn step(&mut self) -> Result<(), stream::Error> {
        match &mut self.state {
            State::Describing(pending) => match pending.poll() {
                None => {}
                Some(answer) => self.state = self.list(&answer?.partitions),
            },
            State::Listing(halves) => {
                let [earliest, latest] = &mut **halves;
                earliest.take_in()?;
                latest.take_in()?;
                if let (Some(earliest), Some(latest)) = (&earliest.answer, &latest.answer) {
                    self.state = State::Done(Ok(Watermarks::pair(earliest, latest)));
                }
            }
            State::Done(_) => {}
        }
        Ok(())
    }

    fn list(&self, partitions: &[i32]) -> State {
        if partitions.is_empty() {
            return State::Done(Ok(Vec::new()));
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        let ask = |spec: OffsetSpec| Half {
            pending: self.client.list_offsets(
                &self.name,
                partitions
                    .iter()
                    .map(|partition| (*partition, spec))
                    .collect(),
                left.max(Duration::from_millis(10)),
            ),
            answer: None,
        };
        State::Listing(Box::new([
            ask(OffsetSpec::Earliest),
            ask(OffsetSpec::Latest),
        ]))
    }
}

impl LagQuestion for Topic {
    fn wake_fd(&self) -> RawFd {
        self.client.wake_fd()
    }

    fn clear_wake(&self) {
        self.client.clear_wake();
    }

    fn take_in(&mut self) -> Option<Instant> {
        if let Err(error) = self.step() {
            self.state = State::Done(Err(Trouble::of_source(&error::source(&self.label, &error))));
        }
        if matches!(self.state, State::Done(_)) {
            return None;
        }
        let last = self.deadline + GRACE;
        if Instant::now() >= last {
            let error = stream::Error::Timeout {
                request: format!("offsets of topic \"{}\"", self.name),
                cause: self.client.last_broker_error(),
            };
            self.state = State::Done(Err(Trouble::of_source(&error::source(&self.label, &error))));
            return None;
        }
        Some(last)
    }

    fn rows(&self) -> Vec<Lag> {
        match &self.state {
            State::Done(Ok(watermarks)) => watermarks
                .iter()
                .map(|w| Lag {
                    partition: Some(w.partition.to_string()),
                    high_watermark: Some(w.latest),
                    seconds: None,
                    error: None,
                    source_up: Some(true),
                })
                .collect(),
            State::Done(Err(trouble)) => vec![trouble.row()],
            State::Describing(_) | State::Listing(_) => Vec::new(),
        }
    }
}
