CREATE SEQUENCE redshift.query_id_seq;

CREATE TABLE redshift.refresh_history (
    query_id bigint PRIMARY KEY,
    mv_id bigint NOT NULL,
    mv_oid oid NOT NULL,
    schema_name text NOT NULL,
    mv_name text NOT NULL,
    external_schema_name text NOT NULL,
    stream_name text NOT NULL,
    user_id oid NOT NULL,
    session_id integer NOT NULL,
    transaction_id bigint NOT NULL,
    refresh_type text NOT NULL,
    status text NOT NULL,
    start_time timestamp NOT NULL,
    end_time timestamp NOT NULL,
    rows_inserted bigint NOT NULL,
    error_message text
);
CREATE INDEX ON redshift.refresh_history (mv_id, query_id);
COMMENT ON TABLE redshift.refresh_history IS 'Refreshes; sys_mv_refresh_history reads it. Those that failed are written by a worker. Times are UTC';
CREATE INDEX ON redshift.refresh_history (start_time);

CREATE TABLE redshift.scan_ledger (
    query_id bigint NOT NULL,
    mv_id bigint NOT NULL,
    partition_id text NOT NULL CHECK (partition_id OPERATOR(pg_catalog.~) '^[A-Za-z0-9_.-]{1,20}$'),
    first_position text NOT NULL CHECK (first_position OPERATOR(pg_catalog.~) '^(earliest|0|[1-9][0-9]{0,128}|@(0|[1-9][0-9]{0,18}))$'),
    end_position text NOT NULL CHECK (end_position OPERATOR(pg_catalog.~) '^(earliest|0|[1-9][0-9]{0,128}|@(0|[1-9][0-9]{0,18}))$'),
    latest_position text CHECK (latest_position OPERATOR(pg_catalog.~) '^(0|[1-9][0-9]{0,128})$'),
    scanned bigint NOT NULL,
    loaded bigint NOT NULL,
    filtered bigint NOT NULL,
    skipped bigint NOT NULL,
    dropped bigint NOT NULL DEFAULT 0,
    bytes bigint NOT NULL,
    record_time_min timestamp,
    record_time_max timestamp,
    logged_at timestamp NOT NULL DEFAULT pg_catalog.timezone('UTC', pg_catalog.clock_timestamp()),
    moved boolean NOT NULL DEFAULT false,
    lost boolean NOT NULL DEFAULT false,
    PRIMARY KEY (query_id, partition_id)
);
CREATE INDEX ON redshift.scan_ledger (mv_id, partition_id, query_id);
CREATE INDEX ON redshift.scan_ledger (logged_at);
COMMENT ON TABLE redshift.scan_ledger IS 'What each refresh read of each partition: from first_position up to, and without, end_position. Of a shard: after first_position up to end_position';
COMMENT ON COLUMN redshift.scan_ledger.dropped IS 'Records of which a BEFORE trigger dropped every row';
COMMENT ON COLUMN redshift.scan_ledger.moved IS 'Nothing was read: redshift.set_position moved the view from first_position to end_position';
COMMENT ON COLUMN redshift.scan_ledger.lost IS 'Nothing was read: what is between first_position and end_position was gone, and on_data_loss = continue accepted it';

CREATE TABLE redshift.scan_error (
    error_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    query_id bigint NOT NULL,
    mv_id bigint NOT NULL,
    partition_id text NOT NULL,
    position text NOT NULL,
    stream_timestamp_type text NOT NULL,
    stream_timestamp timestamp,
    error_code integer NOT NULL,
    error_reason text NOT NULL,
    logged_at timestamp NOT NULL DEFAULT pg_catalog.timezone('UTC', pg_catalog.clock_timestamp())
);
CREATE INDEX ON redshift.scan_error (mv_id, query_id);
COMMENT ON TABLE redshift.scan_error IS 'Records that a refresh passed without loading them';
COMMENT ON COLUMN redshift.scan_error.error_code IS '1: key, value or headers longer than max_record_bytes, or headers that no SUPER value can hold, or a partition key longer than its column. With on_data_loss = continue: 2: removed by the broker before it was read; 3: topic or stream re-created; 4: partition ended before the position; 5: may have expired before it was read';

CREATE FUNCTION redshift.journal_lost() RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'journal_lost_wrapper';
COMMENT ON FUNCTION redshift.journal_lost() IS 'Failed refreshes since the server''s start that the journal had no room for';

-- pg_dump carries all of it: rows without their positions would be loaded twice. But no registration whose table is gone
-- (redshift.present_view, spelled out: pg_dump may not read views).
SELECT pg_catalog.pg_extension_config_dump('redshift.materialized_view',
    'WHERE EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = mv AND c.reltype = row_type AND c.relkind IN (''r'', ''p''))');
SELECT pg_catalog.pg_extension_config_dump('redshift.materialized_view_mv_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('redshift.checkpoint',
    'WHERE mv_id IN (SELECT v.mv_id FROM redshift.materialized_view AS v JOIN pg_catalog.pg_class AS c ON c.oid = v.mv AND c.reltype = v.row_type WHERE c.relkind IN (''r'', ''p''))');
SELECT pg_catalog.pg_extension_config_dump('redshift.query_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('redshift.refresh_history', '');
SELECT pg_catalog.pg_extension_config_dump('redshift.scan_ledger', '');
SELECT pg_catalog.pg_extension_config_dump('redshift.scan_error', '');
SELECT pg_catalog.pg_extension_config_dump('redshift.scan_error_error_id_seq', '');
