//! The settings, `redshift.<name>`.

use crate::{Preset, Unit, Values, Whole};

/// Who may set it, and when that acts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Context {
    /// Anyone, in his session.
    Session,
    /// A superuser, in his session.
    Superuser,
    /// The server's configuration; acts after a reload.
    Reload,
    /// The same; acts after a restart, and needs the library in `shared_preload_libraries`.
    Restart,
}

/// A setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Behind `redshift.`
    pub name: &'static str,
    /// What it may be.
    pub values: Values,
    /// What it is where nobody has set it.
    pub default: Preset,
    /// Who may set it.
    pub context: Context,
    /// What it does, in a sentence: `short_desc` of pg_settings.
    pub summary: &'static str,
    /// What else there is to know: `extra_desc`.
    pub details: &'static str,
    /// Where the documentation has more of it.
    pub see: &'static str,
}

impl Setting {
    const fn new(
        name: &'static str,
        values: Values,
        default: Preset,
        context: Context,
        summary: &'static str,
    ) -> Setting {
        Setting {
            name,
            values,
            default,
            context,
            summary,
            details: "",
            see: "",
        }
    }

    const fn whole(
        name: &'static str,
        range: Whole,
        default: i32,
        context: Context,
        summary: &'static str,
    ) -> Setting {
        let default = Preset::Number(default);
        Setting::new(name, Values::Whole(range), default, context, summary)
    }

    const fn details(self, details: &'static str) -> Setting {
        Setting { details, ..self }
    }

    const fn see(self, see: &'static str) -> Setting {
        Setting { see, ..self }
    }
}

/// A text of any form.
const TEXT: Values = Values::Text("a text");
const HOUR_MS: i32 = 3_600_000;

/// `redshift.memory_limit`
pub const MEMORY_LIMIT: Setting = Setting::whole(
    "memory_limit",
    Whole::new(1024, 16 * 1024 * 1024, Unit::Kilobytes),
    64 * 1024,
    Context::Session,
    "How much a scan of a stream, or a worker with all its views, fetches ahead and buffers.",
)
.details("Whatever the number of partitions and the backlog. A batch of records may have half of it, and 16 MB in any case.")
.see("[memory](production.md#memory)");

/// `redshift.connect_timeout_ms`
pub const CONNECT_TIMEOUT: Setting = Setting::whole(
    "connect_timeout_ms",
    Whole::new(10, HOUR_MS, Unit::Milliseconds),
    10_000,
    Context::Session,
    "How long to wait for the broker's answer to a request, in milliseconds.",
);

/// `redshift.fetch_timeout_ms`
pub const FETCH_TIMEOUT: Setting = Setting::whole(
    "fetch_timeout_ms",
    Whole::new(10, HOUR_MS, Unit::Milliseconds),
    30_000,
    Context::Session,
    "How long to wait for the next records while a stream is read, in milliseconds.",
);

/// `redshift.timezone`
pub const TIMEZONE: Setting = Setting::new(
    "timezone",
    Values::Text("the name of a time zone"),
    Preset::Text(c"UTC"),
    Context::Session,
    "The time zone of GETDATE and SYSDATE.",
)
.details("A name or an abbreviation. Redshift's is UTC unless the session changes it.");

/// `redshift.commit_window_ms`
pub const COMMIT_WINDOW: Setting = Setting::whole(
    "commit_window_ms",
    Whole::new(0, HOUR_MS, Unit::Milliseconds).such_as("100ms"),
    10,
    Context::Reload,
    "Auto refresh commits at most once in this time per view, in milliseconds.",
)
.details("Each commit costs a transaction id. The first record after a pause is committed at once.")
.see("[commits and batches](auto-refresh.md#commits-and-batches)");

/// `redshift.batch_records`
pub const BATCH_RECORDS: Setting = Setting::whole(
    "batch_records",
    Whole::new(1, 10_000_000, Unit::None),
    10_000,
    Context::Reload,
    "How many records auto refresh loads in one transaction at most.",
);

/// `redshift.batch_size`
pub const BATCH_SIZE: Setting = Setting::whole(
    "batch_size",
    Whole::new(1, 1024 * 1024, Unit::Kilobytes).such_as("512kB"),
    8 * 1024,
    Context::Reload,
    "How much auto refresh loads in one transaction at most.",
);

/// `redshift.batch_timeout`
pub const BATCH_TIMEOUT: Setting = Setting::whole(
    "batch_timeout",
    Whole::new(0, i32::MAX, Unit::Milliseconds)
        .zero_is_off()
        .such_as("10s"),
    60_000,
    Context::Reload,
    "The longest time of a batch of auto refresh, in milliseconds.",
)
.details("One that takes longer is cancelled, and tried again with fewer records. 0 turns it off.")
.see("[who waits for whom](auto-refresh.md#who-waits-for-whom)");

/// Processes that there is room for beside each other in a database.
pub const MOST_WORKERS: i32 = 16;

/// `redshift.ingest_workers`
pub const INGEST_WORKERS: Setting = Setting::whole(
    "ingest_workers",
    Whole::new(1, MOST_WORKERS, Unit::None),
    2,
    Context::Reload,
    "How many processes a database has for auto refresh at most.",
)
.details("They divide the topics among them, and the partitions of views with option parallel. Each needs one of max_worker_processes.")
.see("[workers](auto-refresh.md#workers)");

