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
mod tests {
    use super::*;
    use crate::{Kind, Value};
    use JsonErrorKind::*;
    use proptest::prelude::*;

    fn error(document: impl AsRef<[u8]>) -> (JsonErrorKind, usize) {
        let mut parser = Parser::new();
        let error = parser.parse(document.as_ref()).unwrap_err();
        assert_eq!(
            parser.validate(document.as_ref()),
            Err(error),
            "a remembered error is the same error"
        );
        (error.kind, error.position)
    }

    fn words(image: &[u8]) -> Vec<u32> {
        image
            .chunks(4)
            .map(|word| u32::from_ne_bytes(word.try_into().unwrap()))
            .collect()
    }

    #[test]
    fn documents_of_rfc_8259_are_accepted() {
        let mut parser = Parser::new();
        for document in [
            "null",
            " true ",
            "\t\r\n false\n",
            "0",
            "-0",
            "-0.0e+0",
            "1E5",
            "12.5e-3",
            "\"\"",
            "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"",
            "\"\\ud83d\\ude00\"",
            "\"\u{7f}\u{80}\u{2028}\u{10ffff}\"",
            "[]",
            "[ ]",
            "{}",
            "{ }",
            "[[],[[]],{}]",
            "{\"\":0}",
            "{\"a\":{\"a\":{}}}",
            " [ 1 , 2 ] ",
            " { \"a\" : 1 , \"b\" : [ ] } ",
            "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]",
        ] {
            assert_eq!(parser.validate(document.as_bytes()), Ok(()), "{document}");
            assert!(
                Value::from_image(parser.parse(document.as_bytes()).unwrap()).is_some(),
                "{document}"
            );
        }
    }

    #[test]
    fn errors_name_kind_and_place() {
        for (document, kind, position) in [
            ("", Empty, 0),
            ("  \n", Empty, 3),
            ("x", UnexpectedCharacter('x'), 0),
            ("\0", UnexpectedCharacter('\0'), 0),
            ("[\u{e9}]", UnexpectedCharacter('\u{e9}'), 1),
            ("\u{feff}{}", UnexpectedCharacter('\u{feff}'), 0),
            ("{} {}", UnexpectedCharacter('{'), 3),
            ("1 2", UnexpectedCharacter('2'), 2),
            ("[1,]", UnexpectedCharacter(']'), 3),
            ("[,1]", UnexpectedCharacter(','), 1),
            ("[1 2]", UnexpectedCharacter('2'), 3),
            ("[1}", UnexpectedCharacter('}'), 2),
            ("{\"a\":1]", UnexpectedCharacter(']'), 6),
            ("{\"a\":1,}", UnexpectedCharacter('}'), 7),
            ("{\"a\" 1}", UnexpectedCharacter('1'), 5),
            ("{a:1}", UnexpectedCharacter('a'), 1),
            ("{1:1}", UnexpectedCharacter('1'), 1),
            ("]", UnexpectedCharacter(']'), 0),
            ("truE", UnexpectedCharacter('E'), 3),
            ("nulll", UnexpectedCharacter('l'), 4),
            ("NaN", UnexpectedCharacter('N'), 0),
            ("'a'", UnexpectedCharacter('\''), 0),
            ("[1/**/]", UnexpectedCharacter('/'), 2),
            ("01", UnexpectedCharacter('1'), 1),
            ("-", UnexpectedEnd, 1),
            ("-a", UnexpectedCharacter('a'), 1),
            ("+1", UnexpectedCharacter('+'), 0),
            (".5", UnexpectedCharacter('.'), 0),
            ("1.", UnexpectedEnd, 2),
            ("[1.]", UnexpectedCharacter(']'), 3),
            ("1e", UnexpectedEnd, 2),
            ("1e+", UnexpectedEnd, 3),
            ("1a", UnexpectedCharacter('a'), 1),
            ("0x1", UnexpectedCharacter('x'), 1),
            ("1e200000", NumberOutOfRange, 0),
            ("[1e-20000]", NumberOutOfRange, 1),
            ("[", UnexpectedEnd, 1),
            ("[1", UnexpectedEnd, 2),
            ("[1,", UnexpectedEnd, 3),
            ("{", UnexpectedEnd, 1),
            ("{\"a\"", UnexpectedEnd, 4),
            ("{\"a\":", UnexpectedEnd, 5),
            ("tru", UnexpectedEnd, 3),
            ("\"abc", UnexpectedEnd, 4),
            ("\"abc\\", UnexpectedEnd, 5),
            ("\"a\\\"", UnexpectedEnd, 4),
            ("\"a\tb\"", ControlCharacter(9), 2),
            ("\"a\0b\"", ControlCharacter(0), 2),
            ("\"\\x\"", InvalidEscape, 1),
            ("\"\\u12G4\"", InvalidEscape, 1),
            ("\"\\u12", InvalidEscape, 1),
            ("\"\\u0000\"", NulCharacter, 1),
            ("\"\\ud800\"", LoneSurrogate, 1),
            ("\"\\ud800\\n\"", LoneSurrogate, 1),
            ("\"\\ud800\\u0041\"", LoneSurrogate, 1),
            ("\"\\ud800\\ud800\"", LoneSurrogate, 1),
            ("\"\\udc00\"", LoneSurrogate, 1),
        ] {
            assert_eq!(error(document), (kind, position), "{document:?}");
        }
        assert_eq!(error(b"[\"\xff\"]"), (InvalidUtf8, 2));
        assert_eq!(error(b"\"\xed\xa0\x80\""), (InvalidUtf8, 1));
        assert_eq!(error(b"\"\xc3"), (InvalidUtf8, 1));
    }

