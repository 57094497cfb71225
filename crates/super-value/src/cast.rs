//! SUPER to the scalar types, by Redshift's lax rules: what cannot be cast is `None`, which becomes NULL ("Querying semi-structured data" in its
//! Developer Guide; `cast_super_null_on_error` is on by default). JSON null, arrays and objects are no scalars.

use std::borrow::Cow;

use crate::limits::MAX_STRING_BYTES;
use crate::number::{self, Number, trim};
use crate::value::{Kind, Value};

/// A number rounded to the nearest integer, or a string that is an integer.
pub fn to_i64(value: Value<'_>) -> Option<i64> {
    match value.as_numeric() {
        Some(numeric) => Number::new(numeric)?.to_i64(),
        None => trim(readable(value)?).parse().ok(),
    }
}

/// The string that it is, if it is not longer than those that SUPER makes: jsonb's may be, and to read a quarter of a gigabyte as a number takes its time.
fn readable(value: Value<'_>) -> Option<&str> {
    value.as_str().filter(|text| text.len() <= MAX_STRING_BYTES)
}

/// The nearest double of a number, or of a string that is one; out of range is `None`.
pub fn to_f64(value: Value<'_>) -> Option<f64> {
    let text = number_text(value)?;
    let float: f64 = text.parse().ok()?;
    in_range(&text, float.is_finite(), float == 0.0).then_some(float)
}

/// As [`to_f64`], in single precision.
pub fn to_f32(value: Value<'_>) -> Option<f32> {
    let text = number_text(value)?;
    let float: f32 = text.parse().ok()?;
    in_range(&text, float.is_finite(), float == 0.0).then_some(float)
}

