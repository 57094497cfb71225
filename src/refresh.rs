//! One refresh, from start to end. The first file to read.
//!
//! 1. lock: the table, then the view's checkpoints;
//! 2. plan: the end of each partition is fixed now ("parity"), so that the refresh ends under constant load;
//! 3. run: INSERT INTO table SELECT .. FROM definition, planned and run by Postgres, as the view's owner;
//! 4. store: where to resume, the ledger and the history, in the transaction that holds the rows.
//!
//! It runs in the caller's transaction: a rollback takes back rows and positions alike, and the next statement sees the rows.

use crate::catalog::ledger::{self, Failure, Jump, Reason};
use crate::catalog::materialized_view::MaterializedView;
use crate::catalog::position::Position;
use crate::catalog::refresh_history::status_text;
use crate::catalog::{checkpoint, event, refresh_history};
use crate::error;
use crate::pg::error_context::{with_context, with_hint};
use crate::pg::progress::{Phase, Reporting};
use crate::pg::query::Query;
use crate::pg::relation::{self, LockMode, Oid};
use crate::pg::report::sqlstate;
use crate::pg::setting;
use crate::pg::{background, current_record, execute, failed_refresh, guard, report, spi, time};
use crate::scan::job::{self, Input, Job, Running};
use crate::scan::{Scan, shape};
use crate::source::Source;
use crate::source::any::{Named, Stream, each};
use crate::source::column::{timestamp_type_letter, to_timestamp};
use crate::source::outcome::{Limits, Outcome, Progress, SkipReason};
use crate::source::plan::Plan;
use crate::view::{check, definition, landing_table, owned};
use pgrx::spi::quote_identifier;
use plan::bounds::Bounds;
use std::rc::Rc;

/// One refresh.
pub struct Run<'a> {
    /// The view.
    pub view: &'a MaterializedView,
    /// When to stop earlier, and which records to skip.
    pub limits: Limits,
    /// When it began.
    pub started: i64,
    /// Who asked for it.
    pub caller: Oid,
    /// What it shows of itself.
    pub reporting: Reporting,
}

/// What a refresh did, for the message to the user.
pub struct Summary {
    rows: u64,
    partitions: usize,
    scanned: i64,
    filtered: i64,
    skipped: i64,
    dropped: i64,
    lost: usize,
    stopped_early: bool,
    /// What parts are called: one, several.
    parts: (&'static str, &'static str),
}

/// REFRESH MATERIALIZED VIEW.
pub fn statement(table: Oid, with_no_data: bool) {
    let name = relation::name(table).unwrap_or_default();
    if with_no_data {
        error::refresh_without_data(&name).raise();
    }
    run(table, u64::MAX, u64::MAX);
}

/// Refreshes a view, reading at most so many records or bytes. A failure is left for the journal: its own transaction cannot write it.
pub fn run(table: Oid, max_records: u64, max_bytes: u64) {
    // Nothing of the view's failed where somebody may not refresh it; and who may not must not wait for its lock either.
    let name = owned(table).name();
    let (user, started) = (relation::current_user(), time::now_utc());
    let leave = |failure: &guard::Failure| {
        failed_refresh::leave_failure(&failed_refresh::Failed {
            table,
            user,
            pid: background::pid(),
            transaction_id: background::transaction_id(),
            times: (started, time::now_utc()),
            error: failure.message.clone(),
        })
    };
    let load = || load_new_records(table, &name, max_records, max_bytes);
    guard::witness(load, leave);
}

