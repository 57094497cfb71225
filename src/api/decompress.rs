//! `redshift.decompress`: payloads that a producer compressed itself. Redshift has no such function; streaming ingestion hands such payloads on as they
//! are. The result is bounded before it is made: a few bytes can hold gigabytes.

use std::io::Read;

use pgrx::prelude::*;

use crate::pg::datum::{Bytes, Varlena};
use crate::pg::report::{Report, sqlstate};

/// The most that may come out: Redshift's longest VARBYTE.
const MAX_BYTES: usize = 16_777_216;

/// `redshift.decompress(varbyte, text)`.
#[pg_extern]
fn decompress(compressed: Bytes<'_>, codec: Bytes<'_>) -> Varlena {
    let (bytes, codec) = (compressed.as_slice(), codec.as_str());
    let result = match codec.to_ascii_lowercase().as_str() {
        "gzip" => read(flate2::read::MultiGzDecoder::new(bytes)),
        "zlib" => read(flate2::read::ZlibDecoder::new(bytes)),
        "deflate" => read(flate2::read::DeflateDecoder::new(bytes)),
        "zstd" => zstd::Decoder::new(bytes).and_then(read),
        "lz4" => read(lz4_flex::frame::FrameDecoder::new(bytes)),
        "snappy" => snappy(bytes),
        _ => Report::new(
            sqlstate::INVALID_PARAMETER_VALUE,
            format!("unknown codec \"{codec}\""),
        )
        .hint("The codecs are gzip, zlib, deflate, zstd, lz4 (frames) and snappy (blocks).")
        .raise(),
    };
    match result {
        Ok(bytes) if bytes.len() > MAX_BYTES => too_long(),
        Ok(bytes) => Varlena::of_payload(&bytes),
        Err(error) => Report::new(
            sqlstate::INVALID_BINARY_REPRESENTATION,
            format!("cannot decompress: no valid {codec} data"),
        )
        .detail(format!("{error}"))
        .raise(),
    }
}

/// Reads one byte more than is allowed, at most.
fn read(decoder: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    decoder.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A block states its length in front.
fn snappy(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    if snap::raw::decompress_len(bytes)? > MAX_BYTES {
        too_long()
    }
    Ok(snap::raw::Decoder::new().decompress_vec(bytes)?)
}

#[cold]
fn too_long() -> ! {
    let message = format!("the decompressed value is longer than {MAX_BYTES} bytes");
    Report::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message).raise()
}
