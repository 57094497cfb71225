//! What a reader holds. Alone in its process, since it measures that.

mod support;

use rdkafka::producer::BaseRecord;
use std::time::Duration;
use stream::{Client, Config, Next, ReadOptions};
use support::*;

#[test]
fn fetched_records_do_not_exceed_the_memory() {
    let mock = cluster("t", 16);
    let writer = Writer::new(&mock);
    let value = vec![b'x'; 2_000];
    for number in 0..16 * 2_000 {
        writer.send(
            BaseRecord::to("t")
                .partition(number % 16)
                .payload(value.as_slice()),
        );
    }
    writer.flush();
    let client = Client::new(&Config {
        memory_bytes: 8 << 20,
        ..config(&mock)
    })
    .unwrap();
    let before = resident_bytes();
    let ranges = (0..16)
        .map(|partition| range(partition, 0, 2_000))
        .collect();
    let mut reader = client.read("t", ranges, &ReadOptions::default()).unwrap();
    while !matches!(reader.next(), Ok(Next::Record(_))) {
        assert!(wait(client.wake_fd(), PATIENCE));
        client.clear_wake();
    }
    // A caller that is slow: 62 MB are there to be fetched.
    std::thread::sleep(Duration::from_millis(1_500));
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes");
    let mut rest = 0;
    each(&client, &mut reader, |_| rest += 1).unwrap();
    assert_eq!(rest, 16 * 2_000 - 1);
}

/// The memory of this process, in which the mock holds its log since before the measurement.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 4096
}
