//! EXPLAIN of the scan of a stream: what it is asked for and, with ANALYZE, what it has read.

use super::executor::State;
use super::planner::{EXPRS_BOUNDS, EXPRS_QUALS, PRIVATE_BOUNDS, PRIVATE_LIMIT};
use crate::pg::guard::entry;
use crate::pg::node::pointers;
use crate::pg::relation::text;
use crate::scan::stream_scan;
use pgrx::pg_sys;
use plan::bounds::{self, Bound};
use std::ffi::{CStr, CString, c_char};

pub(super) unsafe extern "C-unwind" fn explain(
    node: *mut pg_sys::ForeignScanState,
    output: *mut pg_sys::ExplainState,
) {
    // SAFETY: arguments from EXPLAIN.
    unsafe {
        entry(|| {
            let plan = (*node).ss.ps.plan.cast::<pg_sys::ForeignScan>();
            let table = (*(*node).ss.ss_currentRelation).rd_id;
            let (label, stream, parts) = stream_scan::describe(table);
            property(label, &stream, output);
            let names = (*output).deparse_cxt;
            let context =
                pg_sys::set_deparse_context_plan(names, plan.cast(), std::ptr::null_mut());
            let prefix = pg_sys::list_length((*output).rtable) > 1 || (*output).verbose;
            let quals = pg_sys::list_nth((*plan).fdw_exprs, EXPRS_QUALS).cast::<pg_sys::List>();
            if !quals.is_null() {
                let clause = pg_sys::make_ands_explicit(quals).cast();
                show(
                    c"Filter",
                    pg_sys::deparse_expression(clause, context, prefix, false),
                    output,
                );
            }
            let codes =
                pg_sys::list_nth((*plan).fdw_private, PRIVATE_BOUNDS).cast::<pg_sys::List>();
            let operands =
                pointers::<pg_sys::Node>(pg_sys::list_nth((*plan).fdw_exprs, EXPRS_BOUNDS).cast());
            let mut bounds: Vec<(Bound, String)> = Vec::new();
            for (i, operand) in operands.into_iter().enumerate() {
                if let Some(bound) = Bound::from_code(pg_sys::list_nth_int(codes, i as i32)) {
                    let operand = text(pg_sys::deparse_expression(operand, context, false, false));
                    bounds.push((bound, operand.unwrap_or_default()));
                }
            }
            for (label, value) in bounds::explain(&bounds, parts) {
                property(label, &value, output);
            }
            let limit = (*pg_sys::list_nth((*plan).fdw_private, PRIVATE_LIMIT)
                .cast::<pg_sys::Integer>())
            .ival;
            if limit > 0 {
                pg_sys::ExplainPropertyInteger(
                    c"Limit".as_ptr(),
                    std::ptr::null(),
                    i64::from(limit),
                    output,
                );
            }
            let state = (*node).fdw_state.cast::<State>();
            if (*output).analyze
                && !state.is_null()
                && let Some(scan) = (*state).scan.as_ref()
            {
                for (label, value) in scan.statistics((*output).timing) {
                    property(label, &value, output);
                }
                if !(*node).ss.ps.instrument.is_null() && !quals.is_null() {
                    let removed = (*(*node).ss.ps.instrument).nfiltered1;
                    let removed = removed / (*(*node).ss.ps.instrument).nloops.max(1.0);
                    pg_sys::ExplainPropertyFloat(
                        c"Rows Removed by Filter".as_ptr(),
                        std::ptr::null(),
                        removed,
                        0,
                        output,
                    );
                }
            }
        })
    }
}

unsafe fn property(label: &CStr, value: &str, output: *mut pg_sys::ExplainState) {
    let value = CString::new(value).unwrap_or_default();
    // SAFETY: the text is copied.
    unsafe { show(label, value.as_ptr(), output) }
}

unsafe fn show(label: &CStr, value: *const c_char, output: *mut pg_sys::ExplainState) {
    // SAFETY: NUL-terminated strings.
    unsafe { pg_sys::ExplainPropertyText(label.as_ptr(), value, output) }
}
