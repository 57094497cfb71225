//! Filling a scan's tuple slot straight from a record.

use pgrx::pg_sys::{self, Datum};

mod unguarded {
    //! Leaf functions called once a record: pgrx's guard would cost more than they do, and they do not raise here.
    use pgrx::pg_sys;
    unsafe extern "C-unwind" {
        #[link_name = "ExecClearTuple__pgrx_cshim"]
        pub fn ExecClearTuple(slot: *mut pg_sys::TupleTableSlot) -> *mut pg_sys::TupleTableSlot;
        pub fn ExecStoreVirtualTuple(
            slot: *mut pg_sys::TupleTableSlot,
        ) -> *mut pg_sys::TupleTableSlot;
    }
}

/// Bytes that a varlena value takes in the buffer beside its data: header and alignment.
const VARLENA_OVERHEAD: usize = 4 + 7;

/// Writes one row after the other into a slot. Values that are not passed by value live in a buffer of the writer's until the next
/// row begins, so a row costs no allocation.
pub struct RowWriter {
    slot: *mut pg_sys::TupleTableSlot,
    attributes: usize,
    /// u64s, so that each value can begin at an aligned place.
    buffer: Vec<u64>,
    used: usize,
}

impl RowWriter {
    /// A writer of rows with `attributes` columns.
    pub fn new(attributes: usize) -> RowWriter {
        RowWriter {
            slot: std::ptr::null_mut(),
            attributes,
            buffer: Vec::new(),
            used: 0,
        }
    }

    /// Empties `slot` for the next row.
    ///
    /// # Safety
    /// `slot` is the scan's own, with as many attributes as `new` was told.
    pub unsafe fn attach(&mut self, slot: *mut pg_sys::TupleTableSlot) {
        self.slot = slot;
        // SAFETY: the caller's promise.
        unsafe { unguarded::ExecClearTuple(slot) };
    }

    /// Begins a row of NULLs that will hold at most `values` byte values of `bytes` bytes together.
    pub fn begin(&mut self, values: usize, bytes: usize) {
        let needed = (bytes + values * VARLENA_OVERHEAD).div_ceil(8);
        if self.buffer.len() < needed {
            let more = needed - self.buffer.len();
            if self.buffer.try_reserve_exact(more).is_err() {
                super::error::out_of_memory(needed * 8).raise();
            }
            self.buffer.resize(needed, 0);
        }
        self.used = 0;
        // SAFETY: tts_isnull has an element for each attribute.
        unsafe { std::ptr::write_bytes((*self.slot).tts_isnull, 1, self.attributes) };
    }

    /// Sets an integer column (or any type that is passed by value in eight bytes). As of all values: that the attribute has this type was
    /// found by `scan::shape` when the scan began.
    pub fn set_i64(&mut self, attribute: usize, value: i64) {
        self.set(attribute, Datum::from(value));
    }

    /// Sets a varlena column (varbyte, character) to these bytes.
    pub fn set_bytes(&mut self, attribute: usize, bytes: &[u8]) {
        let start = self.claim(4 + bytes.len());
        start[4..].copy_from_slice(bytes);
        let header = super::polyfill::varlena_header(4 + bytes.len());
        start[..4].copy_from_slice(&header);
        let datum = Datum::from(start.as_ptr());
        self.set(attribute, datum);
    }

    /// Sets a column to a complete varlena, its header included (the image of a SUPER value).
    pub fn set_varlena(&mut self, attribute: usize, image: &[u8]) {
        let start = self.claim(image.len());
        start.copy_from_slice(image);
        let datum = Datum::from(start.as_ptr());
        self.set(attribute, datum);
    }

    /// Ends the row: the slot now shows it.
    pub fn store(&mut self) {
        // SAFETY: the slot was cleared by `attach`, and every attribute is NULL or set to a value of its type (`set`).
        unsafe {
            if (*self.slot).tts_flags & pg_sys::TTS_FLAG_EMPTY as u16 == 0 {
                unguarded::ExecClearTuple(self.slot);
            }
            unguarded::ExecStoreVirtualTuple(self.slot);
        }
    }

    /// `len` bytes of the buffer at an aligned place.
    fn claim(&mut self, len: usize) -> &mut [u8] {
        let words = len.div_ceil(8);
        let place = &mut self.buffer[self.used..self.used + words];
        self.used += words;
        // SAFETY: u64s seen as bytes; `len` is at most eight times their number.
        unsafe { std::slice::from_raw_parts_mut(place.as_mut_ptr().cast::<u8>(), len) }
    }

    fn set(&mut self, attribute: usize, value: Datum) {
        assert!(attribute < self.attributes);
        // SAFETY: both arrays have an element for each attribute, and the index was checked. The datum is of the attribute's type: the scan's columns
        // come from `scan::shape`, which compared name, type and modifier of each attribute of the slot's own descriptor.
        unsafe {
            (*self.slot).tts_values.add(attribute).write(value);
            (*self.slot).tts_isnull.add(attribute).write(false);
        }
    }
}
