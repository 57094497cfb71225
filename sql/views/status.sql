-- redshift.status(mv): one materialized view in words.
CREATE FUNCTION redshift.status(mv regclass) RETURNS text LANGUAGE plpgsql STABLE STRICT
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    extension text := (SELECT quote_ident(n.nspname) FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
                       WHERE e.extname = 'redshift_streaming');
    view_schema name;
    view_name name;
    auto boolean;
    stream text;
    refreshed text;
    worker record;
    lag text;
BEGIN
    SELECT n.nspname, c.relname INTO view_schema, view_name
    FROM redshift.visible_definition AS v JOIN pg_class AS c ON c.oid = v.mv JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE v.mv = status.mv;
    IF NOT FOUND THEN
        RAISE EXCEPTION '"%" is no streaming materialized view that can be refreshed and that you may read', mv
            USING ERRCODE = 'wrong_object_type';
    END IF;
    EXECUTE format('SELECT string_agg(format(''%%I.%%I'', trim(d.dependent_schema_name), trim(d.dependent_name)), '', '')
                    FROM %s.svv_mv_dependency AS d WHERE trim(d.schema_name) = $1 AND trim(d.name) = $2', extension)
        INTO stream USING view_schema, view_name;
    EXECUTE format('SELECT h.status || '', '' || to_char(h.end_time, ''YYYY-MM-DD HH24:MI:SS'') || '' UTC'' FROM %s.sys_mv_refresh_history AS h
                    WHERE h.mv_id = $1 ORDER BY h.end_time DESC LIMIT 1', extension)
        INTO refreshed USING mv::oid::bigint;
    SELECT * INTO worker FROM redshift.worker_status AS s WHERE s.schema_name = view_schema AND s.mv_name = view_name
    ORDER BY s.state = 'running', s.worker LIMIT 1;
    auto := FOUND;
    SELECT coalesce('unknown: ' || max(l.error),
                    format('%s records, %s s', sum(l.lag_records), coalesce(round(max(l.lag_seconds)::numeric, 1)::text, '?'))) INTO lag
    FROM redshift.stream_lag AS l WHERE l.schema_name = view_schema AND l.mv_name = view_name;
    RETURN concat_ws(E'\n',
        format('materialized view %I.%I', view_schema, view_name),
        'stream: ' || coalesce(stream, 'unknown'),
        'auto refresh: ' || CASE WHEN auto
            THEN concat_ws(' since ', coalesce(worker.state, 'unknown'), to_char(timezone('UTC', worker.since), 'YYYY-MM-DD HH24:MI:SS') || ' UTC') ELSE 'off' END,
        'last refresh: ' || coalesce(refreshed, 'none that you may see'),
        'lag: ' || coalesce(lag, 'unknown'),
        'last error: ' || coalesce(worker.last_error, 'none'),
        'blocked by: process ' || worker.blocked_by,
        CASE WHEN auto AND redshift.missing_workers() > 0
            THEN format('missing: %s ingest worker, no background worker is free', redshift.missing_workers()) END,
        (SELECT string_agg(format('old history stays: %s since %s UTC: %s', t.table_name, to_char(timezone('UTC', t.failing_since), 'YYYY-MM-DD HH24:MI:SS'),
                                  t.last_error), E'\n' ORDER BY t.table_name)
         FROM redshift.trimming AS t),
        'at risk: unlogged, so empty after a crash of the server: ' || redshift.unlogged_tables(mv));
END $$;
COMMENT ON FUNCTION redshift.status(regclass) IS 'What a materialized view reads and how it is doing, in words';
