//! What the validator of options is not told by Postgres: the options that there were before ALTER, and whether the library was there to look at them.

use super::foreign;
use super::node::Definition;
use super::relation::{self, c_text, text};
use pgrx::pg_sys;
use std::cell::Cell;

thread_local! {
    /// The options of the server or user mapping that the current statement alters.
    static EXISTING: Cell<Option<Vec<Definition>>> = const { Cell::new(None) };
}

/// Notes the options that `statement` starts from, and forgets those of the statement before.
///
/// # Safety
/// A utility statement.
pub unsafe fn note(statement: *mut pg_sys::Node) {
    use pg_sys::NodeTag::*;
    // SAFETY: casts follow the tags.
    unsafe {
        let existing = match (*statement).type_ {
            T_AlterForeignServerStmt => {
                let alter = &*statement.cast::<pg_sys::AlterForeignServerStmt>();
                let server = text(alter.servername).and_then(|name| foreign::find_server(&name));
                server.map(|server| server.options)
            }
            T_AlterUserMappingStmt => {
                let alter = &*statement.cast::<pg_sys::AlterUserMappingStmt>();
                let server = text(alter.servername).and_then(|name| foreign::find_server(&name));
                server.and_then(|server| foreign::mapping(server.oid, mapped_user(alter.user)))
            }
            T_CreateForeignServerStmt | T_CreateUserMappingStmt => None,
            _ => return,
        };
        EXISTING.set(existing);
    }
}

/// Whose mapping a statement names; nobody's is PUBLIC's.
unsafe fn mapped_user(role: *mut pg_sys::RoleSpec) -> pg_sys::Oid {
    // SAFETY: a role that the parser made; missing is allowed.
    unsafe {
        if (*role).roletype == pg_sys::RoleSpecType::ROLESPEC_PUBLIC {
            pg_sys::InvalidOid
        } else {
            pg_sys::get_rolespec_oid(role, true)
        }
    }
}

/// The options before the current statement; empty if it creates.
pub fn existing() -> Vec<Definition> {
    EXISTING.take().unwrap_or_default()
}

/// May the current user say to which hosts the server's machine connects? `role` is that of `redshift.host_role`.
pub fn may_choose_hosts(role: Option<&str>) -> bool {
    if relation::is_superuser() {
        return true;
    }
    // SAFETY: catalogue look-ups by name and OID; a role that is missing is nobody's.
    role.is_some_and(|role| unsafe {
        let role = pg_sys::get_role_oid(c_text(role).as_ptr(), true);
        role != pg_sys::InvalidOid && pg_sys::has_privs_of_role(pg_sys::GetUserId(), role)
    })
}
