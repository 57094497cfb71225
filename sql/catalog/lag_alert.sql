-- The views of which listeners were told that they are over redshift.lag_alert_records or redshift.lag_alert_seconds.
CREATE TABLE redshift.lag_alert (
    mv_id bigint PRIMARY KEY,
    since timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE redshift.lag_alert IS 'Views that are further behind than the limits allow';
