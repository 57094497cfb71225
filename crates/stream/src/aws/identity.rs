//! Who a request to AWS is made as: the machine or a user's keys, and the roles assumed from there, one after the other.
//!
//! Credentials are kept for the process, whatever the number of clients, and renewed before they expire.

use super::arn::{Arn, is_region};
use super::request::reason;
use crate::error::causes;
use crate::{Error, Secret, runtime};
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future::ProvideCredentials as CredentialsFuture;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_sts::error::SdkError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::timeout;

/// AWS takes no longer chain.
pub const MOST_ROLES: usize = 10;

/// Credentials that are valid for less than this are renewed.
const RENEW_BEFORE: Duration = Duration::from_secs(300);
/// How long is waited for new ones, and how long while the old ones are still valid.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(5));
/// Where the old ones are still valid, the time from one try to the next.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(15);
/// More identities than this are not kept.
const MOST_KEPT: usize = 100;

/// Who a request is made as. Equal identities share their credentials.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Identity {
    /// The region; None: the one of the environment, the profile or the instance.
    pub region: Option<String>,
    /// A user's own keys; None: what the machine has (environment, profile, web identity, container, instance).
    pub keys: Option<Keys>,
    /// ARNs of roles, each assumed with the credentials of the one before it.
    pub roles: Vec<String>,
    /// What the roles' trust policies may ask for.
    pub external_id: Option<String>,
    /// Another address for all services that an identity needs, such as an emulator's.
    pub endpoint_url: Option<String>,
}

/// Access keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keys {
    /// The access key's id, which is no secret.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: Secret,
    /// The token that comes with temporary keys.
    pub session_token: Option<Secret>,
}

/// An identity with its credentials.
struct Kept {
    identity: Identity,
    /// Locked while they are fetched: who comes meanwhile waits for them.
    state: AsyncMutex<State>,
}

#[derive(Default)]
struct State {
    credentials: Option<Credentials>,
    /// When new ones were last asked for in vain.
    failed: Option<Instant>,
}

static KEPT: Mutex<Vec<Arc<Kept>>> = Mutex::new(Vec::new());

impl Identity {
    /// Splits `role,role..`; blanks and line breaks do not count.
    pub fn parse_roles(text: &str) -> Result<Vec<String>, Error> {
        let roles: Vec<String> = text
            .split(',')
            .map(|role| role.chars().filter(|c| !c.is_whitespace()).collect())
            .collect();
        let is_role = |role: &String| {
            Arn::parse(role).is_some_and(|arn| {
                let name = arn.resource.strip_prefix("role/");
                arn.service == "iam"
                    && arn.region.is_none()
                    && name.is_some_and(|name| !name.is_empty())
            })
        };
        if !roles.iter().all(is_role) {
            return Err(Error::Config(
                "a role is written arn:aws:iam::ACCOUNT:role/NAME".to_owned(),
            ));
        }
        if roles.len() > MOST_ROLES {
            return Err(Error::Config(format!(
                "at most {MOST_ROLES} roles can be chained"
            )));
        }
        Ok(roles)
    }

    /// For clients of the SDK, whose requests are then made as this identity.
    pub fn provider(&self) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(Provider(self.clone()))
    }

    /// The region, looked up where the machine has it if none is given.
    pub async fn region(&self) -> Result<String, Error> {
        if let Some(region) = &self.region {
            return checked_region(region.clone());
        }
        let machine = aws_config::defaults(BehaviorVersion::latest())
            .http_client(runtime::http_client()?)
            .no_credentials();
        let config = machine.load().await;
        config
            .region()
            .map(|region| region.to_string())
            .ok_or_else(|| Error::Config("no AWS region is given".to_owned()))
            .and_then(checked_region)
    }

    /// Credentials that are valid for some minutes at least; while there are no new ones, as long as they are valid.
    pub async fn credentials(&self) -> Result<Credentials, Error> {
        let kept = self.kept();
        let mut state = kept.state.lock().await;
        let old = state.credentials.clone().filter(is_valid);
        let is_due = state
            .failed
            .is_none_or(|failed| failed.elapsed() > TRY_AGAIN_AFTER);
        if let Some(old) = old.as_ref().filter(|old| is_fresh(old) || !is_due) {
            return Ok(old.clone());
        }
        let patience = if old.is_none() {
            PATIENCE.0
        } else {
            PATIENCE.1
        };
        let new = timeout(patience, self.fetch()).await;
        let new = new.unwrap_or_else(|_| Err(self.late()));
        state.failed = new.is_err().then(Instant::now);
        match new {
            Ok(new) => Ok(state.credentials.insert(new).clone()),
            Err(error) => old.ok_or(error),
        }
    }

    fn late(&self) -> Error {
        let of_machine = "AWS credentials of the database server's machine";
        let role = self.roles.last();
        Error::Timeout {
            request: role.map_or_else(
                || of_machine.to_owned(),
                |role| format!("sts:AssumeRole of {role}"),
            ),
            cause: None,
        }
    }

    fn kept(&self) -> Arc<Kept> {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept.iter().find(|kept| kept.identity == *self) {
            return Arc::clone(found);
        }
        if kept.len() >= MOST_KEPT {
            kept.remove(0);
        }
        let new = Arc::new(Kept {
            identity: self.clone(),
            state: AsyncMutex::default(),
        });
        kept.push(Arc::clone(&new));
        new
    }

    async fn fetch(&self) -> Result<Credentials, Error> {
        let mut credentials = match &self.keys {
            Some(keys) => keys.to_credentials(),
            None => machine_credentials().await?,
        };
        if self.roles.is_empty() {
            return Ok(credentials);
        }
        let region = self.region().await?;
        for role in &self.roles {
            credentials = self.assume(role, &region, credentials).await?;
        }
        Ok(credentials)
    }

    async fn assume(
        &self,
        role: &str,
        region: &str,
        credentials: Credentials,
    ) -> Result<Credentials, Error> {
        let mut config = aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .credentials_provider(credentials)
            .http_client(runtime::http_client()?);
        if let Some(url) = &self.endpoint_url {
            config = config.endpoint_url(url);
        }
        let answer = aws_sdk_sts::Client::from_conf(config.build())
            .assume_role()
            .role_arn(role)
            .role_session_name("redshift_streaming")
            .set_external_id(self.external_id.clone())
            .send()
            .await
            .map_err(|error| refused(role, &error))?;
        let new = answer.credentials.ok_or_else(|| Error::Denied {
            request: format!("sts:AssumeRole of {role}"),
            cause: "an answer without credentials".to_owned(),
        })?;
        Ok(Credentials::new(
            new.access_key_id,
            new.secret_access_key,
            Some(new.session_token),
            SystemTime::try_from(new.expiration).ok(),
            "AssumeRole",
        ))
    }
}

