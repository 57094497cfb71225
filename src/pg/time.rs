//! The clock, as Postgres timestamps: microseconds since 2000, in UTC.

use pgrx::pg_sys;

/// Now.
pub fn now_utc() -> i64 {
    // SAFETY: reads the clock.
    unsafe { pg_sys::GetCurrentTimestamp() }
}

/// When the current statement arrived.
pub fn statement_start_utc() -> i64 {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::GetCurrentStatementStartTimestamp() }
}

/// As an argument of type `timestamp`: the UTC time, whatever the session's zone.
pub fn timestamp(microseconds: i64) -> pgrx::datum::Timestamp {
    // Out of range cannot come: values are clocks and checked record times.
    pgrx::datum::Timestamp::try_from(microseconds)
        .unwrap_or(pgrx::datum::Timestamp::positive_infinity())
}

/// As text, with its zone.
pub fn utc_text(microseconds: i64) -> String {
    format!("{} UTC", timestamp(microseconds))
}
