-- What the translator writes for SUPER: navigation and casts by the session's settings, unnesting.
CREATE TEMP TABLE t (id int, data super);
INSERT INTO t VALUES (1, '{"orders":[{"n":1},{"n":2}],"OrderID":7,"total":"Good"}'), (2, '{"orders":[],"orderid":8,"OrderID":9}'), (3, '{"orders":5}'), (4, NULL);

-- Names are folded unless told otherwise; a NOTICE where only the case is wrong, once a name and statement
SELECT id, redshift.attribute(data, 'OrderID') AS folded, redshift.attribute(data, 'OrderID', true) AS kept FROM t ORDER BY id;
SET enable_case_sensitive_super_attribute = on;
SELECT id, redshift.attribute(data, 'OrderID') AS by_setting FROM t ORDER BY id;
RESET enable_case_sensitive_super_attribute;
SELECT redshift.element(redshift.attribute(data, 'orders'), 1) AS element, redshift.element(redshift.attribute(data, 'orders'), -1) AS negative, redshift.attribute(redshift.element(data, 0), 'n') AS no_array, redshift.attribute(redshift.attribute(data, 'orders'), 'n') AS no_object FROM t WHERE id = 1;

-- Strict
SET navigate_super_null_on_error = off;
SELECT redshift.attribute(data, 'orders') FROM t WHERE id IN (2, 4) ORDER BY id;
SELECT redshift.attribute(data, 'missing') FROM t WHERE id = 1;
\echo :SQLSTATE
SELECT redshift.attribute(redshift.attribute(data, 'orders'), 'n') FROM t WHERE id = 1;
SELECT redshift.element(redshift.attribute(data, 'orders'), 2) FROM t WHERE id = 1;
SELECT redshift.element(data, 0) FROM t WHERE id = 1;
SELECT t.id, u.* FROM t, redshift.unnest_array(t.data['orders']) AS u WHERE t.id = 3;
-- Subscripts stay lax
SELECT data['missing'] IS NULL AS lax FROM t WHERE id = 1;
RESET navigate_super_null_on_error;

-- Casts
SELECT redshift.checked_cast(data['total'], data['total']::int) IS NULL AS lax, redshift.checked_cast(data['OrderID'], data['OrderID']::int) AS good FROM t WHERE id = 1;
SET cast_super_null_on_error = off;
SELECT redshift.checked_cast(data['OrderID'], data['OrderID']::int) AS good, redshift.checked_cast(data['x'], data['x']::int) IS NULL AS missing, redshift.checked_cast(json_parse('null'), json_parse('null')::int) IS NULL AS json_null FROM t WHERE id = 1;
SELECT redshift.checked_cast(data['total'], data['total']::numeric(5,2)) FROM t WHERE id = 1;
RESET cast_super_null_on_error;

-- Unnesting: FROM t, t.data.orders o AT i; a LEFT JOIN keeps rows without
SELECT t.id, o.value, o.index, o.value['n']::int AS n FROM t, redshift.unnest_array(t.data['orders']) AS o ORDER BY 1, 3;
SELECT t.id, o.value, o.index FROM t LEFT JOIN redshift.unnest_array(t.data['orders']) AS o ON true ORDER BY 1, 3;
SELECT t.id, a.attribute, a.value FROM t, redshift.unpivot_object(t.data) AS a ORDER BY 1, 2;
SELECT t.id, (SELECT sum(o.value['n']::int) FROM redshift.unnest_array(t.data['orders']) AS o WHERE o.value['n']::int > 1) AS sum FROM t ORDER BY 1;
-- In line: no function scan of ours
EXPLAIN (COSTS OFF) SELECT o.value FROM t, redshift.unnest_array(t.data['orders']) AS o;

-- Arithmetic: numbers, or + of strings; all else is NULL
SELECT a, b, a + b AS plus, a - b AS minus, a * b AS times, a / b AS divided, a % b AS modulo
    FROM (VALUES ('5', '2'), ('5.50', '0.5'), ('"a"', '"b"'), ('"5"', '2'), ('null', '1'), ('[1]', '[2]'), ('true', '1'), ('1e30', '1e-10')) AS v (x, y), LATERAL (SELECT json_parse(x), json_parse(y)) AS l (a, b);
SELECT x + 1 AS int, 1 - x AS turned, x * 1.5 AS numeric, x / 2::bigint AS bigint, x - 0.5::float8 AS float, x % 2::smallint AS smallint, x + '5' AS literal_is_a_string, s + 'x' AS joined, 'x' + s AS turned_string, s - 'a' AS no_difference, x + 1 - 2 * x AS chain, pg_typeof(x + 1)
    FROM (SELECT json_parse('5'), json_parse('"a"')) AS l (x, s);
SELECT json_parse('1') / 0;
SELECT json_parse('1') + NULL::int IS NULL, (json_parse('7') / 2)::int;
SELECT redshift.abs(x), redshift.floor(x), redshift.ceil(x), redshift.round(x), redshift.round(x, 1), redshift.trunc(x), redshift.trunc(x, 1), redshift.abs(json_parse('"-1"')) IS NULL AS no_number FROM (SELECT json_parse('-2.55')) AS l (x);
SELECT abs('-5'), round('2.5'), floor(2.5) AS postgres_has_its_own;
-- A literal that would become SUPER is refused: beside a text there is no other operator
SELECT 'a'::text + 'b';
SELECT 'a'::varchar - '5';
SELECT '5' * 'a'::text;
SELECT 1 + '1' AS number, '1' + 1 AS turned, '2020-01-01'::date - '2019-01-01' AS days, '{"a":1,"b":2}'::jsonb - 'a' AS jsonb, '[1,2]'::jsonb - 0 AS jsonb_element, 'a' || 'b' AS joined, '1' / 2 AS division;

-- Names that Postgres has too mean what they did
SELECT concat('a', NULL), json_typeof('[1]'::json), array_position(ARRAY[1, 2], 2), json_array_length('[1]'), substring('abc', 2), substr('abc', 2), length('abc'), octet_length('é'), to_hex(255), trunc(4.7), to_date('20200101', 'YYYYMMDD'), left('abc', 1), abs('-5');
