-- SVV_EXTERNAL_COLUMNS: the columns of the streams of external schemas. No stream has partition keys.
CREATE VIEW svv_external_columns WITH (security_barrier) AS
SELECT pg_catalog.current_database()::text AS redshift_database_name,
       n.nspname::text AS schemaname,
       c.relname::text AS tablename,
       a.attname::text AS columnname,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS external_type,
       a.attnum::integer AS columnnum,
       0 AS part_key,
       CASE WHEN a.attnotnull THEN 'false' ELSE 'true' END::text AS is_nullable
FROM pg_catalog.pg_foreign_table AS t
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) t.ftrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) c.oid
    AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_foreign_server AS s ON s.oid OPERATOR(pg_catalog.=) t.ftserver
JOIN pg_catalog.pg_foreign_data_wrapper AS w ON w.oid OPERATOR(pg_catalog.=) s.srvfdw
WHERE w.fdwname OPERATOR(pg_catalog.=) 'redshift_streaming'
  AND (pg_catalog.has_schema_privilege(n.oid, 'USAGE') OR redshift.sees_everything());
COMMENT ON VIEW svv_external_columns IS 'Columns of the streams of external schemas';
GRANT SELECT ON svv_external_columns TO PUBLIC;
