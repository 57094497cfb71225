-- redshift.verify: from the ledger, was every position from the first to the last read exactly once?

-- The ledger of the views that the caller may read. (A view, so that redshift.verify needs no rights of its own.)
CREATE VIEW redshift.visible_ledger WITH (security_barrier) AS
    SELECT v.mv, l.*
    FROM (SELECT query_id, mv_id, partition_id, first_position, end_position, scanned, loaded, filtered, skipped, dropped, record_time_max, logged_at,
                 moved, lost
          FROM redshift.scan_ledger
          UNION ALL
          -- What auto refresh has loaded since it last wrote the ledger.
          SELECT 9223372036854775807, mv_id, partition_id, pending_first, position, pending_scanned,
                 pending_scanned - pending_filtered - pending_skipped - pending_dropped, pending_filtered, pending_skipped, pending_dropped,
                 pending_time_max, pending_since,
                 false, false
          FROM redshift.checkpoint WHERE pending_since IS NOT NULL) AS l
    JOIN redshift.materialized_view AS v USING (mv_id)
    WHERE pg_catalog.has_table_privilege(v.mv, 'SELECT');
COMMENT ON VIEW redshift.visible_ledger IS 'redshift.scan_ledger, as far as the current user may read the materialized view';
GRANT SELECT ON redshift.visible_ledger TO PUBLIC;

CREATE FUNCTION redshift.unlogged_tables(mv regclass) RETURNS text LANGUAGE sql STABLE STRICT
    SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(c.oid::regclass::text, ', ' ORDER BY c.oid)
    FROM (SELECT unlogged_tables.mv::oid AS oid UNION SELECT t.relid::oid FROM pg_partition_tree(unlogged_tables.mv) AS t) AS m
    JOIN pg_class AS c ON c.oid = m.oid
    WHERE c.relpersistence = 'u'
$$;
COMMENT ON FUNCTION redshift.unlogged_tables(regclass) IS 'The table of a materialized view and its partitions, as far as they are empty after a crash of the server';

CREATE FUNCTION redshift.foreign_partitions(mv regclass) RETURNS text LANGUAGE sql STABLE STRICT
    SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(c.oid::regclass::text, ', ' ORDER BY c.oid)
    FROM pg_partition_tree(foreign_partitions.mv) AS t JOIN pg_class AS c ON c.oid = t.relid::oid
    WHERE c.relkind = 'f'
$$;
COMMENT ON FUNCTION redshift.foreign_partitions(regclass) IS 'Partitions of a materialized view whose rows commit on another server';

CREATE FUNCTION redshift.offset_of("position" text) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN "position" OPERATOR(pg_catalog.~) '^[0-9]+$' THEN "position"::pg_catalog.numeric END;
COMMENT ON FUNCTION redshift.offset_of(text) IS 'A position as a number; null for earliest and for times';

CREATE FUNCTION redshift.damaged_positions(mv regclass, OUT partition_id text, OUT error text) RETURNS SETOF record
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'damaged_positions_wrapper';
COMMENT ON FUNCTION redshift.damaged_positions(regclass) IS 'Rows of redshift.checkpoint that no refresh of the materialized view can read, which the caller may read, and what mends them';