    #[test]
    fn a_check_alone_keeps_and_builds_nothing() {
        let mut parser = Parser::new();
        for i in 0..10 {
            assert_eq!(parser.validate(format!("[{i}]").as_bytes()), Ok(()));
            assert!(parser.text.is_empty() && parser.image.is_empty());
        }
    }

    #[test]
    fn checks_that_parsing_follows_share_the_work() {
        let mut parser = Parser::new();
        let rows: Vec<String> = (0..5).map(|i| format!("[{i}]")).collect();
        for (i, row) in rows.iter().enumerate() {
            assert_eq!(parser.validate(row.as_bytes()), Ok(()));
            let kept = matches!(parser.outcome, Outcome::Checked);
            assert_eq!(kept, i > 0, "the first row tells what follows");
            let positions = parser.positions.as_ptr();
            assert!(parser.parse(row.as_bytes()).is_ok());
            assert!(matches!(parser.outcome, Outcome::Built(_)));
            // A second parse and a second check find all done: spoilt buffers do not matter.
            parser.positions.fill(7);
            parser.bytes.fill(7);
            assert!(parser.parse(row.as_bytes()).is_ok());
            assert_eq!(parser.validate(row.as_bytes()), Ok(()));
            assert_eq!(parser.positions.as_ptr(), positions);
        }
        // A checked document that was not parsed: the next one is not kept.
        assert_eq!(parser.validate(b"[10]"), Ok(()));
        assert_eq!(parser.validate(b"[11]"), Ok(()));
        assert!(matches!(parser.outcome, Outcome::Nothing));
        assert!(parser.parse(b"[10]").is_ok());
    }

    #[test]
    fn place_in_the_text_makes_no_difference() {
        let documents = [
            r#"{"a": [1, "x\"y\\", {"b\u00e9": null}], "cc" : true}"#,
            "[\"\u{e9}\u{4e2d}\", 12.5e3, -0.25, 1234567890123456, 12345678901234567]",
            r#"["\\\\", "\ud83d\ude00"]"#,
            r#"{"a":1,"a":2,"":3}"#,
            "false",
        ];
        for document in documents {
            let expected = Parser::new().parse(document.as_bytes()).unwrap().to_vec();
            for blanks in 1..130 {
                let moved = format!(
                    "{}{document}{}",
                    " ".repeat(blanks),
                    "\n".repeat(blanks % 7)
                );
                let mut parser = Parser::new();
                assert_eq!(parser.parse(moved.as_bytes()).unwrap(), expected);
                let cut = &moved.as_bytes()[..blanks + document.len() - 1];
                assert!(parser.parse(cut).is_err(), "{moved}");
            }
        }
    }

