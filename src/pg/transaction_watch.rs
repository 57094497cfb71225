//! Tells who has something to do at the turns of a transaction and its subtransactions.

use super::guard::entry;
use pgrx::pg_sys;
use std::ffi::c_void;
use std::sync::OnceLock;

/// A turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is about to commit, or to be prepared: what is written now belongs to it, and an error rolls it back.
    Ending,
    /// It is committed: nothing may raise.
    Committed,
    /// It is rolled back, or prepared: nothing may raise.
    Over,
    /// A subtransaction of this depth has ended well; its parent goes on.
    Released(i32),
    /// A subtransaction of this depth is rolled back.
    RolledBack(i32),
}

static FOLLOWER: OnceLock<fn(Turn)> = OnceLock::new();

/// From now on `follower` is told, in this process. There is one.
pub fn follow(follower: fn(Turn)) {
    if FOLLOWER.set(follower).is_ok() {
        // SAFETY: registered once a process.
        unsafe {
            pg_sys::RegisterXactCallback(Some(transaction), std::ptr::null_mut());
            pg_sys::RegisterSubXactCallback(Some(subtransaction), std::ptr::null_mut());
        }
    }
}

fn tell(turn: Turn) {
    if let Some(follower) = FOLLOWER.get() {
        follower(turn);
    }
}

unsafe extern "C-unwind" fn transaction(event: pg_sys::XactEvent::Type, _argument: *mut c_void) {
    use pg_sys::XactEvent::*;
    let turn = match event {
        XACT_EVENT_PRE_COMMIT | XACT_EVENT_PRE_PREPARE => Turn::Ending,
        XACT_EVENT_COMMIT => Turn::Committed,
        XACT_EVENT_ABORT | XACT_EVENT_PREPARE => Turn::Over,
        _ => return,
    };
    // SAFETY: the body of a function that Postgres calls.
    unsafe { entry(|| tell(turn)) }
}

unsafe extern "C-unwind" fn subtransaction(
    event: pg_sys::SubXactEvent::Type,
    _own: pg_sys::SubTransactionId,
    _parent: pg_sys::SubTransactionId,
    _argument: *mut c_void,
) {
    use pg_sys::SubXactEvent::*;
    // SAFETY: the body of a function that Postgres calls; reads a variable of the backend.
    unsafe {
        entry(|| {
            let depth = pg_sys::GetCurrentTransactionNestLevel();
            match event {
                SUBXACT_EVENT_COMMIT_SUB => tell(Turn::Released(depth)),
                SUBXACT_EVENT_ABORT_SUB => tell(Turn::RolledBack(depth)),
                _ => {}
            }
        })
    }
}
