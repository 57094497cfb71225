-- Comparisons of SUPER. Code and rules: src/types/super_compare.rs.

-- The operator class, for GROUP BY, DISTINCT, ORDER BY, indexes and hashing. Its operators are in a schema that is not searched: were super = super
-- found by name, a literal beside a SUPER value would be read as JSON, and data['x'] = '12345' be false for the string "12345".

CREATE FUNCTION redshift.super_cmp(super, super) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_cmp_wrapper';
COMMENT ON FUNCTION redshift.super_cmp(super, super) IS 'order of all values: null, boolean, number, string, array, object';
CREATE FUNCTION redshift.super_eq(super, super) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_eq_wrapper';
COMMENT ON FUNCTION redshift.super_eq(super, super) IS 'implementation of operator = of the operator class';
CREATE FUNCTION redshift.super_lt(super, super) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_lt_wrapper';
COMMENT ON FUNCTION redshift.super_lt(super, super) IS 'implementation of operator < of the operator class';
CREATE FUNCTION redshift.super_le(super, super) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_le_wrapper';
COMMENT ON FUNCTION redshift.super_le(super, super) IS 'implementation of operator <= of the operator class';
CREATE FUNCTION redshift.super_gt(super, super) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_gt_wrapper';
COMMENT ON FUNCTION redshift.super_gt(super, super) IS 'implementation of operator > of the operator class';
CREATE FUNCTION redshift.super_ge(super, super) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_ge_wrapper';
COMMENT ON FUNCTION redshift.super_ge(super, super) IS 'implementation of operator >= of the operator class';
-- Values that are equal here are equal as jsonb, so that jsonb's hash fits.
CREATE FUNCTION redshift.super_hash(super) RETURNS integer
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'jsonb_hash';
COMMENT ON FUNCTION redshift.super_hash(super) IS 'hash of super';
CREATE FUNCTION redshift.super_hash_extended(super, bigint) RETURNS bigint
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'jsonb_hash_extended';
COMMENT ON FUNCTION redshift.super_hash_extended(super, bigint) IS 'hash of super with a seed';

