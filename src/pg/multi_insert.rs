//! Landing rows in batches: ModifyTable's work for a plain INSERT, with the batches of COPY (CopyMultiInsertBufferFlush of copyfrom.c) in it.
//!
//! A batch fills its pages under one lock and one WAL record each, and keeps the page it fills pinned from one batch to the next. Constraints,
//! generated columns, indexes, triggers and transition tables are served row by row by the functions that ModifyTable calls, in its order. A batch has
//! rows of one table: when the next row goes to another partition, it is landed first.
//!
//! C code raises errors straight through the frames of this file: nothing in them has a destructor, nothing is borrowed, nothing panics.

use super::current_record::{self, CurrentRecord};
use super::polyfill;
use pgrx::pg_sys;

mod unguarded {
    use pgrx::pg_sys;
    unsafe extern "C-unwind" {
        pub fn ExecBSInsertTriggers(
            estate: *mut pg_sys::EState,
            target: *mut pg_sys::ResultRelInfo,
        );
        pub fn ExecASInsertTriggers(
            estate: *mut pg_sys::EState,
            target: *mut pg_sys::ResultRelInfo,
            capture: *mut pg_sys::TransitionCaptureState,
        );
        pub fn ExecARInsertTriggers(
            estate: *mut pg_sys::EState,
            target: *mut pg_sys::ResultRelInfo,
            slot: *mut pg_sys::TupleTableSlot,
            recheck: *mut pg_sys::List,
            capture: *mut pg_sys::TransitionCaptureState,
        );
        pub fn ExecOpenIndices(target: *mut pg_sys::ResultRelInfo, speculative: bool);
        pub fn ExecComputeStoredGenerated(
            target: *mut pg_sys::ResultRelInfo,
            estate: *mut pg_sys::EState,
            slot: *mut pg_sys::TupleTableSlot,
            command: pg_sys::CmdType::Type,
        );
        pub fn ExecConstraints(
            target: *mut pg_sys::ResultRelInfo,
            slot: *mut pg_sys::TupleTableSlot,
            estate: *mut pg_sys::EState,
        );
        pub fn ExecPartitionCheck(
            target: *mut pg_sys::ResultRelInfo,
            slot: *mut pg_sys::TupleTableSlot,
            estate: *mut pg_sys::EState,
            raise: bool,
        ) -> bool;
        pub fn ExecBRInsertTriggers(
            estate: *mut pg_sys::EState,
            target: *mut pg_sys::ResultRelInfo,
            slot: *mut pg_sys::TupleTableSlot,
        ) -> bool;
        pub fn ExecFindPartition(
            node: *mut pg_sys::ModifyTableState,
            root: *mut pg_sys::ResultRelInfo,
            routing: *mut pg_sys::PartitionTupleRouting,
            row: *mut pg_sys::TupleTableSlot,
            estate: *mut pg_sys::EState,
        ) -> *mut pg_sys::ResultRelInfo;
        pub fn execute_attr_map_slot(
            map: *mut pg_sys::AttrMap,
            row: *mut pg_sys::TupleTableSlot,
            result: *mut pg_sys::TupleTableSlot,
        ) -> *mut pg_sys::TupleTableSlot;
        pub fn ExecDropSingleTupleTableSlot(slot: *mut pg_sys::TupleTableSlot);
        pub fn ReleaseBulkInsertStatePin(state: pg_sys::BulkInsertState);
        pub fn MakePerTupleExprContext(estate: *mut pg_sys::EState) -> *mut pg_sys::ExprContext;
        pub fn MemoryContextReset(context: pg_sys::MemoryContext);
        pub fn table_slot_create(
            relation: pg_sys::Relation,
            list: *mut *mut pg_sys::List,
        ) -> *mut pg_sys::TupleTableSlot;
        pub fn GetBulkInsertState() -> pg_sys::BulkInsertState;
        pub fn FreeBulkInsertState(state: pg_sys::BulkInsertState);
        pub fn list_free(list: *mut pg_sys::List);
    }
}

