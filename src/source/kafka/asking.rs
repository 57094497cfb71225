//! Asks brokers for a topic: its partitions, and where a worker's partitions begin and end.

use super::clients::Shared;
use super::{Kafka, Watermarks};
use crate::source::follow::{Asking, Fault, PATIENCE};
use ::plan::bounds::Bounds;
use ::plan::share::Slice;
use std::rc::Rc;
use stream::{ListedOffset, OffsetSpec, Pending, TopicDescription};

/// An answer that has come, or will.
pub(super) enum Answer<T> {
    Pending(Pending<T>),
    Ready(T),
}

impl<T> Answer<T> {
    /// The answer, once it has come.
    pub(super) fn poll(&mut self) -> Result<Option<&T>, stream::Error> {
        if let Answer::Pending(pending) = self
            && let Some(answer) = pending.poll()
        {
            *self = Answer::Ready(answer?);
        }
        Ok(match self {
            Answer::Ready(value) => Some(value),
            Answer::Pending(_) => None,
        })
    }
}

/// A topic is asked for.
pub struct TopicAsking {
    description: Answer<TopicDescription>,
    earliest: Option<Answer<Vec<ListedOffset>>>,
    latest: Option<Answer<Vec<ListedOffset>>>,
    pub(super) shared: Rc<Shared>,
}

/// A topic, and a worker's partitions of it.
pub struct Topic {
    pub(in crate::source) description: TopicDescription,
    pub(in crate::source) watermarks: Vec<Watermarks>,
}

impl Topic {
    /// The partitions that the definition reads, and those that it does not.
    pub(in crate::source) fn parted(&self, bounds: &Bounds) -> (Vec<Watermarks>, Vec<i32>) {
        let is_read = |w: &&Watermarks| bounds.has_partition(w.partition);
        let (read, out): (Vec<&Watermarks>, Vec<&Watermarks>) =
            self.watermarks.iter().partition(is_read);
        let out = out.iter().map(|w| w.partition).collect();
        (read.into_iter().copied().collect(), out)
    }
}

impl TopicAsking {
    pub(super) fn begin(name: &str, shared: Rc<Shared>) -> TopicAsking {
        TopicAsking {
            description: Answer::Pending(shared.client.describe_topic(name, PATIENCE)),
            earliest: None,
            latest: None,
            shared,
        }
    }
}

impl Asking<Kafka> for TopicAsking {
    fn poll(&mut self, source: &Kafka, name: &str, slice: Slice) -> Result<Option<Topic>, Fault> {
        let Some(description) = self.description.poll()?.cloned() else {
            return Ok(None);
        };
        let own = description.partitions.iter().copied();
        let own: Vec<i32> = own.filter(|partition| slice.takes(*partition)).collect();
        let mut watermarks = Vec::new();
        if !own.is_empty() {
            let client = &self.shared.client;
            let ask = |spec| Answer::Pending(source.ask_offsets(client, name, &own, spec));
            let earliest = self
                .earliest
                .get_or_insert_with(|| ask(OffsetSpec::Earliest));
            let latest = self.latest.get_or_insert_with(|| ask(OffsetSpec::Latest));
            let (Some(earliest), Some(latest)) = (earliest.poll()?, latest.poll()?) else {
                return Ok(None);
            };
            watermarks = Watermarks::pair(earliest, latest);
        }
        Ok(Some(Topic {
            description,
            watermarks,
        }))
    }

    fn ask_again(&mut self, _source: &Kafka, _name: &str) {
        (self.earliest, self.latest) = (None, None);
    }

    fn cause(&self) -> String {
        let cause = self.shared.client.last_broker_error();
        cause.unwrap_or_else(|| "no answer from the Kafka broker".to_owned())
    }
}
