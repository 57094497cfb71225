-- The session of the README.
CALL redshift.create_external_schema('shop', source => 'kafka', uri => current_setting('test.kafka'), authentication => 'none', topics => 'orders');
CREATE MATERIALIZED VIEW orders_mv AS
  SELECT kafka_partition, kafka_offset, refresh_time, json_parse(kafka_value) AS data
  FROM shop.orders WHERE can_json_parse(kafka_value);
SELECT count(*) FROM orders_mv;
\d orders_mv
REFRESH MATERIALIZED VIEW orders_mv;
SELECT count(*), count(DISTINCT (kafka_partition, kafka_offset)), count(DISTINCT refresh_time) FROM orders_mv;
SELECT data['OrderID']::int4 AS order_id, data['OrderDate']::timestamptz AS order_date, data['Price']::float8 AS price FROM orders_mv ORDER BY 1 LIMIT 5;
REFRESH MATERIALIZED VIEW orders_mv;
SELECT count(*) FROM orders_mv;
SELECT trim(mv_name) AS mv_name, trim(external_schema_name) AS external_schema_name, trim(stream_name) AS stream_name, trim(partition_id) AS partition_id,
       trim(latest_position) AS latest_position, scanned_rows, skipped_rows FROM sys_stream_scan_states WHERE scanned_rows > 0 ORDER BY 4;
SELECT trim(mv_name) AS mv_name, trim(refresh_type) AS refresh_type, status FROM sys_mv_refresh_history ORDER BY start_time;
SELECT * FROM redshift.verify('orders_mv') ORDER BY partition_id;
-- Alterations.
ALTER MATERIALIZED VIEW orders_mv RENAME COLUMN data TO payload;
ALTER MATERIALIZED VIEW orders_mv RENAME TO orders_view;
CREATE SCHEMA elsewhere;
ALTER MATERIALIZED VIEW orders_view SET SCHEMA elsewhere;
REFRESH MATERIALIZED VIEW elsewhere.orders_view;
COMMENT ON MATERIALIZED VIEW elsewhere.orders_view IS 'orders';
SELECT obj_description('elsewhere.orders_view'::regclass);
CREATE INDEX ON elsewhere.orders_view (((payload)['OrderID']::int4));
ALTER TABLE elsewhere.orders_view DROP COLUMN payload;
DELETE FROM elsewhere.orders_view WHERE kafka_partition > 0;
SELECT count(*) FROM elsewhere.orders_view;
TRUNCATE elsewhere.orders_view;
REFRESH MATERIALIZED VIEW elsewhere.orders_view;
SELECT count(*) FROM elsewhere.orders_view;
DROP MATERIALIZED VIEW elsewhere.orders_view;
DROP MATERIALIZED VIEW elsewhere.orders_view;
DROP MATERIALIZED VIEW IF EXISTS elsewhere.orders_view;
DROP SCHEMA elsewhere;
-- Bounded steps and positions.
CREATE MATERIALIZED VIEW steps AS SELECT kafka_partition, kafka_offset FROM shop.orders;
CALL redshift.refresh('steps', max_records => 0);
-- Only partition 0 has anything left: which partition comes first is the network's choice.
CALL redshift.set_position('steps', NULL, 2500);
CALL redshift.set_position('steps', 0, 0);
TRUNCATE steps;
CALL redshift.refresh('steps', max_records => 1000);
SELECT kafka_partition, count(*), max(kafka_offset) FROM steps GROUP BY 1;
CALL redshift.set_position('steps', 1, '2000');
CALL redshift.set_position('steps', '4', '0');
CALL redshift.set_position('steps', '0', 'first');
CALL redshift.refresh('steps');
SELECT count(*) = count(DISTINCT (kafka_partition, kafka_offset)) AS once FROM steps;
REFRESH MATERIALIZED VIEW CONCURRENTLY steps;
REFRESH MATERIALIZED VIEW steps WITH NO DATA;
DROP MATERIALIZED VIEW steps;
DROP SCHEMA shop CASCADE;
