//! How a client is set up.

use super::security::Security;
use crate::Error;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// How to reach a cluster, and how much to hold in memory.
#[derive(Clone, Debug)]
pub struct Config {
    /// `host:port[,host:port..]`.
    pub bootstrap_servers: String,
    /// Encryption and authentication.
    pub security: Security,
    /// More librdkafka properties. Those that decide which records are read cannot be given.
    pub properties: Vec<(String, String)>,
    /// Bound on the records that are fetched but not read yet, whatever the number of topics and partitions; at least
    /// 1 MiB is used. A single batch that is larger still comes through, whole, up to `batch_bytes`.
    ///
    /// A quarter is for waiting records, a quarter for those being read, a sixteenth for each broker's answer as it
    /// arrives (compressed); the rest is for unpacking.
    pub memory_bytes: usize,
    /// The largest batch of records, and the largest answer of a broker, that is taken: as it arrives, and unpacked. At least 16 MiB are, and not more
    /// than 256 MiB. Of what is unpacked so much, or half of the memory, is held at a time; the rest is fetched again when there is room.
    pub batch_bytes: usize,
    /// How many readers share the memory. Of several each has its part of an eighth for waiting records.
    pub readers: usize,
    /// How many brokers there is room for at first, bootstrap servers among them (0: for all). Each costs a thread, a pipe and a connection, and how many
    /// there are is for the cluster to say: [`crate::Client::hold_room`].
    pub brokers: usize,
    /// How long the broker holds back an answer when there is nothing to fetch, in milliseconds. Records never wait.
    pub fetch_wait_ms: u32,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            bootstrap_servers: String::new(),
            security: Security::default(),
            properties: Vec::new(),
            memory_bytes: 64 * MIB,
            batch_bytes: 32 * MIB,
            readers: 1,
            brokers: 0,
            fetch_wait_ms: 50,
        }
    }
}

/// Properties with which a reader would lose or repeat records, or never end.
const RESERVED: [&str; 23] = [
    "allow.auto.create.topics",
    "auto.offset.reset",
    "bootstrap.servers",
    "brokers.max",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.partition.eof",
    "enabled_events",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "group.id",
    "group.instance.id",
    "isolation.level",
    "log.queue",
    "max.partition.fetch.bytes",
    "message.max.bytes",
    "metadata.broker.list",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "receive.message.max.bytes",
    "test.mock.broker.rtt",
    "test.mock.num.brokers",
    "unpacked.max.bytes",
];

impl Config {
    /// The properties for librdkafka, the caller's last.
    pub(crate) fn to_properties(&self) -> Result<Vec<(&str, String)>, Error> {
        if self.bootstrap_servers.trim().is_empty() {
            return Err(Error::Config("no bootstrap servers are given".to_owned()));
        }
        let mut properties = fixed();
        properties.push(("bootstrap.servers", self.bootstrap_servers.clone()));
        properties.push(("fetch.wait.max.ms", self.fetch_wait_ms.to_string()));
        // Of patches/librdkafka.
        properties.push(("brokers.max", self.brokers.to_string()));
        properties.extend(self.memory());
        properties.extend(self.security.to_properties());
        for (name, value) in &self.properties {
            if RESERVED.contains(&name.as_str()) {
                return Err(Error::Config(format!(
                    "librdkafka property \"{name}\" cannot be set here"
                )));
            }
            properties.push((name, value.clone()));
        }
        Ok(properties)
    }
}

