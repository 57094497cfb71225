//! The utility hook: which statements may be about streaming materialized views, and how each is taken apart.
//!
//! Statements of Postgres's own are passed on untouched, in a frame without destructors, so that their errors stay theirs. What a
//! statement does to a streaming materialized view is decided in `crate::view`; here are only the nodes.

mod alter;
mod family;
mod statement;
mod views;

use super::shape_watch::Watch;
use super::{database_command, definition_guard, statement_history, stop_batch};
use crate::error;
use crate::pg::guard::entry;
use crate::pg::relation;
use crate::pg::utility_call::Call;
use crate::pg::{foreign, nudge, server_guard, setting, shared, shared_memory, step_aside};
use alter::{alter_statement, rename_statement, set_schema_statement};
use family::{after_alter_table, partition_statement, rule_statement};
use pgrx::pg_sys;
pub(super) use statement::check_allowed;
use std::ffi::{CStr, c_char};
use views::{
    comment_statement, create_statement, drop_statement, explain_statement, refresh_statement,
    trigger_statement,
};

/// Puts the hook in front of those that are there.
pub(super) fn install() {
    statement::put_before(Some(process_utility));
}

unsafe extern "C-unwind" fn process_utility(
    planned: *mut pg_sys::PlannedStmt,
    text: *const c_char,
    read_only_tree: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    parameters: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    destination: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    let call = Call {
        text,
        context,
        parameters,
        environment,
        destination,
        completion,
    };
    // SAFETY: arguments come from Postgres; `entry` is the frame that errors leave from.
    unsafe {
        let statement = (*planned).utilityStmt;
        if database_command::concerns((*statement).type_) {
            entry(|| {
                let database = database_command::wants_alone(statement, is_top_level(context));
                if let Some(database) = database.filter(|_| shared_memory::is_ready()) {
                    step_aside::begin(database);
                }
            });
        }
        if concerns_options((*statement).type_) {
            entry(|| server_guard::note(statement));
        }
        if concerns_sources((*statement).type_) {
            // Workers that sleep look what changed.
            entry(|| {
                if pg_sys::IsTransactionState() && relation::extension_exists() {
                    if (*statement).type_ == pg_sys::NodeTag::T_AlterExtensionStmt {
                        nudge::at_commit();
                    } else {
                        nudge::sources_at_commit();
                    }
                }
            });
        }
        let recorded = context == pg_sys::ProcessUtilityContext::PROCESS_UTILITY_TOPLEVEL
            && setting::records_all_statements()
            && entry(|| statement_history::utility_begins(planned, text));
        let watch = if may_reshape((*statement).type_) {
            entry(|| shape_watch(statement))
        } else {
            None
        };
        if stop_batch::concerns((*statement).type_) {
            entry(|| stop_batch::before(statement));
        }
        if !may_concern_us((*statement).type_) || !entry(|| handle(call, planned)) {
            call.hand_to(statement::next(), planned, read_only_tree);
            entry(|| after_alter_table(statement));
            if concerns_settings((*statement).type_) {
                entry(|| renew_workers(statement));
            }
            if commits_prepared(statement) {
                // Its records are there now. No callback of its own tells.
                entry(shared::tell_of_records);
            }
        }
        if let Some(watch) = watch {
            entry(|| watch.end());
        }
        if recorded {
            entry(statement_history::utility_ended);
        }
    }
}

fn may_concern_us(tag: pg_sys::NodeTag) -> bool {
    use pg_sys::NodeTag::*;
    matches!(
        tag,
        T_CreateTableAsStmt
            | T_RefreshMatViewStmt
            | T_DropStmt
            | T_AlterTableStmt
            | T_CreateStmt
            | T_CreateForeignTableStmt
            | T_RuleStmt
            | T_CreateForeignServerStmt
            | T_RenameStmt
            | T_AlterObjectSchemaStmt
            | T_CommentStmt
            | T_CreateTrigStmt
            | T_ExplainStmt
            | T_ViewStmt
    )
}

fn concerns_options(tag: pg_sys::NodeTag) -> bool {
    use pg_sys::NodeTag::*;
    matches!(
        tag,
        T_CreateForeignServerStmt
            | T_AlterForeignServerStmt
            | T_CreateUserMappingStmt
            | T_AlterUserMappingStmt
    )
}

fn concerns_sources(tag: pg_sys::NodeTag) -> bool {
    use pg_sys::NodeTag::*;
    matches!(
        tag,
        T_AlterForeignServerStmt
            | T_AlterExtensionStmt
            | T_CreateUserMappingStmt
            | T_AlterUserMappingStmt
            | T_DropUserMappingStmt
    )
}

