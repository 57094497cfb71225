//! Single requests to AWS: the brokers of an MSK cluster, a secret, a certificate. Signed here, so that no service's own crate is needed.

use super::Identity;
use super::token::percent_encoded;
use crate::error::{causes, clipped};
use crate::kafka::security::{ClientCertificate, Pem};
use crate::runtime::{self, Pending};
use crate::wake::Wake;
use crate::{Error, Secret};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A request that is under way.
pub struct Request<T> {
    wake: Arc<Wake>,
    pending: Pending<T>,
}

impl<T: Send + 'static> Request<T> {
    fn start(
        text: String,
        timeout: Duration,
        answer: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<Request<T>, Error> {
        let wake = Wake::new().map_err(|error| Error::Config(format!("pipe: {error}")))?;
        let wake = Arc::new(wake);
        let pending = runtime::ask(&wake, text, timeout, answer);
        Ok(Request { wake, pending })
    }

    /// Becomes readable when the answer is there.
    pub fn wake_fd(&self) -> RawFd {
        self.wake.read_fd()
    }

    /// The answer, once, if it has come; [`Error::Timeout`] after the deadline.
    pub fn poll(&mut self) -> Option<Result<T, Error>> {
        self.wake.clear();
        self.pending.poll()
    }

    /// When [`Request::poll`] will report a timeout at the latest.
    pub fn deadline(&self) -> std::time::Instant {
        self.pending.deadline()
    }
}

/// How the brokers of an MSK cluster are connected to; each way has addresses of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BrokerAccess {
    /// Plain text.
    Plaintext,
    /// TLS, with or without client certificates.
    Tls,
    /// SASL/SCRAM.
    Scram,
    /// IAM.
    Iam,
}

impl BrokerAccess {
    /// The answer's field for clients in the cluster's network; those of other networks have a word before the access.
    fn fields(self) -> [String; 3] {
        let access = match self {
            BrokerAccess::Plaintext => "",
            BrokerAccess::Tls => "Tls",
            BrokerAccess::Scram => "SaslScram",
            BrokerAccess::Iam => "SaslIam",
        };
        ["", "VpcConnectivity", "Public"]
            .map(|network| format!("bootstrapBrokerString{network}{access}"))
    }
}

/// `host:port[,host:port..]` of an MSK cluster.
pub fn bootstrap_brokers(
    identity: &Identity,
    endpoint_url: Option<&str>,
    cluster_arn: &str,
    access: BrokerAccess,
    timeout: Duration,
) -> Result<Request<String>, Error> {
    let text = format!("kafka:GetBootstrapBrokers of {cluster_arn}");
    let call = Call::to(identity, "kafka", endpoint_url, &text);
    let path = format!(
        "/v1/clusters/{}/bootstrap-brokers",
        percent_encoded(cluster_arn)
    );
    Request::start(text, timeout, async move {
        let answer = call.send("GET", &path, None).await?;
        let found = access
            .fields()
            .iter()
            .find_map(|field| Some(answer.get(field)?.as_str()?.to_owned()));
        found.ok_or_else(|| {
            Error::Config(format!(
                "{}: the cluster has no brokers for this authentication",
                call.text
            ))
        })
    })
}

/// The text of a secret.
pub fn secret(identity: &Identity, arn: &str, timeout: Duration) -> Result<Request<Secret>, Error> {
    let text = format!("secretsmanager:GetSecretValue of {arn}");
    let call = Call::to(identity, "secretsmanager", None, &text);
    let body = json!({ "SecretId": arn });
    Request::start(text, timeout, async move {
        let answer = call
            .send("POST", "/", Some(("secretsmanager.GetSecretValue", body)))
            .await?;
        let value = answer.get("SecretString").and_then(Value::as_str);
        value
            .map(Secret::new)
            .ok_or_else(|| Error::Config(format!("{}: the secret has no text", call.text)))
    })
}

/// A certificate of AWS Certificate Manager with its chain and its key, which comes encrypted.
pub fn exported_certificate(
    identity: &Identity,
    arn: &str,
    timeout: Duration,
) -> Result<Request<ClientCertificate>, Error> {
    let text = format!("acm:ExportCertificate of {arn}");
    let call = Call::to(identity, "acm", None, &text);
    let passphrase = random_text()?;
    let body = json!({ "CertificateArn": arn, "Passphrase": STANDARD.encode(&passphrase) });
    Request::start(text, timeout, async move {
        let answer = call
            .send(
                "POST",
                "/",
                Some(("CertificateManager.ExportCertificate", body)),
            )
            .await?;
        let field = |name: &str| answer.get(name).and_then(Value::as_str);
        let (Some(certificate), Some(key)) = (field("Certificate"), field("PrivateKey")) else {
            return Err(Error::Config(format!(
                "{}: no certificate with a private key",
                call.text
            )));
        };
        let chain = field("CertificateChain").unwrap_or_default();
        Ok(ClientCertificate {
            chain: Pem::Text(Secret::new(format!("{}\n{chain}", certificate.trim_end()))),
            private_key: Pem::Text(Secret::new(key)),
            private_key_password: Some(Secret::new(passphrase)),
        })
    })
}

