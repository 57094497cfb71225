//! Why a text is not a JSON document that SUPER can hold.

use std::fmt;

use crate::limits;

/// What is wrong with a document, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// Where: bytes before the offending one, so 0 is the first byte of the document.
    pub position: usize,
}

/// The ways in which a document can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// Nothing, or nothing but white space.
    Empty,
    /// A character that JSON does not allow at this place, text after the document included.
    UnexpectedCharacter(char),
    /// The document stops too early.
    UnexpectedEnd,
    /// Bytes that are not UTF-8.
    InvalidUtf8,
    /// A control character inside a string, where JSON wants an escape.
    ControlCharacter(u8),
    /// A backslash followed by something that JSON does not define.
    InvalidEscape,
    /// One half of a UTF-16 surrogate pair without the other.
    LoneSurrogate,
    /// `\u0000`, which no Postgres string can hold.
    NulCharacter,
    /// A number outside of what Postgres's numeric can hold.
    NumberOutOfRange,
    /// More than [`limits::MAX_DEPTH`] arrays and objects within one another.
    TooDeep,
    /// More than [`limits::MAX_DOCUMENT_BYTES`] bytes of text.
    DocumentTooLong,
    /// A string of more than [`limits::MAX_STRING_BYTES`] bytes.
    StringTooLong,
    /// An object in which two attributes have the same name, where that is not wanted.
    EqualNames,
    /// An array or object of more than [`limits::MAX_CONTAINER_BYTES`] bytes in the stored form.
    ContainerTooLong,
    /// The memory that the document needs is not to be had.
    OutOfMemory,
}

impl JsonError {
    pub(crate) fn new(kind: JsonErrorKind, position: usize) -> Self {
        JsonError { kind, position }
    }
}

impl fmt::Display for JsonErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use JsonErrorKind::*;
        match self {
            Empty => write!(f, "there is no document"),
            UnexpectedCharacter(c) if c.is_control() => {
                write!(f, "unexpected character {}", c.escape_unicode())
            }
            UnexpectedCharacter(c) => write!(f, "unexpected character \"{c}\""),
            UnexpectedEnd => write!(f, "unexpected end of the document"),
            InvalidUtf8 => write!(f, "bytes that are not UTF-8"),
            ControlCharacter(c) => {
                write!(f, "control character 0x{c:02x} in a string must be escaped")
            }
            InvalidEscape => write!(f, "invalid escape sequence"),
            LoneSurrogate => write!(f, "half of a surrogate pair"),
            NulCharacter => write!(f, "\\u0000 cannot be stored"),
            NumberOutOfRange => write!(f, "number out of range"),
            TooDeep => write!(
                f,
                "more than {} nested arrays and objects",
                limits::MAX_DEPTH
            ),
            DocumentTooLong => write!(
                f,
                "document longer than {} bytes",
                limits::MAX_DOCUMENT_BYTES
            ),
            StringTooLong => write!(f, "string longer than {} bytes", limits::MAX_STRING_BYTES),
            EqualNames => write!(f, "two attributes of one name in an object"),
            ContainerTooLong => write!(
                f,
                "array or object that needs more than {} bytes",
                limits::MAX_CONTAINER_BYTES
            ),
            OutOfMemory => write!(f, "not enough memory for the document"),
        }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.kind, self.position)
    }
}

impl std::error::Error for JsonError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_place() {
        assert_eq!(
            JsonError::new(JsonErrorKind::UnexpectedCharacter('x'), 12).to_string(),
            "unexpected character \"x\" at byte 12"
        );
        assert_eq!(
            JsonError::new(JsonErrorKind::UnexpectedCharacter('\0'), 1).to_string(),
            "unexpected character \\u{0} at byte 1"
        );
        assert_eq!(
            JsonError::new(JsonErrorKind::TooDeep, 1000).to_string(),
            "more than 1000 nested arrays and objects at byte 1000"
        );
    }
}
