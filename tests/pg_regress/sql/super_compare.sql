-- Comparisons of SUPER: each is right, or an error that says what to write. Never silently false.
CREATE TEMP TABLE t (id int, x super, y super);
INSERT INTO t VALUES
    (1, '"12345"', '"12345"'),
    (2, '12345', '12345.0'),
    (3, '"abc"', '"abd"'),
    (4, '"abc  "', '"abc"'),
    (5, 'true', 'false'),
    (6, 'null', 'null'),
    (7, '[1,{"a":2}]', '[1.0,{"a":2}]'),
    (8, '{"a":1}', '{"a":2}'),
    (9, '5', '7'),
    (10, NULL, '1');

-- An untyped literal is a string
SELECT id FROM t WHERE x = '12345' ORDER BY id;
SELECT id FROM t WHERE '12345' = x ORDER BY id;
SELECT id FROM t WHERE x = 'abc' ORDER BY id;
SELECT id, x = 'abc' AS eq, x <> 'abc' AS ne, x < 'abd' AS lt, 'abd' > x AS lt_turned, x >= 'abc' AS ge FROM t ORDER BY id;
SELECT id FROM t WHERE x = '12345'::varchar ORDER BY id;
SELECT id FROM t WHERE x::varchar = '12345' ORDER BY id;
PREPARE by_text(text) AS SELECT id FROM t WHERE x = $1 ORDER BY id;
EXECUTE by_text('12345');
PREPARE by_unknown AS SELECT id FROM t WHERE x = $1 ORDER BY id;
EXECUTE by_unknown('12345');
SELECT parameter_types FROM pg_prepared_statements WHERE name = 'by_unknown';

-- Numbers compare whatever their type
SELECT id FROM t WHERE x = 12345 ORDER BY id;
SELECT id FROM t WHERE 12345 = x ORDER BY id;
SELECT id, x = 5 AS int4, x = 5::smallint AS int2, x = 5::bigint AS int8, x = 5.0 AS numeric, x = 5::float8 AS float8, x < 6 AS lt, 6 > x AS lt_turned, x >= 5.5 AS ge, x <> 5 AS ne FROM t ORDER BY id;
SELECT id FROM t WHERE x = 5::real ORDER BY id;
SELECT x < 'NaN'::numeric AS nan, x < 'infinity'::numeric AS inf, x > '-infinity'::numeric AS neg_inf, x < 'NaN'::float8 AS float_nan, x > '-infinity'::float8 AS float_neg_inf FROM t WHERE id = 9;
SELECT '0.1'::super = 0.1::float8 AS float8, '0.1'::super = 0.1 AS numeric, '9007199254740993'::super = 9007199254740992 AS exact;

-- Booleans
SELECT id, x = true AS eq, x <> true AS ne, false = y AS turned FROM t WHERE id IN (1, 5, 6) ORDER BY id;
SELECT id FROM t WHERE x < true;

-- Two SUPER values: deep equality; an order has to be asked for by a cast
SELECT id, x = y AS eq, x <> y AS ne FROM t ORDER BY id;
SELECT id FROM t WHERE x < y;
SELECT id FROM t WHERE x::int < y::int;
SELECT a.id, b.id FROM t a JOIN t b ON a.x = b.y WHERE a.id <> b.id ORDER BY 1, 2;
SELECT a.id, b.id FROM t a JOIN t b ON a.x = b.x AND a.id < b.id;
SELECT count(*) FROM t a JOIN t b USING (x);
SELECT id FROM t WHERE x = json_parse('12345');
SELECT id FROM t WHERE x = '[1, {"a": 2}]'::jsonb;

