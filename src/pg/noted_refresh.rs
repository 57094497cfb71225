//! The refresh that this session ran last, so that its statement has one number in all histories.

use super::time::statement_start_utc;
use std::cell::Cell;

thread_local! {
    /// When the message arrived that ran it, which tells it from others, and the refresh's `query_id`.
    static LAST: Cell<(i64, i64)> = const { Cell::new((0, 0)) };
}

/// A refresh has been written into the history under this number, 0 if it failed.
pub fn note(query_id: i64) {
    LAST.set((statement_start_utc(), query_id));
}

/// The number of the refresh that ran in the message which arrived then; 0 for a failed one.
pub fn of_message(arrived: i64) -> Option<i64> {
    let (message, query_id) = LAST.get();
    (message == arrived).then_some(query_id)
}
