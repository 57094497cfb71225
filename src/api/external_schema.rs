//! External schemas: their options, topics as foreign tables, and whether data is flowing.

use crate::pg::foreign::{self, Server};
use crate::pg::relation;
use crate::pg::report::{Report, sqlstate};
use crate::scan::column::{COLUMNS, Column, ColumnType, KINESIS_COLUMNS};
use crate::source::Source;
use crate::{catalog, error, kinesis, pg, settings};
use pgrx::spi::{quote_identifier, quote_literal};
use plan::names::{Pattern, named};
use stream::kinesis::Deaggregate;
use stream::{Client, TopicSummary};

/// More relations than this in one schema are a mistake.
const MAX_TOPICS: usize = 10_000;

/// So many names are told one by one.
const MOST_TOLD: usize = 20;

/// The statements of IMPORT FOREIGN SCHEMA: one foreign table for each topic of the server whose relation's name is wanted. `listed` are the names
/// behind LIMIT TO.
pub fn import_commands(
    server: &str,
    is_wanted: impl Fn(&str) -> bool,
    listed: &[String],
) -> Vec<String> {
    let server = foreign::server_by_name(server);
    let all = relations(&server, topics_of(&server));
    let absent = |name: &&String| !all.iter().any(|(_, known)| known == *name);
    let absent: Vec<&str> = listed.iter().filter(absent).map(String::as_str).collect();
    if !absent.is_empty() {
        error::nothing_matches(&server.name, &absent).notice();
    }
    let wanted: Vec<(String, String)> = all
        .into_iter()
        .filter(|(_, name)| is_wanted(name))
        .collect();
    tell_of_cut_names(&wanted);
    wanted
        .iter()
        .map(|(topic, name)| create_table(&server, topic, &quote_identifier(name)))
        .collect()
}

fn tell_of_cut_names(names: &[(String, String)]) {
    let cut: Vec<String> = names
        .iter()
        .filter(|(topic, name)| topic != name)
        .map(|(topic, name)| format!("\"{topic}\" is relation {}", quote_identifier(name)))
        .collect();
    if cut.is_empty() {
        return;
    }
    let rest = cut.len().saturating_sub(MOST_TOLD);
    let mut detail = cut[..cut.len() - rest].join(", ");
    if rest > 0 {
        detail += &format!(", and {rest} more");
    }
    let text = match cut.len() {
        1 => "the name of a topic is longer than 63 bytes: its relation's is cut and ends with a hash".to_owned(),
        count => format!("the names of {count} topics are longer than 63 bytes: their relations' are cut and end with a hash"),
    };
    Report::new(sqlstate::SUCCESSFUL_COMPLETION, text)
        .detail(detail + ".")
        .notice();
}

