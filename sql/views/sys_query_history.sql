-- SYS_QUERY_HISTORY: refreshes that committed or failed, and with redshift.query_history = 'all' whatever else clients ran. What still runs is not
-- shown; what has no counterpart here (queues, compute, compilation, hashes) is null. Durations are in microseconds.
CREATE VIEW sys_query_history WITH (security_barrier) AS
SELECT h.user_id::bigint::integer AS user_id,
       h.query_id,
       NULL::character(320) AS query_label,
       h.transaction_id,
       h.session_id,
       pg_catalog.current_database()::character(128) AS database_name,
       h.query_type::character(32) AS query_type,
       h.status::character(10) AS status,
       false AS result_cache_hit,
       h.start_time,
       h.end_time,
       (EXTRACT(epoch FROM h.end_time - h.start_time) * 1000000)::bigint AS elapsed_time,
       0::bigint AS queue_time,
       h.execution_time,
       h.error_message::character(512) AS error_message,
       h.returned_rows,
       0::bigint AS returned_bytes,
       h.query_text::character(4000) AS query_text,
       NULL::character(256) AS redshift_version,
       NULL::character(150) AS usage_limit,
       NULL::character varying(32) AS compute_type,
       NULL::bigint AS compile_time,
       h.planning_time,
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
FROM (SELECT r.user_id, r.query_id, r.transaction_id, r.session_id, 'OTHER' AS query_type,
             CASE WHEN r.error_message IS NULL THEN 'success' ELSE 'failed' END AS status, r.start_time, r.end_time,
             (EXTRACT(epoch FROM r.end_time - r.start_time) * 1000000)::bigint AS execution_time, r.error_message, 0::bigint AS returned_rows,
             pg_catalog.format('REFRESH MATERIALIZED VIEW %I.%I', r.schema_name, r.mv_name) AS query_text, NULL::bigint AS planning_time
      FROM redshift.refresh_history AS r
      UNION ALL
      SELECT s.user_id, s.query_id, s.transaction_id, s.session_id, s.query_type, s.status, s.start_time, s.end_time,
             s.execution_time, s.error_message, s.returned_rows, s.query_text, s.planning_time
      FROM redshift.statement_history AS s
      -- A REFRESH statement is there twice, unless it was rolled back.
      WHERE NOT EXISTS (SELECT FROM redshift.refresh_history AS r WHERE r.query_id OPERATOR(pg_catalog.=) s.query_id)) AS h
WHERE h.user_id OPERATOR(pg_catalog.=) redshift.current_role_id() OR redshift.sees_everything();
COMMENT ON VIEW sys_query_history IS 'Refreshes, those that failed among them; all statements with redshift.query_history = all';
GRANT SELECT ON sys_query_history TO PUBLIC;

CREATE FUNCTION pg_last_query_id() RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    -- A process id is used again: what an earlier session of that id did is older than this one.
    SELECT coalesce(redshift.last_query_id(), (SELECT max(h.query_id) FROM redshift.refresh_history AS h
                     WHERE h.session_id = pg_backend_pid()
                       AND h.start_time >= (SELECT timezone('UTC', a.backend_start) FROM pg_stat_activity AS a
                                            WHERE a.pid = pg_backend_pid())), -1)
$$;
COMMENT ON FUNCTION pg_last_query_id() IS 'query_id of the last statement of this session that sys_query_history records, -1 if there was none';
