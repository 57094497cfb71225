//! Where a part of a stream (a partition, a shard) is read on, as the catalogue stores it: text, which somebody else may have written.

use std::fmt::Display;

/// A source's positions. What cannot be read is no position: nothing stands in for it.
pub trait Position: Clone + PartialEq + Display + 'static {
    /// What names a part.
    type Part: Clone + Ord + Display + 'static;
    /// What a part is called.
    const PART: &'static str;

    /// The part of that name.
    fn read_part(text: &str) -> Option<Self::Part>;

    /// The earliest record that there is; its text is [`EARLIEST`].
    fn earliest() -> Self;

    /// Where a part begins that was not there when the view began.
    fn first() -> Self;

    /// From the text that `Display` writes.
    fn read(text: &str) -> Option<Self>;

    /// Where to go on after the record that was loaded last, by its text.
    fn after(record: &str) -> Option<Self>;

    /// Is everything before `to` behind it?
    fn has_passed(&self, to: &Self) -> bool;

    /// The number of a part, where parts are numbered from 0 on.
    fn number(_: &Self::Part) -> Option<usize> {
        None
    }

    /// The record that was loaded last, where the position says it.
    fn last_record(&self) -> Option<String> {
        None
    }

    /// Can this be what tells a stream from another one of its name?
    fn is_source_id(_: &str) -> bool {
        true
    }
}

/// The earliest record, as text. In a checkpoint null stands for it.
pub const EARLIEST: &str = "earliest";

/// A number that is written as we write it: no sign, no leading zero.
pub fn number<N: std::str::FromStr + Display + PartialOrd + Default>(text: &str) -> Option<N> {
    let number: N = text.parse().ok()?;
    (number >= N::default() && number.to_string() == text).then_some(number)
}

/// How far a part of a stream was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State<P: Position> {
    /// The partition or shard.
    pub part: P::Part,
    /// Where to go on.
    pub position: P,
    /// Everything that arrived before this time, in milliseconds since 1970, was read, where a source tells that.
    pub caught_up_to: Option<i64>,
    /// It is closed, and read to its end.
    pub is_drained: bool,
}

impl<P: Position> State<P> {
    /// Of a part of which nothing is known but the position.
    pub fn at(part: P::Part, position: P) -> State<P> {
        State {
            part,
            position,
            caught_up_to: None,
            is_drained: false,
        }
    }
}
