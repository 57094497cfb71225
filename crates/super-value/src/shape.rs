//! Objects that were seen before: their keys in document order, and the keys' part of the image, ready to be copied.
//!
//! Documents of one stream mostly have objects of the same few shapes. Where the keys of an object are those of a known shape, comparing them is all
//! there is to do: no sorting, no search for equal keys.

use crate::layout::*;

/// Bytes that are compared at once, and that must be readable after a key's beginning.
const COMPARED: usize = 16;

/// Pairs and bytes of keys up to which a shape is remembered: they bound the memory.
const MAX_PAIRS: usize = 128;
const MAX_KEY_BYTES: usize = 4096;

/// Places for shapes: a power of two.
const SLOTS: usize = 64;

/// A key of an object in document order.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Key {
    /// Its first bytes, with the quote after it where there is room for that.
    head: u128,
    /// Which of their bits count.
    mask: u128,
    /// Where its bytes begin, among the sorted ones.
    offset: u32,
    length: u32,
    /// Which key it is in sorted order.
    pub rank: u32,
}

impl Key {
    fn new(key: &[u8], offset: usize, rank: usize) -> Self {
        let mut head = [0; COMPARED];
        let mut mask = [0; COMPARED];
        for (i, &byte) in key.iter().chain(b"\"").take(COMPARED).enumerate() {
            head[i] = byte;
            mask[i] = 0xff;
        }
        Key {
            head: u128::from_le_bytes(head),
            mask: u128::from_le_bytes(mask),
            offset: offset as u32,
            length: key.len() as u32,
            rank: rank as u32,
        }
    }
}

/// The keys of an object that has no two equal ones.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    /// In document order; empty where nothing is known.
    pub keys: Vec<Key>,
    /// Their JEntries, in sorted order.
    pub entries: Vec<u8>,
    /// Their bytes in sorted order.
    pub bytes: Vec<u8>,
    /// Which keys came last: they are learnt when they come a second time.
    candidate: u64,
}

impl Shape {
    /// Whether the string whose first byte would be at `start` is this key. A key that was learnt has no escapes, so where its bytes and a quote stand
    /// the string ends.
    #[inline(always)]
    pub fn is_key(&self, key: &Key, text: &[u8], start: usize) -> bool {
        let Some(head) = text.get(start..).and_then(|rest| rest.first_chunk()) else {
            return false;
        };
        (u128::from_le_bytes(*head) ^ key.head) & key.mask == 0
            && (key.length < COMPARED as u32 || self.is_long_key(key, text, start))
    }

    #[inline(never)]
    fn is_long_key(&self, key: &Key, text: &[u8], start: usize) -> bool {
        let length = key.length as usize;
        let own = &self.bytes[key.offset as usize..][..length];
        text[start..].starts_with(own) && text.get(start + length) == Some(&b'"')
    }
}

/// The shapes that are remembered, each at a place that its first key and its number of keys give.
#[derive(Debug, Default)]
pub(crate) struct Shapes(Vec<Shape>);

impl Shapes {
    /// Knows nothing and owns nothing.
    pub const fn new() -> Self {
        Shapes(Vec::new())
    }

    /// Where an object of `count` pairs would be, whose first key has this rank.
    #[inline(always)]
    pub fn place(count: usize, first: u64) -> usize {
        let mixed = (first ^ count as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 58) as usize % SLOTS
    }

    /// What is known at `place`, if it has `count` keys.
    #[inline(always)]
    pub fn get(&self, place: usize, count: usize) -> Option<&Shape> {
        self.0.get(place).filter(|shape| shape.keys.len() == count)
    }

    /// Tells that an object at `place` had other keys: `keys` in document order with their ranks among the sorted ones, of which none are equal, and
    /// whose hash is `candidate`. They are learnt if the last object there had them too.
    pub fn learn<'a>(
        &mut self,
        place: usize,
        candidate: u64,
        count: usize,
        sorted: impl Iterator<Item = (usize, &'a [u8])> + Clone,
    ) {
        if self.0.is_empty() {
            if self.0.try_reserve_exact(SLOTS).is_err() {
                return;
            }
            self.0.resize_with(SLOTS, Shape::default);
        }
        let shape = &mut self.0[place];
        if shape.candidate != candidate {
            shape.candidate = candidate;
            return;
        }
        let total: usize = sorted.clone().map(|(_, key)| key.len()).sum();
        if count > MAX_PAIRS || total > MAX_KEY_BYTES {
            return;
        }
        shape.keys.clear();
        shape.keys.resize(count, Key::default());
        shape.entries.clear();
        shape.bytes.clear();
        for (rank, (position, key)) in sorted.enumerate() {
            shape.keys[position] = Key::new(key, shape.bytes.len(), rank);
            shape.bytes.extend_from_slice(key);
            let entry = if rank.is_multiple_of(OFFSET_STRIDE) {
                shape.bytes.len() as u32 | ENTRY_HAS_OFFSET
            } else {
                key.len() as u32
            };
            shape
                .entries
                .extend_from_slice(&(ENTRY_STRING | entry).to_ne_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_apart() {
        let names = [
            "",
            "a",
            "ab",
            "abcdefg",
            "abcdefgh",
            "abcdefghi",
            "0123456789abcde",
            "0123456789abcdef",
            "0123456789abcdefg",
        ];
        let mut shapes = Shapes::new();
        let sorted = names
            .iter()
            .enumerate()
            .map(|(i, name)| (i, name.as_bytes()));
        shapes.learn(5, 7, names.len(), sorted.clone());
        assert!(shapes.get(5, names.len()).is_none(), "once is not enough");
        shapes.learn(5, 7, names.len(), sorted);
        let shape = shapes.get(5, names.len()).unwrap();
        assert!(shapes.get(5, 3).is_none());
        assert!(shapes.get(6, names.len()).is_none());
        for (i, name) in names.iter().enumerate() {
            for other in names {
                let text = format!("\"{other}\": 17                        ");
                let is = shape.is_key(&shape.keys[i], text.as_bytes(), 1);
                assert_eq!(is, *name == other);
            }
            for at in 0..name.len() {
                let mut text = format!("\"{name}\": 17                        ").into_bytes();
                text[1 + at] ^= 1;
                assert!(!shape.is_key(&shape.keys[i], &text, 1));
            }
        }
    }
}