/// A region becomes part of host names.
fn checked_region(region: String) -> Result<String, Error> {
    if is_region(&region) {
        return Ok(region);
    }
    Err(Error::Config(format!("\"{region}\" is no AWS region")))
}

impl Keys {
    fn to_credentials(&self) -> Credentials {
        Credentials::new(
            self.access_key_id.clone(),
            self.secret_access_key.expose(),
            self.session_token
                .as_ref()
                .map(|token| token.expose().to_owned()),
            None,
            "user mapping",
        )
    }
}

async fn machine_credentials() -> Result<Credentials, Error> {
    let chain = DefaultCredentialsChain::builder()
        .configure(ProviderConfig::default().with_http_client(runtime::http_client()?))
        .build()
        .await;
    chain
        .provide_credentials()
        .await
        .map_err(|error| Error::Denied {
            request: "AWS credentials of the database server's machine".to_owned(),
            cause: match error {
                CredentialsError::CredentialsNotLoaded(_) => "there are none".to_owned(),
                other => causes(&other),
            },
        })
}

fn is_valid(credentials: &Credentials) -> bool {
    credentials
        .expiry()
        .is_none_or(|expiry| expiry > SystemTime::now())
}

fn is_fresh(credentials: &Credentials) -> bool {
    credentials
        .expiry()
        .is_none_or(|expiry| expiry > SystemTime::now() + RENEW_BEFORE)
}

fn refused<E: std::error::Error + 'static>(role: &str, error: &SdkError<E, HttpResponse>) -> Error {
    let request = format!("sts:AssumeRole of {role}");
    let answer = error.raw_response();
    let status = answer.map_or(0, |answer| answer.status().as_u16());
    let cause = answer.map_or_else(
        || causes(error),
        |answer| reason(answer.body().bytes().unwrap_or_default(), status),
    );
    if matches!(status, 400..=499) && status != 429 && !cause.starts_with("Throttling") {
        Error::Denied { request, cause }
    } else {
        Error::Broker {
            request,
            cause,
            transient: true,
        }
    }
}

#[derive(Debug)]
struct Provider(Identity);

impl ProvideCredentials for Provider {
    fn provide_credentials<'a>(&'a self) -> CredentialsFuture<'a>
    where
        Self: 'a,
    {
        CredentialsFuture::new(async move {
            self.0
                .credentials()
                .await
                .map_err(CredentialsError::provider_error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::111122223333:role/reader";

    #[test]
    fn roles_are_read_with_blanks_and_line_breaks() {
        let two = format!("{ROLE},\n   arn:aws:iam::444455556666:role/team/stream ");
        let roles = Identity::parse_roles(&two).unwrap();
        assert_eq!(roles, [ROLE, "arn:aws:iam::444455556666:role/team/stream"]);
        assert_eq!(
            Identity::parse_roles(&[ROLE; 10].join(",")).unwrap().len(),
            10
        );
    }

    #[test]
    fn what_is_no_role_is_refused() {
        for text in ["", "reader", "arn:aws:iam::1:user/x", "arn:aws:s3:::bucket"] {
            assert!(Identity::parse_roles(text).is_err(), "{text}");
        }
        assert!(Identity::parse_roles(&[ROLE; 11].join(",")).is_err());
        assert!(Identity::parse_roles(&format!("{ROLE},")).is_err());
    }

    #[test]
    fn debug_shows_no_secret() {
        let identity = Identity {
            keys: Some(Keys {
                access_key_id: "AKIA".into(),
                secret_access_key: Secret::new("hidden-key"),
                session_token: Some(Secret::new("hidden-token")),
            }),
            ..Identity::default()
        };
        assert!(!format!("{identity:?}").contains("hidden"));
    }
}
