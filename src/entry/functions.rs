//! The functions of schema redshift, as Postgres calls them. What they do is in `crate::api`.

use super::{fdw, statement_history, utility};
use crate::api::external_schema;
use crate::api::foreign_options::{self, OptionsOf};
use crate::api::lag;
use crate::api::materialized_view;
use crate::error;
use crate::pg::batch_table::{self, Loader};
use crate::pg::guard::entry;
use crate::pg::relation::Oid;
use crate::pg::{
    extension, failed_refresh, foreign, nudge, progress, relation, shared, spi, statement_ring,
    time,
};
use crate::source::{sql, status};
use pgrx::prelude::*;
use pgrx::{datum::Timestamp, pg_sys};

/// A function whose errors keep everything, SQLSTATEs of ours among it: called with the raw arguments.
macro_rules! function {
    ($(#[$docs:meta])* $name:ident, $info:ident, |$call:ident| $body:expr) => {
        #[unsafe(no_mangle)]
        extern "C" fn $info() -> &'static pg_sys::Pg_finfo_record {
            const INFO: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
            &INFO
        }
        $(#[$docs])*
        #[unsafe(no_mangle)]
        unsafe extern "C-unwind" fn $name(raw: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
            // SAFETY: Postgres calls with the arguments that the SQL declaration promises.
            unsafe {
                entry(|| {
                    let $call = Call(raw);
                    $body;
                    pg_sys::Datum::null()
                })
            }
        }
    };
}

/// The arguments of a call.
struct Call(pg_sys::FunctionCallInfo);

impl Call {
    fn get<T: FromDatum>(&self, index: usize) -> Option<T> {
        // SAFETY: the SQL declaration has so many arguments of these types.
        unsafe {
            let argument = &*(*self.0).args.as_ptr().add(index);
            T::from_datum(argument.value, argument.isnull)
        }
    }

    fn expect<T: FromDatum>(&self, index: usize, name: &str) -> T {
        self.get(index)
            .unwrap_or_else(|| error::option_value(name, "null", "anything but null").raise())
    }
}

function! {
    /// `redshift.refresh(mv regclass, max_records bigint, max_bytes bigint)`
    redshift_refresh, pg_finfo_redshift_refresh,
    |call| {
        utility::check_allowed(c"redshift.refresh");
        materialized_view::refresh(call.expect(0, "mv"), call.get(1), call.get(2))
    }
}

function! {
    /// `redshift.adopt(mv regclass)`
    redshift_adopt, pg_finfo_redshift_adopt,
    |call| {
        utility::check_allowed(c"redshift.adopt");
        materialized_view::adopt(call.expect(0, "mv"))
    }
}

function! {
    /// `redshift.pause(mv regclass)`
    redshift_pause, pg_finfo_redshift_pause,
    |call| materialized_view::set_paused(call.expect(0, "mv"), true)
}

function! {
    /// `redshift.resume(mv regclass)`
    redshift_resume, pg_finfo_redshift_resume,
    |call| materialized_view::set_paused(call.expect(0, "mv"), false)
}

function! {
    /// `redshift.set_position(mv regclass, partition_id text, position text)`
    redshift_set_position, pg_finfo_redshift_set_position,
    |call| {
        utility::check_allowed(c"redshift.set_position");
        materialized_view::set_position(
            call.expect(0, "mv"),
            call.get::<String>(1).as_deref(),
            &call.expect::<String>(2, "position"),
        )
    }
}

function! {
    /// `redshift.add_partition(mv regclass, from_value text, to_value text, partition_name text)`
    redshift_add_partition, pg_finfo_redshift_add_partition,
    |call| {
        utility::check_allowed(c"redshift.add_partition");
        let [from, to, name] = [1, 2, 3].map(|place| call.get::<String>(place));
        materialized_view::add_partition(
            call.expect(0, "mv"),
            from.as_deref(),
            to.as_deref(),
            name.as_deref(),
        )
    }
}

function! {
    /// `redshift.stream_fdw_validator(text[], oid)`
    redshift_fdw_validator, pg_finfo_redshift_fdw_validator,
    |call| {
        let options: Vec<String> = call.get(0).unwrap_or_default();
        let of = match call.expect::<Oid>(1, "catalog") {
            pg_sys::ForeignServerRelationId => OptionsOf::Server,
            pg_sys::UserMappingRelationId => OptionsOf::Mapping,
            pg_sys::ForeignTableRelationId => OptionsOf::Table,
            _ => OptionsOf::Other,
        };
        foreign_options::validate(of, &foreign::parse_options(&options))
    }
}

function! {
    /// `redshift.bind_external_schema(name text)`
    redshift_bind_external_schema, pg_finfo_redshift_bind_external_schema,
    |call| {
        utility::check_allowed(c"redshift.sync_external_schema");
        let name: String = call.expect(0, "name");
        foreign::require_ownership(&name);
        external_schema::bind(&name)
    }
}

function! {
    /// `redshift.lock_external_schema(name text)`
    redshift_lock_external_schema, pg_finfo_redshift_lock_external_schema,
    |call| {
        utility::check_allowed(c"redshift.sync_external_schema");
        external_schema::lock(&call.expect::<String>(0, "name"))
    }
}

function! {
    /// `redshift.register_stream(stream regclass, partitions integer)`
    redshift_register_stream, pg_finfo_redshift_register_stream,
    |call| {
        utility::check_allowed(c"redshift.create_stream");
        sql::manage::register(call.expect(0, "stream"), call.expect(1, "partitions"))
    }
}

function! {
    /// `redshift.require_untouched_stream(stream regclass)`
    redshift_require_untouched_stream, pg_finfo_redshift_require_untouched_stream,
    |call| sql::manage::require_untouched(call.expect(0, "stream"))
}

function! {
    /// `redshift.set_stream_partitions(stream regclass, partitions integer)`
    redshift_set_stream_partitions, pg_finfo_redshift_set_stream_partitions,
    |call| {
        utility::check_allowed(c"redshift.alter_stream");
        sql::manage::set_partitions(call.expect(0, "stream"), call.expect(1, "partitions"))
    }
}

function! {
    /// `redshift.set_stream_retention(stream regclass, retention interval, retention_bytes bigint)`
    redshift_set_stream_retention, pg_finfo_redshift_set_stream_retention,
    |call| {
        utility::check_allowed(c"redshift.alter_stream");
        sql::manage::set_retention(call.expect(0, "stream"), call.get(1), call.get(2))
    }
}

function! {
    /// `redshift.trim_stream(stream regclass, older_than interval, keep_bytes bigint)`
    redshift_trim_stream, pg_finfo_redshift_trim_stream,
    |call| {
        utility::check_allowed(c"redshift.trim_stream");
        sql::manage::trim(call.expect(0, "stream"), call.get(1), call.get(2))
    }
}

function! {
    /// `redshift.stream_fault(stream regclass, fault text, partition_id integer, records bigint)`
    redshift_stream_fault, pg_finfo_redshift_stream_fault,
    |call| {
        utility::check_allowed(c"redshift.stream_fault");
        sql::manage::fault(
            call.expect(0, "stream"),
            &call.expect::<String>(1, "fault"),
            call.expect(2, "partition_id"),
            call.get(3),
        )
    }
}

function! {
    /// `redshift.check_preloaded()`
    check_preloaded_wrapper, pg_finfo_check_preloaded_wrapper,
    |_call| {
        if !extension::is_preloaded() {
            error::not_preloaded().raise()
        }
        // When it commits there is something to look after in this database.
        nudge::at_commit();
    }
}

#[unsafe(no_mangle)]
extern "C" fn pg_finfo_redshift_fdw_handler() -> &'static pg_sys::Pg_finfo_record {
    const INFO: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
    &INFO
}

