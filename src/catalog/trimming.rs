//! The end of what is too old: redshift.history_days, table by table, each in a transaction of its own. redshift.trimming says which could not be.

use crate::pg::spi::{self, as_extension_owner};

/// A table whose old rows go.
#[derive(Clone, Copy)]
pub struct Trim {
    /// Its name.
    pub table: &'static str,
    /// The statement; $1 is the number of days.
    sql: &'static str,
}

/// What ingest workers trim. The ledger's old rows are merged into ranges without a gap, so that redshift.verify still covers all time: moves and
/// accepted losses stay, and no range goes across one.
pub const HISTORY: [Trim; 3] = [
    Trim {
        table: "redshift.scan_ledger",
        sql: "WITH cutoff AS MATERIALIZED (
                  SELECT pg_catalog.timezone('UTC', pg_catalog.now()) - pg_catalog.make_interval(days => $1) AS at),
              gone AS (
                  DELETE FROM redshift.scan_ledger WHERE logged_at < (SELECT at FROM cutoff) AND NOT moved AND NOT lost RETURNING *),
              old AS (
                  SELECT * FROM gone
                  UNION ALL SELECT * FROM redshift.scan_ledger WHERE logged_at < (SELECT at FROM cutoff) AND (moved OR lost)),
              marked AS (
                  SELECT *, moved OR lost OR first_position IS DISTINCT FROM
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
                         sum(dropped)::pg_catalog.int8 AS dropped,
                         sum(bytes)::pg_catalog.int8 AS bytes, min(record_time_min) AS record_time_min,
                         max(record_time_max) AS record_time_max, max(logged_at) AS logged_at
                  FROM numbered WHERE NOT moved AND NOT lost GROUP BY mv_id, partition_id, island)
              INSERT INTO redshift.scan_ledger (query_id, mv_id, partition_id, first_position, end_position, latest_position,
                  scanned, loaded, filtered, skipped, dropped, bytes, record_time_min, record_time_max, logged_at)
              SELECT query_id, mv_id, partition_id, first_position, end_position, latest_position,
                  scanned, loaded, filtered, skipped, dropped, bytes, record_time_min, record_time_max, logged_at FROM ranges",
    },
    Trim {
        table: "redshift.scan_error",
        sql: "DELETE FROM redshift.scan_error
              WHERE logged_at < pg_catalog.timezone('UTC', pg_catalog.now()) - pg_catalog.make_interval(days => $1)",
    },
    Trim {
        table: "redshift.refresh_history",
        sql: "DELETE FROM redshift.refresh_history
              WHERE start_time < pg_catalog.timezone('UTC', pg_catalog.now()) - pg_catalog.make_interval(days => $1)",
    },
];

/// What monitors trim.
pub const STATEMENTS: Trim = Trim {
    table: "redshift.statement_history",
    sql: "DELETE FROM redshift.statement_history
          WHERE start_time < pg_catalog.timezone('UTC', pg_catalog.now()) - pg_catalog.make_interval(days => $1)",
};

/// Removes what is older than so many days.
pub fn trim(what: Trim, days: i32) {
    as_extension_owner(|| {
        spi::execute(what.sql, &[days.into()]);
        spi::execute(
            "DELETE FROM redshift.trimming WHERE table_name = $1",
            &[what.table.into()],
        );
    });
}

/// Writes down that a table could not be trimmed, and why.
pub fn insert_failure(what: Trim, error: &str) {
    as_extension_owner(|| {
        spi::execute(
            "INSERT INTO redshift.trimming AS t (table_name, last_error) VALUES ($1, $2)
             ON CONFLICT (table_name) DO UPDATE SET last_error = excluded.last_error
             WHERE t.last_error IS DISTINCT FROM excluded.last_error",
            &[what.table.into(), error.into()],
        )
    });
}
