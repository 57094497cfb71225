//! What is looked up at AWS before a client can be made: brokers, secrets, certificates. Waited for here, interruptibly, and kept for a minute.

use crate::pg::wait;
use crate::{error, settings};
use std::cell::RefCell;
use std::time::{Duration, Instant};
use stream::aws::{self, BrokerAccess, Identity, Request};
use stream::{ClientCertificate, Secret};

/// How long an answer is used again: a refresh may make several clients.
const KEPT: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Clone)]
enum Answer {
    Brokers(String),
    Secret(Secret),
    Certificate(Box<ClientCertificate>),
}

/// What was asked for, as whom, when, and the answer.
struct Entry {
    what: String,
    identity: Identity,
    when: Instant,
    answer: Answer,
}

thread_local! {
    static ANSWERS: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
}

/// `host:port[,..]` of an MSK cluster.
pub fn brokers(
    schema: &str,
    identity: &Identity,
    endpoint_url: Option<&str>,
    arn: &str,
    access: BrokerAccess,
) -> String {
    let what = format!("{arn} {access:?} {endpoint_url:?}");
    let answer = kept_or(what, identity, || {
        let timeout = settings::connect_timeout();
        let request = aws::bootstrap_brokers(identity, endpoint_url, arn, access, timeout);
        Answer::Brokers(wait_for(schema, request))
    });
    match answer {
        Answer::Brokers(brokers) => brokers,
        _ => String::new(),
    }
}

/// Two fields of a secret that is a JSON object.
pub fn secret(schema: &str, identity: &Identity, arn: &str, names: [&str; 2]) -> [Secret; 2] {
    let answer = kept_or(arn.to_owned(), identity, || {
        let request = aws::secret(identity, arn, settings::connect_timeout());
        Answer::Secret(wait_for(schema, request))
    });
    let Answer::Secret(text) = answer else {
        error::secret_form(schema, arn, names).raise()
    };
    let object: serde_json::Value = serde_json::from_str(text.expose()).unwrap_or_default();
    names.map(
        |name| match object.get(name).and_then(|value| value.as_str()) {
            Some(value) => Secret::new(value),
            None => error::secret_form(schema, arn, names).raise(),
        },
    )
}

/// A certificate of AWS Certificate Manager.
pub fn certificate(schema: &str, identity: &Identity, arn: &str) -> ClientCertificate {
    let answer = kept_or(arn.to_owned(), identity, || {
        let request = aws::exported_certificate(identity, arn, settings::connect_timeout());
        Answer::Certificate(Box::new(wait_for(schema, request)))
    });
    match answer {
        Answer::Certificate(certificate) => *certificate,
        _ => error::secret_form(schema, arn, ["certificate", "privateKey"]).raise(),
    }
}

/// Nothing is borrowed while `ask` waits: it may raise.
fn kept_or(what: String, identity: &Identity, ask: impl FnOnce() -> Answer) -> Answer {
    let found = ANSWERS.with_borrow_mut(|entries| {
        entries.retain(|entry| entry.when.elapsed() < KEPT);
        let mut entries = entries.iter();
        let entry = entries.find(|entry| entry.what == what && entry.identity == *identity);
        entry.map(|entry| entry.answer.clone())
    });
    if let Some(answer) = found {
        return answer;
    }
    let answer = ask();
    ANSWERS.with_borrow_mut(|entries| {
        entries.push(Entry {
            what,
            identity: identity.clone(),
            when: Instant::now(),
            answer: answer.clone(),
        });
    });
    answer
}

fn wait_for<T: Send + 'static>(schema: &str, request: Result<Request<T>, stream::Error>) -> T {
    const GRACE: Duration = Duration::from_millis(500);
    let raise = |error: stream::Error| -> ! { error::aws(schema, &error).raise() };
    let mut request = request.unwrap_or_else(|error| raise(error));
    loop {
        match request.poll() {
            Some(Ok(answer)) => return answer,
            Some(Err(error)) => raise(error),
            None => wait::readable(
                request.wake_fd(),
                request.deadline() + GRACE,
                wait::Event::BrokerAnswer,
            ),
        }
    }
}
