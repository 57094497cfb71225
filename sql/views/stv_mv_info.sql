-- STV_MV_INFO: svv_mv_info under its older column names, and the transaction of the last refresh.
CREATE VIEW stv_mv_info WITH (security_barrier) AS
SELECT pg_catalog.current_database()::character(128) AS db_name,
       n.nspname::character(128) AS schema,
       pg_catalog.pg_get_userbyid(c.relowner)::character(128) AS owner_user_name,
       c.relname::character(128) AS name,
       (SELECT h.transaction_id FROM redshift.refresh_history AS h
        WHERE h.mv_id OPERATOR(pg_catalog.=) v.mv_id ORDER BY h.query_id DESC LIMIT 1) AS updated_upto_xid,
       'u'::character(1) AS is_stale,
       CASE WHEN d.oid IS NULL THEN 101 ELSE 1 END AS state,
       'f'::character(1) AS autorewrite,
       CASE WHEN v.auto_refresh THEN 't' ELSE 'f' END::character(1) AS autorefresh
FROM redshift.materialized_view AS v
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) v.mv
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
LEFT JOIN pg_catalog.pg_class AS d ON d.oid OPERATOR(pg_catalog.=) v.definition
WHERE pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
   OR redshift.sees_everything();
COMMENT ON VIEW stv_mv_info IS 'Streaming materialized views';
GRANT SELECT ON stv_mv_info TO PUBLIC;