CREATE FUNCTION redshift.is_position(partition_id text, "position" text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN partition_id OPERATOR(pg_catalog.~) '^(0|[1-9][0-9]{0,9})$'
                THEN "position" OPERATOR(pg_catalog.~) '^(earliest|0|[1-9][0-9]{0,18})$'
                ELSE partition_id OPERATOR(pg_catalog.~) '^[A-Za-z0-9_.-]{0,19}[A-Za-z_.-][A-Za-z0-9_.-]{0,19}$'
                     AND pg_catalog.length(partition_id) OPERATOR(pg_catalog.<=) 20
                     AND "position" OPERATOR(pg_catalog.~) '^(earliest|0|[1-9][0-9]{0,128}|@(0|[1-9][0-9]{0,18}))$' END;
COMMENT ON FUNCTION redshift.is_position(text, text) IS 'Can a view stand there in a partition (named by a number) or shard?';

CREATE FUNCTION redshift.verify(
    mv regclass,
    OUT partition_id text, OUT first_position text, OUT last_position text,
    OUT scanned bigint, OUT loaded bigint, OUT filtered bigint, OUT skipped bigint, OUT dropped bigint,
    OUT gaps bigint, OUT read_twice bigint, OUT passed bigint, OUT reread bigint, OUT lost bigint, OUT ok boolean, OUT note text
) RETURNS SETOF record LANGUAGE sql STABLE STRICT
    SET search_path = pg_catalog, pg_temp AS $$
    -- Each read begins where the one before it ended, or where a move (redshift.set_position) or an accepted loss between the two ended. What is
    -- neither is a gap or is read twice. Positions of shards (sequence numbers) are only the same or not: each that does not fit counts as one.
    WITH entries AS (
        SELECT l.*, l.partition_id ~ '^[0-9]+$' AS counts, NOT (l.moved OR l.lost) AS is_read
        FROM redshift.visible_ledger AS l WHERE l.mv = verify.mv),
    placed AS (
        -- How many reads are before it: what stands between two of them has the second one's number.
        SELECT e.*, count(*) FILTER (WHERE e.is_read) OVER (PARTITION BY e.partition_id ORDER BY e.query_id) - e.is_read::int AS place
        FROM entries AS e),
    jumps AS (
        SELECT p.partition_id, p.place, true AS jumped,
               (array_agg(p.first_position ORDER BY p.query_id))[1] AS left_at,
               (array_agg(p.end_position ORDER BY p.query_id DESC))[1] AS came_to,
               coalesce(sum(redshift.offset_of(p.end_position) - redshift.offset_of(p.first_position)) FILTER (WHERE p.lost), 0) AS lost_step,
               coalesce(sum(CASE WHEN p.counts THEN greatest(redshift.offset_of(p.end_position) - redshift.offset_of(p.first_position), 0) ELSE 1 END)
                        FILTER (WHERE p.lost), 0) AS lost,
               count(*) FILTER (WHERE p.moved AND p.end_position = 'earliest') AS to_start,
               count(*) FILTER (WHERE p.moved AND p.end_position <> 'earliest') AS to_others
        FROM placed AS p WHERE NOT p.is_read GROUP BY p.partition_id, p.place),
    reads AS (
        SELECT p.*, lag(p.end_position) OVER (PARTITION BY p.partition_id ORDER BY p.query_id) AS before
        FROM placed AS p WHERE p.is_read),
    steps AS (
        SELECT r.*, j.jumped, j.lost_step, j.lost AS lost_here, j.to_start, j.to_others,
               redshift.offset_of(r.first_position) - redshift.offset_of(r.before) AS step,
               -- Nobody asked for it: how the jump begins, or the read if there is none; and how the read begins behind the jump.
               CASE WHEN r.before IS NULL OR r.before = coalesce(j.left_at, r.first_position) THEN 0
                    WHEN r.counts THEN coalesce(redshift.offset_of(coalesce(j.left_at, r.first_position)) - redshift.offset_of(r.before), 0)
                    ELSE coalesce(sign(redshift.offset_of(coalesce(j.left_at, r.first_position)) - redshift.offset_of(r.before)), 1) END AS unasked,
               CASE WHEN j.came_to IS NULL OR j.came_to = r.first_position THEN 0
                    WHEN r.counts THEN coalesce(redshift.offset_of(r.first_position) - redshift.offset_of(j.came_to), 0)
                    ELSE coalesce(sign(redshift.offset_of(r.first_position) - redshift.offset_of(j.came_to)), 1) END AS unasked_behind
        FROM reads AS r LEFT JOIN jumps AS j USING (partition_id, place)),
    asked AS (
        -- What the owner moved: the whole step but for what was lost and what nobody asked for. Of a shard, each move counts as one.
        SELECT s.*, CASE WHEN s.jumped AND s.counts THEN coalesce(s.step - s.lost_step - s.unasked - s.unasked_behind, 0) ELSE 0 END AS moved_by
        FROM steps AS s),
    parts AS (
        SELECT a.partition_id,
               CASE WHEN bool_and(a.counts) THEN min(redshift.offset_of(a.first_position))::text
                    ELSE (array_agg(a.first_position ORDER BY a.query_id))[1] END AS first_position,
               CASE WHEN bool_and(a.counts) THEN (max(redshift.offset_of(a.end_position)) - 1)::text
                    ELSE (array_agg(a.end_position ORDER BY a.query_id DESC))[1] END AS last_position,
               sum(a.scanned)::bigint AS scanned, sum(a.loaded)::bigint AS loaded, sum(a.filtered)::bigint AS filtered, sum(a.skipped)::bigint AS skipped,
               sum(a.dropped)::bigint AS dropped,
               sum(greatest(a.unasked, 0) + greatest(a.unasked_behind, 0))::bigint AS gaps,
               sum(greatest(-a.unasked, 0) + greatest(-a.unasked_behind, 0))::bigint AS read_twice,
               (sum(greatest(a.moved_by, 0)) + coalesce(sum(a.to_others) FILTER (WHERE NOT a.counts), 0))::bigint AS passed,
               (sum(greatest(-a.moved_by, 0)) + coalesce(sum(a.to_start) FILTER (WHERE NOT a.counts), 0))::bigint AS reread,
               coalesce(sum(a.lost_here), 0)::bigint AS lost
        FROM asked AS a GROUP BY a.partition_id),
    damaged AS (
        -- What cannot be read is neither here nor there, so nothing of such a partition is sure.
        SELECT d.partition_id, min(d.text) AS text FROM (
            SELECT c.partition_id, 'RS005: ' || c.error AS text FROM redshift.damaged_positions(verify.mv) AS c
            UNION ALL
            SELECT e.partition_id, format('RS005: the ledger''s positions %L to %L of %L (query_id %s) cannot be read', e.first_position, e.end_position,
                                          e.partition_id, e.query_id)
            FROM entries AS e
            WHERE (redshift.is_position(e.partition_id, e.first_position) AND redshift.is_position(e.partition_id, e.end_position)) IS NOT TRUE) AS d
        GROUP BY d.partition_id)
    SELECT partition_id, p.first_position, p.last_position, p.scanned, p.loaded, p.filtered, p.skipped, p.dropped, p.gaps, p.read_twice, p.passed, p.reread,
           p.lost, coalesce(p.gaps = 0 AND p.read_twice = 0 AND p.scanned = p.loaded + p.filtered + p.skipped + p.dropped, false) AND u.names IS NULL
                       AND d.text IS NULL,
           nullif(concat_ws('; ', d.text, 'unlogged, so empty after a crash of the server: ' || u.names || ' (ALTER TABLE .. SET LOGGED mends it)',
                            'foreign, so rows commit apart from positions: ' || u.foreign_names), '')
    FROM parts AS p FULL JOIN damaged AS d USING (partition_id), (SELECT redshift.unlogged_tables(verify.mv) AS names, redshift.foreign_partitions(verify.mv) AS foreign_names) AS u
    ORDER BY length(partition_id), partition_id
$$;
COMMENT ON FUNCTION redshift.verify(regclass) IS 'From the ledger: was every position from the first to the last read exactly once, but for what the owner asked for';
