//! Whether what an index lists makes a document, by the grammar of RFC 8259: the second of three steps. It goes from one beginning to the next and
//! reads numbers and words, but no string.

use crate::index::{SENTINELS, place};
use crate::limits::MAX_DEPTH;
use crate::numeric::{self, Measure};

/// An array or object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Container {
    /// Elements of an array, pairs of an object.
    pub count: u32,
    /// The entry of the index after its closing bracket; its parent while it is open.
    pub after: u32,
    /// The container after its last descendant; [`IN_OBJECT`] or 0 while it is open.
    pub next: u32,
}

const IN_OBJECT: u32 = 1;

/// Stands for a number that is digits, with or without a minus sign.
pub(crate) const INTEGER: u8 = b'0';
/// Stands for a number with a decimal point.
pub(crate) const DECIMAL: u8 = b'.';
/// Stands for a number with an exponent.
pub(crate) const WITH_EXPONENT: u8 = b'e';

/// The parent of the outermost value.
const NO_PARENT: u32 = u32::MAX;

/// Containers that an index of `count` positions lists at most: each has two brackets.
pub(crate) const fn max_containers(count: usize) -> usize {
    count / 2 + 1
}

/// Whether an index of `text` is that of one document: its positions and the bytes there, both with sentinels. `containers` gets its arrays and objects
/// in document order; it has room for [`max_containers`].
///
/// The bytes of numbers are replaced by what they are: [`INTEGER`], [`DECIMAL`] or [`WITH_EXPONENT`]. Too deep a document, and one with a number out of range, is none.
pub(crate) fn check(
    text: &[u8],
    positions: &[u32],
    bytes: &mut [u8],
    containers: &mut Vec<Container>,
) -> bool {
    containers.clear();
    let mut entry = 0;
    let mut parent = NO_PARENT;
    let mut in_object = false;
    let mut depth = 0;
    // Values complete in the open container.
    let mut children = 0;
    'value: loop {
        match bytes[entry] {
            b'"' => {}
            bracket @ (b'{' | b'[') => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return false;
                }
                if parent != NO_PARENT {
                    containers[parent as usize].count = children;
                }
                in_object = bracket == b'{';
                containers.push(Container {
                    count: 0,
                    after: parent,
                    next: if in_object { IN_OBJECT } else { 0 },
                });
                parent = containers.len() as u32 - 1;
                children = 0;
                // In ASCII a closing bracket is two after its opening one.
                if bytes[entry + 1] != bracket + 2 {
                    if in_object {
                        if !is_key(bytes, entry + 1) {
                            return false;
                        }
                        entry += 2;
                    }
                    entry += 1;
                    continue 'value;
                }
                entry += 1;
                depth -= 1;
                (parent, in_object, children) = close(containers, parent, 0, entry);
            }
            b'-' | b'0'..=b'9' => {
                let start = place(positions[entry]);
                match numeric::measure(text, start) {
                    Some(number) if ends(text, number.end) => {
                        // Without an exponent it takes more than 16383 digits to be out of range.
                        if (number.exponent || number.end - start > 16383)
                            && !numeric::fits(&text[start..number.end])
                        {
                            return false;
                        }
                        bytes[entry] = match number {
                            Measure { exponent: true, .. } => WITH_EXPONENT,
                            Measure { fraction: 0, .. } => INTEGER,
                            _ => DECIMAL,
                        };
                    }
                    _ => return false,
                }
            }
            first @ (b't' | b'n') => {
                let start = place(positions[entry]);
                let word = if first == b't' { b"true" } else { b"null" };
                if text.get(start..start + 4) != Some(word) || !ends(text, start + 4) {
                    return false;
                }
            }
            b'f' => {
                let start = place(positions[entry]);
                if text.get(start..start + 5) != Some(b"false") || !ends(text, start + 5) {
                    return false;
                }
            }
            _ => return false,
        }
        // A value is complete: what follows belongs to the container around it, and may complete that too.
        entry += 1;
        while parent != NO_PARENT {
            children += 1;
            match bytes[entry] {
                b',' => {
                    if in_object {
                        if !is_key(bytes, entry + 1) {
                            return false;
                        }
                        entry += 2;
                    }
                    entry += 1;
                    continue 'value;
                }
                b'}' if in_object => {}
                b']' if !in_object => {}
                _ => return false,
            }
            depth -= 1;
            (parent, in_object, children) = close(containers, parent, children, entry);
            entry += 1;
        }
        return entry + SENTINELS == bytes.len();
    }
}

/// Whether a string and a colon begin at `entry`.
#[inline(always)]
fn is_key(bytes: &[u8], entry: usize) -> bool {
    bytes[entry..].first_chunk() == Some(b"\":")
}

/// Closes the container at `index`, which has so many children and ends at `entry`: its parent, whether that is an object, and its children so far.
#[inline(always)]
fn close(containers: &mut [Container], index: u32, count: u32, entry: usize) -> (u32, bool, u32) {
    let next = containers.len() as u32;
    let parent = std::mem::replace(
        &mut containers[index as usize],
        Container {
            count,
            after: entry as u32 + 1,
            next,
        },
    )
    .after;
    match containers.get(parent as usize) {
        Some(outer) => (parent, outer.next == IN_OBJECT, outer.count),
        None => (parent, false, 0),
    }
}

/// Whether a number or word may end before `at`.
#[inline(always)]
fn ends(text: &[u8], at: usize) -> bool {
    match text.get(at) {
        Some(b' ' | b'\n' | b'\t' | b'\r' | b',' | b'}' | b']') => true,
        Some(_) => false,
        None => true,
    }
}
