//! Which statements clients run, for sys_query_history with `redshift.query_history = 'all'`: hooks that leave each finished one for the monitor.
//!
//! A statement counts that the client sent: what runs inside it (in functions, triggers, procedures) has another text, or runs within a query or a
//! utility statement of the same message. A statement that fails is known by its report to the client, so an error that a function catches is none.

use super::statement_clock;
use crate::pg::guard::entry;
use crate::pg::setting;
use crate::pg::statement_ring::{self, Statement};
use crate::pg::{background, noted_refresh, shared, time};
use pgrx::pg_sys;
use plan::redact;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char};

/// Of a text so many characters are kept, of an error so many bytes.
const TEXT_CHARACTERS: usize = 4000;
const ERROR_BYTES: usize = 2000;
/// Open portals that are followed.
const MAX_OPEN: usize = 64;

mod unguarded {
    use pgrx::pg_sys;
    use std::ffi::{c_char, c_int};
    unsafe extern "C-unwind" {
        pub fn standard_ExecutorStart(query: *mut pg_sys::QueryDesc, flags: c_int);
        pub fn standard_ExecutorEnd(query: *mut pg_sys::QueryDesc);
        pub fn standard_planner(
            query: *mut pg_sys::Query,
            text: *const c_char,
            options: c_int,
            parameters: pg_sys::ParamListInfo,
        ) -> *mut pg_sys::PlannedStmt;
    }
}

/// The hooks that were there, set once by `install`.
static mut NEXT_START: pg_sys::ExecutorStart_hook_type = None;
static mut NEXT_END: pg_sys::ExecutorEnd_hook_type = None;
static mut NEXT_PLANNER: pg_sys::planner_hook_type = None;
static mut NEXT_LOG: pg_sys::emit_log_hook_type = None;

/// Where a statement stands in the text that the client sent: `stmt_location` and `stmt_len`.
#[derive(Clone, Copy)]
struct Place(i32, i32);

/// A query of the client's that has started.
#[derive(Clone, Copy)]
struct Query {
    descriptor: *mut pg_sys::QueryDesc,
    place: Place,
    message: i64,
    began: i64,
    started: i64,
    ended: i64,
    planning_time: i64,
    rows: i64,
}

/// A utility statement of the client's that is being run. Its nodes may be gone when it ends.
struct Utility {
    place: Place,
    message: i64,
    began: i64,
    started: i64,
    text: String,
    query_type: &'static str,
    is_refresh: bool,
}

thread_local! {
    static QUERIES: RefCell<Vec<Query>> = const { RefCell::new(Vec::new()) };
    static UTILITY: RefCell<Option<Utility>> = const { RefCell::new(None) };
    /// How long the last plan took.
    static PLANNING: Cell<i64> = const { Cell::new(0) };
    /// Message and end of the last statement: the next one of the same message begins there.
    static PREVIOUS: Cell<(i64, i64)> = const { Cell::new((0, 0)) };
    static LAST_ID: Cell<Option<i64>> = const { Cell::new(None) };
}

/// Installs the hooks; to be called once, from `_PG_init`, when the library is in shared_preload_libraries.
pub(super) fn install() {
    // SAFETY: `_PG_init` runs once, in the only thread.
    unsafe {
        NEXT_START = pg_sys::ExecutorStart_hook;
        pg_sys::ExecutorStart_hook = Some(executor_start);
        NEXT_END = pg_sys::ExecutorEnd_hook;
        pg_sys::ExecutorEnd_hook = Some(executor_end);
        NEXT_PLANNER = pg_sys::planner_hook;
        pg_sys::planner_hook = Some(planner);
        NEXT_LOG = pg_sys::emit_log_hook;
        pg_sys::emit_log_hook = Some(emit_log);
    }
}

/// The number of the last statement of this session, if all are recorded.
pub fn last_query_id() -> Option<i64> {
    LAST_ID.get().filter(|_| setting::records_all_statements())
}

/// Is this a session of a client whose statements are recorded?
fn is_recorded() -> bool {
    // SAFETY: reads variables of the backend.
    setting::records_all_statements()
        && shared::is_ready()
        && unsafe {
            pg_sys::MyBackendType == pg_sys::BackendType::B_BACKEND
                && !pg_sys::debug_query_string.is_null()
        }
}

