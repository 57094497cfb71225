//! Sorts the bytes of a block of text into JSON's classes: the one place with CPU-specific code, and the one place with `unsafe`.
//!
//! A class is a word of 64 bits, one a byte, the first byte in the lowest bit.

#[cfg(not(target_arch = "x86_64"))]
use crate::index;
use crate::index::{Index, Lists};

/// Bytes in a block.
pub(crate) const BLOCK: usize = 64;

/// Which bytes of a block are what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Classes {
    pub quote: u64,
    pub backslash: u64,
    /// Braces, brackets, colons and commas. Implementations may count 0x0c and 0x1a among them: nothing that reads them lets those pass.
    pub operator: u64,
    pub space: u64,
    /// Below 0x20.
    pub control: u64,
    /// 0x80 and above.
    pub non_ascii: u64,
}

/// A way to do it.
pub(crate) trait Classify {
    fn classes(block: &[u8; BLOCK]) -> Classes;

    /// Each bit of the result is the parity of the bits up to and including it.
    #[inline(always)]
    fn parity(bits: u64) -> u64 {
        let mut parity = bits;
        for shift in [1, 2, 4, 8, 16, 32] {
            parity ^= parity << shift;
        }
        parity
    }

    /// Writes the places of the bits in `found`, `base` added, and the bytes that stand there. What follows them is left in any state.
    #[inline(always)]
    fn write(
        block: &[u8; BLOCK],
        found: u64,
        base: u32,
        positions: &mut [u32; BLOCK],
        bytes: &mut [u8; BLOCK],
    ) {
        let count = found.count_ones();
        let mut bits = found;
        let mut put = |from: usize, to: usize| {
            for (position, byte) in positions[from..to].iter_mut().zip(&mut bytes[from..to]) {
                let place = bits.trailing_zeros();
                *position = base + place;
                *byte = block[place as usize % BLOCK];
                bits &= bits.wrapping_sub(1);
            }
        };
        // Eight at a time: cheaper than a loop that ends at the right one.
        put(0, 8);
        if count > 8 {
            put(8, 16);
            if count > 16 {
                put(16, 24);
                if count > 24 {
                    put(24, BLOCK);
                }
            }
        }
    }
}

/// Longest value that may stand in a table's page itself.
const IN_PLACE: usize = 2048;

/// Asks the CPU for a value that is about to be read, all of its beginning at once, and for the one that a scan of the table would come to next: records
/// are laid into a page backwards, so that is the one before it in memory, of much the same length. The CPU's own prefetching comes late for both.
#[inline(always)]
pub fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    x86::prefetch(bytes);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}

/// [`crate::index::read`] by the fastest way that this CPU has.
#[inline]
pub(crate) fn read_index(text: &[u8], lists: Lists<'_>) -> Option<Index> {
    #[cfg(target_arch = "x86_64")]
    return x86::read_index(text, lists);
    #[cfg(not(target_arch = "x86_64"))]
    return index::read::<Portable>(text, lists);
}

/// Eight bytes at a time in a general register.
#[cfg_attr(target_arch = "x86_64", allow(dead_code, reason = "tests compare it"))]
pub(crate) struct Portable;

#[cfg_attr(target_arch = "x86_64", allow(dead_code, reason = "tests compare it"))]
impl Portable {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * Self::LOW;

    /// The high bit of each byte that is zero.
    fn zeroes(word: u64) -> u64 {
        !(((word & !Self::HIGH) + !Self::HIGH) | word) & Self::HIGH
    }

    fn equal(word: u64, byte: u8) -> u64 {
        Self::zeroes(word ^ (u64::from(byte) * Self::LOW))
    }

