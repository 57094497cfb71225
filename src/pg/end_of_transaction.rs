//! What is to be done when the transaction ends, however it ends.

use pgrx::prelude::*;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};

thread_local! {
    static TASKS: RefCell<Vec<fn()>> = const { RefCell::new(Vec::new()) };
}

/// Calls `task` once at the end of this transaction. It must not raise, nor look into the catalogues.
pub fn call_once(task: fn()) {
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if !REGISTERED.swap(true, Ordering::Relaxed) {
        // SAFETY: registered once a process.
        unsafe { pg_sys::RegisterXactCallback(Some(at_end), std::ptr::null_mut()) };
    }
    TASKS.with_borrow_mut(|tasks| {
        if !tasks.iter().any(|known| std::ptr::fn_addr_eq(*known, task)) {
            tasks.push(task);
        }
    });
}

#[pg_guard]
unsafe extern "C-unwind" fn at_end(
    event: pg_sys::XactEvent::Type,
    _argument: *mut std::ffi::c_void,
) {
    use pg_sys::XactEvent::{XACT_EVENT_ABORT, XACT_EVENT_COMMIT, XACT_EVENT_PREPARE};
    if [XACT_EVENT_ABORT, XACT_EVENT_COMMIT, XACT_EVENT_PREPARE].contains(&event) {
        TASKS.take().into_iter().for_each(|task| task());
    }
}
