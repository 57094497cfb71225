//! One limit of memory for all that a worker reads: where it has topics and streams, each kind has its part, which is divided among its readers.

use super::database::Worker;
use crate::pg::setting;
use crate::source::any::Kind;
use stream::kinesis;

/// Streams have no use for less: a page of theirs.
const PAGE: usize = 10 * 1024 * 1024;

/// The parts.
pub struct Memory {
    /// For topics, in bytes.
    pub topics: usize,
    /// For streams: what their readers hold together.
    pub streams: kinesis::Memory,
    streams_bytes: usize,
    /// The views that divide what streams have.
    stream_views: usize,
}

impl Default for Memory {
    fn default() -> Memory {
        let limit = setting::memory_limit_bytes();
        Memory {
            topics: limit,
            streams: kinesis::Memory::new(limit),
            streams_bytes: limit,
            stream_views: 1,
        }
    }
}

/// The part of topics and that of streams: a half each where there are both.
fn divided(limit: usize, has_topics: bool, has_streams: bool) -> (usize, usize) {
    if !(has_topics && has_streams) {
        return (limit, limit);
    }
    let streams = (limit / 2).max(PAGE);
    (limit.saturating_sub(streams).max(limit / 4), streams)
}

impl Memory {
    /// A stream's reader holds at most so many bytes; the worker has so many others.
    pub fn of_stream(&self) -> usize {
        self.streams_bytes / self.stream_views
    }
}

impl Worker {
    /// Divides the memory anew after views have come or gone. What topics have fetched is fetched again if their part is another one.
    pub(super) fn divide_memory(&mut self) {
        let of_kind = |kind| {
            self.views
                .values()
                .filter(move |view| view.kind == Some(kind))
        };
        let topics = of_kind(Kind::Kafka).count();
        let streams = of_kind(Kind::Kinesis).count();
        let limit = setting::memory_limit_bytes();
        let (of_topics, of_streams) = divided(limit, topics > 0, streams > 0);
        let memory = &mut self.memory;
        if (memory.streams_bytes, memory.stream_views) != (of_streams, streams.max(1)) {
            (memory.streams_bytes, memory.stream_views) = (of_streams, streams.max(1));
            memory.streams.resize(of_streams);
            self.streams.set_memory(memory.of_stream());
        }
        if self.memory.topics != of_topics {
            self.memory.topics = of_topics;
            if self.clients.set_memory(of_topics) {
                self.leave_topics();
            }
        }
    }
}
