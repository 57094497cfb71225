//! What a value may be, and how that is said.

use std::ffi::CStr;

/// What a plain number counts; Postgres's units of the same kind may stand behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Nothing in particular: no unit may stand behind it.
    None,
    /// Kilobytes.
    Kilobytes,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
}

/// A range of whole numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Whole {
    /// The least one.
    pub least: i32,
    /// The greatest one.
    pub most: i32,
    /// What they count.
    pub unit: Unit,
    /// 0 turns it off.
    pub zero_is_off: bool,
    /// One with a unit, for messages.
    pub example: &'static str,
}

/// What a value may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Values {
    /// A whole number.
    Whole(Whole),
    /// `on` or `off`, and what else Postgres takes for them.
    Switch,
    /// One of these words.
    Words(&'static [&'static str]),
    /// A text whose form this says.
    Text(&'static str),
}

/// What holds where nothing is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Preset {
    /// Nothing.
    None,
    /// A number.
    Number(i32),
    /// A switch.
    Switch(bool),
    /// A text or a word, for C.
    Text(&'static CStr),
}

/// Units of time and of memory, the largest first, by what the numbers count.
const MILLISECONDS: [(i32, &str); 5] = [
    (86_400_000, "d"),
    (3_600_000, "h"),
    (60_000, "min"),
    (1_000, "s"),
    (1, "ms"),
];
const SECONDS: [(i32, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
const KILOBYTES: [(i32, &str); 3] = [(1024 * 1024, "GB"), (1024, "MB"), (1, "kB")];

impl Unit {
    /// `number` as `SHOW` has it; one of days and hours, as only the end of a range may be, in whole days.
    pub fn show(self, number: i32) -> String {
        let units: &[(i32, &str)] = match self {
            Unit::None => &[],
            Unit::Kilobytes => &KILOBYTES,
            Unit::Milliseconds => &MILLISECONDS,
            Unit::Seconds => &SECONDS,
        };
        let fits = |(size, name): &&(i32, &str)| {
            number != 0 && (number % size == 0 || *name == "d" && number > *size)
        };
        match units.iter().find(fits) {
            Some((size, name)) => format!("{}{name}", number / size),
            None => number.to_string(),
        }
    }
}

impl Whole {
    /// From `least` to `most`.
    pub const fn new(least: i32, most: i32, unit: Unit) -> Whole {
        Whole {
            least,
            most,
            unit,
            zero_is_off: false,
            example: "",
        }
    }

    /// The same range, in which 0 turns it off.
    pub const fn zero_is_off(self) -> Whole {
        Whole {
            zero_is_off: true,
            ..self
        }
    }

    /// The same range with a value that messages give as an example.
    pub const fn such_as(self, example: &'static str) -> Whole {
        Whole { example, ..self }
    }

    /// Is it one of these numbers?
    pub fn contains(&self, number: i32) -> bool {
        (self.least..=self.most).contains(&number)
    }

    /// `1kB to 1GB`.
    pub fn range(&self) -> String {
        let least = self.unit.show(self.least);
        let off = if self.zero_is_off { " (off)" } else { "" };
        format!("{least}{off} to {}", self.unit.show(self.most))
    }
}

impl Values {
    /// What is allowed, for the hint of an error.
    pub fn allowed(&self) -> String {
        match self {
            Values::Whole(whole) => {
                let what = match whole.unit {
                    Unit::None => "a whole number",
                    Unit::Kilobytes => "an amount of memory",
                    Unit::Milliseconds | Unit::Seconds => "a time",
                };
                let example = match whole.example {
                    "" => String::new(),
                    example => format!(", such as {example}"),
                };
                format!("{what} from {}{example}", whole.range())
            }
            Values::Switch => "on, off".to_owned(),
            Values::Words(words) => words.join(", "),
            Values::Text(form) => (*form).to_owned(),
        }
    }

    /// The range of an entry that has one: of any other this does not compile, where it is called in a constant.
    pub const fn whole(&self) -> Whole {
        match self {
            Values::Whole(whole) => *whole,
            _ => panic!("its values are no whole numbers"),
        }
    }
}

impl Preset {
    /// The default as `SHOW` has it, in the unit of `values`.
    pub fn show(&self, values: &Values) -> Option<String> {
        match (self, values) {
            (Preset::None, _) => None,
            (Preset::Number(number), Values::Whole(whole)) => Some(whole.unit.show(*number)),
            (Preset::Number(number), _) => Some(number.to_string()),
            (Preset::Switch(on), _) => Some(if *on { "on" } else { "off" }.to_owned()),
            (Preset::Text(text), _) => Some(text.to_string_lossy().into_owned()),
        }
    }
}

/// `on` or `off`, as Postgres reads them.
pub fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Some(true),
        "off" | "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_shown_as_postgres_shows_them() {
        for (unit, number, shown) in [
            (Unit::Kilobytes, 64 * 1024, "64MB"),
            (Unit::Kilobytes, 1025, "1025kB"),
            (Unit::Milliseconds, 10_000, "10s"),
            (Unit::Milliseconds, 1_500, "1500ms"),
            (Unit::Milliseconds, i32::MAX, "24d"),
            (Unit::Seconds, 90, "90s"),
            (Unit::Seconds, 86_400, "1d"),
            (Unit::Seconds, 0, "0"),
            (Unit::None, 10_000_000, "10000000"),
        ] {
            assert_eq!(unit.show(number), shown);
        }
    }

    #[test]
    fn ranges_are_said_in_messages() {
        let times = Whole::new(0, i32::MAX, Unit::Milliseconds);
        let allowed = Values::Whole(times.zero_is_off().such_as("5min")).allowed();
        assert_eq!(allowed, "a time from 0 (off) to 24d, such as 5min");
        let numbers = Values::Whole(Whole::new(1, 16, Unit::None));
        assert_eq!(numbers.allowed(), "a whole number from 1 to 16");
        assert!(times.contains(0) && !times.contains(-1));
    }
}
