//! Who a client is and how it knows the brokers: the options of a foreign server and of a user mapping, as the stream's [`Security`].
//!
//! What is secret stands in user mappings or in AWS Secrets Manager. What makes the server's machine answer for a user (its files, its identity at
//! AWS, the roles that it may assume) is for superusers to set, so a user without credentials of his own gets nowhere that the broker does not let
//! everybody go.

use crate::aws::{self, Question};
use crate::error;
use crate::pg::foreign::{self, Server};
use crate::pg::node::Definition;
use crate::pg::relation::{self, Oid};
use crate::pg::setting;
use settings::switch;
use std::collections::BTreeMap;
use stream::aws::{Arn, BrokerAccess, Identity, Keys};
use stream::{ClientCertificate, Config, Login, Pem, Sasl, Secret, Security, Tls};

/// Ports where Amazon MSK speaks TLS without SASL; a server on these alone needs no option to say so.
const TLS_PORTS: [&str; 2] = ["9094", "9194"];

/// Everything that a client is made of. Sources with equal access can share a client; those of different credentials never do.
#[derive(Clone)]
pub struct Access {
    server: String,
    user: Oid,
    /// Of a superuser's server everybody who may use it is served with the machine's identity at AWS.
    of_superuser: bool,
    options: Options,
    mapping: Option<Options>,
}

type Options = BTreeMap<String, String>;

impl PartialEq for Access {
    fn eq(&self, other: &Access) -> bool {
        self.of_superuser == other.of_superuser
            && self.options == other.options
            && self.mapping == other.mapping
    }
}

/// How the client proves who it is, `authentication` of CREATE SERVER.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// Not at all.
    None,
    /// By a client certificate.
    Mtls,
    /// By an identity at AWS.
    Iam,
    /// By user and password.
    Plain,
    /// By user and password, of which the broker learns nothing new.
    Scram256,
    /// The same with a longer hash.
    Scram512,
}

impl Authentication {
    /// Reads it, in any case.
    pub fn parse(text: &str) -> Option<Authentication> {
        Some(match text.to_ascii_lowercase().as_str() {
            "none" => Authentication::None,
            "mtls" => Authentication::Mtls,
            "iam" => Authentication::Iam,
            "plain" => Authentication::Plain,
            "scram-sha-256" => Authentication::Scram256,
            "scram-sha-512" => Authentication::Scram512,
            _ => return None,
        })
    }
}

impl Access {
    /// Of a user to a server: his user mapping, else PUBLIC's, else none.
    pub fn of(server: &Server, user: Oid) -> Access {
        let mut options = collect(&server.options);
        // Which topics are shown is nothing to a client.
        options.remove("topics");
        options.remove("sync");
        Access {
            server: server.name.clone(),
            user,
            of_superuser: relation::is_superuser_role(server.owner),
            options,
            mapping: foreign::mapping(server.oid, user).map(|mapping| collect(&mapping)),
        }
    }

    /// What a client is started with.
    pub fn config(&self, memory_bytes: usize) -> Config {
        let properties = self.options.get("client_properties").map(|text| {
            stream::parse_properties(text).unwrap_or_else(|_| {
                error::client_properties(&stream::FREE_PROPERTIES.join(", ")).raise()
            })
        });
        Config {
            bootstrap_servers: self.brokers(),
            security: self.security(),
            properties: properties.unwrap_or_default(),
            memory_bytes,
            batch_bytes: setting::memory_limit_bytes() / 2,
            ..Config::default()
        }
    }

    /// What has to be asked at AWS before [`Access::config`] can answer without waiting.
    pub fn questions(&self) -> Vec<Question> {
        let given = |name: &str| self.options.get(name).map(String::as_str);
        let mut questions = Vec::new();
        if given("uri").is_none()
            && let Some(arn) = given("cluster_arn")
        {
            let url = given("endpoint_url");
            let (identity, access) = (self.identity(), self.broker_access());
            questions.push(Question::brokers(&self.server, identity, url, arn, access));
        }
        let authentication = self.authentication();
        if matches!(authentication, Authentication::None | Authentication::Iam) {
            return questions;
        }
        if let Some(arn) = given("secret_arn") {
            questions.push(Question::secret(&self.server, self.identity(), arn));
        } else if let Some(arn) = given("authentication_arn")
            && authentication == Authentication::Mtls
        {
            questions.push(Question::certificate(&self.server, self.identity(), arn));
        }
        questions
    }

    fn authentication(&self) -> Authentication {
        let text = self.options.get("authentication").map(String::as_str);
        text.and_then(Authentication::parse)
            .unwrap_or(Authentication::None)
    }

    fn brokers(&self) -> String {
        if let Some(uri) = self.options.get("uri") {
            return uri.clone();
        }
        let arn = self.options.get("cluster_arn").cloned().unwrap_or_default();
        let access = self.broker_access();
        let endpoint_url = self.options.get("endpoint_url").map(String::as_str);
        aws::brokers(&self.server, &self.identity(), endpoint_url, &arn, access)
    }

    fn broker_access(&self) -> BrokerAccess {
        match self.authentication() {
            Authentication::Iam => BrokerAccess::Iam,
            Authentication::Scram256 | Authentication::Scram512 | Authentication::Plain => {
                BrokerAccess::Scram
            }
            Authentication::None if !speaks_tls(&self.options) => BrokerAccess::Plaintext,
            Authentication::None | Authentication::Mtls => BrokerAccess::Tls,
        }
    }