/// `redshift.stream_fdw_handler()`
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn redshift_fdw_handler(_call: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: the body of a function that Postgres calls.
    unsafe { entry(|| pg_sys::Datum::from(fdw::routine())) }
}

/// `redshift.topics(schema text)`: the topics that the broker has for an external schema, and the relation name of each.
#[pg_extern]
fn topics(
    schema: &str,
) -> TableIterator<'static, (name!(topic, String), name!(table_name, String))> {
    let server = foreign::find_server(schema)
        .unwrap_or_else(|| error::not_an_external_schema(schema).raise());
    relation::require_server_usage(server.oid, &server.name);
    TableIterator::new(external_schema::topics(&server))
}

/// `redshift.source_status(schema text)`
#[allow(
    clippy::type_complexity,
    reason = "pgrx reads the columns from the signature"
)]
#[pg_extern]
fn source_status(
    schema: &str,
) -> TableIterator<
    'static,
    (
        name!(topic, String),
        name!(partition_id, Option<i64>),
        name!(low_watermark, Option<i64>),
        name!(high_watermark, Option<i64>),
        name!(last_record_time, Option<Timestamp>),
        name!(shard_id, Option<String>),
        name!(error, Option<String>),
    ),
> {
    relation::require_schema_usage(schema);
    let rows = external_schema::status(schema);
    let row = |status: status::PartStatus| {
        (
            status.topic,
            status.partition_id,
            status.low_watermark,
            status.high_watermark,
            status.last_record_time.map(time::timestamp),
            status.shard_id,
            status.error,
        )
    };
    TableIterator::new(rows.into_iter().map(row))
}

