-- VARBYTE: text and binary form, length, casts, operators, functions.

-- Text form: lower-case hexadecimal
SELECT '616263'::varbyte, 'ABcd'::varbyte, ''::varbyte;
SELECT 'abc'::varbyte;
SELECT 'zz'::varbyte;
SELECT '\x6162'::varbyte;

-- Length
CREATE TEMP TABLE b (id int, v varbyte(3));
SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'b'::regclass AND attname = 'v';
INSERT INTO b VALUES (1, '616263'), (2, '61'), (3, '');
INSERT INTO b VALUES (4, '61626364');
INSERT INTO b VALUES (5, 'abcd'::varchar::varbyte);
SELECT '61626364'::varbyte(3) AS literal;
SELECT '61626364'::varbyte::varbyte(3) AS cut, 'abcd'::varchar::varbyte(3) AS text_cut, '\x61626364'::bytea::varbyte(3) AS bytea_cut;
SELECT '61'::varbyte(0);
SELECT '61'::varbyte(16777217);
SELECT '61'::varbyte(1, 2);
SELECT '61'::varbyte('x');
SELECT format_type('varbyte'::regtype, 16777216);

-- Text is UTF-8
SELECT 'abc'::varchar::varbyte, 'é'::text::varbyte, 'abc'::char(5)::varbyte;
SELECT '616263'::varbyte::varchar, 'c3a9'::varbyte::text, '616263'::varbyte::varchar(2), '6162'::varbyte::char(3) || '|' AS padded;
SELECT 'ff'::varbyte::varchar;
SELECT '610062'::varbyte::varchar;
SELECT is_utf8('c3a9'), is_utf8('c3'), is_utf8('abc'::varchar::varbyte), is_utf8(NULL) IS NULL;

-- bytea
SELECT '616263'::varbyte::bytea, '\x616263'::bytea::varbyte, encode('616263'::varbyte, 'base64');

-- Integers, the highest byte first
SELECT 5::smallint::varbyte, 5::int::varbyte, 5::bigint::varbyte;

-- Comparisons
SELECT '6162'::varbyte = '6162' AS eq, '6162'::varbyte < '6163' AS lt, '62'::varbyte > '6162' AS gt, '6162'::varbyte <> 'AB'::varbyte AS ne, '61'::varbyte <= '61' AS le, '61'::varbyte >= '62' AS ge;
SELECT v, count(*) FROM (VALUES ('61'::varbyte), ('62'), ('61'), ('')) AS u (v) GROUP BY v ORDER BY v;
SELECT count(*) FROM b AS a JOIN b USING (v);
SELECT '61'::varbyte || '62'::varbyte AS joined, pg_typeof('61'::varbyte || '62'::varbyte);

-- Functions
SELECT len('616263'::varbyte), length('616263'::varbyte), octet_length('616263'::varbyte), len('é'), length('é'), octet_length('é');
SELECT to_varbyte('6162', 'hex'), to_varbyte('4', 'hex'), to_varbyte('abc', 'utf-8'), to_varbyte('abc', 'UTF8'), to_varbyte('01001101', 'binary'), to_varbyte('101', 'binary'), to_varbyte('', 'hex');
SELECT from_varbyte('4d', 'binary'), from_varbyte('616263', 'utf-8'), from_varbyte('616263', 'HEX');
SELECT from_varbyte('ff', 'utf-8');
SELECT from_varbyte('ff', 'base32');
SELECT to_varbyte('xy', 'hex');
SELECT to_varbyte('012', 'binary');

-- Documents
SELECT json_parse('{"a":1}'::varchar::varbyte)::varchar IS NULL AS object, (json_parse('{"a":1}'::varchar::varbyte))['a'];

-- PL/pgSQL
DO $$
DECLARE
    v varbyte := 'abc'::varchar;
    s varchar := v;
BEGIN
    RAISE NOTICE '% %', v, s;
END $$;

-- COPY, text and binary; a length holds in both
COPY b TO STDOUT;
\set file `echo ${TMPDIR:-/tmp}/redshift_streaming_varbyte.bin`
COPY b TO :'file' (FORMAT binary);
CREATE TEMP TABLE b3 (LIKE b);
COPY b3 FROM :'file' (FORMAT binary);
SELECT * FROM b3 ORDER BY id;
CREATE TEMP TABLE b2 (id int, v varbyte(2));
COPY b2 FROM :'file' (FORMAT binary);
COPY b2 FROM STDIN;
1	616263
\.
