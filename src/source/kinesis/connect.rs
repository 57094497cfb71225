//! From a foreign server's options to a client of Kinesis, and its answers.

use super::columns::is_shard_id;
use crate::access::Access;
use crate::error;
use crate::pg::descriptors::Descriptors;
use crate::pg::foreign::{Server, option};
use crate::pg::relation::Oid;
use crate::pg::setting;
use crate::source::Source;
use crate::source::request::{Pending, answer};
use stream::aws::Identity;
use stream::kinesis::{Client, Config, Deaggregate, Memory, StreamDescription};

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

/// Have columns the names of Redshift's preview?
pub(super) fn has_preview_columns(server: &Server) -> bool {
    option(&server.options, "preview_columns").is_some_and(|value| value == "true")
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
pub struct Kinesis {
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

impl Kinesis {
    /// The source of a server, read as `user`.
    pub(super) fn of(server: &Server, user: Oid) -> Kinesis {
        let of = |name| option(&server.options, name);
        Kinesis {
            server_name: server.name.clone(),
            streams: of("streams"),
            preview_columns: has_preview_columns(server),
            deaggregate: deaggregate(server),
            identity: Access::of(server, user).identity(),
            endpoint_url: of("endpoint_url").or_else(setting::aws_endpoint_url),
        }
    }

    /// Would a stream be read in the same way, by the same client?
    pub(super) fn is_like(&self, other: &Kinesis) -> bool {
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

    /// Its name and where its streams are.
    pub(super) fn name_and_place(&self) -> String {
        let place = self.endpoint_url.as_ref().or(self.identity.region.as_ref());
        let place = place.map_or("Kinesis", String::as_str);
        format!("external schema \"{}\" ({place})", self.server_name)
    }

    /// A new client that buffers at most `memory_bytes`, which are a part of what several have together. Nothing is asked yet.
    pub fn client(&self, memory_bytes: usize, part_of: Option<&Memory>) -> Client {
        let config = Config {
            identity: self.identity.clone(),
            endpoint_url: self.endpoint_url.clone(),
            memory_bytes,
            part_of: part_of.cloned(),
            keep_limits: setting::kinesis_limits(),
        };
        let descriptors = Descriptors::acquire(DESCRIPTORS);
        let client = Client::new(&config)
            .unwrap_or_else(|error| error::service(&self.label(), &error).raise());
        client.keep(Box::new(descriptors));
        client
    }

    /// Waits for an answer; raises what went wrong.
    pub fn answer<T>(&self, client: &Client, pending: impl Pending<T>) -> T {
        answer(client, pending)
            .unwrap_or_else(|error| error::service(&self.label(), &error).raise())
    }
}
