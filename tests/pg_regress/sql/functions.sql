-- docs/functions.tsv is what pg_proc has: each name with its volatility, and none of ours is missing there.
\set list `cat "$PG_ABS_SRCDIR/../../docs/functions.tsv"`
CREATE TEMP TABLE listed AS
    SELECT f[1] AS redshift, f[2] AS ours, f[3] AS kind, f[4] AS volatility, f[5] AS page
    FROM regexp_split_to_table(rtrim(:'list', E'\n'), E'\n') WITH ORDINALITY AS line (line, n), LATERAL (SELECT string_to_array(line, E'\t')) AS fields (f) WHERE n > 1;
SELECT count(*) > 100 AS many, count(*) FILTER (WHERE kind NOT IN ('native', 'translated') OR ours = '' OR page = '') AS wrong, string_agg(ours, ' ') FILTER (WHERE volatility = '-') AS no_function FROM listed;
CREATE TEMP TABLE present AS
    SELECT CASE nspname WHEN 'redshift' THEN 'redshift.' WHEN 'pg_catalog' THEN 'pg_catalog.' ELSE '' END || proname AS ours,
        string_agg(DISTINCT CASE provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END, '/') AS volatility,
        bool_or(EXISTS (SELECT FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid WHERE d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e' AND e.extname = 'redshift_streaming')) AS of_extension
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace WHERE nspname IN ('redshift', 'pg_catalog', 'public') GROUP BY 1;
-- No rows when all is well.
SELECT listed.ours, listed.volatility, present.volatility AS present FROM listed LEFT JOIN present USING (ours) WHERE listed.volatility <> '-' AND listed.volatility IS DISTINCT FROM present.volatility;
SELECT ours AS not_listed FROM present WHERE of_extension AND ours NOT LIKE 'redshift.%' AND ours NOT IN (SELECT ours FROM listed);
SELECT ours AS not_ours FROM listed JOIN present USING (ours) WHERE NOT of_extension AND ours NOT LIKE 'pg_catalog.%';
-- Every function says what it does
SELECT p.oid::regprocedure FROM pg_proc AS p JOIN pg_depend AS d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e' JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'redshift_streaming'
    WHERE obj_description(p.oid, 'pg_proc') IS NULL AND (pronamespace <> 'redshift'::regnamespace OR 'redshift.' || proname IN (SELECT ours FROM listed));
-- They do not depend on the caller's search_path
SET search_path = pg_catalog;
SELECT public.json_array_length('[1]'::varchar), public.dateadd('day', 1, '2008-02-28'), public.datediff('day', '2008-02-28', '2008-02-29'), public.split_to_array('a,b'), public.array_sort(public.json_parse('[2,1]')), public.array_except(public.json_parse('[1,2]'), public.json_parse('[1]')), public.nvl(NULL, 1), public.nvl2(1, 2, 3), public.checksum(1) = public.checksum(1) AS checksum,
    public.fnv_hash(1), length(public.sha2('a', 256)), public.getdate() IS NOT NULL AS getdate, public.convert_timezone('UTC', '2008-02-28'), public.to_date('20080228', 'YYYYMMDD', true), redshift.regexp_replace('aa', 'a', 'b', 1, 'i'), redshift.date_part('d', '2008-02-28'::timestamp), redshift.round(public.json_parse('1.5')), redshift.checked_cast(public.json_parse('1'), 1);
SELECT public.median(n), public.listagg(n, ','), (SELECT count(*) FROM redshift.unnest_array(public.json_parse('[1,2]'))), (SELECT count(*) FROM redshift.unpivot_object(public.json_parse('{"a":1}'))) FROM generate_series(1, 3) AS n;
SELECT public.json_parse('2') OPERATOR(public.*) 3 AS product, public.json_parse('2') OPERATOR(public.+) public.json_parse('3') AS sum;
