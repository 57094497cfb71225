//! Values as JSON text, without a blank: the form in which Redshift shows SUPER, and that of JSON_SERIALIZE.

use std::fmt::Write;

use crate::number::Number;
use crate::value::{Kind, Value};

/// What is still to be written of an array or object.
struct Open<'a> {
    value: Value<'a>,
    next: usize,
}

/// Appends the JSON text of `value`. Numbers are written out with their scale, never with an exponent; names come in the stored order.
///
/// Values that were cast from jsonb may be nested deeper than SUPER's limit, so there is no recursion.
pub fn write(value: Value<'_>, out: &mut String) {
    write_renamed(value, &mut |name, out| write_string(name, out), out);
}

/// As [`write()`], with `name` writing the names of attributes, quotes included.
pub fn write_renamed(value: Value<'_>, name: &mut impl FnMut(&str, &mut String), out: &mut String) {
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut value = value;
    loop {
        match value.kind() {
            Kind::Null => out.push_str("null"),
            Kind::Boolean => out.push_str(if value.as_bool() == Some(true) {
                "true"
            } else {
                "false"
            }),
            Kind::Number => {
                if let Some(number) = value.as_numeric().and_then(Number::new) {
                    number.write(out);
                }
            }
            Kind::String => write_string(value.as_str().unwrap_or_default(), out),
            Kind::Array => {
                out.push('[');
                open.push(Open { value, next: 0 });
            }
            Kind::Object => {
                out.push('{');
                open.push(Open { value, next: 0 });
            }
        }
        // The next child; a container without one is closed.
        loop {
            let Some(outer) = open.last_mut() else {
                return;
            };
            let index = outer.next;
            outer.next += 1;
            let child = match outer.value.kind() {
                Kind::Array => outer.value.element(index),
                _ => outer.value.attribute(index).map(|(key, child)| {
                    if index > 0 {
                        out.push(',');
                    }
                    name(std::str::from_utf8(key).unwrap_or_default(), out);
                    out.push(':');
                    child
                }),
            };
            let is_array = outer.value.kind() == Kind::Array;
            match child {
                Some(child) => {
                    if is_array && index > 0 {
                        out.push(',');
                    }
                    value = child;
                    break;
                }
                None => {
                    out.push(if is_array { ']' } else { '}' });
                    open.pop();
                }
            }
        }
    }
}

/// Appends a JSON string, with the escapes that `escape_json` in `src/backend/utils/adt/json.c` writes.
pub fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut plain = 0;
    for (at, c) in text.bytes().enumerate() {
        let escape = match c {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0c => "\\f",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[plain..at]);
        if escape.is_empty() {
            let _ = write!(out, "\\u{c:04x}");
        } else {
            out.push_str(escape);
        }
        plain = at + 1;
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

/// The JSON text of `value`: see [`write()`].
pub fn to_string(value: Value<'_>) -> String {
    let mut out = String::with_capacity(value.image_len());
    write(value, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Parser;
    use proptest::prelude::*;

    fn round(json: &str) -> String {
        let mut parser = Parser::new();
        to_string(Value::from_image(parser.parse(json.as_bytes()).unwrap()).unwrap())
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
            let text = to_string(Value::from_image(&image).unwrap());
            prop_assert_eq!(parser.parse(text.as_bytes()).unwrap(), &image[..]);
        }
    }
}
