//! Relations, schemas and servers by OID: names, owners, locks and dependencies.

use super::report::sqlstate;
use pgrx::pg_sys;
use std::ffi::CStr;

pub use super::text::c_text;
pub(crate) use super::text::text;
pub use pgrx::pg_sys::Oid;

/// The extension's name, in SQL and on disk.
pub const EXTENSION: &CStr = c"redshift_streaming";

/// Lock modes that the extension takes on relations, weakest first (lockdefs.h).
#[derive(Clone, Copy)]
pub enum LockMode {
    /// As a SELECT does.
    AccessShare,
    /// As an INSERT does.
    RowExclusive,
}

/// Is the extension created in this database?
pub fn extension_exists() -> bool {
    // SAFETY: catalogue lookup by name; missing is allowed.
    unsafe { pg_sys::get_extension_oid(EXTENSION.as_ptr(), true) != pg_sys::InvalidOid }
}

/// Does the relation exist?
pub fn exists(relation: Oid) -> bool {
    kind(relation) != 0
}

/// `relkind` of pg_class, 0 if there is no such relation.
pub fn kind(relation: Oid) -> u8 {
    // SAFETY: syscache lookup.
    unsafe { pg_sys::get_rel_relkind(relation) as u8 }
}

/// The relation's name without its schema.
pub fn name(relation: Oid) -> Option<String> {
    // SAFETY: returns a palloc'd copy or null.
    text(unsafe { pg_sys::get_rel_name(relation) })
}

/// The name of the relation's schema.
pub fn schema_name(relation: Oid) -> Option<String> {
    // SAFETY: both return InvalidOid or null for what does not exist.
    text(unsafe { pg_sys::get_namespace_name(pg_sys::get_rel_namespace(relation)) })
}

/// `schema.name`, quoted where SQL needs it.
pub fn qualified_name(relation: Oid) -> Option<String> {
    Some(pgrx::spi::quote_qualified_identifier(
        schema_name(relation)?,
        name(relation)?,
    ))
}

/// The names of the relation's columns, in their order.
pub fn column_names(relation: Oid) -> Vec<String> {
    // SAFETY: the relation is open while its descriptor is read; the names are copied.
    unsafe {
        let relation = pg_sys::relation_open(relation, pg_sys::AccessShareLock as i32);
        let columns = pgrx::PgTupleDesc::from_pg_copy((*relation).rd_att);
        let present = columns.iter().filter(|column| !column.is_dropped());
        let names = present.map(|column| column.name().to_owned()).collect();
        pg_sys::relation_close(relation, pg_sys::NoLock as i32);
        names
    }
}

/// The relation's owner.
pub fn owner(relation: Oid) -> Oid {
    // SAFETY: the tuple is read before it is released; the struct is pg_class's.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(
            pg_sys::SysCacheIdentifier::RELOID as i32,
            pg_sys::Datum::from(relation),
        );
        if tuple.is_null() {
            return pg_sys::InvalidOid;
        }
        let owner = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>()).relowner;
        pg_sys::ReleaseSysCache(tuple);
        owner
    }
}

/// May the current user do what an owner may?
pub fn is_owned_by_current_user(relation: Oid) -> bool {
    // SAFETY: permission check without side effects.
    unsafe { super::polyfill::owns_relation(relation, pg_sys::GetUserId()) }
}

/// The current user's OID.
pub fn current_user() -> Oid {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::GetUserId() }
}

/// Is that role a superuser?
pub fn is_superuser_role(role: Oid) -> bool {
    // SAFETY: reads the catalogue.
    unsafe { pg_sys::superuser_arg(role) }
}

/// Is the current user a superuser?
pub fn is_superuser() -> bool {
    // SAFETY: reads the catalogue.
    unsafe { pg_sys::superuser() }
}

/// Locks the relation until the transaction ends.
pub fn lock(relation: Oid, mode: LockMode) {
    let mode = match mode {
        LockMode::AccessShare => pg_sys::AccessShareLock,
        LockMode::RowExclusive => pg_sys::RowExclusiveLock,
    };
    // SAFETY: the lock is released at the end of the transaction.
    unsafe { pg_sys::LockRelationOid(relation, mode as i32) }
}

