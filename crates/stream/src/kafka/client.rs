//! The client: one connection to a cluster, requests without waiting, and what the brokers complain about.

use super::brokers::{Brokers, Room};
use super::claims::Claims;
use super::config::{Config, LARGEST_ANSWER, QueueLimit};
use super::ffi::{self, Code, Failure, GiveUp, Handle, Queue, Wait};
use super::partitions::PartitionRange;
use super::reader::{ReadOptions, Reader};
use super::security::{Refusal, Sasl, verify_error_text};
use super::token;
use crate::{Error, signals};
use std::cell::{RefCell, RefMut};
use std::ffi::{CStr, CString};
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

/// How long dropping a client waits for its threads. What takes longer ends by itself.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(200);

/// Between two tries of a request that may work later.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// How long a refusal counts for more than the end of the connection that follows it.
const REFUSAL_STANDS: Duration = Duration::from_secs(5);

/// A broker that held an answer back so long ago does so no more: one that does answers about once a second.
const THROTTLE_STANDS: Duration = Duration::from_secs(3);

/// No request waits longer.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(3_600);

/// One client of a Kafka cluster.
pub struct Client {
    shared: Rc<Shared>,
}

/// What the client, its requests and its readers share. The last one closes.
pub struct Shared {
    handle: Option<Arc<Handle>>,
    destroyed: Receiver<()>,
    main_queue: Option<Queue>,
    trouble: RefCell<Option<Trouble>>,
    claims: RefCell<Claims>,
    queue: QueueLimit,
    /// The client shows tokens, so what is not accepted is no password.
    uses_tokens: bool,
    brokers: RefCell<Brokers>,
}

/// The last complaint of librdkafka.
struct Trouble {
    when: Instant,
    message: String,
    refusal: Option<Refusal>,
}

/// A topic in a list of all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicSummary {
    /// The topic's name.
    pub name: String,
    /// Number of partitions.
    pub partition_count: i32,
    /// Whether the topic is Kafka's own, by the convention of names: `__consumer_offsets` and the like.
    pub is_internal: bool,
}

/// A topic as the brokers describe it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicDescription {
    /// The topic's name.
    pub name: String,
    /// Kafka's id of the topic (22 characters); another one means that the topic was created anew. None where the
    /// broker has no ids.
    pub topic_id: Option<String>,
    /// The numbers of the partitions, ascending.
    pub partitions: Vec<i32>,
}

/// Which offset is asked for. Open and aborted transactions do not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OffsetSpec {
    /// Of the first record that is still there.
    Earliest,
    /// One past the last record: the last stable offset.
    Latest,
    /// Of the first record whose time is at or after these milliseconds since 1970.
    Timestamp(i64),
    /// Of the record with the latest time.
    MaxTimestamp,
}

/// The answer for one partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListedOffset {
    /// The partition.
    pub partition: i32,
    /// None: no record matches, such as for a time after the last one.
    pub offset: Option<i64>,
    /// The record's time in milliseconds since 1970; only asked by time.
    pub timestamp_ms: Option<i64>,
    /// The epoch of the leader of that record, if the broker told.
    pub leader_epoch: Option<i32>,
}

impl Client {
    /// Starts a client. Connects in the background: whether the servers can be reached is first seen by a request.
    pub fn new(config: &Config) -> Result<Client, Error> {
        let (handle, destroyed) = Handle::new(&config.to_properties()?).map_err(refused_setup)?;
        if let Some(Sasl::Iam(identity)) = &config.security.sasl {
            token::keep_fresh(&handle, identity.clone())?;
        }
        let main_queue = Some(handle.main_queue());
        Ok(Client {
            shared: Rc::new(Shared {
                handle: Some(handle),
                destroyed,
                main_queue,
                trouble: RefCell::default(),
                claims: RefCell::default(),
                queue: config.queue_limit(),
                uses_tokens: matches!(config.security.sasl, Some(Sasl::Iam(_))),
                brokers: RefCell::new(Brokers::new(config.brokers)),
            }),
        })
    }

