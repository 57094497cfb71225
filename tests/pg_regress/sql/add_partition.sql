-- A range becomes a partition of its own, although rows of it are in the default partition.
CALL redshift.create_external_schema('shop', source => 'kafka', uri => current_setting('test.kafka'), authentication => 'none', topics => 'orders');
CREATE MATERIALIZED VIEW v WITH (partition_by = 'RANGE (kafka_offset)', offset_index = 'btree') AS
  SELECT kafka_partition, kafka_offset, kafka_timestamp, kafka_value FROM shop.orders;
ALTER TABLE v ADD COLUMN size int GENERATED ALWAYS AS (kafka_offset % 10) STORED, ADD COLUMN gone int, ADD COLUMN loaded timestamptz DEFAULT now(), ADD CHECK (kafka_offset >= 0);
ALTER TABLE v DROP COLUMN gone;
CREATE INDEX ON v (kafka_timestamp);
REFRESH MATERIALIZED VIEW v;
CREATE TABLE v_low PARTITION OF v FOR VALUES FROM (0) TO (1000);
CALL redshift.add_partition('v', '0', '1000', 'v_low');
CALL redshift.add_partition('v', '1000', '2000');
CALL redshift.add_partition('v', '2000', NULL, 'v_high');
SELECT tableoid::regclass, count(*), min(kafka_offset), max(kafka_offset), sum(size) FROM v GROUP BY 1 ORDER BY 1;
\d v_1000
SELECT c.relname, count(*) FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid WHERE c.relname LIKE 'v\_%' AND c.relkind = 'r' GROUP BY 1 ORDER BY 1;
SELECT bool_and(ok) FROM redshift.verify('v');
CALL redshift.set_position('v', NULL, 'earliest');
TRUNCATE v;
REFRESH MATERIALIZED VIEW v;
SELECT tableoid::regclass, count(*) FROM v GROUP BY 1 ORDER BY 1;
-- A rollback takes it back.
CREATE MATERIALIZED VIEW w WITH (partition_by = 'RANGE (date_trunc(''day'', kafka_timestamp))') AS SELECT kafka_partition, kafka_offset, kafka_timestamp FROM shop.orders;
REFRESH MATERIALIZED VIEW w;
BEGIN;
CALL redshift.add_partition('w', '2026-01-01', '2027-01-01');
SELECT count(*) FROM ONLY w_2026_01_01;
ROLLBACK;
SELECT count(*) FROM w_default;
-- What cannot be.
CALL redshift.add_partition('w', '2026-01-01', '2026-01-01');
CALL redshift.add_partition('w', 'soon', 'later');
CALL redshift.add_partition('w', '2026-01-01', '2027-01-01', repeat('n', 64));
CREATE TABLE refers (n bigint);
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'deleted'; RETURN OLD; END $$;
CREATE TRIGGER told BEFORE DELETE ON w FOR EACH ROW EXECUTE FUNCTION tell();
CALL redshift.add_partition('w', '2026-01-01', '2027-01-01');
ALTER TABLE w_default DISABLE TRIGGER told;
CREATE ROLE add_partition_owner;
SET ROLE add_partition_owner;
CALL redshift.add_partition('w', '2026-01-01', '2027-01-01');
RESET ROLE;
-- Done by a superuser it is the owner's all the same.
GRANT CREATE ON SCHEMA public TO add_partition_owner;
GRANT USAGE ON SCHEMA shop TO add_partition_owner;
ALTER MATERIALIZED VIEW w OWNER TO add_partition_owner;
ALTER TABLE w_default OWNER TO add_partition_owner;
CALL redshift.add_partition('w', '2026-01-01', '2027-01-01');
SELECT relowner::regrole FROM pg_class WHERE relname = 'w_2026_01_01';
DROP MATERIALIZED VIEW w;
DROP OWNED BY add_partition_owner;
DROP ROLE add_partition_owner;
CREATE MATERIALIZED VIEW l WITH (partition_by = 'LIST (kafka_partition)') AS SELECT kafka_partition, kafka_offset FROM shop.orders;
CALL redshift.add_partition('l', '0', '1');
DROP MATERIALIZED VIEW l;
CREATE MATERIALIZED VIEW plain AS SELECT kafka_partition, kafka_offset FROM shop.orders;
CALL redshift.add_partition('plain', '0', '1');
CALL redshift.add_partition('refers', '0', '1');
DROP MATERIALIZED VIEW plain;
-- Without a default partition a record has to have one.
CREATE MATERIALIZED VIEW n WITH (default_partition = off) AS SELECT kafka_partition, kafka_offset FROM shop.orders;
CREATE MATERIALIZED VIEW n WITH (partition_by = 'RANGE (kafka_offset)', default_partition = off) AS SELECT kafka_partition, kafka_offset FROM shop.orders;
REFRESH MATERIALIZED VIEW n;
CALL redshift.add_partition('n', NULL, '1000');
CALL redshift.add_partition('n', '1000', NULL);
REFRESH MATERIALIZED VIEW n;
SELECT tableoid::regclass, count(*) FROM n GROUP BY 1 ORDER BY 1;
DROP MATERIALIZED VIEW v, n;
DROP TABLE refers;
DROP FUNCTION tell;
DROP SCHEMA shop CASCADE;
