//! The foreign-data wrapper's callbacks: planning and running a scan of a topic, EXPLAIN, and IMPORT FOREIGN SCHEMA.
//!
//! What a scan reads and when it ends is `crate::scan`'s; here are the planner's and the executor's nodes. The definition's WHERE is
//! evaluated here and not by the executor's scan loop, because only the scan can say how many records of which partition it dropped.

use crate::pg::attribute;
use crate::pg::guard::{entry, preserving};
use crate::pg::node::{append, is_a, pointers};
use crate::pg::relation::{Oid, text};
use crate::pg::tuple::RowWriter;
use crate::scan;
use crate::scan::shape::{self, Shape};
use crate::scan::stream_scan::{self, StreamScan};
use crate::source::column::Column;
use pgrx::{FromDatum, pg_sys};
use plan::bounds::{self, Bound, BoundColumn, Bounds, Comparison};
use std::ffi::{CStr, CString, c_char, c_int, c_void};

/// Rows that the planner expects of a topic: asking the broker while planning would cost more than a better guess gains.
const EXPECTED_ROWS: f64 = 100_000.0;

/// Places in `fdw_exprs`: the WHERE clauses, and what the bounds compare with.
const EXPRS_QUALS: i32 = 0;
const EXPRS_BOUNDS: i32 = 1;
/// Places in `fdw_private`: attributes that are read, the bounds' columns and comparisons, and the LIMIT (0: none).
const PRIVATE_ATTRIBUTES: i32 = 0;
const PRIVATE_BOUNDS: i32 = 1;
const PRIVATE_LIMIT: i32 = 2;

/// The handler function's result.
pub(super) fn routine() -> *mut pg_sys::FdwRoutine {
    // SAFETY: a node of that tag, zeroed.
    unsafe {
        let mut routine =
            pgrx::PgBox::<pg_sys::FdwRoutine>::alloc_node(pg_sys::NodeTag::T_FdwRoutine);
        routine.GetForeignRelSize = Some(estimate_size);
        routine.GetForeignPaths = Some(add_path);
        routine.GetForeignPlan = Some(make_plan);
        routine.BeginForeignScan = Some(begin);
        routine.IterateForeignScan = Some(iterate);
        routine.ReScanForeignScan = Some(rescan);
        routine.EndForeignScan = Some(end);
        routine.ExplainForeignScan = Some(explain);
        routine.ImportForeignSchema = Some(import_schema);
        routine.into_pg()
    }
}

unsafe extern "C-unwind" fn estimate_size(
    root: *mut pg_sys::PlannerInfo,
    relation: *mut pg_sys::RelOptInfo,
    table: Oid,
) {
    // SAFETY: arguments from the planner.
    unsafe {
        entry(|| {
            shape::check(table);
            (*relation).tuples = EXPECTED_ROWS;
            pg_sys::set_baserel_size_estimates(root, relation);
        })
    }
}

unsafe extern "C-unwind" fn add_path(
    root: *mut pg_sys::PlannerInfo,
    relation: *mut pg_sys::RelOptInfo,
    _table: Oid,
) {
    // A broker answers in milliseconds, a record costs a little more than a row of a table.
    const STARTUP_COST: f64 = 100.0;
    const COST_PER_RECORD: f64 = 0.02;
    // SAFETY: arguments from the planner.
    unsafe {
        entry(|| {
            let total = STARTUP_COST + EXPECTED_ROWS * COST_PER_RECORD;
            let path = crate::pg::polyfill::foreign_scan_path(root, relation, STARTUP_COST, total);
            pg_sys::add_path(relation, path.cast());
        })
    }
}

unsafe extern "C-unwind" fn make_plan(
    root: *mut pg_sys::PlannerInfo,
    relation: *mut pg_sys::RelOptInfo,
    table: Oid,
    _path: *mut pg_sys::ForeignPath,
    targets: *mut pg_sys::List,
    clauses: *mut pg_sys::List,
    outer: *mut pg_sys::Plan,
) -> *mut pg_sys::ForeignScan {
    // SAFETY: arguments from the planner.
    unsafe {
        entry(|| {
            // CREATE and REFRESH of a native materialized view are security-restricted operations, and so are our own refreshes.
            if pg_sys::InSecurityRestrictedOperation() {
                scan::check_allowed_here(table);
            }
            let clauses = pg_sys::extract_actual_clauses(clauses, false);
            let mut keys: *mut pg_sys::List = std::ptr::null_mut();
            let mut operands: *mut pg_sys::List = std::ptr::null_mut();
            let stream = (&shape::of_relation(table), (*relation).relid);
            for clause in pointers::<pg_sys::Node>(clauses) {
                if let Some((bound, operand)) = bound_of(clause, stream) {
                    keys = pg_sys::lappend_int(keys, bound.to_code());
                    operands = append(operands, operand);
                }
            }
            let mut exprs = append(std::ptr::null_mut(), clauses);
            exprs = append(exprs, operands);
            let mut private = append(std::ptr::null_mut(), attributes_read(relation, clauses));
            private = append(private, keys);
            private = append(private, pg_sys::makeInteger(limit_of(root, clauses)));
            let nothing = std::ptr::null_mut();
            pg_sys::make_foreignscan(
                targets,
                nothing,
                (*relation).relid,
                exprs,
                private,
                nothing,
                nothing,
                outer,
            )
        })
    }
}

