//! Arrays and objects inside of an image: where the bytes of each child are.

use crate::layout::*;
use crate::value::{Stored, Value};

/// An array or object: its header, and everything after that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Container<'a> {
    pub(crate) header: u32,
    /// JEntries, then the children's bytes. It may go on after the container.
    pub(crate) rest: &'a [u8],
}

impl<'a> Container<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk()?;
        Some(Container {
            header: u32::from_ne_bytes(*header),
            rest,
        })
    }

    pub(crate) fn value(self) -> Option<Value<'a>> {
        match self.header & (FLAG_ARRAY | FLAG_OBJECT) {
            FLAG_ARRAY => Some(Value(Stored::Array(self))),
            FLAG_OBJECT => Some(Value(Stored::Object(self))),
            _ => None,
        }
    }

    /// Elements or pairs.
    pub(crate) fn count(&self) -> usize {
        (self.header & COUNT_MASK) as usize
    }

    fn entries(&self) -> usize {
        if self.header & FLAG_OBJECT != 0 {
            2 * self.count()
        } else {
            self.count()
        }
    }

    fn entry(&self, index: usize) -> Option<u32> {
        let at = index.checked_mul(4)?;
        self.rest
            .get(at..)?
            .first_chunk()
            .map(|word| u32::from_ne_bytes(*word))
    }

    /// Where the bytes of the child at `index` begin and end, counted from the end of the JEntries, and what it is.
    fn extent(&self, index: usize) -> Option<(usize, usize, u32)> {
        let entry = self.entry(index)?;
        // The nearest offset before it, and the lengths from there: at most a stride away in what Postgres or we wrote.
        let mut start = 0;
        for before in (0..index).rev() {
            let entry = self.entry(before)?;
            start += (entry & ENTRY_LENGTH_MASK) as usize;
            if entry & ENTRY_HAS_OFFSET != 0 {
                break;
            }
        }
        let length = (entry & ENTRY_LENGTH_MASK) as usize;
        let end = if entry & ENTRY_HAS_OFFSET != 0 {
            length
        } else {
            start + length
        };
        Some((start, end, entry & ENTRY_TYPE_MASK))
    }

    /// The bytes from `start` to `end` of the children's.
    fn slice(&self, start: usize, end: usize) -> Option<&'a [u8]> {
        self.rest
            .get(self.entries().checked_mul(4)?..)?
            .get(start..end)
    }

    /// The bytes of the string at `index`.
    pub(crate) fn bytes(&self, index: usize) -> Option<&'a [u8]> {
        let (start, end, kind) = self.extent(index)?;
        (kind == ENTRY_STRING).then_some(())?;
        self.slice(start, end)
    }

    pub(crate) fn child(&self, index: usize) -> Option<Value<'a>> {
        let (start, end, kind) = self.extent(index)?;
        self.value_at(start, end, kind)
    }

    /// The child of that kind whose bytes are from `start` to `end` of the children's.
    #[inline]
    fn value_at(&self, start: usize, end: usize, kind: u32) -> Option<Value<'a>> {
        Some(Value(match kind {
            ENTRY_NULL => Stored::Null,
            ENTRY_FALSE => Stored::Boolean(false),
            ENTRY_TRUE => Stored::Boolean(true),
            ENTRY_STRING => Stored::String(self.slice(start, end)?),
            // The padding before these two counts as theirs. Both header and JEntries are whole words, so words align as in the image.
            ENTRY_NUMERIC => {
                let bytes = self.slice(start.next_multiple_of(4), end)?;
                (varlena_length(*bytes.first_chunk()?)? == bytes.len()).then_some(())?;
                Stored::Number(bytes)
            }
            ENTRY_CONTAINER => {
                return Container::new(self.slice(start.next_multiple_of(4), end)?)?.value();
            }
            _ => return None,
        }))
    }
}

/// Goes through the children of an array or object.
#[derive(Debug, Clone)]
pub struct Children<'a> {
    container: Container<'a>,
    index: usize,
    count: usize,
    /// Where the next one's bytes begin.
    start: usize,
}

impl<'a> Children<'a> {
    pub(crate) fn new(container: Container<'a>, from: usize, to: usize) -> Self {
        let start = match from {
            0 => 0,
            _ => container.extent(from).map_or(0, |(start, ..)| start),
        };
        Children {
            container,
            index: from,
            count: to,
            start,
        }
    }

    pub(crate) fn none() -> Self {
        let nothing = Container {
            header: 0,
            rest: &[],
        };
        Children::new(nothing, 0, 0)
    }
}

impl<'a> Iterator for Children<'a> {
    type Item = Value<'a>;

    #[inline]
    fn next(&mut self) -> Option<Value<'a>> {
        if self.index >= self.count {
            return None;
        }
        let entry = self.container.entry(self.index)?;
        let length = (entry & ENTRY_LENGTH_MASK) as usize;
        let start = self.start;
        let end = if entry & ENTRY_HAS_OFFSET != 0 {
            length
        } else {
            start + length
        };
        self.index += 1;
        self.start = end;
        self.container.value_at(start, end, entry & ENTRY_TYPE_MASK)
    }
}

/// Goes through the attributes of an object.
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    names: Children<'a>,
    values: Children<'a>,
}

impl<'a> Attributes<'a> {
    pub(crate) fn new(container: Container<'a>) -> Self {
        let pairs = container.count();
        Attributes {
            names: Children::new(container, 0, pairs),
            values: Children::new(container, pairs, 2 * pairs),
        }
    }

    pub(crate) fn none() -> Self {
        Attributes {
            names: Children::none(),
            values: Children::none(),
        }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a [u8], Value<'a>);

    #[inline]
    fn next(&mut self) -> Option<(&'a [u8], Value<'a>)> {
        let name = self.names.next()?.as_bytes()?;
        Some((name, self.values.next()?))
    }
}
