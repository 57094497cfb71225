//! JSON text to a tape: one node per value and per key, in document order. Everything that can be wrong with a document is found here.
//!
//! The grammar is RFC 8259. There is no recursion: an open container keeps its parent's index until it is closed.

use crate::error::{JsonError, JsonErrorKind as Kind};
use crate::limits::{MAX_DEPTH, MAX_STRING_BYTES};
use crate::numeric;
use crate::scan::end_of_plain;

/// What a [`Node`] stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodeKind {
    Null,
    False,
    True,
    /// A number without an exponent.
    Number,
    NumberWithExponent,
    /// A string that stands in the text as it is.
    String,
    /// A string with escapes: its bytes are in the buffer of resolved strings.
    ResolvedString,
    Array,
    Object,
}

/// A value or a key. A container's children follow it: keys and values in turn for an object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node {
    /// Where it begins: in the text, or in the resolved strings.
    pub start: u32,
    /// Bytes of a string or number; children of an array, pairs of an object.
    pub length: u32,
    /// A container: the node after its last child (its parent while it is open). A number without exponent: digits before the decimal point.
    pub next: u32,
    pub kind: NodeKind,
}

/// The parent of the outermost value.
const NO_PARENT: u32 = u32::MAX;

/// Nodes that a text of `length` bytes has at most: a value takes a byte and a comma, a container two brackets, a key two quotes.
pub(crate) const fn max_nodes(length: usize) -> usize {
    length / 2 + 1
}

/// Reads `text[..length]`, which is UTF-8, to `tape`. Both buffers have room already: [`max_nodes`] nodes, `length` bytes.
///
/// `text` goes on with [`crate::scan::PADDING`] zero bytes, which nothing in JSON's grammar accepts, so that looking one byte ahead needs no check of the length.
pub(crate) fn read(
    text: &[u8],
    length: usize,
    tape: &mut Vec<Node>,
    resolved: &mut Vec<u8>,
) -> Result<(), JsonError> {
    debug_assert!(text.len() >= length + crate::scan::PADDING);
    tape.clear();
    resolved.clear();
    Reader {
        text,
        length,
        tape,
        resolved,
    }
    .document()
}

