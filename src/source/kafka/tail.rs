//! Follows a topic: one reader of a worker's partitions, and looks at the topic from time to time.

use super::Kafka;
use super::asking::{Answer, Topic, TopicAsking};
use super::clients::{Clients, Shared};
use super::moves::{self, Ends, offsets};
use super::position::Offset;
use crate::catalog::position::State;
use crate::pg::background::Failure;
use crate::pg::wait::WakeSet;
use crate::source::follow::{Batch, Fault, Look, PATIENCE, Place, Tail, Turn};
use ::plan::pause;
use std::rc::Rc;
use std::time::Instant;
use stream::{Gathered, ListedOffset, OffsetSpec, PartitionRange, Reader, TopicDescription};

/// A reader, by one client or another, and what the last look has shown.
pub struct KafkaTail {
    // The reader goes before its client.
    reader: Reader,
    /// Whose the reader is: the client that was asked for the start, or another one.
    reads_by: Rc<Shared>,
    /// The client that is asked for the topic's partitions and ends.
    asks: Rc<Shared>,
    /// Since when the reader's client has room to fetch ahead for a backlog.
    room_since: Option<Instant>,
    /// Another topic has its name.
    is_recreated: bool,
    /// One past the last record by partition.
    ends: Ends,
    /// When the last look at the topic began.
    looked: Instant,
    under_way: Option<UnderWay>,
    /// The last look had no answer.
    is_silent: bool,
}

/// A look at the topic.
struct UnderWay {
    description: Answer<TopicDescription>,
    /// The ends of the partitions, which only their leaders know.
    ends: Answer<Vec<ListedOffset>>,
}

/// To read the partitions from there on.
fn ranges_from(stored: &[State<Offset>]) -> Vec<PartitionRange> {
    let range = |(partition, start)| PartitionRange {
        partition,
        start,
        end: i64::MAX,
    };
    offsets(stored).map(range).collect()
}

impl KafkaTail {
    pub(super) fn begin(
        place: &Place<Kafka>,
        asking: TopicAsking,
        found: &Topic,
        clients: &mut Clients,
        wake: &WakeSet,
    ) -> Result<KafkaTail, Failure> {
        let (reader, reads_by) = read(place, false, clients, wake)?;
        let is_read = |partition: &i32| !place.excluded.contains(partition);
        let ends = found.watermarks.iter().map(|w| (w.partition, w.latest));
        Ok(KafkaTail {
            reader,
            reads_by,
            asks: asking.shared,
            room_since: None,
            is_recreated: false,
            ends: ends.filter(|(partition, _)| is_read(partition)).collect(),
            looked: Instant::now(),
            under_way: None,
            is_silent: false,
        })
    }

    fn ask(&self, place: &Place<Kafka>) -> UnderWay {
        let client = &self.asks.client;
        let ends = place.stored.iter().map(|s| (s.part, OffsetSpec::Latest));
        let ends: Vec<_> = ends.collect();
        UnderWay {
            description: Answer::Pending(client.describe_topic(&place.name, PATIENCE)),
            ends: if ends.is_empty() {
                Answer::Ready(Vec::new())
            } else {
                Answer::Pending(client.list_offsets(&place.name, ends, PATIENCE))
            },
        }
    }

    /// More often if it is the one that tells of its brokers, or if there is trouble.
    fn is_due(&self, turn: Turn) -> bool {
        let has_trouble = |shared: &Shared| shared.client.has_trouble_since(self.looked);
        let has_trouble = has_trouble(&self.asks) || has_trouble(&self.reads_by);
        let is_often = turn.is_probe || self.is_silent || has_trouble;
        self.looked.elapsed() >= pause::between_looks(turn.of, is_often)
    }
}

fn read(
    place: &Place<Kafka>,
    has_room: bool,
    clients: &mut Clients,
    wake: &WakeSet,
) -> Result<(Reader, Rc<Shared>), Failure> {
    let topic = (place.name.as_str(), place.source_id.as_ref());
    let ranges = ranges_from(&place.stored);
    clients.read(&place.source, topic, &ranges, has_room, wake)
}

