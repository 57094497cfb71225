-- What the monitor and redshift.metrics() need of the lag.
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

CREATE FUNCTION redshift.view_lag(
    OUT mv_id bigint, OUT schema_name text, OUT mv_name text, OUT partition_id text, OUT lag_records bigint, OUT lag_seconds double precision,
    OUT error text, OUT source_up boolean
) RETURNS SETOF record LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT q.mv_id, q.schema_name, q.mv_name, h.partition_id, redshift.lag_records(h.high_watermark, k.position),
           CASE WHEN h.high_watermark IS NULL THEN h.waiting_seconds
                ELSE redshift.lag_seconds(redshift.lag_records(h.high_watermark, k.position),
                                          coalesce(k.last_record_time, timezone('UTC', q.created_at))) END,
           h.error, h.source_up
    FROM (SELECT v.mv_id, v.created_at, n.nspname AS schema_name, c.relname AS mv_name, redshift.ask_lag(v.mv) AS question
          FROM redshift.materialized_view AS v JOIN pg_class AS c ON c.oid = v.mv JOIN pg_namespace AS n ON n.oid = c.relnamespace
          ORDER BY question) AS q
    CROSS JOIN LATERAL redshift.lag_answer(q.question) AS h
    LEFT JOIN redshift.checkpoint AS k ON k.mv_id = q.mv_id AND k.partition_id = h.partition_id
    WHERE k.excluded IS NOT TRUE
$$;
COMMENT ON FUNCTION redshift.view_lag() IS 'redshift.stream_lag of all views, and whether their sources answer';
REVOKE ALL ON FUNCTION redshift.view_lag() FROM PUBLIC;

CREATE FUNCTION redshift.look_at_lag(max_records integer, max_seconds integer) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
    -- Meanwhile the monitor writes no statements.
    SET redshift.connect_timeout_ms = '2s' AS $$
DECLARE
    lag record;
    told boolean;
    is_over boolean;
BEGIN
    FOR lag IN
        SELECT v.mv_id, l.schema_name, l.mv_name, sum(l.lag_records)::bigint AS records, max(l.lag_seconds) AS seconds,
               nullif(coalesce(v.lag_alert_records, max_records), 0) AS most_records,
               nullif(coalesce(v.lag_alert_seconds, max_seconds), 0) AS most_seconds
        FROM redshift.view_lag() AS l JOIN redshift.materialized_view AS v USING (mv_id) GROUP BY v.mv_id, 2, 3
        -- Where there is no answer, what was said last stands.
        HAVING bool_and(l.error IS NULL)
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
        -- A queue that is full would undo what is said above.
        PERFORM pg_notify('redshift_events', json_build_object(
            'event', CASE WHEN is_over THEN 'lag_over_limit' ELSE 'lag_within_limit' END,
            'schema_name', lag.schema_name, 'mv_name', lag.mv_name,
            'lag_records', lag.records, 'lag_seconds', round(lag.seconds::numeric, 1))::text)
        WHERE pg_notification_queue_usage() < '0.9'::float8;
    END LOOP;
END $$;
COMMENT ON FUNCTION redshift.look_at_lag(integer, integer) IS 'Sends an event for each view whose lag crossed a limit since the last time';
REVOKE ALL ON FUNCTION redshift.look_at_lag(integer, integer) FROM PUBLIC;
