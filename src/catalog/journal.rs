//! What a worker writes for others: refreshes that failed, and the end of what is too old.

use crate::catalog::refresh_history;
use crate::pg::shared::Failed;
use crate::pg::spi::{self, as_extension_owner};
use crate::pg::time::timestamp;

/// The status of a refresh that failed, of those that Redshift documents for SYS_MV_REFRESH_HISTORY.
const STATUS_FAILED: &str = "Refresh failed due to an internal error";

/// Writes a failed refresh into the history, `Manual` or `Auto`, if its view still exists.
pub fn insert_failure(failed: &Failed, refresh_type: &str) {
    let query_id = refresh_history::next_query_id();
    as_extension_owner(|| {
        spi::execute(
            "WITH total AS (
                 INSERT INTO redshift.refresh_total AS t
                 SELECT v.mv_id, $6, 'failed', 1, $9 FROM redshift.materialized_view AS v WHERE v.mv = $2
                 ON CONFLICT (mv_id, refresh_type, status) DO UPDATE SET refreshes = t.refreshes + 1, last_end_time = excluded.last_end_time)
             INSERT INTO redshift.refresh_history (query_id, mv_id, mv_oid, schema_name, mv_name, external_schema_name, stream_name,
                 user_id, session_id, transaction_id, refresh_type, status, start_time, end_time, rows_inserted, error_message)
             SELECT $1, v.mv_id, v.mv, n.nspname, c.relname, v.external_schema_name, v.stream_name, $3, $4, $5, $6, $7, $8, $9, 0, $10
             FROM redshift.materialized_view AS v JOIN pg_catalog.pg_class AS c ON c.oid = v.mv
             JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE v.mv = $2",
            &[
                query_id.into(),
                failed.table.into(),
                failed.user.into(),
                failed.pid.into(),
                failed.transaction_id.into(),
                refresh_type.into(),
                STATUS_FAILED.into(),
                timestamp(failed.times.0).into(),
                timestamp(failed.times.1).into(),
                failed.error.as_str().into(),
            ],
        )
    });
}

/// Removes history older than so many days. The ledger's rows of that age are merged into ranges without a gap, so that redshift.verify still covers
/// all time; returns how many rows are gone.
pub fn forget_older_than(days: i32) -> usize {
    let cutoff = "pg_catalog.timezone('UTC', pg_catalog.clock_timestamp()) - pg_catalog.make_interval(days => $1)";
    as_extension_owner(|| {
        let merged = spi::execute(
            &format!(
                "WITH old AS (
                     DELETE FROM redshift.scan_ledger WHERE logged_at < {cutoff} AND NOT moved RETURNING *),
                 marked AS (
                     SELECT *, first_position IS DISTINCT FROM
                         lag(end_position) OVER (PARTITION BY mv_id, partition_id ORDER BY query_id) AS begins
                     FROM old),
                 numbered AS (
                     SELECT *, count(*) FILTER (WHERE begins) OVER (PARTITION BY mv_id, partition_id ORDER BY query_id) AS island
                     FROM marked),
                 ranges AS (
                     SELECT min(query_id) AS query_id, mv_id, partition_id,
                            (array_agg(first_position ORDER BY query_id))[1] AS first_position,
                            (array_agg(end_position ORDER BY query_id DESC))[1] AS end_position,
                            (array_agg(latest_position ORDER BY query_id DESC) FILTER (WHERE latest_position IS NOT NULL))[1] AS latest_position,
                            sum(scanned)::pg_catalog.int8 AS scanned, sum(loaded)::pg_catalog.int8 AS loaded,
                            sum(filtered)::pg_catalog.int8 AS filtered, sum(skipped)::pg_catalog.int8 AS skipped,
                            sum(bytes)::pg_catalog.int8 AS bytes, min(record_time_min) AS record_time_min,
                            max(record_time_max) AS record_time_max, max(logged_at) AS logged_at
                     FROM numbered GROUP BY mv_id, partition_id, island)
                 INSERT INTO redshift.scan_ledger (query_id, mv_id, partition_id, first_position, end_position, latest_position,
                     scanned, loaded, filtered, skipped, bytes, record_time_min, record_time_max, logged_at)
                 SELECT query_id, mv_id, partition_id, first_position, end_position, latest_position,
                     scanned, loaded, filtered, skipped, bytes, record_time_min, record_time_max, logged_at FROM ranges"
            ),
            &[days.into()],
        );
        let errors = spi::execute(
            &format!("DELETE FROM redshift.scan_error WHERE logged_at < {cutoff}"),
            &[days.into()],
        );
        let refreshes = spi::execute(
            &format!("DELETE FROM redshift.refresh_history WHERE start_time < {cutoff}"),
            &[days.into()],
        );
        merged + errors + refreshes
    })
}
