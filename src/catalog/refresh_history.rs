//! redshift.refresh_history: one row per refresh that committed. (redshift.refresh_total counts them, for all time.)

use crate::catalog::materialized_view::MaterializedView;
use crate::pg::noted_refresh;
use crate::pg::relation::{self, Oid};
use crate::pg::spi::{self, as_extension_owner};
use crate::pg::time::{now_utc, timestamp};

/// A number for a refresh, in ascending order: `query_id` of the SYS_ views.
pub fn next_query_id() -> i64 {
    as_extension_owner(|| {
        let (id, last) = number(
            "WITH next AS MATERIALIZED (SELECT pg_catalog.nextval('redshift.query_id_seq') AS id)
             SELECT n.id, greatest((SELECT max(l.query_id) FROM redshift.scan_ledger AS l), (SELECT max(h.query_id) FROM redshift.refresh_history AS h)) AS last
             FROM next AS n",
            &[],
        );
        match last {
            // A restore beside what was there puts the sequence back: on to where nothing is. Number by number, since setval would race with other sessions.
            Some(last) if last >= id => {
                number(
                    "SELECT max(pg_catalog.nextval('redshift.query_id_seq')) AS id, NULL::pg_catalog.int8 AS last FROM pg_catalog.generate_series($1, $2)",
                    &[id.into(), last.into()],
                )
                .0
            }
            _ => id,
        }
    })
}

fn number(sql: &str, args: &[spi::Arg]) -> (i64, Option<i64>) {
    spi::first(sql, args, |row| (row.expect("id"), row.get("last")))
        .unwrap_or_else(|| panic!("nextval gave no row"))
}

/// Writes the row of a finished refresh, `Manual` or `Auto`. `started` is a timestamp in UTC.
pub fn insert(
    query_id: i64,
    view: &MaterializedView,
    user: Oid,
    started: i64,
    status: &str,
    rows_inserted: u64,
    refresh_type: &str,
) {
    let schema = relation::schema_name(view.table).unwrap_or_default();
    if refresh_type == "Manual" {
        noted_refresh::note(query_id);
    }
    as_extension_owner(|| {
        spi::execute(
            "WITH total AS (
                 INSERT INTO redshift.refresh_total AS t VALUES ($2, $13, 'success', 1, $11)
                 ON CONFLICT (mv_id, refresh_type, status) DO UPDATE SET refreshes = t.refreshes + 1, last_end_time = excluded.last_end_time)
             INSERT INTO redshift.refresh_history (query_id, mv_id, mv_oid, schema_name, mv_name, external_schema_name, stream_name,
                 user_id, session_id, transaction_id, refresh_type, status, start_time, end_time, rows_inserted)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, pg_catalog.pg_backend_pid(),
                 pg_catalog.pg_current_xact_id()::pg_catalog.text::pg_catalog.int8, $13, $9, $10, $11, $12)",
            &[
                query_id.into(),
                view.id.into(),
                view.table.into(),
                schema.into(),
                view.name().into(),
                view.external_schema_name.as_str().into(),
                view.stream_name.as_str().into(),
                user.into(),
                status.into(),
                timestamp(started).into(),
                timestamp(now_utc()).into(),
                (rows_inserted as i64).into(),
                refresh_type.into(),
            ],
        )
    });
}

/// The status text of SYS_MV_REFRESH_HISTORY, with its qualifier after a blank.
pub fn status_text(scanned: i64, skipped: i64, stopped_early: bool) -> String {
    let qualifier = if scanned == 0 {
        " Stream returned no new data"
    } else if skipped == scanned {
        " All records received from the stream were skipped"
    } else if skipped > 0 {
        " Some stream records were skipped"
    } else if stopped_early {
        " The stream may contain more data"
    } else {
        ""
    };
    format!("Refresh successfully updated MV incrementally{qualifier}")
}
