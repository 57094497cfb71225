-- Procedures on streaming materialized views.
CREATE PROCEDURE redshift.refresh(mv regclass, max_records bigint DEFAULT NULL, max_bytes bigint DEFAULT NULL)
    LANGUAGE c AS 'MODULE_PATHNAME', 'redshift_refresh';
COMMENT ON PROCEDURE redshift.refresh(regclass, bigint, bigint) IS 'As REFRESH MATERIALIZED VIEW, reading at most so many records or bytes';

CREATE PROCEDURE redshift.set_position(mv regclass, partition_id text, "position" text)
    LANGUAGE c AS 'MODULE_PATHNAME', 'redshift_set_position';
COMMENT ON PROCEDURE redshift.set_position(regclass, text, text) IS 'Where the next refresh begins in a partition (null: in all): the next offset to load, or earliest';

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
          FROM redshift.scan_ledger
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
    WITH entries AS (
        SELECT l.*, l.first_position::numeric - lag(l.end_position::numeric)
                        OVER (PARTITION BY l.partition_id ORDER BY l.query_id) AS step
        FROM redshift.visible_ledger AS l WHERE l.mv = verify.mv)
    SELECT e.partition_id, min(e.first_position::numeric)::text, (max(e.end_position::numeric) - 1)::text,
           sum(e.scanned)::bigint, sum(e.loaded)::bigint, sum(e.filtered)::bigint, sum(e.skipped)::bigint,
           coalesce(sum(e.step) FILTER (WHERE e.step > 0), 0)::bigint,
           coalesce(-sum(e.step) FILTER (WHERE e.step < 0), 0)::bigint,
           coalesce(bool_and(e.step = 0), true) AND sum(e.scanned) = sum(e.loaded + e.filtered + e.skipped)
    FROM entries AS e GROUP BY e.partition_id
    ORDER BY length(e.partition_id), e.partition_id
$$;
COMMENT ON FUNCTION redshift.verify(regclass) IS 'From the ledger: was every position from the first to the last read exactly once';
