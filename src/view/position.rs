//! Moving a view's positions: to the earliest record, the latest, a time, or an explicit one. The move is written into the ledger.

use super::{definition, owned_at_rest};
use crate::catalog::checkpoint::{self, Damage};
use crate::catalog::ledger::Jump;
use crate::catalog::materialized_view::MaterializedView;
use crate::catalog::position::Position;
use crate::catalog::{ledger, refresh_history};
use crate::error;
use crate::pg::relation::{self, Oid};
use crate::pg::wait::Event;
use crate::pg::{background, batch_table, nudge};
use crate::source::any::{Stream, each};
use crate::source::kafka::Kafka;
use crate::source::{Known, Source};
use std::time::{Duration, Instant};

/// How long a worker may take to roll back the batch that was stopped.
const ROLLBACK: Duration = Duration::from_secs(5);

/// Moves the positions in one partition or shard, or (null) in all. Refused while a
/// refresh runs; a batch of auto refresh is stopped.
pub fn set(table: Oid, part: Option<&str>, position: &str) {
    let view = owned_at_rest(table);
    stop_batch(table);
    if checkpoint::is_locked_by_others(view.id) {
        error::refreshing(&view.name()).raise();
    }
    let stream = view.definition.and_then(definition::stream_of);
    match stream.map(|stream| Stream::of_table(stream, relation::owner(table))) {
        Some(stream) => each!(Stream, stream, it => {
            move_to(&view, Some((&it.source, &it.name)), part, position)
        }),
        // Numbers can be stored all the same.
        None => move_to::<Kafka>(&view, None, part, position),
    }
    nudge::at_commit();
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

fn move_to<S: Source>(
    view: &MaterializedView,
    source: Option<(&S, &str)>,
    part: Option<&str>,
    position: &str,
) {
    let known = lock_and_mend::<S::Position>(view, part);
    let new = S::moved(source, &known, part, position);
    if new.is_empty() {
        error::unknown_partition(&view.name(), part.unwrap_or_default()).raise();
    }
    flush(view, part);
    let query_id = refresh_history::next_query_id();
    for new in &new {
        let old = known.checkpoints.iter().find(|old| old.part == new.part);
        let from = match old {
            Some(old) => old.position.clone(),
            None => checkpoint::last_known(view.id, &new.part.to_string())
                .unwrap_or_else(S::Position::earliest),
        };
        let jump = Jump {
            partition: new.part.to_string(),
            from: from.to_string(),
            to: new.position.to_string(),
            lost: false,
        };
        ledger::insert_jump(query_id, view.id, &jump);
        checkpoint::store(view.id, new, None);
    }
    if part.is_none() {
        // Parts that the stream does not show any more are given up.
        let is_gone = |old: &&checkpoint::Checkpoint<S::Position>| {
            !new.iter().any(|new| new.part == old.part)
        };
        for gone in known.checkpoints.iter().filter(is_gone) {
            checkpoint::remove(view.id, &gone.part);
        }
    }
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

/// Writes the ledger of what is moved: rows of others may be such that nothing can be written of them.
fn flush(view: &MaterializedView, partition_id: Option<&str>) {
    match partition_id {
        Some(id) => checkpoint::flush(view, Some(&[id])),
        None => checkpoint::flush_all(view),
    }
}
