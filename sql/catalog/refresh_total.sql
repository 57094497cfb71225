-- Counters that go on when the history has ended, for redshift.metrics().
CREATE TABLE redshift.refresh_total (
    mv_id bigint NOT NULL,
    refresh_type text NOT NULL,
    status text NOT NULL,
    refreshes bigint NOT NULL,
    last_end_time timestamp NOT NULL,
    PRIMARY KEY (mv_id, refresh_type, status)
) WITH (fillfactor = 50);
COMMENT ON TABLE redshift.refresh_total IS 'How many refreshes each view had; status is success or failed';
SELECT pg_catalog.pg_extension_config_dump('redshift.refresh_total',
    'WHERE mv_id IN (SELECT v.mv_id FROM redshift.materialized_view AS v JOIN pg_catalog.pg_class AS c ON c.oid = v.mv AND c.reltype = v.row_type WHERE c.relkind IN (''r'', ''p''))');
