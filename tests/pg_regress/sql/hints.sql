-- Errors of PostgreSQL's own that say what to do.
CALL redshift.create_external_schema('shop', source => 'kafka', uri => current_setting('test.kafka'), authentication => 'none', topics => 'orders');
SELECT * FROM shop.newtopic;
CREATE MATERIALIZED VIEW v AS SELECT * FROM shop."New topic";
SELECT * FROM public.newtopic;
SELECT * FROM newtopic;
SELECT json_parse('{"a": 1}')['a'];
SELECT 'ö', json_parse('{"a": 1}') ['a'];
SELECT ['a'];
CREATE ROLE hints_nobody;
GRANT CREATE ON DATABASE pg_regress TO hints_nobody;
SET ROLE hints_nobody;
CALL redshift.create_external_schema('mine', source => 'kafka', uri => 'localhost:9092', authentication => 'none');
CREATE SERVER mine TYPE 'kafka' FOREIGN DATA WRAPPER redshift_streaming OPTIONS (uri 'localhost:9092');
RESET ROLE;
REVOKE CREATE ON DATABASE pg_regress FROM hints_nobody;
DROP ROLE hints_nobody;
-- Names in triggers.
CREATE TABLE audit (n bigint);
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit VALUES (NEW.kafka_offset); RETURN NEW; END $$;
CREATE MATERIALIZED VIEW v WITH (start = '{"0": 2499, "1": 2500, "2": 2500, "3": 2500}') AS SELECT kafka_partition, kafka_offset FROM shop.orders;
CREATE TRIGGER audit BEFORE INSERT ON v FOR EACH ROW EXECUTE FUNCTION audit();
REFRESH MATERIALIZED VIEW v;
ALTER FUNCTION audit() SET search_path = public;
REFRESH MATERIALIZED VIEW v;
SELECT count(*) FROM audit;
-- A refresh inside a refresh, of another view and of the same.
CREATE MATERIALIZED VIEW w AS SELECT kafka_partition, kafka_offset FROM shop.orders;
CREATE OR REPLACE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN REFRESH MATERIALIZED VIEW public.w; RETURN NEW; END $$;
CALL redshift.set_position('v', 0, 2499);
REFRESH MATERIALIZED VIEW v;
CREATE OR REPLACE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN REFRESH MATERIALIZED VIEW public.v; RETURN NEW; END $$;
REFRESH MATERIALIZED VIEW v;
ALTER MATERIALIZED VIEW v SET (autorefresh = on);
ALTER MATERIALIZED VIEW v SET (fillfactor = 5);
DROP MATERIALIZED VIEW v, w;
DROP FUNCTION audit;
DROP TABLE audit;
DROP SCHEMA shop CASCADE;
