//! Writes sample records to a topic.

use crate::{Failure, ProduceOptions, record};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientConfig, ClientContext};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long a request for metadata or offsets may take.
const REQUEST: Duration = Duration::from_secs(10);
/// How long the last records may take.
const FLUSH: Duration = Duration::from_secs(60);

/// The parser of `-X NAME=VALUE`.
pub fn parse_property(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Writes the records and returns a line about it. An error if a record was not delivered, or has already been dropped
/// by the broker (the mock cluster's limit).
pub fn run(options: &ProduceOptions) -> Result<String, Failure> {
    let log = Log::open(options)?;
    let ends_before = log
        .watermarks()?
        .into_iter()
        .map(|(_, end)| end)
        .collect::<Vec<_>>();
    let started = Instant::now();
    let bytes = deliver(options)?;
    let elapsed = started.elapsed();
    for (partition, ((start, _), before)) in
        log.watermarks()?.into_iter().zip(ends_before).enumerate()
    {
        if start > before {
            return Err(format!(
                "partition {partition} of {} already dropped its records {before} to {}: the broker keeps too little",
                options.topic,
                start - 1
            )
            .into());
        }
    }
    let seconds = elapsed.as_secs_f64().max(1e-9);
    Ok(format!(
        "produced {} records, {bytes} bytes, in {seconds:.3} s: {:.0} records/s",
        options.records,
        options.records as f64 / seconds
    ))
}

fn deliver(options: &ProduceOptions) -> Result<u64, Failure> {
    let producer = producer(options)?;
    let pace = Pace::new(options.rate);
    let (mut value, mut key, mut bytes) = (String::new(), String::new(), 0);
    for turn in 0..options.records {
        let number = options.first + turn;
        record::write(options.shape, number, &mut value);
        key.clear();
        std::fmt::Write::write_fmt(&mut key, format_args!("{number}"))?;
        pace.wait(&producer, turn);
        let partition = options.partitions.map(|count| (turn % count as u64) as i32);
        send(&producer, &options.topic, partition, &key, &value)?;
        bytes += value.len() as u64;
        if turn % 1_000 == 0 {
            producer.poll(Duration::ZERO);
            producer.context().check()?;
        }
    }
    producer.flush(FLUSH)?;
    producer.context().check()?;
    Ok(bytes)
}

fn send(
    producer: &BaseProducer<Deliveries>,
    topic: &str,
    partition: Option<i32>,
    key: &str,
    value: &str,
) -> Result<(), Failure> {
    let source = OwnedHeaders::new_with_capacity(1).insert(Header {
        key: "source",
        value: Some("mock-kafka"),
    });
    let mut record = BaseRecord::to(topic)
        .key(key)
        .payload(value)
        .headers(source);
    if let Some(partition) = partition {
        record = record.partition(partition);
    }
    while let Err((error, back)) = producer.send(record) {
        match error {
            KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => {
                producer.poll(Duration::from_millis(10))
            }
            error => return Err(error.into()),
        }
        producer.context().check()?;
        record = back;
    }
    Ok(())
}

fn producer(options: &ProduceOptions) -> Result<BaseProducer<Deliveries>, Failure> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &options.bootstrap_servers)
        .set("client.id", "mock-kafka")
        // A retry must not write a record twice, or a count of records proves nothing.
        .set("enable.idempotence", "true")
        .set("compression.codec", options.codec.name())
        .set("linger.ms", if options.rate.is_some() { "2" } else { "50" })
        .set("batch.size", "900000")
        .set("queue.buffering.max.messages", "200000")
        .set("queue.buffering.max.kbytes", "262144");
    for (name, value) in &options.properties {
        config.set(name, value);
    }
    Ok(config.create_with_context(Deliveries::default())?)
}

/// Spreads records evenly over time.
struct Pace {
    rate: Option<u64>,
    start: Instant,
}

impl Pace {
    fn new(rate: Option<u64>) -> Pace {
        Pace {
            rate,
            start: Instant::now(),
        }
    }

    fn wait(&self, producer: &BaseProducer<Deliveries>, turn: u64) {
        let Some(rate) = self.rate else { return };
        let due = self.start + Duration::from_secs_f64(turn as f64 / rate as f64);
        while let Some(left) = due
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
        {
            producer.poll(Duration::ZERO);
            std::thread::sleep(left.min(Duration::from_millis(100)));
        }
    }
}

/// Remembers the first record that could not be delivered.
#[derive(Default)]
struct Deliveries {
    failed: Mutex<Option<KafkaError>>,
}

impl Deliveries {
    fn check(&self) -> Result<(), Failure> {
        match &*self.failed.lock().expect("no holder of this lock panics") {
            Some(error) => Err(format!("a record was not delivered: {error}").into()),
            None => Ok(()),
        }
    }
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.failed
                .lock()
                .expect("no holder of this lock panics")
                .get_or_insert_with(|| error.clone());
        }
    }
}

/// The topic as its readers see it.
struct Log {
    consumer: BaseConsumer,
    topic: String,
    partitions: i32,
}

impl Log {
    fn open(options: &ProduceOptions) -> Result<Log, Failure> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &options.bootstrap_servers)
            .set("client.id", "mock-kafka");
        for (name, value) in &options.properties {
            config.set(name, value);
        }
        let consumer: BaseConsumer = config.create()?;
        let metadata = consumer.fetch_metadata(Some(&options.topic), REQUEST)?;
        let partitions = metadata
            .topics()
            .first()
            .map_or(0, |topic| topic.partitions().len()) as i32;
        if partitions < options.partitions.unwrap_or(1) {
            return Err(format!("topic {} has {partitions} partitions", options.topic).into());
        }
        Ok(Log {
            consumer,
            topic: options.topic.clone(),
            partitions,
        })
    }

    /// Per partition: its first offset, and one past its last.
    fn watermarks(&self) -> Result<Vec<(i64, i64)>, KafkaError> {
        (0..self.partitions)
            .map(|partition| {
                self.consumer
                    .fetch_watermarks(&self.topic, partition, REQUEST)
            })
            .collect()
    }
}
