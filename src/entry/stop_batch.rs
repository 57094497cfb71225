//! Statements that change, empty or drop a view stop its batch first, if the view is the current user's: they would wait for its lock as long as the batch
//! takes.

use crate::error;
use crate::pg::batch_table;
use crate::pg::node::{names, pointers, relation_of};
use crate::pg::relation::{self, Oid};
use crate::scan::job;
use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

/// Can this be such a statement?
pub(super) fn concerns(tag: NodeTag) -> bool {
    use NodeTag::*;
    matches!(
        tag,
        T_DropStmt
            | T_DropOwnedStmt
            | T_AlterTableStmt
            | T_RenameStmt
            | T_AlterObjectSchemaStmt
            | T_CreateTrigStmt
            | T_TruncateStmt
    )
}

/// Stops the batches of the tables that the statement is about; refuses what is about the one that this very transaction loads. What is no view is loaded by nobody, so the catalogues are not asked whether it is one.
///
/// # Safety
/// `statement` is a node as the utility hook gets it.
pub(super) unsafe fn before(statement: *mut pg_sys::Node) {
    // SAFETY: reads a variable of the backend; the caller's promise.
    unsafe {
        if !pg_sys::IsTransactionState() {
            return;
        }
        let own = job::loaded_table();
        let mut loaded = batch_table::loaded();
        loaded.extend(own);
        if loaded.is_empty() {
            return;
        }
        for table in concerned(statement, &loaded) {
            if own == Some(table) {
                error::changes_itself(&relation::name(table).unwrap_or_default()).raise();
            }
            if relation::exists(table) && relation::is_owned_by_current_user(table) {
                batch_table::stop(table);
            }
        }
    }
}

/// Those of the tables that the statement is about.
unsafe fn concerned(statement: *mut pg_sys::Node, loaded: &[Oid]) -> Vec<Oid> {
    use NodeTag::*;
    // SAFETY: casts follow the tags.
    unsafe {
        let relations = match (*statement).type_ {
            T_DropStmt => return of_drop(&*statement.cast(), loaded),
            T_DropOwnedStmt => {
                let roles = (*statement.cast::<pg_sys::DropOwnedStmt>()).roles;
                let roles: Vec<Oid> = pointers::<pg_sys::RoleSpec>(roles)
                    .into_iter()
                    .map(|role| pg_sys::get_rolespec_oid(role, true))
                    .collect();
                let is_theirs = |table: &&Oid| roles.contains(&relation::owner(**table));
                return loaded.iter().filter(is_theirs).copied().collect();
            }
            T_TruncateStmt => pointers((*statement.cast::<pg_sys::TruncateStmt>()).relations),
            T_AlterTableStmt => vec![(*statement.cast::<pg_sys::AlterTableStmt>()).relation],
            T_RenameStmt => vec![(*statement.cast::<pg_sys::RenameStmt>()).relation],
            T_AlterObjectSchemaStmt => {
                vec![(*statement.cast::<pg_sys::AlterObjectSchemaStmt>()).relation]
            }
            T_CreateTrigStmt => vec![(*statement.cast::<pg_sys::CreateTrigStmt>()).relation],
            _ => return Vec::new(),
        };
        let relations = relations.into_iter().filter(|named| !named.is_null());
        relations
            .filter_map(|named| named_one(named, loaded))
            .collect()
    }
}

/// The statement looks the name up again, with a lock.
unsafe fn named_one(named: *const pg_sys::RangeVar, loaded: &[Oid]) -> Option<Oid> {
    // SAFETY: a RangeVar.
    unsafe { relation_of(named) }.filter(|table| loaded.contains(table))
}

unsafe fn of_drop(drop: &pg_sys::DropStmt, loaded: &[Oid]) -> Vec<Oid> {
    use pg_sys::ObjectType::{OBJECT_MATVIEW, OBJECT_SCHEMA, OBJECT_TABLE, OBJECT_TRIGGER};
    // SAFETY: the objects are String nodes for schemas and lists of them for what has a qualified name; a trigger's name comes after its table's.
    unsafe {
        if drop.removeType == OBJECT_SCHEMA {
            let schemas = names(drop.objects);
            let is_within = |table: &&Oid| {
                let schema = relation::schema_name(**table);
                schema.is_some_and(|schema| schemas.contains(&schema))
            };
            return loaded.iter().filter(is_within).copied().collect();
        }
        let behind = match drop.removeType {
            OBJECT_MATVIEW | OBJECT_TABLE => 0,
            OBJECT_TRIGGER => 1,
            _ => return Vec::new(),
        };
        pointers::<pg_sys::List>(drop.objects)
            .into_iter()
            .filter(|name| (**name).length > behind)
            .filter_map(|name| {
                let table = pg_sys::list_truncate(pg_sys::list_copy(name), (*name).length - behind);
                named_one(pg_sys::makeRangeVarFromNameList(table), loaded)
            })
            .collect()
    }
}
