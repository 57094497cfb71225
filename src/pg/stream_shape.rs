//! The one place where a relation's columns are compared with those that its service has.
//!
//! A foreign table is made by whoever may use a server, with any columns. A value that is given for a column of another type is a wild pointer, so a
//! relation is compared when a query over it is planned, when a scan of it begins (with the descriptor that the executor works with) and, for
//! the user to learn of it early, when it is created or altered. [`super::fdw`] gives no value to a column that did not pass here.

use super::relation::{self, EXTENSION, Oid, text};
use super::{foreign, polyfill};
use crate::scan::column::{Column, ColumnSet, ColumnType};
use crate::{error, source};
use pgrx::pg_sys;
use std::cell::Cell;
use std::ffi::CStr;

/// What each attribute (from 0) of a relation is; `None` for a dropped one.
pub(super) type Shape = Vec<Option<Column>>;

/// Why a relation cannot be read.
pub enum Misfit {
    /// The service has no such column.
    Unknown(String),
    /// It has one of another type: the column, its type, what it should be.
    Type(String, String, ColumnType),
    /// The column would not show what the stream has: it is generated.
    Generated(String),
}

/// Raises an error unless every column of the relation is one of its service's.
pub fn check(table: Oid) {
    of_relation(table);
}

/// What each attribute of a relation is; raises an error for a column that its service does not have in this form.
pub(super) fn of_relation(table: Oid) -> Shape {
    let set = set_of(table);
    compare(table, set).unwrap_or_else(|misfit| raise(table, set, &misfit))
}

/// The same of the descriptor that a scan works with.
///
/// # Safety
/// `descriptor` is a valid tuple descriptor.
pub(super) unsafe fn of_scan(table: Oid, set: ColumnSet, descriptor: pg_sys::TupleDesc) -> Shape {
    // SAFETY: the caller's promise.
    unsafe { of_descriptor(descriptor, set) }.unwrap_or_else(|misfit| raise(table, set, &misfit))
}

/// Which columns a relation may have.
pub(super) fn set_of(table: Oid) -> ColumnSet {
    source::column_set(&foreign::of_table(table).0)
}

/// Streams that a statement may give another shape: the relation itself and, since they have its columns, what inherits from it or is a
/// partition of it.
///
/// # Safety
/// The result lives in the current memory context.
pub(super) unsafe fn concerned(relation: Oid) -> *mut pg_sys::List {
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
pub(super) unsafe fn sound(relations: *mut pg_sys::List) -> *mut pg_sys::List {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sound = std::ptr::null_mut();
        for place in 0..pg_sys::list_length(relations) {
            let member = pg_sys::list_nth_oid(relations, place);
            if compare(member, set_of(member)).is_ok() {
                sound = pg_sys::lappend_oid(sound, member);
            }
        }
        sound
    }
}

fn raise(table: Oid, set: ColumnSet, misfit: &Misfit) -> ! {
    let name = relation::qualified_name(table).unwrap_or_default();
    error::stream_shape(&name, misfit, &set.names()).raise()
}

fn compare(table: Oid, set: ColumnSet) -> Result<Shape, Misfit> {
    // SAFETY: the relation is open while its descriptor is looked at.
    unsafe {
        let relation = pg_sys::relation_open(table, pg_sys::AccessShareLock as i32);
        let shape = of_descriptor((*relation).rd_att, set);
        pg_sys::relation_close(relation, pg_sys::NoLock as i32);
        shape
    }
}

unsafe fn of_descriptor(descriptor: pg_sys::TupleDesc, set: ColumnSet) -> Result<Shape, Misfit> {
    // SAFETY: a valid tuple descriptor.
    unsafe {
        (0..(*descriptor).natts as usize)
            .map(|i| column(&*polyfill::attribute(descriptor, i), set))
            .collect()
    }
}

fn column(
    attribute: &pg_sys::FormData_pg_attribute,
    set: ColumnSet,
) -> Result<Option<Column>, Misfit> {
    if attribute.attisdropped {
        return Ok(None);
    }
    // SAFETY: a name is NUL-terminated.
    let bytes = unsafe { CStr::from_ptr(attribute.attname.data.as_ptr()) };
    let name = || bytes.to_string_lossy().into_owned();
    let found = bytes.to_str().ok().and_then(|name| set.find(name));
    let Some((kind, column)) = found else {
        return Err(Misfit::Unknown(name()));
    };
    if !is_of_type(attribute.atttypid, attribute.atttypmod, kind) {
        let flags = pg_sys::FORMAT_TYPE_TYPEMOD_GIVEN | pg_sys::FORMAT_TYPE_ALLOW_INVALID;
        // SAFETY: gives text for any number.
        let has = text(unsafe {
            pg_sys::format_type_extended(attribute.atttypid, attribute.atttypmod, flags as _)
        });
        return Err(Misfit::Type(name(), has.unwrap_or_default(), kind));
    }
    if attribute.attgenerated != 0 {
        return Err(Misfit::Generated(name()));
    }
    Ok(Some(column))
}

