-- SUPER: text and binary form, subscripts, casts.

-- Text form
SELECT '{"b":[1,2.50,"x",null,true],"a":{}}'::super;
SELECT 'abc'::super;
CREATE TEMP TABLE t (id int, data super);
INSERT INTO t VALUES
    (1, '{"OrderID":{"N":"103"},"items":[{"sku":"A","qty":2},{"sku":"B","qty":1}],"total":50.00,"ok":true,"none":null,"1":"one"}'),
    (2, '{"OrderID":{"N":104},"items":[],"total":"2500"}'),
    (3, '[1,"two"]'),
    (4, '"scalar"'),
    (5, 'null'),
    (6, NULL);
COPY t TO STDOUT;

-- Navigation is lax: what is not there is NULL
SELECT id, data['OrderID']['N'] AS n, data['items'][0]['sku'] AS sku, data['items'][9] AS beyond, data['items']['sku'] AS not_object, data[1] AS element,
    data['missing']['deep'] AS missing FROM t ORDER BY id;
SELECT data['items'][-1] AS negative, data[1] AS number_on_object, data['1'] AS name_one, data[NULL] AS null_subscript, data['none'] AS json_null, data['none']['x'] AS in_null FROM t WHERE id = 1;
SELECT pg_typeof(data['items']), pg_typeof(data['items'][0]['qty']) FROM t LIMIT 1;
SELECT data['items'] AS whole, data['items'][1] AS part, data['OrderID'] AS object FROM t WHERE id = 1;
SELECT data[1:2] FROM t;
SELECT data[1.5] FROM t;
SELECT (json_parse('{"a":[10,20]}'))['a'][i] FROM generate_series(0, 2) AS i;
SELECT (json_parse('{"a":1,"bb":2}'))[k] FROM unnest(ARRAY['bb', 'a', 'c', NULL]) AS k;

-- Assignment to a part
UPDATE t SET data['OrderID']['N'] = '"105"' WHERE id = 2;
UPDATE t SET data['note'] = 'text'::varchar WHERE id = 2;
SELECT data FROM t WHERE id = 2;

-- Casts from SUPER: strings hold numbers, dates and so on; what cannot be cast is NULL
CREATE TEMP TABLE v (id int GENERATED ALWAYS AS IDENTITY, j super);
INSERT INTO v (j) SELECT json_parse(d) FROM unnest(ARRAY['5', '5.0', '5.5', '-5.5', '0', '40000', '3000000000', '1e30', 'true', 'false', 'null', '"5"', '" 103 "', '"5.5"', '"1e3"', '"Good"', '""', '"t"', '"off"', '[]', '{}', '{"a":1}', '50.00']) WITH ORDINALITY AS u (d, n) ORDER BY n;
SELECT j, j::smallint AS int2, j::int AS int4, j::bigint AS int8, j::real AS float4, j::numeric(5,2) AS numeric_5_2, j::bool AS bool, j::varchar AS varchar, j::varchar(3) AS varchar_3, j::char(3) AS char_3 FROM v ORDER BY id;
SELECT j, j::float8 AS float8, j::numeric AS numeric, j::text AS text FROM v WHERE j::text IS NOT NULL ORDER BY id;
SELECT '1e400'::super::float8 AS over, '1e-400'::super::float8 AS under, '1e39'::super::real AS over_single, '"1e400"'::super::float8 AS string_over;
SELECT '"9223372036854775807"'::super::bigint, '9223372036854775807'::super::bigint, '9223372036854775808'::super::bigint, '-9223372036854775808.4'::super::bigint;
SELECT '99999.995'::super::decimal(7,2) AS rounds_over, '99999.994'::super::decimal(7,2) AS fits, '"12.345"'::super::decimal(5,2) AS from_string, '1250'::super::numeric(2,-2) AS negative_scale, '0.00123'::super::numeric(3,5) AS small;
SELECT '5'::super::bool, '5.0'::super::bool, json_parse('"yes"')::bool, json_parse('"o"')::bool;

-- Dates and times from strings, under the session's settings
SET TIME ZONE 'UTC';
SET DateStyle = 'ISO, MDY';
SELECT json_parse('"2001-09-08"')::date, json_parse('"2023-09-02"')::timestamptz, json_parse('"2023-09-02T10:11:12.5Z"')::timestamptz, json_parse('"2023-09-02 10:11:12.123456"')::timestamp, json_parse('"2023-09-02 10:11:12.126"')::timestamp(2);
SELECT left(s, 30) AS s, j::date AS date, j::timestamp AS timestamp, j::timestamptz AS timestamptz
    FROM unnest(ARRAY['', 'x', '2023-02-30', '2023-13-01', '25:61', '99999-01-01', '5874898-01-01', '-1', 'infinity', 'epoch', '2023-09-02 10:00 +02', '2023-09-02 10:00 Nowhere/Land', repeat('1', 500), 'é', '0001-01-01 BC'])
        WITH ORDINALITY AS u (s, n), LATERAL (SELECT s::varchar::super) AS l (j) ORDER BY n;
SELECT json_parse('20230902')::date AS number, json_parse('{}')::date AS object, json_parse('null')::timestamptz AS json_null;
SET TIME ZONE 'America/New_York';
SELECT json_parse('"2023-09-02 10:00"')::timestamptz;
SET DateStyle = 'ISO, DMY';
SELECT json_parse('"02/09/2023"')::date;
RESET TIME ZONE;
RESET DateStyle;
SELECT json_parse('"10:00"')::time;

