//! Statements about whole databases: which one they want for themselves, and whether Postgres would let the user have it.
//!
//! What is refused anyway must not disturb anybody first, so this is looked at before the workers step aside. Postgres checks all of it again and says
//! what is wrong (dbcommands.c).

use crate::pg::node::{definition, is_a, pointers};
use crate::pg::polyfill;
use crate::pg::relation::{Oid, c_text, text};
use pgrx::pg_sys;

/// Is it a statement about a whole database?
pub(super) fn concerns(tag: pg_sys::NodeTag) -> bool {
    use pg_sys::NodeTag::*;
    matches!(
        tag,
        T_DropdbStmt | T_CreatedbStmt | T_RenameStmt | T_AlterDatabaseStmt
    )
}

/// The database that nobody may be connected to when the statement runs; `None` if there is none, or if the statement is refused.
///
/// # Safety
/// A utility statement, in a process that may read the catalogues if it is in a transaction.
pub(super) unsafe fn wants_alone(statement: *mut pg_sys::Node, is_top_level: bool) -> Option<Oid> {
    // SAFETY: casts follow the tags.
    unsafe {
        use pg_sys::NodeTag::*;
        if !may_write() {
            return None;
        }
        let alone = !pg_sys::IsInTransactionBlock(is_top_level);
        match (*statement).type_ {
            T_DropdbStmt if alone => dropped(&*statement.cast()),
            T_CreatedbStmt if alone => copied(&*statement.cast()),
            T_AlterDatabaseStmt => moved(&*statement.cast(), alone),
            T_RenameStmt => renamed(&*statement.cast()),
            _ => None,
        }
    }
}

fn may_write() -> bool {
    // SAFETY: reads the state of the process and the server.
    unsafe {
        pg_sys::IsTransactionState()
            && !pg_sys::XactReadOnly
            && !pg_sys::IsInParallelMode()
            && !pg_sys::RecoveryInProgress()
    }
}

unsafe fn dropped(stmt: &pg_sys::DropdbStmt) -> Option<Oid> {
    // SAFETY: the name is the parser's.
    let database = find(&text(stmt.dbname)?)?;
    (is_owned(database) && !is_template(database)).then_some(database)
}

unsafe fn renamed(stmt: &pg_sys::RenameStmt) -> Option<Oid> {
    if stmt.renameType != pg_sys::ObjectType::OBJECT_DATABASE {
        return None;
    }
    let database = find(&text(stmt.subname)?)?;
    let is_taken = any(&text(stmt.newname)?).is_some();
    (is_owned(database) && may_create() && !is_taken).then_some(database)
}

/// ALTER DATABASE .. SET TABLESPACE; the other options disturb nobody.
unsafe fn moved(stmt: &pg_sys::AlterDatabaseStmt, alone: bool) -> Option<Oid> {
    // SAFETY: the options are DefElems.
    let tablespace = unsafe { option(stmt.options, "tablespace") }?;
    let database = find(&text(stmt.dbname)?)?;
    (alone && is_owned(database) && may_fill(&tablespace)).then_some(database)
}

/// The template of CREATE DATABASE, which by default is template1. Whoever does not own it may copy it only if it is marked as one.
unsafe fn copied(stmt: &pg_sys::CreatedbStmt) -> Option<Oid> {
    // SAFETY: the options are DefElems.
    let template = unsafe { option(stmt.options, "template") };
    let template = find(template.as_deref().unwrap_or("template1"))?;
    let is_taken = any(&text(stmt.dbname)?).is_some();
    (may_create() && !is_taken && (is_template(template) || is_owned(template))).then_some(template)
}

unsafe fn option(options: *mut pg_sys::List, name: &str) -> Option<String> {
    // SAFETY: the caller's promise.
    unsafe {
        let options = pointers::<pg_sys::DefElem>(options);
        let mut options = options
            .into_iter()
            .filter(|option| !(**option).arg.is_null());
        let found = options.find(|option| text((**option).defname).as_deref() == Some(name))?;
        debug_assert!(is_a(found, pg_sys::NodeTag::T_DefElem));
        definition(found).value
    }
}

/// The database of that name that is not the session's own.
fn find(name: &str) -> Option<Oid> {
    // SAFETY: reads a variable of the backend.
    any(name).filter(|database| *database != unsafe { pg_sys::MyDatabaseId })
}

fn any(name: &str) -> Option<Oid> {
    // SAFETY: InvalidOid for what does not exist.
    let database = unsafe { pg_sys::get_database_oid(c_text(name).as_ptr(), true) };
    (database != pg_sys::InvalidOid).then_some(database)
}

fn is_owned(database: Oid) -> bool {
    // SAFETY: permission check without side effects, inside a transaction.
    unsafe { polyfill::owns_database(database, pg_sys::GetUserId()) }
}

fn is_template(database: Oid) -> bool {
    row(
        pg_sys::SysCacheIdentifier::DATABASEOID,
        database,
        |row: &pg_sys::FormData_pg_database| row.datistemplate,
    )
}

/// As have_createdb_privilege (dbcommands.c).
fn may_create() -> bool {
    // SAFETY: reads the catalogue, inside a transaction.
    let (is_superuser, user) = unsafe { (pg_sys::superuser(), pg_sys::GetUserId()) };
    is_superuser
        || row(
            pg_sys::SysCacheIdentifier::AUTHOID,
            user,
            |row: &pg_sys::FormData_pg_authid| row.rolcreatedb,
        )
}

fn may_fill(tablespace: &str) -> bool {
    // SAFETY: InvalidOid for what does not exist; permission check without side effects.
    unsafe {
        let tablespace = pg_sys::get_tablespace_oid(c_text(tablespace).as_ptr(), true);
        tablespace != pg_sys::InvalidOid
            && tablespace != pg_sys::GLOBALTABLESPACE_OID
            && polyfill::may_use_tablespace(tablespace, pg_sys::GetUserId())
    }
}

/// What `read` says of the catalogue's row of that OID; false without one.
fn row<T>(
    cache: pg_sys::SysCacheIdentifier::Type,
    oid: Oid,
    read: impl FnOnce(&T) -> bool,
) -> bool {
    // SAFETY: the tuple is read before it is released; T is the cache's catalogue.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(cache as i32, oid.into());
        if tuple.is_null() {
            return false;
        }
        let value = read(&*pg_sys::GETSTRUCT(tuple).cast::<T>());
        pg_sys::ReleaseSysCache(tuple);
        value
    }
}
