-- Procedures on streaming materialized views.
CREATE PROCEDURE redshift.refresh(mv regclass, max_records bigint DEFAULT NULL, max_bytes bigint DEFAULT NULL)
    LANGUAGE c AS 'MODULE_PATHNAME', 'redshift_refresh';
COMMENT ON PROCEDURE redshift.refresh(regclass, bigint, bigint) IS 'As REFRESH MATERIALIZED VIEW, reading at most so many records or bytes';

CREATE PROCEDURE redshift.set_position(mv regclass, partition_id text, "position" text)
    LANGUAGE c AS 'MODULE_PATHNAME', 'redshift_set_position';
COMMENT ON PROCEDURE redshift.set_position(regclass, text, text) IS 'Where the next refresh begins in a partition or shard (null: in all): the next offset to load or the last sequence number that is loaded; or earliest, latest, a timestamp';

-- Numbers need no quotes. A sequence number has more digits than a bigint.
CREATE PROCEDURE redshift.set_position(mv regclass, partition_id bigint, "position" text)
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS 'CALL redshift.set_position(mv, partition_id::text, "position")';
CREATE PROCEDURE redshift.set_position(mv regclass, partition_id text, "position" numeric)
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS 'CALL redshift.set_position(mv, partition_id, "position"::text)';
CREATE PROCEDURE redshift.set_position(mv regclass, partition_id bigint, "position" numeric)
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS 'CALL redshift.set_position(mv, partition_id::text, "position"::text)';
COMMENT ON PROCEDURE redshift.set_position(regclass, bigint, text) IS 'As set_position(regclass, text, text)';
COMMENT ON PROCEDURE redshift.set_position(regclass, text, numeric) IS 'As set_position(regclass, text, text)';
COMMENT ON PROCEDURE redshift.set_position(regclass, bigint, numeric) IS 'As set_position(regclass, text, text)';

CREATE PROCEDURE redshift.adopt(mv regclass)
    LANGUAGE c AS 'MODULE_PATHNAME', 'redshift_adopt';
COMMENT ON PROCEDURE redshift.adopt(regclass) IS 'Lets a restored streaming materialized view load in this database';

CREATE PROCEDURE redshift.pause(mv regclass)
    LANGUAGE c AS 'MODULE_PATHNAME', 'redshift_pause';
COMMENT ON PROCEDURE redshift.pause(regclass) IS 'Stops auto refresh of a materialized view until redshift.resume; REFRESH still works';

CREATE PROCEDURE redshift.resume(mv regclass)
    LANGUAGE c AS 'MODULE_PATHNAME', 'redshift_resume';
COMMENT ON PROCEDURE redshift.resume(regclass) IS 'Lets auto refresh go on after redshift.pause';

-- The ledger of the views that the caller may read. (A view, so that redshift.verify needs no rights of its own.)
CREATE VIEW redshift.visible_ledger WITH (security_barrier) AS
    SELECT v.mv, l.*
    FROM (SELECT query_id, mv_id, partition_id, first_position, end_position, scanned, loaded, filtered, skipped, record_time_max, logged_at
          FROM redshift.scan_ledger WHERE NOT moved
          UNION ALL
          -- What auto refresh has loaded since it last wrote the ledger.
          SELECT 9223372036854775807, mv_id, partition_id, pending_first, position, pending_scanned,
                 pending_scanned - pending_filtered - pending_skipped, pending_filtered, pending_skipped, pending_time_max, pending_since
          FROM redshift.checkpoint WHERE pending_since IS NOT NULL) AS l
    JOIN redshift.materialized_view AS v USING (mv_id)
    WHERE pg_catalog.has_table_privilege(v.mv, 'SELECT');
COMMENT ON VIEW redshift.visible_ledger IS 'redshift.scan_ledger, as far as the current user may read the materialized view';
GRANT SELECT ON redshift.visible_ledger TO PUBLIC;

CREATE FUNCTION redshift.verify(
    mv regclass,
    OUT partition_id text, OUT first_position text, OUT last_position text,
    OUT scanned bigint, OUT loaded bigint, OUT filtered bigint, OUT skipped bigint,
    OUT gaps bigint, OUT overlaps bigint, OUT ok boolean
) RETURNS SETOF record LANGUAGE sql STABLE STRICT
    SET search_path = pg_catalog, pg_temp AS $$
    -- Each entry begins where the one before it ended: more is a gap, less an overlap. A position moved by set_position shows as one of them.
    -- Positions of shards (sequence numbers) are only the same or not: each that does not fit counts as one.
    WITH entries AS (
        SELECT l.*, l.partition_id ~ '^[0-9]+$' AS counts,
               lag(l.end_position) OVER (PARTITION BY l.partition_id ORDER BY l.query_id) AS before
        FROM redshift.visible_ledger AS l WHERE l.mv = verify.mv),
    steps AS (
        SELECT e.*, CASE WHEN e.before IS NULL THEN NULL
                         WHEN e.counts THEN e.first_position::numeric - e.before::numeric
                         WHEN e.first_position = e.before THEN 0
                         WHEN e.first_position ~ '^[0-9]+$' AND e.before ~ '^[0-9]+$'
                             THEN sign(e.first_position::numeric - e.before::numeric)
                         ELSE 1 END AS step
        FROM entries AS e)
    SELECT e.partition_id,
           CASE WHEN bool_and(e.counts) THEN min(CASE WHEN e.counts THEN e.first_position::numeric END)::text
                ELSE (array_agg(e.first_position ORDER BY e.query_id))[1] END,
           CASE WHEN bool_and(e.counts) THEN (max(CASE WHEN e.counts THEN e.end_position::numeric END) - 1)::text
                ELSE (array_agg(e.end_position ORDER BY e.query_id DESC))[1] END,
           sum(e.scanned)::bigint, sum(e.loaded)::bigint, sum(e.filtered)::bigint, sum(e.skipped)::bigint,
           coalesce(sum(e.step) FILTER (WHERE e.step > 0), 0)::bigint,
           coalesce(-sum(e.step) FILTER (WHERE e.step < 0), 0)::bigint,
           coalesce(bool_and(e.step = 0), true) AND sum(e.scanned) = sum(e.loaded + e.filtered + e.skipped)
    FROM steps AS e GROUP BY e.partition_id
    ORDER BY length(e.partition_id), e.partition_id
$$;
COMMENT ON FUNCTION redshift.verify(regclass) IS 'From the ledger: was every position from the first to the last read exactly once';
