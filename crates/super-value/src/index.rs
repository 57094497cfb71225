//! JSON text to the places where something begins: the first of three steps, and the one that looks at every byte.
//!
//! An index lists, in document order, the operators (`{}[]:,`), the opening quotes and the first bytes of everything else outside of strings. Whether
//! they make a document is for [`crate::grammar`] to say. What is inside of strings is settled here: control characters and escapes.

use crate::block::{BLOCK, Classify};
use crate::escape::Escapes;

/// Set in the position of a string's opening quote: there are escapes in the string.
pub(crate) const ESCAPED: u32 = 1 << 31;

/// Where the position `entry` of an index points.
#[inline(always)]
pub(crate) fn place(entry: u32) -> usize {
    (entry & !ESCAPED) as usize
}

/// Where an index is written. Both have room for [`max_positions`].
pub(crate) struct Lists<'a> {
    /// Places in the text, some marked as [`ESCAPED`].
    pub positions: &'a mut [u32],
    /// The bytes that stand there.
    pub bytes: &'a mut [u8],
}

/// What was found beside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Index {
    /// Positions. After them stand [`SENTINELS`] times the length of the text, with zero bytes.
    pub count: usize,
    /// There are bytes above 0x7f: whether they are UTF-8 is not known.
    pub non_ascii: bool,
}

/// Entries after the last one, so that a reader may look ahead.
pub(crate) const SENTINELS: usize = 4;

/// Room for the positions of a text of `length` bytes, whole blocks and sentinels included.
pub(crate) const fn max_positions(length: usize) -> usize {
    length.next_multiple_of(BLOCK) + BLOCK + SENTINELS
}

/// Makes the index of `text`. `None` if a string is not closed, or holds what it must not.
#[inline(always)]
pub(crate) fn read<C: Classify>(text: &[u8], lists: Lists<'_>) -> Option<Index> {
    let mut reader = Reader {
        text,
        lists,
        count: 0,
        in_string: 0,
        after_backslash: 0,
        after_scalar: 0,
        control: 0,
        non_ascii: 0,
        escapes: Escapes::default(),
    };
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    let mut base = 0;
    for block in blocks {
        reader.block::<C>(block, base)?;
        base += BLOCK;
    }
    if !rest.is_empty() {
        let mut block = [b' '; BLOCK];
        block[..rest.len()].copy_from_slice(rest);
        reader.block::<C>(&block, base)?;
    }
    (reader.in_string == 0 && reader.control == 0).then_some(())?;
    let count = reader.count;
    let end = count..count + SENTINELS;
    reader.lists.positions[end.clone()].fill(text.len() as u32);
    reader.lists.bytes[end].fill(0);
    Some(Index {
        count,
        non_ascii: reader.non_ascii != 0,
    })
}

/// What one block must know of the ones before it: all ones or all zeroes for what goes on, the lowest bit for what was last.
struct Reader<'a> {
    text: &'a [u8],
    lists: Lists<'a>,
    count: usize,
    in_string: u64,
    after_backslash: u64,
    after_scalar: u64,
    control: u64,
    non_ascii: u64,
    escapes: Escapes,
}

