//! A tape to the jsonb image, byte for byte what `jsonb_in` makes (`convertToJsonb` in `src/backend/utils/adt/jsonb_util.c`).
//!
//! - A container is a header, a JEntry per child, and the children's bytes; an object's keys come before its values, both in key order.
//! - Numbers and containers are aligned to four bytes; the zeroes before one count as part of it.
//! - Keys are ordered by length, then by bytes. Of equal keys the last one wins.
//! - Every 32nd JEntry holds the offset of its end in place of its length.

use crate::error::{JsonError, JsonErrorKind};
use crate::layout::*;
use crate::limits::MAX_CONTAINER_BYTES;
use crate::numeric;
use crate::tape::{Node, NodeKind};

/// Strings up to this long are copied as one block of fixed size.
const BLOCK: usize = 16;

/// Bytes that the image of `nodes` nodes made from `length` bytes of text needs at most, the slack for copying in blocks included.
///
/// Beside the text's own bytes a node takes at most: JEntry 4, padding 3, container header 4 or what [`numeric::max_encoded`] adds.
pub(crate) const fn max_bytes(nodes: usize, length: usize) -> usize {
    const PER_NODE: usize = 4 + 3 + numeric::max_encoded(1);
    VARLENA_HEADER + 8 + nodes * PER_NODE + length + BLOCK
}

/// An object's pair while its keys are put in order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    /// Orders keys as jsonb does: length (16 bits), then the first six bytes. Equal ranks of keys longer than six bytes decide nothing.
    rank: u64,
    key: u32,
}

/// Up to this many pairs an insertion sort is faster than anything cleverer.
const FEW_PAIRS: usize = 24;

/// Writes the image of `tape` to `out` and returns its length. `out` has at least [`max_bytes`] bytes, whatever they hold.
///
/// It recurses once per level of nesting, which [`crate::limits::MAX_DEPTH`] bounds, with frames of some 200 bytes.
pub(crate) fn build(
    tape: &[Node],
    text: &[u8],
    resolved: &[u8],
    pairs: &mut Vec<Pair>,
    out: &mut [u8],
) -> Result<usize, JsonError> {
    pairs.clear();
    let mut builder = Builder {
        tape,
        text,
        resolved,
        pairs,
        out,
        at: VARLENA_HEADER,
    };
    match tape[0].kind {
        NodeKind::Array | NodeKind::Object => {
            builder.value(0)?;
        }
        _ => {
            // A scalar on its own is stored as an array of one element that is marked so.
            builder.put_u32(FLAG_ARRAY | FLAG_SCALAR | 1);
            let entry_at = builder.at;
            builder.at += 4;
            let entry = builder.value(0)?;
            builder.out[entry_at..entry_at + 4]
                .copy_from_slice(&(entry | ENTRY_HAS_OFFSET).to_ne_bytes());
        }
    }
    let length = builder.at;
    out[..VARLENA_HEADER].copy_from_slice(&varlena_header(length));
    Ok(length)
}

struct Builder<'a> {
    tape: &'a [Node],
    text: &'a [u8],
    resolved: &'a [u8],
    /// A stack: the pairs of each open object follow those of the object around it.
    pairs: &'a mut Vec<Pair>,
    out: &'a mut [u8],
    at: usize,
}

/// The JEntries of a container while its children are written.
struct Entries {
    at: usize,
    index: usize,
    /// Bytes of the children so far.
    total: usize,
    /// The container's place in the text, for the error.
    position: usize,
}

