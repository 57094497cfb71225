//! Reads a topic from its first to its last record and prints the rate:
//! `cargo run --release -p stream --example read_topic -- localhost:9092 orders [memory in MiB] [NAME=VALUE ..]`

use std::error::Error;
use std::time::{Duration, Instant};
use stream::{Client, Config, Next, OffsetSpec, PartitionRange, Pending, ReadOptions};

const TIMEOUT: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let bootstrap_servers = arguments.next().ok_or("no bootstrap servers")?;
    let topic = arguments.next().ok_or("no topic")?;
    let memory: usize = arguments.next().map_or(Ok(64), |mib| mib.parse())?;
    let property = |text: String| {
        text.split_once('=')
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let properties = arguments.filter_map(property).collect();
    let config = Config {
        bootstrap_servers,
        properties,
        memory_bytes: memory << 20,
        ..Config::default()
    };

    let started = Instant::now();
    let client = Client::new(&config)?;
    let description = answer(&client, client.describe_topic(&topic, TIMEOUT))?;
    let ask = |spec| {
        let specs = description
            .partitions
            .iter()
            .map(|&partition| (partition, spec))
            .collect();
        client.list_offsets(&topic, specs, TIMEOUT)
    };
    let (first, last) = (
        answer(&client, ask(OffsetSpec::Earliest))?,
        answer(&client, ask(OffsetSpec::Latest))?,
    );
    let ranges = first.iter().zip(&last).map(|(first, last)| PartitionRange {
        partition: first.partition,
        start: first.offset.unwrap_or(0),
        end: last.offset.unwrap_or(0),
    });
    println!("{description:?}, asked in {:?}", started.elapsed());

    let started = Instant::now();
    let mut reader = client.read(&topic, ranges.collect(), &ReadOptions::default())?;
    let (mut first_record, mut waits) = (None, 0);
    loop {
        match reader.next()? {
            Next::Record(_) => {
                first_record.get_or_insert_with(|| started.elapsed());
            }
            Next::Wait => {
                waits += 1;
                wait(&client, Duration::from_secs(1));
            }
            Next::End => break,
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{} records, {} bytes in {seconds:.3} s: {:.0} records/s, {:.0} MB/s; first after {:?}, {waits} waits",
        reader.records(),
        reader.bytes(),
        reader.records() as f64 / seconds,
        reader.bytes() as f64 / seconds / 1e6,
        first_record.unwrap_or_default(),
    );
    drop(reader);
    let started = Instant::now();
    println!(
        "closed: {} after {:?}",
        client.close(TIMEOUT),
        started.elapsed()
    );
    Ok(())
}

fn answer<T>(client: &Client, mut pending: Pending<T>) -> Result<T, stream::Error> {
    loop {
        if let Some(answer) = pending.poll() {
            return answer;
        }
        wait(
            client,
            pending.deadline().saturating_duration_since(Instant::now()),
        );
    }
}

fn wait(client: &Client, timeout: Duration) {
    let mut poll = libc::pollfd {
        fd: client.wake_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one valid struct.
    unsafe { libc::poll(&mut poll, 1, timeout.as_millis() as i32 + 1) };
    client.clear_wake();
}
