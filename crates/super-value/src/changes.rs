//! An object with attributes set at paths: what OBJECT_TRANSFORM does.
//!
//! All changes are sorted by path and merged with the object in one walk, so that many of them take hardly longer than one. The order in which they
//! were made still counts: a later one replaces what earlier ones did at its path and below.

use std::cmp::Ordering;

use crate::compose::{Image, Open};
use crate::container::Attributes;
use crate::memory::{self, Limit};
use crate::pace::Pace;
use crate::value::Value;

/// Changes to an object.
#[derive(Debug, Default)]
pub struct Changes<'a> {
    /// The bytes of all names.
    names: Vec<u8>,
    /// Where each name is in them.
    places: Vec<(u32, u32)>,
    changes: Vec<Change<'a>>,
    /// Where in `places` the path begins that is being made.
    path: usize,
}

#[derive(Debug, Clone, Copy)]
struct Change<'a> {
    /// Its path, in `places`.
    from: u32,
    to: u32,
    /// How many were made before it, and one.
    order: u32,
    value: Value<'a>,
}

impl Change<'_> {
    fn depth(&self) -> usize {
        (self.to - self.from) as usize
    }
}

impl<'a> Changes<'a> {
    /// The path goes on with this name, or begins with it.
    ///
    /// # Errors
    /// [`Limit::Memory`], [`Limit::Length`]: names of more than 4 GB.
    pub fn name(&mut self, name: &[u8]) -> Result<(), Limit> {
        self.joined_name(std::iter::once(name))
    }

