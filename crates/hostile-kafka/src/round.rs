//! One round: a client of ours asks everything that it ever asks, of a broker that lies.

use crate::answers::{self, Cluster, REQUESTS, TOPIC};
use crate::broker::{self, Scenario};
use crate::random::Random;
use std::time::{Duration, Instant};
use stream::{
    Client, Config, Login, Next, OffsetSpec, PartitionRange, Pending, ReadOptions, Sasl, Secret,
    Security,
};

/// How long one request and the reading may take; what has not come by then will not.
const PATIENCE: Duration = Duration::from_millis(150);
/// A client that has not ended after that hangs.
const ENDING: Duration = Duration::from_secs(20);
/// In so many rounds the lies are in answers to one kind of request only, so that what follows it is reached.
const FOCUS: [Option<i16>; 16] = [
    None,
    None,
    Some(answers::API_VERSIONS),
    Some(answers::METADATA),
    Some(answers::METADATA),
    Some(answers::METADATA),
    Some(answers::LIST_OFFSETS),
    Some(answers::LIST_OFFSETS),
    Some(answers::FETCH),
    Some(answers::FETCH),
    Some(answers::FETCH),
    Some(answers::FETCH),
    Some(answers::FETCH),
    Some(answers::LEADER_EPOCH),
    Some(answers::SASL_HANDSHAKE),
    Some(answers::SASL_AUTHENTICATE),
];

/// How a round ended.
#[derive(Default, Clone, Copy)]
pub struct Outcome {
    /// Records that came through.
    pub records: u64,
    /// The client did not end.
    pub hangs: bool,
}

/// Plays the round of a seed.
pub fn play(seed: u64) -> Outcome {
    let mut random = Random::new(seed);
    let focus = random.of(&FOCUS);
    let one_in = random.of(&[8, 20, 50, 120, 400]);
    let cluster = cluster(&mut random);
    let (partitions, records) = (cluster.partitions, cluster.records);
    let Ok(broker) = broker::start(cluster, Scenario::Lies(one_in, focus), seed) else {
        return Outcome::default();
    };
    let config = Config {
        bootstrap_servers: format!("127.0.0.1:{}", broker.port),
        security: security(&mut random, focus),
        memory_bytes: 4 << 20,
        ..Config::default()
    };
    let Ok(client) = Client::new(&config) else {
        return Outcome::default();
    };
    let mut outcome = Outcome {
        records: talk(&client, partitions, records),
        hangs: false,
    };
    outcome.hangs = !client.close(ENDING);
    outcome
}

fn cluster(random: &mut Random) -> Cluster {
    let old = random.one_in(3);
    let versions = REQUESTS.map(|(request, newest)| {
        let version = if old {
            random.below(newest as u64 + 1) as i16
        } else {
            newest
        };
        (request, version)
    });
    Cluster {
        port: 0,
        brokers: 1 + random.below(3) as i32,
        partitions: 1 + random.below(4) as i32,
        records: 2 + random.below(40) as i64,
        versions: versions.to_vec(),
        epoch: random.below(3) as i32,
    }
}

fn security(random: &mut Random, focus: Option<i16>) -> Security {
    let is_of_login = matches!(
        focus,
        Some(answers::SASL_HANDSHAKE | answers::SASL_AUTHENTICATE)
    );
    if !is_of_login && !random.one_in(12) {
        return Security::default();
    }
    let login = Login {
        user: "user".to_owned(),
        password: Secret::new("password"),
    };
    let sasl = match random.below(3) {
        0 => Sasl::Plain(login),
        1 => Sasl::Scram256(login),
        _ => Sasl::Scram512(login),
    };
    Security {
        tls: None,
        sasl: Some(sasl),
    }
}

/// All requests, then records. Errors are what is expected; how many records come does not matter.
fn talk(client: &Client, partitions: i32, records: i64) -> u64 {
    let specs = |spec| (0..partitions).map(|partition| (partition, spec)).collect();
    let mut topics = client.list_topics(PATIENCE);
    let mut description = client.describe_topic(TOPIC, PATIENCE);
    let mut earliest = client.list_offsets(TOPIC, specs(OffsetSpec::Earliest), PATIENCE);
    let mut newest = client.list_offsets(TOPIC, specs(OffsetSpec::MaxTimestamp), PATIENCE);
    let range = |partition| PartitionRange {
        partition,
        start: 0,
        end: records,
    };
    let reader = client.read(
        TOPIC,
        (0..partitions).map(range).collect(),
        &ReadOptions::default(),
    );
    let mut seen = 0;
    if let Ok(mut reader) = reader {
        let end = Instant::now() + PATIENCE;
        loop {
            match reader.next() {
                Ok(Next::Record(record)) => {
                    seen += 1;
                    touch(&record);
                }
                Ok(Next::Wait) if Instant::now() < end => wait(client, end),
                _ => break,
            }
        }
    }
    finish(client, &mut topics);
    finish(client, &mut description);
    finish(client, &mut earliest);
    finish(client, &mut newest);
    seen
}

/// Reads every byte of a record.
fn touch(record: &stream::Record<'_>) {
    let mut sum = 0_u64;
    let mut add = |bytes: Option<&[u8]>| {
        sum += bytes
            .unwrap_or_default()
            .iter()
            .map(|&byte| u64::from(byte))
            .sum::<u64>()
    };
    add(record.key());
    add(record.value());
    for (name, value) in record.headers() {
        add(Some(name));
        add(value);
    }
    std::hint::black_box((sum, record.timestamp(), record.leader_epoch()));
}

fn finish<T>(client: &Client, pending: &mut Pending<T>) {
    while pending.poll().is_none() {
        wait(client, pending.deadline());
    }
}

fn wait(client: &Client, until: Instant) {
    let left = until.saturating_duration_since(Instant::now());
    let mut poll = libc::pollfd {
        fd: client.wake_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one valid struct.
    unsafe { libc::poll(&mut poll, 1, left.as_millis().min(20) as i32 + 1) };
    client.clear_wake();
}
