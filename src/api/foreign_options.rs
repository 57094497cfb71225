//! The options of CREATE SERVER, CREATE USER MAPPING and CREATE FOREIGN TABLE: which there are, who may set them, what they may be.
//!
//! Values of a user mapping are secrets: no message repeats them.

use crate::access::{Authentication, switch};
use crate::pg::node::Definition;
use crate::pg::{extension, relation, server_guard};
use crate::{error, settings};
use plan::names::Pattern;
use stream::aws::{Arn, Identity, is_region};

/// The catalogue that the validator is asked about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum OptionsOf {
    /// CREATE SERVER.
    Server,
    /// CREATE USER MAPPING.
    Mapping,
    /// CREATE FOREIGN TABLE.
    Table,
    /// Others, which have no options.
    Other,
}

/// Of Kafka, of both, of Kinesis.
const SERVER: [&str; 19] = [
    "uri",
    "cluster_arn",
    "authentication",
    "secret_arn",
    "authentication_arn",
    "topics",
    "tls",
    "ca",
    "ca_file",
    "verify_hostname",
    "client_properties",
    "region",
    "iam_role",
    "external_id",
    "endpoint_url",
    "streams",
    "preview_columns",
    "deaggregate",
    "sync",
];
const MAPPING: [&str; 10] = [
    "user",
    "password",
    "certificate",
    "certificate_file",
    "private_key",
    "private_key_file",
    "private_key_password",
    "access_key_id",
    "secret_access_key",
    "session_token",
];
const TABLE: [&str; 2] = ["topic", "stream"];

/// What reads files of the server's machine, or speaks for it at AWS.
const SUPERUSER: [&str; 5] = [
    "ca_file",
    "certificate_file",
    "private_key_file",
    "iam_role",
    "endpoint_url",
];

/// What says to which hosts the server's machine connects. (Hosts of Kinesis are those of AWS in the region.)
const HOSTS: [&str; 2] = ["uri", "cluster_arn"];

/// Of these at most one can be given.
const EITHER: [(&str, &str); 5] = [
    ("uri", "cluster_arn"),
    ("secret_arn", "authentication_arn"),
    ("ca", "ca_file"),
    ("certificate", "certificate_file"),
    ("private_key", "private_key_file"),
];

impl OptionsOf {
    fn names(self) -> &'static [&'static str] {
        match self {
            OptionsOf::Server => &SERVER,
            OptionsOf::Mapping => &MAPPING,
            OptionsOf::Table => &TABLE,
            OptionsOf::Other => &[],
        }
    }
}

/// Raises an error for options that cannot be, or that the current user may not set. ALTER gives all that there will be, so a superuser's options are his
/// to alter only, and to take away.
pub fn validate(of: OptionsOf, options: &[Definition]) {
    let existing = server_guard::existing();
    if matches!(of, OptionsOf::Server | OptionsOf::Mapping) && !relation::is_superuser() {
        // Else nobody has looked at what there was.
        if !extension::is_preloaded() {
            error::not_preloaded().raise();
        }
        if let Some(kept) = existing
            .iter()
            .find(|option| SUPERUSER.contains(&option.name.as_str()))
        {
            error::superuser_option(&kept.name).raise();
        }
        check_hosts(options, &existing);
    }
    for Definition { name, value } in options {
        if !of.names().contains(&name.as_str()) {
            let allowed = match of.names() {
                [] => "none".to_owned(),
                names => names.join(", "),
            };
            error::foreign_option(name, &allowed).raise();
        }
        if SUPERUSER.contains(&name.as_str()) && !relation::is_superuser() {
            error::superuser_option(name).raise();
        }
        if let Some(allowed) = wrong(name, value.as_deref().unwrap_or_default()) {
            // A key may have been pasted into the wrong option.
            let may_be_secret =
                of == OptionsOf::Mapping || matches!(name.as_str(), "ca" | "client_properties");
            match value {
                Some(value) if !may_be_secret => error::option_value(name, value, allowed).raise(),
                _ => error::secret_option_value(name, allowed).raise(),
            }
        }
    }
    let given = |wanted: &str| options.iter().any(|option| option.name == wanted);
    for (one, other) in EITHER {
        if given(one) && given(other) {
            error::conflicting_options(one, other).raise();
        }
    }
    check_tls(options);
}

