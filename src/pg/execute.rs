//! Running statements through Postgres's own planner and executor, with errors kept whole.

use super::guard::preserving;
use super::node::pointers;
use super::relation::c_text;
use super::report::sqlstate;
use super::utility_call::Call;
use pgrx::pg_sys;
use std::ffi::{CStr, c_void};

mod unguarded {
    //! Called inside `preserving` only.
    use core::ffi::{c_char, c_int};
    use pgrx::pg_sys;
    unsafe extern "C-unwind" {
        pub fn pg_parse_query(text: *const c_char) -> *mut pg_sys::List;
        pub fn pg_plan_query(
            query: *mut pg_sys::Query,
            text: *const c_char,
            options: c_int,
            parameters: pg_sys::ParamListInfo,
        ) -> *mut pg_sys::PlannedStmt;
        pub fn geterrposition() -> c_int;
        pub fn errposition(position: c_int) -> c_int;
        pub fn internalerrposition(position: c_int) -> c_int;
        pub fn internalerrquery(sql: *const c_char) -> c_int;
        pub fn ExecutorStart(query: *mut pg_sys::QueryDesc, flags: c_int);
        pub fn ExecutorRun(
            query: *mut pg_sys::QueryDesc,
            direction: pg_sys::ScanDirection::Type,
            count: u64,
            once: bool,
        );
        pub fn ExecutorFinish(query: *mut pg_sys::QueryDesc);
        pub fn ExecutorEnd(query: *mut pg_sys::QueryDesc);
    }
    #[cfg(not(feature = "pg14"))]
    unsafe extern "C-unwind" {
        #[link_name = "pg_analyze_and_rewrite_fixedparams"]
        pub fn analyze_and_rewrite(
            statement: *mut pg_sys::RawStmt,
            text: *const c_char,
            types: *const pg_sys::Oid,
            count: c_int,
            environment: *mut pg_sys::QueryEnvironment,
        ) -> *mut pg_sys::List;
    }
    #[cfg(feature = "pg14")]
    unsafe extern "C-unwind" {
        #[link_name = "pg_analyze_and_rewrite"]
        pub fn analyze_and_rewrite(
            statement: *mut pg_sys::RawStmt,
            text: *const c_char,
            types: *mut pg_sys::Oid,
            count: c_int,
            environment: *mut pg_sys::QueryEnvironment,
        ) -> *mut pg_sys::List;
    }
}

/// Plans and runs one INSERT, with `ready` called between planning and the executor's start; returns the number of rows inserted.
///
/// Not SPI: between planning (which may run functions of the user) and the start of our own plan nothing else may begin a scan.
pub fn insert(sql: &str, ready: impl FnOnce()) -> u64 {
    let sql = c_text(sql);
    let descriptor = with_internal_query(&sql, || plan(&sql));
    ready();
    // SAFETY: the calls and their order are those of ProcessQuery (pquery.c).
    let inserted = unsafe {
        preserving(|| {
            unguarded::ExecutorStart(descriptor, 0);
            unguarded::ExecutorRun(
                descriptor,
                pg_sys::ScanDirection::ForwardScanDirection,
                0,
                true,
            );
            let inserted = (*(*descriptor).estate).es_processed;
            unguarded::ExecutorFinish(descriptor);
            unguarded::ExecutorEnd(descriptor);
            inserted
        })
    };
    // SAFETY: pushed by `plan`.
    unsafe {
        pg_sys::FreeQueryDesc(descriptor);
        pg_sys::PopActiveSnapshot();
        pg_sys::CommandCounterIncrement();
    }
    inserted
}

/// Parses, analyses, rewrites and plans, under a snapshot that sees what this transaction wrote so far.
fn plan(sql: &CStr) -> *mut pg_sys::QueryDesc {
    // SAFETY: every pointer comes from the call before it and lives in the current memory context.
    unsafe {
        pg_sys::PushCopiedSnapshot(pg_sys::GetTransactionSnapshot());
        pg_sys::UpdateActiveSnapshotCommandId();
        let statement = parse(sql);
        let queries = preserving(|| {
            unguarded::analyze_and_rewrite(
                statement,
                sql.as_ptr(),
                std::ptr::null_mut(),
                0,
                std::ptr::null_mut(),
            )
        });
        let queries = pointers::<pg_sys::Query>(queries);
        let [query] = queries[..] else {
            super::report::Report::new(
                sqlstate::FEATURE_NOT_SUPPORTED,
                "a streaming materialized view cannot have rules on INSERT",
            )
            .raise()
        };
        let planned =
            preserving(|| unguarded::pg_plan_query(query, sql.as_ptr(), 0, std::ptr::null_mut()));
        pg_sys::CreateQueryDesc(
            planned,
            sql.as_ptr(),
            pg_sys::GetActiveSnapshot(),
            std::ptr::null_mut(),
            pg_sys::None_Receiver,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            0,
        )
    }
}

/// Runs `work` on SQL text of our making: the cursor of a syntax error then points into that text, which the user is shown as the internal query.
/// (SPI does the same: _SPI_error_callback of spi.c.)
fn with_internal_query<T>(sql: &CStr, work: impl FnOnce() -> T) -> T {
    unsafe extern "C-unwind" fn show_internal_query(sql: *mut c_void) {
        // SAFETY: called by errfinish with an error on its stack; the text outlives `work`.
        unsafe {
            let position = unguarded::geterrposition();
            if position > 0 {
                unguarded::errposition(0);
                unguarded::internalerrposition(position);
                unguarded::internalerrquery(sql.cast());
            }
        }
    }
    super::error_context::with_callback(show_internal_query, sql.as_ptr().cast_mut().cast(), work)
}

/// The one statement of `sql`.
fn parse(sql: &CStr) -> *mut pg_sys::RawStmt {
    // SAFETY: the list holds RawStmts.
    let statements = unsafe {
        pointers::<pg_sys::RawStmt>(preserving(|| unguarded::pg_parse_query(sql.as_ptr())))
    };
    match statements[..] {
        [statement] => statement,
        _ => super::report::Report::new(
            super::report::sqlstate::SYNTAX_ERROR,
            "one statement was expected",
        )
        .detail(sql.to_string_lossy())
        .raise(),
    }
}

/// Runs one DDL statement as a part of the user's: event triggers see it within the statement that the user typed.
pub fn subcommand(sql: &str) {
    let sql = c_text(sql);
    with_internal_query(&sql, || run_subcommand(&sql));
}

fn run_subcommand(sql: &CStr) {
    let statement = parse(sql);
    // SAFETY: a utility statement needs no analysis before it runs; the node and the text outlive the call.
    unsafe {
        let mut planned =
            pgrx::PgBox::<pg_sys::PlannedStmt>::alloc_node(pg_sys::NodeTag::T_PlannedStmt);
        planned.commandType = pg_sys::CmdType::CMD_UTILITY;
        planned.utilityStmt = (*statement).stmt;
        planned.stmt_location = (*statement).stmt_location;
        planned.stmt_len = (*statement).stmt_len;
        Call::subcommand(sql).run(pg_sys::ProcessUtility_hook, planned.into_pg());
        pg_sys::CommandCounterIncrement();
    }
}
