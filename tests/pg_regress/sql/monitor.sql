-- The views that tell what happened: Redshift's columns.
\d sys_stream_scan_states
\d sys_stream_scan_errors
\d sys_mv_refresh_history
\d svv_mv_info
\d svv_external_schemas
-- A record larger than the limit is skipped and logged.
CALL redshift.create_external_schema('shop', source => 'kafka', uri => current_setting('test.kafka'), authentication => 'none', topics => 'orders');
SELECT trim(schemaname), esowner = (SELECT oid::int FROM pg_roles WHERE rolname = current_user) AS mine FROM svv_external_schemas;
CREATE MATERIALIZED VIEW v WITH (max_record_bytes = 1, start = '{"0": 2498, "1": 2499, "2": 2500, "3": 2500}') AS SELECT kafka_partition, kafka_offset FROM shop.orders;
REFRESH MATERIALIZED VIEW v;
SELECT count(*) FROM v;
SELECT trim(mv_name) AS mv_name, trim(stream_name) AS stream_name, stream_timestamp_type, trim(partition_id) AS partition_id, trim("position") AS position, error_code, trim(error_reason) AS error_reason
FROM sys_stream_scan_errors ORDER BY 4, 5;
SELECT status FROM sys_mv_refresh_history ORDER BY start_time DESC LIMIT 1;
SELECT trim(schema_name) AS schema_name, trim(name) AS name, state, autorewrite, autorefresh FROM svv_mv_info;
DROP MATERIALIZED VIEW v;
SELECT count(*) FROM svv_mv_info;
DROP SCHEMA shop CASCADE;
SELECT count(*) FROM svv_external_schemas;