    #[test]
    fn known_shapes_change_nothing() {
        let documents = [
            r#"{"id":1,"name":"a","n":{"id":1,"name":[{"id":2,"name":null}]}}"#,
            r#"{"id":1,"name":"a","m":{"id":1,"nane":[{"id":2,"name":null}]}}"#,
            r#"{"id":1,"id":2,"n":3}"#,
            r#"{"id":1,"nam\u0065":2,"n":3}"#,
            r#"{"id":1,"name":2,"n":3}"#,
            r#"{"name":1,"id":2,"n":3}"#,
            r#"{"a_key_of_more_than_16_bytes":1,"a_key_of_more_than_16_bytez":2}"#,
            r#"{"a_key_of_more_than_16_bytes":1,"a_key_of_more_than_16_bytes":2}"#,
            r#"{"a_key_of_more_than_16_bytes":1,"a_key_of_more_than_16_bytes\n":2}"#,
            r#"{"0123456789abcdef":1,"0123456789abcde":2,"0123456789abcdefg":3}"#,
            r#"{"0123456789abcdef":1,"0123456789abcdeg":2,"0123456789abcdefg":3}"#,
        ];
        let mut parser = Parser::new();
        for step in [1, 3, 4, 7] {
            for i in 0..200 {
                // Twice in a row with a blank more: that is how a shape is learnt.
                let document = documents[i / 3 * step % documents.len()];
                let document = format!("{document}{}", " ".repeat(i % 3));
                let expected = Parser::new().parse(document.as_bytes()).unwrap().to_vec();
                assert_eq!(parser.parse(document.as_bytes()).unwrap(), expected);
            }
        }
    }

    #[test]
    fn limits_hold() {
        let mut parser = Parser::new();
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(parser.parse(&nested(1000)).is_ok());
        assert_eq!(error(nested(1001)), (TooDeep, 1000));
        assert_eq!(error(vec![b'['; 10_000_000]), (TooDeep, 1000));
        assert_eq!(error("{\"a\":".repeat(1_000_000)), (TooDeep, 5000));

        let string = |length: usize| format!("\"{}\"", "x".repeat(length));
        assert!(parser.parse(string(16_000_000).as_bytes()).is_ok());
        assert_eq!(error(string(16_000_001)), (StringTooLong, 0));
        assert_eq!(
            error(vec![b' '; MAX_DOCUMENT_BYTES + 1]),
            (DocumentTooLong, MAX_DOCUMENT_BYTES)
        );
        assert_eq!(
            error(vec![b' '; MAX_DOCUMENT_BYTES]),
            (Empty, MAX_DOCUMENT_BYTES)
        );
    }

