//! The token of an MSK cluster with IAM: a presigned request that the client never makes, and the broker checks.

use crate::Error;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// MSK takes no longer one.
const LIFETIME: Duration = Duration::from_secs(900);

/// A token and how long it is valid.
#[derive(Clone, Debug)]
pub struct Token {
    /// What is sent.
    pub value: crate::Secret,
    /// In milliseconds since 1970.
    pub expires_ms: i64,
}

/// Signs a token.
pub fn msk_token(region: &str, credentials: &Credentials, now: SystemTime) -> Result<Token, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Config(format!("MSK token: {error}"));
    let url = format!("https://kafka.{region}.amazonaws.com/?Action=kafka-cluster%3AConnect");
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(LIFETIME);
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("kafka-cluster")
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| failed(&error))?
        .into();
    let request = SignableRequest::new("GET", &url, std::iter::empty(), SignableBody::Bytes(&[]))
        .map_err(|error| failed(&error))?;
    let (instructions, _) = sign(request, &params)
        .map_err(|error| failed(&error))?
        .into_parts();
    let mut signed = url;
    for (name, value) in instructions.params() {
        signed += &format!("&{name}={}", percent_encoded(value));
    }
    // Says who asks; added after signing, as Amazon's own libraries do.
    signed += concat!(
        "&User-Agent=redshift_streaming%2F",
        env!("CARGO_PKG_VERSION")
    );
    let end = credentials
        .expiry()
        .map_or(now + LIFETIME, |expiry| expiry.min(now + LIFETIME));
    let since_1970 = end.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Token {
        value: crate::Secret::new(URL_SAFE_NO_PAD.encode(signed)),
        expires_ms: i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX),
    })
}

/// As query parameters are encoded when they are signed.
pub(super) fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(token: &Token) -> String {
        String::from_utf8(URL_SAFE_NO_PAD.decode(token.value.expose()).unwrap()).unwrap()
    }

    #[test]
    fn a_token_is_a_presigned_url() {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let keys = Credentials::new("AKIDEXAMPLE", "secret", Some("to/ken".into()), None, "test");
        let token = msk_token("eu-west-1", &keys, now).unwrap();
        let url = decoded(&token);
        assert!(
            url.starts_with(
                "https://kafka.eu-west-1.amazonaws.com/?Action=kafka-cluster%3AConnect&X-Amz-"
            ),
            "{url}"
        );
        for part in [
            "X-Amz-Algorithm=AWS4-HMAC-SHA256",
            "X-Amz-Credential=AKIDEXAMPLE%2F20231114%2Feu-west-1%2Fkafka-cluster%2Faws4_request",
            "X-Amz-Date=20231114T221320Z",
            "X-Amz-Expires=900",
            "X-Amz-SignedHeaders=host",
            "X-Amz-Security-Token=to%2Fken",
            "X-Amz-Signature=",
        ] {
            assert!(url.contains(part), "{part} in {url}");
        }
        assert!(
            url.rsplit('&')
                .next()
                .unwrap()
                .starts_with("User-Agent=redshift_streaming%2F")
        );
        assert_eq!(token.expires_ms, 1_700_000_900_000);
    }

    #[test]
    fn a_token_ends_with_its_credentials() {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let end = now + Duration::from_secs(60);
        let keys = Credentials::new("AKIDEXAMPLE", "secret", None, Some(end), "test");
        let token = msk_token("eu-west-1", &keys, now).unwrap();
        assert_eq!(token.expires_ms, 1_700_000_060_000);
    }
}
