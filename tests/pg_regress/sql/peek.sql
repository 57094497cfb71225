-- Reading a stream without landing it.
CALL redshift.create_external_schema('shop', source => 'kafka', uri => current_setting('test.kafka'), authentication => 'none', topics => 'orders');
SELECT count(*), count(DISTINCT kafka_partition), min(kafka_offset), max(kafka_offset) FROM shop.orders;
SELECT kafka_partition, kafka_offset, kafka_timestamp_type, kafka_key::bytea, kafka_headers FROM shop.orders WHERE kafka_offset < 2 ORDER BY 1, 2;
SELECT convert_from(kafka_value::bytea, 'UTF8') FROM shop.orders WHERE kafka_partition = 1 AND kafka_offset = 0;
SELECT count(*) FROM (SELECT * FROM shop.orders LIMIT 5) x;
EXPLAIN (COSTS OFF) SELECT * FROM shop.orders;
EXPLAIN (COSTS OFF) SELECT kafka_value FROM shop.orders WHERE kafka_partition = 2 AND kafka_offset >= 2490;
EXPLAIN (COSTS OFF) SELECT kafka_value FROM shop.orders WHERE kafka_partition IN (0, 3) AND kafka_offset BETWEEN 10 AND 20;
EXPLAIN (COSTS OFF) SELECT kafka_value FROM shop.orders WHERE kafka_timestamp >= '2026-01-01';
EXPLAIN (COSTS OFF) SELECT kafka_value FROM shop.orders LIMIT 5;
INSERT INTO shop.orders (kafka_offset) VALUES (1);
EXPLAIN INSERT INTO shop.orders (kafka_offset) VALUES (1);
COPY shop.orders (kafka_offset) FROM PROGRAM 'echo 1';
UPDATE shop.orders SET kafka_offset = 1;
DELETE FROM shop.orders;
TRUNCATE shop.orders;
SELECT pg_relation_is_updatable('shop.orders', false);
DROP SCHEMA shop CASCADE;
