//! A document's index to the jsonb image, byte for byte what `jsonb_in` makes (`convertToJsonb` in `src/backend/utils/adt/jsonb_util.c`): the last of
//! three steps.
//!
//! - A container is a header, a JEntry per child, and the children's bytes; an object's keys come before its values, both in key order.
//! - Numbers and containers are aligned to four bytes; the zeroes before one count as part of it.
//! - Keys are ordered by length, then by bytes. Of equal keys the last one wins.
//! - Every 32nd JEntry holds the offset of its end in place of its length.

use crate::error::{JsonError, JsonErrorKind};
use crate::escape;
use crate::grammar::{Container, INTEGER};
use crate::index::{self, ESCAPED};
use crate::keys::{Pair, Place, Source, sort};
use crate::layout::*;
use crate::limits::MAX_CONTAINER_BYTES;
use crate::numeric;
use crate::pace::{self, Pace};
use crate::shape::Shapes;

/// Zero bytes that must follow a document. Strings and numbers are read in blocks of fixed size.
pub(crate) const PADDING: usize = 32;

/// After so many children of one container it is asked whether to go on.
const ASKED: u32 = 1 << 16;

/// Strings up to this long are copied as one block.
const COPIED: usize = 32;

/// Bytes that the image of a text of `length` bytes, in whose index are `count` positions, needs at most, the slack for copying in blocks included.
///
/// Beside the text's own bytes a value or key takes at most: JEntry 4, padding 3, container header 4 or what [`numeric::max_encoded`] adds.
pub(crate) const fn max_bytes(count: usize, length: usize) -> usize {
    const EACH: usize = 4 + 3 + numeric::max_encoded(1);
    VARLENA_HEADER + 8 + count * EACH + length + COPIED
}

/// A document that has been checked.
#[derive(Clone, Copy)]
pub(crate) struct Document<'a> {
    /// The text, then [`PADDING`] zeroes.
    pub text: &'a [u8],
    /// Its index, then the sentinels.
    pub positions: &'a [u32],
    /// The bytes at the positions, as [`crate::grammar::check`] leaves them.
    pub bytes: &'a [u8],
    /// Its arrays and objects.
    pub containers: &'a [Container],
}

impl Document<'_> {
    #[inline(always)]
    fn position(&self, entry: u32) -> usize {
        index::place(self.positions[entry as usize])
    }

    #[inline(always)]
    fn is_escaped(&self, entry: u32) -> bool {
        self.positions[entry as usize] & ESCAPED != 0
    }

    /// Where the bytes of the string at `entry` begin and end.
    #[inline(always)]
    fn string(&self, entry: u32) -> (usize, usize) {
        // Between the closing quote and what comes next there is nothing but white space.
        let mut end = self.position(entry + 1) - 1;
        while self.text[end] != b'"' {
            end -= 1;
        }
        (self.position(entry) + 1, end)
    }

    /// The place after the comma or bracket that follows the value at `place`.
    #[inline(always)]
    fn after(&self, place: Place) -> Place {
        // An opening bracket is an opening brace but for one bit.
        if self.bytes[place.entry as usize] | 0x20 == b'{' {
            let container = self.containers[place.container as usize];
            Place {
                entry: container.after + 1,
                container: container.next,
            }
        } else {
            Place {
                entry: place.entry + 2,
                ..place
            }
        }
    }
}

/// Buffers that are used again, and what is known of objects.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    places: Vec<Place>,
    pairs: Vec<Pair>,
    resolved: Vec<u8>,
    shapes: Shapes,
    /// Where the first object that was found to have equal keys is in the text.
    equal_keys: Option<usize>,
}

impl Memory {
    pub(crate) const fn new() -> Self {
        Memory {
            places: Vec::new(),
            pairs: Vec::new(),
            resolved: Vec::new(),
            shapes: Shapes::new(),
            equal_keys: None,
        }
    }

    /// Where an object with equal keys is in the text of the last document, if one is.
    pub(crate) fn equal_keys(&self) -> Option<usize> {
        self.equal_keys
    }

    /// Gives back the buffers.
    pub(crate) fn trim(&mut self) {
        *self = Memory {
            shapes: std::mem::take(&mut self.shapes),
            ..Memory::default()
        };
    }
}

