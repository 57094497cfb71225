//! Running statements through Postgres's own planner and executor, with errors kept whole.

use super::definition_mark;
use super::guard::preserving;
use super::kept_plan;
use super::landing::{self, Obstacle};
use super::multi_insert;
use super::node::{copy, pointers};
use super::relation::{self, Oid, c_text};
use super::report::{self, sqlstate};
use super::row_fate;
use super::search_path;
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

/// Plans and runs one INSERT from the hidden view `definition`, with `ready` called between planning and the executor's start; returns the number of rows inserted. They land in batches
/// where nobody can tell (see [`landing`]).
///
/// Not SPI: between planning (which may run functions of the user) and the start of our own plan nothing else may begin a scan.
pub fn insert(sql: &str, definition: Oid, ready: impl FnOnce()) -> u64 {
    let sql = c_text(sql);
    let Planned {
        descriptor,
        kept,
        obstacle,
    } = with_internal_query(&sql, || plan(&sql));
    // SAFETY: a plan that was just made.
    unsafe { refuse_inherited((*descriptor).plannedstmt) };
    ready();
    // SAFETY: the calls and their order are those of ProcessQuery (pquery.c).
    let inserted = unsafe {
        definition_mark::reading(definition, || {
            preserving(|| unguarded::ExecutorStart(descriptor, 0))
        });
        let obstacle = obstacle.or_else(|| landing::obstacle_in_plan(descriptor));
        report::debug(match obstacle {
            None => "rows are inserted in batches".to_owned(),
            Some(obstacle) => format!("rows are inserted one by one: {}", obstacle.reason()),
        });
        if obstacle.is_none() {
            multi_insert::take_over((*descriptor).planstate);
        } else {
            row_fate::watch((*descriptor).planstate);
        }
        preserving(|| {
            unguarded::ExecutorRun(
                descriptor,
                pg_sys::ScanDirection::ForwardScanDirection,
                0,
                true,
            );
            row_fate::finish();
            let inserted = (*(*descriptor).estate).es_processed;
            unguarded::ExecutorFinish(descriptor);
            unguarded::ExecutorEnd(descriptor);
            inserted
        })
    };
    if let Some(kept) = kept {
        kept_plan::release(kept);
    }
    // SAFETY: pushed by `plan`.
    unsafe {
        pg_sys::FreeQueryDesc(descriptor);
        pg_sys::PopActiveSnapshot();
        pg_sys::CommandCounterIncrement();
    }
    inserted
}

/// Plans one SELECT from the hidden view `definition`, calls `ready`, and runs it: for what its scan learns of it. Its rows go nowhere.
pub fn select(sql: &str, definition: Oid, ready: impl FnOnce()) {
    let sql = c_text(sql);
    // SAFETY: as in `plan` and `insert`.
    unsafe {
        pg_sys::PushCopiedSnapshot(pg_sys::GetTransactionSnapshot());
        let planned = with_internal_query(&sql, || {
            let query = the_one(pointers::<pg_sys::Query>(analyze(&sql).1));
            preserving(|| unguarded::pg_plan_query(query, sql.as_ptr(), 0, std::ptr::null_mut()))
        });
        let descriptor = describe(planned, &sql);
        ready();
        definition_mark::reading(definition, || {
            preserving(|| unguarded::ExecutorStart(descriptor, 0))
        });
        preserving(|| {
            unguarded::ExecutorRun(
                descriptor,
                pg_sys::ScanDirection::ForwardScanDirection,
                0,
                true,
            );
            unguarded::ExecutorFinish(descriptor);
            unguarded::ExecutorEnd(descriptor);
        });
        pg_sys::FreeQueryDesc(descriptor);
        pg_sys::PopActiveSnapshot();
    }
}

