//! What brokers say of a topic's partitions: where they begin and end, and by time.

use super::Kafka;
use crate::error;
use crate::pg::setting;
use crate::pg::wait::{self, Event};
use crate::source::Source;
use crate::source::column::to_timestamp;
use crate::source::request::answer;
use crate::source::status::PartStatus;
use std::time::Instant;
use stream::{Client, ListedOffset, Next, OffsetSpec, PartitionRange, Pending, ReadOptions};

/// One partition's bounds at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Watermarks {
    /// The partition.
    pub partition: i32,
    /// The earliest offset that still exists (or would be the first).
    pub earliest: i64,
    /// The last stable offset: everything before it is committed or aborted for good.
    pub latest: i64,
    /// The leader's epoch, if the broker told.
    pub leader_epoch: Option<i32>,
}

impl Watermarks {
    /// Pairs the answers for earliest and latest, in the order of the partitions.
    pub fn pair(earliest: &[ListedOffset], latest: &[ListedOffset]) -> Vec<Watermarks> {
        let mut watermarks: Vec<Watermarks> = latest
            .iter()
            .filter_map(|latest| {
                let earliest = earliest
                    .iter()
                    .find(|earliest| earliest.partition == latest.partition)?;
                Some(Watermarks {
                    partition: latest.partition,
                    earliest: earliest.offset?,
                    latest: latest.offset?,
                    leader_epoch: latest.leader_epoch,
                })
            })
            .collect();
        watermarks.sort_by_key(|watermarks| watermarks.partition);
        watermarks
    }
}

impl Kafka {
    /// The watermarks of the partitions, in their order.
    pub fn watermarks(&self, client: &Client, topic: &str, partitions: &[i32]) -> Vec<Watermarks> {
        self.try_watermarks(client, topic, partitions)
            .unwrap_or_else(|error| error::source(&self.label(), &error).raise())
    }

    /// The same, or what went wrong.
    pub fn try_watermarks(
        &self,
        client: &Client,
        topic: &str,
        partitions: &[i32],
    ) -> Result<Vec<Watermarks>, stream::Error> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let earliest = self.ask_offsets(client, topic, partitions, OffsetSpec::Earliest);
        let latest = self.ask_offsets(client, topic, partitions, OffsetSpec::Latest);
        let earliest = answer(client, earliest)?;
        let latest = answer(client, latest)?;
        Ok(Watermarks::pair(&earliest, &latest))
    }

    /// Asks for one offset of each partition.
    pub fn ask_offsets(
        &self,
        client: &Client,
        topic: &str,
        partitions: &[i32],
        spec: OffsetSpec,
    ) -> Pending<Vec<ListedOffset>> {
        let specs = partitions
            .iter()
            .map(|partition| (*partition, spec))
            .collect();
        client.list_offsets(topic, specs, setting::connect_timeout())
    }

    /// The first offset of each partition whose record is not older than `milliseconds` (since 1970), for the partitions where the broker can
    /// tell. A partition without such a record has its end, `latest`.
    pub fn offsets_at(
        &self,
        client: &Client,
        topic: &str,
        watermarks: &[Watermarks],
        milliseconds: i64,
    ) -> Vec<(i32, i64)> {
        let partitions: Vec<i32> = watermarks
            .iter()
            .map(|watermarks| watermarks.partition)
            .collect();
        let found = self.ask_offsets(
            client,
            topic,
            &partitions,
            // Times before 1970 would be names of other things: -1 is the end.
            OffsetSpec::Timestamp(milliseconds.max(0)),
        );
        let newest = self.ask_offsets(client, topic, &partitions, OffsetSpec::MaxTimestamp);
        // Brokers without timestamp look-up (librdkafka's mock cluster) answer "no such record", as others do for a time past the end. So
        // "none" is believed only of a broker that knows the newest record's time.
        let (Ok(found), Ok(newest)) = (answer(client, found), answer(client, newest)) else {
            return Vec::new();
        };
        let nothing_later = |partition| {
            let newest = newest.iter().find(|offset| offset.partition == partition);
            newest
                .and_then(|offset| offset.timestamp_ms)
                .is_some_and(|newest| newest < milliseconds)
        };
        watermarks
            .iter()
            .filter_map(|watermarks| {
                let partition = watermarks.partition;
                match found
                    .iter()
                    .find(|offset| offset.partition == partition)?
                    .offset
                {
                    Some(offset) => Some((partition, offset)),
                    None => nothing_later(partition).then_some((partition, watermarks.latest)),
                }
            })
            .collect()
    }
}

