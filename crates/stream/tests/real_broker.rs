//! What the mock cluster cannot do: transactions, compaction's and deletion's effects, look-ups by time. These tests run
//! where KAFKA_BOOTSTRAP names a Kafka that may be written to, and pass without a word where it does not.

mod support;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use stream::{Client, Config, Error, Next, OffsetSpec, ReadOptions};
use support::*;

struct Kafka {
    servers: String,
    admin: AdminClient<DefaultClientContext>,
    topic: String,
}

impl Kafka {
    /// A topic of its own for the test.
    fn with_topic(name: &str, partitions: i32) -> Option<Kafka> {
        let servers = std::env::var("KAFKA_BOOTSTRAP")
            .ok()
            .filter(|servers| !servers.is_empty())?;
        let admin = ClientConfig::new()
            .set("bootstrap.servers", &servers)
            .create()
            .unwrap();
        let nanos = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_nanos();
        let kafka = Kafka {
            servers,
            admin,
            topic: format!("stream-test-{name}-{nanos}"),
        };
        kafka.create(partitions);
        Some(kafka)
    }

    fn create(&self, partitions: i32) {
        let topic = NewTopic::new(&self.topic, partitions, TopicReplication::Fixed(1));
        block_on(self.admin.create_topics([&topic], &AdminOptions::new())).unwrap()[0]
            .as_ref()
            .unwrap();
    }

    fn delete(&self) {
        block_on(
            self.admin
                .delete_topics(&[&self.topic], &AdminOptions::new()),
        )
        .unwrap()[0]
            .as_ref()
            .unwrap();
    }

    fn client(&self) -> Client {
        Client::new(&Config {
            bootstrap_servers: self.servers.clone(),
            ..Config::default()
        })
        .unwrap()
    }

    fn producer(&self, transactional: bool) -> BaseProducer {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.servers)
            .set("linger.ms", "1");
        if transactional {
            config.set("transactional.id", &self.topic);
        }
        let producer: BaseProducer = config.create().unwrap();
        if transactional {
            producer.init_transactions(PATIENCE).unwrap();
        }
        producer
    }

    /// `count` records with the value that `assert_exactly` expects at these offsets of partition 0.
    fn write(&self, producer: &BaseProducer, first: i64, count: i64) {
        for offset in first..first + count {
            let value = format!("0:{offset}");
            let record = BaseRecord::<[u8], str>::to(&self.topic)
                .partition(0)
                .payload(&value);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
    }

    fn end(&self, client: &Client) -> i64 {
        let specs = vec![(0, OffsetSpec::Latest)];
        answer(client, client.list_offsets(&self.topic, specs, PATIENCE)).unwrap()[0]
            .offset
            .unwrap()
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        let _ = block_on(
            self.admin
                .delete_topics(&[&self.topic], &AdminOptions::new()),
        );
    }
}

#[test]
fn transactions_count_when_they_are_committed() {
    let Some(kafka) = Kafka::with_topic("transactions", 1) else {
        return;
    };
    let producer = kafka.producer(true);
    producer.begin_transaction().unwrap();
    kafka.write(&producer, 0, 10);
    producer.commit_transaction(PATIENCE).unwrap(); // its marker is offset 10
    producer.begin_transaction().unwrap();
    kafka.write(&producer, 11, 10);
    producer.abort_transaction(PATIENCE).unwrap(); // 21
    producer.begin_transaction().unwrap();
    kafka.write(&producer, 22, 10);
    producer.commit_transaction(PATIENCE).unwrap(); // 32
    let client = kafka.client();
    assert_eq!(kafka.end(&client), 33);
    let mut reader = client
        .read(&kafka.topic, vec![range(0, 0, 33)], &ReadOptions::default())
        .unwrap();
    let records = all(&client, &mut reader).unwrap();
    let (committed, rest) = records.split_at(10);
    assert_exactly(committed, &[range(0, 0, 10)]);
    assert_exactly(rest, &[range(0, 22, 32)]);
    assert_eq!(reader.next_offset(0), Some(33), "the marker is passed");
    drop(reader);
    // Nothing but aborted records and markers.
    assert_eq!(
        read(&client, &kafka.topic, vec![range(0, 10, 22)]).unwrap(),
        []
    );
    assert_eq!(
        read(&client, &kafka.topic, vec![range(0, 32, 33)]).unwrap(),
        []
    );
}