    /// The high bits of the eight bytes, side by side.
    fn gather(high_bits: u64) -> u64 {
        (high_bits >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
    }
}

impl Classify for Portable {
    fn classes(block: &[u8; BLOCK]) -> Classes {
        let mut classes = Classes {
            quote: 0,
            backslash: 0,
            operator: 0,
            space: 0,
            control: 0,
            non_ascii: 0,
        };
        let (words, _) = block.as_chunks::<8>();
        for (i, word) in words.iter().enumerate() {
            let word = u64::from_le_bytes(*word);
            // A bracket and the brace of the same side differ in one bit.
            let curled = word | (0x20 * Self::LOW);
            let operator = Self::equal(curled, b'{')
                | Self::equal(curled, b'}')
                | Self::equal(word, b',')
                | Self::equal(word, b':');
            let space = Self::equal(word, b' ')
                | Self::equal(word, b'\n')
                | Self::equal(word, b'\t')
                | Self::equal(word, b'\r');
            let put = |high_bits| Self::gather(high_bits) << (8 * i);
            classes.quote |= put(Self::equal(word, b'"'));
            classes.backslash |= put(Self::equal(word, b'\\'));
            classes.operator |= put(operator);
            classes.space |= put(space);
            classes.control |= put(Self::zeroes(word & (0xe0 * Self::LOW)));
            classes.non_ascii |= put(word & Self::HIGH);
        }
        classes
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86 {
    use core::arch::x86_64::*;

    use super::{BLOCK, Classes, Classify};
    use crate::index::{self, Index, Lists};

    #[inline]
    pub(super) fn read_index(text: &[u8], lists: Lists<'_>) -> Option<Index> {
        prefetch(text);
        if Avx512::is_there() {
            // SAFETY: the CPU has what the function is compiled for.
            unsafe { read_index_avx512(text, lists) }
        } else if Avx2::is_there() {
            // SAFETY: as above.
            unsafe { read_index_avx2(text, lists) }
        } else {
            index::read::<Sse2>(text, lists)
        }
    }

    #[inline(always)]
    pub(super) fn prefetch(bytes: &[u8]) {
        const LINE: usize = 64;
        let first = bytes.as_ptr();
        // SAFETY: SSE is there. A prefetch is a hint: it reads nothing that the program sees, and whatever address is allowed.
        let ask = |address: *const u8| unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
        if bytes.len() > super::IN_PLACE {
            return (0..super::IN_PLACE)
                .step_by(LINE)
                .for_each(|offset| ask(first.wrapping_add(offset)));
        }
        let next = first.wrapping_sub(bytes.len() + LINE);
        for offset in (0..bytes.len()).step_by(LINE) {
            ask(first.wrapping_add(offset));
            ask(next.wrapping_add(offset));
        }
    }

    /// Everything inlined into it is compiled for these features too.
    ///
    /// # Safety
    /// The CPU has them: [`Avx2::is_there`].
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt,pclmulqdq")]
    unsafe fn read_index_avx2(text: &[u8], lists: Lists<'_>) -> Option<Index> {
        index::read::<Avx2>(text, lists)
    }

    /// As [`read_index_avx2`].
    ///
    /// # Safety
    /// The CPU has them: [`Avx512::is_there`].
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,avx2,bmi1,bmi2,popcnt,pclmulqdq")]
    unsafe fn read_index_avx512(text: &[u8], lists: Lists<'_>) -> Option<Index> {
        index::read::<Avx512>(text, lists)
    }

    /// Is part of every x86_64.
    pub(super) struct Sse2;

    impl Classify for Sse2 {
        #[inline(always)]
        fn classes(block: &[u8; BLOCK]) -> Classes {
            let mut classes = Classes {
                quote: 0,
                backslash: 0,
                operator: 0,
                space: 0,
                control: 0,
                non_ascii: 0,
            };
            let (parts, _) = block.as_chunks::<16>();
            for (i, part) in parts.iter().enumerate() {
                // SAFETY: SSE2 is there; the load is of a whole array of 16 bytes and needs no alignment.
                unsafe {
                    let bytes = _mm_loadu_si128(part.as_ptr().cast());
                    let equal = |bytes, byte: u8| _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte as i8));
                    let bits = |mask| u64::from(_mm_movemask_epi8(mask) as u32) << (16 * i);
                    let curled = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
                    let operator = _mm_or_si128(
                        _mm_or_si128(equal(curled, b'{'), equal(curled, b'}')),
                        _mm_or_si128(equal(bytes, b','), equal(bytes, b':')),
                    );
                    let space = _mm_or_si128(
                        _mm_or_si128(equal(bytes, b' '), equal(bytes, b'\n')),
                        _mm_or_si128(equal(bytes, b'\t'), equal(bytes, b'\r')),
                    );
                    classes.quote |= bits(equal(bytes, b'"'));
                    classes.backslash |= bits(equal(bytes, b'\\'));
                    classes.operator |= bits(operator);
                    classes.space |= bits(space);
                    // There is no unsigned comparison: a byte is below 0x20 when the smaller of it and 0x1f is the byte.
                    let smaller = _mm_min_epu8(bytes, _mm_set1_epi8(0x1f));
                    classes.control |= bits(_mm_cmpeq_epi8(smaller, bytes));
                    classes.non_ascii |= bits(bytes);
                }
            }
            classes
        }
    }

    /// AVX2 and what every CPU with it has.
    pub(super) struct Avx2;

    impl Avx2 {
        pub(super) fn is_there() -> bool {
            is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("popcnt")
                && is_x86_feature_detected!("pclmulqdq")
        }
    }

    /// By the low four bits of a byte, the one white space that has them; bytes that equal nothing for the others.
    const SPACES: [u8; 16] = by_low_bits(b" \n\t\r", 0xff);
    /// The same for operators, brackets as braces.
    const OPERATORS: [u8; 16] = by_low_bits(b"{},:", 0);

