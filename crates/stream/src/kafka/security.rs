//! How a client knows the brokers, and how it proves who it is.

use crate::aws::Identity;
use crate::{Error, Secret};

/// Encryption and authentication of a client. The default is neither.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Security {
    /// None: plain text.
    pub tls: Option<Tls>,
    /// None: the client does not say who it is, or its certificate does.
    pub sasl: Option<Sasl>,
}

/// How TLS is spoken. Brokers' certificates are always verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tls {
    /// Whose signature on a broker's certificate is believed; None: whom the system believes.
    pub ca: Option<Pem>,
    /// The client's own certificate (mTLS).
    pub client_certificate: Option<ClientCertificate>,
    /// Whether a broker's certificate has to name the host that was connected to.
    pub verify_hostname: bool,
}

impl Default for Tls {
    fn default() -> Tls {
        Tls {
            ca: None,
            client_certificate: None,
            verify_hostname: true,
        }
    }
}

/// Certificates or a key in PEM form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pem {
    /// The text itself.
    Text(Secret),
    /// The path of a file.
    File(String),
}

/// A certificate with its private key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientCertificate {
    /// The client's certificate, then those between it and the authority.
    pub chain: Pem,
    /// Its private key.
    pub private_key: Pem,
    /// What the key is encrypted with.
    pub private_key_password: Option<Secret>,
}

/// A SASL mechanism with what it needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Sasl {
    /// The password itself goes to the broker.
    Plain(Login),
    /// SCRAM-SHA-256.
    Scram256(Login),
    /// SCRAM-SHA-512.
    Scram512(Login),
    /// Tokens of AWS's identity service, as MSK takes them.
    Iam(Identity),
}

/// A user and a password.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// The password.
    pub password: Secret,
}

impl Security {
    /// As librdkafka's properties.
    pub(crate) fn to_properties(&self) -> Vec<(&'static str, String)> {
        let mut properties = vec![("security.protocol", self.protocol().to_owned())];
        if let Some(tls) = &self.tls {
            tls.add_to(&mut properties);
        }
        if let Some(sasl) = &self.sasl {
            sasl.add_to(&mut properties);
        }
        properties
    }

    fn protocol(&self) -> &'static str {
        match (&self.tls, &self.sasl) {
            (None, None) => "PLAINTEXT",
            (Some(_), None) => "SSL",
            (None, Some(_)) => "SASL_PLAINTEXT",
            (Some(_), Some(_)) => "SASL_SSL",
        }
    }
}

impl Tls {
    fn add_to(&self, properties: &mut Vec<(&'static str, String)>) {
        properties.push(match &self.ca {
            Some(Pem::Text(text)) => ("ssl.ca.pem", text.expose().to_owned()),
            Some(Pem::File(path)) => ("ssl.ca.location", path.clone()),
            // Where distributions keep theirs.
            None => ("ssl.ca.location", "probe".to_owned()),
        });
        if let Some(own) = &self.client_certificate {
            properties.push(match &own.chain {
                Pem::Text(text) => ("ssl.certificate.pem", text.expose().to_owned()),
                Pem::File(path) => ("ssl.certificate.location", path.clone()),
            });
            properties.push(match &own.private_key {
                Pem::Text(text) => ("ssl.key.pem", text.expose().to_owned()),
                Pem::File(path) => ("ssl.key.location", path.clone()),
            });
            if let Some(password) = &own.private_key_password {
                properties.push(("ssl.key.password", password.expose().to_owned()));
            }
        }
        let check = if self.verify_hostname {
            "https"
        } else {
            "none"
        };
        properties.push(("ssl.endpoint.identification.algorithm", check.to_owned()));
    }
}

impl Sasl {
    /// The name that brokers know the mechanism by.
    pub fn mechanism(&self) -> &'static str {
        match self {
            Sasl::Plain(_) => "PLAIN",
            Sasl::Scram256(_) => "SCRAM-SHA-256",
            Sasl::Scram512(_) => "SCRAM-SHA-512",
            Sasl::Iam(_) => "OAUTHBEARER",
        }
    }

