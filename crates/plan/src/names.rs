//! Which topics or streams belong to an external schema, and what their relations are called.

use md5::{Digest, Md5};

/// The longest identifier, in bytes (NAMEDATALEN - 1).
const MAX_NAME_BYTES: usize = 63;
/// So many hexadecimal digits of a hash end a name that was cut.
const HASH_DIGITS: usize = 8;

/// `topics` or `streams` of an external schema: names separated by commas, in which `*` stands for any characters; with `!` before it a name leaves out.
pub struct Pattern<'a> {
    wanted: Vec<&'a str>,
    unwanted: Vec<&'a str>,
}

impl<'a> Pattern<'a> {
    /// Reads a pattern; parts without a name are passed over.
    pub fn parse(text: &'a str) -> Pattern<'a> {
        let (unwanted, wanted): (Vec<&str>, Vec<&str>) = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .partition(|part| part.starts_with('!'));
        let unwanted = unwanted.into_iter().map(|part| part[1..].trim());
        Pattern {
            wanted,
            unwanted: unwanted.filter(|part| !part.is_empty()).collect(),
        }
    }

    /// Has each part of the text a name?
    pub fn is_valid(text: &str) -> bool {
        let has_name = |part: &str| {
            let part = part.trim();
            !part.strip_prefix('!').unwrap_or(part).trim().is_empty()
        };
        text.split(',').all(has_name)
    }

    /// Does a topic or stream of this name belong to the schema? `is_default`: it would without a pattern.
    pub fn takes(&self, name: &str, is_default: bool) -> bool {
        let any = |globs: &[&str]| globs.iter().any(|glob| matches_glob(glob, name));
        let wanted = if self.wanted.is_empty() {
            is_default
        } else {
            any(&self.wanted)
        };
        wanted && !any(&self.unwanted)
    }

    /// The names that it lists, if it has nothing but names: then no other can ever belong to the schema.
    pub fn plain_names(&self) -> Option<Vec<&'a str>> {
        let plain = !self.wanted.is_empty() && !self.wanted.iter().any(|part| part.contains('*'));
        let is_left = |name: &&str| !self.unwanted.iter().any(|glob| matches_glob(glob, name));
        plain.then(|| self.wanted.iter().copied().filter(is_left).collect())
    }

    /// The parts that none of these names matches.
    pub fn unmatched(&self, names: &[String]) -> Vec<&'a str> {
        let matches_none = |glob: &&str| !names.iter().any(|name| matches_glob(glob, name));
        self.wanted.iter().copied().filter(matches_none).collect()
    }
}

