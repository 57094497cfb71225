//! Brokers that go away, come back, and answer with errors.

mod support;

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr as Code};
use std::time::{Duration, Instant};
use stream::{Error, Next, OffsetSpec, ReadOptions};
use support::*;

#[test]
fn an_offset_past_the_end_is_out_of_range() {
    let mock = cluster("t", 2);
    Writer::new(&mock).fill("t", 1, 0, 10);
    let client = client(&mock);
    let error = read(&client, "t", vec![range(1, 11, 20)]).unwrap_err();
    assert_eq!(
        error,
        Error::OffsetOutOfRange {
            topic: "t".into(),
            partition: 1,
            offset: 11
        }
    );
}

#[test]
fn an_offset_that_the_broker_has_dropped_is_out_of_range() {
    let mock = cluster("t", 1);
    let writer = Writer::new(&mock);
    let value = vec![b'x'; 1 << 16];
    // The mock keeps 5 MiB a partition.
    for _ in 0..160 {
        writer.send(
            rdkafka::producer::BaseRecord::to("t")
                .partition(0)
                .payload(value.as_slice()),
        );
    }
    writer.flush();
    let client = client(&mock);
    let error = read(&client, "t", vec![range(0, 0, 160)]).unwrap_err();
    assert_eq!(
        error,
        Error::OffsetOutOfRange {
            topic: "t".into(),
            partition: 0,
            offset: 0
        }
    );
    let first = answer(
        &client,
        client.list_offsets("t", vec![(0, OffsetSpec::Earliest)], PATIENCE),
    )
    .unwrap()[0];
    let first = first.offset.unwrap();
    assert!(first > 0);
    assert_eq!(
        read(&client, "t", vec![range(0, first, 160)])
            .unwrap()
            .len() as i64,
        160 - first
    );
}

#[test]
fn a_partition_that_does_not_exist_is_an_error() {
    let mock = cluster("t", 2);
    Writer::new(&mock).fill("t", 0, 0, 10);
    for ask_before in [false, true] {
        let client = client(&mock);
        if ask_before {
            answer(&client, client.describe_topic("t", PATIENCE)).unwrap();
        }
        let error = read(&client, "t", vec![range(7, 0, 10), range(0, 0, 10)]).unwrap_err();
        let Error::Partition {
            topic,
            partition,
            offset,
            ..
        } = error
        else {
            panic!("{error:?}")
        };
        assert_eq!((topic.as_str(), partition, offset), ("t", 7, 0));
    }
}

#[test]
fn a_broker_that_comes_back_is_read_on() {
    let mock = cluster("t", 2);
    let writer = Writer::new(&mock);
    (0..2).for_each(|partition| writer.fill("t", partition, 0, 2_000));
    let client = stream::Client::new(&stream::Config {
        memory_bytes: 1 << 20,
        ..config(&mock)
    })
    .unwrap();
    let ranges = vec![range(0, 0, 2_000), range(1, 0, 2_000)];
    let mut reader = client
        .read(
            "t",
            ranges.clone(),
            &ReadOptions {
                batch_records: 10,
                ..ReadOptions::default()
            },
        )
        .unwrap();
    let mut records = Vec::new();
    let mut down_at = None;
    let started = Instant::now();
    loop {
        match reader.next().unwrap() {
            Next::Record(record) => {
                let value = record.value().map(<[u8]>::to_vec);
                records.push(Copied {
                    partition: record.partition(),
                    offset: record.offset(),
                    value,
                });
                if records.len() == 300 {
                    mock.broker_down(-1).unwrap();
                    down_at = Some(Instant::now());
                }
            }
            Next::Wait => {
                assert!(
                    started.elapsed() < PATIENCE,
                    "{:?}",
                    client.last_broker_error()
                );
                wait(client.wake_fd(), Duration::from_millis(50));
                client.clear_wake();
            }
            Next::End => break,
        }
        if down_at.is_some_and(|at| at.elapsed() > Duration::from_millis(500)) {
            assert!(records.len() < 4_000, "the outage was noticed by nobody");
            assert!(client.last_broker_error().is_some());
            mock.broker_up(-1).unwrap();
            down_at = None;
        }
    }
    assert_exactly(&records, &ranges);
}

