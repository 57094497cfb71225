//! The table of a stream that the database keeps itself: rows of records, as `crates/stream/src/sql` keeps them together.
//!
//! Rows are added as any transaction adds rows. Their numbers come later, from whoever looks first, and must hold whatever becomes of his transaction. So
//! they are written as sequences write theirs: into the row itself, with WAL of their own, for everybody at once. A row has its number when it is in
//! [`Row::base`]. The entry of the index by numbers is made before that, so that no crash and no error leaves a number that the index does not know; an entry
//! whose row has no number yet is the last of its partition, and is made good before another comes behind it ([`ChunkTable::last`]).

mod latest;
mod numbers;
mod rows;

use super::relation::Oid;
use pgrx::pg_sys::{self, Datum};
use std::cell::RefCell;
use stream::sql::Chunk;

pub use latest::{
    Latest, abandoning, assign_xid, depth, flush, is_standby, keeps_resources, lock_now, moment,
    origin, own_xid,
};
pub use numbers::HorizonPlace;
pub use rows::Cursor;

/// The base of a row that has no number yet.
pub const UNNUMBERED: i64 = -1;
/// The partition and transaction of the row that holds the stream's horizon.
const HORIZON_XID: i64 = 0;

/// Columns, from 0: `base`, `bytes`, `xid`, `newest`, `added`, `partition_id`, `ordinal`, `records`, `body` (source/sql/manage.rs).
const COLUMNS: usize = 9;
const XID: i16 = 3;
const PARTITION: i16 = 6;

/// The lock of a table that is opened.
#[derive(Clone, Copy)]
pub enum Access {
    /// To read.
    Read,
    /// To add rows, or to number them: who builds an index beside them waits for that.
    Write,
}

/// A row without its records.
#[derive(Clone, Copy, Debug, Default)]
pub struct Row {
    /// The offset of its first record; [`UNNUMBERED`] if it has none yet.
    pub base: i64,
    /// Bytes in the partition up to the end of this row.
    pub bytes: i64,
    /// The transaction that added it.
    pub xid: i64,
    /// The newest time of its records.
    pub newest: i64,
    /// Where the WAL was when its last record was added.
    pub added: i64,
    /// The partition.
    pub partition: i32,
    /// How many records it has.
    pub records: i32,
    /// Bytes of its records.
    pub length: i64,
    tid: u64,
}

impl Row {
    /// Behind its last record.
    pub fn end(&self) -> i64 {
        self.base + i64::from(self.records)
    }

    /// Are both the same row?
    pub fn is(&self, other: &Row) -> bool {
        self.tid == other.tid
    }
}

/// An open table. It is closed by [`ChunkTable::close`], or by the end of a transaction that fails.
pub struct ChunkTable {
    heap: pg_sys::Relation,
    /// Indexes by partition and number, and by transaction: there may be two of one kind while one is built anew.
    numbered: Vec<pg_sys::Relation>,
    fresh: Vec<pg_sys::Relation>,
    infos: RefCell<Vec<(pg_sys::Relation, *mut pg_sys::IndexInfo)>>,
    /// Of scans, which live longer than a row of the query that reads.
    memory: Memory,
}

impl ChunkTable {
    /// Opens the table; `None` if it is gone.
    pub fn open(table: Oid, access: Access) -> Option<ChunkTable> {
        let lock = match access {
            Access::Read => pg_sys::AccessShareLock,
            Access::Write => pg_sys::RowExclusiveLock,
        } as i32;
        // SAFETY: the relations are open until `close`; the list of indexes is Postgres's copy.
        unsafe {
            let heap = pg_sys::try_relation_open(table, lock);
            if heap.is_null() {
                return None;
            }
            let mut it = ChunkTable {
                heap,
                numbered: Vec::new(),
                fresh: Vec::new(),
                infos: RefCell::default(),
                memory: Memory::new(),
            };
            let indexes = pg_sys::RelationGetIndexList(heap);
            for place in 0..pg_sys::list_length(indexes) {
                let index = pg_sys::index_open(pg_sys::list_nth_oid(indexes, place), lock);
                let form = &*(*index).rd_index;
                let first = form.indkey.values.as_slice(1).first().copied();
                match first {
                    Some(PARTITION) if form.indisready => it.numbered.push(index),
                    Some(XID) if form.indisready => it.fresh.push(index),
                    _ => pg_sys::index_close(index, lock),
                }
            }
            Some(it)
        }
    }

    /// Closes it; the lock stays until the transaction ends.
    pub fn close(self) {
        // SAFETY: opened by `open`, in the same transaction.
        unsafe {
            for index in self.numbered.into_iter().chain(self.fresh) {
                pg_sys::index_close(index, pg_sys::NoLock as i32);
            }
            pg_sys::relation_close(self.heap, pg_sys::NoLock as i32);
            pg_sys::MemoryContextDelete(self.memory.0);
        }
    }

