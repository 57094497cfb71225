//! Reads records from Kafka topics and, in [`kinesis`], from Kinesis streams; knows nothing of Postgres.
//!
//! A caller has one thread, its own event loop and its own idea of interrupts, so nothing here waits for the network.
//! Requests and readers are polled; one descriptor tells when that is worth while:
//!
//! ```no_run
//! # use std::time::Duration;
//! use stream::{Client, Config, Next, OffsetSpec, PartitionRange, ReadOptions};
//! # fn wait(_: &Client) {}
//! # fn main() -> Result<(), stream::Error> {
//! let client = Client::new(&Config { bootstrap_servers: "localhost:9092".into(), ..Config::default() })?;
//! let ask = |spec| client.list_offsets("orders", vec![(0, spec)], Duration::from_secs(10));
//! let (mut first, mut last) = (ask(OffsetSpec::Earliest), ask(OffsetSpec::Latest));
//! let mut answer = |pending: &mut stream::Pending<Vec<stream::ListedOffset>>| loop {
//!     client.clear_wake();
//!     if let Some(answer) = pending.poll() {
//!         break answer.map(|offsets| offsets[0].offset.unwrap_or(0));
//!     }
//!     wait(&client); // until client.wake_fd() is readable or pending.deadline() has passed
//! };
//! let range = PartitionRange { partition: 0, start: answer(&mut first)?, end: answer(&mut last)? };
//! let mut reader = client.read("orders", vec![range], &ReadOptions::default())?;
//! loop {
//!     match reader.next()? {
//!         Next::Record(record) => println!("{} {:?}", record.offset(), record.value()),
//!         Next::Wait => {
//!             wait(&client);
//!             client.clear_wake();
//!         }
//!         Next::End => break,
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | | |
//! |---|---|
//! | [`Config`], [`Security`] | bootstrap servers, TLS and SASL, memory bound |
//! | [`Client::new`], [`Client::close`] | start; end within a bounded time (dropping does too) |
//! | [`Client::wake_fd`], [`Client::clear_wake`] | when to poll. After `clear_wake` poll *everything* that is under way |
//! | [`Client::last_broker_error`] | the cause to show when nothing arrives |
//! | [`Client::throttled`] | whether a quota slows it down |
//! | [`Client::list_topics`], [`Client::describe_topic`], [`Client::list_offsets`] | requests: a [`Pending`] each, with a deadline |
//! | [`Reader::gather`], [`Reader::take`], [`Records`] | the same, kept to be read more than once |
//! | [`Client::read`], [`Reader::next`], [`Reader::next_offset`] | half-open ranges of offsets, record by record |
//! | [`Record`] | partition, offset, timestamp, key, value, headers, leader epoch |
//! | [`Error`] | what went wrong; [`Error::is_transient`] says whether to try again |

#![deny(unsafe_code)]

pub mod aws;
mod error;
mod http;
mod kafka;
pub mod kinesis;
mod record;
mod runtime;
mod secret;
#[allow(unsafe_code)]
mod signals;
pub mod sql;
#[allow(unsafe_code)]
mod wake;

pub use error::Error;
pub use kafka::brokers::Room;
pub use kafka::client::{
    Client, ListedOffset, OffsetSpec, Pending, TopicDescription, TopicSummary,
};
pub use kafka::config::Config;
pub use kafka::partitions::PartitionRange;
pub use kafka::reader::{Gathered, ReadOptions, Reader, Records};
pub use kafka::security::{
    ClientCertificate, FREE_PROPERTIES, Login, Pem, Refusal, Sasl, Security, Tls, parse_properties,
};
pub use record::{Next, Record, TimestampType};
pub use secret::Secret;
