//! redshift.scan_ledger and redshift.scan_error: what each refresh read of each partition, and what it could not load.

use crate::catalog::refresh_history;
use crate::pg::spi::{self, as_extension_owner};

/// What one refresh did in one partition.
pub struct Entry {
    /// The partition or shard.
    pub partition: String,
    /// Where it began.
    pub first_position: String,
    /// Where the next one begins.
    pub end_position: String,
    /// The last record that was read, if any was.
    pub latest_position: Option<String>,
    /// Records read.
    pub scanned: i64,
    /// Records that the definition took, and no trigger dropped.
    pub loaded: i64,
    /// Records that the definition's WHERE dropped.
    pub filtered: i64,
    /// Records too large to load.
    pub skipped: i64,
    /// Records of which a trigger dropped every row.
    pub dropped: i64,
    /// Bytes of keys and values.
    pub bytes: i64,
    /// Oldest and newest record time, in microseconds since 2000 (UTC).
    pub times: Option<(i64, i64)>,
}

/// A record, or a range of records, that was not loaded.
pub struct Failure {
    /// The partition or shard.
    pub partition: String,
    /// The record's offset or sequence number, or the first of the range.
    pub position: String,
    /// C, L or U.
    pub timestamp_type: &'static str,
    /// The record's time, in microseconds since 2000 (UTC).
    pub timestamp: Option<i64>,
    /// What happened.
    pub reason: Reason,
}

/// Why something was not loaded. Redshift documents no numbers for error_code; these are ours.
pub enum Reason {
    /// A key or value, headers or a partition key longer than the limit.
    TooLarge {
        /// `key`, `value`, `headers`, `partition key`.
        part: &'static str,
        /// Its length.
        bytes: u64,
        /// What was allowed.
        limit: u64,
    },
    /// Records up to (and without) an offset were removed before they were read, and `on_data_loss = 'continue'`.
    Removed {
        /// The offset after the last lost one.
        until: i64,
    },
    /// The topic was re-created, and `on_data_loss = 'continue'`: what the old one had from the position on.
    Recreated,
    /// The partition ends before the position, and `on_data_loss = 'continue'`: the broker lost records, loaded ones at least.
    Truncated {
        /// Where the view stood.
        until: i64,
    },
    /// Records of a shard that arrived in this time may have expired before they were read, and `on_data_loss = 'continue'`.
    Expired {
        /// What arrived before it was loaded, as text.
        from: String,
        /// What arrived after it is still there, as text.
        until: String,
    },
    /// A user record of an aggregated one that belongs to another shard.
    OtherShard {
        /// Its place.
        user: u32,
    },
}

impl Reason {
    fn code(&self) -> i32 {
        match self {
            Reason::TooLarge { .. } => 1,
            Reason::Removed { .. } => 2,
            Reason::Recreated => 3,
            Reason::Truncated { .. } => 4,
            Reason::Expired { .. } => 5,
            Reason::OtherShard { .. } => 6,
        }
    }

    fn text(&self, position: &str) -> String {
        match self {
            Reason::TooLarge { part, bytes, limit } => {
                let has = if *part == "headers" { "have" } else { "has" };
                format!("The record's {part} {has} {bytes} bytes, more than the limit of {limit}.")
            }
            Reason::Removed { until } => {
                format!(
                    "Offsets {position} to {} were removed by the broker before they were loaded.",
                    until - 1
                )
            }
            Reason::Recreated => {
                format!(
                    "The stream was re-created; what the old one had from position {position} on is lost."
                )
            }
            Reason::Truncated { until } => {
                format!(
                    "The broker lost offsets {position} to {}, which were loaded; loading goes on after them.",
                    until - 1
                )
            }
            Reason::Expired { from, until } => {
                format!(
                    "Records that arrived between {from} and {until} may have expired before they were loaded."
                )
            }
            Reason::OtherShard { user } => {
                format!(
                    "User record {user} belongs to another shard: its producer writes it again there. deaggregate 'all' loads it here."
                )
            }
        }
    }
}