    /// Asks for room for the brokers of a cluster that has more than [`Config::brokers`], until the client, its requests and its readers are gone.
    pub fn hold_room(&self, room: Box<dyn Room>) {
        self.shared.brokers.borrow_mut().hold(room);
    }

    /// Becomes readable when an answer or a record may be waiting.
    pub fn wake_fd(&self) -> RawFd {
        self.shared.handle().wake_fd()
    }

    /// Makes the descriptor unreadable until something new arrives. Poll every request and reader of this client
    /// after it: what is already there wakes nobody again.
    pub fn clear_wake(&self) {
        self.shared.handle().clear_wake();
        self.shared.listen();
    }

    /// The last trouble with a broker, such as "b1:9092/bootstrap: Connect to ipv4#10.0.0.1:9092 failed: Connection
    /// refused". It stays after the trouble is over.
    pub fn last_broker_error(&self) -> Option<String> {
        self.shared.listen();
        self.shared.trouble_text()
    }

    /// Whether there was such trouble after this moment, as far as [`Client::clear_wake`] has found out.
    pub fn has_trouble_since(&self, moment: Instant) -> bool {
        let trouble = self.shared.trouble.borrow();
        trouble
            .as_ref()
            .is_some_and(|trouble| trouble.when > moment)
    }

    /// In words, which broker holds its answers back because this client has used up a quota; None if none does, as far as [`Client::clear_wake`] has
    /// found out.
    pub fn throttled(&self) -> Option<String> {
        let throttle = self.shared.handle().last_throttle()?;
        (throttle.when.elapsed() < THROTTLE_STANDS).then(|| {
            format!(
                "broker {} throttles this client: it has used up a quota (answers are held back for {} ms)",
                throttle.broker,
                throttle.time.as_millis()
            )
        })
    }

    /// Whether a broker refused this client the last time, and nothing has been answered since.
    pub fn is_refused(&self) -> bool {
        self.shared.listen();
        self.shared.refusal().is_some()
    }

    /// All topics that may be seen, by name.
    pub fn list_topics(&self, timeout: Duration) -> Pending<Vec<TopicSummary>> {
        let request = Request {
            text: "list of topics".to_owned(),
            topic: None,
        };
        self.ask(request, timeout, |handle, wait| {
            handle.all_topics(wait).map(summaries)
        })
    }

    /// One topic. [`Error::UnknownTopic`] if it does not exist.
    pub fn describe_topic(&self, topic: &str, timeout: Duration) -> Pending<TopicDescription> {
        let request = Request {
            text: format!("description of topic \"{topic}\""),
            topic: Some(topic.to_owned()),
        };
        let name = match topic_name(topic) {
            Ok(name) => name,
            Err(error) => return self.failed(request, error),
        };
        let text = topic.to_owned();
        self.ask(request, timeout, move |handle, wait| {
            handle
                .describe_topic(&name, wait)
                .map(|found| described(text.clone(), found))
        })
    }

    /// One offset a partition, in the order asked. [`Error::UnknownTopic`] also if one of the partitions does not exist.
    pub fn list_offsets(
        &self,
        topic: &str,
        specs: Vec<(i32, OffsetSpec)>,
        timeout: Duration,
    ) -> Pending<Vec<ListedOffset>> {
        let request = Request {
            text: format!("offsets of topic \"{topic}\""),
            topic: Some(topic.to_owned()),
        };
        let name = match topic_name(topic) {
            Ok(name) => name,
            Err(error) => return self.failed(request, error),
        };
        let specs: Vec<_> = specs
            .iter()
            .map(|&(partition, spec)| (partition, spec.to_raw()))
            .collect();
        self.ask(request, timeout, move |handle, wait| {
            list_offsets(handle, &name, &specs, wait)
        })
    }

