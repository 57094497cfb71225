//! The options of CREATE SERVER, CREATE USER MAPPING and CREATE FOREIGN TABLE: which there are, who may set them, what they may be.
//!
//! Values of a user mapping are secrets: no message repeats them.

use crate::access::Authentication;
use crate::error;
use crate::pg::node::Definition;
use crate::pg::setting;
use crate::pg::{extension, relation, server_guard};
use plan::names::Pattern;
use settings::server::{self, Form, ServerOption, Who};
use settings::{Values, switch};
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

impl OptionsOf {
    fn entries(self) -> &'static [ServerOption] {
        match self {
            OptionsOf::Server => &server::SERVER,
            OptionsOf::Mapping => &server::MAPPING,
            OptionsOf::Table => &server::TABLE,
            OptionsOf::Other => &[],
        }
    }

    fn find(self, name: &str) -> Option<&'static ServerOption> {
        self.entries().iter().find(|entry| entry.name == name)
    }

    fn may_set(self, name: &str, who: Who) -> bool {
        self.find(name).is_some_and(|entry| entry.who == who)
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
            .find(|option| of.may_set(&option.name, Who::Superuser))
        {
            error::superuser_option(&kept.name).raise();
        }
        check_hosts(of, options, &existing);
    }
    for option in options {
        check(of, option);
    }
    let given = |wanted: &str| options.iter().any(|option| option.name == wanted);
    for entry in of.entries() {
        if let Some(other) = entry.not_with
            && given(entry.name)
            && given(other)
        {
            error::conflicting_options(entry.name, other).raise();
        }
    }
    check_tls(options);
}

fn check(of: OptionsOf, Definition { name, value }: &Definition) {
    let Some(entry) = of.find(name) else {
        let names: Vec<&str> = of.entries().iter().map(|entry| entry.name).collect();
        let allowed = match names.as_slice() {
            [] => "none".to_owned(),
            names => names.join(", "),
        };
        error::foreign_option(name, &allowed).raise();
    };
    if entry.who == Who::Superuser && !relation::is_superuser() {
        error::superuser_option(name).raise();
    }
    if is_right(entry.form, value.as_deref().unwrap_or_default()) {
        return;
    }
    let allowed = entry.form.allowed();
    match value {
        Some(value) if !entry.is_secret => error::option_value(name, value, &allowed).raise(),
        _ => error::secret_option_value(name, &allowed).raise(),
    }
}

/// The machine connects to hosts that superusers have named, or members of a role that a superuser has named for that.
fn check_hosts(of: OptionsOf, options: &[Definition], existing: &[Definition]) {
    let role = setting::host_role();
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
        .find(|option| of.may_set(&option.name, Who::HostRole) && !is_known(option));
    if let Some(new) = new
        && !server_guard::may_choose_hosts(role.as_deref())
    {
        let user = relation::role_name(relation::current_user());
        error::host_option(&new.name, role.as_deref(), &user).raise();
    }
}

fn is_right(form: Form, value: &str) -> bool {
    match form {
        Form::Brokers => value.split(',').all(is_broker),
        Form::Authentication => Authentication::parse(value).is_some(),
        Form::Names => Pattern::is_valid(value),
        Form::Name => !value.trim().is_empty(),
        Form::Region => is_region(value),
        Form::Address => value.starts_with("https://") || value.starts_with("http://"),
        Form::Arn(service, resource, _) => is_arn(value, service, resource),
        Form::Roles => {
            value.eq_ignore_ascii_case("default") || Identity::parse_roles(value).is_ok()
        }
        Form::Of(Values::Words(words)) => words.contains(&value),
        Form::Of(_) => switch(value).is_some(),
        Form::Certificates => value.contains("-----BEGIN CERTIFICATE-----"),
        Form::PrivateKey => value.contains("-----BEGIN ") && value.contains("PRIVATE KEY-----"),
        Form::File => value.starts_with('/'),
        Form::Properties => stream::parse_properties(value).is_ok(),
        Form::Any => !value.is_empty(),
    }
}

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
