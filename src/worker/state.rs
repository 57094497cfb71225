//! What each view under auto refresh is doing, for redshift.worker_status: written when it changes, in a transaction of its own.

use crate::pg::background::{self, Failure, transaction};
use crate::pg::extension;
use crate::pg::spi::{self, as_extension_owner};

/// What a view is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Asking the broker where the topic begins and ends.
    Starting,
    /// Following its topic.
    Running,
    /// Following its topic as fast as a quota of the broker's or a limit of the service's allows.
    Throttled,
    /// An error stopped it; it tries again.
    Retrying,
    /// Another session holds the view; it tries again.
    Blocked,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Running => "running",
            State::Throttled => "throttled",
            State::Retrying => "retrying",
            State::Blocked => "blocked",
        }
    }
}

/// SQLSTATE of a lock that was not to be had (errcodes.txt).
pub const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Writes what a worker does with a view. A failure to do so is logged and otherwise nothing: the view matters more.
pub fn write(mv_id: i64, worker: usize, state: State, error: Option<&str>) {
    let written = transaction(|| {
        as_extension_owner(|| {
            spi::execute(
                "INSERT INTO redshift.auto_refresh_state AS s (mv_id, worker, pid, state, last_error, last_error_at, blocked_by)
                 VALUES ($1, $2, $3, $4, $5, CASE WHEN $5 IS NOT NULL THEN pg_catalog.clock_timestamp() END, CASE WHEN $4 = 'blocked' THEN redshift.blocker($1) END)
                 ON CONFLICT (mv_id, worker) DO UPDATE
                 SET pid = excluded.pid, state = excluded.state, blocked_by = excluded.blocked_by,
                     since = CASE WHEN s.state = excluded.state AND s.pid = excluded.pid THEN s.since ELSE excluded.since END,
                     last_error = coalesce(excluded.last_error, s.last_error),
                     last_error_at = coalesce(excluded.last_error_at, s.last_error_at)",
                &[
                    mv_id.into(),
                    (worker as i32).into(),
                    background::pid().into(),
                    state.name().into(),
                    error.into(),
                ],
            )
        })
    });
    if let Err(Failure { message, .. }) = written {
        background::log(&format!(
            "state of materialized view {mv_id} not written: {message}"
        ));
    }
}

/// Removes what is said of views that others have now: this worker's of all but `own`, and that of workers that are no more (the first one's task).
pub fn forget_others(worker: usize, own: &[i64], workers: usize) {
    let forgotten = transaction(|| {
        if !extension::is_usable() {
            return;
        }
        as_extension_owner(|| {
            spi::execute(
                "DELETE FROM redshift.auto_refresh_state
                 WHERE worker = $1 AND mv_id <> ALL ($2) OR $1 = 0 AND worker >= $3",
                &[
                    (worker as i32).into(),
                    own.to_vec().into(),
                    (workers as i32).into(),
                ],
            );
        });
    });
    if let Err(Failure { message, .. }) = forgotten {
        background::log(&format!("old states not removed: {message}"));
    }
}
