//! Ranges of records from a healthy cluster.

mod support;

use rdkafka::producer::BaseRecord;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use stream::{Client, Config, Error, Next, ReadOptions, TimestampType};
use support::*;

#[test]
fn every_record_is_read_once() {
    let mock = cluster("t", 4);
    let writer = Writer::new(&mock);
    (0..4).for_each(|partition| writer.fill("t", partition, 0, 5_000));
    let client = client(&mock);
    let ranges: Vec<_> = (0..4).map(|partition| range(partition, 0, 5_000)).collect();
    let mut reader = client
        .read("t", ranges.clone(), &ReadOptions::default())
        .unwrap();
    let records = all(&client, &mut reader).unwrap();
    assert_exactly(&records, &ranges);
    assert_eq!(reader.records(), 20_000);
    let values: usize = records
        .iter()
        .map(|record| record.value.as_ref().unwrap().len())
        .sum();
    assert_eq!(reader.bytes(), (values + 20_000 * "key".len()) as u64);
    assert!(
        matches!(reader.next(), Ok(Next::End)),
        "the end stays the end"
    );
}

#[test]
fn ranges_begin_and_end_anywhere() {
    let mock = cluster("t", 4);
    let writer = Writer::new(&mock);
    (0..4).for_each(|partition| writer.fill("t", partition, 0, 1_000));
    let client = client(&mock);
    let ranges = vec![
        range(0, 0, 1),
        range(1, 333, 777),
        range(2, 999, 1_000),
        range(3, 500, 500),
    ];
    let mut reader = client
        .read(
            "t",
            ranges.clone(),
            &ReadOptions {
                batch_records: 7,
                ..ReadOptions::default()
            },
        )
        .unwrap();
    assert_eq!(reader.next_offset(1), Some(333));
    assert_exactly(&all(&client, &mut reader).unwrap(), &ranges);
    for range in ranges {
        assert_eq!(reader.next_offset(range.partition), Some(range.end));
    }
    assert_eq!(reader.next_offset(4), None);
}

#[test]
fn empty_ranges_end_without_a_broker() {
    let client = Client::new(&Config {
        bootstrap_servers: "127.0.0.1:9".into(),
        ..Config::default()
    })
    .unwrap();
    let ranges = vec![range(0, 7, 7), range(1, 9, 3)];
    let mut reader = client.read("t", ranges, &ReadOptions::default()).unwrap();
    assert!(matches!(reader.next(), Ok(Next::End)));
    assert_eq!(
        (reader.next_offset(0), reader.next_offset(1)),
        (Some(7), Some(9))
    );
}

#[test]
fn a_range_waits_for_records_that_are_still_to_come() {
    let mock = cluster("t", 1);
    let writer = Writer::new(&mock);
    writer.fill("t", 0, 0, 10);
    let client = client(&mock);
    let mut reader = client
        .read("t", vec![range(0, 0, 20)], &ReadOptions::default())
        .unwrap();
    let mut seen = 0;
    while seen < 10 {
        match reader.next().unwrap() {
            Next::Record(_) => seen += 1,
            Next::Wait => assert!(wait(client.wake_fd(), PATIENCE)),
            Next::End => panic!("10 records are missing"),
        }
        client.clear_wake();
    }
    let until = Instant::now() + Duration::from_millis(300);
    while Instant::now() < until {
        assert!(
            matches!(reader.next(), Ok(Next::Wait)),
            "nothing more was written"
        );
        wait(client.wake_fd(), Duration::from_millis(50));
        client.clear_wake();
    }
    assert_eq!(reader.next_offset(0), Some(10));
    writer.fill("t", 0, 10, 20);
    assert_exactly(&all(&client, &mut reader).unwrap(), &[range(0, 10, 20)]);
}

#[test]
fn a_second_reader_resumes_where_the_first_stopped() {
    let mock = cluster("t", 1);
    Writer::new(&mock).fill("t", 0, 0, 3_000);
    let client = client(&mock);
    let mut reader = client
        .read("t", vec![range(0, 0, 3_000)], &ReadOptions::default())
        .unwrap();
    let mut seen = 0;
    while seen < 1_234 {
        match reader.next().unwrap() {
            Next::Record(_) => seen += 1,
            Next::Wait => assert!(wait(client.wake_fd(), PATIENCE)),
            Next::End => panic!("there is more"),
        }
    }
    let next = reader.next_offset(0).unwrap();
    assert_eq!(next, 1_234);
    let second = client.read("t", vec![range(0, next, 3_000)], &ReadOptions::default());
    assert!(
        matches!(second, Err(Error::Config(_))),
        "a partition has one reader at a time"
    );
    drop(reader);
    let rest = read(&client, "t", vec![range(0, next, 3_000)]).unwrap();
    assert_exactly(&rest, &[range(0, next, 3_000)]);
    // Backwards too.
    assert_exactly(
        &read(&client, "t", vec![range(0, 0, 3_000)]).unwrap(),
        &[range(0, 0, 3_000)],
    );
}

