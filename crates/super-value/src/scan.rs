//! Finds the end of the plain part of a JSON string: the one place with CPU-specific code, and the one place with `unsafe`.

/// Zero bytes that must follow a document. A string scan reads a block at a time and stops at the first zero, so it never runs out.
pub(crate) const PADDING: usize = 32;

/// Position of the first byte at or after `from` that a string cannot hold as it is: a quote, a backslash or a control character.
///
/// `text` ends in [`PADDING`] zeroes and `from` lies before them; without such a byte the answer is `text.len()`.
#[inline(always)]
pub(crate) fn end_of_plain(text: &[u8], from: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    return sse2::end_of_plain(text, from);
    #[cfg(not(target_arch = "x86_64"))]
    return portable::end_of_plain(text, from);
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod sse2 {
    use core::arch::x86_64::*;

    #[inline(always)]
    pub(super) fn end_of_plain(text: &[u8], from: usize) -> usize {
        let mut at = from;
        while let Some(block) = text.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
            // SAFETY: SSE2 is part of every x86_64; the load is from a whole array of 16 bytes and needs no alignment.
            let special = unsafe {
                let bytes = _mm_loadu_si128(block.as_ptr().cast());
                let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
                let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
                // There is no unsigned comparison: a byte is below 0x20 when the smaller of it and 0x1f is the byte.
                let control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
                _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), control))
            };
            if special != 0 {
                return at + special.trailing_zeros() as usize;
            }
            at += 16;
        }
        super::portable::end_of_plain(text, at)
    }
}

mod portable {
    pub(super) fn end_of_plain(text: &[u8], from: usize) -> usize {
        let rest = text.get(from..).unwrap_or_default();
        let plain = rest
            .iter()
            .position(|&c| c == b'"' || c == b'\\' || c < 0x20);
        from + plain.unwrap_or(rest.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_and_portable_scans_agree() {
        let mut text: Vec<u8> = (0..200u32)
            .map(|i| b' ' + (i * 7 % 90) as u8)
            .map(|c| if c == b'"' || c == b'\\' { b'x' } else { c })
            .collect();
        text.extend([0; PADDING]);
        for special in [b'"', b'\\', 0x00, 0x1f, b'\n', 0x7f, 0x80, 0xff] {
            for at in 0..200 {
                let kept = std::mem::replace(&mut text[at], special);
                for from in 0..200 {
                    assert_eq!(
                        end_of_plain(&text, from),
                        portable::end_of_plain(&text, from)
                    );
                }
                text[at] = kept;
            }
        }
    }

    #[test]
    fn scan_without_padding_stops_at_the_end() {
        assert_eq!(end_of_plain(b"abcdefghijklmnopqrs", 0), 19);
        assert_eq!(end_of_plain(b"", 0), 0);
        assert_eq!(end_of_plain(b"a", 5), 5);
    }
}
