//! A text cut at a delimiter.

use crate::pace;

/// Bytes that are searched without a question in between, at least.
const WINDOW: usize = 256 * 1024;

/// The parts of `text` between delimiters, as `str::split` gives them; the whole text where the delimiter is empty.
///
/// `str::split` looks through a gigabyte without delimiters in one step.
#[derive(Debug, Clone)]
pub struct Split<'a> {
    rest: Option<&'a str>,
    delimiter: &'a str,
}

/// See [`Split`].
pub fn split<'a>(text: &'a str, delimiter: &'a str) -> Split<'a> {
    Split {
        rest: Some(text),
        delimiter,
    }
}

impl<'a> Iterator for Split<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        let length = self.delimiter.len();
        let mut from = 0;
        while length > 0 && rest.len() - from >= length {
            // A delimiter that begins in one window ends in it: the next one begins so much earlier.
            let wanted = from + WINDOW + 2 * length;
            let to = rest.floor_char_boundary(wanted.min(rest.len()));
            if let Some(found) = rest[from..to].find(self.delimiter) {
                self.rest = Some(&rest[from + found + length..]);
                return Some(&rest[..from + found]);
            }
            if to == rest.len() {
                break;
            }
            from = rest.floor_char_boundary(to - length);
            pace::ask();
        }
        self.rest = None;
        Some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn windows_make_no_difference() {
        for delimiter in [",", "\u{20ac}", "ab", "aab"] {
            for before in [
                0,
                1,
                WINDOW - 2,
                WINDOW - 1,
                WINDOW,
                WINDOW + 1,
                2 * WINDOW + 3,
            ] {
                for filling in ["a", "\u{20ac}"] {
                    let filling = filling.repeat(before);
                    let text = format!("{filling}{delimiter}{filling}{delimiter}x");
                    let parts: Vec<&str> = split(&text, delimiter).collect();
                    assert_eq!(parts, text.split(delimiter).collect::<Vec<_>>());
                }
            }
        }
        assert_eq!(split("abc", "").collect::<Vec<_>>(), ["abc"]);
        assert_eq!(split("", ",").collect::<Vec<_>>(), [""]);
    }

    proptest! {
        #[test]
        fn parts_are_those_of_the_standard_library(text in "[ab\u{20ac}]{0,30}", delimiter in "[ab\u{20ac}]{1,3}") {
            let parts: Vec<&str> = split(&text, &delimiter).collect();
            prop_assert_eq!(parts, text.split(delimiter.as_str()).collect::<Vec<_>>());
        }
    }
}