impl Tail<Kafka> for KafkaTail {
    fn gather(&mut self, records: usize, bytes: u64) -> Result<Gathered, Fault> {
        match self.reader.gather(records, bytes) {
            // The look finds the same, and how the view goes on is for its opening to say.
            Err(stream::Error::Recreated { .. }) => {
                self.is_recreated = true;
                Ok(Gathered {
                    is_full: false,
                    has_more: false,
                })
            }
            gathered => Ok(gathered?),
        }
    }

    fn gathered(&self) -> usize {
        self.reader.gathered().len()
    }

    fn gathered_memory(&self) -> usize {
        self.reader.gathered().memory()
    }

    fn take(&mut self, stored: &[State<Offset>]) -> Option<Batch<Kafka>> {
        if self.is_recreated || self.reader.gathered().is_empty() {
            return None;
        }
        let records = self.reader.take();
        let reached = |partition| self.reader.next_offset(partition);
        Some(moves::batch(records, stored, reached))
    }

    fn waiting(&self, stored: &[State<Offset>]) -> Option<u64> {
        Some(moves::waiting(stored, &self.ends))
    }

    fn next(&self, stored: &[State<Offset>]) -> Vec<State<Offset>> {
        moves::next(stored, &self.ends)
    }

    fn ends(&self) -> Option<Vec<State<Offset>>> {
        Some(moves::as_states(&self.ends))
    }

    fn look(&mut self, place: &Place<Kafka>, turn: Turn) -> Look {
        if self.is_recreated {
            return Look::Changed;
        }
        if self.under_way.is_none() {
            if !turn.may_ask || !self.is_due(turn) {
                return Look::Same;
            }
            self.looked = Instant::now();
            self.under_way = Some(self.ask(place));
        }
        let Some(found) = self.under_way.as_mut().and_then(|look| look.poll(place)) else {
            return Look::Same;
        };
        if let Some(UnderWay {
            ends: Answer::Ready(ends),
            ..
        }) = self.under_way.take()
        {
            let end = |end: &ListedOffset| Some((end.partition, end.offset?));
            self.ends = ends.iter().filter_map(end).collect();
        }
        self.is_silent = matches!(found, Look::ServersSilent(_) | Look::Silent(_));
        found
    }

    fn is_looking(&self) -> bool {
        self.under_way.is_some()
    }

    fn looks_at(&self) -> Option<Instant> {
        Some(self.looked + pause::LOOK)
    }

    fn answers(&self) -> bool {
        !self.is_silent
    }

    fn throttled(&self) -> Option<String> {
        let reads = self.reads_by.client.throttled();
        reads.or_else(|| self.asks.client.throttled())
    }

    fn room_since(&self) -> Option<Instant> {
        self.room_since
    }

    fn change_room(
        &mut self,
        place: &Place<Kafka>,
        has_room: bool,
        (clients, wake): (&mut Clients, &WakeSet),
    ) -> Result<(), Failure> {
        let (reader, reads_by) = read(place, has_room, clients, wake)?;
        // In this order: the reader goes before its client.
        self.reader = reader;
        self.reads_by = reads_by;
        self.room_since = has_room.then(Instant::now);
        Ok(())
    }
}

impl UnderWay {
    /// What was found, when both questions are answered.
    fn poll(&mut self, place: &Place<Kafka>) -> Option<Look> {
        let topic = match self.description.poll() {
            Ok(topic) => topic?,
            Err(stream::Error::UnknownTopic { .. }) => return Some(Look::Changed),
            Err(error) => return Some(Look::ServersSilent(error.to_string())),
        };
        let is_own = |p: &&i32| place.slice.takes(**p) && !place.excluded.contains(p);
        let own = topic.partitions.iter().filter(is_own);
        if !own.eq(place.stored.iter().map(|state| &state.part))
            || topic.topic_id != place.source_id
        {
            return Some(Look::Changed);
        }
        match self.ends.poll() {
            Ok(ends) => ends.map(|_| Look::ServersAnswer),
            Err(stream::Error::UnknownTopic { .. }) => Some(Look::Changed),
            // The leader of one of its partitions does not answer; others do.
            Err(error) => Some(Look::Silent(error.to_string())),
        }
    }
}
