-- External schemas: a schema, a foreign server of the same name, a foreign table for each topic.
CREATE FUNCTION redshift.bind_external_schema(name text) RETURNS void
    LANGUAGE c AS 'MODULE_PATHNAME', 'redshift_bind_external_schema';
COMMENT ON FUNCTION redshift.bind_external_schema(text) IS 'Makes the foreign server of that name go with the schema of that name, and this database its own';

CREATE FUNCTION redshift.topics(schema_name text) RETURNS TABLE (topic text, table_name text)
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'topics_wrapper';
COMMENT ON FUNCTION redshift.topics(text) IS 'The topics or streams that there are for an external schema, and the relation name of each';

CREATE FUNCTION redshift.source_status(
    schema_name text,
    OUT topic text, OUT partition_id bigint, OUT low_watermark bigint, OUT high_watermark bigint, OUT last_record_time timestamp, OUT shard_id text,
    OUT error text
) RETURNS SETOF record
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'source_status_wrapper';
COMMENT ON FUNCTION redshift.source_status(text) IS 'Is data flowing: earliest offset, end and time (UTC) of the newest record of each partition of an external schema. Of a shard only the time, if its newest record is not older than ten seconds';

CREATE FUNCTION redshift.lock_external_schema(name text) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'redshift_lock_external_schema';
COMMENT ON FUNCTION redshift.lock_external_schema(text) IS 'Takes the lock under which relations are created for topics that have appeared, as one who may create them';

CREATE PROCEDURE redshift.sync_external_schema(schema_name text) LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    server oid := (SELECT s.oid FROM pg_foreign_server AS s WHERE s.srvname = schema_name);
    missing text;
    created text;
    gone text;
    taken text;
BEGIN
    IF server IS NULL THEN
        RAISE EXCEPTION 'external schema "%" does not exist', schema_name
            USING ERRCODE = 'undefined_object', HINT = 'CALL redshift.create_external_schema(..) creates one.';
    END IF;
    -- Not beside the worker, which does the same for option sync = auto (and does not wait for us).
    PERFORM redshift.lock_external_schema(schema_name);
    -- Whoever asks for it in a restored copy has adopted it.
    PERFORM redshift.bind_external_schema(schema_name)
    WHERE pg_has_role((SELECT s.srvowner FROM pg_foreign_server AS s WHERE s.oid = server), 'USAGE') OR NOT EXISTS (
        SELECT FROM pg_depend AS d
        WHERE d.classid = 'pg_foreign_server'::regclass AND d.objid = server AND d.refclassid = 'pg_namespace'::regclass);
    WITH broker AS MATERIALIZED (SELECT t.topic, t.table_name FROM redshift.topics(schema_name) AS t),
         occupied AS (
             SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = schema_name),
         mapped AS (
             SELECT o.option_value AS topic, t.ftrelid::regclass AS relation, c.relname
             FROM pg_foreign_table AS t
             JOIN pg_class AS c ON c.oid = t.ftrelid,
             pg_options_to_table(t.ftoptions) AS o
             WHERE t.ftserver = server AND o.option_name IN ('topic', 'stream'))
    SELECT (SELECT string_agg(quote_ident(b.table_name), ', ') FROM broker AS b
            WHERE b.topic NOT IN (SELECT m.topic FROM mapped AS m) AND b.table_name NOT IN (SELECT x.relname FROM occupied AS x)),
           (SELECT string_agg(format('%I.%I', schema_name, b.table_name), ', ') FROM broker AS b
            WHERE b.topic NOT IN (SELECT m.topic FROM mapped AS m) AND b.table_name NOT IN (SELECT x.relname FROM occupied AS x)),
           (SELECT string_agg(quote_ident(b.topic), ', ') FROM broker AS b
            WHERE b.topic NOT IN (SELECT m.topic FROM mapped AS m) AND b.table_name IN (SELECT x.relname FROM occupied AS x)),
           (SELECT string_agg(m.relation::text, ', ') FROM mapped AS m
            WHERE m.topic NOT IN (SELECT b.topic FROM broker AS b)
              AND NOT EXISTS (SELECT FROM pg_foreign_server AS s, pg_options_to_table(s.srvoptions) AS o
                              WHERE s.oid = server AND o.option_name IN ('topics', 'streams')))
    INTO missing, created, taken, gone;
    IF missing IS NOT NULL THEN
        EXECUTE format('IMPORT FOREIGN SCHEMA topics LIMIT TO (%s) FROM SERVER %I INTO %I', missing, schema_name, schema_name);
        -- As in Redshift: whoever may use the schema may read its streams. Only what was created here: other relations of the schema are not ours to show.
        EXECUTE format('GRANT SELECT ON %s TO PUBLIC', created);
    END IF;
    IF taken IS NOT NULL THEN
        RAISE NOTICE 'no relation for %: another one has the name', taken
            USING HINT = format('Map it under another name: CREATE FOREIGN TABLE .. SERVER %I OPTIONS (topic ''..'').', schema_name);
    END IF;
    IF gone IS NOT NULL THEN
        RAISE NOTICE '%: %', CASE WHEN (SELECT lower(s.srvtype) FROM pg_foreign_server AS s WHERE s.oid = server) = 'kinesis'
                                  THEN 'Kinesis has no stream for' ELSE 'the broker has no topic for' END, gone
            USING HINT = 'DROP FOREIGN TABLE removes a relation that is not needed any more.';
    END IF;
