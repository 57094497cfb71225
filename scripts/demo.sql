CREATE EXTENSION redshift_streaming;

-- An external schema maps the broker; every topic becomes a relation in it.
CALL redshift.create_external_schema('shop', source => 'kafka', uri => :'KAFKA_BOOTSTRAP', authentication => 'none');

-- Is data flowing?
SELECT topic, partition_id, low_watermark, high_watermark, last_record_time FROM redshift.source_status('shop');

-- Peek at the topic: no position moves.
SELECT kafka_partition, kafka_offset, kafka_timestamp, left(convert_from(kafka_value, 'UTF8'), 60) AS kafka_value
FROM shop.orders LIMIT 5;

-- The streaming materialized view: empty at first, each REFRESH brings what is new.
CREATE MATERIALIZED VIEW orders_mv AS
  SELECT kafka_partition, kafka_offset, refresh_time, json_parse(kafka_value) AS data
  FROM shop.orders WHERE can_json_parse(kafka_value);
REFRESH MATERIALIZED VIEW orders_mv;
SELECT count(*) FROM orders_mv;

SELECT data['OrderID']::int4 AS order_id, data['OrderDate']::timestamptz AS order_date, data['Price']::float8 AS price
FROM orders_mv ORDER BY 1 LIMIT 5;

-- Nothing new has arrived, so a second REFRESH adds nothing.
REFRESH MATERIALIZED VIEW orders_mv;
SELECT count(*) FROM orders_mv;

-- What happened, and is the view complete?
SELECT trim(mv_name) AS mv_name, trim(stream_name) AS stream_name, trim(partition_id) AS partition_id,
       trim(latest_position) AS latest_position, scanned_rows, skipped_rows, scanned_bytes
FROM sys_stream_scan_states ORDER BY partition_id;
SELECT trim(mv_name) AS mv_name, trim(refresh_type) AS refresh_type, status, duration FROM sys_mv_refresh_history ORDER BY start_time;
SELECT * FROM redshift.verify('orders_mv');
