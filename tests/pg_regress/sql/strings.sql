SET DateStyle = 'ISO, MDY';
-- String, conditional, hash and aggregate functions, section 5 of the reference.

SELECT len('cat   '), len('cat'::char(6)) AS char_blanks, len('é'), charindex('fish', 'dogfish'), charindex('x', 'dogfish'), charindex('', 'a'), charindex(NULL, 'a') IS NULL;
SELECT strtol('0xf', 16), strtol('110101', 2), strtol('', 10), strtol(NULL, 10) IS NULL, strtol('zZ', 36), strtol('-ff', 16), strtol('9223372036854775807', 10), strtol('-9223372036854775808', 10);
SELECT strtol('9223372036854775808', 10);
SELECT strtol('12', 2);
SELECT strtol('0x', 16);
SELECT strtol('1', 1);
SELECT redshift.concat('a', 'b'), redshift.concat('a', NULL) IS NULL, redshift.concat('a'::varchar, 'b'), concat('a', NULL) AS postgres_has_its_own;
SELECT redshift.regexp_replace('abcabc', 'b'), redshift.regexp_replace('abcabc', 'b', 'x'), redshift.regexp_replace('abcabc', 'b', 'x', 3), redshift.regexp_replace('abcabc', 'B', 'x', 1, 'i'), redshift.regexp_replace('the fox', '(\w+) (\w+)', '\2 \1', 1, 'p');
SELECT regexp_substr('foobar', 'o.'), regexp_substr('foobar', 'x') IS NULL AS no_match, regexp_substr('foobar', 'o', 1, 3) IS NULL AS too_few, redshift.regexp_substr('foobar', 'O(B)', 1, 1, 'ie'), redshift.regexp_substr('foobar', 'o.', 1, 1, 'p');
SELECT split_part('a,b,c', ',', 3), split_part('a,b,c', ',', 4) AS past_the_end, initcap('hello wORLD'), btrim('xxaxx', 'x'), left('abc', 2), md5('Amazon Redshift');

-- Arguments are evaluated as those of COALESCE
SELECT nvl(NULL, 12, NULL), nvl('a', 'b'), nvl(NULL::int, 1.5), nvl(NULL, NULL) IS NULL, nvl(1, 2, 3, 4, 5), nvl2('x'::text, 1, 2), nvl2(NULL::text, 1, 2);
SELECT nvl(n, 1 / n), nvl2(n, 1, 1 / n) FROM (SELECT 0 AS n OFFSET 0) AS v;
EXPLAIN (VERBOSE, COSTS OFF) SELECT nvl(n, 1), nvl2(n, 'a', 'b') FROM (SELECT random() AS n OFFSET 0) AS v;
-- A literal beside SUPER is refused here as in COALESCE
SELECT nvl(x, '0') FROM (SELECT json_parse('1')) AS l (x);
SELECT nvl(x::varchar, '0'), nvl(x, json_parse('0')) FROM (SELECT (json_parse('{}'))['a']) AS l (x);

SELECT fnv_hash(1), fnv_hash(1::smallint) = fnv_hash(1) AS size_counts, fnv_hash(1::bigint), fnv_hash('a'), fnv_hash('a'::varchar) = fnv_hash(from_hex('61')) AS bytes, fnv_hash('', 42), fnv_hash(1, fnv_hash('a')), fnv_hash(NULL::int) IS NULL, fnv_hash(0::float8);
SELECT b, sha2('Amazon Redshift', b) FROM unnest(ARRAY[0, 224, 256, 384, 512, 1]) WITH ORDINALITY AS u (b, n) ORDER BY n;
SELECT sha2(from_hex('616263'), 256) = sha2('abc', 256) AS bytes, sha2('é', 256) = encode(sha256(convert_to('é', 'UTF8')), 'hex') AS utf8, sha2('a\b', 224) = encode(sha224('a\\b'::bytea), 'hex') AS backslash;
SELECT checksum('abc') = checksum('abc'::varchar) AS same, checksum('abc') <> checksum('abd') AS differs, checksum(12) = checksum(12) AS number, pg_typeof(checksum(1.5)), checksum(NULL) IS NULL;

-- Aggregates
CREATE TEMP TABLE sales (seller int, name varchar, price numeric, at date, data super);
INSERT INTO sales VALUES (380, 'b', 1.5, '2024-01-01', '"x"'), (1178, '', 2.5, '2024-01-02', '1.50'), (2731, NULL, 4, NULL, 'null'), (380, 'a', NULL, '2024-01-03', '[1]');
SELECT listagg(seller, ', ' ORDER BY seller), listagg(DISTINCT seller, '|'), listagg(name, ','), listagg(name), listagg(at, ' ' ORDER BY at), listagg(data, '+'), listagg(name, NULL) FROM sales;
SELECT listagg(name, ',') IS NULL AS empty FROM sales WHERE false;
SELECT length(listagg('x' || n, ',')) FROM generate_series(1, 10000) AS n;
SELECT listagg(repeat('x', 6553), ',') FROM generate_series(1, 10);
SELECT listagg('x' ORDER BY n), pg_typeof(listagg('x')) FROM generate_series(1, 3) AS n;
SELECT median(seller), median(price), median(price::float8), median(price) FILTER (WHERE false) AS nothing FROM sales;
SELECT median(n), median(n::numeric) FROM generate_series(1, 4) AS n;
SELECT count(DISTINCT seller) AS approximate_count FROM sales;
-- NVL of more than five
SELECT nvl(NULL, NULL, NULL, NULL, NULL, NULL, 7, 8) AS n, nvl(NULL, 'b', 'c', 'd', 'e', 'f', 'g') AS t, nvl(NULL::int, NULL, NULL, NULL, NULL, NULL) IS NULL AS nothing;
