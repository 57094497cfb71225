//! The closed search path: the only one that SQL of our own runs with.
//!
//! A name without a schema, an operator above all, is looked up along the search path, which belongs to whoever set it: the session, its role, the owner
//! of the database. On an open path `a = b` is whatever function he has made of it, run with our rights. Temporary objects come last: unnamed, they would
//! come first ("Writing SECURITY DEFINER Functions Safely" in the documentation of CREATE FUNCTION).

use pgrx::pg_sys;
use std::ffi::CStr;

/// What `search_path` is then.
pub(super) const CLOSED: &CStr = c"pg_catalog, pg_temp";

/// Runs `work` on the closed path. An error takes the path back with its (sub)transaction.
pub fn closed<T>(work: impl FnOnce() -> T) -> T {
    // A worker's path is closed all the time, and that of a statement within another one of ours.
    if is_closed() {
        return work();
    }
    // SAFETY: the pattern of RefreshMatView (matview.c); undone by the abort of the (sub)transaction on error.
    let nest_level = unsafe { pg_sys::NewGUCNestLevel() };
    close();
    let value = work();
    // SAFETY: see above.
    unsafe { pg_sys::AtEOXact_GUC(false, nest_level) };
    value
}

/// Closes the path until the level of settings ends that the caller has opened.
pub(super) fn close() {
    if is_closed() {
        return;
    }
    // SAFETY: what SET does inside a function with settings of its own, without parsing a statement.
    unsafe {
        pg_sys::set_config_option(
            c"search_path".as_ptr(),
            CLOSED.as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            0,
            false,
        );
    }
}

fn is_closed() -> bool {
    // SAFETY: the setting's text, which Postgres keeps terminated; null before it is first set.
    unsafe {
        let path = pg_sys::namespace_search_path;
        !path.is_null() && CStr::from_ptr(path) == CLOSED
    }
}
