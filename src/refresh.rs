//! One refresh, from start to end. The first file to read.
//!
//! 1. lock: the table, then the view's checkpoints;
//! 2. plan: the end of each partition is fixed now ("parity"), so that the refresh ends under constant load;
//! 3. run: INSERT INTO table SELECT .. FROM definition, planned and run by Postgres, as the view's owner;
//! 4. store: where to resume, the ledger and the history, in the transaction that holds the rows.
//!
//! It runs in the caller's transaction: a rollback takes back rows and positions alike, and the next statement sees the rows.

use crate::catalog::ledger::{self, Entry, Failure, Jump, Reason};
use crate::catalog::materialized_view::MaterializedView;
use crate::catalog::{checkpoint, event, refresh_history};
use crate::checkpoint::{Plan, plan};
use crate::pg::error_context::{with_context, with_hint};
use crate::pg::progress::{Phase, Reporting};
use crate::pg::query::Query;
use crate::pg::relation::{self, LockMode, Oid};
use crate::pg::report::sqlstate;
use crate::pg::{background, execute, guard, report, shared, spi, stream_shape, time};
use crate::scan::bounds::Bounds;
use crate::scan::column::{timestamp_type_letter, to_timestamp};
use crate::scan::job::{self, Input, Job, Limits, Outcome, Progress, Running, SkipReason};
use crate::scan::stream_scan::StreamScan;
use crate::source::{Source, Stream};
use crate::view::{check, definition, landing_table, owned};
use crate::{error, kinesis, scan, settings};
use pgrx::spi::quote_identifier;
use std::rc::Rc;
use stream::{Client, TopicDescription};

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
    of_shards: bool,
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
        shared::leave_failure(&shared::Failed {
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
    let summary = match Stream::of_table(locked.stream, relation::owner(table)) {
        Stream::Topic(source, topic) => load_topic(&run, &locked, &source, &topic),
        Stream::Kinesis(source, stream) => kinesis::refresh::run(&run, &locked, &source, &stream),
    };
    tell(name, &summary);
}

fn load_topic(run: &Run, locked: &Locked, source: &Source, topic: &str) -> Summary {
    let view = run.view;
    let checkpoints = checkpoint::lock(view.id);

    let client = Rc::new(source.connect(settings::memory_limit_bytes()));
    let description = describe(source, &client, topic);
    let bounds = definition_bounds(view, locked, topic);
    let (read, excluded): (Vec<i32>, Vec<i32>) = description
        .partitions
        .iter()
        .partition(|partition| bounds.has_partition(**partition));
    let watermarks = source.watermarks(&client, topic, &read);
    let plan = plan(view, &description, &checkpoints, &watermarks, &bounds);

    let job = Job {
        table: locked.stream,
        topic: topic.to_owned(),
        input: Input::Fetch(Rc::clone(&client)),
        ranges: plan.ranges(),
        limits: run.limits,
        refresh_time: run.started,
    };
    let offsets: u64 = job.ranges.iter().map(|r| (r.end - r.start) as u64).sum();
    let reporting = &run.reporting;
    reporting.expect(job.ranges.len(), offsets.min(run.limits.max_records));
    reporting.phase(Phase::Loading);
    let (rows, outcome) = if job.ranges.is_empty() {
        (0, None)
    } else {
        load(view, locked.definition, job)
    };
    check_still_same_topic(source, &client, view, &description);

    run.reporting.phase(Phase::Storing);
    checkpoint::exclude(
        view.id,
        &checkpoints,
        description.topic_id.as_ref(),
        &excluded,
    );
    store(run, plan, outcome, rows)
}

/// Which partitions of a topic the definition reads: what its plan says when it begins. (It may call functions of the owner's for that.)
pub fn definition_bounds(view: &MaterializedView, locked: &Locked, topic: &str) -> Bounds {
    let columns: Vec<String> = relation::column_names(locked.definition)
        .iter()
        .map(quote_identifier)
        .collect();
    let definition = relation::qualified_name(locked.definition).unwrap_or_default();
    let sql = format!("SELECT {} FROM {definition}", columns.join(", "));
    let nothing = Job {
        table: locked.stream,
        topic: topic.to_owned(),
        input: Input::Nothing,
        ranges: Vec::new(),
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
    let outcome = job::take_outcome();
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
    stream_shape::check(stream);
    // The view may have been replaced since it was checked at creation.
    check::incremental(&Query::of_view(definition).shape());
    definition::follow(view.table, definition);
    landing_table::check(view);
    Locked { stream, definition }
}

fn describe(source: &Source, client: &Client, topic: &str) -> TopicDescription {
    source.answer(
        client,
        client.describe_topic(topic, settings::connect_timeout()),
    )
}

/// What a name that is not found raises, in a trigger or function that a refresh runs.
const NAMES: [[u8; 5]; 3] = [
    sqlstate::UNDEFINED_TABLE,
    sqlstate::UNDEFINED_FUNCTION,
    sqlstate::UNDEFINED_OBJECT,
];
const NAMES_HINT: &str = "A refresh runs definition, triggers and functions with search_path = pg_catalog, pg_temp: qualify the name, or give the function a path of its own by ALTER FUNCTION .. SET search_path.";

/// Runs the definition into the table; returns the number of rows inserted and what was read.
pub fn load(view: &MaterializedView, definition: Oid, job: Job) -> (u64, Option<Outcome>) {
    let sql = insert_statement(view, definition);
    let running = Running::begin(view.table);
    let (owner, stream, of_shards) = (relation::owner(view.table), job.table, job.is_of_shards());
    let rows = spi::as_view_owner(owner, || {
        with_context(scan::describe_current_record, || {
            let rows = with_hint(&NAMES, NAMES_HINT, || {
                execute::insert(&sql, definition, || job::offer(job))
            });
            StreamScan::pass_offered(stream, owner, of_shards);
            rows
        })
    });
    let outcome = job::take_outcome();
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

/// A topic that was re-created while it was read may have given records of both.
fn check_still_same_topic(
    source: &Source,
    client: &Client,
    view: &MaterializedView,
    before: &TopicDescription,
) {
    if before.topic_id.is_none() {
        return;
    }
    let after = describe(source, client, &before.name);
    if after.topic_id != before.topic_id {
        let detail =
            "It was dropped and created again while it was read; nothing was loaded.".to_owned();
        error::topic_recreated(&view.name(), &before.name, detail).raise();
    }
}

/// Stores positions, ledger and history.
fn store(run: &Run, mut plan: Plan, outcome: Option<Outcome>, rows: u64) -> Summary {
    let view = run.view;
    let outcome = outcome.unwrap_or_default();
    // A function in the WHERE may have said something else meanwhile.
    plan.keep_read(&outcome.bounds);
    let progress_of = |partition| outcome.partitions.iter().find(|p| p.partition == partition);
    let reached = |partition| {
        let progress = progress_of(partition).filter(|_| outcome.stopped_early)?;
        Some(progress.next_offset)
    };
    checkpoint::flush_all(view);
    ledger::insert_losses(view.id, &plan.jumps());
    plan.store(view.id, reached);

    let query_id = refresh_history::next_query_id();
    for planned in &plan.partitions {
        let range = planned.range;
        let end = reached(range.partition).unwrap_or(range.end);
        let progress = progress_of(range.partition).copied().unwrap_or_default();
        if end > range.start {
            ledger::insert(
                query_id,
                view.id,
                &entry(range.start, end, range.partition, &progress),
            );
        }
    }
    finish(run, query_id, &outcome, plan.lost, rows)
}

/// Writes what was not loaded, and the history.
pub fn finish(
    run: &Run,
    query_id: i64,
    outcome: &Outcome,
    lost: Vec<Failure>,
    rows: u64,
) -> Summary {
    let view = run.view;
    let sum = |count: fn(&Progress) -> i64| outcome.partitions.iter().map(count).sum();
    let summary = Summary {
        rows,
        partitions: outcome.partitions.iter().filter(|p| p.scanned > 0).count(),
        scanned: sum(|progress| progress.scanned),
        filtered: sum(|progress| progress.filtered),
        skipped: sum(|progress| progress.skipped),
        dropped: sum(|progress| progress.dropped),
        lost: lost.len(),
        stopped_early: outcome.stopped_early,
        of_shards: !outcome.shards.is_empty(),
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

fn skipped_records(outcome: &Outcome) -> impl Iterator<Item = Failure> + '_ {
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

/// Logs what a batch of auto refresh could not load; `partitions` are those that its worker has.
pub fn log_skipped<P: ToString>(view: &MaterializedView, outcome: &Outcome, partitions: &[P]) {
    if !outcome.skipped.is_empty() {
        let failures: Vec<Failure> = skipped_records(outcome).collect();
        let query_id = checkpoint::pending_query_id(view.id, Some(partitions));
        ledger::insert_failures(query_id, view.id, &failures);
        event::skipped(
            view.table,
            outcome.partitions.iter().map(|p| p.skipped).sum(),
        );
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

/// The ledger entry of one partition.
pub fn entry(first_position: i64, end_position: i64, partition: i32, progress: &Progress) -> Entry {
    let last = progress.last_offset.map(|offset| offset.to_string());
    let positions = (first_position.to_string(), end_position.to_string(), last);
    Entry::new(partition.to_string(), positions, progress)
}

/// The status text of SYS_MV_REFRESH_HISTORY, with its qualifier after a blank.
fn status(summary: &Summary) -> String {
    status_text(summary.scanned, summary.skipped, summary.stopped_early)
}

/// The same from the counts.
pub fn status_text(scanned: i64, skipped: i64, stopped_early: bool) -> String {
    let qualifier = if scanned == 0 {
        " Stream returned no new data"
    } else if skipped == scanned {
        " All records received from the stream were skipped"
    } else if skipped > 0 {
        " Some stream records were skipped"
    } else if stopped_early {
        " The stream may contain more data"
    } else {
        ""
    };
    format!("Refresh successfully updated MV incrementally{qualifier}")
}

fn tell(name: &str, summary: &Summary) {
    if summary.scanned == 0 && summary.lost == 0 {
        report::notice(format!(
            "materialized view \"{name}\" is up to date: the stream has no new records"
        ));
        return;
    }
    let partitions = match (summary.of_shards, summary.partitions) {
        (false, 1) => "partition",
        (false, _) => "partitions",
        (true, 1) => "shard",
        (true, _) => "shards",
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
