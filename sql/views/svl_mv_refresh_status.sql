-- SVL_MV_REFRESH_STATUS: the older twin of SYS_MV_REFRESH_HISTORY. Columns, types and status texts are Redshift's.
CREATE VIEW svl_mv_refresh_status WITH (security_barrier) AS
SELECT pg_catalog.current_database()::character(128) AS db_name,
       h.user_id::bigint AS userid,
       h.schema_name::character(128) AS schema_name,
       h.mv_name::character(128) AS mv_name,
       h.transaction_id AS xid,
       h.start_time AS starttime,
       h.end_time AS endtime,
       h.status,
       h.refresh_type::character(32) AS refresh_type,
       NULL::character(12) AS consumer_account,
       NULL::character(32) AS consumer_region,
       NULL::character(36) AS consumer_namespace
FROM redshift.refresh_history AS h
WHERE h.user_id OPERATOR(pg_catalog.=) redshift.current_role_id() OR redshift.sees_everything();
COMMENT ON VIEW svl_mv_refresh_status IS 'Refreshes of streaming materialized views';
GRANT SELECT ON svl_mv_refresh_status TO PUBLIC;
