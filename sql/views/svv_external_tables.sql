-- SVV_EXTERNAL_TABLES: the streams of external schemas. What only files have (location, formats, serde) is null.
CREATE VIEW svv_external_tables WITH (security_barrier) AS
SELECT pg_catalog.current_database()::text AS redshift_database_name,
       n.nspname::text AS schemaname,
       c.relname::text AS tablename,
       'TABLE'::text AS tabletype,
       NULL::text AS location,
       NULL::text AS input_format,
       NULL::text AS output_format,
       NULL::text AS serialization_lib,
       NULL::text AS serde_parameters,
       0 AS compressed,
       (SELECT pg_catalog.json_object_agg(o.option_name, o.option_value ORDER BY o.option_name)
        FROM pg_catalog.pg_options_to_table(t.ftoptions) AS o)::text AS parameters
FROM pg_catalog.pg_foreign_table AS t
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) t.ftrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
JOIN pg_catalog.pg_foreign_server AS s ON s.oid OPERATOR(pg_catalog.=) t.ftserver
JOIN pg_catalog.pg_foreign_data_wrapper AS w ON w.oid OPERATOR(pg_catalog.=) s.srvfdw
WHERE w.fdwname OPERATOR(pg_catalog.=) 'redshift_streaming'
  AND (pg_catalog.has_schema_privilege(n.oid, 'USAGE') OR redshift.sees_everything());
COMMENT ON VIEW svv_external_tables IS 'Streams of external schemas';
GRANT SELECT ON svv_external_tables TO PUBLIC;
