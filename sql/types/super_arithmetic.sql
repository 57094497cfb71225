-- Arithmetic of SUPER. Code and rules: src/api/arithmetic.rs.
-- By name there is no operator of two SUPER values but of SUPER and jsonb, which takes SUPER implicitly: with the former an untyped literal would be
-- read as JSON, and x + '5' be a number. So it is a string, as in Redshift.

CREATE FUNCTION redshift.super_plus(super, jsonb) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_plus_wrapper';
COMMENT ON FUNCTION redshift.super_plus(super, jsonb) IS 'implementation of operator +';
CREATE OPERATOR + (LEFTARG = super, RIGHTARG = jsonb, FUNCTION = redshift.super_plus);
COMMENT ON OPERATOR + (super, jsonb) IS 'sum of numbers, or strings joined, else NULL';
CREATE FUNCTION redshift.super_minus(super, jsonb) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_minus_wrapper';
COMMENT ON FUNCTION redshift.super_minus(super, jsonb) IS 'implementation of operator -';
CREATE OPERATOR - (LEFTARG = super, RIGHTARG = jsonb, FUNCTION = redshift.super_minus);
COMMENT ON OPERATOR - (super, jsonb) IS 'difference of numbers, else NULL';
CREATE FUNCTION redshift.super_times(super, jsonb) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_times_wrapper';
COMMENT ON FUNCTION redshift.super_times(super, jsonb) IS 'implementation of operator *';
CREATE OPERATOR * (LEFTARG = super, RIGHTARG = jsonb, FUNCTION = redshift.super_times);
COMMENT ON OPERATOR * (super, jsonb) IS 'product of numbers, else NULL';
CREATE FUNCTION redshift.super_divided(super, jsonb) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_divided_wrapper';
COMMENT ON FUNCTION redshift.super_divided(super, jsonb) IS 'implementation of operator /';
CREATE OPERATOR / (LEFTARG = super, RIGHTARG = jsonb, FUNCTION = redshift.super_divided);
COMMENT ON OPERATOR / (super, jsonb) IS 'quotient of numbers, else NULL';
CREATE FUNCTION redshift.super_modulo(super, jsonb) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_modulo_wrapper';
COMMENT ON FUNCTION redshift.super_modulo(super, jsonb) IS 'implementation of operator %';
CREATE OPERATOR % (LEFTARG = super, RIGHTARG = jsonb, FUNCTION = redshift.super_modulo);
COMMENT ON OPERATOR % (super, jsonb) IS 'remainder of numbers, else NULL';

DO $script$
DECLARE
    operation record;
    scalar text;
