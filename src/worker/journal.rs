//! The journal: failed refreshes that their backends could not write, events for whoever listens, and the end of old history.

use crate::catalog::trimming::{self, HISTORY, Trim};
use crate::catalog::{event, journal, trouble};
use crate::pg::background::{self, Failure, transaction};
use crate::pg::extension;
use crate::pg::failed_refresh::{self, Failed};
use crate::pg::relation::{self, Oid};
use crate::pg::setting;
use crate::pg::time;
use std::time::{Duration, Instant};

/// How often old history is looked for.
const FORGET_PAUSE: Duration = Duration::from_secs(600);

/// The journal of one database.
pub struct Journal {
    database: Oid,
    forgotten: Option<Instant>,
}

impl Journal {
    /// Of this database.
    pub fn new(database: Oid) -> Journal {
        Journal {
            database,
            forgotten: None,
        }
    }

    /// Writes what backends have left.
    pub fn write_failures(&self) {
        for failed in failed_refresh::take_failures(self.database) {
            write_manual(&failed);
        }
    }

    /// Removes what is older than `redshift.history_days`, from time to time.
    pub fn forget_old(&mut self) {
        if self
            .forgotten
            .is_some_and(|when| when.elapsed() < FORGET_PAUSE)
        {
            return;
        }
        self.forgotten = Some(Instant::now());
        HISTORY.into_iter().for_each(trim);
    }
}

/// Removes what is too old of one table; what keeps it from going is logged and shown, and stops no other.
pub fn trim(what: Trim) {
    let days = setting::history_days();
    let trimmed = transaction(|| {
        if extension::is_usable() {
            trimming::trim(what, days);
        }
    });
    let Err(Failure { message, .. }) = trimmed else {
        return;
    };
    background::log(&format!(
        "{}: rows older than {days} days not removed: {message}",
        what.table
    ));
    if let Err(Failure { message, .. }) = transaction(|| trimming::insert_failure(what, &message)) {
        background::log(&format!(
            "{}: not shown in redshift.trimming: {message}",
            what.table
        ));
    }
}

/// Writes that auto refresh of a view begins to fail, as an activity of the view's owner, unless another worker of it has done so.
pub fn write_auto(mv_id: i64, worker: usize, table: Oid, failure: &Failure) {
    let now = time::now_utc();
    log_failure(transaction(|| {
        if extension::is_usable() && relation::exists(table) && trouble::begin(mv_id, worker) {
            let failed = Failed {
                table,
                user: relation::owner(table),
                pid: background::pid(),
                transaction_id: 0,
                times: (now, now),
                error: failure.message.clone(),
            };
            journal::insert_failure(&failed, "Auto");
            event::failed(table);
        }
    }));
}

/// Tells that auto refresh loads again, when all workers of the view do.
pub fn recovered(mv_id: i64, worker: usize, table: Oid) {
    let told = transaction(|| {
        if extension::is_usable() && relation::exists(table) && trouble::end(mv_id, worker) {
            event::recovered(table);
        }
    });
    if let Err(Failure { message, .. }) = told {
        background::log(&format!("recovery not told: {message}"));
    }
}

fn write_manual(failed: &Failed) {
    log_failure(transaction(|| {
        if extension::is_usable() {
            journal::insert_failure(failed, "Manual");
            event::failed(failed.table);
        }
    }));
}

fn log_failure(written: Result<(), Failure>) {
    if let Err(Failure { message, .. }) = written {
        background::log(&format!("failed refresh not journalled: {message}"));
    }
}
