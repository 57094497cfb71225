-- While the extension is created nothing is looked up in a schema that somebody else can write to. What belongs into the extension's own schema, often
-- public, is created in a schema that is nobody's yet, and moved there at the end (sql/install_end.sql): a view, a function or an operator is bound to
-- what its text finds now, for good, and on the path that CREATE EXTENSION sets, public.*(numeric, integer) would be found.
CREATE SCHEMA redshift_streaming_install;
SET LOCAL search_path TO redshift_streaming_install, pg_temp;
-- Nor do settings of the database or the session change what the text below means.
SET LOCAL quote_all_identifiers TO off;
SET LOCAL standard_conforming_strings TO on;
SET LOCAL transform_null_equals TO off;
SET LOCAL array_nulls TO on;
SET LOCAL check_function_bodies TO on;