impl Builder<'_> {
    /// Writes the value at `index`; its JEntry, with a length.
    #[inline(always)]
    fn value(&mut self, index: usize) -> Result<u32, JsonError> {
        let node = self.tape[index];
        Ok(match node.kind {
            NodeKind::String | NodeKind::ResolvedString => {
                self.string(node);
                ENTRY_STRING | node.length
            }
            NodeKind::Number | NodeKind::NumberWithExponent => self.number(node)?,
            NodeKind::Null => ENTRY_NULL,
            NodeKind::False => ENTRY_FALSE,
            NodeKind::True => ENTRY_TRUE,
            NodeKind::Array => self.array(index, node)?,
            NodeKind::Object => self.object(index, node)?,
        })
    }

    #[inline(always)]
    fn string(&mut self, node: Node) {
        let (start, length) = (node.start as usize, node.length as usize);
        let at = self.at;
        self.at += length;
        if length <= BLOCK
            && node.kind == NodeKind::String
            && let Some(from) = self.text[start..].first_chunk::<BLOCK>()
        {
            // What is copied too much is overwritten by what comes next.
            self.out[at..at + BLOCK].copy_from_slice(from);
        } else {
            self.out[at..at + length].copy_from_slice(string_bytes(self.text, self.resolved, node));
        }
    }

    #[inline(always)]
    fn number(&mut self, node: Node) -> Result<u32, JsonError> {
        let start = node.start as usize;
        let from = self.at;
        self.align();
        let integer_digits = if node.kind == NodeKind::Number {
            node.next as usize
        } else {
            0
        };
        self.at = numeric::encode(
            self.text,
            start,
            node.length as usize,
            integer_digits,
            self.out,
            self.at,
        )
        .ok_or(JsonError::new(JsonErrorKind::NumberOutOfRange, start))?;
        Ok(ENTRY_NUMERIC | (self.at - from) as u32)
    }

    fn array(&mut self, index: usize, node: Node) -> Result<u32, JsonError> {
        let from = self.at;
        self.align();
        self.put_u32(FLAG_ARRAY | node.length);
        let mut entries = self.entries(node, node.length as usize);
        let mut child = index + 1;
        for _ in 0..node.length {
            let entry = self.value(child)?;
            self.put_entry(&mut entries, entry)?;
            child = self.after(child);
        }
        Ok(ENTRY_CONTAINER | (self.at - from) as u32)
    }

    fn object(&mut self, index: usize, node: Node) -> Result<u32, JsonError> {
        let first = self.pairs.len();
        self.sort_keys(index, node, first)?;
        let last = self.pairs.len();

        let from = self.at;
        self.align();
        self.put_u32(FLAG_OBJECT | (last - first) as u32);
        let mut entries = self.entries(node, 2 * (last - first));
        for pair in first..last {
            let key = self.tape[self.pairs[pair].key as usize];
            self.string(key);
            self.put_entry(&mut entries, ENTRY_STRING | key.length)?;
        }
        for pair in first..last {
            let entry = self.value(self.pairs[pair].key as usize + 1)?;
            self.put_entry(&mut entries, entry)?;
        }
        self.pairs.truncate(first);
        Ok(ENTRY_CONTAINER | (self.at - from) as u32)
    }

    /// Pushes the pairs of the object at `index` in key order, the last one of equal keys only.
    fn sort_keys(&mut self, index: usize, node: Node, first: usize) -> Result<(), JsonError> {
        let count = node.length as usize;
        self.pairs
            .try_reserve(count)
            .map_err(|_| JsonError::new(JsonErrorKind::OutOfMemory, node.start as usize))?;
        let mut key = index + 1;
        for _ in 0..count {
            self.pairs.push(Pair {
                rank: self.rank(self.tape[key]),
                key: key as u32,
            });
            key = self.after(key + 1);
        }

        let (tape, text, resolved) = (self.tape, self.text, self.resolved);
        let bytes = |pair: &Pair| string_bytes(text, resolved, tape[pair.key as usize]);
        // Equal ranks leave the lengths equal but for those of 64 kB and more.
        let key_order = |a: &Pair, b: &Pair| {
            let longer = || bytes(a).len().cmp(&bytes(b).len());
            a.rank
                .cmp(&b.rank)
                .then_with(longer)
                .then_with(|| bytes(a).cmp(bytes(b)))
        };
        let pairs = &mut self.pairs[first..];
        if count <= FEW_PAIRS {
            for unsorted in 1..count {
                let pair = pairs[unsorted];
                let mut to = unsorted;
                // Equal keys stay in document order.
                while to > 0 && key_order(&pairs[to - 1], &pair).is_gt() {
                    pairs[to] = pairs[to - 1];
                    to -= 1;
                }
                pairs[to] = pair;
            }
        } else {
            pairs.sort_unstable_by(|a, b| key_order(a, b).then(a.key.cmp(&b.key)));
        }

        let equal = |a: &Pair, b: &Pair| a.rank == b.rank && bytes(a) == bytes(b);
        if pairs.windows(2).any(|two| equal(&two[0], &two[1])) {
            let mut kept = 0;
            for pair in 1..count {
                if !equal(&pairs[kept], &pairs[pair]) {
                    kept += 1;
                }
                pairs[kept] = pairs[pair];
            }
            self.pairs.truncate(first + kept + 1);
        }
        Ok(())
    }

    #[inline(always)]
    fn rank(&self, key: Node) -> u64 {
        let length = key.length as usize;
        let source = if key.kind == NodeKind::String {
            self.text
        } else {
            self.resolved
        };
        let start = key.start as usize;
        let first = match source[start..].first_chunk::<8>() {
            Some(first) => u64::from_be_bytes(*first),
            None => {
                // The last resolved strings have nothing after them.
                let mut first = [0; 8];
                let rest = &source[start..];
                first[..rest.len()].copy_from_slice(rest);
                u64::from_be_bytes(first)
            }
        };
        let own = if length < 8 {
            first & !(u64::MAX >> (8 * length))
        } else {
            first
        };
        (length.min(0xFFFF) as u64) << 48 | own >> 16
    }

    /// The node after the value at `index`.
    #[inline(always)]
    fn after(&self, index: usize) -> usize {
        let node = self.tape[index];
        if matches!(node.kind, NodeKind::Array | NodeKind::Object) {
            node.next as usize
        } else {
            index + 1
        }
    }

    /// Leaves room for the JEntries of `count` children.
    #[inline(always)]
    fn entries(&mut self, node: Node, count: usize) -> Entries {
        let at = self.at;
        self.at += 4 * count;
        Entries {
            at,
            index: 0,
            total: 0,
            position: node.start as usize,
        }
    }

    #[inline(always)]
    fn put_entry(&mut self, entries: &mut Entries, entry: u32) -> Result<(), JsonError> {
        entries.total += (entry & ENTRY_LENGTH_MASK) as usize;
        if entries.total > MAX_CONTAINER_BYTES {
            return Err(JsonError::new(
                JsonErrorKind::ContainerTooLong,
                entries.position,
            ));
        }
        let entry = if entries.index.is_multiple_of(OFFSET_STRIDE) {
            entry & ENTRY_TYPE_MASK | entries.total as u32 | ENTRY_HAS_OFFSET
        } else {
            entry
        };
        self.out[entries.at..entries.at + 4].copy_from_slice(&entry.to_ne_bytes());
        entries.at += 4;
        entries.index += 1;
        Ok(())
    }

    #[inline(always)]
    fn put_u32(&mut self, word: u32) {
        self.out[self.at..self.at + 4].copy_from_slice(&word.to_ne_bytes());
        self.at += 4;
    }

    #[inline(always)]
    fn align(&mut self) {
        // At most three zeroes; the fourth is overwritten by what comes next.
        self.out[self.at..self.at + 4].fill(0);
        self.at = self.at.next_multiple_of(4);
    }
}

#[inline(always)]
fn string_bytes<'a>(text: &'a [u8], resolved: &'a [u8], node: Node) -> &'a [u8] {
    let source = if node.kind == NodeKind::String {
        text
    } else {
        resolved
    };
    &source[node.start as usize..][..node.length as usize]
}
