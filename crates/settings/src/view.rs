//! Options of a materialized view, behind WITH and in ALTER .. SET.

use crate::setting::{self, Setting};
use crate::{Preset, Unit, Values, Whole};

/// The largest VARBYTE, and so the largest record that Redshift ingests ("Streaming ingestion to a materialized view", limits).
const LARGEST_VARBYTE: i32 = 16_777_216;
/// The largest value that a Postgres column can hold, headers aside.
const LARGEST_VALUE: i32 = 1_073_741_816;

/// What an option is to the setting of its name.
#[derive(Clone, Copy, Debug)]
pub enum Relation {
    /// There is no such setting.
    None,
    /// It holds instead of the setting.
    Instead(&'static Setting),
    /// It holds where it is less than the setting, which is the most.
    Within(&'static Setting),
}

/// An option.
#[derive(Clone, Copy, Debug)]
pub struct ViewOption {
    /// Its name, and that of its column in redshift.materialized_view if it stays.
    pub name: &'static str,
    /// What it may be.
    pub values: Values,
    /// What it is where nothing is said and no setting has its name.
    pub default: Preset,
    /// Can ALTER .. SET change it?
    pub can_change: bool,
    /// What it is to a setting of its name.
    pub setting: Relation,
    /// What it means, for the documentation.
    pub meaning: &'static str,
}

impl ViewOption {
    const fn new(
        name: &'static str,
        values: Values,
        default: Preset,
        meaning: &'static str,
    ) -> ViewOption {
        ViewOption {
            name,
            values,
            default,
            can_change: true,
            setting: Relation::None,
            meaning,
        }
    }

    /// Only CREATE takes it.
    const fn at_creation(self) -> ViewOption {
        ViewOption {
            can_change: false,
            ..self
        }
    }

    /// It has name and range of a setting and holds in its place.
    const fn instead_of(setting: &'static Setting) -> ViewOption {
        ViewOption {
            setting: Relation::Instead(setting),
            ..ViewOption::new(setting.name, setting.values, Preset::None, "")
        }
    }

    /// It has the name of a setting that bounds it: no value turns it off.
    const fn within(setting: &'static Setting) -> ViewOption {
        let whole = Whole {
            least: 1,
            zero_is_off: false,
            ..setting.values.whole()
        };
        ViewOption {
            setting: Relation::Within(setting),
            ..ViewOption::new(setting.name, Values::Whole(whole), Preset::None, "")
        }
    }
}

/// `start`
pub const START: ViewOption = ViewOption::new(
    "start",
    Values::Text("earliest, latest, a timestamp, or positions such as {\"0\": 42, \"1\": 7}"),
    Preset::Text(c"earliest"),
    "where the first refresh begins. `earliest` is looked up by the first refresh, the others when the view is created. A timestamp without a zone is UTC and needs a broker that can look it up (Apache Kafka); otherwise 0A000, `the broker cannot look up records of topic .. by time`. Partitions that a list of offsets leaves out begin at the earliest record",
)
.at_creation();

/// `on_error`
pub const ON_ERROR: ViewOption = ViewOption::new(
    "on_error",
    Values::Words(&["fail"]),
    Preset::Text(c"fail"),
    "a record on which the definition raises an error fails the refresh; `skip` is refused in this release",
);

/// `on_data_loss`
pub const ON_DATA_LOSS: ViewOption = ViewOption::new(
    "on_data_loss",
    Values::Words(&["fail", "continue"]),
    Preset::Text(c"fail"),
    "what a refresh does when [records are gone](when-something-is-wrong.md#lost-records) before it could read them",
);

/// `max_record_bytes`
pub const MAX_RECORD_BYTES: ViewOption = ViewOption::new(
    "max_record_bytes",
    Values::Whole(Whole::new(1, LARGEST_VALUE, Unit::None)),
    Preset::Number(LARGEST_VARBYTE),
    "a record with a longer key or value, or more bytes of headers, is skipped and [logged](monitoring.md#sys_stream_scan_errors)",
);

/// `partition_by`
pub const PARTITION_BY: ViewOption = ViewOption::new(
    "partition_by",
    Values::Text("a PARTITION BY clause"),
    Preset::None,
    "what the view is [partitioned](#partitions) by",
)
.at_creation();

/// `default_partition`
pub const DEFAULT_PARTITION: ViewOption = ViewOption::new(
    "default_partition",
    Values::Switch,
    Preset::Switch(true),
    "with `partition_by`: whether the view gets a default partition",
)
.at_creation();

/// `offset_index`
pub const OFFSET_INDEX: ViewOption = ViewOption::new(
    "offset_index",
    Values::Words(&["brin", "btree", "none"]),
    Preset::Text(c"brin"),
    "the index on `kafka_partition, kafka_offset`: a few kilobytes, unique, or none",
)
.at_creation();

/// `auto_refresh`
pub const AUTO_REFRESH: ViewOption = ViewOption::new(
    "auto_refresh",
    Values::Switch,
    Preset::Switch(false),
    "a [background worker](auto-refresh.md) loads what arrives",
);

/// `consumer`; the form is what RegisterStreamConsumer takes.
pub const CONSUMER: ViewOption = ViewOption::new(
    "consumer",
    Values::Text("the name of a consumer that is registered with the stream"),
    Preset::None,
    "of a Kinesis stream, by whose subscriptions workers read it: [enhanced fan-out](kinesis.md#enhanced-fan-out)",
);

/// `max_records_per_second`
pub const MAX_RECORDS_PER_SECOND: ViewOption = ViewOption::new(
    "max_records_per_second",
    Values::Whole(Whole::new(1, i32::MAX, Unit::None)),
    Preset::None,
    "a rate limit of auto refresh, spread evenly over each second. What waits stays in the topic",
);

/// `parallel`
pub const PARALLEL: ViewOption = ViewOption::new(
    "parallel",
    Values::Whole(Whole::new(1, setting::MOST_WORKERS, Unit::None)),
    Preset::Number(1),
    "how many [workers](auto-refresh.md#workers) divide the view's partitions among them",
);

/// `lag_alert_records`
pub const LAG_ALERT_RECORDS: ViewOption = ViewOption::instead_of(&setting::LAG_ALERT_RECORDS);
/// `lag_alert_seconds`
pub const LAG_ALERT_SECONDS: ViewOption = ViewOption::instead_of(&setting::LAG_ALERT_SECONDS);
/// `batch_records`
pub const BATCH_RECORDS: ViewOption = ViewOption::instead_of(&setting::BATCH_RECORDS);
/// `batch_size`
pub const BATCH_SIZE: ViewOption = ViewOption::instead_of(&setting::BATCH_SIZE);
/// `batch_timeout`
pub const BATCH_TIMEOUT: ViewOption = ViewOption::within(&setting::BATCH_TIMEOUT);
/// `commit_window_ms`
pub const COMMIT_WINDOW: ViewOption = ViewOption::instead_of(&setting::COMMIT_WINDOW);

/// All of them, in the order in which hints name them.
pub const ALL: [&ViewOption; 17] = [
    &START,
    &ON_ERROR,
    &ON_DATA_LOSS,
    &MAX_RECORD_BYTES,
    &PARTITION_BY,
    &DEFAULT_PARTITION,
    &OFFSET_INDEX,
    &AUTO_REFRESH,
    &CONSUMER,
    &LAG_ALERT_RECORDS,
    &LAG_ALERT_SECONDS,
    &BATCH_RECORDS,
    &BATCH_SIZE,
    &BATCH_TIMEOUT,
    &COMMIT_WINDOW,
    &MAX_RECORDS_PER_SECOND,
    &PARALLEL,
];

/// The option of that name.
pub fn find(name: &str) -> Option<&'static ViewOption> {
    ALL.into_iter().find(|option| option.name == name)
}
