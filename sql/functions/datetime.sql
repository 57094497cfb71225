-- Redshift's date and time functions. Code: src/api/datetime.rs, src/pg/statement_clock.rs.
-- Where there are several by type, the one over text is for literals: without it Postgres would take them for timestamptz.

-- The clock. Parallel workers start their part of a statement later, so the leader asks.
CREATE FUNCTION redshift.statement_time() RETURNS timestamptz
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'statement_time_wrapper';
COMMENT ON FUNCTION redshift.statement_time() IS 'when the current statement began, that of a procedure too';
CREATE FUNCTION getdate() RETURNS timestamp
    LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED RETURN pg_catalog.date_trunc('second', redshift.statement_time() AT TIME ZONE pg_catalog.current_setting('redshift.timezone'));
COMMENT ON FUNCTION getdate() IS 'when the current statement began, in whole seconds and the zone of redshift.timezone';
CREATE FUNCTION redshift.sysdate() RETURNS timestamp
    LANGUAGE sql STABLE STRICT PARALLEL SAFE RETURN pg_catalog.now() AT TIME ZONE pg_catalog.current_setting('redshift.timezone');
COMMENT ON FUNCTION redshift.sysdate() IS 'Redshift''s SYSDATE: when the transaction began, in the zone of redshift.timezone';

-- DATEADD, DATEDIFF: the part is a string; the translator quotes a bare one.
CREATE FUNCTION dateadd(text, bigint, timestamp) RETURNS timestamp
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dateadd_timestamp_wrapper';
COMMENT ON FUNCTION dateadd(text, bigint, timestamp) IS 'adds so many date parts';
CREATE FUNCTION dateadd(text, bigint, date) RETURNS timestamp
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN dateadd($1, $2, $3::pg_catalog.timestamp);
COMMENT ON FUNCTION dateadd(text, bigint, date) IS 'adds so many date parts';
CREATE FUNCTION dateadd(text, bigint, text) RETURNS timestamp
    LANGUAGE sql STABLE STRICT PARALLEL SAFE RETURN dateadd($1, $2, $3::pg_catalog.timestamp);
COMMENT ON FUNCTION dateadd(text, bigint, text) IS 'adds so many date parts to a timestamp as text';
CREATE FUNCTION dateadd(text, bigint, timestamptz) RETURNS timestamptz
    LANGUAGE sql STABLE STRICT PARALLEL SAFE RETURN dateadd($1, $2, $3::pg_catalog.timestamp)::pg_catalog.timestamptz;
COMMENT ON FUNCTION dateadd(text, bigint, timestamptz) IS 'adds so many date parts in the session''s time zone';
CREATE FUNCTION dateadd(text, bigint, time) RETURNS time
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dateadd_time_wrapper';
COMMENT ON FUNCTION dateadd(text, bigint, time) IS 'adds so many date parts; past midnight it begins anew';
CREATE FUNCTION dateadd(text, bigint, timetz) RETURNS timetz
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN $3 OPERATOR(pg_catalog.+) dateadd($1, $2, pg_catalog.time '00:00')::pg_catalog.interval;
COMMENT ON FUNCTION dateadd(text, bigint, timetz) IS 'adds so many date parts; past midnight it begins anew';
CREATE FUNCTION datediff(text, timestamp, timestamp) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'datediff_timestamp_wrapper';
COMMENT ON FUNCTION datediff(text, timestamp, timestamp) IS 'boundaries of the date part between both';
CREATE FUNCTION datediff(text, date, date) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN datediff($1, $2::pg_catalog.timestamp, $3::pg_catalog.timestamp);
COMMENT ON FUNCTION datediff(text, date, date) IS 'boundaries of the date part between both';
CREATE FUNCTION datediff(text, text, text) RETURNS bigint
    LANGUAGE sql STABLE STRICT PARALLEL SAFE RETURN datediff($1, $2::pg_catalog.timestamp, $3::pg_catalog.timestamp);
