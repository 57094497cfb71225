-- SUPER: stored exactly as jsonb, with subscripts and casts of its own. Code: src/types/super_type.rs, src/pg/subscript.rs.

CREATE TYPE super;

CREATE FUNCTION redshift.super_in(cstring) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_in_wrapper';
COMMENT ON FUNCTION redshift.super_in(cstring) IS 'text input of super: JSON';

CREATE FUNCTION redshift.super_out(super) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_out_wrapper';
COMMENT ON FUNCTION redshift.super_out(super) IS 'text output of super: JSON without a blank';

CREATE FUNCTION redshift.super_recv(internal) RETURNS super
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'jsonb_recv';
COMMENT ON FUNCTION redshift.super_recv(internal) IS 'binary input of super, in the form of jsonb';

CREATE FUNCTION redshift.super_send(super) RETURNS bytea
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'jsonb_send';
COMMENT ON FUNCTION redshift.super_send(super) IS 'binary output of super, in the form of jsonb';

CREATE FUNCTION redshift.super_subscript(internal) RETURNS internal
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_subscript_wrapper';
COMMENT ON FUNCTION redshift.super_subscript(internal) IS 'subscripts of super: lax, the result is super';

CREATE TYPE super (
    INPUT = redshift.super_in,
    OUTPUT = redshift.super_out,
    RECEIVE = redshift.super_recv,
    SEND = redshift.super_send,
    SUBSCRIPT = redshift.super_subscript,
    LIKE = jsonb
);
COMMENT ON TYPE super IS 'a JSON value, as in Amazon Redshift';

-- To and from jsonb nothing changes but the name. This is the only implicit cast of super: every other would make an operator or a function
-- that nobody meant fit.
CREATE CAST (super AS jsonb) WITHOUT FUNCTION AS IMPLICIT;
COMMENT ON CAST (super AS jsonb) IS 'the same value';

CREATE CAST (jsonb AS super) WITHOUT FUNCTION AS ASSIGNMENT;
COMMENT ON CAST (jsonb AS super) IS 'the same value';

-- With a function: to_json, to_jsonb and row_to_json look for that, and would quote the text of a type without.
CREATE FUNCTION redshift.super_to_json(super) RETURNS json
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN ($1::pg_catalog.jsonb)::pg_catalog.json;
COMMENT ON FUNCTION redshift.super_to_json(super) IS 'cast of super to json';
CREATE CAST (super AS json) WITH FUNCTION redshift.super_to_json(super) AS ASSIGNMENT;
COMMENT ON CAST (super AS json) IS 'the same value';

-- Casts to scalar types: lax, what cannot be cast is NULL. They are assignment casts because without one PL/pgSQL (and INSERT into text columns)
-- would go by way of text, with the quotes of JSON strings.

CREATE FUNCTION redshift.super_to_bool(super) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_to_bool_wrapper';
COMMENT ON FUNCTION redshift.super_to_bool(super) IS 'cast of super to boolean; NULL for what is none';
CREATE CAST (super AS boolean) WITH FUNCTION redshift.super_to_bool(super) AS ASSIGNMENT;
COMMENT ON CAST (super AS boolean) IS 'a boolean, an integer or a string that is one, else NULL';

CREATE FUNCTION redshift.super_to_int2(super) RETURNS smallint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_to_int2_wrapper';
COMMENT ON FUNCTION redshift.super_to_int2(super) IS 'cast of super to smallint; NULL for what is none';
CREATE CAST (super AS smallint) WITH FUNCTION redshift.super_to_int2(super) AS ASSIGNMENT;
COMMENT ON CAST (super AS smallint) IS 'a number, rounded, or a string that is an integer, else NULL';

CREATE FUNCTION redshift.super_to_int4(super) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_to_int4_wrapper';
COMMENT ON FUNCTION redshift.super_to_int4(super) IS 'cast of super to integer; NULL for what is none';
CREATE CAST (super AS integer) WITH FUNCTION redshift.super_to_int4(super) AS ASSIGNMENT;
COMMENT ON CAST (super AS integer) IS 'a number, rounded, or a string that is an integer, else NULL';

CREATE FUNCTION redshift.super_to_int8(super) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_to_int8_wrapper';
COMMENT ON FUNCTION redshift.super_to_int8(super) IS 'cast of super to bigint; NULL for what is none';
CREATE CAST (super AS bigint) WITH FUNCTION redshift.super_to_int8(super) AS ASSIGNMENT;
COMMENT ON CAST (super AS bigint) IS 'a number, rounded, or a string that is an integer, else NULL';

