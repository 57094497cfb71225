//! redshift.materialized_view: which tables are streaming materialized views, and their options.

use crate::catalog::options::{OnDataLoss, Options, Pace};
use crate::pg::relation::{self, Oid};
use crate::pg::spi::{self, Row, as_extension_owner};

/// A streaming materialized view.
pub struct MaterializedView {
    /// Its number, which no other view ever gets again, in no copy of the database either.
    pub id: i64,
    /// The landing table: what users call the view.
    pub table: Oid,
    /// The hidden view with the definition, as long as it exists.
    pub definition: Option<Oid>,
    /// The external schema when the view was created, for messages.
    pub external_schema_name: String,
    /// The topic or stream when the view was created, for messages.
    pub stream_name: String,
    /// What a refresh has to know of WITH (..).
    pub options: Options,
    /// It came from a backup or another database and was not adopted.
    pub restored: bool,
    /// A worker loads it.
    pub auto_refresh: bool,
    /// The worker shall leave it alone for a while.
    pub paused: bool,
}

impl MaterializedView {
    /// The view's name without its schema, for messages.
    pub fn name(&self) -> String {
        relation::name(self.table).unwrap_or_else(|| self.table.to_u32().to_string())
    }
}

const COLUMNS: &str = "mv_id, mv::oid, definition::oid, external_schema_name, stream_name, on_data_loss, max_record_bytes,
    origin IS DISTINCT FROM redshift.origin(), auto_refresh, paused, batch_records, batch_size, commit_window_ms,
    max_records_per_second, parallel, batch_timeout, consumer, lag_alert_records, lag_alert_seconds";

fn read(row: Row) -> MaterializedView {
    let definition: Oid = row.expect(3);
    MaterializedView {
        id: row.expect(1),
        table: row.expect(2),
        definition: relation::exists(definition).then_some(definition),
        external_schema_name: row.expect(4),
        stream_name: row.expect(5),
        options: Options {
            on_data_loss: OnDataLoss::of_name(&row.expect::<String>(6)).unwrap_or_default(),
            max_record_bytes: u64::try_from(row.expect::<i64>(7)).unwrap_or(0),
            pace: read_pace(&row, 11),
            consumer: row.get(17),
            lag_alert_records: row.get(18),
            lag_alert_seconds: row.get(19),
        },
        restored: row.expect(8),
        auto_refresh: row.expect(9),
        paused: row.expect(10),
    }
}

/// The columns batch_records, batch_size, commit_window_ms, max_records_per_second, parallel, batch_timeout.
fn read_pace(row: &Row, first: usize) -> Pace {
    Pace {
        batch_records: row.get(first),
        batch_kb: row.get(first + 1),
        commit_window_ms: row.get(first + 2),
        max_records_per_second: row.get(first + 3),
        parallel: row.expect(first + 4),
        batch_timeout_ms: row.get(first + 5),
    }
}

/// The view whose landing table this is.
pub fn find(table: Oid) -> Option<MaterializedView> {
    let sql = format!("SELECT {COLUMNS} FROM redshift.materialized_view WHERE mv = $1");
    as_extension_owner(|| spi::first(&sql, &[table.into()], read))
}

/// Is this the landing table of a streaming materialized view?
pub fn exists(table: Oid) -> bool {
    let sql = "SELECT 1 FROM redshift.materialized_view WHERE mv = $1";
    as_extension_owner(|| spi::first(sql, &[table.into()], |_| ()).is_some())
}

/// The landing table of the materialized view that has this hidden view. Only looks: also where nothing may be written.
pub fn defined_by(view: Oid) -> Option<Oid> {
    let sql = "SELECT mv::oid FROM redshift.materialized_view WHERE definition = $1";
    as_extension_owner(|| spi::look(sql, &[view.into()], |row| row.expect(1)))
}

/// Registers a view; returns its number.
pub fn insert(table: Oid, definition: Oid, schema: &str, stream: &str, options: &Options) -> i64 {
    as_extension_owner(|| {
        let id = spi::first(
            "INSERT INTO redshift.materialized_view
                (mv, definition, external_schema_name, stream_name, on_data_loss, max_record_bytes)
             VALUES ($1, $2, $3, $4, $5, $6) RETURNING mv_id",
            &[
                table.into(),
                definition.into(),
                schema.into(),
                stream.into(),
                options.on_data_loss.name().into(),
                (options.max_record_bytes as i64).into(),
            ],
            |row| row.expect(1),
        );
        let id = id.unwrap_or_else(|| panic!("INSERT .. RETURNING gave no row"));
        update_options(id, options);
        adopt_as_extension_owner(id);
        id
    })
}