/// The attribute numbers that the query looks at (0 stands for the whole row).
unsafe fn attributes_read(
    relation: *mut pg_sys::RelOptInfo,
    clauses: *mut pg_sys::List,
) -> *mut pg_sys::List {
    // SAFETY: arguments from the planner.
    unsafe {
        let mut members: *mut pg_sys::Bitmapset = std::ptr::null_mut();
        let relid = (*relation).relid;
        pg_sys::pull_varattnos((*(*relation).reltarget).exprs.cast(), relid, &mut members);
        pg_sys::pull_varattnos(clauses.cast(), relid, &mut members);
        let mut list = std::ptr::null_mut();
        let mut member = -1;
        loop {
            member = pg_sys::bms_next_member(members, member);
            if member < 0 {
                return list;
            }
            list = pg_sys::lappend_int(list, member + pg_sys::FirstLowInvalidHeapAttributeNumber);
        }
    }
}

/// How many records are enough: the query's LIMIT, if every record read is a row of the result.
unsafe fn limit_of(root: *mut pg_sys::PlannerInfo, clauses: *mut pg_sys::List) -> i32 {
    // SAFETY: arguments from the planner.
    unsafe {
        let query = &*(*root).parse;
        let one_to_one = clauses.is_null()
            && query.sortClause.is_null()
            && query.distinctClause.is_null()
            && !query.hasTargetSRFs
            && pg_sys::bms_membership((*root).all_baserels)
                == pg_sys::BMS_Membership::BMS_SINGLETON;
        let limit = (*root).limit_tuples;
        if one_to_one && limit >= 1.0 && limit < f64::from(i32::MAX) {
            limit.ceil() as i32
        } else {
            0
        }
    }
}

/// `column comparison expression` on partition, offset or timestamp, if the expression can be evaluated before the scan.
unsafe fn bound_of(
    clause: *mut pg_sys::Node,
    stream: (&Shape, pg_sys::Index),
) -> Option<(Bound, *mut pg_sys::Node)> {
    // SAFETY: casts follow the tags; an operator of these families has two arguments.
    unsafe {
        if is_a(clause, pg_sys::NodeTag::T_ScalarArrayOpExpr) {
            return partition_list(&*clause.cast::<pg_sys::ScalarArrayOpExpr>(), stream);
        }
        if !is_a(clause, pg_sys::NodeTag::T_OpExpr) {
            return None;
        }
        let operation = &*clause.cast::<pg_sys::OpExpr>();
        let arguments = pointers::<pg_sys::Node>(operation.args);
        let [left, right] = arguments[..] else {
            return None;
        };
        let (operator, column, operand) = match (column_of(left, stream), column_of(right, stream))
        {
            (Some(column), None) => (operation.opno, column, right),
            (None, Some(column)) => (pg_sys::get_commutator(operation.opno), column, left),
            _ => return None,
        };
        let (family, operand_types): (Oid, &[Oid]) = match column {
            BoundColumn::Partition | BoundColumn::Offset => (
                pg_sys::Oid::from(INTEGER_BTREE_FAMILY),
                &[pg_sys::INT8OID, pg_sys::INT4OID, pg_sys::INT2OID],
            ),
            BoundColumn::Timestamp => (
                pg_sys::Oid::from(DATETIME_BTREE_FAMILY),
                &[pg_sys::TIMESTAMPOID],
            ),
            BoundColumn::Shard => (
                pg_sys::Oid::from(CHARACTER_BTREE_FAMILY),
                &[pg_sys::BPCHAROID],
            ),
        };
        let comparison =
            Comparison::of_btree_strategy(pg_sys::get_op_opfamily_strategy(operator, family))?;
        let is_by_bytes = is_deterministic(operation.inputcollid);
        if column == BoundColumn::Shard && (comparison != Comparison::Equal || !is_by_bytes) {
            return None;
        }
        let known_before =
            !pg_sys::contain_var_clause(operand) && !pg_sys::contain_volatile_functions(operand);
        (known_before && operand_types.contains(&pg_sys::exprType(operand)))
            .then_some((Bound { column, comparison }, operand))
    }
}