    fn add_to(&self, properties: &mut Vec<(&'static str, String)>) {
        properties.push(("sasl.mechanisms", self.mechanism().to_owned()));
        match self {
            Sasl::Plain(login) | Sasl::Scram256(login) | Sasl::Scram512(login) => {
                properties.push(("sasl.username", login.user.clone()));
                properties.push(("sasl.password", login.password.expose().to_owned()));
            }
            // The tokens come later, one after the other.
            Sasl::Iam(_) => {}
        }
    }
}

/// What may be set. A list of what is harmless rather than of what is dangerous, since librdkafka gains new ones.
pub const FREE_PROPERTIES: [&str; 28] = [
    "api.version.request.timeout.ms",
    "broker.address.family",
    "broker.address.ttl",
    "check.crcs",
    "client.dns.lookup",
    "client.id",
    "client.rack",
    "connections.max.idle.ms",
    "enable.metrics.push",
    "fetch.error.backoff.ms",
    "fetch.min.bytes",
    "fetch.queue.backoff.ms",
    "fetch.wait.max.ms",
    "metadata.max.age.ms",
    "metadata.recovery.rebootstrap.trigger.ms",
    "metadata.recovery.strategy",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.nagle.disable",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "socket.timeout.ms",
    "ssl.cipher.suites",
    "ssl.curves.list",
    "ssl.sigalgs.list",
    "topic.metadata.refresh.interval.ms",
];

/// Reads `name=value[,name=value..]`; blanks and line breaks around names and values do not count.
pub fn parse_properties(text: &str) -> Result<Vec<(String, String)>, Error> {
    let parts = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').ok_or_else(|| {
                Error::Config("client properties are written name=value[,name=value..]".to_owned())
            })?;
            let (name, value) = (name.trim(), value.trim());
            if !FREE_PROPERTIES.contains(&name) {
                return Err(Error::Config(format!(
                    "client property \"{name}\" cannot be set"
                )));
            }
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect()
}

/// Why a broker and a client did not come to terms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Nobody that the client believes has signed the broker's certificate.
    UntrustedBroker,
    /// The broker's certificate has expired, or is not valid yet.
    BrokerCertificateExpired,
    /// The broker's certificate is another host's.
    WrongHost,
    /// The broker does not accept the client's certificate, or wants one and got none.
    ClientCertificate,
    /// The broker does not accept user and password.
    Login,
    /// The broker does not offer the SASL mechanism.
    Mechanism,
    /// There is no token for want of credentials of AWS.
    NoToken,
    /// The broker does not accept the token of AWS.
    Token,
    /// The client speaks TLS to a listener without.
    NoTls,
    /// The client speaks plain text to a listener with TLS.
    TlsRequired,
    /// The broker hangs up as those do that want to know who asks.
    SaslRequired,
    /// The client's certificate and private key cannot be used.
    OwnCertificate,
    /// The certificates of the authorities cannot be used.
    Authority,
    /// TLS failed for another reason.
    Tls,
}

/// What OpenSSL says of a certificate (x509_vfy.h).
const NOT_YET_VALID: i32 = 9;
const HAS_EXPIRED: i32 = 10;
const HOST_MISMATCH: i32 = 62;
const ADDRESS_MISMATCH: i32 = 64;

impl Refusal {
    /// Reads it from librdkafka's text. `verify` is what was last found wrong with a broker's certificate.
    pub(super) fn of(is_authentication: bool, text: &str, verify: i32) -> Option<Refusal> {
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        Some(if has(&["certificate verify failed"]) {
            match verify {
                NOT_YET_VALID | HAS_EXPIRED => Refusal::BrokerCertificateExpired,
                HOST_MISMATCH | ADDRESS_MISMATCH => Refusal::WrongHost,
                _ => Refusal::UntrustedBroker,
            }
        } else if has(&[
            "alert bad certificate",
            "alert certificate",
            "alert unknown ca",
            "alert handshake failure",
            "client SSL authentication might be required",
            "alert unsupported certificate",
        ]) {
            Refusal::ClientCertificate
        } else if has(&[
            "wrong version number",
            "connecting to a PLAINTEXT broker listener",
            "record layer failure",
        ]) {
            Refusal::NoTls
        } else if has(&["connecting to a SSL listener"])
            || hung_up(text, "in state APIVERSION_QUERY") && !has(&["ssl://"])
        {
            Refusal::TlsRequired
        } else if hung_up(text, "ms in state UP") && !has(&["sasl_"]) {
            Refusal::SaslRequired
        } else if has(&["mechanism handshake failed"]) {
            Refusal::Mechanism
        } else if has(&["Failed to acquire SASL OAUTHBEARER token"]) {
            Refusal::NoToken
        } else if is_authentication {
            Refusal::Login
        } else if has(&["SSL handshake failed"]) {
            Refusal::Tls
        } else {
            return None;
        })
    }

