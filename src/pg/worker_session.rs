//! The session of a background worker: nothing in it is what the owner of the database, or a role, has set for sessions.
//!
//! Postgres applies `ALTER DATABASE .. SET` and `ALTER ROLE .. SET` to workers too (process_settings of postinit.c), and a worker of ours is a superuser.
//! What is set here counts as set in the session: it stands above both, and above a reload of the configuration. TimeZone, DateStyle and their like stay
//! as the database has them: they are what definitions see.

use super::polyfill;
use super::relation::c_text;
use super::search_path;
use pgrx::pg_sys;
use std::ffi::CStr;

/// What decides what SQL of ours means, as whom it runs, and whether it runs at all.
const SETTINGS: [(&CStr, &CStr); 18] = [
    (c"search_path", search_path::CLOSED),
    (c"role", c"none"),
    (c"row_security", c"on"),
    // A lock that was waited for gives the row as it is then.
    (c"default_transaction_isolation", c"read committed"),
    (c"default_transaction_read_only", c"off"),
    (c"default_transaction_deferrable", c"off"),
    (c"statement_timeout", c"0"),
    (c"lock_timeout", c"0"),
    (c"idle_in_transaction_session_timeout", c"0"),
    (c"idle_session_timeout", c"0"),
    // Triggers and foreign keys hold for what a worker loads.
    (c"session_replication_role", c"origin"),
    // It reads a view and a foreign table for each batch.
    (c"restrict_nonsystem_relation_kind", c""),
    (c"standard_conforming_strings", c"on"),
    (c"backslash_quote", c"safe_encoding"),
    (c"transform_null_equals", c"off"),
    (c"array_nulls", c"on"),
    (c"quote_all_identifiers", c"off"),
    (c"check_function_bodies", c"on"),
];

/// To be called as the first thing after a worker is connected: no SQL has run by then.
pub(super) fn begin() {
    for (name, value) in SETTINGS.iter().chain(polyfill::WORKER_SETTINGS) {
        // Some minor releases of Postgres do not have all of them.
        if exists(name) {
            set(name, value);
        }
    }
    // The role that a worker without a name of its own is connected as (InitializeSessionUserIdStandalone).
    let role = super::transaction::transaction(|| {
        let user = pg_sys::Oid::from(pg_sys::BOOTSTRAP_SUPERUSERID);
        set(
            c"session_authorization",
            &c_text(&super::relation::role_name(user)),
        );
    });
    if let Err(failure) = role {
        super::transaction::log(&format!("session of a worker: {}", failure.message));
    }
}

fn exists(name: &CStr) -> bool {
    // SAFETY: null for a name that does not exist.
    !unsafe { pg_sys::GetConfigOption(name.as_ptr(), true, false) }.is_null()
}

/// What SET does, for the whole session.
pub(super) fn set(name: &CStr, value: &CStr) {
    // SAFETY: both strings outlive the call.
    unsafe {
        pg_sys::SetConfigOption(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_SUSET,
            pg_sys::GucSource::PGC_S_SESSION,
        )
    }
}