    const fn by_low_bits(bytes: &[u8; 4], other: u8) -> [u8; 16] {
        let mut table = [other; 16];
        let mut i = 0;
        while i < 4 {
            table[(bytes[i] & 15) as usize] = bytes[i];
            i += 1;
        }
        table
    }

    impl Classify for Avx2 {
        #[inline(always)]
        fn classes(block: &[u8; BLOCK]) -> Classes {
            // SAFETY: only `read_index_avx2` and a test that asks `is_there` come here; both loads are within the block and need no alignment.
            unsafe {
                let low = _mm256_loadu_si256(block.as_ptr().cast());
                let high = _mm256_loadu_si256(block.as_ptr().add(BLOCK / 2).cast());
                let bits = |low, high| {
                    u64::from(_mm256_movemask_epi8(low) as u32)
                        | u64::from(_mm256_movemask_epi8(high) as u32) << 32
                };
                let equal = |byte: u8| {
                    let all = _mm256_set1_epi8(byte as i8);
                    bits(_mm256_cmpeq_epi8(low, all), _mm256_cmpeq_epi8(high, all))
                };
                let table = |table: &[u8; 16]| {
                    _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast()))
                };
                // A byte above 0x7f picks zero.
                let spaces = table(&SPACES);
                let is_space = |bytes| _mm256_cmpeq_epi8(bytes, _mm256_shuffle_epi8(spaces, bytes));
                let operators = table(&OPERATORS);
                let is_operator = |bytes| {
                    let curled = _mm256_or_si256(bytes, _mm256_set1_epi8(0x20));
                    _mm256_cmpeq_epi8(curled, _mm256_shuffle_epi8(operators, bytes))
                };
                let is_control = |bytes| {
                    let smaller = _mm256_min_epu8(bytes, _mm256_set1_epi8(0x1f));
                    _mm256_cmpeq_epi8(smaller, bytes)
                };
                Classes {
                    quote: equal(b'"'),
                    backslash: equal(b'\\'),
                    operator: bits(is_operator(low), is_operator(high)),
                    space: bits(is_space(low), is_space(high)),
                    control: bits(is_control(low), is_control(high)),
                    non_ascii: bits(low, high),
                }
            }
        }

