-- Registrations go with what they are of.

-- What belongs to a registration goes with it; what the view did stays in the history.
CREATE FUNCTION redshift.forget_views(forgotten bigint[]) RETURNS void LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM redshift.materialized_view AS v WHERE v.mv_id = ANY (forgotten);
    DELETE FROM redshift.auto_refresh_state AS s WHERE s.mv_id = ANY (forgotten);
    DELETE FROM redshift.refresh_total AS t WHERE t.mv_id = ANY (forgotten);
    DELETE FROM redshift.lag_alert AS a WHERE a.mv_id = ANY (forgotten);
    DELETE FROM redshift.checkpoint AS c WHERE c.mv_id = ANY (forgotten);
$$;
COMMENT ON FUNCTION redshift.forget_views(bigint[]) IS 'Removes registration and positions';
REVOKE ALL ON FUNCTION redshift.forget_views(bigint[]) FROM PUBLIC;

-- Streams whose relation was dropped while event triggers did not run.
CREATE FUNCTION redshift.forget_orphan_streams() RETURNS void LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp AS $$
    SELECT redshift.forget_streams(array_agg(t.stream_id)) FROM redshift.stream AS t
    WHERE NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = t.relation AND c.reltype = t.row_type) HAVING count(*) > 0;
$$;
COMMENT ON FUNCTION redshift.forget_orphan_streams() IS 'Removes streams whose relation is gone, with their records';
REVOKE ALL ON FUNCTION redshift.forget_orphan_streams() FROM PUBLIC;

-- What was dropped while event triggers did not run (event_triggers = off, single-user mode).
CREATE FUNCTION redshift.forget_orphans() RETURNS void LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp AS $$
    SELECT redshift.forget_views(array_agg(v.mv_id)) FROM redshift.materialized_view AS v
    WHERE v.mv_id NOT IN (SELECT p.mv_id FROM redshift.present_view AS p) HAVING count(*) > 0;
    SELECT redshift.forget_orphan_streams();
    DELETE FROM redshift.external_schema AS e WHERE e.server NOT IN (SELECT s.oid FROM pg_foreign_server AS s);
$$;
COMMENT ON FUNCTION redshift.forget_orphans() IS 'Removes registrations whose table is gone; the first worker of a database and redshift.adopt call it';
REVOKE ALL ON FUNCTION redshift.forget_orphans() FROM PUBLIC;

-- A view that is dropped, by whatever statement, takes its registration with it.
-- An external schema as well.
CREATE FUNCTION redshift.forget_dropped() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- While the extension itself is dropped its tables go one by one.
    IF to_regclass('redshift.materialized_view') IS NULL OR to_regclass('redshift.checkpoint') IS NULL
        OR to_regclass('redshift.auto_refresh_state') IS NULL OR to_regclass('redshift.refresh_total') IS NULL
        OR to_regclass('redshift.lag_alert') IS NULL OR to_regclass('redshift.external_schema') IS NULL
        OR to_regprocedure('redshift.forget_views(bigint[])') IS NULL
        OR to_regclass('redshift.stream') IS NULL OR to_regprocedure('redshift.forget_streams(bigint[])') IS NULL THEN
        RETURN;
    END IF;
    PERFORM redshift.forget_views(array_agg(v.mv_id)) FROM redshift.materialized_view AS v
        JOIN pg_event_trigger_dropped_objects() AS o ON o.classid = 'pg_class'::regclass AND o.objsubid = 0 AND v.mv = o.objid
        HAVING count(*) > 0;
    PERFORM redshift.forget_streams(array_agg(t.stream_id)) FROM redshift.stream AS t
        JOIN pg_event_trigger_dropped_objects() AS o ON o.classid = 'pg_class'::regclass AND o.objsubid = 0 AND t.relation = o.objid
        HAVING count(*) > 0;
    DELETE FROM redshift.external_schema AS e USING pg_event_trigger_dropped_objects() AS o
    WHERE o.classid = 'pg_foreign_server'::regclass AND e.server = o.objid;
END $$;
CREATE EVENT TRIGGER redshift_streaming_drop ON sql_drop EXECUTE FUNCTION redshift.forget_dropped();
-- Whatever session_replication_role says: a registration without its table would be dumped, and its OID is some other table's in the copy.
ALTER EVENT TRIGGER redshift_streaming_drop ENABLE ALWAYS;
