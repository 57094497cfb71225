//! Which rows a BEFORE trigger drops in Postgres's own ModifyTable.
//!
//! ModifyTable counts each row that it has inserted before it asks for the next one (ExecInsert of nodeModifyTable.c). So who gives the rows sees of the
//! one before whether it was counted. (Rows for a foreign partition may be sent together, and are counted later: then nothing is known.)
//!
//! C code raises errors straight through the frames of this file: nothing in them has a destructor, nothing is borrowed, nothing panics.

use super::current_record;
use super::node::is_a;
use pgrx::pg_sys;
use std::cell::Cell;

#[derive(Clone, Copy)]
struct Watched {
    /// The node's own function.
    give: pg_sys::ExecProcNodeMtd,
    estate: *mut pg_sys::EState,
    /// Rows that were inserted before the one that was given last.
    inserted: u64,
    has_given: bool,
}

thread_local! {
    static WATCHED: Cell<Watched> = const {
        Cell::new(Watched { give: None, estate: std::ptr::null_mut(), inserted: 0, has_given: false })
    };
}

/// Puts itself between a ModifyTable node and the node below.
///
/// # Safety
/// The node is started and has not run; no other one is watched until it has.
pub(super) unsafe fn watch(node: *mut pg_sys::PlanState) {
    // SAFETY: casts follow the tag; the function is the one that the first call of ExecProcNode (ExecProcNodeFirst) goes on with.
    unsafe {
        let below = (*node).lefttree;
        if !is_a(node, pg_sys::NodeTag::T_ModifyTableState) || below.is_null() {
            return;
        }
        WATCHED.set(Watched {
            give: (*below).ExecProcNodeReal,
            estate: (*node).state,
            inserted: 0,
            has_given: false,
        });
        (*below).ExecProcNodeReal = Some(give);
    }
}

/// To be called when the plan has run and is not ended yet: nothing is said of rows that came after their successors had been asked for.
///
/// # Safety
/// The watched plan, if there is one, is not ended yet.
pub(super) unsafe fn finish() {
    let watched = WATCHED.get();
    if watched.give.is_none() {
        return;
    }
    WATCHED.set(Watched {
        give: None,
        ..watched
    });
    // SAFETY: the caller's promise.
    if unsafe { (*watched.estate).es_processed } > watched.inserted {
        current_record::rows_were_late();
    }
}

unsafe extern "C-unwind" fn give(below: *mut pg_sys::PlanState) -> *mut pg_sys::TupleTableSlot {
    let mut watched = WATCHED.get();
    // SAFETY: called by the executor while the watched plan runs.
    unsafe {
        let inserted = (*watched.estate).es_processed;
        if watched.has_given {
            match inserted - watched.inserted {
                0 => current_record::row_dropped(),
                1 => {}
                _ => current_record::rows_were_late(),
            }
        }
        watched.inserted = inserted;
        watched.has_given = false;
        WATCHED.set(watched);
        let Some(give) = watched.give else {
            return std::ptr::null_mut();
        };
        let row = give(below);
        if !row.is_null() && (*row).tts_flags & pg_sys::TTS_FLAG_EMPTY as u16 == 0 {
            current_record::row_given();
            watched.has_given = true;
            WATCHED.set(watched);
        }
        row
    }
}
