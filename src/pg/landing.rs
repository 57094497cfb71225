//! May the rows of an INSERT land in batches? The question that COPY asks itself (CopyFrom of copyfrom.c), of a plan that is ready to run.
//!
//! In batches a row reaches the table later than it would by itself. So batches are for INSERTs in which nobody can tell: no trigger comes before a
//! row (partitions may have such: those are served singly), and no function may look into the table while rows are on their way. Everything else is landed by Postgres's own ModifyTable.

use super::node::{is_a, pointers};
use pgrx::pg_sys;

/// What stands against batches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Obstacle {
    /// A function that may read the table, or count on being called when the row before is there.
    VolatileFunction,
    /// Rows of several tables would have to be captured in the order in which they came.
    TransitionTable,
    /// A trigger may change or drop a row, and look at the rows before it.
    RowTriggerBefore,
    /// Policies may look into the table.
    RowSecurity,
    /// Another access method than heap, whose rows have another form.
    AccessMethod,
    /// The plan is no plain INSERT of its rows.
    Plan,
}

impl Obstacle {
    /// What it is, to end a sentence.
    pub fn reason(self) -> &'static str {
        match self {
            Obstacle::VolatileFunction => "the definition or a default has a volatile function",
            Obstacle::TransitionTable => {
                "the table is partitioned, and a trigger has a transition table"
            }
            Obstacle::RowTriggerBefore => "the table has a BEFORE INSERT row trigger",
            Obstacle::RowSecurity => "row security applies to the table's owner",
            Obstacle::AccessMethod => "the table's access method is not heap",
            Obstacle::Plan => "the plan is not a plain INSERT",
        }
    }
}

/// Looks at a query before it is planned (planning scribbles on it, and may hide a function by inlining it).
///
/// # Safety
/// `query` is an analysed and rewritten query.
pub(super) unsafe fn obstacle_in_query(query: *mut pg_sys::Query) -> Option<Obstacle> {
    // SAFETY: a Query is a node that the walker knows. COPY allows nextval too: sequences do not look at tables.
    unsafe { pg_sys::contain_volatile_functions_not_nextval(query.cast()) }
        .then_some(Obstacle::VolatileFunction)
}

/// Looks at a plan after ExecutorStart.
///
/// # Safety
/// `descriptor` is started and has not run.
pub(super) unsafe fn obstacle_in_plan(descriptor: *const pg_sys::QueryDesc) -> Option<Obstacle> {
    // SAFETY: casts follow the tags; the executor has filled what is looked at.
    unsafe {
        let state = (*descriptor).planstate;
        if !is_a(state, pg_sys::NodeTag::T_ModifyTableState) {
            return Some(Obstacle::Plan);
        }
        let node = &*state.cast::<pg_sys::ModifyTableState>();
        let target = &*node.resultRelInfo;
        let relation = &*target.ri_RelationDesc;
        let is_partitioned = (*relation.rd_rel).relkind as u8 == pg_sys::RELKIND_PARTITIONED_TABLE;
        if is_partitioned && !node.mt_transition_capture.is_null() {
            return Some(Obstacle::TransitionTable);
        }
        let triggers = target.ri_TrigDesc.as_ref();
        if triggers.is_some_and(|t| t.trig_insert_before_row || t.trig_insert_instead_row) {
            return Some(Obstacle::RowTriggerBefore);
        }
        if !target.ri_WithCheckOptions.is_null() {
            return Some(Obstacle::RowSecurity);
        }
        if !is_partitioned && relation.rd_tableam != pg_sys::GetHeapamTableAmRoutine() {
            return Some(Obstacle::AccessMethod);
        }
        let plain = node.operation == pg_sys::CmdType::CMD_INSERT
            && node.canSetTag
            && node.mt_nrels == 1
            && target.ri_FdwRoutine.is_null()
            && target.ri_projectReturning.is_null()
            && target.ri_onConflictArbiterIndexes.is_null()
            && target.ri_onConflict.is_null()
            && gives_whole_rows(node.ps.lefttree, relation.rd_att);
        (!plain).then_some(Obstacle::Plan)
    }
}

/// Has what the plan below gives the columns of the table, and none beside?
unsafe fn gives_whole_rows(below: *const pg_sys::PlanState, table: pg_sys::TupleDesc) -> bool {
    // SAFETY: a started plan node and a table's descriptor.
    unsafe {
        let columns = pointers::<pg_sys::TargetEntry>((*(*below).plan).targetlist);
        columns.len() == (*table).natts as usize && columns.iter().all(|c| !(**c).resjunk)
    }
}
