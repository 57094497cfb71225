//! Reads the stored form. Every access is checked against the bytes there are: a malformed image gives `None`, never a panic.

use crate::layout::*;
use crate::limits::MAX_STRING_BYTES;
use crate::number::Number;

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
pub struct Value<'a>(Stored<'a>);

#[derive(Debug, Clone, Copy)]
enum Stored<'a> {
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

    /// Writes its own image to `out`, which is [`image_len`](Self::image_len) bytes long; it panics if it is not.
    pub fn write_image(&self, out: &mut [u8]) {
        let length = self.image_len();
        assert_eq!(out.len(), length);
        out[..VARLENA_HEADER].copy_from_slice(&varlena_header(length));
        let (header, bytes) = match self.0 {
            Stored::Array(container) | Stored::Object(container) => {
                out[VARLENA_HEADER..VARLENA_HEADER + 4]
                    .copy_from_slice(&container.header.to_ne_bytes());
                return out[VARLENA_HEADER + 4..].copy_from_slice(container.rest);
            }
            Stored::Null => (ENTRY_NULL, &[][..]),
            Stored::Boolean(false) => (ENTRY_FALSE, &[][..]),
            Stored::Boolean(true) => (ENTRY_TRUE, &[][..]),
            Stored::Number(bytes) => (ENTRY_NUMERIC, bytes),
            Stored::String(bytes) => (ENTRY_STRING, bytes),
        };
        let entry = header | bytes.len() as u32 | ENTRY_HAS_OFFSET;
        out[VARLENA_HEADER..VARLENA_HEADER + 4]
            .copy_from_slice(&(FLAG_ARRAY | FLAG_SCALAR | 1).to_ne_bytes());
        out[VARLENA_HEADER + 4..SCALAR_HEADER].copy_from_slice(&entry.to_ne_bytes());
        out[SCALAR_HEADER..].copy_from_slice(bytes);
    }

    /// Appends its bytes as a child of a container, padding before them included, to `out`, whose words are aligned as in an image; the type bits of
    /// its JEntry.
    pub(crate) fn append(&self, out: &mut Vec<u8>) -> u32 {
        let mut aligned = |parts: [&[u8]; 2]| {
            out.resize(out.len().next_multiple_of(4), 0);
            parts.iter().for_each(|part| out.extend_from_slice(part));
        };
        match self.0 {
            Stored::Null => ENTRY_NULL,
            Stored::Boolean(false) => ENTRY_FALSE,
            Stored::Boolean(true) => ENTRY_TRUE,
            Stored::Number(bytes) => {
                aligned([bytes, &[]]);
                ENTRY_NUMERIC
            }
            Stored::Array(container) | Stored::Object(container) => {
                aligned([&container.header.to_ne_bytes(), container.rest]);
                ENTRY_CONTAINER
            }
            Stored::String(bytes) => {
                out.extend_from_slice(bytes);
                ENTRY_STRING
            }
        }
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

/// An array or object: its header, and everything after that.
#[derive(Debug, Clone, Copy)]
struct Container<'a> {
    header: u32,
    /// JEntries, then the children's bytes. It may go on after the container.
    rest: &'a [u8],
}

impl<'a> Container<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk()?;
        Some(Container {
            header: u32::from_ne_bytes(*header),
            rest,
        })
    }

    fn value(self) -> Option<Value<'a>> {
        match self.header & (FLAG_ARRAY | FLAG_OBJECT) {
            FLAG_ARRAY => Some(Value(Stored::Array(self))),
            FLAG_OBJECT => Some(Value(Stored::Object(self))),
            _ => None,
        }
    }

    /// Elements or pairs.
    fn count(&self) -> usize {
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
    fn bytes(&self, index: usize) -> Option<&'a [u8]> {
        let (start, end, kind) = self.extent(index)?;
        (kind == ENTRY_STRING).then_some(())?;
        self.slice(start, end)
    }

    fn child(&self, index: usize) -> Option<Value<'a>> {
        let (start, end, kind) = self.extent(index)?;
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
            let mut out = vec![0xAA; child.image_len()];
            child.write_image(&mut out);
            assert_eq!(out, Parser::new().parse(part.as_bytes()).unwrap(), "{part}");
        }
    }

    /// Reads everything there is, to a bound.
    fn walk(value: Value<'_>, budget: &mut usize) {
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
