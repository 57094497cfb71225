//! Statement texts without secrets, for the history. The rule is in docs/monitoring.md.
//!
//! A statement may fail before anybody knows what it is, so this goes by its words. Too much rather than too little: of a statement that may hold a secret
//! only the command is kept, since a secret need not stand where a literal does (a misspelled statement, a bare word behind SET).

#[cfg(test)]
mod tests;
mod tokens;
mod words;

use tokens::{Token, Tokens};

/// What stands in the place of what is not kept.
const HIDDEN: &str = "***";

/// Of a longer text nothing behind this is looked at, or kept.
pub const MAX_BYTES: usize = 64 * 1024;

/// Where a text stands that is looked through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It is what was sent.
    Statement,
    /// In a literal that is the body of a function or a DO: code.
    Body(u8),
    /// In another literal, which may be a statement for EXECUTE.
    Text(u8),
}

impl Place {
    /// The place of a literal in it. So deep literals in literals are looked into: a body with a text for EXECUTE in it, and one more.
    fn inside(self, has_body: bool) -> Option<Place> {
        const MOST: u8 = 3;
        match self {
            Place::Statement if has_body => Some(Place::Body(1)),
            Place::Statement => Some(Place::Text(1)),
            Place::Body(depth) | Place::Text(depth) => {
                (depth < MOST).then_some(Place::Text(depth + 1))
            }
        }
    }
}

/// The SQLSTATE of what Postgres could not read.
pub const SYNTAX_ERROR: &str = "42601";

/// How much of a text may be kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kept {
    /// Everything.
    All,
    /// All but literals and comments.
    Words,
    /// The first key words.
    Command,
}

/// What is kept of a statement's text. One that Postgres could not read is not what it seems: a word that tells may be misspelled.
pub fn statement(text: &str, standard_strings: bool, is_readable: bool) -> String {
    let least = if is_readable { Kept::All } else { Kept::Words };
    match judge(text, standard_strings).max(least) {
        Kept::All => text.to_owned(),
        Kept::Words => {
            let words = without_literals(start(text), standard_strings);
            // They may tell now that other ones stand beside each other.
            match judge(&words, standard_strings) {
                Kept::Command => command(start(text), standard_strings),
                _ => words,
            }
        }
        Kept::Command => command(start(text), standard_strings),
    }
}

/// What is kept of the error of a statement that was sent as part of `text`: it may quote what that hides, or tell of a secret itself.
pub fn error(message: &str, sqlstate: &str, text: &str, standard_strings: bool) -> String {
    let mut of_message = judge_words(&message.to_lowercase());
    if sqlstate == SYNTAX_ERROR && message.contains(['\'', '$']) {
        // The literal at which it ended.
        of_message = of_message.max(Kept::Words);
    }
    match judge(text, standard_strings).max(of_message) {
        Kept::All => message.to_owned(),
        Kept::Words => without_quoted(message),
        Kept::Command => format!("{HIDDEN} (SQLSTATE {sqlstate})"),
    }
}

fn start(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_BYTES)]
}

fn judge(text: &str, standard_strings: bool) -> Kept {
    // Whether backslashes escape may have been otherwise when it was sent: either reading may show the word.
    let text_start = start(text);
    let kept = judge_part(text_start, standard_strings, Place::Statement);
    let kept = if text_start.contains('\\') {
        kept.max(judge_part(text_start, !standard_strings, Place::Statement))
    } else {
        kept
    };
    if text.len() > MAX_BYTES {
        kept.max(Kept::Words)
    } else {
        kept
    }
}

/// By words alone, in a text in lower case.
fn judge_words(lower: &str) -> Kept {
    if words::tells(lower) || words::has_telling_form(lower) {
        Kept::Command
    } else {
        Kept::All
    }
}

fn judge_comment(comment: &str) -> Kept {
    let lower = comment.to_lowercase();
    let mut words = lower.split_whitespace();
    if words.any(words::is_telling_name) {
        return Kept::Command;
    }
    judge_words(&lower)
}