/// The machine connects to hosts that superusers have named, or members of a role that a superuser has named for that.
fn check_hosts(options: &[Definition], existing: &[Definition]) {
    let role = settings::host_role();
    let is_known = |option: &Definition| {
        let value = |of: &Definition| of.value.clone().unwrap_or_default();
        let known = existing.iter().find(|known| known.name == option.name);
        let known = known.map(value).unwrap_or_default();
        let hosts: Vec<&str> = known.split(',').map(str::trim).collect();
        value(option)
            .split(',')
            .all(|host| hosts.contains(&host.trim()))
    };
    let new = options
        .iter()
        .find(|option| HOSTS.contains(&option.name.as_str()) && !is_known(option));
    if let Some(new) = new
        && !server_guard::may_choose_hosts(role.as_deref())
    {
        let user = relation::role_name(relation::current_user());
        error::host_option(&new.name, role.as_deref(), &user).raise();
    }
}

/// What is allowed instead, if a value cannot be.
fn wrong(name: &str, value: &str) -> Option<&'static str> {
    let (right, allowed) = match name {
        "uri" => (value.split(',').all(is_broker), "host:port[,host:port..]"),
        "authentication" => (
            Authentication::parse(value).is_some(),
            Authentication::ALLOWED,
        ),
        "topics" | "streams" => (
            Pattern::is_valid(value),
            "names separated by commas, * stands for any characters, ! before a name leaves it out",
        ),
        "topic" | "stream" => (!value.trim().is_empty(), "a name"),
        "region" => (is_region(value), "a region of AWS, such as us-east-1"),
        "preview_columns" => (matches!(value, "true" | "false"), "true, false"),
        "deaggregate" => (matches!(value, "off" | "on" | "all"), "off, on, all"),
        "sync" => (matches!(value, "auto" | "manual"), "auto, manual"),
        "endpoint_url" => (
            value.starts_with("https://") || value.starts_with("http://"),
            "https://host[:port], http://host[:port]",
        ),
        "cluster_arn" => (
            is_arn(value, "kafka", "cluster/"),
            "arn:aws:kafka:REGION:ACCOUNT:cluster/NAME/ID",
        ),
        "secret_arn" => (
            is_arn(value, "secretsmanager", "secret:"),
            "arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME",
        ),
        "authentication_arn" => (
            is_arn(value, "acm", "certificate/"),
            "arn:aws:acm:REGION:ACCOUNT:certificate/ID",
        ),
        "iam_role" => (
            value.eq_ignore_ascii_case("default") || Identity::parse_roles(value).is_ok(),
            "default, or ARNs of at most 10 roles, arn:aws:iam::ACCOUNT:role/NAME[,..], each assumed by the one before it",
        ),
        "tls" | "verify_hostname" => (switch(value).is_some(), "on, off"),
        "ca" | "certificate" => (
            value.contains("-----BEGIN CERTIFICATE-----"),
            "certificates as PEM text",
        ),
        "private_key" => (
            value.contains("-----BEGIN ") && value.contains("PRIVATE KEY-----"),
            "a private key as PEM text",
        ),
        "ca_file" | "certificate_file" | "private_key_file" => {
            (value.starts_with('/'), "the absolute path of a file")
        }
        "client_properties" => (stream::parse_properties(value).is_ok(), CLIENT_PROPERTIES),
        _ => (!value.is_empty(), "a text"),
    };
    (!right).then_some(allowed)
}

/// [`stream::FREE_PROPERTIES`] in words; the documentation lists them.
const CLIENT_PROPERTIES: &str = "name=value[,name=value..] of harmless properties of librdkafka, such as client.rack, client.id, socket.timeout.ms, fetch.min.bytes";

fn is_arn(text: &str, service: &str, resource: &str) -> bool {
    Arn::parse(text).is_some_and(|arn| {
        arn.service == service
            && arn.region.is_some()
            && arn
                .resource
                .strip_prefix(resource)
                .is_some_and(|name| !name.is_empty())
    })
}

fn is_broker(broker: &str) -> bool {
    match broker.trim().rsplit_once(':') {
        Some((host, port)) => !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0),
        None => false,
    }
}

/// A client certificate is shown in TLS only, and where there is no TLS nothing is verified.
fn check_tls(options: &[Definition]) {
    let value = |wanted: &str| {
        let option = options.iter().find(|option| option.name == wanted)?;
        option.value.as_deref()
    };
    if value("tls").and_then(switch) != Some(false) {
        return;
    }
    let authentication = value("authentication").and_then(Authentication::parse);
    if matches!(
        authentication,
        Some(Authentication::Mtls | Authentication::Iam)
    ) {
        error::option_value("tls", "off", "on, where authentication is mtls or iam").raise();
    }
    for name in ["ca", "ca_file", "verify_hostname"] {
        if value(name).is_some() {
            error::conflicting_options("tls off", name).raise();
        }
    }
}
