-- SYS_MV_REFRESH_HISTORY: one row for each refresh. Columns, types and status texts are Redshift's; duration is in microseconds.
CREATE VIEW sys_mv_refresh_history WITH (security_barrier) AS
SELECT h.user_id::bigint::integer AS user_id,
       h.session_id,
       h.transaction_id,
       pg_catalog.current_database()::character(128) AS database_name,
       h.schema_name::character(128) AS schema_name,
       h.mv_oid::bigint AS mv_id,
       h.mv_name::character(128) AS mv_name,
       h.refresh_type::character(32) AS refresh_type,
       h.status,
       h.start_time,
       h.end_time,
       (EXTRACT(epoch FROM h.end_time - h.start_time) * 1000000)::bigint AS duration,
       NULL::character(12) AS consumer_account,
       NULL::character(32) AS consumer_region,
       NULL::character(36) AS consumer_namespace
FROM redshift.refresh_history AS h
WHERE h.user_id OPERATOR(pg_catalog.=) redshift.current_role_id() OR redshift.sees_everything();
COMMENT ON VIEW sys_mv_refresh_history IS 'Refreshes of streaming materialized views';
GRANT SELECT ON sys_mv_refresh_history TO PUBLIC;