fn judge_part(text: &str, standard_strings: bool, place: Place) -> Kept {
    let mut kept = judge_words(&text.to_lowercase());
    if kept == Kept::Command {
        return kept;
    }
    // The text as it would be without a scanner's ways to hide a word: literals joined, escapes resolved, quotes gone.
    let mut plain = String::with_capacity(text.len());
    let mut line = Line::default();
    let mut after_literal = false;
    for (token, _) in Tokens::of(text, standard_strings) {
        let is_literal = matches!(token, Token::Literal(_));
        match token {
            Token::Comment(comment) if after_literal => {
                kept = kept.max(judge_comment(comment));
                continue;
            }
            Token::Symbol('|') if after_literal => {
                line.symbol('|', place);
                continue;
            }
            Token::Space if after_literal => continue,
            Token::Space => plain.push(' '),
            Token::Comment(comment) => {
                kept = kept.max(judge_comment(comment));
                plain.push(' ');
            }
            Token::Literal(literal) => {
                if let Some(place) = place.inside(line.has_body)
                    && literal.contains(char::is_whitespace)
                {
                    kept = kept.max(judge_part(&literal, standard_strings, place));
                }
                if !after_literal {
                    plain.push(' ');
                }
                plain.push_str(&literal.to_lowercase());
                line.literal(&literal.to_lowercase());
            }
            Token::Word(word) => {
                plain.push(' ');
                plain.push_str(&word.to_lowercase());
                line.word(&word.to_lowercase(), place);
            }
            Token::Name(name) => {
                plain.push(' ');
                plain.push_str(&name.to_lowercase());
                line.word(&name.to_lowercase(), place);
            }
            Token::Symbol(symbol) => {
                plain.push(symbol);
                line.symbol(symbol, place);
            }
        }
        after_literal = is_literal;
    }
    kept.max(line.kept()).max(judge_words(&plain))
}

/// What the words of a text say one after the other.
#[derive(Default)]
struct Line {
    kept: Option<Kept>,
    /// The last words, the last one first.
    last: [String; 2],
    has_copy: bool,
    has_update: bool,
    has_body: bool,
    /// The name of a setting is being read: behind SET.
    setting: Option<String>,
    /// Behind `set_config(`.
    before_setting: bool,
    /// Behind its first literal.
    after_setting: bool,
}

impl Line {
    fn kept(&self) -> Kept {
        self.kept.unwrap_or(Kept::All)
    }

    fn at_most(&mut self, kept: Kept) {
        self.kept = self.kept.max(Some(kept));
    }

    fn word(&mut self, word: &str, place: Place) {
        let [last, before] = &self.last;
        let makes = matches!(last.as_str(), "create" | "alter");
        let hides = match word {
            "role" | "user" | "group" | "server" | "subscription" => makes,
            "mapping" => last == "user",
            "wrapper" => last == "data" && before == "foreign",
            "program" => self.has_copy,
            "pg_settings" => self.has_update,
            // What the literal before it stands for is another question then.
            "uescape" => true,
            // A text has such words in another sense too: there they count as names of fields only.
            _ => !matches!(place, Place::Text(_)) && words::is_telling_name(word),
        };
        if hides {
            self.at_most(Kept::Command);
        }
        if ["server", "mapping", "subscription", "connection"]
            .iter()
            .any(|weak| word.contains(weak))
        {
            self.at_most(Kept::Words);
        }
        self.has_copy |= word == "copy" || word == "unload";
        self.has_update |= word == "update";
        self.has_body |= matches!(word, "do" | "function" | "procedure");
        let is_scope = matches!(word, "session" | "local");
        match &mut self.setting {
            Some(name) if is_scope && name.is_empty() => {}
            Some(name) if matches!(word, "to" | "from") && !name.is_empty() => self.end_setting(),
            Some(name) => name.push_str(word),
            None if word == "set" && !(self.has_update && place == Place::Statement) => {
                self.setting = Some(String::new());
            }
            None => {}
        }
        if self.before_setting {
            // Not a literal: whatever it is.
            self.at_most(Kept::Command);
            self.before_setting = false;
        }
        self.last.rotate_right(1);
        self.last[0] = word.to_owned();
    }

