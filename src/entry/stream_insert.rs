//! The foreign-data wrapper's callbacks for writing: INSERT and COPY into a stream that is kept here. Any other relation says what Postgres says of one
//! that cannot be written.

use super::fdw::executor::drop_with_context;
use crate::error;
use crate::pg::guard::entry;
use crate::pg::relation::{self, Oid};
use crate::scan::shape;
use crate::source::column::Column;
use crate::source::sql::{self, append};
use pgrx::pg_sys::{self, Datum};
use std::ffi::c_int;
use std::rc::Rc;
use stream::TimestampType;
use stream::sql::Entry;

/// Adds the callbacks.
///
/// # Safety
/// A routine that is being made.
pub(super) unsafe fn add_to(routine: *mut pg_sys::FdwRoutine) {
    // SAFETY: the caller's promise.
    let routine = unsafe { &mut *routine };
    routine.IsForeignRelUpdatable = Some(writable);
    routine.PlanForeignModify = Some(plan);
    routine.BeginForeignModify = Some(begin);
    routine.BeginForeignInsert = Some(begin_routed);
    routine.ExecForeignInsert = Some(insert);
    routine.ExecForeignTruncate = Some(truncate);
}

/// Is asked by SQL, as `pg_relation_is_updatable`, and by the executor before it begins: then the table is locked for writing, and [`require_stream`] says of
/// a relation that takes no records what Postgres says of one whose wrapper cannot write.
unsafe extern "C-unwind" fn writable(relation: pg_sys::Relation) -> c_int {
    // SAFETY: an open foreign table.
    unsafe {
        entry(|| {
            let is_written = || {
                let lock = pg_sys::RowExclusiveLock as i32;
                pg_sys::CheckRelationLockedByMe(relation, lock, true)
            };
            if sql::is_stream((*relation).rd_id) || is_written() {
                1 << pg_sys::CmdType::CMD_INSERT
            } else {
                0
            }
        })
    }
}

/// Of other relations the executor says that they cannot be written, once it has looked at the user's rights.
unsafe extern "C-unwind" fn plan(
    root: *mut pg_sys::PlannerInfo,
    plan: *mut pg_sys::ModifyTable,
    result: pg_sys::Index,
    _subplan: c_int,
) -> *mut pg_sys::List {
    use pg_sys::CmdType::{CMD_DELETE, CMD_UPDATE};
    // SAFETY: arguments from the planner.
    unsafe {
        entry(|| {
            let entries = (*(*root).parse).rtable;
            let place = result as i32 - 1;
            let entry = &*pg_sys::list_nth(entries, place).cast::<pg_sys::RangeTblEntry>();
            let name = || relation::name(entry.relid).unwrap_or_default();
            if sql::is_stream(entry.relid) {
                match (*plan).operation {
                    CMD_UPDATE => refuse(entry.relid, "update"),
                    CMD_DELETE => refuse(entry.relid, "delete from"),
                    _ if !(*plan).returningLists.is_null() => {
                        error::insert_returning(&name()).raise()
                    }
                    _ => {}
                }
            }
            std::ptr::null_mut()
        })
    }
}

/// The relation cannot be written, or not in this way.
fn refuse(table: Oid, verb: &str) -> ! {
    let name = relation::name(table).unwrap_or_default();
    if sql::is_stream(table) {
        let qualified = relation::qualified_name(table).unwrap_or_default();
        error::stream_only_grows(&name, &qualified, verb).raise();
    }
    error::foreign_table_is_read_only(&name, verb).raise();
}

/// What the rows of one statement go to.
struct State {
    stream: Rc<sql::Stream>,
    /// What each attribute (from 0) is.
    columns: Vec<(usize, Column)>,
}

unsafe extern "C-unwind" fn begin(
    node: *mut pg_sys::ModifyTableState,
    target: *mut pg_sys::ResultRelInfo,
    _private: *mut pg_sys::List,
    _subplan: c_int,
    flags: c_int,
) {
    // SAFETY: arguments from the executor.
    unsafe {
        entry(|| {
            require_stream(target);
            if flags & pg_sys::EXEC_FLAG_EXPLAIN_ONLY as c_int == 0 {
                begin_writing(node, target);
            }
        })
    }
}

/// For COPY, and for rows of a partitioned table that has the stream as a partition.
unsafe extern "C-unwind" fn begin_routed(
    node: *mut pg_sys::ModifyTableState,
    target: *mut pg_sys::ResultRelInfo,
) {
    // SAFETY: arguments from the executor.
    unsafe {
        entry(|| {
            require_stream(target);
            begin_writing(node, target);
        })
    }
}

/// # Safety
/// A target of the executor's.
unsafe fn require_stream(target: *mut pg_sys::ResultRelInfo) {
    // SAFETY: the caller's promise.
    let table = unsafe { (*(*target).ri_RelationDesc).rd_id };
    if !sql::is_stream(table) {
        refuse(table, "insert into");
    }
}

/// # Safety
/// Arguments from the executor.
unsafe fn begin_writing(node: *mut pg_sys::ModifyTableState, target: *mut pg_sys::ResultRelInfo) {
    // SAFETY: the caller's promise; the state lives as long as the query.
    unsafe {
        let table = (*(*target).ri_RelationDesc).rd_id;
        let columns = shape::of_relation(table);
        let columns = columns.iter().enumerate();
        let state = State {
            stream: sql::known(table),
            columns: columns
                .filter_map(|(i, column)| Some((i, (*column)?)))
                .collect(),
        };
        let state = Box::into_raw(Box::new(state));
        (*target).ri_FdwState = state.cast();
        drop_with_context((*(*node).ps.state).es_query_cxt, state);
    }
}

