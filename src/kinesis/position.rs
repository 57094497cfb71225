//! Where a view begins in each shard, and where it is moved to: earliest, latest, a time, or explicit positions.

use super::plan::Checkpoint;
use super::source::Source;
use crate::pg::spi;
use crate::scan::column::to_milliseconds;
use crate::view::start::{Members, is_earliest};
use crate::{error, settings};
use std::collections::HashMap;
use stream::kinesis::{Position, SequenceNumber, Shard, StreamDescription, now_ms};

const ALLOWED: &str = "earliest, latest, a timestamp, or the last loaded records such as {\"shardId-000000000000\": \"49590338271490256608559692538361571095921575989136588898\"}";

/// A start, as it was written.
enum Start {
    Earliest,
    Latest,
    Time(i64),
    Explicit(HashMap<String, SequenceNumber>),
}

/// The checkpoints of a view that begins there, one for each shard that the stream shows now.
pub fn checkpoints(source: &Source, stream: &str, start: Option<&str>) -> Vec<Checkpoint> {
    let client = source.connect(settings::memory_limit_bytes());
    let description = source.describe(&client, stream);
    let start = parse(start.unwrap_or("earliest"), &description)
        .unwrap_or_else(|text| error::option_value("start", text, ALLOWED).raise());
    let checkpoint = |shard| at(&start, shard, &description);
    description.shards.iter().map(checkpoint).collect()
}

/// The checkpoint of one shard that is moved there; `None` if the stream does not show the shard.
pub fn checkpoint(
    source: &Source,
    stream: &str,
    shard: &str,
    position: &str,
) -> Option<Checkpoint> {
    let client = source.connect(settings::memory_limit_bytes());
    let description = source.describe(&client, stream);
    let shown = description.shards.iter().find(|shown| shown.id == shard)?;
    let start = match SequenceNumber::parse(position.trim()) {
        Some(number) => Start::Explicit(HashMap::from([(shard.to_owned(), number)])),
        None => parse(position, &description)
            .unwrap_or_else(|text| error::invalid_position(text).raise()),
    };
    Some(at(&start, shown, &description))
}

fn parse<'a>(text: &'a str, stream: &StreamDescription) -> Result<Start, &'a str> {
    let trimmed = text.trim();
    if is_earliest(trimmed) {
        return Ok(Start::Earliest);
    }
    if trimmed.eq_ignore_ascii_case("latest") {
        return Ok(Start::Latest);
    }
    if trimmed.starts_with('{') {
        let Members(named) = serde_json::from_str::<Members<String>>(trimmed).map_err(|_| text)?;
        let position = |(id, number): (String, String)| {
            let is_shown = stream.shards.iter().any(|shard| shard.id == id);
            let number = SequenceNumber::parse(&number).filter(|_| is_shown);
            number.map(|number| (id, number)).ok_or(text)
        };
        return Ok(Start::Explicit(
            named.into_iter().map(position).collect::<Result<_, _>>()?,
        ));
    }
    let time = spi::utc_timestamp(trimmed).ok_or(text)?;
    // The service takes no time that is still to come.
    Ok(Start::Time(to_milliseconds(time).clamp(0, now_ms())))
}

fn at(start: &Start, shard: &Shard, stream: &StreamDescription) -> Checkpoint {
    let now = now_ms();
    let position = match start {
        Start::Earliest => Position::Horizon,
        Start::Latest => Position::Time(now),
        Start::Time(time) => Position::Time(*time),
        Start::Explicit(named) => named
            .get(&shard.id)
            .map_or(Position::Horizon, |number| Position::After(number.clone())),
    };
    Checkpoint {
        part: shard.id.clone(),
        caught_up_to: match position {
            Position::Time(time) => Some(time),
            _ => None,
        },
        position,
        source_id: Some(stream.created_ms.to_string()),
        // Nothing will ever come of a closed one.
        is_drained: matches!(start, Start::Latest) && shard.last.is_some(),
        is_excluded: false,
    }
}