/// A plan that the executor can start, under the active snapshot.
unsafe fn describe(planned: *mut pg_sys::PlannedStmt, sql: &CStr) -> *mut pg_sys::QueryDesc {
    // SAFETY: the plan and the text outlive what is made of them.
    unsafe {
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

/// An INSERT that can be started.
struct Planned {
    descriptor: *mut pg_sys::QueryDesc,
    /// In a process that keeps plans: the plan that is to be released.
    kept: Option<*mut pg_sys::CachedPlan>,
    /// What stands in the query against landing in batches.
    obstacle: Option<Obstacle>,
}

/// Parses, analyses, rewrites and plans, under a snapshot that sees what this transaction wrote so far.
fn plan(sql: &CStr) -> Planned {
    // SAFETY: every pointer comes from the call before it and lives in the current memory context, or in the kept plan.
    unsafe {
        pg_sys::PushCopiedSnapshot(pg_sys::GetTransactionSnapshot());
        pg_sys::UpdateActiveSnapshotCommandId();
        let (planned, kept, obstacle) = if kept_plan::is_on() {
            let source = kept_plan::source_of(sql, || analyze(sql));
            let kept = kept_plan::plan(source);
            let planned = the_one(pointers::<pg_sys::PlannedStmt>((*kept).stmt_list));
            let query = the_one(pointers::<pg_sys::Query>((*source).query_list));
            refuse_rules(query);
            (planned, Some(kept), landing::obstacle_in_query(query))
        } else {
            let query = the_one(pointers::<pg_sys::Query>(analyze(sql).1));
            refuse_rules(query);
            let obstacle = landing::obstacle_in_query(query);
            let planned = preserving(|| {
                unguarded::pg_plan_query(query, sql.as_ptr(), 0, std::ptr::null_mut())
            });
            (planned, None, obstacle)
        };
        Planned {
            descriptor: describe(planned, sql),
            kept,
            obstacle,
        }
    }
}

/// The statement, and what rewriting makes of it.
fn analyze(sql: &CStr) -> (*mut pg_sys::RawStmt, *mut pg_sys::List) {
    let statement = parse(sql);
    // The analysis may write into the statement that it is given, and the plan cache keeps the statement.
    // SAFETY: nodes in the current memory context.
    let queries = unsafe {
        let statement = copy(statement);
        preserving(|| {
            unguarded::analyze_and_rewrite(
                statement,
                sql.as_ptr(),
                std::ptr::null_mut(),
                0,
                std::ptr::null_mut(),
            )
        })
    };
    (statement, queries)
}

/// Rules could make something else of an INSERT.
fn the_one<T>(made: Vec<*mut T>) -> *mut T {
    match made[..] {
        [one] => one,
        _ => has_rules(),
    }
}

/// A rule may put another INSERT in the place of ours (INSTEAD).
unsafe fn refuse_rules(query: *const pg_sys::Query) {
    // SAFETY: an analysed and rewritten query.
    if unsafe { (*query).querySource } != pg_sys::QuerySource::QSRC_ORIGINAL {
        has_rules();
    }
}

fn has_rules() -> ! {
    report::Report::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        "a streaming materialized view cannot have rules on INSERT",
    )
    .raise()
}

/// A stream is read alone: what inherits from its relation would come with each load, again and again. Of the plan, which is what will run.
unsafe fn refuse_inherited(planned: *const pg_sys::PlannedStmt) {
    // SAFETY: the range table of a plan; the planner sets inh where it has looked for children (subquery_planner).
    unsafe {
        for entry in pointers::<pg_sys::RangeTblEntry>((*planned).rtable) {
            let entry = &*entry;
            if entry.inh
                && entry.rtekind == pg_sys::RTEKind::RTE_RELATION
                && relation::is_stream(entry.relid)
                && let Some(child) = relation::a_child(entry.relid)
            {
                super::error::stream_has_children(
                    &relation::qualified_name(entry.relid).unwrap_or_default(),
                    &relation::qualified_name(child).unwrap_or_default(),
                )
                .raise();
            }
        }
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
        _ => report::Report::new(sqlstate::SYNTAX_ERROR, "one statement was expected")
            .detail(sql.to_string_lossy())
            .raise(),
    }
}

/// Runs one DDL statement as a part of the user's: event triggers see it within the statement that the user typed. On a closed search path.
pub fn subcommand(sql: &str) {
    search_path::closed(|| definition_mark::changing(|| subcommand_as_written(sql)));
}

/// The same on the user's own search path, for a statement that has an expression of his.
pub fn subcommand_as_written(sql: &str) {
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