END $$;
COMMENT ON PROCEDURE redshift.sync_external_schema(text) IS 'Creates the foreign tables of topics that appeared since the external schema was created';

CREATE PROCEDURE redshift.create_external_schema(
    name text,
    source text,
    uri text DEFAULT NULL,
    authentication text DEFAULT 'none',
    topics text DEFAULT NULL,
    if_not_exists boolean DEFAULT false,
    region text DEFAULT NULL,
    iam_role text DEFAULT NULL,
    endpoint_url text DEFAULT NULL,
    streams text DEFAULT NULL,
    preview_columns boolean DEFAULT false,
    cluster_arn text DEFAULT NULL,
    secret_arn text DEFAULT NULL,
    authentication_arn text DEFAULT NULL,
    external_id text DEFAULT NULL,
    tls boolean DEFAULT NULL,
    ca text DEFAULT NULL,
    ca_file text DEFAULT NULL,
    verify_hostname boolean DEFAULT NULL,
    client_properties text DEFAULT NULL,
    deaggregate text DEFAULT NULL,
    sync text DEFAULT 'auto'
) LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    options text;
    credentials text;
BEGIN
    IF create_external_schema.name IS NULL OR source IS NULL OR authentication IS NULL OR if_not_exists IS NULL THEN
        RAISE EXCEPTION 'name, source, authentication and if_not_exists must not be null' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    IF octet_length(create_external_schema.name) > 63 THEN
        RAISE EXCEPTION 'the name of an external schema has at most 63 bytes' USING ERRCODE = 'name_too_long',
            DETAIL = format('"%s" has %s.', create_external_schema.name, octet_length(create_external_schema.name));
    END IF;
    source := lower(source);
    authentication := lower(authentication);
    IF source NOT IN ('kafka', 'msk', 'kinesis', 'sql') THEN
        RAISE EXCEPTION 'unknown source "%"', source
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Sources of this release: kafka, msk, kinesis, sql.';
    END IF;
    IF source = 'sql' THEN
        IF coalesce(uri, topics, region, iam_role, endpoint_url, streams, cluster_arn, secret_arn, authentication_arn, external_id, tls::text, ca, ca_file,
                    verify_hostname::text, client_properties, deaggregate) IS NOT NULL OR preview_columns OR authentication <> 'none' THEN
            RAISE EXCEPTION 'an external schema over SQL has no options' USING ERRCODE = 'invalid_parameter_value',
                DETAIL = 'Its streams are in this database.', HINT = format('CALL redshift.create_external_schema(%L, source => ''sql'');', create_external_schema.name);
        END IF;
        authentication := NULL;
        sync := NULL;
    ELSIF source = 'kinesis' THEN
        IF coalesce(uri, topics, cluster_arn, secret_arn, authentication_arn, tls::text, ca, ca_file, verify_hostname::text, client_properties) IS NOT NULL
           OR authentication <> 'none' THEN
            RAISE EXCEPTION 'uri, topics, authentication and what belongs to it are options of Kafka'
                USING ERRCODE = 'invalid_parameter_value',
                      HINT = 'Kinesis takes region, iam_role, external_id, endpoint_url, streams, preview_columns and deaggregate.';
        END IF;
        authentication := NULL;
    ELSIF streams IS NOT NULL OR preview_columns OR deaggregate IS NOT NULL THEN
        RAISE EXCEPTION 'streams, preview_columns and deaggregate are options of Kinesis'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Kafka takes uri, authentication and topics.';
    ELSIF uri IS NULL AND cluster_arn IS NULL THEN
        RAISE EXCEPTION 'an external schema needs the uri of the Kafka cluster'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'uri => ''host:port[,host:port..]''; for MSK, cluster_arn does as well.';
    END IF;
    IF if_not_exists AND to_regnamespace(quote_ident(create_external_schema.name)) IS NOT NULL THEN
        RAISE NOTICE 'schema "%" already exists, skipping', create_external_schema.name USING ERRCODE = 'duplicate_schema';
        RETURN;
    END IF;
    -- Options that are not given are left out.
    SELECT 'OPTIONS (' || string_agg(format('%I %L', o.name, o.value), ', ') || ')' INTO options
    FROM (VALUES ('uri', uri), ('cluster_arn', cluster_arn), ('authentication', authentication), ('secret_arn', secret_arn),
                 ('authentication_arn', authentication_arn), ('topics', topics), ('tls', tls::text), ('ca', ca), ('ca_file', ca_file),
                 ('verify_hostname', verify_hostname::text), ('client_properties', client_properties), ('region', region), ('iam_role', iam_role),
                 ('external_id', external_id), ('endpoint_url', endpoint_url), ('streams', streams),
                 ('preview_columns', CASE WHEN preview_columns THEN 'true' END), ('deaggregate', lower(deaggregate)), ('sync', sync)) AS o (name, value)
    WHERE o.value IS NOT NULL;
    EXECUTE format('CREATE SCHEMA %I', create_external_schema.name);
    EXECUTE format('CREATE SERVER %I TYPE %L FOREIGN DATA WRAPPER redshift_streaming %s', create_external_schema.name, source, coalesce(options, ''));
    credentials := CASE
        WHEN secret_arn IS NOT NULL OR authentication_arn IS NOT NULL THEN NULL
        WHEN authentication = 'mtls' THEN 'certificate ''..'', private_key ''..'''
        WHEN authentication IN ('plain', 'scram-sha-256', 'scram-sha-512') THEN 'user ''..'', password ''..'''
        WHEN (authentication = 'iam' OR source = 'kinesis') AND iam_role IS NULL AND NOT (SELECT r.rolsuper FROM pg_roles AS r WHERE r.oid = redshift.current_role_id())
            THEN 'access_key_id ''..'', secret_access_key ''..'''
    END;
    IF credentials IS NOT NULL THEN
        -- The server is new, so nobody has a user mapping to read it with.
        PERFORM redshift.bind_external_schema(create_external_schema.name);
        RAISE NOTICE 'external schema "%" has no relations yet: it is read with credentials', create_external_schema.name
            USING HINT = format('CREATE USER MAPPING FOR CURRENT_USER SERVER %I OPTIONS (%s); CALL redshift.sync_external_schema(%L);',
                                create_external_schema.name, credentials, create_external_schema.name);
        RETURN;
    END IF;
    IF source = 'sql' THEN
        PERFORM redshift.bind_external_schema(create_external_schema.name);
        RETURN;
    END IF;
    CALL redshift.sync_external_schema(create_external_schema.name);
END $$;
COMMENT ON PROCEDURE redshift.create_external_schema(text, text, text, text, text, boolean, text, text, text, text, boolean, text, text, text, text, boolean, text, text, boolean, text, text, text)
    IS 'Redshift''s CREATE EXTERNAL SCHEMA .. FROM KAFKA, MSK or KINESIS: schema, foreign server and a foreign table for each topic or stream';
