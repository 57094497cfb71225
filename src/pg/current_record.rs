//! The record that a refresh works on, and what became of its rows: the scan says which it is, whoever lands rows says which one they came from.
//!
//! Frames of C code lie between these two, so everything here is a copy, and nothing raises.

use std::cell::Cell;

/// A record, in the numbers of the scan that reads it.
#[derive(Clone, Copy)]
pub struct CurrentRecord {
    /// Which part of the stream, and which record of it.
    pub at: (i32, i64),
    /// That scan's words for it; `None` if it is not known any more.
    pub describe: fn(i32, i64) -> Option<String>,
}

/// What became of the rows of the current record.
#[derive(Clone, Copy)]
struct Rows {
    given: u32,
    dropped: u32,
    /// Rows were counted as dropped that were only late.
    is_unknown: bool,
}

const NONE: Rows = Rows {
    given: 0,
    dropped: 0,
    is_unknown: false,
};

thread_local! {
    static CURRENT: Cell<Option<CurrentRecord>> = const { Cell::new(None) };
    static ROWS: Cell<Rows> = const { Cell::new(NONE) };
}

/// The record that the running refresh is working on.
pub fn get() -> Option<CurrentRecord> {
    CURRENT.get()
}

/// Says which record the running refresh works on from now on.
#[inline]
pub fn work_on(record: Option<CurrentRecord>) {
    CURRENT.set(record);
}

/// The record in words: the CONTEXT of an error in the definition, a constraint or a trigger.
pub fn describe() -> Option<String> {
    let CurrentRecord { at, describe } = CURRENT.get()?;
    describe(at.0, at.1)
}

/// The definition has given a row of the current record.
#[inline]
pub fn row_given() {
    let mut rows = ROWS.get();
    rows.given = rows.given.saturating_add(1);
    ROWS.set(rows);
}

/// A trigger has dropped the row that was given last.
#[inline]
pub fn row_dropped() {
    let mut rows = ROWS.get();
    rows.dropped = rows.dropped.saturating_add(1);
    ROWS.set(rows);
}

/// Rows that seemed to be dropped came into their table later: nothing is known of any.
pub fn rows_were_late() {
    let mut rows = ROWS.get();
    rows.is_unknown = true;
    ROWS.set(rows);
}

/// Were rows given of the record, and all of them dropped? The next one begins with none.
#[inline]
pub fn settle_rows() -> bool {
    let rows = ROWS.get();
    if rows.given == 0 {
        return false;
    }
    ROWS.set(Rows {
        given: 0,
        dropped: 0,
        ..rows
    });
    rows.dropped == rows.given
}

/// Begins to count anew. True if what was counted before holds: no row was late.
pub fn forget_rows() -> bool {
    !ROWS.replace(NONE).is_unknown
}
