use super::*;

/// sign, weight, scale, digits
type Parts = (bool, i64, i64, Vec<u16>);

fn decode(bytes: &[u8]) -> Parts {
    assert_eq!(
        crate::layout::varlena_length(bytes[..4].try_into().unwrap()),
        Some(bytes.len())
    );
    let words: Vec<u16> = bytes[4..]
        .chunks(2)
        .map(|w| u16::from_ne_bytes(w.try_into().unwrap()))
        .collect();
    if words[0] & SHORT != 0 {
        let h = words[0];
        let weight = i64::from(h & SHORT_WEIGHT_MASK)
            | if h & SHORT_WEIGHT_NEGATIVE != 0 {
                -64
            } else {
                0
            };
        (
            h & SHORT_NEGATIVE != 0,
            weight,
            i64::from(h >> 7 & 0x3f),
            words[1..].to_vec(),
        )
    } else {
        (
            words[0] & LONG_NEGATIVE != 0,
            i64::from(words[1] as i16),
            i64::from(words[0] & 0x3fff),
            words[2..].to_vec(),
        )
    }
}

fn number(text: &str) -> Option<Parts> {
    let mut padded = text.as_bytes().to_vec();
    padded.extend(b",98765432109876543210");
    let mut out = vec![0xAA; max_encoded(text.len()) + 3 + 8];
    assert_eq!(measure(&padded, 0).unwrap().end, text.len());
    assert_eq!(measure(text.as_bytes(), 0), measure(&padded, 0));
    let end = encode(&padded, 0, &mut out, 3);
    assert_eq!(end.is_some(), fits(text.as_bytes()), "{text}");
    let fast = out[3..end?].to_vec();
    if !text.contains(['.', 'e', 'E']) {
        let mut out = vec![0xAA; max_encoded(text.len()) + 3 + 8];
        let end = encode_integer(&padded, 0, text.len(), &mut out, 3).unwrap();
        assert_eq!(out[3..end], fast);
    }
    let mut out = vec![0xAA; max_encoded(text.len()) + 3];
    let end = encode_any(text.as_bytes(), &mut out, 3).unwrap();
    assert_eq!(fast, out[3..end], "{text}: both ways to encode agree");
    Some(decode(&fast))
}

#[test]
fn numbers_become_base_10000_digits() {
    assert_eq!(number("0"), Some((false, 0, 0, vec![])));
    assert_eq!(number("-0"), Some((false, 0, 0, vec![])));
    assert_eq!(number("-0.00"), Some((false, 0, 2, vec![])));
    assert_eq!(number("5"), Some((false, 0, 0, vec![5])));
    assert_eq!(number("-12345"), Some((true, 1, 0, vec![1, 2345])));
    assert_eq!(
        number("1234567890"),
        Some((false, 2, 0, vec![12, 3456, 7890]))
    );
    assert_eq!(number("10000"), Some((false, 1, 0, vec![1])));
    assert_eq!(number("1.50"), Some((false, 0, 2, vec![1, 5000])));
    assert_eq!(number("0.00005"), Some((false, -2, 5, vec![5000])));
    assert_eq!(number("0.0001"), Some((false, -1, 4, vec![1])));
    assert_eq!(number("120000.00010"), Some((false, 1, 5, vec![12, 0, 1])));
}

#[test]
fn what_is_no_number_has_no_measure() {
    for text in [
        "", "-", "-a", "+1", ".5", "1.", "1.e5", "1e", "1e+", "01", "-01", "00",
    ] {
        assert_eq!(measure(text.as_bytes(), 0), None, "{text}");
        let padded = format!("{text}]          ");
        assert_eq!(measure(padded.as_bytes(), 0), None, "{text}");
    }
    for digits in 1..30 {
        for after in ["", ".", "x", "]", ":", "/", "\u{0}", "\u{e9}", ",12345678"] {
            let text = "9".repeat(digits) + after;
            assert_eq!(count_digits(text.as_bytes(), 0), digits, "{text}");
        }
    }
}

#[test]
fn exponents_move_the_point() {
    assert_eq!(number("1e3"), Some((false, 0, 0, vec![1000])));
    assert_eq!(number("1.5e+1"), Some((false, 0, 0, vec![15])));
    assert_eq!(number("1.55E1"), Some((false, 0, 1, vec![15, 5000])));
    assert_eq!(number("1e-5"), Some((false, -2, 5, vec![1000])));
    assert_eq!(number("0e999999"), Some((false, 0, 0, vec![])));
    assert_eq!(number("0.000001e6"), Some((false, 0, 0, vec![1])));
    assert_eq!(number("1e70"), Some((false, 17, 0, vec![100])));
    assert_eq!(number("1e300"), Some((false, 75, 0, vec![1])));
    assert_eq!(number("-1e-300"), Some((true, -75, 300, vec![1])));
}

#[test]
fn short_numbers_are_encoded_as_long_ones() {
    for integer in 1..=18usize {
        for fraction in 0..=10usize {
            for digits in ["1", "9", "1234567890", "1000000000", "1000000001"] {
                for zero in [false, true] {
                    let digit = |i: usize| digits.as_bytes()[i % digits.len()] as char;
                    let whole: String = match zero {
                        true => "0".into(),
                        false => (0..integer).map(digit).collect(),
                    };
                    let decimals: String = (0..fraction).map(|i| digit(i + integer)).collect();
                    let point = if fraction > 0 { "." } else { "" };
                    // `number` holds both ways against each other.
                    for decimals in [decimals, "0".repeat(fraction)] {
                        assert!(number(&format!("{whole}{point}{decimals}")).is_some());
                        assert!(number(&format!("-{whole}{point}{decimals}")).is_some());
                    }
                }
            }
        }
    }
}

#[test]
fn limits_are_those_of_numeric() {
    assert!(number("1e131071").is_some());
    assert!(number("9.9e131071").is_some());
    assert!(number("1e131072").is_none());
    assert!(number("0.00001e131076").is_some());
    assert!(number("0.00001e131077").is_none());
    assert!(number("1e-16383").is_some());
    assert!(number("1e-16384").is_none());
    assert!(number("0e-16384").is_none());
    assert!(number("1e99999999999999999999").is_none());
    assert!(number("0e99999999999999999999").is_none());
    assert!(number("1e-99999999999999999999").is_none());
    assert!(number(&"9".repeat(131072)).is_some());
    assert!(number(&"9".repeat(131073)).is_none());
    assert!(number(&format!("0.{}", "1".repeat(16383))).is_some());
    assert!(number(&format!("0.{}", "1".repeat(16384))).is_none());
}
