//! redshift.checkpoint: where each view resumes in each partition. (The stream's position, not a checkpoint of WAL.)

use crate::pg::spi::{self, as_extension_owner};

/// One partition of one view.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// The partition.
    pub partition: i32,
    /// The next offset to load; `None` until the first refresh has looked where the partition begins.
    pub position: Option<i64>,
    /// The topic's id when the position was taken: a topic of the same name may be another one.
    pub topic_id: Option<String>,
}

/// A view's checkpoints, locked until the transaction ends, in the order of the partitions.
///
/// Two steps: the lock is taken on the rows that there are, and then all are read again, for a refresh that we waited for may have added some.
/// (It then changed the first one too, so that in REPEATABLE READ the lock itself fails.)
pub fn lock(mv_id: i64) -> Vec<Checkpoint> {
    as_extension_owner(|| {
        spi::execute(
            "SELECT 1 FROM redshift.checkpoint WHERE mv_id = $1 ORDER BY partition_id COLLATE \"C\" FOR UPDATE",
            &[mv_id.into()],
        );
        let mut checkpoints = spi::rows(
            "SELECT partition_id, position, source_id FROM redshift.checkpoint WHERE mv_id = $1",
            &[mv_id.into()],
            |row| Checkpoint {
                partition: row.expect::<String>(1).parse().unwrap_or(-1),
                position: row
                    .get::<String>(2)
                    .and_then(|position| position.parse().ok()),
                topic_id: row.get(3),
            },
        );
        checkpoints.sort_by_key(|checkpoint| checkpoint.partition);
        checkpoints
    })
}

/// Is a refresh of another session holding the view's checkpoints? If not, they are locked now.
pub fn is_locked_by_others(mv_id: i64) -> bool {
    as_extension_owner(|| {
        let all = "SELECT 1 FROM redshift.checkpoint WHERE mv_id = $1";
        let free = format!("{all} FOR UPDATE SKIP LOCKED");
        spi::execute(&free, &[mv_id.into()]) < spi::execute(all, &[mv_id.into()])
    })
}

/// Stores a partition's position, new or changed.
pub fn store(mv_id: i64, checkpoint: &Checkpoint, leader_epoch: Option<i32>) {
    as_extension_owner(|| {
        spi::execute(
            "INSERT INTO redshift.checkpoint AS c (mv_id, partition_id, position, leader_epoch, source_id)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (mv_id, partition_id) DO UPDATE
             SET position = excluded.position, leader_epoch = excluded.leader_epoch, source_id = excluded.source_id,
                 updated_at = pg_catalog.clock_timestamp()",
            &[
                mv_id.into(),
                checkpoint.partition.to_string().into(),
                checkpoint.position.map(|position| position.to_string()).into(),
                leader_epoch.into(),
                checkpoint.topic_id.clone().into(),
            ],
        )
    });
}

/// Touches the first row, so that whoever waits for the lock in REPEATABLE READ learns that there is something new.
pub fn touch_first(mv_id: i64) {
    as_extension_owner(|| {
        spi::execute(
            "UPDATE redshift.checkpoint SET updated_at = pg_catalog.clock_timestamp()
             WHERE mv_id = $1 AND partition_id =
                 (SELECT partition_id FROM redshift.checkpoint WHERE mv_id = $1 ORDER BY partition_id COLLATE \"C\" LIMIT 1)",
            &[mv_id.into()],
        )
    });
}

/// Forgets a partition that the topic does not have any more.
pub fn remove(mv_id: i64, partition: i32) {
    as_extension_owner(|| {
        spi::execute(
            "DELETE FROM redshift.checkpoint WHERE mv_id = $1 AND partition_id = $2",
            &[mv_id.into(), partition.to_string().into()],
        )
    });
}
