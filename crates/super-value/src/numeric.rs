//! JSON numbers to the binary form of Postgres's numeric, as `numeric_in` would make it (`src/backend/utils/adt/numeric.c`).
//!
//! A numeric holds base-10000 digits, the weight of the first one, and the number of decimals to show. Leading and trailing zero digits are
//! not stored; zero has none at all, weight 0 and no sign, but keeps its scale.

use crate::layout::{VARLENA_HEADER, varlena_header};
use crate::limits::{MAX_NUMBER_SCALE, MAX_NUMBER_WEIGHT};

/// Decimal digits in one digit of a numeric.
const GROUP: usize = 4;

/// The short header: two bytes with sign, scale (6 bits) and weight (7 bits, signed).
const SHORT: u16 = 0x8000;
const SHORT_NEGATIVE: u16 = 0x2000;
const SHORT_SCALE_SHIFT: u32 = 7;
const SHORT_SCALE_MAX: i64 = 0x3F;
const SHORT_WEIGHT_NEGATIVE: u16 = 0x0040;
const SHORT_WEIGHT_MASK: u16 = 0x003F;
const SHORT_WEIGHT_MIN: i64 = -64;
const SHORT_WEIGHT_MAX: i64 = 63;
/// The long header: sign and scale, then the weight.
const LONG_NEGATIVE: u16 = 0x4000;

/// A header of this sign is NaN or infinity, which JSON does not have.
const SPECIAL: u16 = 0xC000;

/// What a numeric's header says.
pub(crate) struct Form {
    pub negative: bool,
    pub weight: i64,
    pub scale: u16,
}

impl Form {
    /// The header and the digits of a numeric without its varlena header; `None` for NaN and infinity.
    pub(crate) fn read(body: &[u8]) -> Option<(Form, &[u8])> {
        let (first, rest) = body.split_first_chunk()?;
        let first = u16::from_ne_bytes(*first);
        if first & SPECIAL == SPECIAL {
            return None;
        }
        if first & SHORT != 0 {
            let sign_bits = if first & SHORT_WEIGHT_NEGATIVE != 0 {
                SHORT_WEIGHT_MIN
            } else {
                0
            };
            let weight = i64::from(first & SHORT_WEIGHT_MASK) | sign_bits;
            let scale = (first >> SHORT_SCALE_SHIFT) & SHORT_SCALE_MAX as u16;
            return Some((
                Form {
                    negative: first & SHORT_NEGATIVE != 0,
                    weight,
                    scale,
                },
                rest,
            ));
        }
        let (weight, rest) = rest.split_first_chunk()?;
        let scale = first & MAX_NUMBER_SCALE as u16;
        Some((
            Form {
                negative: first & LONG_NEGATIVE != 0,
                weight: i64::from(i16::from_ne_bytes(*weight)),
                scale,
            },
            rest,
        ))
    }
}

/// Exponents beyond this are an overflow whatever the digits (`set_var_from_str`).
const EXPONENT_LIMIT: i64 = (i32::MAX / 2) as i64;

/// Bytes that a number of `length` characters needs at most, header included.
pub(crate) const fn max_encoded(length: usize) -> usize {
    VARLENA_HEADER + 4 + 2 * ((length + 2 * (GROUP - 1)) / GROUP)
}

/// A number's text, taken apart.
struct Decimal<'a> {
    negative: bool,
    integer: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

/// What the stored form needs to know of a [`Decimal`].
struct Shape {
    /// Weight of the first stored digit.
    weight: i64,
    /// Decimals to show.
    scale: i64,
    /// Index of the first decimal digit of the first stored digit; before the text's first digit where it is negative.
    first: i64,
    /// Whether there is nothing to store.
    zero: bool,
}

impl<'a> Decimal<'a> {
    /// Takes apart a text that follows JSON's grammar for numbers.
    fn split(text: &'a [u8]) -> Self {
        let (negative, text) = match text.strip_prefix(b"-") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.iter().position(|c| matches!(c, b'e' | b'E')) {
            Some(e) => (&text[..e], parse_exponent(&text[e + 1..])),
            None => (text, 0),
        };
        let (integer, fraction) = match mantissa.iter().position(|&c| c == b'.') {
            Some(dot) => (&mantissa[..dot], &mantissa[dot + 1..]),
            None => (mantissa, &[][..]),
        };
        Decimal {
            negative,
            integer,
            fraction,
            exponent,
        }
    }

    /// The decimal digit at `index`, counted from the first one of the text; 0 outside of the text.
    fn digit(&self, index: i64) -> i16 {
        let Ok(index) = usize::try_from(index) else {
            return 0;
        };
        let digit = self
            .integer
            .get(index)
            .or_else(|| self.fraction.get(index - self.integer.len()));
        digit.map_or(0, |c| i16::from(c - b'0'))
    }

