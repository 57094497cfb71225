//! ALTER of a streaming materialized view, as a table or as a view: our options and columns first, then what is Postgres's.

use super::family::{alter_partition, is_alone, look_at_attached, rename_column_above};
use super::statement::{check_allowed, editable, run, view_of, with_event_triggers};
use crate::pg::error_context::with_hint;
use crate::pg::node::{Definition, append, definition, pointers};
use crate::pg::relation::{Oid, text};
use crate::pg::report::sqlstate;
use crate::pg::utility_call::Call;
use crate::view::{alter, create, landing_table, options};
use pgrx::pg_sys;

pub(super) unsafe fn alter_statement(call: Call, planned: *mut pg_sys::PlannedStmt) -> bool {
    // SAFETY: `handle` chose this function by the tag; the fields are as the parser leaves them.
    unsafe {
        let stmt = (*planned).utilityStmt.cast::<pg_sys::AlterTableStmt>();
        if is_alone((*stmt).cmds) {
            return false;
        }
        let Some(view) = view_of((*stmt).relation) else {
            return alter_partition(call, planned);
        };
        let (copied, stmt) = editable::<pg_sys::AlterTableStmt>(planned);
        check_allowed(c"ALTER MATERIALIZED VIEW");
        with_event_triggers(call.context, (*planned).utilityStmt, || {
            let mut kept = std::ptr::null_mut();
            let mut has_options = false;
            for command in pointers::<pg_sys::AlterTableCmd>((*stmt).cmds) {
                if keep_after_our_part(view, command) {
                    has_options |= (*command).subtype == pg_sys::AlterTableType::AT_SetRelOptions;
                    kept = append(kept, command);
                }
            }
            if (*stmt).objtype == pg_sys::ObjectType::OBJECT_MATVIEW {
                (*stmt).objtype = pg_sys::ObjectType::OBJECT_TABLE;
            }
            (*stmt).cmds = kept;
            match kept.is_null() {
                true => {}
                false if has_options => with_hint(
                    &[sqlstate::INVALID_PARAMETER_VALUE],
                    &options::unrecognized_hint(),
                    || run(call, copied),
                ),
                false => run(call, copied),
            }
            look_at_attached(view, kept);
            alter::after(view);
        });
        true
    }
}

/// Does our part of one ALTER command; true if something is left for Postgres.
unsafe fn keep_after_our_part(view: Oid, command: *mut pg_sys::AlterTableCmd) -> bool {
    use pg_sys::AlterTableType as Kind;
    // SAFETY: the definition of (RE)SET is a list of DefElems.
    unsafe {
        match (*command).subtype {
            Kind::AT_SetUnLogged => landing_table::refuse_unlogged(view, view),
            Kind::AT_DropColumn => {
                alter::check_drop_column(view, &text((*command).name).unwrap_or_default());
                true
            }
            Kind::AT_SetRelOptions | Kind::AT_ResetRelOptions => {
                let reset = (*command).subtype == Kind::AT_ResetRelOptions;
                let list = (*command).def.cast::<pg_sys::List>();
                let (ours, storage): (Vec<_>, Vec<_>) = pointers::<pg_sys::DefElem>(list)
                    .into_iter()
                    .partition(|option| create::is_view_option(&definition(*option).name));
                if !ours.is_empty() {
                    let ours: Vec<Definition> =
                        ours.into_iter().map(|option| definition(option)).collect();
                    alter::set_options(view, &ours, reset);
                }
                let mut rest = std::ptr::null_mut();
                for option in storage {
                    rest = append(rest, option);
                }
                (*command).def = rest.cast();
                !rest.is_null()
            }
            _ => true,
        }
    }
}

pub(super) unsafe fn rename_statement(call: Call, planned: *mut pg_sys::PlannedStmt) -> bool {
    // SAFETY: `handle` chose this function by the tag; the fields are as the parser leaves them.
    unsafe {
        let stmt = (*planned).utilityStmt.cast::<pg_sys::RenameStmt>();
        let Some(view) = view_of((*stmt).relation) else {
            return rename_column_above(call, planned);
        };
        let (copied, stmt) = editable::<pg_sys::RenameStmt>(planned);
        for kind in [&mut (*stmt).renameType, &mut (*stmt).relationType] {
            if *kind == pg_sys::ObjectType::OBJECT_MATVIEW {
                *kind = pg_sys::ObjectType::OBJECT_TABLE;
            }
        }
        let (kind, old) = (
            (*stmt).renameType,
            text((*stmt).subname).unwrap_or_default(),
        );
        let new = text((*stmt).newname).unwrap_or_default();
        check_allowed(c"ALTER MATERIALIZED VIEW");
        with_event_triggers(call.context, (*planned).utilityStmt, || {
            run(call, copied);
            match kind {
                pg_sys::ObjectType::OBJECT_TABLE => alter::renamed(view, None),
                pg_sys::ObjectType::OBJECT_COLUMN => {
                    alter::renamed(view, Some((&old, &new)));
                    alter::renamed_above(view, &old, &new);
                }
                _ => {}
            }
        });
        true
    }
}

pub(super) unsafe fn set_schema_statement(call: Call, planned: *mut pg_sys::PlannedStmt) -> bool {
    // SAFETY: `handle` chose this function by the tag; the fields are as the parser leaves them.
    unsafe {
        let stmt = (*planned)
            .utilityStmt
            .cast::<pg_sys::AlterObjectSchemaStmt>();
        let Some(view) = view_of((*stmt).relation) else {
            return false;
        };
        let (copied, stmt) = editable::<pg_sys::AlterObjectSchemaStmt>(planned);
        if (*stmt).objectType == pg_sys::ObjectType::OBJECT_MATVIEW {
            (*stmt).objectType = pg_sys::ObjectType::OBJECT_TABLE;
        }
        check_allowed(c"ALTER MATERIALIZED VIEW");
        with_event_triggers(call.context, (*planned).utilityStmt, || {
            run(call, copied);
            alter::after(view);
        });
        true
    }
}
