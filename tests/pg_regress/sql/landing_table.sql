-- What would part rows from positions is refused: a table that a crash empties, a partition whose rows commit elsewhere, a rule that takes rows away.
CALL redshift.create_external_schema('shop', source => 'kafka', uri => current_setting('test.kafka'), authentication => 'none', topics => 'orders');
CREATE UNLOGGED MATERIALIZED VIEW v AS SELECT kafka_partition, kafka_offset FROM shop.orders;
CREATE MATERIALIZED VIEW v AS SELECT kafka_partition, kafka_offset, kafka_value FROM shop.orders;
ALTER MATERIALIZED VIEW v SET UNLOGGED;
ALTER TABLE v SET UNLOGGED;
ALTER TABLE v ADD COLUMN n int, SET UNLOGGED;
CREATE RULE r AS ON INSERT TO v DO INSTEAD NOTHING;
CREATE RULE r AS ON INSERT TO v DO ALSO NOTIFY here;
CREATE MATERIALIZED VIEW p WITH (partition_by = 'LIST (kafka_partition)') AS SELECT kafka_partition, kafka_offset, kafka_value FROM shop.orders;
ALTER TABLE p SET UNLOGGED;
ALTER TABLE p_default SET UNLOGGED;
CREATE UNLOGGED TABLE p_0 PARTITION OF p FOR VALUES IN (0);
CREATE UNLOGGED TABLE p_0 (LIKE p);
ALTER TABLE p ATTACH PARTITION p_0 FOR VALUES IN (0);
ALTER TABLE p_0 SET LOGGED;
ALTER TABLE p ATTACH PARTITION p_0 FOR VALUES IN (0);
ALTER TABLE p_0 SET UNLOGGED;
CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1) PARTITION BY RANGE (kafka_offset);
CREATE UNLOGGED TABLE p_1_low PARTITION OF p_1 FOR VALUES FROM (0) TO (1000);
CREATE TABLE p_1_low PARTITION OF p_1 FOR VALUES FROM (0) TO (10000);
ALTER TABLE p_1_low SET UNLOGGED;
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE p_8 PARTITION OF p FOR VALUES IN (8) SERVER files OPTIONS (filename '/dev/null');
CREATE FOREIGN TABLE p_9 (kafka_partition bigint, kafka_offset bigint, kafka_value varbyte) SERVER files OPTIONS (filename '/dev/null');
ALTER TABLE p ATTACH PARTITION p_9 FOR VALUES IN (9);
ALTER TABLE p_1_low ADD CONSTRAINT late UNIQUE (kafka_offset) DEFERRABLE;
-- Those of tables that are none of ours are taken.
CREATE UNLOGGED TABLE other (n int) PARTITION BY LIST (n);
CREATE UNLOGGED TABLE other_1 PARTITION OF other FOR VALUES IN (1);
ALTER TABLE other_1 SET LOGGED;
ALTER TABLE other_1 SET UNLOGGED;
CREATE RULE r AS ON INSERT TO other DO INSTEAD NOTHING;
REFRESH MATERIALIZED VIEW p;
SELECT tableoid::regclass, count(*) FROM p GROUP BY 1 ORDER BY 1;
-- What was there before is shown.
UPDATE pg_class SET relpersistence = 'u' WHERE relname = 'p_0';
SELECT ok, note FROM redshift.verify('p') LIMIT 1;
SELECT split_part(redshift.status('p'), E'\n', 7) AS status;
UPDATE pg_class SET relpersistence = 'p' WHERE relname = 'p_0';
SELECT ok, note FROM redshift.verify('p') LIMIT 1;
-- A rule that is there all the same is seen when rows would go through it.
CREATE TABLE elsewhere (LIKE v);
UPDATE redshift.materialized_view SET mv = 'elsewhere' WHERE mv = 'v'::regclass;
CREATE RULE r AS ON INSERT TO v DO INSTEAD INSERT INTO elsewhere VALUES (new.*);
UPDATE redshift.materialized_view SET mv = 'v' WHERE mv = 'elsewhere'::regclass;
REFRESH MATERIALIZED VIEW v;
DROP RULE r ON v;
-- Columns that are renamed through a parent stay what the definition fills.
CREATE TABLE parent (kafka_offset bigint, kafka_value varbyte);
ALTER TABLE v INHERIT parent;
ALTER TABLE parent RENAME COLUMN kafka_value TO payload;
SELECT attname FROM pg_attribute WHERE attrelid = 'v_definition'::regclass ORDER BY attnum;
REFRESH MATERIALIZED VIEW v;
SELECT count(payload) FROM parent;
-- And if the names part all the same, the error says what to do.
UPDATE pg_attribute SET attname = 'bytes' WHERE attrelid = 'v'::regclass AND attname = 'payload';
CALL redshift.set_position('v', 0, 2499);
REFRESH MATERIALIZED VIEW v;
UPDATE pg_attribute SET attname = 'payload' WHERE attrelid = 'v'::regclass AND attname = 'bytes';
REFRESH MATERIALIZED VIEW v;
-- Every table of ours can be published: it has a key.
SELECT c.oid::regclass FROM pg_class AS c
WHERE c.relnamespace = 'redshift'::regnamespace AND c.relkind = 'r' AND NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary);
DROP MATERIALIZED VIEW v, p;
DROP TABLE parent, other, elsewhere;
DROP EXTENSION file_fdw CASCADE;
DROP SCHEMA shop CASCADE;
