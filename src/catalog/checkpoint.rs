//! redshift.checkpoint: where each view resumes in each partition. (The stream's position, not a checkpoint of WAL.)

use crate::catalog::ledger::Entry;
use crate::catalog::materialized_view::MaterializedView;
use crate::catalog::position::{EARLIEST, Position};
use crate::catalog::refresh_history;
use crate::error;
use crate::pg::report::Report;
use crate::pg::spi::{self, as_extension_owner};
use crate::pg::{relation, time};

/// One partition or shard of one view.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint<P: Position> {
    /// The partition or shard.
    pub part: P::Part,
    /// Where to resume.
    pub position: P,
    /// What the position belongs to, if the source tells: a topic or stream of the same name may be another one. The topic's id; the stream's creation
    /// time (milliseconds since 1970).
    pub source_id: Option<String>,
    /// Everything that arrived before this time, in milliseconds since 1970, is loaded, where a source tells that.
    pub caught_up_to: Option<i64>,
    /// The shard is closed and loaded to its end. The row stays as long as the service shows the shard.
    pub is_drained: bool,
    /// The definition reads nothing of the partition: its position stays where it is, for a definition that does.
    pub is_excluded: bool,
}

/// A row that cannot be read.
pub struct Damage {
    /// The partition or shard, as it stands there.
    pub part: String,
    /// Which column, in words.
    what: &'static str,
    text: String,
    /// Is `part` one?
    has_part: bool,
    /// It could be one, but the stream has none of that name.
    is_unknown: bool,
}

impl Damage {
    /// Something is stored of a partition or shard that the stream has never had.
    pub fn unknown_part(part: String) -> Damage {
        Damage {
            what: "partition_id",
            text: part.clone(),
            part,
            has_part: false,
            is_unknown: true,
        }
    }

    /// Is it the partition or shard that cannot be read?
    pub fn is_of_part(&self) -> bool {
        !self.has_part
    }

    /// Raises it.
    pub fn raise<P: Position>(&self, mv_id: i64) -> ! {
        self.report::<P>(mv_id).raise()
    }

    fn report<P: Position>(&self, mv_id: i64) -> Report {
        let view = as_extension_owner(|| {
            spi::first(
                "SELECT v.mv::pg_catalog.text AS view, c.relname::pg_catalog.text AS name FROM redshift.materialized_view AS v
                 JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) v.mv WHERE v.mv_id OPERATOR(pg_catalog.=) $1",
                &[mv_id.into()],
                |row| (row.expect::<String>("view"), row.expect::<String>("name")),
            )
        });
        let (view, name) = view.unwrap_or_default();
        let known = last_known::<P>(mv_id, &self.part).filter(|_| self.has_part);
        let others = if self.has_part {
            Vec::new()
        } else {
            self.positions::<P>(mv_id)
        };
        error::position_unreadable(&error::UnreadablePosition {
            view: &view,
            name: &name,
            mv_id,
            of: P::PART,
            part: &self.part,
            what: self.what,
            text: &self.text,
            known: known.map(|known| known.to_string()),
            has_part: self.has_part,
            is_unknown: self.is_unknown,
            positions: others,
        })
    }

    /// Where the view stands by all rows that say so: this one's partition or shard is left open.
    fn positions<P: Position>(&self, mv_id: i64) -> Vec<(String, String)> {
        let mut rows = stored(mv_id);
        rows.sort_by(|one, other| one.part.cmp(&other.part));
        let position = |row: Stored| {
            let position = row.position.filter(|text| P::read(text).is_some())?;
            let is_known = row.part != self.part && P::read_part(&row.part).is_some();
            let part = if is_known { row.part } else { "..".to_owned() };
            Some((part, position))
        };
        rows.into_iter().filter_map(position).collect()
    }
}

/// A row as it is stored.
struct Stored {
    part: String,
    position: Option<String>,
    source_id: Option<String>,
    caught_up_to: Option<i64>,
    is_drained: bool,
    is_excluded: bool,
}

impl Stored {
    fn read<P: Position>(self) -> Result<Checkpoint<P>, Damage> {
        let part = P::read_part(&self.part);
        let damage = |what, text: &str| Damage {
            part: self.part.clone(),
            what,
            text: text.to_owned(),
            has_part: part.is_some(),
            is_unknown: false,
        };
        let Some(part) = part.clone() else {
            return Err(damage(P::PART, &self.part));
        };
        let text = self.position.as_deref().unwrap_or(EARLIEST);
        let Some(position) = P::read(text) else {
            return Err(damage("position", text));
        };
        if let Some(id) = self.source_id.as_deref().filter(|id| !P::is_source_id(id)) {
            return Err(damage("source_id", id));
        }
        Ok(Checkpoint {
            part,
            position,
            source_id: self.source_id,
            caught_up_to: self.caught_up_to,
            is_drained: self.is_drained,
            is_excluded: self.is_excluded,
        })
    }
}

