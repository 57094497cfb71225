-- Who sees what: "Visibility of data in system tables and views". Superusers and pg_monitor see all, others their own activity.
CREATE FUNCTION redshift.sees_everything() RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (SELECT r.rolsuper OR pg_catalog.pg_has_role(r.oid, 'pg_monitor', 'USAGE')
            FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) CURRENT_USER);
COMMENT ON FUNCTION redshift.sees_everything() IS 'May the current user see the activity of others?';