/// When the message arrived that is being worked on, which tells it from others.
fn message() -> i64 {
    time::statement_start_utc()
}

/// When the statement began.
fn begin_of_statement() -> i64 {
    match PREVIOUS.get() {
        (of, end) if of == message() => end,
        _ => message(),
    }
}

unsafe extern "C-unwind" fn planner(
    query: *mut pg_sys::Query,
    text: *const c_char,
    options: i32,
    parameters: pg_sys::ParamListInfo,
) -> *mut pg_sys::PlannedStmt {
    // SAFETY: Postgres's own arguments, handed on in a frame without destructors.
    unsafe {
        let next = match NEXT_PLANNER {
            Some(next) => next,
            None => unguarded::standard_planner,
        };
        if !setting::records_all_statements() {
            return next(query, text, options, parameters);
        }
        let began = pg_sys::GetCurrentTimestamp();
        let planned = next(query, text, options, parameters);
        PLANNING.set(pg_sys::GetCurrentTimestamp() - began);
        planned
    }
}

unsafe extern "C-unwind" fn executor_start(query: *mut pg_sys::QueryDesc, flags: i32) {
    // SAFETY: as above.
    unsafe {
        let recorded = setting::records_all_statements();
        let began = if recorded { time::now_utc() } else { 0 };
        match NEXT_START {
            Some(next) => next(query, flags),
            None => unguarded::standard_ExecutorStart(query, flags),
        }
        if recorded || follows_queries() {
            entry(|| started(query, began));
        }
    }
}

unsafe extern "C-unwind" fn executor_end(query: *mut pg_sys::QueryDesc) {
    // SAFETY: as above.
    unsafe {
        if follows_queries() {
            entry(|| ended(query));
        }
        match NEXT_END {
            Some(next) => next(query),
            None => unguarded::standard_ExecutorEnd(query),
        }
    }
}

fn follows_queries() -> bool {
    QUERIES.with_borrow(|queries| !queries.is_empty())
}

fn started(descriptor: *mut pg_sys::QueryDesc, started: i64) {
    let planning_time = PLANNING.replace(0);
    QUERIES.with_borrow_mut(|queries| {
        // One whose end was never seen, because an error came before it.
        queries.retain(|query| query.descriptor != descriptor);
        // SAFETY: the descriptor and its plan live as long as the portal; the text is the portal's.
        unsafe {
            let plan = &*(*descriptor).plannedstmt;
            if !is_recorded()
                || statement_clock::is_in_query()
                || is_in_utility()
                || !plan.canSetTag
                || CStr::from_ptr((*descriptor).sourceText)
                    != CStr::from_ptr(pg_sys::debug_query_string)
            {
                return;
            }
            if queries.len() == MAX_OPEN {
                queries.remove(0);
            }
            queries.push(Query {
                descriptor,
                place: Place(plan.stmt_location, plan.stmt_len),
                message: message(),
                began: begin_of_statement(),
                started,
                ended: started,
                planning_time,
                rows: 0,
            });
        }
    });
}

/// A run of the query has ended (a portal may have several).
///
/// # Safety
/// The query has been started.
pub(super) unsafe fn has_run(descriptor: *mut pg_sys::QueryDesc) {
    QUERIES.with_borrow_mut(|queries| {
        for query in queries.iter_mut().filter(|q| q.descriptor == descriptor) {
            query.ended = time::now_utc();
            // SAFETY: the caller's promise.
            unsafe {
                let returns = (*descriptor).operation == pg_sys::CmdType::CMD_SELECT
                    || (*(*descriptor).plannedstmt).hasReturning;
                if returns {
                    query.rows += (*(*descriptor).estate).es_processed as i64;
                }
            }
        }
    });
}

fn ended(descriptor: *mut pg_sys::QueryDesc) {
    let Some(query) = QUERIES.with_borrow_mut(|queries| {
        let place = queries.iter().position(|q| q.descriptor == descriptor)?;
        Some(queries.remove(place))
    }) else {
        return;
    };
    // SAFETY: the query has not been ended yet.
    let (whole, operation) = unsafe { (bytes((*descriptor).sourceText), (*descriptor).operation) };
    let text = query.place.of(whole);
    use pg_sys::CmdType::*;
    let query_type = match operation {
        CMD_SELECT => "SELECT",
        CMD_INSERT => "INSERT",
        CMD_UPDATE => "UPDATE",
        _ => "OTHER",
    };
    PREVIOUS.set((query.message, query.ended));
    push(
        &text,
        true,
        Statement {
            query_type: query_type.to_owned(),
            status: "success".to_owned(),
            times: (query.began, query.ended),
            execution_time: query.ended - query.started,
            planning_time: query.planning_time,
            returned_rows: query.rows,
            ..Statement::default()
        },
    );
}