    /// Whether trying again within the same request is of no use: these do not go away by themselves.
    pub(super) fn is_final(self) -> bool {
        use Refusal::*;
        !matches!(self, NoTls | TlsRequired | SaslRequired | Tls)
    }
}

/// The connection was ended by the other side, in this state and at once: "Disconnected: .. (after 0ms in state UP)".
fn hung_up(text: &str, state: &str) -> bool {
    const AT_ONCE_MS: u32 = 1000;
    let after = text.split_once("(after ").map(|(_, rest)| rest);
    let ms = after.and_then(|rest| rest.split_once("ms ")?.0.parse::<u32>().ok());
    text.contains("Disconnected") && text.contains(state) && ms.is_some_and(|ms| ms < AT_ONCE_MS)
}

/// Why a broker's certificate was not accepted, in words.
pub(super) fn verify_error_text(code: i32) -> Option<&'static str> {
    Some(match code {
        2 | 20 | 21 => "its issuer is not known",
        NOT_YET_VALID => "it is not valid yet",
        HAS_EXPIRED => "it has expired",
        18 => "it is self-signed and not trusted",
        19 => "the authority at the end of its chain is not trusted",
        23 => "it was revoked",
        HOST_MISMATCH => "it does not name this host",
        ADDRESS_MISMATCH => "it does not name this address",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let security = Security {
            tls: Some(Tls {
                client_certificate: Some(ClientCertificate {
                    chain: Pem::Text(Secret::new("a-certificate")),
                    private_key: Pem::Text(Secret::new("hidden-key")),
                    private_key_password: Some(Secret::new("hidden-password")),
                }),
                ..Tls::default()
            }),
            sasl: Some(Sasl::Plain(Login {
                user: "alice".into(),
                password: Secret::new("hidden-login"),
            })),
        };
        let shown = format!("{security:?}");
        assert!(
            shown.contains("alice") && !shown.contains("hidden"),
            "{shown}"
        );
    }

    #[test]
    fn protocol_follows_from_what_is_given() {
        let login = Login {
            user: "u".into(),
            password: Secret::new("p"),
        };
        let of = |tls: bool, sasl: bool| Security {
            tls: tls.then(Tls::default),
            sasl: sasl.then(|| Sasl::Scram512(login.clone())),
        };
        let name = |security: Security| security.to_properties()[0].1.clone();
        assert_eq!(name(of(false, false)), "PLAINTEXT");
        assert_eq!(name(of(true, false)), "SSL");
        assert_eq!(name(of(false, true)), "SASL_PLAINTEXT");
        assert_eq!(name(of(true, true)), "SASL_SSL");
    }

    #[test]
    fn host_names_are_verified_unless_told_otherwise() {
        let security = Security {
            tls: Some(Tls::default()),
            sasl: None,
        };
        let check = ("ssl.endpoint.identification.algorithm", "https".to_owned());
        assert!(security.to_properties().contains(&check));
    }

    #[test]
    fn only_harmless_properties_are_taken() {
        let parsed = parse_properties(" client.rack = az1,\n socket.timeout.ms=500 ,").unwrap();
        assert_eq!(parsed[0], ("client.rack".to_owned(), "az1".to_owned()));
        assert_eq!(parsed.len(), 2);
        for text in [
            "plugin.library.paths=/tmp/x.so",
            "ssl.ca.location=/etc/passwd",
            "sasl.password=x",
            "sasl.oauthbearer.token.endpoint.url=http://x",
            "ssl.engine.location=x",
            "debug=all",
            "isolation.level=read_uncommitted",
            "group.id=x",
        ] {
            let error = parse_properties(text).unwrap_err().to_string();
            let value = text.split_once('=').unwrap().1;
            assert!(
                error.contains("cannot be set") && !error.contains(value),
                "{error}"
            );
        }
        assert!(parse_properties("client.rack").is_err());
    }

    #[test]
    fn refusals_are_read_from_texts() {
        let of = |text| Refusal::of(false, text, 10);
        assert_eq!(
            of("SSL handshake failed: error:0A000086:SSL routines::certificate verify failed"),
            Some(Refusal::BrokerCertificateExpired)
        );
        assert_eq!(
            of("Receive failed: error:0A000412:SSL routines::sslv3 alert bad certificate"),
            Some(Refusal::ClientCertificate)
        );
        assert_eq!(
            Refusal::of(true, "SASL authentication error: Authentication failed", 0),
            Some(Refusal::Login)
        );
        assert_eq!(
            of("Connect to ipv4#127.0.0.1:1 failed: Connection refused"),
            None
        );
    }
}
