//! Runs the mock cluster. One thread owns it: the control socket and the signals send their wishes there.

use crate::control::{self, Request};
use crate::{Failure, ProduceOptions, ServeOptions, produce, record, signal};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use std::fs;
use std::path::Path;
use std::sync::mpsc;

/// The cluster, owned by the thread that serves it.
pub type Cluster = MockCluster<'static, DefaultProducerContext>;

/// The topic that `--orders` fills.
const ORDERS: &str = "orders";

/// What the serving thread waits for.
pub enum Event {
    /// A line from the control socket.
    Control(Request),
    /// A signal to end.
    End,
}

/// The parser of `--topic NAME:N`.
pub fn parse_topic(text: &str) -> Result<(String, i32), String> {
    let (name, count) = text.rsplit_once(':').unwrap_or((text, "1"));
    match count.parse() {
        Ok(count) if count > 0 && !name.is_empty() => Ok((name.to_owned(), count)),
        _ => Err("must be NAME:N with N at least 1".to_owned()),
    }
}

/// Serves until SIGTERM or SIGINT.
pub fn run(options: &ServeOptions) -> Result<(), Failure> {
    let ending = signal::block();
    let cluster = MockCluster::new(options.brokers)?;
    for (name, partitions) in &options.topics {
        create_topic(&cluster, name, *partitions)?;
    }
    if options.orders > 0 {
        println!("{}", produce_orders(&cluster, options)?);
    }
    let (sender, events) = mpsc::channel();
    if let Some(path) = &options.control {
        control::listen(path, sender.clone())?;
    }
    std::thread::spawn(move || {
        ending.wait();
        // Nobody listens any more only when the process ends anyway.
        let _ = sender.send(Event::End);
    });
    write_whole(&options.ready_file, &cluster.bootstrap_servers())?;
    for event in events {
        match event {
            Event::Control(request) => request.answer(&cluster),
            Event::End => break,
        }
    }
    for path in options.control.iter().chain([&options.ready_file]) {
        let _ = fs::remove_file(path);
    }
    Ok(())
}

/// Creates a topic, which must not exist yet, with one replica a partition.
pub fn create_topic(cluster: &Cluster, name: &str, partitions: i32) -> Result<(), Failure> {
    cluster
        .create_topic(name, partitions, 1)
        .map_err(|error| format!("topic {name}: {error}").into())
}

fn produce_orders(cluster: &Cluster, options: &ServeOptions) -> Result<String, Failure> {
    let Some((_, partitions)) = options.topics.iter().find(|(name, _)| name == ORDERS) else {
        return Err("--orders needs --topic orders:N".into());
    };
    produce::run(&ProduceOptions {
        bootstrap_servers: cluster.bootstrap_servers(),
        topic: ORDERS.to_owned(),
        records: options.orders,
        partitions: Some(*partitions),
        shape: record::Shape::Article,
        first: 0,
        rate: None,
        codec: options.codec,
        properties: Vec::new(),
    })
}

/// Whoever waits for the file never sees a part of it.
fn write_whole(path: &Path, text: &str) -> Result<(), Failure> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    fs::write(&partial, format!("{text}\n"))?;
    fs::rename(&partial, path)?;
    Ok(())
}
