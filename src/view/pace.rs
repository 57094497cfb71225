//! Options of WITH (..) that say how a worker loads a view. Those that are not given follow the settings of the same names.

pub use crate::catalog::options::Pace;
use crate::error;
use crate::pg::node::Definition;
use crate::pg::setting_value::{self, Unit};
use crate::settings;
use plan::tempo::Limits;
use std::time::Duration;

/// Workers that a view can be divided among.
const MOST_PARALLEL: i32 = crate::pg::shared::MOST_WORKERS as i32;

/// The names of these options.
pub const NAMES: [&str; 6] = [
    "batch_records",
    "batch_size",
    "batch_timeout",
    "commit_window_ms",
    "max_records_per_second",
    "parallel",
];

/// Is this one of the options here?
pub fn is_option(name: &str) -> bool {
    NAMES.contains(&name)
}

impl Pace {
    /// Changes one option.
    pub fn set(&mut self, option: &Definition) {
        match option.name.as_str() {
            "batch_records" => {
                self.batch_records = Some(number(
                    option,
                    Unit::None,
                    settings::BATCH_RECORDS_RANGE,
                    "a whole number from 1 to 10000000",
                ))
            }
            "batch_size" => {
                self.batch_kb = Some(number(
                    option,
                    Unit::Kilobytes,
                    settings::BATCH_KB_RANGE,
                    "an amount of memory from 1kB to 1GB, such as 512kB",
                ))
            }
            "batch_timeout" => {
                self.batch_timeout_ms = Some(number(
                    option,
                    Unit::Milliseconds,
                    (1, i32::MAX),
                    "a time from 1ms to 24d, such as 10s",
                ))
            }
            "commit_window_ms" => {
                self.commit_window_ms = Some(number(
                    option,
                    Unit::Milliseconds,
                    settings::COMMIT_WINDOW_RANGE,
                    "a time from 0 to 1h, such as 100ms",
                ))
            }
            "max_records_per_second" => {
                self.max_records_per_second = Some(number(
                    option,
                    Unit::None,
                    (1, i32::MAX),
                    "a whole number greater than 0",
                ))
            }
            _ => {
                self.parallel = number(
                    option,
                    Unit::None,
                    (1, MOST_PARALLEL),
                    "a whole number from 1 to 16",
                )
            }
        }
    }

    /// Sets one option back to its default.
    pub fn reset(&mut self, name: &str) {
        match name {
            "batch_records" => self.batch_records = None,
            "batch_size" => self.batch_kb = None,
            "batch_timeout" => self.batch_timeout_ms = None,
            "commit_window_ms" => self.commit_window_ms = None,
            "max_records_per_second" => self.max_records_per_second = None,
            _ => self.parallel = 1,
        }
    }

    /// What is asked of its batches: the options, or the settings in their place.
    pub fn limits(&self) -> Limits {
        let (records, bytes) = settings::batch_limits();
        Limits {
            records: self
                .batch_records
                .map_or(records, |records| usize::try_from(records).unwrap_or(1)),
            bytes: self
                .batch_kb
                .map_or(bytes, |kb| u64::try_from(kb).unwrap_or(1) * 1024),
            window: self
                .commit_window_ms
                .map_or_else(settings::commit_window, settings::milliseconds),
            per_second: self.max_records_per_second.map(f64::from),
        }
    }

    /// The longest time of a batch; None: any. The view's owner can make it shorter than the setting, not longer.
    pub fn batch_timeout(&self) -> Option<Duration> {
        let own = self.batch_timeout_ms.map(settings::milliseconds);
        [own, settings::batch_timeout()].into_iter().flatten().min()
    }
}

/// A whole number of a setting's form, with or without a unit.
pub(super) fn number(option: &Definition, unit: Unit, range: (i32, i32), allowed: &str) -> i32 {
    let value = option.value.clone().unwrap_or_default();
    setting_value::parse(&value, unit)
        .filter(|number| (range.0..=range.1).contains(number))
        .unwrap_or_else(|| error::option_value(&option.name, &value, allowed).raise())
}
