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

CREATE FUNCTION redshift.ask_lag(mv regclass) RETURNS bigint
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'ask_lag_wrapper';
COMMENT ON FUNCTION redshift.ask_lag(regclass) IS 'Asks the source of a materialized view that the caller may read where it ends, without waiting; gives the number of the question';

CREATE FUNCTION redshift.lag_answer(
    question bigint, OUT partition_id text, OUT high_watermark bigint, OUT waiting_seconds float8, OUT error text, OUT source_up boolean
) RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'lag_answer_wrapper';
COMMENT ON FUNCTION redshift.lag_answer(bigint) IS 'Waits for the answer to a question: the end of each partition, or how long the oldest record of each shard waits to be loaded; or a row with what is wrong';

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
    RETURN CASE WHEN "position" IS NULL THEN high_watermark
                WHEN "position" OPERATOR(pg_catalog.~) '^[0-9]{1,18}$' THEN high_watermark OPERATOR(pg_catalog.-) "position"::pg_catalog.int8 END;
COMMENT ON FUNCTION redshift.lag_records(bigint, text) IS 'How many offsets are left; null for a shard, which has none, and for what is no offset';

-- All that are wanted are asked before the first answer is waited for: the numbers of the questions are sorted. A condition on schema_name or mv_name
-- is applied before.
CREATE VIEW redshift.stream_lag WITH (security_barrier) AS
SELECT q.schema_name,
       q.mv_name,
       h.partition_id,
       k.position,
       h.high_watermark,
       redshift.lag_records(h.high_watermark, k.position) AS lag_records,
       -- Before its first record a view is as old as itself. A shard has no offsets: the age of the oldest record that waits.
       CASE WHEN h.high_watermark IS NULL THEN h.waiting_seconds
            ELSE redshift.lag_seconds(redshift.lag_records(h.high_watermark, k.position),
                                      coalesce(k.last_record_time, pg_catalog.timezone('UTC', q.created_at))) END AS lag_seconds,
       CASE WHEN h.error IS NULL THEN
           ((coalesce((SELECT sum(l.scanned) FROM redshift.scan_ledger AS l
                       WHERE l.mv_id = q.mv_id AND l.partition_id = h.partition_id
                         AND l.logged_at > pg_catalog.timezone('UTC', pg_catalog.clock_timestamp()) - interval '1 minute'), 0)
             + coalesce(k.pending_scanned, 0)) / 60.0)::float8 END AS records_per_second,
       h.error
FROM (SELECT v.mv_id, v.created_at, n.nspname AS schema_name, c.relname AS mv_name, redshift.ask_lag(v.mv) AS question
      FROM redshift.materialized_view AS v
      JOIN pg_catalog.pg_class AS c ON c.oid = v.mv
      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      WHERE pg_catalog.has_table_privilege(v.mv, 'SELECT')
      ORDER BY question) AS q
CROSS JOIN LATERAL redshift.lag_answer(q.question) AS h
LEFT JOIN redshift.checkpoint AS k ON k.mv_id = q.mv_id AND k.partition_id = h.partition_id
WHERE k.excluded IS NOT TRUE;
COMMENT ON VIEW redshift.stream_lag IS 'How far each materialized view is behind its topic; records per second over the last minute; or what is wrong';
GRANT SELECT ON redshift.stream_lag TO PUBLIC;
