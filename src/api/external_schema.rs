//! External schemas: their options, topics as foreign tables, and whether data is flowing.

use crate::pg::foreign::{self, Server};
use crate::pg::relation;
use crate::scan::column::{COLUMNS, Column, KINESIS_COLUMNS};
use crate::source::Source;
use crate::{error, kinesis, pg, settings};
use pgrx::spi::{quote_identifier, quote_literal};
use std::collections::HashMap;
use stream::kinesis::Deaggregate;
use stream::{Client, TopicSummary};

/// The longest identifier, in bytes (NAMEDATALEN - 1).
const MAX_NAME_BYTES: usize = 63;
/// More relations than this in one schema are a mistake.
const MAX_TOPICS: usize = 10_000;

/// The statements of IMPORT FOREIGN SCHEMA: one foreign table for each topic of the server. (Postgres itself applies LIMIT TO and EXCEPT.)
pub fn import_commands(server: &str) -> Vec<String> {
    let server = foreign::server_by_name(server);
    topics(&server)
        .iter()
        .map(|(topic, name)| create_table(&server, topic, &quote_identifier(name)))
        .collect()
}

/// Creates the foreign tables of at most so many of these topics or streams in the server's schema: of those that have none, and whose relation's name
/// is not taken. How many it were. As a user who may do that.
pub fn create_missing(server: &Server, names: Vec<String>, most: usize) -> usize {
    let mapped = mapped(server);
    let missing = named(server, names).into_iter().filter(|(topic, name)| {
        !mapped.contains(topic) && relation::find(&server.name, name).is_none()
    });
    let mut created = 0;
    for (topic, name) in missing.take(most) {
        let name = format!(
            "{}.{}",
            quote_identifier(&server.name),
            quote_identifier(&name)
        );
        pg::spi::execute_once(&create_table(server, &topic, &name));
        // As in Redshift: whoever may use the schema may read its streams.
        pg::spi::execute_once(&format!("GRANT SELECT ON {name} TO PUBLIC"));
        created += 1;
    }
    created
}

/// The topics or streams that have a relation.
pub fn mapped(server: &Server) -> Vec<String> {
    pg::spi::rows(
        "SELECT o.option_value FROM pg_catalog.pg_foreign_table AS t, pg_catalog.pg_options_to_table(t.ftoptions) AS o
         WHERE t.ftserver = $1 AND o.option_name IN ('topic', 'stream') ORDER BY o.option_value",
        &[server.oid.into()],
        |row| row.expect::<String>(1),
    )
}

/// Name and relation name of each topic or stream that belongs to the schema, by name.
pub fn topics(server: &Server) -> Vec<(String, String)> {
    let names = if kinesis::source::Source::is_of(server) {
        stream_names(server)
    } else {
        topic_names(server)
    };
    named(server, names)
}

fn named(server: &Server, mut names: Vec<String>) -> Vec<(String, String)> {
    names.sort();
    if names.len() > MAX_TOPICS {
        error::too_many_topics(&server.name, names.len(), MAX_TOPICS).raise();
    }
    let mut taken: HashMap<String, String> = HashMap::new();
    for topic in &names {
        let name = cut_name(topic);
        if let Some(first) = taken.insert(name.clone(), topic.clone()) {
            error::topic_name_clash(&server.name, &name, &first, topic).raise();
        }
    }
    names
        .into_iter()
        .map(|topic| (topic.clone(), cut_name(&topic)))
        .collect()
}

fn topic_names(server: &Server) -> Vec<String> {
    let source = Source::of_server(server, relation::current_user());
    let client = source.connect(settings::memory_limit_bytes());
    let listed = source.answer(&client, client.list_topics(settings::connect_timeout()));
    shown_topics(source.topics.as_deref(), listed)
}

/// The topics that match the pattern; without one all but internal ones.
pub fn shown_topics(pattern: Option<&str>, listed: Vec<TopicSummary>) -> Vec<String> {
    listed
        .into_iter()
        .filter(|topic| match pattern {
            Some(pattern) => matches_pattern(pattern, &topic.name),
            None => !topic.is_internal && !topic.name.starts_with("__"),
        })
        .map(|topic| topic.name)
        .collect()
}

fn stream_names(server: &Server) -> Vec<String> {
    let source = kinesis::source::Source::of_server(server, relation::current_user());
    let client = source.connect(settings::memory_limit_bytes());
    let listed = source.answer(&client, client.list_streams(settings::connect_timeout()));
    shown_streams(source.streams.as_deref(), listed)
}

/// The streams that match the pattern; without one all.
pub fn shown_streams(pattern: Option<&str>, listed: Vec<String>) -> Vec<String> {
    let wanted = |stream: &String| pattern.is_none_or(|pattern| matches_pattern(pattern, stream));
    listed.into_iter().filter(wanted).collect()
}