    #[test]
    fn largest_array_stays_in_the_stored_form() {
        let mut parser = Parser::new();
        let document = format!("[{}1]", "1,".repeat((MAX_DOCUMENT_BYTES - 3) / 2));
        let length = parser.parse(document.as_bytes()).unwrap().len();
        assert!(length < crate::limits::MAX_CONTAINER_BYTES, "{length}");
        parser.trim();
        assert_eq!(
            parser.image.capacity() + parser.positions.capacity() + parser.text.capacity(),
            0
        );
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn image_is_laid_out_as_jsonb() {
        use crate::layout::{FLAG_ARRAY, FLAG_OBJECT, FLAG_SCALAR};
        let mut parser = Parser::new();
        // A scalar is an array of one element, here a numeric of 8 bytes: varlena header, short header, the digit 5.
        let image = parser.parse(b"5").unwrap();
        assert_eq!(
            words(image),
            [
                (5 * 4) << 2,
                FLAG_ARRAY | FLAG_SCALAR | 1,
                0x9000_0008,
                8 << 2,
                0x0005_8000
            ]
        );
        // Keys by length, then bytes; the first JEntry is an offset; the number is padded from 3 to 4.
        let image = parser.parse(br#"{"bb":1,"a":null}"#).unwrap();
        let numeric = [8 << 2, 0x0001_8000];
        let expected = [
            (9 * 4) << 2,
            FLAG_OBJECT | 2,
            0x8000_0001,
            2,
            0x4000_0000,
            0x1000_0009,
            u32::from_le_bytes(*b"abb\0"),
            numeric[0],
            numeric[1],
        ];
        assert_eq!(words(image), expected);
    }

    #[test]
    fn last_of_equal_keys_wins() {
        let mut parser = Parser::new();
        for keys in [1, 2, 20, 24, 25, 26, 500] {
            let pairs: Vec<String> = (0..3)
                .flat_map(|round| (0..keys).map(move |key| format!("\"key{key}\":{round}")))
                .collect();
            let once: Vec<String> = (0..keys)
                .map(|key| format!("\"k\\u0065y{key}\":2"))
                .collect();
            let image = parser
                .parse(format!("{{{}}}", pairs.join(",")).as_bytes())
                .unwrap()
                .to_vec();
            assert_eq!(
                image,
                parser
                    .parse(format!("{{{}}}", once.join(",")).as_bytes())
                    .unwrap()
            );
        }
    }

    #[test]
    fn equal_names_are_refused_where_that_is_asked_for() {
        let mut parser = Parser::new();
        let twice = br#"[{"a":1},{"b":{"c":1,"d":2,"\u0063":3}}]"#;
        for _ in 0..3 {
            let error = JsonError::new(EqualNames, 14);
            assert_eq!(parser.parse_unique(twice), Err(error));
            assert!(parser.parse(twice).is_ok());
            assert!(parser.parse_unique(br#"{"a":1,"b":{"a":1}}"#).is_ok());
            assert!(parser.validate(twice).is_ok());
        }
    }

    #[test]
    fn keys_that_share_a_beginning_are_ordered() {
        let mut parser = Parser::new();
        let long = "x".repeat(70_000);
        let keys = [
            "customer_b",
            "customer_a",
            "customer",
            "",
            "z",
            "aé",
            "ab\u{1}",
            &long,
            &format!("{long}a"),
            &format!("{long}b"),
            "ab",
        ];
        let document =
            serde_json::Value::Object(keys.iter().map(|&key| (key.to_owned(), 1.into())).collect())
                .to_string();
        let value = Value::from_image(parser.parse(document.as_bytes()).unwrap()).unwrap();
        let stored: Vec<&[u8]> = (0..value.len())
            .map(|i| value.attribute(i).unwrap().0)
            .collect();
        let mut expected: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
        expected.sort_by(|a, b| a.len().cmp(&b.len()).then(a.cmp(b)));
        assert_eq!(stored, expected);
    }

    #[test]
    fn big_objects_are_sorted_in_good_time() {
        let pairs: Vec<String> = (0..500_000)
            .rev()
            .map(|key| format!("\"same_prefix_{key:08}\":0"))
            .collect();
        let document = format!("{{{}}}", pairs.join(","));
        let started = std::time::Instant::now();
        assert!(Parser::new().parse(document.as_bytes()).is_ok());
        assert!(started.elapsed().as_secs() < 20);
    }

    #[test]
    fn buffers_carry_nothing_over() {
        let documents = [
            "[1.5,\"a\\tb\",{}]",
            "{\"a\":1,\"bcd\":[null,2]}",
            "bad",
            "\"x\"",
            "",
            "{\"a\":1,\"bcd\":[null,2]} ",
        ];
        let mut parser = Parser::new();
        for _ in 0..3 {
            for a in documents {
                for b in documents {
                    for document in [a, b, a] {
                        let expected = Parser::new().parse(document.as_bytes()).map(<[u8]>::to_vec);
                        assert_eq!(
                            parser.validate(document.as_bytes()),
                            expected.as_ref().map(|_| ()).map_err(|&e| e)
                        );
                        assert_eq!(
                            parser.parse(document.as_bytes()).map(<[u8]>::to_vec),
                            expected
                        );
                    }
                }
            }
        }
    }

    /// What the image says, with numbers as their bytes.
    fn same(stored: Value<'_>, expected: &serde_json::Value, parser: &mut Parser) -> bool {
        use serde_json::Value as Json;
        match expected {
            Json::Null => stored.kind() == Kind::Null,
            Json::Bool(value) => stored.as_bool() == Some(*value),
            Json::String(value) => stored.as_str() == Some(value),
            Json::Number(value) => {
                let image = parser.parse(value.to_string().as_bytes()).unwrap();
                stored.as_numeric() == Value::from_image(image).unwrap().as_numeric()
            }
            Json::Array(values) => {
                stored.kind() == Kind::Array
                    && stored.len() == values.len()
                    && values
                        .iter()
                        .enumerate()
                        .all(|(i, value)| same(stored.element(i).unwrap(), value, parser))
            }
            Json::Object(map) => {
                stored.kind() == Kind::Object
                    && stored.len() == map.len()
                    && map.iter().all(|(key, value)| {
                        same(stored.get(key.as_bytes()).unwrap(), value, parser)
                    })
            }
        }
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(
                |f| serde_json::Number::from_f64(f).map_or(serde_json::Value::Null, Into::into)
            ),
            "[^\\x00]{0,20}".prop_map(Into::into),
        ];
        leaf.prop_recursive(6, 300, 40, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..40).prop_map(Into::into),
                prop::collection::vec(("[a-c\\n\"é]{0,3}", inner), 0..40)
                    .prop_map(|pairs| serde_json::Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn serialized_values_come_back(value in any_json()) {
            let mut parser = Parser::new();
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let image = parser.parse(text.as_bytes()).unwrap().to_vec();
                prop_assert!(same(Value::from_image(&image).unwrap(), &value, &mut Parser::new()));
            }
        }
    }

    #[test]
    fn random_bytes_never_panic() {
        let mut state = 42u64;
        let mut random = move || {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 33) as usize
        };
        let alphabet = b"{}[]\",:\\u0123456789.eE+-truefalsn \n\t\0\x1f\x80\xc3\xa9\xed";
        let seed =
            br#"{"a":[1,-2.50e3,"\u00e9\ud83d\ude00",null,true],"bb":{"c":{"d":[[[]]]}},"a":"x"}"#;
        let mut parser = Parser::new();
        for round in 0..300_000 {
            let document: Vec<u8> = if round % 2 == 0 {
                (0..random() % 40)
                    .map(|_| alphabet[random() % alphabet.len()])
                    .collect()
            } else {
                let mut document = seed.to_vec();
                for _ in 0..1 + random() % 3 {
                    let at = random() % document.len();
                    document[at] = alphabet[random() % alphabet.len()];
                }
                document.truncate(1 + random() % document.len());
                document
            };
            let ours = parser
                .parse(&document)
                .map(|_| ())
                .map_err(|error| error.kind);
            let peer = serde_json::from_slice::<serde_json::Value>(&document);
            // Known differences: serde_json takes \u0000, numbers that numeric cannot show, and no numbers beyond a double.
            let known = matches!(ours, Err(NulCharacter | NumberOutOfRange))
                || peer
                    .as_ref()
                    .is_err_and(|error| error.to_string().contains("out of range"));
            let plain = std::str::from_utf8(&document).is_ok() && diagnose(&document).is_ok();
            assert_eq!(
                ours.is_ok(),
                plain,
                "{:?}",
                String::from_utf8_lossy(&document)
            );
            assert!(
                known || ours.is_ok() == peer.is_ok(),
                "{:?} {ours:?} {peer:?}",
                String::from_utf8_lossy(&document)
            );
        }
    }
}
