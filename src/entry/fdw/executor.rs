//! Running the scan of a stream.
//!
//! The definition's WHERE is evaluated here and not by the executor's scan loop, because only the scan can say how many records of which partition it
//! dropped.

use super::planner::{
    EXPRS_BOUNDS, EXPRS_QUALS, PRIVATE_ATTRIBUTES, PRIVATE_BOUNDS, PRIVATE_LIMIT,
};
use crate::pg::guard::{entry, preserving};
use crate::pg::node::pointers;
use crate::pg::tuple::RowWriter;
use crate::pg::{attribute, chunk_table, polyfill, wait};
use crate::scan::shape::{self, Shape};
use crate::scan::stream_scan::StreamScan;
use crate::source::column::Column;
use pgrx::{FromDatum, pg_sys};
use plan::bounds::{Bound, BoundColumn, Bounds, Comparison};
use std::ffi::{c_int, c_void};

/// What a running scan needs beside the scan itself.
pub(super) struct State {
    pub scan: Option<StreamScan>,
    writer: RowWriter,
    quals: *mut pg_sys::ExprState,
    bounds: Vec<(Bound, *mut pg_sys::ExprState)>,
}

pub(super) unsafe extern "C-unwind" fn begin(node: *mut pg_sys::ForeignScanState, flags: c_int) {
    // SAFETY: arguments from the executor.
    unsafe {
        entry(|| {
            if flags & pg_sys::EXEC_FLAG_EXPLAIN_ONLY as c_int != 0 {
                return;
            }
            let plan = (*node).ss.ps.plan.cast::<pg_sys::ForeignScan>();
            let relation = (*node).ss.ss_currentRelation;
            let parent: *mut pg_sys::PlanState = &raw mut (*node).ss.ps;
            let (exprs, private) = ((*plan).fdw_exprs, (*plan).fdw_private);
            let quals = pg_sys::ExecInitQual(pg_sys::list_nth(exprs, EXPRS_QUALS).cast(), parent);
            let operands = pointers::<pg_sys::Expr>(pg_sys::list_nth(exprs, EXPRS_BOUNDS).cast());
            let codes = pg_sys::list_nth(private, PRIVATE_BOUNDS).cast::<pg_sys::List>();
            let bounds = operands
                .into_iter()
                .enumerate()
                .filter_map(|(i, operand)| {
                    let bound = Bound::from_code(pg_sys::list_nth_int(codes, i as i32))?;
                    Some((bound, pg_sys::ExecInitExpr(operand, parent)))
                })
                .collect();
            let limit = (*pg_sys::list_nth(private, PRIVATE_LIMIT).cast::<pg_sys::Integer>()).ival;
            let read = pg_sys::list_nth(private, PRIVATE_ATTRIBUTES).cast::<pg_sys::List>();
            // What the executor's expressions read the rows by, which is not always as it was when the query was planned.
            let descriptor = (*(*node).ss.ss_ScanTupleSlot).tts_tupleDescriptor;
            let table = (*relation).rd_id;
            let set = shape::set_of(table);
            let shape = shape::of_attributes(table, set, &attribute::of_descriptor(descriptor));
            let columns = columns_read(&shape, read);
            let state = State {
                scan: Some(StreamScan::begin(
                    table,
                    polyfill::scan_user(node),
                    set,
                    columns,
                    u64::try_from(limit).unwrap_or(0),
                )),
                writer: RowWriter::new((*descriptor).natts as usize),
                quals,
                bounds,
            };
            let state = Box::into_raw(Box::new(state));
            (*node).fdw_state = state.cast();
            drop_with_context((*(*node).ss.ps.state).es_query_cxt, state);
        })
    }
}

/// The attributes (from 0) that are read, and which of the stream's columns each is.
unsafe fn columns_read(shape: &Shape, read: *mut pg_sys::List) -> Vec<(usize, Column)> {
    // SAFETY: an integer list.
    unsafe {
        let whole_row = pg_sys::list_member_int(read, 0);
        let columns = shape.iter().enumerate();
        columns
            .filter(|(i, _)| whole_row || pg_sys::list_member_int(read, *i as i32 + 1))
            .filter_map(|(i, column)| Some((i, (*column)?)))
            .collect()
    }
}

/// Drops a state with the executor's memory: at the end of the query and on every error.
pub(in crate::entry) unsafe fn drop_with_context<T>(context: pg_sys::MemoryContext, state: *mut T) {
    unsafe extern "C-unwind" fn drop_state<T>(state: *mut c_void) {
        // SAFETY: made by Box::into_raw by who called, dropped once.
        let state = unsafe { Box::from_raw(state.cast::<T>()) };
        chunk_table::abandoning(|| drop(state));
    }
    // SAFETY: the callback lives in the context that calls it.
    unsafe {
        let callback = pg_sys::MemoryContextAllocZero(
            context,
            std::mem::size_of::<pg_sys::MemoryContextCallback>(),
        )
        .cast::<pg_sys::MemoryContextCallback>();
        (*callback).func = Some(drop_state::<T>);
        (*callback).arg = state.cast();
        pg_sys::MemoryContextRegisterResetCallback(context, callback);
    }
}

