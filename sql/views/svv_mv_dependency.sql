-- SVV_MV_DEPENDENCY: dependent_* is what the materialized view is built on, by the names of today.
CREATE VIEW svv_mv_dependency WITH (security_barrier) AS
SELECT DISTINCT
       pg_catalog.current_database()::character(128) AS database_name,
       n.nspname::character(128) AS schema_name,
       c.relname::character(128) AS name,
       pg_catalog.current_database()::character(128) AS dependent_database_name,
       bn.nspname::character(128) AS dependent_schema_name,
       b.relname::character(128) AS dependent_name
FROM redshift.materialized_view AS v
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) v.mv
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
JOIN pg_catalog.pg_rewrite AS r ON r.ev_class OPERATOR(pg_catalog.=) v.definition
JOIN pg_catalog.pg_depend AS p ON p.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::regclass
    AND p.objid OPERATOR(pg_catalog.=) r.oid
    AND p.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::regclass
    AND p.refobjid OPERATOR(pg_catalog.<>) v.definition
JOIN pg_catalog.pg_class AS b ON b.oid OPERATOR(pg_catalog.=) p.refobjid
JOIN pg_catalog.pg_namespace AS bn ON bn.oid OPERATOR(pg_catalog.=) b.relnamespace
WHERE pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
   OR redshift.sees_everything();
COMMENT ON VIEW svv_mv_dependency IS 'What each streaming materialized view is built on';
GRANT SELECT ON svv_mv_dependency TO PUBLIC;
