//! SQL of our own, run inside the user's transaction.
//!
//! Statements take a fresh snapshot and see what this transaction wrote: pgrx's `select` would run read-only and, until the
//! transaction has an xid, on the old snapshot. So everything here goes through `update`, which takes an xid; in recovery there
//! is none to be had, and nothing of ours to be seen.
//!
//! And everything runs on a closed search path, whoever the current user is: it is closed here, in [`connected`], so that no caller can forget it.

use super::search_path;
use super::text::c_text;
use pgrx::pg_sys;
use pgrx::pg_sys::Oid;
use pgrx::prelude::*;
use pgrx::spi::{OwnedPreparedStatement, SpiClient, SpiHeapTupleData, SpiTupleTable};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;

/// An argument of a statement.
pub type Arg<'a> = pgrx::datum::DatumWithOid<'a>;

/// One row of a result.
pub struct Row<'a> {
    tuple: SpiHeapTupleData<'a>,
    table: &'a SpiTupleTable<'a>,
    columns: &'a Columns,
}

/// The columns of a result that were asked for, with their numbers. A name is looked up once a result: the next row is asked for the same columns in the
/// same order.
#[derive(Default)]
struct Columns {
    known: RefCell<Vec<(&'static str, usize)>>,
    next: Cell<usize>,
}

impl Columns {
    fn number(&self, table: &SpiTupleTable, name: &'static str) -> usize {
        let mut known = self.known.borrow_mut();
        let next = self.next.get();
        let place = match known.get(next) {
            Some((expected, _)) if std::ptr::eq(*expected, name) => next,
            _ => known
                .iter()
                .position(|(column, _)| *column == name)
                .unwrap_or_else(|| {
                    let number = table
                        .column_ordinal(name)
                        .unwrap_or_else(|_| panic!("our own query has no column {name}"));
                    known.push((name, number));
                    known.len() - 1
                }),
        };
        self.next.set(place + 1);
        known[place].1
    }
}

impl Row<'_> {
    /// A column by its name; `None` for SQL NULL.
    pub fn get<T: IntoDatum + FromDatum>(&self, column: &'static str) -> Option<T> {
        let number = self.columns.number(self.table, column);
        self.tuple
            .get(number)
            .unwrap_or_else(|error| panic!("column {column} of our own query: {error}"))
    }

    /// A column that the query never leaves NULL.
    pub fn expect<T: IntoDatum + FromDatum>(&self, column: &'static str) -> T {
        self.get(column)
            .unwrap_or_else(|| panic!("column {column} of our own query is NULL"))
    }
}

/// The only column of a query that never leaves it NULL.
pub fn only<T: IntoDatum + FromDatum>(row: Row) -> T {
    let value = row.tuple.get(1);
    value
        .unwrap_or_else(|error| panic!("the column of our own query: {error}"))
        .unwrap_or_else(|| panic!("the column of our own query is NULL"))
}

/// Runs `sql` and makes a value of each row.
pub fn rows<T>(sql: &str, args: &[Arg], make: impl FnMut(Row) -> T) -> Vec<T> {
    connected(|client| read(run(client, sql, args), make))
}

fn read<T>(mut table: SpiTupleTable, mut make: impl FnMut(Row) -> T) -> Vec<T> {
    let columns = Columns::default();
    let mut made = Vec::with_capacity(table.len());
    while let Some(tuple) = table.next() {
        columns.next.set(0);
        made.push(make(Row {
            tuple,
            table: &table,
            columns: &columns,
        }));
    }
    made
}

/// Runs `sql` and makes a value of its first row, if it has one.
pub fn first<T>(sql: &str, args: &[Arg], make: impl FnMut(Row) -> T) -> Option<T> {
    rows(sql, args, make).into_iter().next()
}

/// As [`first`], without writing anything, a transaction id included: for a look in the middle of somebody's statement, which may be of a parallel or
/// read-only kind. It sees what that statement sees.
pub fn look<T>(sql: &str, args: &[Arg], make: impl FnMut(Row) -> T) -> Option<T> {
    connected(|client| {
        let found = client.select(sql, Some(1), args);
        let found = found.unwrap_or_else(|error| panic!("{sql}: {error}"));
        read(found, make).pop()
    })
}

/// Runs a statement whose text is not a fixed one: no plan of it is kept.
pub fn execute_once(sql: &str) {
    connected(|client| {
        let done = client.update(sql, None, &[]);
        done.map(|_| ())
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    });
}

/// Runs `sql` and returns the number of rows that it touched.
pub fn execute(sql: &str, args: &[Arg]) -> usize {
    connected(|client| run(client, sql, args).len())
}

