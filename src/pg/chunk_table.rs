//! The table of a stream that the database keeps itself: rows of records, as `crates/stream/src/sql` keeps them together.
//!
//! Rows are added as any transaction adds rows. Their numbers come later, from whoever looks first, and must hold whatever becomes of his transaction. So
//! they are written as sequences write theirs: into the row itself, with WAL of their own, for everybody at once. A row has its number when it is in
//! [`Row::base`]. The entry of the index by numbers is made before that, so that no crash and no error leaves a number that the index does not know; an entry
//! whose row has no number yet is the last of its partition, and is made good before another comes behind it ([`ChunkTable::last`]).

use super::relation::Oid;
use pgrx::itemptr::{item_pointer_get_both, u64_to_item_pointer_parts};
use pgrx::pg_sys::{self, Datum};
use stream::sql::{Chunk, Horizon};

/// The base of a row that has no number yet.
pub const UNNUMBERED: i64 = -1;
/// The partition and transaction of the row that holds the stream's horizon.
const HORIZON_XID: i64 = 0;

/// Columns, from 0: `base`, `bytes`, `xid`, `newest`, `partition_id`, `ordinal`, `records`, `body` (sql/catalog/stream.sql).
const COLUMNS: usize = 8;
const XID: i16 = 3;
const PARTITION: i16 = 5;

/// The lock of a table that is opened.
#[derive(Clone, Copy)]
pub enum Access {
    /// To read and to number.
    Read,
    /// To add rows.
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
    /// Of scans, which live longer than a row of the query that reads.
    memory: Memory,
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

/// A snapshot of what is committed now, whatever the transaction's isolation level is.
pub struct Latest(pg_sys::Snapshot);

impl Latest {
    /// Takes one; it is let go by [`Latest::release`], or by the end of a transaction that fails.
    pub fn take() -> Latest {
        // SAFETY: within a transaction.
        Latest(unsafe { pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot()) })
    }

    /// Lets it go.
    pub fn release(self) {
        // SAFETY: registered by `take`, with the same resource owner.
        unsafe { pg_sys::UnregisterSnapshot(self.0) }
    }

    /// The first transaction that had not begun, and those that had not ended, our own among them.
    pub fn transactions(&self) -> (u64, Vec<u64>) {
        // SAFETY: an MVCC snapshot has `xcnt` ids in `xip`.
        unsafe {
            let next = pg_sys::ReadNextFullTransactionId().value;
            let full = |id: pg_sys::TransactionId| {
                let full = next & !0xffff_ffff | u64::from(id.into_inner());
                // No id is ahead of the next one: such a one is of the epoch before.
                if full > next { full - (1 << 32) } else { full }
            };
            let snapshot = &*self.0;
            let running = (0..snapshot.xcnt as usize).map(|i| full(*snapshot.xip.add(i)));
            let own = own_xid();
            (full(snapshot.xmax), running.chain(own).collect())
        }
    }
}

/// This transaction's id, if it has one.
pub fn own_xid() -> Option<u64> {
    // SAFETY: reads a variable of the backend.
    let own = unsafe { pg_sys::GetTopFullTransactionIdIfAny() }.value;
    (own != 0).then_some(own)
}

/// This transaction's id; it has one from now on.
pub fn assign_xid() -> u64 {
    // SAFETY: within a transaction; raises where there is none to be had.
    unsafe { pg_sys::GetTopFullTransactionId() }.value
}

/// How deep in subtransactions the transaction is.
pub fn depth() -> i32 {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::GetCurrentTransactionNestLevel() }
}

/// Is a transaction going on, and not being rolled back?
pub fn is_in_transaction() -> bool {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::IsTransactionState() }
}

/// Can nothing be written, because this is a standby?
pub fn is_standby() -> bool {
    // SAFETY: reads shared memory.
    unsafe { pg_sys::RecoveryInProgress() }
}

/// Do statements of this transaction see what was committed when it began, and nothing later?
pub fn sees_an_old_snapshot() -> bool {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ as i32 }
}

