//! Questions about topics and offsets.

mod support;

use std::time::{Duration, Instant};
use stream::{Client, Config, Error, ListedOffset, OffsetSpec, TopicSummary};
use support::*;

#[test]
fn all_topics_are_listed_by_name() {
    let mock = cluster("orders", 4);
    mock.create_topic("__consumer_offsets", 1, 1).unwrap();
    mock.create_topic("clicks", 2, 1).unwrap();
    let client = client(&mock);
    let topics = answer(&client, client.list_topics(PATIENCE)).unwrap();
    let topic = |name: &str, partition_count, is_internal| TopicSummary {
        name: name.into(),
        partition_count,
        is_internal,
    };
    assert_eq!(
        topics,
        [
            topic("__consumer_offsets", 1, true),
            topic("clicks", 2, false),
            topic("orders", 4, false)
        ]
    );
}

#[test]
fn a_topic_is_described_with_its_id() {
    let mock = cluster("orders", 3);
    mock.create_topic("other", 1, 1).unwrap();
    let client = client(&mock);
    let orders = answer(&client, client.describe_topic("orders", PATIENCE)).unwrap();
    assert_eq!(
        (orders.name.as_str(), orders.partitions.as_slice()),
        ("orders", [0, 1, 2].as_slice())
    );
    let other = answer(&client, client.describe_topic("other", PATIENCE)).unwrap();
    assert!(
        orders.topic_id.is_some() && orders.topic_id != other.topic_id,
        "{orders:?} {other:?}"
    );
}

#[test]
fn an_unknown_topic_is_unknown_and_not_created() {
    let mock = cluster("orders", 1);
    let client = client(&mock);
    let unknown = Error::UnknownTopic {
        topic: "nope".into(),
    };
    assert_eq!(
        answer(&client, client.describe_topic("nope", PATIENCE)),
        Err(unknown.clone())
    );
    let offsets = client.list_offsets("nope", vec![(0, OffsetSpec::Latest)], PATIENCE);
    assert_eq!(answer(&client, offsets), Err(unknown.clone()));
    assert_eq!(read(&client, "nope", vec![range(0, 0, 1)]), Err(unknown));
    for name in ["", "n\0ul"] {
        let error = answer(&client, client.describe_topic(name, PATIENCE)).unwrap_err();
        assert_eq!(error, Error::UnknownTopic { topic: name.into() });
    }
    assert_eq!(
        answer(&client, client.list_topics(PATIENCE)).unwrap().len(),
        1
    );
}

#[test]
fn offsets_are_listed_in_the_order_asked() {
    let mock = cluster("t", 3);
    let writer = Writer::new(&mock);
    writer.fill("t", 0, 0, 10);
    writer.fill("t", 2, 0, 30);
    let client = client(&mock);
    let ask = |spec| {
        let specs = [2, 0, 1].map(|partition| (partition, spec)).to_vec();
        let offsets: Vec<ListedOffset> =
            answer(&client, client.list_offsets("t", specs, PATIENCE)).unwrap();
        offsets
            .iter()
            .map(|listed| (listed.partition, listed.offset))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        ask(OffsetSpec::Latest),
        [(2, Some(30)), (0, Some(10)), (1, Some(0))]
    );
    assert_eq!(
        ask(OffsetSpec::Earliest),
        [(2, Some(0)), (0, Some(0)), (1, Some(0))]
    );
    // The mock finds no record by time.
    assert_eq!(
        ask(OffsetSpec::Timestamp(0)),
        [(2, None), (0, None), (1, None)]
    );
}

#[test]
fn requests_may_overlap() {
    let mock = cluster("t", 1);
    let client = client(&mock);
    let first = client.list_offsets("t", vec![(0, OffsetSpec::Latest)], PATIENCE);
    let second = client.describe_topic("t", PATIENCE);
    let third = client.list_topics(PATIENCE);
    let dropped = client.describe_topic("t", PATIENCE);
    drop(dropped);
    assert_eq!(answer(&client, third).unwrap().len(), 1);
    assert_eq!(answer(&client, second).unwrap().partitions, [0]);
    assert_eq!(answer(&client, first).unwrap()[0].offset, Some(0));
}