fn random_text() -> Result<String, Error> {
    let mut bytes = [0; 24];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut bytes))
        .map_err(|error| Error::Config(format!("random numbers: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A call of one service.
struct Call {
    identity: Identity,
    service: &'static str,
    endpoint_url: Option<String>,
    text: String,
}

impl Call {
    fn to(
        identity: &Identity,
        service: &'static str,
        endpoint_url: Option<&str>,
        text: &str,
    ) -> Call {
        let endpoint_url = endpoint_url.or(identity.endpoint_url.as_deref());
        Call {
            identity: identity.clone(),
            service,
            endpoint_url: endpoint_url.map(|url| url.trim_end_matches('/').to_owned()),
            text: text.to_owned(),
        }
    }

    /// With a target it is a call of the JSON protocol.
    async fn send(
        &self,
        method: &str,
        path: &str,
        target: Option<(&'static str, Value)>,
    ) -> Result<Value, Error> {
        let region = self.identity.region().await?;
        let host = format!("https://{}.{region}.amazonaws.com", self.service);
        let url = format!("{}{path}", self.endpoint_url.as_deref().unwrap_or(&host));
        let mut headers: Vec<(String, String)> = Vec::new();
        let mut body = String::new();
        if let Some((target, content)) = target {
            headers.push((
                "content-type".to_owned(),
                "application/x-amz-json-1.1".to_owned(),
            ));
            headers.push(("x-amz-target".to_owned(), target.to_owned()));
            body = content.to_string();
        }
        headers.extend(
            self.signature(method, &url, &region, &headers, &body)
                .await?,
        );
        let mut request = HttpRequest::new(SdkBody::from(body));
        let wrong =
            |error: &dyn std::fmt::Display| Error::Config(format!("{}: {error}", self.text));
        request.set_method(method).map_err(|error| wrong(&error))?;
        request.set_uri(url).map_err(|error| wrong(&error))?;
        for (name, value) in headers {
            request.headers_mut().insert(name, value);
        }
        let response = runtime::connector()?.call(request).await;
        let mut response = response.map_err(|error| self.failed(&causes(&error)))?;
        let body = std::mem::replace(response.body_mut(), SdkBody::taken());
        let bytes = ByteStream::new(body)
            .collect()
            .await
            .map_err(|error| self.failed(&error))?
            .into_bytes();
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let status = response.status().as_u16();
        match status {
            200..=299 => Ok(answer),
            400..=499 if status != 429 => Err(Error::Denied {
                request: self.text.clone(),
                cause: reason(&bytes, status),
            }),
            _ => Err(self.failed(&reason(&bytes, status))),
        }
    }

    async fn signature(
        &self,
        method: &str,
        url: &str,
        region: &str,
        headers: &[(String, String)],
        body: &str,
    ) -> Result<Vec<(String, String)>, Error> {
        let failed =
            |error: &dyn std::fmt::Display| Error::Config(format!("{}: {error}", self.text));
        let identity = self.identity.credentials().await?.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(self.service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| failed(&error))?
            .into();
        let signed_headers = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let request = SignableRequest::new(
            method,
            url,
            signed_headers,
            SignableBody::Bytes(body.as_bytes()),
        )
        .map_err(|error| failed(&error))?;
        let (instructions, _) = sign(request, &params)
            .map_err(|error| failed(&error))?
            .into_parts();
        let named = instructions.headers();
        Ok(named
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }

    fn failed(&self, cause: &dyn std::fmt::Display) -> Error {
        Error::Broker {
            request: self.text.clone(),
            cause: cause.to_string(),
            transient: true,
        }
    }
}

/// `AccessDeniedException: User .. is not authorized ..` of an answer, which is JSON or, of some gateways and emulators, XML.
pub(super) fn reason(body: &[u8], status: u16) -> String {
    let (kind, message) = kind_and_message(body);
    let kind = kind.unwrap_or_else(|| "refused".to_owned());
    match message {
        Some(message) => format!("{kind}: {message}"),
        None => format!("{kind} (HTTP status {status})"),
    }
}

/// The kind of an error, such as `AccessDenied`, and what is said about it.
pub(crate) fn kind_and_message(body: &[u8]) -> (Option<String>, Option<String>) {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let xml = String::from_utf8_lossy(body);
    let text = |names: [&str; 3]| {
        let of_json = names
            .iter()
            .find_map(|name| Some(json.get(name)?.as_str()?.to_owned()));
        of_json.or_else(|| names.iter().find_map(|name| element(&xml, name)))
    };
    let kind = text(["__type", "code", "Code"]);
    let kind = kind.map(|kind| clipped(kind.rsplit('#').next().unwrap_or(&kind).to_owned()));
    let message = text(["message", "Message", "errorMessage"]);
    (kind, message.map(clipped))
}

/// What stands between the first `<name>` and its end.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_read() {
        let denied = br#"{"__type": "com.amazon#AccessDeniedException", "Message": "no"}"#;
        assert_eq!(reason(denied, 400), "AccessDeniedException: no");
        let xml = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>";
        assert_eq!(reason(xml, 403), "AccessDenied: no");
        assert_eq!(reason(b"", 403), "refused (HTTP status 403)");
    }

    #[test]
    fn each_access_has_fields_of_its_own() {
        assert_eq!(
            BrokerAccess::Iam.fields()[0],
            "bootstrapBrokerStringSaslIam"
        );
        assert_eq!(
            BrokerAccess::Tls.fields()[2],
            "bootstrapBrokerStringPublicTls"
        );
        assert_eq!(BrokerAccess::Plaintext.fields()[0], "bootstrapBrokerString");
    }
}