    fn digits(&self) -> i64 {
        (self.integer.len() + self.fraction.len()) as i64
    }

    /// `None` where `numeric_in` says "value overflows numeric format".
    fn shape(&self) -> Option<Shape> {
        if self.exponent.abs() >= EXPONENT_LIMIT {
            return None;
        }
        let scale = (self.fraction.len() as i64 - self.exponent).max(0);
        if scale > MAX_NUMBER_SCALE {
            return None;
        }
        let mut nonzero = self.integer.iter().chain(self.fraction);
        let Some(first) = nonzero.position(|&c| c != b'0') else {
            return Some(Shape {
                weight: 0,
                scale,
                first: 0,
                zero: true,
            });
        };
        // The power of ten of the first digit that counts, and the digit of the numeric that it falls into.
        let power = self.integer.len() as i64 - 1 + self.exponent - first as i64;
        let weight = power.div_euclid(GROUP as i64);
        if weight > MAX_NUMBER_WEIGHT {
            return None;
        }
        let lead = GROUP as i64 - 1 - power.rem_euclid(GROUP as i64);
        Some(Shape {
            weight,
            scale,
            first: first as i64 - lead,
            zero: false,
        })
    }
}

/// The number after the `e`; what does not fit is far beyond [`EXPONENT_LIMIT`] either way.
fn parse_exponent(text: &[u8]) -> i64 {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let value = digits.iter().fold(0i64, |value, c| {
        value.saturating_mul(10).saturating_add(i64::from(c - b'0'))
    });
    if negative { -value } else { value }
}

/// Whether a numeric can hold the number.
pub(crate) fn fits(text: &[u8]) -> bool {
    Decimal::split(text).shape().is_some()
}

/// How a number's text is made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Measure {
    /// Digits before the decimal point.
    pub integer: usize,
    /// Digits after it.
    pub fraction: usize,
    /// Whether there is an exponent.
    pub exponent: bool,
    pub end: usize,
}

/// Measures the number that begins at `start`, by JSON's grammar; `None` if none does. What may come after it is for the caller to say.
#[inline(always)]
pub(crate) fn measure(text: &[u8], start: usize) -> Option<Measure> {
    let digits = start + usize::from(text.get(start) == Some(&b'-'));
    let integer = count_digits(text, digits);
    if integer == 0 || integer > 1 && text[digits] == b'0' {
        return None;
    }
    let mut end = digits + integer;
    let mut next = text.get(end);
    let mut fraction = 0;
    if next == Some(&b'.') {
        fraction = count_digits(text, end + 1);
        if fraction == 0 {
            return None;
        }
        end += 1 + fraction;
        next = text.get(end);
    }
    let exponent = matches!(next, Some(b'e' | b'E'));
    if exponent {
        let sign = matches!(text.get(end + 1), Some(b'+' | b'-'));
        let first = end + 1 + usize::from(sign);
        let digits = count_digits(text, first);
        if digits == 0 {
            return None;
        }
        end = first + digits;
    }
    Some(Measure {
        integer,
        fraction,
        exponent,
        end,
    })
}

/// How many digits stand at `from`.
#[inline(always)]
fn count_digits(text: &[u8], from: usize) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let mut at = from;
    // Eight at a time: what is above 9, or goes beyond 0x7f when 0x76 is added, is no digit. A carry spoils only what comes after one.
    while let Some(eight) = text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let values = u64::from_le_bytes(*eight) ^ (u64::from(b'0') * EACH);
        let others = (values.wrapping_add(0x76 * EACH) | values) & (0x80 * EACH);
        if others != 0 {
            return at - from + others.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = text.get(at..).unwrap_or_default();
    at - from + rest.iter().take_while(|c| c.is_ascii_digit()).count()
}