    /// librdkafka waits inside its requests, and their pauses between retries are waits too: each request has a thread
    /// of its own.
    fn ask<T: Send + 'static>(
        &self,
        request: Request,
        timeout: Duration,
        question: impl Fn(&Arc<Handle>, &Wait) -> Result<T, Failure> + Send + 'static,
    ) -> Pending<T> {
        let deadline = Instant::now() + timeout.min(LONGEST_TIMEOUT);
        let give_up = GiveUp::default();
        let wait = Wait {
            deadline,
            give_up: give_up.clone(),
        };
        let (sender, answer) = mpsc::channel();
        let handle = Arc::clone(self.shared.handle());
        let asking = signals::spawn("kafka request", move || {
            // Nobody may be waiting any more.
            let _ = sender.send(ask_until(&wait, || question(&handle, &wait)));
            handle.send_wake();
        });
        match asking {
            Ok(_) => Pending {
                source: Source::Thread(answer, give_up),
                request,
                began: Instant::now(),
                deadline,
                shared: Rc::clone(&self.shared),
            },
            Err(error) => self.failed(
                request,
                Error::Config(format!("no thread could be started: {error}")),
            ),
        }
    }

    fn failed<T>(&self, request: Request, error: Error) -> Pending<T> {
        let shared = Rc::clone(&self.shared);
        Pending {
            source: Source::Failed(error),
            request,
            began: Instant::now(),
            deadline: Instant::now(),
            shared,
        }
    }

    /// Reads the ranges, interleaved, each in the order of its offsets. A partition can have one reader at a time.
    pub fn read(
        &self,
        topic: &str,
        ranges: Vec<PartitionRange>,
        options: &ReadOptions,
    ) -> Result<Reader, Error> {
        Reader::start(self, topic, &ranges, options)
    }

    /// Ends the client and waits for its threads, at most `timeout`. Returns whether they have ended; they go on
    /// ending in the background if not, as they do while a reader or a request is still held.
    pub fn close(self, timeout: Duration) -> bool {
        match Rc::try_unwrap(self.shared) {
            Ok(mut shared) => shared.release(timeout),
            Err(_) => false,
        }
    }

    /// The same client, for a reader's own requests.
    pub(super) fn share(&self) -> Client {
        Client {
            shared: Rc::clone(&self.shared),
        }
    }

    pub(super) fn shared(&self) -> &Rc<Shared> {
        &self.shared
    }
}

/// A client that cannot be set up, mostly for what was given for TLS.
fn refused_setup(text: String) -> Error {
    if text.ends_with("still ending") {
        return Error::Broker {
            request: "client".to_owned(),
            cause: text,
            transient: true,
        };
    }
    let refusal = if text.contains("ssl.key") || text.contains("ssl.certificate") {
        Refusal::OwnCertificate
    } else if text.contains("ssl.ca") {
        Refusal::Authority
    } else {
        return Error::Config(text);
    };
    Error::Refused {
        request: "client".to_owned(),
        refusal,
        cause: text,
    }
}

/// Repeats a question while the answer is that it may work later.
fn ask_until<T>(wait: &Wait, question: impl Fn() -> Result<T, Failure>) -> Result<T, Failure> {
    loop {
        let answer = question();
        match &answer {
            Err(failure) if is_transient(failure.code) && wait.left() > RETRY_PAUSE => {
                std::thread::sleep(RETRY_PAUSE);
            }
            _ => return answer,
        }
    }
}

/// librdkafka has one answer for a topic, a partition and a leader that it cannot find, and for a change of metadata at
/// the wrong moment.
fn list_offsets(
    handle: &Arc<Handle>,
    name: &CStr,
    specs: &[(i32, i64)],
    wait: &Wait,
) -> Result<Vec<ListedOffset>, Failure> {
    match handle.list_offsets(name, specs, wait) {
        Ok(offsets) => offsets.into_iter().map(listed_offset).collect(),
        Err(failure) if failure.code == Code::NO_ENTRY => {
            let partitions = handle.partitions(name, wait)?;
            let all_there = specs
                .iter()
                .all(|(partition, _)| partitions.contains(partition));
            let code = if all_there {
                Code::LEADER_NOT_AVAILABLE
            } else {
                Code::UNKNOWN_PARTITION
            };
            Err(Failure::of(code))
        }
        Err(failure) => Err(failure),
    }
}

