//! Progress of a running refresh, or of a worker with a backlog, in the backend's entry of Postgres's own progress reporting (backend_progress.c).
//!
//! Postgres shows the commands that it knows and passes over others, so ours has a number of its own and a function of ours shows it. The entry goes by
//! itself when a transaction or a subtransaction is aborted: as the latter happens whenever a definition catches an error, each report writes it whole.

use super::relation::Oid;
use pgrx::pg_sys;
use std::cell::Cell;

/// Our `st_progress_command`: RS.
const COMMAND: pg_sys::ProgressCommandType::Type = 0x5253;
/// `st_progress_param` as we use them.
const PARAMETERS: usize = 7;
/// A total that nobody knows.
const UNKNOWN: i64 = i64::MAX;

/// What a refresh is doing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The broker is asked for partitions and ends.
    Connecting = 1,
    /// Records are read and inserted.
    Loading = 2,
    /// Positions, ledger and history are written.
    Storing = 3,
    /// As loading, but the broker holds its answers back: a quota is used up.
    Throttled = 4,
}

#[derive(Clone, Copy)]
struct Report {
    table: Oid,
    values: [i64; PARAMETERS],
    /// What batches before this one have loaded: records and bytes.
    before: (u64, u64),
}

thread_local! {
    static REPORT: Cell<Option<Report>> = const { Cell::new(None) };
}

/// A refresh that reports; what it reported goes when the value is dropped, on errors too.
pub struct Reporting(());

impl Reporting {
    /// A refresh of `table` begins.
    pub fn begin(table: Oid, started: i64) -> Reporting {
        REPORT.set(Some(Report {
            table,
            values: [Phase::Connecting as i64, 0, 0, 0, 0, started, 0],
            before: (0, 0),
        }));
        send();
        Reporting(())
    }

    /// It has come to another phase.
    pub fn phase(&self, phase: Phase) {
        change(|values| values[0] = phase as i64);
    }

    /// It reads so many partitions, and so many offsets at most.
    pub fn expect(&self, partitions: usize, records: u64) {
        let records = i64::try_from(records).unwrap_or(i64::MAX);
        change(|values| (values[1], values[2]) = (partitions as i64, records));
    }
}

impl Drop for Reporting {
    fn drop(&mut self) {
        end();
    }
}

/// A worker loads the next batch of a backlog. The entry stays until the next one, or until [`end`].
pub fn show_batch(
    table: Oid,
    started: i64,
    partitions: usize,
    before: (u64, u64),
    total: Option<u64>,
) {
    let total = total.and_then(|total| i64::try_from(total).ok());
    let (records, bytes) = (before.0 as i64, before.1 as i64);
    let (phase, total) = (Phase::Loading as i64, total.unwrap_or(UNKNOWN));
    REPORT.set(Some(Report {
        table,
        values: [phase, partitions as i64, total, records, bytes, started, 1],
        before,
    }));
    send();
}

/// Nothing is shown any more.
pub fn end() {
    if REPORT.take().is_some() {
        // SAFETY: writes the backend's own entry.
        unsafe { pg_sys::pgstat_progress_end_command() }
    }
}

/// So many records and bytes have been read. Without a refresh that reports, nothing happens.
pub fn loaded(records: u64, bytes: u64) {
    if let Some(report) = REPORT.get() {
        let (records, bytes) = (report.before.0 + records, report.before.1 + bytes);
        change(|values| (values[3], values[4]) = (records as i64, bytes as i64));
    }
}

/// Records are waited for: because the broker holds them back, or not.
pub fn waiting(is_throttled: bool) {
    let phase = if is_throttled {
        Phase::Throttled
    } else {
        Phase::Loading
    };
    if REPORT
        .get()
        .is_some_and(|report| report.values[0] != phase as i64)
    {
        change(|values| values[0] = phase as i64);
    }
}

fn change(change: impl FnOnce(&mut [i64; PARAMETERS])) {
    if let Some(mut report) = REPORT.get() {
        change(&mut report.values);
        REPORT.set(Some(report));
        send();
    }
}

fn send() {
    let Some(report) = REPORT.get() else { return };
    // SAFETY: writes the backend's own entry; the arrays have as many elements as is said.
    unsafe {
        let places: [i32; PARAMETERS] = std::array::from_fn(|place| place as i32);
        pg_sys::pgstat_progress_start_command(COMMAND, report.table);
        pg_sys::pgstat_progress_update_multi_param(
            PARAMETERS as i32,
            places.as_ptr(),
            report.values.as_ptr(),
        );
    }
}

/// A refresh that runs, or the batches of a worker with a backlog.
pub struct Running {
    /// The process.
    pub pid: i32,
    /// The view's table.
    pub table: Oid,
    /// What it is doing.
    pub phase: &'static str,
    /// How many partitions it reads.
    pub partitions: i64,
    /// So many records are read.
    pub records: i64,
    /// Of so many at most, as far as it is known.
    pub total: Option<i64>,
    /// So many bytes are read.
    pub bytes: i64,
    /// When it began, in UTC.
    pub started: i64,
    /// It is a worker's.
    pub is_auto: bool,
}

/// What runs in this database and the current user may see.
pub fn running() -> Vec<Running> {
    let mut found = Vec::new();
    // SAFETY: the entries are this backend's local copies, as pg_stat_get_progress_info reads them.
    unsafe {
        for number in 1..=pg_sys::pgstat_fetch_stat_numbackends() {
            let entry = super::polyfill::backend_status(number);
            let Some(entry) = entry.as_ref() else {
                continue;
            };
            let table = entry.st_progress_command_target;
            if entry.st_progress_command == COMMAND
                && entry.st_databaseid == pg_sys::MyDatabaseId
                && may_see(entry.st_userid, table)
            {
                found.push(Running::of(
                    entry.st_procpid,
                    table,
                    &entry.st_progress_param,
                ));
            }
        }
    }
    found
}

impl Running {
    fn of(pid: i32, table: Oid, values: &[i64]) -> Running {
        let phase = match values[0] {
            1 => "connecting",
            2 => "loading",
            4 => "throttled",
            _ => "storing",
        };
        Running {
            pid,
            table,
            phase,
            partitions: values[1],
            records: values[3],
            total: Some(values[2]).filter(|total| *total != UNKNOWN),
            bytes: values[4],
            started: values[5],
            is_auto: values[6] != 0,
        }
    }
}

/// HAS_PGSTAT_PERMISSIONS of pgstatfuncs.c; and whoever owns the view sees what a worker does with it.
unsafe fn may_see(owner: Oid, view: Oid) -> bool {
    // SAFETY: permission checks without side effects.
    unsafe {
        let user = pg_sys::GetUserId();
        pg_sys::has_privs_of_role(user, pg_sys::Oid::from(pg_sys::ROLE_PG_READ_ALL_STATS))
            || pg_sys::has_privs_of_role(user, owner)
            || super::relation::exists(view) && super::polyfill::owns_relation(view, user)
    }
}