/// Writes the numeric of the number that begins at `start` to `out[at..]`; the end of what was written, or `None` on overflow.
///
/// The number follows JSON's grammar, the text goes on for at least 16 bytes after it, and `out` for [`max_encoded`] bytes and 8 more
/// after `at`.
#[inline(never)]
pub(crate) fn encode(text: &[u8], start: usize, out: &mut [u8], at: usize) -> Option<usize> {
    let number = measure(text, start)?;
    let (integer_digits, scale, end) = (number.integer, number.fraction, number.end);
    let negative = text[start] == b'-';
    let digits = start + usize::from(negative);
    let after_integer = digits + integer_digits;
    if number.exponent || integer_digits > 64 || scale > SHORT_SCALE_MAX as usize {
        return encode_any(&text[start..end], out, at);
    }

    if scale <= 8
        && integer_digits <= 8
        && let Some(end) = encode_few(
            decimal_groups(text, digits, integer_digits, scale),
            1,
            scale,
            negative,
            out,
            at,
        )
    {
        return Some(end);
    }
    let mut to = at + VARLENA_HEADER + 2;
    let first = to;
    let mut weight = integer_digits.div_ceil(GROUP) as i64 - 1;
    // The first digit holds what is left over when the others hold four decimal digits each.
    let lead = integer_digits - weight as usize * GROUP;
    let mut digit = leading_group(text, digits, lead);
    let mut from = digits + lead;
    if digit == 0 {
        // JSON allows no leading zero, so this is the number 0 or a fraction.
        weight -= 1;
    } else {
        to = put_digit(out, to, digit);
    }
    while from < after_integer {
        digit = full_group(text, from);
        to = put_digit(out, to, digit);
        from += GROUP;
    }
    from += 1;
    while from < end {
        digit = trailing_group(text, from, end - from);
        from += GROUP;
        if to == first && digit == 0 {
            weight -= 1;
        } else {
            to = put_digit(out, to, digit);
        }
    }
    while to > first && out[to - 2..to] == [0, 0] {
        to -= 2;
    }
    let (weight, negative) = if to == first {
        (0, false)
    } else {
        (weight, negative)
    };
    let header = short_header(weight, scale as i64, negative);
    out[at..at + VARLENA_HEADER].copy_from_slice(&varlena_header(to - at));
    out[at + VARLENA_HEADER..first].copy_from_slice(&header.to_ne_bytes());
    Some(to)
}

/// As [`encode`], of the integer `text[start..end]`.
#[inline(always)]
pub(crate) fn encode_integer(
    text: &[u8],
    start: usize,
    end: usize,
    out: &mut [u8],
    at: usize,
) -> Option<usize> {
    let negative = text[start] == b'-';
    let digits = start + usize::from(negative);
    if end - digits <= 4 * GROUPS
        && let Some(characters) = text[digits..].first_chunk()
    {
        let characters = u128::from_le_bytes(*characters) << (8 * (16 + digits - end));
        let groups = two_groups(characters as u64) | two_groups((characters >> 64) as u64) << 32;
        if let Some(end) = encode_few(groups, 3, 0, negative, out, at) {
            return Some(end);
        }
    }
    encode(text, start, out, at)
}

/// Digits of a numeric that [`encode_few`] takes.
const GROUPS: usize = 4;

/// Writes the numeric of the digits in `groups`, the first in the lowest 16 bits, of which that has this weight. `None` if this machine cannot.
#[inline(always)]
fn encode_few(
    groups: u64,
    weight: usize,
    scale: usize,
    negative: bool,
    out: &mut [u8],
    at: usize,
) -> Option<usize> {
    if cfg!(target_endian = "big") {
        return None;
    }
    // Zero digits at either end are not stored.
    let before = groups.trailing_zeros() as usize / 16;
    let after = groups.leading_zeros() as usize / 16;
    let zero = groups == 0;
    let stored = if zero { 0 } else { GROUPS - before - after };
    let weight = if zero {
        0
    } else {
        weight as i64 - before as i64
    };
    let header = short_header(weight, scale as i64, negative && !zero);
    let length = VARLENA_HEADER + 2 + 2 * stored;
    // What is written too much is overwritten by what comes next.
    let out = out[at..].first_chunk_mut::<{ VARLENA_HEADER + 2 + 2 * GROUPS }>()?;
    out[..VARLENA_HEADER].copy_from_slice(&varlena_header(length));
    out[VARLENA_HEADER..VARLENA_HEADER + 2].copy_from_slice(&header.to_ne_bytes());
    let digits = groups.unbounded_shr(16 * before as u32);
    out[VARLENA_HEADER + 2..].copy_from_slice(&digits.to_ne_bytes());
    Some(at + length)
}

/// For [`encode_few`], the number of at most 8 digits before and 8 after the decimal point that begins at `from`.
#[inline(always)]
fn decimal_groups(text: &[u8], from: usize, integer: usize, scale: usize) -> u64 {
    let eight = |at: usize| {
        let characters = text[at..].first_chunk();
        characters.copied().map_or(0, u64::from_le_bytes)
    };
    let whole = eight(from) << (8 * (8 - integer));
    let fraction = eight(from + integer + 1) & u64::MAX.unbounded_shr(64 - 8 * scale as u32);
    two_groups(whole) | two_groups(fraction) << 32
}

