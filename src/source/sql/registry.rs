//! Which streams there are, and whose foreign tables stand for them.

use super::SCHEMA;
use crate::error;
use crate::pg::chunk_table::Latest;
use crate::pg::foreign::{self, Server};
use crate::pg::relation::{self, LockMode, Oid};
use crate::pg::{invalidation, spi};
use crate::source::any::Kind;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use stream::TopicDescription;

/// Is this the server of an external schema whose streams are kept here?
fn is_of(server: &Server) -> bool {
    Kind::of(server) == Kind::Sql
}

/// Does a foreign table stand for a stream that is kept here?
pub fn is_stream(relation: Oid) -> bool {
    relation::is_stream(relation) && is_of(&foreign::of_table(relation).0)
}

/// A stream, as it is registered.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Its foreign table.
    pub relation: Oid,
    /// Its number.
    pub id: i64,
    /// The table that holds its records.
    pub table: Oid,
    /// What tells it from another one of its name.
    pub topic_id: String,
    /// The earliest offset of each partition.
    pub earliest: Vec<i64>,
    /// It cannot be reached, by `redshift.stream_fault`.
    pub unreachable: bool,
}

impl Stream {
    /// What messages call it.
    pub fn name(&self) -> String {
        relation::name(self.relation).unwrap_or_default()
    }

    /// How SQL names it.
    pub fn qualified_name(&self) -> String {
        relation::qualified_name(self.relation).unwrap_or_default()
    }

    /// As it is described under that name.
    pub fn description(&self, name: &str) -> TopicDescription {
        TopicDescription {
            name: name.to_owned(),
            partitions: (0..self.partitions()).collect(),
            topic_id: Some(self.topic_id.clone()),
        }
    }

    /// How many partitions it has.
    pub fn partitions(&self) -> i32 {
        self.earliest.len() as i32
    }
}

/// The name of the table of a stream of that number.
pub fn table_name(id: i64) -> String {
    format!("records_{id}")
}

/// The stream of a foreign table as it is now; raises an error if it has none.
pub fn stream_of(relation: Oid) -> Stream {
    find(relation).unwrap_or_else(|| {
        error::no_stream(&relation::qualified_name(relation).unwrap_or_default()).raise()
    })
}

fn find(relation: Oid) -> Option<Stream> {
    look_up(
        "s.relation OPERATOR(pg_catalog.=) $1::pg_catalog.regclass",
        &[relation.into()],
    )
}

/// The stream of that name of an external schema: the name that it was registered by, whatever a foreign table says now.
pub fn named(server: Oid, name: &str) -> Option<Stream> {
    look_up(
        "s.server OPERATOR(pg_catalog.=) $1 AND s.topic OPERATOR(pg_catalog.=) $2",
        &[server.into(), name.into()],
    )
}

fn look_up(condition: &str, args: &[spi::Arg]) -> Option<Stream> {
    let sql = format!(
        "SELECT s.relation::pg_catalog.oid AS relation, s.stream_id, s.topic_id, s.earliest, s.unreachable FROM redshift.stream AS s
         JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) s.relation AND c.reltype OPERATOR(pg_catalog.=) s.row_type
         WHERE {condition}"
    );
    let found = spi::as_extension_owner(|| {
        spi::look(&sql, args, |row| {
            let id = row.expect("stream_id");
            Some(Stream {
                relation: row.expect("relation"),
                id,
                table: relation::find(SCHEMA, &table_name(id))?,
                topic_id: row.expect("topic_id"),
                earliest: row.expect("earliest"),
                unreachable: row.expect("unreachable"),
            })
        })
    });
    found.flatten()
}

/// The same; raises an error if there is none, or if a test has made it unreachable.
pub fn reachable(server: Oid, name: &str) -> Stream {
    let stream = named(server, name).unwrap_or_else(|| error::no_stream(name).raise());
    if stream.unreachable {
        error::stream_unreachable(name, &stream.qualified_name()).raise();
    }
    stream
}

/// The names of the streams of an external schema.
pub fn names(server: Oid) -> Vec<String> {
    spi::as_extension_owner(|| {
        spi::rows(
            "SELECT s.topic FROM redshift.stream AS s JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) s.relation AND c.reltype OPERATOR(pg_catalog.=) s.row_type
             WHERE s.server OPERATOR(pg_catalog.=) $1 ORDER BY s.topic",
            &[server.into()],
            |row| row.expect::<String>("topic"),
        )
    })
}

/// What of a stream changes while it is read.
pub struct Now {
    /// The earliest offset of each partition.
    pub earliest: Vec<i64>,
    /// What tells it from another one of its name.
    pub topic_id: String,
}

/// Locks the registry for reading until the transaction ends.
pub fn hold() {
    if let Some(table) = relation::find("redshift", "stream") {
        relation::lock(table, LockMode::AccessShare);
    }
}

/// A stream as it is committed now; `None` if it is gone.
pub fn now(stream: &Stream, latest: &Latest) -> Option<Now> {
    let table = relation::find("redshift", "stream")?;
    let found = latest.look_up(table, stream.id, c"earliest", c"topic_id");
    found.map(|(earliest, topic_id)| Now { earliest, topic_id })
}

thread_local! {
    /// Streams by their foreign tables, as they were at a count of changes.
    static KNOWN: RefCell<(u64, HashMap<Oid, Rc<Stream>>)> = RefCell::default();
}

/// The stream of a foreign table, looked up once as long as nothing of it changes: for what happens at each INSERT. Partitions that are added while a
/// transaction runs may be seen by the next one only.
pub fn known(relation: Oid) -> Rc<Stream> {
    if_known(relation).unwrap_or_else(|| {
        error::no_stream(&relation::qualified_name(relation).unwrap_or_default()).raise()
    })
}

/// The same; `None` if it is gone.
pub fn if_known(relation: Oid) -> Option<Rc<Stream>> {
    let changes = invalidation::changes();
    let known = KNOWN.with_borrow_mut(|(count, streams)| {
        if *count != changes {
            *count = changes;
            streams.clear();
        }
        streams.get(&relation).cloned()
    });
    known.or_else(|| {
        // Before it is read: what changes meanwhile is to be noticed.
        invalidation::watch(relation);
        let first = find(relation)?;
        invalidation::watch(first.table);
        let before = invalidation::changes();
        let stream = Rc::new(find(relation)?);
        if before == invalidation::changes() && !spi::sees_an_old_snapshot() {
            KNOWN.with_borrow_mut(|(count, streams)| {
                *count = before;
                streams.insert(relation, Rc::clone(&stream))
            });
        }
        Some(stream)
    })
}
