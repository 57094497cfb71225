//! New arrays and objects from values that exist, without a detour by JSON text.

use crate::layout::*;
use crate::limits::MAX_CONTAINER_BYTES;
use crate::value::Value;

/// The image of an array of `elements`; `None` where it would be too long for the stored form.
pub fn array(elements: &[Value<'_>]) -> Option<Vec<u8>> {
    let mut image = Image::new(FLAG_ARRAY, elements.len(), elements.len())?;
    for element in elements {
        image.push(*element)?;
    }
    Some(image.finish())
}

/// The image of an object; the last of equal names wins. `None` where it would be too long for the stored form.
pub fn object(mut attributes: Vec<(&[u8], Value<'_>)>) -> Option<Vec<u8>> {
    // The sort is stable: of equal names the last one stays last.
    attributes.sort_by(|(a, _), (b, _)| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    let is_last = |index: usize| {
        attributes
            .get(index + 1)
            .is_none_or(|(next, _)| *next != attributes[index].0)
    };
    let kept: Vec<(&[u8], Value<'_>)> = (0..attributes.len())
        .filter(|&index| is_last(index))
        .map(|index| attributes[index])
        .collect();
    let mut image = Image::new(FLAG_OBJECT, kept.len(), 2 * kept.len())?;
    for (name, _) in &kept {
        image.push(Value::string(name)?)?;
    }
    for (_, value) in &kept {
        image.push(*value)?;
    }
    Some(image.finish())
}

/// A container under construction.
struct Image {
    bytes: Vec<u8>,
    /// Where the next JEntry goes.
    entry: usize,
    /// JEntries written.
    index: usize,
    /// Where the children's bytes begin.
    children: usize,
}

impl Image {
    fn new(flag: u32, count: usize, entries: usize) -> Option<Self> {
        (count <= COUNT_MASK as usize).then_some(())?;
        let entry = VARLENA_HEADER + 4;
        let children = entry + 4 * entries;
        let mut bytes = vec![0; children];
        bytes[VARLENA_HEADER..entry].copy_from_slice(&(flag | count as u32).to_ne_bytes());
        Some(Image {
            bytes,
            entry,
            index: 0,
            children,
        })
    }

    fn push(&mut self, value: Value<'_>) -> Option<()> {
        let before = self.bytes.len();
        let kind = value.append(&mut self.bytes);
        let total = self.bytes.len() - self.children;
        (total <= MAX_CONTAINER_BYTES).then_some(())?;
        let entry = if self.index.is_multiple_of(OFFSET_STRIDE) {
            kind | total as u32 | ENTRY_HAS_OFFSET
        } else {
            kind | (self.bytes.len() - before) as u32
        };
        self.bytes[self.entry..self.entry + 4].copy_from_slice(&entry.to_ne_bytes());
        self.entry += 4;
        self.index += 1;
        Some(())
    }

    fn finish(mut self) -> Vec<u8> {
        let header = varlena_header(self.bytes.len());
        self.bytes[..VARLENA_HEADER].copy_from_slice(&header);
        self.bytes
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
                array(&values).unwrap(),
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
                object(attributes.collect()).unwrap(),
                image(&format!("{{{}}}", pairs.join(",")))
            );
        }
    }
}
