"""redshift.uninstall(): the extension goes, the data stays."""

import psycopg
import pytest
from stage import Stage


@pytest.fixture
def own(cluster, kafka):
    database = cluster.database()
    database.run("CREATE EXTENSION redshift_streaming")
    stage = Stage(database, kafka)
    stage.topic_name = stage.topic(2)
    kafka.produce(stage.topic_name, [{"value": b'{"OrderID": %d, "Items": [1, "x"]}' % n, "partition": n % 2} for n in range(40)])
    yield stage
    cluster.drop(database)


def contents(stage, *tables):
    """All rows, by the text that Postgres's own types give them."""
    found = {}
    for table in tables:
        columns = stage.db.rows(
            "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            table,
        )
        own = {"super": "jsonb", "varbyte": "bytea", "super[]": "jsonb[]"}
        casts = ", ".join(f'"{name}"::{own.get(kind, kind)}::text' for name, kind in columns)
        found[table] = stage.db.rows(f"SELECT {casts} FROM {table} ORDER BY 1, 2")
        assert found[table]
    return found


def test_what_was_loaded_stays_and_the_extension_goes(own):
    own.view(own.topic_name, columns="kafka_partition, kafka_offset, kafka_value, kafka_headers, json_parse(kafka_value) AS data", options="auto_refresh = on")
    own.view(own.topic_name, "parts", "kafka_partition, kafka_offset, json_parse(kafka_value) AS data",
             options="partition_by = 'LIST (kafka_partition)'")
    for view in ("v", "parts"):
        own.refresh(view)
    run = own.db.run
    run("CREATE INDEX ON v (data)")
    run("CREATE INDEX ON v (kafka_partition, kafka_offset) INCLUDE (data)")
    run("CREATE TABLE mine (id int, doc super NOT NULL, raw varbyte(20), CHECK (id > 0))")
    run("INSERT INTO mine VALUES (1, json_parse('{\"a\": \"5\"}'), to_varbyte('abc', 'utf8'))")
    run("CREATE TABLE child () INHERITS (mine)")
    run("INSERT INTO child VALUES (2, json_parse('[1, 2]'), NULL)")
    run("CREATE VIEW numbers AS SELECT kafka_partition, count(*) FROM v GROUP BY 1")
    tables = ("v", "parts", "mine", "child")
    before = contents(own, *tables)
    assert len(before["v"]) == len(before["parts"]) == 40
    # No table is rewritten, but one with arrays: they hold their element type.
    files = "SELECT oid, relfilenode FROM pg_class WHERE relkind = 'r' AND relnamespace = %s::regnamespace AND relname <> 'arrays' ORDER BY 1"
    as_before = own.db.rows(files, own.work)
    run("CREATE TABLE arrays (id int, n int, docs super[])")
    run("INSERT INTO arrays VALUES (1, 1, ARRAY[json_parse('1'), json_parse('\"x\"')])")
    before |= contents(own, "arrays")
    tables += ("arrays",)

    run("CALL redshift.uninstall()")
    assert own.db.rows(files, own.work) == as_before
    assert contents(own, *tables) == before
    assert own.db.value("SELECT count(*) FROM redshift.materialized_view") == 0
    run("CALL redshift.uninstall()")
    run("DROP EXTENSION redshift_streaming")

    assert contents(own, *tables) == before
    assert own.db.value("SELECT data['OrderID']::int FROM v WHERE kafka_offset = 3 AND kafka_partition = 0") == 6
    assert own.db.value("SELECT sum(count) FROM numbers") == 40
    types = own.db.column("SELECT DISTINCT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 'mine'::regclass AND attnum > 0 ORDER BY 1")
    assert types == ["bytea", "integer", "jsonb"]
    assert own.db.value("SELECT to_regnamespace(%s)", own.schema) is None
    # And it can come back.
    run("CREATE EXTENSION redshift_streaming")


def test_records_of_a_stream_stay(own):
    """They are nowhere else."""
    run = own.db.run
    run("CALL redshift.create_stream('kept.s', partitions => 2)")
    run("INSERT INTO kept.s (kafka_key, kafka_value) SELECT n::text, n::text FROM generate_series(1, 100) AS n")
    run("CREATE MATERIALIZED VIEW w AS SELECT kafka_partition, kafka_offset FROM kept.s")
    # Not before the caller's own have their offsets.
    run("BEGIN")
    run("INSERT INTO kept.s (kafka_value) VALUES ('0'::text)")
    with pytest.raises(psycopg.errors.ObjectInUse):
        run("CALL redshift.uninstall()")
    run("ROLLBACK")
    run("CALL redshift.uninstall()")
    run("DROP EXTENSION redshift_streaming")
    assert own.db.rows("SELECT count(*), count(DISTINCT (kafka_partition, kafka_offset)), min(convert_from(kafka_value, 'utf8')::int) FROM kept.s") == [(100, 100, 1)]
    assert own.db.value("SELECT count(*) FROM w") == 0
    run("CREATE EXTENSION redshift_streaming")


def test_what_is_in_the_way_is_named_and_nothing_changes(own):
    own.view(own.topic_name, columns="kafka_partition, kafka_offset, json_parse(kafka_value) AS data")
    own.refresh()
    run = own.db.run
    run("CREATE INDEX by_order ON v ((data['OrderID']::int4))")
    run("CREATE VIEW orders AS SELECT data FROM v")
    run("CREATE FUNCTION first(s super) RETURNS super LANGUAGE sql RETURN s[0]")
    run("CREATE TABLE with_default (doc super DEFAULT json_parse('{}'))")
    run("CREATE TABLE generated (t text, doc super GENERATED ALWAYS AS (json_parse(t)) STORED)")
    with pytest.raises(psycopg.errors.DependentObjectsStillExist) as error:
        run("CALL redshift.uninstall()")
    named = error.value.diag.message_detail.replace(f"{own.work}.", "")
    for thing in ("index by_order", "view orders", "function first(", "default value for column doc of table with_default",
                  "default value for column doc of table generated"):
        assert thing in named, named
    own.kafka.produce(own.topic_name, [{"value": b"{}", "partition": 0}])
    own.refresh()
    assert own.db.value("SELECT count(*) FROM v") == 41
    run("DROP INDEX by_order")
    run("DROP VIEW orders")
    run("DROP FUNCTION first")
    run("DROP TABLE with_default, generated")
    run("CALL redshift.uninstall()")
    run("DROP EXTENSION redshift_streaming")
    assert own.db.value("SELECT count(data['OrderID']) FROM v") == 40


def test_an_external_schema_that_holds_more_stays(own):
    run = own.db.run
    run(f"CREATE TABLE {own.schema}.mine (n int)")
    run(f"CREATE USER MAPPING FOR PUBLIC SERVER {own.schema}")
    run("CALL redshift.uninstall()")
    assert own.db.value(f"SELECT count(*) FROM {own.schema}.mine") == 0
    run("DROP EXTENSION redshift_streaming")


def test_only_the_owner_of_the_extension_may(own):
    name = "user_of_" + own.work
    own.db.run(f"CREATE ROLE {name}")
    own.db.run(f"GRANT USAGE ON SCHEMA redshift TO {name}")
    own.db.run(f"SET ROLE {name}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        own.db.run("CALL redshift.uninstall()")
    own.db.run("RESET ROLE")
    own.db.run(f"DROP OWNED BY {name}; DROP ROLE {name}")
