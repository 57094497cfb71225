//! redshift.checkpoint, the rows of Kinesis: where each view resumes in each shard.

use crate::pg::spi::{self, as_extension_owner};
use stream::kinesis::Position;

/// One shard of one view.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShardCheckpoint {
    /// The shard's id.
    pub shard: String,
    /// Where to resume.
    pub position: Position,
    /// The stream's creation time (milliseconds since 1970, as text) when the position was taken: a stream of the same name may be another one.
    pub stream_created: Option<String>,
    /// Everything that arrived in the shard before this time, in milliseconds since 1970, is loaded.
    pub caught_up_to: Option<i64>,
    /// The shard is closed and loaded to its end. The row stays as long as the service shows the shard.
    pub is_drained: bool,
}

/// A view's checkpoints, locked until the transaction ends, by shard. (See `checkpoint::lock` for the two steps.)
pub fn lock(mv_id: i64) -> Vec<ShardCheckpoint> {
    super::checkpoint::lock_rows(mv_id);
    read(mv_id)
}

/// A view's checkpoints as they are, by shard.
pub fn read(mv_id: i64) -> Vec<ShardCheckpoint> {
    as_extension_owner(|| {
        spi::rows(
            "SELECT partition_id, position, source_id, (EXTRACT(epoch FROM caught_up_to) * 1000)::pg_catalog.int8, drained
             FROM redshift.checkpoint WHERE mv_id = $1 ORDER BY partition_id COLLATE \"C\"",
            &[mv_id.into()],
            |row| ShardCheckpoint {
                shard: row.expect(1),
                position: row
                    .get::<String>(2)
                    .and_then(|text| Position::parse(&text))
                    .unwrap_or(Position::Horizon),
                stream_created: row.get(3),
                caught_up_to: row.get(4),
                is_drained: row.expect(5),
            },
        )
    })
}

/// Stores a shard's position, new or changed.
pub fn store(mv_id: i64, checkpoint: &ShardCheckpoint) {
    let position = match &checkpoint.position {
        Position::Horizon => None,
        position => Some(position.to_string()),
    };
    as_extension_owner(|| {
        spi::execute(
            "INSERT INTO redshift.checkpoint AS c (mv_id, partition_id, position, source_id, caught_up_to, drained)
             VALUES ($1, $2, $3, $4, pg_catalog.to_timestamp($5 / 1000.0::pg_catalog.float8), $6)
             ON CONFLICT (mv_id, partition_id) DO UPDATE
             SET position = excluded.position, source_id = excluded.source_id, caught_up_to = excluded.caught_up_to,
                 drained = excluded.drained, updated_at = pg_catalog.clock_timestamp()",
            &[
                mv_id.into(),
                checkpoint.shard.as_str().into(),
                position.into(),
                checkpoint.stream_created.clone().into(),
                checkpoint.caught_up_to.map(|ms| ms as f64).into(),
                checkpoint.is_drained.into(),
            ],
        )
    });
}
