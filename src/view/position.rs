//! Moving a view's positions: to the earliest record, the latest, a time, or an explicit one. The move is written into the ledger.

use super::{definition, owned_at_rest, start};
use crate::catalog::checkpoint::{self, Damage};
use crate::catalog::ledger::Jump;
use crate::catalog::materialized_view::MaterializedView;
use crate::catalog::position::{Offset, Position};
use crate::catalog::{ledger, refresh_history};
use crate::checkpoint::Checkpoint;
use crate::kinesis::plan::Checkpoint as ShardCheckpoint;
use crate::pg::relation::{self, Oid};
use crate::pg::wait::Event;
use crate::pg::{background, batch_table, shared};
use crate::source::{Source, Stream};
use crate::{error, kinesis};
use std::time::{Duration, Instant};
use stream::kinesis as kinesis_stream;

/// How long a worker may take to roll back the batch that was stopped.
const ROLLBACK: Duration = Duration::from_secs(5);

/// Moves the positions in one partition or shard, or (null) in all. Refused while a
/// refresh runs; a batch of auto refresh is stopped.
pub fn set(table: Oid, partition_id: Option<&str>, position: &str) {
    let view = owned_at_rest(table);
    stop_batch(table);
    if checkpoint::is_locked_by_others(view.id) {
        error::refreshing(&view.name()).raise();
    }
    let stream = view.definition.and_then(definition::stream_of);
    match stream.map(|stream| Stream::of_table(stream, relation::owner(table))) {
        Some(Stream::Kinesis(source, stream)) => {
            set_in_stream(&view, &source, &stream, partition_id, position)
        }
        Some(Stream::Topic(source, topic)) => {
            set_in_topic(&view, Some((&source, &topic)), partition_id, position)
        }
        // Numbers can be stored all the same.
        None => set_in_topic(&view, None, partition_id, position),
    }
    shared::nudge_at_commit();
}

fn stop_batch(table: Oid) {
    if !batch_table::stop(table) {
        return;
    }
    let deadline = Instant::now() + ROLLBACK;
    while batch_table::is_loading(table) && Instant::now() < deadline {
        background::sleep(Duration::from_millis(5), Event::WorkerEnd);
    }
}

/// What is known of a view's positions before they are moved.
struct Known<P: Position> {
    checkpoints: Vec<checkpoint::Checkpoint<P>>,
    /// Every row names a partition or shard.
    is_complete: bool,
}

/// Locks the positions. Of those that are moved, what cannot be read is mended by what is known otherwise, so that the ledger says from where they were
/// moved.
fn lock_and_mend<P: Position>(view: &MaterializedView, partition_id: Option<&str>) -> Known<P> {
    let (mut checkpoints, damaged) = checkpoint::lock_readable(view.id);
    let is_moved = |damage: &&Damage| partition_id.is_none_or(|id| damage.part == id);
    for damage in damaged.iter().filter(is_moved) {
        checkpoints.extend(checkpoint::mend(view.id, damage));
    }
    Known {
        checkpoints,
        is_complete: !damaged.iter().any(Damage::is_of_part),
    }
}

/// Where the view stood by the ledger in a part of which it has no row.
fn last_known<P: Position>(view: &MaterializedView, part: &P::Part) -> P {
    checkpoint::last_known(view.id, &part.to_string()).unwrap_or_else(P::earliest)
}

/// Writes the ledger of what is moved: rows of others may be such that nothing can be written of them.
fn flush(view: &MaterializedView, partition_id: Option<&str>) {
    match partition_id {
        Some(id) => checkpoint::flush(view, Some(&[id])),
        None => checkpoint::flush_all(view),
    }
}

fn set_in_topic(
    view: &MaterializedView,
    topic: Option<(&Source, &str)>,
    partition_id: Option<&str>,
    position: &str,
) {
    let Known {
        checkpoints: mut known,
        is_complete,
    } = lock_and_mend::<Offset>(view, partition_id);
    if let Some((source, topic)) = topic.filter(|_| known.is_empty() || !is_complete) {
        for new in start::checkpoints(source, topic, None) {
            if !known.iter().any(|old| old.part == new.part) {
                known.push(Checkpoint {
                    position: last_known(view, &new.part),
                    ..new
                });
            }
        }
    }
    let chosen: Vec<Checkpoint> = known
        .into_iter()
        .filter(|c| partition_id.is_none_or(|id| c.part.to_string() == id))
        .collect();
    if chosen.is_empty() {
        error::unknown_partition(&view.name(), partition_id.unwrap_or_default()).raise();
    }
    let text = position.trim();
    let target: Box<dyn Fn(i32) -> Option<i64>> = match (text.parse::<i64>(), topic) {
        (Ok(offset), _) if offset >= 0 => Box::new(move |_| Some(offset)),
        _ if start::is_earliest(text) => Box::new(|_| None),
        (Err(_), Some((source, topic))) => {
            let found = start::find(source, topic, text)
                .unwrap_or_else(|| error::invalid_position(position).raise());
            Box::new(move |partition| found.get(&partition).copied())
        }
        _ => error::invalid_position(position).raise(),
    };
    flush(view, partition_id);
    let query_id = refresh_history::next_query_id();
    for old in chosen {
        let new = Offset(target(old.part));
        let jump = Jump {
            partition: old.part.to_string(),
            from: old.position.to_string(),
            to: new.to_string(),
            lost: false,
        };
        ledger::insert_jump(query_id, view.id, &jump);
        // The topic's id is taken anew: this is how a re-created topic is accepted.
        let moved = Checkpoint {
            position: new,
            source_id: None,
            ..old
        };
        checkpoint::store(view.id, &moved, None);
    }
}

fn set_in_stream(
    view: &MaterializedView,
    source: &kinesis::source::Source,
    stream: &str,
    partition_id: Option<&str>,
    position: &str,
) {
    let known = lock_and_mend::<kinesis_stream::Position>(view, partition_id).checkpoints;
    let new: Vec<ShardCheckpoint> = match partition_id {
        None => kinesis::position::checkpoints(source, stream, Some(position)),
        Some(shard) => kinesis::position::checkpoint(source, stream, shard, position)
            .into_iter()
            .collect(),
    };
    if new.is_empty() {
        error::unknown_partition(&view.name(), partition_id.unwrap_or_default()).raise();
    }
    flush(view, partition_id);
    let query_id = refresh_history::next_query_id();
    for new in &new {
        let old = known.iter().find(|old| old.part == new.part);
        let from = old.map_or_else(|| last_known(view, &new.part), |old| old.position.clone());
        let jump = Jump {
            partition: new.part.clone(),
            from: from.to_string(),
            to: new.position.to_string(),
            lost: false,
        };
        ledger::insert_jump(query_id, view.id, &jump);
        checkpoint::store(view.id, new, None);
    }
    if partition_id.is_none() {
        // Shards that the stream does not show any more are given up.
        let is_gone = |old: &&ShardCheckpoint| !new.iter().any(|new| new.part == old.part);
        for gone in known.iter().filter(is_gone) {
            checkpoint::remove(view.id, &gone.part);
        }
    }
}
