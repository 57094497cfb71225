//! Values as JSON text, without a blank: the form in which Redshift shows SUPER, and that of JSON_SERIALIZE.

use crate::memory::{self, Limit};
use crate::number::Number;
use crate::pace::{self, Pace};
use crate::value::{Kind, Value};

/// Where text goes.
pub trait Sink {
    /// More of it.
    ///
    /// # Errors
    /// [`Limit::Memory`], [`Limit::Length`]: there is no room.
    fn put(&mut self, text: &[u8]) -> Result<(), Limit>;

    /// More of it: a number.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    fn put_number(&mut self, number: Number<'_>) -> Result<(), Limit> {
        self.put(number.to_text().as_bytes())
    }
}

/// Keeps the text up to a length.
#[derive(Debug)]
pub struct Text {
    /// What has been written.
    pub bytes: Vec<u8>,
    most: usize,
}

/// Bytes of text that a Postgres value has at most: what palloc gives (`MaxAllocSize` in `memutils.h`) without a header, or a zero at the end.
pub const MAX_TEXT_BYTES: usize = 0x3FFF_FFFF - 4;

impl Text {
    /// At most so many bytes, [`MAX_TEXT_BYTES`] anyway.
    pub fn of_at_most(most: usize) -> Self {
        Text {
            bytes: Vec::new(),
            most: most.min(MAX_TEXT_BYTES),
        }
    }
}

impl Sink for Text {
    #[inline]
    fn put(&mut self, text: &[u8]) -> Result<(), Limit> {
        if text.len() > self.most - self.bytes.len() {
            return Err(Limit::Length);
        }
        memory::extend(&mut self.bytes, text)
    }
}

/// Counts the text's bytes.
#[derive(Debug, Default)]
pub struct Length(pub u64);

impl Sink for Length {
    fn put(&mut self, text: &[u8]) -> Result<(), Limit> {
        self.0 += text.len() as u64;
        Ok(())
    }

    fn put_number(&mut self, number: Number<'_>) -> Result<(), Limit> {
        self.0 += number.text_len() as u64;
        Ok(())
    }
}

/// Appends the JSON text of `value`. Numbers are written out with their scale, never with an exponent; names come in the stored order.
///
/// Values that were cast from jsonb may be nested deeper than SUPER's limit, so there is no recursion.
///
/// # Errors
/// Those of the sink, and [`Limit::Memory`].
pub fn write<S: Sink>(value: Value<'_>, out: &mut S) -> Result<(), Limit> {
    write_renamed(value, &mut |name, out: &mut S| write_string(name, out), out)
}

/// As [`write()`], with `name` writing the names of attributes, quotes included.
pub fn write_renamed<S: Sink>(
    value: Value<'_>,
    name: &mut impl FnMut(&[u8], &mut S) -> Result<(), Limit>,
    out: &mut S,
) -> Result<(), Limit> {
    let mut pace = Pace::new();
    let mut open = Vec::new();
    let mut value = value;
    loop {
        pace.step();
        match value.kind() {
            Kind::Null => out.put(b"null")?,
            Kind::Boolean if value.as_bool() == Some(true) => out.put(b"true")?,
            Kind::Boolean => out.put(b"false")?,
            Kind::Number => {
                if let Some(number) = value.as_numeric().and_then(Number::new) {
                    pace.bytes(number.text_len());
                    out.put_number(number)?;
                }
            }
            Kind::String => write_string(value.as_bytes().unwrap_or_default(), out)?,
            kind @ (Kind::Array | Kind::Object) => {
                let is_array = kind == Kind::Array;
                out.put(if is_array { b"[" } else { b"{" })?;
                let children = (value.elements(), value.attributes());
                memory::push(&mut open, (is_array, true, children))?;
            }
        }
        // The next child; a container without one is closed.
        loop {
            let Some((is_array, first, (elements, attributes))) = open.last_mut() else {
                return Ok(());
            };
            let (child, named) = if *is_array {
                (elements.next(), None)
            } else {
                let next = attributes.next();
                (next.map(|(_, child)| child), next.map(|(name, _)| name))
            };
            let Some(child) = child else {
                out.put(if *is_array { b"]" } else { b"}" })?;
                open.pop();
                continue;
            };
            if !std::mem::take(first) {
                out.put(b",")?;
            }
            if let Some(named) = named {
                name(named, out)?;
                out.put(b":")?;
            }
            value = child;
            break;
        }
    }
}

