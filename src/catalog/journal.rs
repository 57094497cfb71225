//! What a worker writes for others: refreshes that failed.

use crate::catalog::refresh_history;
use crate::pg::failed_refresh::Failed;
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
