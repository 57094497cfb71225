//! What stays of WITH (..): columns of redshift.materialized_view, each with an entry in `crates/settings` and a field here or in [`Pace`].

use super::kept::{kept_options, refuse};
use crate::catalog::pace::Pace;
use crate::error;
use crate::pg::node::Definition;
use plan::loss::OnDataLoss;
use settings::view;

kept_options! {
    /// The options that stay and can be changed by ALTER MATERIALIZED VIEW .. SET.
    #[derive(Clone, Debug)]
    struct Options {
        /// `on_data_loss`
        on_data_loss: OnDataLoss = ON_DATA_LOSS,
        /// `max_record_bytes`
        max_record_bytes: u64 = MAX_RECORD_BYTES,
        /// `consumer`: by whose subscriptions a worker reads a stream of Kinesis (enhanced fan-out).
        consumer: Option<String> = CONSUMER,
        /// `lag_alert_records`, instead of the setting; 0 turns it off.
        lag_alert_records: Option<i32> = LAG_ALERT_RECORDS,
        /// `lag_alert_seconds`, in the same way.
        lag_alert_seconds: Option<i32> = LAG_ALERT_SECONDS,
    }
    with
    /// How a worker loads it.
    pace: Pace
}

impl Options {
    /// Is its lag to be watched, whatever the settings are?
    pub fn has_lag_limits(&self) -> bool {
        self.lag_alert_records.is_some() || self.lag_alert_seconds.is_some()
    }

    /// Changes one option.
    pub fn set(&mut self, option: &Definition) {
        let value = option.value.as_deref().unwrap_or_default();
        if option.name == view::ON_ERROR.name {
            check_on_error(value);
        } else if !self.change(&option.name, Some(value)) {
            error::option_fixed(&option.name).raise();
        }
    }

    /// Sets one option back to its default.
    pub fn reset(&mut self, name: &str) {
        if name != view::ON_ERROR.name && !self.change(name, None) {
            error::option_fixed(name).raise();
        }
    }
}

fn check_on_error(value: &str) {
    match value.to_ascii_lowercase().as_str() {
        "fail" => {}
        "skip" => error::option_not_yet(
            "on_error = skip",
            "Guard the definition instead: WHERE can_json_parse(kafka_value).",
        )
        .raise(),
        _ => refuse(&view::ON_ERROR, value),
    }
}
