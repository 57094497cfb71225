//! External schemas and the shapes of their relations.

use crate::pg::report::{Report, sqlstate};
use plan::names::Clash;

/// CREATE SERVER without USAGE on the wrapper; the text is Postgres's.
pub fn wrapper_denied(user: &str) -> Report {
    Report::new(
        sqlstate::INSUFFICIENT_PRIVILEGE,
        "permission denied for foreign-data wrapper redshift_streaming",
    )
    .hint(format!(
        "Ask a superuser: GRANT USAGE ON FOREIGN DATA WRAPPER redshift_streaming TO {};",
        pgrx::spi::quote_identifier(user)
    ))
}

/// A schema without a server of its name.
pub fn not_an_external_schema(name: &str) -> Report {
    Report::new(
        sqlstate::UNDEFINED_OBJECT,
        format!("external schema \"{name}\" does not exist"),
    )
    .hint("CALL redshift.create_external_schema(..) creates one.")
}

/// More topics than anyone wants as tables.
pub fn too_many_topics(server: &str, found: usize, limit: usize) -> Report {
    Report::new(
        sqlstate::PROGRAM_LIMIT_EXCEEDED,
        format!("external schema \"{server}\" would have {found} topics, more than {limit}"),
    )
    .hint("Give a pattern, for example topics => 'orders*,payments,!orders-*-changelog'.")
}

/// Topics without a relation, since another one has its name.
pub fn topic_name_clash(server: &str, clash: &Clash, count: usize) -> Report {
    let Clash { topic, name, other } = clash;
    let more = match count - 1 {
        0 => String::new(),
        more => format!(" So it is with {more} more."),
    };
    Report::new(
        sqlstate::WARNING,
        format!("topic \"{topic}\" has no relation: its name would be \"{name}\", which is that of topic \"{other}\""),
    )
    .detail(format!("A relation's name has at most 63 bytes, so longer topic names are cut and end with a hash.{more}"))
    .hint(format!(
        "Map it by hand under another name: CREATE FOREIGN TABLE .. (columns as the others have) SERVER {server} OPTIONS (topic '{topic}')."
    ))
}

/// A pattern, or a name of LIMIT TO, that no topic or stream matches.
pub fn nothing_matches(server: &str, parts: &[&str]) -> Report {
    let parts: Vec<String> = parts.iter().map(|part| format!("\"{part}\"")).collect();
    Report::new(
        sqlstate::SUCCESSFUL_COMPLETION,
        format!("external schema \"{server}\": there is no topic or stream {}", parts.join(", ")),
    )
    .hint("Check the spelling, upper and lower case included, and whether these credentials may see it. What appears later becomes a relation when the schema is synchronized.")
}

/// The source shows nothing at all.
pub fn no_topics(server: &str) -> Report {
    Report::new(
        sqlstate::SUCCESSFUL_COMPLETION,
        format!("external schema \"{server}\": the source shows no topic or stream"),
    )
    .hint("Internal topics and those whose names begin with __ are left out unless a pattern names them; others may be hidden from these credentials.")
}

/// Why a relation cannot be read.
pub enum Misfit {
    /// The service has no such column.
    Unknown(String),
    /// It has one of another type: the column, its type, what it should be.
    Type(String, String, String),
    /// The column would not show what the stream has: it is generated.
    Generated(String),
}

/// A relation with a column that its stream does not have, or not in this form.
pub fn stream_shape(table: &str, misfit: &Misfit, names: &[&str]) -> Report {
    match misfit {
        Misfit::Unknown(column) => Report::new(
            sqlstate::FDW_COLUMN_NAME_NOT_FOUND,
            format!("column \"{column}\" of {table} is none of its stream"),
        )
        .detail(format!("The stream has {}.", names.join(", ")))
        .hint(format!(
            "ALTER FOREIGN TABLE {table} RENAME COLUMN {0} TO .., or DROP COLUMN {0}.",
            pgrx::spi::quote_identifier(column)
        )),
        Misfit::Type(column, has, right) => Report::new(
            sqlstate::DATATYPE_MISMATCH,
            format!("column \"{column}\" of {table} has type {has}, but the stream's is {right}"),
        )
        .hint(format!(
            "ALTER FOREIGN TABLE {table} ALTER COLUMN {} TYPE {right}; cast it in the query.",
            pgrx::spi::quote_identifier(column)
        )),
        Misfit::Generated(column) => Report::new(
            sqlstate::DATATYPE_MISMATCH,
            format!("column \"{column}\" of {table} is generated, but comes from the stream"),
        )
        .hint("Compute it in the query, or in a view over the relation."),
    }
}

/// Relations of an external schema are created by those who may.
pub fn no_right_to_create(schema: &str) -> Report {
    Report::new(
        sqlstate::INSUFFICIENT_PRIVILEGE,
        format!("permission denied for schema {schema}"),
    )
    .hint(format!(
        "Whoever creates relations in it needs: GRANT CREATE ON SCHEMA {} TO ..",
        pgrx::spi::quote_identifier(schema)
    ))
}
