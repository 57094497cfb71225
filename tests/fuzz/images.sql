-- Functions over stored images that nobody wrote: for tests/fuzz/receive.py. The casts are what only a superuser can make.
CREATE CAST (varbyte AS super) WITHOUT FUNCTION;
CREATE CAST (super AS varbyte) WITHOUT FUNCTION;

-- Calls each function of the library that takes SUPER with broken images. A result or an error is right, also that the image is malformed.
CREATE FUNCTION read_image(image varbyte, other varbyte, call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result boolean;
BEGIN
    EXECUTE call INTO result USING image::super, other::super;
    RETURN 'read';
EXCEPTION WHEN OTHERS THEN
    -- A panic of ours has the class of internal errors; a malformed value is XX001.
    RETURN CASE WHEN SQLSTATE = 'XX000' THEN format('%s: %s', call, SQLERRM) END;
END $$;

CREATE VIEW image_calls AS
SELECT format('SELECT (%I.%I(%s)) IS NULL', n.nspname, p.proname, string_agg(CASE format_type(t, NULL)
        WHEN 'super' THEN CASE WHEN i = 1 THEN '$1' ELSE '$2' END WHEN 'integer' THEN '1' WHEN 'bigint' THEN '1' WHEN 'boolean' THEN 'true'
        WHEN 'text' THEN '''a''' WHEN 'text[]' THEN '''{a,"\"b\".\"c\""}''' WHEN 'anycompatible' THEN '1' WHEN 'jsonb' THEN '''1''::jsonb' ELSE 'NULL' END, ', ' ORDER BY i)) AS call
FROM pg_proc AS p
JOIN pg_namespace AS n ON n.oid = p.pronamespace
JOIN pg_language AS l ON l.oid = p.prolang AND l.lanname = 'c'
JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'redshift_streaming')
CROSS JOIN LATERAL unnest(p.proargtypes) WITH ORDINALITY AS u (t, i)
WHERE 'super'::regtype = ANY (p.proargtypes) AND p.prorettype NOT IN ('cstring'::regtype, 'internal'::regtype)
GROUP BY p.oid, n.nspname, p.proname;