/// May the statement give a stream's relation other columns?
fn may_reshape(tag: pg_sys::NodeTag) -> bool {
    use pg_sys::NodeTag::*;
    matches!(
        tag,
        T_CreateForeignTableStmt | T_AlterTableStmt | T_RenameStmt
    )
}

unsafe fn shape_watch(statement: *mut pg_sys::Node) -> Option<Watch> {
    // SAFETY: the catalogues are looked into within a transaction only.
    unsafe {
        (pg_sys::IsTransactionState() && relation::extension_exists())
            .then(|| Watch::begin(statement))
            .flatten()
    }
}

fn is_top_level(context: pg_sys::ProcessUtilityContext::Type) -> bool {
    context == pg_sys::ProcessUtilityContext::PROCESS_UTILITY_TOPLEVEL
}

fn concerns_settings(tag: pg_sys::NodeTag) -> bool {
    use pg_sys::NodeTag::*;
    matches!(tag, T_AlterDatabaseSetStmt | T_AlterRoleSetStmt)
}

/// # Safety
/// A statement of the parser's.
unsafe fn commits_prepared(statement: *mut pg_sys::Node) -> bool {
    // SAFETY: the cast follows the tag.
    unsafe {
        (*statement).type_ == pg_sys::NodeTag::T_TransactionStmt
            && (*statement.cast::<pg_sys::TransactionStmt>()).kind
                == pg_sys::TransactionStmtKind::TRANS_STMT_COMMIT_PREPARED
    }
}

/// Workers read the settings of their database and their role, the server's first one, when they connect: what Postgres has just changed of these
/// takes a new connection.
unsafe fn renew_workers(statement: *mut pg_sys::Node) {
    let find = |name: *const c_char| {
        // SAFETY: a name of the parser's; InvalidOid for what does not exist.
        let database = unsafe { pg_sys::get_database_oid(name, true) };
        (database != pg_sys::InvalidOid).then_some(database)
    };
    // SAFETY: casts follow the tags.
    unsafe {
        if (*statement).type_ == pg_sys::NodeTag::T_AlterDatabaseSetStmt {
            let stmt = &*statement.cast::<pg_sys::AlterDatabaseSetStmt>();
            if let Some(database) = find(stmt.dbname) {
                nudge::renew_at_commit(Some(database));
            }
            return;
        }
        let stmt = &*statement.cast::<pg_sys::AlterRoleSetStmt>();
        let of_workers = stmt.role.is_null()
            || pg_sys::get_rolespec_oid(stmt.role, true).to_u32() == pg_sys::BOOTSTRAP_SUPERUSERID;
        if of_workers {
            let database = (!stmt.database.is_null()).then(|| find(stmt.database));
            nudge::renew_at_commit(database.flatten());
        }
    }
}

/// Does the whole statement if it is about a streaming materialized view; false if it is Postgres's own business.
unsafe fn handle(call: Call, planned: *mut pg_sys::PlannedStmt) -> bool {
    // SAFETY: each cast follows the node's tag.
    unsafe {
        let statement = (*planned).utilityStmt;
        if !pg_sys::IsTransactionState() || !relation::extension_exists() {
            return false;
        }
        definition_guard::check_statement(statement);
        use pg_sys::NodeTag::*;
        match (*statement).type_ {
            T_CreateTableAsStmt => create_statement(call, statement.cast()),
            T_RefreshMatViewStmt => refresh_statement(call, statement.cast()),
            T_DropStmt => drop_statement(call, planned),
            T_AlterTableStmt => alter_statement(call, planned),
            T_CreateStmt | T_CreateForeignTableStmt => partition_statement(call, planned),
            T_RuleStmt => rule_statement(statement.cast()),
            T_CreateForeignServerStmt => server_statement(statement.cast()),
            T_RenameStmt => rename_statement(call, planned),
            T_AlterObjectSchemaStmt => set_schema_statement(call, planned),
            T_CommentStmt => comment_statement(call, planned),
            T_CreateTrigStmt => trigger_statement(call, planned),
            T_ExplainStmt => explain_statement(statement.cast()),
            _ => false,
        }
    }
}

/// CREATE SERVER with our foreign-data wrapper by somebody who may not use that: what Postgres says, and whom to ask.
unsafe fn server_statement(statement: *mut pg_sys::CreateForeignServerStmt) -> bool {
    // SAFETY: `handle` chose this function by the tag; the parser names a wrapper in each of these.
    unsafe {
        if CStr::from_ptr((*statement).fdwname) == relation::EXTENSION
            && !foreign::may_use_wrapper()
        {
            error::wrapper_denied(&relation::role_name(relation::current_user())).raise();
        }
        false
    }
}
