-- Tables whose old rows could not be removed when it was last tried. pg_dump does not carry it.
CREATE TABLE redshift.trimming (
    table_name text PRIMARY KEY,
    last_error text NOT NULL,
    failing_since timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE redshift.trimming IS 'Tables of history that cannot be trimmed to redshift.history_days, and why; redshift.status shows them';
GRANT SELECT ON redshift.trimming TO PUBLIC;