/// The only way to SPI.
fn connected<T>(work: impl FnOnce(&mut SpiClient<'_>) -> T) -> T {
    search_path::closed(|| Spi::connect_mut(work))
}

thread_local! {
    /// A worker's statements, by their text; `None` in other processes. They are never freed: this is for texts without anything variable in them.
    static KEPT: RefCell<Option<HashMap<String, &'static OwnedPreparedStatement>>> = const { RefCell::new(None) };
}

/// As many different statements are kept at most.
const MOST_KEPT: usize = 256;

/// From now on this process keeps the plans of its statements: a worker runs the same few over and over, and planning them costs more than running
/// them. Postgres plans anew what has changed.
pub fn keep_plans() {
    KEPT.set(Some(HashMap::new()));
    super::kept_plan::begin();
}

fn run<'conn>(client: &mut SpiClient<'conn>, sql: &str, args: &[Arg]) -> SpiTupleTable<'conn> {
    // SAFETY: reads shared memory.
    let in_recovery = unsafe { pg_sys::RecoveryInProgress() };
    let done = match kept(client, sql, args) {
        _ if in_recovery => client.select(sql, None, args),
        Some(statement) => client.update(statement, None, args),
        None => client.update(sql, None, args),
    };
    done.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn kept(client: &SpiClient, sql: &str, args: &[Arg]) -> Option<&'static OwnedPreparedStatement> {
    let (known, has_room) = KEPT.with_borrow(|kept| {
        let kept = kept.as_ref();
        let known = kept.and_then(|kept| kept.get(sql).copied());
        (known, kept.is_some_and(|kept| kept.len() < MOST_KEPT))
    });
    if known.is_some() || !has_room {
        return known;
    }
    let types: Vec<PgOid> = args.iter().map(|arg| PgOid::from(arg.oid())).collect();
    let statement = client
        .prepare_mut(sql, &types)
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    // Leaked: at the process's end Postgres has freed it before Rust's destructors run.
    let statement: &'static OwnedPreparedStatement = Box::leak(Box::new(statement.keep()));
    KEPT.with_borrow_mut(|kept| {
        kept.as_mut()
            .map(|kept| kept.insert(sql.to_owned(), statement))
    });
    Some(statement)
}

/// The owner of schema redshift and of the catalogue tables in it.
fn extension_owner() -> Oid {
    // SAFETY: the tuple is read before it is released; the struct is pg_namespace's.
    unsafe {
        let namespace = pg_sys::get_namespace_oid(c"redshift".as_ptr(), false);
        let tuple = pg_sys::SearchSysCache1(
            pg_sys::SysCacheIdentifier::NAMESPACEOID as i32,
            pg_sys::Datum::from(namespace),
        );
        if tuple.is_null() {
            panic!("schema redshift was dropped");
        }
        let owner = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_namespace>()).nspowner;
        pg_sys::ReleaseSysCache(tuple);
        owner
    }
}

/// Runs `work` as the owner of the extension's tables, with nothing but pg_catalog on the search path: the only way in which
/// the catalogue tables of schema redshift are read and written. If `work` raises, the abort of the (sub)transaction restores user
/// and settings.
pub fn as_extension_owner<T>(work: impl FnOnce() -> T) -> T {
    as_user(
        extension_owner(),
        pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32,
        work,
    )
}

/// Runs `work` as `owner` in a security-restricted operation: the definition of a view and what the table's triggers do, and what a worker creates
/// for the owner of an external schema.
pub fn as_view_owner<T>(owner: pg_sys::Oid, work: impl FnOnce() -> T) -> T {
    let flags = pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_RESTRICTED_OPERATION;
    as_user(owner, flags as i32, work)
}

/// Do statements of this transaction see what was committed when it began, and nothing later?
pub fn sees_an_old_snapshot() -> bool {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ as i32 }
}

/// The longest wait for a lock, until the transaction ends.
pub fn set_lock_timeout(milliseconds: u32) {
    let value = c_text(&milliseconds.to_string());
    // SAFETY: what SET LOCAL does, without parsing a statement.
    unsafe {
        pg_sys::set_config_option(
            c"lock_timeout".as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_LOCAL,
            true,
            0,
            false,
        );
    }
}

fn as_user<T>(user: pg_sys::Oid, add_flags: i32, work: impl FnOnce() -> T) -> T {
    let mut saved_user = pg_sys::InvalidOid;
    let mut saved_flags = 0;
    // SAFETY: the pattern of RefreshMatView (matview.c); both are undone by the abort of the (sub)transaction on error.
    let nest_level = unsafe {
        pg_sys::GetUserIdAndSecContext(&mut saved_user, &mut saved_flags);
        pg_sys::SetUserIdAndSecContext(user, saved_flags | add_flags);
        pg_sys::NewGUCNestLevel()
    };
    search_path::close();
    let value = work();
    // SAFETY: see above.
    unsafe {
        pg_sys::AtEOXact_GUC(false, nest_level);
        pg_sys::SetUserIdAndSecContext(saved_user, saved_flags);
    }
    value
}

/// A timestamp's text as microseconds since 2000 in UTC; a text without a zone is UTC. `None` for what is no timestamp or no point in time (infinity): the caller has to raise an
/// error then, since the transaction cannot go on.
pub fn utc_timestamp(text: &str) -> Option<i64> {
    let parse = AssertUnwindSafe(|| {
        as_extension_owner(|| {
            // Undone with the search path.
            execute("SELECT pg_catalog.set_config('TimeZone', 'UTC', true)", &[]);
            first(
                "SELECT CASE WHEN pg_catalog.isfinite(t.at) THEN (EXTRACT(epoch FROM t.at) * 1000000)::pg_catalog.int8 - 946684800000000 END AS time
                 FROM (SELECT $1::pg_catalog.timestamptz AS at) AS t",
                &[text.into()],
                |row| row.get::<i64>("time"),
            )
            .flatten()
        })
    });
    PgTryBuilder::new(parse)
        .catch_when(PgSqlErrorCode::ERRCODE_INVALID_DATETIME_FORMAT, |_| None)
        .catch_when(PgSqlErrorCode::ERRCODE_DATETIME_FIELD_OVERFLOW, |_| None)
        .execute()
}
