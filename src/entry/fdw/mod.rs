//! The foreign-data wrapper: its callbacks, and IMPORT FOREIGN SCHEMA.
//!
//! What a scan reads and when it ends is `crate::scan`'s; here are the planner's and the executor's nodes.

pub(super) mod executor;
mod explain;
mod planner;

use crate::api::external_schema;
use crate::pg::guard::entry;
use crate::pg::node::{append, pointers};
use crate::pg::relation::{Oid, text};
use pgrx::pg_sys;
use std::ffi::CString;

/// The handler function's result.
pub(super) fn routine() -> *mut pg_sys::FdwRoutine {
    // SAFETY: a node of that tag, zeroed.
    unsafe {
        let mut routine =
            pgrx::PgBox::<pg_sys::FdwRoutine>::alloc_node(pg_sys::NodeTag::T_FdwRoutine);
        routine.GetForeignRelSize = Some(planner::estimate_size);
        routine.GetForeignPaths = Some(planner::add_path);
        routine.GetForeignPlan = Some(planner::make_plan);
        routine.BeginForeignScan = Some(executor::begin);
        routine.IterateForeignScan = Some(executor::iterate);
        routine.ReScanForeignScan = Some(executor::rescan);
        routine.EndForeignScan = Some(executor::end);
        routine.ExplainForeignScan = Some(explain::explain);
        routine.ImportForeignSchema = Some(import_schema);
        super::stream_insert::add_to(routine.as_ptr());
        routine.into_pg()
    }
}

unsafe extern "C-unwind" fn import_schema(
    statement: *mut pg_sys::ImportForeignSchemaStmt,
    _server: Oid,
) -> *mut pg_sys::List {
    // SAFETY: arguments from IMPORT FOREIGN SCHEMA; the commands are copied into Postgres's memory.
    unsafe {
        entry(|| {
            let server = text((*statement).server_name).unwrap_or_default();
            let is_wanted = |name: &str| {
                let name = CString::new(name).unwrap_or_default();
                pg_sys::IsImportableForeignTable(name.as_ptr(), statement)
            };
            let is_limited = (*statement).list_type
                == pg_sys::ImportForeignSchemaType::FDW_IMPORT_SCHEMA_LIMIT_TO;
            let listed: Vec<String> = pointers::<pg_sys::RangeVar>((*statement).table_list)
                .into_iter()
                .filter(|_| is_limited)
                .filter_map(|name| text((*name).relname))
                .collect();
            let commands = external_schema::import_commands(&server, is_wanted, &listed);
            let mut list = std::ptr::null_mut();
            for command in commands {
                let command = CString::new(command).unwrap_or_default();
                list = append(list, pg_sys::pstrdup(command.as_ptr()));
            }
            list
        })
    }
}