/// Is this a topic or stream: a foreign table of our foreign-data wrapper?
pub fn is_stream(relation: Oid) -> bool {
    if kind(relation) != pg_sys::RELKIND_FOREIGN_TABLE {
        return false;
    }
    // SAFETY: the relation is a foreign table, so all three exist; the structs are palloc'd copies.
    unsafe {
        let table = pg_sys::GetForeignTable(relation);
        let server = pg_sys::GetForeignServer((*table).serverid);
        let wrapper = pg_sys::GetForeignDataWrapper((*server).fdwid);
        CStr::from_ptr((*wrapper).fdwname) == EXTENSION
    }
}

/// A relation that is not yet used as `<name>_<label>` in the schema of `relation`, cut to an identifier's length.
pub fn free_name(relation: Oid, label: &CStr) -> String {
    // SAFETY: the strings live in the current memory context.
    unsafe {
        let namespace = pg_sys::get_rel_namespace(relation);
        let base = pg_sys::get_rel_name(relation);
        text(pg_sys::ChooseRelationName(
            base,
            std::ptr::null(),
            label.as_ptr(),
            namespace,
            false,
        ))
        .unwrap_or_default()
    }
}

/// Makes `dependent` go when `referenced` is dropped.
pub fn depend_automatically(dependent: Oid, referenced: Oid) {
    record(
        address(dependent),
        address(referenced),
        pg_sys::DependencyType::DEPENDENCY_AUTO,
    );
}

/// Is there already a dependency of one relation on another as a whole?
pub fn depends_automatically(dependent: Oid, referenced: Oid) -> bool {
    super::spi::first(
        "SELECT 1 FROM pg_catalog.pg_depend WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND objid = $1
            AND refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND refobjid = $2 AND deptype = 'a'",
        &[dependent.into(), referenced.into()],
        |_| (),
    )
    .is_some()
}

/// Does the server go with the schema?
pub fn depends_on_schema(server: Oid, schema: Oid) -> bool {
    super::spi::first(
        "SELECT 1 FROM pg_catalog.pg_depend WHERE classid = 'pg_catalog.pg_foreign_server'::pg_catalog.regclass AND objid = $1
            AND refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND refobjid = $2",
        &[server.into(), schema.into()],
        |_| (),
    )
    .is_some()
}

/// Makes the server go with the schema (and stand in the way of dropping it without CASCADE).
pub fn server_depends_on_schema(server: Oid, schema: Oid) {
    let server = pg_sys::ObjectAddress {
        classId: pg_sys::ForeignServerRelationId,
        objectId: server,
        objectSubId: 0,
    };
    let schema = pg_sys::ObjectAddress {
        classId: pg_sys::NamespaceRelationId,
        objectId: schema,
        objectSubId: 0,
    };
    record(server, schema, pg_sys::DependencyType::DEPENDENCY_NORMAL);
}

fn address(relation: Oid) -> pg_sys::ObjectAddress {
    pg_sys::ObjectAddress {
        classId: pg_sys::RelationRelationId,
        objectId: relation,
        objectSubId: 0,
    }
}

fn record(
    dependent: pg_sys::ObjectAddress,
    referenced: pg_sys::ObjectAddress,
    kind: pg_sys::DependencyType::Type,
) {
    // SAFETY: both addresses live through the call.
    unsafe { pg_sys::recordDependencyOn(&dependent, &referenced, kind) }
}

/// Is this an ordinary or partitioned table?
pub fn is_table(relation: Oid) -> bool {
    matches!(
        kind(relation),
        pg_sys::RELKIND_RELATION | pg_sys::RELKIND_PARTITIONED_TABLE
    )
}

/// Is this a partition of a table?
pub fn is_partition(relation: Oid) -> bool {
    // SAFETY: syscache lookup; false for what does not exist.
    unsafe { pg_sys::get_rel_relispartition(relation) }
}

/// The table at the top, of which this is a partition at some level.
pub fn partition_root(relation: Oid) -> Option<Oid> {
    super::spi::as_extension_owner(|| {
        super::spi::first(
            "SELECT pg_catalog.pg_partition_root($1::pg_catalog.regclass)::pg_catalog.oid AS root",
            &[relation.into()],
            |row| row.get::<Oid>("root"),
        )
    })
    .flatten()
}

/// Do tables inherit from it, or did some? (pg_class.relhassubclass)
pub fn has_children(relation: Oid) -> bool {
    // SAFETY: the tuple is read before it is released; the struct is pg_class's.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(
            pg_sys::SysCacheIdentifier::RELOID as i32,
            pg_sys::Datum::from(relation),
        );
        if tuple.is_null() {
            return false;
        }
        let has = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>()).relhassubclass;
        pg_sys::ReleaseSysCache(tuple);
        has
    }
}

