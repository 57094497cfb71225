//! The answers to everything that the client asks, in the version that it asked in.

use crate::records;
use crate::wire::Wire;

/// Kafka's numbers of the requests that are answered, and the newest version that the client speaks.
pub const REQUESTS: [(i16, i16); 8] = [
    (PRODUCE, 11),
    (FETCH, 16),
    (LIST_OFFSETS, 7),
    (METADATA, 13),
    (SASL_HANDSHAKE, 1),
    (API_VERSIONS, 3),
    (LEADER_EPOCH, 2),
    (SASL_AUTHENTICATE, 1),
];
const PRODUCE: i16 = 0;
/// Records.
pub const FETCH: i16 = 1;
/// Offsets by time.
pub const LIST_OFFSETS: i16 = 2;
/// Topics and brokers.
pub const METADATA: i16 = 3;
/// The mechanisms.
pub const SASL_HANDSHAKE: i16 = 17;
/// The requests that a broker knows.
pub const API_VERSIONS: i16 = 18;
/// Where a leader's epoch ended.
pub const LEADER_EPOCH: i16 = 23;
/// A step of a login.
pub const SASL_AUTHENTICATE: i16 = 36;

/// The topic that there is, and its id.
pub const TOPIC: &str = "t";
const TOPIC_ID: (i64, i64) = (0x0123_4567_89ab_cdef, 0x0fed_cba9_8765_4321);

/// What the cluster looks like.
#[derive(Clone)]
pub struct Cluster {
    /// Where the broker listens.
    pub port: u16,
    /// Number of brokers, all at that port.
    pub brokers: i32,
    /// Number of partitions of the topic.
    pub partitions: i32,
    /// Records of each partition.
    pub records: i64,
    /// The newest versions that are offered, as [`REQUESTS`].
    pub versions: Vec<(i16, i16)>,
    /// Changes with each answer: the leader's epoch.
    pub epoch: i32,
}

/// From this version on a request has the compact form.
pub fn is_flexible(request: i16, version: i16) -> bool {
    match request {
        METADATA | PRODUCE => version >= 9,
        FETCH => version >= 12,
        LIST_OFFSETS => version >= 6,
        API_VERSIONS => version >= 3,
        LEADER_EPOCH => version >= 4,
        SASL_AUTHENTICATE => version >= 2,
        _ => false,
    }
}

