-- Procedures on streaming materialized views.
CREATE PROCEDURE redshift.refresh(mv regclass, max_records bigint DEFAULT NULL, max_bytes bigint DEFAULT NULL)
    LANGUAGE c AS 'MODULE_PATHNAME', 'redshift_refresh';
COMMENT ON PROCEDURE redshift.refresh(regclass, bigint, bigint) IS 'As REFRESH MATERIALIZED VIEW, reading at most so many records or bytes';

CREATE PROCEDURE redshift.set_position(mv regclass, partition_id text, "position" text)
    LANGUAGE c AS 'MODULE_PATHNAME', 'redshift_set_position';
COMMENT ON PROCEDURE redshift.set_position(regclass, text, text) IS 'Where the next refresh begins in a partition or shard (null: in all): the next offset to load or the last sequence number that is loaded; or earliest, latest, a timestamp';

-- Numbers need no quotes. A sequence number has more digits than a bigint.
CREATE PROCEDURE redshift.set_position(mv regclass, partition_id bigint, "position" text)
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS 'CALL redshift.set_position(mv, partition_id::text, "position")';
CREATE PROCEDURE redshift.set_position(mv regclass, partition_id text, "position" numeric)
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS 'CALL redshift.set_position(mv, partition_id, "position"::text)';
CREATE PROCEDURE redshift.set_position(mv regclass, partition_id bigint, "position" numeric)
    LANGUAGE sql SET search_path = pg_catalog, pg_temp AS 'CALL redshift.set_position(mv, partition_id::text, "position"::text)';
COMMENT ON PROCEDURE redshift.set_position(regclass, bigint, text) IS 'As set_position(regclass, text, text)';
COMMENT ON PROCEDURE redshift.set_position(regclass, text, numeric) IS 'As set_position(regclass, text, text)';
COMMENT ON PROCEDURE redshift.set_position(regclass, bigint, numeric) IS 'As set_position(regclass, text, text)';

CREATE PROCEDURE redshift.add_partition(mv regclass, from_value text, to_value text, partition_name text DEFAULT NULL)
    LANGUAGE c AS 'MODULE_PATHNAME', 'redshift_add_partition';
COMMENT ON PROCEDURE redshift.add_partition(regclass, text, text, text) IS 'A partition of a view with partition_by = RANGE (..), from a value up to another (null: no end), also if rows of the range are in the default partition: they are moved';

CREATE PROCEDURE redshift.adopt(mv regclass)
    LANGUAGE c AS 'MODULE_PATHNAME', 'redshift_adopt';
COMMENT ON PROCEDURE redshift.adopt(regclass) IS 'Lets a restored streaming materialized view load in this database';

CREATE PROCEDURE redshift.pause(mv regclass)
    LANGUAGE c AS 'MODULE_PATHNAME', 'redshift_pause';
COMMENT ON PROCEDURE redshift.pause(regclass) IS 'Stops auto refresh of a materialized view until redshift.resume; REFRESH still works';

CREATE PROCEDURE redshift.resume(mv regclass)
    LANGUAGE c AS 'MODULE_PATHNAME', 'redshift_resume';
COMMENT ON PROCEDURE redshift.resume(regclass) IS 'Lets auto refresh go on after redshift.pause';
