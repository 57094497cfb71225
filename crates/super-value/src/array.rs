//! What Redshift's array functions do. Each is given arrays (what is none is for the caller to refuse) and returns the image of a new one.
//! Elements are equal when [`compare()`] says so: numbers by value, strings by bytes, null like null.
//!
//! Errors are those of [`compose::array`].

use std::cmp::Ordering;

use crate::compare::compare;
use crate::compose::{self, Image};
use crate::equality::{equal, first_equals};
use crate::memory::{self, Limit};
use crate::number::Number;
use crate::pace::Pace;
use crate::value::{Kind, Value};

/// The elements of both (ARRAY_CONCAT).
pub fn concat(a: Value<'_>, b: Value<'_>) -> Result<Vec<u8>, Limit> {
    let count = a.len() + b.len();
    compose::array(count, a.elements().chain(b.elements()))
}

/// The elements from one index up to another (SUBARRAY).
pub fn part(array: Value<'_>, from: usize, to: usize) -> Result<Vec<u8>, Limit> {
    let to = to.min(array.len());
    let from = from.min(to);
    compose::array(
        to - from,
        (from..to).map_while(|index| array.element(index)),
    )
}

/// The elements of an array and of the arrays in it, at all levels, in order (ARRAY_FLATTEN).
pub fn flatten(array: Value<'_>) -> Result<Vec<u8>, Limit> {
    let mut count = 0;
    each_flat(array, |_| {
        count += 1;
        Ok(())
    })?;
    let mut image = Image::new()?;
    let mut flat = image.begin_array(count)?;
    each_flat(array, |element| image.put(&mut flat, element))?;
    image.finish(flat)
}

fn each_flat<'a>(
    array: Value<'a>,
    mut then: impl FnMut(Value<'a>) -> Result<(), Limit>,
) -> Result<(), Limit> {
    let mut pace = Pace::new();
    let mut open = Vec::new();
    memory::push(&mut open, array.elements())?;
    while let Some(elements) = open.last_mut() {
        pace.step();
        match elements.next() {
            Some(element) if element.kind() == Kind::Array => {
                memory::push(&mut open, element.elements())?;
            }
            Some(element) => then(element)?,
            None => {
                open.pop();
            }
        }
    }
    Ok(())
}

/// Positions of the elements that equal `wanted`, from 0.
pub fn positions<'a>(array: Value<'a>, wanted: Value<'a>) -> impl Iterator<Item = usize> {
    let mut pace = Pace::new();
    array
        .elements()
        .inspect(move |_| pace.step())
        .enumerate()
        .filter(move |(_, element)| equal(*element, wanted))
        .map(|(index, _)| index)
}

/// Whether null is an element.
pub fn has_null(array: Value<'_>) -> bool {
    let mut pace = Pace::new();
    array
        .elements()
        .inspect(|_| pace.step())
        .any(|element| element.kind() == Kind::Null)
}

/// All of [`positions`] as an array (ARRAY_POSITIONS).
pub fn all_positions(array: Value<'_>, wanted: Value<'_>) -> Result<Vec<u8>, Limit> {
    let mut image = Image::new()?;
    let mut found = image.begin_array(positions(array, wanted).count())?;
    for position in positions(array, wanted) {
        let numeric = crate::number::from_i64(position as i64);
        let value = Value::number(&numeric).unwrap_or_else(Value::null);
        image.put(&mut found, value)?;
    }
    image.finish(found)
}

/// Two arrays beside one another, each element with the index of the first one of both that equals it.
struct Pair<'a> {
    a: Value<'a>,
    first_equal: Vec<u32>,
    /// How often the elements that equal it are in the second array, by that index.
    in_b: Vec<u32>,
}

impl<'a> Pair<'a> {
    fn new(a: Value<'a>, b: Value<'a>) -> Result<Self, Limit> {
        let count = a.len() + b.len();
        let at = |index: usize| match index.checked_sub(a.len()) {
            Some(index) => b.element(index),
            None => a.element(index),
        };
        let first_equal = first_equals(count, a.elements().chain(b.elements()), at)?;
        let mut in_b = Vec::new();
        memory::extend_by(&mut in_b, count, 0)?;
        let mut pace = Pace::new();
        for &first in &first_equal[a.len()..] {
            pace.step();
            in_b[first as usize] += 1;
        }
        Ok(Pair {
            a,
            first_equal,
            in_b,
        })
    }

