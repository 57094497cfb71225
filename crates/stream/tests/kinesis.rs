//! Readers of Kinesis against the emulator whose address is in KINESIS_ENDPOINT (scripts/test.sh sets it); without it there is nothing to test on.

use aws_sdk_kinesis::Client as Producer;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::{Duration, Instant};
use stream::aws::Identity;
use stream::kinesis::{
    Client, Config, Deaggregate, HashKeys, Next, Pending, Position, ReadOptions, Reader,
    ShardStart, StreamDescription, Until, now_ms,
};

const TIMEOUT: Duration = Duration::from_secs(20);

/// What is put in is the SDK's, what is read is ours.
struct Stage {
    endpoint: String,
    runtime: tokio::runtime::Runtime,
    producer: Producer,
}

impl Stage {
    fn new() -> Option<Stage> {
        let Ok(endpoint) = std::env::var("KINESIS_ENDPOINT") else {
            eprintln!("not tested: there is no KINESIS_ENDPOINT");
            return None;
        };
        // The reader finds its credentials where everybody does.
        // SAFETY: every test sets the same, and before anything reads it.
        unsafe {
            std::env::set_var("AWS_ACCESS_KEY_ID", "test");
            std::env::set_var("AWS_SECRET_ACCESS_KEY", "test");
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let http = aws_smithy_http_client::Builder::new().build_http();
        let config = aws_sdk_kinesis::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(&endpoint)
            .http_client(http)
            .build();
        Some(Stage {
            endpoint,
            runtime,
            producer: Producer::from_conf(config),
        })
    }

    fn ask<T, E: std::fmt::Debug>(&self, request: impl Future<Output = Result<T, E>>) -> T {
        self.runtime.block_on(request).unwrap()
    }

    fn create(&self, name: &str, shards: i32) {
        let request = self.producer.create_stream().stream_name(name);
        self.ask(request.shard_count(shards).send());
        self.wait(name);
    }

    fn wait(&self, name: &str) {
        loop {
            let request = self.producer.describe_stream_summary().stream_name(name);
            let summary = self.ask(request.send()).stream_description_summary.unwrap();
            if summary.stream_status.as_str() == "ACTIVE" {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn put(&self, name: &str, texts: &[String]) {
        for text in texts {
            let request = self.producer.put_record().stream_name(name);
            let request = request.partition_key(text).data(Blob::new(text.as_bytes()));
            self.ask(request.send());
        }
    }

    /// In one request: they arrive in the same millisecond.
    fn put_at_once(&self, name: &str, texts: &[String]) {
        let entry = |text: &String| {
            let entry = PutRecordsRequestEntry::builder().partition_key(text);
            entry.data(Blob::new(text.as_bytes())).build().unwrap()
        };
        let entries = texts.iter().map(entry).collect();
        let request = self.producer.put_records().stream_name(name);
        self.ask(request.set_records(Some(entries)).send());
    }

    fn client(&self) -> Client {
        Client::new(&Config {
            identity: Identity {
                region: Some("us-east-1".to_owned()),
                ..Identity::default()
            },
            endpoint_url: Some(self.endpoint.clone()),
            keep_limits: false,
            ..Config::default()
        })
        .unwrap()
    }
}

fn answer<T>(client: &Client, mut pending: Pending<T>) -> T {
    loop {
        client.clear_wake();
        if let Some(answer) = pending.poll() {
            return answer.unwrap();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn starts(stream: &StreamDescription) -> Vec<ShardStart> {
    let start = |shard: &stream::kinesis::Shard| ShardStart {
        id: shard.id.clone(),
        parents: shard.parents.clone(),
        from: Position::Horizon,
        is_closed: shard.last.is_some(),
        hash_keys: shard.hash_keys,
    };
    stream.shards.iter().map(start).collect()
}

/// Shard and text of each record, in the order in which they come.
fn read_all(client: &Client, reader: &mut Reader) -> Vec<(String, String)> {
    let deadline = Instant::now() + TIMEOUT;
    let mut found = Vec::new();
    loop {
        match reader.next().unwrap() {
            Next::Record(record) => found.push((
                record.shard_id().to_owned(),
                String::from_utf8_lossy(record.data()).into_owned(),
            )),
            Next::End => return found,
            Next::Wait => {
                assert!(
                    Instant::now() < deadline,
                    "no end: {:?}",
                    reader.unfinished()
                );
                std::thread::sleep(Duration::from_millis(1));
                client.clear_wake();
            }
        }
    }
}

fn texts(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}{n}")).collect()
}

#[test]
fn children_come_after_their_parents_and_nothing_twice() {
    let Some(stage) = Stage::new() else { return };
    let name = format!("crate-lineage-{}", std::process::id());
    stage.create(&name, 2);
    stage.put(&name, &texts("a", 40));
    let merge = stage.producer.merge_shards().stream_name(&name);
    let merge = merge.shard_to_merge("shardId-000000000000");
    stage.ask(merge.adjacent_shard_to_merge("shardId-000000000001").send());
    stage.wait(&name);
    stage.put(&name, &texts("b", 20));

    let client = stage.client();
    let description = answer(&client, client.describe_stream(&name, TIMEOUT));
    assert_eq!(description.shards.len(), 3);
    let options = ReadOptions {
        until: Until::Parity(now_ms()),
        page_records: Some(7),
        deaggregate: Deaggregate::Off,
    };
    // Only the parents are given: the child comes up by itself.
    let parents: Vec<ShardStart> = starts(&description).into_iter().take(2).collect();
    let mut reader = client.read(&name, parents, &options).unwrap();
    let found = read_all(&client, &mut reader);
    let child = "shardId-000000000002";
    let first_of_child = found.iter().position(|(shard, _)| shard == child).unwrap();
    assert!(
        found[first_of_child..]
            .iter()
            .all(|(shard, _)| shard == child)
    );
    let all: BTreeSet<&String> = found.iter().map(|(_, text)| text).collect();
    assert_eq!((found.len(), all.len()), (60, 60));
    let states = reader.shards();
    let drained: Vec<bool> = states.iter().map(|state| state.is_drained).collect();
    assert_eq!(drained, [true, true, false]);
    assert!(states.iter().all(|state| state.caught_up_to.is_some()));

    // From where it stopped there is nothing, and then only what is new.
    let resume = |states: &[stream::kinesis::ShardState]| -> Vec<ShardStart> {
        let open = states.iter().filter(|state| !state.is_drained);
        open.map(|state| ShardStart {
            id: state.id.clone(),
            parents: state.parents.clone(),
            from: state.position.clone(),
            is_closed: false,
            hash_keys: HashKeys::ALL,
        })
        .collect()
    };
    stage.put(&name, &texts("c", 5));
    let options = ReadOptions {
        until: Until::Parity(now_ms()),
        page_records: None,
        deaggregate: Deaggregate::Off,
    };
    let mut reader = client.read(&name, resume(&states), &options).unwrap();
    let found: Vec<String> = read_all(&client, &mut reader)
        .into_iter()
        .map(|(_, t)| t)
        .collect();
    assert_eq!(found, texts("c", 5));
}

#[test]
fn a_page_that_ends_within_a_millisecond_is_not_the_tip() {
    let Some(stage) = Stage::new() else { return };
    let name = format!("crate-burst-{}", std::process::id());
    stage.create(&name, 1);
    stage.put_at_once(&name, &texts("a", 10));
    let client = stage.client();
    let description = answer(&client, client.describe_stream(&name, TIMEOUT));
    let options = ReadOptions {
        until: Until::Parity(now_ms()),
        page_records: Some(4),
        deaggregate: Deaggregate::Off,
    };
    let mut reader = client.read(&name, starts(&description), &options).unwrap();
    assert_eq!(read_all(&client, &mut reader).len(), 10);
}

#[test]
fn a_reader_that_is_not_stopped_follows_a_split() {
    let Some(stage) = Stage::new() else { return };
    let name = format!("crate-split-{}", std::process::id());
    stage.create(&name, 1);
    let client = stage.client();
    let description = answer(&client, client.describe_stream(&name, TIMEOUT));
    let options = ReadOptions {
        until: Until::Stopped,
        page_records: None,
        deaggregate: Deaggregate::Off,
    };
    let mut reader = client.read(&name, starts(&description), &options).unwrap();
    stage.put(&name, &texts("a", 10));
    let split = stage.producer.split_shard().stream_name(&name);
    let split = split.shard_to_split("shardId-000000000000");
    stage.ask(
        split
            .new_starting_hash_key("170141183460469231731687303715884105728")
            .send(),
    );
    stage.wait(&name);
    stage.put(&name, &texts("b", 20));

    let deadline = Instant::now() + TIMEOUT;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    while counts.values().sum::<usize>() < 30 {
        assert!(Instant::now() < deadline, "{counts:?}");
        reader.gather(4, u64::MAX).unwrap();
        let records = reader.take();
        for index in 0..records.len() {
            let record = records.get(index).unwrap();
            *counts.entry(record.shard_id().to_owned()).or_default() += 1;
        }
        // What was taken is what the positions say.
        let moved =
            |state: &&stream::kinesis::ShardState| matches!(state.position, Position::After(_));
        assert_eq!(reader.shards().iter().filter(moved).count(), counts.len());
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(counts["shardId-000000000000"], 10);
    assert_eq!(reader.shards().len(), 3);
}

#[test]
fn what_does_not_exist_is_said() {
    let Some(stage) = Stage::new() else { return };
    let client = stage.client();
    let mut pending = client.describe_stream("crate-nobody", TIMEOUT);
    let error = loop {
        if let Some(answer) = pending.poll() {
            break answer.unwrap_err();
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    assert_eq!(
        error,
        stream::Error::UnknownStream {
            stream: "crate-nobody".to_owned()
        }
    );
}
