//! Results of functions: values in palloc'd memory.
//!
//! Their length comes from what users send. So memory that is not to be had is ERROR 53200, a value longer than Postgres's values may be is 54000, and
//! copying or making a long one looks at interrupts in between.

use std::ptr::NonNull;

use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::pg_sys;
use super_value::{Value, pace};

use super::report::{Report, sqlstate};

unsafe extern "C-unwind" {
    /// `palloc_extended` of `src/backend/utils/mmgr/mcxt.c`. With `MCXT_ALLOC_NO_OOM` and a size below `MaxAllocSize` it raises no error.
    #[link_name = "palloc_extended"]
    fn palloc_extended_unguarded(size: usize, flags: core::ffi::c_int) -> *mut core::ffi::c_void;
}

/// Largest piece of memory that palloc gives (`MaxAllocSize` in `memutils.h`), and so the longest value with its header.
const MAX_ALLOCATION: usize = 0x3FFF_FFFF;
const NO_OOM: core::ffi::c_int = pg_sys::MCXT_ALLOC_NO_OOM as core::ffi::c_int;

/// New memory that is filled from its beginning to its end.
pub struct Output {
    memory: NonNull<u8>,
    length: usize,
    written: usize,
}

impl Output {
    /// `length` bytes in the current memory context. Too little of it is a Rust panic that becomes a Postgres error, never a longjmp: callers may hold
    /// borrows and values to drop.
    fn new(length: usize) -> Self {
        if length > MAX_ALLOCATION {
            too_long(length)
        }
        // SAFETY: with NO_OOM and below the limit it returns null in place of raising an error.
        let memory = unsafe { palloc_extended_unguarded(length, NO_OOM) };
        let memory = NonNull::new(memory.cast()).unwrap_or_else(|| out_of_memory(length));
        Output {
            memory,
            length,
            written: 0,
        }
    }

    /// Appends bytes; a panic if there are more than was asked for.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        for piece in pace::pieces(bytes) {
            assert!(piece.len() <= self.length - self.written);
            // SAFETY: there is room for it, as was just asserted, and new memory overlaps nothing.
            unsafe {
                let to = self.memory.as_ptr().add(self.written);
                to.copy_from_nonoverlapping(piece.as_ptr(), piece.len());
            }
            self.written += piece.len();
        }
    }

    fn put_header(&mut self) {
        let mut header = [0u32];
        // SAFETY: a word is written into a word.
        unsafe {
            pgrx::varlena::set_varsize_4b(header.as_mut_ptr().cast(), self.length as i32);
        }
        self.put(&header[0].to_ne_bytes());
    }

    fn finish(self) -> NonNull<u8> {
        assert_eq!(self.written, self.length);
        self.memory
    }
}

#[cold]
fn too_long(length: usize) -> ! {
    Report::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, "the result is too long")
        .detail(format!(
            "It would have {length} bytes; a value has at most {MAX_ALLOCATION}."
        ))
        .raise()
}

/// Raises 53200 for a request of so many bytes.
#[cold]
pub fn out_of_memory(length: usize) -> ! {
    Report::new(sqlstate::OUT_OF_MEMORY, "out of memory")
        .detail(format!("Failed on request of size {length}."))
        .raise()
}

/// A varlena, ready to be returned.
pub struct Varlena(NonNull<u8>);

impl Varlena {
    /// A copy of a complete varlena, long header included: a SUPER image, a numeric.
    pub fn copy(complete: &[u8]) -> Self {
        let mut output = Output::new(complete.len());
        output.put(complete);
        Varlena(output.finish())
    }

    /// A text, bytea or varbyte that holds `payload`.
    pub fn of_payload(payload: &[u8]) -> Self {
        Varlena::build(payload.len(), |output| output.put(payload))
    }

    /// A text, bytea or varbyte of `length` bytes, which `fill` puts into it.
    pub fn build(length: usize, fill: impl FnOnce(&mut Output)) -> Self {
        let mut output = Output::new(length.saturating_add(pg_sys::VARHDRSZ));
        output.put_header();
        fill(&mut output);
        Varlena(output.finish())
    }

    /// A SUPER of its own for a value inside of another, or for a new scalar.
    #[inline]
    pub fn of_value(value: Value<'_>) -> Self {
        let (headers, bytes) = value.image_parts();
        let mut output = Output::new(value.image_len());
        output.put(headers.as_slice());
        output.put(bytes);
        Varlena(output.finish())
    }

    /// The datum, which belongs to Postgres from now on.
    pub fn into_raw(self) -> pg_sys::Datum {
        pg_sys::Datum::from(self.0.as_ptr())
    }
}

// SAFETY: a palloc'd varlena is what a function of a varlena type returns.
unsafe impl BoxRet for Varlena {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        // SAFETY: returned as it is, as the trait asks.
        unsafe { fcinfo.return_raw_datum(self.into_raw()) }
    }
}

/// The text that a type's output function returns: a C string.
pub struct TextOut(NonNull<u8>);

impl TextOut {
    /// These bytes, none of which is zero.
    pub fn of(text: &[u8]) -> Self {
        TextOut::build(text.len(), |output| output.put(text))
    }

    /// `length` bytes, none of them zero, which `fill` puts into it.
    pub fn build(length: usize, fill: impl FnOnce(&mut Output)) -> Self {
        let mut output = Output::new(length.saturating_add(1));
        fill(&mut output);
        output.put(b"\0");
        TextOut(output.finish())
    }
}

// SAFETY: a palloc'd C string is what a function returns that is declared to return cstring.
unsafe impl BoxRet for TextOut {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        // SAFETY: returned as it is, as the trait asks.
        unsafe { fcinfo.return_raw_datum(pg_sys::Datum::from(self.0.as_ptr())) }
    }
}