/// Writes the image of `document` to `out` and returns its length. `out` has at least [`max_bytes`] bytes, whatever they hold.
///
/// It recurses once per level of nesting, which [`crate::limits::MAX_DEPTH`] bounds, with frames of some 300 bytes.
pub(crate) fn build(
    document: Document<'_>,
    memory: &mut Memory,
    out: &mut [u8],
) -> Result<usize, JsonError> {
    memory.places.clear();
    memory.equal_keys = None;
    // A pair has at least four positions.
    let reserved = memory.places.try_reserve(document.positions.len() / 4 + 1);
    reserved.map_err(|_| JsonError::new(JsonErrorKind::OutOfMemory, 0))?;
    let mut builder = Builder {
        document,
        memory,
        out,
        pace: Pace::new(),
    };
    let first = Place::default();
    let from = VARLENA_HEADER;
    let length = if document.containers.is_empty() {
        // A scalar on its own is stored as an array of one element that is marked so.
        builder.put_u32(from, FLAG_ARRAY | FLAG_SCALAR | 1);
        let (entry, end) = builder.value(first, from + 8)?;
        builder.put_u32(from + 4, entry | ENTRY_HAS_OFFSET);
        end
    } else {
        // A document with containers is one itself.
        builder.value(first, from)?.1
    };
    builder.out[..VARLENA_HEADER].copy_from_slice(&varlena_header(length));
    Ok(length)
}

/// Where it is in the image goes from method to method: a field would be written to memory and read back at every step.
struct Builder<'a> {
    document: Document<'a>,
    /// `places` is a stack: the values of each open object, in key order, follow those of the object around it.
    memory: &'a mut Memory,
    out: &'a mut [u8],
    pace: Pace,
}

/// The JEntries of a container while its children are written.
struct Entries {
    at: usize,
    index: usize,
    /// Bytes of the children so far.
    total: usize,
}