    /// The elements of the first array that `keeps` says yes to, which gets each one's index, that of the first equal one, and the counts.
    fn kept(
        mut self,
        mut keeps: impl FnMut(usize, usize, &mut [u32]) -> bool,
    ) -> Result<Vec<u8>, Limit> {
        const OUT: u32 = u32::MAX;
        let mut pace = Pace::new();
        let mut count = 0;
        for index in 0..self.a.len() {
            pace.step();
            let first = self.first_equal[index] as usize;
            if keeps(index, first, &mut self.in_b) {
                count += 1;
            } else {
                self.first_equal[index] = OUT;
            }
        }
        let elements = self.a.elements().zip(&self.first_equal);
        let kept = elements.filter(|(_, first)| **first != OUT);
        compose::array(count, kept.map(|(element, _)| element))
    }
}

/// Each element once, where it comes first (ARRAY_DISTINCT).
pub fn distinct(array: Value<'_>) -> Result<Vec<u8>, Limit> {
    let first = first_equals(array.len(), array.elements(), |index| array.element(index))?;
    once(&first, array.elements())
}

/// Each element of both once, where it comes first (ARRAY_UNION).
pub fn union<'a>(a: Value<'a>, b: Value<'a>) -> Result<Vec<u8>, Limit> {
    let pair = Pair::new(a, b)?;
    once(&pair.first_equal, a.elements().chain(b.elements()))
}

fn once<'a>(
    first_equal: &[u32],
    elements: impl Iterator<Item = Value<'a>>,
) -> Result<Vec<u8>, Limit> {
    let is_first = |(index, first): &(usize, &u32)| *index == **first as usize;
    let count = first_equal.iter().enumerate().filter(is_first).count();
    let firsts = elements.zip(first_equal.iter().enumerate());
    let kept = firsts.filter(|(_, place)| is_first(place));
    compose::array(count, kept.map(|(element, _)| element))
}

/// The elements of `a` without those of `b` (ARRAY_EXCEPT): each occurrence in `b` takes one away or, with `set`, all, and what stays is there once.
pub fn except<'a>(a: Value<'a>, b: Value<'a>, set: bool) -> Result<Vec<u8>, Limit> {
    Pair::new(a, b)?.kept(|index, first, in_b| {
        if set {
            return in_b[first] == 0 && index == first;
        }
        let left = in_b[first];
        in_b[first] = left.saturating_sub(1);
        left == 0
    })
}

/// The elements of `a` that are in `b` too (ARRAY_INTERSECTION): as often as they are in both or, with `set`, once.
pub fn intersection<'a>(a: Value<'a>, b: Value<'a>, set: bool) -> Result<Vec<u8>, Limit> {
    Pair::new(a, b)?.kept(|index, first, in_b| {
        if set {
            return in_b[first] > 0 && index == first;
        }
        let left = in_b[first];
        in_b[first] = left.saturating_sub(1);
        left > 0
    })
}

/// Whether some element is in both (ARRAYS_OVERLAP).
pub fn overlap(a: Value<'_>, b: Value<'_>) -> Result<bool, Limit> {
    let pair = Pair::new(a, b)?;
    let mut of_a = pair.first_equal[..a.len()].iter();
    Ok(of_a.any(|&first| pair.in_b[first as usize] > 0))
}

/// An element that is to be sorted.
struct Sorted<'a> {
    /// Orders most elements: those with the same one are compared.
    key: u64,
    index: u32,
    value: Value<'a>,
}

/// The elements in the order of all values (ARRAY_SORT), strings by `strings`.
pub fn sort(
    array: Value<'_>,
    ascending: bool,
    nulls_first: bool,
    strings: &mut impl FnMut(&[u8], &[u8]) -> Ordering,
) -> Result<Vec<u8>, Limit> {
    let mut pace = Pace::new();
    let mut sorted = memory::with_room(array.len())?;
    for (index, value) in (0..).zip(array.elements()) {
        pace.step();
        if value.kind() != Kind::Null {
            let key = sort_key(value);
            sorted.push(Sorted { key, index, value });
        }
    }
    // By the place in the array where equal: a stable sort would ask for memory of its own.
    sorted.sort_unstable_by(|a, b| {
        pace.step();
        let order = a.key.cmp(&b.key);
        let order = order.then_with(|| compare(a.value, b.value, strings));
        let order = if ascending { order } else { order.reverse() };
        order.then(a.index.cmp(&b.index))
    });
    let nulls = array.len() - sorted.len();
    let (before, after) = if nulls_first { (nulls, 0) } else { (0, nulls) };
    let values = sorted.iter().map(|element| element.value);
    let nulls = |count| std::iter::repeat_n(Value::null(), count);
    compose::array(array.len(), nulls(before).chain(values).chain(nulls(after)))
}

