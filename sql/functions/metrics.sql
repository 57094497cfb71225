-- redshift.metrics(): everything that can be counted, in Prometheus's text format.
CREATE FUNCTION redshift.metric_labels(VARIADIC names_and_values text[] DEFAULT '{}') RETURNS text LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
    SELECT '{' || string_agg(format('%s="%s"', l[1], replace(replace(replace(l[2], E'\\', E'\\\\'), '"', E'\\"'), E'\n', E'\\n')), ',') || '}'
    FROM (SELECT ARRAY[names_and_values[i], names_and_values[i + 1]] FROM generate_series(1, cardinality(names_and_values), 2) AS i
          UNION ALL SELECT ARRAY['database', current_database()]) AS pairs (l)
$$;
COMMENT ON FUNCTION redshift.metric_labels(text[]) IS 'The labels of a sample in Prometheus''s text format';

CREATE FUNCTION redshift.metrics() RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    -- A broker that is away shall not cost the whole scrape.
    SET redshift.connect_timeout_ms = '2s' AS $$
DECLARE
    lags jsonb := (SELECT coalesce(jsonb_agg(to_jsonb(l)), '[]') FROM redshift.view_lag() AS l);
BEGIN
    RETURN (
        WITH family (place, name, kind, help) AS (VALUES
            (0, 'lag_known', 'gauge', 'Whether the lag of a view could be found out; redshift.stream_lag says what is wrong.'),
            (1, 'source_up', 'gauge', 'Whether the brokers of an external schema that views read have answered.'),
            (2, 'lag_records', 'gauge', 'Offsets that a view has not passed yet.'),
            (3, 'lag_seconds', 'gauge', 'Age of the last record that was loaded, 0 if no other waits.'),
            (4, 'lag_over_limit', 'gauge', 'Whether a view is further behind than redshift.lag_alert_records or redshift.lag_alert_seconds.'),
            (5, 'scanned_records_total', 'counter', 'Records read.'),
            (6, 'loaded_records_total', 'counter', 'Records loaded.'),
            (7, 'filtered_records_total', 'counter', 'Records that the definition''s WHERE left out.'),
            (8, 'skipped_records_total', 'counter', 'Records too large to be loaded.'),
            (16, 'dropped_records_total', 'counter', 'Records of which a trigger dropped every row.'),
            (9, 'scanned_bytes_total', 'counter', 'Bytes of keys and values read.'),
            (10, 'refreshes_total', 'counter', 'Refreshes, and ledger entries of auto refresh.'),
            (11, 'last_success_timestamp_seconds', 'gauge', 'When a view was last refreshed, or auto refresh last loaded something.'),
            (12, 'refreshes_running', 'gauge', 'Refreshes by hand that run.'),
            (13, 'worker_state', 'gauge', 'What auto refresh does with a view: 1 for the state that it is in.'),
            (14, 'scan_errors', 'gauge', 'Rows of sys_stream_scan_errors, by error code.'),
            (15, 'journal_lost_total', 'counter', 'What the history had no room for since the server''s start.')),
        view AS (
            SELECT v.mv_id, v.mv, v.auto_refresh, n.nspname::text AS schema_name, c.relname::text AS mv_name
            FROM redshift.materialized_view AS v JOIN pg_class AS c ON c.oid = v.mv JOIN pg_namespace AS n ON n.oid = c.relnamespace),
        lag AS (SELECT * FROM jsonb_to_recordset(lags) AS l (mv_id bigint, schema_name text, mv_name text, partition_id text,
                                                             lag_records bigint, lag_seconds double precision, error text, source_up boolean)),
        sample (name, labels, value) AS (
            SELECT 'lag_known', redshift.metric_labels('schema', l.schema_name, 'view', l.mv_name), (bool_and(l.error IS NULL))::integer::text
            FROM lag AS l GROUP BY l.schema_name, l.mv_name
            UNION ALL
            -- One answer shows that it is up. Of a view that is broken itself it was not asked.
            SELECT 'source_up', redshift.metric_labels('external_schema', s.external_schema), (bool_or(l.source_up))::integer::text
            FROM lag AS l JOIN redshift.view_server AS s USING (mv_id) GROUP BY s.external_schema
            UNION ALL
            SELECT s.name, redshift.metric_labels('schema', l.schema_name, 'view', l.mv_name, 'partition', l.partition_id), s.value
            FROM lag AS l CROSS JOIN LATERAL (VALUES ('lag_records', l.lag_records::text), ('lag_seconds', l.lag_seconds::text)) AS s (name, value)
            WHERE l.partition_id IS NOT NULL
            UNION ALL
            SELECT 'lag_over_limit', redshift.metric_labels('schema', v.schema_name, 'view', v.mv_name),
                   (EXISTS (SELECT FROM redshift.lag_alert AS a WHERE a.mv_id = v.mv_id))::integer::text
            FROM view AS v
            UNION ALL
            SELECT s.name, redshift.metric_labels('schema', v.schema_name, 'view', v.mv_name, 'partition', k.partition_id), s.value::text
            FROM view AS v JOIN redshift.checkpoint AS k USING (mv_id), LATERAL (VALUES
                ('scanned_records_total', k.total_scanned), ('filtered_records_total', k.total_filtered),
                ('skipped_records_total', k.total_skipped), ('dropped_records_total', k.total_dropped), ('scanned_bytes_total', k.total_bytes),
                ('loaded_records_total', k.total_scanned - k.total_filtered - k.total_skipped - k.total_dropped)) AS s (name, value)
            UNION ALL
            SELECT 'refreshes_total', redshift.metric_labels('schema', v.schema_name, 'view', v.mv_name, 'type', t.refresh_type, 'status', t.status),
                   t.refreshes::text
            FROM view AS v JOIN redshift.refresh_total AS t USING (mv_id)
            UNION ALL
            SELECT 'last_success_timestamp_seconds', redshift.metric_labels('schema', v.schema_name, 'view', v.mv_name),
                   EXTRACT(epoch FROM max(t.last_end_time))::text
            FROM view AS v JOIN redshift.refresh_total AS t USING (mv_id) WHERE t.status = 'success' GROUP BY v.schema_name, v.mv_name
            UNION ALL
            SELECT 'refreshes_running', redshift.metric_labels(), count(*)::text FROM redshift.running_refreshes() AS r WHERE r.refresh_type = 'Manual'
            UNION ALL
            SELECT 'worker_state', redshift.metric_labels('schema', w.schema_name, 'view', w.mv_name, 'worker', coalesce(w.worker, 0)::text, 'state', s.state),
                   (w.state = s.state)::integer::text
            FROM redshift.worker_status AS w, LATERAL (
                SELECT unnest(ARRAY['starting', 'running', 'throttled', 'retrying', 'blocked', 'waiting', 'paused', 'restored', 'waiting for a worker']) UNION SELECT w.state) AS s (state)
            WHERE w.state IS NOT NULL
            UNION ALL
            SELECT 'scan_errors', redshift.metric_labels('schema', v.schema_name, 'view', v.mv_name, 'error_code', e.error_code::text), count(*)::text
            FROM view AS v JOIN redshift.scan_error AS e USING (mv_id) GROUP BY v.schema_name, v.mv_name, e.error_code
            UNION ALL
            SELECT 'journal_lost_total', redshift.metric_labels('kind', s.kind), s.lost::text
            FROM (VALUES ('refreshes', redshift.journal_lost()), ('statements', redshift.statements_lost())) AS s (kind, lost)),
        block AS (
            SELECT f.place, format(E'# HELP redshift_streaming_%1$s %2$s\n# TYPE redshift_streaming_%1$s %3$s\n', f.name, f.help, f.kind)
                   || string_agg(format(E'redshift_streaming_%s%s %s\n', s.name, s.labels, s.value), '' ORDER BY s.labels COLLATE "C") AS text
            FROM family AS f JOIN sample AS s USING (name)
            -- A shard has no offsets, and no lag in records.
            WHERE s.value IS NOT NULL GROUP BY f.place, f.name, f.kind, f.help)
        SELECT string_agg(b.text, '' ORDER BY b.place) FROM block AS b);
END $$;
COMMENT ON FUNCTION redshift.metrics() IS 'Counters and gauges in Prometheus''s text format; for members of pg_monitor';
REVOKE ALL ON FUNCTION redshift.metrics() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION redshift.metrics() TO pg_monitor;
