//! Procedures on a streaming materialized view: bounded refreshes, positions, adoption.

use crate::access::Access;
use crate::catalog::materialized_view;
use crate::pg::relation::{self, Oid};
use crate::pg::{batch_table, shared, spi};
use crate::source::{Stream, Watermarks};
use crate::view::{definition, owned_at_rest, partition, position};
use crate::{error, kinesis, refresh, settings};
use std::collections::HashMap;
use stream::Client;
use stream::kinesis::Position;

/// `redshift.refresh`: as REFRESH MATERIALIZED VIEW, reading at most so many records and about so many bytes.
pub fn refresh(table: Oid, max_records: Option<i64>, max_bytes: Option<i64>) {
    let limit = |name, value: Option<i64>| match value {
        None => u64::MAX,
        Some(value) => match u64::try_from(value) {
            Ok(value) if value > 0 => value,
            _ => error::option_value(name, &value.to_string(), "a number greater than 0, or null")
                .raise(),
        },
    };
    refresh::run(
        table,
        limit("max_records", max_records),
        limit("max_bytes", max_bytes),
    );
}

/// `redshift.adopt`: a restored view is this database's own from now on.
pub fn adopt(table: Oid) {
    let view = owned_at_rest(table);
    materialized_view::adopt(view.id);
    if let Some(definition) = view.definition {
        definition::follow(view.table, definition);
    }
    shared::nudge_at_commit();
}

/// `redshift.pause` and `redshift.resume`: the worker leaves the view alone for a while, at once, and its options stay.
pub fn set_paused(table: Oid, paused: bool) {
    let view = owned_at_rest(table);
    if !view.auto_refresh {
        error::not_under_auto_refresh(&view.name()).raise();
    }
    if paused {
        batch_table::stop(table);
    }
    materialized_view::set_paused(view.id, paused);
    shared::nudge_at_commit();
}

/// `redshift.set_position`: where the next refresh begins, in one partition or (null) in all. Refused while a refresh runs.
pub fn set_position(table: Oid, partition_id: Option<&str>, to: &str) {
    position::set(table, partition_id, to);
}

/// `redshift.add_partition`: a partition of the view's table for a range of its key, also if rows of the range are in the default partition.
pub fn add_partition(table: Oid, from: Option<&str>, to: Option<&str>, name: Option<&str>) {
    partition::add(table, from, to, name);
}

/// How far a view is behind in one partition or shard.
pub struct Lag {
    /// The view.
    pub view: Oid,
    /// The partition or shard.
    pub partition: String,
    /// The end of the partition; shards have none.
    pub high_watermark: Option<i64>,
    /// How long the oldest record that is not loaded has been there, in seconds; only of shards.
    pub seconds: Option<f64>,
}

/// A client, and what its brokers have answered.
struct Asked {
    access: Access,
    client: Client,
    topics: HashMap<String, Vec<Watermarks>>,
}

/// How far each view that the current user may read is behind its topic or stream, for redshift.stream_lag: of one external schema, or of all.
/// One client for each server and owner, and each topic is asked for once.
pub fn high_watermarks(external_schema: Option<&str>) -> Vec<Lag> {
    let views = spi::rows(
        "SELECT DISTINCT mv::oid, definition::oid FROM redshift.visible_definition",
        &[],
        |row| (row.expect::<Oid>(1), row.expect::<Oid>(2)),
    );
    let mut asked: Vec<Asked> = Vec::new();
    let mut found = Vec::new();
    for (view, definition) in views {
        // As a view reads its tables: with the owner's credentials, whoever asks.
        let owner = relation::owner(view);
        let stream = definition::stream_of(definition);
        let Some(stream) = stream.map(|stream| Stream::of_table(stream, owner)) else {
            continue;
        };
        if external_schema.is_some_and(|schema| schema != stream.server_name()) {
            continue;
        }
        let (source, topic) = match stream {
            Stream::Topic(source, topic) => (source, topic),
            Stream::Kinesis(source, stream) => {
                let lags = kinesis::status::lag(&source, &stream, visible_positions(view));
                found.extend(lags.into_iter().map(|(shard, seconds)| Lag {
                    view,
                    partition: shard,
                    high_watermark: None,
                    seconds,
                }));
                continue;
            }
        };
        let of_access = |asked: &Asked| asked.access == *source.access();
        let place = asked.iter().position(of_access).unwrap_or_else(|| {
            asked.push(Asked {
                access: source.access().clone(),
                client: source.connect(settings::memory_limit_bytes()),
                topics: HashMap::new(),
            });
            asked.len() - 1
        });
        let Asked { client, topics, .. } = &mut asked[place];
        let watermarks = topics.entry(topic.clone()).or_insert_with(|| {
            let asked = client.describe_topic(&topic, settings::connect_timeout());
            let description = source.answer(client, asked);
            source.watermarks(client, &topic, &description.partitions)
        });
        found.extend(watermarks.iter().map(|w| Lag {
            view,
            partition: w.partition.to_string(),
            high_watermark: Some(w.latest),
            seconds: None,
        }));
    }
    found
}

/// Where a view resumes in the shards that are not drained.
fn visible_positions(view: Oid) -> Vec<(String, Position)> {
    spi::rows(
        "SELECT partition_id, position FROM redshift.visible_checkpoint WHERE mv = $1 AND NOT drained ORDER BY 1",
        &[view.into()],
        |row| {
            let position = row.get::<String>(2);
            let position = position.and_then(|text| Position::parse(&text));
            (row.expect(1), position.unwrap_or(Position::Horizon))
        },
    )
}