/// `redshift.sync_interval`
pub const SYNC_INTERVAL: Setting = Setting::whole(
    "sync_interval",
    Whole::new(0, 86_400, Unit::Seconds).zero_is_off(),
    60,
    Context::Reload,
    "How often external schemas with option sync = auto get relations for topics and streams that have appeared.",
)
.details("0 turns it off.")
.see("[topics that come later](external-schemas.md#topics-that-come-later)");

/// `redshift.history_days`
pub const HISTORY_DAYS: Setting = Setting::whole(
    "history_days",
    Whole::new(1, 36_500, Unit::None),
    7,
    Context::Reload,
    "How many days of refreshes and skipped records the SYS_ views show.",
)
.details(
    "Older ledger rows are merged, so that redshift.verify covers all time. Removed by the worker.",
);

/// `redshift.lag_alert_records`
pub const LAG_ALERT_RECORDS: Setting = Setting::whole(
    "lag_alert_records",
    Whole::new(0, i32::MAX, Unit::None).zero_is_off(),
    0,
    Context::Reload,
    "An event is sent when a view is more than so many records behind its topic, and when it is back.",
)
.details("0 turns it off.")
.see("[events](monitoring.md#events)");

/// `redshift.lag_alert_seconds`
pub const LAG_ALERT_SECONDS: Setting = Setting::whole(
    "lag_alert_seconds",
    Whole::new(0, i32::MAX / 1000, Unit::Seconds).zero_is_off().such_as("5min"),
    0,
    Context::Reload,
    "An event is sent when the last record that a view has is older than this while others wait, and when it is back.",
)
.details("0 turns it off.")
.see("[events](monitoring.md#events)");

/// `redshift.max_databases`
pub const MAX_DATABASES: Setting = Setting::whole(
    "max_databases",
    Whole::new(1, 4096, Unit::None),
    64,
    Context::Restart,
    "How many databases can have auto refresh at a time.",
)
.details("Each takes a little shared memory, and one or more of max_worker_processes.");

/// `redshift.query_history`; the words are those of `QueryHistory` in the extension, in this order.
pub const QUERY_HISTORY: Setting = Setting::new(
    "query_history",
    Values::Words(&["refreshes", "all"]),
    Preset::Text(c"refreshes"),
    Context::Superuser,
    "Which statements sys_query_history shows.",
)
.details("Refreshes, or all that clients send. Of statements that may hold a secret the command is kept.")
.see("[sys_query_history](monitoring.md#sys_query_history)");

/// `redshift.host_role`
pub const HOST_ROLE: Setting = Setting::new(
    "host_role",
    Values::Text("the name of a role"),
    Preset::None,
    Context::Superuser,
    "The role whose members may say where the brokers of external schemas are.",
)
.details(
    "Without it only superusers may: the server's machine connects there, from inside its network.",
)
.see("[who may do what](external-schemas.md#who-may-do-what)");

/// `redshift.aws_endpoint_url`
pub const AWS_ENDPOINT_URL: Setting = Setting::new(
    "aws_endpoint_url",
    TEXT,
    Preset::None,
    Context::Superuser,
    "Address of the services of AWS, instead of the region's own.",
)
.details("An emulator's or a VPC endpoint's. Requests signed with the server's identity go there.");

/// `redshift.aws_region`
pub const AWS_REGION: Setting = Setting::new(
    "aws_region",
    TEXT,
    Preset::None,
    Context::Superuser,
    "The region of external schemas that name none.",
)
.details("Without it the server's environment, profile or instance says it.");

/// `redshift.default_iam_role`
pub const DEFAULT_IAM_ROLE: Setting = Setting::new(
    "default_iam_role",
    TEXT,
    Preset::None,
    Context::Superuser,
    "What iam_role 'default' stands for: the ARN of a role, or several that are assumed one after the other.",
)
.see("[who acts as whom](msk-iam.md#who-acts-as-whom)");

/// `redshift.kinesis_limits`
pub const KINESIS_LIMITS: Setting = Setting::new(
    "kinesis_limits",
    Values::Switch,
    Preset::Switch(true),
    Context::Superuser,
    "Keeps within 5 reads and 2 MB a second and shard, as the service asks.",
)
.details("Off where nothing limits, such as an emulator in a benchmark.");

/// All of them, in the order of the documentation.
pub const ALL: [&Setting; 20] = [
    &MEMORY_LIMIT,
    &CONNECT_TIMEOUT,
    &FETCH_TIMEOUT,
    &TIMEZONE,
    &COMMIT_WINDOW,
    &BATCH_RECORDS,
    &BATCH_SIZE,
    &BATCH_TIMEOUT,
    &INGEST_WORKERS,
    &SYNC_INTERVAL,
    &HISTORY_DAYS,
    &LAG_ALERT_RECORDS,
    &LAG_ALERT_SECONDS,
    &MAX_DATABASES,
    &QUERY_HISTORY,
    &HOST_ROLE,
    &AWS_REGION,
    &AWS_ENDPOINT_URL,
    &DEFAULT_IAM_ROLE,
    &KINESIS_LIMITS,
];
