-- SYS_QUERY_HISTORY: one row for each refresh that committed or failed. Other statements, and refreshes that still run, are not
-- recorded; what has no counterpart here (queues, compute, compilation, hashes) is null. Durations are in microseconds.
CREATE VIEW sys_query_history WITH (security_barrier) AS
SELECT h.user_id::bigint::integer AS user_id,
       h.query_id,
       NULL::character(320) AS query_label,
       h.transaction_id,
       h.session_id,
       pg_catalog.current_database()::character(128) AS database_name,
       'OTHER'::character(32) AS query_type,
       CASE WHEN h.error_message IS NULL THEN 'success' ELSE 'failed' END::character(10) AS status,
       false AS result_cache_hit,
       h.start_time,
       h.end_time,
       (EXTRACT(epoch FROM h.end_time - h.start_time) * 1000000)::bigint AS elapsed_time,
       0::bigint AS queue_time,
       (EXTRACT(epoch FROM h.end_time - h.start_time) * 1000000)::bigint AS execution_time,
       h.error_message::character(512) AS error_message,
       0::bigint AS returned_rows,
       0::bigint AS returned_bytes,
       pg_catalog.format('REFRESH MATERIALIZED VIEW %I.%I', h.schema_name, h.mv_name)::character(4000) AS query_text,
       NULL::character(256) AS redshift_version,
       NULL::character(150) AS usage_limit,
       NULL::character varying(32) AS compute_type,
       NULL::bigint AS compile_time,
       NULL::bigint AS planning_time,
       NULL::bigint AS lock_wait_time,
       NULL::integer AS service_class_id,
       NULL::character(64) AS service_class_name,
       NULL::character(20) AS query_priority,
       NULL::character(10) AS short_query_accelerated,
       NULL::character(40) AS user_query_hash,
       NULL::character(40) AS generic_query_hash,
       NULL::integer AS query_hash_version,
       NULL::integer AS result_cache_query_id,
       pg_catalog.pg_get_userbyid(h.user_id)::character(128) AS username
FROM redshift.refresh_history AS h
WHERE h.user_id OPERATOR(pg_catalog.=) CURRENT_USER::regrole::oid OR redshift.sees_everything();
COMMENT ON VIEW sys_query_history IS 'Refreshes, those that failed among them; other statements are not recorded';
GRANT SELECT ON sys_query_history TO PUBLIC;

CREATE FUNCTION pg_last_query_id() RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    -- A process id is used again: what an earlier session of that id did is older than this one.
    SELECT coalesce((SELECT max(h.query_id) FROM redshift.refresh_history AS h
                     WHERE h.session_id = pg_backend_pid()
                       AND h.start_time >= (SELECT timezone('UTC', a.backend_start) FROM pg_stat_activity AS a
                                            WHERE a.pid = pg_backend_pid())), -1)
$$;
COMMENT ON FUNCTION pg_last_query_id() IS 'query_id of the last refresh of this session, -1 if there was none';
