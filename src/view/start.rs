//! Where a new view begins: the option `start`.

use crate::catalog::checkpoint;
use crate::checkpoint::{Checkpoint, at};
use crate::kinesis::plan::Checkpoint as ShardCheckpoint;
use crate::pg::spi;
use crate::scan::column::to_milliseconds;
use crate::source::{Source, Stream, Watermarks};
use crate::{error, kinesis, settings};
use std::collections::HashMap;
use stream::{Client, TopicDescription};

const ALLOWED: &str = "earliest, latest, a timestamp, or positions such as {\"0\": 42, \"1\": 7}";

/// The first checkpoints of a view.
pub enum Checkpoints {
    /// Of the partitions of a topic.
    Topic(Vec<Checkpoint>),
    /// Of the shards of a stream.
    Kinesis(Vec<ShardCheckpoint>),
}

impl Checkpoints {
    /// Of a view that begins there.
    pub fn of(stream: &Stream, start: Option<&str>) -> Checkpoints {
        match stream {
            Stream::Topic(source, topic) => Checkpoints::Topic(checkpoints(source, topic, start)),
            Stream::Kinesis(source, stream) => {
                Checkpoints::Kinesis(kinesis::position::checkpoints(source, stream, start))
            }
        }
    }

    /// Stores them.
    pub fn store(&self, mv_id: i64) {
        match self {
            Checkpoints::Topic(list) => {
                for checkpoint in list {
                    checkpoint::store(mv_id, checkpoint, None);
                }
            }
            Checkpoints::Kinesis(list) => {
                for checkpoint in list {
                    checkpoint::store(mv_id, checkpoint, None);
                }
            }
        }
    }
}

/// The first checkpoints of a view, one for each partition that the topic has now. The earliest offset is looked up by the first
/// refresh, so that records which expire until then are no loss; the other starts are fixed now.
pub fn checkpoints(source: &Source, topic: &str, start: Option<&str>) -> Vec<Checkpoint> {
    let client = source.connect(settings::memory_limit_bytes());
    let description = describe(source, &client, topic);
    let positions = match start.map(str::trim) {
        None => HashMap::new(),
        Some(start) if is_earliest(start) => HashMap::new(),
        Some(start) => look_up(source, &client, &description, start)
            .unwrap_or_else(|| error::option_value("start", start, ALLOWED).raise()),
    };
    let checkpoint = |partition| Checkpoint {
        source_id: description.topic_id.clone(),
        ..at(partition, positions.get(&partition).copied())
    };
    description
        .partitions
        .iter()
        .copied()
        .map(checkpoint)
        .collect()
}

/// Is this the name of the earliest record, in any case of letters?
pub fn is_earliest(text: &str) -> bool {
    ["earliest", "trim_horizon"]
        .iter()
        .any(|name| text.eq_ignore_ascii_case(name))
}

/// The positions of `latest`, a timestamp or explicit ones; `None` for another text.
pub fn find(source: &Source, topic: &str, start: &str) -> Option<HashMap<i32, i64>> {
    let client = source.connect(settings::memory_limit_bytes());
    let description = describe(source, &client, topic);
    look_up(source, &client, &description, start)
}

fn describe(source: &Source, client: &Client, topic: &str) -> TopicDescription {
    source.answer(
        client,
        client.describe_topic(topic, settings::connect_timeout()),
    )
}

fn look_up(
    source: &Source,
    client: &Client,
    topic: &TopicDescription,
    start: &str,
) -> Option<HashMap<i32, i64>> {
    if start.starts_with('{') {
        return explicit(start, &topic.partitions);
    }
    let watermarks = source.watermarks(client, &topic.name, &topic.partitions);
    if start.eq_ignore_ascii_case("latest") {
        return Some(watermarks.iter().map(|w| (w.partition, w.latest)).collect());
    }
    let time = spi::utc_timestamp(start)?;
    Some(at_time(source, client, &topic.name, &watermarks, time))
}

/// `{"partition": offset, ..}`; partitions that are not named start at the earliest record.
fn explicit(map: &str, partitions: &[i32]) -> Option<HashMap<i32, i64>> {
    let Members(parsed) = serde_json::from_str::<Members<i64>>(map).ok()?;
    let count = parsed.len();
    let position = |(partition, offset): (String, i64)| {
        let partition = partition.parse().ok()?;
        (offset >= 0 && partitions.contains(&partition)).then_some((partition, offset))
    };
    let positions: Option<HashMap<i32, i64>> = parsed.into_iter().map(position).collect();
    positions.filter(|positions| positions.len() == count)
}

/// The members of a JSON object, of which none may be there twice (a map of serde's would take the last).
pub struct Members<V>(pub Vec<(String, V)>);

impl<'de, V: serde::Deserialize<'de>> serde::Deserialize<'de> for Members<V> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor<V>(std::marker::PhantomData<V>);
        impl<'de, V: serde::Deserialize<'de>> serde::de::Visitor<'de> for Visitor<V> {
            type Value = Members<V>;

            fn expecting(&self, to: &mut std::fmt::Formatter) -> std::fmt::Result {
                to.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Members<V>, A::Error> {
                let mut members: Vec<(String, V)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, V>()? {
                    if members.iter().any(|(known, _)| *known == name) {
                        return Err(serde::de::Error::custom("a repeated name"));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Visitor(std::marker::PhantomData))
    }
}

/// The first record of each partition that is not older than the time; without a zone, it is UTC.
fn at_time(
    source: &Source,
    client: &Client,
    topic: &str,
    watermarks: &[Watermarks],
    time: i64,
) -> HashMap<i32, i64> {
    let positions: HashMap<i32, i64> = source
        .offsets_at(client, topic, watermarks, to_milliseconds(time))
        .into_iter()
        .collect();
    if positions.len() < watermarks.len() {
        error::no_time_lookup(topic).raise();
    }
    positions
}
