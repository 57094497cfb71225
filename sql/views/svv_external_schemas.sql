-- SVV_EXTERNAL_SCHEMAS. eskind 9 is Kinesis, 10 is MSK; Redshift documents no number for FROM KAFKA, which reads the same clusters: 10 as well.
-- esoptions has the clauses of CREATE EXTERNAL SCHEMA: names and places, no secret (those are in user mappings or at AWS).
CREATE VIEW svv_external_schemas WITH (security_barrier) AS
SELECT n.oid AS esoid,
       CASE WHEN pg_catalog.lower(s.srvtype) OPERATOR(pg_catalog.=) 'kinesis' THEN 9 ELSE 10 END::smallint AS eskind,
       n.nspname AS schemaname,
       n.nspowner::bigint::integer AS esowner,
       NULL::text AS databasename,
       pg_catalog.json_strip_nulls(pg_catalog.json_build_object(
           'SOURCE', pg_catalog.upper(s.srvtype),
           'URI', o.given OPERATOR(pg_catalog.->>) 'uri',
           'CLUSTER_ARN', o.given OPERATOR(pg_catalog.->>) 'cluster_arn',
           'AUTHENTICATION', o.given OPERATOR(pg_catalog.->>) 'authentication',
           'AUTHENTICATION_ARN', o.given OPERATOR(pg_catalog.->>) 'authentication_arn',
           'SECRET_ARN', o.given OPERATOR(pg_catalog.->>) 'secret_arn',
           'IAM_ROLE', o.given OPERATOR(pg_catalog.->>) 'iam_role',
           'REGION', o.given OPERATOR(pg_catalog.->>) 'region'))::text AS esoptions
FROM pg_catalog.pg_foreign_server AS s
JOIN pg_catalog.pg_foreign_data_wrapper AS w ON w.oid OPERATOR(pg_catalog.=) s.srvfdw
JOIN pg_catalog.pg_namespace AS n ON n.nspname OPERATOR(pg_catalog.=) s.srvname
CROSS JOIN LATERAL (SELECT pg_catalog.json_object_agg(option_name, option_value) AS given
                    FROM pg_catalog.pg_options_to_table(s.srvoptions)) AS o
WHERE w.fdwname OPERATOR(pg_catalog.=) 'redshift_streaming'
  AND (pg_catalog.has_schema_privilege(n.oid, 'USAGE') OR redshift.sees_everything());
COMMENT ON VIEW svv_external_schemas IS 'External schemas';
GRANT SELECT ON svv_external_schemas TO PUBLIC;
