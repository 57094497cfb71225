//! The three steps strung together, with buffers that are used again and a memory of the last document.

use crate::block;
use crate::diagnose::diagnose;
use crate::error::{JsonError, JsonErrorKind};
use crate::grammar::{self, Container};
use crate::image::{self, Document, Memory, PADDING};
use crate::index::{self, Lists, SENTINELS};
use crate::limits::{MAX_DOCUMENT_BYTES, MAX_REMEMBERED_BYTES, MAX_STRING_BYTES};

/// Turns JSON text into the stored form of SUPER.
///
/// A query commonly asks for the same document several times in a row (`WHERE can_json_parse(d)`, then `json_parse(d)` in some columns), so the
/// last one is remembered: the same bytes again cost a comparison. A document that is only to be checked is neither copied nor remembered, unless the
/// one before it was parsed after its check.
#[derive(Debug, Default)]
pub struct Parser {
    /// The last document and its padding.
    text: Vec<u8>,
    outcome: Outcome,
    /// Where the last document was that was only checked. Other bytes may be there by now: it is a hint, nothing more.
    checked: Option<(usize, usize)>,
    /// Checks are followed by parsing, as far as can be told from the last one.
    parsing_follows: bool,
    /// At least as long as the index; what follows the sentinels is left over from others.
    positions: Vec<u32>,
    bytes: Vec<u8>,
    /// Positions in the index of [`Parser::text`].
    count: usize,
    containers: Vec<Container>,
    memory: Memory,
    /// At least as long as the image; what follows the image is left over from others.
    image: Vec<u8>,
}

/// What is known of the document in [`Parser::text`].
#[derive(Debug, Default, Clone, Copy)]
enum Outcome {
    #[default]
    Nothing,
    Invalid(JsonError),
    /// Index and containers are good.
    Checked,
    /// This many bytes of image are good.
    Built(usize),
}

impl Parser {
    /// A parser that owns no memory yet.
    pub const fn new() -> Self {
        Parser {
            text: Vec::new(),
            outcome: Outcome::Nothing,
            checked: None,
            parsing_follows: false,
            positions: Vec::new(),
            bytes: Vec::new(),
            count: 0,
            containers: Vec::new(),
            memory: Memory::new(),
            image: Vec::new(),
        }
    }

    /// The stored form of `document`: a complete jsonb value with its uncompressed four-byte varlena header.
    pub fn parse(&mut self, document: &[u8]) -> Result<&[u8], JsonError> {
        if self.remembered(document).is_none() {
            if self.checked == Some(address(document)) {
                self.parsing_follows = true;
            }
            self.keep(document)?;
        }
        let length = match self.outcome {
            Outcome::Built(length) => length,
            Outcome::Invalid(error) => return Err(error),
            _ => self.build()?,
        };
        Ok(&self.image[..length])
    }

    /// As [`parse`](Self::parse), but an object with equal names is an error, placed at an object.
    pub fn parse_unique(&mut self, document: &[u8]) -> Result<&[u8], JsonError> {
        let length = self.parse(document)?.len();
        match self.memory.equal_keys() {
            Some(position) => Err(JsonError::new(JsonErrorKind::EqualNames, position)),
            None => Ok(&self.image[..length]),
        }
    }

    /// Whether [`parse`](Self::parse) would succeed, without building anything.
    pub fn validate(&mut self, document: &[u8]) -> Result<(), JsonError> {
        if let Some(outcome) = self.remembered(document) {
            return outcome;
        }
        if let Outcome::Checked = self.outcome {
            // It was kept to be parsed, and was not.
            self.parsing_follows = false;
        }
        if self.parsing_follows {
            return self.keep(document);
        }
        if let Outcome::Checked = self.outcome {
            // The index is needed for another.
            self.outcome = Outcome::Nothing;
        }
        self.checked = Some(address(document));
        self.check(document).map(|_| ())
    }

    /// Gives back the memory of a document too long to remember. A caller that is done with a long document calls it.
    pub fn trim(&mut self) {
        const POSITIONS: usize = index::max_positions(MAX_REMEMBERED_BYTES);
        if self.text.len() > MAX_REMEMBERED_BYTES + PADDING || self.positions.len() > POSITIONS {
            *self = Parser {
                parsing_follows: self.parsing_follows,
                memory: std::mem::take(&mut self.memory),
                ..Parser::default()
            };
            self.memory.trim();
        }
    }

