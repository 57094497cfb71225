//! The columns that a relation has, and whether their types are those that a scan fills.
//!
//! A value that is given for a column of another type is a wild pointer. So types are compared by OID and modifier, the extension's own by what they are and
//! not by their names.

use super::polyfill;
use super::relation::{EXTENSION, Oid, text};
use pgrx::pg_sys;
use std::cell::Cell;
use std::ffi::CStr;

/// The type of a column that a scan fills.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ColumnType {
    /// `bigint`
    Bigint,
    /// `character(n)`
    Character(u16),
    /// `character varying(n)`
    Varchar(u16),
    /// `timestamp without time zone`
    Timestamp,
    /// The extension's `varbyte`.
    Varbyte,
    /// The extension's `super`.
    Super,
}

impl ColumnType {
    /// As SQL; the extension's types stand in schema `dialect`, which is quoted.
    pub fn sql(self, dialect: &str) -> String {
        match self {
            ColumnType::Varbyte | ColumnType::Super => format!("{dialect}.{self}"),
            _ => self.to_string(),
        }
    }
}

/// As `\d` shows it.
impl std::fmt::Display for ColumnType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ColumnType::Bigint => f.write_str("bigint"),
            ColumnType::Character(length) => write!(f, "character({length})"),
            ColumnType::Varchar(length) => write!(f, "character varying({length})"),
            ColumnType::Timestamp => f.write_str("timestamp without time zone"),
            ColumnType::Varbyte => f.write_str("varbyte"),
            ColumnType::Super => f.write_str("super"),
        }
    }
}

/// A column of a relation.
pub struct Attribute {
    /// Its name; what is no UTF-8 in it is replaced.
    pub name: String,
    /// Is it `GENERATED ALWAYS AS (..)`?
    pub is_generated: bool,
    type_id: Oid,
    modifier: i32,
}

/// The columns of a relation, by attribute number from 0; `None` for a dropped one.
pub fn of_relation(table: Oid) -> Vec<Option<Attribute>> {
    // SAFETY: the relation is open while its descriptor is looked at.
    unsafe {
        let relation = pg_sys::relation_open(table, pg_sys::AccessShareLock as i32);
        let attributes = of_descriptor((*relation).rd_att);
        pg_sys::relation_close(relation, pg_sys::NoLock as i32);
        attributes
    }
}

/// The same of the descriptor that a scan works with.
///
/// # Safety
/// `descriptor` is a valid tuple descriptor.
pub unsafe fn of_descriptor(descriptor: pg_sys::TupleDesc) -> Vec<Option<Attribute>> {
    // SAFETY: the caller's promise; there are `natts` attributes.
    unsafe {
        (0..(*descriptor).natts as usize)
            .map(|i| Attribute::of(&*polyfill::attribute(descriptor, i)))
            .collect()
    }
}

impl Attribute {
    fn of(attribute: &pg_sys::FormData_pg_attribute) -> Option<Attribute> {
        // SAFETY: a name is NUL-terminated.
        let name = unsafe { CStr::from_ptr(attribute.attname.data.as_ptr()) };
        (!attribute.attisdropped).then(|| Attribute {
            name: name.to_string_lossy().into_owned(),
            is_generated: attribute.attgenerated != 0,
            type_id: attribute.atttypid,
            modifier: attribute.atttypmod,
        })
    }

    /// Is this its type, with its modifier? A domain over it, an array of it or a type of the same name is another one. (A modifier says how long a value
    /// may be: other code counts on it.)
    pub fn is_of(&self, kind: ColumnType) -> bool {
        const HEADER: i32 = pg_sys::VARHDRSZ as i32;
        let (oid, modifier) = (self.type_id, self.modifier);
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

    /// Its type as `\d` shows it.
    pub fn type_name(&self) -> String {
        let flags = pg_sys::FORMAT_TYPE_TYPEMOD_GIVEN | pg_sys::FORMAT_TYPE_ALLOW_INVALID;
        // SAFETY: gives text for any number.
        let name = unsafe { pg_sys::format_type_extended(self.type_id, self.modifier, flags as _) };
        text(name).unwrap_or_default()
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
