//! What the hook does with a statement, whatever it says: runs it, refuses it where Postgres would, tells event triggers of it.

use crate::pg::node::{copy, relation_of};
use crate::pg::relation::Oid;
use crate::pg::utility_call::Call;
use crate::view::registered;
use pgrx::pg_sys;
use std::ffi::CStr;

/// The next hook in the chain, set once by [`put_before`].
static mut NEXT: pg_sys::ProcessUtility_hook_type = None;

/// Puts the hook in front of those that are there; called once, from _PG_init.
pub(super) fn put_before(hook: pg_sys::ProcessUtility_hook_type) {
    // SAFETY: on the main thread, before the first statement.
    unsafe {
        NEXT = pg_sys::ProcessUtility_hook;
        pg_sys::ProcessUtility_hook = hook;
    }
}

/// The hook that stood there before; none means Postgres itself.
pub(super) fn next() -> pg_sys::ProcessUtility_hook_type {
    // SAFETY: set once, before the first statement.
    unsafe { NEXT }
}

/// Runs a statement of ours instead of the user's. Event triggers see the user's: this one is a part of it.
pub(super) fn run(call: Call, statement: *mut pg_sys::PlannedStmt) {
    // SAFETY: a statement of our making; NEXT is set once, before the first statement.
    unsafe { call.as_subcommand().run(next(), statement) }
}

/// The registered view that a RangeVar names.
pub(super) unsafe fn view_of(relation: *const pg_sys::RangeVar) -> Option<Oid> {
    if relation.is_null() {
        return None;
    }
    // SAFETY: not null, and a RangeVar by the field's type.
    unsafe { relation_of(relation) }.filter(|oid| registered(*oid))
}

/// A copy of the statement that may be changed, and its inner node.
pub(super) unsafe fn editable<T>(
    planned: *mut pg_sys::PlannedStmt,
) -> (*mut pg_sys::PlannedStmt, *mut T) {
    // SAFETY: a deep copy; T follows the tag that the caller looked at.
    unsafe {
        let copied = copy(planned);
        (copied, (*copied).utilityStmt.cast())
    }
}

/// Refuses what standard_ProcessUtility refuses before it looks at a statement that writes.
pub(in crate::entry) fn check_allowed(tag: &CStr) {
    // SAFETY: each raises or does nothing.
    unsafe {
        pg_sys::PreventCommandIfReadOnly(tag.as_ptr());
        pg_sys::PreventCommandIfParallelMode(tag.as_ptr());
        pg_sys::PreventCommandDuringRecovery(tag.as_ptr());
    }
}

/// Fires the event triggers of `statement` around `work`, as ProcessUtilitySlow does.
pub(super) unsafe fn with_event_triggers(
    context: pg_sys::ProcessUtilityContext::Type,
    statement: *mut pg_sys::Node,
    work: impl FnOnce(),
) {
    let complete = context != pg_sys::ProcessUtilityContext::PROCESS_UTILITY_SUBCOMMAND;
    // SAFETY: begin and end are paired, also when `work` unwinds: a state left behind would point into freed memory.
    unsafe {
        struct End(bool);
        impl Drop for End {
            fn drop(&mut self) {
                if self.0 {
                    // SAFETY: pops the state that EventTriggerBeginCompleteQuery pushed.
                    unsafe { pg_sys::EventTriggerEndCompleteQuery() }
                }
            }
        }
        let _end = End(complete && pg_sys::EventTriggerBeginCompleteQuery());
        if complete {
            pg_sys::EventTriggerDDLCommandStart(statement);
        }
        work();
        if complete {
            pg_sys::EventTriggerSQLDrop(statement);
            pg_sys::EventTriggerDDLCommandEnd(statement);
        }
    }
}
