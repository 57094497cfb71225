//! Reads the stored form. Every access is checked against the bytes there are: a malformed image gives `None`, never a panic.

use crate::container::{Attributes, Children, Container};
use crate::layout::*;
use crate::limits::MAX_STRING_BYTES;
use crate::memory::{self, Limit};
use crate::number::Number;
use crate::pace;

/// Bytes of a scalar's image before the scalar: varlena header, container header, JEntry.
const SCALAR_HEADER: usize = VARLENA_HEADER + 8;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// JSON null.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A number of any size.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// A value inside of an image, which it borrows.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a>(pub(crate) Stored<'a>);

#[derive(Debug, Clone, Copy)]
pub(crate) enum Stored<'a> {
    Null,
    Boolean(bool),
    Number(&'a [u8]),
    String(&'a [u8]),
    Array(Container<'a>),
    Object(Container<'a>),
}

impl<'a> Value<'a> {
    /// The value of a complete image, four-byte varlena header included; `None` if it is not one.
    pub fn from_image(image: &'a [u8]) -> Option<Self> {
        let header = image.first_chunk()?;
        (varlena_length(*header)? == image.len()).then_some(())?;
        Self::from_body(&image[VARLENA_HEADER..])
    }

    /// The value of an image without its varlena header, which may stand at any address.
    pub fn from_body(body: &'a [u8]) -> Option<Self> {
        let root = Container::new(body)?;
        if root.header & FLAG_SCALAR == 0 {
            return root.value();
        }
        (root.header & FLAG_ARRAY != 0 && root.count() == 1).then_some(())?;
        root.child(0)
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        match self.0 {
            Stored::Null => Kind::Null,
            Stored::Boolean(_) => Kind::Boolean,
            Stored::Number(_) => Kind::Number,
            Stored::String(_) => Kind::String,
            Stored::Array(_) => Kind::Array,
            Stored::Object(_) => Kind::Object,
        }
    }

    /// The boolean that it is.
    pub fn as_bool(&self) -> Option<bool> {
        if let Stored::Boolean(value) = self.0 {
            Some(value)
        } else {
            None
        }
    }

    /// The bytes of the string that it is.
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        if let Stored::String(bytes) = self.0 {
            Some(bytes)
        } else {
            None
        }
    }

    /// The string that it is.
    pub fn as_str(&self) -> Option<&'a str> {
        self.as_bytes()
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// The number that it is: a Postgres numeric with its four-byte varlena header, at whatever alignment the image has.
    pub fn as_numeric(&self) -> Option<&'a [u8]> {
        if let Stored::Number(bytes) = self.0 {
            Some(bytes)
        } else {
            None
        }
    }

    /// Bytes of its own image.
    pub fn image_len(&self) -> usize {
        match self.0 {
            Stored::Array(container) | Stored::Object(container) => {
                VARLENA_HEADER + 4 + container.rest.len()
            }
            Stored::String(bytes) | Stored::Number(bytes) => SCALAR_HEADER + bytes.len(),
            Stored::Null | Stored::Boolean(_) => SCALAR_HEADER,
        }
    }

    /// Its own image in two parts, the headers and the bytes after them: [`image_len`](Self::image_len) bytes together.
    pub fn image_parts(&self) -> (Headers, &'a [u8]) {
        let mut headers = Headers {
            bytes: [0; SCALAR_HEADER],
            length: VARLENA_HEADER,
        };
        headers.bytes[..VARLENA_HEADER].copy_from_slice(&varlena_header(self.image_len()));
        let (kind, bytes) = match self.0 {
            Stored::Array(container) | Stored::Object(container) => {
                headers.push(container.header);
                return (headers, container.rest);
            }
            Stored::Null => (ENTRY_NULL, &[][..]),
            Stored::Boolean(false) => (ENTRY_FALSE, &[][..]),
            Stored::Boolean(true) => (ENTRY_TRUE, &[][..]),
            Stored::Number(bytes) => (ENTRY_NUMERIC, bytes),
            Stored::String(bytes) => (ENTRY_STRING, bytes),
        };
        headers.push(FLAG_ARRAY | FLAG_SCALAR | 1);
        headers.push(kind | bytes.len() as u32 | ENTRY_HAS_OFFSET);
        (headers, bytes)
    }

    /// Its own image.
    ///
    /// # Errors
    /// [`Limit::Memory`].
    pub fn to_image(&self) -> Result<Vec<u8>, Limit> {
        let (headers, bytes) = self.image_parts();
        let mut image = memory::with_room(self.image_len())?;
        image.extend_from_slice(headers.as_slice());
        pace::pieces(bytes).for_each(|piece| image.extend_from_slice(piece));
        Ok(image)
    }

    /// Appends its bytes as a child of a container, padding before them included, to `out`, whose words are aligned as in an image; the type bits of
    /// its JEntry.
    pub(crate) fn append(&self, out: &mut Vec<u8>) -> Result<u32, Limit> {
        // At most three bytes of padding and a header.
        let more = 8 + self.image_len();
        out.try_reserve(more).map_err(|_| Limit::Memory)?;
        let align = |out: &mut Vec<u8>| out.resize(out.len().next_multiple_of(4), 0);
        let copy =
            |out: &mut Vec<u8>, bytes| pace::pieces(bytes).for_each(|b| out.extend_from_slice(b));
        Ok(match self.0 {
            Stored::Null => ENTRY_NULL,
            Stored::Boolean(false) => ENTRY_FALSE,
            Stored::Boolean(true) => ENTRY_TRUE,
            Stored::Number(bytes) => {
                align(out);
                copy(out, bytes);
                ENTRY_NUMERIC
            }
            Stored::Array(container) | Stored::Object(container) => {
                align(out);
                out.extend_from_slice(&container.header.to_ne_bytes());
                copy(out, container.rest);
                ENTRY_CONTAINER
            }
            Stored::String(bytes) => {
                copy(out, bytes);
                ENTRY_STRING
            }
        })
    }

    /// JSON's null, which is in no image yet.
    pub fn null() -> Self {
        Value(Stored::Null)
    }

    /// A boolean that is in no image yet.
    pub fn boolean(value: bool) -> Self {
        Value(Stored::Boolean(value))
    }

    /// A string that is in no image yet; `None` if it is too long. It has to be UTF-8.
    pub fn string(bytes: &'a [u8]) -> Option<Self> {
        (bytes.len() <= MAX_STRING_BYTES).then_some(Value(Stored::String(bytes)))
    }

    /// A number that is in no image yet: a finite numeric with its four-byte varlena header.
    pub fn number(numeric: &'a [u8]) -> Option<Self> {
        Number::new(numeric).map(|_| Value(Stored::Number(numeric)))
    }

    /// Elements of an array or attributes of an object; 0 for a scalar.
    pub fn len(&self) -> usize {
        match self.0 {
            Stored::Array(container) | Stored::Object(container) => container.count(),
            _ => 0,
        }
    }

    /// Whether there is nothing inside.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The attribute of that name, if it is an object that has it.
    pub fn get(&self, key: &[u8]) -> Option<Value<'a>> {
        let Stored::Object(container) = self.0 else {
            return None;
        };
        let pairs = container.count();
        let (mut low, mut high) = (0, pairs);
        while low < high {
            let middle = low + (high - low) / 2;
            let found = container.bytes(middle)?;
            match found.len().cmp(&key.len()).then_with(|| found.cmp(key)) {
                std::cmp::Ordering::Equal => return container.child(pairs + middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// The element at `index`, counted from 0, if it is an array that long.
    pub fn element(&self, index: usize) -> Option<Value<'a>> {
        let Stored::Array(container) = self.0 else {
            return None;
        };
        (index < container.count()).then_some(())?;
        container.child(index)
    }

    /// The elements of an array in order; nothing for what is none. Faster than one [`element`](Self::element) after the other.
    pub fn elements(&self) -> Children<'a> {
        match self.0 {
            Stored::Array(container) => Children::new(container, 0, container.count()),
            _ => Children::none(),
        }
    }

    /// The attributes of an object, name and value, in the stored order; nothing for what is none.
    pub fn attributes(&self) -> Attributes<'a> {
        match self.0 {
            Stored::Object(container) => Attributes::new(container),
            _ => Attributes::none(),
        }
    }

    /// The name and value of the attribute at `index` in the stored order, if it is an object that has so many.
    pub fn attribute(&self, index: usize) -> Option<(&'a [u8], Value<'a>)> {
        let Stored::Object(container) = self.0 else {
            return None;
        };
        let pairs = container.count();
        (index < pairs).then_some(())?;
        Some((container.bytes(index)?, container.child(pairs + index)?))
    }
}

/// The words before a value's bytes in an image of its own.
pub struct Headers {
    bytes: [u8; SCALAR_HEADER],
    length: usize,
}

impl Headers {
    fn push(&mut self, word: u32) {
        let end = self.length + 4;
        self.bytes[self.length..end].copy_from_slice(&word.to_ne_bytes());
        self.length = end;
    }

    /// Their bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Parser;

    #[test]
    fn scalars_are_read_back() {
        let mut parser = Parser::new();
        let mut root = |json: &str| {
            let image = parser.parse(json.as_bytes()).unwrap().to_vec();
            let value = Value::from_image(&image).unwrap();
            (
                value.kind(),
                value.as_bool(),
                value.as_str().map(str::to_owned),
                value.as_numeric().map(<[u8]>::len),
            )
        };
        assert_eq!(root("null"), (Kind::Null, None, None, None));
        assert_eq!(root("true"), (Kind::Boolean, Some(true), None, None));
        assert_eq!(
            root("\"é\\n\""),
            (Kind::String, None, Some("é\n".into()), None)
        );
        assert_eq!(root("12345"), (Kind::Number, None, None, Some(4 + 2 + 4)));
        assert_eq!(root("[]"), (Kind::Array, None, None, None));
        assert_eq!(root("{}"), (Kind::Object, None, None, None));
    }

    #[test]
    fn paths_lead_to_values() {
        let mut parser = Parser::new();
        let value = Value::from_image(
            parser
                .parse(br#"{"bb":[1,{"x":"y"}],"a":false,"bb2":null}"#)
                .unwrap(),
        )
        .unwrap();
        assert_eq!(value.len(), 3);
        assert_eq!(
            value
                .get(b"bb")
                .unwrap()
                .element(1)
                .unwrap()
                .get(b"x")
                .unwrap()
                .as_str(),
            Some("y")
        );
        assert_eq!(value.get(b"bb2").unwrap().kind(), Kind::Null);
        assert!(value.get(b"c").is_none());
        assert!(value.element(0).is_none());
        assert!(value.get(b"bb").unwrap().element(2).is_none());
        let names: Vec<_> = (0..3).map(|i| value.attribute(i).unwrap().0).collect();
        assert_eq!(names, [b"a".as_slice(), b"bb", b"bb2"]);
        assert!(value.attribute(3).is_none());
    }

    #[test]
    fn long_containers_are_read_across_strides() {
        let mut parser = Parser::new();
        let json = format!(
            "[{}]",
            (0..1000)
                .map(|i| format!("\"{}\"", "x".repeat(i % 7)))
                .collect::<Vec<_>>()
                .join(",")
        );
        let value = Value::from_image(parser.parse(json.as_bytes()).unwrap()).unwrap();
        for i in 0..1000 {
            assert_eq!(value.element(i).unwrap().as_bytes().unwrap().len(), i % 7);
        }
        let lengths = value.elements().map(|e| e.as_bytes().unwrap().len());
        assert!(lengths.eq((0..1000).map(|i| i % 7)));
        let json = format!(
            "{{{}}}",
            (0..1000)
                .map(|i| format!("\"k{i}\":\"v{i}\""))
                .collect::<Vec<_>>()
                .join(",")
        );
        let value = Value::from_image(parser.parse(json.as_bytes()).unwrap()).unwrap();
        for i in 0..1000 {
            assert_eq!(
                value.get(format!("k{i}").as_bytes()).unwrap().as_str(),
                Some(format!("v{i}").as_str())
            );
        }
        let mut each = value.attributes();
        for i in 0..1000 {
            let (name, of_name) = value.attribute(i).unwrap();
            let (next, of_next) = each.next().unwrap();
            assert_eq!((name, of_name.as_bytes()), (next, of_next.as_bytes()));
        }
        assert!(each.next().is_none() && value.elements().next().is_none());
    }

    #[test]
    fn parts_make_images_of_their_own() {
        let parts = [
            "null",
            "true",
            "false",
            "1",
            "-2.50",
            "\"\"",
            "\"xyz\"",
            "[]",
            "[1,[2]]",
            "{}",
            "{\"a\":{\"b\":1},\"cc\":\"d\"}",
        ];
        let whole = format!("[\"x\",{}]", parts.join(",\"pad\","));
        let image = Parser::new().parse(whole.as_bytes()).unwrap().to_vec();
        let value = Value::from_image(&image).unwrap();
        for (i, part) in parts.iter().enumerate() {
            let child = value.element(1 + 2 * i).unwrap();
            let out = child.to_image().unwrap();
            assert_eq!(out.len(), child.image_len());
            assert_eq!(out, Parser::new().parse(part.as_bytes()).unwrap(), "{part}");
        }
    }

    /// Reads everything there is, to a bound.
    fn walk(value: Value<'_>, budget: &mut usize) {
        let each = value.elements().chain(value.attributes().map(|(_, v)| v));
        assert!(each.take(100).all(|child| child.len() < 1 << 28));
        for index in 0..value.len() {
            if *budget == 0 {
                return;
            }
            *budget -= 1;
            value.element(index).inspect(|&child| walk(child, budget));
            value.attribute(index).inspect(|&(name, child)| {
                value.get(name);
                walk(child, budget);
            });
        }
    }

    #[test]
    fn malformed_images_are_no_danger() {
        let mut parser = Parser::new();
        let image = parser
            .parse(br#"{"a":[1,2.5,"three",null,true],"bb":{"c":{"d":[[[]]]}},"ccc":-17}"#)
            .unwrap()
            .to_vec();
        let mut state = 1u64;
        let mut random = move || {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 33) as usize
        };
        for _ in 0..200_000 {
            let mut bad = image.clone();
            for _ in 0..1 + random() % 4 {
                let at = random() % bad.len();
                bad[at] = random() as u8;
            }
            bad.truncate(4 + random() % (bad.len() - 3));
            Value::from_image(&bad).inspect(|&value| walk(value, &mut 100));
            Value::from_body(&bad[4..]).inspect(|&value| walk(value, &mut 100));
        }
        assert!(Value::from_image(&[]).is_none());
        assert!(Value::from_body(&[1, 2]).is_none());
    }
}