/// A name that librdkafka can take; whether it is one of Kafka's is for the broker to say.
pub fn topic_name(topic: &str) -> Result<CString, Error> {
    match CString::new(topic) {
        Ok(name) if !topic.is_empty() => Ok(name),
        _ => Err(Error::UnknownTopic {
            topic: topic.to_owned(),
        }),
    }
}

impl OffsetSpec {
    /// librdkafka's spelling.
    fn to_raw(self) -> i64 {
        match self {
            OffsetSpec::Latest => -1,
            OffsetSpec::Earliest => -2,
            OffsetSpec::MaxTimestamp => -3,
            OffsetSpec::Timestamp(ms) => ms.max(0),
        }
    }
}

impl Shared {
    /// The client itself.
    pub fn handle(&self) -> &Arc<Handle> {
        self.handle.as_ref().expect("only close takes it")
    }

    /// Takes what the brokers complained about from the main queue, and drops the log lines but those that say why a
    /// connection ended: a broker that wants TLS just hangs up, which librdkafka takes for no error.
    pub fn listen(&self) {
        let lacking = self.brokers.borrow_mut().make_room(self.handle());
        if let Some(message) = lacking {
            let code = Code::FAIL;
            self.remember(Failure { code, message });
        }
        while let Some(event) = self.main_queue.as_ref().and_then(Queue::poll) {
            if let Some(failure) = event.failure().filter(|_| event.is_error()) {
                self.remember(failure);
            } else if let Some(message) = event.log_line()
                && Refusal::of(false, &message, 0).is_some()
            {
                self.remember(Failure {
                    code: Code::TRANSPORT,
                    message,
                });
            }
        }
    }

    /// Keeps the cause for the next one who wonders why nothing arrives.
    pub fn remember(&self, failure: Failure) {
        let mut trouble = self.trouble.borrow_mut();
        // "All brokers are down" follows the reason why and says less.
        if failure.code == Code::ALL_BROKERS_DOWN && trouble.is_some() {
            return;
        }
        let certificate = self.handle().certificate_error();
        let refusal = match Refusal::of(is_refusal(failure.code), &failure.message, certificate) {
            Some(Refusal::Login) if self.uses_tokens => Some(Refusal::Token),
            refusal => refusal,
        };
        // A broker that hangs up after it refused says less than the refusal.
        if refusal.is_none()
            && let Some(before) = trouble.as_ref()
            && before.refusal.is_some()
            && before.when.elapsed() < REFUSAL_STANDS
        {
            return;
        }
        *trouble = Some(Trouble {
            when: Instant::now(),
            message: explain(failure.message, refusal, certificate),
            refusal,
        });
    }

    fn trouble_text(&self) -> Option<String> {
        let trouble = self.trouble.borrow();
        trouble.as_ref().map(|trouble| trouble.message.clone())
    }

    /// What a broker announced, after this moment, that was larger than may be: a batch of records that does not fit, since nothing else is. What is
    /// larger still is no answer of Kafka at all.
    pub(super) fn too_large_since(&self, moment: Instant) -> Option<String> {
        let trouble = self.trouble.borrow();
        let trouble = trouble.as_ref().filter(|trouble| trouble.when > moment)?;
        let (_, rest) = trouble.message.split_once("Invalid response size ")?;
        let size: usize = rest.split(' ').next()?.parse().ok()?;
        (size <= LARGEST_ANSWER).then(|| trouble.message.clone())
    }