impl Reader<'_> {
    #[inline(always)]
    fn block<C: Classify>(&mut self, block: &[u8; BLOCK], base: usize) -> Option<()> {
        let classes = C::classes(block);
        let escaped = self.escaped(classes.backslash);
        let quote = classes.quote & !escaped;
        // From an opening quote to the byte before the closing one.
        let string = C::parity(quote) ^ self.in_string;
        self.in_string = ((string as i64) >> 63) as u64;
        self.control |= classes.control & string;
        self.non_ascii |= classes.non_ascii;

        let scalar = !(classes.operator | classes.space);
        let plain = scalar & !quote;
        let begins = scalar & !(plain << 1 | self.after_scalar);
        self.after_scalar = plain >> 63;
        // All of a string but its opening quote is left out.
        let found = (classes.operator | begins) & !(string ^ quote);
        let escapes = classes.backslash & !escaped;

        let first = self.count;
        let positions = self.lists.positions.get_mut(first..)?.first_chunk_mut()?;
        let bytes = self.lists.bytes.get_mut(first..)?.first_chunk_mut()?;
        C::write(block, found, base as u32, positions, bytes);
        self.count += found.count_ones() as usize;
        if escapes != 0 {
            self.escapes(escapes, found, first, base)?;
        }
        Some(())
    }

    /// The bytes after a backslash that is not itself after one.
    #[inline(always)]
    fn escaped(&mut self, backslash: u64) -> u64 {
        if backslash == 0 {
            return std::mem::take(&mut self.after_backslash);
        }
        const EVEN: u64 = 0x5555_5555_5555_5555;
        let backslash = backslash & !self.after_backslash;
        let follows = backslash << 1 | self.after_backslash;
        // A run of backslashes that begins at an odd place, added to the run, carries into the place after it.
        let odd_starts = backslash & !EVEN & !follows;
        let (even_runs, carry) = odd_starts.overflowing_add(backslash);
        self.after_backslash = u64::from(carry);
        (EVEN ^ (even_runs << 1)) & follows
    }

    /// Checks the escapes that begin in a block and marks the strings that hold them.
    #[cold]
    #[inline(never)]
    fn escapes(&mut self, escapes: u64, found: u64, first: usize, base: usize) -> Option<()> {
        let mut bits = escapes;
        while bits != 0 {
            let bit = bits.trailing_zeros();
            bits &= bits - 1;
            self.escapes.check(self.text, base + bit as usize)?;
            // The last thing that began before it. Outside of a string this marks something else, in a text that is no document.
            let before = first + (found & ((1 << bit) - 1)).count_ones() as usize;
            self.lists.positions[before.checked_sub(1)?] |= ESCAPED;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{Portable, read_index};

    /// Positions and those marked as escaped.
    fn found(text: &[u8]) -> Option<(Vec<usize>, Vec<usize>)> {
        let room = max_positions(text.len());
        let lists = |read: fn(&[u8], Lists<'_>) -> Option<Index>| {
            let (mut positions, mut bytes) = (vec![0xAAAA_AAAA; room], vec![0x55; room]);
            let lists = Lists {
                positions: &mut positions,
                bytes: &mut bytes,
            };
            let index = read(text, lists)?;
            positions.truncate(index.count + SENTINELS);
            bytes.truncate(index.count + SENTINELS);
            Some((index, positions, bytes))
        };
        let fast = lists(read_index);
        assert_eq!(lists(read::<Portable>), fast);
        let (Index { count, .. }, positions, bytes) = fast?;
        for (&position, &byte) in positions.iter().zip(&bytes) {
            assert_eq!(text.get(place(position)).copied().unwrap_or(0), byte);
        }
        let found = &positions[..count];
        let marked = |entry: &&u32| **entry & ESCAPED != 0;
        Some((
            found.iter().map(|&entry| place(entry)).collect(),
            found.iter().filter(marked).map(|&e| place(e)).collect(),
        ))
    }

    #[test]
    fn positions_are_where_things_begin() {
        let all = |text: &str| found(text.as_bytes()).map(|(all, _)| all);
        assert_eq!(all(""), Some(vec![]));
        assert_eq!(all("  12 "), Some(vec![2]));
        assert_eq!(
            all(r#"{"a": [1, true]}"#),
            Some(vec![0, 1, 4, 6, 7, 8, 10, 14, 15])
        );
        assert_eq!(all(r#""{}[],:" "#), Some(vec![0]));
        assert_eq!(all(r#""a" "b""#), Some(vec![0, 4]));
        assert_eq!(all(r#"1"b"#), None);
        assert_eq!(all("\"a\nb\""), None);
        assert_eq!(all("\"a\\\""), None);
        for spaces in 0..130 {
            let text = format!(
                "{}[\"a,\\\"b\\\\\",{}null]",
                " ".repeat(spaces),
                " ".repeat(spaces)
            );
            let end = 2 * spaces + 11;
            let (all, escaped) = found(text.as_bytes()).unwrap();
            assert_eq!(all, [spaces, spaces + 1, spaces + 10, end, end + 4]);
            assert_eq!(escaped, [spaces + 1]);
        }
    }

    #[test]
    fn runs_of_backslashes_are_paired() {
        for run in 0..140 {
            for before in [0, 1, 5, 62, 63] {
                let text = format!("\"{}{}\"", "x".repeat(before), "\\".repeat(run));
                assert_eq!(found(text.as_bytes()).is_some(), run % 2 == 0, "{text}");
            }
        }
    }
}