fn is_in_utility() -> bool {
    UTILITY.with_borrow(|utility| utility.as_ref().is_some_and(|u| u.message == message()))
}

/// Notes a utility statement of the client's before it runs; true if [`utility_ended`] is to be called after it.
pub(super) fn utility_begins(planned: *const pg_sys::PlannedStmt, whole: *const c_char) -> bool {
    if !is_recorded() || is_in_utility() {
        return false;
    }
    // SAFETY: the hook's arguments.
    let (place, tag, whole) = unsafe {
        (
            Place((*planned).stmt_location, (*planned).stmt_len),
            (*(*planned).utilityStmt).type_,
            bytes(whole),
        )
    };
    let text = place.of(whole).into_owned();
    use pg_sys::NodeTag::*;
    let query_type = match tag {
        T_CopyStmt => "COPY",
        T_CreateTableAsStmt => "CTAS",
        T_RefreshMatViewStmt => "OTHER",
        _ => type_by_words(&text),
    };
    UTILITY.set(Some(Utility {
        place,
        message: message(),
        began: begin_of_statement(),
        started: time::now_utc(),
        text,
        query_type,
        is_refresh: tag == T_RefreshMatViewStmt,
    }));
    true
}

/// The utility statement has ended without an error.
pub(super) fn utility_ended() {
    let Some(utility) = UTILITY.take() else {
        return;
    };
    PLANNING.set(0);
    let now = time::now_utc();
    PREVIOUS.set((utility.message, now));
    // A refresh has its row in the history already: here it has the same number, and shows if that row is rolled back.
    let refresh = noted_refresh::of_message(utility.message).filter(|_| utility.is_refresh);
    let query_id = refresh.unwrap_or(0);
    push(
        &utility.text,
        true,
        Statement {
            query_id,
            query_type: utility.query_type.to_owned(),
            status: "success".to_owned(),
            times: (utility.began, now),
            execution_time: now - utility.started,
            ..Statement::default()
        },
    );
}

/// Called for each message to the log or the client, also while a transaction is broken: no catalogue, nothing that raises.
unsafe extern "C-unwind" fn emit_log(error: *mut pg_sys::ErrorData) {
    // SAFETY: the error is being reported; the variables are the backend's.
    unsafe {
        let level = (*error).elevel as u32;
        if level >= pgrx::PgLogLevel::ERROR as u32
            && level < pgrx::PgLogLevel::PANIC as u32
            && setting::records_all_statements()
            && pg_sys::CritSectionCount == 0
            && !pg_sys::proc_exit_inprogress
            && is_recorded()
        {
            // An error of ours here would only hide the one that is reported.
            let _ = std::panic::catch_unwind(|| failed(&*error));
        }
        if let Some(next) = NEXT_LOG {
            next(error);
        }
    }
}