-- Casts into SUPER
SELECT 5::smallint::super, 5::int::super, (-5)::bigint::super, 2.50::numeric::super, 0.1::real::super, 1e300::float8::super = 1e300::float8 AS big, true::super, 'a "quoted" text'::varchar::super, 'Good'::text::super, 'abc'::char(5)::super;
SELECT '{"a":1}'::varchar::super AS a_string, '{"a":1}'::jsonb::super AS an_object;
SELECT 'NaN'::float8::super;
SELECT 'infinity'::numeric::super;
SELECT current_date::super;
SELECT now()::super;

-- JSON and jsonb
SELECT to_jsonb(data) = data::jsonb AS to_jsonb, to_json(data)::jsonb = data::jsonb AS to_json, data::json::jsonb = data::jsonb AS cast_to_json, row_to_json(t)::jsonb -> 'data' = data::jsonb AS row_to_json FROM t WHERE id <= 4 ORDER BY id;
SELECT data -> 'OrderID' ->> 'N' AS arrows, jsonb_array_length(data['items']) FROM t WHERE id = 1;
SELECT e['sku']::varchar FROM t, LATERAL (SELECT e::super FROM jsonb_array_elements(data['items']) AS e) AS l (e) WHERE id = 1;

-- PL/pgSQL assigns by the same casts: no quotes
DO $$
DECLARE
    d super := json_parse('{"name":"TV","price":"19.90","n":7,"at":"2023-09-02"}');
    name varchar := d['name'];
    price numeric(6,2) := d['price'];
    n int;
    at date;
    s super := 'text'::varchar;
BEGIN
    SELECT d['n'], d['at'] INTO n, at;
    RAISE NOTICE '% % % % %', name, price, n, at, s;
END $$;
CREATE TEMP TABLE landing (name varchar(10), n int, d super);
INSERT INTO landing SELECT json_parse('"TV"'), json_parse('"7"'), 'a text'::varchar;
SELECT * FROM landing;

-- Binary form, by COPY
CREATE TEMP TABLE copied (LIKE t);
\set file `echo ${TMPDIR:-/tmp}/redshift_streaming_super.bin`
COPY (SELECT * FROM t) TO :'file' (FORMAT binary);
COPY copied FROM :'file' (FORMAT binary);
SELECT count(*) FILTER (WHERE a.data::jsonb IS NOT DISTINCT FROM b.data::jsonb) AS same FROM t a JOIN copied b USING (id);

-- Turning super columns into jsonb, and back, rewrites nothing
SELECT relfilenode AS before FROM pg_class WHERE oid = 't'::regclass \gset
ALTER TABLE t ALTER data TYPE jsonb;
ALTER TABLE t ALTER data TYPE super;
SELECT relfilenode = :before AS kept FROM pg_class WHERE oid = 't'::regclass;

-- COPY in every form, domains, composite types, arrays, partitions
CREATE TEMP TABLE kept (d super, a super[]);
INSERT INTO kept VALUES (json_parse('{"x":[1,2.50,"é",null,true,{"y":"z"}]}'), ARRAY[json_parse('1'), json_parse('"a,b"'), NULL]), (NULL, '{}');
CREATE TEMP TABLE taken (LIKE kept);
SELECT current_setting('data_directory') || '/super_copied' AS file \gset
COPY kept TO :'file';
COPY taken FROM :'file';
COPY kept TO :'file' (FORMAT csv);
COPY taken FROM :'file' (FORMAT csv);
COPY kept TO :'file' (FORMAT binary);
COPY taken FROM :'file' (FORMAT binary);
SELECT d, a, count(*) FROM taken GROUP BY d, a ORDER BY 1;
CREATE DOMAIN pg_temp.thing AS super CHECK (is_object(VALUE));
SELECT v['a'], v::jsonb, json_typeof(v), v = v AS same FROM (SELECT '{"a":1}'::pg_temp.thing) AS t (v);
SELECT '1'::pg_temp.thing;
CREATE TYPE pg_temp.pair AS (id int, d super);
SELECT (v).d['a'], v, v = v AS same, count(*) FROM (SELECT row(1, '{"a":[1]}')::pg_temp.pair FROM generate_series(1, 2)) AS t (v) GROUP BY v;
CREATE TEMP TABLE parted (d super) PARTITION BY HASH (d);
CREATE TEMP TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TEMP TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO parted SELECT json_parse(n::varchar) FROM generate_series(1, 100) AS n;
SELECT count(DISTINCT tableoid) AS partitions, count(*) FILTER (WHERE d = 5) AS fives, count(*) FROM parted;
CREATE TEMP TABLE keyed AS SELECT n AS id, json_parse('{"k":"' || n || '"}') AS d FROM generate_series(1, 2000) AS n;
CREATE INDEX ON keyed ((d['k']::varchar));
ANALYZE keyed;
EXPLAIN (COSTS OFF) SELECT id FROM keyed WHERE d['k']::varchar = '77';
SELECT id FROM keyed WHERE d['k']::varchar = '77';
SET enable_nestloop = off;
SELECT count(*) FROM keyed AS a JOIN keyed AS b ON a.d['k'] = b.d['k'];
SET enable_hashjoin = off;
SELECT count(*) FROM keyed AS a JOIN keyed AS b ON a.d['k'] = b.d['k'];
RESET enable_hashjoin;
RESET enable_nestloop;
