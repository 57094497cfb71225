//! Keeps a client's IAM token fresh, from the runtime's threads: also while nobody polls the client.

use super::ffi::Handle;
use crate::aws::{Identity, Token, msk_token};
use crate::{Error, runtime};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// After a failure. librdkafka keeps the old token meanwhile.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
/// However short a token lives, it is not renewed more often.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// Begins to give the client tokens, until it ends.
pub fn keep_fresh(handle: &Arc<Handle>, identity: Identity) -> Result<(), Error> {
    let handle = Arc::downgrade(handle);
    runtime::handle()?.spawn(async move {
        loop {
            let token = new_token(&identity).await;
            let pause = match &token {
                Ok(token) => renewal_pause(token, SystemTime::now()),
                Err(_) => RETRY_PAUSE,
            };
            if !give(&handle, token).await {
                return;
            }
            tokio::time::sleep(pause).await;
        }
    });
    Ok(())
}

async fn new_token(identity: &Identity) -> Result<Token, Error> {
    let region = identity.region().await?;
    let credentials = identity.credentials().await?;
    msk_token(&region, &credentials, SystemTime::now())
}

/// At four fifths of its life.
fn renewal_pause(token: &Token, now: SystemTime) -> Duration {
    let now_ms = now
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    let end_ms = u128::try_from(token.expires_ms).unwrap_or_default();
    let left_ms = u64::try_from(end_ms.saturating_sub(now_ms)).unwrap_or_default();
    Duration::from_millis(left_ms / 5 * 4).max(SHORTEST_PAUSE)
}

/// False if the client has ended. In a thread that may block, since it may be the last to hold the client.
async fn give(handle: &Weak<Handle>, token: Result<Token, Error>) -> bool {
    let Some(handle) = handle.upgrade() else {
        return false;
    };
    let given = tokio::task::spawn_blocking(move || match token {
        Ok(token) => handle.set_token(token.value.expose(), token.expires_ms),
        Err(error) => handle.fail_token(&error.to_string()),
    });
    given.await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    #[test]
    fn a_token_is_renewed_before_it_expires() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        let token = |expires_ms| Token {
            value: Secret::new("x"),
            expires_ms,
        };
        let pause = |expires_ms| renewal_pause(&token(expires_ms), now);
        assert_eq!(pause(1_900_000), Duration::from_secs(720));
        assert_eq!(pause(1_000_100), SHORTEST_PAUSE);
        assert_eq!(pause(0), SHORTEST_PAUSE);
    }
}