/// A batch is full with this many rows or bytes, as in COPY (MAX_BUFFERED_TUPLES and MAX_BUFFERED_BYTES).
const MAX_ROWS: usize = 1000;
const MAX_BYTES: usize = 65_535;
/// A row longer than a page may turn out to be too long for the table: it is landed by itself, so that the error names its record.
const LONG_ROW: usize = pg_sys::BLCKSZ as usize;

/// Makes a ModifyTable node run `run` instead of its own function.
///
/// # Safety
/// The node is started, has not run, and [`super::landing`] knows of no obstacle.
pub(super) unsafe fn take_over(node: *mut pg_sys::PlanState) {
    // SAFETY: this is the function that the first call of ExecProcNode (ExecProcNodeFirst) goes on with.
    unsafe { (*node).ExecProcNodeReal = Some(run) }
}

/// Rows on their way.
struct Batch {
    node: *mut pg_sys::ModifyTableState,
    estate: *mut pg_sys::EState,
    /// Where the rows go: the table, or the partition of the last one.
    target: *mut pg_sys::ResultRelInfo,
    /// Reset for each row.
    per_row: pg_sys::MemoryContext,
    bulk: pg_sys::BulkInsertState,
    /// The first `used` hold rows, those behind are empty or not made yet.
    slots: [*mut pg_sys::TupleTableSlot; MAX_ROWS],
    /// The record that each row comes from.
    records: [Option<CurrentRecord>; MAX_ROWS],
    used: usize,
    bytes: usize,
}

/// ExecModifyTable (nodeModifyTable.c) of a plain INSERT.
unsafe extern "C-unwind" fn run(state: *mut pg_sys::PlanState) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the executor calls with the node that `take_over` was given; what is called is what ExecModifyTable calls, in its order.
    unsafe {
        let node = state.cast::<pg_sys::ModifyTableState>();
        if (*node).mt_done {
            return std::ptr::null_mut();
        }
        let (estate, target) = ((*state).state, (*node).resultRelInfo);
        if (*node).fireBSTriggers {
            unguarded::ExecBSInsertTriggers(estate, target);
            (*node).fireBSTriggers = false;
        }
        if (*node).mt_partition_tuple_routing.is_null()
            && (*(*(*target).ri_RelationDesc).rd_rel).relhasindex
            && (*target).ri_IndexRelationDescs.is_null()
        {
            unguarded::ExecOpenIndices(target, false);
        }
        let mut batch = Batch {
            node,
            estate,
            target,
            per_row: (*unguarded::MakePerTupleExprContext(estate)).ecxt_per_tuple_memory,
            bulk: unguarded::GetBulkInsertState(),
            slots: [std::ptr::null_mut(); MAX_ROWS],
            records: [None; MAX_ROWS],
            used: 0,
            bytes: 0,
        };
        let below = (*state).lefttree;
        // The first call changes the function for the others.
        while let Some(next) = (*below).ExecProcNode {
            unguarded::MemoryContextReset(batch.per_row);
            let row = next(below);
            if row.is_null() || (*row).tts_flags & pg_sys::TTS_FLAG_EMPTY as u16 != 0 {
                break;
            }
            batch.add(row);
        }
        batch.flush();
        batch.drop_slots();
        unguarded::FreeBulkInsertState(batch.bulk);
        current_record::work_on(None);
        unguarded::ExecASInsertTriggers(estate, target, (*node).mt_transition_capture);
        (*node).mt_done = true;
        std::ptr::null_mut()
    }
}