#[test]
fn null_and_empty_are_told_apart() {
    let mock = cluster("t", 1);
    let writer = Writer::new(&mock);
    let record = || BaseRecord::to("t").partition(0);
    writer.send(record().key(b"tombstone".as_slice()));
    writer.send(record().payload(b"no key".as_slice()));
    writer.send(record().key(b"".as_slice()).payload(b"".as_slice()));
    writer.flush();
    let client = client(&mock);
    let mut reader = client
        .read("t", vec![range(0, 0, 3)], &ReadOptions::default())
        .unwrap();
    let mut seen = Vec::new();
    each(&client, &mut reader, |record| {
        seen.push((
            record.key().map(<[u8]>::to_vec),
            record.value().map(<[u8]>::to_vec),
        ));
    })
    .unwrap();
    let some = |text: &str| Some(text.as_bytes().to_vec());
    assert_eq!(
        seen,
        [
            (some("tombstone"), None),
            (None, some("no key")),
            (some(""), some(""))
        ]
    );
}

#[test]
fn headers_keep_order_repetition_and_nulls() {
    let mock = cluster("t", 1);
    let writer = Writer::new(&mock);
    let list = [
        header("trace", Some(b"1")),
        header("trace", Some(b"2")),
        header("null", None),
        header("empty", Some(b"")),
        header("binary", Some(&[0, 255])),
    ];
    writer.send(
        BaseRecord::to("t")
            .partition(0)
            .payload(b"x".as_slice())
            .headers(headers(list)),
    );
    writer.send(BaseRecord::to("t").partition(0).payload(b"none".as_slice()));
    writer.flush();
    let client = client(&mock);
    let mut reader = client
        .read("t", vec![range(0, 0, 2)], &ReadOptions::default())
        .unwrap();
    let mut seen = Vec::new();
    each(&client, &mut reader, |record| {
        let copy =
            |(name, value): (&[u8], Option<&[u8]>)| (name.to_vec(), value.map(<[u8]>::to_vec));
        seen.push(record.headers().map(copy).collect::<Vec<_>>());
    })
    .unwrap();
    let pair =
        |name: &str, value: Option<&[u8]>| (name.as_bytes().to_vec(), value.map(<[u8]>::to_vec));
    let expected = vec![
        pair("trace", Some(b"1")),
        pair("trace", Some(b"2")),
        pair("null", None),
        pair("empty", Some(b"")),
        pair("binary", Some(&[0, 255])),
    ];
    assert_eq!(seen, [expected, Vec::new()]);
}

#[test]
fn timestamps_are_the_producers() {
    let mock = cluster("t", 1);
    let writer = Writer::new(&mock);
    writer.send(
        BaseRecord::to("t")
            .partition(0)
            .payload(b"x".as_slice())
            .timestamp(1_767_225_600_123),
    );
    writer.flush();
    let client = client(&mock);
    let mut reader = client
        .read("t", vec![range(0, 0, 1)], &ReadOptions::default())
        .unwrap();
    let mut seen = None;
    each(&client, &mut reader, |record| {
        seen = Some((record.timestamp(), record.leader_epoch()))
    })
    .unwrap();
    assert_eq!(
        seen,
        Some((Some((TimestampType::Create, 1_767_225_600_123)), Some(0)))
    );
}

#[test]
fn a_record_larger_than_every_limit_is_read() {
    let mock = cluster("t", 1);
    let producer: rdkafka::producer::BaseProducer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", mock.bootstrap_servers())
        .set("message.max.bytes", "100000000")
        .create()
        .unwrap();
    let large = vec![b'x'; 20 << 20];
    producer
        .send(
            BaseRecord::<[u8], [u8]>::to("t")
                .partition(0)
                .payload(&large),
        )
        .map_err(|e| e.0)
        .unwrap();
    rdkafka::producer::Producer::flush(&producer, PATIENCE).unwrap();
    let client = Client::new(&Config {
        memory_bytes: 1 << 20,
        ..config(&mock)
    })
    .unwrap();
    let records = read(&client, "t", vec![range(0, 0, 1)]).unwrap();
    assert_eq!(records[0].value.as_ref().map(Vec::len), Some(large.len()));
}

#[test]
fn many_partitions_fit_into_little_memory() {
    const PARTITIONS: i32 = 200;
    let mock = cluster("t", PARTITIONS);
    let writer = Writer::new(&mock);
    let value = vec![b'x'; 4_000];
    for number in 0..50 * PARTITIONS {
        writer.send(
            BaseRecord::to("t")
                .partition(number % PARTITIONS)
                .payload(value.as_slice()),
        );
    }
    writer.flush();
    let client = Client::new(&Config {
        memory_bytes: 1 << 20,
        ..config(&mock)
    })
    .unwrap();
    let ranges = (0..PARTITIONS)
        .map(|partition| range(partition, 0, 50))
        .collect();
    let mut reader = client.read("t", ranges, &ReadOptions::default()).unwrap();
    let mut next: HashMap<i32, i64> = HashMap::new();
    each(&client, &mut reader, |record| {
        let next = next.entry(record.partition()).or_default();
        assert_eq!(record.offset(), *next, "partition {}", record.partition());
        *next += 1;
    })
    .unwrap();
    assert_eq!(next.len(), PARTITIONS as usize);
    assert!(next.values().all(|&next| next == 50));
}
