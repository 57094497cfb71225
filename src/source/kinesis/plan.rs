//! Which shards a refresh reads, and from where: the view's checkpoints against the shards that the stream has now.
//!
//! A row is kept for each shard that the service shows: those that are drained are not read again, and a shard without a row is new. Whatever
//! expired before it was loaded is an error that names the time, or, by `on_data_loss = 'continue'`, a logged loss: never silence.

use super::{Plan, Reading, check_shards};
use crate::catalog::checkpoint;
use crate::catalog::ledger::{Failure, Reason};
use crate::catalog::materialized_view::MaterializedView;
use crate::catalog::position::State;
use crate::error;
use crate::pg::time;
use crate::source::column::to_timestamp;
use crate::source::plan::Planned;
use plan::shards::{self, Loss, Read, Refusal, Stored, Stream};
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
    let rows: Vec<Stored<Position>> = stored.iter().map(row).collect();
    let shown: Vec<&str> = stream.shards.iter().map(|shard| &shard.id[..]).collect();
    let decided = shards::plan(
        Stream {
            created: &created,
            oldest: now_ms - stream.retention.as_millis() as i64,
            shards: &shown,
        },
        &rows,
        view.options.on_data_loss,
    )
    .unwrap_or_else(|refusal| refused(&view.name(), stream, refusal));
    let known = |id: &str| stored.iter().find(|row| row.part == id);
    let read = |read: &Read<Position>| {
        let shard = stream.shards.iter().find(|shard| shard.id == read.shard)?;
        Some(ShardStart {
            id: shard.id.clone(),
            parents: shard.parents.clone(),
            from: read.from.cloned().unwrap_or(Position::Horizon),
            is_closed: shard.last.is_some(),
            hash_keys: shard.hash_keys,
        })
    };
    let starts: Vec<ShardStart> = decided.reads.iter().filter_map(read).collect();
    let planned = |start: &ShardStart| Planned {
        from: State::at(start.id.clone(), start.from.clone()),
        end: None,
        stored: known(&start.id).cloned(),
        leader_epoch: None,
    };
    let abandoned = decided.abandoned.iter().filter_map(|id| known(id));
    let abandoned = abandoned.map(|row| failure(row, Reason::Recreated));
    let expired = decided.lost.iter().filter_map(|loss| {
        let (from, until) = (utc(loss.from), utc(loss.until));
        Some(failure(known(loss.shard)?, Reason::Expired { from, until }))
    });
    Plan {
        parts: starts.iter().map(planned).collect(),
        lost: abandoned.chain(expired).collect(),
        gone: decided.gone.iter().map(|id| (*id).to_owned()).collect(),
        excluded: Vec::new(),
        reading: Reading {
            stream: stream.name.clone(),
            shards: starts,
            options: ReadOptions {
                until: Until::Parity(now_ms),
                page_records: None,
                deaggregate,
            },
        },
        source_id: Some(created),
    }
}

/// What is looked at of a checkpoint.
fn row(row: &Checkpoint) -> Stored<'_, Position> {
    Stored {
        shard: &row.part,
        position: &row.position,
        created: row.source_id.as_deref(),
        caught_up_to: row.caught_up_to,
        is_drained: row.is_drained,
    }
}

/// The error of a view that takes no losses.
fn refused(view: &str, stream: &StreamDescription, refusal: Refusal) -> ! {
    let error = match refusal {
        Refusal::Recreated { old } => {
            let (old, new) = (utc(old.parse().unwrap_or_default()), utc(stream.created_ms));
            error::stream_recreated(view, &stream.name, &old, &new)
        }
        Refusal::Lost(Loss { shard, from, until }) => {
            error::shard_expired(view, &stream.name, shard, &utc(from), &utc(until))
        }
    };
    error.raise()
}

fn failure(row: &Checkpoint, reason: Reason) -> Failure {
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