COMMENT ON FUNCTION datediff(text, text, text) IS 'boundaries of the date part between two timestamps as text';
CREATE FUNCTION datediff(text, date, text) RETURNS bigint
    LANGUAGE sql STABLE STRICT PARALLEL SAFE RETURN datediff($1, $2::pg_catalog.timestamp, $3::pg_catalog.timestamp);
COMMENT ON FUNCTION datediff(text, date, text) IS 'boundaries of the date part between both, one of them as text';
CREATE FUNCTION datediff(text, text, date) RETURNS bigint
    LANGUAGE sql STABLE STRICT PARALLEL SAFE RETURN datediff($1, $2::pg_catalog.timestamp, $3::pg_catalog.timestamp);
COMMENT ON FUNCTION datediff(text, text, date) IS 'boundaries of the date part between both, one of them as text';
CREATE FUNCTION datediff(text, text, timestamp) RETURNS bigint
    LANGUAGE sql STABLE STRICT PARALLEL SAFE RETURN datediff($1, $2::pg_catalog.timestamp, $3::pg_catalog.timestamp);
COMMENT ON FUNCTION datediff(text, text, timestamp) IS 'boundaries of the date part between both, one of them as text';
CREATE FUNCTION datediff(text, timestamp, text) RETURNS bigint
    LANGUAGE sql STABLE STRICT PARALLEL SAFE RETURN datediff($1, $2::pg_catalog.timestamp, $3::pg_catalog.timestamp);
COMMENT ON FUNCTION datediff(text, timestamp, text) IS 'boundaries of the date part between both, one of them as text';
CREATE FUNCTION datediff(text, text, timestamptz) RETURNS bigint
    LANGUAGE sql STABLE STRICT PARALLEL SAFE RETURN datediff($1, $2::pg_catalog.timestamp, $3::pg_catalog.timestamp);
COMMENT ON FUNCTION datediff(text, text, timestamptz) IS 'boundaries of the date part between both, one of them as text';
CREATE FUNCTION datediff(text, timestamptz, text) RETURNS bigint
    LANGUAGE sql STABLE STRICT PARALLEL SAFE RETURN datediff($1, $2::pg_catalog.timestamp, $3::pg_catalog.timestamp);
COMMENT ON FUNCTION datediff(text, timestamptz, text) IS 'boundaries of the date part between both, one of them as text';
CREATE FUNCTION datediff(text, timestamptz, timestamptz) RETURNS bigint
    LANGUAGE sql STABLE STRICT PARALLEL SAFE RETURN datediff($1, $2::pg_catalog.timestamp, $3::pg_catalog.timestamp);
COMMENT ON FUNCTION datediff(text, timestamptz, timestamptz) IS 'boundaries of the date part between both in the session''s time zone';
CREATE FUNCTION datediff(text, time, time) RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'datediff_time_wrapper';
COMMENT ON FUNCTION datediff(text, time, time) IS 'boundaries of the date part between both';

-- Postgres has functions of these names: the translator writes ours.
CREATE FUNCTION redshift.date_part_name(text) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'date_part_name_wrapper';
COMMENT ON FUNCTION redshift.date_part_name(text) IS 'Postgres''s name of a date part of Redshift''s';
CREATE FUNCTION redshift.date_part(text, timestamp) RETURNS double precision
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN CASE redshift.date_part_name($1)
        WHEN 'milliseconds' THEN pg_catalog.trunc(pg_catalog.date_part('milliseconds', $2))::pg_catalog.int8 % 1000
        WHEN 'microseconds' THEN pg_catalog.date_part('microseconds', $2)::pg_catalog.int8 % 1000000
        ELSE pg_catalog.date_part(redshift.date_part_name($1), $2) END;
