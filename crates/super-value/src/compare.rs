//! The order of SUPER values: null, boolean, number, string, array, object ("ORDER BY" under "Querying semi-structured data" in Redshift's
//! Developer Guide, which does not say where null goes). Numbers by value whatever their scale; arrays element by element, then the shorter first;
//! objects with fewer attributes first, then name by name and value by value.
//!
//! What is equal here is equal for `jsonb_eq` too, so that `jsonb_hash` serves both.

use std::cmp::Ordering;

use crate::number::Number;
use crate::pace::Pace;
use crate::value::{Kind, Value};

/// Compares two values; `strings` compares two strings and calls only equal ones equal.
///
/// Values that were cast from jsonb may be nested deeper than SUPER's limit, so there is no recursion.
pub fn compare(
    a: Value<'_>,
    b: Value<'_>,
    strings: &mut impl FnMut(&[u8], &[u8]) -> Ordering,
) -> Ordering {
    let order = shallow(a, b, strings);
    if order.is_ne() || a.is_empty() && b.is_empty() {
        return order;
    }
    let mut pace = Pace::new();
    let mut open = vec![(a.elements(), b.elements(), a.attributes(), b.attributes())];
    // The next pair of children; a container whose children are all equal is left.
    while let Some((elements_a, elements_b, attributes_a, attributes_b)) = open.last_mut() {
        pace.step();
        // Of an object there are no elements, of an array no attributes.
        let (a, b) = match (elements_a.next(), elements_b.next()) {
            (Some(a), Some(b)) => (a, b),
            (None, None) => match attributes_a.next().zip(attributes_b.next()) {
                Some(((name_a, a), (name_b, b))) => {
                    let lengths = name_a.len().cmp(&name_b.len());
                    let order = lengths.then_with(|| name_a.cmp(name_b));
                    if order.is_ne() {
                        return order;
                    }
                    (a, b)
                }
                None => {
                    open.pop();
                    continue;
                }
            },
            (a, b) => return a.is_some().cmp(&b.is_some()),
        };
        let order = shallow(a, b, strings);
        if order.is_ne() {
            return order;
        }
        if !a.is_empty() || !b.is_empty() {
            open.push((a.elements(), b.elements(), a.attributes(), b.attributes()));
        }
    }
    Ordering::Equal
}

/// The order as far as it shows without looking into arrays and objects.
fn shallow(
    a: Value<'_>,
    b: Value<'_>,
    strings: &mut impl FnMut(&[u8], &[u8]) -> Ordering,
) -> Ordering {
    let kinds = rank(a.kind()).cmp(&rank(b.kind()));
    kinds.then_with(|| match a.kind() {
        Kind::Null | Kind::Array => Ordering::Equal,
        Kind::Boolean => a.as_bool().cmp(&b.as_bool()),
        Kind::Number => a
            .as_numeric()
            .and_then(Number::new)
            .cmp(&b.as_numeric().and_then(Number::new)),
        Kind::String => strings(
            a.as_bytes().unwrap_or_default(),
            b.as_bytes().unwrap_or_default(),
        ),
        Kind::Object => a.len().cmp(&b.len()),
    })
}

/// The place of a kind in the order.
pub(crate) fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::Null => 0,
        Kind::Boolean => 1,
        Kind::Number => 2,
        Kind::String => 3,
        Kind::Array => 4,
        Kind::Object => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Parser;

    #[test]
    fn values_are_ordered_by_kind_then_content() {
        let sorted = [
            "null",
            "false",
            "true",
            "-1",
            "0",
            "1.5",
            "2",
            "\"\"",
            "\"AWS\"",
            "\"Amazon\"",
            "\"a\"",
            "\"aa\"",
            "[]",
            "[null]",
            "[1]",
            "[1,2]",
            "[1,[1]]",
            "[1,{}]",
            "[2]",
            "[[]]",
            "{}",
            "{\"a\":1}",
            "{\"a\":2}",
            "{\"b\":1}",
            "{\"aa\":1}",
            "{\"a\":1,\"b\":1}",
        ];
        let images: Vec<Vec<u8>> = sorted
            .iter()
            .map(|json| Parser::new().parse(json.as_bytes()).unwrap().to_vec())
            .collect();
        for (i, a) in images.iter().enumerate() {
            for (j, b) in images.iter().enumerate() {
                let order = compare(
                    Value::from_image(a).unwrap(),
                    Value::from_image(b).unwrap(),
                    &mut |a, b| a.cmp(b),
                );
                assert_eq!(order, i.cmp(&j), "{} {}", sorted[i], sorted[j]);
            }
        }
    }

    #[test]
    fn scale_does_not_matter() {
        let mut parser = Parser::new();
        let a = parser.parse(b"{\"a\":[1.0,{\"b\":2}]}").unwrap().to_vec();
        let b = parser.parse(b"{\"a\":[1,{\"b\":2.00}]}").unwrap();
        assert!(
            compare(
                Value::from_image(&a).unwrap(),
                Value::from_image(b).unwrap(),
                &mut |a, b| a.cmp(b)
            )
            .is_eq()
        );
    }
}
