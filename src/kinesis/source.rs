//! From a foreign server's options to a client of Kinesis, and its answers.

use crate::access::Access;
use crate::pg::descriptors::Descriptors;
use crate::pg::foreign::Server;
use crate::pg::relation::Oid;
use crate::pg::wait;
use crate::scan::column::is_shard_id;
use crate::source::{Stream, option};
use crate::{error, settings};
use std::time::{Duration, Instant};
use stream::aws::Identity;
use stream::kinesis::{Client, Config, Deaggregate, Pending, StreamDescription};

/// What a client opens: a pipe, and connections to the service and to who gives credentials.
const DESCRIPTORS: u32 = 6;

/// Raises an error for shards whose ids are no text that can be stored.
pub fn check_shards(stream: &StreamDescription) {
    for shard in &stream.shards {
        check_shard(&stream.name, &shard.id);
    }
}

/// The same of one shard's id.
pub fn check_shard(stream: &str, id: &str) {
    if !is_shard_id(id) {
        error::not_kinesis(stream, "shard", id).raise();
    }
}

/// What becomes of aggregated records of a server's streams.
pub fn deaggregate(server: &Server) -> Deaggregate {
    match option(&server.options, "deaggregate").as_deref() {
        Some("on") => Deaggregate::On,
        Some("all") => Deaggregate::All,
        _ => Deaggregate::Off,
    }
}

/// Where an external schema's streams are.
pub struct Source {
    /// The foreign server, whose name is the external schema's.
    pub server_name: String,
    /// `streams` of CREATE SERVER: comma-separated names in which `*` stands for any characters. All if absent.
    pub streams: Option<String>,
    /// Columns have the names of Redshift's preview.
    pub preview_columns: bool,
    /// What becomes of records that Amazon's producer library aggregated.
    pub deaggregate: Deaggregate,
    identity: Identity,
    endpoint_url: Option<String>,
}

impl Source {
    /// The source of a server, read as `user`.
    pub fn of_server(server: &Server, user: Oid) -> Source {
        let of = |name| option(&server.options, name);
        Source {
            server_name: server.name.clone(),
            streams: of("streams"),
            preview_columns: of("preview_columns").is_some_and(|value| value == "true"),
            deaggregate: deaggregate(server),
            identity: Access::of(server, user).identity(),
            endpoint_url: of("endpoint_url").or_else(settings::aws_endpoint_url),
        }
    }

    /// The source of a stream, read as `user`, and the stream's name; raises if the table is a topic.
    pub fn of_stream(table: Oid, user: Oid) -> (Source, String) {
        match Stream::of_table(table, user) {
            Stream::Kinesis(source, stream) => (source, stream),
            Stream::Topic(_, topic) => error::not_a_stream(&topic).raise(),
        }
    }

    /// Would a stream be read in the same way, by the same client?
    pub fn reads_as(&self, other: &Source) -> bool {
        self.identity == other.identity
            && self.endpoint_url == other.endpoint_url
            && self.deaggregate == other.deaggregate
            && self.preview_columns == other.preview_columns
    }

    /// Is this the server of an external schema over Kinesis?
    pub fn is_of(server: &Server) -> bool {
        server
            .kind
            .as_deref()
            .is_some_and(|kind| kind.eq_ignore_ascii_case("kinesis"))
    }

    /// What error messages call it.
    pub fn label(&self) -> String {
        let place = self.endpoint_url.as_ref().or(self.identity.region.as_ref());
        let place = place.map_or("Kinesis", String::as_str);
        format!("external schema \"{}\" ({place})", self.server_name)
    }

    /// A new client that buffers at most `memory_bytes`. Nothing is asked yet.
    pub fn connect(&self, memory_bytes: usize) -> Client {
        let config = Config {
            identity: self.identity.clone(),
            endpoint_url: self.endpoint_url.clone(),
            memory_bytes,
            keep_limits: settings::kinesis_limits(),
        };
        let descriptors = Descriptors::acquire(DESCRIPTORS);
        let client = Client::new(&config)
            .unwrap_or_else(|error| error::service(&self.label(), &error).raise());
        client.keep(Box::new(descriptors));
        client
    }

    /// Waits for an answer; raises what went wrong.
    pub fn answer<T>(&self, client: &Client, pending: Pending<T>) -> T {
        self.try_answer(client, pending)
            .unwrap_or_else(|error| error::service(&self.label(), &error).raise())
    }

    /// Waits for an answer, interruptibly.
    pub fn try_answer<T>(
        &self,
        client: &Client,
        mut pending: Pending<T>,
    ) -> Result<T, stream::Error> {
        // The request ends by itself at its deadline, with the cause; this is for one that does not.
        const GRACE: Duration = Duration::from_millis(500);
        loop {
            client.clear_wake();
            if let Some(answer) = pending.poll() {
                return answer;
            }
            wait::readable(
                client.wake_fd(),
                pending.deadline().max(Instant::now()) + GRACE,
                wait::Event::BrokerAnswer,
            );
        }
    }

    /// The stream and its shards.
    pub fn describe(&self, client: &Client, stream: &str) -> StreamDescription {
        let asked = client.describe_stream(stream, settings::connect_timeout());
        let description = self.answer(client, asked);
        check_shards(&description);
        description
    }
}
