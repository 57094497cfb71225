-- redshift.refresh_progress: refreshes that run, as the pg_stat_progress_ views show other commands.
CREATE FUNCTION redshift.running_refreshes(
    OUT pid integer, OUT mv oid, OUT phase text, OUT partitions bigint, OUT records_done bigint, OUT records_total bigint,
    OUT bytes_done bigint, OUT started_at timestamptz, OUT refresh_type text
) RETURNS SETOF record
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'running_refreshes_wrapper';
COMMENT ON FUNCTION redshift.running_refreshes() IS 'Refreshes that run in this database: one''s own, all for members of pg_read_all_stats';

CREATE VIEW redshift.refresh_progress AS
SELECT r.pid,
       pg_catalog.current_database() AS database,
       n.nspname AS schema_name,
       c.relname AS mv_name,
       r.phase,
       r.partitions,
       r.records_done,
       r.records_total,
       r.bytes_done,
       r.started_at,
       r.refresh_type
FROM redshift.running_refreshes() AS r
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) r.mv
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace;
COMMENT ON VIEW redshift.refresh_progress IS 'Refreshes that run, and workers with a backlog; records_total counts offsets, so it is an upper bound';
GRANT SELECT ON redshift.refresh_progress TO PUBLIC;
