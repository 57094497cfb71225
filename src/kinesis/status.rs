//! Is data flowing: what the stream shows of each shard.

use super::source::{Source, check_shards};
use crate::api::external_schema::PartitionStatus;
use crate::pg::wait;
use crate::scan::column::to_timestamp;
use crate::settings;
use std::time::Instant;
use stream::kinesis::{
    Client, Deaggregate, HashKeys, Next, Position, ReadOptions, ShardStart, StreamDescription,
    Until, now_ms,
};

/// The newest record is looked for in this time: a stream tells it only to who reads up to it.
const WINDOW_MS: i64 = 10_000;

/// Every shard of a stream, and the time of its newest record if that is not older than ten seconds.
pub fn of_stream(source: &Source, client: &Client, stream: &str) -> Vec<PartitionStatus> {
    let asked = client.describe_stream(stream, settings::connect_timeout());
    let description = match source.try_answer(client, asked) {
        Ok(description) => description,
        // A stream that was deleted since the schema was synchronized has no shards to show.
        Err(stream::Error::UnknownStream { .. }) => return Vec::new(),
        Err(error) => crate::error::service(&source.label(), &error).raise(),
    };
    check_shards(&description);
    let times = newest_times(client, &description);
    let status = |(shard, time): (&stream::kinesis::Shard, Option<i64>)| PartitionStatus {
        topic: stream.to_owned(),
        partition_id: None,
        shard_id: Some(shard.id.clone()),
        low_watermark: None,
        high_watermark: None,
        last_record_time: time.and_then(to_timestamp),
    };
    description.shards.iter().zip(times).map(status).collect()
}

/// How long the oldest record that is not loaded has been in each shard, in seconds: 0 without such a record, `None` without an answer.
pub fn lag(
    source: &Source,
    stream: &str,
    positions: Vec<(String, Position)>,
) -> Vec<(String, Option<f64>)> {
    let client = source.connect(settings::memory_limit_bytes());
    let mut lags: Vec<(String, Option<f64>)> =
        positions.iter().map(|(id, _)| (id.clone(), None)).collect();
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
    let Ok(mut reader) = client.read(stream, shards, &options) else {
        return lags;
    };
    let deadline = Instant::now() + settings::connect_timeout();
    loop {
        match reader.next() {
            Ok(Next::Record(record)) => {
                let waited = record.arrival_ms().map(|time| now_ms() - time);
                let lag = &mut lags[record.shard()].1;
                *lag = lag.or(waited.map(|ms| ms.max(0) as f64 / 1000.0));
            }
            Ok(Next::Wait) if Instant::now() < deadline => {
                let unfinished = reader.unfinished();
                for (id, lag) in &mut lags {
                    if lag.is_none() && !unfinished.contains(&id.as_str()) {
                        *lag = Some(0.0);
                    }
                }
                if lags.iter().all(|(_, lag)| lag.is_some()) {
                    return lags;
                }
                wait::readable(client.wake_fd(), deadline, wait::Event::StreamFetch);
                client.clear_wake();
            }
            Ok(Next::End) => {
                for (_, lag) in &mut lags {
                    *lag = lag.or(Some(0.0));
                }
                return lags;
            }
            Ok(Next::Wait) | Err(_) => return lags,
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
    let deadline = Instant::now() + settings::connect_timeout();
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
