-- redshift.worker_status: the views under auto refresh and what their worker is doing.
CREATE VIEW redshift.worker_status WITH (security_barrier) AS
SELECT a.pid,
       pg_catalog.current_database() AS database,
       n.nspname AS schema_name,
       c.relname AS mv_name,
       CASE WHEN v.origin IS DISTINCT FROM (SELECT redshift.origin()) THEN 'restored'
            WHEN v.paused THEN 'paused'
            WHEN pg_catalog.pg_is_in_recovery() THEN 'in recovery'
            WHEN a.pid IS NULL THEN 'waiting for a worker'
            ELSE s.state END AS state,
       s.since,
       s.last_error,
       s.blocked_by,
       s.worker
FROM redshift.materialized_view AS v
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) v.mv
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
LEFT JOIN redshift.auto_refresh_state AS s ON s.mv_id OPERATOR(pg_catalog.=) v.mv_id
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid OPERATOR(pg_catalog.=) s.pid AND a.backend_type OPERATOR(pg_catalog.=) ANY (ARRAY['redshift_streaming worker', 'redshift_streaming ingest'])
WHERE v.auto_refresh
  AND (pg_catalog.has_table_privilege(c.oid, 'SELECT') OR redshift.sees_everything());
COMMENT ON VIEW redshift.worker_status IS 'Materialized views under auto refresh, and what their workers are doing: a row for each worker of a view';
GRANT SELECT ON redshift.worker_status TO PUBLIC;
