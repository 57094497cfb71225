-- json_parse and can_json_parse: the same function of the library for each type that holds a document's bytes. Code: src/api/json.rs.
-- A literal alone, json_parse('[1]'), is taken for text: of several types that fit, Postgres prefers that.

CREATE FUNCTION json_parse(varbyte) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'json_parse_wrapper';
COMMENT ON FUNCTION json_parse(varbyte) IS 'the JSON document as super; an error if it is none';
CREATE FUNCTION json_parse(bytea) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'json_parse_wrapper';
COMMENT ON FUNCTION json_parse(bytea) IS 'the JSON document as super; an error if it is none';
CREATE FUNCTION json_parse(text) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'json_parse_wrapper';
COMMENT ON FUNCTION json_parse(text) IS 'the JSON document as super; an error if it is none';

CREATE FUNCTION can_json_parse(varbyte) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'can_json_parse_wrapper';
COMMENT ON FUNCTION can_json_parse(varbyte) IS 'whether json_parse would succeed';
CREATE FUNCTION can_json_parse(bytea) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'can_json_parse_wrapper';
COMMENT ON FUNCTION can_json_parse(bytea) IS 'whether json_parse would succeed';
CREATE FUNCTION can_json_parse(text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'can_json_parse_wrapper';
COMMENT ON FUNCTION can_json_parse(text) IS 'whether json_parse would succeed';

-- Over JSON text. Code: src/api/json.rs. Postgres has functions of these names over json: a literal without a type is taken by those over text.
CREATE FUNCTION redshift.json_path_text(text, text[], boolean) RETURNS varchar
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'json_path_text_wrapper';
COMMENT ON FUNCTION redshift.json_path_text(text, text[], boolean) IS 'Redshift''s JSON_EXTRACT_PATH_TEXT: document, path, whether an invalid document is NULL';
CREATE FUNCTION json_extract_path_text(text, text) RETURNS varchar
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN redshift.json_path_text($1, ARRAY[$2], false);
COMMENT ON FUNCTION json_extract_path_text(text, text) IS 'what is at the end of a path in JSON text; an error if that is no JSON';
CREATE FUNCTION json_extract_path_text(text, text, boolean) RETURNS varchar
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN redshift.json_path_text($1, ARRAY[$2], $3);
COMMENT ON FUNCTION json_extract_path_text(text, text, boolean) IS 'what is at the end of a path in JSON text; with true NULL if that is no JSON';
CREATE FUNCTION json_extract_path_text(text, text, text) RETURNS varchar
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN redshift.json_path_text($1, ARRAY[$2, $3], false);
COMMENT ON FUNCTION json_extract_path_text(text, text, text) IS 'what is at the end of a path in JSON text; an error if that is no JSON';
CREATE FUNCTION json_extract_path_text(text, text, text, boolean) RETURNS varchar
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN redshift.json_path_text($1, ARRAY[$2, $3], $4);
COMMENT ON FUNCTION json_extract_path_text(text, text, text, boolean) IS 'what is at the end of a path in JSON text; with true NULL if that is no JSON';
CREATE FUNCTION json_extract_path_text(text, text, text, text) RETURNS varchar
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN redshift.json_path_text($1, ARRAY[$2, $3, $4], false);
COMMENT ON FUNCTION json_extract_path_text(text, text, text, text) IS 'what is at the end of a path in JSON text; an error if that is no JSON';
CREATE FUNCTION json_extract_path_text(text, text, text, text, boolean) RETURNS varchar
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN redshift.json_path_text($1, ARRAY[$2, $3, $4], $5);
COMMENT ON FUNCTION json_extract_path_text(text, text, text, text, boolean) IS 'what is at the end of a path in JSON text; with true NULL if that is no JSON';
CREATE FUNCTION json_extract_path_text(text, text, text, text, text) RETURNS varchar
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN redshift.json_path_text($1, ARRAY[$2, $3, $4, $5], false);
COMMENT ON FUNCTION json_extract_path_text(text, text, text, text, text) IS 'what is at the end of a path in JSON text; an error if that is no JSON';
CREATE FUNCTION json_extract_path_text(text, text, text, text, text, boolean) RETURNS varchar
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN redshift.json_path_text($1, ARRAY[$2, $3, $4, $5], $6);
COMMENT ON FUNCTION json_extract_path_text(text, text, text, text, text, boolean) IS 'what is at the end of a path in JSON text; with true NULL if that is no JSON';
CREATE FUNCTION json_extract_path_text(text, text, text, text, text, text) RETURNS varchar
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN redshift.json_path_text($1, ARRAY[$2, $3, $4, $5, $6], false);
COMMENT ON FUNCTION json_extract_path_text(text, text, text, text, text, text) IS 'what is at the end of a path in JSON text; an error if that is no JSON';
CREATE FUNCTION json_extract_path_text(text, text, text, text, text, text, boolean) RETURNS varchar
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN redshift.json_path_text($1, ARRAY[$2, $3, $4, $5, $6], $7);
COMMENT ON FUNCTION json_extract_path_text(text, text, text, text, text, text, boolean) IS 'what is at the end of a path in JSON text; with true NULL if that is no JSON';
CREATE FUNCTION json_extract_array_element_text(text, integer, boolean) RETURNS varchar
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'json_array_element_text_wrapper';
COMMENT ON FUNCTION json_extract_array_element_text(text, integer, boolean) IS 'element of a JSON array, from 0; with true NULL if the text is none';
CREATE FUNCTION json_extract_array_element_text(text, integer) RETURNS varchar
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN json_extract_array_element_text($1, $2, false);
COMMENT ON FUNCTION json_extract_array_element_text(text, integer) IS 'element of a JSON array, from 0; an error if the text is none';
CREATE FUNCTION json_array_length(text, boolean) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'json_text_array_length_wrapper';
COMMENT ON FUNCTION json_array_length(text, boolean) IS 'elements of a JSON array; with true NULL if the text is none';
CREATE FUNCTION json_array_length(text) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN json_array_length($1, false);
COMMENT ON FUNCTION json_array_length(text) IS 'elements of a JSON array; an error if the text is none';
CREATE FUNCTION is_valid_json(text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'is_valid_json_wrapper';
COMMENT ON FUNCTION is_valid_json(text) IS 'whether the text is a JSON object';
CREATE FUNCTION is_valid_json_array(text) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'is_valid_json_array_wrapper';
COMMENT ON FUNCTION is_valid_json_array(text) IS 'whether the text is a JSON array';

-- What the translator writes for JSON_PARSE, which goes by the session's settings.
CREATE FUNCTION redshift.json_parse(varbyte) RETURNS super
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'json_parse_lax_wrapper';
COMMENT ON FUNCTION redshift.json_parse(varbyte) IS 'json_parse by the settings: NULL for what is no JSON while parse_super_null_on_error is on; equal names are an error unless json_parse_dedup_attributes is on';
CREATE FUNCTION redshift.json_parse(bytea) RETURNS super
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'json_parse_lax_wrapper';
COMMENT ON FUNCTION redshift.json_parse(bytea) IS 'json_parse by the settings: NULL for what is no JSON while parse_super_null_on_error is on; equal names are an error unless json_parse_dedup_attributes is on';
CREATE FUNCTION redshift.json_parse(text) RETURNS super
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'json_parse_lax_wrapper';
COMMENT ON FUNCTION redshift.json_parse(text) IS 'json_parse by the settings: NULL for what is no JSON while parse_super_null_on_error is on; equal names are an error unless json_parse_dedup_attributes is on';