/// Appends a JSON string, with the escapes that `escape_json` in `src/backend/utils/adt/json.c` writes.
///
/// # Errors
/// Those of the sink.
pub fn write_string(text: &[u8], out: &mut impl Sink) -> Result<(), Limit> {
    out.put(b"\"")?;
    for piece in pace::pieces(text) {
        let mut plain = 0;
        for (at, &c) in piece.iter().enumerate() {
            let mut code = *b"\\u0000";
            let escape: &[u8] = match c {
                b'"' => b"\\\"",
                b'\\' => b"\\\\",
                b'\n' => b"\\n",
                b'\r' => b"\\r",
                b'\t' => b"\\t",
                0x08 => b"\\b",
                0x0c => b"\\f",
                0..0x20 => {
                    code[4] += c >> 4;
                    code[5] = b"0123456789abcdef"[usize::from(c & 15)];
                    &code
                }
                _ => continue,
            };
            out.put(&piece[plain..at])?;
            out.put(escape)?;
            plain = at + 1;
        }
        out.put(&piece[plain..])?;
    }
    out.put(b"\"")
}

/// Names up to this long need no care.
const SHORT: usize = 64 * 1024;

/// The text in lower case.
///
/// # Errors
/// [`Limit::Memory`].
pub fn lower(text: &str) -> Result<String, Limit> {
    if text.len() <= SHORT {
        // It knows of the sigma that ends a word.
        return Ok(text.to_lowercase());
    }
    in_case(text, text.chars().flat_map(char::to_lowercase))
}

/// The text in upper case.
///
/// # Errors
/// [`Limit::Memory`].
pub fn upper(text: &str) -> Result<String, Limit> {
    in_case(text, text.chars().flat_map(char::to_uppercase))
}

fn in_case(text: &str, characters: impl Iterator<Item = char>) -> Result<String, Limit> {
    let mut pace = Pace::new();
    let mut changed = String::new();
    changed.try_reserve(text.len()).map_err(|_| Limit::Memory)?;
    for character in characters {
        pace.bytes(16);
        changed.try_reserve(4).map_err(|_| Limit::Memory)?;
        changed.push(character);
    }
    Ok(changed)
}

/// The JSON text of `value`: see [`write()`].
///
/// # Errors
/// [`Limit::Length`] beyond [`MAX_TEXT_BYTES`], [`Limit::Memory`].
pub fn to_vec(value: Value<'_>) -> Result<Vec<u8>, Limit> {
    let mut out = Text::of_at_most(usize::MAX);
    // What most texts are a little longer than.
    let likely = value.image_len().min(MAX_TEXT_BYTES);
    out.bytes = memory::with_room(likely)?;
    write(value, &mut out)?;
    Ok(out.bytes)
}

/// Bytes of the JSON text of `value`.
///
/// # Errors
/// [`Limit::Memory`].
pub fn length(value: Value<'_>) -> Result<u64, Limit> {
    let mut length = Length::default();
    write(value, &mut length)?;
    Ok(length.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Parser;
    use proptest::prelude::*;

    fn round(json: &str) -> String {
        let mut parser = Parser::new();
        let value = Value::from_image(parser.parse(json.as_bytes()).unwrap()).unwrap();
        let text = to_vec(value).unwrap();
        assert_eq!(length(value), Ok(text.len() as u64));
        for most in 0..text.len().min(50) {
            let mut out = Text::of_at_most(most);
            assert_eq!(write(value, &mut out), Err(Limit::Length));
        }
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn text_is_compact() {
        for (json, text) in [
            ("null", "null"),
            (" true ", "true"),
            ("[ ]", "[]"),
            ("{ }", "{}"),
            ("[1, \"abc\", null]", "[1,\"abc\",null]"),
            (
                "{\"bb\": 1, \"a\": [ {} , [ [ ] ] ]}",
                "{\"a\":[{},[[]]],\"bb\":1}",
            ),
            ("-0.0", "0.0"),
            ("1.50e2", "150"),
            ("-12345.6789", "-12345.6789"),
            ("100000000.00001", "100000000.00001"),
            (
                "\"\\u0001\\b\\f\\n\\r\\t\\\"\\\\\\/é\u{7f}\"",
                "\"\\u0001\\b\\f\\n\\r\\t\\\"\\\\/é\u{7f}\"",
            ),
        ] {
            assert_eq!(round(json), text);
        }
    }

    #[test]
    fn deep_values_are_written() {
        let json = format!("{}1{}", "[".repeat(1000), "]".repeat(1000));
        assert_eq!(round(&json), json);
    }

    proptest! {
        #[test]
        fn text_parses_to_the_same_value(text in ".*", number in any::<i64>(), fraction in any::<f32>()) {
            let json = serde_json::json!({ "a": [text.replace('\0', ""), number], "b": { "c": fraction } }).to_string();
            let mut parser = Parser::new();
            let image = parser.parse(json.as_bytes()).unwrap().to_vec();
            let text = to_vec(Value::from_image(&image).unwrap()).unwrap();
            prop_assert_eq!(parser.parse(&text).unwrap(), &image[..]);
        }
    }
}
