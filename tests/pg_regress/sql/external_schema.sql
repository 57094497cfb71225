-- An external schema over a broker: server, schema, one relation per topic.
CALL redshift.create_external_schema('shop', source => 'kafka', uri => current_setting('test.kafka'), authentication => 'none', topics => 'orders');
\d shop.orders
SELECT srvname, srvtype FROM pg_foreign_server ORDER BY 1;
SELECT topic, partition_id, low_watermark, high_watermark, last_record_time IS NOT NULL AS has_time FROM redshift.source_status('shop') ORDER BY 2;
-- Again.
CALL redshift.create_external_schema('shop', source => 'kafka', uri => current_setting('test.kafka'), authentication => 'none', topics => 'orders');
CALL redshift.create_external_schema('shop', source => 'kafka', uri => current_setting('test.kafka'), authentication => 'none', topics => 'orders', if_not_exists => true);
CALL redshift.sync_external_schema('shop');
-- What makes no sense.
CALL redshift.create_external_schema('other', source => 'rabbit', uri => 'localhost:9092', authentication => 'none');
CALL redshift.create_external_schema('other', source => 'kafka', uri => 'localhost:9092', authentication => 'magic');
CALL redshift.create_external_schema('other', source => 'kafka', authentication => 'none');
CALL redshift.create_external_schema('other', source => 'kafka', uri => '', authentication => 'none');
CALL redshift.create_external_schema('', source => 'kafka', uri => 'localhost:9092', authentication => 'none');
CALL redshift.create_external_schema('pg_mine', source => 'kafka', uri => 'localhost:9092', authentication => 'none');
CALL redshift.sync_external_schema('nobody');
CALL redshift.sync_external_schema('public');
SELECT * FROM redshift.source_status('nobody');
-- Dropping it.
DROP SCHEMA shop;
DROP SCHEMA shop CASCADE;
SELECT count(*) FROM pg_foreign_server;
