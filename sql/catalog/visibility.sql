-- Who sees what: "Visibility of data in system tables and views". Superusers and pg_monitor see all, others their own activity.
-- By OID: a role's name read as an identifier folds to lower case and ends at a dot.
CREATE FUNCTION redshift.current_role_id() RETURNS oid
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'current_role_id_wrapper';
COMMENT ON FUNCTION redshift.current_role_id() IS 'OID of the current user';

CREATE FUNCTION redshift.sees_everything() RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (SELECT r.rolsuper OR pg_catalog.pg_has_role(r.oid, 'pg_monitor', 'USAGE')
            FROM pg_catalog.pg_roles AS r WHERE r.oid OPERATOR(pg_catalog.=) redshift.current_role_id());
COMMENT ON FUNCTION redshift.sees_everything() IS 'May the current user see the activity of others?';