/// Where it is in the text goes from method to method: a field would be written to memory and read back at every step, because of the methods that
/// are not in line.
struct Reader<'a> {
    text: &'a [u8],
    /// Bytes of `text` before the padding.
    length: usize,
    tape: &'a mut Vec<Node>,
    resolved: &'a mut Vec<u8>,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<(), JsonError> {
        let mut at = self.skip_space(0);
        if at == self.length {
            return Err(JsonError::new(Kind::Empty, at));
        }
        let mut parent = NO_PARENT;
        let mut in_object = false;
        let mut depth = 0;
        // Children of the open container so far.
        let mut children = 0;
        'value: loop {
            at = self.skip_space(at);
            match self.text[at] {
                b'"' => at = self.string(at)?,
                b'-' | b'0'..=b'9' => at = self.number(at)?,
                bracket @ (b'{' | b'[') => {
                    depth += 1;
                    if depth > MAX_DEPTH {
                        return Err(JsonError::new(Kind::TooDeep, at));
                    }
                    if parent != NO_PARENT {
                        self.tape[parent as usize].length = children;
                    }
                    in_object = bracket == b'{';
                    let kind = if in_object {
                        NodeKind::Object
                    } else {
                        NodeKind::Array
                    };
                    let index = self.tape.len() as u32;
                    self.tape.push(Node {
                        start: at as u32,
                        length: 0,
                        next: parent,
                        kind,
                    });
                    parent = index;
                    children = 0;
                    at = self.skip_space(at + 1);
                    // In ASCII a closing bracket is two after its opening one.
                    if self.text[at] == bracket + 2 {
                        at += 1;
                        depth -= 1;
                        (parent, in_object, children) = self.close(parent, children);
                    } else {
                        if in_object {
                            at = self.key(at)?;
                        }
                        continue 'value;
                    }
                }
                b't' => at = self.word(at, b"true", NodeKind::True)?,
                b'f' => at = self.word(at, b"false", NodeKind::False)?,
                b'n' => at = self.word(at, b"null", NodeKind::Null)?,
                _ => return Err(self.unexpected(at)),
            }
            // A value is complete: what follows belongs to the container around it, and may complete that too.
            while parent != NO_PARENT {
                at = self.skip_space(at);
                children += 1;
                match self.text[at] {
                    b',' => {
                        at += 1;
                        if in_object {
                            at = self.key(at)?;
                        }
                        continue 'value;
                    }
                    b'}' if in_object => {}
                    b']' if !in_object => {}
                    _ => return Err(self.unexpected(at)),
                }
                at += 1;
                depth -= 1;
                (parent, in_object, children) = self.close(parent, children);
            }
            break;
        }
        at = self.skip_space(at);
        if at == self.length {
            Ok(())
        } else {
            Err(self.unexpected(at))
        }
    }

    /// Closes the container at `index`, which has so many children: its parent, whether that is an object, and its children so far.
    #[inline(always)]
    fn close(&mut self, index: u32, children: u32) -> (u32, bool, u32) {
        let next = self.tape.len() as u32;
        let node = &mut self.tape[index as usize];
        node.length = children;
        let parent = std::mem::replace(&mut node.next, next);
        match self.tape.get(parent as usize) {
            Some(outer) => (parent, outer.kind == NodeKind::Object, outer.length),
            None => (parent, false, 0),
        }
    }

    #[inline(always)]
    fn skip_space(&self, mut at: usize) -> usize {
        // Mostly there is none, or one blank.
        while self.text[at] <= b' ' {
            if !matches!(self.text[at], b' ' | b'\n' | b'\t' | b'\r') {
                break;
            }
            at += 1;
        }
        at
    }

    /// A key and the colon after it.
    #[inline(always)]
    fn key(&mut self, at: usize) -> Result<usize, JsonError> {
        let at = self.skip_space(at);
        if self.text[at] != b'"' {
            return Err(self.unexpected(at));
        }
        let at = self.string(at)?;
        let at = self.skip_space(at);
        if self.text[at] != b':' {
            return Err(self.unexpected(at));
        }
        Ok(at + 1)
    }

    #[inline(always)]
    fn word(&mut self, at: usize, word: &[u8], kind: NodeKind) -> Result<usize, JsonError> {
        for (i, &c) in word.iter().enumerate() {
            if self.text[at + i] != c {
                return Err(self.unexpected(at + i));
            }
        }
        self.tape.push(Node {
            start: at as u32,
            length: word.len() as u32,
            next: 0,
            kind,
        });
        Ok(at + word.len())
    }

    #[inline(always)]
    fn number(&mut self, start: usize) -> Result<usize, JsonError> {
        let digits = start + usize::from(self.text[start] == b'-');
        let mut at = match self.text[digits] {
            b'0' => digits + 1,
            _ => self.digits(digits)?,
        };
        let integer_digits = at - digits;
        if self.text[at] == b'.' {
            at = self.digits(at + 1)?;
        }
        let mut kind = NodeKind::Number;
        if matches!(self.text[at], b'e' | b'E') {
            kind = NodeKind::NumberWithExponent;
            at += 1;
            if matches!(self.text[at], b'+' | b'-') {
                at += 1;
            }
            at = self.digits(at)?;
        }
        let length = at - start;
        // Without an exponent it takes more than 16383 digits to be out of range.
        if (kind == NodeKind::NumberWithExponent || length > 16383)
            && !numeric::fits(&self.text[start..at])
        {
            return Err(JsonError::new(Kind::NumberOutOfRange, start));
        }
        self.tape.push(Node {
            start: start as u32,
            length: length as u32,
            next: integer_digits as u32,
            kind,
        });
        Ok(at)
    }

    /// One digit or more.
    #[inline(always)]
    fn digits(&self, mut at: usize) -> Result<usize, JsonError> {
        if !self.text[at].is_ascii_digit() {
            return Err(self.unexpected(at));
        }
        while self.text[at].is_ascii_digit() {
            at += 1;
        }
        Ok(at)
    }

    #[inline(always)]
    fn string(&mut self, at: usize) -> Result<usize, JsonError> {
        let start = at + 1;
        let end = end_of_plain(self.text, start);
        if self.text[end] != b'"' {
            return self.resolve_string(start, end);
        }
        self.push_string(at, start, end - start, NodeKind::String)?;
        Ok(end + 1)
    }

    #[inline(always)]
    fn push_string(
        &mut self,
        position: usize,
        start: usize,
        length: usize,
        kind: NodeKind,
    ) -> Result<(), JsonError> {
        if length > MAX_STRING_BYTES {
            return Err(JsonError::new(Kind::StringTooLong, position));
        }
        self.tape.push(Node {
            start: start as u32,
            length: length as u32,
            next: 0,
            kind,
        });
        Ok(())
    }

    /// The rest of a string whose plain part stops at `end` for something else than its closing quote.
    #[cold]
    fn resolve_string(&mut self, start: usize, end: usize) -> Result<usize, JsonError> {
        let resolved_start = self.resolved.len();
        let mut at = start;
        let mut end = end;
        loop {
            self.resolved.extend_from_slice(&self.text[at..end]);
            match self.text[end] {
                b'"' => break,
                b'\\' => at = self.escape(end)?,
                _ if end == self.length => return Err(self.unexpected(end)),
                control => return Err(JsonError::new(Kind::ControlCharacter(control), end)),
            }
            end = end_of_plain(self.text, at);
        }
        self.push_string(
            start - 1,
            resolved_start,
            self.resolved.len() - resolved_start,
            NodeKind::ResolvedString,
        )?;
        Ok(end + 1)
    }

    /// Resolves the escape sequence that begins at `backslash`: where it ends.
    fn escape(&mut self, backslash: usize) -> Result<usize, JsonError> {
        let byte = match self.text[backslash + 1] {
            c @ (b'"' | b'\\' | b'/') => c,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.unicode_escape(backslash),
            _ if backslash + 1 >= self.length => {
                return Err(JsonError::new(Kind::UnexpectedEnd, self.length));
            }
            _ => return Err(JsonError::new(Kind::InvalidEscape, backslash)),
        };
        self.resolved.push(byte);
        Ok(backslash + 2)
    }

    fn unicode_escape(&mut self, backslash: usize) -> Result<usize, JsonError> {
        let unit = self
            .hex4(backslash + 2)
            .ok_or(JsonError::new(Kind::InvalidEscape, backslash))?;
        let mut at = backslash + 6;
        let code = match unit {
            0 => return Err(JsonError::new(Kind::NulCharacter, backslash)),
            0xD800..=0xDBFF if self.text[at] == b'\\' && self.text[at + 1] == b'u' => {
                let low = self
                    .hex4(at + 2)
                    .ok_or(JsonError::new(Kind::InvalidEscape, at))?;
                if !(0xDC00..=0xDFFF).contains(&low) {
                    return Err(JsonError::new(Kind::LoneSurrogate, backslash));
                }
                at += 6;
                0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00)
            }
            _ => unit,
        };
        let character =
            char::from_u32(code).ok_or(JsonError::new(Kind::LoneSurrogate, backslash))?;
        self.resolved
            .extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(at)
    }

    /// The value of four hexadecimal digits.
    fn hex4(&self, from: usize) -> Option<u32> {
        let digits = self.text.get(from..from + 4)?;
        digits.iter().try_fold(0, |value, &c| {
            Some(value << 4 | char::from(c).to_digit(16)?)
        })
    }

    /// The error for what stands at `at`.
    #[cold]
    fn unexpected(&self, at: usize) -> JsonError {
        if at >= self.length {
            return JsonError::new(Kind::UnexpectedEnd, self.length);
        }
        // The text is UTF-8 and whatever was accepted before is whole characters, so a character begins here.
        let rest = &self.text[at..self.length.min(at + 4)];
        let valid = rest.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let character = valid.chars().next().unwrap_or(char::REPLACEMENT_CHARACTER);
        JsonError::new(Kind::UnexpectedCharacter(character), at)
    }
}