impl Kafka {
    /// The time (milliseconds since 1970) of the newest record of each partition that has records.
    pub fn newest_times(
        &self,
        client: &Client,
        topic: &str,
        watermarks: &[Watermarks],
    ) -> Vec<(i32, i64)> {
        let filled: Vec<Watermarks> = watermarks
            .iter()
            .filter(|w| w.earliest < w.latest)
            .copied()
            .collect();
        let partitions: Vec<i32> = filled
            .iter()
            .map(|watermarks| watermarks.partition)
            .collect();
        if partitions.is_empty() {
            return Vec::new();
        }
        let newest = self.ask_offsets(client, topic, &partitions, OffsetSpec::MaxTimestamp);
        let known: Vec<(i32, i64)> = answer(client, newest)
            .unwrap_or_default()
            .iter()
            .filter_map(|offset| Some((offset.partition, offset.timestamp_ms?)))
            .collect();
        if known.is_empty() {
            self.last_times(client, topic, &filled)
        } else {
            known
        }
    }

    /// The same for brokers that cannot tell: the last record is read.
    fn last_times(
        &self,
        client: &Client,
        topic: &str,
        watermarks: &[Watermarks],
    ) -> Vec<(i32, i64)> {
        let range = |w: &Watermarks| PartitionRange {
            partition: w.partition,
            start: w.latest - 1,
            end: w.latest,
        };
        let ranges = watermarks.iter().map(range).collect();
        let Ok(mut reader) = client.read(topic, ranges, &ReadOptions::default()) else {
            return Vec::new();
        };
        let deadline = Instant::now() + setting::connect_timeout();
        let mut times = Vec::new();
        loop {
            match reader.next() {
                Ok(Next::Record(record)) => {
                    times.extend(
                        record
                            .timestamp()
                            .map(|(_, time)| (record.partition(), time)),
                    );
                }
                Ok(Next::Wait) if Instant::now() < deadline => {
                    wait::readable(client.wake_fd(), deadline, Event::StreamFetch);
                    client.clear_wake();
                }
                Ok(Next::Wait | Next::End) | Err(_) => return times,
            }
        }
    }
}

/// Every partition of a topic.
pub(super) fn status(source: &Kafka, client: &Client, topic: &str) -> Vec<PartStatus> {
    let description = match answer(
        client,
        client.describe_topic(topic, setting::connect_timeout()),
    ) {
        Ok(description) => description,
        // A topic that was dropped since the schema was synchronized has no partitions to show.
        Err(stream::Error::UnknownTopic { .. }) => return Vec::new(),
        // Of the others there will be no answer either.
        Err(error @ stream::Error::Timeout { .. }) => {
            error::source(&source.label(), &error).raise()
        }
        Err(error) => {
            let report = error::source(&source.label(), &error);
            return vec![PartStatus::unknown(topic, report)];
        }
    };
    let watermarks = match source.try_watermarks(client, topic, &description.partitions) {
        Ok(watermarks) => watermarks,
        Err(error) => {
            let report = error::source(&source.label(), &error);
            return vec![PartStatus::unknown(topic, report)];
        }
    };
    let times = source.newest_times(client, topic, &watermarks);
    watermarks
        .iter()
        .map(|watermarks| PartStatus {
            topic: topic.to_owned(),
            partition_id: Some(i64::from(watermarks.partition)),
            shard_id: None,
            low_watermark: Some(watermarks.earliest),
            high_watermark: Some(watermarks.latest),
            last_record_time: times
                .iter()
                .find(|(partition, _)| *partition == watermarks.partition)
                .and_then(|(_, ms)| to_timestamp(*ms)),
            error: None,
        })
        .collect()
}