#[test]
fn an_open_transaction_is_not_waited_for() {
    let Some(kafka) = Kafka::with_topic("open", 1) else {
        return;
    };
    kafka.write(&kafka.producer(false), 0, 10);
    let producer = kafka.producer(true);
    producer.begin_transaction().unwrap();
    kafka.write(&producer, 10, 10);
    let client = kafka.client();
    assert_eq!(kafka.end(&client), 10);
    assert_exactly(
        &read(&client, &kafka.topic, vec![range(0, 0, 10)]).unwrap(),
        &[range(0, 0, 10)],
    );
    // A range that goes further waits, and gets the records once they are committed.
    let mut reader = client
        .read(&kafka.topic, vec![range(0, 0, 20)], &ReadOptions::default())
        .unwrap();
    let until = Instant::now() + Duration::from_millis(500);
    let mut seen = 0;
    while Instant::now() < until {
        match reader.next().unwrap() {
            Next::Record(_) => seen += 1,
            Next::Wait => drop(wait(client.wake_fd(), Duration::from_millis(20))),
            Next::End => panic!("10 records are not committed"),
        }
        client.clear_wake();
    }
    assert_eq!(seen, 10);
    producer.commit_transaction(PATIENCE).unwrap();
    assert_exactly(&all(&client, &mut reader).unwrap(), &[range(0, 10, 20)]);
}

#[test]
fn a_marker_at_the_end_does_not_cost_a_wait() {
    let Some(kafka) = Kafka::with_topic("marker", 1) else {
        return;
    };
    let producer = kafka.producer(true);
    producer.begin_transaction().unwrap();
    kafka.write(&producer, 0, 10);
    producer.commit_transaction(PATIENCE).unwrap();
    let config = Config {
        bootstrap_servers: kafka.servers.clone(),
        fetch_wait_ms: 20_000,
        ..Config::default()
    };
    let client = Client::new(&config).unwrap();
    let started = Instant::now();
    assert_exactly(
        &read(&client, &kafka.topic, vec![range(0, 0, 11)]).unwrap(),
        &[range(0, 0, 10)],
    );
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_deleted_topic_is_unknown_and_its_successor_has_another_id() {
    let Some(kafka) = Kafka::with_topic("deleted", 1) else {
        return;
    };
    kafka.write(&kafka.producer(false), 0, 10);
    let client = kafka.client();
    let describe = || answer(&client, client.describe_topic(&kafka.topic, PATIENCE));
    let before = describe().unwrap();
    let mut reader = client
        .read(&kafka.topic, vec![range(0, 0, 20)], &ReadOptions::default())
        .unwrap();
    let mut seen = 0;
    let started = Instant::now();
    let error = loop {
        match reader.next() {
            Ok(Next::Record(_)) => {
                seen += 1;
                if seen == 10 {
                    kafka.delete();
                }
            }
            Ok(Next::Wait) => {
                assert!(started.elapsed() < PATIENCE, "nobody noticed");
                wait(client.wake_fd(), Duration::from_millis(100));
                client.clear_wake();
            }
            Ok(Next::End) => panic!("10 records are missing"),
            Err(error) => break error,
        }
    };
    let unknown = Error::UnknownTopic {
        topic: kafka.topic.clone(),
    };
    assert_eq!(error, unknown);
    drop(reader);
    assert_eq!(describe(), Err(unknown));
    kafka.create(1);
    // A new topic takes a moment to become known to the broker that is asked.
    let started = Instant::now();
    let after = loop {
        match describe() {
            Ok(topic) => break topic,
            Err(error) => assert!(started.elapsed() < PATIENCE, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(before.topic_id.is_some() && after.topic_id.is_some());
    assert_ne!(before.topic_id, after.topic_id);
}

#[test]
fn offsets_are_found_by_time() {
    let Some(kafka) = Kafka::with_topic("time", 1) else {
        return;
    };
    let producer = kafka.producer(false);
    for ms in [1_000, 2_000, 3_000] {
        let record = BaseRecord::<[u8], str>::to(&kafka.topic)
            .partition(0)
            .payload("x");
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_millis() as i64;
        producer
            .send(record.timestamp(now - 10_000 + ms))
            .map_err(|(error, _)| error)
            .unwrap();
        producer.flush(PATIENCE).unwrap();
    }
    let client = kafka.client();
    let ask = |spec| {
        let pending = client.list_offsets(&kafka.topic, vec![(0, spec)], PATIENCE);
        answer(&client, pending).unwrap()[0]
    };
    assert_eq!(ask(OffsetSpec::Timestamp(0)).offset, Some(0));
    assert_eq!(ask(OffsetSpec::MaxTimestamp).offset, Some(2));
    let second = ask(OffsetSpec::Timestamp(0)).timestamp_ms.unwrap() + 1;
    assert_eq!(ask(OffsetSpec::Timestamp(second)).offset, Some(1));
    assert_eq!(ask(OffsetSpec::Timestamp(i64::MAX / 2)).offset, None);
}
