//! Hints on two of Postgres's own errors, which it raises before any hook sees the statement: a relation of an external schema that is not there, and a
//! subscript behind a function call without parentheses.
//!
//! The name of the external schema is remembered where Postgres looks into the schema (OAT_NAMESPACE_SEARCH, which comes right before the look-up of
//! the relation that fails); when the error is sent, nothing is looked up and nothing but the empty HINT is filled in.

use crate::pg::guard::entry;
use pgrx::pg_sys;
use std::ffi::{CStr, c_char, c_int, c_void};

static mut NEXT_ACCESS: pg_sys::object_access_hook_type = None;
static mut NEXT_LOG: pg_sys::emit_log_hook_type = None;
/// The external schema that was looked into last; empty if the last schema was none.
static mut SEARCHED: [c_char; 64] = [0; 64];

/// `MAKE_SQLSTATE` of errors that may get a hint.
const UNDEFINED_TABLE: &[u8; 5] = b"42P01";
const SYNTAX_ERROR: &[u8; 5] = b"42601";

/// Installs the hooks; to be called once, from `_PG_init`.
pub(super) fn install() {
    // SAFETY: `_PG_init` runs once, in the only thread.
    unsafe {
        NEXT_ACCESS = pg_sys::object_access_hook;
        pg_sys::object_access_hook = Some(on_access);
        NEXT_LOG = pg_sys::emit_log_hook;
        pg_sys::emit_log_hook = Some(on_message);
    }
}

unsafe extern "C-unwind" fn on_access(
    access: pg_sys::ObjectAccessType::Type,
    class: pg_sys::Oid,
    object: pg_sys::Oid,
    part: c_int,
    argument: *mut c_void,
) {
    // SAFETY: called by Postgres with a schema's OID, in a transaction; nothing here has a destructor that an error could jump over.
    unsafe {
        if let Some(next) = NEXT_ACCESS {
            next(access, class, object, part, argument);
        }
        if access == pg_sys::ObjectAccessType::OAT_NAMESPACE_SEARCH {
            entry(|| remember(object));
        }
    }
}

/// Keeps the name of an external schema, until another schema is looked into.
unsafe fn remember(namespace: pg_sys::Oid) {
    // SAFETY: both give null for what does not exist; the name is copied with its end.
    unsafe {
        let kept = &raw mut SEARCHED;
        (*kept)[0] = 0;
        let name = pg_sys::get_namespace_name(namespace);
        if name.is_null() {
            return;
        }
        let bytes = CStr::from_ptr(name).to_bytes_with_nul();
        if bytes.len() <= (*kept).len()
            && crate::pg::foreign::is_server_of_ours(CStr::from_ptr(name))
        {
            std::ptr::copy_nonoverlapping(name, kept.cast(), bytes.len());
        }
        pg_sys::pfree(name.cast());
    }
}

/// Called for each message to the log or the client, also while a transaction is broken: no catalogue, nothing that raises.
unsafe extern "C-unwind" fn on_message(error: *mut pg_sys::ErrorData) {
    // SAFETY: the error is being reported, in its own memory context; the variables are the backend's.
    unsafe {
        if (*error).elevel == pgrx::PgLogLevel::ERROR as c_int && (*error).hint.is_null() {
            if (*error).sqlerrcode == packed(UNDEFINED_TABLE) {
                hint_on_relation(error);
            } else if (*error).sqlerrcode == packed(SYNTAX_ERROR) {
                hint_on_subscript(error);
            }
        }
        if let Some(next) = NEXT_LOG {
            next(error);
        }
    }
}

fn packed(code: &[u8; 5]) -> c_int {
    crate::pg::report::SqlState(*code).packed()
}

unsafe fn hint_on_relation(error: *mut pg_sys::ErrorData) {
    const ID: &CStr = c"relation \"%s.%s\" does not exist";
    // SAFETY: as the caller; the name ends with NUL; psprintf allocates where messages are.
    unsafe {
        let schema = (&raw const SEARCHED).cast::<c_char>();
        let (id, message) = ((*error).message_id, (*error).message);
        if *schema == 0 || id.is_null() || message.is_null() || CStr::from_ptr(id) != ID {
            return;
        }
        let message = CStr::from_ptr(message).to_bytes();
        let name = CStr::from_ptr(schema).to_bytes();
        if !message.windows(name.len()).any(|part| part == name) {
            return;
        }
        (*error).hint = pg_sys::psprintf(
            c"A topic or stream that is new becomes a relation by: CALL redshift.sync_external_schema('%s'); redshift.topics('%s') lists what there is.".as_ptr(),
            schema,
            schema,
        );
    }
}

unsafe fn hint_on_subscript(error: *mut pg_sys::ErrorData) {
    const ID: &CStr = c"%s at or near \"%s\"";
    // SAFETY: as the caller; the statement is a NUL-terminated text.
    unsafe {
        let (id, message, place) = ((*error).message_id, (*error).message, (*error).cursorpos);
        let statement = pg_sys::debug_query_string;
        if id.is_null() || message.is_null() || statement.is_null() || CStr::from_ptr(id) != ID {
            return;
        }
        let is_bracket = CStr::from_ptr(message).to_bytes().ends_with(b"\"[\"");
        if is_bracket
            && place > 1
            && follows_call(CStr::from_ptr(statement).to_bytes(), place as usize - 1)
        {
            (*error).hint = pg_sys::pstrdup(
                c"A subscript of a function's result needs parentheses: (json_parse(..))['name']."
                    .as_ptr(),
            );
        }
    }
}

/// Is the last character before character `place` (from 0) of the statement a closing parenthesis?
fn follows_call(statement: &[u8], place: usize) -> bool {
    let is_start = |byte: &&u8| **byte & 0xC0 != 0x80;
    let starts = statement.iter().filter(is_start).count();
    if place >= starts {
        return false;
    }
    let mut seen = 0;
    let mut last = b' ';
    for byte in statement {
        if is_start(&byte) {
            if seen == place {
                break;
            }
            seen += 1;
        }
        if !byte.is_ascii_whitespace() {
            last = *byte;
        }
    }
    last == b')'
}