impl Cluster {
    /// Writes the answer; `body` is the request behind its header, `answered` how many answers of this kind went before it.
    pub fn answer(&self, wire: &mut Wire, request: i16, version: i16, body: &[u8], answered: u64) {
        match request {
            API_VERSIONS => self.api_versions(wire, version),
            METADATA => self.metadata(wire, version),
            LIST_OFFSETS => self.list_offsets(wire, version, body),
            FETCH => self.fetch(wire, version, answered),
            LEADER_EPOCH => self.leader_epoch(wire, version),
            SASL_HANDSHAKE => {
                wire.i16(0);
                wire.count(3);
                for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
                    wire.string(Some(mechanism));
                }
            }
            SASL_AUTHENTICATE => authenticate(wire, version, body),
            _ => wire.i16(0),
        }
    }

    fn api_versions(&self, wire: &mut Wire, version: i16) {
        wire.i16(0);
        wire.count(self.versions.len());
        for &(request, newest) in &self.versions {
            wire.i16(request);
            wire.i16(0);
            wire.i16(newest);
            wire.tags();
        }
        if version >= 1 {
            wire.i32(0);
        }
        wire.tags();
    }

    fn metadata(&self, wire: &mut Wire, version: i16) {
        if version >= 3 {
            wire.i32(0);
        }
        wire.count(self.brokers as usize);
        for broker in 0..self.brokers {
            wire.i32(broker);
            wire.string(Some("127.0.0.1"));
            wire.i32(self.port.into());
            if version >= 1 {
                wire.string((broker > 0).then_some("rack"));
            }
            wire.tags();
        }
        if version >= 2 {
            wire.string(Some("cluster"));
        }
        if version >= 1 {
            wire.i32(0);
        }
        // A topic more or less than was asked for, now and then.
        let topics = if wire.one_in > 0 && wire.random.one_in(12) {
            wire.random.below(4)
        } else {
            1
        };
        wire.count(topics as usize);
        for topic in 0..topics {
            self.topic(wire, version, topic);
        }
        if (8..=10).contains(&version) {
            wire.i32(-0x8000_0000);
        }
        if version >= 13 {
            wire.i16(0);
        }
        wire.tags();
    }

    fn topic(&self, wire: &mut Wire, version: i16, topic: u64) {
        wire.i16(0);
        wire.string(Some(
            [TOPIC, "other", TOPIC, "__internal"][topic as usize % 4],
        ));
        if version >= 10 {
            topic_id(wire, topic as i64);
        }
        if version >= 1 {
            wire.i8(0);
        }
        wire.count(self.partitions as usize);
        for partition in 0..self.partitions {
            wire.i16(0);
            wire.i32(partition);
            wire.i32(partition % self.brokers.max(1));
            if version >= 7 {
                wire.i32(self.epoch);
            }
            for _ in 0..2 {
                wire.count(self.brokers as usize);
                for broker in 0..self.brokers {
                    wire.i32(broker);
                }
            }
            if version >= 5 {
                wire.count(0);
            }
            wire.tags();
        }
        if version >= 8 {
            wire.i32(-0x8000_0000);
        }
        wire.tags();
    }

    fn list_offsets(&self, wire: &mut Wire, version: i16, body: &[u8]) {
        // The first offset is asked for by the time -2.
        let asks_for_first = body.windows(8).any(|time| time == (-2_i64).to_be_bytes());
        let offset = if asks_for_first { 0 } else { self.records };
        if version >= 2 {
            wire.i32(0);
        }
        wire.count(1);
        wire.string(Some(TOPIC));
        wire.count(self.partitions as usize);
        for partition in 0..self.partitions {
            wire.i32(partition);
            wire.i16(0);
            if version == 0 {
                wire.count(1);
                wire.i64(offset);
            } else {
                wire.i64(1_700_000_000_000);
                wire.i64(offset);
            }
            if version >= 4 {
                wire.i32(self.epoch);
            }
            wire.tags();
        }
        wire.tags();
        wire.tags();
    }

    fn fetch(&self, wire: &mut Wire, version: i16, answered: u64) {
        if version >= 1 {
            wire.i32(0);
        }
        if version >= 7 {
            wire.i16(0);
            wire.i32(0);
        }
        wire.count(1);
        if version >= 13 {
            topic_id(wire, 0);
        } else {
            wire.string(Some(TOPIC));
        }
        wire.count(self.partitions as usize);
        let half = self.records / 2;
        for partition in 0..self.partitions {
            let (first, count) = match answered {
                0 => (0, half),
                1 => (half, self.records - half),
                _ => (self.records, 0),
            };
            wire.i32(partition);
            wire.i16(0);
            wire.i64(self.records);
            if version >= 4 {
                wire.i64(self.records);
            }
            if version >= 5 {
                wire.i64(0);
            }
            if version >= 4 {
                wire.count(1);
                wire.i64(7);
                wire.i64(half / 2);
                wire.tags();
            }
            if version >= 11 {
                wire.i32(-1);
            }
            let records = if count > 0 {
                records::some(wire, first, count)
            } else {
                Vec::new()
            };
            wire.blob(&records);
            self.partition_tags(wire, version);
        }
        wire.tags();
        self.node_tags(wire, version);
    }

    /// Version 16 tells of a new leader in tags.
    fn partition_tags(&self, wire: &mut Wire, version: i16) {
        if version < 16 || !wire.random.one_in(4) {
            return wire.tags();
        }
        let mut tag = wire.part();
        tag.i32(0);
        tag.i32(self.epoch);
        tag.bytes.push(0);
        wire.uvarint(1);
        wire.uvarint(1);
        let length = tag.bytes.len() as i64;
        let length = if wire.one_in > 0 && wire.random.one_in(8) {
            length + 7
        } else {
            length
        };
        wire.uvarint(length as u64);
        wire.bytes.extend(tag.bytes);
    }

    fn node_tags(&self, wire: &mut Wire, version: i16) {
        if version < 16 || !wire.random.one_in(4) {
            return wire.tags();
        }
        let mut tag = wire.part();
        tag.flexible = true;
        tag.count(self.brokers as usize);
        for broker in 0..self.brokers {
            tag.i32(broker);
            tag.string(Some("127.0.0.1"));
            tag.i32(self.port.into());
            tag.string(None);
            tag.tags();
        }
        wire.uvarint(1);
        wire.uvarint(0);
        wire.uvarint(tag.bytes.len() as u64);
        wire.bytes.extend(tag.bytes);
    }

    fn leader_epoch(&self, wire: &mut Wire, version: i16) {
        if version >= 2 {
            wire.i32(0);
        }
        wire.count(1);
        wire.string(Some(TOPIC));
        wire.count(self.partitions as usize);
        for partition in 0..self.partitions {
            wire.i16(0);
            wire.i32(partition);
            if version >= 1 {
                wire.i32(self.epoch);
            }
            wire.i64(self.records);
        }
    }
}

fn topic_id(wire: &mut Wire, more: i64) {
    wire.i64(TOPIC_ID.0);
    wire.i64(TOPIC_ID.1 + more);
}

/// An empty answer to PLAIN, the server's words of SCRAM to what looks like it.
fn authenticate(wire: &mut Wire, version: i16, body: &[u8]) {
    wire.i16(0);
    wire.string(None);
    let text = String::from_utf8_lossy(body);
    let words = match (text.find("n,,n="), text.find("r=")) {
        (Some(_), Some(at)) => {
            let iterations = wire.random.of(&[
                "4096",
                "1",
                "0",
                "-1",
                "1000000",
                "99999999999999999999",
                "",
            ]);
            let iterations = if wire.one_in == 0 { "4096" } else { iterations };
            format!("{}more,s=c2FsdHNhbHQ=,i={iterations}", &text[at..])
        }
        (None, Some(_)) => wire
            .random
            .of(&["v=AAAA", "v=", "e=other-error", "e=", "x", ""])
            .to_owned(),
        _ => String::new(),
    };
    wire.blob(words.as_bytes());
    if version >= 1 {
        wire.i64(3_600_000);
    }
}
