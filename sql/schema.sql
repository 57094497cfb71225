-- Schema redshift: procedures and the catalogue tables. Types, functions and sys_ views of Redshift go where the extension goes.
CREATE SCHEMA redshift;
COMMENT ON SCHEMA redshift IS 'Streaming ingestion: procedures, and the catalogue of streaming materialized views';
GRANT USAGE ON SCHEMA redshift TO PUBLIC;

CREATE FUNCTION redshift.check_preloaded() RETURNS void
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'check_preloaded_wrapper';
COMMENT ON FUNCTION redshift.check_preloaded() IS 'Raises an error unless the library is preloaded by shared_preload_libraries or session_preload_libraries';
SELECT redshift.check_preloaded();

DO $$
BEGIN
    IF pg_catalog.getdatabaseencoding() <> 'UTF8' THEN
        RAISE EXCEPTION 'redshift_streaming needs a database with encoding UTF8'
            USING ERRCODE = 'feature_not_supported',
                  DETAIL = pg_catalog.format('This one has %s.', pg_catalog.getdatabaseencoding()),
                  HINT = 'CREATE DATABASE .. ENCODING ''UTF8'' TEMPLATE template0.';
    END IF;
END $$;
