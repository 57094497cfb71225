//! CREATE, REFRESH, DROP and COMMENT of a streaming materialized view, and triggers on it.

use super::statement::{check_allowed, editable, run, view_of, with_event_triggers};
use crate::pg::node::{append, copy, definition, is_a, names, pointers};
use crate::pg::query::Query;
use crate::pg::relation::text;
use crate::pg::utility_call::Call;
use crate::view::{alter, create, owned};
use pgrx::pg_sys;

pub(super) unsafe fn create_statement(
    call: Call,
    statement: *mut pg_sys::CreateTableAsStmt,
) -> bool {
    // SAFETY: the query of a CREATE MATERIALIZED VIEW is analysed when it reaches the hook.
    unsafe {
        let stmt = &*statement;
        if stmt.objtype != pg_sys::ObjectType::OBJECT_MATVIEW
            || !is_a(stmt.query, pg_sys::NodeTag::T_Query)
        {
            return false;
        }
        let query = Query::new(stmt.query.cast());
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

pub(super) unsafe fn refresh_statement(
    call: Call,
    statement: *mut pg_sys::RefreshMatViewStmt,
) -> bool {
    // SAFETY: `handle` chose this function by the tag; the fields are as the parser leaves them.
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

pub(super) unsafe fn drop_statement(call: Call, planned: *mut pg_sys::PlannedStmt) -> bool {
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

pub(super) unsafe fn comment_statement(call: Call, planned: *mut pg_sys::PlannedStmt) -> bool {
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

pub(super) unsafe fn trigger_statement(call: Call, planned: *mut pg_sys::PlannedStmt) -> bool {
    // SAFETY: `handle` chose this function by the tag; the fields are as the parser leaves them.
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
pub(super) unsafe fn explain_statement(statement: *mut pg_sys::ExplainStmt) -> bool {
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
            && Query::new(create.query.cast()).reads_stream()
        {
            create::refuse_explain();
        }
        false
    }
}
