-- json_parse and can_json_parse. The codec is compared with jsonb_in at the end.

-- A document may come as text, as varchar, as bytes; a literal needs no type.
SELECT json_parse('[10001,10002,"abc"]');
SELECT json_parse('[10001,10002,"abc"]'::varchar), json_parse('{"a":1}'::bytea), json_parse('{"a":1}'::varchar::varbyte);
SELECT can_json_parse('[10001,10002,"abc"]'), can_json_parse('{"a":'), can_json_parse('{"a":1}'::bytea), can_json_parse('x'::varchar::varbyte);
SELECT pg_typeof(json_parse('1')), pg_typeof(can_json_parse('1'));

-- NULL and nothing
SELECT json_parse(NULL) IS NULL AS parse_null, can_json_parse(NULL) IS NULL AS can_null, can_json_parse('') AS can_empty, can_json_parse('  ') AS can_blank;
SELECT json_parse('');

-- What is no JSON
SELECT json_parse('{"a":x}');
\echo :SQLSTATE
SELECT json_parse('[1,2');
SELECT json_parse('{"a":1}}');
SELECT json_parse('"\u0000"');
SELECT json_parse('\x22ff22'::bytea);
SELECT json_parse('\x2200'::bytea);
SELECT json_parse('1e200000');
SELECT json_parse(repeat('[', 1001) || repeat(']', 1001));
SELECT length(json_parse(repeat('[', 1000) || repeat(']', 1000))::jsonb::text);
SELECT json_parse(repeat('[', 10000000));
SELECT json_parse(repeat(' ', 16777217));

-- can_json_parse says what json_parse does
SELECT d, can_json_parse(d) FROM unnest(ARRAY['null', '1e131071', '1e131072', '1e-16383', '1e-16384', '"\ud83d"', '[1,]', '{"a":1,"a":2}', '01', E'"\t"']) AS d;

-- Duplicate names: the last one wins. Names are ordered by length, then bytes.
SELECT json_parse('{"bb":1,"a":2,"bb":3,"":4}');

-- Numbers keep their scale; exponents are written out
SELECT json_parse('[1.50, -0, -0.0, 1e3, 1.5E+2, 12e-3, 123456789012345678901234567890.5]');

-- Large documents, compressed and out of line
CREATE TEMP TABLE documents (id int, raw bytea, parsed super);
INSERT INTO documents SELECT i, raw, json_parse(raw)
    FROM generate_series(1, 3) AS i, LATERAL (SELECT convert_to((SELECT '{"items":[' || string_agg(format('{"n":%s,"s":"%s"}', j * i, md5(j::text)), ',') || ']}'
        FROM generate_series(1, 20000) AS j), 'UTF8')) AS r (raw);
SELECT id, pg_column_size(parsed) > 100000 AS large, parsed['items'][19999]['n'], parsed['items'][20000]['n'] IS NULL AS beyond,
    parsed::jsonb = convert_from(raw, 'UTF8')::jsonb AS same FROM documents ORDER BY id;
SELECT count(*) FROM documents WHERE can_json_parse(raw) AND (json_parse(raw))['items'][0]['n']::int = id;