    /// Who requests to AWS are made as.
    pub fn identity(&self) -> Identity {
        let own = |name: &str| self.mapping.as_ref()?.get(name).cloned();
        let keys = match (own("access_key_id"), own("secret_access_key")) {
            (Some(access_key_id), Some(key)) => Some(Keys {
                access_key_id,
                secret_access_key: Secret::new(key),
                session_token: own("session_token").map(Secret::new),
            }),
            _ => None,
        };
        let role = self.options.get("iam_role").map(String::as_str);
        if role.is_none() && keys.is_none() && !self.of_superuser {
            let user = relation::role_name(self.user);
            error::no_aws_identity(&self.server, &user).raise();
        }
        let roles = match role {
            Some(role) if role.eq_ignore_ascii_case("default") => setting::default_iam_role(),
            role => role.map(str::to_owned),
        };
        let roles = roles.map(|text| {
            Identity::parse_roles(&text).unwrap_or_else(|error| {
                error::source(&format!("external schema \"{}\"", self.server), &error).raise()
            })
        });
        Identity {
            region: self.region(),
            keys,
            roles: roles.unwrap_or_default(),
            external_id: self.options.get("external_id").cloned(),
            endpoint_url: setting::aws_endpoint_url(),
        }
    }

    /// The region that is given, else that of an ARN (`arn:aws:kafka:REGION:..`).
    fn region(&self) -> Option<String> {
        let of_arn = |name: &str| {
            let arn = Arn::parse(self.options.get(name)?)?;
            arn.region.map(str::to_owned)
        };
        self.options
            .get("region")
            .cloned()
            .or_else(|| of_arn("cluster_arn"))
            .or_else(|| of_arn("secret_arn"))
            .or_else(|| of_arn("authentication_arn"))
            .or_else(setting::aws_region)
    }

    fn security(&self) -> Security {
        let authentication = self.authentication();
        let client_certificate = match authentication {
            Authentication::Mtls => Some(self.client_certificate()),
            _ => None,
        };
        let sasl = match authentication {
            Authentication::None | Authentication::Mtls => None,
            Authentication::Plain => Some(Sasl::Plain(self.login())),
            Authentication::Scram256 => Some(Sasl::Scram256(self.login())),
            Authentication::Scram512 => Some(Sasl::Scram512(self.login())),
            Authentication::Iam => Some(Sasl::Iam(self.identity())),
        };
        let tls = speaks_tls(&self.options).then(|| Tls {
            ca: pem(&self.options, "ca"),
            client_certificate,
            verify_hostname: self
                .options
                .get("verify_hostname")
                .and_then(|text| switch(text))
                != Some(false),
        });
        Security { tls, sasl }
    }

    fn login(&self) -> Login {
        if let Some(arn) = self.options.get("secret_arn") {
            let names = ["username", "password"];
            let [user, password] = aws::secret(&self.server, &self.identity(), arn, names);
            return Login {
                user: user.expose().to_owned(),
                password,
            };
        }
        let of_mapping = |name| self.mapping.as_ref().and_then(|mapping| mapping.get(name));
        match (of_mapping("user"), of_mapping("password")) {
            (Some(user), Some(password)) => Login {
                user: user.clone(),
                password: Secret::new(password),
            },
            _ => self.missing("user and password", "user '..', password '..'"),
        }
    }

    fn client_certificate(&self) -> ClientCertificate {
        if let Some(arn) = self.options.get("secret_arn") {
            let names = ["certificate", "privateKey"];
            let [chain, private_key] = aws::secret(&self.server, &self.identity(), arn, names);
            return ClientCertificate {
                chain: Pem::Text(chain),
                private_key: Pem::Text(private_key),
                private_key_password: None,
            };
        }
        if let Some(arn) = self.options.get("authentication_arn") {
            return aws::certificate(&self.server, &self.identity(), arn);
        }
        let mapping = self.mapping.as_ref();
        let of_mapping = |name| mapping.and_then(|mapping| pem(mapping, name));
        match (of_mapping("certificate"), of_mapping("private_key")) {
            (Some(chain), Some(private_key)) => ClientCertificate {
                chain,
                private_key,
                private_key_password: mapping
                    .and_then(|mapping| mapping.get("private_key_password"))
                    .map(Secret::new),
            },
            _ => self.missing(
                "client certificate and private key",
                "certificate '..', private_key '..'",
            ),
        }
    }

    fn missing(&self, what: &str, options: &str) -> ! {
        let user = relation::role_name(self.user);
        error::credentials_missing(&self.server, &user, what, options).raise()
    }
}

fn collect(options: &[Definition]) -> Options {
    let value = |option: &Definition| Some((option.name.clone(), option.value.clone()?));
    options.iter().filter_map(value).collect()
}

/// The text of option `name`, or the file of option `name_file`.
fn pem(options: &Options, name: &str) -> Option<Pem> {
    let text = options.get(name).map(|text| Pem::Text(Secret::new(text)));
    let file = options.get(&format!("{name}_file"));
    text.or_else(|| file.map(|path| Pem::File(path.clone())))
}

/// Whether connections are encrypted: as option `tls` says; without it, wherever there is something to protect or to verify, and on MSK's TLS ports.
fn speaks_tls(options: &Options) -> bool {
    let given = |name: &str| options.get(name).map(String::as_str);
    if let Some(tls) = given("tls").and_then(switch) {
        return tls;
    }
    let authenticates = given("authentication")
        .and_then(Authentication::parse)
        .is_some_and(|authentication| authentication != Authentication::None);
    let on_tls_ports = given("uri").unwrap_or_default().split(',').all(|broker| {
        let port = broker.trim().rsplit(':').next().unwrap_or_default();
        TLS_PORTS.contains(&port)
    });
    authenticates || given("ca").is_some() || given("ca_file").is_some() || on_tls_ports
}
