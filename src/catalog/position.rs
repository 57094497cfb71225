//! Where a part of a stream (a partition, a shard) is read on, as the catalogue stores it: text, which somebody else may have written.

use crate::scan::column::is_shard_id;
use std::fmt::{self, Display};
use stream::kinesis;

/// A source's positions. What cannot be read is no position: nothing stands in for it.
pub trait Position: Clone + PartialEq + Display {
    /// What names a part.
    type Part: Clone + Ord + Display;
    /// What a part is called.
    const PART: &'static str;

    /// The part of that name.
    fn read_part(text: &str) -> Option<Self::Part>;

    /// The earliest record that there is; its text is [`EARLIEST`].
    fn earliest() -> Self;

    /// From the text that `Display` writes.
    fn read(text: &str) -> Option<Self>;

    /// Where to go on after the record that was loaded last, by its text.
    fn after(record: &str) -> Option<Self>;

    /// Can this be what tells a stream from another one of its name?
    fn is_source_id(_: &str) -> bool {
        true
    }
}

/// The earliest record, as text. In a checkpoint null stands for it.
pub const EARLIEST: &str = "earliest";

/// The next offset to load of a partition; `None` is the earliest that there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offset(pub Option<i64>);

impl Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(offset) => offset.fmt(f),
            None => f.write_str(EARLIEST),
        }
    }
}

/// A number that is written as we write it: no sign, no leading zero.
fn number<N: std::str::FromStr + Display + PartialOrd + Default>(text: &str) -> Option<N> {
    let number: N = text.parse().ok()?;
    (number >= N::default() && number.to_string() == text).then_some(number)
}

impl Position for Offset {
    type Part = i32;
    const PART: &'static str = "partition";

    fn read_part(text: &str) -> Option<i32> {
        number(text)
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

impl Position for kinesis::Position {
    type Part = String;
    const PART: &'static str = "shard";

    fn read_part(text: &str) -> Option<String> {
        is_shard_id(text).then(|| text.to_owned())
    }

    fn earliest() -> kinesis::Position {
        kinesis::Position::Horizon
    }

    fn read(text: &str) -> Option<kinesis::Position> {
        kinesis::Position::parse(text)
    }

    fn after(record: &str) -> Option<kinesis::Position> {
        kinesis::SequenceNumber::parse(record).map(kinesis::Position::After)
    }

    /// The stream's creation time in milliseconds since 1970.
    fn is_source_id(text: &str) -> bool {
        number::<i64>(text).is_some()
    }
}