CREATE OPERATOR redshift.= (LEFTARG = super, RIGHTARG = super, FUNCTION = redshift.super_eq,
    COMMUTATOR = OPERATOR(redshift.=), NEGATOR = OPERATOR(redshift.<>), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
COMMENT ON OPERATOR redshift.= (super, super) IS 'equal, arrays and objects included';
CREATE FUNCTION redshift.super_ne(super, super) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN NOT redshift.super_eq($1, $2);
COMMENT ON FUNCTION redshift.super_ne(super, super) IS 'implementation of operator <> beside the operator class';
CREATE OPERATOR redshift.<> (LEFTARG = super, RIGHTARG = super, FUNCTION = redshift.super_ne,
    COMMUTATOR = OPERATOR(redshift.<>), NEGATOR = OPERATOR(redshift.=), RESTRICT = neqsel, JOIN = neqjoinsel);
COMMENT ON OPERATOR redshift.<> (super, super) IS 'not equal';
CREATE OPERATOR redshift.< (LEFTARG = super, RIGHTARG = super, FUNCTION = redshift.super_lt,
    COMMUTATOR = OPERATOR(redshift.>), NEGATOR = OPERATOR(redshift.>=), RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
COMMENT ON OPERATOR redshift.< (super, super) IS 'before, in the order of all values';
CREATE OPERATOR redshift.<= (LEFTARG = super, RIGHTARG = super, FUNCTION = redshift.super_le,
    COMMUTATOR = OPERATOR(redshift.>=), NEGATOR = OPERATOR(redshift.>), RESTRICT = scalarlesel, JOIN = scalarlejoinsel);
COMMENT ON OPERATOR redshift.<= (super, super) IS 'before or equal, in the order of all values';
CREATE OPERATOR redshift.> (LEFTARG = super, RIGHTARG = super, FUNCTION = redshift.super_gt,
    COMMUTATOR = OPERATOR(redshift.<), NEGATOR = OPERATOR(redshift.<=), RESTRICT = scalargtsel, JOIN = scalargtjoinsel);
COMMENT ON OPERATOR redshift.> (super, super) IS 'after, in the order of all values';
CREATE OPERATOR redshift.>= (LEFTARG = super, RIGHTARG = super, FUNCTION = redshift.super_ge,
    COMMUTATOR = OPERATOR(redshift.<=), NEGATOR = OPERATOR(redshift.<), RESTRICT = scalargesel, JOIN = scalargejoinsel);
COMMENT ON OPERATOR redshift.>= (super, super) IS 'after or equal, in the order of all values';

CREATE OPERATOR CLASS redshift.super_ops DEFAULT FOR TYPE super USING btree AS
    OPERATOR 1 redshift.<,
    OPERATOR 2 redshift.<=,
    OPERATOR 3 redshift.=,
    OPERATOR 4 redshift.>=,
    OPERATOR 5 redshift.>,
    FUNCTION 1 redshift.super_cmp(super, super);
COMMENT ON OPERATOR CLASS redshift.super_ops USING btree IS 'the order of all super values';
COMMENT ON OPERATOR FAMILY redshift.super_ops USING btree IS 'the order of all super values';
CREATE OPERATOR CLASS redshift.super_ops DEFAULT FOR TYPE super USING hash AS
    OPERATOR 1 redshift.=,
    FUNCTION 1 redshift.super_hash(super),
    FUNCTION 2 redshift.super_hash_extended(super, bigint);
COMMENT ON OPERATOR CLASS redshift.super_ops USING hash IS 'equality of super values';
COMMENT ON OPERATOR FAMILY redshift.super_ops USING hash IS 'equality of super values';

-- Against scalars, by name. One function of the library for each test and family of types.

CREATE FUNCTION redshift.super_eq(super, text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_text_eq_wrapper';
CREATE FUNCTION redshift.super_ne(super, text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_text_ne_wrapper';
CREATE FUNCTION redshift.super_lt(super, text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_text_lt_wrapper';
CREATE FUNCTION redshift.super_le(super, text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_text_le_wrapper';
CREATE FUNCTION redshift.super_gt(super, text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_text_gt_wrapper';
CREATE FUNCTION redshift.super_ge(super, text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_text_ge_wrapper';

CREATE FUNCTION redshift.super_eq(super, bigint) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_int8_eq_wrapper';
CREATE FUNCTION redshift.super_ne(super, bigint) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_int8_ne_wrapper';
CREATE FUNCTION redshift.super_lt(super, bigint) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_int8_lt_wrapper';
CREATE FUNCTION redshift.super_le(super, bigint) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_int8_le_wrapper';
CREATE FUNCTION redshift.super_gt(super, bigint) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_int8_gt_wrapper';
CREATE FUNCTION redshift.super_ge(super, bigint) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_int8_ge_wrapper';

CREATE FUNCTION redshift.super_eq(super, double precision) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_float8_eq_wrapper';
CREATE FUNCTION redshift.super_ne(super, double precision) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_float8_ne_wrapper';
CREATE FUNCTION redshift.super_lt(super, double precision) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_float8_lt_wrapper';
CREATE FUNCTION redshift.super_le(super, double precision) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_float8_le_wrapper';
CREATE FUNCTION redshift.super_gt(super, double precision) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_float8_gt_wrapper';
CREATE FUNCTION redshift.super_ge(super, double precision) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_float8_ge_wrapper';

CREATE FUNCTION redshift.super_eq(super, numeric) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_numeric_eq_wrapper';
CREATE FUNCTION redshift.super_ne(super, numeric) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_numeric_ne_wrapper';
CREATE FUNCTION redshift.super_lt(super, numeric) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_numeric_lt_wrapper';
CREATE FUNCTION redshift.super_le(super, numeric) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_numeric_le_wrapper';
CREATE FUNCTION redshift.super_gt(super, numeric) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_numeric_gt_wrapper';
CREATE FUNCTION redshift.super_ge(super, numeric) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_numeric_ge_wrapper';

CREATE FUNCTION redshift.super_eq(super, boolean) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_bool_eq_wrapper';
CREATE FUNCTION redshift.super_ne(super, boolean) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_bool_ne_wrapper';

-- The rest follows a pattern: the smaller integers are bigints; with the scalar on the left the test is turned round; an operator for each, and the
-- comments.
DO $script$
DECLARE
    scalar regtype;
    test record;
BEGIN
    FOREACH scalar IN ARRAY '{text, smallint, integer, bigint, double precision, numeric, boolean}'::pg_catalog.regtype[] LOOP
        FOR test IN
            SELECT * FROM (VALUES
                ('=',  'eq', '=',  '<>', 'eq', 'eqsel',       'eqjoinsel',       'equal'),
                ('<>', 'ne', '<>', '=',  'ne', 'neqsel',      'neqjoinsel',      'not equal'),
                ('<',  'lt', '>',  '>=', 'gt', 'scalarltsel', 'scalarltjoinsel', 'less than'),
                ('<=', 'le', '>=', '>',  'ge', 'scalarlesel', 'scalarlejoinsel', 'less than or equal'),
                ('>',  'gt', '<',  '<=', 'lt', 'scalargtsel', 'scalargtjoinsel', 'greater than'),
                ('>=', 'ge', '<=', '<',  'le', 'scalargesel', 'scalargejoinsel', 'greater than or equal')
            ) AS tests (sign, name, commutator, negator, turned, restrict_function, join_function, meaning)
            WHERE scalar <> 'boolean'::pg_catalog.regtype OR name IN ('eq', 'ne')
        LOOP
            IF scalar IN ('smallint', 'integer') THEN
                EXECUTE format('CREATE FUNCTION redshift.super_%s(super, %s) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
                    RETURN redshift.super_%1$s($1, $2::pg_catalog.int8)', test.name, scalar);
            END IF;
            EXECUTE format('CREATE FUNCTION redshift.super_%s(%s, super) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
                RETURN redshift.super_%s($2, $1)', test.name, scalar, test.turned);
            EXECUTE format('CREATE OPERATOR %s (LEFTARG = super, RIGHTARG = %s, FUNCTION = redshift.super_%s,
                COMMUTATOR = OPERATOR(%s), NEGATOR = OPERATOR(%s), RESTRICT = %s, JOIN = %s)',
                test.sign, scalar, test.name, test.commutator, test.negator, test.restrict_function, test.join_function);
            EXECUTE format('CREATE OPERATOR %s (LEFTARG = %s, RIGHTARG = super, FUNCTION = redshift.super_%s,
                COMMUTATOR = OPERATOR(%s), NEGATOR = OPERATOR(%s), RESTRICT = %s, JOIN = %s)',
                test.sign, scalar, test.name, test.commutator, test.negator, test.restrict_function, test.join_function);
            EXECUTE format('COMMENT ON FUNCTION redshift.super_%s(super, %s) IS %L', test.name, scalar, 'implementation of operator ' || test.sign);
            EXECUTE format('COMMENT ON FUNCTION redshift.super_%s(%s, super) IS %L', test.name, scalar, 'implementation of operator ' || test.sign);
            EXECUTE format('COMMENT ON OPERATOR %s (super, %s) IS %L', test.sign, scalar, test.meaning);
            EXECUTE format('COMMENT ON OPERATOR %s (%s, super) IS %L', test.sign, scalar, test.meaning);
        END LOOP;
    END LOOP;
END
$script$;

-- Joining strings: with jsonb's operator, by the implicit cast, a string and a literal would become an array.

CREATE FUNCTION redshift.super_concat(super, text) RETURNS varchar
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN redshift.super_to_text($1) OPERATOR(pg_catalog.||) $2;
COMMENT ON FUNCTION redshift.super_concat(super, text) IS 'implementation of operator ||';
CREATE FUNCTION redshift.super_concat(text, super) RETURNS varchar
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN $1 OPERATOR(pg_catalog.||) redshift.super_to_text($2);
COMMENT ON FUNCTION redshift.super_concat(text, super) IS 'implementation of operator ||';
CREATE OPERATOR || (LEFTARG = super, RIGHTARG = text, FUNCTION = redshift.super_concat);
COMMENT ON OPERATOR || (super, text) IS 'the text of a string, number or boolean and another, else NULL';
CREATE OPERATOR || (LEFTARG = text, RIGHTARG = super, FUNCTION = redshift.super_concat);
COMMENT ON OPERATOR || (text, super) IS 'a text and that of a string, number or boolean, else NULL';
