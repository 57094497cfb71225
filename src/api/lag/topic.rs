//! The ends of one topic's partitions, asked for without waiting.

use super::Lag;
use crate::pg::guard::Failure;
use crate::pg::report::Report;
use crate::source::Watermarks;
use crate::{error, settings};
use std::rc::Rc;
use std::time::{Duration, Instant};
use stream::{Client, ListedOffset, OffsetSpec, Pending, TopicDescription};

/// A request ends by itself after its time; so much later we stop waiting for it.
const GRACE: Duration = Duration::from_millis(500);

/// Why there is no answer.
#[derive(Clone)]
pub struct Trouble {
    error: String,
    source_up: Option<bool>,
}

impl Trouble {
    /// The view itself is broken, so that its source was not asked.
    pub fn of_view(failure: Failure) -> Trouble {
        Trouble {
            error: failure.message,
            source_up: None,
        }
    }

    /// No client can be made of the server's options and the owner's credentials.
    pub fn of_server(failure: Failure) -> Trouble {
        Trouble {
            error: failure.message,
            source_up: Some(false),
        }
    }

    /// The source has said no, or nothing (SQLSTATE class 08, connections).
    pub fn of_source(report: &Report) -> Trouble {
        let detail = report
            .detail
            .as_ref()
            .map(|detail| format!(" DETAIL: {detail}"));
        Trouble {
            error: format!("{}{}", report.message, detail.unwrap_or_default()),
            source_up: Some(!report.sqlstate.0.starts_with(b"08")),
        }
    }

    /// As a row without a lag.
    pub fn row(&self) -> Lag {
        Lag {
            partition: None,
            high_watermark: None,
            seconds: None,
            error: Some(self.error.clone()),
            source_up: self.source_up,
        }
    }
}

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
    pub fn ask(label: String, client: Rc<Client>, name: String) -> Topic {
        let timeout = settings::connect_timeout();
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
    pub fn is_of(&self, client: &Rc<Client>, name: &str) -> bool {
        Rc::ptr_eq(&self.client, client) && self.name == name
    }

    /// Takes in what has come, and asks on. Until when to wait; `None` if it is done.
    pub fn take_in(&mut self) -> Option<Instant> {
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

    /// The answer; to be asked for when it is there.
    pub fn rows(&self) -> Vec<Lag> {
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