fn failed(error: &pg_sys::ErrorData) {
    const QUERY_CANCELED: &[u8; 5] = b"57014";
    let this = message();
    let utility = UTILITY.take().filter(|utility| utility.message == this);
    let query = QUERIES.with_borrow_mut(|queries| {
        let place = queries.iter().position(|query| query.message == this)?;
        Some(queries.remove(place))
    });
    PLANNING.set(0);
    if utility.as_ref().is_some_and(|utility| utility.is_refresh)
        && noted_refresh::of_message(this) == Some(0)
    {
        // The journal has it.
        return;
    }
    // SAFETY: checked by `is_recorded`.
    let whole = unsafe { bytes(pg_sys::debug_query_string) };
    let place = utility
        .as_ref()
        .map(|utility| utility.place)
        .or(query.map(|query| query.place))
        .unwrap_or(Place(-1, 0));
    let text = place.of(whole);
    let query_type = match &utility {
        Some(utility) => utility.query_type,
        None => type_by_words(&text),
    };
    let now = time::now_utc();
    let began = utility
        .as_ref()
        .map(|utility| utility.began)
        .or(query.map(|query| query.began))
        .unwrap_or_else(begin_of_statement);
    let started = utility
        .map(|utility| utility.started)
        .or(query.map(|query| query.started));
    let canceled = crate::pg::report::SqlState(*QUERY_CANCELED).packed() == error.sqlerrcode;
    let message = if error.message.is_null() {
        Cow::Borrowed("")
    } else {
        // SAFETY: the message of the error that is being reported.
        beginning(unsafe { bytes(error.message) })
    };
    let sqlstate = crate::pg::report::SqlState::unpacked(error.sqlerrcode);
    let sqlstate = String::from_utf8_lossy(&sqlstate.0);
    let safe = redact::error(&message, &sqlstate, &beginning(whole), standard_strings());
    push(
        &text,
        sqlstate != redact::SYNTAX_ERROR,
        Statement {
            query_type: query_type.to_owned(),
            status: if canceled { "canceled" } else { "failed" }.to_owned(),
            times: (began, now),
            execution_time: started.map_or(0, |started| now - started),
            planning_time: query.map_or(0, |query| query.planning_time),
            error: cut(&safe, ERROR_BYTES).to_owned(),
            ..Statement::default()
        },
    );
}

/// Fills in what all have in common, and leaves the statement for the monitor.
fn push(text: &str, is_readable: bool, statement: Statement) {
    // SAFETY: reads variables of the backend.
    let (database, user, on_standby) = unsafe {
        (
            pg_sys::MyDatabaseId,
            pg_sys::GetOuterUserId(),
            pg_sys::RecoveryInProgress(),
        )
    };
    let Some(monitor) = shared::monitor_of(database).filter(|_| !on_standby) else {
        return;
    };
    let safe = redact::statement(text, standard_strings(), is_readable);
    let end = safe.char_indices().nth(TEXT_CHARACTERS);
    let mut statement = Statement {
        user: user.to_u32(),
        pid: background::pid(),
        transaction_id: background::transaction_id(),
        text: safe[..end.map_or(safe.len(), |(at, _)| at)].to_owned(),
        ..statement
    };
    let pushed = statement_ring::push(database, &mut statement);
    LAST_ID.set(Some(pushed.query_id));
    if monitor == 0 {
        background::wake(shared::launcher());
    } else if pushed.crowded {
        background::wake(monitor);
    }
}

impl Place {
    /// The statement's own part of the text that was sent, as much of it as is ever looked at.
    fn of(self, whole: &[u8]) -> Cow<'_, str> {
        let from = usize::try_from(self.0).unwrap_or(0);
        let end = match usize::try_from(self.1) {
            Ok(length) if length > 0 => from + length,
            _ => whole.len(),
        };
        let own = whole.get(from..end).unwrap_or(whole).trim_ascii();
        match beginning(own) {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim_end_matches(';').trim_end()),
            Cow::Owned(text) => Cow::Owned(text.trim_end_matches(';').trim_end().to_owned()),
        }
    }
}

/// A C string of Postgres's that outlives its use: it may be a gigabyte long.
unsafe fn bytes<'a>(text: *const c_char) -> &'a [u8] {
    // SAFETY: as promised.
    unsafe { CStr::from_ptr(text).to_bytes() }
}

/// The beginning of a text: a byte more than redaction looks at, so that it sees that there is more.
fn beginning(text: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(&text[..text.len().min(redact::MAX_BYTES + 4)])
}

fn standard_strings() -> bool {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::standard_conforming_strings }
}

fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// `query_type` of a statement of which only the text is known.
fn type_by_words(text: &str) -> &'static str {
    let first: String = text
        .trim_start_matches(|c: char| c.is_whitespace() || c == '(')
        .chars()
        .take_while(char::is_ascii_alphabetic)
        .collect();
    match first.to_ascii_lowercase().as_str() {
        "select" | "with" | "values" | "table" => "SELECT",
        "insert" => "INSERT",
        "update" => "UPDATE",
        "copy" => "COPY",
        "unload" => "UNLOAD",
        "create" | "alter" | "drop" | "comment" | "grant" | "revoke" | "truncate" | "security"
        | "reassign" | "import" => "DDL",
        "delete" | "merge" | "call" | "do" | "refresh" => "OTHER",
        _ => "UTILITY",
    }
}
