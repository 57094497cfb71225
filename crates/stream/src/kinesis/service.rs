//! The service's operations, each tried once, with its errors sorted.

use super::config::Config;
use super::position::Position;
use super::subscribe::Events;
use crate::aws::kind_and_message;
use crate::error::{causes, chain, clipped};
use crate::{Error, runtime};
use aws_config::BehaviorVersion;
use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::types::{
    Shard, ShardIteratorType, StartingPosition, StreamDescriptionSummary, SubscribeToShardEvent,
    SubscribeToShardEventStream,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::DateTime;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A page of 10 MiB takes 5 seconds at the service's own pace.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Why an operation failed.
pub enum Failure {
    /// It may work later.
    Later(String),
    /// The iterator is older than five minutes.
    ExpiredIterator,
    /// It will not work by itself.
    Final(Error),
}

/// One account's streams in one region.
pub struct Service {
    config: Config,
    client: OnceCell<Client>,
    trouble: Mutex<Option<(Instant, String)>>,
    /// When and in which words it last refused what it would take later.
    throttled: Mutex<Option<(Instant, String)>>,
    /// When the reads that have no answer yet were sent.
    unanswered: Mutex<Vec<Instant>>,
}

/// A read that is under way, given up or answered when it is dropped.
struct Asking<'a>(&'a Service, Instant);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut unanswered = self
            .0
            .unanswered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = unanswered.iter().position(|when| *when == self.1) {
            unanswered.swap_remove(place);
        }
    }
}

impl Service {
    /// Nothing is asked yet.
    pub fn new(config: Config) -> Service {
        Service {
            config,
            client: OnceCell::new(),
            trouble: Mutex::default(),
            throttled: Mutex::default(),
            unanswered: Mutex::default(),
        }
    }

    /// Its configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The last trouble and when it came, for the one who wonders why nothing arrives.
    pub fn trouble(&self) -> Option<(Instant, String)> {
        self.trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn ask(&self) -> Asking<'_> {
        let now = Instant::now();
        self.unanswered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(now);
        Asking(self, now)
    }

    /// When the oldest read that has no answer yet was sent.
    pub fn unanswered_since(&self) -> Option<Instant> {
        let unanswered = self
            .unanswered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        unanswered.iter().min().copied()
    }