CREATE FUNCTION redshift.super_to_float4(super) RETURNS real
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_to_float4_wrapper';
COMMENT ON FUNCTION redshift.super_to_float4(super) IS 'cast of super to real; NULL for what is none';
CREATE CAST (super AS real) WITH FUNCTION redshift.super_to_float4(super) AS ASSIGNMENT;
COMMENT ON CAST (super AS real) IS 'a number or a string that is one, else NULL';

CREATE FUNCTION redshift.super_to_float8(super) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_to_float8_wrapper';
COMMENT ON FUNCTION redshift.super_to_float8(super) IS 'cast of super to double precision; NULL for what is none';
CREATE CAST (super AS double precision) WITH FUNCTION redshift.super_to_float8(super) AS ASSIGNMENT;
COMMENT ON CAST (super AS double precision) IS 'a number or a string that is one, else NULL';

CREATE FUNCTION redshift.super_to_numeric(super, integer, boolean) RETURNS numeric
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_to_numeric_wrapper';
COMMENT ON FUNCTION redshift.super_to_numeric(super, integer, boolean) IS 'cast of super to numeric(p,s); NULL for what is none';
CREATE CAST (super AS numeric) WITH FUNCTION redshift.super_to_numeric(super, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (super AS numeric) IS 'a number or a string that is one, rounded, else NULL';

CREATE FUNCTION redshift.super_to_text(super) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_to_text_wrapper';
COMMENT ON FUNCTION redshift.super_to_text(super) IS 'cast of super to text; NULL for null, arrays and objects';
CREATE CAST (super AS text) WITH FUNCTION redshift.super_to_text(super) AS ASSIGNMENT;
COMMENT ON CAST (super AS text) IS 'a string without quotes, a number or boolean as in JSON, else NULL';

CREATE FUNCTION redshift.super_to_varchar(super) RETURNS varchar
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_to_text_wrapper';
COMMENT ON FUNCTION redshift.super_to_varchar(super) IS 'cast of super to varchar; NULL for null, arrays and objects';
CREATE CAST (super AS varchar) WITH FUNCTION redshift.super_to_varchar(super) AS ASSIGNMENT;
COMMENT ON CAST (super AS varchar) IS 'a string without quotes, a number or boolean as in JSON, else NULL';

CREATE FUNCTION redshift.super_to_bpchar(super) RETURNS bpchar
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_to_text_wrapper';
COMMENT ON FUNCTION redshift.super_to_bpchar(super) IS 'cast of super to char; NULL for null, arrays and objects';
CREATE CAST (super AS bpchar) WITH FUNCTION redshift.super_to_bpchar(super) AS ASSIGNMENT;
COMMENT ON CAST (super AS bpchar) IS 'a string without quotes, a number or boolean as in JSON, else NULL';

-- Stable: what a text means as a date depends on DateStyle, TimeZone and, for words such as now, on the time.

CREATE FUNCTION redshift.super_to_date(super) RETURNS date
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_to_date_wrapper';
COMMENT ON FUNCTION redshift.super_to_date(super) IS 'cast of super to date; NULL for what is none';
CREATE CAST (super AS date) WITH FUNCTION redshift.super_to_date(super) AS ASSIGNMENT;
COMMENT ON CAST (super AS date) IS 'a string that is a date, else NULL';

CREATE FUNCTION redshift.super_to_timestamp(super) RETURNS timestamp
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_to_timestamp_wrapper';
COMMENT ON FUNCTION redshift.super_to_timestamp(super) IS 'cast of super to timestamp; NULL for what is none';
CREATE CAST (super AS timestamp) WITH FUNCTION redshift.super_to_timestamp(super) AS ASSIGNMENT;
COMMENT ON CAST (super AS timestamp) IS 'a string that is a timestamp, else NULL';

CREATE FUNCTION redshift.super_to_timestamptz(super) RETURNS timestamptz
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'super_to_timestamptz_wrapper';
COMMENT ON FUNCTION redshift.super_to_timestamptz(super) IS 'cast of super to timestamptz; NULL for what is none';
CREATE CAST (super AS timestamptz) WITH FUNCTION redshift.super_to_timestamptz(super) AS ASSIGNMENT;
COMMENT ON CAST (super AS timestamptz) IS 'a string that is a timestamp, else NULL';

-- Casts from scalar types. Dates and times have none: Redshift refuses them too.

CREATE FUNCTION redshift.bool_to_super(boolean) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'bool_to_super_wrapper';
COMMENT ON FUNCTION redshift.bool_to_super(boolean) IS 'cast of boolean to super';
CREATE CAST (boolean AS super) WITH FUNCTION redshift.bool_to_super(boolean) AS ASSIGNMENT;
COMMENT ON CAST (boolean AS super) IS 'a JSON boolean';

CREATE FUNCTION redshift.int8_to_super(bigint) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'int8_to_super_wrapper';
COMMENT ON FUNCTION redshift.int8_to_super(bigint) IS 'cast of bigint to super';
CREATE CAST (bigint AS super) WITH FUNCTION redshift.int8_to_super(bigint) AS ASSIGNMENT;
COMMENT ON CAST (bigint AS super) IS 'a JSON number';

CREATE FUNCTION redshift.int4_to_super(integer) RETURNS super
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN redshift.int8_to_super($1);
COMMENT ON FUNCTION redshift.int4_to_super(integer) IS 'cast of integer to super';
CREATE CAST (integer AS super) WITH FUNCTION redshift.int4_to_super(integer) AS ASSIGNMENT;
COMMENT ON CAST (integer AS super) IS 'a JSON number';

CREATE FUNCTION redshift.int2_to_super(smallint) RETURNS super
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN redshift.int8_to_super($1);
COMMENT ON FUNCTION redshift.int2_to_super(smallint) IS 'cast of smallint to super';
CREATE CAST (smallint AS super) WITH FUNCTION redshift.int2_to_super(smallint) AS ASSIGNMENT;
COMMENT ON CAST (smallint AS super) IS 'a JSON number';

CREATE FUNCTION redshift.float8_to_super(double precision) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'float8_to_super_wrapper';
COMMENT ON FUNCTION redshift.float8_to_super(double precision) IS 'cast of double precision to super; an error for NaN and infinity';
CREATE CAST (double precision AS super) WITH FUNCTION redshift.float8_to_super(double precision) AS ASSIGNMENT;
COMMENT ON CAST (double precision AS super) IS 'a JSON number';

CREATE FUNCTION redshift.float4_to_super(real) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'float4_to_super_wrapper';
COMMENT ON FUNCTION redshift.float4_to_super(real) IS 'cast of real to super; an error for NaN and infinity';
CREATE CAST (real AS super) WITH FUNCTION redshift.float4_to_super(real) AS ASSIGNMENT;
COMMENT ON CAST (real AS super) IS 'a JSON number';

CREATE FUNCTION redshift.numeric_to_super(numeric) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'numeric_to_super_wrapper';
COMMENT ON FUNCTION redshift.numeric_to_super(numeric) IS 'cast of numeric to super; an error for NaN and infinity';
CREATE CAST (numeric AS super) WITH FUNCTION redshift.numeric_to_super(numeric) AS ASSIGNMENT;
COMMENT ON CAST (numeric AS super) IS 'a JSON number';

CREATE FUNCTION redshift.text_to_super(text) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'text_to_super_wrapper';
COMMENT ON FUNCTION redshift.text_to_super(text) IS 'cast of text to super: a JSON string, not parsed';
CREATE CAST (text AS super) WITH FUNCTION redshift.text_to_super(text) AS ASSIGNMENT;
COMMENT ON CAST (text AS super) IS 'a JSON string, not parsed';

CREATE FUNCTION redshift.varchar_to_super(varchar) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'text_to_super_wrapper';
COMMENT ON FUNCTION redshift.varchar_to_super(varchar) IS 'cast of varchar to super: a JSON string, not parsed';
CREATE CAST (varchar AS super) WITH FUNCTION redshift.varchar_to_super(varchar) AS ASSIGNMENT;
COMMENT ON CAST (varchar AS super) IS 'a JSON string, not parsed';

CREATE FUNCTION redshift.bpchar_to_super(bpchar) RETURNS super
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'text_to_super_wrapper';
COMMENT ON FUNCTION redshift.bpchar_to_super(bpchar) IS 'cast of char to super: a JSON string, not parsed';
CREATE CAST (bpchar AS super) WITH FUNCTION redshift.bpchar_to_super(bpchar) AS ASSIGNMENT;
COMMENT ON CAST (bpchar AS super) IS 'a JSON string, not parsed';
