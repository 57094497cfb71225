//! Plans that a worker keeps: it runs the same INSERT a hundred times a second, and planning it costs more than running it.
//!
//! Postgres's plan cache (plancache.c) plans anew what changes: tables, the definition, functions, types, row security.

use super::guard::preserving;
use pgrx::pg_sys;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::time::{Duration, Instant};

mod unguarded {
    //! Called inside `preserving` only.
    use pgrx::pg_sys;
    unsafe extern "C-unwind" {
        pub fn GetCachedPlan(
            source: *mut pg_sys::CachedPlanSource,
            parameters: pg_sys::ParamListInfo,
            owner: pg_sys::ResourceOwner,
            environment: *mut pg_sys::QueryEnvironment,
        ) -> *mut pg_sys::CachedPlan;
    }
}

/// What nobody has used for so long is forgotten: its view is gone, or has another name.
const IDLE: Duration = Duration::from_secs(600);

struct Kept {
    source: *mut pg_sys::CachedPlanSource,
    used: Instant,
}

thread_local! {
    /// By the statement's text; `None` in a process that keeps no plans.
    static KEPT: RefCell<Option<HashMap<CString, Kept>>> = const { RefCell::new(None) };
}

/// From now on this process keeps plans.
pub(super) fn begin() {
    KEPT.with_borrow_mut(|kept| {
        kept.get_or_insert_default();
    });
}

/// Does this process keep plans?
pub(super) fn is_on() -> bool {
    KEPT.with_borrow(Option::is_some)
}

/// The kept statement of this text; made by `analyze`, which gives the raw statement and the rewritten queries.
pub(super) fn source_of(
    sql: &CStr,
    analyze: impl FnOnce() -> (*mut pg_sys::RawStmt, *mut pg_sys::List),
) -> *mut pg_sys::CachedPlanSource {
    let known = KEPT.with_borrow_mut(|kept| {
        let entry = kept.as_mut()?.get_mut(sql)?;
        entry.used = Instant::now();
        Some(entry.source)
    });
    if let Some(source) = known {
        return source;
    }
    let (statement, queries) = analyze();
    // SAFETY: the calls and their order are those of exec_parse_message (postgres.c); the source copies what it is given.
    let source = unsafe {
        let source =
            pg_sys::CreateCachedPlan(statement, sql.as_ptr(), pg_sys::CommandTag::CMDTAG_INSERT);
        pg_sys::CompleteCachedPlan(
            source,
            queries,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            0,
            None,
            std::ptr::null_mut(),
            0,
            true,
        );
        pg_sys::SaveCachedPlan(source);
        source
    };
    KEPT.with_borrow_mut(|kept| {
        let used = Instant::now();
        kept.get_or_insert_default()
            .insert(sql.to_owned(), Kept { source, used });
    });
    source
}

/// The plan of a kept statement, which is held until `release`, or until the transaction is aborted.
pub(super) fn plan(source: *mut pg_sys::CachedPlanSource) -> *mut pg_sys::CachedPlan {
    // SAFETY: a source that `source_of` gave.
    unsafe {
        preserving(|| {
            unguarded::GetCachedPlan(
                source,
                std::ptr::null_mut(),
                pg_sys::CurrentResourceOwner,
                std::ptr::null_mut(),
            )
        })
    }
}

/// Lets a plan go.
pub(super) fn release(plan: *mut pg_sys::CachedPlan) {
    // SAFETY: a plan that `plan` gave in this transaction.
    unsafe { pg_sys::ReleaseCachedPlan(plan, pg_sys::CurrentResourceOwner) }
}

/// Forgets what has not been used for a while. Outside of any transaction or within one.
pub fn forget_idle() {
    KEPT.with_borrow_mut(|kept| {
        if let Some(kept) = kept {
            kept.retain(|_, entry| {
                let keep = entry.used.elapsed() < IDLE;
                if !keep {
                    // SAFETY: nobody holds a plan of it: plans are released before their transaction ends.
                    unsafe { pg_sys::DropCachedPlan(entry.source) }
                }
                keep
            });
        }
    });
}
