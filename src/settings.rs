//! Every setting of the extension, `redshift.<name>`.

use crate::pg::extension;
use crate::pg::query_history::{self, QueryHistory};
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use std::ffi::CString;
use std::time::Duration;

use crate::pg::shared::MOST_WORKERS;

pub use crate::pg::session_setting::{
    CAST_SUPER_NULL_ON_ERROR, DEFAULT_ARRAY_SEARCH_NULL_HANDLING,
    ENABLE_CASE_SENSITIVE_SUPER_ATTRIBUTE, JSON_PARSE_DEDUP_ATTRIBUTES,
    NAVIGATE_SUPER_NULL_ON_ERROR, PARSE_SUPER_NULL_ON_ERROR,
};

static MEMORY_LIMIT_KB: GucSetting<i32> = GucSetting::<i32>::new(64 * 1024);
static CONNECT_TIMEOUT_MS: GucSetting<i32> = GucSetting::<i32>::new(10_000);
static FETCH_TIMEOUT_MS: GucSetting<i32> = GucSetting::<i32>::new(30_000);
static TIMEZONE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"UTC"));

static COMMIT_WINDOW_MS: GucSetting<i32> = GucSetting::<i32>::new(10);
static BATCH_RECORDS: GucSetting<i32> = GucSetting::<i32>::new(10_000);
static BATCH_KB: GucSetting<i32> = GucSetting::<i32>::new(8 * 1024);
static BATCH_TIMEOUT_MS: GucSetting<i32> = GucSetting::<i32>::new(60_000);

static AWS_ENDPOINT_URL: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static AWS_REGION: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static DEFAULT_IAM_ROLE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static HOST_ROLE: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static KINESIS_LIMITS: GucSetting<bool> = GucSetting::<bool>::new(true);

static MAX_DATABASES: GucSetting<i32> = GucSetting::<i32>::new(64);
static INGEST_WORKERS: GucSetting<i32> = GucSetting::<i32>::new(2);
static SYNC_INTERVAL_S: GucSetting<i32> = GucSetting::<i32>::new(60);
static HISTORY_DAYS: GucSetting<i32> = GucSetting::<i32>::new(7);

static QUERY_HISTORY: GucSetting<QueryHistory> =
    GucSetting::<QueryHistory>::new(QueryHistory::Refreshes);
static LAG_ALERT_RECORDS: GucSetting<i32> = GucSetting::<i32>::new(0);
static LAG_ALERT_SECONDS: GucSetting<i32> = GucSetting::<i32>::new(0);

/// What `redshift.commit_window_ms` may be, and a view's option of that name.
pub const COMMIT_WINDOW_RANGE: (i32, i32) = (0, 3_600_000);
/// What `redshift.batch_records` may be.
pub const BATCH_RECORDS_RANGE: (i32, i32) = (1, 10_000_000);
/// What `redshift.batch_size` may be, in kilobytes.
pub const BATCH_KB_RANGE: (i32, i32) = (1, 1024 * 1024);

/// What `redshift.lag_alert_records` may be, and a view's option of that name.
pub const LAG_RECORDS_RANGE: (i32, i32) = (0, i32::MAX);
/// The same for `redshift.lag_alert_seconds`.
pub const LAG_SECONDS_RANGE: (i32, i32) = (0, i32::MAX / 1000);

