//! Every setting of the extension, `redshift.<name>`: defined by the entries of `crates/settings`, read as what it is.

mod kind;
mod query_history;
mod session;
pub mod value;

use self::kind::{Define, Number, Switch, Text};
use self::query_history::QueryHistory;
use super::extension;
use pgrx::guc::GucSetting;
use settings::setting::{self as entry, Context, Setting};
use std::time::Duration;

pub use self::session::{
    CAST_SUPER_NULL_ON_ERROR, DEFAULT_ARRAY_SEARCH_NULL_HANDLING,
    ENABLE_CASE_SENSITIVE_SUPER_ATTRIBUTE, JSON_PARSE_DEDUP_ATTRIBUTES,
    NAVIGATE_SUPER_NULL_ON_ERROR, PARSE_SUPER_NULL_ON_ERROR,
};

/// A static for each entry, and `define_at`, which defines those of a context.
macro_rules! settings {
    ($($kind:ident $name:ident;)*) => {
        $(static $name: $kind = $kind::of(&entry::$name);)*

        fn define_at(wanted: impl Fn(Context) -> bool) {
            $(if wanted(entry::$name.context) {
                $name.define();
            })*
        }

        /// What a setting of whole numbers is, in the unit of its entry.
        pub fn number_of(wanted: &Setting) -> Option<i32> {
            $(if wanted.name == entry::$name.name {
                return $name.number();
            })*
            None
        }
    };
}

settings! {
    Number MEMORY_LIMIT;
    Number CONNECT_TIMEOUT;
    Number FETCH_TIMEOUT;
    Text TIMEZONE;
    Number COMMIT_WINDOW;
    Number BATCH_RECORDS;
    Number BATCH_SIZE;
    Number BATCH_TIMEOUT;
    Number INGEST_WORKERS;
    Number SYNC_INTERVAL;
    Number HISTORY_DAYS;
    Number LAG_ALERT_RECORDS;
    Number LAG_ALERT_SECONDS;
    Number MAX_DATABASES;
    Text HOST_ROLE;
    Text AWS_REGION;
    Text AWS_ENDPOINT_URL;
    Text DEFAULT_IAM_ROLE;
    Switch KINESIS_LIMITS;
}

static QUERY_HISTORY: GucSetting<QueryHistory> =
    GucSetting::<QueryHistory>::new(QueryHistory::Refreshes);

/// Defines the settings; called once, when the library is loaded.
pub fn define() {
    session::define();
    query_history::define(&QUERY_HISTORY);
    // Postgres lets nobody define later what acts after a restart.
    let at_start = extension::is_loading_at_start();
    define_at(|context| at_start || context != Context::Restart);
}

/// `redshift.aws_endpoint_url`.
pub fn aws_endpoint_url() -> Option<String> {
    AWS_ENDPOINT_URL.get()
}

/// `redshift.aws_region`.
pub fn aws_region() -> Option<String> {
    AWS_REGION.get()
}

/// `redshift.default_iam_role`.
pub fn default_iam_role() -> Option<String> {
    DEFAULT_IAM_ROLE.get()
}

/// `redshift.host_role`.
pub fn host_role() -> Option<String> {
    HOST_ROLE.get()
}

/// `redshift.kinesis_limits`.
pub fn kinesis_limits() -> bool {
    KINESIS_LIMITS.get()
}

/// `redshift.max_databases`.
pub fn max_databases() -> usize {
    usize::try_from(MAX_DATABASES.get()).unwrap_or(1)
}

/// `redshift.ingest_workers`.
pub fn ingest_workers() -> usize {
    usize::try_from(INGEST_WORKERS.get()).unwrap_or(1)
}

/// `redshift.sync_interval`; `None` if it is off.
pub fn sync_interval() -> Option<Duration> {
    let seconds = u64::try_from(SYNC_INTERVAL.get()).unwrap_or(0);
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

/// `redshift.history_days`.
pub fn history_days() -> i32 {
    HISTORY_DAYS.get()
}

/// `redshift.query_history`: are all statements recorded, or refreshes only?
pub fn records_all_statements() -> bool {
    QUERY_HISTORY.get() == QueryHistory::All
}

/// `redshift.lag_alert_records` and `redshift.lag_alert_seconds`; 0 is off.
pub fn lag_limits() -> (i32, i32) {
    (LAG_ALERT_RECORDS.get(), LAG_ALERT_SECONDS.get())
}

/// `redshift.commit_window_ms`.
pub fn commit_window() -> Duration {
    milliseconds(COMMIT_WINDOW.get())
}

/// `redshift.batch_records`, and `redshift.batch_size` in bytes.
pub fn batch_limits() -> (usize, u64) {
    let records = usize::try_from(BATCH_RECORDS.get()).unwrap_or(1);
    (records, u64::try_from(BATCH_SIZE.get()).unwrap_or(1) * 1024)
}

/// `redshift.batch_timeout`; `None` if it is off.
pub fn batch_timeout() -> Option<Duration> {
    let limit = milliseconds(BATCH_TIMEOUT.get());
    (!limit.is_zero()).then_some(limit)
}

/// `redshift.memory_limit`, in bytes.
pub fn memory_limit_bytes() -> usize {
    usize::try_from(MEMORY_LIMIT.get()).unwrap_or(0) * 1024
}

/// `redshift.connect_timeout_ms`.
pub fn connect_timeout() -> Duration {
    milliseconds(CONNECT_TIMEOUT.get())
}

/// `redshift.fetch_timeout_ms`.
pub fn fetch_timeout() -> Duration {
    milliseconds(FETCH_TIMEOUT.get())
}

/// A setting in milliseconds; what is negative is none.
pub fn milliseconds(value: i32) -> Duration {
    Duration::from_millis(u64::try_from(value).unwrap_or(0))
}
