-- Redshift's functions over SUPER. Code: src/api/super_functions.rs.
-- What is given something else than it works on is NULL; what is not strict takes SQL's NULL for JSON's null.

-- Text
CREATE FUNCTION "json_serialize"(super) RETURNS varchar
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'json_serialize_wrapper';
COMMENT ON FUNCTION "json_serialize"(super) IS 'the JSON text, without a blank; an error above 65535 bytes';
CREATE FUNCTION json_serialize_to_varbyte(super) RETURNS varbyte
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'json_serialize_to_varbyte_wrapper';
COMMENT ON FUNCTION json_serialize_to_varbyte(super) IS 'the JSON text as bytes';
CREATE FUNCTION json_size(super) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'json_size_wrapper';
COMMENT ON FUNCTION json_size(super) IS 'bytes of the JSON text';

-- What a value is: NULL of a path that is not there
CREATE FUNCTION json_typeof(super) RETURNS varchar
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_typeof_wrapper';
COMMENT ON FUNCTION json_typeof(super) IS 'boolean, number, string, object, array or null';
CREATE FUNCTION is_array(super) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'is_array_wrapper';
COMMENT ON FUNCTION is_array(super) IS 'whether it is an array';
CREATE FUNCTION is_object(super) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'is_object_wrapper';
COMMENT ON FUNCTION is_object(super) IS 'whether it is an object';
CREATE FUNCTION is_scalar(super) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'is_scalar_wrapper';
COMMENT ON FUNCTION is_scalar(super) IS 'whether it is a boolean, number or string';
CREATE FUNCTION is_boolean(super) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'is_boolean_wrapper';
COMMENT ON FUNCTION is_boolean(super) IS 'whether it is a boolean';
CREATE FUNCTION is_varchar(super) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'is_varchar_wrapper';
COMMENT ON FUNCTION is_varchar(super) IS 'whether it is a string';
CREATE FUNCTION is_char(super) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'is_char_wrapper';
COMMENT ON FUNCTION is_char(super) IS 'whether it is a string of ASCII characters';
CREATE FUNCTION is_smallint(super) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'is_smallint_wrapper';
COMMENT ON FUNCTION is_smallint(super) IS 'whether it is a number without decimals in 16 bits';
CREATE FUNCTION is_integer(super) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'is_integer_wrapper';
COMMENT ON FUNCTION is_integer(super) IS 'whether it is a number without decimals in 32 bits';
CREATE FUNCTION is_bigint(super) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'is_bigint_wrapper';
COMMENT ON FUNCTION is_bigint(super) IS 'whether it is a number without decimals in 64 bits';
CREATE FUNCTION is_decimal(super) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'is_decimal_wrapper';
COMMENT ON FUNCTION is_decimal(super) IS 'whether it is a number';
CREATE FUNCTION is_float(super) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN false;
COMMENT ON FUNCTION is_float(super) IS 'whether it is a float: no, every number is kept as a decimal';
CREATE FUNCTION decimal_precision(super) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'decimal_precision_wrapper';
COMMENT ON FUNCTION decimal_precision(super) IS 'digits of a number';
CREATE FUNCTION decimal_scale(super) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'decimal_scale_wrapper';
COMMENT ON FUNCTION decimal_scale(super) IS 'digits of a number after the decimal point';

-- Making values. Called by name ARRAY and OBJECT are other things in Postgres: object(..) works as it is, ARRAY(..) is redshift.array(..).
CREATE FUNCTION redshift."array"(VARIADIC "any") RETURNS super
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'array_of_wrapper';
COMMENT ON FUNCTION redshift."array"(VARIADIC "any") IS 'Redshift''s ARRAY: its arguments as a SUPER array';
CREATE FUNCTION redshift."array"() RETURNS super
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'array_of_wrapper';
COMMENT ON FUNCTION redshift."array"() IS 'Redshift''s ARRAY without arguments: an empty array';
CREATE FUNCTION object(VARIADIC "any") RETURNS super
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'object_of_wrapper';
COMMENT ON FUNCTION object(VARIADIC "any") IS 'names and values in turn as a SUPER object';
CREATE FUNCTION object() RETURNS super
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'object_of_wrapper';
COMMENT ON FUNCTION object() IS 'an empty SUPER object';
CREATE FUNCTION redshift.to_super(anycompatible) RETURNS super
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'any_to_super_wrapper';
COMMENT ON FUNCTION redshift.to_super(anycompatible) IS 'the value as SUPER; an error for a type that SUPER does not hold';
CREATE FUNCTION redshift.object_transform(object super, keep text[], set_paths text[], set_values super) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'object_transform_wrapper';
COMMENT ON FUNCTION redshift.object_transform(super, text[], text[], super) IS 'Redshift''s OBJECT_TRANSFORM: object, KEEP paths, SET paths, SET values in an array';
CREATE FUNCTION lower_attribute_names(super) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'lower_attribute_names_wrapper';
COMMENT ON FUNCTION lower_attribute_names(super) IS 'the value with all names of attributes in lower case';
CREATE FUNCTION upper_attribute_names(super) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'upper_attribute_names_wrapper';
COMMENT ON FUNCTION upper_attribute_names(super) IS 'the value with all names of attributes in upper case';
CREATE FUNCTION get_number_attributes(super) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'get_number_attributes_wrapper';
COMMENT ON FUNCTION get_number_attributes(super) IS 'attributes of an object';