    /// Its OID.
    pub fn oid(&self) -> Oid {
        // SAFETY: an open relation.
        unsafe { (*self.heap).rd_id }
    }

    /// Adds a row, unnumbered. Without records' bytes it is a gap: its offsets are passed, and have no records.
    pub fn insert(&self, xid: u64, chunk: &Chunk) {
        let mut nulls = [false; COLUMNS];
        nulls[COLUMNS - 1] = chunk.body.is_empty();
        let header = super::polyfill::varlena_header(4 + chunk.body.len());
        // SAFETY: the values are of the columns' types; the tuple and the varlena are palloc'd and freed here.
        unsafe {
            let body = pg_sys::palloc(4 + chunk.body.len()).cast::<u8>();
            body.copy_from_nonoverlapping(header.as_ptr(), 4);
            body.add(4)
                .copy_from_nonoverlapping(chunk.body.as_ptr(), chunk.body.len());
            let mut values = [
                Datum::from(UNNUMBERED),
                Datum::from(0_i64),
                Datum::from(xid as i64),
                Datum::from(chunk.newest.unwrap_or(i64::MIN)),
                Datum::from(chunk.added as i64),
                Datum::from(chunk.partition),
                Datum::from(chunk.ordinal),
                Datum::from(chunk.records),
                Datum::from(body),
            ];
            let descriptor = (*self.heap).rd_att;
            let tuple =
                pg_sys::heap_form_tuple(descriptor, values.as_mut_ptr(), nulls.as_mut_ptr());
            pg_sys::heap_insert(
                self.heap,
                tuple,
                pg_sys::GetCurrentCommandId(true),
                0,
                std::ptr::null_mut(),
            );
            let mut tid = (*tuple).t_self;
            let mut keys = [Datum::from(xid as i64), Datum::from(chunk.ordinal)];
            for index in &self.fresh {
                self.index(*index, &mut keys, &mut tid);
            }
            pg_sys::pfree(tuple.cast());
            pg_sys::pfree(body.cast());
        }
    }

    /// # Safety
    /// The index is this table's, and the keys are of its columns' types.
    unsafe fn index(
        &self,
        index: pg_sys::Relation,
        keys: &mut [Datum; 2],
        tid: &mut pg_sys::ItemPointerData,
    ) {
        let mut nulls = [false; 2];
        // SAFETY: the caller's promise.
        unsafe {
            let info = self.info(index);
            pg_sys::index_insert(
                index,
                keys.as_mut_ptr(),
                nulls.as_mut_ptr(),
                tid,
                self.heap,
                pg_sys::IndexUniqueCheck::UNIQUE_CHECK_NO,
                false,
                info,
            );
        }
    }

    /// What Postgres wants to know of an index again and again: made once, for its condition has to be parsed.
    ///
    /// # Safety
    /// The index is this table's.
    unsafe fn info(&self, index: pg_sys::Relation) -> *mut pg_sys::IndexInfo {
        let mut known = self.infos.borrow_mut();
        if let Some((_, info)) = known.iter().find(|(of, _)| *of == index) {
            return *info;
        }
        // SAFETY: the caller's promise; it lives in the table's memory.
        let info = self
            .memory
            .within(|| unsafe { pg_sys::BuildIndexInfo(index) });
        known.push((index, info));
        info
    }

    /// Keeps others from numbering until [`ChunkTable::unlock`], or the end of a transaction that fails.
    pub fn lock(&self) {
        // SAFETY: an open relation. The page itself has nothing to do with it.
        unsafe { pg_sys::LockPage(self.heap, 0, pg_sys::ExclusiveLock as i32) }
    }

    /// The same, unless somebody does.
    pub fn lock_if_free(&self) -> bool {
        // SAFETY: as above.
        unsafe { pg_sys::ConditionalLockPage(self.heap, 0, pg_sys::ExclusiveLock as i32) }
    }

    /// Lets others number.
    pub fn unlock(&self) {
        // SAFETY: locked by `lock`.
        unsafe { pg_sys::UnlockPage(self.heap, 0, pg_sys::ExclusiveLock as i32) }
    }
}

/// A memory context of its own.
#[derive(Clone, Copy)]
struct Memory(pg_sys::MemoryContext);

impl Memory {
    fn new() -> Memory {
        // SAFETY: within a transaction.
        Memory(unsafe {
            pg_sys::AllocSetContextCreateInternal(
                pg_sys::TopTransactionContext,
                c"redshift stream".as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            )
        })
    }

    /// What `work` allocates lives in it. After an error Postgres has chosen another one.
    fn within<T>(self, work: impl FnOnce() -> T) -> T {
        // SAFETY: the context lives until the table is closed.
        unsafe {
            let before = pg_sys::MemoryContextSwitchTo(self.0);
            let result = work();
            pg_sys::MemoryContextSwitchTo(before);
            result
        }
    }
}
