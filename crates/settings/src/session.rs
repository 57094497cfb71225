//! Redshift's own settings of a session: switches without a prefix, each with the alias `redshift.<name>`.

/// Such a setting.
#[derive(Clone, Copy, Debug)]
pub struct SessionSwitch {
    /// Its name.
    pub name: &'static str,
    /// What it is where nobody has set it.
    pub default: bool,
    /// What it does, in a sentence.
    pub summary: &'static str,
}

const fn entry(name: &'static str, default: bool, summary: &'static str) -> SessionSwitch {
    SessionSwitch {
        name,
        default,
        summary,
    }
}

/// On: navigation into what is not there gives NULL.
pub const NAVIGATE_SUPER_NULL_ON_ERROR: SessionSwitch = entry(
    "navigate_super_null_on_error",
    true,
    "Whether navigation into what a SUPER value does not have gives NULL in place of an error.",
);
/// On: a cast of SUPER that is not possible gives NULL.
pub const CAST_SUPER_NULL_ON_ERROR: SessionSwitch = entry(
    "cast_super_null_on_error",
    true,
    "Whether a cast of a SUPER value that is not possible gives NULL in place of an error.",
);
/// On: a document that is no JSON gives NULL.
pub const PARSE_SUPER_NULL_ON_ERROR: SessionSwitch = entry(
    "parse_super_null_on_error",
    false,
    "Whether JSON_PARSE of what is no JSON gives NULL in place of an error.",
);
/// Off: a document in which an object has two attributes of one name is no JSON; on: the last one counts.
pub const JSON_PARSE_DEDUP_ATTRIBUTES: SessionSwitch = entry(
    "json_parse_dedup_attributes",
    false,
    "Whether JSON_PARSE takes the last of several attributes of one name in place of an error.",
);
/// Off: names of attributes in a path are folded to lower case.
pub const ENABLE_CASE_SENSITIVE_SUPER_ATTRIBUTE: SessionSwitch = entry(
    "enable_case_sensitive_super_attribute",
    false,
    "Whether the case of attribute names in a path of a SUPER value counts.",
);
/// On: array functions find NULL like any other value.
pub const DEFAULT_ARRAY_SEARCH_NULL_HANDLING: SessionSwitch = entry(
    "default_array_search_null_handling",
    true,
    "Whether functions that search an array treat NULL as a value that can be found.",
);

/// All of them.
pub const ALL: [&SessionSwitch; 6] = [
    &NAVIGATE_SUPER_NULL_ON_ERROR,
    &CAST_SUPER_NULL_ON_ERROR,
    &PARSE_SUPER_NULL_ON_ERROR,
    &JSON_PARSE_DEDUP_ATTRIBUTES,
    &ENABLE_CASE_SENSITIVE_SUPER_ATTRIBUTE,
    &DEFAULT_ARRAY_SEARCH_NULL_HANDLING,
];