/// Where transaction ids of this table mean something.
pub fn origin(table: Oid) -> stream::sql::Origin {
    // SAFETY: reads variables of the process.
    unsafe {
        stream::sql::Origin {
            system: pg_sys::GetSystemIdentifier(),
            database: pg_sys::MyDatabaseId.to_u32(),
            table: table.to_u32(),
        }
    }
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
            let info = pg_sys::BuildIndexInfo(index);
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
            pg_sys::pfree(info.cast());
        }
    }

    /// Keeps others from numbering until [`ChunkTable::unlock`], or the end of a transaction that fails.
    pub fn lock(&self) {
        // SAFETY: an open relation. The page itself has nothing to do with it.
        unsafe { pg_sys::LockPage(self.heap, 0, pg_sys::ExclusiveLock as i32) }
    }

    /// Lets others number.
    pub fn unlock(&self) {
        // SAFETY: locked by `lock`.
        unsafe { pg_sys::UnlockPage(self.heap, 0, pg_sys::ExclusiveLock as i32) }
    }

    /// Gives a row its number, for everybody and for good.
    pub fn number(&self, row: &Row, base: i64, bytes: i64) {
        let (block, place) = u64_to_item_pointer_parts(row.tid);
        // SAFETY: the values are of the index's types; the row is there, since a snapshot has shown it and numbered rows alone are ever removed.
        unsafe {
            let mut tid = pg_sys::ItemPointerData::default();
            pgrx::itemptr::u64_to_item_pointer(row.tid, &mut tid);
            let mut keys = [Datum::from(row.partition), Datum::from(base)];
            for index in &self.numbered {
                self.index(*index, &mut keys, &mut tid);
            }
            self.overwrite(block, place, &[base, bytes]);
        }
    }

    /// The same of a row that its index knows under this number already.
    pub fn finish_number(&self, row: &Row, base: i64, bytes: i64) {
        let (block, place) = u64_to_item_pointer_parts(row.tid);
        // SAFETY: as above.
        unsafe { self.overwrite(block, place, &[base, bytes]) }
    }

    /// Writes numbers over the first columns of a row, where it is.
    ///
    /// # Safety
    /// There is a row at that place, and its first columns are so many bigints.
    unsafe fn overwrite(&self, block: u32, place: u16, numbers: &[i64]) {
        // SAFETY: the caller's promise: columns that are not null and never toasted stand at the row's beginning, aligned. The page is changed under its exclusive
        // lock, in the copy that becomes the page together with its WAL record (generic_xlog.c).
        unsafe {
            let buffer = pg_sys::ReadBuffer(self.heap, block);
            pg_sys::LockBuffer(buffer, pg_sys::BUFFER_LOCK_EXCLUSIVE as i32);
            let state = pg_sys::GenericXLogStart(self.heap);
            let page = pg_sys::GenericXLogRegisterBuffer(state, buffer, 0);
            let item = pg_sys::PageGetItem(page, pg_sys::PageGetItemId(page, place));
            let header = item.cast::<pg_sys::HeapTupleHeaderData>();
            let data = item.add(usize::from((*header).t_hoff)).cast::<i64>();
            for (i, number) in numbers.iter().enumerate() {
                data.add(i).write(*number);
            }
            pg_sys::GenericXLogFinish(state);
            pg_sys::UnlockReleaseBuffer(buffer);
        }
    }

    /// The rows that a transaction, or this and later ones, have added, in order.
    pub fn of_transactions(
        &self,
        snapshot: &Latest,
        from: u64,
        and_later: bool,
        mut each: impl FnMut(&Row),
    ) {
        let (strategy, procedure) = if and_later {
            (pg_sys::BTGreaterEqualStrategyNumber, pg_sys::F_INT8GE)
        } else {
            (pg_sys::BTEqualStrategyNumber, pg_sys::F_INT8EQ)
        };
        let key = (1, strategy, procedure, Datum::from(from as i64));
        let mut cursor = self.scan(&self.fresh, snapshot, &[key], true);
        while let Some(row) = cursor.next(None) {
            if row.xid != HORIZON_XID {
                each(&row);
            }
            super::wait::interruption();
        }
        cursor.end();
    }

    /// The last row of a partition by numbers, and a row behind it that was about to get its number when something came between.
    pub fn last(&self, snapshot: &Latest, partition: i32) -> (Option<Row>, Option<Row>) {
        let mut cursor = self.backward(snapshot, partition, i64::MAX);
        let mut last = cursor.next(None);
        let unfinished = last.filter(|row| row.base == UNNUMBERED);
        if unfinished.is_some() {
            last = cursor.next(None);
        }
        cursor.end();
        (last, unfinished)
    }

    /// The row of a partition that has this offset, or the last one before it.
    pub fn at(&self, snapshot: &Latest, partition: i32, offset: i64) -> Option<Row> {
        let mut cursor = self.backward(snapshot, partition, offset);
        let row = cursor.next(None);
        cursor.end();
        row.filter(|row| row.base != UNNUMBERED)
    }

    fn backward(&self, snapshot: &Latest, partition: i32, offset: i64) -> Cursor {
        let keys = [
            of_partition(partition),
            (
                2,
                pg_sys::BTLessEqualStrategyNumber,
                pg_sys::F_INT8LE,
                Datum::from(offset),
            ),
        ];
        self.scan(&self.numbered, snapshot, &keys, false)
    }

    /// The rows of a partition from a number on.
    pub fn from(&self, snapshot: &Latest, partition: i32, base: i64) -> Cursor {
        let keys = [
            of_partition(partition),
            (
                2,
                pg_sys::BTGreaterEqualStrategyNumber,
                pg_sys::F_INT8GE,
                Datum::from(base),
            ),
        ];
        self.scan(&self.numbered, snapshot, &keys, true)
    }

    fn scan(
        &self,
        indexes: &[pg_sys::Relation],
        snapshot: &Latest,
        keys: &[(i16, u32, u32, Datum)],
        forward: bool,
    ) -> Cursor {
        // One that is being built does not have all rows.
        // SAFETY: open relations.
        let valid = indexes
            .iter()
            .copied()
            .find(|index| unsafe { (*(**index).rd_index).indisvalid });
        let index = valid.unwrap_or_else(|| panic!("an index of the stream's table is gone"));
        // SAFETY: the keys are of the index's types; the scan ends before table and snapshot.
        self.memory.within(|| unsafe {
            let mut made = [pg_sys::ScanKeyData::default(); 2];
            for (place, (column, strategy, procedure, value)) in made.iter_mut().zip(keys) {
                pg_sys::ScanKeyInit(
                    place,
                    *column,
                    *strategy as u16,
                    pg_sys::Oid::from(*procedure),
                    *value,
                );
            }
            let count = keys.len() as i32;
            let scan = pg_sys::index_beginscan(self.heap, index, snapshot.0, count, 0);
            pg_sys::index_rescan(scan, made.as_mut_ptr(), count, std::ptr::null_mut(), 0);
            Cursor {
                scan,
                slot: pg_sys::table_slot_create(self.heap, std::ptr::null_mut()),
                direction: if forward {
                    pg_sys::ScanDirection::ForwardScanDirection
                } else {
                    pg_sys::ScanDirection::BackwardScanDirection
                },
                memory: self.memory,
            }
        })
    }

    /// The stream's horizon, and where it stands; `None` if the table has none.
    pub fn horizon(&self, snapshot: &Latest) -> Option<(Horizon, HorizonPlace)> {
        let key = (
            1,
            pg_sys::BTEqualStrategyNumber,
            pg_sys::F_INT8EQ,
            Datum::from(HORIZON_XID),
        );
        let mut cursor = self.scan(&self.fresh, snapshot, &[key], true);
        let mut body = Vec::new();
        let row = cursor.next(Some(&mut body));
        cursor.end();
        Some((Horizon::from_bytes(&body)?, HorizonPlace(row?.tid)))
    }

    /// Stores it.
    pub fn set_horizon(&self, place: &HorizonPlace, horizon: &Horizon) {
        let (block, place) = u64_to_item_pointer_parts(place.0);
        let bytes = horizon.to_bytes();
        // SAFETY: the row is there, as `horizon` has found: nobody removes it. It is looked at again whether its last column has these bytes and
        // nothing else; it is found without the table's descriptor because the columns before it have one length.
        unsafe {
            let buffer = pg_sys::ReadBuffer(self.heap, block);
            pg_sys::LockBuffer(buffer, pg_sys::BUFFER_LOCK_EXCLUSIVE as i32);
            let state = pg_sys::GenericXLogStart(self.heap);
            let page = pg_sys::GenericXLogRegisterBuffer(state, buffer, 0);
            let id = pg_sys::PageGetItemId(page, place);
            let item = pg_sys::PageGetItem(page, id).cast::<u8>();
            let header = item.cast::<pg_sys::HeapTupleHeaderData>();
            let body = usize::from((*header).t_hoff) + BODY_AT;
            let is_whole = (*id).lp_len() as usize == body + 4 + bytes.len();
            if is_whole {
                item.add(body + 4)
                    .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
                pg_sys::GenericXLogFinish(state);
            } else {
                pg_sys::GenericXLogAbort(state);
            }
            pg_sys::UnlockReleaseBuffer(buffer);
        }
    }
}

