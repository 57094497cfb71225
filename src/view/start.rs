//! Where a new view begins: the option `start`.

use crate::catalog::checkpoint::Checkpoint;
use crate::pg::spi;
use crate::scan::column::to_milliseconds;
use crate::source::{Source, Watermarks};
use crate::{error, settings};
use std::collections::HashMap;
use stream::Client;

const ALLOWED: &str = "earliest, latest, a timestamp, or positions such as {\"0\": 42, \"1\": 7}";

/// The first checkpoints of a view, one for each partition that the topic has now. The earliest offset is looked up by the first
/// refresh, so that records which expire until then are no loss; the other starts are fixed now.
pub fn checkpoints(source: &Source, topic: &str, start: Option<&str>) -> Vec<Checkpoint> {
    let client = source.connect(settings::memory_limit_bytes());
    let description = source.answer(
        &client,
        client.describe_topic(topic, settings::connect_timeout()),
    );
    let positions = match start.map(str::trim) {
        None | Some("earliest") => HashMap::new(),
        Some(start) => {
            let watermarks = source.watermarks(&client, topic, &description.partitions);
            match start {
                "latest" => watermarks.iter().map(|w| (w.partition, w.latest)).collect(),
                map if map.starts_with('{') => explicit(map, &description.partitions),
                timestamp => at_time(source, &client, topic, &watermarks, timestamp),
            }
        }
    };
    let checkpoint = |partition| Checkpoint {
        partition,
        position: positions.get(&partition).copied(),
        topic_id: description.topic_id.clone(),
    };
    description
        .partitions
        .iter()
        .copied()
        .map(checkpoint)
        .collect()
}

/// `{"partition": offset, ..}`; partitions that are not named start at the earliest record.
fn explicit(map: &str, partitions: &[i32]) -> HashMap<i32, i64> {
    fn refuse(map: &str) -> ! {
        error::option_value("start", map, ALLOWED).raise()
    }
    let parsed: HashMap<String, i64> = serde_json::from_str(map).unwrap_or_else(|_| refuse(map));
    parsed
        .into_iter()
        .map(|(partition, offset)| match partition.parse() {
            Ok(partition) if offset >= 0 && partitions.contains(&partition) => (partition, offset),
            _ => refuse(map),
        })
        .collect()
}

/// The first record of each partition that is not older than the time; without a zone, it is UTC.
fn at_time(
    source: &Source,
    client: &Client,
    topic: &str,
    watermarks: &[Watermarks],
    start: &str,
) -> HashMap<i32, i64> {
    let time = spi::utc_timestamp(start)
        .unwrap_or_else(|| error::option_value("start", start, ALLOWED).raise());
    let positions: HashMap<i32, i64> = source
        .offsets_at(client, topic, watermarks, to_milliseconds(time))
        .into_iter()
        .collect();
    if positions.len() < watermarks.len() {
        error::no_time_lookup(topic).raise();
    }
    positions
}