-- IN
SELECT id FROM t WHERE x IN ('12345');
SELECT id FROM t WHERE x IN ('12345', '5');
SELECT id FROM t WHERE x NOT IN ('12345', '5');
SELECT id FROM t WHERE x IN ('abc', 'abd');
SELECT id FROM t WHERE '5' IN (x, y);
SELECT id FROM t WHERE x IN ('abc'::varchar, 'abd') ORDER BY id;
SELECT id FROM t WHERE x::varchar IN ('12345', '5') ORDER BY id;
SELECT id FROM t WHERE x IN (5, 12345) ORDER BY id;
SELECT id FROM t WHERE x IN (SELECT 'abc'::varchar) ORDER BY id;
SELECT id FROM t WHERE x IN (SELECT y FROM t) ORDER BY id;
SELECT id FROM t WHERE x IN (json_parse('5'), json_parse('"abc"')) ORDER BY id;
SELECT id FROM t WHERE x = ANY ('{12345,abc}') ORDER BY id;
SELECT id FROM t WHERE x = ANY (ARRAY['12345', 'abc']) ORDER BY id;
EXPLAIN SELECT id FROM t WHERE x IN ('12345', '5');
CREATE TABLE never AS SELECT id FROM t WHERE x IN ('12345', '5');
BEGIN;
DECLARE never CURSOR FOR SELECT id FROM t WHERE x IN ('12345', '5');
ROLLBACK;
CREATE TEMP VIEW never AS SELECT id FROM t WHERE x IN ('12345', '5');
DO $$ BEGIN PERFORM id FROM t WHERE x IN ('12345', '5'); END $$;

-- BETWEEN
SELECT id FROM t WHERE x BETWEEN 1 AND 10 ORDER BY id;
SELECT id FROM t WHERE x BETWEEN 'abb' AND 'abd' ORDER BY id;

-- LIKE and other string operators take text
SELECT id FROM t WHERE x LIKE 'a%';
SELECT id FROM t WHERE x::varchar LIKE 'a%' ORDER BY id;
SELECT id FROM t WHERE x ~ 'a';
SELECT upper(x) FROM t;

-- Joining strings
SELECT id, x || '!' AS literal, '!' || x AS turned, x || 'z'::varchar AS varchar FROM t ORDER BY id;
SELECT x || y FROM t;
SELECT x::varchar || y::varchar FROM t WHERE id <= 3 ORDER BY id;
SELECT x || '[2]'::jsonb FROM t;
SELECT concat(x, '!') FROM t;
SELECT concat(x::varchar, '!') FROM t WHERE id = 3;
SELECT format('%s', x) FROM t;

-- Arithmetic is of numbers, NULL else; jsonb's deletion is not meant
SELECT x - 1 FROM t;
SELECT x - 'a' FROM t;
SELECT x + 1 FROM t;
SELECT x::int + 1 FROM t WHERE id = 9;

-- CASE, COALESCE and their like
SELECT id, CASE x WHEN '12345' THEN 'string' WHEN 12345 THEN 'number' ELSE 'other' END FROM t ORDER BY id;
SELECT coalesce(x, '0') FROM t;
SELECT coalesce(x, 'n/a') FROM t;
SELECT coalesce(x::varchar, 'n/a') FROM t WHERE id IN (3, 6, 10) ORDER BY id;
SELECT coalesce(x, json_parse('0')) FROM t WHERE id = 10;
SELECT coalesce(x, y) FROM t WHERE id = 10;
SELECT coalesce(x, NULL) FROM t WHERE id = 9;
SELECT CASE WHEN id = 1 THEN x ELSE '0' END FROM t;
SELECT ARRAY[x, '5'] FROM t;
SELECT x FROM t UNION SELECT '5';
SELECT id, x FROM t WHERE id = 9 UNION ALL SELECT 0, json_parse('1') UNION ALL SELECT 1, NULL;
SELECT greatest(x, '5') FROM t;
SELECT greatest(x, y) FROM t WHERE id IN (3, 9) ORDER BY id;
SELECT id, nullif(x, '12345') FROM t WHERE id <= 2 ORDER BY id;
SELECT id FROM t WHERE x IS NOT DISTINCT FROM '12345';
SELECT id FROM t WHERE (x, y) = ('12345', '12345');

-- GROUP BY, DISTINCT, ORDER BY: null, boolean, number, string, array, object
SELECT v FROM (SELECT x AS v FROM t UNION ALL SELECT y FROM t) AS u ORDER BY v;
SELECT v FROM (SELECT x AS v FROM t UNION ALL SELECT y FROM t) AS u ORDER BY v DESC;
SELECT v, count(*) FROM (SELECT x AS v FROM t UNION ALL SELECT y FROM t) AS u GROUP BY v ORDER BY v;
SELECT count(DISTINCT v) FROM (SELECT x AS v FROM t UNION ALL SELECT y FROM t) AS u;
SELECT x FROM t INTERSECT SELECT y FROM t ORDER BY 1;
SET enable_hashagg = off;
SELECT count(*) FROM (SELECT DISTINCT v FROM (SELECT x AS v FROM t UNION ALL SELECT y FROM t) AS u) AS d;
RESET enable_hashagg;
CREATE INDEX ON t (x);
CREATE UNIQUE INDEX ON t (x, id);
ANALYZE t;
SELECT amname, opcname, opcdefault FROM pg_opclass JOIN pg_am ON pg_am.oid = opcmethod WHERE opcintype = 'super'::regtype ORDER BY 1;