/// `kafka_partition IN (..)` or `shard_id IN (..)`, which is `= ANY (array)`, if the array can be evaluated before the scan.
unsafe fn partition_list(
    operation: &pg_sys::ScalarArrayOpExpr,
    stream: (&Shape, pg_sys::Index),
) -> Option<(Bound, *mut pg_sys::Node)> {
    // SAFETY: an operator over an array has two arguments.
    unsafe {
        let arguments = pointers::<pg_sys::Node>(operation.args);
        let [left, array] = arguments[..] else {
            return None;
        };
        let column = column_of(left, stream)?;
        let (family, array_types): (u32, &[Oid]) = match column {
            BoundColumn::Partition => (
                INTEGER_BTREE_FAMILY,
                &[pg_sys::INT8ARRAYOID, pg_sys::INT4ARRAYOID],
            ),
            BoundColumn::Shard => (CHARACTER_BTREE_FAMILY, &[pg_sys::BPCHARARRAYOID]),
            _ => return None,
        };
        let strategy = pg_sys::get_op_opfamily_strategy(operation.opno, pg_sys::Oid::from(family));
        let usable = operation.useOr
            && Comparison::of_btree_strategy(strategy) == Some(Comparison::Equal)
            && array_types.contains(&pg_sys::exprType(array))
            && is_deterministic(operation.inputcollid)
            && !pg_sys::contain_var_clause(array)
            && !pg_sys::contain_volatile_functions(array);
        let bound = Bound {
            column,
            comparison: Comparison::AnyOf,
        };
        usable.then_some((bound, array))
    }
}

/// pg_opfamily.dat: integer_ops, bpchar_ops and datetime_ops of btree.
const INTEGER_BTREE_FAMILY: u32 = 1976;
const CHARACTER_BTREE_FAMILY: u32 = 426;
const DATETIME_BTREE_FAMILY: u32 = 434;

/// Are texts equal by this collation only if they are the same? (None is that of numbers.)
unsafe fn is_deterministic(collation: Oid) -> bool {
    // SAFETY: a collation of an analysed expression.
    collation == Oid::INVALID || unsafe { pg_sys::get_collation_isdeterministic(collation) }
}

unsafe fn column_of(
    node: *mut pg_sys::Node,
    (shape, relid): (&Shape, pg_sys::Index),
) -> Option<BoundColumn> {
    // SAFETY: casts follow the tags.
    unsafe {
        if !is_a(node, pg_sys::NodeTag::T_Var) {
            return None;
        }
        let var = &*node.cast::<pg_sys::Var>();
        if var.varno as pg_sys::Index != relid || var.varlevelsup != 0 {
            return None;
        }
        // System columns have numbers below 1.
        let attribute = usize::try_from(var.varattno).ok()?.checked_sub(1)?;
        (*shape.get(attribute)?)?.bound()
    }
}

/// What a running scan needs beside [`Scan`].
struct State {
    scan: Option<StreamScan>,
    writer: RowWriter,
    quals: *mut pg_sys::ExprState,
    bounds: Vec<(Bound, *mut pg_sys::ExprState)>,
}

unsafe extern "C-unwind" fn begin(node: *mut pg_sys::ForeignScanState, flags: c_int) {
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
                    crate::pg::polyfill::scan_user(node),
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

/// Drops the state with the executor's memory: at the end of the query and on every error.
unsafe fn drop_with_context(context: pg_sys::MemoryContext, state: *mut State) {
    unsafe extern "C-unwind" fn drop_state(state: *mut c_void) {
        // SAFETY: made by Box::into_raw in `begin`, dropped once.
        drop(unsafe { Box::from_raw(state.cast::<State>()) });
    }
    // SAFETY: the callback lives in the context that calls it.
    unsafe {
        let callback = pg_sys::MemoryContextAllocZero(
            context,
            std::mem::size_of::<pg_sys::MemoryContextCallback>(),
        )
        .cast::<pg_sys::MemoryContextCallback>();
        (*callback).func = Some(drop_state);
        (*callback).arg = state.cast();
        pg_sys::MemoryContextRegisterResetCallback(context, callback);
    }
}

unsafe extern "C-unwind" fn iterate(
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
                crate::pg::wait::interruption();
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

unsafe extern "C-unwind" fn rescan(node: *mut pg_sys::ForeignScanState) {
    // SAFETY: the state is the Box of `begin`.
    unsafe {
        entry(|| {
            if let Some(scan) = (*(*node).fdw_state.cast::<State>()).scan.as_mut() {
                scan.restart();
            }
        })
    }
}

unsafe extern "C-unwind" fn end(node: *mut pg_sys::ForeignScanState) {
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

unsafe extern "C-unwind" fn explain(
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
            let commands =
                crate::api::external_schema::import_commands(&server, is_wanted, &listed);
            let mut list = std::ptr::null_mut();
            for command in commands {
                let command = CString::new(command).unwrap_or_default();
                list = append(list, pg_sys::pstrdup(command.as_ptr()));
            }
            list
        })
    }
}
