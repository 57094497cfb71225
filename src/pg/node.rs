//! Parse nodes: lists, definition elements and names, as values of ours.

use super::text::text;
use pgrx::pg_sys::Oid;
use pgrx::{PgList, pg_sys};
use std::ffi::{CStr, CString, c_void};

/// `name = value` of a WITH or OPTIONS list; a name alone has no value.
pub struct Definition {
    /// Lower case, as the parser leaves it.
    pub name: String,
    /// The value as text.
    pub value: Option<String>,
}

/// The pointers in a list, typed.
///
/// # Safety
/// Every cell of `list` points to a `T`.
pub unsafe fn pointers<T>(list: *mut pg_sys::List) -> Vec<*mut T> {
    // SAFETY: the caller's promise.
    unsafe { PgList::<T>::from_pg(list) }.iter_ptr().collect()
}

/// Does `node` have the tag `tag`?
///
/// # Safety
/// `node` is null or points to a node.
pub unsafe fn is_a<T>(node: *const T, tag: pg_sys::NodeTag) -> bool {
    // SAFETY: every node begins with its tag.
    !node.is_null() && unsafe { (*node.cast::<pg_sys::Node>()).type_ } == tag
}

/// Reads a DefElem.
///
/// # Safety
/// `element` points to a DefElem.
pub unsafe fn definition(element: *mut pg_sys::DefElem) -> Definition {
    // SAFETY: the caller's promise; defGetString is called only if there is a value to give.
    unsafe {
        let value = (!(*element).arg.is_null())
            .then(|| text(pg_sys::defGetString(element)))
            .flatten();
        Definition {
            name: text((*element).defname).unwrap_or_default(),
            value,
        }
    }
}

/// The relation that a RangeVar names, without locking it.
///
/// # Safety
/// `relation` points to a RangeVar.
pub unsafe fn relation_of(relation: *const pg_sys::RangeVar) -> Option<Oid> {
    // SAFETY: the caller's promise; missing is allowed.
    let oid = unsafe {
        pg_sys::RangeVarGetRelidExtended(
            relation,
            pg_sys::NoLock as i32,
            pg_sys::RVROption::RVR_MISSING_OK,
            None,
            std::ptr::null_mut(),
        )
    };
    (oid != pg_sys::InvalidOid).then_some(oid)
}

/// A deep copy of a node.
///
/// # Safety
/// `node` points to a node.
pub unsafe fn copy<T>(node: *const T) -> *mut T {
    // SAFETY: the caller's promise.
    unsafe { pg_sys::copyObjectImpl(node.cast::<c_void>()) }.cast()
}

/// Appends to a list of pointers.
///
/// # Safety
/// `list` is null or a list of pointers.
pub unsafe fn append<T>(list: *mut pg_sys::List, item: *mut T) -> *mut pg_sys::List {
    // SAFETY: the caller's promise.
    unsafe { pg_sys::lappend(list, item.cast()) }
}

/// The strings of a list of names.
///
/// # Safety
/// `list` is a list of String nodes.
pub unsafe fn names(list: *mut pg_sys::List) -> Vec<String> {
    // SAFETY: the caller's promise; strVal reads their only field.
    unsafe {
        pointers::<pg_sys::Node>(list)
            .into_iter()
            .map(|name| {
                let owned: CString = CStr::from_ptr(super::polyfill::string_value(name)).into();
                owned.to_string_lossy().into_owned()
            })
            .collect()
    }
}