/// As [`group`], of eight characters to two digits, the first in the lowest 16 bits.
#[inline(always)]
fn two_groups(characters: u64) -> u64 {
    let digits = characters & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs = (digits.wrapping_mul(10 << 8 | 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let groups = (pairs.wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_ffff_0000_ffff;
    groups & 0xffff | groups >> 16
}

/// As [`encode`], for every number.
#[cold]
fn encode_any(text: &[u8], out: &mut [u8], at: usize) -> Option<usize> {
    let decimal = Decimal::split(text);
    let shape = decimal.shape()?;
    let negative = decimal.negative && !shape.zero;
    let mut to = at + VARLENA_HEADER;
    if shape.scale <= SHORT_SCALE_MAX
        && (SHORT_WEIGHT_MIN..=SHORT_WEIGHT_MAX).contains(&shape.weight)
    {
        to = put(
            out,
            to,
            short_header(shape.weight, shape.scale, negative).to_ne_bytes(),
        );
    } else {
        let sign_and_scale = if negative { LONG_NEGATIVE } else { 0 } | shape.scale as u16;
        to = put(out, to, sign_and_scale.to_ne_bytes());
        to = put(out, to, (shape.weight as i16).to_ne_bytes());
    }
    let first = to;
    if !shape.zero {
        let mut index = shape.first;
        while index < decimal.digits() {
            let digit =
                (index..index + GROUP as i64).fold(0, |value, i| value * 10 + decimal.digit(i));
            to = put_digit(out, to, digit as u16);
            index += GROUP as i64;
        }
    }
    while to > first && out[to - 2..to] == [0, 0] {
        to -= 2;
    }
    out[at..at + VARLENA_HEADER].copy_from_slice(&varlena_header(to - at));
    Some(to)
}

/// The numeric of a number's text, which may have leading zeroes; `None` on overflow.
pub(crate) fn encode_to_vec(text: &[u8]) -> Option<Vec<u8>> {
    let decimal = Decimal::split(text);
    let shape = decimal.shape()?;
    // However long the text is, what a numeric holds is not: zeroes in front are not stored, and decimals are counted.
    let stored = usize::try_from(decimal.digits() - shape.first).ok()?;
    let mut out = vec![0; max_encoded(stored)];
    let end = encode_any(text, &mut out, 0)?;
    out.truncate(end);
    Some(out)
}

fn short_header(weight: i64, scale: i64, negative: bool) -> u16 {
    SHORT
        | if negative { SHORT_NEGATIVE } else { 0 }
        | (scale as u16) << SHORT_SCALE_SHIFT
        | if weight < 0 { SHORT_WEIGHT_NEGATIVE } else { 0 }
        | (weight as u16 & SHORT_WEIGHT_MASK)
}

#[inline(always)]
fn put(out: &mut [u8], at: usize, bytes: [u8; 2]) -> usize {
    out[at..at + 2].copy_from_slice(&bytes);
    at + 2
}

#[inline(always)]
fn put_digit(out: &mut [u8], at: usize, digit: u16) -> usize {
    put(out, at, digit.to_ne_bytes())
}

/// Four decimal digits at `from`.
#[inline(always)]
fn full_group(text: &[u8], from: usize) -> u16 {
    group(load(text, from))
}

/// `count` (1 to 4) decimal digits at `from`, as the low end of a digit: "5" is 5.
#[inline(always)]
fn leading_group(text: &[u8], from: usize, count: usize) -> u16 {
    group(load(text, from) << (8 * (GROUP - count)))
}

/// The first `count` decimal digits at `from`, four at most, as the high end of a digit: "5" is 5000.
#[inline(always)]
fn trailing_group(text: &[u8], from: usize, count: usize) -> u16 {
    if count >= GROUP {
        full_group(text, from)
    } else {
        group(load(text, from) & ((1 << (8 * count)) - 1))
    }
}

/// Four characters, the first in the lowest byte.
#[inline(always)]
fn load(text: &[u8], from: usize) -> u32 {
    text[from..]
        .first_chunk()
        .copied()
        .map_or(0, u32::from_le_bytes)
}

/// The value of four digit characters, the first in the lowest byte; a zero byte counts as the digit 0. All four are converted at once:
/// neighbours are joined to two pairs, the pairs to the result.
#[inline(always)]
fn group(characters: u32) -> u16 {
    let digits = characters & 0x0f0f_0f0f;
    let pairs = (digits.wrapping_mul(10 << 8 | 1) >> 8) & 0x00ff_00ff;
    (pairs.wrapping_mul(100 << 16 | 1) >> 16) as u16
}

#[cfg(test)]
mod tests;
