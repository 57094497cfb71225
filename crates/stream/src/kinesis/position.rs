//! Where a shard is read on.

use std::cmp::Ordering;
use std::fmt;

/// The number of a record within its stream: digits, up to 128 of them, which only the service can read anything out of. Later records of a
/// shard have larger numbers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SequenceNumber(String);

impl SequenceNumber {
    /// From its text; None if that is no number.
    pub fn parse(text: &str) -> Option<SequenceNumber> {
        const MOST_DIGITS: usize = 129;
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        (digits && text.len() <= MOST_DIGITS && (text == "0" || !text.starts_with('0')))
            .then(|| SequenceNumber(text.to_owned()))
    }

    /// As the service writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Ord for SequenceNumber {
    fn cmp(&self, other: &SequenceNumber) -> Ordering {
        // No leading zeros: the longer one is the larger one.
        (self.0.len(), &self.0).cmp(&(other.0.len(), &other.0))
    }
}

impl PartialOrd for SequenceNumber {
    fn partial_cmp(&self, other: &SequenceNumber) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where to read a shard on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Position {
    /// At the oldest record that is still there.
    Horizon,
    /// After this record.
    After(SequenceNumber),
    /// At the first record that arrived at or after this time, in milliseconds since 1970.
    Time(i64),
}

impl Position {
    /// The reverse of its text.
    pub fn parse(text: &str) -> Option<Position> {
        match text.strip_prefix('@') {
            Some(time) => {
                let time = time
                    .parse()
                    .ok()
                    .filter(|ms: &i64| *ms >= 0)
                    .map(Position::Time);
                time.filter(|time| time.to_string() == text)
            }
            None if text == "earliest" => Some(Position::Horizon),
            None => SequenceNumber::parse(text).map(Position::After),
        }
    }
}

/// `earliest`, a sequence number, or `@` and milliseconds.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Position::Horizon => f.write_str("earliest"),
            Position::After(number) => number.fmt(f),
            Position::Time(ms) => write!(f, "@{ms}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_by_value() {
        let number = |text| SequenceNumber::parse(text).unwrap();
        assert!(number("9") < number("10"));
        assert!(
            number("49590338271490256608559692538361571095921575989136588898")
                < number("49590338271490256608559692540925702759324208523137515618")
        );
        for text in ["", "01", "-1", "1a", " 1", "1.0"] {
            assert!(SequenceNumber::parse(text).is_none(), "{text:?}");
        }
        assert!(SequenceNumber::parse(&"1".repeat(130)).is_none());
    }

    #[test]
    fn positions_survive_their_text() {
        for position in [
            Position::Horizon,
            Position::After(SequenceNumber::parse("42").unwrap()),
            Position::Time(1_700_000_000_123),
        ] {
            assert_eq!(Position::parse(&position.to_string()), Some(position));
        }
        for text in [
            "@x", "@", "@-1", "@+1", "@01", "latest", "", "1.0", "Earliest",
        ] {
            assert_eq!(Position::parse(text), None, "{text:?}");
        }
    }
}