    /// What broker and client disagree about, since when.
    fn refusal(&self) -> Option<(Instant, Refusal, String)> {
        let trouble = self.trouble.borrow();
        let trouble = trouble.as_ref()?;
        Some((trouble.when, trouble.refusal?, trouble.message.clone()))
    }

    /// A broker has answered, so what it refused before is over.
    fn forget_refusal(&self) {
        if let Some(trouble) = self.trouble.borrow_mut().as_mut() {
            trouble.refusal = None;
        }
    }

    /// How much each reader's queue holds.
    pub(super) fn queue(&self) -> QueueLimit {
        self.queue
    }

    /// The partitions that have a reader.
    pub(super) fn claims(&self) -> RefMut<'_, Claims> {
        self.claims.borrow_mut()
    }

    fn release(&mut self, timeout: Duration) -> bool {
        self.main_queue = None;
        self.handle
            .take()
            .is_none_or(|handle| handle.release(&self.destroyed, timeout))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.release(CLOSE_TIMEOUT);
    }
}

/// A request that is under way. Dropping it gives the answer up.
pub struct Pending<T> {
    source: Source<T>,
    request: Request,
    began: Instant,
    deadline: Instant,
    shared: Rc<Shared>,
}

/// Where the answer comes from.
enum Source<T> {
    Thread(Receiver<Result<T, Failure>>, GiveUp),
    Failed(Error),
    Finished,
}

/// What was asked for, in words, and about which topic.
struct Request {
    text: String,
    topic: Option<String>,
}

impl<T> Pending<T> {
    /// The answer, once, if it has come; [`Error::Timeout`] after the deadline; None before, and after the answer.
    pub fn poll(&mut self) -> Option<Result<T, Error>> {
        self.shared.listen();
        let answer = match &self.source {
            Source::Thread(answer, _) => match answer.try_recv() {
                Ok(Ok(answer)) => {
                    self.shared.forget_refusal();
                    Ok(answer)
                }
                Ok(Err(failure)) => Err(self.error(failure)),
                Err(_) if Instant::now() >= self.deadline || self.is_refused() => {
                    Err(self.timeout())
                }
                Err(_) => return None,
            },
            Source::Failed(error) => Err(error.clone()),
            Source::Finished => return None,
        };
        // An answer that is not waited for any more is given up.
        let source = std::mem::replace(&mut self.source, Source::Finished);
        if let Source::Thread(_, give_up) = source {
            give_up.tell();
        }
        Some(answer)
    }

    /// When [`Pending::poll`] will report a timeout at the latest.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Has a broker refused, since the request began, what will not be accepted a moment later either?
    fn is_refused(&self) -> bool {
        let refusal = self.shared.refusal();
        refusal.is_some_and(|(when, refusal, _)| when >= self.began && refusal.is_final())
    }

    /// Why there is no answer. (Repeated errors are not told again, so a refusal counts until there is an answer.)
    fn timeout(&self) -> Error {
        let request = self.request.text.clone();
        match self.shared.refusal() {
            Some((_, refusal, cause)) => Error::Refused {
                request,
                refusal,
                cause,
            },
            None => Error::Timeout {
                request,
                cause: self.shared.trouble_text(),
            },
        }
    }

    fn error(&self, failure: Failure) -> Error {
        let Failure {
            code,
            message: cause,
        } = failure;
        let request = self.request.text.clone();
        match (code, &self.request.topic) {
            // What may work later was tried until the time was over.
            (code, _) if is_connection_lost(code) || is_timeout(code) => self.timeout(),
            (Code::UNSUPPORTED_FEATURE | Code::UNSUPPORTED_VERSION, _) => {
                Error::Unsupported { request, cause }
            }
            (code, Some(topic)) if is_unknown_topic(code) => Error::UnknownTopic {
                topic: topic.clone(),
            },
            (Code::INVALID_TOPIC | Code::UNKNOWN_PARTITION, Some(topic)) => Error::UnknownTopic {
                topic: topic.clone(),
            },
            (code, _) => Error::Broker {
                request,
                cause,
                transient: is_transient(code),
            },
        }
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        if let Source::Thread(_, give_up) = &self.source {
            give_up.tell();
        }
    }
}

