-- redshift.worker_status: the views under auto refresh and what their worker is doing. Which workers run is read from shared memory: pg_stat_activity hides
-- them from plain users, and who may see a view may see what becomes of it.
CREATE VIEW redshift.worker_status WITH (security_barrier) AS
SELECT l.pid,
       pg_catalog.current_database() AS database,
       n.nspname AS schema_name,
       c.relname AS mv_name,
       CASE WHEN v.origin IS DISTINCT FROM (SELECT redshift.origin()) THEN 'restored'
            WHEN v.paused THEN 'paused'
            WHEN pg_catalog.pg_is_in_recovery() THEN 'in recovery'
            WHEN l.pid IS NULL THEN 'waiting for a worker'
            WHEN w.waits THEN 'waiting'
            -- What is written is of a worker that has ended.
            WHEN w.is_old THEN 'starting'
            ELSE s.state END AS state,
       CASE WHEN w.waits THEN l.busy_since ELSE s.since END AS since,
       CASE WHEN w.waits THEN 'the worker is loading another view'
            WHEN l.pid IS NULL AND NOT pg_catalog.pg_is_in_recovery() THEN COALESCE(redshift.worker_obstacle(), s.last_error)
            ELSE s.last_error END AS last_error,
       CASE WHEN w.waits THEN l.busy_since ELSE s.last_error_at END AS last_error_at,
       s.blocked_by,
       s.worker
FROM redshift.materialized_view AS v
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) v.mv
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
LEFT JOIN redshift.auto_refresh_state AS s ON s.mv_id OPERATOR(pg_catalog.=) v.mv_id
LEFT JOIN LATERAL redshift.loader(COALESCE(s.worker, 0), v.mv) AS l ON true
CROSS JOIN LATERAL (
    SELECT s.pid IS DISTINCT FROM l.pid AS is_old,
           -- Each view of a worker waits for a moment while another one has its turn.
           COALESCE(l.busy_since OPERATOR(pg_catalog.<) (pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) '1 second'::interval), false)
               AND (s.pid IS DISTINCT FROM l.pid OR s.state OPERATOR(pg_catalog.=) ANY (ARRAY['starting', 'running', 'throttled'])) AS waits) AS w
WHERE v.auto_refresh
  AND (pg_catalog.has_table_privilege(c.oid, 'SELECT') OR redshift.sees_everything());
COMMENT ON VIEW redshift.worker_status IS 'Materialized views under auto refresh, and what their workers are doing: a row for each worker of a view';
GRANT SELECT ON redshift.worker_status TO PUBLIC;
