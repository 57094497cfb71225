//! Landing rows in batches: ModifyTable's work for a plain INSERT, with the batches of COPY (CopyMultiInsertBufferFlush of copyfrom.c) in it.
//!
//! A batch fills its pages under one lock and one WAL record each, and keeps the page it fills pinned from one batch to the next. Constraints,
//! generated columns, indexes, triggers and transition tables are served row by row by the functions that ModifyTable calls, in its order.
//!
//! C code raises errors straight through the frames of this file: nothing in them has a destructor, nothing is borrowed, nothing panics.

use super::polyfill;
use crate::scan;
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
    estate: *mut pg_sys::EState,
    target: *mut pg_sys::ResultRelInfo,
    capture: *mut pg_sys::TransitionCaptureState,
    /// Reset for each row.
    per_row: pg_sys::MemoryContext,
    bulk: pg_sys::BulkInsertState,
    /// The first `used` hold rows, those behind are empty or not made yet.
    slots: [*mut pg_sys::TupleTableSlot; MAX_ROWS],
    /// The record that each row comes from.
    records: [Option<scan::CurrentRecord>; MAX_ROWS],
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
        if (*(*(*target).ri_RelationDesc).rd_rel).relhasindex
            && (*target).ri_IndexRelationDescs.is_null()
        {
            unguarded::ExecOpenIndices(target, false);
        }
        let mut batch = Batch {
            estate,
            target,
            capture: (*node).mt_transition_capture,
            per_row: (*unguarded::MakePerTupleExprContext(estate)).ecxt_per_tuple_memory,
            bulk: unguarded::GetBulkInsertState(),
            slots: [std::ptr::null_mut(); MAX_ROWS],
            records: [None; MAX_ROWS],
            used: 0,
            bytes: 0,
        };
        let below = (*state).lefttree;
        let Some(next) = (*below).ExecProcNode else {
            return std::ptr::null_mut();
        };
        let mut next = next;
        loop {
            unguarded::MemoryContextReset(batch.per_row);
            let row = next(below);
            if row.is_null() || (*row).tts_flags & pg_sys::TTS_FLAG_EMPTY as u16 != 0 {
                break;
            }
            batch.add(row);
            // The first call sets the function for the others.
            next = match (*below).ExecProcNode {
                Some(next) => next,
                None => break,
            };
        }
        batch.flush();
        unguarded::FreeBulkInsertState(batch.bulk);
        scan::work_on(None);
        unguarded::ExecASInsertTriggers(estate, target, batch.capture);
        (*node).mt_done = true;
        std::ptr::null_mut()
    }
}

impl Batch {
    /// ExecInsert up to the table: takes a copy of the row and checks it.
    unsafe fn add(&mut self, row: *mut pg_sys::TupleTableSlot) {
        // SAFETY: `used` is less than MAX_ROWS between calls; the slots are the table's own.
        unsafe {
            let relation = (*self.target).ri_RelationDesc;
            let place = self.slots.as_mut_ptr().add(self.used);
            if (*place).is_null() {
                *place =
                    unguarded::table_slot_create(relation, &raw mut (*self.estate).es_tupleTable);
            }
            let slot = *place;
            if let Some(copy) = (*(*slot).tts_ops).copyslot {
                copy(slot, row);
            }
            (*slot).tts_tableOid = (*relation).rd_id;
            let constraints = (*(*relation).rd_att).constr;
            if !constraints.is_null() {
                if (*constraints).has_generated_stored {
                    let command = pg_sys::CmdType::CMD_INSERT;
                    unguarded::ExecComputeStoredGenerated(self.target, self.estate, slot, command);
                }
                unguarded::ExecConstraints(self.target, slot, self.estate);
            }
            if (*(*relation).rd_rel).relispartition {
                unguarded::ExecPartitionCheck(self.target, slot, self.estate, true);
            }
            *self.records.as_mut_ptr().add(self.used) = scan::current_record();
            let tuple = (*slot.cast::<pg_sys::HeapTupleTableSlot>()).tuple;
            let length = if tuple.is_null() {
                0
            } else {
                (*tuple).t_len as usize
            };
            if length > LONG_ROW && self.used > 0 {
                self.flush_before_last();
            }
            self.used += 1;
            self.bytes += length;
            if self.used == MAX_ROWS || self.bytes > MAX_BYTES || length > LONG_ROW {
                self.flush();
            }
        }
    }

    /// Lands all rows but the one at `used`, which becomes the first.
    unsafe fn flush_before_last(&mut self) {
        // SAFETY: both places are within the arrays.
        unsafe {
            let last = self.used;
            self.flush();
            std::ptr::swap(self.slots.as_mut_ptr(), self.slots.as_mut_ptr().add(last));
            *self.records.as_mut_ptr() = *self.records.as_ptr().add(last);
            scan::work_on(*self.records.as_ptr());
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
                    scan::work_on(*self.records.as_ptr().add(place));
                    let recheck = if has_indexes {
                        polyfill::insert_index_tuples(target, slot, estate)
                    } else {
                        std::ptr::null_mut()
                    };
                    unguarded::ExecARInsertTriggers(estate, target, slot, recheck, self.capture);
                    unguarded::list_free(recheck);
                }
                if let Some(clear) = (*(*slot).tts_ops).clear {
                    clear(slot);
                }
            }
            (*estate).es_processed += self.used as u64;
            (self.used, self.bytes) = (0, 0);
        }
    }
}
