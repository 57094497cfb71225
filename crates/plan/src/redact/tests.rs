//! No secret survives, whatever stands around it; and what was redacted stays as it is.

use super::*;
use proptest::prelude::*;

/// Statements with a secret in them, which the hostile tests send to a server.
const CORPUS: &str = include_str!("../../../../tests/e2e/audit/statements_with_secrets.txt");

/// Statements in which `SECRET` is one. Each blank may become other white space or a comment.
const TEMPLATES: [&str; 20] = [
    "ALTER ROLE bob PASSWORD 'SECRET'",
    "CREATE USER bob ENCRYPTED PASSWORD E'SECRET\\'x' VALID UNTIL 'tomorrow'",
    "SELECT 1 ; ALTER USER bob WITH PASSWORD $x$SECRET$x$ ; SELECT 2",
    "CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS ( uri 'SECRET' )",
    "CREATE USER MAPPING FOR bob SERVER s OPTIONS ( user 'u' , anything 'SECRET' )",
    "CREATE SUBSCRIPTION s CONNECTION 'host=h user=SECRET' PUBLICATION p",
    "SET my.thing = 'SECRET'",
    "SET LOCAL my.thing TO SECRET",
    "SELECT set_config ( 'my.thing' , 'SECRET' , false )",
    "ALTER DATABASE d SET my.thing TO 'SECRET'",
    "COPY t TO PROGRAM 'mail SECRET'",
    "COPY t FROM 's3://b' CREDENTIALS 'SECRET'",
    "EXECUTE prepared ( 1 , 'SECRET' )",
    "UPDATE pg_settings SET setting = 'SECRET' WHERE name = 'n'",
    "SELECT 'Authorization: Bearer SECRET'",
    "SELECT 'https://bob:SECRET@host/'",
    "DO $$ BEGIN EXECUTE 'ALTER ROLE bob PASSWORD ''SECRET''' ; END $$",
    "CALL redshift.create_external_schema ( 's' , uri => 'SECRET' )",
    "INSERT INTO t VALUES ( 'a' , 'client_secret=SECRET' )",
    "SELECT dblink ( 'host=h' , 'SECRET' )",
];

fn corpus() -> Vec<&'static str> {
    let statements: Vec<&str> = CORPUS.split("\n%%\n").collect();
    assert!(statements.len() >= 200);
    statements
}

/// Texts with the beginnings and ends of everything that a scanner knows.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => proptest::sample::select(vec![
            "'", "''", "\"", "$$", "$a$", "--", "/*", "*/", "\n", " ", "\\", "E'", "U&'", "U&\"", "B'", "e", "&", "|", "||", "(", ")", ".", ",", "=", ":", "@", "/", "***",
        ]).prop_map(str::to_owned),
        4 => proptest::sample::select(vec![
            "set", "my", "x", "select", "set_config", "password", "role", "alter", "create", "user", "mapping", "copy", "program", "execute", "do", "pin", "-u", "basic",
            "server", "connection", "1", "work_mem", "to", "session",
        ]).prop_map(str::to_owned),
        1 => ".{1,4}",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_was_redacted_stays_as_it_is(text in texts(), standard_strings: bool, is_readable: bool) {
        let once = statement(&text, standard_strings, is_readable);
        prop_assert_eq!(&statement(&once, standard_strings, is_readable), &once, "of {:?}", text);
    }

    #[test]
    fn nothing_is_kept_of_a_secret_whatever_stands_between_the_words(
        template in proptest::sample::select(TEMPLATES.to_vec()),
        secret in "[a-z]{3}Q[a-zA-Z0-9]{4,12}",
        between in prop::collection::vec(proptest::sample::select(vec![" ", "\n", "\t ", "/* it's */", " -- \"x\n", "/* a /* b */ */ "]), 40),
        is_upper: bool,
        is_readable: bool,
    ) {
        let mut between = between.into_iter();
        let words = template.split(' ').map(|word| if is_upper && !word.contains("SECRET") { word.to_uppercase() } else { word.to_owned() });
        let mut text = String::new();
        let mut quotes = 0;
        for word in words {
            // Not inside of a literal, where it would be another text.
            if !text.is_empty() {
                text.push_str(if quotes % 2 == 0 { between.next().unwrap_or(" ") } else { " " });
            }
            quotes += word.matches('\'').count();
            text.push_str(&word.replace("SECRET", &secret));
        }
        for standard_strings in [true, false] {
            let kept = statement(&text, standard_strings, is_readable);
            prop_assert!(!kept.contains(&secret), "{} of {}", kept, text);
            let message = format!("invalid input: \"{secret}\"");
            let told = error(&message, "22P02", &text, standard_strings);
            prop_assert!(!told.contains(&secret), "{} of {}", told, text);
        }
    }
}

#[test]
fn no_secret_of_the_corpus_survives() {
    for text in corpus() {
        for standard_strings in [true, false] {
            // Postgres cannot read some of them.
            let kept = statement(text, standard_strings, false);
            assert!(!kept.to_uppercase().contains("TER2"), "{kept} of {text}");
            assert_eq!(statement(&kept, standard_strings, false), kept);
        }
    }
}

#[test]
fn what_tells_of_no_secret_is_kept_whole() {
    for text in [
        "SELECT relname FROM pg_class WHERE relname = 'it''s' -- a comment",
        "SET LOCAL statement_timeout TO '1min'",
        "SET redshift.memory_limit = '32MB'",
        "INSERT INTO customers VALUES (1, 'Bob O''Neill'), (2, 'bob@example.com')",
        "UPDATE customers SET name = 'Ada' WHERE id = 1",
        "DO $$ BEGIN PERFORM count(*) FROM pg_class; END $$",
        "SELECT '2020-01-01 12:00:00'::timestamp, 'a:b', 'https://example.com/path?page=2', 'basic things'",
    ] {
        assert_eq!(statement(text, true, true), text);
    }
}

#[test]
fn of_a_telling_statement_the_command_is_kept() {
    for (text, command) in [
        ("ALTER /* x */ role nobody_y PASSWORD 'x'", "ALTER ROLE ***"),
        (
            "CREATE USER MAPPING FOR nobody_y SERVER x OPTIONS (password 'x')",
            "CREATE USER MAPPING ***",
        ),
        ("PASSWORD x", "***"),
        ("SET my.x = 'x'", "SET ***"),
    ] {
        assert_eq!(statement(text, true, true), command);
    }
    assert_eq!(
        error(
            "role \"x\" does not exist",
            "42704",
            "ALTER ROLE x PASSWORD 'y'",
            true
        ),
        "*** (SQLSTATE 42704)"
    );
    assert_eq!(
        error(
            "relation \"x\" does not exist",
            "42P01",
            "SELECT * FROM x",
            true
        ),
        "relation \"x\" does not exist"
    );
}

#[test]
fn of_a_long_text_the_beginning_is_kept_without_its_literals() {
    let text = format!(
        "SELECT 'beginning', '{}', 'password x'",
        "x".repeat(MAX_BYTES)
    );
    assert_eq!(statement(&text, true, true), "SELECT '***', '***'");
    assert!(
        statement(&format!("SELECT 'a{}", "ü".repeat(MAX_BYTES)), true, true).len() < MAX_BYTES
    );
}
