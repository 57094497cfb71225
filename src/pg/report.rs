//! Messages to the client and the log: errors with SQLSTATE, DETAIL and HINT, notices and warnings.

use super::guard::{self, unguarded};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode, pg_sys};
use std::ffi::{CString, c_char, c_int};

/// A five-character SQLSTATE, as `ERRCODE_..` in errcodes.h packs it.
#[derive(Clone, Copy)]
pub struct SqlState(pub [u8; 5]);

impl SqlState {
    /// PGUNSIXBIT of elog.h.
    pub fn unpacked(code: c_int) -> SqlState {
        SqlState(std::array::from_fn(|i| {
            ((code >> (6 * i)) & 0x3F) as u8 + b'0'
        }))
    }

    /// MAKE_SQLSTATE of elog.h: six bits a character.
    pub fn packed(self) -> c_int {
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

    /// Raises this as an ERROR: it unwinds to the function that Postgres called. pgrx carries the errors that it knows the SQLSTATE of, so that they
    /// pass its entry points as well as ours; with a SQLSTATE of class RS only [`guard::entry`] may be above.
    #[cold]
    #[track_caller]
    pub fn raise(self) -> ! {
        let packed = self.sqlstate.packed();
        let known = PgSqlErrorCode::from(packed);
        if known as c_int == packed {
            let mut error = ErrorReport::new(known, self.message, "redshift_streaming");
            if let Some(detail) = self.detail {
                error = error.set_detail(detail);
            }
            if let Some(hint) = self.hint {
                error = error.set_hint(hint);
            }
            error.report(PgLogLevel::ERROR);
        } else {
            self.send(PgLogLevel::ERROR);
        }
        unreachable!("an ERROR does not return")
    }

    /// Sends this as a WARNING.
    pub fn warn(self) {
        self.send(PgLogLevel::WARNING);
    }

    /// Sends this as a NOTICE.
    pub fn notice(self) {
        self.send(PgLogLevel::NOTICE);
    }

    fn send(self, level: PgLogLevel) {
        let level = level as c_int;
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

/// Sends a message for those who look into what happens (DEBUG1).
pub fn debug(message: impl Into<String>) {
    Report::new(*b"00000", message).send(PgLogLevel::DEBUG1);
}

/// A NUL-terminated copy of `text` in the current memory context (a NUL inside ends it).
fn palloc_text(text: &str) -> *const c_char {
    let bytes = text.split('\0').next().unwrap_or_default();
    let owned = CString::new(bytes).unwrap_or_default();
    // SAFETY: pstrdup copies a NUL-terminated string.
    unsafe { pg_sys::pstrdup(owned.as_ptr()) }
}

/// SQLSTATEs of Postgres's own that we raise (errcodes.txt).
pub mod sqlstate {
    #![allow(missing_docs)]
    pub const SUCCESSFUL_COMPLETION: [u8; 5] = *b"00000";
    pub const WARNING: [u8; 5] = *b"01000";
    pub const SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION: [u8; 5] = *b"08001";
    pub const CONNECTION_FAILURE: [u8; 5] = *b"08006";
    pub const PROTOCOL_VIOLATION: [u8; 5] = *b"08P01";
    pub const FEATURE_NOT_SUPPORTED: [u8; 5] = *b"0A000";
    pub const STRING_DATA_RIGHT_TRUNCATION: [u8; 5] = *b"22001";
    pub const NUMERIC_VALUE_OUT_OF_RANGE: [u8; 5] = *b"22003";
    pub const INVALID_DATETIME_FORMAT: [u8; 5] = *b"22007";
    pub const DATETIME_FIELD_OVERFLOW: [u8; 5] = *b"22008";
    pub const CHARACTER_NOT_IN_REPERTOIRE: [u8; 5] = *b"22021";
    pub const STRING_DATA_LENGTH_MISMATCH: [u8; 5] = *b"22026";
    pub const INVALID_PARAMETER_VALUE: [u8; 5] = *b"22023";
    /// `sql_json_member_not_found`.
    pub const INVALID_NAVIGATION: [u8; 5] = *b"2203A";
    pub const INVALID_TEXT_REPRESENTATION: [u8; 5] = *b"22P02";
    pub const INVALID_BINARY_REPRESENTATION: [u8; 5] = *b"22P03";
    pub const DEPENDENT_OBJECTS_STILL_EXIST: [u8; 5] = *b"2BP01";
    pub const SERIALIZATION_FAILURE: [u8; 5] = *b"40001";
    pub const GENERATED_ALWAYS: [u8; 5] = *b"428C9";
    pub const INSUFFICIENT_PRIVILEGE: [u8; 5] = *b"42501";
    pub const CANNOT_COERCE: [u8; 5] = *b"42846";
    pub const INVALID_AUTHORIZATION_SPECIFICATION: [u8; 5] = *b"28000";
    pub const INVALID_PASSWORD: [u8; 5] = *b"28P01";
    pub const SYNTAX_ERROR: [u8; 5] = *b"42601";
    pub const INVALID_NAME: [u8; 5] = *b"42602";
    pub const NAME_TOO_LONG: [u8; 5] = *b"42622";
    pub const UNDEFINED_FUNCTION: [u8; 5] = *b"42883";
    pub const UNDEFINED_OBJECT: [u8; 5] = *b"42704";
    pub const DATATYPE_MISMATCH: [u8; 5] = *b"42804";
    pub const DUPLICATE_OBJECT: [u8; 5] = *b"42710";
    pub const WRONG_OBJECT_TYPE: [u8; 5] = *b"42809";
    pub const UNDEFINED_TABLE: [u8; 5] = *b"42P01";
    pub const DUPLICATE_TABLE: [u8; 5] = *b"42P07";
    pub const INSUFFICIENT_RESOURCES: [u8; 5] = *b"53000";
    pub const OUT_OF_MEMORY: [u8; 5] = *b"53200";
    pub const PROGRAM_LIMIT_EXCEEDED: [u8; 5] = *b"54000";
    pub const OBJECT_NOT_IN_PREREQUISITE_STATE: [u8; 5] = *b"55000";
    pub const OBJECT_IN_USE: [u8; 5] = *b"55006";
    pub const LOCK_NOT_AVAILABLE: [u8; 5] = *b"55P03";
    pub const FDW_COLUMN_NAME_NOT_FOUND: [u8; 5] = *b"HV005";
    pub const QUERY_CANCELED: [u8; 5] = *b"57014";
    pub const FDW_INVALID_OPTION_NAME: [u8; 5] = *b"HV00D";
    pub const DATA_CORRUPTED: [u8; 5] = *b"XX001";
}