fn summaries(topics: Vec<(String, i32)>) -> Vec<TopicSummary> {
    let mut topics: Vec<_> = topics
        .into_iter()
        .map(|(name, partition_count)| TopicSummary {
            is_internal: name.starts_with("__"),
            name,
            partition_count,
        })
        .collect();
    topics.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    topics
}

fn described(name: String, found: ffi::TopicDescription) -> TopicDescription {
    let ffi::TopicDescription {
        topic_id,
        mut partitions,
    } = found;
    partitions.sort_unstable();
    TopicDescription {
        name,
        topic_id,
        partitions,
    }
}

fn listed_offset(listed: ffi::ListedOffset) -> Result<ListedOffset, Failure> {
    let ffi::ListedOffset {
        partition,
        code,
        offset,
        timestamp_ms,
        leader_epoch,
    } = listed;
    if code != Code::NONE {
        return Err(Failure {
            code,
            message: format!("partition {partition}: {code}"),
        });
    }
    Ok(ListedOffset {
        partition,
        offset: Some(offset).filter(|&offset| offset >= 0),
        timestamp_ms: Some(timestamp_ms).filter(|&ms| ms >= 0),
        leader_epoch: Some(leader_epoch).filter(|&epoch| epoch >= 0),
    })
}

/// The topic is not there, or not any more.
pub fn is_unknown_topic(code: Code) -> bool {
    matches!(
        code,
        Code::UNKNOWN_TOPIC | Code::UNKNOWN_TOPIC_OR_PARTITION | Code::UNKNOWN_TOPIC_ID
    )
}

fn is_connection_lost(code: Code) -> bool {
    matches!(
        code,
        Code::TRANSPORT | Code::RESOLVE | Code::ALL_BROKERS_DOWN
    )
}

/// Broker and client do not come to terms about TLS or authentication.
pub fn is_refusal(code: Code) -> bool {
    matches!(
        code,
        Code::SSL | Code::AUTHENTICATION | Code::SASL_AUTHENTICATION_FAILED
    )
}

/// librdkafka's words, without its advice about properties that are not the user's to set.
fn explain(message: String, refusal: Option<Refusal>, certificate: i32) -> String {
    let is_certificate = matches!(
        refusal,
        Some(Refusal::UntrustedBroker | Refusal::BrokerCertificateExpired | Refusal::WrongHost)
    );
    let reason = verify_error_text(certificate).filter(|_| is_certificate);
    match (reason, message.split_once(": SSL handshake failed")) {
        (Some(reason), Some((broker, _))) => {
            format!("{broker}: the broker's certificate was not accepted: {reason}")
        }
        _ => match message.split_once(": increase ") {
            Some((what, _)) => what.to_owned(),
            None => message,
        },
    }
}

fn is_timeout(code: Code) -> bool {
    matches!(code, Code::TIMED_OUT | Code::TIMED_OUT_QUEUE)
}

/// Whether a later try may succeed without anybody's help.
pub fn is_transient(code: Code) -> bool {
    is_connection_lost(code)
        || is_timeout(code)
        || matches!(
            code,
            Code::LEADER_NOT_AVAILABLE
                | Code::NOT_LEADER
                | Code::REQUEST_TIMED_OUT
                | Code::BROKER_NOT_AVAILABLE
                | Code::REPLICA_NOT_AVAILABLE
                | Code::NETWORK_EXCEPTION
                | Code::STORAGE_ERROR
                | Code::FENCED_LEADER_EPOCH
                | Code::UNKNOWN_LEADER_EPOCH
                | Code::OFFSET_NOT_AVAILABLE
        )
}
