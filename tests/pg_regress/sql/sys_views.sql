-- Redshift's other system views: columns in its order, with its types.
SELECT c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod) AS type
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relname IN ('svl_mv_refresh_status', 'stv_mv_info', 'svv_mv_dependency', 'sys_mv_state', 'svv_external_tables', 'svv_external_columns', 'sys_query_history')
ORDER BY 1, 2;
SELECT pg_last_query_id();
CALL redshift.create_external_schema('shop', source => 'kafka', uri => current_setting('test.kafka'), authentication => 'none', topics => 'orders');
CREATE MATERIALIZED VIEW "My view" WITH (start = '{"0": 2498, "1": 2499, "2": 2500, "3": 2500}') AS SELECT kafka_partition, kafka_offset FROM shop.orders;
SELECT updated_upto_xid FROM stv_mv_info;
-- In words.
SELECT regexp_replace(regexp_replace(redshift.status('"My view"'), '\d{4}-\d\d-\d\d \d\d:\d\d:\d\d', 'TIME', 'g'), '[0-9.?]+ s$', 'N s', 'n') AS status;
REFRESH MATERIALIZED VIEW "My view";
SELECT pg_last_query_id() = (SELECT max(query_id) FROM sys_query_history) AS last;
SELECT trim(query_type) AS query_type, trim(status) AS status, trim(query_text) AS query_text, elapsed_time >= 0 AS elapsed, session_id = pg_backend_pid() AS session, trim(username) = CURRENT_USER AS username
FROM sys_query_history ORDER BY query_id DESC LIMIT 1;
SELECT trim(schema_name) AS schema_name, trim(mv_name) AS mv_name, status, trim(refresh_type) AS refresh_type FROM svl_mv_refresh_status ORDER BY starttime DESC LIMIT 1;
SELECT trim(schema) AS schema, trim(name) AS name, is_stale, state, autorewrite, autorefresh,
       updated_upto_xid = (SELECT transaction_id FROM sys_query_history ORDER BY query_id DESC LIMIT 1) AS upto
FROM stv_mv_info;
SELECT trim(schema_name) AS schema_name, trim(name) AS name, trim(dependent_schema_name) AS on_schema, trim(dependent_name) AS on_name FROM svv_mv_dependency;
SELECT schemaname, tablename, tabletype, compressed, parameters FROM svv_external_tables;
SELECT columnname, external_type, columnnum, part_key, is_nullable FROM svv_external_columns ORDER BY columnnum;
SELECT regexp_replace(regexp_replace(redshift.status('"My view"'), '\d{4}-\d\d-\d\d \d\d:\d\d:\d\d', 'TIME', 'g'), '[0-9.?]+ s$', 'N s', 'n') AS status;
SELECT redshift.status('pg_class');
-- With auto refresh; no worker sees this transaction.
BEGIN;
UPDATE redshift.materialized_view SET auto_refresh = true;
SELECT regexp_replace(regexp_replace(redshift.status('"My view"'), '\d{4}-\d\d-\d\d \d\d:\d\d:\d\d', 'TIME', 'g'), '[0-9.?]+ s$', 'N s', 'n') AS status;
INSERT INTO redshift.auto_refresh_state (mv_id, worker, pid, state, last_error, blocked_by) SELECT mv_id, 0, 0, 'failed', 'the broker is away', 42 FROM redshift.materialized_view;
SELECT regexp_replace(regexp_replace(redshift.status('"My view"'), '\d{4}-\d\d-\d\d \d\d:\d\d:\d\d', 'TIME', 'g'), '[0-9.?]+ s$', 'N s', 'n') AS status;
ROLLBACK;
SELECT count(*) FROM sys_mv_state;
-- Others see only what is theirs.
CREATE ROLE sys_views_reader;
SET ROLE sys_views_reader;
SELECT (SELECT count(*) FROM svl_mv_refresh_status) AS refreshes, (SELECT count(*) FROM sys_query_history) AS queries,
       (SELECT count(*) FROM stv_mv_info) AS views, (SELECT count(*) FROM svv_mv_dependency) AS dependencies,
       (SELECT count(*) FROM sys_mv_state) AS states, (SELECT count(*) FROM svv_external_tables) AS tables,
       (SELECT count(*) FROM svv_external_columns) AS columns;
RESET ROLE;
GRANT USAGE ON SCHEMA shop TO sys_views_reader;
GRANT SELECT ON "My view" TO sys_views_reader;
SET ROLE sys_views_reader;
SELECT (SELECT count(*) FROM svl_mv_refresh_status) AS refreshes, (SELECT count(*) FROM sys_query_history) AS queries,
       (SELECT count(*) FROM stv_mv_info) AS views, (SELECT count(*) FROM svv_mv_dependency) AS dependencies,
       (SELECT count(*) FROM svv_external_tables) AS tables;
SELECT regexp_replace(regexp_replace(redshift.status('"My view"'), '\d{4}-\d\d-\d\d \d\d:\d\d:\d\d', 'TIME', 'g'), '[0-9.?]+ s$', 'N s', 'n') AS status;
RESET ROLE;
-- Without its topic a view can not be refreshed.
DROP SCHEMA shop CASCADE;
SELECT trim(event_desc) AS event_desc, trim(base_table_schema) AS base_schema, trim(base_table_name) AS base_name, trim(mv_name) AS mv_name, trim(state) AS state FROM sys_mv_state;
SELECT trim(name) AS name, state FROM stv_mv_info;
DROP MATERIALIZED VIEW "My view";
SELECT (SELECT count(*) FROM sys_mv_state) AS states, (SELECT count(*) FROM stv_mv_info) AS views;
DROP ROLE sys_views_reader;