/// A view's checkpoints, locked until the transaction ends, in the order of partitions or shards.
///
/// Two steps: the lock is taken on the rows that there are, and then all are read again, for a refresh that we waited for may have added some.
/// (It then changed the first one too, so that in REPEATABLE READ the lock itself fails.)
pub fn lock<P: Position>(mv_id: i64) -> Vec<Checkpoint<P>> {
    lock_rows(mv_id);
    read(mv_id)
}

/// The same for who is going to mend what cannot be read.
pub fn lock_readable<P: Position>(mv_id: i64) -> (Vec<Checkpoint<P>>, Vec<Damage>) {
    lock_rows(mv_id);
    let (mut checkpoints, mut damaged) = (Vec::new(), Vec::new());
    for row in stored(mv_id) {
        match row.read() {
            Ok(checkpoint) => checkpoints.push(checkpoint),
            Err(damage) => damaged.push(damage),
        }
    }
    (checkpoints, damaged)
}

/// What cannot be read: partition or shard as it stands there, and the error in words.
pub fn damaged<P: Position>(mv_id: i64) -> Vec<(String, String)> {
    let damaged = stored(mv_id)
        .into_iter()
        .filter_map(|row| row.read::<P>().err());
    let told = damaged.map(|damage| {
        let Report {
            message, detail, ..
        } = damage.report::<P>(mv_id);
        let text = format!("{message}. {}", detail.unwrap_or_default());
        (damage.part, text)
    });
    told.collect()
}

fn lock_rows(mv_id: i64) {
    as_extension_owner(|| {
        spi::execute(
            "SELECT 1 FROM redshift.checkpoint WHERE mv_id = $1 ORDER BY partition_id COLLATE \"C\" FOR UPDATE",
            &[mv_id.into()],
        )
    });
}

/// Locks the positions of some partitions until the transaction ends, and gives them as they are then: in READ COMMITTED a row that was waited for is
/// read again. Workers that share a view lock different partitions.
pub fn lock_positions<P: Position>(mv_id: i64, parts: &[P::Part]) -> Vec<Checkpoint<P>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM redshift.checkpoint
         WHERE mv_id = $1 AND partition_id = ANY ($2) ORDER BY partition_id COLLATE \"C\" FOR UPDATE"
    );
    let rows =
        as_extension_owner(|| spi::rows(&sql, &[mv_id.into(), names(parts).into()], stored_row));
    readable(rows).unwrap_or_else(|damage| damage.raise::<P>(mv_id))
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

/// A view's checkpoints as they are, in the order of partitions or shards; raises what cannot be read.
pub fn read<P: Position>(mv_id: i64) -> Vec<Checkpoint<P>> {
    try_read(mv_id).unwrap_or_else(|damage| damage.raise::<P>(mv_id))
}

/// The same, or what cannot be read.
pub fn try_read<P: Position>(mv_id: i64) -> Result<Vec<Checkpoint<P>>, Damage> {
    readable(stored(mv_id))
}

const COLUMNS: &str = "partition_id, position, source_id, (EXTRACT(epoch FROM caught_up_to) * 1000)::pg_catalog.int8 AS caught_up_to, drained, excluded";

fn stored(mv_id: i64) -> Vec<Stored> {
    let sql = format!("SELECT {COLUMNS} FROM redshift.checkpoint WHERE mv_id = $1");
    as_extension_owner(|| spi::rows(&sql, &[mv_id.into()], stored_row))
}

fn stored_row(row: spi::Row) -> Stored {
    Stored {
        part: row.expect("partition_id"),
        position: row.get("position"),
        source_id: row.get("source_id"),
        caught_up_to: row.get("caught_up_to"),
        is_drained: row.expect("drained"),
        is_excluded: row.expect("excluded"),
    }
}

fn readable<P: Position>(rows: Vec<Stored>) -> Result<Vec<Checkpoint<P>>, Damage> {
    let read: Result<Vec<Checkpoint<P>>, Damage> = rows.into_iter().map(Stored::read).collect();
    let mut checkpoints = read?;
    checkpoints.sort_by(|one, other| one.part.cmp(&other.part));
    Ok(checkpoints)
}

/// Where a view stood by what was loaded last, or by the ledger: for a row whose position cannot be read.
pub fn last_known<P: Position>(mv_id: i64, part: &str) -> Option<P> {
    let known = as_extension_owner(|| {
        spi::first(
            "SELECT c.pending_latest, c.pending_first,
                    (SELECT l.end_position FROM redshift.scan_ledger AS l
                     WHERE l.mv_id OPERATOR(pg_catalog.=) $1 AND l.partition_id OPERATOR(pg_catalog.=) $2 ORDER BY l.query_id DESC LIMIT 1) AS end_position
             FROM (SELECT 1) AS one
             LEFT JOIN redshift.checkpoint AS c ON c.mv_id OPERATOR(pg_catalog.=) $1 AND c.partition_id OPERATOR(pg_catalog.=) $2",
            &[mv_id.into(), part.into()],
            |row| (row.get::<String>("pending_latest"), row.get::<String>("pending_first"), row.get::<String>("end_position")),
        )
    });
    let (latest, first, end) = known?;
    let latest = latest.and_then(|record| P::after(&record));
    latest.or_else(|| first.or(end).and_then(|position| P::read(&position)))
}

