//! What is looked up at AWS before a client can be made: brokers, secrets, certificates. A session waits for it here, interruptibly; a worker asks before
//! ([`Question`]) and goes on meanwhile. Kept for a minute.

use crate::error;
use crate::pg::setting;
use crate::pg::wait;
use std::cell::RefCell;
use std::time::{Duration, Instant};
use stream::aws::{self, BrokerAccess, Identity, Request};
use stream::{ClientCertificate, Secret};

/// How long an answer is used again: a refresh may make several clients.
const KEPT: Duration = Duration::from_secs(60);

/// What is asked.
#[derive(Clone, PartialEq, Eq)]
enum What {
    Brokers {
        endpoint_url: Option<String>,
        arn: String,
        access: BrokerAccess,
    },
    Secret(String),
    Certificate(String),
}

/// A question that has to be answered before a client can be made.
#[derive(Clone, PartialEq, Eq)]
pub struct Question {
    schema: String,
    identity: Identity,
    what: What,
}

/// A question that has been sent.
pub struct Asking {
    question: Question,
    request: Asked,
}

enum Asked {
    Brokers(Request<String>),
    Secret(Request<Secret>),
    Certificate(Request<ClientCertificate>),
}

impl Question {
    /// For the addresses of a cluster's brokers.
    pub fn brokers(
        schema: &str,
        identity: Identity,
        endpoint_url: Option<&str>,
        arn: &str,
        access: BrokerAccess,
    ) -> Question {
        let what = What::Brokers {
            endpoint_url: endpoint_url.map(str::to_owned),
            arn: arn.to_owned(),
            access,
        };
        Question {
            schema: schema.to_owned(),
            identity,
            what,
        }
    }

    /// For a secret.
    pub fn secret(schema: &str, identity: Identity, arn: &str) -> Question {
        Question {
            schema: schema.to_owned(),
            identity,
            what: What::Secret(arn.to_owned()),
        }
    }

    /// For a certificate.
    pub fn certificate(schema: &str, identity: Identity, arn: &str) -> Question {
        Question {
            schema: schema.to_owned(),
            identity,
            what: What::Certificate(arn.to_owned()),
        }
    }

    /// Is the answer there, and will it be for the next moments?
    pub fn is_answered(&self) -> bool {
        ANSWERS.with_borrow(|entries| {
            entries.iter().any(|entry| {
                entry.what == self.what
                    && entry.identity == self.identity
                    && entry.when.elapsed() < KEPT / 2
            })
        })
    }

    /// Sends it. Raises if that cannot be.
    pub fn ask(&self) -> Asking {
        Asking {
            question: self.clone(),
            request: self.what.ask(&self.identity).unwrap_or_else(|error| {
                error::aws(&self.schema, &error).raise();
            }),
        }
    }

    /// What an error says, to be raised.
    pub fn report(&self, error: &stream::Error) -> crate::pg::report::Report {
        error::aws(&self.schema, error)
    }
}

impl Asking {
    /// What was asked.
    pub fn question(&self) -> &Question {
        &self.question
    }

    /// Becomes readable when the answer is there.
    pub fn wake_fd(&self) -> std::os::fd::RawFd {
        match &self.request {
            Asked::Brokers(request) => request.wake_fd(),
            Asked::Secret(request) => request.wake_fd(),
            Asked::Certificate(request) => request.wake_fd(),
        }
    }

    /// True once the answer has come: then it is kept.
    pub fn poll(&mut self) -> Result<bool, stream::Error> {
        let answer = match &mut self.request {
            Asked::Brokers(request) => request.poll().map(|a| a.map(Answer::Brokers)),
            Asked::Secret(request) => request.poll().map(|a| a.map(Answer::Secret)),
            Asked::Certificate(request) => request
                .poll()
                .map(|a| a.map(|found| Answer::Certificate(Box::new(found)))),
        };
        let Some(answer) = answer.transpose()? else {
            return Ok(false);
        };
        let Question { what, identity, .. } = &self.question;
        keep(what.clone(), identity, answer);
        Ok(true)
    }
}

impl What {
    fn ask(&self, identity: &Identity) -> Result<Asked, stream::Error> {
        let timeout = setting::connect_timeout();
        Ok(match self {
            What::Brokers {
                endpoint_url,
                arn,
                access,
            } => {
                let url = endpoint_url.as_deref();
                Asked::Brokers(aws::bootstrap_brokers(
                    identity, url, arn, *access, timeout,
                )?)
            }
            What::Secret(arn) => Asked::Secret(aws::secret(identity, arn, timeout)?),
            What::Certificate(arn) => {
                Asked::Certificate(aws::exported_certificate(identity, arn, timeout)?)
            }
        })
    }
}

/// An answer.
#[derive(Clone)]
enum Answer {
    Brokers(String),
    Secret(Secret),
    Certificate(Box<ClientCertificate>),
}

/// What was asked for, as whom, when, and the answer.
struct Entry {
    what: What,
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
    let what = What::Brokers {
        endpoint_url: endpoint_url.map(str::to_owned),
        arn: arn.to_owned(),
        access,
    };
    let answer = kept_or(what, identity, || {
        let timeout = setting::connect_timeout();
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
    let answer = kept_or(What::Secret(arn.to_owned()), identity, || {
        let request = aws::secret(identity, arn, setting::connect_timeout());
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
    let answer = kept_or(What::Certificate(arn.to_owned()), identity, || {
        let request = aws::exported_certificate(identity, arn, setting::connect_timeout());
        Answer::Certificate(Box::new(wait_for(schema, request)))
    });
    match answer {
        Answer::Certificate(certificate) => *certificate,
        _ => error::secret_form(schema, arn, ["certificate", "privateKey"]).raise(),
    }
}

/// Nothing is borrowed while `ask` waits: it may raise.
fn kept_or(what: What, identity: &Identity, ask: impl FnOnce() -> Answer) -> Answer {
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
    keep(what, identity, answer.clone());
    answer
}

fn keep(what: What, identity: &Identity, answer: Answer) {
    ANSWERS.with_borrow_mut(|entries| {
        entries.retain(|entry| entry.what != what || entry.identity != *identity);
        entries.push(Entry {
            what,
            identity: identity.clone(),
            when: Instant::now(),
            answer,
        });
    });
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