impl Batch {
    /// ExecInsert up to the table: takes a copy of the row and checks it.
    unsafe fn add(&mut self, row: *mut pg_sys::TupleTableSlot) {
        // SAFETY: `used` is less than MAX_ROWS between calls; the slots are the target's own.
        unsafe {
            current_record::row_given();
            let row = self.route(row);
            let (target, estate) = (self.target, self.estate);
            let relation = (*target).ri_RelationDesc;
            let slot = self.free_slot();
            if let Some(copy) = (*(*slot).tts_ops).copyslot {
                copy(slot, row);
            }
            let triggers = (*target).ri_TrigDesc;
            let singly = !triggers.is_null() && (*triggers).trig_insert_before_row;
            if singly && !unguarded::ExecBRInsertTriggers(estate, target, slot) {
                current_record::row_dropped();
                clear(slot);
                return;
            }
            (*slot).tts_tableOid = (*relation).rd_id;
            let constraints = (*(*relation).rd_att).constr;
            if !constraints.is_null() && (*constraints).has_generated_stored {
                let command = pg_sys::CmdType::CMD_INSERT;
                unguarded::ExecComputeStoredGenerated(target, estate, slot, command);
            }
            if !(*target).ri_FdwRoutine.is_null() {
                self.insert_foreign(slot, row);
                return;
            }
            if !constraints.is_null() {
                unguarded::ExecConstraints(target, slot, estate);
            }
            let routed = !(*target).ri_RootResultRelInfo.is_null();
            if (*(*relation).rd_rel).relispartition && (singly || !routed) {
                unguarded::ExecPartitionCheck(target, slot, estate, true);
            }
            *self.records.as_mut_ptr().add(self.used) = current_record::get();
            let length = length_of(slot);
            if length > LONG_ROW && self.used > 0 {
                self.flush_before_last();
            }
            self.used += 1;
            self.bytes += length;
            if singly || self.used == MAX_ROWS || self.bytes > MAX_BYTES || length > LONG_ROW {
                self.flush();
            }
        }
    }

    /// ExecPrepareTupleRouting: turns to the partition of the row, and gives the row the partition's form.
    unsafe fn route(&mut self, row: *mut pg_sys::TupleTableSlot) -> *mut pg_sys::TupleTableSlot {
        // SAFETY: the executor has set the routing up for the node's table.
        unsafe {
            let (node, estate) = (self.node, self.estate);
            let routing = (*node).mt_partition_tuple_routing;
            if routing.is_null() {
                return row;
            }
            let root = (*node).resultRelInfo;
            let target = unguarded::ExecFindPartition(node, root, routing, row, estate);
            if target != self.target {
                let record = current_record::get();
                self.flush();
                current_record::work_on(record);
                self.drop_slots();
                unguarded::ReleaseBulkInsertStatePin(self.bulk);
                self.target = target;
            }
            let map = polyfill::map_to_partition(target, estate);
            if map.is_null() {
                return row;
            }
            unguarded::execute_attr_map_slot((*map).attrMap, row, (*target).ri_PartitionTupleSlot)
        }
    }

    /// The slot for the next row.
    unsafe fn free_slot(&mut self) -> *mut pg_sys::TupleTableSlot {
        // SAFETY: `used` is less than MAX_ROWS.
        unsafe {
            let place = self.slots.as_mut_ptr().add(self.used);
            if (*place).is_null() {
                let relation = (*self.target).ri_RelationDesc;
                *place = unguarded::table_slot_create(relation, std::ptr::null_mut());
            }
            *place
        }
    }

    /// Slots are of one table's form.
    unsafe fn drop_slots(&mut self) {
        // SAFETY: those that were made are before those that were not.
        unsafe {
            let mut place = self.slots.as_mut_ptr();
            let end = place.add(MAX_ROWS);
            while place < end && !(*place).is_null() {
                unguarded::ExecDropSingleTupleTableSlot(*place);
                *place = std::ptr::null_mut();
                place = place.add(1);
            }
        }
    }

