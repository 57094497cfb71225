//! Creating and changing streams, and what a test does to one.

use super::number;
use super::registry::table_name;
use super::retention;
use super::{SCHEMA, Stream, append, stream_of};
use crate::error;
use crate::pg::chunk_table::{self, Access, ChunkTable, Latest};
use crate::pg::relation::{self, Oid};
use crate::pg::{invalidation, spi};
use pgrx::datum::Interval;
use stream::sql::{Horizon, kept_records};

/// Streams of Kafka have seldom more; a row of the registry holds a number for each.
const MOST_PARTITIONS: i32 = 10_000;

/// Registers the stream of a foreign table that was just created, with the table of its records. By the foreign table's owner.
pub fn register(table: Oid, partitions: i32) {
    require_ownership(table);
    if !super::is_stream(table) {
        error::not_a_sql_stream(&relation::qualified_name(table).unwrap_or_default()).raise();
    }
    check_partitions(partitions);
    spi::as_extension_owner(|| {
        // One that was dropped while no event trigger ran has its name no longer.
        spi::execute("SELECT redshift.forget_orphan_streams()", &[]);
        let taken = spi::first(
            "SELECT s.relation::pg_catalog.text AS relation FROM redshift.stream AS s JOIN pg_catalog.pg_foreign_table AS t ON t.ftserver OPERATOR(pg_catalog.=) s.server,
                 pg_catalog.pg_options_to_table(t.ftoptions) AS o
             WHERE t.ftrelid OPERATOR(pg_catalog.=) $1 AND o.option_name OPERATOR(pg_catalog.=) 'topic' AND o.option_value OPERATOR(pg_catalog.=) s.topic",
            &[table.into()],
            |row| row.expect::<String>("relation"),
        );
        if let Some(relation) = taken {
            error::stream_exists(&relation).raise();
        }
        let id = spi::first(
            "INSERT INTO redshift.stream (relation, earliest) VALUES ($1::pg_catalog.regclass, pg_catalog.array_fill(0::pg_catalog.int8, ARRAY[$2]))
             RETURNING stream_id",
            &[table.into(), partitions.into()],
            |row| row.expect::<i64>("stream_id"),
        );
        create_table(id.unwrap_or_default());
    });
    invalidation::tell(table);
}

/// The table of a stream: see [`crate::pg::chunk_table`] for what depends on the order and the types of its columns. A row of records is as long as a page, and
/// stays on it uncompressed.
fn create_table(id: i64) {
    let name = format!("{SCHEMA}.{}", table_name(id));
    spi::execute_once(&format!(
        "CREATE TABLE {name} (
             base bigint NOT NULL, bytes bigint NOT NULL, xid bigint NOT NULL, newest bigint NOT NULL, added bigint NOT NULL,
             partition_id integer NOT NULL, ordinal integer NOT NULL, records integer NOT NULL, body bytea
         ) USING heap WITH (toast_tuple_target = 8160)"
    ));
    for (label, key, condition) in [
        ("numbered", "partition_id, base", "base >= 0"),
        ("fresh", "xid, ordinal", "base < 0"),
    ] {
        spi::execute_once(&format!(
            "CREATE INDEX {}_{label} ON {name} ({key}) WHERE {condition}",
            table_name(id)
        ));
    }
    spi::execute_once(&format!(
        "INSERT INTO {name} VALUES (-1, 0, 0, 0, 0, -1, 0, 0, pg_catalog.decode(pg_catalog.repeat('00', {}), 'hex'))",
        Horizon::BYTES
    ));
}

fn require_ownership(table: Oid) {
    if !relation::is_owned_by_current_user(table) {
        error::not_owner_of_stream(&relation::name(table).unwrap_or_default()).raise();
    }
}

fn check_partitions(partitions: i32) {
    if !(1..=MOST_PARTITIONS).contains(&partitions) {
        let allowed = format!("1 to {MOST_PARTITIONS}");
        error::option_value("partitions", &partitions.to_string(), &allowed).raise();
    }
}

/// The stream of a table, for its owner.
fn owned(table: Oid) -> Stream {
    require_ownership(table);
    stream_of(table)
}

/// Gives a stream so many partitions; it never has fewer.
pub fn set_partitions(table: Oid, partitions: i32) {
    let stream = owned(table);
    check_partitions(partitions);
    if partitions < stream.partitions() {
        error::fewer_partitions(&stream.name(), stream.partitions()).raise();
    }
    change(
        &stream,
        "earliest = earliest || pg_catalog.array_fill(0::pg_catalog.int8, ARRAY[$2 - pg_catalog.cardinality(earliest)])",
        partitions,
    );
}

fn change(stream: &Stream, what: &str, value: i32) {
    spi::as_extension_owner(|| {
        spi::execute(
            &format!(
                "UPDATE redshift.stream SET {what} WHERE stream_id OPERATOR(pg_catalog.=) $1 AND $2 IS NOT NULL"
            ),
            &[stream.id.into(), value.into()],
        )
    });
    invalidation::tell(stream.table);
}

fn check_retention(retention: Option<Interval>, bytes: Option<i64>) {
    let negative = spi::first(
        "SELECT CASE WHEN $1 OPERATOR(pg_catalog.<) '0'::pg_catalog.interval THEN $1::pg_catalog.text END AS retention,
                CASE WHEN $2 OPERATOR(pg_catalog.<) 0 THEN $2::pg_catalog.text END AS retention_bytes",
        &[retention.into(), bytes.into()],
        |row| ["retention", "retention_bytes"].map(|name| Some((name, row.get::<String>(name)?))),
    );
    if let Some((name, value)) = negative.into_iter().flatten().flatten().next() {
        error::option_value(name, &value, "0 (no limit) or more").raise();
    }
}

