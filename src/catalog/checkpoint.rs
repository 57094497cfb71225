//! redshift.checkpoint: where each view resumes in each partition. (The stream's position, not a checkpoint of WAL.)

use crate::catalog::ledger::Entry;
use crate::catalog::materialized_view::MaterializedView;
use crate::catalog::refresh_history;
use crate::pg::spi::{self, as_extension_owner};
use crate::pg::{relation, time};

/// One partition of one view.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// The partition.
    pub partition: i32,
    /// The next offset to load; `None` until the first refresh has looked where the partition begins.
    pub position: Option<i64>,
    /// The topic's id when the position was taken: a topic of the same name may be another one.
    pub topic_id: Option<String>,
    /// The definition reads nothing of the partition: its position stays where it is, for a definition that does.
    pub is_excluded: bool,
}

/// A view's checkpoints, locked until the transaction ends, in the order of the partitions.
///
/// Two steps: the lock is taken on the rows that there are, and then all are read again, for a refresh that we waited for may have added some.
/// (It then changed the first one too, so that in REPEATABLE READ the lock itself fails.)
pub fn lock(mv_id: i64) -> Vec<Checkpoint> {
    lock_rows(mv_id);
    read(mv_id)
}

/// The first step: the lock.
pub fn lock_rows(mv_id: i64) {
    as_extension_owner(|| {
        spi::execute(
            "SELECT 1 FROM redshift.checkpoint WHERE mv_id = $1 ORDER BY partition_id COLLATE \"C\" FOR UPDATE",
            &[mv_id.into()],
        )
    });
}

/// Locks the positions of some partitions until the transaction ends, and gives them as they are then: in READ COMMITTED a row that was waited for is
/// read again. Workers that share a view lock different partitions.
pub fn lock_positions(mv_id: i64, partitions: &[i32]) -> Vec<(i32, Option<i64>)> {
    as_extension_owner(|| {
        spi::rows(
            "SELECT partition_id, position FROM redshift.checkpoint
             WHERE mv_id = $1 AND partition_id = ANY ($2) ORDER BY partition_id COLLATE \"C\" FOR UPDATE",
            &[mv_id.into(), names(partitions).into()],
            |row| {
                let position = row
                    .get::<String>(2)
                    .and_then(|position| position.parse().ok());
                (row.expect::<String>(1).parse().unwrap_or(-1), position)
            },
        )
    })
}

/// Locks the positions of some partitions or shards until the transaction ends.
pub fn lock_named(mv_id: i64, partitions: &[String]) {
    as_extension_owner(|| {
        spi::execute(
            "SELECT 1 FROM redshift.checkpoint
             WHERE mv_id = $1 AND partition_id = ANY ($2) ORDER BY partition_id COLLATE \"C\" FOR UPDATE",
            &[mv_id.into(), partitions.to_vec().into()],
        )
    });
}

fn names<P: ToString>(partitions: &[P]) -> Vec<String> {
    partitions.iter().map(P::to_string).collect()
}

/// A view's checkpoints as they are, in the order of the partitions.
pub fn read(mv_id: i64) -> Vec<Checkpoint> {
    let mut checkpoints = as_extension_owner(|| {
        spi::rows(
            "SELECT partition_id, position, source_id, excluded FROM redshift.checkpoint WHERE mv_id = $1",
            &[mv_id.into()],
            |row| Checkpoint {
                partition: row.expect::<String>(1).parse().unwrap_or(-1),
                position: row
                    .get::<String>(2)
                    .and_then(|position| position.parse().ok()),
                topic_id: row.get(3),
                is_excluded: row.expect(4),
            },
        )
    });
    checkpoints.sort_by_key(|checkpoint| checkpoint.partition);
    checkpoints
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
            "INSERT INTO redshift.checkpoint AS c (mv_id, partition_id, position, leader_epoch, source_id, excluded)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (mv_id, partition_id) DO UPDATE
             SET position = excluded.position, leader_epoch = excluded.leader_epoch, source_id = excluded.source_id,
                 excluded = excluded.excluded, updated_at = pg_catalog.clock_timestamp()",
            &[
                mv_id.into(),
                checkpoint.partition.to_string().into(),
                checkpoint.position.map(|position| position.to_string()).into(),
                leader_epoch.into(),
                checkpoint.topic_id.clone().into(),
                checkpoint.is_excluded.into(),
            ],
        )
    });
}