fn matches_glob(glob: &str, text: &str) -> bool {
    let Some((head, tail)) = glob.split_once('*') else {
        return glob == text;
    };
    let Some(mut rest) = text.strip_prefix(head) else {
        return false;
    };
    let mut pieces: Vec<&str> = tail.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

/// The name of a topic's relation: the topic's, if it is short enough; else its beginning, cut where a character ends, and the first eight digits of the
/// MD5 of the whole name. It depends on nothing but the topic's name, so it is the same whatever other topics there are or will be.
pub fn relation_name(topic: &str) -> String {
    if topic.len() <= MAX_NAME_BYTES {
        return topic.to_owned();
    }
    let mut end = MAX_NAME_BYTES - HASH_DIGITS - 1;
    while !topic.is_char_boundary(end) {
        end -= 1;
    }
    let hash = Md5::digest(topic);
    let hash = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
    format!("{}_{hash:08x}", &topic[..end])
}

/// A topic that has no relation: its relation's name belongs to another one.
pub struct Clash {
    /// The topic.
    pub topic: String,
    /// The name.
    pub name: String,
    /// The topic that has it.
    pub other: String,
}

/// Each topic with the name of its relation, by topic; and those whose name another one has, which happens only if somebody looks for it.
pub fn named(mut topics: Vec<String>) -> (Vec<(String, String)>, Vec<Clash>) {
    // A topic whose name is short enough keeps it, whatever long names there are.
    topics.sort_by(|a, b| (a.len() > MAX_NAME_BYTES, a).cmp(&(b.len() > MAX_NAME_BYTES, b)));
    let mut taken = std::collections::HashMap::<String, String>::new();
    let (mut names, mut clashes) = (Vec::with_capacity(topics.len()), Vec::new());
    for topic in topics {
        let name = relation_name(&topic);
        if let Some(other) = taken.get(&name) {
            let other = other.clone();
            clashes.push(Clash { topic, name, other });
            continue;
        }
        taken.insert(name.clone(), topic.clone());
        names.push((topic, name));
    }
    names.sort();
    (names, clashes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Character by character, where a star takes none or one more.
    fn matches(glob: &[u8], text: &[u8]) -> bool {
        match (glob, text) {
            ([], []) => true,
            ([b'*', glob @ ..], text) if matches(glob, text) => true,
            ([b'*', ..], [_, text @ ..]) => matches(glob, text),
            ([one, glob @ ..], [other, text @ ..]) => one == other && matches(glob, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_star_stands_for_any_characters(glob in "[ab*]{0,6}", text in "[ab]{0,8}") {
            prop_assert_eq!(matches_glob(&glob, &text), matches(glob.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn a_name_belongs_if_wanted_and_not_unwanted(wanted in prop::collection::vec("[ab*]{1,3}", 0..3), unwanted in prop::collection::vec("[ab*]{1,3}", 0..3),
                                                     name in "[ab]{1,4}", is_default: bool) {
            let parts = wanted.iter().cloned().chain(unwanted.iter().map(|glob| format!("! {glob}")));
            let text = parts.collect::<Vec<_>>().join(" , ");
            let pattern = Pattern::parse(&text);
            let any = |globs: &[String]| globs.iter().any(|glob| matches(glob.as_bytes(), name.as_bytes()));
            let is_wanted = if wanted.is_empty() { is_default } else { any(&wanted) };
            prop_assert_eq!(pattern.takes(&name, is_default), is_wanted && !any(&unwanted));
            prop_assert!(Pattern::is_valid(&text) || text.is_empty());
            // Where there are only names, they are all that it takes.
            if let Some(names) = pattern.plain_names() {
                prop_assert_eq!(names.contains(&name.as_str()), pattern.takes(&name, is_default));
            }
        }

        #[test]
        fn each_topic_has_a_relation_of_its_own_or_a_clash(topics in prop::collection::hash_set("(a{50}[ab]{0,20}|\u{1F600}{10,20}|[ab]{1,2})", 0..12)) {
            let topics: Vec<String> = topics.into_iter().collect();
            let (names, clashes) = named(topics.clone());
            prop_assert_eq!(names.len() + clashes.len(), topics.len());
            let distinct: std::collections::HashSet<&String> = names.iter().map(|(_, name)| name).collect();
            prop_assert_eq!(distinct.len(), names.len());
            for (topic, name) in &names {
                // Whatever others there are.
                prop_assert_eq!(&relation_name(topic), name);
                prop_assert!(name.len() <= MAX_NAME_BYTES);
            }
        }
    }

    fn texts(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn long_names_are_cut_where_a_character_ends_and_hashed() {
        assert_eq!(relation_name(&"a".repeat(63)), "a".repeat(63));
        let cut = relation_name(&"a".repeat(64));
        assert_eq!(cut, "a".repeat(54) + "_014842d4");
        // Streams of Kinesis have up to 128 bytes; a broker may send any characters.
        assert!(relation_name(&"a".repeat(128)) != cut);
        for start in 0..4 {
            let name = "a".repeat(start) + &"\u{1F600}".repeat(40);
            let cut = relation_name(&name);
            assert!(cut.len() <= 63 && cut.len() > 59 && name.starts_with(&cut[..cut.len() - 9]));
        }
    }

    #[test]
    fn a_name_does_not_depend_on_the_others() {
        let names = |topics: &[&str]| named(texts(topics)).0;
        let (one, other) = (
            "t".repeat(60) + "-changelog",
            "t".repeat(60) + "-repartition",
        );
        let alone = names(&[&one]);
        let both = names(&[&other, &one]);
        assert_eq!(both.len(), 2);
        assert!(both.contains(&alone[0]));
        // Whoever has a name that is short enough keeps it, in whatever order they come.
        let short = relation_name(&one);
        for topics in [[one.as_str(), &short], [&short, one.as_str()]] {
            let (names, clashes) = named(texts(&topics));
            assert_eq!(names, [(short.clone(), short.clone())]);
            assert!(clashes.len() == 1 && clashes[0].topic == one && clashes[0].other == short);
        }
    }

    #[test]
    fn patterns_take_and_leave_out() {
        let pattern = Pattern::parse(" a*b ,c,, !*x* , ! ab ");
        for (name, takes) in [
            ("a1b", true),
            ("c", true),
            ("axb", false),
            ("ab", false),
            ("cc", false),
            ("b", false),
        ] {
            assert_eq!(pattern.takes(name, true), takes, "{name}");
        }
        assert_eq!(pattern.unmatched(&texts(&["c"])), ["a*b"]);
        assert!(pattern.plain_names().is_none());
        let rest = Pattern::parse("!a*");
        assert!(rest.takes("b", true) && !rest.takes("b", false) && !rest.takes("a", true));
        assert!(rest.plain_names().is_none());
        assert_eq!(Pattern::parse("a,b,!b").plain_names(), Some(vec!["a"]));
        assert!(Pattern::parse("").takes("a", true) && !Pattern::parse("").takes("__a", false));
        for (text, valid) in [
            ("a", true),
            ("a, !b", true),
            ("a,,b", false),
            ("!", false),
            ("", false),
            ("a,! ", false),
        ] {
            assert_eq!(Pattern::is_valid(text), valid, "{text}");
        }
    }
}
