//! Numbers of rows, written where the rows are.

use super::{ChunkTable, Row, rows};
use pgrx::itemptr::u64_to_item_pointer_parts;
use pgrx::pg_sys::{self, Datum};
use stream::sql::Horizon;

/// Where the last column begins: behind five bigints and three integers, aligned for an int.
const BODY_AT: usize = 5 * 8 + 3 * 4;

/// Where the horizon's row is.
pub struct HorizonPlace(pub(super) u64);

impl ChunkTable {
    /// Gives a row its number, for everybody and for good.
    pub fn number(&self, row: &Row, base: i64, bytes: i64) {
        // SAFETY: a snapshot has shown the row, and numbered rows alone are ever removed.
        unsafe { self.write_number(row, base, bytes, self.numbered.iter()) }
    }

    /// The same of a row that the index which is read knows under this number already; another one, beside it, may not.
    pub fn finish_number(&self, row: &Row, base: i64, bytes: i64) {
        let known = rows::valid(&self.numbered);
        let others = self.numbered.iter().filter(|index| Some(**index) != known);
        // SAFETY: as above.
        unsafe { self.write_number(row, base, bytes, others) }
    }

    /// # Safety
    /// The indexes are of the table's numbers, and the row is there.
    unsafe fn write_number<'a>(
        &self,
        row: &Row,
        base: i64,
        bytes: i64,
        indexes: impl Iterator<Item = &'a pg_sys::Relation>,
    ) {
        let (block, place) = u64_to_item_pointer_parts(row.tid);
        // SAFETY: the caller's promise; the values are of the index's types.
        unsafe {
            let mut tid = pg_sys::ItemPointerData::default();
            pgrx::itemptr::u64_to_item_pointer(row.tid, &mut tid);
            let mut keys = [Datum::from(row.partition), Datum::from(base)];
            for index in indexes {
                self.index(*index, &mut keys, &mut tid);
            }
            self.overwrite(block, place, &[base, bytes]);
        }
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
