//! Ends the current function with a Postgres error.

use pgrx::PgLogLevel;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::panic::ErrorReport;

/// An error on its way.
#[must_use = "an error that is not raised does nothing"]
pub struct Raise(ErrorReport);

/// Begins an error with its primary message.
#[cold]
#[track_caller]
pub fn error(code: PgSqlErrorCode, message: impl Into<String>) -> Raise {
    Raise(ErrorReport::new(code, message.into(), "redshift_streaming"))
}

impl Raise {
    /// Adds a DETAIL line.
    pub fn detail(self, detail: impl Into<String>) -> Self {
        Raise(self.0.set_detail(detail.into()))
    }

    /// Adds a HINT line.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Raise(self.0.set_hint(hint.into()))
    }

    /// Raises it: a Rust panic up to the function's entry, which hands it to Postgres.
    pub fn raise(self) -> ! {
        self.0.report(PgLogLevel::ERROR);
        unreachable!("an error report does not return")
    }
}
