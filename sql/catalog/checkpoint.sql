-- What no source writes is refused here as well: a position that cannot be read stops its view (SQLSTATE RS005).
CREATE TABLE redshift.checkpoint (
    mv_id bigint NOT NULL,
    partition_id text NOT NULL CHECK (partition_id OPERATOR(pg_catalog.~) '^[A-Za-z0-9_.-]{1,20}$'),
    position text CHECK (position OPERATOR(pg_catalog.~) '^(0|[1-9][0-9]{0,128}|@(0|[1-9][0-9]{0,18}))$'),
    leader_epoch integer,
    source_id text,
    caught_up_to timestamptz CHECK (pg_catalog.isfinite(caught_up_to)),
    drained boolean NOT NULL DEFAULT false,
    excluded boolean NOT NULL DEFAULT false,
    updated_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    -- What auto refresh has loaded since it last wrote the ledger.
    pending_query_id bigint,
    pending_since timestamp,
    pending_first text CHECK (pending_first OPERATOR(pg_catalog.~) '^(earliest|0|[1-9][0-9]{0,128}|@(0|[1-9][0-9]{0,18}))$'),
    pending_latest text CHECK (pending_latest OPERATOR(pg_catalog.~) '^(0|[1-9][0-9]{0,128})$'),
    pending_scanned bigint NOT NULL DEFAULT 0,
    pending_filtered bigint NOT NULL DEFAULT 0,
    pending_skipped bigint NOT NULL DEFAULT 0,
    pending_dropped bigint NOT NULL DEFAULT 0,
    pending_bytes bigint NOT NULL DEFAULT 0,
    pending_rows bigint NOT NULL DEFAULT 0,
    pending_time_min timestamp,
    pending_time_max timestamp,
    -- Over all time: redshift.metrics() and redshift.stream_lag read them.
    total_scanned bigint NOT NULL DEFAULT 0,
    total_filtered bigint NOT NULL DEFAULT 0,
    total_skipped bigint NOT NULL DEFAULT 0,
    total_dropped bigint NOT NULL DEFAULT 0,
    total_bytes bigint NOT NULL DEFAULT 0,
    last_record_time timestamp,
    PRIMARY KEY (mv_id, partition_id)
) WITH (fillfactor = 50);
COMMENT ON TABLE redshift.checkpoint IS 'Where each streaming materialized view resumes; written in the transaction that loads the rows';
COMMENT ON COLUMN redshift.checkpoint.position IS 'Kafka: next offset to load. Kinesis: sequence number of the last record loaded, or @ and a time in milliseconds. Null: the earliest record';
COMMENT ON COLUMN redshift.checkpoint.leader_epoch IS 'Epoch of the partition''s leader when the position was taken';
COMMENT ON COLUMN redshift.checkpoint.source_id IS 'What the position belongs to: id of the topic, if the broker has one; creation time of the stream';
COMMENT ON COLUMN redshift.checkpoint.caught_up_to IS 'Kinesis: everything that arrived in the shard before this time is loaded';
COMMENT ON COLUMN redshift.checkpoint.excluded IS 'Kafka: the definition reads nothing of the partition (WHERE kafka_partition ..), so the position stays where it is';
COMMENT ON COLUMN redshift.checkpoint.drained IS 'Kinesis: the shard is closed and loaded to its end; the row stays while the service shows the shard';