-- Arrays
CREATE FUNCTION get_array_length(super) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'get_array_length_wrapper';
COMMENT ON FUNCTION get_array_length(super) IS 'elements of an array';
CREATE FUNCTION array_concat(super, super) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'array_concat_wrapper';
COMMENT ON FUNCTION array_concat(super, super) IS 'the elements of both arrays';
CREATE FUNCTION array_flatten(super) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'array_flatten_wrapper';
COMMENT ON FUNCTION array_flatten(super) IS 'the elements of an array and of the arrays in it, at all levels';
CREATE FUNCTION subarray(super, integer, integer) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'subarray_wrapper';
COMMENT ON FUNCTION subarray(super, integer, integer) IS 'part of an array: start, from 0 or from the end if negative, and length';
CREATE FUNCTION split_to_array(text, text) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'split_to_array_wrapper';
COMMENT ON FUNCTION split_to_array(text, text) IS 'the parts of a string between delimiters';
CREATE FUNCTION split_to_array(text) RETURNS super
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN split_to_array($1, ',');
COMMENT ON FUNCTION split_to_array(text) IS 'the parts of a string between commas';
CREATE FUNCTION array_distinct(super) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'array_distinct_wrapper';
COMMENT ON FUNCTION array_distinct(super) IS 'each element once';
CREATE FUNCTION array_union(super, super) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'array_union_wrapper';
COMMENT ON FUNCTION array_union(super, super) IS 'each element of both arrays once';
CREATE FUNCTION array_except(super, super, boolean) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'array_except_wrapper';
COMMENT ON FUNCTION array_except(super, super, boolean) IS 'the elements of the first array without those of the second; with true as sets';
CREATE FUNCTION array_except(super, super) RETURNS super
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN array_except($1, $2, false);
COMMENT ON FUNCTION array_except(super, super) IS 'the elements of the first array without those of the second, as often as they are there';
CREATE FUNCTION array_intersection(super, super, boolean) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'array_intersection_wrapper';
COMMENT ON FUNCTION array_intersection(super, super, boolean) IS 'the elements that are in both arrays; with true as sets';
CREATE FUNCTION array_intersection(super, super) RETURNS super
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN array_intersection($1, $2, false);
COMMENT ON FUNCTION array_intersection(super, super) IS 'the elements that are in both arrays, as often as they are there';
CREATE FUNCTION arrays_overlap(super, super) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'arrays_overlap_wrapper';
COMMENT ON FUNCTION arrays_overlap(super, super) IS 'whether the arrays have an element in common';
CREATE FUNCTION array_sort(super, boolean, boolean) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_array_sort_wrapper';
COMMENT ON FUNCTION array_sort(super, boolean, boolean) IS 'the elements sorted: ascending, nulls first';
CREATE FUNCTION array_sort(super, boolean) RETURNS super
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN array_sort($1, $2, NOT $2);
COMMENT ON FUNCTION array_sort(super, boolean) IS 'the elements sorted: ascending, with nulls last, or descending, with nulls first';
CREATE FUNCTION array_sort(super) RETURNS super
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN array_sort($1, true, false);
COMMENT ON FUNCTION array_sort(super) IS 'the elements sorted in ascending order, nulls last';
-- Searching: stable without the last argument, which has its default from setting default_array_search_null_handling.
CREATE FUNCTION array_contains(super, anycompatible) RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'array_contains_wrapper';
COMMENT ON FUNCTION array_contains(super, anycompatible) IS 'whether the value is an element of the array';
CREATE FUNCTION array_contains(super, anycompatible, boolean) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'array_contains_wrapper';
COMMENT ON FUNCTION array_contains(super, anycompatible, boolean) IS 'whether the value is an element of the array; with false, NULL is unknown';
CREATE FUNCTION array_position(super, anycompatible) RETURNS integer
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_array_position_wrapper';
COMMENT ON FUNCTION array_position(super, anycompatible) IS 'where the value comes first in the array, from 0; -1 if it does not';
CREATE FUNCTION array_position(super, anycompatible, boolean) RETURNS integer
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_array_position_wrapper';
COMMENT ON FUNCTION array_position(super, anycompatible, boolean) IS 'where the value comes first in the array, from 0; -1 if it does not; with false, NULL is unknown';
CREATE FUNCTION array_positions(super, anycompatible) RETURNS super
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_array_positions_wrapper';
COMMENT ON FUNCTION array_positions(super, anycompatible) IS 'every position of the value in the array, from 0';
CREATE FUNCTION array_positions(super, anycompatible, boolean) RETURNS super
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_array_positions_wrapper';
COMMENT ON FUNCTION array_positions(super, anycompatible, boolean) IS 'every position of the value in the array, from 0; with false, NULL is unknown';
