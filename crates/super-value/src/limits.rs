//! What a SUPER value may hold. The first three are Redshift's ("SUPER limitations" in its Developer Guide), the others those of the stored form.

/// Bytes of JSON text in one SUPER value: 16 MB. It bounds the text, which users can measure, not the stored form, which they cannot.
pub const MAX_DOCUMENT_BYTES: usize = 16 * 1024 * 1024;

/// Arrays and objects within one another; a scalar has depth 0.
pub const MAX_DEPTH: usize = 1000;

/// Bytes of one string after its escapes are resolved.
pub const MAX_STRING_BYTES: usize = 16_000_000;

/// Bytes of one array or object in the stored form, which has 28 bits for a length. A document of [`MAX_DOCUMENT_BYTES`] stays below it: the
/// worst there is, an array of one-digit numbers, grows sixfold. It is checked all the same.
pub const MAX_CONTAINER_BYTES: usize = 0x0FFF_FFFF;

/// Digits after the decimal point that a Postgres numeric can show (`NUMERIC_DSCALE_MASK`).
pub const MAX_NUMBER_SCALE: i64 = 0x3FFF;

/// Weight of the first base-10000 digit of a Postgres numeric (an `int16`): 131072 digits before the decimal point.
pub const MAX_NUMBER_WEIGHT: i64 = i16::MAX as i64;

/// Bytes of a document that a [`Parser`](crate::Parser) remembers, and keeps buffers for, from one call to the next.
pub const MAX_REMEMBERED_BYTES: usize = 1024 * 1024;
