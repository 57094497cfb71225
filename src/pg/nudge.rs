//! Workers are told what a transaction has changed, when it commits.

use super::relation::Oid;
use super::shared;
use super::shared_memory::is_ready;
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};

/// Views of this database have changed: when the transaction commits, its worker looks (or is started).
pub fn at_commit() {
    if is_ready() {
        watch_transactions();
        NUDGE.store(true, Ordering::Relaxed);
    }
}

/// The same for servers and user mappings: the workers wake up to hear what has changed, and look at no view that does not depend on it.
pub fn sources_at_commit() {
    if is_ready() {
        watch_transactions();
        NUDGE_SOURCES.store(true, Ordering::Relaxed);
    }
}

/// A setting was changed that workers read when they connect, in one database or in all: when the transaction commits, they begin anew.
pub fn renew_at_commit(database: Option<Oid>) {
    if is_ready() {
        watch_transactions();
        RENEW.with_borrow_mut(|databases| databases.push(database));
    }
}

static NUDGE: AtomicBool = AtomicBool::new(false);
static NUDGE_SOURCES: AtomicBool = AtomicBool::new(false);

thread_local! {
    static RENEW: RefCell<Vec<Option<Oid>>> = const { RefCell::new(Vec::new()) };
}

fn watch_transactions() {
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if !REGISTERED.swap(true, Ordering::Relaxed) {
        // SAFETY: registered once a process.
        unsafe { pg_sys::RegisterXactCallback(Some(at_end_of_transaction), std::ptr::null_mut()) };
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn at_end_of_transaction(
    event: pg_sys::XactEvent::Type,
    _argument: *mut std::ffi::c_void,
) {
    use pg_sys::XactEvent::{XACT_EVENT_ABORT, XACT_EVENT_COMMIT};
    if event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT {
        return;
    }
    let is_committed = event == XACT_EVENT_COMMIT;
    let renewed = RENEW.take();
    let sources_changed = NUDGE_SOURCES.swap(false, Ordering::Relaxed);
    let views_changed = NUDGE.swap(false, Ordering::Relaxed);
    if !is_committed {
        return;
    }
    // SAFETY: reads a variable of the backend.
    let database = unsafe { pg_sys::MyDatabaseId };
    if sources_changed {
        shared::note_source_change(database);
    }
    if views_changed {
        shared::note_view_change(database);
    }
    renewed.into_iter().for_each(shared::renew);
}
