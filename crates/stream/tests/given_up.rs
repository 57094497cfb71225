//! What is left of requests that nobody waits for. Alone in its process, since it counts threads and descriptors.

use std::net::TcpListener;
use std::time::{Duration, Instant};
use stream::{Client, Config, OffsetSpec};

const LONG: Duration = Duration::from_secs(60);

/// Threads and descriptors of this process.
fn count() -> (usize, usize) {
    let of = |what| {
        std::fs::read_dir(format!("/proc/self/{what}"))
            .unwrap()
            .count()
    };
    (of("task"), of("fd"))
}

fn settles_at(most: (usize, usize)) {
    let began = Instant::now();
    loop {
        let now = count();
        if now.0 <= most.0 && now.1 <= most.1 {
            return;
        }
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "{now:?} threads and descriptors are left, {most:?} were expected"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn client(address: &str) -> Client {
    Client::new(&Config {
        bootstrap_servers: address.to_owned(),
        ..Config::default()
    })
    .unwrap()
}

#[test]
fn nothing_is_left_of_what_nobody_waits_for() {
    // Connections are taken by the kernel; nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    drop(client(&address));
    let before = count();

    for _ in 0..20 {
        let client = client(&address);
        let topics = client.list_topics(LONG);
        let topic = client.describe_topic("t", LONG);
        let offsets = client.list_offsets("t", vec![(0, OffsetSpec::Latest)], LONG);
        std::thread::sleep(Duration::from_millis(5));
        drop((topics, topic, offsets));
    }
    settles_at(before);

    // Of one client that stays, too.
    let client = client(&address);
    let topics = client.list_topics(LONG);
    std::thread::sleep(Duration::from_millis(100));
    let with_client = count();
    drop(topics);
    settles_at((with_client.0 - 1, with_client.1));
    drop(client);
    settles_at(before);
}
