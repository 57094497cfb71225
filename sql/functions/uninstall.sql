-- redshift.uninstall(): what users have becomes Postgres's own, so that DROP EXTENSION takes no data.
CREATE FUNCTION redshift.outside_dependents(
    OUT classid oid, OUT objid oid, OUT objsubid integer, OUT column_type oid
) RETURNS SETOF record LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
    -- As DROP EXTENSION sees it: members, what goes with them, and what depends on one of those but does not go.
    WITH RECURSIVE ours AS (
        SELECT d.classid, d.objid FROM pg_depend AS d
        WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
          AND d.refobjid = (SELECT e.oid FROM pg_extension AS e WHERE e.extname = 'redshift_streaming')
        UNION
        SELECT d.classid, d.objid FROM pg_depend AS d JOIN ours AS o ON d.refclassid = o.classid AND d.refobjid = o.objid
        WHERE d.deptype IN ('i', 'a'))
    SELECT DISTINCT d.classid, d.objid, d.objsubid, CASE WHEN d.refclassid = 'pg_type'::regclass THEN d.refobjid END
    FROM pg_depend AS d JOIN ours AS o ON d.refclassid = o.classid AND d.refobjid = o.objid
    WHERE d.deptype = 'n' AND (d.classid, d.objid) NOT IN (SELECT i.classid, i.objid FROM ours AS i)
$$;
COMMENT ON FUNCTION redshift.outside_dependents() IS 'What would keep DROP EXTENSION redshift_streaming from working without CASCADE';
REVOKE ALL ON FUNCTION redshift.outside_dependents() FROM PUBLIC;

-- ALTER TABLE looks whether rows fulfil the constraints: what the table's owner has written there runs with his rights, not with the caller's.
CREATE FUNCTION redshift.alter_as_owner(relation regclass, statement text) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'alter_as_owner_wrapper';
COMMENT ON FUNCTION redshift.alter_as_owner(regclass, text) IS 'Runs a statement as the owner of a relation, in a security-restricted operation';
REVOKE ALL ON FUNCTION redshift.alter_as_owner(regclass, text) FROM PUBLIC;

CREATE PROCEDURE redshift.uninstall() LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    in_the_way text;
    changed record;
    definitions regclass[];
    views bigint := 0;
    streams bigint := 0;
    columns bigint := 0;
