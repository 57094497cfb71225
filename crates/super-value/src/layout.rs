//! The words of the jsonb image: `src/include/utils/jsonb.h` and the varlena header of `src/include/varatt.h` (`postgres.h` before 16).
//! pg_upgrade carries these bytes from one major release to the next, so they do not change.

/// Bytes of an uncompressed, long varlena header.
pub(crate) const VARLENA_HEADER: usize = 4;

/// A container's header: number of elements or pairs, and flags.
pub(crate) const COUNT_MASK: u32 = 0x0FFF_FFFF;
pub(crate) const FLAG_SCALAR: u32 = 0x1000_0000;
pub(crate) const FLAG_OBJECT: u32 = 0x2000_0000;
pub(crate) const FLAG_ARRAY: u32 = 0x4000_0000;

/// A JEntry: 28 bits of length, or of the offset of the end, and what the child is.
pub(crate) const ENTRY_LENGTH_MASK: u32 = 0x0FFF_FFFF;
pub(crate) const ENTRY_TYPE_MASK: u32 = 0x7000_0000;
pub(crate) const ENTRY_HAS_OFFSET: u32 = 0x8000_0000;
pub(crate) const ENTRY_STRING: u32 = 0x0000_0000;
pub(crate) const ENTRY_NUMERIC: u32 = 0x1000_0000;
pub(crate) const ENTRY_FALSE: u32 = 0x2000_0000;
pub(crate) const ENTRY_TRUE: u32 = 0x3000_0000;
pub(crate) const ENTRY_NULL: u32 = 0x4000_0000;
pub(crate) const ENTRY_CONTAINER: u32 = 0x5000_0000;

/// Every how many children an offset is stored in place of a length (`JB_OFFSET_STRIDE`).
pub(crate) const OFFSET_STRIDE: usize = 32;

/// The long varlena header of a value of `length` bytes, header included.
pub(crate) fn varlena_header(length: usize) -> [u8; VARLENA_HEADER] {
    let length = length as u32;
    if cfg!(target_endian = "little") {
        (length << 2).to_ne_bytes()
    } else {
        length.to_ne_bytes()
    }
}

/// The length, header included, that a long varlena header states; `None` for a short, compressed or external one.
pub(crate) fn varlena_length(header: [u8; VARLENA_HEADER]) -> Option<usize> {
    let word = u32::from_ne_bytes(header);
    if cfg!(target_endian = "little") {
        (word & 3 == 0).then_some((word >> 2) as usize)
    } else {
        (word >> 30 == 0).then_some(word as usize)
    }
}
