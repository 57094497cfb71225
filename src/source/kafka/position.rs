//! Where a view begins in each partition, and where it is moved to: earliest, latest, a time, or explicit offsets.

use super::{Kafka, Watermarks};
use crate::catalog::checkpoint;
use crate::catalog::position::{EARLIEST, Position, number};
use crate::error;
use crate::pg::setting;
use crate::pg::spi;
use crate::source::column::to_milliseconds;
use crate::source::position::{Members, is_earliest};
use crate::source::{Known, Source};
use std::collections::HashMap;
use std::fmt::{self, Display};
use stream::{Client, TopicDescription};

/// A source whose partitions have numbered records.
pub(in crate::source) trait Numbered:
    Source<Position = Offset, Description = TopicDescription>
{
    /// The bounds of each partition now.
    fn ends(&self, client: &Self::Client, topic: &TopicDescription) -> Vec<Watermarks>;

    /// The first offset of each partition whose record is not older than a time (microseconds since 2000, UTC), where that can be told.
    fn at_or_after(
        &self,
        client: &Self::Client,
        topic: &str,
        watermarks: &[Watermarks],
        time: i64,
    ) -> Vec<(i32, i64)>;
}

impl Numbered for Kafka {
    fn ends(&self, client: &Client, topic: &TopicDescription) -> Vec<Watermarks> {
        self.watermarks(client, &topic.name, &topic.partitions)
    }

    fn at_or_after(
        &self,
        client: &Client,
        topic: &str,
        watermarks: &[Watermarks],
        time: i64,
    ) -> Vec<(i32, i64)> {
        self.offsets_at(client, topic, watermarks, to_milliseconds(time))
    }
}

/// The next offset to load of a partition; `None` is the earliest that there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offset(pub Option<i64>);

/// Where a view stands in one partition.
pub type Checkpoint = checkpoint::Checkpoint<Offset>;

/// A view that stands there in a partition.
pub fn at(partition: i32, position: Option<i64>) -> Checkpoint {
    Checkpoint {
        part: partition,
        position: Offset(position),
        source_id: None,
        caught_up_to: None,
        is_drained: false,
        is_excluded: false,
    }
}

impl Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(offset) => offset.fmt(f),
            None => f.write_str(EARLIEST),
        }
    }
}

impl Position for Offset {
    type Part = i32;
    const PART: &'static str = "partition";

    fn read_part(text: &str) -> Option<i32> {
        number(text)
    }

    fn first() -> Offset {
        Offset(Some(0))
    }

    fn has_passed(&self, to: &Offset) -> bool {
        self.0 >= to.0
    }

    fn number(partition: &i32) -> Option<usize> {
        usize::try_from(*partition).ok()
    }

    fn earliest() -> Offset {
        Offset(None)
    }

    fn read(text: &str) -> Option<Offset> {
        if text == EARLIEST {
            return Some(Offset(None));
        }
        number(text).map(|offset| Offset(Some(offset)))
    }

    fn after(record: &str) -> Option<Offset> {
        let next = number::<i64>(record)?.checked_add(1);
        next.map(|next| Offset(Some(next)))
    }
}

/// The checkpoints of a view that begins there. The earliest offset is looked up by the first refresh, so that records which expire until then are no
/// loss; the other starts are fixed now.
pub(in crate::source) fn start<S: Numbered>(
    source: &S,
    client: &S::Client,
    topic: &TopicDescription,
    text: &str,
) -> Option<Vec<Checkpoint>> {
    let positions = if is_earliest(text) {
        HashMap::new()
    } else {
        look_up(source, client, topic, text)?
    };
    let checkpoint = |partition: &i32| Checkpoint {
        source_id: topic.topic_id.clone(),
        ..at(*partition, positions.get(partition).copied())
    };
    Some(topic.partitions.iter().map(checkpoint).collect())
}

/// The checkpoints of partitions that are moved. The topic's id is taken anew: this is how a re-created topic is accepted.
pub(in crate::source) fn moved<S: Numbered>(
    source: Option<(&S, &str)>,
    known: &Known<Offset>,
    partition: Option<&str>,
    text: &str,
) -> Vec<Checkpoint> {
    let is_chosen = |part: &i32| partition.is_none_or(|id| part.to_string() == id);
    let mut parts: Vec<i32> = known.checkpoints.iter().map(|row| row.part).collect();
    // The brokers are asked only for what neither rows nor the text say.
    let ask = || {
        let (source, name) = source?;
        let client = source.connect(setting::memory_limit_bytes());
        let topic = source.describe(&client, name);
        Some((source, client, topic))
    };
    if known.checkpoints.is_empty() || !known.is_complete {
        let there = ask().map(|(.., topic)| topic.partitions);
        let is_new = |part: &i32| !known.checkpoints.iter().any(|row| row.part == *part);
        parts.extend(there.unwrap_or_default().into_iter().filter(is_new));
    }
    parts.retain(is_chosen);
    if parts.is_empty() {
        return Vec::new();
    }
    let text = text.trim();
    let target: Box<dyn Fn(i32) -> Option<i64>> = match text.parse::<i64>() {
        Ok(offset) if offset >= 0 => Box::new(move |_| Some(offset)),
        _ if is_earliest(text) => Box::new(|_| None),
        Err(_) if source.is_some() => {
            let found = ask().and_then(|(source, client, topic)| {
                let found = look_up(source, &client, &topic, text)?;
                if partition.is_none() {
                    // A row of another one was damaged, and is given up.
                    parts.clone_from(&topic.partitions);
                }
                Some(found)
            });
            let found = found.unwrap_or_else(|| error::invalid_position(text).raise());
            Box::new(move |partition| found.get(&partition).copied())
        }
        _ => error::invalid_position(text).raise(),
    };
    let excluded = |part: &i32| {
        let mut rows = known.checkpoints.iter();
        rows.any(|row| row.part == *part && row.is_excluded)
    };
    let checkpoint = |part: &i32| Checkpoint {
        is_excluded: excluded(part),
        ..at(*part, target(*part))
    };
    parts.iter().map(checkpoint).collect()
}

/// The positions of `latest`, a timestamp or explicit ones; `None` for another text.
fn look_up<S: Numbered>(
    source: &S,
    client: &S::Client,
    topic: &TopicDescription,
    text: &str,
) -> Option<HashMap<i32, i64>> {
    if text.starts_with('{') {
        return explicit(text, &topic.partitions);
    }
    let watermarks = source.ends(client, topic);
    if text.eq_ignore_ascii_case("latest") {
        return Some(watermarks.iter().map(|w| (w.partition, w.latest)).collect());
    }
    let time = spi::utc_timestamp(text)?;
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

/// The first record of each partition that is not older than the time; without a zone, it is UTC.
fn at_time<S: Numbered>(
    source: &S,
    client: &S::Client,
    topic: &str,
    watermarks: &[Watermarks],
    time: i64,
) -> HashMap<i32, i64> {
    let positions: HashMap<i32, i64> = source
        .at_or_after(client, topic, watermarks, time)
        .into_iter()
        .collect();
    if positions.len() < watermarks.len() {
        error::no_time_lookup(topic).raise();
    }
    positions
}
