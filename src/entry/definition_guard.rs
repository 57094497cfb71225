//! Hidden views are a refresh's alone: their rows are read by nobody else, whatever was granted, and what they are changes with the materialized view.
//!
//! A hidden view reads the topic with the rights of its owner. Could it be read, `GRANT SELECT ON ALL TABLES IN SCHEMA` would open the topic to who has no
//! right on it, past the row security and the deletions of the table. So the check is made where Postgres makes its own, when an executor starts: whatever
//! the statement is that the view stands in (functions, views over it, prepared statements), the plan's range table names it.

use crate::catalog::materialized_view;
use crate::error;
use crate::pg::definition_mark;
use crate::pg::node::{self, is_a, pointers};
use crate::pg::polyfill;
use crate::pg::relation::{self, Oid};
use pgrx::pg_sys;

/// Puts the hook in front of those that are there; called once, from _PG_init.
pub(super) fn install() {
    polyfill::check_plans(check_plan);
}

/// Refuses a plan that reads a hidden view, unless it is the refresh's. `views` are asked for only where a foreign table is read.
///
/// # Safety
/// The range table of a plan that is being started.
unsafe fn check_plan(entries: *mut pg_sys::List, views: &dyn Fn() -> Vec<Oid>) {
    // SAFETY: the caller's promise.
    unsafe {
        let reads_foreign_table =
            pointers::<pg_sys::RangeTblEntry>(entries)
                .into_iter()
                .any(|entry| {
                    (*entry).rtekind == pg_sys::RTEKind::RTE_RELATION
                        && (*entry).relkind as u8 == pg_sys::RELKIND_FOREIGN_TABLE
                });
        if !reads_foreign_table {
            return;
        }
    }
    let mut expected = definition_mark::take_expected();
    for view in views() {
        if expected == Some(view) {
            expected = None;
        } else if relation::is_view(view)
            && relation::extension_exists()
            && let Some(table) = materialized_view::defined_by(view)
        {
            error::definition_is_not_read(&shown(view), &shown(table)).raise();
        }
    }
}

/// Refuses a statement that would change or drop a hidden view by itself. GRANT and COMMENT do no harm, and dumps have them.
///
/// # Safety
/// A utility statement.
pub(super) unsafe fn check_statement(statement: *mut pg_sys::Node) {
    if definition_mark::is_ours() {
        return;
    }
    use pg_sys::NodeTag::*;
    // SAFETY: casts follow the tags; the objects of DROP VIEW are lists of names.
    unsafe {
        let named: Vec<*const pg_sys::RangeVar> = match (*statement).type_ {
            T_DropStmt => {
                let drop = &*statement.cast::<pg_sys::DropStmt>();
                if drop.removeType != pg_sys::ObjectType::OBJECT_VIEW {
                    return;
                }
                pointers::<pg_sys::List>(drop.objects)
                    .into_iter()
                    .map(|names| pg_sys::makeRangeVarFromNameList(names).cast_const())
                    .collect()
            }
            T_ViewStmt => {
                let view = &*statement.cast::<pg_sys::ViewStmt>();
                if !view.replace {
                    return;
                }
                vec![view.view.cast_const()]
            }
            T_AlterTableStmt => vec![(*statement.cast::<pg_sys::AlterTableStmt>()).relation],
            T_RenameStmt => vec![(*statement.cast::<pg_sys::RenameStmt>()).relation],
            T_AlterObjectSchemaStmt => {
                vec![(*statement.cast::<pg_sys::AlterObjectSchemaStmt>()).relation]
            }
            T_CreateTrigStmt => vec![(*statement.cast::<pg_sys::CreateTrigStmt>()).relation],
            T_RuleStmt => vec![(*statement.cast::<pg_sys::RuleStmt>()).relation],
            _ => return,
        };
        for relation in named {
            if !is_a(relation, T_RangeVar) {
                continue;
            }
            let view = node::relation_of(relation).filter(|view| relation::is_view(*view));
            if let Some(view) = view
                && let Some(table) = materialized_view::defined_by(view)
            {
                error::definition_is_not_changed(&shown(view), &shown(table)).raise();
            }
        }
    }
}

fn shown(relation: Oid) -> String {
    relation::qualified_name(relation).unwrap_or_default()
}
