//! The task of one shard by enhanced fan-out: the service pushes what arrives, beside the limits that readers share.
//!
//! A subscription ends after five minutes, and whenever the connection does; the next one begins after the last record. Only open shards are followed
//! so. What a closed one still has is fetched ([`super::fetch`]): it has nothing to push.

use super::fetch::{Answer, Fetch, after, now_ms, size};
use super::memory::Reserved;
use super::position::Position;
use super::service::{Failure, Pause, Service};
use crate::Error;
use aws_sdk_kinesis::primitives::event_stream::EventReceiver;
use aws_sdk_kinesis::types::SubscribeToShardEventStream;
use aws_sdk_kinesis::types::error::SubscribeToShardEventStreamError;
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::timeout;

/// The service sends an event at least every five seconds, without records if there are none.
const SILENCE: Duration = Duration::from_secs(20);
/// An event does not say when it was sent; longer ago than this it was not.
const UNDER_WAY_MS: i64 = 30_000;

pub type Events = EventReceiver<SubscribeToShardEventStream, SubscribeToShardEventStreamError>;

/// A consumer that is registered with a stream.
pub struct Consumer {
    name: String,
    arn: OnceCell<String>,
}

impl Consumer {
    pub fn new(name: &str) -> Consumer {
        Consumer {
            name: name.to_owned(),
            arn: OnceCell::new(),
        }
    }

    /// Its ARN, which is asked for once.
    async fn arn(&self, service: &Service, stream: &str) -> Result<&str, Failure> {
        let ask = || service.consumer_arn(stream, &self.name);
        self.arn.get_or_try_init(ask).await.map(String::as_str)
    }
}

impl Fetch {
    /// Follows the shard until its end, an error that will not pass, or nobody listens any more.
    pub(super) async fn follow(&self, consumer: &Consumer) -> Result<(), Error> {
        let mut from = self.from.clone();
        let mut pause = Pause::default();
        loop {
            let failure = match self.subscribe(consumer, &from).await {
                Ok(mut events) => match self.receive(&mut events, &mut from, &mut pause).await {
                    Ok(true) => return Ok(()),
                    Ok(false) => continue,
                    Err(failure) => failure,
                },
                Err(failure) => failure,
            };
            let failure = match failure {
                // The stream itself was there when its shards were asked for.
                Failure::Final(Error::UnknownStream { stream }) => {
                    let consumer = consumer.name.clone();
                    Failure::Final(Error::UnknownConsumer { stream, consumer })
                }
                other => other,
            };
            self.wait_after(failure, &mut pause).await?;
        }
    }

    async fn subscribe(&self, consumer: &Consumer, from: &Position) -> Result<Events, Failure> {
        let arn = consumer.arn(&self.service, &self.stream).await?;
        let request = self.service.subscribe(arn, &self.stream, &self.id, from);
        request.await
    }

    /// Hands over what one subscription brings: true when the shard, or whoever listens, has ended.
    async fn receive(
        &self,
        events: &mut Events,
        from: &mut Position,
        pause: &mut Pause,
    ) -> Result<bool, Failure> {
        loop {
            let Ok(event) = timeout(SILENCE, self.service.event(&self.stream, events)).await else {
                return Err(Failure::Later(format!(
                    "SubscribeToShard of stream \"{}\": nothing came for {} s",
                    self.stream,
                    SILENCE.as_secs()
                )));
            };
            let Some(event) = event? else {
                return Ok(false);
            };
            pause.reset();
            let bytes: u64 = event.records.iter().map(size).sum();
            // What is not taken yet holds up the connection.
            let memory = Reserved::of(&self.memory, bytes as usize).await;
            if let Some(last) = event.records.last() {
                *from = after(last, from.clone());
            }
            let answer = Answer {
                records: event.records,
                has_ended: event.continuation_sequence_number.is_empty(),
                behind_ms: Some(event.millis_behind_latest),
                children: event.child_shards.unwrap_or_default(),
            };
            let page = self.page(answer, now_ms() - UNDER_WAY_MS, memory, &mut 0);
            let is_done = page.is_done;
            if self.pages.send(Ok(page)).is_err() {
                return Ok(true);
            }
            self.wake.send();
            if is_done {
                return Ok(true);
            }
        }
    }
}
