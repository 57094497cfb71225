//! Reads the binary form of Postgres's numeric, and makes one from text or by rounding.

use std::cmp::Ordering;
use std::hash::Hasher;

use crate::layout::{VARLENA_HEADER, varlena_header};
use crate::numeric::{self, Form};

/// A finite numeric, which it borrows.
#[derive(Debug, Clone, Copy)]
pub struct Number<'a> {
    negative: bool,
    /// Weight of the first digit: the number is the sum of `digit[i] * 10000^(weight - i)`.
    weight: i64,
    /// Decimals to show.
    scale: usize,
    /// Base-10000 digits, two bytes each.
    digits: &'a [u8],
}

impl<'a> Number<'a> {
    /// The number of a numeric with its four-byte varlena header, at any address; `None` for NaN, infinity and what is no numeric.
    pub fn new(numeric: &'a [u8]) -> Option<Self> {
        let body = numeric.get(VARLENA_HEADER..)?;
        let (form, digits) = Form::read(body)?;
        digits.len().is_multiple_of(2).then_some(())?;
        Some(Number {
            negative: form.negative,
            weight: form.weight,
            scale: form.scale as usize,
            digits,
        })
    }

    /// Decimals to show: 0 for `5`, 1 for `5.0`.
    pub fn scale(&self) -> usize {
        self.scale
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// The base-10000 digit that counts `10000^power`.
    fn digit(&self, power: i64) -> u16 {
        let index = usize::try_from(self.weight - power).ok();
        let bytes = index.and_then(|index| self.digits.get(2 * index..2 * index + 2));
        bytes.map_or(0, |bytes| u16::from_ne_bytes([bytes[0], bytes[1]]))
    }

    /// The nearest integer, halves away from zero, as a cast of numeric rounds.
    pub fn to_i64(&self) -> Option<i64> {
        // More than five digits are beyond 64 bits.
        if self.weight > 4 {
            return None;
        }
        let whole = (0..=self.weight).rev().fold(0i128, |value, power| {
            value * 10_000 + i128::from(self.digit(power))
        });
        let rounded = whole + i128::from(self.digit(-1) >= 5000);
        i64::try_from(if self.negative { -rounded } else { rounded }).ok()
    }

    /// Feeds what makes its value to `hasher`: the same for numbers that differ in scale only.
    pub(crate) fn hash_value(&self, hasher: &mut impl Hasher) {
        if !self.is_zero() {
            hasher.write_u8(u8::from(self.negative));
            hasher.write_i64(self.weight);
            hasher.write(self.digits);
        }
        hasher.write_u8(0xff);
    }

    /// Orders numbers by sign, weight and their first three digits, in 61 bits: equal for some that differ beyond that.
    pub(crate) fn sort_key(&self) -> u64 {
        const ZERO: u64 = 1 << 60;
        if self.is_zero() {
            return ZERO;
        }
        let weight = (self.weight - i64::from(i16::MIN)).clamp(0, 0xFFFF) as u64;
        let digits = (0..3).fold(0, |key, place| {
            key << 14 | u64::from(self.digit(self.weight - place).min(9999))
        });
        let size = 1 + (weight << 42 | digits);
        if self.negative {
            ZERO - size
        } else {
            ZERO + size
        }
    }

    /// Bytes of [`to_text`](Self::to_text).
    pub fn text_len(&self) -> usize {
        let whole = self.weight.max(0);
        let first = self.digit(whole);
        let first = first.checked_ilog10().map_or(1, |last| last as usize + 1);
        let first = first.min(GROUP);
        let fraction = if self.scale > 0 { 1 + self.scale } else { 0 };
        usize::from(self.negative) + first + GROUP * whole as usize + fraction
    }

    /// The text that `numeric_out` gives: not more than some 150 kB.
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(self.text_len());
        self.write(&mut text);
        text
    }

