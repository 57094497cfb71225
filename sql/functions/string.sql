-- Redshift's string, conditional, hash and aggregate functions. Code: src/api/string.rs.

-- Strings. len is in sql/types/varbyte.sql, beside that of varbyte.
CREATE FUNCTION charindex(text, text) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN pg_catalog.strpos($2, $1);
COMMENT ON FUNCTION charindex(text, text) IS 'position of the first string in the second, from 1; 0 if it is not there';
CREATE FUNCTION strtol(text, integer) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'strtol_wrapper';
COMMENT ON FUNCTION strtol(text, integer) IS 'the integer that the text writes in a base';
-- Postgres has functions of these names: the translator writes ours.
CREATE FUNCTION redshift.concat(text, text) RETURNS varchar
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN $1 OPERATOR(pg_catalog.||) $2;
COMMENT ON FUNCTION redshift.concat(text, text) IS 'Redshift''s CONCAT: NULL if either is';
CREATE FUNCTION redshift.regexp_replace(text, text) RETURNS varchar
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN pg_catalog.regexp_replace($1, $2, '', 'g');
COMMENT ON FUNCTION redshift.regexp_replace(text, text) IS 'Redshift''s REGEXP_REPLACE: removes every match';
CREATE FUNCTION redshift.regexp_replace(text, text, text) RETURNS varchar
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN pg_catalog.regexp_replace($1, $2, $3, 'g');
COMMENT ON FUNCTION redshift.regexp_replace(text, text, text) IS 'Redshift''s REGEXP_REPLACE: replaces every match';
CREATE FUNCTION redshift.regexp_replace(text, text, text, integer) RETURNS varchar
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN pg_catalog.left($1, $4 OPERATOR(pg_catalog.-) 1) OPERATOR(pg_catalog.||) pg_catalog.regexp_replace(pg_catalog.substr($1, $4), $2, $3, 'g');
COMMENT ON FUNCTION redshift.regexp_replace(text, text, text, integer) IS 'Redshift''s REGEXP_REPLACE: replaces every match from a position on';
CREATE FUNCTION redshift.regexp_replace(text, text, text, integer, text) RETURNS varchar
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN pg_catalog.left($1, $4 OPERATOR(pg_catalog.-) 1) OPERATOR(pg_catalog.||) pg_catalog.regexp_replace(pg_catalog.substr($1, $4), $2, $3, pg_catalog.translate($5, 'pe', '') OPERATOR(pg_catalog.||) 'g');
COMMENT ON FUNCTION redshift.regexp_replace(text, text, text, integer, text) IS 'Redshift''s REGEXP_REPLACE: replaces every match from a position on; flags c, i and p';
CREATE FUNCTION redshift.regexp_substr(text, text, integer, integer, text) RETURNS varchar
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN pg_catalog.regexp_substr($1, $2, $3, $4, pg_catalog.translate($5, 'pe', ''), CASE WHEN pg_catalog.strpos($5, 'e') OPERATOR(pg_catalog.>) 0 THEN 1 ELSE 0 END);
COMMENT ON FUNCTION redshift.regexp_substr(text, text, integer, integer, text) IS 'Redshift''s REGEXP_SUBSTR with flags: c, i, e for the first part in parentheses, p';

-- Conditional. In line, so that arguments are evaluated as those of COALESCE and CASE are: only when they are needed.
CREATE FUNCTION nvl(anycompatible, anycompatible) RETURNS anycompatible
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT COALESCE($1, $2)';
COMMENT ON FUNCTION nvl(anycompatible, anycompatible) IS 'the first argument that is not NULL';
CREATE FUNCTION nvl(anycompatible, anycompatible, anycompatible) RETURNS anycompatible
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT COALESCE($1, $2, $3)';
COMMENT ON FUNCTION nvl(anycompatible, anycompatible, anycompatible) IS 'the first argument that is not NULL';
CREATE FUNCTION nvl(anycompatible, anycompatible, anycompatible, anycompatible) RETURNS anycompatible
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT COALESCE($1, $2, $3, $4)';
COMMENT ON FUNCTION nvl(anycompatible, anycompatible, anycompatible, anycompatible) IS 'the first argument that is not NULL';
CREATE FUNCTION nvl(anycompatible, anycompatible, anycompatible, anycompatible, anycompatible) RETURNS anycompatible
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT COALESCE($1, $2, $3, $4, $5)';
COMMENT ON FUNCTION nvl(anycompatible, anycompatible, anycompatible, anycompatible, anycompatible) IS 'the first argument that is not NULL';
CREATE FUNCTION nvl(anycompatible, anycompatible, anycompatible, anycompatible, anycompatible, VARIADIC anycompatiblearray) RETURNS anycompatible
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT COALESCE($1, $2, $3, $4, $5,
        (SELECT v FROM pg_catalog.unnest($6) WITH ORDINALITY AS u (v, n) WHERE v IS NOT NULL ORDER BY n LIMIT 1))';
