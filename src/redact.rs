//! Statement texts without secrets, for the history.
//!
//! A statement may fail before anybody knows what it is, so this goes by its words: where one of them may stand beside a secret, every literal is
//! replaced. Too much rather than too little.

/// Words, or parts of them, that stand beside secrets.
const SENSITIVE: [&str; 20] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "credential",
    "mapping",
    "server",
    "subscription",
    "connection",
    "conninfo",
    "dblink",
    "crypt",
    "digest",
    "hmac",
    "access_key",
    "api_key",
    "apikey",
    "external_schema",
];
/// After CREATE or ALTER, in whatever way PASSWORD behind them is spelled.
const ROLES: [&str; 3] = ["role", "user", "group"];

const REPLACEMENT: &str = "'***'";

/// A longer text is not looked through: its beginning is kept as if it were sensitive.
const MAX_BYTES: usize = 64 * 1024;

/// The text with its literals and comments replaced if one of them may be a secret; else as it is.
pub fn statement(text: &str, standard_strings: bool) -> String {
    if !is_sensitive(text) {
        return text.to_owned();
    }
    let mut end = text.len().min(MAX_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = &text[..end];
    let mut safe = String::with_capacity(text.len());
    for part in (Parts {
        rest: text,
        standard_strings,
    }) {
        match part {
            Part::Literal => safe.push_str(REPLACEMENT),
            Part::Comment => safe.push(' '),
            Part::Other(text) => safe.push_str(text),
        }
    }
    safe
}

/// The error of a statement: it may quote what the statement's text hides.
pub fn error(message: &str, text: &str) -> String {
    if !is_sensitive(text) {
        return message.to_owned();
    }
    // What stands between quotes, of either kind, up to the last one.
    let quotes = |c: char| c == '"' || c == '\'';
    match (message.find(quotes), message.rfind(quotes)) {
        (Some(first), Some(last)) if last > first => {
            format!("{}***{}", &message[..first], &message[last + 1..])
        }
        (Some(first), _) => format!("{}***", &message[..first]),
        _ => message.to_owned(),
    }
}

fn is_sensitive(text: &str) -> bool {
    if text.len() > MAX_BYTES {
        return true;
    }
    let lower = text.to_lowercase();
    if SENSITIVE.iter().any(|word| lower.contains(word)) {
        return true;
    }
    let mut words = lower.split(|c: char| !c.is_alphanumeric() && c != '_');
    let mut before = "";
    words.by_ref().filter(|word| !word.is_empty()).any(|word| {
        matches!(std::mem::replace(&mut before, word), "create" | "alter") && ROLES.contains(&word)
    })
}

enum Part<'a> {
    Literal,
    Comment,
    Other(&'a str),
}

/// The parts of a text, as Postgres's scanner cuts them (scan.l).
struct Parts<'a> {
    rest: &'a str,
    standard_strings: bool,
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let text = self.rest;
        let first = text.chars().next()?;
        let (part, length) = if text.starts_with("--") {
            (Part::Comment, text.find('\n').unwrap_or(text.len()))
        } else if text.starts_with("/*") {
            (Part::Comment, end_of_comment(text))
        } else if first == '\'' {
            (
                Part::Literal,
                end_of_string(text, 1, !self.standard_strings),
            )
        } else if matches!(first, 'e' | 'E') && text[1..].starts_with('\'') {
            (Part::Literal, end_of_string(text, 2, true))
        } else if let Some(tag) = dollar_tag(text) {
            let end = text[tag..].find(&text[..tag]);
            (Part::Literal, end.map_or(text.len(), |end| end + 2 * tag))
        } else if first == '"' {
            let end = text[1..].find('"').map_or(text.len(), |end| end + 2);
            (Part::Other(&text[..end]), end)
        } else if first.is_alphanumeric() || first == '_' {
            // A word: a dollar sign or a quote inside it begins nothing.
            let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
            let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
            // b'..', x'..', n'..', u&'..'
            (Part::Other(&text[..end]), end)
        } else {
            let end = first.len_utf8();
            (Part::Other(&text[..end]), end)
        };
        self.rest = &text[length..];
        Some(part)
    }
}

/// Where a literal ends whose inside begins at `from`: behind its closing quote, or at the text's end.
fn end_of_string(text: &str, from: usize, backslashes: bool) -> usize {
    let mut bytes = text.bytes().enumerate().skip(from).peekable();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' if backslashes => {
                bytes.next();
            }
            b'\'' if bytes.peek().is_some_and(|(_, next)| *next == b'\'') => {
                bytes.next();
            }
            b'\'' => return at + 1,
            _ => {}
        }
    }
    text.len()
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