/// Comma-separated names in which `*` stands for any characters.
fn matches_pattern(pattern: &str, topic: &str) -> bool {
    pattern
        .split(',')
        .any(|part| matches_glob(part.trim(), topic))
}

fn matches_glob(glob: &str, text: &str) -> bool {
    let Some((head, tail)) = glob.split_once('*') else {
        return glob == text;
    };
    let Some(mut rest) = text.strip_prefix(head) else {
        return false;
    };
    let mut pieces: Vec<&str> = tail.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

/// A topic's name as an identifier: cut where a character ends.
fn cut_name(topic: &str) -> String {
    let mut end = topic.len().min(MAX_NAME_BYTES);
    while !topic.is_char_boundary(end) {
        end -= 1;
    }
    topic[..end].to_owned()
}

/// `name` is quoted.
fn create_table(server: &Server, topic: &str, name: &str) -> String {
    let dialect = quote_identifier(pg::extension::schema());
    let column = |name: &str, kind: &str| match kind {
        "varbyte" | "super" => format!("{name} {dialect}.{kind}"),
        _ => format!("{name} {kind}"),
    };
    let of_kinesis = kinesis::source::Source::is_of(server);
    let columns: Vec<String> = if of_kinesis {
        let source = kinesis::source::Source::of_server(server, relation::current_user());
        let name = |name, preview| {
            if source.preview_columns {
                preview
            } else {
                name
            }
        };
        let is_there =
            |of: Column| of != Column::SubSequenceNumber || source.deaggregate != Deaggregate::Off;
        let columns = KINESIS_COLUMNS.iter();
        columns
            .filter(|(.., of)| is_there(*of))
            .map(|(ga, preview, kind, _)| column(name(ga, preview), kind))
            .collect()
    } else {
        COLUMNS
            .iter()
            .map(|(name, kind, _)| column(name, kind))
            .collect()
    };
    format!(
        "CREATE FOREIGN TABLE {} ({}) SERVER {} OPTIONS ({} {})",
        name,
        columns.join(", "),
        quote_identifier(&server.name),
        if of_kinesis { "stream" } else { "topic" },
        quote_literal(topic)
    )
}

/// One row of `redshift.source_status`.
pub struct PartitionStatus {
    /// The topic.
    pub topic: String,
    /// The partition; a stream of Kinesis has none.
    pub partition_id: Option<i64>,
    /// The shard; a topic has none.
    pub shard_id: Option<String>,
    /// The earliest offset; shards have none.
    pub low_watermark: Option<i64>,
    /// The end: the last stable offset; shards have none.
    pub high_watermark: Option<i64>,
    /// Time of the newest record, in microseconds since 2000 (UTC).
    pub last_record_time: Option<i64>,
}

/// Every partition of every topic of an external schema.
pub fn status(schema: &str) -> Vec<PartitionStatus> {
    let server = foreign::find_server(schema)
        .unwrap_or_else(|| error::not_an_external_schema(schema).raise());
    let mapped = mapped(&server);
    if kinesis::source::Source::is_of(&server) {
        let source = kinesis::source::Source::of_server(&server, relation::current_user());
        let client = source.connect(settings::memory_limit_bytes());
        return mapped
            .iter()
            .flat_map(|stream| kinesis::status::of_stream(&source, &client, stream))
            .collect();
    }
    let source = Source::of_server(&server, relation::current_user());
    let client = source.connect(settings::memory_limit_bytes());
    mapped
        .iter()
        .flat_map(|topic| topic_status(&source, &client, topic))
        .collect()
}

fn topic_status(source: &Source, client: &Client, topic: &str) -> Vec<PartitionStatus> {
    let description = match source.try_answer(
        client,
        client.describe_topic(topic, settings::connect_timeout()),
    ) {
        Ok(description) => description,
        // A topic that was dropped since the schema was synchronized has no partitions to show.
        Err(stream::Error::UnknownTopic { .. }) => return Vec::new(),
        Err(error) => error::source(&source.label(), &error).raise(),
    };
    let watermarks = source.watermarks(client, topic, &description.partitions);
    let times = source.newest_times(client, topic, &watermarks);
    watermarks
        .iter()
        .map(|watermarks| PartitionStatus {
            topic: topic.to_owned(),
            partition_id: Some(i64::from(watermarks.partition)),
            shard_id: None,
            low_watermark: Some(watermarks.earliest),
            high_watermark: Some(watermarks.latest),
            last_record_time: times
                .iter()
                .find(|(partition, _)| *partition == watermarks.partition)
                .and_then(|(_, ms)| crate::scan::column::to_timestamp(*ms)),
        })
        .collect()
}

/// Ties the server of that name to the schema of that name, so that dropping the schema drops it too.
pub fn bind(name: &str) {
    let server =
        foreign::find_server(name).unwrap_or_else(|| error::not_an_external_schema(name).raise());
    let schema =
        relation::find_schema(name).unwrap_or_else(|| error::not_an_external_schema(name).raise());
    relation::server_depends_on_schema(server.oid, schema);
}
