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

-- More of Redshift's operators and functions ("VARBYTE operators")
SELECT from_varbyte(~'a'::varchar::varbyte, 'binary') AS not, 'a'::varchar::varbyte & 'b'::varchar::varbyte AS and, 'a'::varchar::varbyte | 'b'::varchar::varbyte AS or, 'a'::varchar::varbyte # 'b'::varchar::varbyte AS xor, 'a'::varchar::varbyte + 'b'::varchar::varbyte AS plus, ~NULL::varbyte IS NULL AS null_in;
SELECT '61'::varbyte & '6162'::varbyte;
SELECT 5::smallint::varbyte::smallint, (-5)::int::varbyte::int, 5::bigint::varbyte::bigint, 'ffff'::varbyte::smallint AS minus_one;
SELECT '05'::varbyte::int;
SELECT from_hex('6162'), from_hex('4'), from_varbyte(from_hex('4d'), 'binary'), to_hex(2147676847), to_hex('abc'::varchar::varbyte);
SELECT from_hex('xy');
SELECT getbit(from_hex('4d'), 2), getbit(from_hex('4d'), 1), getbit(from_hex('0100'), 8), getbit(from_hex('0100'), 0);
SELECT getbit(from_hex('4d'), 8);
SELECT getbit(from_hex('4d'), -1);
SELECT substring('616263'::varbyte, 2, 1), substring('616263'::varbyte, 2), substr('616263'::varbyte, 2, 5), redshift.concat('61'::varbyte, '62'::varbyte), pg_typeof(substring('616263'::varbyte, 2)), pg_typeof(redshift.concat('61'::varbyte, '62'::varbyte));

-- Compressed payloads
SELECT codec, redshift.decompress(from_hex(data), codec)::varchar FROM (VALUES
    ('gzip', '1f8b08000000000000034b4c4a0600c241243503000000'), ('zlib', '789c4b4c4a0600024d0127'), ('deflate', '4b4c4a0600'), ('ZSTD', '28b52ffd0458190000616263990977ad'), ('lz4', '04224d186440a70300008061626300000000ff53d132'), ('snappy', '0308616263')) AS v (codec, data);
SELECT redshift.decompress(from_hex('00'), 'gzip');
SELECT redshift.decompress(from_hex('00'), 'rar');
SELECT redshift.decompress(from_hex('ffffffff0f'), 'snappy');
-- A few bytes may hold too much: 17 MB of zeroes, compressed twice
SELECT len(redshift.decompress(from_hex('78daeddb310ec17018c6e17fe92006ec16c7b04858cc169b441ca0a3c4a689d82dcec1155c406c0d930388c1601295f60e96e6798ef08ebf7cdfeaf63845510821dd7d0fcf46330000000015975e37f52206845e9e8d2753000000a0ea16ed565c4681cfbc3b320700000054de76d0ef941702af75129b030000002a6fffbeef8a1430bce4d9f9f8c76f84596d9984e807112c0961'), 'zlib')) AS once;
SELECT redshift.decompress(redshift.decompress(from_hex('78daeddb310ec17018c6e17fe92006ec16c7b04858cc169b441ca0a3c4a689d82dcec1155c406c0d930388c1601295f60e96e6798ef08ebf7cdfeaf63845510821dd7d0fcf46330000000015975e37f52206845e9e8d2753000000a0ea16ed565c4681cfbc3b320700000054de76d0ef941702af75129b030000002a6fffbeef8a1430bce4d9f9f8c76f84596d9984e807112c0961'), 'zlib'), 'zlib');
