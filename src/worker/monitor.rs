//! The monitor of a database: it writes down what clients ran (`redshift.query_history = 'all'`) and tells when a view falls behind its topic
//! (`redshift.lag_alert_records`, `redshift.lag_alert_seconds`, and options of views of these names). It may wait for a broker, so it is a process beside those that load.

use super::journal::trim;
use crate::catalog::trimming::STATEMENTS;
use crate::catalog::{lag_alert, statement_history};
use crate::pg::background::{self, Failure, transaction};
use crate::pg::relation::{self, Oid};
use crate::pg::setting;
use crate::pg::wait::Event;
use crate::pg::{shared, statement_ring};
use std::time::{Duration, Instant};

/// How often statements are written when nobody says that there are many.
const NAP: Duration = Duration::from_secs(1);
/// How often the lag is looked at.
const LAG_PAUSE: Duration = Duration::from_secs(5);
/// How often old statements are removed.
const FORGET_PAUSE: Duration = Duration::from_secs(600);
/// How long it stays when nothing is wanted: a session may have the setting on.
const LINGER: Duration = Duration::from_secs(60);
/// An error that repeats is logged once in this time.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(60);

/// Is a monitor wanted in the database: in each, or because a view there has a limit of its own?
pub fn is_wanted(database: Oid) -> bool {
    setting::records_all_statements() || has_lag_limits(database)
}

fn has_lag_limits(database: Oid) -> bool {
    setting::lag_limits() != (0, 0) || shared::has_lag_limits(database)
}

/// Runs until the server stops, or until there is nothing to do.
pub fn run(database: Oid, settings_changes: u64) {
    let due = |last: Option<Instant>, pause| last.is_none_or(|when| when.elapsed() >= pause);
    let mut used = Instant::now();
    let (mut looked, mut forgot, mut complained) = (None, None, None);
    loop {
        background::begin_round();
        if shared::crew(database).settings_changes != settings_changes {
            return;
        }
        let exists = transaction(relation::extension_exists).unwrap_or(false);
        shared::set_extension(database, exists);
        let (statements, until) = statement_ring::waiting(database);
        if !exists {
            statement_ring::written(database, until);
            return;
        }
        let mut results = Vec::new();
        if !statements.is_empty() {
            used = Instant::now();
            let written = transaction(|| statement_history::insert(&statements));
            if written.is_ok() {
                statement_ring::written(database, until);
            }
            results.push(written);
        }
        if due(forgot, FORGET_PAUSE) {
            forgot = Some(Instant::now());
            trim(STATEMENTS);
        }
        if has_lag_limits(database) && due(looked, LAG_PAUSE) {
            looked = Some(Instant::now());
            let (records, seconds) = setting::lag_limits();
            results.push(transaction(|| lag_alert::look(records, seconds)));
        }
        for Failure { message, .. } in results.into_iter().filter_map(Result::err) {
            if due(complained, COMPLAINT_PAUSE) {
                complained = Some(Instant::now());
                background::log(&format!("monitor: {message}"));
            }
        }
        if is_wanted(database) {
            used = Instant::now();
        } else if used.elapsed() >= LINGER {
            return;
        }
        background::sleep(NAP, Event::MonitorMain);
    }
}
