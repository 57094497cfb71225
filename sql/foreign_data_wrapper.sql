-- A topic is a foreign table. Servers can be created by whom a superuser has granted USAGE on the wrapper.
CREATE FUNCTION redshift.stream_fdw_handler() RETURNS fdw_handler
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'redshift_fdw_handler';
COMMENT ON FUNCTION redshift.stream_fdw_handler() IS 'Handler of foreign-data wrapper redshift_streaming';
CREATE FUNCTION redshift.stream_fdw_validator(text[], oid) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'redshift_fdw_validator';
COMMENT ON FUNCTION redshift.stream_fdw_validator(text[], oid) IS 'Validator of the options of foreign-data wrapper redshift_streaming';
CREATE FOREIGN DATA WRAPPER redshift_streaming
    HANDLER redshift.stream_fdw_handler VALIDATOR redshift.stream_fdw_validator;
COMMENT ON FOREIGN DATA WRAPPER redshift_streaming IS 'Topics of Kafka and streams of Kinesis as relations';
