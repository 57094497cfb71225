-- Streams that the database keeps itself: topics into which one inserts.
CREATE FUNCTION redshift.register_stream(stream regclass, partitions integer) RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'redshift_register_stream';
COMMENT ON FUNCTION redshift.register_stream(regclass, integer) IS 'Gives a foreign table of an external schema over SQL its stream';

CREATE FUNCTION redshift.set_stream_partitions(stream regclass, partitions integer) RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'redshift_set_stream_partitions';
COMMENT ON FUNCTION redshift.set_stream_partitions(regclass, integer) IS 'Gives a stream more partitions';

CREATE FUNCTION redshift.set_stream_retention(stream regclass, retention interval, retention_bytes bigint) RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'redshift_set_stream_retention';
COMMENT ON FUNCTION redshift.set_stream_retention(regclass, interval, bigint) IS 'Says how long records are kept, and how many bytes of each partition: null leaves it as it is, 0 is no limit';

CREATE FUNCTION redshift.require_untouched_stream(stream regclass) RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'redshift_require_untouched_stream';
COMMENT ON FUNCTION redshift.require_untouched_stream(regclass) IS 'Raises an error if this transaction has added or removed records of a stream';

CREATE PROCEDURE redshift.create_stream(
    stream text,
    partitions integer DEFAULT 1,
    retention interval DEFAULT NULL,
    retention_bytes bigint DEFAULT NULL,
    if_not_exists boolean DEFAULT false
) LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parts text[] := parse_ident(stream);
    dialect text := (SELECT n.nspname FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'redshift_streaming');
    name text;
BEGIN
    IF cardinality(parts) <> 2 THEN
        RAISE EXCEPTION 'a stream is named by its external schema and its own name' USING ERRCODE = 'invalid_name',
            DETAIL = format('"%s" is not schema.name.', stream), HINT = 'CALL redshift.create_stream(''schema.name'');';
    END IF;
    IF to_regnamespace(quote_ident(parts[1])) IS NULL THEN
        CALL redshift.create_external_schema(parts[1], source => 'sql');
    END IF;
    IF NOT EXISTS (SELECT FROM pg_foreign_server AS s JOIN pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw
                   WHERE s.srvname = parts[1] AND lower(s.srvtype) = 'sql' AND w.fdwname = 'redshift_streaming') THEN
        RAISE EXCEPTION '"%" is no external schema over SQL', parts[1] USING ERRCODE = 'undefined_object',
            HINT = 'A stream is in an external schema of its kind; one that does not exist is created.';
    END IF;
    name := format('%I.%I', parts[1], parts[2]);
    IF if_not_exists AND to_regclass(name) IS NOT NULL THEN
        RAISE NOTICE 'relation "%" already exists, skipping', parts[2] USING ERRCODE = 'duplicate_table';
        RETURN;
    END IF;
    EXECUTE format(
        'CREATE FOREIGN TABLE %s (kafka_partition bigint, kafka_offset bigint, kafka_timestamp_type character(1), kafka_timestamp timestamp,
             kafka_key %2$I.varbyte, kafka_value %2$I.varbyte, kafka_headers %2$I.super, refresh_time timestamp) SERVER %3$I OPTIONS (topic %4$L)',
        name, dialect, parts[1], parts[2]);
    PERFORM redshift.register_stream(name::regclass, partitions);
    PERFORM redshift.set_stream_retention(name::regclass, retention, retention_bytes);
    -- As of topics: whoever may use the schema may read its streams.
    EXECUTE format('GRANT SELECT ON %s TO PUBLIC', name);
END $$;
COMMENT ON PROCEDURE redshift.create_stream(text, integer, interval, bigint, boolean) IS 'Creates a topic that the database keeps itself: INSERT adds records';

CREATE PROCEDURE redshift.alter_stream(
    stream regclass,
    partitions integer DEFAULT NULL,
    retention interval DEFAULT NULL,
    retention_bytes bigint DEFAULT NULL
) LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF partitions IS NOT NULL THEN
        PERFORM redshift.set_stream_partitions(stream, partitions);
    END IF;
    IF retention IS NOT NULL OR retention_bytes IS NOT NULL THEN
        PERFORM redshift.set_stream_retention(stream, retention, retention_bytes);
    END IF;
END $$;
COMMENT ON PROCEDURE redshift.alter_stream(regclass, integer, interval, bigint) IS 'Gives a stream more partitions, or another retention: what is not named stays, 0 is no limit';

CREATE PROCEDURE redshift.drop_stream(stream regclass) LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_foreign_table AS t JOIN pg_foreign_server AS s ON s.oid = t.ftserver JOIN pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw
                   WHERE t.ftrelid = stream AND lower(s.srvtype) = 'sql' AND w.fdwname = 'redshift_streaming') THEN
        RAISE EXCEPTION '"%" is no stream of an external schema over SQL', stream USING ERRCODE = 'wrong_object_type';
    END IF;
    EXECUTE format('DROP FOREIGN TABLE %s', stream);
EXCEPTION WHEN dependent_objects_still_exist THEN
    RAISE EXCEPTION 'other objects depend on stream %', stream USING ERRCODE = 'dependent_objects_still_exist',
        DETAIL = coalesce((SELECT string_agg(DISTINCT format('%s reads it.', c.oid::regclass), E'\n') FROM pg_depend AS d
                  JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                  LEFT JOIN redshift.materialized_view AS v ON v.definition = r.ev_class
                  JOIN pg_class AS c ON c.oid = coalesce(v.mv, r.ev_class)
                  WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = stream AND d.deptype = 'n' AND has_table_privilege(c.oid, 'SELECT')),
                  'Others read it.'),
        HINT = 'Drop them first. A view without its stream would keep its rows, and never load again.';
END $$;
COMMENT ON PROCEDURE redshift.drop_stream(regclass) IS 'Drops a stream with its records; refused while materialized views read it';

CREATE PROCEDURE redshift.trim_stream(stream regclass, older_than interval DEFAULT NULL, keep_bytes bigint DEFAULT NULL)
    LANGUAGE c AS 'MODULE_PATHNAME', 'redshift_trim_stream';
COMMENT ON PROCEDURE redshift.trim_stream(regclass, interval, bigint) IS 'Removes records that are older, or that are more bytes of a partition; without both, by the stream''s retention';

CREATE PROCEDURE redshift.stream_fault(stream regclass, fault text, partition_id integer DEFAULT 0, records bigint DEFAULT NULL)
    LANGUAGE c AS 'MODULE_PATHNAME', 'redshift_stream_fault';
COMMENT ON PROCEDURE redshift.stream_fault(regclass, text, integer, bigint)
    IS 'For tests: makes happen to a stream what befalls topics: gap, loss, truncated, recreated, partition, unreachable, none';