/// Puts the last position that is known in the place of what cannot be read; a row of which that is partition or shard is removed.
pub fn mend<P: Position>(mv_id: i64, damage: &Damage) -> Option<Checkpoint<P>> {
    let Some(part) = P::read_part(&damage.part) else {
        remove(mv_id, &damage.part);
        return None;
    };
    let checkpoint = Checkpoint {
        part,
        position: last_known(mv_id, &damage.part).unwrap_or_else(P::earliest),
        source_id: None,
        caught_up_to: None,
        is_drained: false,
        is_excluded: false,
    };
    store(mv_id, &checkpoint, None);
    Some(checkpoint)
}

/// Is a refresh of another session holding the view's checkpoints? If not, they are locked now.
pub fn is_locked_by_others(mv_id: i64) -> bool {
    as_extension_owner(|| {
        let all = "SELECT 1 FROM redshift.checkpoint WHERE mv_id = $1";
        let free = format!("{all} FOR UPDATE SKIP LOCKED");
        spi::execute(&free, &[mv_id.into()]) < spi::execute(all, &[mv_id.into()])
    })
}

/// Stores a position, new or changed.
pub fn store<P: Position>(mv_id: i64, checkpoint: &Checkpoint<P>, leader_epoch: Option<i32>) {
    let position = Some(checkpoint.position.to_string()).filter(|text| text != EARLIEST);
    as_extension_owner(|| {
        spi::execute(
            "INSERT INTO redshift.checkpoint AS c (mv_id, partition_id, position, leader_epoch, source_id, caught_up_to, drained, excluded)
             VALUES ($1, $2, $3, $4, $5, pg_catalog.to_timestamp($6 / 1000.0::pg_catalog.float8), $7, $8)
             ON CONFLICT (mv_id, partition_id) DO UPDATE
             SET position = excluded.position, leader_epoch = excluded.leader_epoch, source_id = excluded.source_id,
                 caught_up_to = excluded.caught_up_to, drained = excluded.drained, excluded = excluded.excluded,
                 updated_at = pg_catalog.clock_timestamp()",
            &[
                mv_id.into(),
                checkpoint.part.to_string().into(),
                position.into(),
                leader_epoch.into(),
                checkpoint.source_id.clone().into(),
                checkpoint.caught_up_to.map(|ms| ms as f64).into(),
                checkpoint.is_drained.into(),
                checkpoint.is_excluded.into(),
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
            "SELECT max(pending_query_id) AS query_id FROM redshift.checkpoint WHERE mv_id = $1 AND ($2 IS NULL OR partition_id = ANY ($2))",
            &[mv_id.into(), partitions.map(names).into()],
            |row| row.get::<i64>("query_id"),
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
            "SELECT (extract(epoch FROM min(pending_since)) * 1000000)::pg_catalog.int8 - 946684800000000 AS since,
                    sum(pending_rows)::pg_catalog.int8 AS rows, sum(pending_scanned)::pg_catalog.int8 AS scanned,
                    sum(pending_skipped)::pg_catalog.int8 AS skipped
             FROM redshift.checkpoint
             WHERE mv_id = $1 AND pending_since IS NOT NULL AND ($2 IS NULL OR partition_id = ANY ($2)) HAVING count(*) > 0",
            &[view.id.into(), names().into()],
            |row| ["since", "rows", "scanned", "skipped"].map(|column| row.expect::<i64>(column)),
        )
    });
    let Some([since, rows, scanned, skipped]) = pending else {
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
    let status = refresh_history::status_text(scanned, skipped, false);
    let owner = relation::owner(view.table);
    refresh_history::insert(query_id, view, owner, since, &status, rows as u64, "Auto");
}

/// The positions of all views under auto refresh, by view and partition, as they stand there, but for partitions that the definition excludes, and
/// shards that are read to their end.
pub fn under_auto_refresh() -> Vec<(i64, String, Option<String>)> {
    as_extension_owner(|| {
        spi::rows(
            "SELECT c.mv_id, c.partition_id, c.position FROM redshift.checkpoint AS c
             JOIN redshift.materialized_view AS v USING (mv_id) WHERE v.auto_refresh AND NOT v.paused AND NOT c.excluded AND NOT c.drained",
            &[],
            |row| {
                (
                    row.expect("mv_id"),
                    row.expect("partition_id"),
                    row.get("position"),
                )
            },
        )
    })
}