pub(super) unsafe extern "C-unwind" fn iterate(
    node: *mut pg_sys::ForeignScanState,
) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the state is the Box of `begin`.
    unsafe {
        entry(|| {
            let state = &mut *(*node).fdw_state.cast::<State>();
            let slot = (*node).ss.ss_ScanTupleSlot;
            let Some(scan) = state.scan.as_mut() else {
                return slot;
            };
            let econtext = (*node).ss.ps.ps_ExprContext;
            if !scan.is_open() {
                scan.open(evaluate_bounds(&state.bounds, econtext));
            }
            state.writer.attach(slot);
            (*econtext).ecxt_scantuple = slot;
            while scan.next(&mut state.writer) {
                state.writer.store();
                if passes(state.quals, econtext) {
                    return slot;
                }
                scan.filtered();
                if !(*node).ss.ps.instrument.is_null() {
                    (*(*node).ss.ps.instrument).nfiltered1 += 1.0;
                }
                pg_sys::MemoryContextReset((*econtext).ecxt_per_tuple_memory);
                wait::interruption();
            }
            state.writer.attach(slot);
            slot
        })
    }
}

/// ExecQual of executor.h, with errors kept whole: a definition may raise anything.
unsafe fn passes(quals: *mut pg_sys::ExprState, econtext: *mut pg_sys::ExprContext) -> bool {
    if quals.is_null() {
        return true;
    }
    // SAFETY: an expression state of this node; the executor calls us in the per-tuple context.
    unsafe {
        let mut is_null = false;
        let Some(evaluate) = (*quals).evalfunc else {
            return true;
        };
        preserving(|| evaluate(quals, econtext, &mut is_null)).value() != 0
    }
}

/// The values of the bounds at the scan's start.
unsafe fn evaluate_bounds(
    bounds: &[(Bound, *mut pg_sys::ExprState)],
    econtext: *mut pg_sys::ExprContext,
) -> Bounds {
    let mut values = Bounds::default();
    for (bound, expression) in bounds {
        let mut is_null = false;
        // SAFETY: an expression state of this node.
        let datum = unsafe {
            (**expression)
                .evalfunc
                .map(|evaluate| preserving(|| evaluate(*expression, econtext, &mut is_null)))
        };
        let datum = datum.filter(|_| !is_null);
        if bound.column == BoundColumn::Shard {
            let shards = datum.map(|datum| shard_ids(datum, bound.comparison));
            values.only_shards(shards.unwrap_or_default());
            continue;
        }
        if bound.comparison == Comparison::AnyOf {
            // SAFETY: the planner took no other types for such a bound.
            let list = datum.map(|datum| unsafe { partitions(datum) });
            values.only_partitions(list.unwrap_or_default());
            continue;
        }
        // All are integers passed by value; narrower ones are sign-extended in their datum.
        values.narrow(*bound, datum.map(|datum| datum.value() as i64));
    }
    values
}

/// The right side of a condition on partitions: an array of bigint or integer.
unsafe fn partitions(datum: pg_sys::Datum) -> Vec<i64> {
    // SAFETY: a value that is not null, of one of these types; its own header says which.
    unsafe {
        let array = pg_sys::pg_detoast_datum(datum.cast_mut_ptr()).cast::<pg_sys::ArrayType>();
        let datum = pg_sys::Datum::from(array);
        if (*array).elemtype == pg_sys::INT4OID {
            let list = Vec::<Option<i32>>::from_datum(datum, false).unwrap_or_default();
            return list.into_iter().flatten().map(i64::from).collect();
        }
        let list = Vec::<Option<i64>>::from_datum(datum, false).unwrap_or_default();
        list.into_iter().flatten().collect()
    }
}

/// The right side of a condition on shards: a text, or an array of them.
fn shard_ids(datum: pg_sys::Datum, comparison: Comparison) -> Vec<String> {
    // SAFETY: a value that is not null, of type character or an array of it.
    unsafe {
        if comparison == Comparison::AnyOf {
            let list = Vec::<Option<String>>::from_datum(datum, false);
            return list.unwrap_or_default().into_iter().flatten().collect();
        }
        String::from_datum(datum, false).into_iter().collect()
    }
}

pub(super) unsafe extern "C-unwind" fn rescan(node: *mut pg_sys::ForeignScanState) {
    // SAFETY: the state is the Box of `begin`.
    unsafe {
        entry(|| {
            if let Some(scan) = (*(*node).fdw_state.cast::<State>()).scan.as_mut() {
                scan.restart();
            }
        })
    }
}

pub(super) unsafe extern "C-unwind" fn end(node: *mut pg_sys::ForeignScanState) {
    // SAFETY: the state is the Box of `begin`, absent after EXPLAIN without ANALYZE.
    unsafe {
        entry(|| {
            let state = (*node).fdw_state.cast::<State>();
            if !state.is_null()
                && let Some(scan) = (*state).scan.take()
            {
                scan.end();
            }
        })
    }
}
