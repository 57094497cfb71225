//! The utility hook's part for statements that reach a streaming materialized view by another way than its name: through its partitions, through tables
//! that it inherits from, by a rule on it.

use super::statement::{check_allowed, run, view_of, with_event_triggers};
use crate::pg::node::{self, copy, is_a, pointers};
use crate::pg::relation::{self, Oid, text};
use crate::pg::utility_call::Call;
use crate::view::{alter, landing_table};
use pgrx::pg_sys;

/// ALTER TABLE of a partition of a streaming materialized view, at any level.
pub(super) unsafe fn alter_partition(call: Call, planned: *mut pg_sys::PlannedStmt) -> bool {
    // SAFETY: `handle` chose this function by the tag; the fields are as the parser leaves them.
    unsafe {
        let stmt = (*planned).utilityStmt.cast::<pg_sys::AlterTableStmt>();
        let Some(partition) = node::relation_of((*stmt).relation) else {
            return false;
        };
        let Some(view) = landing_table::view_of(partition) else {
            return false;
        };
        let commands = pointers::<pg_sys::AlterTableCmd>((*stmt).cmds);
        if commands.iter().any(|command| is_set_unlogged(*command)) {
            landing_table::refuse_unlogged(view, partition);
        }
        check_allowed(c"ALTER TABLE");
        with_event_triggers(call.context, (*planned).utilityStmt, || {
            run(call, copy(planned));
            look_at_attached(view, (*stmt).cmds);
            alter::after(view);
        });
        true
    }
}

/// After an ALTER TABLE of Postgres's own: while it waited for its lock the table may have become a partition of a streaming materialized view.
pub(super) unsafe fn after_alter_table(statement: *mut pg_sys::Node) {
    // SAFETY: a statement of the hook's that has run; it is cast where its tag was looked at.
    unsafe {
        if !is_a(statement, pg_sys::NodeTag::T_AlterTableStmt) {
            return;
        }
        let stmt = &*statement.cast::<pg_sys::AlterTableStmt>();
        let reshapes = |command: &*mut pg_sys::AlterTableCmd| {
            is_set_unlogged(*command)
                || (**command).subtype == pg_sys::AlterTableType::AT_AttachPartition
        };
        if !pointers::<pg_sys::AlterTableCmd>(stmt.cmds)
            .iter()
            .any(reshapes)
            || !relation::extension_exists()
        {
            return;
        }
        if let Some(view) = node::relation_of(stmt.relation).and_then(landing_table::view_of) {
            alter::after(view);
        }
    }
}

/// Is this DETACH PARTITION CONCURRENTLY or FINALIZE, which commits in between? It is of Postgres's own then, as it came; nothing of ours follows a detach.
pub(super) unsafe fn is_alone(commands: *mut pg_sys::List) -> bool {
    use pg_sys::AlterTableType as Kind;
    // SAFETY: the definition of a detach is a PartitionCmd.
    unsafe {
        pointers::<pg_sys::AlterTableCmd>(commands)
            .into_iter()
            .any(|command| match (*command).subtype {
                Kind::AT_DetachPartitionFinalize => true,
                Kind::AT_DetachPartition => {
                    (*(*command).def.cast::<pg_sys::PartitionCmd>()).concurrent
                }
                _ => false,
            })
    }
}

/// Is this SET UNLOGGED?
unsafe fn is_set_unlogged(command: *const pg_sys::AlterTableCmd) -> bool {
    // SAFETY: by the field's type.
    unsafe { (*command).subtype == pg_sys::AlterTableType::AT_SetUnLogged }
}

/// CREATE TABLE .. PARTITION OF a streaming materialized view, foreign tables included.
pub(super) unsafe fn partition_statement(call: Call, planned: *mut pg_sys::PlannedStmt) -> bool {
    // SAFETY: a CreateForeignTableStmt begins with a CreateStmt; the parents of one are RangeVars.
    unsafe {
        let stmt = &*(*planned).utilityStmt.cast::<pg_sys::CreateStmt>();
        if stmt.partbound.is_null() {
            return false;
        }
        let partition = stmt.relation;
        let parents = pointers::<pg_sys::RangeVar>(stmt.inhRelations);
        let parent = parents
            .first()
            .and_then(|parent| node::relation_of(*parent));
        let Some(view) = parent.and_then(landing_table::view_of) else {
            return false;
        };
        check_allowed(c"CREATE TABLE");
        with_event_triggers(call.context, (*planned).utilityStmt, || {
            run(call, copy(planned));
            if let Some(partition) = node::relation_of(partition) {
                landing_table::look_at_partition(view, partition);
            }
            alter::after(view);
        });
        true
    }
}

/// Looks at what ATTACH PARTITION brought.
pub(super) unsafe fn look_at_attached(view: Oid, commands: *mut pg_sys::List) {
    // SAFETY: the commands of an ALTER TABLE; the definition of ATTACH PARTITION is a PartitionCmd.
    unsafe {
        for command in pointers::<pg_sys::AlterTableCmd>(commands) {
            if (*command).subtype == pg_sys::AlterTableType::AT_AttachPartition {
                let name = (*(*command).def.cast::<pg_sys::PartitionCmd>()).name;
                if let Some(partition) = node::relation_of(name) {
                    landing_table::look_at_partition(view, partition);
                }
            }
        }
    }
}

/// CREATE RULE on a streaming materialized view.
pub(super) unsafe fn rule_statement(statement: *mut pg_sys::RuleStmt) -> bool {
    // SAFETY: `handle` chose this function by the tag; the fields are as the parser leaves them.
    unsafe {
        // A rule on SELECT would make the table a view.
        let parts_rows = matches!(
            (*statement).event,
            pg_sys::CmdType::CMD_INSERT | pg_sys::CmdType::CMD_SELECT
        );
        if parts_rows && let Some(view) = view_of((*statement).relation) {
            landing_table::refuse_insert_rule(view);
        }
        false
    }
}

/// RENAME COLUMN of a table from which streaming materialized views inherit.
pub(super) unsafe fn rename_column_above(call: Call, planned: *mut pg_sys::PlannedStmt) -> bool {
    // SAFETY: `handle` chose this function by the tag; the fields are as the parser leaves them.
    unsafe {
        let stmt = &*(*planned).utilityStmt.cast::<pg_sys::RenameStmt>();
        if stmt.renameType != pg_sys::ObjectType::OBJECT_COLUMN || stmt.relation.is_null() {
            return false;
        }
        let Some(parent) = node::relation_of(stmt.relation) else {
            return false;
        };
        if landing_table::views_below(parent).is_empty() {
            return false;
        }
        let old = text(stmt.subname).unwrap_or_default();
        let new = text(stmt.newname).unwrap_or_default();
        check_allowed(c"ALTER TABLE");
        with_event_triggers(call.context, (*planned).utilityStmt, || {
            run(call, copy(planned));
            alter::renamed_above(parent, &old, &new);
        });
        true
    }
}
