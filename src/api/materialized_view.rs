//! Procedures on a streaming materialized view: bounded refreshes, positions, adoption.

use crate::catalog::checkpoint::{self, Checkpoint};
use crate::catalog::materialized_view::{self, MaterializedView};
use crate::pg::relation::{self, Oid};
use crate::pg::{shared, spi};
use crate::source::Source;
use crate::view::{definition, start};
use crate::{error, refresh, settings};

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
    let view = owned(table);
    materialized_view::adopt(view.id);
    if let Some(definition) = view.definition {
        definition::follow(view.table, definition);
    }
    shared::nudge_at_commit();
}

/// `redshift.set_position`: where the next refresh begins, in one partition or (null) in all. Refused while a refresh runs.
pub fn set_position(table: Oid, partition_id: Option<&str>, position: &str) {
    let view = owned(table);
    let position = parse_position(position);
    if checkpoint::is_locked_by_others(view.id) {
        error::refreshing(&view.name()).raise();
    }
    let mut checkpoints = checkpoint::lock(view.id);
    if checkpoints.is_empty() {
        checkpoints = current_partitions(&view);
    }
    let chosen: Vec<Checkpoint> = match partition_id {
        None => checkpoints,
        Some(id) => checkpoints
            .into_iter()
            .filter(|c| c.partition.to_string() == id)
            .collect(),
    };
    if chosen.is_empty() {
        error::unknown_partition(&view.name(), partition_id.unwrap_or_default()).raise();
    }
    checkpoint::flush(&view);
    shared::nudge_at_commit();
    for old in chosen {
        // The topic's id is taken anew: this is how a re-created topic is accepted.
        checkpoint::store(
            view.id,
            &Checkpoint {
                position,
                topic_id: None,
                ..old
            },
            None,
        );
    }
}

fn parse_position(position: &str) -> Option<i64> {
    if position.eq_ignore_ascii_case("earliest") {
        return None;
    }
    match position.trim().parse() {
        Ok(offset) if offset >= 0 => Some(offset),
        _ => error::invalid_position(position).raise(),
    }
}

/// The partitions that the topic has now, for a view whose checkpoints were lost.
fn current_partitions(view: &MaterializedView) -> Vec<Checkpoint> {
    let Some(stream) = view.definition.and_then(definition::stream_of) else {
        return Vec::new();
    };
    let (source, topic) = Source::of_stream(stream, relation::owner(view.table));
    start::checkpoints(&source, &topic, None)
}

/// The view, which must be the current user's.
fn owned(table: Oid) -> MaterializedView {
    let name = relation::name(table)
        .unwrap_or_else(|| error::undefined_relation(&table.to_u32().to_string()).raise());
    let view = materialized_view::find(table)
        .unwrap_or_else(|| error::not_a_streaming_view(&name).raise());
    if !relation::is_owned_by_current_user(table) {
        error::not_owner(&name).raise();
    }
    view
}

/// The end of each partition of the topic of each view that the current user may read, for redshift.stream_lag.
pub fn high_watermarks() -> Vec<(Oid, String, i64)> {
    let views = spi::rows(
        "SELECT DISTINCT mv::oid, definition::oid FROM redshift.visible_definition",
        &[],
        |row| (row.expect::<Oid>(1), row.expect::<Oid>(2)),
    );
    let mut found = Vec::new();
    for (view, definition) in views {
        let Some(stream) = definition::stream_of(definition) else {
            continue;
        };
        // As a view reads its tables: the owner's credentials, whoever asks.
        let (source, topic) = Source::of_stream(stream, relation::owner(view));
        let client = source.connect(settings::memory_limit_bytes());
        let asked = client.describe_topic(&topic, settings::connect_timeout());
        let description = source.answer(&client, asked);
        let watermarks = source.watermarks(&client, &topic, &description.partitions);
        found.extend(
            watermarks
                .iter()
                .map(|w| (view, w.partition.to_string(), w.latest)),
        );
    }
    found
}