COMMENT ON FUNCTION nvl(anycompatible, anycompatible, anycompatible, anycompatible, anycompatible, VARIADIC anycompatiblearray) IS 'the first argument that is not NULL; all arguments are evaluated';
CREATE FUNCTION nvl2(anyelement, anycompatible, anycompatible) RETURNS anycompatible
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT CASE WHEN $1 IS NOT NULL THEN $2 ELSE $3 END';
COMMENT ON FUNCTION nvl2(anyelement, anycompatible, anycompatible) IS 'the second argument where the first is not NULL, else the third';

-- Hashes. The seed of FNV-1a is the offset basis. What a checksum's value is as text may depend on settings.
CREATE FUNCTION fnv_hash(smallint, bigint) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'fnv_hash_int2_wrapper';
COMMENT ON FUNCTION fnv_hash(smallint, bigint) IS '64-bit FNV-1a with a seed';
CREATE FUNCTION fnv_hash(smallint) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN fnv_hash($1, -3750763034362895579);
COMMENT ON FUNCTION fnv_hash(smallint) IS '64-bit FNV-1a';
CREATE FUNCTION fnv_hash(integer, bigint) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'fnv_hash_int4_wrapper';
COMMENT ON FUNCTION fnv_hash(integer, bigint) IS '64-bit FNV-1a with a seed';
CREATE FUNCTION fnv_hash(integer) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN fnv_hash($1, -3750763034362895579);
COMMENT ON FUNCTION fnv_hash(integer) IS '64-bit FNV-1a';
CREATE FUNCTION fnv_hash(bigint, bigint) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'fnv_hash_int8_wrapper';
COMMENT ON FUNCTION fnv_hash(bigint, bigint) IS '64-bit FNV-1a with a seed';
CREATE FUNCTION fnv_hash(bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN fnv_hash($1, -3750763034362895579);
COMMENT ON FUNCTION fnv_hash(bigint) IS '64-bit FNV-1a';
CREATE FUNCTION fnv_hash(double precision, bigint) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'fnv_hash_float8_wrapper';
COMMENT ON FUNCTION fnv_hash(double precision, bigint) IS '64-bit FNV-1a with a seed';
CREATE FUNCTION fnv_hash(double precision) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN fnv_hash($1, -3750763034362895579);
COMMENT ON FUNCTION fnv_hash(double precision) IS '64-bit FNV-1a';
CREATE FUNCTION fnv_hash(text, bigint) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'fnv_hash_bytes_wrapper';
COMMENT ON FUNCTION fnv_hash(text, bigint) IS '64-bit FNV-1a with a seed';
CREATE FUNCTION fnv_hash(text) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN fnv_hash($1, -3750763034362895579);
COMMENT ON FUNCTION fnv_hash(text) IS '64-bit FNV-1a';
CREATE FUNCTION fnv_hash(varbyte, bigint) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'fnv_hash_bytes_wrapper';
COMMENT ON FUNCTION fnv_hash(varbyte, bigint) IS '64-bit FNV-1a with a seed';
CREATE FUNCTION fnv_hash(varbyte) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN fnv_hash($1, -3750763034362895579);
COMMENT ON FUNCTION fnv_hash(varbyte) IS '64-bit FNV-1a';
CREATE FUNCTION sha2(text, integer) RETURNS varchar
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN CASE $2
        WHEN 224 THEN pg_catalog.encode(pg_catalog.sha224($1::varbyte::pg_catalog.bytea), 'hex')
        WHEN 256 THEN pg_catalog.encode(pg_catalog.sha256($1::varbyte::pg_catalog.bytea), 'hex')
        WHEN 0 THEN pg_catalog.encode(pg_catalog.sha256($1::varbyte::pg_catalog.bytea), 'hex')
        WHEN 384 THEN pg_catalog.encode(pg_catalog.sha384($1::varbyte::pg_catalog.bytea), 'hex')
        WHEN 512 THEN pg_catalog.encode(pg_catalog.sha512($1::varbyte::pg_catalog.bytea), 'hex')
        ELSE '' END;
COMMENT ON FUNCTION sha2(text, integer) IS 'SHA-2 in hexadecimal: 224, 256 (or 0), 384 or 512 bits; of others nothing';
CREATE FUNCTION sha2(varbyte, integer) RETURNS varchar
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN CASE $2
        WHEN 224 THEN pg_catalog.encode(pg_catalog.sha224($1::varbyte::pg_catalog.bytea), 'hex')
        WHEN 256 THEN pg_catalog.encode(pg_catalog.sha256($1::varbyte::pg_catalog.bytea), 'hex')
        WHEN 0 THEN pg_catalog.encode(pg_catalog.sha256($1::varbyte::pg_catalog.bytea), 'hex')
        WHEN 384 THEN pg_catalog.encode(pg_catalog.sha384($1::varbyte::pg_catalog.bytea), 'hex')
        WHEN 512 THEN pg_catalog.encode(pg_catalog.sha512($1::varbyte::pg_catalog.bytea), 'hex')
        ELSE '' END;
COMMENT ON FUNCTION sha2(varbyte, integer) IS 'SHA-2 in hexadecimal: 224, 256 (or 0), 384 or 512 bits; of others nothing';
CREATE FUNCTION redshift.checksum_of_text(text) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'checksum_of_text_wrapper';
COMMENT ON FUNCTION redshift.checksum_of_text(text) IS '32 bits of a text';
CREATE FUNCTION checksum(anycompatible) RETURNS integer
    LANGUAGE sql STABLE STRICT PARALLEL SAFE AS 'SELECT redshift.checksum_of_text($1::pg_catalog.text)';
COMMENT ON FUNCTION checksum(anycompatible) IS '32 bits that tell whether a value changed; not the number that Redshift has';

-- Aggregates. What a value is as text may depend on settings.
CREATE FUNCTION redshift.listagg_step(text, "any") RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'listagg_step2_wrapper';
COMMENT ON FUNCTION redshift.listagg_step(text, "any") IS 'step of listagg';
CREATE FUNCTION redshift.listagg_step(text, "any", text) RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'listagg_step_wrapper';
COMMENT ON FUNCTION redshift.listagg_step(text, "any", text) IS 'step of listagg';
CREATE AGGREGATE listagg("any") (SFUNC = redshift.listagg_step, STYPE = text);
COMMENT ON AGGREGATE listagg("any") IS 'the values joined, without NULL and empty ones; an error above 65535 bytes';
CREATE AGGREGATE listagg("any", text) (SFUNC = redshift.listagg_step, STYPE = text);
COMMENT ON AGGREGATE listagg("any", text) IS 'the values joined, without NULL and empty ones; an error above 65535 bytes';
CREATE FUNCTION redshift.median_end(double precision[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN (SELECT pg_catalog.percentile_cont(0.5) WITHIN GROUP (ORDER BY v) FROM pg_catalog.unnest($1) AS v);
COMMENT ON FUNCTION redshift.median_end(double precision[]) IS 'last step of median';
CREATE AGGREGATE median(double precision) (SFUNC = pg_catalog.array_append, STYPE = double precision[], FINALFUNC = redshift.median_end);
COMMENT ON AGGREGATE median(double precision) IS 'the middle value, or what lies halfway between the two in the middle';
CREATE FUNCTION redshift.median_end(numeric[]) RETURNS numeric
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN (SELECT pg_catalog.avg(v) FROM (SELECT v, pg_catalog.row_number() OVER (ORDER BY v) AS n, pg_catalog.count(*) OVER () AS all_of_them
        FROM pg_catalog.unnest($1) AS v WHERE v IS NOT NULL) AS sorted WHERE n IN ((all_of_them + 1) / 2, (all_of_them + 2) / 2));
COMMENT ON FUNCTION redshift.median_end(numeric[]) IS 'last step of median';
CREATE AGGREGATE median(numeric) (SFUNC = pg_catalog.array_append, STYPE = numeric[], FINALFUNC = redshift.median_end);
COMMENT ON AGGREGATE median(numeric) IS 'the middle value, or what lies halfway between the two in the middle';
