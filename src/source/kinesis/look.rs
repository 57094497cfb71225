//! Is data flowing: what the stream shows of each shard.

use super::{Kinesis, check_shards};
use crate::pg::setting;
use crate::pg::wait;
use crate::source::Source;
use crate::source::column::to_timestamp;
use crate::source::request::answer;
use crate::source::status::{Lag, LagQuestion, PartStatus, Trouble};
use std::os::fd::RawFd;
use std::time::Instant;
use stream::Next;
use stream::kinesis::{
    Client, Deaggregate, HashKeys, Position, ReadOptions, Reader, ShardStart, StreamDescription,
    Until, now_ms,
};

/// The newest record is looked for in this time: a stream tells it only to who reads up to it.
const WINDOW_MS: i64 = 10_000;

/// Every shard of a stream, and the time of its newest record if that is not older than ten seconds.
pub fn of_stream(source: &Kinesis, client: &Client, stream: &str) -> Vec<PartStatus> {
    let asked = client.describe_stream(stream, setting::connect_timeout());
    let description = match answer(client, asked) {
        Ok(description) => description,
        // A stream that was deleted since the schema was synchronized has no shards to show.
        Err(stream::Error::UnknownStream { .. }) => return Vec::new(),
        Err(error @ stream::Error::Timeout { .. }) => {
            crate::error::service(&source.label(), &error).raise()
        }
        Err(error) => {
            let report = crate::error::service(&source.label(), &error);
            return vec![PartStatus::unknown(stream, report)];
        }
    };
    check_shards(&description);
    let times = newest_times(client, &description);
    let status = |(shard, time): (&stream::kinesis::Shard, Option<i64>)| PartStatus {
        topic: stream.to_owned(),
        partition_id: None,
        shard_id: Some(shard.id.clone()),
        low_watermark: None,
        high_watermark: None,
        last_record_time: time.and_then(to_timestamp),
        error: None,
    };
    description.shards.iter().zip(times).map(status).collect()
}

/// Finds out how long the oldest record that is not loaded has been in each shard, without waiting.
pub struct LagReader {
    client: Client,
    reader: Option<Reader>,
    lags: Vec<(String, Option<f64>)>,
    deadline: Instant,
    trouble: Option<Trouble>,
    label: String,
}

impl LagReader {
    /// Begins to read a stream at these positions.
    pub fn start(source: &Kinesis, stream: &str, positions: Vec<(String, Position)>) -> LagReader {
        let client = source.connect(setting::memory_limit_bytes());
        let lags = positions.iter().map(|(id, _)| (id.clone(), None)).collect();
        let start = |(id, from): (String, Position)| ShardStart {
            id,
            parents: Vec::new(),
            from,
            is_closed: false,
            hash_keys: HashKeys::ALL,
        };
        let options = ReadOptions {
            until: Until::Parity(i64::MAX),
            page_records: Some(1),
            deaggregate: Deaggregate::Off,
        };
        let shards = positions.into_iter().map(start).collect();
        let mut it = LagReader {
            reader: None,
            lags,
            deadline: Instant::now() + setting::connect_timeout(),
            trouble: None,
            label: source.label(),
            client,
        };
        match it.client.read(stream, shards, &options) {
            Ok(reader) => it.reader = Some(reader),
            Err(error) => it.fail(&error),
        }
        it
    }

    /// True if nothing more is to come.
    fn read(&mut self) -> bool {
        let Some(reader) = &mut self.reader else {
            return true;
        };
        let error = loop {
            match reader.next() {
                Ok(Next::Record(record)) => {
                    let waited = record.arrival_ms().map(|time| now_ms() - time);
                    let lag = &mut self.lags[record.shard()].1;
                    *lag = lag.or(waited.map(|ms| ms.max(0) as f64 / 1000.0));
                }
                Ok(Next::Wait) => {
                    let unfinished = reader.unfinished();
                    for (id, lag) in &mut self.lags {
                        if lag.is_none() && !unfinished.contains(&id.as_str()) {
                            *lag = Some(0.0);
                        }
                    }
                    return self.lags.iter().all(|(_, lag)| lag.is_some());
                }
                Ok(Next::End) => {
                    for (_, lag) in &mut self.lags {
                        *lag = lag.or(Some(0.0));
                    }
                    return true;
                }
                Err(error) => break error,
            }
        };
        self.fail(&error);
        true
    }

    fn fail(&mut self, error: &stream::Error) {
        let report = crate::error::service(&self.label, error);
        self.trouble = Some(Trouble::of_source(&report));
    }
}

impl LagQuestion for LagReader {
    fn wake_fd(&self) -> RawFd {
        self.client.wake_fd()
    }

    fn clear_wake(&self) {
        self.client.clear_wake();
    }

    fn take_in(&mut self) -> Option<Instant> {
        if self.read() {
            self.reader = None;
        }
        self.reader.as_ref()?;
        if Instant::now() < self.deadline {
            return Some(self.deadline);
        }
        self.reader = None;
        self.fail(&stream::Error::Timeout {
            request: "read of shards".to_owned(),
            cause: self.client.last_trouble(),
        });
        None
    }

    fn rows(&self) -> Vec<Lag> {
        match &self.trouble {
            Some(trouble) if self.lags.iter().all(|(_, lag)| lag.is_none()) => vec![trouble.row()],
            trouble => self
                .lags
                .iter()
                .map(|(shard, seconds)| Lag {
                    partition: Some(shard.clone()),
                    high_watermark: None,
                    seconds: *seconds,
                    error: trouble
                        .as_ref()
                        .filter(|_| seconds.is_none())
                        .and_then(|trouble| trouble.row().error),
                    source_up: Some(true),
                })
                .collect(),
        }
    }
}

fn newest_times(client: &Client, stream: &StreamDescription) -> Vec<Option<i64>> {
    let mut newest = vec![None; stream.shards.len()];
    let now = now_ms();
    let start = |shard: &stream::kinesis::Shard| ShardStart {
        id: shard.id.clone(),
        parents: Vec::new(),
        from: Position::Time(now - WINDOW_MS),
        is_closed: false,
        hash_keys: HashKeys::ALL,
    };
    let options = ReadOptions {
        until: Until::Parity(now),
        page_records: None,
        deaggregate: Deaggregate::Off,
    };
    let shards = stream.shards.iter().map(start).collect();
    let Ok(mut reader) = client.read(&stream.name, shards, &options) else {
        return newest;
    };
    let deadline = Instant::now() + setting::connect_timeout();
    loop {
        match reader.next() {
            Ok(Next::Record(record)) => {
                if let Some(time) = newest.get_mut(record.shard()) {
                    *time = (*time).max(record.arrival_ms());
                }
            }
            Ok(Next::Wait) if Instant::now() < deadline => {
                wait::readable(client.wake_fd(), deadline, wait::Event::StreamFetch);
                client.clear_wake();
            }
            Ok(Next::Wait | Next::End) | Err(_) => return newest,
        }
    }
}