fn fixed() -> Vec<(&'static str, String)> {
    [
        ("client.id", "redshift_streaming"),
        // Offsets are the caller's: a position that does not exist must be an error, never a jump.
        ("auto.offset.reset", "error"),
        ("enable.partition.eof", "true"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("isolation.level", "read_committed"),
        // Reading must not make topics.
        ("allow.auto.create.topics", "false"),
        // A table outlives its topic, so a flipped bit must not get in; the check costs a few percent of one core.
        ("check.crcs", "true"),
        // No callback on librdkafka's threads.
        ("log.queue", "true"),
        // How long a full queue (1 s by default, which stalls) and an error keep a partition from being fetched.
        ("fetch.queue.backoff.ms", "5"),
        ("fetch.error.backoff.ms", "50"),
        ("reconnect.backoff.ms", "50"),
        ("reconnect.backoff.max.ms", "1000"),
        ("socket.connection.setup.timeout.ms", "10000"),
        ("socket.timeout.ms", "30000"),
        ("socket.keepalive.enable", "true"),
        ("socket.nagle.disable", "true"),
        // How long a topic may be unknown to a broker before that is believed.
        ("topic.metadata.propagation.max.ms", "2000"),
        // Would delay the end of a client.
        ("enable.metrics.push", "false"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec()
}

/// What a record in a queue costs beyond its value.
pub(super) const RECORD_OVERHEAD: usize = 512;
/// The largest answer of a broker that is believed. Smaller than what the first bytes of TLS or HTTP mean as a length,
/// so that a wrong port is an error and not an allocation.
pub(super) const LARGEST_ANSWER: usize = 256 * MIB;
/// Whatever the memory, a batch of this size is taken: a value can be as large.
const SMALLEST_ANSWER: usize = 16 * MIB;
/// With less than that in a queue a reader waits for the broker all the time.
const SMALLEST_QUEUE: usize = 16 * KIB;

/// How much a reader's queue holds when its partitions are not fetched any more.
#[derive(Clone, Copy)]
pub(super) struct QueueLimit {
    pub bytes: usize,
    pub records: usize,
}

impl Config {
    fn memory_bytes(&self) -> usize {
        self.memory_bytes.clamp(MIB, 4096 * MIB)
    }

    fn largest_batch(&self) -> usize {
        self.batch_bytes.clamp(SMALLEST_ANSWER, LARGEST_ANSWER)
    }

    /// librdkafka compares its limits with the queue that a partition's records go to, and all of a reader's go to one.
    pub(super) fn queue_limit(&self) -> QueueLimit {
        let bytes = match self.readers {
            0 | 1 => self.memory_bytes() / 4,
            several => (self.memory_bytes() / 8 / several).max(SMALLEST_QUEUE),
        };
        QueueLimit {
            bytes,
            records: bytes / RECORD_OVERHEAD,
        }
    }

    /// Each broker is asked for one more answer while a queue is below its limits.
    fn memory(&self) -> [(&'static str, String); 7] {
        let (bytes, queue) = (self.memory_bytes(), self.queue_limit());
        // An answer may all be one reader's.
        let (answer, of_partition) = match self.readers {
            0 | 1 => ((bytes / 16).min(32 * MIB), bytes / 64),
            _ => (queue.bytes, queue.bytes / 2),
        };
        // With room for what goes around the records.
        let answer = answer.min(self.largest_batch() / 2);
        [
            ("queued.max.messages.kbytes", queue.bytes / KIB),
            ("queued.min.messages", queue.records),
            ("fetch.max.bytes", answer),
            // An answer is unpacked as a whole: the smaller it is, the less a well compressed one can grow.
            ("fetch.message.max.bytes", of_partition.min(MIB)),
            ("receive.message.max.bytes", self.largest_batch()),
            // Of patches/librdkafka.
            ("unpacked.max.bytes", self.largest_batch().max(bytes / 2)),
            // A limit for producers, but it must not exceed the answer's.
            ("message.max.bytes", answer.min(MIB)),
        ]
        .map(|(name, value)| (name, value.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_properties_are_refused() {
        let mut config = Config {
            bootstrap_servers: "b:1".into(),
            ..Config::default()
        };
        config
            .properties
            .push(("isolation.level".into(), "read_uncommitted".into()));
        let error = config.to_properties().unwrap_err();
        assert_eq!(
            error.to_string(),
            "librdkafka property \"isolation.level\" cannot be set here"
        );
    }

    #[test]
    fn readers_divide_an_eighth_of_the_memory() {
        let of = |readers| Config {
            readers,
            ..Config::default()
        };
        assert_eq!(of(1).queue_limit().bytes, 16 * MIB);
        assert_eq!(of(32).queue_limit().bytes * 32, 8 * MIB);
        assert_eq!(of(100_000).queue_limit().bytes, SMALLEST_QUEUE);
    }

    #[test]
    fn bootstrap_servers_are_required() {
        assert!(matches!(
            Config::default().to_properties(),
            Err(Error::Config(_))
        ));
    }

    #[test]
    fn reserved_names_are_sorted() {
        assert!(RESERVED.is_sorted());
    }
}
