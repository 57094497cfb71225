//! External schemas: their options, topics as foreign tables, and whether data is flowing.

use crate::pg::foreign::{self, Server};
use crate::pg::relation;
use crate::pg::report::{Report, sqlstate};
use crate::pg::setting;
use crate::source::Source;
use crate::source::any::{Any, Kind, column_set, each};
use crate::source::column::ColumnType;
use crate::source::request::answer;
use crate::source::status::{Listed, PartStatus};
use crate::{catalog, error, pg};
use pgrx::spi::{quote_identifier, quote_literal};
use plan::names::{Pattern, named};

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
    let source = Any::of_server(server, relation::current_user());
    each!(Any, source, it => names(&it))
}

fn names<S: Source>(source: &S) -> Vec<String> {
    let client = source.connect(setting::memory_limit_bytes());
    let listed = answer(&client, source.list(&client))
        .unwrap_or_else(|error| S::failure(&source.label(), &error).raise());
    shown(source.pattern(), listed)
}

/// The names that the pattern takes; without one all but internal ones.
pub fn shown(pattern: Option<&str>, listed: Vec<Listed>) -> Vec<String> {
    let pattern = Pattern::parse(pattern.unwrap_or_default());
    let is_shown = |it: &Listed| pattern.takes(&it.name, !it.is_internal);
    let shown = listed.into_iter().filter(is_shown);
    shown.map(|it| it.name).collect()
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

/// `name` is quoted.
fn create_table(server: &Server, topic: &str, name: &str) -> String {
    let dialect = quote_identifier(pg::extension::schema());
    let column = |name: &str, kind: &ColumnType| format!("{name} {}", kind.sql(&dialect));
    let kind = Kind::of(server);
    let has_preview = kind.has_preview_columns(server);
    let columns = column_set(server).specs();
    let columns: Vec<String> = columns
        .map(|spec| {
            let name = if has_preview { spec.preview } else { spec.name };
            column(name, &spec.kind)
        })
        .collect();
    format!(
        "CREATE FOREIGN TABLE {} ({}) SERVER {} OPTIONS ({} {})",
        name,
        columns.join(", "),
        quote_identifier(&server.name),
        kind.words().stream,
        quote_literal(topic)
    )
}

/// Every partition of every topic of an external schema.
pub fn status(schema: &str) -> Vec<PartStatus> {
    let server = foreign::find_server(schema)
        .unwrap_or_else(|| error::not_an_external_schema(schema).raise());
    let mapped = readable(&server);
    let source = Any::of_server(&server, relation::current_user());
    each!(Any, source, it => status_of(&it, &mapped))
}

fn status_of<S: Source>(source: &S, mapped: &[String]) -> Vec<PartStatus> {
    let client = source.connect(setting::memory_limit_bytes());
    let status = |name: &String| source.status(&client, name);
    mapped.iter().flat_map(status).collect()
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