fn load_new_records(table: Oid, name: &str, max_records: u64, max_bytes: u64) {
    if let Some(running) = job::loaded_table() {
        let running = relation::name(running).unwrap_or_default();
        error::refresh_running(name, &running).raise();
    }
    let started = time::now_utc();
    let caller = relation::current_user();
    relation::lock(table, LockMode::RowExclusive);
    if !relation::exists(table) {
        error::undefined_relation(name).raise();
    }
    let view = owned(table);
    if view.restored {
        error::restored(name).raise();
    }
    let locked = lock_source(&view);
    let run = Run {
        view: &view,
        limits: Limits {
            max_records,
            max_bytes,
            max_record_bytes: view.options.max_record_bytes,
        },
        started,
        caller,
        reporting: Reporting::begin(table, started),
    };
    let stream = Stream::of_table(locked.stream, relation::owner(table));
    let summary = each!(Stream, stream, stream => load_stream(&run, &locked, &stream));
    tell(name, &summary);
}

fn load_stream<S: Source>(run: &Run, locked: &Locked, stream: &Named<S>) -> Summary {
    let (view, Named { source, name }) = (run.view, stream);
    let stored = checkpoint::lock::<S::Position>(view.id);
    if stored.is_empty() {
        error::no_checkpoint(&view.name()).raise();
    }
    let client = Rc::new(source.connect(setting::memory_limit_bytes()));
    let before = source.describe(&client, name);
    let bounds = if S::LEAVES_OUT {
        definition_bounds::<S>(view, locked, name)
    } else {
        Bounds::default()
    };
    let plan = source.plan(&client, view, &before, stored, &bounds);
    let (rows, outcome) = if plan.is_empty() {
        (0, None)
    } else {
        let parts = S::parts(&plan.reading).len();
        let records = S::expected(&plan.reading).min(run.limits.max_records);
        run.reporting.expect(parts, records);
        run.reporting.phase(Phase::Loading);
        let job = Job::<S> {
            table: locked.stream,
            name: name.clone(),
            input: Input::Fetch(Rc::clone(&client)),
            reading: plan.reading.clone(),
            limits: run.limits,
            refresh_time: run.started,
        };
        load(view, locked.definition, job)
    };
    source.check_still_same(&client, view, &before);
    run.reporting.phase(Phase::Storing);
    store(run, plan, outcome, rows)
}

/// Which parts of a stream the definition reads: what its plan says when it begins. (It may call functions of the owner's for that.)
pub fn definition_bounds<S: Source>(
    view: &MaterializedView,
    locked: &Locked,
    name: &str,
) -> Bounds {
    let columns: Vec<String> = relation::column_names(locked.definition)
        .iter()
        .map(quote_identifier)
        .collect();
    let definition = relation::qualified_name(locked.definition).unwrap_or_default();
    let sql = format!("SELECT {} FROM {definition}", columns.join(", "));
    let nothing = Job::<S> {
        table: locked.stream,
        name: name.to_owned(),
        input: Input::Nothing,
        reading: S::Reading::default(),
        limits: Limits {
            max_records: u64::MAX,
            max_bytes: u64::MAX,
            max_record_bytes: u64::MAX,
        },
        refresh_time: time::now_utc(),
    };
    let running = Running::begin(view.table);
    spi::as_view_owner(relation::owner(view.table), || {
        execute::select(&sql, locked.definition, || job::offer(nothing))
    });
    let outcome = job::take_outcome::<S>();
    drop(running);
    outcome.map_or_else(Bounds::default, |outcome| outcome.bounds)
}

/// What a refresh reads by, locked against being dropped.
pub struct Locked {
    /// The foreign table.
    pub stream: Oid,
    /// The hidden view.
    pub definition: Oid,
}

/// Locks stream and definition, in the order in which DROP .. CASCADE of the stream locks them.
pub fn lock_source(view: &MaterializedView) -> Locked {
    let gone = || {
        error::definition_gone(&view.name(), &view.external_schema_name, &view.stream_name).raise()
    };
    let definition = view.definition.unwrap_or_else(gone);
    let stream = definition::stream_of(definition).unwrap_or_else(gone);
    relation::lock(stream, LockMode::AccessShare);
    relation::lock(definition, LockMode::AccessShare);
    if !relation::is_stream(stream) || !relation::is_view(definition) {
        gone();
    }
    shape::check(stream);
    // The view may have been replaced since it was checked at creation.
    check::incremental(&Query::of_view(definition).shape());
    definition::follow(view.table, definition);
    landing_table::check(view);
    Locked { stream, definition }
}

