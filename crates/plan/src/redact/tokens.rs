//! A statement's text cut as Postgres's scanner cuts it (scan.l), with what its literals stand for.

use std::borrow::Cow;

/// A part of a text.
pub enum Token<'a> {
    /// A word that is not quoted: key word, name or number.
    Word(&'a str),
    /// A quoted name, without its quotes.
    Name(Cow<'a, str>),
    /// A literal of any kind: what it stands for.
    Literal(Cow<'a, str>),
    /// What stands in a comment.
    Comment(&'a str),
    /// White space.
    Space,
    /// Anything else.
    Symbol(char),
}

/// The tokens of a text, each with the text that it is.
pub struct Tokens<'a> {
    rest: &'a str,
    standard_strings: bool,
}

impl<'a> Tokens<'a> {
    /// Those of `text`; a backslash in a plain literal is one if `standard_strings`.
    pub fn of(text: &'a str, standard_strings: bool) -> Self {
        Tokens {
            rest: text,
            standard_strings,
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = (Token<'a>, &'a str);

    fn next(&mut self) -> Option<(Token<'a>, &'a str)> {
        let text = self.rest;
        let (token, length) = next_token(text, self.standard_strings)?;
        let (own, rest) = text.split_at(length);
        self.rest = rest;
        Some((token, own))
    }
}

fn next_token(text: &str, standard_strings: bool) -> Option<(Token<'_>, usize)> {
    let first = text.chars().next()?;
    let after = |prefix: usize| text[prefix..].chars().next();
    if first.is_whitespace() {
        let end = text.find(|c: char| !c.is_whitespace());
        return Some((Token::Space, end.unwrap_or(text.len())));
    }
    if text.starts_with("--") {
        let end = text.find(['\n', '\r']).unwrap_or(text.len());
        return Some((Token::Comment(&text[2..end]), end));
    }
    if text.starts_with("/*") {
        let end = end_of_comment(text);
        return Some((Token::Comment(&text[2..end]), end));
    }
    if first == '\'' {
        return Some(literal(
            text,
            1,
            if standard_strings { Plain } else { Backslash },
        ));
    }
    if matches!(first, 'e' | 'E') && after(1) == Some('\'') {
        return Some(literal(text, 2, Backslash));
    }
    if matches!(first, 'b' | 'B' | 'x' | 'X' | 'n' | 'N') && after(1) == Some('\'') {
        return Some(literal(text, 2, Plain));
    }
    if matches!(first, 'u' | 'U') && after(1) == Some('&') {
        match after(2) {
            Some('\'') => return Some(literal(text, 3, Unicode)),
            Some('"') => return Some(name(text, 3)),
            _ => {}
        }
    }
    if first == '"' {
        return Some(name(text, 1));
    }
    if let Some(tag) = dollar_tag(text) {
        let end = text[tag..].find(&text[..tag]);
        let (inside, length) = match end {
            Some(end) => (&text[tag..tag + end], end + 2 * tag),
            None => (&text[tag..], text.len()),
        };
        return Some((Token::Literal(inside.into()), length));
    }
    if first.is_alphanumeric() || first == '_' {
        // A dollar sign or a quote inside a word begins nothing.
        let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
        return Some((Token::Word(&text[..end]), end));
    }
    Some((Token::Symbol(first), first.len_utf8()))
}

/// What a backslash in a literal means.
#[derive(Clone, Copy, PartialEq)]
enum Escapes {
    Plain,
    Backslash,
    Unicode,
}
use Escapes::{Backslash, Plain, Unicode};

/// A literal whose inside begins at `from`: it ends behind its closing quote, or with the text.
fn literal(text: &str, from: usize, escapes: Escapes) -> (Token<'_>, usize) {
    let (inside, end) = quoted(text, from, b'\'', escapes == Backslash);
    (Token::Literal(resolved(inside, "'", escapes)), end)
}

fn name(text: &str, from: usize) -> (Token<'_>, usize) {
    let (inside, end) = quoted(text, from, b'"', false);
    let escapes = if from == 3 { Unicode } else { Plain };
    (Token::Name(resolved(inside, "\"", escapes)), end)
}

/// The inside of what is quoted from `from` on, and where it ends, quote included.
fn quoted(text: &str, from: usize, quote: u8, backslashes: bool) -> (&str, usize) {
    let mut bytes = text.bytes().enumerate().skip(from).peekable();
    while let Some((at, byte)) = bytes.next() {
        if byte == b'\\' && backslashes {
            bytes.next();
        } else if byte == quote {
            if bytes.peek().is_some_and(|(_, next)| *next == quote) {
                bytes.next();
            } else {
                return (&text[from..at], at + 1);
            }
        }
    }
    (&text[from..], text.len())
}

/// What the inside of a literal stands for. What is wrong in it stands for itself.
fn resolved<'a>(inside: &'a str, quote: &str, escapes: Escapes) -> Cow<'a, str> {
    let doubled = format!("{quote}{quote}");
    let single = if inside.contains(&doubled) {
        Cow::Owned(inside.replace(&doubled, quote))
    } else {
        Cow::Borrowed(inside)
    };
    if escapes == Plain || !single.contains('\\') {
        return single;
    }
    let mut out = Vec::with_capacity(single.len());
    let mut rest = single.as_ref();
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at + 1..];
        let (bytes, length) = match escapes {
            Unicode => unicode_escape(rest),
            _ => backslash_escape(rest),
        };
        out.extend_from_slice(&bytes);
        rest = &rest[length..];
    }
    out.extend_from_slice(rest.as_bytes());
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

/// The number that up to `most` digits of a base write, and how many there are.
fn digits(text: &str, base: u32, most: usize) -> Option<(u32, usize)> {
    let count = text.chars().take(most).take_while(|c| c.is_digit(base));
    let count = count.count();
    let value = u32::from_str_radix(text.get(..count)?, base).ok()?;
    Some((value, count))
}

fn character(code: u32) -> Vec<u8> {
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    character.to_string().into_bytes()
}

/// What follows `\` in `U&'..'`: its bytes, and how long it is.
fn unicode_escape(text: &str) -> (Vec<u8>, usize) {
    let (from, most) = if text.starts_with('+') {
        (1, 6)
    } else {
        (0, 4)
    };
    match digits(&text[from..], 16, most) {
        Some((code, count)) if count == most => (character(code), from + count),
        _ => (Vec::new(), 0),
    }
}

/// What follows `\` in `E'..'`.
fn backslash_escape(text: &str) -> (Vec<u8>, usize) {
    let Some(first) = text.chars().next() else {
        return (Vec::new(), 0);
    };
    let most = match first {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        '0'..='7' => {
            let octal = digits(text, 8, 3).unwrap_or((0, 1));
            return (vec![octal.0 as u8], octal.1);
        }
        'b' | 'f' | 'n' | 'r' | 't' => return (b" ".to_vec(), 1),
        other => return (other.to_string().into_bytes(), other.len_utf8()),
    };
    match digits(&text[1..], 16, most) {
        Some((byte, count)) if first == 'x' => (vec![byte as u8], 1 + count),
        Some((code, count)) => (character(code), 1 + count),
        None => (vec![first as u8], 1),
    }
}

fn end_of_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    let bytes = text.as_bytes();
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The length of `$tag$` at the text's begin.
fn dollar_tag(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('$')?;
    let length = inside.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    (inside[length..].starts_with('$') && !inside.starts_with(|c: char| c.is_ascii_digit()))
        .then_some(length + 2)
}