/// Marks partitions of which the definition reads nothing. One that is new gets a row: should the definition read it later, then from its first record.
pub fn exclude(mv_id: i64, known: &[Checkpoint], topic_id: Option<&String>, excluded: &[i32]) {
    for partition in excluded {
        let stored = known.iter().find(|c| c.partition == *partition);
        if stored.is_some_and(|stored| stored.is_excluded) {
            continue;
        }
        let new = || Checkpoint {
            partition: *partition,
            position: Some(0),
            topic_id: topic_id.cloned(),
            is_excluded: true,
        };
        let checkpoint = Checkpoint {
            is_excluded: true,
            ..stored.cloned().unwrap_or_else(new)
        };
        store(mv_id, &checkpoint, None);
    }
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
pub fn remove(mv_id: i64, partition: impl std::fmt::Display) {
    as_extension_owner(|| {
        spi::execute(
            "DELETE FROM redshift.checkpoint WHERE mv_id = $1 AND partition_id = $2",
            &[mv_id.into(), partition.to_string().into()],
        )
    });
}

/// Moves positions and adds to the counters beside them: the ledger is written from them once a second at most. `rows` is what the batch inserted,
/// counted with its first partition.
pub fn advance(mv_id: i64, entries: &[Entry], rows: u64) {
    let text = |get: fn(&Entry) -> String| -> Vec<String> { entries.iter().map(get).collect() };
    let latest: Vec<Option<String>> = entries.iter().map(|e| e.latest_position.clone()).collect();
    let numbers = |get: fn(&Entry) -> i64| -> Vec<i64> { entries.iter().map(get).collect() };
    let times = |get: fn((i64, i64)) -> i64| -> Vec<Option<pgrx::datum::Timestamp>> {
        let times = entries.iter().map(|entry| entry.times.map(get));
        times.map(|time| time.map(time::timestamp)).collect()
    };
    let mut inserted = vec![0; entries.len()];
    if let Some(first) = inserted.first_mut() {
        *first = rows as i64;
    }
    as_extension_owner(|| {
        spi::execute(
            "UPDATE redshift.checkpoint AS c
             SET position = b.position, updated_at = pg_catalog.clock_timestamp(),
                 pending_since = coalesce(c.pending_since, pg_catalog.timezone('UTC', pg_catalog.clock_timestamp())),
                 pending_first = coalesce(c.pending_first, b.first), pending_latest = coalesce(b.latest, c.pending_latest),
                 pending_scanned = c.pending_scanned + b.scanned, pending_filtered = c.pending_filtered + b.filtered,
                 pending_skipped = c.pending_skipped + b.skipped, pending_bytes = c.pending_bytes + b.bytes,
                 pending_dropped = c.pending_dropped + b.dropped, pending_rows = c.pending_rows + b.rows,
                 pending_time_min = LEAST(c.pending_time_min, b.time_min), pending_time_max = GREATEST(c.pending_time_max, b.time_max),
                 total_scanned = c.total_scanned + b.scanned, total_filtered = c.total_filtered + b.filtered,
                 total_skipped = c.total_skipped + b.skipped, total_dropped = c.total_dropped + b.dropped, total_bytes = c.total_bytes + b.bytes,
                 last_record_time = coalesce(b.time_max, c.last_record_time)
             FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5), pg_catalog.unnest($6),
                 pg_catalog.unnest($7), pg_catalog.unnest($8), pg_catalog.unnest($9), pg_catalog.unnest($10), pg_catalog.unnest($11),
                 pg_catalog.unnest($12), pg_catalog.unnest($13))
                 AS b (partition_id, position, first, latest, scanned, filtered, skipped, bytes, rows, time_min, time_max, dropped)
             WHERE c.mv_id = $1 AND c.partition_id = b.partition_id",
            &[
                mv_id.into(),
                text(|entry| entry.partition.clone()).into(),
                text(|entry| entry.end_position.clone()).into(),
                text(|entry| entry.first_position.clone()).into(),
                latest.into(),
                numbers(|entry| entry.scanned).into(),
                numbers(|entry| entry.filtered).into(),
                numbers(|entry| entry.skipped).into(),
                numbers(|entry| entry.bytes).into(),
                inserted.into(),
                times(|times| times.0).into(),
                times(|times| times.1).into(),
                numbers(|entry| entry.dropped).into(),
            ],
        )
    });
}

