-- Options of a view.
CALL redshift.create_external_schema('shop', source => 'kafka', uri => current_setting('test.kafka'), authentication => 'none', topics => 'orders');
CREATE MATERIALIZED VIEW v WITH (no_such_option = 1) AS SELECT kafka_partition, kafka_offset FROM shop.orders;
CREATE MATERIALIZED VIEW v WITH (on_error = 'skip') AS SELECT kafka_partition, kafka_offset FROM shop.orders;
CREATE MATERIALIZED VIEW v WITH (on_data_loss = 'shrug') AS SELECT kafka_partition, kafka_offset FROM shop.orders;
CREATE MATERIALIZED VIEW v WITH (start = 'whenever') AS SELECT kafka_partition, kafka_offset FROM shop.orders;
CREATE MATERIALIZED VIEW v WITH (start = '{"0": -1}') AS SELECT kafka_partition, kafka_offset FROM shop.orders;
CREATE MATERIALIZED VIEW v WITH (start = '{"0": ') AS SELECT kafka_partition, kafka_offset FROM shop.orders;
CREATE MATERIALIZED VIEW v WITH (max_record_bytes = 0) AS SELECT kafka_partition, kafka_offset FROM shop.orders;
CREATE MATERIALIZED VIEW v WITH (max_record_bytes = 'large') AS SELECT kafka_partition, kafka_offset FROM shop.orders;
CREATE MATERIALIZED VIEW v WITH (offset_index = 'hash') AS SELECT kafka_partition, kafka_offset FROM shop.orders;
CREATE MATERIALIZED VIEW v WITH (partition_by = 'ROUND ROBIN') AS SELECT kafka_partition, kafka_offset FROM shop.orders;
CREATE MATERIALIZED VIEW v WITH (partition_by = 'RANGE (no_such_column)') AS SELECT kafka_partition, kafka_offset FROM shop.orders;
CREATE MATERIALIZED VIEW v WITH (partition_by = 'RANGE (kafka_offset); DROP SCHEMA shop CASCADE') AS SELECT kafka_partition, kafka_offset FROM shop.orders;
CREATE MATERIALIZED VIEW v WITH (start = 'infinity') AS SELECT kafka_partition, kafka_offset FROM shop.orders;
CREATE MATERIALIZED VIEW v WITH (start = '-infinity') AS SELECT kafka_partition, kafka_offset FROM shop.orders;
CREATE MATERIALIZED VIEW v WITH (start = '{"0": 1, "0": 2}') AS SELECT kafka_partition, kafka_offset FROM shop.orders;
CREATE MATERIALIZED VIEW v WITH (start = '{"0": 1, "00": 2}') AS SELECT kafka_partition, kafka_offset FROM shop.orders;
CREATE MATERIALIZED VIEW v WITH (start = 'latest', start = 'earliest') AS SELECT kafka_partition, kafka_offset FROM shop.orders;
CREATE MATERIALIZED VIEW v WITH (autorefresh = on) AS SELECT kafka_partition, kafka_offset FROM shop.orders;
CREATE MATERIALIZED VIEW v AS SELECT FROM shop.orders;
-- Postgres's own stay.
CREATE MATERIALIZED VIEW v WITH (fillfactor = 70, on_data_loss = 'continue') AS SELECT kafka_partition, kafka_offset FROM shop.orders;
SELECT reloptions FROM pg_class WHERE relname = 'v';
ALTER MATERIALIZED VIEW v SET (on_data_loss = 'fail', fillfactor = 80);
ALTER MATERIALIZED VIEW v SET (no_such_option = 1);
ALTER MATERIALIZED VIEW v SET (start = 'latest');
SELECT reloptions FROM pg_class WHERE relname = 'v';
ALTER MATERIALIZED VIEW v SET (on_data_loss = 'fail', on_data_loss = 'continue');
ALTER MATERIALIZED VIEW v RESET (on_data_loss, on_data_loss);
ALTER MATERIALIZED VIEW v SET (on_data_loss = 'Continue');
-- What a setting bounds may be more than that; the setting holds.
ALTER MATERIALIZED VIEW v SET (batch_timeout = '1h', commit_window_ms = '2s');
ALTER MATERIALIZED VIEW v SET (batch_timeout = '30s');
ALTER MATERIALIZED VIEW v SET (batch_timeout = 0);
SELECT batch_timeout, commit_window_ms, on_data_loss, max_record_bytes FROM redshift.materialized_view WHERE mv = 'v'::regclass;
ALTER MATERIALIZED VIEW v RESET (batch_timeout, commit_window_ms);
DROP MATERIALIZED VIEW v;
-- Where to start.
CREATE MATERIALIZED VIEW v WITH (start = 'EARLIEST') AS SELECT kafka_partition, kafka_offset FROM shop.orders;
CALL redshift.set_position('v', NULL, 'Latest');
CALL redshift.set_position('v', NULL, 'infinity');
CALL redshift.set_position('v', NULL, 'Trim_Horizon');
REFRESH MATERIALIZED VIEW v;
SELECT count(*) FROM v;
DROP MATERIALIZED VIEW v;
CREATE MATERIALIZED VIEW v WITH (start = 'latest') AS SELECT kafka_partition, kafka_offset FROM shop.orders;
REFRESH MATERIALIZED VIEW v;
SELECT count(*) FROM v;
DROP MATERIALIZED VIEW v;
CREATE MATERIALIZED VIEW v WITH (start = '{"0": 2400, "1": 2500, "2": 0}') AS SELECT kafka_partition, kafka_offset FROM shop.orders;
REFRESH MATERIALIZED VIEW v;
SELECT kafka_partition, count(*), min(kafka_offset) FROM v GROUP BY 1 ORDER BY 1;
DROP MATERIALIZED VIEW v;
-- Partitions and indexes.
CREATE MATERIALIZED VIEW v WITH (partition_by = 'LIST (kafka_partition)', offset_index = 'btree') AS SELECT kafka_partition, kafka_offset FROM shop.orders;
CREATE TABLE v_0 PARTITION OF v FOR VALUES IN (0);
\d+ v
REFRESH MATERIALIZED VIEW v;
SELECT tableoid::regclass = 'v_0'::regclass AS in_v_0, count(*) FROM v GROUP BY 1 ORDER BY 1;
DROP MATERIALIZED VIEW v;
CREATE MATERIALIZED VIEW v WITH (offset_index = 'btree') AS SELECT kafka_value FROM shop.orders;
DROP MATERIALIZED VIEW v;
DROP SCHEMA shop CASCADE;
