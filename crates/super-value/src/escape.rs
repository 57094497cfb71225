//! Escape sequences in strings: whether they are right, and what they stand for.

/// Checks escapes in document order, because the halves of a surrogate pair belong together.
#[derive(Debug, Default)]
pub(crate) struct Escapes {
    /// After the last high surrogate that was followed by a low one: where that stands.
    low_surrogate: Option<usize>,
}

impl Escapes {
    /// Checks the one whose backslash is at `at`; `None` if it is wrong.
    pub(crate) fn check(&mut self, text: &[u8], at: usize) -> Option<()> {
        match text.get(at + 1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => match unit(text, at)? {
                // No Postgres string can hold it.
                0 => None,
                0xD800..=0xDBFF => {
                    let low = unit(text, at + 6)?;
                    self.low_surrogate = Some(at + 6);
                    (0xDC00..=0xDFFF).contains(&low).then_some(())
                }
                0xDC00..=0xDFFF => (self.low_surrogate == Some(at)).then_some(()),
                _ => Some(()),
            },
            _ => None,
        }
    }
}

/// The UTF-16 code unit of `\u` and four hexadecimal digits at `at`.
fn unit(text: &[u8], at: usize) -> Option<u32> {
    let [b'\\', b'u', digits @ ..] = text.get(at..at + 6)? else {
        return None;
    };
    digits.iter().try_fold(0, |value, &c| {
        Some(value << 4 | char::from(c).to_digit(16)?)
    })
}

/// Writes what `string`, all of whose escapes are right, stands for to the beginning of `out`, which has as many bytes; how many were written.
pub(crate) fn resolve(string: &[u8], out: &mut [u8]) -> usize {
    let (mut from, mut to) = (0, 0);
    loop {
        let rest = &string[from..];
        let plain = rest.iter().position(|&c| c == b'\\');
        let length = plain.unwrap_or(rest.len());
        out[to..to + length].copy_from_slice(&rest[..length]);
        to += length;
        from += length;
        if plain.is_none() {
            return to;
        }
        let byte = match string.get(from + 1) {
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                let (character, length) = character(string, from);
                to += character.encode_utf8(&mut out[to..]).len();
                from += length;
                continue;
            }
            Some(&same) => same,
            None => return to,
        };
        out[to] = byte;
        to += 1;
        from += 2;
    }
}

/// The character of the `\u` escape at `at`, and how long the escape is.
fn character(string: &[u8], at: usize) -> (char, usize) {
    let high = unit(string, at).unwrap_or(0);
    let (code, length) = match high {
        0xD800..=0xDBFF => {
            let low = unit(string, at + 6).unwrap_or(0);
            let code = 0x10000 + ((high - 0xD800) << 10) + (low.wrapping_sub(0xDC00) & 0x3FF);
            (code, 12)
        }
        _ => (high, 6),
    };
    (
        char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
        length,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_what_they_stand_for() {
        for (string, expected) in [
            ("", ""),
            ("plain", "plain"),
            (r#"a\"b\\c\/d"#, "a\"b\\c/d"),
            (r"\b\f\n\r\t", "\x08\x0c\n\r\t"),
            (r"\u00e9\u4e2dx", "é中x"),
            (r"\uD83D\uDE00", "😀"),
            (r"\\u0041", "\\u0041"),
        ] {
            let mut out = vec![0xAA; string.len()];
            let length = resolve(string.as_bytes(), &mut out);
            assert_eq!(&out[..length], expected.as_bytes());
        }
    }

    #[test]
    fn halves_of_surrogate_pairs_are_wrong() {
        let check = |text: &str| {
            let mut escapes = Escapes::default();
            let starts = text.match_indices("\\u").map(|(at, _)| at);
            starts
                .map(|at| escapes.check(text.as_bytes(), at))
                .all(|found| found.is_some())
        };
        assert!(check(r"\ud83d\ude00\ud83d\ude00"));
        assert!(!check(r"\ud83d"));
        assert!(!check(r"\ud83dx\ude00"));
        assert!(!check(r"\ude00"));
        assert!(!check(r"\ude00\ude00"));
        assert!(!check(r"\ud83d\ud83d\ude00"));
        assert!(!check(r"\ud83d\ude00\ude00"));
        assert!(!check(r"\u0000"));
        assert!(!check(r"\u12"));
        assert!(!check(r"\ud83d\u00e9"));
    }
}