#[test]
fn transient_errors_are_retried() {
    let mock = cluster("t", 1);
    Writer::new(&mock).fill("t", 0, 0, 1_000);
    let client = client(&mock);
    mock.request_errors(
        RDKafkaApiKey::Fetch,
        &[
            Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            Code::RD_KAFKA_RESP_ERR__TRANSPORT,
            Code::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
            Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
            Code::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        ],
    );
    assert_exactly(
        &read(&client, "t", vec![range(0, 0, 1_000)]).unwrap(),
        &[range(0, 0, 1_000)],
    );
}

#[test]
fn a_topic_that_may_not_be_read_is_an_error() {
    let mock = cluster("t", 1);
    Writer::new(&mock).fill("t", 0, 0, 10);
    let client = client(&mock);
    mock.request_errors(
        RDKafkaApiKey::Fetch,
        &[Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED],
    );
    let error = read(&client, "t", vec![range(0, 0, 10)]).unwrap_err();
    let Error::Partition {
        partition: 0,
        offset: 0,
        cause,
        ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert!(cause.contains("authorization failed"), "{cause}");
}

#[test]
fn a_request_that_meets_an_election_is_repeated() {
    let mock = cluster("t", 1);
    let client = client(&mock);
    let ask = |timeout| {
        answer(
            &client,
            client.list_offsets("t", vec![(0, OffsetSpec::Latest)], timeout),
        )
    };
    let error = Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
    mock.request_errors(RDKafkaApiKey::ListOffsets, &[error; 3]);
    assert_eq!(ask(PATIENCE).unwrap()[0].offset, Some(0));
    mock.request_errors(RDKafkaApiKey::ListOffsets, &[error; 100]);
    let error = ask(Duration::from_millis(700)).unwrap_err();
    assert!(error.is_transient(), "{error:?}");
}

#[test]
fn a_request_waits_for_a_broker_within_its_time() {
    let mock = cluster("t", 1);
    let client = client(&mock);
    mock.broker_down(-1).unwrap();
    let pending = client.list_offsets("t", vec![(0, OffsetSpec::Latest)], PATIENCE);
    std::thread::sleep(Duration::from_millis(300));
    mock.broker_up(-1).unwrap();
    assert_eq!(answer(&client, pending).unwrap()[0].offset, Some(0));
}

#[test]
fn a_reader_is_dropped_in_no_time_while_the_broker_is_away() {
    let mock = cluster("t", 4);
    Writer::new(&mock).fill("t", 0, 0, 10);
    let client = client(&mock);
    let reader = client.read(
        "t",
        (0..4).map(|partition| range(partition, 0, 10)).collect(),
        &ReadOptions::default(),
    );
    mock.broker_down(-1).unwrap();
    let started = Instant::now();
    drop(reader);
    drop(client);
    assert!(
        started.elapsed() < Duration::from_millis(900),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn our_threads_block_signals() {
    let mock = cluster("t", 1);
    mock.broker_down(-1).unwrap();
    let client = client(&mock);
    let pending = client.list_topics(Duration::from_secs(2));
    std::thread::sleep(Duration::from_millis(50));
    let mut asking = 0;
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let Ok(status) = std::fs::read_to_string(task.path().join("status")) else {
            continue;
        };
        let field = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap()
                .trim()
                .to_owned()
        };
        if field("Name:") == "kafka request" {
            let blocked = u64::from_str_radix(&field("SigBlk:"), 16).unwrap();
            assert_ne!(blocked & 1 << (libc::SIGTERM - 1), 0);
            asking += 1;
        }
    }
    // Those that other tests of this process have given up end a moment later.
    assert!(asking >= 1);
    mock.broker_up(-1).unwrap();
    answer(&client, pending).unwrap();
}
