//! Messages to the client and the log: errors with SQLSTATE, DETAIL and HINT, notices and warnings.

use super::guard::{self, unguarded};
use pgrx::pg_sys;
use std::ffi::{CString, c_char, c_int};

/// A five-character SQLSTATE, as `ERRCODE_..` in errcodes.h packs it.
#[derive(Clone, Copy)]
pub struct SqlState(pub [u8; 5]);

impl SqlState {
    /// MAKE_SQLSTATE of elog.h: six bits a character.
    fn packed(self) -> c_int {
        self.0
            .iter()
            .enumerate()
            .map(|(i, byte)| ((c_int::from(*byte) - c_int::from(b'0')) & 0x3F) << (6 * i))
            .sum()
    }
}

/// One message.
pub struct Report {
    /// The error's class.
    pub sqlstate: SqlState,
    /// What went wrong, in one line without a full stop.
    pub message: String,
    /// The facts behind it.
    pub detail: Option<String>,
    /// What the user can do.
    pub hint: Option<String>,
}

impl Report {
    /// A report without detail and hint.
    pub fn new(sqlstate: [u8; 5], message: impl Into<String>) -> Report {
        Report {
            sqlstate: SqlState(sqlstate),
            message: message.into(),
            detail: None,
            hint: None,
        }
    }

    /// Adds the DETAIL line.
    pub fn detail(mut self, detail: impl Into<String>) -> Report {
        self.detail = Some(detail.into());
        self
    }

    /// Adds the HINT line.
    pub fn hint(mut self, hint: impl Into<String>) -> Report {
        self.hint = Some(hint.into());
        self
    }

    /// Raises this as an ERROR.
    pub fn raise(self) -> ! {
        self.send(pgrx::PgLogLevel::ERROR as c_int);
        unreachable!("errfinish of an ERROR does not return")
    }

    /// Sends this as a WARNING.
    pub fn warn(self) {
        self.send(pgrx::PgLogLevel::WARNING as c_int);
    }

    /// Sends this as a NOTICE.
    pub fn notice(self) {
        self.send(pgrx::PgLogLevel::NOTICE as c_int);
    }

    fn send(self, level: c_int) {
        let sqlstate = self.sqlstate.packed();
        // The error may jump: the texts move into Postgres's memory, and nothing of ours is left when it does.
        let message = palloc_text(&self.message);
        let detail = self.detail.as_deref().map_or(std::ptr::null(), palloc_text);
        let hint = self.hint.as_deref().map_or(std::ptr::null(), palloc_text);
        drop(self);
        // SAFETY: plain C calls on pointers that live in the current memory context.
        unsafe {
            guard::preserving(|| {
                if unguarded::errstart(level, std::ptr::null()) {
                    unguarded::errcode(sqlstate);
                    unguarded::errmsg(c"%s".as_ptr(), message);
                    if !detail.is_null() {
                        unguarded::errdetail(c"%s".as_ptr(), detail);
                    }
                    if !hint.is_null() {
                        unguarded::errhint(c"%s".as_ptr(), hint);
                    }
                    unguarded::errfinish(c"redshift_streaming".as_ptr(), 0, std::ptr::null());
                }
            });
        }
    }
}

/// Sends a NOTICE of class 00000.
pub fn notice(message: impl Into<String>) {
    Report::new(*b"00000", message).notice();
}

/// A NUL-terminated copy of `text` in the current memory context (a NUL inside ends it).
fn palloc_text(text: &str) -> *const c_char {
    let bytes = text.split('\0').next().unwrap_or_default();
    let owned = CString::new(bytes).unwrap_or_default();
    // SAFETY: pstrdup copies a NUL-terminated string.
    unsafe { pg_sys::pstrdup(owned.as_ptr()) }
}
