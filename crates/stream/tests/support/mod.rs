//! A mock cluster to read from, and the loop that a caller runs around a client.
#![allow(dead_code, reason = "each test file uses its part")]

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};
use stream::{Client, Config, Error, Next, PartitionRange, Pending, ReadOptions, Reader};

/// Longer than anything here takes when it works.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub type Mock = MockCluster<'static, DefaultProducerContext>;

/// A cluster of one broker with one topic.
pub fn cluster(topic: &str, partitions: i32) -> Mock {
    let mock = MockCluster::new(1).expect("the mock cluster starts");
    mock.create_topic(topic, partitions, 1)
        .expect("the topic is created");
    mock
}

pub fn config(mock: &Mock) -> Config {
    Config {
        bootstrap_servers: mock.bootstrap_servers(),
        ..Config::default()
    }
}

pub fn client(mock: &Mock) -> Client {
    Client::new(&config(mock)).expect("the client starts")
}

/// Writes records, waits until they are there.
pub struct Writer(BaseProducer);

impl Writer {
    pub fn new(mock: &Mock) -> Writer {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", mock.bootstrap_servers())
            .set("linger.ms", "5");
        // Small batches, so that ranges begin and end within and between them.
        config.set("batch.num.messages", "100");
        Writer(config.create().expect("the producer starts"))
    }

    pub fn send(&self, record: BaseRecord<'_, [u8], [u8]>) {
        let mut record = record;
        while let Err((_, back)) = self.0.send(record) {
            self.0.poll(Duration::from_millis(10));
            record = back;
        }
    }

    /// `count` records with values "partition:number", numbered from `first`.
    pub fn fill(&self, topic: &str, partition: i32, first: i64, count: i64) {
        for number in first..first + count {
            let value = format!("{partition}:{number}");
            self.send(
                BaseRecord::to(topic)
                    .partition(partition)
                    .key(b"key".as_slice())
                    .payload(value.as_bytes()),
            );
        }
        self.flush();
    }

    pub fn flush(&self) {
        self.0.flush(PATIENCE).expect("everything is delivered");
    }
}

pub fn header<'a>(name: &'a str, value: Option<&'a [u8]>) -> Header<'a, &'a [u8]> {
    Header { key: name, value }
}

pub fn headers<const N: usize>(list: [Header<'_, &[u8]>; N]) -> OwnedHeaders {
    list.into_iter()
        .fold(OwnedHeaders::new(), OwnedHeaders::insert)
}

/// Waits until the descriptor is readable; returns whether it was.
pub fn wait(descriptor: RawFd, timeout: Duration) -> bool {
    let mut poll = libc::pollfd {
        fd: descriptor,
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one valid struct.
    unsafe { libc::poll(&mut poll, 1, timeout.as_millis() as i32) > 0 }
}

/// The loop of a caller around one request.
pub fn answer<T>(client: &Client, mut pending: Pending<T>) -> Result<T, Error> {
    loop {
        client.clear_wake();
        if let Some(answer) = pending.poll() {
            return answer;
        }
        let left = pending.deadline().saturating_duration_since(Instant::now());
        wait(client.wake_fd(), left + Duration::from_millis(1));
    }
}

/// Runs a future of rdkafka's admin client, on this thread.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(value) => return value,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

/// A record, copied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Copied {
    pub partition: i32,
    pub offset: i64,
    pub value: Option<Vec<u8>>,
}

/// The loop of a caller around a reader; panics when nothing comes for a long time.
pub fn each(
    client: &Client,
    reader: &mut Reader,
    mut see: impl FnMut(&stream::Record<'_>),
) -> Result<(), Error> {
    let mut last = Instant::now();
    loop {
        match reader.next()? {
            Next::Record(record) => {
                see(&record);
                last = Instant::now();
            }
            Next::Wait => {
                assert!(
                    last.elapsed() < PATIENCE,
                    "stalled: {:?}",
                    client.last_broker_error()
                );
                wait(client.wake_fd(), Duration::from_secs(1));
                client.clear_wake();
            }
            Next::End => return Ok(()),
        }
    }
}

pub fn all(client: &Client, reader: &mut Reader) -> Result<Vec<Copied>, Error> {
    let mut records = Vec::new();
    each(client, reader, |record| {
        let value = record.value().map(<[u8]>::to_vec);
        records.push(Copied {
            partition: record.partition(),
            offset: record.offset(),
            value,
        });
    })?;
    Ok(records)
}

pub fn read(
    client: &Client,
    topic: &str,
    ranges: Vec<PartitionRange>,
) -> Result<Vec<Copied>, Error> {
    all(
        client,
        &mut client.read(topic, ranges, &ReadOptions::default())?,
    )
}

pub fn range(partition: i32, start: i64, end: i64) -> PartitionRange {
    PartitionRange {
        partition,
        start,
        end,
    }
}

/// Each partition's offsets are exactly start..end, in order, and each value is the one written there.
pub fn assert_exactly(records: &[Copied], ranges: &[PartitionRange]) {
    let mut offsets: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    for record in records {
        let expected = format!("{}:{}", record.partition, record.offset);
        assert_eq!(record.value.as_deref(), Some(expected.as_bytes()));
        offsets
            .entry(record.partition)
            .or_default()
            .push(record.offset);
    }
    let expected: BTreeMap<i32, Vec<i64>> = ranges
        .iter()
        .filter(|range| range.start < range.end)
        .map(|range| (range.partition, (range.start..range.end).collect()))
        .collect();
    assert_eq!(offsets, expected);
}
