-- SYS_STREAM_SCAN_ERRORS: records that were not loaded. Columns and types are Redshift's; it documents no error codes (ours: redshift.scan_error).
CREATE VIEW sys_stream_scan_errors WITH (security_barrier) AS
SELECT h.external_schema_name::character(128) AS external_schema_name,
       h.stream_name::character(255) AS stream_name,
       h.mv_name::character(128) AS mv_name,
       h.transaction_id,
       e.query_id,
       e.stream_timestamp_type::character(1) AS stream_timestamp_type,
       e.stream_timestamp,
       e.logged_at AS record_time,
       e.partition_id::character(128) AS partition_id,
       e.position::character(128) AS "position",
       e.error_code,
       e.error_reason::character(128) AS error_reason
FROM redshift.scan_error AS e JOIN redshift.refresh_history AS h USING (query_id)
WHERE h.user_id OPERATOR(pg_catalog.=) redshift.current_role_id() OR redshift.sees_everything();
COMMENT ON VIEW sys_stream_scan_errors IS 'Records of a stream that a refresh passed without loading them';
GRANT SELECT ON sys_stream_scan_errors TO PUBLIC;