unsafe extern "C-unwind" fn insert(
    _estate: *mut pg_sys::EState,
    target: *mut pg_sys::ResultRelInfo,
    slot: *mut pg_sys::TupleTableSlot,
    _plan_slot: *mut pg_sys::TupleTableSlot,
) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the state is the Box of `begin_writing`; the slot has the relation's columns, whose types were compared then.
    unsafe {
        entry(|| {
            let state = &*(*target).ri_FdwState.cast::<State>();
            pg_sys::slot_getallattrs(slot);
            let mut values = Values::default();
            for (attribute, column) in &state.columns {
                if !*(*slot).tts_isnull.add(*attribute) {
                    values.take(&state.stream, *column, *(*slot).tts_values.add(*attribute));
                }
            }
            append::add(&state.stream, values.partition, &values.entry());
            values.free();
            slot
        })
    }
}

/// The values of one row.
#[derive(Default)]
struct Values {
    partition: Option<i32>,
    kind: Option<u8>,
    time: Option<i64>,
    /// Key, value and headers, detoasted.
    parts: [Option<Part>; 3],
}

/// A value, and the copy that was made of it, if one was.
struct Part {
    bytes: *const [u8],
    copy: *mut pg_sys::varlena,
}

impl Values {
    /// # Safety
    /// The datum is not null and of the column's type.
    unsafe fn take(&mut self, stream: &sql::Stream, column: Column, datum: Datum) {
        // SAFETY: the caller's promise.
        unsafe {
            match column {
                Column::Partition => {
                    let given = datum.value() as i64;
                    let partition = i32::try_from(given).ok();
                    let partition = partition.filter(|p| (0..stream.partitions()).contains(p));
                    self.partition = Some(partition.unwrap_or_else(|| {
                        error::no_partition(&stream.name(), given, stream.partitions()).raise()
                    }));
                }
                Column::TimestampType => {
                    let kind = Part::of(datum, false);
                    self.kind = (*kind.bytes).first().copied();
                    kind.free();
                    if !matches!(self.kind, Some(b'C' | b'L' | b'U')) {
                        error::timestamp_type(&stream.name()).raise();
                    }
                }
                Column::Timestamp => {
                    let time = datum.value() as i64;
                    if time == i64::MIN || time == i64::MAX {
                        error::infinite_time(&stream.name()).raise();
                    }
                    self.time = Some(time);
                }
                Column::Key => self.parts[0] = Some(Part::of(datum, false)),
                Column::Value => self.parts[1] = Some(Part::of(datum, false)),
                Column::Headers => self.parts[2] = Some(Part::of(datum, true)),
                Column::Offset => error::column_is_given(&stream.name(), "kafka_offset").raise(),
                _ => error::column_is_given(&stream.name(), "refresh_time").raise(),
            }
        }
    }

    fn entry(&self) -> Entry<'_> {
        let kind = match self.kind {
            Some(b'L') => Some(TimestampType::LogAppend),
            Some(b'U') => None,
            _ => Some(TimestampType::Create),
        };
        let time = || self.time.unwrap_or_else(crate::pg::time::now_utc);
        let part = |place: usize| {
            let part = self.parts[place].as_ref()?;
            // SAFETY: the bytes are the row's, or a copy that lives until `free`.
            Some(unsafe { &*part.bytes })
        };
        Entry {
            time: kind.map(|kind| (kind, time())),
            key: part(0),
            value: part(1),
            headers: part(2),
        }
    }

    fn free(self) {
        for part in self.parts.into_iter().flatten() {
            // SAFETY: nobody has the bytes any more.
            unsafe { part.free() }
        }
    }
}

impl Part {
    /// # Safety
    /// The datum is a varlena that is not null; `whole` is for one whose header is wanted too, the long one.
    unsafe fn of(datum: Datum, whole: bool) -> Part {
        // SAFETY: the caller's promise.
        unsafe {
            let original = datum.cast_mut_ptr::<pg_sys::varlena>();
            let (plain, bytes) = if whole {
                let plain = pg_sys::pg_detoast_datum(original);
                let length = pgrx::varlena::varsize_any(plain);
                (
                    plain,
                    std::slice::from_raw_parts(plain.cast::<u8>(), length),
                )
            } else {
                let plain = pg_sys::pg_detoast_datum_packed(original);
                (plain, pgrx::varlena::varlena_to_byte_slice(plain))
            };
            Part {
                bytes,
                copy: if plain == original {
                    std::ptr::null_mut()
                } else {
                    plain
                },
            }
        }
    }

    /// # Safety
    /// Nobody has the bytes any more.
    unsafe fn free(self) {
        if !self.copy.is_null() {
            // SAFETY: a palloc'd copy.
            unsafe { pg_sys::pfree(self.copy.cast()) }
        }
    }
}

unsafe extern "C-unwind" fn truncate(
    relations: *mut pg_sys::List,
    _behavior: pg_sys::DropBehavior::Type,
    _restart: bool,
) {
    // SAFETY: open foreign tables.
    unsafe {
        entry(|| {
            if let Some(relation) =
                crate::pg::node::pointers::<pg_sys::RelationData>(relations).first()
            {
                refuse((**relation).rd_id, "truncate");
            }
        })
    }
}