/// Creates the foreign tables of at most so many of these topics or streams in the server's schema: of those that have none, and whose relation's name
/// is not taken. How many it were. As a user who may do that.
pub fn create_missing(server: &Server, names: Vec<String>, most: usize) -> usize {
    let mapped = mapped(server);
    let missing = relations(server, names)
        .into_iter()
        .filter(|(topic, name)| {
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

/// The topics or streams of whose relations the current user may read one: what is told of them is what a peek would tell.
fn readable(server: &Server) -> Vec<String> {
    pg::spi::rows(
        "SELECT DISTINCT o.option_value FROM pg_catalog.pg_foreign_table AS t JOIN pg_catalog.pg_class AS c ON c.oid = t.ftrelid,
             pg_catalog.pg_options_to_table(t.ftoptions) AS o
         WHERE t.ftserver = $1 AND o.option_name IN ('topic', 'stream')
             AND pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
         ORDER BY o.option_value",
        &[server.oid.into()],
        pg::spi::only::<String>,
    )
}

/// The topics or streams that have a relation.
pub fn mapped(server: &Server) -> Vec<String> {
    pg::spi::rows(
        "SELECT o.option_value FROM pg_catalog.pg_foreign_table AS t, pg_catalog.pg_options_to_table(t.ftoptions) AS o
         WHERE t.ftserver = $1 AND o.option_name IN ('topic', 'stream') ORDER BY o.option_value",
        &[server.oid.into()],
        pg::spi::only::<String>,
    )
}

/// Name and relation name of each topic or stream that belongs to the schema, by name. One that is mapped already has the name that it was given.
pub fn topics(server: &Server) -> Vec<(String, String)> {
    let names = topics_of(server);
    tell_what_is_not_there(server, &names);
    let given = mapped_names(server);
    let name_of = |(topic, name): (String, String)| {
        let given = given.iter().find(|(mapped, _)| *mapped == topic);
        let name = given.map_or(name, |(_, given)| given.clone());
        (topic, name)
    };
    relations(server, names).into_iter().map(name_of).collect()
}

/// The topics or streams that have a relation in the server's schema, and its name.
fn mapped_names(server: &Server) -> Vec<(String, String)> {
    pg::spi::rows(
        "SELECT o.option_value AS topic, min(c.relname::pg_catalog.text) AS name
         FROM pg_catalog.pg_foreign_table AS t
         JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) t.ftrelid
         JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace,
             pg_catalog.pg_options_to_table(t.ftoptions) AS o
         WHERE t.ftserver OPERATOR(pg_catalog.=) $1 AND n.nspname OPERATOR(pg_catalog.=) $2::pg_catalog.name
             AND o.option_name OPERATOR(pg_catalog.=) ANY (ARRAY['topic', 'stream'])
         GROUP BY o.option_value",
        &[server.oid.into(), server.name.as_str().into()],
        |row| (row.expect("topic"), row.expect("name")),
    )
}

fn topics_of(server: &Server) -> Vec<String> {
    if kinesis::source::Source::is_of(server) {
        stream_names(server)
    } else {
        topic_names(server)
    }
}

/// A pattern with a slip in it would otherwise be an empty schema without a word.
fn tell_what_is_not_there(server: &Server, names: &[String]) {
    let pattern = server
        .options
        .iter()
        .find(|option| matches!(option.name.as_str(), "topics" | "streams"))
        .and_then(|option| option.value.as_deref());
    let unmatched = pattern.map(|pattern| Pattern::parse(pattern).unmatched(names));
    match unmatched {
        Some(unmatched) if !unmatched.is_empty() => {
            error::nothing_matches(&server.name, &unmatched).notice()
        }
        _ if names.is_empty() => error::no_topics(&server.name).notice(),
        _ => {}
    }
}

/// The topics with the names of their relations. One whose name another has is left out, and said to be.
fn relations(server: &Server, topics: Vec<String>) -> Vec<(String, String)> {
    if topics.len() > MAX_TOPICS {
        error::too_many_topics(&server.name, topics.len(), MAX_TOPICS).raise();
    }
    let (names, clashes) = named(topics);
    if let Some(clash) = clashes.first() {
        error::topic_name_clash(&server.name, clash, clashes.len()).warn();
    }
    names
}

fn topic_names(server: &Server) -> Vec<String> {
    let source = Source::of_server(server, relation::current_user());
    let client = source.connect(settings::memory_limit_bytes());
    let listed = source.answer(&client, client.list_topics(settings::connect_timeout()));
    shown_topics(source.topics.as_deref(), listed)
}

/// The topics that match the pattern; without one all but internal ones.
pub fn shown_topics(pattern: Option<&str>, listed: Vec<TopicSummary>) -> Vec<String> {
    let pattern = Pattern::parse(pattern.unwrap_or_default());
    listed
        .into_iter()
        .filter(|topic| {
            let is_default = !topic.is_internal && !topic.name.starts_with("__");
            pattern.takes(&topic.name, is_default)
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
    let pattern = Pattern::parse(pattern.unwrap_or_default());
    let wanted = |stream: &String| pattern.takes(stream, true);
    listed.into_iter().filter(wanted).collect()
}

/// `name` is quoted.
fn create_table(server: &Server, topic: &str, name: &str) -> String {
    let dialect = quote_identifier(pg::extension::schema());
    let column = |name: &str, kind: &ColumnType| format!("{name} {}", kind.sql(&dialect));
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
    /// Why nothing is known of the topic or stream, which is one row then.
    pub error: Option<String>,
}

impl PartitionStatus {
    /// Of a topic or stream that the service refuses to tell of.
    pub fn unknown(topic: &str, report: Report) -> PartitionStatus {
        PartitionStatus {
            topic: topic.to_owned(),
            partition_id: None,
            shard_id: None,
            low_watermark: None,
            high_watermark: None,
            last_record_time: None,
            error: Some(report.message),
        }
    }
}

/// Every partition of every topic of an external schema.
pub fn status(schema: &str) -> Vec<PartitionStatus> {
    let server = foreign::find_server(schema)
        .unwrap_or_else(|| error::not_an_external_schema(schema).raise());
    let mapped = readable(&server);
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
        // Of the others there will be no answer either.
        Err(error @ stream::Error::Timeout { .. }) => {
            error::source(&source.label(), &error).raise()
        }
        Err(error) => {
            let report = error::source(&source.label(), &error);
            return vec![PartitionStatus::unknown(topic, report)];
        }
    };
    let watermarks = match source.try_watermarks(client, topic, &description.partitions) {
        Ok(watermarks) => watermarks,
        Err(error) => {
            let report = error::source(&source.label(), &error);
            return vec![PartitionStatus::unknown(topic, report)];
        }
    };
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
            error: None,
        })
        .collect()
}

/// Waits until nobody else creates relations in the schema, and keeps others from it until the transaction ends. Only for those who may create some.
pub fn lock(name: &str) {
    let server =
        foreign::find_server(name).unwrap_or_else(|| error::not_an_external_schema(name).raise());
    relation::require_server_usage(server.oid, name);
    let creates = pg::spi::look(
        "SELECT pg_catalog.has_schema_privilege($1::pg_catalog.name, 'CREATE')
         FROM pg_catalog.pg_namespace AS n WHERE n.nspname OPERATOR(pg_catalog.=) $1::pg_catalog.name",
        &[name.into()],
        pg::spi::only::<bool>,
    );
    if creates != Some(true) {
        error::no_right_to_create(name).raise();
    }
    relation::lock_server(server.oid, true);
}

/// Ties the server of that name to the schema of that name, so that dropping the schema drops it too, and makes it this database's own.
pub fn bind(name: &str) {
    let server =
        foreign::find_server(name).unwrap_or_else(|| error::not_an_external_schema(name).raise());
    if relation::find_schema(name).is_none() {
        error::not_an_external_schema(name).raise();
    }
    adopt(&server);
}

/// The same of a server that has perhaps no schema of its name: pg_dump does not carry the tie.
pub fn adopt(server: &Server) {
    if let Some(schema) = relation::find_schema(&server.name)
        && !relation::depends_on_schema(server.oid, schema)
    {
        relation::server_depends_on_schema(server.oid, schema);
    }
    catalog::external_schema::adopt(server.oid);
}