/// Where the last column begins: behind four bigints and three integers, aligned for an int.
const BODY_AT: usize = 4 * 8 + 3 * 4;

/// Where the horizon's row is.
pub struct HorizonPlace(u64);

fn of_partition(partition: i32) -> (i16, u32, u32, Datum) {
    (
        1,
        pg_sys::BTEqualStrategyNumber,
        pg_sys::F_INT4EQ,
        Datum::from(partition),
    )
}

/// Reads rows in the order of an index. It is ended by [`Cursor::end`], or by the end of a transaction that fails.
pub struct Cursor {
    scan: pg_sys::IndexScanDesc,
    slot: *mut pg_sys::TupleTableSlot,
    direction: pg_sys::ScanDirection::Type,
    memory: Memory,
}

impl Cursor {
    /// The next row; its records, if they are wanted, take the place of what is in `body`.
    pub fn next(&mut self, body: Option<&mut Vec<u8>>) -> Option<Row> {
        // SAFETY: the scan is open; the columns have these types.
        unsafe {
            let found = self.memory.within(|| {
                let found = pg_sys::index_getnext_slot(self.scan, self.direction, self.slot);
                if found {
                    pg_sys::slot_getsomeattrs_int(self.slot, COLUMNS as i32);
                }
                found
            });
            if !found {
                return None;
            }
            let slot = &*self.slot;
            let value = |column: usize| *slot.tts_values.add(column);
            let (block, place) = item_pointer_get_both(slot.tts_tid);
            let records = value(COLUMNS - 1);
            let is_gap = *slot.tts_isnull.add(COLUMNS - 1);
            let length = if is_gap {
                0
            } else {
                pg_sys::toast_raw_datum_size(records) as i64
            };
            if let Some(body) = body {
                body.clear();
                if !is_gap {
                    copy_bytes(records, body);
                }
            }
            Some(Row {
                base: value(0).value() as i64,
                bytes: value(1).value() as i64,
                xid: value(2).value() as i64,
                newest: value(3).value() as i64,
                partition: value(4).value() as i32,
                records: value(6).value() as i32,
                tid: u64::from(block) << 32 | u64::from(place),
                length,
            })
        }
    }

    /// Ends the scan.
    pub fn end(self) {
        // SAFETY: begun by `scan`, in the same transaction.
        unsafe {
            pg_sys::ExecDropSingleTupleTableSlot(self.slot);
            pg_sys::index_endscan(self.scan);
        }
    }
}

/// Copies the bytes of a varlena, detoasted.
///
/// # Safety
/// The datum is a varlena that is not null.
unsafe fn copy_bytes(datum: Datum, body: &mut Vec<u8>) {
    // SAFETY: the caller's promise; a detoasted copy is freed here.
    unsafe {
        let original = datum.cast_mut_ptr::<pg_sys::varlena>();
        let plain = pg_sys::pg_detoast_datum_packed(original);
        let bytes = pgrx::varlena::varlena_to_byte_slice(plain);
        if body.try_reserve(bytes.len()).is_err() {
            crate::error::out_of_memory(bytes.len()).raise();
        }
        body.extend_from_slice(bytes);
        if plain != original {
            pg_sys::pfree(plain.cast());
        }
    }
}
