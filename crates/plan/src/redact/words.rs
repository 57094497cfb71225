//! The words, and forms of words, that tell of a secret.

/// Wherever they stand, also as part of a longer word.
const TELLING: [&str; 55] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "passwort",
    "pswd",
    "pwd",
    "secret",
    "token",
    "credential",
    "authenticat",
    "oauth",
    "bearer",
    "cookie",
    "jwt",
    "signature",
    "api_key",
    "api-key",
    "apikey",
    "access_key",
    "access-key",
    "accesskey",
    "private_key",
    "private-key",
    "private key",
    "privatekey",
    "encryption_key",
    "encryptionkey",
    "signing_key",
    "master_key",
    "shared_key",
    "account_key",
    "accountkey",
    "sas_key",
    "secretkey",
    "-----begin",
    "conninfo",
    "dblink",
    "crypt",
    "pgp_",
    "digest",
    "hmac",
    "external_schema",
    "restore_command",
    "archive_command",
    "cleanup_command",
    "end_command",
    "passphrase_command",
    "sasl",
    "sshpass",
    "ldapbind",
    "kerberos",
    "keytab",
    "htpasswd",
    "netrc",
];

/// As a word of its own, or between underscores in a name.
const TELLING_NAMES: [&str; 14] = [
    "pw", "pass", "passw", "psk", "otp", "totp", "pin", "cvv", "cred", "creds", "auth", "sig",
    "salt", "passkey",
];

/// In the name of a setting.
const TELLING_SETTINGS: [&str; 10] = [
    "pass", "pw", "secret", "token", "key", "cred", "auth", "command", "conninfo", "salt",
];

/// Whether a text, in lower case, has a word that tells.
pub fn tells(text: &str) -> bool {
    TELLING.iter().any(|word| text.contains(word))
}

/// Whether a name does.
pub fn is_telling_name(name: &str) -> bool {
    let mut parts = name.split(|c: char| !c.is_alphanumeric());
    parts.any(|part| TELLING_NAMES.contains(&part.trim_end_matches(|c: char| c.is_ascii_digit())))
}

/// Whether the value of a setting of this name may be one: by its name, or because it is an application's (with a dot in it), which may hold anything.
pub fn is_telling_setting(name: &str) -> bool {
    let own = name.starts_with("redshift.");
    name.contains('.') && !own || TELLING_SETTINGS.iter().any(|word| name.contains(word))
}

/// Whether a text, in lower case, holds what is a secret by its form: credentials in an address, behind an option of a program, or in a header.
pub fn has_telling_form(text: &str) -> bool {
    let is_end = |c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '`' | ',');
    let words = || text.split(is_end).filter(|word| !word.is_empty());
    words().any(has_credentials)
        || text.split(|c: char| !c.is_alphanumeric()).any(is_key_id)
        || words().zip(words().skip(1)).any(|(word, next)| {
            let is_user = matches!(word, "-u" | "--user" | "--proxy-user");
            is_user && next.contains(':') || word.ends_with("basic") && is_encoded(next)
        })
        || words().any(|word| {
            let option = ["-u", "--user=", "--proxy-user="];
            let behind = option.iter().find_map(|option| word.strip_prefix(option));
            behind.is_some_and(|value| value.contains(':'))
        })
        || has_telling_field(text)
}

/// `user:password@host`, `https://user:password@host`, `user/password@host`.
fn has_credentials(word: &str) -> bool {
    word.match_indices('@').any(|(at, _)| {
        let (before, after) = (&word[..at], &word[at + 1..]);
        before.contains([':', '/']) && after.starts_with(|c: char| c.is_alphanumeric() || c == '[')
    })
}

/// The id of a key of AWS's, in lower case.
fn is_key_id(word: &str) -> bool {
    word.len() == 20 && ["akia", "asia"].iter().any(|kind| word.starts_with(kind))
}

/// Looks like base64.
fn is_encoded(word: &str) -> bool {
    let encoded = word.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '=');
    let of_code = |c: char| c.is_alphanumeric() || "+/=-_".contains(c);
    let no_word = |c: char| c.is_ascii_digit() || "+/=".contains(c);
    encoded.len() >= 6 && encoded.chars().all(of_code) && encoded.contains(no_word)
}

/// `pw=..`, `"pin": ..`, `&sig=..` inside of a text.
fn has_telling_field(text: &str) -> bool {
    text.match_indices(['=', ':']).any(|(at, _)| {
        let between = |c: char| c.is_whitespace() || matches!(c, '"' | '\'');
        let before = text[..at].trim_end_matches(between);
        let of_name = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        let name = &before[before.trim_end_matches(of_name).len()..];
        is_telling_name(name) || name.ends_with("authorization")
    })
}
