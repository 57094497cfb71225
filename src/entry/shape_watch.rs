//! What a utility statement may do to the columns of streams: looked at before it runs and again after it, so that the user learns of it early.

use crate::pg::relation::{self, Oid};
use crate::pg::{node, polyfill};
use crate::scan::shape;
use pgrx::pg_sys;

/// What a statement may do to streams, looked at before it runs and again after it.
///
/// A table that was not as it should be before (made by an older release) may stay so: it is mended in several steps, and cannot be read until then.
#[derive(Clone, Copy)]
pub(super) struct Watch {
    /// Streams that were as they should be.
    sound: *mut pg_sys::List,
    /// The name of a relation that is created.
    created: *const pg_sys::RangeVar,
}

impl Watch {
    /// Looks at a statement before it runs; `None` if it changes no relation's columns.
    ///
    /// # Safety
    /// `statement` is a utility statement, in a transaction.
    pub(super) unsafe fn begin(statement: *mut pg_sys::Node) -> Option<Watch> {
        use pg_sys::NodeTag::*;
        // SAFETY: casts follow the tags.
        unsafe {
            // pg_upgrade makes columns that it drops at once.
            if pg_sys::IsBinaryUpgrade {
                return None;
            }
            let altered = match (*statement).type_ {
                T_AlterTableStmt => (*statement.cast::<pg_sys::AlterTableStmt>()).relation,
                T_RenameStmt => (*statement.cast::<pg_sys::RenameStmt>()).relation,
                T_CreateForeignTableStmt => {
                    let create = &*statement.cast::<pg_sys::CreateForeignTableStmt>();
                    return Some(Watch {
                        sound: std::ptr::null_mut(),
                        created: node::copy(create.base.relation),
                    });
                }
                _ => return None,
            };
            if altered.is_null() {
                return None;
            }
            let relation = node::relation_of(altered)?;
            Some(Watch {
                sound: sound(concerned(relation)),
                created: std::ptr::null(),
            })
        }
    }

    /// Looks again when the statement has run: raises an error if it made a stream unreadable.
    ///
    /// # Safety
    /// In the memory context in which it began.
    pub(super) unsafe fn end(self) {
        // SAFETY: the lists are in that context.
        unsafe {
            if !self.created.is_null() {
                if let Some(table) = node::relation_of(self.created)
                    && relation::is_stream(table)
                {
                    shape::check(table);
                }
                return;
            }
            for place in 0..pg_sys::list_length(self.sound) {
                let table = pg_sys::list_nth_oid(self.sound, place);
                if relation::is_stream(table) {
                    shape::check(table);
                }
            }
        }
    }
}

/// Streams that a statement may give another shape: the relation itself and, since they have its columns, what inherits from it or is a
/// partition of it.
///
/// # Safety
/// The result lives in the current memory context.
unsafe fn concerned(relation: Oid) -> *mut pg_sys::List {
    // SAFETY: a relation that is not there has no inheritors, and is no stream.
    unsafe {
        let all = polyfill::find_all_inheritors(relation);
        let mut streams: *mut pg_sys::List = std::ptr::null_mut();
        for place in 0..pg_sys::list_length(all) {
            let member = pg_sys::list_nth_oid(all, place);
            if relation::is_stream(member) {
                streams = pg_sys::lappend_oid(streams, member);
            }
        }
        streams
    }
}

/// Of some relations those that are as they should be.
///
/// # Safety
/// `relations` is a list of OIDs.
unsafe fn sound(relations: *mut pg_sys::List) -> *mut pg_sys::List {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sound = std::ptr::null_mut();
        for place in 0..pg_sys::list_length(relations) {
            let member = pg_sys::list_nth_oid(relations, place);
            if shape::is_sound(member) {
                sound = pg_sys::lappend_oid(sound, member);
            }
        }
        sound
    }
}