/// What a name that is not found raises, in a trigger or function that a refresh runs.
const NAMES: [[u8; 5]; 3] = [
    sqlstate::UNDEFINED_TABLE,
    sqlstate::UNDEFINED_FUNCTION,
    sqlstate::UNDEFINED_OBJECT,
];
const NAMES_HINT: &str = "A refresh runs definition, triggers and functions with search_path = pg_catalog, pg_temp: qualify the name, or give the function a path of its own by ALTER FUNCTION .. SET search_path.";

/// Runs the definition into the table; returns the number of rows inserted and what was read.
pub fn load<S: Source>(
    view: &MaterializedView,
    definition: Oid,
    job: Job<S>,
) -> (u64, Option<Outcome<S::Position>>) {
    let sql = insert_statement(view, definition);
    let running = Running::begin(view.table);
    let (owner, stream) = (relation::owner(view.table), job.table);
    let rows = spi::as_view_owner(owner, || {
        with_context(current_record::describe, || {
            let rows = with_hint(&NAMES, NAMES_HINT, || {
                execute::insert(&sql, definition, || job::offer(job))
            });
            Scan::<S>::pass_offered(stream, owner);
            rows
        })
    });
    let outcome = job::take_outcome::<S>();
    drop(running);
    (rows, outcome)
}

/// `INSERT INTO table (columns) SELECT columns FROM definition`: columns are matched by name, others of the table get their defaults.
fn insert_statement(view: &MaterializedView, definition: Oid) -> String {
    let present = relation::column_names(view.table);
    let columns = relation::column_names(definition);
    if let Some(missing) = columns.iter().find(|column| !present.contains(column)) {
        error::column_missing(&view.name(), missing).raise();
    }
    let columns: Vec<String> = columns.iter().map(quote_identifier).collect();
    let columns = columns.join(", ");
    format!(
        "INSERT INTO {} ({columns}) SELECT {columns} FROM {}",
        relation::qualified_name(view.table).unwrap_or_default(),
        relation::qualified_name(definition).unwrap_or_default()
    )
}

/// Stores positions, ledger and history. A plan that needs no scan at all (WHERE false) has read nothing; what is new is stored all the same.
fn store<S: Source>(
    run: &Run,
    mut plan: Plan<S>,
    outcome: Option<Outcome<S::Position>>,
    rows: u64,
) -> Summary {
    let view = run.view;
    let outcome = outcome.unwrap_or_default();
    // A function in the WHERE may have said something else meanwhile.
    plan.keep_read(&outcome.bounds);
    let arrivals = plan.arrivals(&outcome);
    checkpoint::flush_all(view);
    ledger::insert_losses(view.id, &plan.jumps());
    let states: Vec<_> = arrivals.iter().map(|a| a.state.clone()).collect();
    plan.store(view.id, &states);
    let query_id = refresh_history::next_query_id();
    for entry in arrivals.iter().filter_map(|arrival| arrival.entry()) {
        ledger::insert(query_id, view.id, &entry);
    }
    finish::<S>(run, query_id, &outcome, plan.lost, rows)
}