#[test]
fn an_answer_comes_once() {
    let mock = cluster("t", 1);
    let client = client(&mock);
    let mut pending = client.describe_topic("t", PATIENCE);
    while pending.poll().is_none() {
        assert!(wait(client.wake_fd(), PATIENCE), "an answer wakes");
        client.clear_wake();
    }
    assert!(pending.poll().is_none());
}

fn unreachable_client(servers: &str) -> Client {
    Client::new(&Config {
        bootstrap_servers: servers.into(),
        ..Config::default()
    })
    .unwrap()
}

/// The request ends in time, with the reason.
fn assert_times_out<T: std::fmt::Debug>(
    client: &Client,
    pending: stream::Pending<T>,
    reason: &str,
) {
    let started = Instant::now();
    let error = answer(client, pending).unwrap_err();
    assert!(
        started.elapsed() < Duration::from_millis(2_500),
        "{:?}",
        started.elapsed()
    );
    assert!(error.is_transient(), "{error:?}");
    assert!(error.to_string().contains(reason), "{error}");
}

#[test]
fn a_refused_connection_is_told_in_time() {
    let client = unreachable_client("127.0.0.1:9");
    let timeout = Duration::from_millis(1_500);
    let offsets = || vec![(0, OffsetSpec::Latest)];
    assert_times_out(
        &client,
        client.describe_topic("t", timeout),
        "Connection refused",
    );
    assert_times_out(
        &client,
        client.list_offsets("t", offsets(), timeout),
        "Connection refused",
    );
    assert_times_out(&client, client.list_topics(timeout), "Connection refused");
    assert!(
        client
            .last_broker_error()
            .unwrap()
            .contains("Connection refused")
    );
}

#[test]
fn a_name_that_does_not_resolve_is_told_in_time() {
    let client = unreachable_client("no-such-host.invalid:9092");
    assert_times_out(
        &client,
        client.describe_topic("t", Duration::from_millis(1_500)),
        "",
    );
    let started = Instant::now();
    drop(client);
    assert!(
        started.elapsed() < Duration::from_millis(1_500),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_silent_broker_does_not_hold_a_request_up() {
    // Accepts connections and never says a word.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = unreachable_client(&listener.local_addr().unwrap().to_string());
    assert_times_out(
        &client,
        client.describe_topic("t", Duration::from_millis(500)),
        "no answer",
    );
    assert_times_out(&client, client.list_topics(Duration::from_millis(500)), "");
}

#[test]
fn something_else_than_kafka_is_no_allocation() {
    use std::io::Write;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let _ = connection.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let client = unreachable_client(&address);
    assert_times_out(
        &client,
        client.describe_topic("t", Duration::from_millis(1_000)),
        "Invalid response size",
    );
}

#[test]
fn a_closed_client_is_gone() {
    let mock = cluster("t", 1);
    let client = client(&mock);
    answer(&client, client.describe_topic("t", PATIENCE)).unwrap();
    let started = Instant::now();
    assert!(client.close(PATIENCE));
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_request_may_outlive_its_client() {
    let mock = cluster("t", 1);
    let client = client(&mock);
    let mut pending = client.describe_topic("t", PATIENCE);
    let descriptor = client.wake_fd();
    assert!(!client.close(PATIENCE), "the request holds it");
    loop {
        if let Some(answer) = pending.poll() {
            assert_eq!(answer.unwrap().partitions, [0]);
            break;
        }
        wait(descriptor, Duration::from_millis(20));
    }
}

#[test]
fn bad_properties_are_refused_without_their_values() {
    let mut config = Config {
        bootstrap_servers: "b:1".into(),
        ..Config::default()
    };
    for name in ["sasl.mechanisms", "no.such.property", "compression.codec"] {
        config.properties = vec![(name.into(), "s3cret".into())];
        if let Err(error) = Client::new(&config) {
            assert!(matches!(error, Error::Config(_)), "{error:?}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        } else {
            assert_ne!(name, "no.such.property");
        }
    }
}
