//! Reading rows, in the order of an index.

use super::{COLUMNS, ChunkTable, HORIZON_XID, HorizonPlace, Latest, Memory, Row, UNNUMBERED};
use crate::pg::{error, wait};
use pgrx::itemptr::item_pointer_get_both;
use pgrx::pg_sys::{self, Datum};
use stream::sql::Horizon;

impl ChunkTable {
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
            wait::interruption();
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
        let index = valid(indexes).unwrap_or_else(|| {
            let name = super::super::relation::name(self.oid()).unwrap_or_default();
            error::no_index(&name).raise()
        });
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
}

/// The index that is read by: one that is being built does not have all rows.
pub(super) fn valid(indexes: &[pg_sys::Relation]) -> Option<pg_sys::Relation> {
    // SAFETY: open relations.
    let is_valid = |index: &pg_sys::Relation| unsafe { (*(**index).rd_index).indisvalid };
    indexes.iter().copied().find(is_valid)
}

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
        self.fetch(body, usize::MAX)
    }

    /// The next row with its records, unless these have more bytes: then `body` is empty.
    pub fn next_within(&mut self, body: &mut Vec<u8>, most: usize) -> Option<Row> {
        self.fetch(Some(body), most)
    }

    fn fetch(&mut self, body: Option<&mut Vec<u8>>, most: usize) -> Option<Row> {
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
                if !is_gap && length as usize <= most {
                    copy_bytes(records, body);
                }
            }
            Some(Row {
                base: value(0).value() as i64,
                bytes: value(1).value() as i64,
                xid: value(2).value() as i64,
                newest: value(3).value() as i64,
                added: value(4).value() as i64,
                partition: value(5).value() as i32,
                records: value(7).value() as i32,
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
            error::out_of_memory(bytes.len()).raise();
        }
        body.extend_from_slice(bytes);
        if plain != original {
            pg_sys::pfree(plain.cast());
        }
    }
}
