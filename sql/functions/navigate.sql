-- What the translator writes for SUPER where the session's settings count, and for unnesting. Code: src/api/navigate.rs.

CREATE FUNCTION redshift.attribute(super, text, boolean) RETURNS super
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_attribute_wrapper';
COMMENT ON FUNCTION redshift.attribute(super, text, boolean) IS 'attribute of an object, by navigate_super_null_on_error and enable_case_sensitive_super_attribute; with true the case of the name always counts';
CREATE FUNCTION redshift.attribute(super, text) RETURNS super
    LANGUAGE sql STABLE STRICT PARALLEL SAFE RETURN redshift.attribute($1, $2, false);
COMMENT ON FUNCTION redshift.attribute(super, text) IS 'attribute of an object, by navigate_super_null_on_error and enable_case_sensitive_super_attribute';
CREATE FUNCTION redshift.element(super, bigint) RETURNS super
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_element_wrapper';
COMMENT ON FUNCTION redshift.element(super, bigint) IS 'element of an array from 0, by navigate_super_null_on_error';
CREATE FUNCTION redshift.require_castable(super, text) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'require_castable_wrapper';
COMMENT ON FUNCTION redshift.require_castable(super, text) IS 'raises the error of a cast that gave NULL, if cast_super_null_on_error is off';
CREATE FUNCTION redshift.checked_cast(super, anyelement) RETURNS anyelement
    LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT CASE WHEN $2 IS NOT NULL OR $1 IS NULL OR redshift.require_castable($1, pg_catalog.pg_typeof($2)::pg_catalog.text) THEN $2 END';
COMMENT ON FUNCTION redshift.checked_cast(super, anyelement) IS 'the second argument, a cast of the first, by cast_super_null_on_error: checked_cast(path, path::integer)';
CREATE FUNCTION redshift.as_array(super) RETURNS super
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'as_array_wrapper';
COMMENT ON FUNCTION redshift.as_array(super) IS 'an array; of what is none NULL, or by navigate_super_null_on_error an error';
CREATE FUNCTION redshift.as_object(super) RETURNS super
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'as_object_wrapper';
COMMENT ON FUNCTION redshift.as_object(super) IS 'an object; of what is none NULL, or by navigate_super_null_on_error an error';
CREATE FUNCTION redshift.unnest_array(super, OUT value super, OUT index bigint) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 10
    BEGIN ATOMIC
        SELECT e::super, n OPERATOR(pg_catalog.-) 1
        FROM pg_catalog.jsonb_array_elements(redshift.as_array($1)) WITH ORDINALITY AS u (e, n);
    END;
COMMENT ON FUNCTION redshift.unnest_array(super) IS 'a row for each element of an array, with its index from 0';
CREATE FUNCTION redshift.unpivot_object(super, OUT value super, OUT attribute varchar) RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 10
    BEGIN ATOMIC
        SELECT e::super, name::pg_catalog.varchar
        FROM pg_catalog.jsonb_each(redshift.as_object($1)) AS u (name, e);
    END;
COMMENT ON FUNCTION redshift.unpivot_object(super) IS 'a row for each attribute of an object';