    /// Appends [`to_text`](Self::to_text).
    fn write(&self, text: &mut String) {
        if self.negative {
            text.push('-');
        }
        let whole = self.weight.max(0);
        let first = four_digits(self.digit(whole));
        let zeroes = first.iter().take(GROUP - 1).take_while(|&&c| c == b'0');
        push_digits(text, &first[zeroes.count()..]);
        for power in (0..whole).rev() {
            push_digits(text, &four_digits(self.digit(power)));
        }
        if self.scale > 0 {
            text.push('.');
            let groups = (1..).map(|power| four_digits(self.digit(-power)));
            let mut left = self.scale;
            for group in groups.take(self.scale.div_ceil(GROUP)) {
                push_digits(text, &group[..left.min(GROUP)]);
                left = left.saturating_sub(GROUP);
            }
        }
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// Decimal digits that `numeric(precision, scale)` needs to hold it as it is shown: 3 for `1.22`, 1 for `5`, 2 for `0.05`.
    pub fn precision(&self) -> usize {
        let text = self.to_text();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let whole = whole.trim_start_matches(['-', '0']).len();
        (whole + fraction.len()).max(1)
    }

    /// Rounds to `scale` decimals (a negative one rounds before the decimal point), halves away from zero. The numeric, or `None` where that
    /// has more than `precision` digits: what a cast to `numeric(precision, scale)` calls an overflow.
    pub fn round(&self, precision: i64, scale: i64) -> Option<Vec<u8>> {
        let text = self.to_text();
        let unsigned = text.trim_start_matches('-');
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        // A zero in front takes the carry.
        let mut digits: Vec<u8> = [b"0", whole.as_bytes(), fraction.as_bytes()].concat();
        let mut point = 1 + whole.len() as i64;
        let cut = point + scale;
        let Ok(cut) = usize::try_from(cut) else {
            return from_text("0");
        };
        if cut < digits.len() {
            let up = digits[cut] >= b'5';
            digits.truncate(cut);
            if up {
                let nines = digits.iter().rev().take_while(|&&c| c == b'9').count();
                let kept = digits.len() - nines;
                digits[kept..].fill(b'0');
                match digits[..kept].last_mut() {
                    Some(last) => *last += 1,
                    None => {
                        digits.insert(0, b'1');
                        point += 1;
                    }
                }
            }
        }
        digits.resize((point + scale.max(0)) as usize, b'0');
        if let Some(first) = digits.iter().position(|&c| c != b'0')
            && point - first as i64 > precision - scale
        {
            return None;
        }
        let (whole, fraction) = digits.split_at(point as usize);
        let sign: &[u8] = if self.negative { b"-" } else { b"" };
        let point: &[u8] = if fraction.is_empty() { b"" } else { b"." };
        numeric::encode_to_vec(&[sign, whole, point, fraction].concat())
    }
}

impl PartialEq for Number<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number<'_> {}

impl PartialOrd for Number<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.is_zero(), number.negative) {
            (true, _) => 0,
            (_, negative) => 1 - 2 * i32::from(negative),
        };
        let order = sign(self).cmp(&sign(other));
        if order.is_ne() || self.is_zero() {
            return order;
        }
        // Neither begins or ends in a zero digit, so the longer of two that begin alike is the greater.
        let digits = |number: &Self| {
            let digits = number.digits;
            digits
                .chunks_exact(2)
                .map(|digit| u16::from_ne_bytes([digit[0], digit[1]]))
        };
        let size = self
            .weight
            .cmp(&other.weight)
            .then_with(|| digits(self).cmp(digits(other)));
        if self.negative { size.reverse() } else { size }
    }
}

/// Decimal digits in one digit of a numeric.
const GROUP: usize = 4;

/// The decimal digits of a base-10000 digit, leading zeroes included.
fn four_digits(digit: u16) -> [u8; GROUP] {
    let decimal = |unit: u16| b'0' + (digit / unit % 10) as u8;
    [decimal(1000), decimal(100), decimal(10), decimal(1)]
}

fn push_digits(text: &mut String, digits: &[u8]) {
    text.extend(digits.iter().map(|&c| char::from(c)));
}