/// Is this type, with its modifier, the one that the column has? A domain over it, an array of it or a type of the same name is another one. (A
/// modifier says how long a value may be: other code counts on it.)
fn is_of_type(oid: Oid, modifier: i32, kind: ColumnType) -> bool {
    const HEADER: i32 = pg_sys::VARHDRSZ as i32;
    match kind {
        ColumnType::Bigint => oid == pg_sys::INT8OID,
        ColumnType::Timestamp => oid == pg_sys::TIMESTAMPOID && modifier == -1,
        ColumnType::Character(length) => {
            oid == pg_sys::BPCHAROID && modifier == i32::from(length) + HEADER
        }
        ColumnType::Varchar(length) => {
            oid == pg_sys::VARCHAROID && modifier == i32::from(length) + HEADER
        }
        ColumnType::Varbyte => oid == own_type(&VARBYTE, c"varbyte", oid) && modifier == -1,
        ColumnType::Super => oid == own_type(&SUPER, c"super", oid) && modifier == -1,
    }
}

type Known = std::thread::LocalKey<Cell<Oid>>;

thread_local! {
    /// The extension's types, once they were looked up; until a type changes.
    static VARBYTE: Cell<Oid> = const { Cell::new(Oid::INVALID) };
    static SUPER: Cell<Oid> = const { Cell::new(Oid::INVALID) };
    static IS_WATCHING: Cell<bool> = const { Cell::new(false) };
}

/// `candidate` if it is the extension's type of that name, else the one that is known to be, or none.
fn own_type(known: &'static Known, name: &CStr, candidate: Oid) -> Oid {
    if known.get() == candidate || !is_named(candidate, name) || !is_member(candidate) {
        return known.get();
    }
    watch_types();
    known.set(candidate);
    candidate
}

fn is_named(oid: Oid, name: &CStr) -> bool {
    // SAFETY: a syscache look-up; the tuple is released before anything else happens.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(
            pg_sys::SysCacheIdentifier::TYPEOID as i32,
            pg_sys::Datum::from(oid),
        );
        if tuple.is_null() {
            return false;
        }
        let form: *const pg_sys::FormData_pg_type = pg_sys::GETSTRUCT(tuple).cast();
        let is_named = (*form).typtype as u8 == pg_sys::TYPTYPE_BASE
            && CStr::from_ptr((*form).typname.data.as_ptr()) == name;
        pg_sys::ReleaseSysCache(tuple);
        is_named
    }
}

/// Does the type belong to the extension? Only a superuser could add one to it.
fn is_member(oid: Oid) -> bool {
    // SAFETY: looks into the catalogues.
    unsafe {
        let extension = pg_sys::get_extension_oid(EXTENSION.as_ptr(), true);
        extension != Oid::INVALID
            && pg_sys::getExtensionOfObject(pg_sys::TypeRelationId, oid) == extension
    }
}

fn watch_types() {
    unsafe extern "C-unwind" fn changed(
        _argument: pg_sys::Datum,
        _cache: std::ffi::c_int,
        _hash: u32,
    ) {
        VARBYTE.set(Oid::INVALID);
        SUPER.set(Oid::INVALID);
    }
    if !IS_WATCHING.replace(true) {
        let cache = pg_sys::SysCacheIdentifier::TYPEOID as i32;
        // SAFETY: registered once a process.
        unsafe {
            pg_sys::CacheRegisterSyscacheCallback(cache, Some(changed), pg_sys::Datum::from(0))
        };
    }
}

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
                        created: super::node::copy(create.base.relation),
                    });
                }
                _ => return None,
            };
            if altered.is_null() {
                return None;
            }
            let relation = super::node::relation_of(altered)?;
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
                if let Some(table) = super::node::relation_of(self.created)
                    && relation::is_stream(table)
                {
                    check(table);
                }
                return;
            }
            for place in 0..pg_sys::list_length(self.sound) {
                let table = pg_sys::list_nth_oid(self.sound, place);
                if relation::is_stream(table) {
                    check(table);
                }
            }
        }
    }
}
