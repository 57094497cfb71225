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