/// Says how long records are kept, and how many bytes of each partition; what is not said stays, zero is no limit.
pub fn set_retention(table: Oid, retention: Option<Interval>, bytes: Option<i64>) {
    let stream = owned(table);
    check_retention(retention, bytes);
    spi::as_extension_owner(|| {
        spi::execute(
            "UPDATE redshift.stream SET retention = CASE WHEN COALESCE($2, retention) OPERATOR(pg_catalog.<>) '0'::pg_catalog.interval THEN COALESCE($2, retention) END,
                 retention_bytes = CASE WHEN COALESCE($3, retention_bytes) OPERATOR(pg_catalog.<>) 0 THEN COALESCE($3, retention_bytes) END
             WHERE stream_id OPERATOR(pg_catalog.=) $1",
            &[stream.id.into(), retention.into(), bytes.into()],
        )
    });
}

/// Removes what is older, or more; without both, what the stream does not keep.
pub fn trim(table: Oid, older_than: Option<Interval>, bytes: Option<i64>) {
    let stream = owned(table);
    if let Some(bytes) = bytes.filter(|bytes| *bytes < 0) {
        error::option_value("keep_bytes", &bytes.to_string(), "0 or more").raise();
    }
    let keep = retention::kept(&stream, older_than, bytes);
    retention::apply(&stream, keep);
}

/// Raises an error if this transaction has added records to the stream, or removed some: these have no numbers before it ends.
pub fn require_untouched(table: Oid) {
    let stream = stream_of(table);
    if append::has_touched(&stream) {
        error::stream_in_use(&stream.qualified_name()).raise();
    }
}

/// What `redshift.stream_fault` can do.
const FAULTS: &str = "gap, loss, truncated, recreated, partition, unreachable, none";

/// Makes something happen to a stream that befalls topics: for tests.
pub fn fault(table: Oid, fault: &str, partition: i32, records: Option<i64>) {
    let stream = owned(table);
    if !(0..stream.partitions()).contains(&partition) {
        error::no_partition(&stream.name(), partition, stream.partitions()).raise();
    }
    match fault {
        "gap" => {
            let offsets = records.unwrap_or(1).clamp(1, i64::from(i32::MAX));
            append::add_gap(&stream, partition, offsets as i32);
        }
        "loss" => {
            let bounds = number::bounds(&stream)[partition as usize];
            let most = bounds.latest - bounds.earliest;
            let offset = bounds.earliest + records.unwrap_or(most).clamp(0, most);
            retention::remove_before(&stream, partition, offset);
        }
        "truncated" => truncate(&stream, partition, records.unwrap_or(1)),
        "recreated" => recreate(&stream),
        "partition" => set_partitions(table, stream.partitions() + 1),
        "unreachable" => change(&stream, "unreachable = true", 0),
        "none" => change(&stream, "unreachable = false", 0),
        _ => error::option_value("fault", fault, FAULTS).raise(),
    }
}

/// Another stream of the same name, and empty.
fn recreate(stream: &Stream) {
    append::begin_removal(stream.table);
    spi::as_extension_owner(|| {
        spi::execute(
            &format!(
                "DELETE FROM {SCHEMA}.{} AS r WHERE r.partition_id OPERATOR(pg_catalog.>=) 0",
                table_name(stream.id)
            ),
            &[],
        )
    });
    change(
        stream,
        "topic_id = pg_catalog.gen_random_uuid()::pg_catalog.text, earliest = pg_catalog.array_fill(0::pg_catalog.int8, ARRAY[pg_catalog.cardinality(earliest)])",
        0,
    );
}

/// The last offsets of a partition are gone, as where a leader is elected that has not seen them.
fn truncate(stream: &Stream, partition: i32, records: i64) {
    let bounds = number::bounds(stream)[partition as usize];
    let end = (bounds.latest - records.max(0)).max(bounds.earliest);
    let Some(table) = ChunkTable::open(stream.table, Access::Read) else {
        return;
    };
    let latest = Latest::take();
    let mut body = Vec::new();
    let cut = table
        .at(&latest, partition, end)
        .filter(|row| row.base < end && end < row.end());
    if let Some(row) = cut {
        let mut cursor = table.from(&latest, partition, row.base);
        cursor.next(Some(&mut body));
        cursor.end();
    }
    latest.release();
    table.close();
    append::begin_removal(stream.table);
    let name = table_name(stream.id);
    spi::as_extension_owner(|| {
        spi::execute(
            &format!(
                "DELETE FROM {SCHEMA}.{name} AS r WHERE r.partition_id OPERATOR(pg_catalog.=) $1 AND r.base OPERATOR(pg_catalog.>=) $2"
            ),
            &[partition.into(), cut.map_or(end, |row| row.base).into()],
        );
        let Some(row) = cut else {
            return;
        };
        let kept = kept_records(&body, (end - row.base) as usize).unwrap_or_else(|_| {
            error::damaged_records(&stream.name(), partition, row.base).raise()
        });
        spi::execute(
            &format!("INSERT INTO {SCHEMA}.{name} VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8)"),
            &[
                row.base.into(),
                (row.bytes - row.length + kept.len() as i64).into(),
                (chunk_table::assign_xid() as i64).into(),
                row.newest.into(),
                row.added.into(),
                partition.into(),
                ((end - row.base) as i32).into(),
                kept.into(),
            ],
        );
    });
}
