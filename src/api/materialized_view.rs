//! Procedures on a streaming materialized view: bounded refreshes, positions, adoption.

use crate::catalog::{checkpoint, ledger, materialized_view};
use crate::pg::relation::{self, Oid};
use crate::pg::{batch_table, foreign, nudge};
use crate::source::Source;
use crate::source::any::{Named, Stream, each};
use crate::view::{definition, owned_at_rest, partition, position};
use crate::{error, refresh};

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

/// `redshift.adopt`: a restored view is this database's own from now on, and with it its external schema, if it is the current user's.
pub fn adopt(table: Oid) {
    materialized_view::forget_orphans();
    let view = owned_at_rest(table);
    materialized_view::adopt(view.id);
    ledger::insert_restored(view.id);
    if let Some(definition) = view.definition {
        definition::follow(view.table, definition);
        if let Some(stream) = definition::stream_of(definition) {
            let (server, _) = foreign::of_table(stream);
            if relation::owns_server(server.oid) {
                super::external_schema::adopt(&server);
            }
        }
    }
    nudge::at_commit();
}

/// `redshift.damaged_positions`: what of the stored positions no refresh can read, and what mends it.
pub fn damaged_positions(table: Oid) -> Vec<(String, String)> {
    relation::require_select(table);
    let Some(view) = materialized_view::find(table) else {
        return Vec::new();
    };
    match view.definition.and_then(definition::stream_of) {
        Some(stream) => {
            let stream = Stream::of_table(stream, relation::owner(table));
            each!(Stream, stream, it => damaged(&it, view.id))
        }
        // Nobody reads them.
        None => Vec::new(),
    }
}

fn damaged<S: Source>(_: &Named<S>, mv_id: i64) -> Vec<(String, String)> {
    checkpoint::damaged::<S::Position>(mv_id)
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
    nudge::at_commit();
}

/// `redshift.set_position`: where the next refresh begins, in one partition or (null) in all. Refused while a refresh runs.
pub fn set_position(table: Oid, partition_id: Option<&str>, to: &str) {
    position::set(table, partition_id, to);
}

/// `redshift.add_partition`: a partition of the view's table for a range of its key, also if rows of the range are in the default partition.
pub fn add_partition(table: Oid, from: Option<&str>, to: Option<&str>, name: Option<&str>) {
    partition::add(table, from, to, name);
}