-- The stored bytes are those of jsonb_in, for documents of all shapes: *= compares the bytes of two rows.
CREATE TYPE pg_temp.image AS (value jsonb);
SELECT ROW('1'::jsonb)::pg_temp.image *= ROW('1'::jsonb)::pg_temp.image AS same, ROW('1'::jsonb)::pg_temp.image *= ROW('1.0'::jsonb)::pg_temp.image AS different;
CREATE FUNCTION pg_temp.random_json(depth int) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    kind int := floor(random() * CASE WHEN depth > 0 THEN 12 ELSE 8 END);
BEGIN
    RETURN CASE
        WHEN kind = 0 THEN (ARRAY['null', 'true', 'false'])[1 + floor(random() * 3)]
        WHEN kind = 1 THEN (floor(random() * 2e9) - 1e9)::bigint::text
        WHEN kind = 2 THEN ((random() - 0.5) * 10 ^ floor(random() * 30))::numeric(60, 12)::text
        WHEN kind = 3 THEN CASE WHEN random() < 0.5 THEN '-' ELSE '' END || floor(random() * 1000)::text || '.' || lpad(floor(random() * 1e6)::text, 6, '0')
            || (ARRAY['e', 'E', 'e+', 'e-', 'E-'])[1 + floor(random() * 5)] || floor(random() * 90)::text
        WHEN kind = 4 THEN (ARRAY['0', '-0', '0.0', '0e5', '-0.000e-7', '10000', '1e4', '0.0001', '1e-4', '99999999', '1e300', '1e-300', '12345678901234567890123456789012345678901234567890123456789012345678901234567890',
            '0.' || repeat('0', 70) || '5', '1' || repeat('0', 270), '1e1000', '123e-130'])[1 + floor(random() * 17)]
        WHEN kind IN (5, 6) THEN to_json(substr(md5(random()::text), 1, floor(random() * 33)::int))::text
        WHEN kind = 7 THEN (ARRAY['""', '"\""', '"\\\/\b\f\n\r\t"', '"\u00e9\u4e2d\ud83d\ude00"', '"é中😀"', '"a\u0041b"', '"' || repeat('é', 300) || '"', '"' || repeat('\n', 100) || '"'])[1 + floor(random() * 8)]
        WHEN kind IN (8, 9) THEN '[' || coalesce((SELECT string_agg(pg_temp.random_json(depth - 1), (ARRAY[',', ' , ', E',\n\t'])[1 + floor(random() * 3)])
            FROM generate_series(1, CASE WHEN random() < 0.03 THEN 100 ELSE floor(random() * 5) END::int)), '') || ']'
        ELSE '{' || coalesce((SELECT string_agg((ARRAY['"', ' "'])[1 + floor(random() * 2)] || (ARRAY['k', 'same_prefix_', '', 'é', '\u006b', 'longer name'])[1 + floor(random() * 6)] || floor(random() * 60)::text || '" :'
            || pg_temp.random_json(depth - 1), ',') FROM generate_series(1, CASE WHEN random() < 0.03 THEN 80 ELSE floor(random() * 5) END::int)), '') || '}'
    END;
END $$;
-- No rows when all is well.
SELECT setseed(0.42);
CREATE TEMP TABLE corpus AS SELECT pg_temp.random_json(3) AS document FROM generate_series(1, 30000);
SELECT count(*) AS documents, count(DISTINCT document) > 10000 AS varied, max(length(document)) > 5000 AS some_long, count(*) FILTER (WHERE document ~ '\d[eE]') > 1000 AS exponents FROM corpus;
SELECT document FROM corpus
    WHERE NOT (ROW(json_parse(document))::pg_temp.image *= ROW(document::jsonb)::pg_temp.image)
        OR json_parse(document)::jsonb::text IS DISTINCT FROM document::jsonb::text
        OR NOT can_json_parse(document)
    LIMIT 3;
-- The same with something broken: both accept or both refuse.
CREATE FUNCTION pg_temp.is_jsonb(document text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM document::jsonb;
    RETURN true;
EXCEPTION WHEN data_exception OR program_limit_exceeded OR untranslatable_character THEN
    RETURN false;
END $$;
CREATE TEMP TABLE broken AS
    SELECT overlay(document PLACING (ARRAY['', ',', '"', '\', '}', ']', '{', '0', 'e', '.', '-', 'u', ' ', E'\n', '\u12', 'é'])[1 + floor(random() * 16)]
        FROM 1 + floor(random() * length(document))::int FOR floor(random() * 3)::int) AS document
    FROM corpus WHERE length(document) < 500;
SELECT count(*) > 10000 AS enough, count(*) FILTER (WHERE can_json_parse(document)) > 1000 AS some_good, count(*) FILTER (WHERE NOT can_json_parse(document)) > 1000 AS some_bad FROM broken;
SELECT document, can_json_parse(document) FROM broken WHERE can_json_parse(document) IS DISTINCT FROM pg_temp.is_jsonb(document) LIMIT 3;
SELECT document FROM broken WHERE can_json_parse(document) AND NOT (ROW(json_parse(document))::pg_temp.image *= ROW(document::jsonb)::pg_temp.image) LIMIT 3;
