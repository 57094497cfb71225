//! What is wrong with a text that is no document, and where. It reads one byte after the other and knows nothing of the other steps, so that tests can
//! hold it against them.
//!
//! The grammar is RFC 8259.

use crate::error::{JsonError, JsonErrorKind as Kind};
use crate::limits::{MAX_DEPTH, MAX_STRING_BYTES};
use crate::numeric;

/// The first thing that is wrong with `text`, which is UTF-8.
pub(crate) fn diagnose(text: &[u8]) -> Result<(), JsonError> {
    Reader {
        text,
        depth: 0,
        objects: [0; MAX_DEPTH / 64 + 1],
    }
    .document()
}

struct Reader<'a> {
    text: &'a [u8],
    /// Containers that are open.
    depth: usize,
    /// One bit a container: whether it is an object.
    objects: [u64; MAX_DEPTH / 64 + 1],
}

impl Reader<'_> {
    /// The byte at `at`; zero, which nothing in the grammar accepts, after the end.
    fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    fn open(&mut self, object: bool) {
        let (word, bit) = (self.depth / 64, 1 << (self.depth % 64));
        if object {
            self.objects[word] |= bit;
        } else {
            self.objects[word] &= !bit;
        }
        self.depth += 1;
    }

    fn in_object(&self) -> bool {
        let at = self.depth - 1;
        self.objects[at / 64] >> (at % 64) & 1 == 1
    }

    fn document(&mut self) -> Result<(), JsonError> {
        let mut at = self.skip_space(0);
        if at == self.text.len() {
            return Err(JsonError::new(Kind::Empty, at));
        }
        'value: loop {
            at = self.skip_space(at);
            match self.byte(at) {
                b'"' => at = self.string(at)?,
                b'-' | b'0'..=b'9' => at = self.number(at)?,
                bracket @ (b'{' | b'[') => {
                    if self.depth == MAX_DEPTH {
                        return Err(JsonError::new(Kind::TooDeep, at));
                    }
                    self.open(bracket == b'{');
                    at = self.skip_space(at + 1);
                    // In ASCII a closing bracket is two after its opening one.
                    if self.byte(at) != bracket + 2 {
                        if self.in_object() {
                            at = self.key(at)?;
                        }
                        continue 'value;
                    }
                    at += 1;
                    self.depth -= 1;
                }
                b't' => at = self.word(at, b"true")?,
                b'f' => at = self.word(at, b"false")?,
                b'n' => at = self.word(at, b"null")?,
                _ => return Err(self.unexpected(at)),
            }
            // A value is complete: what follows belongs to the container around it, and may complete that too.
            while self.depth > 0 {
                at = self.skip_space(at);
                match self.byte(at) {
                    b',' => {
                        at += 1;
                        if self.in_object() {
                            at = self.key(at)?;
                        }
                        continue 'value;
                    }
                    b'}' if self.in_object() => {}
                    b']' if !self.in_object() => {}
                    _ => return Err(self.unexpected(at)),
                }
                at += 1;
                self.depth -= 1;
            }
            break;
        }
        at = self.skip_space(at);
        if at == self.text.len() {
            Ok(())
        } else {
            Err(self.unexpected(at))
        }
    }

    fn skip_space(&self, mut at: usize) -> usize {
        while matches!(self.byte(at), b' ' | b'\n' | b'\t' | b'\r') {
            at += 1;
        }
        at
    }

    /// A key and the colon after it.
    fn key(&mut self, at: usize) -> Result<usize, JsonError> {
        let at = self.skip_space(at);
        if self.byte(at) != b'"' {
            return Err(self.unexpected(at));
        }
        let at = self.string(at)?;
        let at = self.skip_space(at);
        if self.byte(at) != b':' {
            return Err(self.unexpected(at));
        }
        Ok(at + 1)
    }

    fn word(&self, at: usize, word: &[u8]) -> Result<usize, JsonError> {
        for (i, &c) in word.iter().enumerate() {
            if self.byte(at + i) != c {
                return Err(self.unexpected(at + i));
            }
        }
        Ok(at + word.len())
    }

    fn number(&self, start: usize) -> Result<usize, JsonError> {
        let digits = start + usize::from(self.byte(start) == b'-');
        let mut at = match self.byte(digits) {
            b'0' => digits + 1,
            _ => self.digits(digits)?,
        };
        if self.byte(at) == b'.' {
            at = self.digits(at + 1)?;
        }
        if matches!(self.byte(at), b'e' | b'E') {
            at += 1;
            if matches!(self.byte(at), b'+' | b'-') {
                at += 1;
            }
            at = self.digits(at)?;
        }
        if !numeric::fits(&self.text[start..at]) {
            return Err(JsonError::new(Kind::NumberOutOfRange, start));
        }
        Ok(at)
    }

    /// One digit or more.
    fn digits(&self, mut at: usize) -> Result<usize, JsonError> {
        if !self.byte(at).is_ascii_digit() {
            return Err(self.unexpected(at));
        }
        while self.byte(at).is_ascii_digit() {
            at += 1;
        }
        Ok(at)
    }

    fn string(&self, quote: usize) -> Result<usize, JsonError> {
        let mut at = quote + 1;
        // Bytes that it stands for.
        let mut length = 0;
        loop {
            match self.byte(at) {
                b'"' => break,
                b'\\' => {
                    let (end, bytes) = self.escape(at)?;
                    at = end;
                    length += bytes;
                }
                _ if at == self.text.len() => return Err(self.unexpected(at)),
                control @ 0..0x20 => {
                    return Err(JsonError::new(Kind::ControlCharacter(control), at));
                }
                _ => {
                    at += 1;
                    length += 1;
                }
            }
        }
        if length > MAX_STRING_BYTES {
            return Err(JsonError::new(Kind::StringTooLong, quote));
        }
        Ok(at + 1)
    }

    /// Where the escape sequence that begins at `backslash` ends, and how many bytes it stands for.
    fn escape(&self, backslash: usize) -> Result<(usize, usize), JsonError> {
        match self.byte(backslash + 1) {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok((backslash + 2, 1)),
            b'u' => self.unicode_escape(backslash),
            _ if backslash + 1 >= self.text.len() => {
                Err(JsonError::new(Kind::UnexpectedEnd, self.text.len()))
            }
            _ => Err(JsonError::new(Kind::InvalidEscape, backslash)),
        }
    }

    fn unicode_escape(&self, backslash: usize) -> Result<(usize, usize), JsonError> {
        let unit = self
            .hex4(backslash + 2)
            .ok_or(JsonError::new(Kind::InvalidEscape, backslash))?;
        let mut at = backslash + 6;
        let code = match unit {
            0 => return Err(JsonError::new(Kind::NulCharacter, backslash)),
            0xD800..=0xDBFF if self.byte(at) == b'\\' && self.byte(at + 1) == b'u' => {
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
        Ok((at, character.len_utf8()))
    }

    /// The value of four hexadecimal digits.
    fn hex4(&self, from: usize) -> Option<u32> {
        let digits = self.text.get(from..from + 4)?;
        digits.iter().try_fold(0, |value, &c| {
            Some(value << 4 | char::from(c).to_digit(16)?)
        })
    }

    /// The error for what stands at `at`.
    fn unexpected(&self, at: usize) -> JsonError {
        let Some(rest) = self.text.get(at..).filter(|rest| !rest.is_empty()) else {
            return JsonError::new(Kind::UnexpectedEnd, self.text.len());
        };
        // The text is UTF-8 and whatever was accepted before is whole characters, so a character begins here.
        let valid = rest[..rest.len().min(4)]
            .utf8_chunks()
            .next()
            .map_or("", |chunk| chunk.valid());
        let character = valid.chars().next().unwrap_or(char::REPLACEMENT_CHARACTER);
        JsonError::new(Kind::UnexpectedCharacter(character), at)
    }
}