/// Writes what was not loaded, and the history.
fn finish<S: Source>(
    run: &Run,
    query_id: i64,
    outcome: &Outcome<S::Position>,
    lost: Vec<Failure>,
    rows: u64,
) -> Summary {
    let view = run.view;
    let sum = |count: fn(&Progress) -> i64| outcome.progress.iter().map(count).sum();
    let summary = Summary {
        rows,
        partitions: outcome.progress.iter().filter(|p| p.scanned > 0).count(),
        scanned: sum(|progress| progress.scanned),
        filtered: sum(|progress| progress.filtered),
        skipped: sum(|progress| progress.skipped),
        dropped: sum(|progress| progress.dropped),
        lost: lost.len(),
        stopped_early: outcome.stopped_early,
        parts: S::WORDS.parts,
    };
    let failures: Vec<Failure> = skipped_records(outcome).chain(lost).collect();
    ledger::insert_failures(query_id, view.id, &failures);
    if summary.skipped > 0 {
        event::skipped(view.table, summary.skipped);
    }
    if summary.skipped > outcome.skipped.len() as i64 {
        error::skips_not_logged(&view.name(), outcome.skipped.len(), summary.skipped as u64).warn();
    }
    refresh_history::insert(
        query_id,
        view,
        run.caller,
        run.started,
        &status(&summary),
        rows,
        "Manual",
    );
    summary
}

fn skipped_records<P: Position>(outcome: &Outcome<P>) -> impl Iterator<Item = Failure> + '_ {
    outcome.skipped.iter().map(move |record| Failure {
        partition: record.partition.clone(),
        position: record.position.clone(),
        timestamp_type: timestamp_type_letter(record.timestamp.map(|(kind, _)| kind)),
        timestamp: record.timestamp.and_then(|(_, time)| to_timestamp(time)),
        reason: match record.reason {
            SkipReason::TooLarge { part, bytes, limit } => Reason::TooLarge { part, bytes, limit },
            SkipReason::OtherShard(user) => Reason::OtherShard { user },
        },
    })
}

/// Logs what a batch of auto refresh could not load; `parts` are those that its worker has.
pub fn log_skipped<P: Position>(view: &MaterializedView, outcome: &Outcome<P>, parts: &[P::Part]) {
    if !outcome.skipped.is_empty() {
        let failures: Vec<Failure> = skipped_records(outcome).collect();
        let query_id = checkpoint::pending_query_id(view.id, Some(parts));
        ledger::insert_failures(query_id, view.id, &failures);
        event::skipped(view.table, outcome.progress.iter().map(|p| p.skipped).sum());
    }
}

/// Logs what auto refresh found to be lost when it began to read, and the steps in the positions.
pub fn log_lost(view: &MaterializedView, lost: &[Failure], jumps: &[Jump]) {
    if lost.is_empty() {
        return;
    }
    ledger::insert_losses(view.id, jumps);
    let query_id = refresh_history::next_query_id();
    ledger::insert_failures(query_id, view.id, lost);
    let (owner, now) = (relation::owner(view.table), time::now_utc());
    let status = status_text(0, 0, false);
    refresh_history::insert(query_id, view, owner, now, &status, 0, "Auto");
}

/// The status text of SYS_MV_REFRESH_HISTORY, with its qualifier after a blank.
fn status(summary: &Summary) -> String {
    status_text(summary.scanned, summary.skipped, summary.stopped_early)
}

fn tell(name: &str, summary: &Summary) {
    if summary.scanned == 0 && summary.lost == 0 {
        report::notice(format!(
            "materialized view \"{name}\" is up to date: the stream has no new records"
        ));
        return;
    }
    let (one, several) = summary.parts;
    let partitions = if summary.partitions == 1 {
        one
    } else {
        several
    };
    let mut text = format!(
        "materialized view \"{name}\": {} records read from {} {partitions}, {} rows inserted",
        summary.scanned, summary.partitions, summary.rows
    );
    for (count, what) in [
        (summary.filtered, "records filtered by the definition"),
        (
            summary.skipped,
            "records skipped (see sys_stream_scan_errors)",
        ),
        (summary.dropped, "records dropped by a trigger"),
        (
            summary.lost as i64,
            "ranges of records lost (see sys_stream_scan_errors)",
        ),
    ] {
        if count > 0 {
            text += &format!(", {count} {what}");
        }
    }
    if summary.stopped_early {
        text += ", the stream has more";
    }
    report::notice(text);
}