/// The number under which the pending counters of these partitions (`None`: of all) will be written.
pub fn pending_query_id<P: ToString>(mv_id: i64, partitions: Option<&[P]>) -> i64 {
    let known = as_extension_owner(|| {
        spi::first(
            "SELECT max(pending_query_id) FROM redshift.checkpoint WHERE mv_id = $1 AND ($2 IS NULL OR partition_id = ANY ($2))",
            &[mv_id.into(), partitions.map(names).into()],
            |row| row.get::<i64>(1),
        )
    });
    known.flatten().unwrap_or_else(|| {
        let query_id = refresh_history::next_query_id();
        as_extension_owner(|| {
            spi::execute(
                "UPDATE redshift.checkpoint SET pending_query_id = $2
                 WHERE mv_id = $1 AND ($3 IS NULL OR partition_id = ANY ($3))",
                &[mv_id.into(), query_id.into(), partitions.map(names).into()],
            )
        });
        query_id
    })
}

/// Writes all pending counters into ledger and history, as one refresh.
pub fn flush_all(view: &MaterializedView) {
    flush::<String>(view, None);
}

/// Writes the pending counters of these partitions (`None`: of all) into ledger and history, as one refresh.
pub fn flush<P: ToString>(view: &MaterializedView, partitions: Option<&[P]>) {
    let names = || partitions.map(names);
    let pending = as_extension_owner(|| {
        spi::first(
            "SELECT (extract(epoch FROM min(pending_since)) * 1000000)::pg_catalog.int8 - 946684800000000,
                    sum(pending_rows)::pg_catalog.int8, sum(pending_scanned)::pg_catalog.int8, sum(pending_skipped)::pg_catalog.int8
             FROM redshift.checkpoint
             WHERE mv_id = $1 AND pending_since IS NOT NULL AND ($2 IS NULL OR partition_id = ANY ($2)) HAVING count(*) > 0",
            &[view.id.into(), names().into()],
            |row| (row.expect::<i64>(1), row.expect::<i64>(2), row.expect::<i64>(3), row.expect::<i64>(4)),
        )
    });
    let Some((since, rows, scanned, skipped)) = pending else {
        return;
    };
    let query_id = pending_query_id(view.id, partitions);
    as_extension_owner(|| {
        spi::execute(
            "INSERT INTO redshift.scan_ledger (query_id, mv_id, partition_id, first_position, end_position, latest_position,
                 scanned, loaded, filtered, skipped, bytes, record_time_min, record_time_max, dropped)
             SELECT $2, mv_id, partition_id, pending_first, position, pending_latest, pending_scanned,
                    pending_scanned - pending_filtered - pending_skipped - pending_dropped, pending_filtered, pending_skipped, pending_bytes,
                    pending_time_min, pending_time_max, pending_dropped
             FROM redshift.checkpoint
             WHERE mv_id = $1 AND pending_since IS NOT NULL AND ($3 IS NULL OR partition_id = ANY ($3))",
            &[view.id.into(), query_id.into(), names().into()],
        );
        spi::execute(
            "UPDATE redshift.checkpoint
             SET pending_query_id = NULL, pending_since = NULL, pending_first = NULL, pending_latest = NULL, pending_scanned = 0,
                 pending_filtered = 0, pending_skipped = 0, pending_dropped = 0, pending_bytes = 0, pending_rows = 0, pending_time_min = NULL,
                 pending_time_max = NULL
             WHERE mv_id = $1 AND (pending_since IS NOT NULL OR pending_query_id IS NOT NULL) AND ($2 IS NULL OR partition_id = ANY ($2))",
            &[view.id.into(), names().into()],
        );
    });
    let status = crate::refresh::status_text(scanned, skipped, false);
    let owner = relation::owner(view.table);
    refresh_history::insert(query_id, view, owner, since, &status, rows as u64, "Auto");
}

/// The positions of all views under auto refresh, by view and partition, but for partitions that the definition excludes.
pub fn under_auto_refresh() -> Vec<(i64, i32, Option<i64>)> {
    as_extension_owner(|| {
        spi::rows(
            "SELECT c.mv_id, c.partition_id, c.position FROM redshift.checkpoint AS c
             JOIN redshift.materialized_view AS v USING (mv_id) WHERE v.auto_refresh AND NOT v.paused AND NOT c.excluded",
            &[],
            |row| {
                let position = row
                    .get::<String>(3)
                    .and_then(|position| position.parse().ok());
                (
                    row.expect(1),
                    row.expect::<String>(2).parse().unwrap_or(-1),
                    position,
                )
            },
        )
    })
}