/// Writes a ledger entry, and adds it to the totals beside the partition's position.
pub fn insert(query_id: i64, mv_id: i64, entry: &Entry) {
    let time = |time: Option<i64>| time.map(crate::pg::time::timestamp);
    as_extension_owner(|| {
        spi::execute(
            "WITH total AS (
                 UPDATE redshift.checkpoint
                 SET total_scanned = total_scanned + $7, total_filtered = total_filtered + $9, total_skipped = total_skipped + $10,
                     total_dropped = total_dropped + $14, total_bytes = total_bytes + $11, last_record_time = coalesce($13, last_record_time)
                 WHERE mv_id = $2 AND partition_id = $3)
             INSERT INTO redshift.scan_ledger (query_id, mv_id, partition_id, first_position, end_position, latest_position,
                 scanned, loaded, filtered, skipped, bytes, record_time_min, record_time_max, dropped)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            &[
                query_id.into(),
                mv_id.into(),
                entry.partition.as_str().into(),
                entry.first_position.as_str().into(),
                entry.end_position.as_str().into(),
                entry.latest_position.as_deref().into(),
                entry.scanned.into(),
                entry.loaded.into(),
                entry.filtered.into(),
                entry.skipped.into(),
                entry.bytes.into(),
                time(entry.times.map(|times| times.0)).into(),
                time(entry.times.map(|times| times.1)).into(),
                entry.dropped.into(),
            ],
        )
    });
}

/// A step of a partition or shard, from one position to another, with which nothing was read.
pub struct Jump {
    /// The partition or shard.
    pub partition: String,
    /// Where the view stood.
    pub from: String,
    /// Where it goes on.
    pub to: String,
    /// What is between them was gone, and `on_data_loss = 'continue'` accepted it; if not, the owner moved the view.
    pub lost: bool,
}

/// Writes that positions went on without reading.
pub fn insert_jump(query_id: i64, mv_id: i64, jump: &Jump) {
    as_extension_owner(|| {
        spi::execute(
            "INSERT INTO redshift.scan_ledger (query_id, mv_id, partition_id, first_position, end_position, scanned, loaded, filtered,
                 skipped, bytes, moved, lost)
             VALUES ($1, $2, $3, $4, $5, 0, 0, 0, 0, 0, NOT $6, $6)",
            &[
                query_id.into(),
                mv_id.into(),
                jump.partition.as_str().into(),
                jump.from.as_str().into(),
                jump.to.as_str().into(),
                jump.lost.into(),
            ],
        )
    });
}

/// Writes where a restored view goes on, where that is not where its ledger ends: what the ledger tells of the time after the dump is read again.
pub fn insert_restored(mv_id: i64) {
    let jumps: Vec<Jump> = as_extension_owner(|| {
        spi::rows(
            "SELECT c.partition_id, l.end_position, p.position
             FROM redshift.checkpoint AS c
             CROSS JOIN LATERAL (
                 SELECT coalesce(CASE WHEN c.pending_since IS NULL THEN c.position ELSE c.pending_first END, 'earliest') AS position) AS p
             CROSS JOIN LATERAL (
                 SELECT e.end_position FROM redshift.scan_ledger AS e
                 WHERE e.mv_id OPERATOR(pg_catalog.=) c.mv_id AND e.partition_id OPERATOR(pg_catalog.=) c.partition_id
                 ORDER BY e.query_id DESC LIMIT 1) AS l
             WHERE c.mv_id OPERATOR(pg_catalog.=) $1 AND l.end_position OPERATOR(pg_catalog.<>) p.position",
            &[mv_id.into()],
            |row| Jump {
                partition: row.expect("partition_id"),
                from: row.expect("end_position"),
                to: row.expect("position"),
                lost: false,
            },
        )
    });
    if jumps.is_empty() {
        return;
    }
    let query_id = refresh_history::next_query_id();
    for jump in &jumps {
        insert_jump(query_id, mv_id, jump);
    }
}

/// Writes what was accepted to be lost, under a number of its own: before what is read next, after what was read before.
pub fn insert_losses(mv_id: i64, jumps: &[Jump]) {
    if jumps.is_empty() {
        return;
    }
    let query_id = refresh_history::next_query_id();
    for jump in jumps {
        insert_jump(query_id, mv_id, jump);
    }
}

/// Writes what was not loaded.
pub fn insert_failures(query_id: i64, mv_id: i64, failures: &[Failure]) {
    if failures.is_empty() {
        return;
    }
    as_extension_owner(|| {
        for failure in failures {
            spi::execute(
                "INSERT INTO redshift.scan_error
                     (query_id, mv_id, partition_id, position, stream_timestamp_type, stream_timestamp, error_code, error_reason)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                &[
                    query_id.into(),
                    mv_id.into(),
                    failure.partition.as_str().into(),
                    failure.position.as_str().into(),
                    failure.timestamp_type.into(),
                    failure.timestamp.map(crate::pg::time::timestamp).into(),
                    failure.reason.code().into(),
                    failure.reason.text(&failure.position).into(),
                ],
            );
        }
    });
}