    fn literal(&mut self, literal: &str) {
        self.after_setting = std::mem::take(&mut self.before_setting);
        if self.after_setting && words::is_telling_setting(literal) {
            self.at_most(Kept::Command);
        }
        self.end_setting();
    }

    fn symbol(&mut self, symbol: char, place: Place) {
        if std::mem::take(&mut self.after_setting) && symbol != ',' {
            // The name goes on.
            self.at_most(Kept::Command);
        }
        match symbol {
            '.' => {
                if let Some(name) = &mut self.setting {
                    name.push('.');
                }
            }
            '(' => {
                let [last, before] = &self.last;
                self.before_setting = last == "set_config";
                // The values of a prepared statement's parameters. In PL/pgSQL it is followed by a text.
                let is_execute = before == "execute"
                    && !matches!(last.as_str(), "function" | "procedure" | "on");
                if is_execute && place == Place::Statement {
                    self.at_most(Kept::Command);
                }
                self.setting = None;
            }
            _ => self.end_setting(),
        }
    }

    fn end_setting(&mut self) {
        if self
            .setting
            .take()
            .is_some_and(|name| words::is_telling_setting(&name))
        {
            self.at_most(Kept::Command);
        }
    }
}

fn without_literals(text: &str, standard_strings: bool) -> String {
    let mut safe = String::with_capacity(text.len());
    for (token, own) in Tokens::of(text, standard_strings) {
        match token {
            Token::Literal(_) => {
                // Behind these it would be read as a part of another literal.
                if safe.ends_with(['\'', '&']) {
                    safe.push(' ');
                }
                safe.push_str("'***'");
            }
            Token::Comment(_) => safe.push(' '),
            _ => safe.push_str(own),
        }
    }
    safe
}

/// What stands between quotes, of either kind, up to the last one, is hidden.
fn without_quoted(message: &str) -> String {
    let quotes = |c: char| c == '"' || c == '\'';
    match (message.find(quotes), message.rfind(quotes)) {
        (Some(first), Some(last)) if last > first => {
            format!("{}{HIDDEN}{}", &message[..first], &message[last + 1..])
        }
        (Some(first), _) => format!("{}{HIDDEN}", &message[..first]),
        _ => message.to_owned(),
    }
}

/// Words that a command may begin with. No other is kept: it may be the secret.
const COMMAND_WORDS: [&str; 72] = [
    "alter",
    "analyze",
    "as",
    "begin",
    "call",
    "comment",
    "commit",
    "copy",
    "create",
    "data",
    "database",
    "declare",
    "default",
    "delete",
    "discard",
    "do",
    "drop",
    "end",
    "execute",
    "explain",
    "extension",
    "external",
    "fetch",
    "foreign",
    "from",
    "function",
    "grant",
    "group",
    "import",
    "insert",
    "into",
    "label",
    "listen",
    "local",
    "lock",
    "mapping",
    "materialized",
    "merge",
    "notify",
    "on",
    "or",
    "owned",
    "policy",
    "prepare",
    "privileges",
    "procedure",
    "publication",
    "reassign",
    "refresh",
    "replace",
    "reset",
    "revoke",
    "role",
    "rollback",
    "schema",
    "security",
    "select",
    "server",
    "session",
    "set",
    "show",
    "subscription",
    "system",
    "table",
    "temp",
    "temporary",
    "truncate",
    "unload",
    "update",
    "user",
    "values",
    "view",
];

/// The first key words of a text, four at most.
fn command(text: &str, standard_strings: bool) -> String {
    let mut command = String::new();
    for (token, _) in Tokens::of(text, standard_strings) {
        match token {
            Token::Word(word) if COMMAND_WORDS.contains(&word.to_ascii_lowercase().as_str()) => {
                command += &word.to_ascii_uppercase();
                command.push(' ');
            }
            Token::Space | Token::Comment(_) => continue,
            Token::Symbol('(') if command.is_empty() => continue,
            _ => break,
        }
        if command.split(' ').count() > 4 {
            break;
        }
    }
    command + HIDDEN
}