    /// The last refusal of what was too much at a time, and when it came.
    pub fn throttled(&self) -> Option<(Instant, String)> {
        self.throttled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Keeps the last trouble.
    pub fn remember(&self, trouble: String) {
        if TOO_MUCH.iter().any(|code| trouble.contains(code)) {
            *self
                .throttled
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), trouble.clone()));
        }
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), trouble));
    }

    async fn client(&self) -> Result<&Client, Failure> {
        self.client.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<Client, Failure> {
        let http = runtime::http_client().map_err(Failure::Final)?;
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .timeout_config(timeouts)
            .credentials_provider(self.config.identity.provider())
            // The identity keeps its credentials itself, for all clients.
            .identity_cache(IdentityCache::no_cache())
            // What is tried again is seen here, and shown.
            .retry_config(RetryConfig::disabled());
        if self.config.identity.region.is_some() {
            let region = self.config.identity.region().await;
            let region = region.map_err(Failure::Final)?;
            loader = loader.region(aws_config::Region::new(region));
        }
        let shared = loader.load().await;
        if shared.region().is_none() {
            return Err(Failure::Final(Error::Config(
                "no AWS region is given".to_owned(),
            )));
        }
        let mut config = aws_sdk_kinesis::config::Builder::from(&shared);
        if let Some(url) = &self.config.endpoint_url {
            config = config.endpoint_url(url);
        }
        Ok(Client::from_conf(config.build()))
    }

    /// A page of names of streams, in their order, and whether there are more after it.
    pub async fn list_streams(
        &self,
        after: Option<String>,
    ) -> Result<(Vec<String>, bool), Failure> {
        let client = self.client().await?;
        let request = client.list_streams().set_exclusive_start_stream_name(after);
        let answer = request.send().await;
        let answer = answer.map_err(|error| sorted("kinesis:ListStreams", None, &error))?;
        let more = answer.has_more_streams && !answer.stream_names.is_empty();
        Ok((answer.stream_names, more))
    }

    /// What the service says of a stream as a whole.
    pub async fn describe_stream(&self, stream: &str) -> Result<StreamDescriptionSummary, Failure> {
        let client = self.client().await?;
        let (name, arn) = target(stream);
        let request = client.describe_stream_summary();
        let answer = request
            .set_stream_name(name)
            .set_stream_arn(arn)
            .send()
            .await;
        let answer = answer
            .map_err(|error| sorted("kinesis:DescribeStreamSummary", Some(stream), &error))?;
        answer.stream_description_summary.ok_or_else(|| {
            Failure::Later(
                "kinesis:DescribeStreamSummary: an answer without a description".to_owned(),
            )
        })
    }

    /// A page of shards, the closed ones that still have records too, and the token of the next one.
    pub async fn list_shards(
        &self,
        stream: &str,
        token: Option<String>,
    ) -> Result<(Vec<Shard>, Option<String>), Failure> {
        let client = self.client().await?;
        // A token stands for the stream as well.
        let (name, arn) = match token {
            Some(_) => (None, None),
            None => target(stream),
        };
        let request = client.list_shards().set_next_token(token);
        let answer = request
            .set_stream_name(name)
            .set_stream_arn(arn)
            .send()
            .await;
        let answer = answer.map_err(|error| sorted("kinesis:ListShards", Some(stream), &error))?;
        let next = answer.next_token.filter(|token| !token.is_empty());
        Ok((answer.shards.unwrap_or_default(), next))
    }

    /// Where to begin GetRecords.
    pub async fn iterator(
        &self,
        stream: &str,
        shard: &str,
        from: &Position,
    ) -> Result<String, Failure> {
        let _asking = self.ask();
        let client = self.client().await?;
        let (name, arn) = target(stream);
        let request = client.get_shard_iterator().shard_id(shard);
        let request = request.set_stream_name(name).set_stream_arn(arn);
        let request = match from {
            Position::Horizon => request.shard_iterator_type(ShardIteratorType::TrimHorizon),
            Position::After(number) => request
                .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                .starting_sequence_number(number.as_str()),
            Position::Time(ms) => request
                .shard_iterator_type(ShardIteratorType::AtTimestamp)
                .timestamp(DateTime::from_millis(*ms)),
        };
        let answer = request.send().await;
        let answer =
            answer.map_err(|error| sorted("kinesis:GetShardIterator", Some(stream), &error))?;
        answer.shard_iterator.ok_or_else(|| {
            Failure::Later("kinesis:GetShardIterator: an answer without an iterator".to_owned())
        })
    }

    /// The next page of records.
    pub async fn records(
        &self,
        stream: &str,
        iterator: &str,
        most: Option<u32>,
    ) -> Result<GetRecordsOutput, Failure> {
        let _asking = self.ask();
        let client = self.client().await?;
        let request = client.get_records().shard_iterator(iterator);
        let request = request.set_limit(most.and_then(|most| i32::try_from(most).ok()));
        // Streams of other accounts are found by their ARN only.
        let answer = request.set_stream_arn(target(stream).1).send().await;
        answer.map_err(|error| sorted("kinesis:GetRecords", Some(stream), &error))
    }

    /// The ARN of a consumer that is registered with a stream.
    pub async fn consumer_arn(&self, stream: &str, consumer: &str) -> Result<String, Failure> {
        let arn = self.describe_stream(stream).await?.stream_arn;
        let request = self.client().await?.describe_stream_consumer();
        let answer = request.stream_arn(arn).consumer_name(consumer).send().await;
        let answer = answer
            .map_err(|error| sorted("kinesis:DescribeStreamConsumer", Some(stream), &error))?;
        let description = answer.consumer_description;
        description.map(|found| found.consumer_arn).ok_or_else(|| {
            Failure::Later("DescribeStreamConsumer: an answer without a description".to_owned())
        })
    }

    /// Has records of a shard pushed.
    pub async fn subscribe(
        &self,
        consumer_arn: &str,
        stream: &str,
        shard: &str,
        from: &Position,
    ) -> Result<Events, Failure> {
        let position = StartingPosition::builder();
        let position = match from {
            Position::Horizon => position.r#type(ShardIteratorType::TrimHorizon),
            Position::After(number) => position
                .r#type(ShardIteratorType::AfterSequenceNumber)
                .sequence_number(number.as_str()),
            Position::Time(ms) => position
                .r#type(ShardIteratorType::AtTimestamp)
                .timestamp(DateTime::from_millis(*ms)),
        };
        let position = position
            .build()
            .map_err(|error| Failure::Final(Error::Config(error.to_string())))?;
        let request = self.client().await?.subscribe_to_shard();
        let request = request.consumer_arn(consumer_arn).shard_id(shard);
        let answer = request.starting_position(position).send().await;
        let answer =
            answer.map_err(|error| sorted("kinesis:SubscribeToShard", Some(stream), &error))?;
        Ok(answer.event_stream)
    }

    /// The next event of a subscription; None when it is over.
    pub async fn event(
        &self,
        stream: &str,
        events: &mut Events,
    ) -> Result<Option<SubscribeToShardEvent>, Failure> {
        loop {
            let event = events.recv().await;
            let event = event.map_err(|error| {
                sorted_by(
                    "kinesis:SubscribeToShard",
                    Some(stream),
                    &error,
                    code_and_message(&error),
                    None,
                )
            })?;
            match event {
                Some(SubscribeToShardEventStream::SubscribeToShardEvent(event)) => {
                    return Ok(Some(event));
                }
                // Of a later version.
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    /// Repeats an operation while it may work later, until the deadline.
    pub async fn until<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        deadline: Instant,
        request: &str,
        operation: impl Fn() -> F,
    ) -> Result<T, Error> {
        let mut pause = Pause::default();
        loop {
            let cause = match operation().await {
                Ok(answer) => return Ok(answer),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Later(cause)) => cause,
                Err(Failure::ExpiredIterator) => "the iterator expired".to_owned(),
            };
            self.remember(cause.clone());
            let pause = pause.next();
            if Instant::now() + pause >= deadline {
                return Err(Error::Timeout {
                    request: request.to_owned(),
                    cause: Some(cause),
                });
            }
            sleep(pause).await;
        }
    }
}

/// A stream is named, or given by its ARN.
fn target(stream: &str) -> (Option<String>, Option<String>) {
    if stream.starts_with("arn:") {
        (None, Some(stream.to_owned()))
    } else {
        (Some(stream.to_owned()), None)
    }
}

/// How long to wait before the next try: twice as long each time, never all readers at once.
#[derive(Default)]
pub struct Pause {
    tries: u32,
}

impl Pause {
    /// The next pause.
    pub fn next(&mut self) -> Duration {
        let longest = FIRST_PAUSE
            .saturating_mul(1 << self.tries.min(10))
            .min(LONGEST_PAUSE);
        self.tries += 1;
        // Between a half and the whole of it. The clock's last digits are random enough.
        let nanos = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |time| time.subsec_nanos());
        longest.mul_f64(0.5 + f64::from(nanos % 1000) / 2000.0)
    }

    /// It worked.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

/// Errors that say "not so much".
const TOO_MUCH: [&str; 4] = [
    "ProvisionedThroughputExceededException",
    "LimitExceededException",
    "ThrottlingException",
    "Throttling: ",
];

/// Errors that say "not now".
const LATER: [&str; 9] = [
    "ProvisionedThroughputExceededException",
    "LimitExceededException",
    // A consumer that is being registered, or has a subscription of the shard already.
    "ResourceInUseException",
    "KMSThrottlingException",
    "ThrottlingException",
    "Throttling",
    "InternalFailure",
    "InternalFailureException",
    "ServiceUnavailable",
];

/// Errors that say "not you".
const DENIED: [&str; 11] = [
    "AccessDeniedException",
    "AccessDenied",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "KMSAccessDeniedException",
    "MissingAuthenticationTokenException",
    "OptInRequired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

/// `operation` is named as a policy names it.
fn sorted<E>(operation: &str, stream: Option<&str>, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let response = error.raw_response();
    let answer = match (error.code(), response) {
        // The SDK reads JSON only.
        (None, Some(response)) => kind_and_message(response.body().bytes().unwrap_or_default()),
        _ => code_and_message(error),
    };
    let status = response.map(|response| response.status().as_u16());
    sorted_by(operation, stream, error, answer, status)
}

type CodeAndMessage = (Option<String>, Option<String>);

fn code_and_message(error: &impl ProvideErrorMetadata) -> CodeAndMessage {
    (
        error.code().map(str::to_owned),
        error.message().map(str::to_owned),
    )
}

fn sorted_by<E, R>(
    operation: &str,
    stream: Option<&str>,
    error: &SdkError<E, R>,
    answer: CodeAndMessage,
    status: Option<u16>,
) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    let request = match stream {
        Some(stream) => format!("{operation} of stream \"{stream}\""),
        None => operation.to_owned(),
    };
    let (code, text) = answer;
    let message = match (&code, text) {
        (None, _) => causes(error),
        (Some(code), None) => code.clone(),
        (Some(code), Some(text)) => format!("{code}: {text}"),
    };
    let message = clipped(message.trim_end_matches('.').to_owned());
    let code = code.as_deref().unwrap_or_default();
    match error {
        _ if code == "ExpiredIteratorException" => Failure::ExpiredIterator,
        _ if code == "ResourceNotFoundException" && stream.is_some() => {
            Failure::Final(Error::UnknownStream {
                stream: stream.unwrap_or_default().to_owned(),
            })
        }
        _ if LATER.contains(&code) || status >= Some(500) => {
            Failure::Later(format!("{request}: {message}"))
        }
        _ if DENIED.contains(&code) => Failure::Final(Error::Denied {
            request,
            cause: message,
        }),
        SdkError::ServiceError(_) => Failure::Final(Error::Broker {
            request,
            cause: message,
            transient: false,
        }),
        // Credentials are looked for before anything is sent.
        _ if let Some(cause) = chain(error).find_map(|cause| cause.downcast_ref::<Error>()) => {
            if cause.is_transient() {
                Failure::Later(cause.to_string())
            } else {
                Failure::Final(cause.clone())
            }
        }
        SdkError::ConstructionFailure(_) => {
            Failure::Final(Error::Config(format!("{request}: {message}")))
        }
        // Cut, late or garbled on the way.
        _ => Failure::Later(format!("{request}: {message}")),
    }
}