COMMENT ON FUNCTION redshift.date_part(text, timestamp) IS 'Redshift''s DATE_PART';
CREATE FUNCTION redshift."extract"(text, timestamp) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN pg_catalog.trunc(redshift.date_part($1, $2))::pg_catalog.int4;
COMMENT ON FUNCTION redshift."extract"(text, timestamp) IS 'Redshift''s EXTRACT: seconds without their fraction';
CREATE FUNCTION redshift.date_part(text, timestamptz) RETURNS double precision
    LANGUAGE sql STABLE STRICT PARALLEL SAFE RETURN CASE redshift.date_part_name($1)
        WHEN 'milliseconds' THEN pg_catalog.trunc(pg_catalog.date_part('milliseconds', $2))::pg_catalog.int8 % 1000
        WHEN 'microseconds' THEN pg_catalog.date_part('microseconds', $2)::pg_catalog.int8 % 1000000
        ELSE pg_catalog.date_part(redshift.date_part_name($1), $2) END;
COMMENT ON FUNCTION redshift.date_part(text, timestamptz) IS 'Redshift''s DATE_PART';
CREATE FUNCTION redshift."extract"(text, timestamptz) RETURNS double precision
    LANGUAGE sql STABLE STRICT PARALLEL SAFE RETURN redshift.date_part($1, $2);
COMMENT ON FUNCTION redshift."extract"(text, timestamptz) IS 'Redshift''s EXTRACT of timestamptz';
CREATE FUNCTION redshift.date_part(text, date) RETURNS double precision
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN redshift.date_part($1, $2::pg_catalog.timestamp);
COMMENT ON FUNCTION redshift.date_part(text, date) IS 'Redshift''s DATE_PART';
CREATE FUNCTION redshift."extract"(text, date) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN pg_catalog.trunc(redshift.date_part($1, $2))::pg_catalog.int4;
COMMENT ON FUNCTION redshift."extract"(text, date) IS 'Redshift''s EXTRACT: seconds without their fraction';
CREATE FUNCTION redshift.date_part(text, time) RETURNS double precision
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN CASE redshift.date_part_name($1)
        WHEN 'milliseconds' THEN pg_catalog.trunc(pg_catalog.date_part('milliseconds', $2))::pg_catalog.int8 % 1000
        WHEN 'microseconds' THEN pg_catalog.date_part('microseconds', $2)::pg_catalog.int8 % 1000000
        ELSE pg_catalog.date_part(redshift.date_part_name($1), $2) END;
COMMENT ON FUNCTION redshift.date_part(text, time) IS 'Redshift''s DATE_PART';
CREATE FUNCTION redshift."extract"(text, time) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN pg_catalog.trunc(redshift.date_part($1, $2))::pg_catalog.int4;
COMMENT ON FUNCTION redshift."extract"(text, time) IS 'Redshift''s EXTRACT: seconds without their fraction';
CREATE FUNCTION redshift.date_part(text, timetz) RETURNS double precision
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN CASE redshift.date_part_name($1)
        WHEN 'milliseconds' THEN pg_catalog.trunc(pg_catalog.date_part('milliseconds', $2))::pg_catalog.int8 % 1000
        WHEN 'microseconds' THEN pg_catalog.date_part('microseconds', $2)::pg_catalog.int8 % 1000000
        ELSE pg_catalog.date_part(redshift.date_part_name($1), $2) END;
COMMENT ON FUNCTION redshift.date_part(text, timetz) IS 'Redshift''s DATE_PART';
CREATE FUNCTION redshift."extract"(text, timetz) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN pg_catalog.trunc(redshift.date_part($1, $2))::pg_catalog.int4;
COMMENT ON FUNCTION redshift."extract"(text, timetz) IS 'Redshift''s EXTRACT: seconds without their fraction';
CREATE FUNCTION redshift.date_trunc(text, timestamp) RETURNS timestamp
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN pg_catalog.date_trunc(redshift.date_part_name($1), $2);
COMMENT ON FUNCTION redshift.date_trunc(text, timestamp) IS 'Redshift''s DATE_TRUNC';
CREATE FUNCTION redshift.date_trunc(text, date) RETURNS timestamp
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN pg_catalog.date_trunc(redshift.date_part_name($1), $2::pg_catalog.timestamp);
COMMENT ON FUNCTION redshift.date_trunc(text, date) IS 'Redshift''s DATE_TRUNC of a date';
CREATE FUNCTION redshift.date_trunc(text, timestamptz) RETURNS timestamptz
    LANGUAGE sql STABLE STRICT PARALLEL SAFE RETURN pg_catalog.date_trunc(redshift.date_part_name($1), $2);
