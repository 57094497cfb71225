//! Random documents, good and broken, for `scripts/fuzz.sh`: `documents COUNT SEED` prints one a line, as bytea in the text form of COPY.
//!
//! Half of them follow JSON's grammar, with what parsers get wrong: numbers of all forms, escapes, surrogates, equal names, odd white space. The other
//! half are such documents with a few bytes changed, lost, repeated or cut off.

use std::io::{BufWriter, Write};

/// SplitMix64: small, fast, and the same for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below `end`.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

const NUMBERS: [&str; 24] = [
    "0",
    "-0",
    "0.0",
    "-0.000e-7",
    "0e5",
    "10000",
    "1e4",
    "0.0001",
    "1e-4",
    "99999999",
    "1e300",
    "1e-300",
    "1E+131071",
    "1e131072",
    "1e-16383",
    "1e-16384",
    "123e-130",
    "9223372036854775807",
    "-9223372036854775808",
    "0.1e1",
    "1.50",
    "12345678901234567890123456789012345678901234567890.5",
    "5e-324",
    "100000000000000000000000000000000000000",
];
const STRINGS: [&str; 26] = [
    "",
    "a",
    "é",
    "中",
    "😀",
    "\\n",
    "\\\"",
    "\\\\",
    "\\/",
    "\\b\\f\\r\\t",
    "\\u00e9",
    "\\u0041",
    "\\ud83d\\ude00",
    "\\uD83D",
    "\\ude00",
    "\\ud83dx",
    "\\u0000",
    "\\u001f",
    "\u{7f}",
    "\u{2028}",
    "key",
    "same prefix, long",
    "\\",
    "\t",
    "0123456789abcdef",
    "\u{10ffff}",
];
const BLANKS: [&str; 8] = ["", "", "", "", " ", "\n", "\t \r", "  "];
/// What a mutation writes.
const PIECES: [&[u8]; 34] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"\\",
    b"\\u",
    b"\\u12",
    b"0",
    b"1",
    b"-",
    b"+",
    b".",
    b"e",
    b"E",
    b"t",
    b"true",
    b"null",
    b"NaN",
    b" ",
    b"\n",
    b"\0",
    b"\x1f",
    b"\x7f",
    b"\x80",
    b"\xc3",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xef\xbb\xbf",
    b"//",
    b"'",
];

fn value(random: &mut Random, depth: usize, out: &mut Vec<u8>) {
    out.extend(random.pick(&BLANKS).as_bytes());
    match random.below(if depth == 0 { 6 } else { 10 }) {
        0 => out.extend(random.pick(&["null", "true", "false"]).as_bytes()),
        1 => out.extend(random.pick(&NUMBERS).as_bytes()),
        2 => {
            let shift = random.below(64);
            let whole = random.next() as i64 >> shift;
            out.extend(whole.to_string().as_bytes());
        }
        3 => {
            let (whole, digits) = (random.next() >> random.below(64), random.below(20));
            let _ = write!(out, "{}{whole}.", random.pick(&["", "-"]));
            (0..=digits).for_each(|_| out.push(b'0' + random.below(10) as u8));
            if random.below(3) == 0 {
                let exponent = random.pick(&["e", "E+", "e-", "E"]);
                let _ = write!(out, "{exponent}{}", random.below(400));
            }
        }
        4 | 5 => string(random, out),
        6 | 7 => {
            let count = if random.below(40) == 0 {
                70
            } else {
                random.below(5)
            };
            out.push(b'[');
            for i in 0..count {
                if i > 0 {
                    out.push(b',');
                }
                value(random, depth - 1, out);
            }
            out.extend(random.pick(&BLANKS).as_bytes());
            out.push(b']');
        }
        _ => {
            let count = if random.below(40) == 0 {
                70
            } else {
                random.below(6)
            };
            out.push(b'{');
            for i in 0..count {
                if i > 0 {
                    out.push(b',');
                }
                out.extend(random.pick(&BLANKS).as_bytes());
                string(random, out);
                out.extend(random.pick(&BLANKS).as_bytes());
                out.push(b':');
                value(random, depth - 1, out);
            }
            out.push(b'}');
        }
    }
    out.extend(random.pick(&BLANKS).as_bytes());
}

fn string(random: &mut Random, out: &mut Vec<u8>) {
    out.push(b'"');
    for _ in 0..random.below(4) {
        // Mostly strings that are right: one broken part makes the whole document broken.
        let part = random.pick(&STRINGS);
        let odd = matches!(
            part,
            "\\uD83D" | "\\ude00" | "\\ud83dx" | "\\u0000" | "\\" | "\t"
        );
        if !odd || random.below(30) == 0 {
            out.extend(part.as_bytes());
        }
        if random.below(20) == 0 {
            let length = random.below(300);
            out.extend(std::iter::repeat_n(b'x', length));
        }
    }
    out.push(b'"');
}

fn mutate(random: &mut Random, document: &mut Vec<u8>) {
    for _ in 0..=random.below(3) {
        let at = random.below(document.len() + 1);
        let until = (at + random.below(8)).min(document.len());
        match random.below(6) {
            0 => document.truncate(at),
            1 => drop(document.drain(at..until)),
            2 => {
                let part = document[at..until].to_vec();
                document.splice(at..at, part);
            }
            3 if at < document.len() => document[at] ^= 1 << random.below(8),
            _ => {
                let end = if random.below(2) == 0 { at } else { until };
                document.splice(at..end, random.pick(&PIECES).iter().copied());
            }
        }
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = || -> u64 {
        let argument = arguments.next().expect("usage: documents COUNT SEED");
        argument.parse().expect("a number")
    };
    let (count, seed) = (number(), number());
    let mut random = Random(seed);
    let mut out = BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
    let (mut document, mut line) = (Vec::new(), Vec::new());
    for _ in 0..count {
        document.clear();
        let depth = random.below(5);
        value(&mut random, depth, &mut document);
        if random.below(2) == 0 {
            mutate(&mut random, &mut document);
        }
        line.clear();
        line.extend(b"\\\\x");
        for byte in &document {
            line.extend(
                [byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]),
            );
        }
        line.push(b'\n');
        out.write_all(&line).expect("the reader is there");
    }
}