impl Builder<'_> {
    /// Writes a value: its JEntry, with a length, and where it ends.
    #[inline(always)]
    fn value(&mut self, place: Place, at: usize) -> Result<(u32, usize), JsonError> {
        Ok(match self.document.bytes[place.entry as usize] {
            b'"' => self.string(place.entry, at),
            INTEGER => return self.integer(place.entry, at),
            b'{' => return self.object(place, at),
            b'[' => return self.array(place, at),
            b'n' => (ENTRY_NULL, at),
            b'f' => (ENTRY_FALSE, at),
            b't' => (ENTRY_TRUE, at),
            _ => return self.number(place.entry, at),
        })
    }

    #[inline(always)]
    fn string(&mut self, entry: u32, at: usize) -> (u32, usize) {
        let (start, end) = self.document.string(entry);
        if self.document.is_escaped(entry) {
            return self.escaped_string(start, end, at);
        }
        let length = end - start;
        if length <= COPIED
            && let Some(from) = self.document.text[start..].first_chunk::<COPIED>()
            && let Some(to) = self.out[at..].first_chunk_mut()
        {
            // What is copied too much is overwritten by what comes next.
            *to = *from;
        } else {
            self.out[at..at + length].copy_from_slice(&self.document.text[start..end]);
        }
        (ENTRY_STRING | length as u32, at + length)
    }

    #[cold]
    fn escaped_string(&mut self, start: usize, end: usize, at: usize) -> (u32, usize) {
        let room = &mut self.out[at..at + (end - start)];
        let length = escape::resolve(&self.document.text[start..end], room);
        (ENTRY_STRING | length as u32, at + length)
    }

    #[inline(always)]
    fn integer(&mut self, entry: u32, at: usize) -> Result<(u32, usize), JsonError> {
        let start = self.document.position(entry);
        // As with strings, but that no quote ends it.
        let mut end = self.document.position(entry + 1);
        while !self.document.text[end - 1].is_ascii_digit() {
            end -= 1;
        }
        let to = self.align(at);
        let end = numeric::encode_integer(self.document.text, start, end, self.out, to)
            .ok_or(JsonError::new(JsonErrorKind::NumberOutOfRange, start))?;
        Ok((ENTRY_NUMERIC | (end - at) as u32, end))
    }

    #[inline(always)]
    fn number(&mut self, entry: u32, at: usize) -> Result<(u32, usize), JsonError> {
        let start = self.document.position(entry);
        let to = self.align(at);
        let end = numeric::encode(self.document.text, start, self.out, to)
            .ok_or(JsonError::new(JsonErrorKind::NumberOutOfRange, start))?;
        Ok((ENTRY_NUMERIC | (end - at) as u32, end))
    }

    fn array(&mut self, place: Place, from: usize) -> Result<(u32, usize), JsonError> {
        let count = self.document.containers[place.container as usize].count;
        let header = self.align(from);
        self.put_u32(header, FLAG_ARRAY | count);
        let mut entries = Entries::new(header + 4);
        let mut at = header + 4 + 4 * count as usize;
        let mut child = Place {
            entry: place.entry + 1,
            container: place.container + 1,
        };
        self.pace.steps(count as usize);
        for index in 0..count {
            if index % ASKED == ASKED - 1 {
                pace::ask();
            }
            let entry;
            (entry, at) = self.value(child, at)?;
            self.put_entry(&mut entries, entry);
            child = self.document.after(child);
        }
        self.container(place, from, at)
    }

    fn object(&mut self, place: Place, from: usize) -> Result<(u32, usize), JsonError> {
        let count = self.document.containers[place.container as usize].count as usize;
        let header = self.align(from);
        if count == 0 {
            self.put_u32(header, FLAG_OBJECT);
            return Ok((ENTRY_CONTAINER | (header + 4 - from) as u32, header + 4));
        }
        let first = self.memory.places.len();
        let (start, end) = self.document.string(place.entry + 1);
        let slot = Shapes::place(count, Pair::rank(self.document.text, start, end - start));
        let (mut entries, mut at) = match self.known_keys(place, slot, count, header) {
            Some(written) => written,
            None => {
                self.memory.places.truncate(first);
                self.sorted_keys(place, slot, count, header)?
            }
        };
        self.pace.steps(count);
        for i in first..self.memory.places.len() {
            if i as u32 % ASKED == ASKED - 1 {
                pace::ask();
            }
            let entry;
            (entry, at) = self.value(self.memory.places[i], at)?;
            self.put_entry(&mut entries, entry);
        }
        self.memory.places.truncate(first);
        self.container(place, from, at)
    }

    /// The JEntry of the container that stands from `from` to `end`, and its end.
    #[inline(always)]
    fn container(&self, place: Place, from: usize, end: usize) -> Result<(u32, usize), JsonError> {
        if end - from > MAX_CONTAINER_BYTES {
            let position = self.document.position(place.entry);
            return Err(JsonError::new(JsonErrorKind::ContainerTooLong, position));
        }
        Ok((ENTRY_CONTAINER | (end - from) as u32, end))
    }

    /// Writes header and keys of an object whose shape is known, and finds its values; nothing if it is not.
    #[inline(always)]
    fn known_keys(
        &mut self,
        place: Place,
        slot: usize,
        count: usize,
        header: usize,
    ) -> Option<(Entries, usize)> {
        let document = self.document;
        let shape = self.memory.shapes.get(slot, count)?;
        let first = self.memory.places.len();
        self.memory.places.resize(first + count, Place::default());
        let places = &mut self.memory.places[first..];
        let mut key = Place {
            entry: place.entry + 1,
            container: place.container + 1,
        };
        for known in &shape.keys {
            if !shape.is_key(known, document.text, document.position(key.entry) + 1) {
                return None;
            }
            let value = Place {
                entry: key.entry + 2,
                ..key
            };
            places[known.rank as usize] = value;
            key = document.after(value);
        }
        let flags = FLAG_OBJECT | count as u32;
        self.out[header..header + 4].copy_from_slice(&flags.to_ne_bytes());
        let at = header + 4 + shape.entries.len();
        self.out[header + 4..at].copy_from_slice(&shape.entries);
        let keys = at + 4 * count;
        let total = shape.bytes.len();
        self.out[keys..keys + total].copy_from_slice(&shape.bytes);
        let entries = Entries {
            at,
            index: count,
            total,
        };
        Some((entries, keys + total))
    }

    /// Writes header and keys of any object, and finds its values: of equal keys those of the last one.
    #[inline(never)]
    fn sorted_keys(
        &mut self,
        place: Place,
        slot: usize,
        count: usize,
        header: usize,
    ) -> Result<(Entries, usize), JsonError> {
        let mut pairs = std::mem::take(&mut self.memory.pairs);
        let mut resolved = std::mem::take(&mut self.memory.resolved);
        let result = self.sort(place, slot, count, header, &mut pairs, &mut resolved);
        self.memory.pairs = pairs;
        self.memory.resolved = resolved;
        result
    }

    fn sort(
        &mut self,
        place: Place,
        slot: usize,
        count: usize,
        header: usize,
        pairs: &mut Vec<Pair>,
        resolved: &mut Vec<u8>,
    ) -> Result<(Entries, usize), JsonError> {
        let out_of_memory = JsonError::new(
            JsonErrorKind::OutOfMemory,
            self.document.position(place.entry),
        );
        pairs.clear();
        resolved.clear();
        pairs.try_reserve(count).map_err(|_| out_of_memory)?;
        let mut candidate = 0u64;
        let mut key = Place {
            entry: place.entry + 1,
            container: place.container + 1,
        };
        for document_order in 0..count as u32 {
            if document_order % ASKED == ASKED - 1 {
                pace::ask();
            }
            let (start, end) = self.document.string(key.entry);
            let value = Place {
                entry: key.entry + 2,
                ..key
            };
            let pair = if !self.document.is_escaped(key.entry) {
                Pair::new(self.document.text, Source::Text, start, end - start)
            } else {
                let from = resolved.len();
                let room = end - start;
                resolved.try_reserve(room).map_err(|_| out_of_memory)?;
                resolved.resize(from + room, 0);
                let length =
                    escape::resolve(&self.document.text[start..end], &mut resolved[from..]);
                resolved.truncate(from + length);
                Pair::new(resolved, Source::Resolved, from, length)
            };
            candidate = (candidate.rotate_left(5) ^ pair.rank).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            pairs.push(pair.of(document_order, value));
            key = self.document.after(value);
        }
        sort(pairs, self.document.text, resolved);
        let kept = pairs.len();
        if kept < count {
            let position = self.document.position(place.entry);
            self.memory.equal_keys.get_or_insert(position);
        } else if resolved.is_empty() {
            let text = self.document.text;
            let sorted = pairs
                .iter()
                .map(|pair| (pair.document_order as usize, pair.bytes(text, &[])));
            self.memory.shapes.learn(slot, candidate, count, sorted);
        }

        self.put_u32(header, FLAG_OBJECT | kept as u32);
        let mut entries = Entries::new(header + 4);
        let mut at = header + 4 + 8 * kept;
        for pair in pairs.iter() {
            let bytes = pair.bytes(self.document.text, resolved);
            self.out[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
            self.put_entry(&mut entries, ENTRY_STRING | bytes.len() as u32);
        }
        self.memory
            .places
            .extend(pairs.iter().map(|pair| pair.value));
        Ok((entries, at))
    }

    /// The total cannot pass what a JEntry holds before [`Builder::container`] finds it too long: it is no longer than the image.
    #[inline(always)]
    fn put_entry(&mut self, entries: &mut Entries, entry: u32) {
        entries.total += (entry & ENTRY_LENGTH_MASK) as usize;
        let entry = if entries.index.is_multiple_of(OFFSET_STRIDE) {
            entry & ENTRY_TYPE_MASK | entries.total as u32 | ENTRY_HAS_OFFSET
        } else {
            entry
        };
        self.put_u32(entries.at, entry);
        entries.at += 4;
        entries.index += 1;
    }

    #[inline(always)]
    fn put_u32(&mut self, at: usize, word: u32) {
        self.out[at..at + 4].copy_from_slice(&word.to_ne_bytes());
    }

    /// The next place that is aligned, the bytes before it zero.
    #[inline(always)]
    fn align(&mut self, at: usize) -> usize {
        // At most three zeroes; the fourth is overwritten by what comes next.
        self.put_u32(at, 0);
        at.next_multiple_of(4)
    }
}

impl Entries {
    fn new(at: usize) -> Self {
        Entries {
            at,
            index: 0,
            total: 0,
        }
    }
}