/// Defines the settings; called once, when the library is loaded.
pub fn define() {
    crate::pg::session_setting::define();
    GucRegistry::define_string_guc(
        c"redshift.timezone",
        c"The time zone of GETDATE and SYSDATE.",
        c"A name or an abbreviation. Redshift's is UTC unless the session changes it.",
        &TIMEZONE,
        GucContext::Userset,
        GucFlags::default(),
    );
    define_sources();
    // Postgres lets nobody define such a setting later.
    if extension::is_loading_at_start() {
        GucRegistry::define_int_guc(
            c"redshift.max_databases",
            c"How many databases can have auto refresh at a time.",
            c"Each takes a little shared memory, and one or more of max_worker_processes.",
            &MAX_DATABASES,
            1,
            4096,
            GucContext::Postmaster,
            GucFlags::default(),
        );
    }
    GucRegistry::define_int_guc(
        c"redshift.memory_limit",
        c"How much one scan of a stream fetches ahead and buffers.",
        c"Whatever the number of partitions and the backlog. A batch of records may have half of it, and 16 MB in any case.",
        &MEMORY_LIMIT_KB,
        1024,
        16 * 1024 * 1024,
        GucContext::Userset,
        GucFlags::UNIT_KB,
    );
    GucRegistry::define_int_guc(
        c"redshift.connect_timeout_ms",
        c"How long to wait for the broker's answer to a request, in milliseconds.",
        c"",
        &CONNECT_TIMEOUT_MS,
        10,
        3_600_000,
        GucContext::Userset,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_int_guc(
        c"redshift.fetch_timeout_ms",
        c"How long to wait for the next records while a stream is read, in milliseconds.",
        c"",
        &FETCH_TIMEOUT_MS,
        10,
        3_600_000,
        GucContext::Userset,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_int_guc(
        c"redshift.commit_window_ms",
        c"Auto refresh commits at most once in this time per view, in milliseconds.",
        c"Each commit costs a transaction id. The first record after a pause is committed at once.",
        &COMMIT_WINDOW_MS,
        COMMIT_WINDOW_RANGE.0,
        COMMIT_WINDOW_RANGE.1,
        GucContext::Sighup,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_int_guc(
        c"redshift.batch_records",
        c"How many records auto refresh loads in one transaction at most.",
        c"",
        &BATCH_RECORDS,
        BATCH_RECORDS_RANGE.0,
        BATCH_RECORDS_RANGE.1,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"redshift.batch_timeout",
        c"The longest time of a batch of auto refresh, in milliseconds.",
        c"One that takes longer is cancelled, and tried again with fewer records. 0 turns it off.",
        &BATCH_TIMEOUT_MS,
        0,
        i32::MAX,
        GucContext::Sighup,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_int_guc(
        c"redshift.ingest_workers",
        c"How many processes a database has for auto refresh at most.",
        c"They divide the topics among them, and the partitions of views with option parallel. Each needs one of max_worker_processes.",
        &INGEST_WORKERS,
        1,
        MOST_WORKERS as i32,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"redshift.sync_interval",
        c"How often external schemas with option sync = auto get relations for topics and streams that have appeared.",
        c"0 turns it off.",
        &SYNC_INTERVAL_S,
        0,
        86_400,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_int_guc(
        c"redshift.history_days",
        c"How many days of refreshes and skipped records the SYS_ views show.",
        c"Older ledger rows are merged, so that redshift.verify covers all time. Removed by the worker.",
        &HISTORY_DAYS,
        1,
        36_500,
        GucContext::Sighup,
        GucFlags::default(),
    );
    query_history::define(&QUERY_HISTORY);
    GucRegistry::define_int_guc(
        c"redshift.lag_alert_records",
        c"An event is sent when a view is more than so many records behind its topic, and when it is back.",
        c"0 turns it off.",
        &LAG_ALERT_RECORDS,
        LAG_RECORDS_RANGE.0,
        LAG_RECORDS_RANGE.1,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"redshift.lag_alert_seconds",
        c"An event is sent when the last record that a view has is older than this while others wait, and when it is back.",
        c"0 turns it off.",
        &LAG_ALERT_SECONDS,
        LAG_SECONDS_RANGE.0,
        LAG_SECONDS_RANGE.1,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_int_guc(
        c"redshift.batch_size",
        c"How much auto refresh loads in one transaction at most.",
        c"",
        &BATCH_KB,
        BATCH_KB_RANGE.0,
        BATCH_KB_RANGE.1,
        GucContext::Sighup,
        GucFlags::UNIT_KB,
    );
}

fn define_sources() {
    GucRegistry::define_string_guc(
        c"redshift.host_role",
        c"The role whose members may say where the brokers of external schemas are.",
        c"Without it only superusers may: the server's machine connects there, from inside its network.",
        &HOST_ROLE,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        c"redshift.aws_endpoint_url",
        c"Address of the services of AWS, instead of the region's own.",
        c"An emulator's or a VPC endpoint's. Requests signed with the server's identity go there.",
        &AWS_ENDPOINT_URL,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        c"redshift.aws_region",
        c"The region of external schemas that name none.",
        c"Without it the server's environment, profile or instance says it.",
        &AWS_REGION,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_string_guc(
        c"redshift.default_iam_role",
        c"What iam_role 'default' stands for: the ARN of a role, or several that are assumed one after the other.",
        c"",
        &DEFAULT_IAM_ROLE,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_bool_guc(
        c"redshift.kinesis_limits",
        c"Keeps within 5 reads and 2 MB a second and shard, as the service asks.",
        c"Off where nothing limits, such as an emulator in a benchmark.",
        &KINESIS_LIMITS,
        GucContext::Suset,
        GucFlags::default(),
    );
}

/// `redshift.aws_endpoint_url`.
pub fn aws_endpoint_url() -> Option<String> {
    text(&AWS_ENDPOINT_URL)
}

/// `redshift.aws_region`.
pub fn aws_region() -> Option<String> {
    text(&AWS_REGION)
}

/// `redshift.default_iam_role`.
pub fn default_iam_role() -> Option<String> {
    text(&DEFAULT_IAM_ROLE)
}

/// `redshift.host_role`.
pub fn host_role() -> Option<String> {
    text(&HOST_ROLE)
}

/// `redshift.kinesis_limits`.
pub fn kinesis_limits() -> bool {
    KINESIS_LIMITS.get()
}

/// A setting's text; an empty one is none.
fn text(setting: &GucSetting<Option<CString>>) -> Option<String> {
    let value = setting.get()?.into_string().ok()?;
    (!value.is_empty()).then_some(value)
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
    let seconds = u64::try_from(SYNC_INTERVAL_S.get()).unwrap_or(0);
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
    milliseconds(COMMIT_WINDOW_MS.get())
}

/// `redshift.batch_records`, and `redshift.batch_size` in bytes.
pub fn batch_limits() -> (usize, u64) {
    let records = usize::try_from(BATCH_RECORDS.get()).unwrap_or(1);
    (records, u64::try_from(BATCH_KB.get()).unwrap_or(1) * 1024)
}

/// `redshift.batch_timeout`; `None` if it is off.
pub fn batch_timeout() -> Option<Duration> {
    let limit = milliseconds(BATCH_TIMEOUT_MS.get());
    (!limit.is_zero()).then_some(limit)
}

/// `redshift.memory_limit`, in bytes.
pub fn memory_limit_bytes() -> usize {
    usize::try_from(MEMORY_LIMIT_KB.get()).unwrap_or(0) * 1024
}

/// `redshift.connect_timeout_ms`.
pub fn connect_timeout() -> Duration {
    milliseconds(CONNECT_TIMEOUT_MS.get())
}

/// `redshift.fetch_timeout_ms`.
pub fn fetch_timeout() -> Duration {
    milliseconds(FETCH_TIMEOUT_MS.get())
}

/// A setting in milliseconds; what is negative is none.
pub fn milliseconds(value: i32) -> Duration {
    Duration::from_millis(u64::try_from(value).unwrap_or(0))
}
