-- What the workers are doing. Logged, because a standby cannot read unlogged tables; rows of a worker that is gone do not count.
CREATE TABLE redshift.auto_refresh_state (
    mv_id bigint NOT NULL,
    -- Number of the worker: a view can be divided among several.
    worker integer NOT NULL,
    pid integer NOT NULL,
    state text NOT NULL,
    since timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    last_error text,
    last_error_at timestamptz,
    blocked_by integer,
    -- Of a row of failures one event is sent when it begins, and one when it is over.
    told boolean NOT NULL DEFAULT false,
    PRIMARY KEY (mv_id, worker)
) WITH (fillfactor = 50);
COMMENT ON TABLE redshift.auto_refresh_state IS 'What the workers are doing; redshift.worker_status reads it';

CREATE FUNCTION redshift.blocker(mv_id bigint) RETURNS integer LANGUAGE sql STABLE STRICT
    SET search_path = pg_catalog, pg_temp AS $$
    -- Who holds the view's checkpoints (the xid is in the row), or else a lock on its table.
    SELECT coalesce(
        (SELECT l.pid FROM pg_locks AS l JOIN redshift.checkpoint AS c ON l.transactionid = c.xmax
         WHERE c.mv_id = blocker.mv_id AND l.locktype = 'transactionid' AND l.granted AND l.pid <> pg_backend_pid() LIMIT 1),
        (SELECT l.pid FROM pg_locks AS l JOIN redshift.materialized_view AS v ON l.relation = v.mv
         WHERE v.mv_id = blocker.mv_id AND l.granted AND l.pid <> pg_backend_pid()
           AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
           AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()) LIMIT 1))
$$;
COMMENT ON FUNCTION redshift.blocker(bigint) IS 'The process that keeps a worker from loading a view, if one does';
REVOKE ALL ON FUNCTION redshift.blocker(bigint) FROM PUBLIC;

CREATE FUNCTION redshift.worker_obstacle() RETURNS text
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'worker_obstacle_wrapper';
COMMENT ON FUNCTION redshift.worker_obstacle() IS 'Why this database gets no worker, if the server knows a cause';

CREATE FUNCTION redshift.missing_workers() RETURNS integer
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'missing_workers_wrapper';
COMMENT ON FUNCTION redshift.missing_workers() IS 'How many ingest workers auto refresh could use in this database, and does not have: no background worker was free';

CREATE FUNCTION redshift.loader(worker integer, mv oid) RETURNS TABLE (pid integer, busy_since timestamptz)
    LANGUAGE c VOLATILE STRICT ROWS 1 AS 'MODULE_PATHNAME', 'loader_of_view_wrapper';
COMMENT ON FUNCTION redshift.loader(integer, oid) IS 'The worker of that number in this database, and since when it has been loading another view than this one';
