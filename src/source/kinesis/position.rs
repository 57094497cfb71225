//! Where a view begins in each shard, and where it is moved to: earliest, latest, a time, or explicit positions.

use super::Kinesis;
use super::columns::is_shard_id;
use super::plan::Checkpoint;
use crate::catalog::position::{Position as Stored, number};
use crate::error;
use crate::pg::setting;
use crate::pg::spi;
use crate::source::Source;
use crate::source::column::to_milliseconds;
use crate::source::position::{Members, is_earliest};
use std::collections::HashMap;
use stream::kinesis::{Position, SequenceNumber, Shard, StreamDescription, now_ms};

/// A start, as it was written.
enum Start {
    Earliest,
    Latest,
    Time(i64),
    Explicit(HashMap<String, SequenceNumber>),
}

impl Stored for Position {
    type Part = String;
    const PART: &'static str = "shard";

    fn read_part(text: &str) -> Option<String> {
        is_shard_id(text).then(|| text.to_owned())
    }

    fn first() -> Position {
        Position::Horizon
    }

    fn earliest() -> Position {
        Position::Horizon
    }

    fn read(text: &str) -> Option<Position> {
        Position::parse(text)
    }

    fn after(record: &str) -> Option<Position> {
        SequenceNumber::parse(record).map(Position::After)
    }

    fn has_passed(&self, to: &Position) -> bool {
        match (self, to) {
            (Position::After(now), Position::After(to)) => now >= to,
            (_, Position::After(_)) => false,
            _ => true,
        }
    }

    fn last_record(&self) -> Option<String> {
        match self {
            Position::After(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// The stream's creation time in milliseconds since 1970.
    fn is_source_id(text: &str) -> bool {
        number::<i64>(text).is_some()
    }
}

/// The checkpoints of a view that begins there, one for each shard that the stream shows now.
pub(super) fn start(stream: &StreamDescription, text: &str) -> Option<Vec<Checkpoint>> {
    let start = parse(text, stream).ok()?;
    let checkpoint = |shard| at(&start, shard, stream);
    Some(stream.shards.iter().map(checkpoint).collect())
}

/// The checkpoints of shards that are moved: those that the stream shows.
pub(super) fn moved(
    source: Option<(&Kinesis, &str)>,
    shard: Option<&str>,
    text: &str,
) -> Vec<Checkpoint> {
    let Some((source, name)) = source else {
        return Vec::new();
    };
    let client = source.connect(setting::memory_limit_bytes());
    let stream = source.describe(&client, name);
    let Some(shard) = shard else {
        return start(&stream, text)
            .unwrap_or_else(|| error::option_value("start", text, Kinesis::WORDS.starts).raise());
    };
    let Some(shown) = stream.shards.iter().find(|shown| shown.id == shard) else {
        return Vec::new();
    };
    let start = match SequenceNumber::parse(text.trim()) {
        Some(number) => Start::Explicit(HashMap::from([(shard.to_owned(), number)])),
        None => parse(text, &stream).unwrap_or_else(|text| error::invalid_position(text).raise()),
    };
    vec![at(&start, shown, &stream)]
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