COMMENT ON FUNCTION redshift.date_trunc(text, timestamptz) IS 'Redshift''s DATE_TRUNC in the session''s time zone';

CREATE FUNCTION trunc(timestamp) RETURNS date
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN $1::pg_catalog.date;
COMMENT ON FUNCTION trunc(timestamp) IS 'the date of a timestamp';
CREATE FUNCTION convert_timezone(text, text, timestamp) RETURNS timestamp
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN ($3 AT TIME ZONE $1) AT TIME ZONE $2;
COMMENT ON FUNCTION convert_timezone(text, text, timestamp) IS 'a timestamp of one time zone in another';
CREATE FUNCTION convert_timezone(text, timestamp) RETURNS timestamp
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN ($2 AT TIME ZONE 'UTC') AT TIME ZONE $1;
COMMENT ON FUNCTION convert_timezone(text, timestamp) IS 'a timestamp of UTC in another time zone';
CREATE FUNCTION add_months(timestamp, integer) RETURNS timestamp
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'add_months_wrapper';
COMMENT ON FUNCTION add_months(timestamp, integer) IS 'adds months; the last day of a month stays the last';
CREATE FUNCTION months_between(timestamp, timestamp) RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'months_between_wrapper';
COMMENT ON FUNCTION months_between(timestamp, timestamp) IS 'months from the second to the first';
CREATE FUNCTION last_day(timestamp) RETURNS date
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'last_day_wrapper';
COMMENT ON FUNCTION last_day(timestamp) IS 'the last day of the month';
CREATE FUNCTION next_day(timestamp, text) RETURNS date
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'next_day_wrapper';
COMMENT ON FUNCTION next_day(timestamp, text) IS 'the next such weekday after the date';
CREATE FUNCTION redshift.parse_timestamp(text, text, boolean) RETURNS timestamp
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'parse_timestamp_wrapper';
COMMENT ON FUNCTION redshift.parse_timestamp(text, text, boolean) IS 'reads a timestamp by a format: text, format, whether fields out of range are errors';
CREATE FUNCTION to_date(text, text, boolean) RETURNS date
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN redshift.parse_timestamp($1, $2, $3)::pg_catalog.date;
COMMENT ON FUNCTION to_date(text, text, boolean) IS 'a date by a format; with true fields out of range are errors';
CREATE FUNCTION redshift.to_date(text, text) RETURNS date
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN redshift.parse_timestamp($1, $2, false)::pg_catalog.date;
COMMENT ON FUNCTION redshift.to_date(text, text) IS 'Redshift''s TO_DATE: days beyond the month''s last roll over';
CREATE FUNCTION to_timestamp(text, text, boolean) RETURNS timestamptz
    LANGUAGE sql STABLE STRICT PARALLEL SAFE RETURN redshift.parse_timestamp($1, $2, $3)::pg_catalog.timestamptz;
COMMENT ON FUNCTION to_timestamp(text, text, boolean) IS 'a timestamp by a format; with true fields out of range are errors';
CREATE FUNCTION redshift.to_timestamp(text, text) RETURNS timestamptz
    LANGUAGE sql STABLE STRICT PARALLEL SAFE RETURN redshift.parse_timestamp($1, $2, false)::pg_catalog.timestamptz;
COMMENT ON FUNCTION redshift.to_timestamp(text, text) IS 'Redshift''s TO_TIMESTAMP: fields out of range roll over';
