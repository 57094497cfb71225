-- VARBYTE: stored exactly as bytea, shown as hexadecimal. Code: src/types/varbyte.rs.

CREATE TYPE varbyte;

CREATE FUNCTION redshift.varbyte_in(cstring, oid, integer) RETURNS varbyte
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'varbyte_in_wrapper';
COMMENT ON FUNCTION redshift.varbyte_in(cstring, oid, integer) IS 'text input of varbyte: hexadecimal';

CREATE FUNCTION redshift.varbyte_out(varbyte) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'varbyte_out_wrapper';
COMMENT ON FUNCTION redshift.varbyte_out(varbyte) IS 'text output of varbyte: lower-case hexadecimal';

CREATE FUNCTION redshift.varbyte_recv(internal, oid, integer) RETURNS varbyte
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'varbyte_recv_wrapper';
COMMENT ON FUNCTION redshift.varbyte_recv(internal, oid, integer) IS 'binary input of varbyte: the bytes';

CREATE FUNCTION redshift.varbyte_send(varbyte) RETURNS bytea
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'byteasend';
COMMENT ON FUNCTION redshift.varbyte_send(varbyte) IS 'binary output of varbyte: the bytes';

CREATE FUNCTION redshift.varbyte_typmod_in(cstring[]) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'varbyte_typmod_in_wrapper';
COMMENT ON FUNCTION redshift.varbyte_typmod_in(cstring[]) IS 'reads the n of varbyte(n)';

CREATE FUNCTION redshift.varbyte_typmod_out(integer) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'varbyte_typmod_out_wrapper';
COMMENT ON FUNCTION redshift.varbyte_typmod_out(integer) IS 'shows the n of varbyte(n)';

CREATE TYPE varbyte (
    INPUT = redshift.varbyte_in,
    OUTPUT = redshift.varbyte_out,
    RECEIVE = redshift.varbyte_recv,
    SEND = redshift.varbyte_send,
    TYPMOD_IN = redshift.varbyte_typmod_in,
    TYPMOD_OUT = redshift.varbyte_typmod_out,
    LIKE = bytea,
    STORAGE = extended
);
COMMENT ON TYPE varbyte IS 'bytes, as in Amazon Redshift';