BEGIN
    IF NOT pg_has_role((SELECT e.extowner FROM pg_extension AS e WHERE e.extname = 'redshift_streaming'), 'USAGE') THEN
        RAISE EXCEPTION 'permission denied for procedure redshift.uninstall'
            USING ERRCODE = 'insufficient_privilege', HINT = 'Only the owner of the extension and superusers may call it.';
    END IF;

    -- Materialized views become plain tables.
    FOR changed IN SELECT v.mv FROM redshift.materialized_view AS v JOIN pg_class AS c ON c.oid = v.mv ORDER BY v.mv_id LOOP
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', changed.mv);
        views := views + 1;
    END LOOP;
    definitions := ARRAY(SELECT v.definition FROM redshift.materialized_view AS v JOIN pg_class AS c ON c.oid = v.definition);
    DELETE FROM redshift.checkpoint;
    DELETE FROM redshift.auto_refresh_state;
    DELETE FROM redshift.materialized_view;
    DELETE FROM redshift.external_schema;
    -- Now they are views as any other.
    FOR changed IN SELECT d.definition FROM unnest(definitions) AS d (definition) LOOP
        EXECUTE format('DROP VIEW %s', changed.definition);
    END LOOP;

    -- The records of a stream are nowhere else: it becomes a table of its name. Renamed first: that waits for those who still insert.
    FOR changed IN
        SELECT n.nspname, c.relname, left(c.relname, 50) || '_uninstall' AS renamed, pg_get_userbyid(c.relowner) AS owner
        FROM redshift.stream AS s JOIN pg_class AS c ON c.oid = s.relation AND c.reltype = s.row_type JOIN pg_namespace AS n ON n.oid = c.relnamespace ORDER BY s.stream_id
    LOOP
        PERFORM redshift.require_untouched_stream(format('%I.%I', changed.nspname, changed.relname)::regclass);
        EXECUTE format('ALTER FOREIGN TABLE %I.%I RENAME TO %I', changed.nspname, changed.relname, changed.renamed);
        EXECUTE format('CREATE TABLE %I.%I AS SELECT * FROM %I.%I', changed.nspname, changed.relname, changed.nspname, changed.renamed);
        EXECUTE format('ALTER TABLE %I.%I OWNER TO %I', changed.nspname, changed.relname, changed.owner);
        streams := streams + 1;
    END LOOP;

    -- What is left of external schemas holds no data.
    FOR changed IN
        SELECT t.ftrelid::regclass AS relation FROM pg_foreign_table AS t JOIN pg_foreign_server AS s ON s.oid = t.ftserver
            JOIN pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw WHERE w.fdwname = 'redshift_streaming'
    LOOP
        EXECUTE format('DROP FOREIGN TABLE %s', changed.relation);
    END LOOP;
    FOR changed IN
        SELECT s.srvname, n.nspname FROM pg_foreign_server AS s JOIN pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw
            LEFT JOIN pg_namespace AS n ON n.nspname = s.srvname WHERE w.fdwname = 'redshift_streaming'
    LOOP
        -- Only user mappings depend on it by now.
        EXECUTE format('DROP SERVER %I CASCADE', changed.srvname);
        IF changed.nspname IS NOT NULL THEN
            BEGIN
                EXECUTE format('DROP SCHEMA %I', changed.nspname);
            EXCEPTION WHEN dependent_objects_still_exist THEN
                NULL; -- The user has put something of his own into it.
            END;
        END IF;
    END LOOP;

    -- What else uses the extension: columns of tables are changed below, and their indexes with them; the rest is the user's to decide on.
    SELECT string_agg(DISTINCT coalesce(pg_describe_object('pg_class'::regclass, v.oid, 0), pg_describe_object(u.classid, u.objid, u.objsubid)), E'\n')
    INTO in_the_way
    FROM (SELECT d.classid, d.objid, d.objsubid FROM redshift.outside_dependents() AS d
              LEFT JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
              LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
          WHERE (c.relkind IN ('r', 'p') AND d.objsubid > 0 AND d.column_type IS NOT NULL) IS NOT TRUE
            AND (i.indexprs IS NULL AND i.indpred IS NULL
                 AND (SELECT bool_and(o.opcdefault) FROM pg_opclass AS o WHERE o.oid = ANY (i.indclass))) IS NOT TRUE
          UNION
          -- Postgres refuses to change a column that a view or a rule reads.
          SELECT r.classid, r.objid, r.objsubid FROM redshift.outside_dependents() AS d
              JOIN pg_depend AS r ON r.refclassid = d.classid AND r.refobjid = d.objid AND r.refobjsubid = d.objsubid
          WHERE d.objsubid > 0 AND r.classid = 'pg_rewrite'::regclass) AS u
        -- A view is named once, not its columns and its rule.
        LEFT JOIN pg_rewrite AS w ON u.classid = 'pg_rewrite'::regclass AND w.oid = u.objid
        LEFT JOIN pg_class AS v ON v.relkind IN ('v', 'm') AND v.oid = coalesce(w.ev_class, CASE WHEN u.classid = 'pg_class'::regclass THEN u.objid END);
    IF in_the_way IS NOT NULL THEN
        RAISE EXCEPTION 'some objects use redshift_streaming in other ways than as the type of a table''s column'
            USING ERRCODE = 'dependent_objects_still_exist', DETAIL = in_the_way,
                  HINT = 'Nothing was changed. Drop or change them, then call redshift.uninstall again.';
    END IF;

    -- The stored form of super is that of jsonb, and of varbyte that of bytea: no table is rewritten. Children follow their parents.
    FOR changed IN
        SELECT a.attrelid::regclass AS relation, count(*) AS columns,
               string_agg(format('ALTER COLUMN %1$I TYPE %2$s USING %1$I::%2$s', a.attname,
                   CASE coalesce(e.typname, t.typname) WHEN 'super' THEN 'pg_catalog.jsonb' ELSE 'pg_catalog.bytea' END
                   || CASE WHEN e.oid IS NOT NULL THEN '[]' ELSE '' END), ', ' ORDER BY a.attnum) AS commands
        FROM redshift.outside_dependents() AS d
            JOIN pg_attribute AS a ON d.classid = 'pg_class'::regclass AND a.attrelid = d.objid AND a.attnum = d.objsubid AND a.atttypid = d.column_type
            JOIN pg_type AS t ON t.oid = a.atttypid
            LEFT JOIN pg_type AS e ON e.typarray = t.oid
        WHERE a.attinhcount = 0 AND NOT a.attisdropped
        GROUP BY a.attrelid
    LOOP
        PERFORM redshift.alter_as_owner(changed.relation, format('ALTER TABLE %s %s', changed.relation, changed.commands));
        columns := columns + changed.columns;
    END LOOP;
    IF streams > 0 THEN
        RAISE NOTICE 'streams whose records are a plain table of their name now: %', streams;
    END IF;
    RAISE NOTICE 'materialized views that are plain tables now: %; columns that are jsonb or bytea now: %', views, columns
        USING HINT = 'DROP EXTENSION redshift_streaming takes no data now; the history of refreshes goes with it.';
END $$;
COMMENT ON PROCEDURE redshift.uninstall() IS 'Turns streaming materialized views, and streams that the database keeps, into plain tables, super into jsonb and varbyte into bytea, so that DROP EXTENSION takes no data';
REVOKE ALL ON PROCEDURE redshift.uninstall() FROM PUBLIC;
