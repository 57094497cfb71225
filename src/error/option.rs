//! Options of views, servers and user mappings.

use crate::pg::report::{Report, sqlstate};

/// WITH (start = .., start = ..).
pub fn option_twice(name: &str) -> Report {
    Report::new(
        sqlstate::SYNTAX_ERROR,
        format!("option \"{name}\" is specified more than once"),
    )
}

/// An option with a value that it cannot have.
pub fn option_value(name: &str, value: &str, allowed: &str) -> Report {
    Report::new(
        sqlstate::INVALID_PARAMETER_VALUE,
        format!("invalid value for option \"{name}\": \"{value}\""),
    )
    .hint(format!("Allowed: {allowed}."))
}

/// An option that a setting bounds is more than that.
pub fn option_bounded(name: &str, value: &str, most: &str) -> Report {
    Report::new(
        sqlstate::SUCCESSFUL_COMPLETION,
        format!("option \"{name}\": \"{value}\" is more than redshift.{name}, {most}, which holds"),
    )
    .detail("The option holds where it is less than the setting.")
}

/// An option of a later release.
pub fn option_not_yet(name: &str, instead: &str) -> Report {
    Report::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        format!("option \"{name}\" is not supported by this release"),
    )
    .hint(instead)
}

/// An option that is fixed when the view is created.
pub fn option_fixed(name: &str) -> Report {
    Report::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        format!("option \"{name}\" can only be given to CREATE MATERIALIZED VIEW"),
    )
}

/// Consumers are registered with streams.
pub fn consumer_of_topic() -> Report {
    Report::new(
        sqlstate::INVALID_PARAMETER_VALUE,
        "option \"consumer\" is for streams of Kinesis".to_owned(),
    )
}

/// The same for a value that may be a secret.
pub fn secret_option_value(name: &str, allowed: &str) -> Report {
    Report::new(
        sqlstate::INVALID_PARAMETER_VALUE,
        format!("invalid value for option \"{name}\""),
    )
    .hint(format!("Allowed: {allowed}."))
}

/// Options that exclude each other.
pub fn conflicting_options(one: &str, other: &str) -> Report {
    Report::new(
        sqlstate::INVALID_PARAMETER_VALUE,
        format!("options \"{one}\" and \"{other}\" cannot be given together"),
    )
}

/// An option that only a superuser may set.
pub fn superuser_option(name: &str) -> Report {
    Report::new(
        sqlstate::INSUFFICIENT_PRIVILEGE,
        format!("only a superuser may set option \"{name}\""),
    )
    .detail("It lets the database server's own machine answer for whoever uses it; ALTER counts as setting all options anew.")
}

/// An option that says where brokers are, by a user who may not.
pub fn host_option(name: &str, role: Option<&str>, user: &str) -> Report {
    const FIRST: &str = "CREATE ROLE stream_hosts; ALTER SYSTEM SET redshift.host_role = 'stream_hosts'; SELECT pg_reload_conf(); ";
    let (who, first) = match role {
        Some(role) => (format!("superusers and members of role \"{role}\" may"), ""),
        None => (
            "only superusers may, until redshift.host_role names a role for others".to_owned(),
            FIRST,
        ),
    };
    let role = role.unwrap_or("stream_hosts");
    Report::new(
        sqlstate::INSUFFICIENT_PRIVILEGE,
        format!("permission denied to set option \"{name}\""),
    )
    .detail(format!(
        "It says to which hosts the database server's machine connects: {who}."
    ))
    .hint(format!(
        "A superuser allows it: {first}GRANT {} TO {};",
        pgrx::spi::quote_identifier(role),
        pgrx::spi::quote_identifier(user)
    ))
}

/// `client_properties` that were valid for an earlier release.
pub fn client_properties(allowed: &str) -> Report {
    Report::new(
        sqlstate::INVALID_PARAMETER_VALUE,
        "invalid value for option \"client_properties\"",
    )
    .hint(format!("Properties that can be set: {allowed}."))
}

/// An unknown option of a server or foreign table.
pub fn foreign_option(name: &str, allowed: &str) -> Report {
    Report::new(
        sqlstate::FDW_INVALID_OPTION_NAME,
        format!("invalid option \"{name}\""),
    )
    .hint(format!("Valid options here: {allowed}."))
}

/// A required option is missing.
pub fn foreign_option_missing(object: &str, name: &str) -> Report {
    Report::new(
        sqlstate::INVALID_PARAMETER_VALUE,
        format!("{object} has no option \"{name}\""),
    )
}

/// A name that PostgreSQL would cut.
pub fn name_too_long(name: &str) -> Report {
    Report::new(
        sqlstate::NAME_TOO_LONG,
        format!("the name \"{name}\" has more than 63 bytes"),
    )
}

/// An option that means something beside another one only.
pub fn option_needs(name: &str, other: &str) -> Report {
    Report::new(
        sqlstate::INVALID_PARAMETER_VALUE,
        format!("option \"{name}\" goes with option \"{other}\""),
    )
}