    /// As [`name`](Self::name), of a name in parts with a quote between them.
    ///
    /// # Errors
    /// As there.
    pub fn joined_name<'n>(&mut self, parts: impl Iterator<Item = &'n [u8]>) -> Result<(), Limit> {
        let in_32_bits = |length| u32::try_from(length).map_err(|_| Limit::Length);
        let from = self.names.len();
        for (index, part) in parts.enumerate() {
            if index > 0 {
                memory::push(&mut self.names, b'"')?;
            }
            memory::extend(&mut self.names, part)?;
        }
        in_32_bits(self.places.len())?;
        let place = (in_32_bits(from)?, in_32_bits(self.names.len() - from)?);
        memory::push(&mut self.places, place)
    }

    /// Names of the path so far.
    pub fn depth(&self) -> usize {
        self.places.len() - self.path
    }

    /// What is at the path in `object`.
    pub fn find(&self, object: Value<'a>) -> Option<Value<'a>> {
        let mut places = self.places[self.path..].iter();
        places.try_fold(object, |value, place| value.get(self.bytes(*place)))
    }

    /// The path is done: what is there becomes `value`, or, without one, stays as it is.
    ///
    /// # Errors
    /// [`Limit::Memory`].
    pub fn set(&mut self, value: Option<Value<'a>>) -> Result<(), Limit> {
        let Some(value) = value else {
            self.places.truncate(self.path);
            return Ok(());
        };
        let change = Change {
            from: self.path as u32,
            to: self.places.len() as u32,
            order: self.changes.len() as u32 + 1,
            value,
        };
        self.path = self.places.len();
        memory::push(&mut self.changes, change)
    }

    /// The image of `object` with the changes made; without an object they are all there is. What they go through that is no object becomes one.
    ///
    /// It recurses once per name of the longest path.
    ///
    /// # Errors
    /// Those of [`crate::compose::array`].
    pub fn apply(mut self, object: Option<Value<'a>>) -> Result<Vec<u8>, Limit> {
        let mut changes = std::mem::take(&mut self.changes);
        let mut pace = Pace::new();
        changes.sort_unstable_by(|a, b| self.compare(a, b, &mut pace));
        let mut image = Image::new()?;
        let root = self.merge(&mut image, object, &changes, 0, 0, &mut pace)?;
        image.finish(root)
    }

    fn bytes(&self, (from, length): (u32, u32)) -> &[u8] {
        &self.names[from as usize..][..length as usize]
    }

    /// The name of a change at a depth.
    fn name_at(&self, change: &Change<'_>, depth: usize) -> &[u8] {
        self.bytes(self.places[change.from as usize + depth])
    }

    /// By path, names as an object orders them, a path before those that go on from it; then as they were made.
    fn compare(&self, a: &Change<'_>, b: &Change<'_>, pace: &mut Pace) -> Ordering {
        for depth in 0..a.depth().min(b.depth()) {
            let (a, b) = (self.name_at(a, depth), self.name_at(b, depth));
            pace.bytes(a.len().min(b.len()));
            let order = by_length(a, b);
            if order.is_ne() {
                return order;
            }
        }
        pace.step();
        let order = a.depth().cmp(&b.depth());
        order.then(a.order.cmp(&b.order))
    }

    /// Writes an object: the attributes of `old` with the changes in `changes` that were made after `since`, all of which go on beyond `depth` names and
    /// have those in common.
    fn merge(
        &self,
        image: &mut Image,
        old: Option<Value<'a>>,
        changes: &[Change<'a>],
        depth: usize,
        since: u32,
        pace: &mut Pace,
    ) -> Result<Open, Limit> {
        let merged = || Merged::new(self, old, changes, depth, since);
        let count = merged().inspect(|_| pace.step()).count();
        let mut open = image.begin_object(count)?;
        for attribute in merged() {
            image.put_name(&mut open, attribute.name)?;
        }
        for attribute in merged() {
            self.put(image, &mut open, attribute, depth + 1, since, pace)?;
        }
        Ok(open)
    }

    fn put(
        &self,
        image: &mut Image,
        into: &mut Open,
        attribute: Attribute<'_, 'a>,
        depth: usize,
        since: u32,
        pace: &mut Pace,
    ) -> Result<(), Limit> {
        let Attribute { old, changes, .. } = attribute;
        let ending = changes.iter().take_while(|change| change.depth() == depth);
        let ending = ending.count();
        // The last one counts: it is the one that was made last.
        let new = changes[..ending].last().filter(|new| new.order > since);
        let (old, since) = match new {
            Some(new) => (Some(new.value), new.order),
            None => (old, since),
        };
        let deeper = &changes[ending..];
        if deeper.iter().any(|change| change.order > since) {
            let child = self.merge(image, old, deeper, depth, since, pace)?;
            return image.end(child, into);
        }
        image.put(into, old.unwrap_or_else(Value::null))
    }
}

fn by_length(a: &[u8], b: &[u8]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// An attribute of the new object: what was there, and what changes it.
struct Attribute<'c, 'a> {
    name: &'c [u8],
    old: Option<Value<'a>>,
    changes: &'c [Change<'a>],
}

/// Changes that share a name at some depth, one of which counts at least.
type Group<'c, 'a> = (&'c [u8], &'c [Change<'a>]);

/// The attributes of an object and those that changes make, in order.
struct Merged<'c, 'a> {
    all: &'c Changes<'a>,
    old: std::iter::Peekable<Attributes<'a>>,
    group: Option<Group<'c, 'a>>,
    /// Those after the group.
    changes: &'c [Change<'a>],
    depth: usize,
    since: u32,
}

impl<'c, 'a: 'c> Merged<'c, 'a> {
    fn new(
        all: &'c Changes<'a>,
        old: Option<Value<'a>>,
        changes: &'c [Change<'a>],
        depth: usize,
        since: u32,
    ) -> Self {
        let mut merged = Merged {
            all,
            old: old.unwrap_or_else(Value::null).attributes().peekable(),
            group: None,
            changes,
            depth,
            since,
        };
        merged.group = merged.next_group();
        merged
    }

    fn next_group(&mut self) -> Option<Group<'c, 'a>> {
        loop {
            let name = self.all.name_at(self.changes.first()?, self.depth);
            let same = |change: &Change<'a>| self.all.name_at(change, self.depth) == name;
            let (group, rest) = self.changes.split_at(self.changes.partition_point(same));
            self.changes = rest;
            if group.iter().any(|change| change.order > self.since) {
                return Some((name, group));
            }
        }
    }
}

