//! What Redshift's array functions do, over borrowed values. Each is given arrays; what is none is for the caller to refuse.
//! Elements are equal when [`compare()`] says so: numbers by value, strings by bytes, null like null.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::compare::compare;
use crate::value::{Kind, Value};

/// A value that is ordered, whatever its kind; strings by their bytes.
#[derive(Clone, Copy)]
struct Ordered<'a>(Value<'a>);

impl PartialEq for Ordered<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ordered<'_> {}

impl PartialOrd for Ordered<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(self.0, other.0, &mut |a, b| a.cmp(b))
    }
}

/// The elements; nothing for what is no array.
pub fn elements<'a>(array: Value<'a>) -> impl Iterator<Item = Value<'a>> {
    (0..).map_while(move |index| array.element(index))
}

/// The elements of an array and of the arrays in it, at all levels, in order (ARRAY_FLATTEN).
pub fn flatten(array: Value<'_>) -> Vec<Value<'_>> {
    let mut flat = Vec::new();
    let mut open = vec![(array, 0)];
    while let Some((array, next)) = open.last_mut() {
        let element = array.element(*next);
        *next += 1;
        match element {
            Some(element) if element.kind() == Kind::Array => open.push((element, 0)),
            Some(element) => flat.push(element),
            None => {
                open.pop();
            }
        }
    }
    flat
}

/// Positions of the elements that equal `wanted`, from 0.
pub fn positions<'a>(array: Value<'a>, wanted: Value<'a>) -> impl Iterator<Item = usize> {
    elements(array)
        .enumerate()
        .filter(move |(_, element)| Ordered(*element) == Ordered(wanted))
        .map(|(index, _)| index)
}

/// Each element once, where it comes first (ARRAY_DISTINCT, and ARRAY_UNION of a chain).
pub fn distinct<'a>(elements: impl Iterator<Item = Value<'a>>) -> Vec<Value<'a>> {
    let mut seen = BTreeMap::new();
    elements
        .filter(|element| seen.insert(Ordered(*element), ()).is_none())
        .collect()
}

/// How often each element is there.
fn counts(array: Value<'_>) -> BTreeMap<Ordered<'_>, usize> {
    let mut counts = BTreeMap::new();
    for element in elements(array) {
        *counts.entry(Ordered(element)).or_insert(0) += 1;
    }
    counts
}

/// The elements of `a` without those of `b` (ARRAY_EXCEPT): each occurrence in `b` takes one away or, with `set`, all, and what stays is there once.
pub fn except<'a>(a: Value<'a>, b: Value<'a>, set: bool) -> Vec<Value<'a>> {
    let mut counts = counts(b);
    let kept = elements(a).filter(|element| match counts.get_mut(&Ordered(*element)) {
        Some(left) if set || *left > 0 => {
            *left = left.saturating_sub(1);
            false
        }
        _ => true,
    });
    if set { distinct(kept) } else { kept.collect() }
}

/// The elements of `a` that are in `b` too (ARRAY_INTERSECTION): as often as they are in both or, with `set`, once.
pub fn intersection<'a>(a: Value<'a>, b: Value<'a>, set: bool) -> Vec<Value<'a>> {
    let mut counts = counts(b);
    let kept = elements(a).filter(|element| match counts.get_mut(&Ordered(*element)) {
        Some(left) if set || *left > 0 => {
            *left = left.saturating_sub(1);
            true
        }
        _ => false,
    });
    if set { distinct(kept) } else { kept.collect() }
}

/// Whether some element is in both (ARRAYS_OVERLAP).
pub fn overlap(a: Value<'_>, b: Value<'_>) -> bool {
    let counts = counts(b);
    elements(a).any(|element| counts.contains_key(&Ordered(element)))
}

/// The elements in the order of all values (ARRAY_SORT), strings by `strings`.
pub fn sort<'a>(
    array: Value<'a>,
    ascending: bool,
    nulls_first: bool,
    strings: &mut impl FnMut(&[u8], &[u8]) -> Ordering,
) -> Vec<Value<'a>> {
    let (nulls, mut rest): (Vec<_>, Vec<_>) =
        elements(array).partition(|element| element.kind() == Kind::Null);
    rest.sort_by(|a, b| {
        let order = compare(*a, *b, strings);
        if ascending { order } else { order.reverse() }
    });
    if nulls_first {
        nulls.into_iter().chain(rest).collect()
    } else {
        rest.into_iter().chain(nulls).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Parser, compose, text};

    fn image(json: &str) -> Vec<u8> {
        Parser::new().parse(json.as_bytes()).unwrap().to_vec()
    }

    fn shown(elements: Vec<Value<'_>>) -> String {
        text::to_string(Value::from_image(&compose::array(&elements).unwrap()).unwrap())
    }

    #[test]
    fn arrays_are_flattened() {
        for (json, flat) in [
            ("[1,[2,[3,[]]]]", "[1,2,3]"),
            ("[]", "[]"),
            ("[[[]],[{}]]", "[{}]"),
        ] {
            assert_eq!(
                shown(flatten(Value::from_image(&image(json)).unwrap())),
                flat
            );
        }
    }

    #[test]
    fn sets_and_multisets() {
        let both = |a: &str, b: &str, set: bool| {
            let (a, b) = (image(a), image(b));
            let (a, b) = (
                Value::from_image(&a).unwrap(),
                Value::from_image(&b).unwrap(),
            );
            (
                shown(except(a, b, set)),
                shown(intersection(a, b, set)),
                overlap(a, b),
            )
        };
        let expect = |e: &str, i: &str, o| (e.to_owned(), i.to_owned(), o);
        assert_eq!(
            both("[\"b\",\"b\",\"b\",\"b\"]", "[\"b\",\"b\"]", false),
            expect("[\"b\",\"b\"]", "[\"b\",\"b\"]", true)
        );
        assert_eq!(
            both("[\"a\",\"b\",\"b\",\"a\"]", "[\"b\"]", true),
            expect("[\"a\"]", "[\"b\"]", true)
        );
        assert_eq!(
            both("[\"a\",null]", "[null]", false),
            expect("[\"a\"]", "[null]", true)
        );
        assert_eq!(both("[1,2]", "[1.0]", false), expect("[2]", "[1]", true));
        assert_eq!(both("[]", "[1]", false), expect("[]", "[]", false));
    }
}
