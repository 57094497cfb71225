//! The embedded Kafka of the demo and the tests.
//!
//! `serve` runs librdkafka's mock cluster and lets tests break it through a control socket, `control` sends it one
//! command, `produce` writes sample records to any Kafka.

mod control;
mod produce;
mod record;
mod serve;
mod signal;

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;

/// What can go wrong here is only ever told to a person.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A mock Kafka cluster for demos and tests, and a producer of sample records for any Kafka.
#[derive(Parser)]
#[command(name = "mock-kafka", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a mock cluster until SIGTERM or SIGINT
    Serve(ServeOptions),
    /// Write sample records to a topic of any Kafka
    Produce(ProduceOptions),
    /// Send one command to a running `serve --control PATH`; see `control PATH help`
    Control {
        /// The socket that was given to serve
        path: PathBuf,
        /// The command and its arguments
        #[arg(required = true)]
        command: Vec<String>,
    },
}

/// Options of `serve`.
#[derive(Args)]
struct ServeOptions {
    /// A topic and its number of partitions, as NAME:N; may be given many times
    #[arg(long = "topic", value_name = "NAME:N", value_parser = serve::parse_topic)]
    topics: Vec<(String, i32)>,
    /// Write this many sample orders into the topic named "orders" first. An error if the mock cannot keep them all:
    /// it keeps 5 MiB (compressed) a partition
    #[arg(long, default_value_t = 0)]
    orders: u64,
    /// Compression of the sample orders; a packed record takes less of the 5 MiB
    #[arg(long, value_enum, default_value = "none")]
    codec: Codec,
    /// Number of brokers, with ids from 1
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=16))]
    brokers: i32,
    /// Written last, with the bootstrap servers in it: the cluster is ready
    #[arg(long)]
    ready_file: PathBuf,
    /// A Unix socket that takes commands, one a line
    #[arg(long)]
    control: Option<PathBuf>,
}

/// Options of `produce`.
#[derive(Args, Clone)]
struct ProduceOptions {
    /// host:port[,host:port..]
    #[arg(long)]
    bootstrap_servers: String,
    /// The topic; it should exist
    #[arg(long)]
    topic: String,
    /// How many records
    #[arg(long)]
    records: u64,
    /// Deal the records to partitions 0..P in turn; without it the hash of the key decides
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// What a record looks like
    #[arg(long, value_enum, default_value = "order")]
    shape: record::Shape,
    /// Number of the first record: the same number is always the same record
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// At most this many records a second
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    /// Compression
    #[arg(long, value_enum, default_value = "none")]
    codec: Codec,
    /// Any other librdkafka property of the producer, as NAME=VALUE; may be given many times
    #[arg(short = 'X', value_name = "NAME=VALUE", value_parser = produce::parse_property)]
    properties: Vec<(String, String)>,
}

/// Kafka's compression codecs, by librdkafka's names.
#[derive(Clone, Copy, ValueEnum)]
enum Codec {
    None,
    Gzip,
    Lz4,
    Snappy,
    Zstd,
}

impl Codec {
    fn name(self) -> &'static str {
        match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Lz4 => "lz4",
            Codec::Snappy => "snappy",
            Codec::Zstd => "zstd",
        }
    }
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(options) => serve::run(&options),
        Command::Produce(options) => produce::run(&options).map(|summary| println!("{summary}")),
        Command::Control { path, command } => {
            control::send(&path, &command).map(|answer| println!("{answer}"))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("mock-kafka: {failure}");
            ExitCode::FAILURE
        }
    }
}
