-- redshift.stream_lag: how far each view is behind its topic. The broker is asked for the ends.
CREATE VIEW redshift.visible_definition WITH (security_barrier) AS
SELECT v.mv, v.definition FROM redshift.materialized_view AS v
JOIN pg_catalog.pg_class AS d ON d.oid OPERATOR(pg_catalog.=) v.definition
WHERE pg_catalog.has_table_privilege(v.mv, 'SELECT');
COMMENT ON VIEW redshift.visible_definition IS 'The hidden views of materialized views that the current user may read';
GRANT SELECT ON redshift.visible_definition TO PUBLIC;

CREATE FUNCTION redshift.high_watermarks(
    OUT mv regclass, OUT partition_id text, OUT high_watermark bigint, OUT lag_seconds float8
) RETURNS SETOF record
    LANGUAGE c AS 'MODULE_PATHNAME', 'high_watermarks_wrapper';
COMMENT ON FUNCTION redshift.high_watermarks() IS 'Of each materialized view that the caller may read: the end of each partition of its topic; how long the oldest record of each shard of its stream waits to be loaded';

CREATE VIEW redshift.visible_checkpoint WITH (security_barrier) AS
SELECT v.mv, c.mv_id, c.partition_id, c.position, c.caught_up_to, c.drained, c.updated_at, c.pending_scanned, c.pending_since, c.pending_time_max
FROM redshift.checkpoint AS c JOIN redshift.materialized_view AS v USING (mv_id)
WHERE pg_catalog.has_table_privilege(v.mv, 'SELECT');
COMMENT ON VIEW redshift.visible_checkpoint IS 'redshift.checkpoint, as far as the current user may read the materialized view';
GRANT SELECT ON redshift.visible_checkpoint TO PUBLIC;

CREATE VIEW redshift.stream_lag AS
SELECT n.nspname AS schema_name,
       c.relname AS mv_name,
       h.partition_id,
       k.position,
       h.high_watermark,
       CASE WHEN h.high_watermark IS NOT NULL THEN h.high_watermark - coalesce(k.position::bigint, 0) END AS lag_records,
       CASE WHEN h.high_watermark IS NULL THEN h.lag_seconds
            WHEN h.high_watermark <= coalesce(k.position::bigint, 0) THEN 0
            ELSE EXTRACT(epoch FROM pg_catalog.timezone('UTC', pg_catalog.clock_timestamp())
                 - coalesce(k.pending_time_max, (SELECT max(l.record_time_max) FROM redshift.visible_ledger AS l
                                                 WHERE l.mv_id = k.mv_id AND l.partition_id = k.partition_id)))::float8
       END AS lag_seconds,
       coalesce((SELECT sum(l.scanned) / 60.0 FROM redshift.visible_ledger AS l
                 WHERE l.mv_id = k.mv_id AND l.partition_id = k.partition_id
                   AND l.logged_at > pg_catalog.timezone('UTC', pg_catalog.clock_timestamp()) - interval '1 minute'), 0)::float8
           AS records_per_second
FROM redshift.high_watermarks() AS h
JOIN pg_catalog.pg_class AS c ON c.oid = h.mv
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN redshift.visible_checkpoint AS k ON k.mv = h.mv AND k.partition_id = h.partition_id;
COMMENT ON VIEW redshift.stream_lag IS 'How far each materialized view is behind its topic; records per second over the last minute';
GRANT SELECT ON redshift.stream_lag TO PUBLIC;
