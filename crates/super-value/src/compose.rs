//! New arrays and objects from values that exist, without a detour by JSON text.

use crate::layout::*;
use crate::limits::MAX_CONTAINER_BYTES;
use crate::memory::{self, Limit};
use crate::pace::Pace;
use crate::value::Value;

/// The image of an array of `count` elements, which are what `elements` gives.
///
/// # Errors
/// [`Limit::Length`] where it would be too long for the stored form, [`Limit::Memory`].
pub fn array<'a>(
    count: usize,
    elements: impl Iterator<Item = Value<'a>>,
) -> Result<Vec<u8>, Limit> {
    let mut image = Image::new()?;
    let mut array = image.begin_array(count)?;
    for element in elements {
        image.put(&mut array, element)?;
    }
    image.finish(array)
}

/// The image of an object; the last of equal names wins.
///
/// # Errors
/// As [`array()`].
pub fn object(attributes: &mut [(&[u8], Value<'_>)]) -> Result<Vec<u8>, Limit> {
    // The sort is stable: of equal names the last one stays last. Its attributes are arguments of a call, a few.
    attributes.sort_by(|(a, _), (b, _)| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    let is_last = |index: &usize| {
        attributes
            .get(index + 1)
            .is_none_or(|(next, _)| *next != attributes[*index].0)
    };
    let kept = (0..attributes.len()).filter(is_last);
    let mut image = Image::new()?;
    let mut object = image.begin_object(kept.clone().count())?;
    for index in kept.clone() {
        image.put_name(&mut object, attributes[index].0)?;
    }
    for index in kept {
        image.put(&mut object, attributes[index].1)?;
    }
    image.finish(object)
}

/// An image under construction: containers are begun and ended, one within the other, and their children put into them in order.
pub(crate) struct Image {
    bytes: Vec<u8>,
    pace: Pace,
}

/// A container that is not complete.
pub(crate) struct Open {
    /// Where its bytes begin as a child of the container around it, padding included.
    from: usize,
    /// Where the next JEntry goes.
    entry: usize,
    /// JEntries written.
    index: usize,
    /// Where the children's bytes begin.
    children: usize,
}

impl Image {
    pub(crate) fn new() -> Result<Self, Limit> {
        let mut bytes = Vec::new();
        memory::extend(&mut bytes, &[0; VARLENA_HEADER])?;
        Ok(Image {
            bytes,
            pace: Pace::new(),
        })
    }

    pub(crate) fn begin_array(&mut self, count: usize) -> Result<Open, Limit> {
        self.begin(FLAG_ARRAY, count, count)
    }

    /// All names are put first, in order, then the values.
    pub(crate) fn begin_object(&mut self, count: usize) -> Result<Open, Limit> {
        self.begin(FLAG_OBJECT, count, count.saturating_mul(2))
    }

    fn begin(&mut self, flag: u32, count: usize, entries: usize) -> Result<Open, Limit> {
        // So many entries alone would be too long; and a count has 28 bits.
        if entries > MAX_CONTAINER_BYTES / 4 {
            return Err(Limit::Length);
        }
        let from = self.bytes.len();
        let header = from.next_multiple_of(4);
        memory::extend_by(&mut self.bytes, header - from, 0)?;
        memory::extend(&mut self.bytes, &(flag | count as u32).to_ne_bytes())?;
        memory::extend_by(&mut self.bytes, 4 * entries, 0)?;
        Ok(Open {
            from,
            entry: header + 4,
            index: 0,
            children: header + 4 + 4 * entries,
        })
    }

    /// A value is the next child of `into`.
    pub(crate) fn put(&mut self, into: &mut Open, value: Value<'_>) -> Result<(), Limit> {
        self.pace.step();
        let from = self.bytes.len();
        if value.image_len() > MAX_CONTAINER_BYTES {
            return Err(Limit::Length);
        }
        let kind = value.append(&mut self.bytes)?;
        self.put_entry(into, kind, from)
    }

    /// A name is the next child of `into`.
    pub(crate) fn put_name(&mut self, into: &mut Open, name: &[u8]) -> Result<(), Limit> {
        self.put(into, Value::string(name).ok_or(Limit::Length)?)
    }

    /// `child`, which is complete, was the next child of `into`.
    pub(crate) fn end(&mut self, child: Open, into: &mut Open) -> Result<(), Limit> {
        self.put_entry(into, ENTRY_CONTAINER, child.from)
    }

    fn put_entry(&mut self, into: &mut Open, kind: u32, from: usize) -> Result<(), Limit> {
        let total = self.bytes.len() - into.children;
        if total > MAX_CONTAINER_BYTES {
            return Err(Limit::Length);
        }
        let entry = if into.index.is_multiple_of(OFFSET_STRIDE) {
            kind | total as u32 | ENTRY_HAS_OFFSET
        } else {
            kind | (self.bytes.len() - from) as u32
        };
        self.bytes[into.entry..into.entry + 4].copy_from_slice(&entry.to_ne_bytes());
        into.entry += 4;
        into.index += 1;
        Ok(())
    }

    /// The image whose only container is `root`, complete.
    pub(crate) fn finish(mut self, root: Open) -> Result<Vec<u8>, Limit> {
        debug_assert_eq!(root.entry, root.children);
        let header = varlena_header(self.bytes.len());
        self.bytes[..VARLENA_HEADER].copy_from_slice(&header);
        Ok(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Parser;

    fn image(json: &str) -> Vec<u8> {
        Parser::new().parse(json.as_bytes()).unwrap().to_vec()
    }

    #[test]
    fn composed_images_are_those_of_the_parser() {
        let elements = [
            "1",
            "\"a\"",
            "null",
            "[1,[2.50],{\"k\":\"v\"}]",
            "true",
            "\"xyz\"",
            "{}",
            "-5.25",
            "false",
            "{\"a\":[1,2]}",
        ];
        for count in [0, 1, 5, 10, 31, 32, 33, 100] {
            let json: Vec<&str> = elements.iter().cycle().copied().take(count).collect();
            let images: Vec<Vec<u8>> = json.iter().map(|json| image(json)).collect();
            let values: Vec<Value<'_>> = images
                .iter()
                .map(|image| Value::from_image(image).unwrap())
                .collect();
            assert_eq!(
                array(values.len(), values.iter().copied()).unwrap(),
                image(&format!("[{}]", json.join(",")))
            );

            let names: Vec<String> = (0..count).map(|i| format!("name{}", i % 70)).collect();
            let attributes = names
                .iter()
                .map(String::as_bytes)
                .zip(values.iter().copied());
            let pairs: Vec<String> = names
                .iter()
                .zip(&json)
                .map(|(name, json)| format!("\"{name}\":{json}"))
                .collect();
            assert_eq!(
                object(&mut attributes.collect::<Vec<_>>()).unwrap(),
                image(&format!("{{{}}}", pairs.join(",")))
            );
        }
    }

    #[test]
    fn what_the_stored_form_cannot_count_is_refused_before_memory_is_asked_for() {
        let endless = std::iter::repeat(Value::null());
        assert_eq!(array(usize::MAX, endless), Err(Limit::Length));
        let piece = vec![b'x'; 16_000_000];
        let long = std::iter::repeat_n(Value::string(&piece).unwrap(), 17);
        assert_eq!(array(17, long), Err(Limit::Length));
    }
}