/// Is this a foreign table?
pub fn is_foreign_table(relation: Oid) -> bool {
    kind(relation) == pg_sys::RELKIND_FOREIGN_TABLE
}

/// Is this a view?
/// A table that inherits from this one, if there is one now.
pub fn a_child(parent: Oid) -> Option<Oid> {
    super::spi::look(
        "SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i WHERE i.inhparent OPERATOR(pg_catalog.=) $1",
        &[parent.into()],
        super::spi::only,
    )
}

/// Takes, until the transaction ends, the lock under which the relations of a server are created. Of the server itself: users could take an advisory
/// lock too. False if somebody has it and `wait` is not set.
pub fn lock_server(server: Oid, wait: bool) -> bool {
    // SAFETY: SET_LOCKTAG_OBJECT of lock.h; the mode conflicts with itself and with DROP.
    unsafe {
        let tag = pg_sys::LOCKTAG {
            locktag_field1: pg_sys::MyDatabaseId.to_u32(),
            locktag_field2: pg_sys::ForeignServerRelationId.to_u32(),
            locktag_field3: server.to_u32(),
            locktag_field4: 0,
            locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
            locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
        };
        let mode = pg_sys::ShareUpdateExclusiveLock as i32;
        pg_sys::LockAcquire(&tag, mode, false, !wait)
            != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
    }
}

/// Is this a view?
pub fn is_view(relation: Oid) -> bool {
    kind(relation) == pg_sys::RELKIND_VIEW
}

/// The relation of that schema and name, if it exists.
pub fn find(schema: &str, name: &str) -> Option<Oid> {
    // SAFETY: InvalidOid for what does not exist.
    let oid = unsafe {
        let namespace = pg_sys::get_namespace_oid(c_text(schema).as_ptr(), true);
        pg_sys::get_relname_relid(c_text(name).as_ptr(), namespace)
    };
    (oid != pg_sys::InvalidOid).then_some(oid)
}

/// Is this a schema of temporary objects?
pub fn is_temporary_schema(name: &str) -> bool {
    // SAFETY: InvalidOid for what does not exist, which is no temporary schema.
    unsafe { pg_sys::isAnyTempNamespace(pg_sys::get_namespace_oid(c_text(name).as_ptr(), true)) }
}

/// The schema of that name, if it exists.
pub fn find_schema(name: &str) -> Option<Oid> {
    // SAFETY: InvalidOid for what does not exist.
    let oid = unsafe { pg_sys::get_namespace_oid(c_text(name).as_ptr(), true) };
    (oid != pg_sys::InvalidOid).then_some(oid)
}

/// The name of a role.
pub fn role_name(role: Oid) -> String {
    // SAFETY: raises if there is no such role.
    text(unsafe { pg_sys::GetUserNameFromId(role, false) }).unwrap_or_default()
}

/// May the current user do what the server's owner may?
pub fn owns_server(server: Oid) -> bool {
    // SAFETY: permission check without side effects.
    unsafe { super::polyfill::owns_server(server, pg_sys::GetUserId()) }
}

/// Raises an error unless the current user has USAGE on the server.
pub fn require_server_usage(server: Oid, name: &str) {
    // SAFETY: permission check without side effects.
    if !unsafe { super::polyfill::may_use_server(server, pg_sys::GetUserId()) } {
        super::report::Report::new(
            sqlstate::INSUFFICIENT_PRIVILEGE,
            format!("permission denied for foreign server {name}"),
        )
        .raise();
    }
}

/// Raises an error unless the current user may read the relation.
pub fn require_select(relation: Oid) {
    let mode = pg_sys::ACL_SELECT as _;
    // SAFETY: permission check without side effects; the relation is there.
    let is_allowed = exists(relation)
        && unsafe { pg_sys::pg_class_aclcheck(relation, pg_sys::GetUserId(), mode) }
            == pg_sys::AclResult::ACLCHECK_OK;
    if !is_allowed {
        let name = name(relation).unwrap_or_else(|| relation.to_u32().to_string());
        super::report::Report::new(
            sqlstate::INSUFFICIENT_PRIVILEGE,
            format!("permission denied for table {name}"),
        )
        .raise();
    }
}

/// Raises an error unless the current user has USAGE on the schema.
pub fn require_schema_usage(name: &str) {
    // SAFETY: raises what a SELECT from the schema would raise.
    unsafe { pg_sys::LookupExplicitNamespace(c_text(name).as_ptr(), false) };
}
