-- What the monitor and redshift.metrics() need of the lag: by external schema, so that a broker that is away spoils nothing but its own.
CREATE VIEW redshift.view_server AS
SELECT DISTINCT v.mv_id, v.mv, s.srvname AS external_schema
FROM redshift.materialized_view AS v
JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = v.definition
JOIN pg_catalog.pg_depend AS p ON p.classid = 'pg_catalog.pg_rewrite'::regclass AND p.objid = r.oid
    AND p.refclassid = 'pg_catalog.pg_class'::regclass
JOIN pg_catalog.pg_foreign_table AS t ON t.ftrelid = p.refobjid
JOIN pg_catalog.pg_foreign_server AS s ON s.oid = t.ftserver
JOIN pg_catalog.pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw AND w.fdwname = 'redshift_streaming';
COMMENT ON VIEW redshift.view_server IS 'The external schema that each materialized view reads';

CREATE FUNCTION redshift.lag_of(
    external_schema text,
    OUT mv_id bigint, OUT schema_name text, OUT mv_name text, OUT partition_id text, OUT lag_records bigint, OUT lag_seconds double precision
) RETURNS SETOF record LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT v.mv_id, n.nspname, c.relname, h.partition_id, redshift.lag_records(h.high_watermark, k.position),
           CASE WHEN h.high_watermark IS NULL THEN h.waiting_seconds
                ELSE redshift.lag_seconds(redshift.lag_records(h.high_watermark, k.position),
                                          coalesce(k.last_record_time, timezone('UTC', v.created_at))) END
    FROM redshift.high_watermarks(external_schema) AS h
    JOIN redshift.materialized_view AS v ON v.mv = h.mv
    JOIN pg_class AS c ON c.oid = v.mv
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN redshift.checkpoint AS k ON k.mv_id = v.mv_id AND k.partition_id = h.partition_id
    WHERE k.excluded IS NOT TRUE
$$;
COMMENT ON FUNCTION redshift.lag_of(text) IS 'redshift.stream_lag of all views of one external schema';
REVOKE ALL ON FUNCTION redshift.lag_of(text) FROM PUBLIC;

CREATE FUNCTION redshift.look_at_lag(max_records integer, max_seconds integer) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    server name;
    lag record;
    told boolean;
    is_over boolean;
BEGIN
    FOR server IN SELECT DISTINCT s.external_schema FROM redshift.view_server AS s LOOP
        BEGIN
            FOR lag IN
                SELECT v.mv_id, l.schema_name, l.mv_name, sum(l.lag_records)::bigint AS records, max(l.lag_seconds) AS seconds,
                       nullif(coalesce(v.lag_alert_records, max_records), 0) AS most_records,
                       nullif(coalesce(v.lag_alert_seconds, max_seconds), 0) AS most_seconds
                FROM redshift.lag_of(server) AS l JOIN redshift.materialized_view AS v USING (mv_id) GROUP BY v.mv_id, 2, 3
            LOOP
                told := EXISTS (SELECT FROM redshift.lag_alert AS a WHERE a.mv_id = lag.mv_id);
                is_over := coalesce(lag.records > lag.most_records OR lag.seconds > lag.most_seconds,
                                 lag.records > lag.most_records, lag.seconds > lag.most_seconds);
                -- Without a limit it is over none. Of a Kinesis stream there are no records to count, and nobody may have limited the seconds.
                IF lag.most_records IS NULL AND lag.most_seconds IS NULL THEN
                    is_over := false;
                END IF;
                CONTINUE WHEN is_over IS NULL OR told = is_over;
                IF is_over THEN
                    INSERT INTO redshift.lag_alert (mv_id) VALUES (lag.mv_id);
                ELSE
                    DELETE FROM redshift.lag_alert AS a WHERE a.mv_id = lag.mv_id;
                END IF;
                PERFORM pg_notify('redshift_events', json_build_object(
                    'event', CASE WHEN is_over THEN 'lag_over_limit' ELSE 'lag_within_limit' END,
                    'schema_name', lag.schema_name, 'mv_name', lag.mv_name,
                    'lag_records', lag.records, 'lag_seconds', round(lag.seconds::numeric, 1))::text);
            END LOOP;
        EXCEPTION WHEN OTHERS THEN
            -- The broker does not answer: what was said last stands.
            NULL;
        END;
    END LOOP;
END $$;
COMMENT ON FUNCTION redshift.look_at_lag(integer, integer) IS 'Sends an event for each view whose lag crossed a limit since the last time';
REVOKE ALL ON FUNCTION redshift.look_at_lag(integer, integer) FROM PUBLIC;
