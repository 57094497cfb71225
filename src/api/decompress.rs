//! `redshift.decompress`: payloads that a producer compressed itself. Redshift has no such function; streaming ingestion hands such payloads on as they
//! are. The result is bounded before it is made: a few bytes can hold gigabytes.

use std::io::{ErrorKind, Read};

use pgrx::prelude::*;
use super_value::{memory, pace};

use crate::pg::datum::{Bytes, Varlena};
use crate::pg::report::{Report, sqlstate};
use crate::pg::varlena::out_of_memory;
use crate::types::compose;

/// The most that may come out: Redshift's longest VARBYTE.
const MAX_BYTES: usize = 16_777_216;

/// The furthest that a zstd frame may refer back, as a power of two: 128 MB, which its highest level uses. The decoder asks for as much, and has an
/// error where that is not to be had.
const MAX_WINDOW_LOG: u32 = 27;

/// What the others ask for beside the result at most: two blocks of lz4, of 8 MB where they are of its old kind.
const MAX_WORK: usize = 24 * 1024 * 1024;

/// `redshift.decompress(varbyte, text)`.
#[pg_extern]
fn decompress(compressed: Bytes<'_>, codec: Bytes<'_>) -> Varlena {
    let bytes = compressed.as_slice();
    let input = Input(bytes);
    let name = codec.excerpt();
    // The decoders ask for memory of their own in ways that end the process where there is none: so it is seen before that it is there.
    compose::made(memory::with_room::<u8>(MAX_WORK).map(drop));
    let result = match name.to_ascii_lowercase().as_str() {
        "gzip" => read(flate2::read::MultiGzDecoder::new(input)),
        "zlib" => read(flate2::read::ZlibDecoder::new(input)),
        "deflate" => read(flate2::read::DeflateDecoder::new(input)),
        "zstd" => zstd(input),
        "lz4" => read(lz4_flex::frame::FrameDecoder::new(input)),
        "snappy" => snappy(bytes),
        _ => Report::new(
            sqlstate::INVALID_PARAMETER_VALUE,
            format!("unknown codec \"{name}\""),
        )
        .hint("The codecs are gzip, zlib, deflate, zstd, lz4 (frames) and snappy (blocks).")
        .raise(),
    };
    match result {
        Ok(bytes) if bytes.len() > MAX_BYTES => too_long(),
        Ok(bytes) => Varlena::of_payload(&bytes),
        Err(error) if is_out_of_memory(&error) => out_of_memory(MAX_BYTES),
        Err(error) => Report::new(
            sqlstate::INVALID_BINARY_REPRESENTATION,
            format!("cannot decompress: no valid {name} data"),
        )
        .detail(format!("{error}"))
        .raise(),
    }
}

/// The compressed bytes, with a look at interrupts now and then: a gigabyte of them may decompress to nothing.
struct Input<'a>(&'a [u8]);

impl Read for Input<'_> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        const PIECE: usize = 64 * 1024;
        pace::ask();
        let length = to.len().min(PIECE).min(self.0.len());
        let (piece, rest) = self.0.split_at(length);
        to[..length].copy_from_slice(piece);
        self.0 = rest;
        Ok(length)
    }
}

/// Reads one byte more than is allowed, at most.
fn read(decoder: impl Read) -> std::io::Result<Vec<u8>> {
    const PIECE: usize = 16 * 1024;
    let mut decoder = decoder.take(MAX_BYTES as u64 + 1);
    let mut bytes = Vec::new();
    loop {
        bytes
            .try_reserve(PIECE)
            .map_err(|_| ErrorKind::OutOfMemory)?;
        let length = bytes.len();
        bytes.resize(length + PIECE, 0);
        let read = decoder.read(&mut bytes[length..]);
        bytes.truncate(length + *read.as_ref().unwrap_or(&0));
        if read? == 0 {
            return Ok(bytes);
        }
    }
}

/// A frame states how far back it refers.
fn zstd(input: Input<'_>) -> std::io::Result<Vec<u8>> {
    let mut decoder = zstd::Decoder::new(input)?;
    decoder.window_log_max(MAX_WINDOW_LOG)?;
    read(decoder)
}

/// zstd has a text of its own for it (`ZSTD_getErrorName`).
fn is_out_of_memory(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::OutOfMemory || error.to_string().starts_with("Allocation error")
}

/// A block states its length in front.
fn snappy(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let length = snap::raw::decompress_len(bytes)?;
    if length > MAX_BYTES {
        too_long()
    }
    let mut decompressed = Vec::new();
    memory::extend_by(&mut decompressed, length, 0).map_err(|_| ErrorKind::OutOfMemory)?;
    let written = snap::raw::Decoder::new().decompress(bytes, &mut decompressed)?;
    decompressed.truncate(written);
    Ok(decompressed)
}

#[cold]
fn too_long() -> ! {
    let message = format!("the decompressed value is longer than {MAX_BYTES} bytes");
    Report::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message).raise()
}
