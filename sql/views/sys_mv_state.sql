-- SYS_MV_STATE: what makes a view impossible to refresh. Only a definition that was dropped is known, without its time and transaction.
CREATE VIEW sys_mv_state WITH (security_barrier) AS
SELECT c.relowner::bigint AS user_id,
       NULL::bigint AS transaction_id,
       pg_catalog.current_database()::character(128) AS database_name,
       'Definition was dropped'::character(500) AS event_desc,
       NULL::timestamp AS start_time,
       pg_catalog.current_database()::character(128) AS base_table_database_name,
       v.external_schema_name::character(128) AS base_table_schema,
       v.stream_name::character(128) AS base_table_name,
       n.nspname::character(128) AS mv_schema,
       c.relname::character(128) AS mv_name,
       'Unrefreshable'::character(32) AS state
FROM redshift.materialized_view AS v
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) v.mv
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class AS d WHERE d.oid OPERATOR(pg_catalog.=) v.definition)
  AND (c.relowner OPERATOR(pg_catalog.=) redshift.current_role_id() OR redshift.sees_everything());
COMMENT ON VIEW sys_mv_state IS 'Materialized views that can not be refreshed any more';
GRANT SELECT ON sys_mv_state TO PUBLIC;
