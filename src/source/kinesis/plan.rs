//! Which shards a refresh reads, and from where: the view's checkpoints against the shards that the stream has now.
//!
//! A row is kept for each shard that the service shows: those that are drained are not read again, and a shard without a row is new. Whatever
//! expired before it was loaded is an error that names the time, or, by `on_data_loss = 'continue'`, a logged loss: never silence.

use super::{Plan, Reading, check_shards};
use crate::catalog::checkpoint;
use crate::catalog::ledger::{Failure, Reason};
use crate::catalog::materialized_view::MaterializedView;
use crate::catalog::options::OnDataLoss;
use crate::catalog::position::State;
use crate::error;
use crate::pg::time;
use crate::source::column::to_timestamp;
use crate::source::plan::Planned;
use stream::kinesis::{Deaggregate, Position, ReadOptions, ShardStart, StreamDescription, Until};

/// Where a view stands in one shard.
pub type Checkpoint = checkpoint::Checkpoint<Position>;

/// Compares checkpoints and stream. `now_ms` is the time by which retention is judged.
pub fn plan(
    view: &MaterializedView,
    stream: &StreamDescription,
    stored: Vec<Checkpoint>,
    now_ms: i64,
    deaggregate: Deaggregate,
) -> Plan {
    check_shards(stream);
    let created = stream.created_ms.to_string();
    let recreated = new_stream(view, stream, &stored, &created);
    let is_other = recreated.is_some();
    let mut plan = Plan {
        parts: Vec::new(),
        reading: Reading {
            stream: stream.name.clone(),
            shards: Vec::new(),
            options: ReadOptions {
                until: Until::Parity(now_ms),
                page_records: None,
                deaggregate,
            },
        },
        lost: recreated.unwrap_or_default(),
        source_id: Some(created),
        gone: Vec::new(),
        excluded: Vec::new(),
    };
    let oldest = now_ms - stream.retention.as_millis() as i64;
    for row in &stored {
        let is_shown = stream.shards.iter().any(|shard| shard.id == row.part);
        if !is_shown {
            plan.gone.push(row.part.clone());
        }
        let Some(caught_up_to) = row.caught_up_to.filter(|_| !row.is_drained && !is_other) else {
            continue;
        };
        // A shard is shown as long as it has records. So whatever is missing arrived longer ago than the retention.
        if caught_up_to < oldest {
            let (from, until) = (utc(caught_up_to), utc(oldest));
            if view.options.on_data_loss == OnDataLoss::Fail {
                error::shard_expired(&view.name(), &stream.name, &row.part, &from, &until).raise();
            }
            let reason = Reason::Expired { from, until };
            plan.lost.push(loss(row, reason));
        }
    }
    for shard in &stream.shards {
        let row = stored.iter().find(|row| row.part == shard.id);
        let from = match row {
            _ if is_other => Position::Horizon,
            Some(row) if row.is_drained => continue,
            Some(row) => row.position.clone(),
            // A child begins where its parents end.
            None => Position::Horizon,
        };
        plan.parts.push(Planned {
            from: State::at(shard.id.clone(), from.clone()),
            end: None,
            stored: row.cloned(),
            leader_epoch: None,
        });
        plan.reading.shards.push(ShardStart {
            id: shard.id.clone(),
            parents: shard.parents.clone(),
            from,
            is_closed: shard.last.is_some(),
            hash_keys: shard.hash_keys,
        });
    }
    plan
}

/// Is this another stream than the one that the positions belong to? Then it is read from its start, if the view takes losses: what is lost.
fn new_stream(
    view: &MaterializedView,
    stream: &StreamDescription,
    stored: &[Checkpoint],
    created: &str,
) -> Option<Vec<Failure>> {
    let other = |row: &&Checkpoint| row.source_id.as_ref().is_some_and(|id| id != created);
    let old = stored.iter().find(other)?;
    if view.options.on_data_loss == OnDataLoss::Fail {
        let old = old.source_id.as_ref().and_then(|ms| ms.parse().ok());
        let (old, new) = (utc(old.unwrap_or_default()), utc(stream.created_ms));
        error::stream_recreated(&view.name(), &stream.name, &old, &new).raise();
    }
    let unread = stored.iter().filter(|row| !row.is_drained);
    Some(unread.map(|row| loss(row, Reason::Recreated)).collect())
}

fn loss(row: &Checkpoint, reason: Reason) -> Failure {
    Failure {
        partition: row.part.clone(),
        position: row.position.to_string(),
        timestamp_type: "U",
        timestamp: None,
        reason,
    }
}

/// A time in milliseconds since 1970 as text.
pub fn utc(ms: i64) -> String {
    to_timestamp(ms).map_or_else(|| ms.to_string(), time::utc_text)
}
