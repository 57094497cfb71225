//! redshift.materialized_view: which tables are streaming materialized views, and their options.

use crate::catalog::options::Options;
use crate::catalog::pace::Pace;
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

const COLUMNS: &str = "mv_id, mv::oid, definition::oid, external_schema_name, stream_name,
    origin IS DISTINCT FROM redshift.origin() AS restored, auto_refresh, paused";

fn read(row: Row) -> MaterializedView {
    let definition: Oid = row.expect("definition");
    MaterializedView {
        id: row.expect("mv_id"),
        table: row.expect("mv"),
        definition: relation::exists(definition).then_some(definition),
        external_schema_name: row.expect("external_schema_name"),
        stream_name: row.expect("stream_name"),
        options: Options::read(&row),
        restored: row.expect("restored"),
        auto_refresh: row.expect("auto_refresh"),
        paused: row.expect("paused"),
    }
}

/// The view whose landing table this is.
pub fn find(table: Oid) -> Option<MaterializedView> {
    let options = Options::columns().join(", ");
    let sql = format!("SELECT {COLUMNS}, {options} FROM redshift.materialized_view WHERE mv = $1");
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
    as_extension_owner(|| spi::look(sql, &[view.into()], spi::only))
}

/// Registers a view; returns its number.
pub fn insert(table: Oid, definition: Oid, schema: &str, stream: &str, options: &Options) -> i64 {
    as_extension_owner(|| {
        let columns = Options::columns();
        let sql = format!(
            "INSERT INTO redshift.materialized_view (mv, definition, external_schema_name, stream_name, {})
             VALUES ($1, $2, $3, $4, {}) RETURNING mv_id",
            columns.join(", "),
            parameters(5, columns.len()).join(", ")
        );
        let mut args = vec![
            table.into(),
            definition.into(),
            schema.into(),
            stream.into(),
        ];
        args.extend(options.args());
        let id = spi::first(&sql, &args, spi::only);
        let id = id.unwrap_or_else(|| panic!("INSERT .. RETURNING gave no row"));
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
    let columns = Options::columns();
    let sql = format!(
        "UPDATE redshift.materialized_view SET ({}) = ROW ({}) WHERE mv_id = $1",
        columns.join(", "),
        parameters(2, columns.len()).join(", ")
    );
    let mut args = vec![id.into()];
    args.extend(options.args());
    as_extension_owner(|| spi::execute(&sql, &args));
}

/// `$first`, `$first + 1` and so on.
fn parameters(first: usize, count: usize) -> Vec<String> {
    (first..first + count)
        .map(|number| format!("${number}"))
        .collect()
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
    let sql = format!(
        "SELECT mv_id, mv::oid, external_schema_name, stream_name, {} FROM redshift.materialized_view
         WHERE mv_id IN (SELECT p.mv_id FROM redshift.present_view AS p) AND auto_refresh AND NOT paused AND origin IS NOT DISTINCT FROM redshift.origin()
         ORDER BY mv_id",
        Pace::columns().join(", ")
    );
    as_extension_owner(|| {
        spi::rows(&sql, &[], |row| Followed {
            id: row.expect("mv_id"),
            table: row.expect("mv"),
            topic: (
                row.expect("external_schema_name"),
                row.expect("stream_name"),
            ),
            pace: Pace::read(&row),
        })
    })
}

/// The names of other views under auto refresh on the same topic.
pub fn others_on_topic(id: i64, schema: &str, topic: &str) -> Vec<String> {
    as_extension_owner(|| {
        spi::rows(
            "SELECT mv::pg_catalog.text FROM redshift.materialized_view
             WHERE auto_refresh AND mv_id <> $1 AND external_schema_name = $2 AND stream_name = $3 ORDER BY mv_id",
            &[id.into(), schema.into(), topic.into()],
            spi::only,
        )
    })
}
