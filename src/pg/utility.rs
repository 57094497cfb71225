//! The utility hook: which statements may be about streaming materialized views, and how each is taken apart.
//!
//! Statements of Postgres's own are passed on untouched, in a frame without destructors, so that their errors stay theirs. What a
//! statement does to a streaming materialized view is decided in `crate::view`; here are only the nodes.

use super::database_command;
use super::definition_guard;
use super::error_context::with_hint;
use super::foreign;
use super::guard::entry;
use super::node::{self, Definition, append, copy, definition, is_a, pointers};
use super::query::Query;
use super::relation::{self, Oid, text};
use super::report::sqlstate;
use super::statement_history;
use super::step_aside;
use super::stop_batch;
use super::stream_shape::Watch;
use super::utility_call::Call;
use super::utility_family::{
    after_alter_table, alter_partition, is_alone, look_at_attached, partition_statement,
    rename_column_above, rule_statement,
};
use crate::settings;
use crate::view::{alter, create, landing_table, options, owned, registered};
use pgrx::pg_sys;
use std::ffi::{CStr, CString, c_char};

/// The next hook in the chain, set once by `install`.
static mut NEXT: pg_sys::ProcessUtility_hook_type = None;

/// Puts the hook in front of those that are there.
pub(super) fn install() {
    // SAFETY: called once, from _PG_init on the main thread.
    unsafe {
        NEXT = pg_sys::ProcessUtility_hook;
        pg_sys::ProcessUtility_hook = Some(process_utility);
    }
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
                if let Some(database) = database.filter(|_| super::shared::is_ready()) {
                    step_aside::begin(database);
                }
            });
        }
        if concerns_options((*statement).type_) {
            entry(|| super::server_guard::note(statement));
        }
        if concerns_sources((*statement).type_) {
            // Workers that sleep look what changed.
            entry(|| {
                if pg_sys::IsTransactionState() && relation::extension_exists() {
                    if (*statement).type_ == pg_sys::NodeTag::T_AlterExtensionStmt {
                        super::shared::nudge_at_commit();
                    } else {
                        super::shared::nudge_sources_at_commit();
                    }
                }
            });
        }
        let recorded = context == pg_sys::ProcessUtilityContext::PROCESS_UTILITY_TOPLEVEL
            && settings::records_all_statements()
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
            call.hand_to(NEXT, planned, read_only_tree);
            entry(|| after_alter_table(statement));
            if concerns_settings((*statement).type_) {
                entry(|| renew_workers(statement));
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

/// Runs a statement of ours instead of the user's. Event triggers see the user's: this one is a part of it.
pub(super) fn run(call: Call, statement: *mut pg_sys::PlannedStmt) {
    // SAFETY: a statement of our making; NEXT is set once, before the first statement.
    unsafe { call.as_subcommand().run(NEXT, statement) }
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
                super::shared::renew_at_commit(Some(database));
            }
            return;
        }
        let stmt = &*statement.cast::<pg_sys::AlterRoleSetStmt>();
        let of_workers = stmt.role.is_null()
            || pg_sys::get_rolespec_oid(stmt.role, true).to_u32() == pg_sys::BOOTSTRAP_SUPERUSERID;
        if of_workers {
            let database = (!stmt.database.is_null()).then(|| find(stmt.database));
            super::shared::renew_at_commit(database.flatten());
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

/// The registered view that a RangeVar names.
pub(super) unsafe fn view_of(relation: *const pg_sys::RangeVar) -> Option<Oid> {
    if relation.is_null() {
        return None;
    }
    // SAFETY: not null, and a RangeVar by the field's type.
    unsafe { node::relation_of(relation) }.filter(|oid| registered(*oid))
}

/// A copy of the statement that may be changed, and its inner node.
unsafe fn editable<T>(planned: *mut pg_sys::PlannedStmt) -> (*mut pg_sys::PlannedStmt, *mut T) {
    // SAFETY: a deep copy; T follows the tag that the caller looked at.
    unsafe {
        let copied = copy(planned);
        (copied, (*copied).utilityStmt.cast())
    }
}

/// Refuses what standard_ProcessUtility refuses before it looks at a statement that writes.
pub(super) fn check_allowed(tag: &CStr) {
    // SAFETY: each raises or does nothing.
    unsafe {
        pg_sys::PreventCommandIfReadOnly(tag.as_ptr());
        pg_sys::PreventCommandIfParallelMode(tag.as_ptr());
        pg_sys::PreventCommandDuringRecovery(tag.as_ptr());
    }
}

unsafe fn create_statement(call: Call, statement: *mut pg_sys::CreateTableAsStmt) -> bool {
    // SAFETY: the query of a CREATE MATERIALIZED VIEW is analysed when it reaches the hook.
    unsafe {
        let stmt = &*statement;
        if stmt.objtype != pg_sys::ObjectType::OBJECT_MATVIEW
            || !is_a(stmt.query, pg_sys::NodeTag::T_Query)
        {
            return false;
        }
        let query = Query(stmt.query.cast());
        if !query.reads_stream() {
            return false;
        }
        check_allowed(c"CREATE MATERIALIZED VIEW");
        let into = &*stmt.into;
        let options = pointers::<pg_sys::DefElem>(into.options);
        let (ours, storage): (Vec<_>, Vec<_>) = options
            .into_iter()
            .partition(|option| create::is_view_option(&definition(*option).name));
        let request = create::Request {
            schema: text(pg_sys::get_namespace_name(
                pg_sys::RangeVarGetAndCheckCreationNamespace(
                    into.rel,
                    pg_sys::NoLock as i32,
                    std::ptr::null_mut(),
                ),
            ))
            .unwrap_or_default(),
            name: text((*into.rel).relname).unwrap_or_default(),
            column_names: names(into.colNames),
            if_not_exists: stmt.if_not_exists,
            options: ours.into_iter().map(|option| definition(option)).collect(),
            storage_options: storage
                .into_iter()
                .map(|option| definition(option))
                .collect(),
            access_method: text(into.accessMethod),
            tablespace: text(into.tableSpaceName),
            query,
        };
        with_event_triggers(call.context, statement.cast(), || create::run(request));
        true
    }
}

/// Fires the event triggers of `statement` around `work`, as ProcessUtilitySlow does.
pub(super) unsafe fn with_event_triggers(
    context: pg_sys::ProcessUtilityContext::Type,
    statement: *mut pg_sys::Node,
    work: impl FnOnce(),
) {
    let complete = context != pg_sys::ProcessUtilityContext::PROCESS_UTILITY_SUBCOMMAND;
    // SAFETY: begin and end are paired, also when `work` unwinds: a state left behind would point into freed memory.
    unsafe {
        struct End(bool);
        impl Drop for End {
            fn drop(&mut self) {
                if self.0 {
                    // SAFETY: pops the state that EventTriggerBeginCompleteQuery pushed.
                    unsafe { pg_sys::EventTriggerEndCompleteQuery() }
                }
            }
        }
        let _end = End(complete && pg_sys::EventTriggerBeginCompleteQuery());
        if complete {
            pg_sys::EventTriggerDDLCommandStart(statement);
        }
        work();
        if complete {
            pg_sys::EventTriggerSQLDrop(statement);
            pg_sys::EventTriggerDDLCommandEnd(statement);
        }
    }
}

unsafe fn refresh_statement(call: Call, statement: *mut pg_sys::RefreshMatViewStmt) -> bool {
    // SAFETY: by the tag.
    unsafe {
        let Some(view) = view_of((*statement).relation) else {
            return false;
        };
        check_allowed(c"REFRESH MATERIALIZED VIEW");
        let skip_data = (*statement).skipData;
        with_event_triggers(call.context, statement.cast(), || {
            crate::refresh::statement(view, skip_data)
        });
        true
    }
}

unsafe fn drop_statement(call: Call, planned: *mut pg_sys::PlannedStmt) -> bool {
    // SAFETY: the objects of DROP MATERIALIZED VIEW are lists of names.
    unsafe {
        let stmt = (*planned).utilityStmt.cast::<pg_sys::DropStmt>();
        if (*stmt).removeType != pg_sys::ObjectType::OBJECT_MATVIEW {
            return false;
        }
        let original = (*planned).utilityStmt;
        let (copied, stmt) = editable::<pg_sys::DropStmt>(planned);
        let (mut ours, mut others) = (std::ptr::null_mut(), std::ptr::null_mut());
        for object in pointers::<pg_sys::List>((*stmt).objects) {
            match view_of(pg_sys::makeRangeVarFromNameList(object)) {
                Some(view) => {
                    // DROP TABLE would say "must be owner of table".
                    owned(view);
                    ours = append(ours, object);
                }
                None => others = append(others, object),
            }
        }
        if ours.is_null() {
            return false;
        }
        check_allowed(c"DROP MATERIALIZED VIEW");
        with_event_triggers(call.context, original, || {
            if !others.is_null() {
                (*stmt).objects = others;
                run(call, copy(copied));
            }
            (*stmt).objects = ours;
            (*stmt).removeType = pg_sys::ObjectType::OBJECT_TABLE;
            run(call, copied);
        });
        true
    }
}

unsafe fn alter_statement(call: Call, planned: *mut pg_sys::PlannedStmt) -> bool {
    // SAFETY: by the tags.
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

/// CREATE SERVER with our foreign-data wrapper by somebody who may not use that: what Postgres says, and whom to ask.
unsafe fn server_statement(statement: *mut pg_sys::CreateForeignServerStmt) -> bool {
    // SAFETY: by the tag; the name is NUL-terminated.
    unsafe {
        if CStr::from_ptr((*statement).fdwname) == relation::EXTENSION
            && !foreign::may_use_wrapper()
        {
            crate::error::wrapper_denied(&relation::role_name(relation::current_user())).raise();
        }
        false
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

unsafe fn rename_statement(call: Call, planned: *mut pg_sys::PlannedStmt) -> bool {
    // SAFETY: by the tag.
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

unsafe fn set_schema_statement(call: Call, planned: *mut pg_sys::PlannedStmt) -> bool {
    // SAFETY: by the tag.
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

unsafe fn comment_statement(call: Call, planned: *mut pg_sys::PlannedStmt) -> bool {
    // SAFETY: the object of COMMENT ON MATERIALIZED VIEW is a list of names.
    unsafe {
        let stmt = (*planned).utilityStmt.cast::<pg_sys::CommentStmt>();
        if (*stmt).objtype != pg_sys::ObjectType::OBJECT_MATVIEW
            || view_of(pg_sys::makeRangeVarFromNameList((*stmt).object.cast())).is_none()
        {
            return false;
        }
        let (copied, stmt) = editable::<pg_sys::CommentStmt>(planned);
        (*stmt).objtype = pg_sys::ObjectType::OBJECT_TABLE;
        with_event_triggers(call.context, (*planned).utilityStmt, || run(call, copied));
        true
    }
}

unsafe fn trigger_statement(call: Call, planned: *mut pg_sys::PlannedStmt) -> bool {
    // SAFETY: by the tag.
    unsafe {
        let stmt = (*planned).utilityStmt.cast::<pg_sys::CreateTrigStmt>();
        let Some(view) = view_of((*stmt).relation) else {
            return false;
        };
        check_allowed(c"CREATE TRIGGER");
        with_event_triggers(call.context, (*planned).utilityStmt, || {
            run(call, copy(planned));
            alter::after(view);
        });
        true
    }
}

/// EXPLAIN ANALYZE would build a native materialized view and read the topic into it.
unsafe fn explain_statement(statement: *mut pg_sys::ExplainStmt) -> bool {
    // SAFETY: the query of an EXPLAIN is analysed when it reaches the hook.
    unsafe {
        let query = (*statement).query.cast::<pg_sys::Query>();
        if !is_a(query, pg_sys::NodeTag::T_Query)
            || !is_a((*query).utilityStmt, pg_sys::NodeTag::T_CreateTableAsStmt)
        {
            return false;
        }
        let create = &*(*query).utilityStmt.cast::<pg_sys::CreateTableAsStmt>();
        if create.objtype == pg_sys::ObjectType::OBJECT_MATVIEW
            && is_a(create.query, pg_sys::NodeTag::T_Query)
            && Query(create.query.cast()).reads_stream()
        {
            create::refuse_explain();
        }
        false
    }
}

/// The strings of a list of names.
pub(super) unsafe fn names(list: *mut pg_sys::List) -> Vec<String> {
    // SAFETY: the cells are String nodes; strVal reads their only field.
    unsafe {
        pointers::<pg_sys::Node>(list)
            .into_iter()
            .map(|name| {
                let owned: CString = CStr::from_ptr(super::polyfill::string_value(name)).into();
                owned.to_string_lossy().into_owned()
            })
            .collect()
    }
}
