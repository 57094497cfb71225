-- What was created without the name of a schema goes into the extension's own, one object after the other.
DO $move$
DECLARE
    member record;
BEGIN
    FOR member IN
        SELECT d.classid, d.objid, i.type
        FROM pg_catalog.pg_depend AS d, LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, 0) AS i
        WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
          AND d.refobjid = (SELECT e.oid FROM pg_catalog.pg_extension AS e WHERE e.extname = 'redshift_streaming')
          AND i.schema = 'redshift_streaming_install'
        ORDER BY d.classid, d.objid
    LOOP
        EXECUTE pg_catalog.concat('ALTER ', member.type, ' ',
            (SELECT i.identity FROM pg_catalog.pg_identify_object(member.classid, member.objid, 0) AS i), ' SET SCHEMA ', $schema$@extschema@$schema$);
    END LOOP;
END $move$;
DROP SCHEMA redshift_streaming_install;