/// In the order of values, but equal for some that are not: the kind, then what of the content fits in 61 bits.
fn sort_key(value: Value<'_>) -> u64 {
    let content = match value.kind() {
        Kind::Boolean => u64::from(value.as_bool() == Some(true)),
        Kind::Number => value
            .as_numeric()
            .and_then(Number::new)
            .map_or(0, |number| number.sort_key()),
        Kind::Object => value.len() as u64,
        Kind::Null | Kind::String | Kind::Array => 0,
    };
    u64::from(crate::compare::rank(value.kind())) << 61 | content
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Parser, text};
    use proptest::prelude::*;

    fn image(json: &str) -> Vec<u8> {
        Parser::new().parse(json.as_bytes()).unwrap().to_vec()
    }

    fn shown(image: Result<Vec<u8>, Limit>) -> String {
        let json = text::to_vec(Value::from_image(&image.unwrap()).unwrap()).unwrap();
        String::from_utf8(json).unwrap()
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
                overlap(a, b).unwrap(),
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

    #[test]
    fn what_is_equal_is_there_once() {
        let both = |a: &str, b: &str| {
            let (a, b) = (image(a), image(b));
            let (a, b) = (
                Value::from_image(&a).unwrap(),
                Value::from_image(&b).unwrap(),
            );
            (shown(distinct(a)), shown(union(a, b)), shown(concat(a, b)))
        };
        let (once, of_both, joined) = both(
            r#"[1,1.00,"1",null,true,[1],[1.0],{"a":[]},{"a":{}},{"a":[]},null]"#,
            r#"[0,-0,1e0,"",true,[[1]],{"a":{}}]"#,
        );
        assert_eq!(once, r#"[1,"1",null,true,[1],{"a":[]},{"a":{}}]"#);
        assert_eq!(
            of_both,
            r#"[1,"1",null,true,[1],{"a":[]},{"a":{}},0,"",[[1]]]"#
        );
        assert_eq!(joined.matches("null").count(), 2);
    }

    #[test]
    fn values_are_sorted_as_they_compare() {
        let array = image(
            r#"["b",2,null,{"b":1},[2],10,-1,-1.5,1e30,-1e30,0.00001,0,-0.00001,123456789012345678,123456789012345679,12.340,12.34,true,false,"a",{},[],null,{"a":1,"b":2}]"#,
        );
        let array = Value::from_image(&array).unwrap();
        let order = |ascending, nulls_first| {
            shown(sort(array, ascending, nulls_first, &mut |a, b| a.cmp(b)))
        };
        assert_eq!(
            order(true, false),
            r#"[false,true,-1000000000000000000000000000000,-1.5,-1,-0.00001,0,0.00001,2,10,12.340,12.34,123456789012345678,123456789012345679,1000000000000000000000000000000,"a","b",[],[2],{},{"b":1},{"a":1,"b":2},null,null]"#
        );
        let descending = order(false, true);
        assert!(
            descending.starts_with(r#"[null,null,{"a":1,"b":2},{"b":1},{},[2],[],"b","a",1000"#)
        );
        assert!(
            descending.contains("12.340,12.34,10,2,"),
            "equal ones stay in order"
        );
    }

    proptest! {
        #[test]
        fn keys_order_numbers_as_numbers_are(numbers in prop::collection::vec(
            prop_oneof![any::<i64>().prop_map(|n| n.to_string()), any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(|f| format!("{f:e}")), "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?"],
            0..40))
        {
            let array = image(&format!("[{}]", numbers.join(",")));
            let array = Value::from_image(&array).unwrap();
            let sorted = sort(array, true, false, &mut |a, b| a.cmp(b)).unwrap();
            let sorted: Vec<_> = Value::from_image(&sorted).unwrap().elements().collect();
            prop_assert_eq!(sorted.len(), numbers.len());
            prop_assert!(sorted.is_sorted_by(|a, b| compare(*a, *b, &mut |a, b| a.cmp(b)).is_le()));
            let mut once = sorted.clone();
            once.dedup_by(|a, b| equal(*a, *b));
            let distinct = distinct(array).unwrap();
            prop_assert_eq!(Value::from_image(&distinct).unwrap().len(), once.len());
        }
    }
}