/// Makes the view this database's own. (A trigger forgets the origin of every row that is inserted, so only a second step by us sets it.)
pub fn adopt(id: i64) {
    as_extension_owner(|| adopt_as_extension_owner(id));
}

fn adopt_as_extension_owner(id: i64) {
    spi::execute(
        "UPDATE redshift.materialized_view SET origin = redshift.origin() WHERE mv_id = $1",
        &[id.into()],
    );
}

/// Removes the registrations of views that were dropped while no event trigger ran.
pub fn forget_orphans() {
    as_extension_owner(|| spi::execute("SELECT redshift.forget_orphans()", &[]));
}

/// Stores changed options.
pub fn update_options(id: i64, options: &Options) {
    as_extension_owner(|| {
        spi::execute(
            "UPDATE redshift.materialized_view
             SET on_data_loss = $2, max_record_bytes = $3, batch_records = $4, batch_size = $5, commit_window_ms = $6,
                 max_records_per_second = $7, parallel = $8, consumer = $9, lag_alert_records = $10, lag_alert_seconds = $11,
                 batch_timeout = $12
             WHERE mv_id = $1",
            &[
                id.into(),
                options.on_data_loss.name().into(),
                (options.max_record_bytes as i64).into(),
                options.pace.batch_records.into(),
                options.pace.batch_kb.into(),
                options.pace.commit_window_ms.into(),
                options.pace.max_records_per_second.into(),
                options.pace.parallel.into(),
                options.consumer.as_deref().into(),
                options.lag_alert_records.into(),
                options.lag_alert_seconds.into(),
                options.pace.batch_timeout_ms.into(),
            ],
        )
    });
}

/// Turns auto refresh on or off.
pub fn set_auto_refresh(id: i64, on: bool) {
    as_extension_owner(|| {
        spi::execute(
            "UPDATE redshift.materialized_view SET auto_refresh = $2 WHERE mv_id = $1",
            &[id.into(), on.into()],
        )
    });
}

/// Pauses auto refresh, or resumes it.
pub fn set_paused(id: i64, paused: bool) {
    as_extension_owner(|| {
        spi::execute(
            "UPDATE redshift.materialized_view SET paused = $2 WHERE mv_id = $1",
            &[id.into(), paused.into()],
        )
    });
}

/// A view that a worker has to load.
pub struct Followed {
    /// Its number.
    pub id: i64,
    /// The landing table.
    pub table: Oid,
    /// External schema and topic, as they were called when the view was created.
    pub topic: (String, String),
    /// How it is to be loaded.
    pub pace: Pace,
}

/// The views that workers have to load, in the order of their numbers.
pub fn under_auto_refresh() -> Vec<Followed> {
    as_extension_owner(|| {
        spi::rows(
            "SELECT mv_id, mv::oid, external_schema_name, stream_name, batch_records, batch_size, commit_window_ms,
                 max_records_per_second, parallel, batch_timeout
             FROM redshift.materialized_view
             WHERE mv_id IN (SELECT p.mv_id FROM redshift.present_view AS p) AND auto_refresh AND NOT paused AND origin IS NOT DISTINCT FROM redshift.origin() ORDER BY mv_id",
            &[],
            |row| Followed {
                id: row.expect(1),
                table: row.expect(2),
                topic: (row.expect(3), row.expect(4)),
                pace: read_pace(&row, 5),
            },
        )
    })
}

/// The names of other views under auto refresh on the same topic.
pub fn others_on_topic(id: i64, schema: &str, topic: &str) -> Vec<String> {
    as_extension_owner(|| {
        spi::rows(
            "SELECT mv::pg_catalog.text FROM redshift.materialized_view
             WHERE auto_refresh AND mv_id <> $1 AND external_schema_name = $2 AND stream_name = $3 ORDER BY mv_id",
            &[id.into(), schema.into(), topic.into()],
            |row| row.expect(1),
        )
    })
}