/// `redshift.ask_lag(mv regclass)`
#[pg_extern]
fn ask_lag(mv: Oid) -> i64 {
    lag::ask(mv)
}

/// `redshift.lag_answer(question bigint)`
#[allow(
    clippy::type_complexity,
    reason = "pgrx reads the columns from the signature"
)]
#[pg_extern]
fn lag_answer(
    question: i64,
) -> TableIterator<
    'static,
    (
        name!(partition_id, Option<String>),
        name!(high_watermark, Option<i64>),
        name!(waiting_seconds, Option<f64>),
        name!(error, Option<String>),
        name!(source_up, Option<bool>),
    ),
> {
    let row = |lag: status::Lag| {
        (
            lag.partition,
            lag.high_watermark,
            lag.seconds,
            lag.error,
            lag.source_up,
        )
    };
    TableIterator::new(lag::answer(question).into_iter().map(row))
}

/// `redshift.damaged_positions(mv regclass)`
#[pg_extern]
fn damaged_positions(
    mv: Oid,
) -> TableIterator<'static, (name!(partition_id, String), name!(error, String))> {
    TableIterator::new(materialized_view::damaged_positions(mv))
}

/// `redshift.worker_obstacle()`
#[pg_extern]
fn worker_obstacle() -> Option<String> {
    // SAFETY: reads a variable of the backend.
    shared::obstacle(unsafe { pg_sys::MyDatabaseId }).map(|obstacle| error::obstacle(&obstacle))
}

/// `redshift.missing_workers()`
#[pg_extern]
fn missing_workers() -> i32 {
    // SAFETY: reads a variable of the backend.
    let crew = shared::crew(unsafe { pg_sys::MyDatabaseId });
    i32::try_from(crew.useful - crew.running).unwrap_or(0)
}

/// `redshift.alter_as_owner(relation regclass, statement text)`
#[pg_extern]
fn alter_as_owner(relation: Oid, statement: &str) {
    spi::as_view_owner(relation::owner(relation), || spi::execute_once(statement))
}

/// `redshift.current_role_id()`
#[pg_extern]
fn current_role_id() -> Oid {
    relation::current_user()
}

/// `redshift.journal_lost()`
#[pg_extern]
fn journal_lost() -> i64 {
    failed_refresh::lost_failures()
}

/// `redshift.statements_lost()`
#[pg_extern]
fn statements_lost() -> i64 {
    statement_ring::lost()
}

/// `redshift.last_query_id()`
#[pg_extern]
fn last_query_id() -> Option<i64> {
    statement_history::last_query_id()
}

/// `redshift.loader(worker, mv)`: the worker of that number, and since when it has been loading another view than this one (which is not named).
#[pg_extern(name = "loader")]
fn loader_of_view(
    worker: i32,
    mv: Oid,
) -> TableIterator<
    'static,
    (
        name!(pid, i32),
        name!(busy_since, Option<TimestampWithTimeZone>),
    ),
> {
    let row = |Loader { pid, busy_since }: Loader| {
        let since = busy_since.and_then(|since| TimestampWithTimeZone::try_from(since).ok());
        (pid, since)
    };
    TableIterator::new(batch_table::loader(worker, mv).into_iter().map(row))
}

/// `redshift.running_refreshes()`
#[pg_extern]
#[expect(clippy::type_complexity, reason = "a row of nine columns")]
fn running_refreshes() -> TableIterator<
    'static,
    (
        name!(pid, i32),
        name!(mv, Oid),
        name!(phase, &'static str),
        name!(partitions, i64),
        name!(records_done, i64),
        name!(records_total, Option<i64>),
        name!(bytes_done, i64),
        name!(started_at, TimestampWithTimeZone),
        name!(refresh_type, &'static str),
    ),
> {
    let row = |running: progress::Running| {
        (
            running.pid,
            running.table,
            running.phase,
            running.partitions,
            running.records,
            running.total,
            running.bytes,
            TimestampWithTimeZone::try_from(running.started)
                .unwrap_or_else(|_| TimestampWithTimeZone::negative_infinity()),
            if running.is_auto { "Auto" } else { "Manual" },
        )
    };
    TableIterator::new(progress::running().into_iter().map(row))
}
