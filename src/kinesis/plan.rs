//! Which shards a refresh reads, and from where: the view's checkpoints against the shards that the stream has now.
//!
//! A row is kept for each shard that the service shows: those that are drained are not read again, and a shard without a row is new. Whatever
//! expired before it was loaded is an error that names the time, or, by `on_data_loss = 'continue'`, a logged loss: never silence.

use super::source::{check_shard, check_shards};
use crate::catalog::checkpoint;
use crate::catalog::ledger::{Failure, Jump, Reason};
use crate::catalog::materialized_view::MaterializedView;
use crate::catalog::options::OnDataLoss;
use crate::error;
use crate::pg::time;
use crate::scan::column::to_timestamp;
use stream::kinesis::{Position, ShardStart, ShardState, StreamDescription};

/// Where a view stands in one shard.
pub type Checkpoint = checkpoint::Checkpoint<Position>;

/// What a refresh is to read.
pub struct Plan {
    /// The shards that are not drained, by id.
    pub shards: Vec<ShardStart>,
    /// Losses that `on_data_loss = 'continue'` accepts.
    pub lost: Vec<Failure>,
    /// The stream's name.
    stream: String,
    /// The stream's creation time, as it is stored.
    created: String,
    /// What is stored.
    stored: Vec<Checkpoint>,
    /// Shards that the service does not show any more.
    gone: Vec<String>,
}

/// Compares checkpoints and stream. `now_ms` is the time by which retention is judged.
pub fn plan(
    view: &MaterializedView,
    stream: &StreamDescription,
    stored: Vec<Checkpoint>,
    now_ms: i64,
) -> Plan {
    if stored.is_empty() {
        error::no_checkpoint(&view.name()).raise();
    }
    check_shards(stream);
    let mut plan = Plan {
        stream: stream.name.clone(),
        shards: Vec::new(),
        lost: Vec::new(),
        created: stream.created_ms.to_string(),
        stored,
        gone: Vec::new(),
    };
    let is_other = plan.accept_new_stream(view, stream);
    let oldest = now_ms - stream.retention.as_millis() as i64;
    for row in &plan.stored {
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
        let row = plan.stored.iter().find(|row| row.part == shard.id);
        let from = match row {
            _ if is_other => Position::Horizon,
            Some(row) if row.is_drained => continue,
            Some(row) => row.position.clone(),
            // A child begins where its parents end.
            None => Position::Horizon,
        };
        plan.shards.push(ShardStart {
            id: shard.id.clone(),
            parents: shard.parents.clone(),
            from,
            is_closed: shard.last.is_some(),
            hash_keys: shard.hash_keys,
        });
    }
    plan
}

impl Plan {
    /// Is this another stream than the one that the positions belong to? Then it is read from its start, if the view takes losses.
    fn accept_new_stream(&mut self, view: &MaterializedView, stream: &StreamDescription) -> bool {
        let other = |row: &&Checkpoint| {
            let created = row.source_id.as_ref();
            created.is_some_and(|created| *created != self.created)
        };
        let Some(old) = self.stored.iter().find(other) else {
            return false;
        };
        if view.options.on_data_loss == OnDataLoss::Fail {
            let old = old.source_id.as_ref().and_then(|ms| ms.parse().ok());
            let (old, new) = (utc(old.unwrap_or_default()), utc(stream.created_ms));
            error::stream_recreated(&view.name(), &stream.name, &old, &new).raise();
        }
        let unread = self.stored.iter().filter(|row| !row.is_drained);
        self.lost = unread.map(|row| loss(row, Reason::Recreated)).collect();
        true
    }

    /// The steps that accepted losses made: of a stream that was re-created to its start, of records that expired none in positions.
    pub fn jumps(&self) -> Vec<Jump> {
        let begins = |row: &Checkpoint| {
            let shard = self.shards.iter().find(|shard| shard.id == row.part)?;
            Some(shard.from.to_string())
        };
        let is_lost = |row: &Checkpoint| self.lost.iter().any(|l| l.partition == row.part);
        self.stored
            .iter()
            .filter_map(|row| {
                let (from, to) = (row.position.to_string(), begins(row)?);
                (from != to || is_lost(row)).then(|| Jump {
                    partition: row.part.clone(),
                    from,
                    to,
                    lost: true,
                })
            })
            .collect()
    }

    /// Stores where the next refresh resumes. Returns each shard with the position that it had.
    pub fn store<'a>(
        &self,
        mv_id: i64,
        reached: &'a [ShardState],
    ) -> Vec<(&'a ShardState, Position)> {
        for shard in &self.gone {
            checkpoint::remove(mv_id, shard);
        }
        let mut moved = Vec::with_capacity(reached.len());
        let mut has_new = false;
        for state in reached {
            let row = self.stored.iter().find(|row| row.part == state.id);
            has_new |= row.is_none();
            let new = self.checkpoint(state, row);
            if row != Some(&new) {
                checkpoint::store(mv_id, &new, None);
            }
            let before = self.shards.iter().find(|shard| shard.id == state.id);
            let before = before.map_or(Position::Horizon, |shard| shard.from.clone());
            moved.push((state, before));
        }
        if has_new {
            checkpoint::touch_first(mv_id);
        }
        moved
    }

    /// What is stored of a shard.
    pub fn checkpoint(&self, state: &ShardState, before: Option<&Checkpoint>) -> Checkpoint {
        // A child may have come up while its parent was read.
        check_shard(&self.stream, &state.id);
        let is_same = |row: &&Checkpoint| row.source_id.as_ref() == Some(&self.created);
        let known = before.filter(is_same).and_then(|row| row.caught_up_to);
        Checkpoint {
            part: state.id.clone(),
            position: state.position.clone(),
            source_id: Some(self.created.clone()),
            caught_up_to: state.caught_up_to.max(known),
            is_drained: state.is_drained,
            is_excluded: false,
        }
    }
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