/// The numeric of a text, by the rules of `numeric_in` but for NaN and infinity, which JSON does not have: white space around it, a sign, digits
/// with or without a decimal point, an exponent.
pub fn from_text(text: &str) -> Option<Vec<u8>> {
    let text = trim(text);
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(e) => (&unsigned[..e], Some(&unsigned[e + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|c| c.is_ascii_digit());
    (digits(whole) && digits(fraction) && whole.len() + fraction.len() > 0).then_some(())?;
    if let Some(exponent) = exponent {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        (digits(exponent) && !exponent.is_empty()).then_some(())?;
    }
    numeric::encode_to_vec(text.strip_prefix('+').unwrap_or(text).as_bytes())
}

/// The numeric of an integer.
pub fn from_i64(value: i64) -> Vec<u8> {
    numeric::encode_to_vec(value.to_string().as_bytes()).expect("19 digits are in range")
}

/// The numeric of a finite floating-point number: the shortest decimal that reads back as the same; `None` for NaN and infinity.
pub fn from_f64(value: f64) -> Option<Vec<u8>> {
    value.is_finite().then_some(())?;
    numeric::encode_to_vec(format!("{value:e}").as_bytes())
}

/// As [`from_f64`]: not by way of double, which would show digits that single precision does not have.
pub fn from_f32(value: f32) -> Option<Vec<u8>> {
    value.is_finite().then_some(())?;
    numeric::encode_to_vec(format!("{value:e}").as_bytes())
}

/// A numeric's bytes with a long varlena header, which is the form that [`Number::new`] reads, from those without any.
pub fn with_header(body: &[u8]) -> Vec<u8> {
    [&varlena_header(VARLENA_HEADER + body.len()), body].concat()
}

/// Without the white space that Postgres's input functions skip.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(numeric: &[u8]) -> String {
        Number::new(numeric).unwrap().to_text()
    }

    #[test]
    fn text_comes_back() {
        for number in [
            "0",
            "0.00",
            "5",
            "-5",
            "10000",
            "123456789012345678901234567890",
            "0.0001",
            "0.00001",
            "-0.50",
            "99999.99999",
            "1200000000000",
            "0.000000000000000000000000000000000000000000000000000000000000000000000001",
        ] {
            assert_eq!(text(&from_text(number).unwrap()), number);
            assert_eq!(
                Number::new(&from_text(number).unwrap()).unwrap().text_len(),
                number.len()
            );
        }
        for (number, expected) in [
            (" +.5 ", "0.5"),
            ("5.", "5"),
            ("007", "7"),
            ("1e3", "1000"),
            ("12e-1", "1.2"),
            ("-0", "0"),
            ("1E+2", "100"),
        ] {
            assert_eq!(text(&from_text(number).unwrap()), expected);
        }
        for wrong in [
            "", " ", ".", "-", "e5", "1e", "1e+", "1x", "NaN", "Infinity", "0x1", "1_000", "--1",
            "+-1", "1.2.3", "1e200000",
        ] {
            assert_eq!(from_text(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn integers_are_rounded_away_from_zero() {
        for (number, expected) in [
            ("0", Some(0)),
            ("2.5", Some(3)),
            ("-2.5", Some(-3)),
            ("2.4999", Some(2)),
            ("0.5", Some(1)),
            ("0.00005", Some(0)),
            ("-0.4", Some(0)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775807.5", None),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("1e30", None),
            ("1e-30", Some(0)),
        ] {
            assert_eq!(
                Number::new(&from_text(number).unwrap()).unwrap().to_i64(),
                expected,
                "{number}"
            );
        }
        assert_eq!(text(&from_i64(i64::MIN)), i64::MIN.to_string());
    }

    #[test]
    fn rounding_follows_numeric() {
        for (number, precision, scale, expected) in [
            ("50.00", 5, 2, Some("50.00")),
            ("999.994", 5, 2, Some("999.99")),
            ("999.995", 5, 2, None),
            ("-1.005", 5, 2, Some("-1.01")),
            ("5", 5, 2, Some("5.00")),
            ("0.004", 2, 2, Some("0.00")),
            ("0.99", 2, 2, Some("0.99")),
            ("0.999", 2, 2, None),
            ("1", 2, 2, None),
            ("9.5", 3, 0, Some("10")),
            ("99.5", 2, 0, None),
            ("1250", 2, -2, Some("1300")),
            ("49", 2, -2, Some("0")),
            ("9950", 2, -2, None),
            ("1", 1, -9, Some("0")),
            ("0.00123", 3, 5, Some("0.00123")),
            ("0.0123", 3, 5, None),
        ] {
            let numeric = from_text(number).unwrap();
            let rounded = Number::new(&numeric).unwrap().round(precision, scale);
            assert_eq!(
                rounded.as_deref().map(text).as_deref(),
                expected,
                "{number} as numeric({precision},{scale})"
            );
        }
    }

    #[test]
    fn order_is_that_of_the_numbers() {
        let sorted = [
            "-1e30", "-10000", "-9999.5", "-1.5", "-1", "-0.0001", "0", "0.0001", "0.001", "1",
            "1.00001", "9999", "10000", "10000.5", "1e30",
        ];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                let (a, b) = (from_text(a).unwrap(), from_text(b).unwrap());
                assert_eq!(Number::new(&a).cmp(&Number::new(&b)), i.cmp(&j));
            }
        }
        assert_eq!(
            Number::new(&from_text("1.0").unwrap()),
            Number::new(&from_text("1.000").unwrap())
        );
        assert_eq!(
            Number::new(&from_text("0").unwrap()),
            Number::new(&from_text("0.00").unwrap())
        );
    }

    #[test]
    fn floats_take_their_shortest_form() {
        assert_eq!(text(&from_f64(0.1).unwrap()), "0.1");
        assert_eq!(text(&from_f64(-2.5e20).unwrap()), "-250000000000000000000");
        assert_eq!(from_f64(f64::NAN), None);
        assert_eq!(from_f64(f64::INFINITY), None);
    }

    #[test]
    fn special_values_are_no_numbers() {
        for header in [0xC000u16, 0xD000, 0xF000] {
            let mut numeric = crate::layout::varlena_header(6).to_vec();
            numeric.extend(header.to_ne_bytes());
            assert!(Number::new(&numeric).is_none());
        }
        assert!(Number::new(&[]).is_none());
    }
}