    /// A row of a partition that is a foreign table.
    unsafe fn insert_foreign(
        &mut self,
        slot: *mut pg_sys::TupleTableSlot,
        row: *mut pg_sys::TupleTableSlot,
    ) {
        // SAFETY: ExecFindPartition has begun the insert; a wrapper that cannot insert is refused there.
        unsafe {
            let (target, estate) = (self.target, self.estate);
            let Some(insert) = (*(*target).ri_FdwRoutine).ExecForeignInsert else {
                return;
            };
            let inserted = insert(estate, target, slot, row);
            if !inserted.is_null() {
                (*inserted).tts_tableOid = (*(*target).ri_RelationDesc).rd_id;
                (*estate).es_processed += 1;
                let nothing = std::ptr::null_mut();
                unguarded::ExecARInsertTriggers(estate, target, inserted, nothing, self.capture());
            } else {
                current_record::row_dropped();
            }
            clear(slot);
        }
    }

    unsafe fn capture(&self) -> *mut pg_sys::TransitionCaptureState {
        // SAFETY: a started node.
        unsafe { (*self.node).mt_transition_capture }
    }

    /// Lands all rows but the one at `used`, which becomes the first.
    unsafe fn flush_before_last(&mut self) {
        // SAFETY: both places are within the arrays.
        unsafe {
            let last = self.used;
            self.flush();
            std::ptr::swap(self.slots.as_mut_ptr(), self.slots.as_mut_ptr().add(last));
            *self.records.as_mut_ptr() = *self.records.as_ptr().add(last);
            current_record::work_on(*self.records.as_ptr());
        }
    }

    /// Lands the rows: all into the table, then each into the indexes and before the triggers.
    unsafe fn flush(&mut self) {
        // SAFETY: the first `used` slots hold rows.
        unsafe {
            if self.used == 0 {
                return;
            }
            let (target, estate) = (self.target, self.estate);
            let relation = (*target).ri_RelationDesc;
            // It may leave memory behind.
            let context = pg_sys::CurrentMemoryContext;
            pg_sys::CurrentMemoryContext = self.per_row;
            if let Some(multi_insert) = (*(*relation).rd_tableam).multi_insert {
                let rows = self.slots.as_mut_ptr();
                let command = (*estate).es_output_cid;
                multi_insert(relation, rows, self.used as i32, command, 0, self.bulk);
            }
            pg_sys::CurrentMemoryContext = context;
            let has_indexes = (*target).ri_NumIndices > 0;
            let triggers = (*target).ri_TrigDesc;
            let fires = !triggers.is_null()
                && ((*triggers).trig_insert_after_row || (*triggers).trig_insert_new_table);
            for place in 0..self.used {
                let slot = *self.slots.as_ptr().add(place);
                if has_indexes || fires {
                    unguarded::MemoryContextReset(self.per_row);
                    current_record::work_on(*self.records.as_ptr().add(place));
                    let recheck = if has_indexes {
                        polyfill::insert_index_tuples(target, slot, estate)
                    } else {
                        std::ptr::null_mut()
                    };
                    let capture = self.capture();
                    unguarded::ExecARInsertTriggers(estate, target, slot, recheck, capture);
                    unguarded::list_free(recheck);
                }
                clear(slot);
            }
            (*estate).es_processed += self.used as u64;
            (self.used, self.bytes) = (0, 0);
        }
    }
}

/// The length of a slot's row. Of another access method's nothing is known: it is as good as long.
unsafe fn length_of(slot: *mut pg_sys::TupleTableSlot) -> usize {
    // SAFETY: a slot of that kind is a HeapTupleTableSlot.
    unsafe {
        if !std::ptr::eq((*slot).tts_ops, &raw const pg_sys::TTSOpsBufferHeapTuple) {
            return LONG_ROW + 1;
        }
        let tuple = (*slot.cast::<pg_sys::HeapTupleTableSlot>()).tuple;
        if tuple.is_null() {
            return 0;
        }
        (*tuple).t_len as usize
    }
}

/// ExecClearTuple.
unsafe fn clear(slot: *mut pg_sys::TupleTableSlot) {
    // SAFETY: a slot of ours.
    unsafe {
        if let Some(clear) = (*(*slot).tts_ops).clear {
            clear(slot);
        }
    }
}