fn number_text(value: Value<'_>) -> Option<Cow<'_, str>> {
    match value.as_numeric() {
        Some(numeric) => Some(Number::new(numeric)?.to_text().into()),
        None => Some(trim(readable(value)?).into()),
    }
}

/// Whether a float that was read from `text` is neither an overflow nor an underflow. Infinity and NaN by name are what they say.
fn in_range(text: &str, finite: bool, zero: bool) -> bool {
    let named = text.contains(['n', 'N']);
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    named || finite && !(zero && mantissa.contains(|c: char| ('1'..='9').contains(&c)))
}

/// A numeric, rounded to `numeric(precision, scale)` if that is given.
pub fn to_numeric(value: Value<'_>, form: Option<(i64, i64)>) -> Option<Cow<'_, [u8]>> {
    let numeric = match value.as_numeric() {
        Some(numeric) => Cow::Borrowed(numeric),
        None => Cow::Owned(number::from_text(readable(value)?)?),
    };
    let number = Number::new(&numeric)?;
    match form {
        Some((precision, scale)) => number.round(precision, scale).map(Cow::Owned),
        None => Some(numeric),
    }
}

/// A boolean, an integer (zero is false; `5.0` is none), or a string that Postgres takes for a boolean.
pub fn to_bool(value: Value<'_>) -> Option<bool> {
    if let Some(numeric) = value.as_numeric() {
        let number = Number::new(numeric)?;
        return (number.scale() == 0).then_some(!number.is_zero());
    }
    value
        .as_bool()
        .or_else(|| bool_word(trim(readable(value)?)))
}

/// A word or the unambiguous beginning of one, whatever its case (`parse_bool_with_len` in `src/backend/utils/adt/bool.c`).
fn bool_word(text: &str) -> Option<bool> {
    let begins = |word: &str, least: usize| {
        text.len() >= least
            && word
                .get(..text.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(text))
    };
    if begins("true", 1) || begins("yes", 1) || begins("on", 2) || text == "1" {
        Some(true)
    } else if begins("false", 1) || begins("no", 1) || begins("off", 2) || text == "0" {
        Some(false)
    } else {
        None
    }
}

/// The text of a string without quotes, of a number or a boolean as in JSON.
pub fn to_text(value: Value<'_>) -> Option<Cow<'_, str>> {
    match value.kind() {
        Kind::String => value.as_str().map(Cow::Borrowed),
        // Of numbers the longest text has some 150 kB.
        Kind::Number => Some(Number::new(value.as_numeric()?)?.to_text().into()),
        Kind::Boolean => Some(if value.as_bool()? { "true" } else { "false" }.into()),
        Kind::Null | Kind::Array | Kind::Object => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Parser;

    fn with<T>(json: &str, cast: impl Fn(Value<'_>) -> Option<T>) -> Option<T> {
        let mut parser = Parser::new();
        cast(Value::from_image(parser.parse(json.as_bytes()).unwrap()).unwrap())
    }

    #[test]
    fn integers() {
        for (json, expected) in [
            ("5", Some(5)),
            ("\"103\"", Some(103)),
            ("\" -7 \"", Some(-7)),
            ("\"+7\"", Some(7)),
            ("2.5", Some(3)),
            ("\"2.5\"", None),
            ("\"Good\"", None),
            ("\"\"", None),
            ("true", None),
            ("null", None),
            ("[1]", None),
            ("{}", None),
            ("1e19", None),
            ("\"9223372036854775808\"", None),
        ] {
            assert_eq!(with(json, to_i64), expected, "{json}");
        }
    }

    #[test]
    fn floats() {
        for (json, expected) in [
            ("5", Some(5.0)),
            ("\"2500\"", Some(2500.0)),
            ("\"1e3\"", Some(1000.0)),
            ("0.1", Some(0.1)),
            ("1e400", None),
            ("1e-400", None),
            ("\"1e400\"", None),
            ("\"1e-400\"", None),
            ("\"0e5\"", Some(0.0)),
            ("\"-Infinity\"", Some(f64::NEG_INFINITY)),
            ("\"x\"", None),
            ("true", None),
        ] {
            assert_eq!(with(json, to_f64), expected, "{json}");
        }
        assert_eq!(with("1e39", to_f32), None);
        assert_eq!(with("0.1", to_f32), Some(0.1));
        assert!(with("\"NaN\"", to_f64).unwrap().is_nan());
    }

    #[test]
    fn booleans() {
        for (json, expected) in [
            ("5", Some(true)),
            ("0", Some(false)),
            ("5.0", None),
            ("0.0", None),
            ("-1", Some(true)),
            ("true", Some(true)),
            ("false", Some(false)),
            ("\"t\"", Some(true)),
            ("\" YES \"", Some(true)),
            ("\"on\"", Some(true)),
            ("\"o\"", None),
            ("\"of\"", Some(false)),
            ("\"1\"", Some(true)),
            ("\"0\"", Some(false)),
            ("\"\"", None),
            ("\"truex\"", None),
            ("\"é\"", None),
            ("null", None),
            ("[]", None),
        ] {
            assert_eq!(with(json, to_bool), expected, "{json}");
        }
    }

    #[test]
    fn texts() {
        for (json, expected) in [
            ("\"TV\"", Some("TV")),
            ("\"\"", Some("")),
            ("50.00", Some("50.00")),
            ("1.5e3", Some("1500")),
            ("true", Some("true")),
            ("null", None),
            ("[1]", None),
            ("{\"a\":1}", None),
        ] {
            assert_eq!(
                with(json, |value| to_text(value).map(|text| text.into_owned())).as_deref(),
                expected,
                "{json}"
            );
        }
    }

    #[test]
    fn numerics() {
        let text = |json: &str, form| {
            with(json, |value| {
                to_numeric(value, form).map(|numeric| Number::new(&numeric).unwrap().to_text())
            })
        };
        assert_eq!(text("50.00", Some((5, 2))).as_deref(), Some("50.00"));
        assert_eq!(text("\"50\"", Some((5, 2))).as_deref(), Some("50.00"));
        assert_eq!(text("\"1.25\"", None).as_deref(), Some("1.25"));
        assert_eq!(text("12345", Some((5, 2))), None);
        assert_eq!(text("\"x\"", None), None);
        assert_eq!(text("null", None), None);
    }
}
