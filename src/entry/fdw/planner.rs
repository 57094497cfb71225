//! Planning the scan of a stream: what it costs, which of its columns are read, and which conditions bound what is read.

use crate::pg::guard::entry;
use crate::pg::node::{append, is_a, pointers};
use crate::pg::polyfill;
use crate::pg::relation::Oid;
use crate::scan;
use crate::scan::shape::{self, Shape};
use pgrx::pg_sys;
use plan::bounds::{Bound, BoundColumn, Comparison};

/// Rows that the planner expects of a topic: asking the broker while planning would cost more than a better guess gains.
const EXPECTED_ROWS: f64 = 100_000.0;

/// Places in `fdw_exprs`: the WHERE clauses, and what the bounds compare with.
pub(super) const EXPRS_QUALS: i32 = 0;
pub(super) const EXPRS_BOUNDS: i32 = 1;
/// Places in `fdw_private`: attributes that are read, the bounds' columns and comparisons, and the LIMIT (0: none).
pub(super) const PRIVATE_ATTRIBUTES: i32 = 0;
pub(super) const PRIVATE_BOUNDS: i32 = 1;
pub(super) const PRIVATE_LIMIT: i32 = 2;

pub(super) unsafe extern "C-unwind" fn estimate_size(
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

pub(super) unsafe extern "C-unwind" fn add_path(
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
            let path = polyfill::foreign_scan_path(root, relation, STARTUP_COST, total);
            pg_sys::add_path(relation, path.cast());
        })
    }
}

pub(super) unsafe extern "C-unwind" fn make_plan(
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
