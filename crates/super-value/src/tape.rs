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
        at: 0,
        tape,
        resolved,
    }
    .document()
}

struct Reader<'a> {
    text: &'a [u8],
    /// Bytes of `text` before the padding.
    length: usize,
    at: usize,
    tape: &'a mut Vec<Node>,
    resolved: &'a mut Vec<u8>,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        if self.at == self.length {
            return Err(JsonError::new(Kind::Empty, self.at));
        }
        let mut parent = NO_PARENT;
        let mut in_object = false;
        let mut depth = 0;
        'value: loop {
            self.skip_space();
            match self.text[self.at] {
                b'"' => self.string()?,
                b'-' | b'0'..=b'9' => self.number()?,
                bracket @ (b'{' | b'[') => {
                    depth += 1;
                    if depth > MAX_DEPTH {
                        return Err(JsonError::new(Kind::TooDeep, self.at));
                    }
                    in_object = bracket == b'{';
                    let kind = if in_object {
                        NodeKind::Object
                    } else {
                        NodeKind::Array
                    };
                    let index = self.tape.len() as u32;
                    self.tape.push(Node {
                        start: self.at as u32,
                        length: 0,
                        next: parent,
                        kind,
                    });
                    parent = index;
                    self.at += 1;
                    self.skip_space();
                    // In ASCII a closing bracket is two after its opening one.
                    if self.text[self.at] == bracket + 2 {
                        self.at += 1;
                        depth -= 1;
                        (parent, in_object) = self.close(parent);
                    } else {
                        if in_object {
                            self.key()?;
                        }
                        continue 'value;
                    }
                }
                b't' => self.word(b"true", NodeKind::True)?,
                b'f' => self.word(b"false", NodeKind::False)?,
                b'n' => self.word(b"null", NodeKind::Null)?,
                _ => return Err(self.unexpected()),
            }
            // A value is complete: what follows belongs to the container around it, and may complete that too.
            while parent != NO_PARENT {
                self.skip_space();
                self.tape[parent as usize].length += 1;
                match self.text[self.at] {
                    b',' => {
                        self.at += 1;
                        if in_object {
                            self.key()?;
                        }
                        continue 'value;
                    }
                    b'}' if in_object => {}
                    b']' if !in_object => {}
                    _ => return Err(self.unexpected()),
                }
                self.at += 1;
                depth -= 1;
                (parent, in_object) = self.close(parent);
            }
            break;
        }
        self.skip_space();
        if self.at == self.length {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    /// Closes the container at `index`: its parent, and whether that is an object.
    #[inline(always)]
    fn close(&mut self, index: u32) -> (u32, bool) {
        let next = self.tape.len() as u32;
        let parent = std::mem::replace(&mut self.tape[index as usize].next, next);
        (
            parent,
            self.tape
                .get(parent as usize)
                .is_some_and(|node| node.kind == NodeKind::Object),
        )
    }

    #[inline(always)]
    fn skip_space(&mut self) {
        while matches!(self.text[self.at], b' ' | b'\n' | b'\t' | b'\r') {
            self.at += 1;
        }
    }

    /// A key and the colon after it.
    #[inline(always)]
    fn key(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        if self.text[self.at] != b'"' {
            return Err(self.unexpected());
        }
        self.string()?;
        self.skip_space();
        if self.text[self.at] != b':' {
            return Err(self.unexpected());
        }
        self.at += 1;
        Ok(())
    }

    #[inline(always)]
    fn word(&mut self, word: &[u8], kind: NodeKind) -> Result<(), JsonError> {
        let start = self.at;
        for &c in word {
            if self.text[self.at] != c {
                return Err(self.unexpected());
            }
            self.at += 1;
        }
        self.tape.push(Node {
            start: start as u32,
            length: word.len() as u32,
            next: 0,
            kind,
        });
        Ok(())
    }

    #[inline(always)]
    fn number(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        if self.text[self.at] == b'-' {
            self.at += 1;
        }
        let digits = self.at;
        match self.text[self.at] {
            b'0' => self.at += 1,
            _ => self.digits()?,
        }
        let integer_digits = self.at - digits;
        if self.text[self.at] == b'.' {
            self.at += 1;
            self.digits()?;
        }
        let mut kind = NodeKind::Number;
        if matches!(self.text[self.at], b'e' | b'E') {
            kind = NodeKind::NumberWithExponent;
            self.at += 1;
            if matches!(self.text[self.at], b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        let length = self.at - start;
        // Without an exponent it takes more than 16383 digits to be out of range.
        if (kind == NodeKind::NumberWithExponent || length > 16383)
            && !numeric::fits(&self.text[start..self.at])
        {
            return Err(JsonError::new(Kind::NumberOutOfRange, start));
        }
        self.tape.push(Node {
            start: start as u32,
            length: length as u32,
            next: integer_digits as u32,
            kind,
        });
        Ok(())
    }

    /// One digit or more.
    #[inline(always)]
    fn digits(&mut self) -> Result<(), JsonError> {
        if !self.text[self.at].is_ascii_digit() {
            return Err(self.unexpected());
        }
        while self.text[self.at].is_ascii_digit() {
            self.at += 1;
        }
        Ok(())
    }

    #[inline(always)]
    fn string(&mut self) -> Result<(), JsonError> {
        let start = self.at + 1;
        let end = end_of_plain(self.text, start);
        if self.text[end] != b'"' {
            return self.resolve_string(start, end);
        }
        self.at = end + 1;
        self.push_string(start - 1, start, end - start, NodeKind::String)
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
    fn resolve_string(&mut self, start: usize, end: usize) -> Result<(), JsonError> {
        let resolved_start = self.resolved.len();
        self.at = start;
        let mut end = end;
        loop {
            self.resolved.extend_from_slice(&self.text[self.at..end]);
            self.at = end;
            match self.text[end] {
                b'"' => break,
                b'\\' => self.escape()?,
                _ if end == self.length => return Err(self.unexpected()),
                control => return Err(JsonError::new(Kind::ControlCharacter(control), end)),
            }
            end = end_of_plain(self.text, self.at);
        }
        self.at += 1;
        self.push_string(
            start - 1,
            resolved_start,
            self.resolved.len() - resolved_start,
            NodeKind::ResolvedString,
        )
    }

    /// Resolves the escape sequence that begins here.
    fn escape(&mut self) -> Result<(), JsonError> {
        let backslash = self.at;
        let byte = match self.text[backslash + 1] {
            c @ (b'"' | b'\\' | b'/') => c,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.unicode_escape(),
            _ if backslash + 1 >= self.length => {
                return Err(JsonError::new(Kind::UnexpectedEnd, self.length));
            }
            _ => return Err(JsonError::new(Kind::InvalidEscape, backslash)),
        };
        self.resolved.push(byte);
        self.at += 2;
        Ok(())
    }

    fn unicode_escape(&mut self) -> Result<(), JsonError> {
        let backslash = self.at;
        let unit = self
            .hex4(backslash + 2)
            .ok_or(JsonError::new(Kind::InvalidEscape, backslash))?;
        self.at += 6;
        let code = match unit {
            0 => return Err(JsonError::new(Kind::NulCharacter, backslash)),
            0xD800..=0xDBFF if self.text[self.at] == b'\\' && self.text[self.at + 1] == b'u' => {
                let low = self
                    .hex4(self.at + 2)
                    .ok_or(JsonError::new(Kind::InvalidEscape, self.at))?;
                if !(0xDC00..=0xDFFF).contains(&low) {
                    return Err(JsonError::new(Kind::LoneSurrogate, backslash));
                }
                self.at += 6;
                0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00)
            }
            _ => unit,
        };
        let character =
            char::from_u32(code).ok_or(JsonError::new(Kind::LoneSurrogate, backslash))?;
        self.resolved
            .extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    /// The value of four hexadecimal digits.
    fn hex4(&self, from: usize) -> Option<u32> {
        let digits = self.text.get(from..from + 4)?;
        digits.iter().try_fold(0, |value, &c| {
            Some(value << 4 | char::from(c).to_digit(16)?)
        })
    }

    /// The error for what stands here.
    #[cold]
    fn unexpected(&self) -> JsonError {
        if self.at >= self.length {
            return JsonError::new(Kind::UnexpectedEnd, self.length);
        }
        // The text is UTF-8 and whatever was accepted before is whole characters, so a character begins here.
        let rest = &self.text[self.at..self.length.min(self.at + 4)];
        let valid = rest.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let character = valid.chars().next().unwrap_or(char::REPLACEMENT_CHARACTER);
        JsonError::new(Kind::UnexpectedCharacter(character), self.at)
    }
}