        #[inline(always)]
        fn parity(bits: u64) -> u64 {
            // SAFETY: as above. A product without carries with all ones is the parity.
            unsafe {
                let all = _mm_set1_epi8(-1);
                let product = _mm_clmulepi64_si128::<0>(_mm_set_epi64x(0, bits as i64), all);
                _mm_cvtsi128_si64(product) as u64
            }
        }
    }

    /// AVX-512 with what picks bytes out of a register.
    pub(super) struct Avx512;

    impl Avx512 {
        pub(super) fn is_there() -> bool {
            is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vbmi2")
                && Avx2::is_there()
        }
    }

    const IN_ORDER: [u8; BLOCK] = {
        let mut order = [0; BLOCK];
        let mut i = 0;
        while i < BLOCK {
            order[i] = i as u8;
            i += 1;
        }
        order
    };

    impl Classify for Avx512 {
        #[inline(always)]
        fn classes(block: &[u8; BLOCK]) -> Classes {
            // SAFETY: only `read_index_avx512` and a test that asks `is_there` come here; the load is of the whole block and needs no alignment.
            unsafe {
                let bytes = _mm512_loadu_si512(block.as_ptr().cast());
                let all = |byte: u8| _mm512_set1_epi8(byte as i8);
                let table = |table: &[u8; 16]| {
                    _mm512_broadcast_i32x4(_mm_loadu_si128(table.as_ptr().cast()))
                };
                // As with AVX2.
                let space = _mm512_shuffle_epi8(table(&SPACES), bytes);
                let operator = _mm512_shuffle_epi8(table(&OPERATORS), bytes);
                let curled = _mm512_or_si512(bytes, all(0x20));
                Classes {
                    quote: _mm512_cmpeq_epi8_mask(bytes, all(b'"')),
                    backslash: _mm512_cmpeq_epi8_mask(bytes, all(b'\\')),
                    operator: _mm512_cmpeq_epi8_mask(curled, operator),
                    space: _mm512_cmpeq_epi8_mask(bytes, space),
                    control: _mm512_cmplt_epu8_mask(bytes, all(0x20)),
                    non_ascii: _mm512_movepi8_mask(bytes),
                }
            }
        }

        #[inline(always)]
        fn parity(bits: u64) -> u64 {
            Avx2::parity(bits)
        }

        #[inline(always)]
        fn write(
            block: &[u8; BLOCK],
            found: u64,
            base: u32,
            positions: &mut [u32; BLOCK],
            bytes: &mut [u8; BLOCK],
        ) {
            // SAFETY: as above; loads and stores are of whole blocks, or of the quarter of `positions` that is named.
            unsafe {
                let block = _mm512_loadu_si512(block.as_ptr().cast());
                let order = _mm512_loadu_si512(IN_ORDER.as_ptr().cast());
                let there = _mm512_maskz_compress_epi8(found, block);
                _mm512_storeu_si512(bytes.as_mut_ptr().cast(), there);
                let places = _mm512_maskz_compress_epi8(found, order);
                let base = _mm512_set1_epi32(base as i32);
                let (quarters, _) = positions.as_chunks_mut::<16>();
                let put = |quarter: &mut [u32; 16], places| {
                    let positions = _mm512_add_epi32(_mm512_cvtepu8_epi32(places), base);
                    _mm512_storeu_si512(quarter.as_mut_ptr().cast(), positions);
                };
                put(&mut quarters[0], _mm512_castsi512_si128(places));
                let count = found.count_ones();
                if count > 16 {
                    put(&mut quarters[1], _mm512_extracti32x4_epi32::<1>(places));
                    if count > 32 {
                        put(&mut quarters[2], _mm512_extracti32x4_epi32::<2>(places));
                        put(&mut quarters[3], _mm512_extracti32x4_epi32::<3>(places));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One byte after the other.
    fn by_byte(block: &[u8; BLOCK]) -> Classes {
        let bits =
            |is: fn(u8) -> bool| (0..BLOCK).fold(0, |bits, i| bits | u64::from(is(block[i])) << i);
        Classes {
            quote: bits(|c| c == b'"'),
            backslash: bits(|c| c == b'\\'),
            operator: bits(|c| b"{}[],:".contains(&c)),
            space: bits(|c| b" \t\r\n".contains(&c)),
            control: bits(|c| c < 0x20),
            non_ascii: bits(|c| c >= 0x80),
        }
    }

    /// Whatever an implementation may call an operator is taken out.
    fn strict(classes: Classes, block: &[u8; BLOCK]) -> Classes {
        let odd = (0..BLOCK).fold(0, |bits, i| {
            bits | u64::from(matches!(block[i], 0x0c | 0x1a)) << i
        });
        Classes {
            operator: classes.operator & !odd,
            ..classes
        }
    }

    #[test]
    fn every_way_gives_the_same_classes() {
        for byte in 0..=255u8 {
            for at in 0..BLOCK {
                let mut block: [u8; BLOCK] =
                    std::array::from_fn(|i| (i as u8).wrapping_mul(37).wrapping_add(byte));
                block[at] = byte;
                let expected = by_byte(&block);
                assert_eq!(Portable::classes(&block), expected);
                #[cfg(target_arch = "x86_64")]
                {
                    assert_eq!(x86::Sse2::classes(&block), expected);
                    if x86::Avx2::is_there() {
                        assert_eq!(strict(x86::Avx2::classes(&block), &block), expected);
                    }
                    if x86::Avx512::is_there() {
                        assert_eq!(strict(x86::Avx512::classes(&block), &block), expected);
                    }
                }
            }
        }
    }

    fn written<C: Classify>(block: &[u8; BLOCK], found: u64) -> (Vec<u32>, Vec<u8>) {
        let (mut positions, mut bytes) = ([u32::MAX; BLOCK], [0xAA; BLOCK]);
        C::write(block, found, 1000, &mut positions, &mut bytes);
        let count = found.count_ones() as usize;
        (positions[..count].to_vec(), bytes[..count].to_vec())
    }

    #[test]
    fn every_way_writes_the_same_places() {
        let block: [u8; BLOCK] = std::array::from_fn(|i| i as u8 * 3);
        let mut found = 1u64;
        for round in 0..2000 {
            found = found
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(round);
            let found = found & found.rotate_left(round as u32) | u64::MAX << (round % 70).min(63);
            let places = (0..64).filter(|i| found >> i & 1 == 1);
            let expected = (
                places.clone().map(|i| 1000 + i).collect::<Vec<u32>>(),
                places.map(|i| block[i as usize]).collect::<Vec<u8>>(),
            );
            assert_eq!(written::<Portable>(&block, found), expected);
            #[cfg(target_arch = "x86_64")]
            if x86::Avx512::is_there() {
                assert_eq!(written::<x86::Avx512>(&block, found), expected);
            }
        }
    }

    #[test]
    fn parity_is_that_of_the_bits_so_far() {
        for bits in [0, 1, 0b1001, u64::MAX, 1 << 63, 0x8000_0001_0000_1001] {
            let expected = (0..64).fold(0u64, |parity, i| {
                parity | u64::from((bits << (63 - i)).count_ones() & 1) << i
            });
            assert_eq!(Portable::parity(bits), expected);
            #[cfg(target_arch = "x86_64")]
            if x86::Avx2::is_there() {
                assert_eq!(x86::Avx2::parity(bits), expected);
            }
        }
    }
}
