//! WITH (..) of a streaming materialized view.

use super::pace::{self, number};
pub use crate::catalog::options::{OnDataLoss, Options};
use crate::pg::node::Definition;
use crate::pg::setting_value::Unit;
use crate::{error, settings};

/// The largest value that a Postgres column can hold, headers aside.
const LARGEST_VALUE_BYTES: u64 = 1_073_741_816;

/// The index that a new view gets on kafka_partition and kafka_offset.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum OffsetIndex {
    /// A few kilobytes, enough to find new rows.
    #[default]
    Brin,
    /// A unique btree.
    Btree,
    /// None.
    None,
}

/// All options of CREATE MATERIALIZED VIEW.
#[derive(Default)]
pub struct CreateOptions {
    /// Those that stay.
    pub kept: Options,
    /// `start`, as written.
    pub start: Option<String>,
    /// `partition_by`, as written.
    pub partition_by: Option<String>,
    /// `default_partition`; on unless it is said.
    pub default_partition: Option<bool>,
    /// `offset_index`.
    pub offset_index: OffsetIndex,
    /// `auto_refresh`.
    pub auto_refresh: bool,
}

/// Names of options that are ours, beside those of [`pace`].
const OURS: [&str; 11] = [
    "start",
    "on_error",
    "on_data_loss",
    "max_record_bytes",
    "partition_by",
    "default_partition",
    "offset_index",
    "auto_refresh",
    "consumer",
    "lag_alert_records",
    "lag_alert_seconds",
];

/// Is the option ours? All others are storage parameters of the table.
pub fn is_ours(name: &str) -> bool {
    OURS.contains(&name) || pace::is_option(name)
}

/// What to say of an option that neither we nor tables have.
pub fn unrecognized_hint() -> String {
    let ours: Vec<&str> = OURS.iter().chain(&pace::NAMES).copied().collect();
    format!(
        "Options of a streaming materialized view: {}. Others are storage parameters of tables.",
        ours.join(", ")
    )
}

/// Raises an error for an option that is given twice: which one holds, nobody would know.
pub fn refuse_repetition(options: &[Definition]) {
    for (place, option) in options.iter().enumerate() {
        if options[..place]
            .iter()
            .any(|before| before.name == option.name)
        {
            error::option_twice(&option.name).raise();
        }
    }
}

impl CreateOptions {
    /// Reads the options of CREATE.
    pub fn parse(options: &[Definition]) -> CreateOptions {
        refuse_repetition(options);
        let mut parsed = CreateOptions::default();
        for option in options {
            let value = option.value.clone().unwrap_or_default();
            match option.name.as_str() {
                "start" => parsed.start = Some(value),
                "partition_by" => parsed.partition_by = Some(value),
                "default_partition" => parsed.default_partition = Some(parse_switch(option)),
                "auto_refresh" => parsed.auto_refresh = parse_switch(option),
                "offset_index" => {
                    parsed.offset_index = match value.to_ascii_lowercase().as_str() {
                        "brin" => OffsetIndex::Brin,
                        "btree" => OffsetIndex::Btree,
                        "none" => OffsetIndex::None,
                        _ => error::option_value(&option.name, &value, "brin, btree, none").raise(),
                    }
                }
                _ => parsed.kept.set(option),
            }
        }
        if parsed.default_partition.is_some() && parsed.partition_by.is_none() {
            error::option_needs("default_partition", "partition_by").raise();
        }
        parsed
    }
}

impl Options {
    /// Changes one option.
    pub fn set(&mut self, option: &Definition) {
        let value = option.value.clone().unwrap_or_default();
        match option.name.as_str() {
            "on_error" => match value.to_ascii_lowercase().as_str() {
                "fail" => {}
                "skip" => error::option_not_yet(
                    "on_error = skip",
                    "Guard the definition instead: WHERE can_json_parse(kafka_value).",
                )
                .raise(),
                _ => error::option_value("on_error", &value, "fail").raise(),
            },
            "on_data_loss" => {
                self.on_data_loss =
                    OnDataLoss::of_name(&value.to_ascii_lowercase()).unwrap_or_else(|| {
                        error::option_value("on_data_loss", &value, "fail, continue").raise()
                    })
            }
            "max_record_bytes" => {
                self.max_record_bytes = value
                    .parse()
                    .ok()
                    .filter(|bytes| (1..=LARGEST_VALUE_BYTES).contains(bytes))
                    .unwrap_or_else(|| {
                        let allowed = format!("a whole number from 1 to {LARGEST_VALUE_BYTES}");
                        error::option_value("max_record_bytes", &value, &allowed).raise()
                    })
            }
            "consumer" => {
                // What RegisterStreamConsumer takes.
                let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
                if !(1..=128).contains(&value.len()) || !value.chars().all(is_name) {
                    let allowed = "the name of a consumer that is registered with the stream";
                    error::option_value("consumer", &value, allowed).raise();
                }
                self.consumer = Some(value);
            }
            "lag_alert_records" => {
                self.lag_alert_records = Some(number(
                    option,
                    Unit::None,
                    settings::LAG_RECORDS_RANGE,
                    "a whole number from 0 (off) to 2147483647",
                ))
            }
            "lag_alert_seconds" => {
                self.lag_alert_seconds = Some(number(
                    option,
                    Unit::Seconds,
                    settings::LAG_SECONDS_RANGE,
                    "a time from 0 (off) to 24d, such as 5min",
                ))
            }
            name if pace::is_option(name) => self.pace.set(option),
            fixed => error::option_fixed(fixed).raise(),
        }
    }

    /// Sets one option back to its default.
    pub fn reset(&mut self, name: &str) {
        let default = Options::default();
        match name {
            "on_error" => {}
            "on_data_loss" => self.on_data_loss = default.on_data_loss,
            "max_record_bytes" => self.max_record_bytes = default.max_record_bytes,
            "consumer" => self.consumer = None,
            "lag_alert_records" => self.lag_alert_records = None,
            "lag_alert_seconds" => self.lag_alert_seconds = None,
            name if pace::is_option(name) => self.pace.reset(name),
            fixed => error::option_fixed(fixed).raise(),
        }
    }
}

/// `on`, `off` and what else Postgres takes for a boolean; the name alone means on.
pub fn parse_switch(option: &Definition) -> bool {
    let Some(value) = &option.value else {
        return true;
    };
    match value.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => true,
        "off" | "false" | "no" | "0" => false,
        _ => error::option_value(&option.name, value, "on, off").raise(),
    }
}
