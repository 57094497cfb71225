-- Definitions that cannot be kept up by reading only what is new: each is refused at CREATE, with a hint.
CALL redshift.create_external_schema('shop', source => 'kafka', uri => current_setting('test.kafka'), authentication => 'none', topics => 'orders');
CREATE TABLE side (n bigint);
CREATE VIEW above AS SELECT * FROM shop.orders;
CREATE MATERIALIZED VIEW v AS SELECT count(*) FROM shop.orders;
CREATE MATERIALIZED VIEW v AS SELECT kafka_partition FROM shop.orders GROUP BY 1;
CREATE MATERIALIZED VIEW v AS SELECT kafka_partition FROM shop.orders GROUP BY GROUPING SETS ((kafka_partition), ());
CREATE MATERIALIZED VIEW v AS SELECT DISTINCT kafka_partition FROM shop.orders;
CREATE MATERIALIZED VIEW v AS SELECT DISTINCT ON (kafka_partition) kafka_offset FROM shop.orders;
CREATE MATERIALIZED VIEW v AS SELECT kafka_offset FROM shop.orders ORDER BY 1;
CREATE MATERIALIZED VIEW v AS SELECT kafka_offset FROM shop.orders LIMIT 5;
CREATE MATERIALIZED VIEW v AS SELECT kafka_offset FROM shop.orders OFFSET 5;
CREATE MATERIALIZED VIEW v AS SELECT row_number() OVER () AS n FROM shop.orders;
CREATE MATERIALIZED VIEW v AS SELECT kafka_offset FROM shop.orders UNION ALL SELECT 1;
CREATE MATERIALIZED VIEW v AS SELECT kafka_offset FROM shop.orders INTERSECT SELECT 1;
CREATE MATERIALIZED VIEW v AS WITH x AS (SELECT kafka_offset FROM shop.orders) SELECT * FROM x;
CREATE MATERIALIZED VIEW v AS SELECT * FROM (SELECT kafka_offset FROM shop.orders) x;
CREATE MATERIALIZED VIEW v AS SELECT a.kafka_offset FROM shop.orders a, shop.orders b;
CREATE MATERIALIZED VIEW v AS SELECT a.kafka_offset FROM shop.orders a JOIN shop.orders b USING (kafka_offset);
CREATE MATERIALIZED VIEW v AS SELECT kafka_offset FROM shop.orders JOIN side ON n = kafka_offset;
CREATE MATERIALIZED VIEW v AS SELECT kafka_offset FROM shop.orders LEFT JOIN side ON n = kafka_offset;
CREATE MATERIALIZED VIEW v AS SELECT kafka_offset FROM shop.orders WHERE kafka_offset IN (SELECT n FROM side);
CREATE MATERIALIZED VIEW v AS SELECT kafka_offset, (SELECT max(n) FROM side) AS n FROM shop.orders;
CREATE MATERIALIZED VIEW v AS SELECT kafka_offset FROM above;
CREATE MATERIALIZED VIEW v AS SELECT kafka_offset FROM shop.orders FOR SHARE;
CREATE MATERIALIZED VIEW v AS SELECT kafka_offset, generate_series(1, 2) AS n FROM shop.orders;
-- What may be there: a function of the record's own columns.
CREATE MATERIALIZED VIEW v AS SELECT o.kafka_offset, x.n FROM shop.orders o, LATERAL generate_series(1, 2) x (n);
REFRESH MATERIALIZED VIEW v;
SELECT count(*) FROM v;
DROP MATERIALIZED VIEW v;
-- And what of Postgres's own statement has no meaning here.
CREATE TEMPORARY TABLE t AS SELECT 1 AS n;
CREATE MATERIALIZED VIEW pg_temp.v AS SELECT kafka_offset FROM shop.orders;
CREATE UNLOGGED TABLE u AS SELECT kafka_offset FROM shop.orders LIMIT 3;
SELECT count(*) FROM u;
SELECT relname, relkind FROM pg_class WHERE relname = 'v';
DROP TABLE side, u;
DROP SCHEMA shop CASCADE;