CREATE FUNCTION redshift.varbyte(varbyte, integer, boolean) RETURNS varbyte
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'varbyte_length_cast_wrapper';
COMMENT ON FUNCTION redshift.varbyte(varbyte, integer, boolean) IS 'adjusts varbyte to a length';
CREATE CAST (varbyte AS varbyte) WITH FUNCTION redshift.varbyte(varbyte, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (varbyte AS varbyte) IS 'adjusts to a length: an explicit cast cuts, an assignment raises an error';

CREATE CAST (varbyte AS bytea) WITHOUT FUNCTION AS IMPLICIT;
COMMENT ON CAST (varbyte AS bytea) IS 'the same bytes';
CREATE CAST (bytea AS varbyte) WITHOUT FUNCTION AS ASSIGNMENT;
COMMENT ON CAST (bytea AS varbyte) IS 'the same bytes';

-- Text in a UTF-8 database is its bytes. The casts are assignment casts because without one PL/pgSQL, and INSERT into text columns, would go by way
-- of hexadecimal.
CREATE CAST (text AS varbyte) WITHOUT FUNCTION AS ASSIGNMENT;
COMMENT ON CAST (text AS varbyte) IS 'the bytes of the text in UTF-8';
CREATE CAST (varchar AS varbyte) WITHOUT FUNCTION AS ASSIGNMENT;
COMMENT ON CAST (varchar AS varbyte) IS 'the bytes of the text in UTF-8';
CREATE CAST (bpchar AS varbyte) WITHOUT FUNCTION AS ASSIGNMENT;
COMMENT ON CAST (bpchar AS varbyte) IS 'the bytes of the text in UTF-8';

CREATE FUNCTION redshift.varbyte_to_text(varbyte) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'varbyte_to_text_wrapper';
COMMENT ON FUNCTION redshift.varbyte_to_text(varbyte) IS 'cast of varbyte to text; an error for what is not UTF-8';
CREATE CAST (varbyte AS text) WITH FUNCTION redshift.varbyte_to_text(varbyte) AS ASSIGNMENT;
COMMENT ON CAST (varbyte AS text) IS 'the text whose UTF-8 it is';
CREATE FUNCTION redshift.varbyte_to_varchar(varbyte) RETURNS varchar
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'varbyte_to_text_wrapper';
COMMENT ON FUNCTION redshift.varbyte_to_varchar(varbyte) IS 'cast of varbyte to varchar; an error for what is not UTF-8';
CREATE CAST (varbyte AS varchar) WITH FUNCTION redshift.varbyte_to_varchar(varbyte) AS ASSIGNMENT;
COMMENT ON CAST (varbyte AS varchar) IS 'the text whose UTF-8 it is';
CREATE FUNCTION redshift.varbyte_to_bpchar(varbyte) RETURNS bpchar
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'varbyte_to_text_wrapper';
COMMENT ON FUNCTION redshift.varbyte_to_bpchar(varbyte) IS 'cast of varbyte to char; an error for what is not UTF-8';
CREATE CAST (varbyte AS bpchar) WITH FUNCTION redshift.varbyte_to_bpchar(varbyte) AS ASSIGNMENT;
COMMENT ON CAST (varbyte AS bpchar) IS 'the text whose UTF-8 it is';

-- Integers as big-endian bytes, which is how Postgres sends them.
CREATE FUNCTION redshift.int2_to_varbyte(smallint) RETURNS varbyte
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'int2send';
COMMENT ON FUNCTION redshift.int2_to_varbyte(smallint) IS 'cast of smallint to varbyte: 2 bytes, the highest first';
CREATE CAST (smallint AS varbyte) WITH FUNCTION redshift.int2_to_varbyte(smallint);
COMMENT ON CAST (smallint AS varbyte) IS '2 bytes, the highest first';
CREATE FUNCTION redshift.int4_to_varbyte(integer) RETURNS varbyte
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'int4send';
COMMENT ON FUNCTION redshift.int4_to_varbyte(integer) IS 'cast of integer to varbyte: 4 bytes, the highest first';
CREATE CAST (integer AS varbyte) WITH FUNCTION redshift.int4_to_varbyte(integer);
COMMENT ON CAST (integer AS varbyte) IS '4 bytes, the highest first';
CREATE FUNCTION redshift.int8_to_varbyte(bigint) RETURNS varbyte
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'int8send';
COMMENT ON FUNCTION redshift.int8_to_varbyte(bigint) IS 'cast of bigint to varbyte: 8 bytes, the highest first';
CREATE CAST (bigint AS varbyte) WITH FUNCTION redshift.int8_to_varbyte(bigint);
COMMENT ON CAST (bigint AS varbyte) IS '8 bytes, the highest first';

-- Comparisons and concatenation are those of bytea.
CREATE FUNCTION redshift.varbyte_eq(varbyte, varbyte) RETURNS boolean
    LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'byteaeq';
COMMENT ON FUNCTION redshift.varbyte_eq(varbyte, varbyte) IS 'implementation of operator =';
CREATE FUNCTION redshift.varbyte_ne(varbyte, varbyte) RETURNS boolean
    LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'byteane';
COMMENT ON FUNCTION redshift.varbyte_ne(varbyte, varbyte) IS 'implementation of operator <>';
CREATE FUNCTION redshift.varbyte_lt(varbyte, varbyte) RETURNS boolean
    LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'bytealt';
COMMENT ON FUNCTION redshift.varbyte_lt(varbyte, varbyte) IS 'implementation of operator <';
CREATE FUNCTION redshift.varbyte_le(varbyte, varbyte) RETURNS boolean
    LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'byteale';
COMMENT ON FUNCTION redshift.varbyte_le(varbyte, varbyte) IS 'implementation of operator <=';
CREATE FUNCTION redshift.varbyte_gt(varbyte, varbyte) RETURNS boolean
    LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'byteagt';
COMMENT ON FUNCTION redshift.varbyte_gt(varbyte, varbyte) IS 'implementation of operator >';
CREATE FUNCTION redshift.varbyte_ge(varbyte, varbyte) RETURNS boolean
    LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'byteage';
COMMENT ON FUNCTION redshift.varbyte_ge(varbyte, varbyte) IS 'implementation of operator >=';
CREATE FUNCTION redshift.varbyte_cmp(varbyte, varbyte) RETURNS integer
    LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'byteacmp';
COMMENT ON FUNCTION redshift.varbyte_cmp(varbyte, varbyte) IS 'order of varbyte: byte by byte';
CREATE FUNCTION redshift.varbyte_hash(varbyte) RETURNS integer
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'hashvarlena';
COMMENT ON FUNCTION redshift.varbyte_hash(varbyte) IS 'hash of varbyte';
CREATE FUNCTION redshift.varbyte_hash_extended(varbyte, bigint) RETURNS bigint
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'hashvarlenaextended';
COMMENT ON FUNCTION redshift.varbyte_hash_extended(varbyte, bigint) IS 'hash of varbyte with a seed';
CREATE FUNCTION redshift.varbyte_concat(varbyte, varbyte) RETURNS varbyte
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'byteacat';
COMMENT ON FUNCTION redshift.varbyte_concat(varbyte, varbyte) IS 'implementation of operator ||';

CREATE OPERATOR = (LEFTARG = varbyte, RIGHTARG = varbyte, FUNCTION = redshift.varbyte_eq,
    COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
COMMENT ON OPERATOR = (varbyte, varbyte) IS 'equal';
CREATE OPERATOR <> (LEFTARG = varbyte, RIGHTARG = varbyte, FUNCTION = redshift.varbyte_ne,
    COMMUTATOR = <>, NEGATOR = =, RESTRICT = neqsel, JOIN = neqjoinsel);
COMMENT ON OPERATOR <> (varbyte, varbyte) IS 'not equal';
CREATE OPERATOR < (LEFTARG = varbyte, RIGHTARG = varbyte, FUNCTION = redshift.varbyte_lt,
    COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
COMMENT ON OPERATOR < (varbyte, varbyte) IS 'less than';
CREATE OPERATOR <= (LEFTARG = varbyte, RIGHTARG = varbyte, FUNCTION = redshift.varbyte_le,
    COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel);
COMMENT ON OPERATOR <= (varbyte, varbyte) IS 'less than or equal';
CREATE OPERATOR > (LEFTARG = varbyte, RIGHTARG = varbyte, FUNCTION = redshift.varbyte_gt,
    COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel);
COMMENT ON OPERATOR > (varbyte, varbyte) IS 'greater than';
CREATE OPERATOR >= (LEFTARG = varbyte, RIGHTARG = varbyte, FUNCTION = redshift.varbyte_ge,
    COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel);
COMMENT ON OPERATOR >= (varbyte, varbyte) IS 'greater than or equal';
CREATE OPERATOR || (LEFTARG = varbyte, RIGHTARG = varbyte, FUNCTION = redshift.varbyte_concat);
COMMENT ON OPERATOR || (varbyte, varbyte) IS 'concatenate';

CREATE OPERATOR CLASS redshift.varbyte_ops DEFAULT FOR TYPE varbyte USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
    FUNCTION 1 redshift.varbyte_cmp(varbyte, varbyte);
COMMENT ON OPERATOR CLASS redshift.varbyte_ops USING btree IS 'byte by byte';
COMMENT ON OPERATOR FAMILY redshift.varbyte_ops USING btree IS 'byte by byte';
CREATE OPERATOR CLASS redshift.varbyte_ops DEFAULT FOR TYPE varbyte USING hash AS
    OPERATOR 1 =,
    FUNCTION 1 redshift.varbyte_hash(varbyte),
    FUNCTION 2 redshift.varbyte_hash_extended(varbyte, bigint);
COMMENT ON OPERATOR CLASS redshift.varbyte_ops USING hash IS 'equal bytes';
COMMENT ON OPERATOR FAMILY redshift.varbyte_ops USING hash IS 'equal bytes';

-- Functions of Redshift's.
CREATE FUNCTION is_utf8(varbyte) RETURNS boolean
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'is_utf8_wrapper';
COMMENT ON FUNCTION is_utf8(varbyte) IS 'whether the bytes are UTF-8';
CREATE FUNCTION from_varbyte(varbyte, text) RETURNS varchar
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'from_varbyte_wrapper';
COMMENT ON FUNCTION from_varbyte(varbyte, text) IS 'the bytes as text: hex, binary, utf-8';
CREATE FUNCTION to_varbyte(text, text) RETURNS varbyte
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'to_varbyte_wrapper';
COMMENT ON FUNCTION to_varbyte(text, text) IS 'bytes from text: hex, binary, utf-8';
CREATE FUNCTION len(varbyte) RETURNS integer
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'byteaoctetlen';
COMMENT ON FUNCTION len(varbyte) IS 'length in bytes';
-- Without this len('abc') would read its literal as varbyte.
CREATE FUNCTION len(text) RETURNS integer
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'textlen';
COMMENT ON FUNCTION len(text) IS 'length in characters';
CREATE FUNCTION length(varbyte) RETURNS integer
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'byteaoctetlen';
COMMENT ON FUNCTION length(varbyte) IS 'length in bytes';
CREATE FUNCTION octet_length(varbyte) RETURNS integer
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'byteaoctetlen';
COMMENT ON FUNCTION octet_length(varbyte) IS 'length in bytes';

-- What Redshift has beyond bytea.
CREATE FUNCTION redshift.varbyte_to_int2(varbyte) RETURNS smallint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'varbyte_to_int2_wrapper';
COMMENT ON FUNCTION redshift.varbyte_to_int2(varbyte) IS 'cast of varbyte to smallint; an error for another number of bytes';
CREATE CAST (varbyte AS smallint) WITH FUNCTION redshift.varbyte_to_int2(varbyte);
COMMENT ON CAST (varbyte AS smallint) IS 'the integer of as many bytes, the highest first';
CREATE FUNCTION redshift.varbyte_to_int4(varbyte) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'varbyte_to_int4_wrapper';
COMMENT ON FUNCTION redshift.varbyte_to_int4(varbyte) IS 'cast of varbyte to integer; an error for another number of bytes';
CREATE CAST (varbyte AS integer) WITH FUNCTION redshift.varbyte_to_int4(varbyte);
COMMENT ON CAST (varbyte AS integer) IS 'the integer of as many bytes, the highest first';
CREATE FUNCTION redshift.varbyte_to_int8(varbyte) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'varbyte_to_int8_wrapper';
COMMENT ON FUNCTION redshift.varbyte_to_int8(varbyte) IS 'cast of varbyte to bigint; an error for another number of bytes';
CREATE CAST (varbyte AS bigint) WITH FUNCTION redshift.varbyte_to_int8(varbyte);
COMMENT ON CAST (varbyte AS bigint) IS 'the integer of as many bytes, the highest first';
CREATE FUNCTION redshift.varbyte_not(varbyte) RETURNS varbyte
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'varbyte_not_wrapper';
COMMENT ON FUNCTION redshift.varbyte_not(varbyte) IS 'implementation of operator ~';
CREATE OPERATOR ~ (RIGHTARG = varbyte, FUNCTION = redshift.varbyte_not);
COMMENT ON OPERATOR ~ (NONE, varbyte) IS 'every bit the other way round';
CREATE FUNCTION redshift.varbyte_and(varbyte, varbyte) RETURNS varbyte
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'varbyte_and_wrapper';
COMMENT ON FUNCTION redshift.varbyte_and(varbyte, varbyte) IS 'implementation of operator &';
CREATE OPERATOR & (LEFTARG = varbyte, RIGHTARG = varbyte, FUNCTION = redshift.varbyte_and);
COMMENT ON OPERATOR & (varbyte, varbyte) IS 'bit by bit; both have the same length';
CREATE FUNCTION redshift.varbyte_or(varbyte, varbyte) RETURNS varbyte
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'varbyte_or_wrapper';
COMMENT ON FUNCTION redshift.varbyte_or(varbyte, varbyte) IS 'implementation of operator |';
CREATE OPERATOR | (LEFTARG = varbyte, RIGHTARG = varbyte, FUNCTION = redshift.varbyte_or);
COMMENT ON OPERATOR | (varbyte, varbyte) IS 'bit by bit; both have the same length';
CREATE FUNCTION redshift.varbyte_xor(varbyte, varbyte) RETURNS varbyte
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'varbyte_xor_wrapper';
COMMENT ON FUNCTION redshift.varbyte_xor(varbyte, varbyte) IS 'implementation of operator #';
CREATE OPERATOR # (LEFTARG = varbyte, RIGHTARG = varbyte, FUNCTION = redshift.varbyte_xor);
COMMENT ON OPERATOR # (varbyte, varbyte) IS 'bit by bit; both have the same length';
CREATE OPERATOR + (LEFTARG = varbyte, RIGHTARG = varbyte, FUNCTION = redshift.varbyte_concat);
COMMENT ON OPERATOR + (varbyte, varbyte) IS 'concatenate';
CREATE FUNCTION from_hex(text) RETURNS varbyte
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'from_hex_wrapper';
COMMENT ON FUNCTION from_hex(text) IS 'bytes from hexadecimal text';
CREATE FUNCTION to_hex(varbyte) RETURNS varchar
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'varbyte_to_hex_wrapper';
COMMENT ON FUNCTION to_hex(varbyte) IS 'the bytes in hexadecimal';
CREATE FUNCTION getbit(varbyte, integer) RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'getbit_wrapper';
COMMENT ON FUNCTION getbit(varbyte, integer) IS 'the bit at an index, counted from 0 and from the last bit on';
CREATE FUNCTION "substring"(varbyte, integer, integer) RETURNS varbyte
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'bytea_substr';
COMMENT ON FUNCTION "substring"(varbyte, integer, integer) IS 'part of the bytes: position from 1, and length';
CREATE FUNCTION "substring"(varbyte, integer) RETURNS varbyte
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'bytea_substr_no_len';
COMMENT ON FUNCTION "substring"(varbyte, integer) IS 'the bytes from a position on, from 1';
CREATE FUNCTION substr(varbyte, integer, integer) RETURNS varbyte
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'bytea_substr';
COMMENT ON FUNCTION substr(varbyte, integer, integer) IS 'part of the bytes: position from 1, and length';
CREATE FUNCTION substr(varbyte, integer) RETURNS varbyte
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'bytea_substr_no_len';
COMMENT ON FUNCTION substr(varbyte, integer) IS 'the bytes from a position on, from 1';
-- By Postgres's name a call with two literals would be ambiguous: the translator writes ours.
CREATE FUNCTION redshift.concat(varbyte, varbyte) RETURNS varbyte
    LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'byteacat';
COMMENT ON FUNCTION redshift.concat(varbyte, varbyte) IS 'Redshift''s CONCAT: the bytes of both';
