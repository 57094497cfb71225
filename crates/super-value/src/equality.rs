//! Which of many values are equal, in time that grows hardly faster than their number.

use std::hash::{BuildHasher, Hasher, RandomState};

use crate::compare::compare;
use crate::memory::{self, Limit};
use crate::number::Number;
use crate::pace::Pace;
use crate::value::{Kind, Value};

/// Whether two values are equal as [`compare()`] sees it: numbers by value, strings by bytes, null like null.
pub(crate) fn equal(a: Value<'_>, b: Value<'_>) -> bool {
    compare(a, b, &mut |a, b| a.cmp(b)).is_eq()
}

/// For each of `count` values the index of the first one that equals it. `values` goes through them, `at` gives the one at an index.
///
/// They are sorted by a hash that nobody outside can foresee: values made to collide would take time that grows with the square of their number.
pub(crate) fn first_equals<'a>(
    count: usize,
    values: impl Iterator<Item = Value<'a>>,
    at: impl Fn(usize) -> Option<Value<'a>>,
) -> Result<Vec<u32>, Limit> {
    let key = RandomState::new();
    let mut pace = Pace::new();
    let mut hashed: Vec<(u64, u32)> = memory::with_room(count)?;
    for (index, value) in values.take(count).enumerate() {
        let mut hasher = key.build_hasher();
        hash(value, &mut hasher, &mut pace)?;
        hashed.push((hasher.finish(), index as u32));
    }
    hashed.sort_unstable_by(|a, b| {
        pace.step();
        a.cmp(b)
    });
    let mut first = Vec::new();
    memory::extend_by(&mut first, count, 0u32)?;
    for run in hashed.chunk_by(|a, b| a.0 == b.0) {
        // One value in nearly every case: others share its hash by chance.
        let mut known: Vec<(u32, Option<Value<'a>>)> = Vec::new();
        for &(_, index) in run {
            pace.step();
            if run.len() == 1 {
                first[index as usize] = index;
                break;
            }
            let value = at(index as usize);
            let same = known.iter().find(|(_, known)| {
                known
                    .zip(value)
                    .is_some_and(|(known, value)| equal(known, value))
            });
            first[index as usize] = match same {
                Some((same, _)) => *same,
                None => {
                    memory::push(&mut known, (index, value))?;
                    index
                }
            };
        }
    }
    Ok(first)
}

/// Feeds a value to `hasher`: equal ones alike.
fn hash(value: Value<'_>, hasher: &mut impl Hasher, pace: &mut Pace) -> Result<(), Limit> {
    shallow(value, hasher, pace);
    if value.is_empty() {
        return Ok(());
    }
    // Values that were cast from jsonb may be nested deeper than SUPER's limit, so there is no recursion.
    let mut open = Vec::new();
    memory::push(&mut open, (value.elements(), value.attributes()))?;
    while let Some((elements, attributes)) = open.last_mut() {
        let child = elements.next().or_else(|| {
            let (name, child) = attributes.next()?;
            hasher.write(name);
            hasher.write_u8(0xff);
            Some(child)
        });
        match child {
            Some(child) => {
                shallow(child, hasher, pace);
                if !child.is_empty() {
                    memory::push(&mut open, (child.elements(), child.attributes()))?;
                }
            }
            None => {
                open.pop();
            }
        }
    }
    Ok(())
}

/// Kind and content, of arrays and objects the length.
fn shallow(value: Value<'_>, hasher: &mut impl Hasher, pace: &mut Pace) {
    let kind = value.kind();
    hasher.write_u8(kind as u8);
    match kind {
        Kind::Null => pace.step(),
        Kind::Boolean => hasher.write_u8(u8::from(value.as_bool() == Some(true))),
        Kind::Number => {
            pace.step();
            if let Some(number) = value.as_numeric().and_then(Number::new) {
                number.hash_value(hasher);
            }
        }
        Kind::String => {
            let bytes = value.as_bytes().unwrap_or_default();
            pace.bytes(bytes.len());
            hasher.write(bytes);
            hasher.write_u8(0xff);
        }
        Kind::Array | Kind::Object => {
            pace.step();
            hasher.write_usize(value.len());
        }
    }
}