BEGIN
    FOR operation IN SELECT * FROM (VALUES
        ('plus', '+', 'sum of numbers, or strings joined, else NULL'),
        ('minus', '-', 'difference of numbers, else NULL'),
        ('times', '*', 'product of numbers, else NULL'),
        ('divided', '/', 'quotient of numbers, else NULL'),
        ('modulo', '%', 'remainder of numbers, else NULL')) AS v (name, sign, meaning)
    LOOP
        FOREACH scalar IN ARRAY ARRAY['smallint', 'integer', 'bigint', 'numeric', 'real', 'double precision', 'text'] LOOP
            EXECUTE format('CREATE FUNCTION redshift.super_%1$s(super, %2$s) RETURNS super LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
                RETURN redshift.super_%1$s($1, ($2::super)::pg_catalog.jsonb)', operation.name, scalar);
            EXECUTE format('CREATE FUNCTION redshift.super_%1$s(%2$s, super) RETURNS super LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
                RETURN redshift.super_%1$s($1::super, $2::pg_catalog.jsonb)', operation.name, scalar);
            EXECUTE format('CREATE OPERATOR %s (LEFTARG = super, RIGHTARG = %s, FUNCTION = redshift.super_%s)', operation.sign, scalar, operation.name);
            EXECUTE format('CREATE OPERATOR %s (LEFTARG = %s, RIGHTARG = super, FUNCTION = redshift.super_%s)', operation.sign, scalar, operation.name);
            EXECUTE format('COMMENT ON FUNCTION redshift.super_%s(super, %s) IS %L', operation.name, scalar, 'implementation of operator ' || operation.sign);
            EXECUTE format('COMMENT ON FUNCTION redshift.super_%s(%s, super) IS %L', operation.name, scalar, 'implementation of operator ' || operation.sign);
            EXECUTE format('COMMENT ON OPERATOR %s (super, %s) IS %L', operation.sign, scalar, operation.meaning);
            EXECUTE format('COMMENT ON OPERATOR %s (%s, super) IS %L', operation.sign, scalar, operation.meaning);
        END LOOP;
    END LOOP;
END
$script$;

-- Functions of numbers. Postgres has them for numbers only, so that a literal is one; the translator writes ours.
CREATE FUNCTION redshift.abs(super) RETURNS super
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN CASE WHEN pg_catalog.jsonb_typeof($1) OPERATOR(pg_catalog.=) 'number'
        THEN redshift.numeric_to_super(pg_catalog.abs(redshift.super_to_numeric($1, -1, true))) END;
COMMENT ON FUNCTION redshift.abs(super) IS 'ABS of a SUPER number, else NULL';
CREATE FUNCTION redshift.floor(super) RETURNS super
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN CASE WHEN pg_catalog.jsonb_typeof($1) OPERATOR(pg_catalog.=) 'number'
        THEN redshift.numeric_to_super(pg_catalog.floor(redshift.super_to_numeric($1, -1, true))) END;
COMMENT ON FUNCTION redshift.floor(super) IS 'FLOOR of a SUPER number, else NULL';
CREATE FUNCTION redshift.ceil(super) RETURNS super
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN CASE WHEN pg_catalog.jsonb_typeof($1) OPERATOR(pg_catalog.=) 'number'
        THEN redshift.numeric_to_super(pg_catalog.ceil(redshift.super_to_numeric($1, -1, true))) END;
COMMENT ON FUNCTION redshift.ceil(super) IS 'CEIL of a SUPER number, else NULL';
CREATE FUNCTION redshift.round(super) RETURNS super
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN CASE WHEN pg_catalog.jsonb_typeof($1) OPERATOR(pg_catalog.=) 'number'
        THEN redshift.numeric_to_super(pg_catalog.round(redshift.super_to_numeric($1, -1, true))) END;
COMMENT ON FUNCTION redshift.round(super) IS 'ROUND of a SUPER number, else NULL';
CREATE FUNCTION redshift.round(super, integer) RETURNS super
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN CASE WHEN pg_catalog.jsonb_typeof($1) OPERATOR(pg_catalog.=) 'number'
        THEN redshift.numeric_to_super(pg_catalog.round(redshift.super_to_numeric($1, -1, true), $2)) END;
COMMENT ON FUNCTION redshift.round(super, integer) IS 'ROUND of a SUPER number to decimals, else NULL';
CREATE FUNCTION redshift.trunc(super) RETURNS super
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN CASE WHEN pg_catalog.jsonb_typeof($1) OPERATOR(pg_catalog.=) 'number'
        THEN redshift.numeric_to_super(pg_catalog.trunc(redshift.super_to_numeric($1, -1, true))) END;
COMMENT ON FUNCTION redshift.trunc(super) IS 'TRUNC of a SUPER number, else NULL';
CREATE FUNCTION redshift.trunc(super, integer) RETURNS super
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN CASE WHEN pg_catalog.jsonb_typeof($1) OPERATOR(pg_catalog.=) 'number'
        THEN redshift.numeric_to_super(pg_catalog.trunc(redshift.super_to_numeric($1, -1, true), $2)) END;
COMMENT ON FUNCTION redshift.trunc(super, integer) IS 'TRUNC of a SUPER number to decimals, else NULL';
