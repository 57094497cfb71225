-- redshift.stream_lag: how far each view is behind its topic. The broker is asked for the ends.
CREATE VIEW redshift.visible_definition WITH (security_barrier) AS
SELECT v.mv, v.definition FROM redshift.materialized_view AS v
JOIN pg_catalog.pg_class AS d ON d.oid OPERATOR(pg_catalog.=) v.definition
WHERE pg_catalog.has_table_privilege(v.mv, 'SELECT');
COMMENT ON VIEW redshift.visible_definition IS 'The hidden views of materialized views that the current user may read';
GRANT SELECT ON redshift.visible_definition TO PUBLIC;

CREATE FUNCTION redshift.definition(mv regclass) RETURNS text LANGUAGE sql STABLE STRICT
    SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_get_viewdef(v.definition::oid, true) FROM redshift.visible_definition AS v WHERE v.mv = $1
$$;
COMMENT ON FUNCTION redshift.definition(regclass) IS 'The definition of a materialized view that the caller may read, as text';

CREATE FUNCTION redshift.high_watermarks(
    external_schema text DEFAULT NULL, OUT mv regclass, OUT partition_id text, OUT high_watermark bigint, OUT waiting_seconds float8
) RETURNS SETOF record
    LANGUAGE c AS 'MODULE_PATHNAME', 'high_watermarks_wrapper';
COMMENT ON FUNCTION redshift.high_watermarks(text) IS 'Of each materialized view that the caller may read, of one external schema or all: the end of each partition of its topic; how long the oldest record of each shard of its stream waits to be loaded';

CREATE VIEW redshift.visible_checkpoint WITH (security_barrier) AS
SELECT v.mv, c.mv_id, c.partition_id, c.position, c.caught_up_to, c.drained, c.excluded, c.updated_at, c.pending_scanned, c.pending_since, c.pending_time_max
FROM redshift.checkpoint AS c JOIN redshift.materialized_view AS v USING (mv_id)
WHERE pg_catalog.has_table_privilege(v.mv, 'SELECT');
COMMENT ON VIEW redshift.visible_checkpoint IS 'redshift.checkpoint, as far as the current user may read the materialized view';
GRANT SELECT ON redshift.visible_checkpoint TO PUBLIC;

CREATE FUNCTION redshift.lag_seconds(lag_records bigint, last_record_time timestamp) RETURNS double precision
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN CASE WHEN lag_records OPERATOR(pg_catalog.<=) 0 THEN 0
                ELSE GREATEST(0, EXTRACT(epoch FROM pg_catalog.timezone('UTC', pg_catalog.clock_timestamp()) OPERATOR(pg_catalog.-) last_record_time))
           END::double precision;
COMMENT ON FUNCTION redshift.lag_seconds(bigint, timestamp) IS 'The age of the last record that was loaded, 0 if no other waits';

CREATE FUNCTION redshift.lag_records(high_watermark bigint, "position" text) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN high_watermark IS NOT NULL THEN high_watermark OPERATOR(pg_catalog.-) coalesce("position"::pg_catalog.int8, 0) END;
COMMENT ON FUNCTION redshift.lag_records(bigint, text) IS 'How many offsets are left; null for a shard, which has none';

CREATE VIEW redshift.stream_lag WITH (security_barrier) AS
SELECT n.nspname AS schema_name,
       c.relname AS mv_name,
       h.partition_id,
       k.position,
       h.high_watermark,
       redshift.lag_records(h.high_watermark, k.position) AS lag_records,
       -- Before its first record a view is as old as itself. A shard has no offsets: the age of the oldest record that waits.
       CASE WHEN h.high_watermark IS NULL THEN h.waiting_seconds
            ELSE redshift.lag_seconds(redshift.lag_records(h.high_watermark, k.position),
                                      coalesce(k.last_record_time, pg_catalog.timezone('UTC', v.created_at))) END AS lag_seconds,
       ((coalesce((SELECT sum(l.scanned) FROM redshift.scan_ledger AS l
                   WHERE l.mv_id = v.mv_id AND l.partition_id = h.partition_id
                     AND l.logged_at > pg_catalog.timezone('UTC', pg_catalog.clock_timestamp()) - interval '1 minute'), 0)
         + coalesce(k.pending_scanned, 0)) / 60.0)::float8 AS records_per_second
FROM redshift.high_watermarks() AS h
JOIN pg_catalog.pg_class AS c ON c.oid = h.mv
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN redshift.materialized_view AS v ON v.mv = h.mv
LEFT JOIN redshift.checkpoint AS k ON k.mv_id = v.mv_id AND k.partition_id = h.partition_id
WHERE k.excluded IS NOT TRUE;
COMMENT ON VIEW redshift.stream_lag IS 'How far each materialized view is behind its topic; records per second over the last minute';
GRANT SELECT ON redshift.stream_lag TO PUBLIC;
