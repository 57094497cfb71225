//! Options of a view that stay: columns of redshift.materialized_view. What may stand in WITH (..) is in `crate::view::options`.

/// The largest VARBYTE, and so the largest record that Redshift ingests ("Streaming ingestion to a materialized view", limits).
pub const DEFAULT_MAX_RECORD_BYTES: u64 = 16_777_216;

/// What a refresh does when records were lost before it could read them.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum OnDataLoss {
    /// Raise an error that names what is lost.
    #[default]
    Fail,
    /// Go on at the earliest record and log what is lost.
    Continue,
}

impl OnDataLoss {
    /// By its name in WITH (..).
    pub fn of_name(name: &str) -> Option<OnDataLoss> {
        match name {
            "fail" => Some(OnDataLoss::Fail),
            "continue" => Some(OnDataLoss::Continue),
            _ => None,
        }
    }

    /// Its name in WITH (..).
    pub fn name(self) -> &'static str {
        match self {
            OnDataLoss::Fail => "fail",
            OnDataLoss::Continue => "continue",
        }
    }
}

/// The options that stay and can be changed by ALTER MATERIALIZED VIEW .. SET.
#[derive(Clone, Debug)]
pub struct Options {
    /// `on_data_loss`
    pub on_data_loss: OnDataLoss,
    /// `max_record_bytes`
    pub max_record_bytes: u64,
    /// How a worker loads it.
    pub pace: Pace,
    /// `consumer`: by whose subscriptions a worker reads a stream of Kinesis (enhanced fan-out).
    pub consumer: Option<String>,
    /// `lag_alert_records`, instead of the setting; 0 turns it off.
    pub lag_alert_records: Option<i32>,
    /// `lag_alert_seconds`, in the same way.
    pub lag_alert_seconds: Option<i32>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            on_data_loss: OnDataLoss::default(),
            max_record_bytes: DEFAULT_MAX_RECORD_BYTES,
            pace: Pace::default(),
            consumer: None,
            lag_alert_records: None,
            lag_alert_seconds: None,
        }
    }
}

impl Options {
    /// Is its lag to be watched, whatever the settings are?
    pub fn has_lag_limits(&self) -> bool {
        self.lag_alert_records.is_some() || self.lag_alert_seconds.is_some()
    }
}

/// How a worker loads a view.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// `batch_records`
    pub batch_records: Option<i32>,
    /// `batch_size`, in kilobytes.
    pub batch_kb: Option<i32>,
    /// `commit_window_ms`
    pub commit_window_ms: Option<i32>,
    /// `max_records_per_second`
    pub max_records_per_second: Option<i32>,
    /// `batch_timeout`, in milliseconds.
    pub batch_timeout_ms: Option<i32>,
    /// `parallel`: how many workers divide the partitions.
    pub parallel: i32,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            batch_records: None,
            batch_kb: None,
            commit_window_ms: None,
            max_records_per_second: None,
            batch_timeout_ms: None,
            parallel: 1,
        }
    }
}