-- Equal by the order is equal by the hash
SELECT count(*) FROM t a, t b WHERE a.x OPERATOR(redshift.=) b.y AND redshift.super_hash(a.x) <> redshift.super_hash(b.y);
SELECT count(*) FROM t a, t b WHERE (redshift.super_cmp(a.x, b.y) = 0) <> (a.x::jsonb = b.y::jsonb);

-- Where the operators are not found by name, a literal is refused too
SET search_path = pg_catalog;
SELECT id FROM pg_temp.t WHERE x = '12345';
SELECT id FROM pg_temp.t WHERE x < '12345';
RESET search_path;

-- Deeply nested values, which a cast from jsonb can bring
SELECT (repeat('[', 5000) || repeat(']', 5000))::jsonb::super OPERATOR(redshift.=) (repeat('[', 5000) || repeat(']', 5000))::jsonb::super;

-- A client's parameter without a type is a string where an operator says so, and refused where it would be JSON
PREPARE between_unknown AS SELECT id FROM t WHERE x BETWEEN $1 AND $2 ORDER BY id;
EXECUTE between_unknown('12345', '12346');
PREPARE any_unknown AS SELECT id FROM t WHERE x = ANY ($1) ORDER BY id;
EXECUTE any_unknown('{12345,abc}');
PREPARE refused AS SELECT id FROM t WHERE x IN ($1, $2);
PREPARE refused AS SELECT coalesce(x, $1) FROM t;
PREPARE refused AS SELECT x FROM t UNION SELECT $1;
PREPARE by_cast AS SELECT id FROM t WHERE x::varchar IN ($1, $2) ORDER BY id;
EXECUTE by_cast('12345', 'abc');
PREPARE by_array AS SELECT id FROM t WHERE x IN ($1::varchar, $2) ORDER BY id;
EXECUTE by_array('12345', 'abc');
PREPARE parsed AS SELECT coalesce(x, json_parse($1::varchar)) FROM t WHERE id = 10;
EXECUTE parsed('5');
DO $$ DECLARE a super := json_parse('5'); b super := 'abc'; found int; BEGIN SELECT count(*) INTO found FROM t WHERE x IN (a, b); RAISE NOTICE 'found %', found; END $$;
CREATE FUNCTION pg_temp.either(super, super) RETURNS super LANGUAGE sql RETURN coalesce($1, $2);
SELECT pg_temp.either(NULL, '5');
-- Polymorphic functions make a literal beside SUPER one
SELECT lag(x, 1, '5') OVER (ORDER BY id) FROM t;
SELECT lead(x, 1, x::varchar::super) OVER (ORDER BY id) FROM t WHERE id < 3;
SELECT array_remove(array_agg(x), '5') FROM t;
SELECT array_append(ARRAY[x], '5') FROM t;
SELECT rank('5') WITHIN GROUP (ORDER BY x) FROM t;
SELECT nvl(x, '5') FROM t;
-- Rows of VALUES, but not those that INSERT takes: a literal for a column of type super is JSON text
VALUES (json_parse('"a"')), ('5');
SELECT v FROM (VALUES (json_parse('"a"')), (json_parse('5'))) AS rows (v);
INSERT INTO t VALUES (20, '"a"'), (21, '5'), (22, json_parse('{}'));
SELECT id, x FROM t WHERE id >= 20 ORDER BY id;
DELETE FROM t WHERE id >= 20;
-- Rows, DISTINCT FROM, NULLIF
SELECT id FROM t WHERE row(x) = row('12345') ORDER BY id;
SELECT id FROM t WHERE (x, id) = ('12345', 1);
SELECT id FROM t WHERE x IS NOT DISTINCT FROM '12345' ORDER BY id;
SELECT id, nullif(x, '12345') FROM t WHERE id < 3 ORDER BY id;
SELECT id, row_number() OVER (PARTITION BY x ORDER BY id) FROM t WHERE id IN (3, 4, 9) ORDER BY id;
SELECT x, grouping(x), count(*) FROM t WHERE id IN (3, 9, 10) GROUP BY ROLLUP (x) ORDER BY x, 2;