impl<'c, 'a: 'c> Iterator for Merged<'c, 'a> {
    type Item = Attribute<'c, 'a>;

    fn next(&mut self) -> Option<Attribute<'c, 'a>> {
        let order = match (self.old.peek(), self.group) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((old, _)), Some((new, _))) => by_length(old, new),
        };
        let old = if order.is_le() { self.old.next() } else { None };
        let mut group = None;
        if order.is_ge() {
            group = self.group;
            self.group = self.next_group();
        }
        let name = old.map(|(name, _)| name).or(group.map(|(name, _)| name));
        Some(Attribute {
            name: name?,
            old: old.map(|(_, value)| value),
            changes: group.map_or(&[][..], |(_, changes)| changes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Parser, text};
    use proptest::prelude::*;
    use serde_json::{Map, Value as Json};

    fn image(json: &Json) -> Vec<u8> {
        Parser::new()
            .parse(json.to_string().as_bytes())
            .unwrap()
            .to_vec()
    }

    /// One change after the other.
    fn set(json: &mut Json, path: &[String], new: &Json) {
        let Some((name, rest)) = path.split_first() else {
            *json = new.clone();
            return;
        };
        if !json.is_object() {
            *json = Json::Object(Map::new());
        }
        set(&mut json[name], rest, new);
    }

    fn changed(object: &Json, keep: &[Vec<String>], sets: &[(Vec<String>, Json)]) -> (Json, Json) {
        let mut expected = object.clone();
        let whole = image(object);
        let whole = Value::from_image(&whole).unwrap();
        let images: Vec<Vec<u8>> = sets.iter().map(|(_, json)| image(json)).collect();
        let mut changes = Changes::default();
        if !keep.is_empty() {
            expected = Json::Object(Map::new());
        }
        for path in keep {
            for name in path {
                changes.name(name.as_bytes()).unwrap();
            }
            let found = changes.find(whole);
            changes.set(found).unwrap();
            let there = path.iter().try_fold(object, |json, name| json.get(name));
            if let Some(there) = there {
                set(&mut expected, path, there);
            }
        }
        for ((path, json), image) in sets.iter().zip(&images) {
            for name in path {
                changes.name(name.as_bytes()).unwrap();
            }
            changes.set(Value::from_image(image)).unwrap();
            set(&mut expected, path, json);
        }
        let image = changes.apply(keep.is_empty().then_some(whole)).unwrap();
        let text = text::to_vec(Value::from_image(&image).unwrap()).unwrap();
        // Byte for byte what the parser makes of it.
        assert_eq!(Parser::new().parse(&text).unwrap(), image);
        (serde_json::from_slice(&text).unwrap(), expected)
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![Just(Json::Null), (0..9).prop_map(|n: i32| n.into())];
        leaf.prop_recursive(4, 60, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
                prop::collection::vec(("[abc]{0,2}", inner), 0..6)
                    .prop_map(|pairs| Json::Object(pairs.into_iter().collect())),
            ]
        })
    }

    fn any_paths(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Vec<String>>> {
        prop::collection::vec(prop::collection::vec("[abc]{0,2}", 1..4), count)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]
        #[test]
        fn all_at_once_is_one_after_the_other(
            object in any_json().prop_filter("object", Json::is_object),
            keep in any_paths(0..4), paths in any_paths(0..8), values in prop::collection::vec(any_json(), 8))
        {
            let sets: Vec<_> = paths.into_iter().zip(values).collect();
            let (found, expected) = changed(&object, &keep, &sets);
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn many_changes_take_hardly_longer_than_one() {
        let mut changes = Changes::default();
        for n in 0..300_000 {
            for name in ["p", "z", &format!("k{n}")] {
                changes.name(name.as_bytes()).unwrap();
            }
            changes.set(Some(Value::null())).unwrap();
        }
        let pairs: Map<String, Json> = (0..300_000).map(|n| (n.to_string(), n.into())).collect();
        let object = image(&Json::Object(pairs));
        changes.name(b"p").unwrap();
        changes.set(Value::from_image(&object)).unwrap();
        for name in ["p", "zzzzzzzzz", "last"] {
            changes.name(name.as_bytes()).unwrap();
        }
        changes.set(Some(Value::null())).unwrap();
        let began = std::time::Instant::now();
        let image = changes.apply(None).unwrap();
        let p = Value::from_image(&image).unwrap().get(b"p").unwrap();
        assert_eq!(p.len(), 300_001);
        assert!(began.elapsed().as_secs() < 10);
    }
}