    /// What is known of `document` from the last call.
    fn remembered(&self, document: &[u8]) -> Option<Result<(), JsonError>> {
        let length = document.len();
        if self.text.len() != length + PADDING || self.text[..length] != *document {
            return None;
        }
        match self.outcome {
            Outcome::Nothing => None,
            Outcome::Invalid(error) => Some(Err(error)),
            Outcome::Checked | Outcome::Built(_) => Some(Ok(())),
        }
    }

    /// Checks `document` and keeps a copy.
    fn keep(&mut self, document: &[u8]) -> Result<(), JsonError> {
        self.outcome = Outcome::Nothing;
        self.checked = None;
        let result = self.check(document);
        self.outcome = match result {
            Ok(count) => {
                self.count = count;
                Outcome::Checked
            }
            // Another time there may be memory. Too long a document is not worth a copy.
            Err(JsonError {
                kind: JsonErrorKind::OutOfMemory | JsonErrorKind::DocumentTooLong,
                ..
            }) => return result.map(|_| ()),
            Err(error) => Outcome::Invalid(error),
        };
        self.text.clear();
        if !reserve(&mut self.text, document.len() + PADDING) {
            self.outcome = Outcome::Nothing;
            return Err(JsonError::new(JsonErrorKind::OutOfMemory, 0));
        }
        self.text.extend_from_slice(document);
        self.text.extend_from_slice(&[0; PADDING]);
        result.map(|_| ())
    }

    /// Makes the index and finds the containers of `document`: how many positions there are.
    fn check(&mut self, document: &[u8]) -> Result<usize, JsonError> {
        let length = document.len();
        if length > MAX_DOCUMENT_BYTES {
            return Err(JsonError::new(
                JsonErrorKind::DocumentTooLong,
                MAX_DOCUMENT_BYTES,
            ));
        }
        let room = index::max_positions(length);
        if self.positions.len() < room {
            if !reserve(&mut self.positions, room) || !reserve(&mut self.bytes, room) {
                return Err(JsonError::new(JsonErrorKind::OutOfMemory, 0));
            }
            self.positions.resize(room, 0);
            self.bytes.resize(room, 0);
        }
        let lists = Lists {
            positions: &mut self.positions,
            bytes: &mut self.bytes,
        };
        let Some(found) = block::read_index(document, lists) else {
            return Err(reason(document));
        };
        if found.non_ascii && simdutf8::basic::from_utf8(document).is_err() {
            return Err(reason(document));
        }
        if length > MAX_STRING_BYTES {
            diagnose(document)?;
        }
        if !reserve(&mut self.containers, grammar::max_containers(found.count)) {
            return Err(JsonError::new(JsonErrorKind::OutOfMemory, 0));
        }
        let end = found.count + SENTINELS;
        let (positions, bytes) = (&self.positions[..end], &mut self.bytes[..end]);
        if grammar::check(document, positions, bytes, &mut self.containers) {
            Ok(found.count)
        } else {
            Err(reason(document))
        }
    }

    fn build(&mut self) -> Result<usize, JsonError> {
        let need = image::max_bytes(self.count, self.text.len());
        if self.image.len() < need {
            if !reserve(&mut self.image, need) {
                return Err(JsonError::new(JsonErrorKind::OutOfMemory, 0));
            }
            self.image.resize(need, 0);
        }
        let end = self.count + SENTINELS;
        let document = Document {
            text: &self.text,
            positions: &self.positions[..end],
            bytes: &self.bytes[..end],
            containers: &self.containers,
        };
        let length = image::build(document, &mut self.memory, &mut self.image)?;
        self.outcome = Outcome::Built(length);
        Ok(length)
    }
}

fn address(document: &[u8]) -> (usize, usize) {
    (document.as_ptr().addr(), document.len())
}

/// Why a document was refused.
#[cold]
fn reason(document: &[u8]) -> JsonError {
    if let Err(error) = std::str::from_utf8(document) {
        return JsonError::new(JsonErrorKind::InvalidUtf8, error.valid_up_to());
    }
    match diagnose(document) {
        Err(error) => error,
        // Tests and fuzzing hold the two against each other; whatever they missed is refused.
        Ok(()) => JsonError::new(JsonErrorKind::UnexpectedEnd, document.len()),
    }
}

/// Makes room for `total` items; false where there is no memory.
fn reserve<T>(buffer: &mut Vec<T>, total: usize) -> bool {
    buffer
        .try_reserve(total.saturating_sub(buffer.len()))
        .is_ok()
}

#[cfg(test)]
mod tests;
