-- SYS_STREAM_SCAN_STATES: what was read of each partition. Columns and types are Redshift's.
CREATE VIEW sys_stream_scan_states WITH (security_barrier) AS
SELECT h.external_schema_name::character(128) AS external_schema_name,
       h.stream_name::character(255) AS stream_name,
       h.mv_name::character(128) AS mv_name,
       h.transaction_id,
       l.query_id,
       l.logged_at AS record_time,
       l.partition_id::character(128) AS partition_id,
       l.latest_position::character(128) AS latest_position,
       l.scanned AS scanned_rows,
       l.skipped AS skipped_rows,
       l.bytes AS scanned_bytes,
       l.record_time_min AS stream_record_time_min,
       l.record_time_max AS stream_record_time_max
FROM redshift.scan_ledger AS l JOIN redshift.refresh_history AS h USING (query_id)
WHERE h.user_id OPERATOR(pg_catalog.=) redshift.current_role_id() OR redshift.sees_everything();
COMMENT ON VIEW sys_stream_scan_states IS 'What each refresh read of each partition of a stream';
GRANT SELECT ON sys_stream_scan_states TO PUBLIC;
