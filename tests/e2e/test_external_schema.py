"""CREATE EXTERNAL SCHEMA's procedure: a broker becomes a server, a schema and a relation per topic."""

import hashlib
import secrets
import time

import psycopg
import pytest
from broker import closed_port, silent_port

CREATE = "CALL redshift.create_external_schema(%s, source => 'kafka', uri => %s, authentication => 'none')"


def tables(db, schema):
    return set(db.column("SELECT foreign_table_name FROM information_schema.foreign_tables WHERE foreign_table_schema = %s", schema))


def test_every_topic_becomes_a_relation(stage):
    a, b = stage.kafka.topic(), stage.kafka.topic(3)
    stage.db.run(CREATE, stage.schema, stage.kafka.bootstrap)
    assert {a, b} <= tables(stage.db, stage.schema)
    assert stage.db.value("SELECT srvname FROM pg_foreign_server WHERE srvname = %s", stage.schema) == stage.schema
    assert stage.db.value("SELECT srvtype FROM pg_foreign_server WHERE srvname = %s", stage.schema) == "kafka"


def test_columns_are_redshifts(stage):
    topic = stage.topic()
    columns = stage.db.rows(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
        stage.relation(topic),
    )
    assert [(name, kind.split(".")[-1]) for name, kind in columns] == [
        ("kafka_partition", "bigint"),
        ("kafka_offset", "bigint"),
        ("kafka_timestamp_type", "character(1)"),
        ("kafka_timestamp", "timestamp without time zone"),
        ("kafka_key", "varbyte"),
        ("kafka_value", "varbyte"),
        ("kafka_headers", "super"),
        ("refresh_time", "timestamp without time zone"),
    ]


@pytest.mark.parametrize("shape", ["Orders{}", "orders.v1.{}", "orders-v1-{}", "Orders.By-Day_{}", "SELECT-{}"])
def test_names_of_topics_are_kept(stage, shape):
    topic = stage.kafka.topic(name=shape.format(secrets.token_hex(4)))
    expected = stage.kafka.produce(topic, [b"x", b"y"])
    stage.db.run(CREATE, stage.schema, stage.kafka.bootstrap)
    assert topic in tables(stage.db, stage.schema)
    stage.view(topic)
    stage.refresh()
    stage.count_exactly_once(expected)


def relation_name(topic):
    """The rule of docs/external-schemas.md."""
    return topic if len(topic) <= 63 else topic[:54] + "_" + hashlib.md5(topic.encode()).hexdigest()[:8]


def test_a_name_longer_than_an_identifier_is_cut(stage):
    topic = stage.kafka.topic(name=secrets.token_hex(4) + "a" * 90)
    expected = stage.kafka.produce(topic, [b"x", b"y"])
    stage.db.connection.notices.clear()
    stage.db.run("CALL redshift.create_external_schema(%s, source => 'kafka', uri => %s, authentication => 'none', topics => %s)", stage.schema, stage.kafka.bootstrap, topic)
    assert tables(stage.db, stage.schema) == {relation_name(topic)}
    assert stage.db.connection.notices == ["the name of a topic is longer than 63 bytes: its relation's is cut and ends with a hash"]
    assert stage.db.rows("SELECT * FROM redshift.topics(%s)", stage.schema) == [(topic, relation_name(topic))]
    stage.view(relation_name(topic))
    stage.refresh()
    stage.count_exactly_once(expected)


def test_topics_with_the_same_beginning_are_relations_each(stage):
    """As Kafka Streams names them: -changelog and -repartition behind 60 bytes that are the same."""
    common = secrets.token_hex(4) + "a" * 60
    one = stage.kafka.topic(name=common + "-changelog")
    arguments = (stage.schema, stage.kafka.bootstrap, common + "*")
    stage.db.run("CALL redshift.create_external_schema(%s, source => 'kafka', uri => %s, authentication => 'none', topics => %s)", *arguments)
    first = tables(stage.db, stage.schema)
    # The name of the first does not depend on the one that comes later.
    other = stage.kafka.topic(name=common + "-repartition")
    stage.db.run("CALL redshift.sync_external_schema(%s)", stage.schema)
    assert tables(stage.db, stage.schema) == first | {relation_name(other)} == {relation_name(one), relation_name(other)}
    expected = stage.kafka.produce(other, [b"x"])
    stage.view(relation_name(other))
    stage.refresh()
    stage.count_exactly_once(expected)


def test_a_relation_that_has_its_name_from_before_keeps_it(stage):
    topic, other = (stage.kafka.topic(name=secrets.token_hex(4) + "a" * 90) for _ in range(2))
    stage.db.run("CALL redshift.create_external_schema(%s, source => 'kafka', uri => %s, authentication => 'none', topics => %s)", stage.schema, stage.kafka.bootstrap, topic)
    stage.db.run(f'ALTER FOREIGN TABLE {stage.schema}."{relation_name(topic)}" RENAME TO "{topic[:63]}"')
    stage.db.run(f"ALTER SERVER {stage.schema} OPTIONS (SET topics '{topic},{other}')")
    stage.db.run("CALL redshift.sync_external_schema(%s)", stage.schema)
    assert tables(stage.db, stage.schema) == {topic[:63], relation_name(other)}
    assert dict(stage.db.rows("SELECT * FROM redshift.topics(%s)", stage.schema)) == {topic: topic[:63], other: relation_name(other)}


def test_a_clash_concerns_its_topics_only(stage):
    """A topic whose short name is another's cut one, and a relation of the user's that has the name of a topic."""
    long = stage.kafka.topic(name=secrets.token_hex(4) + "a" * 90)
    short = stage.kafka.topic(name=relation_name(long))
    taken, free = stage.kafka.topic(), stage.kafka.topic()
    stage.db.run("CALL redshift.create_external_schema(%s, source => 'kafka', uri => %s, authentication => 'none', topics => %s)", stage.schema, stage.kafka.bootstrap, free)
    stage.db.run(f'CREATE VIEW {stage.schema}."{taken}" AS SELECT 1 AS n')
    stage.db.run(f"ALTER SERVER {stage.schema} OPTIONS (SET topics '{long},{short},{taken},{free}')")
    stage.db.connection.notices.clear()
    stage.db.run("CALL redshift.sync_external_schema(%s)", stage.schema)
    assert tables(stage.db, stage.schema) == {short, free}
    told = " ".join(stage.db.connection.notices)
    assert long in told and f'no relation for "{taken}"' in told.replace(f"for {taken}", f'for "{taken}"')
    # The way that the HINT shows helps.
    columns = stage.db.value("SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0", f'{stage.schema}."{short}"')
    stage.db.run(f"CREATE FOREIGN TABLE {stage.schema}.by_hand ({columns}) SERVER {stage.schema} OPTIONS (topic '{long}')")
    stage.db.connection.notices.clear()
    stage.db.run("CALL redshift.sync_external_schema(%s)", stage.schema)
    assert tables(stage.db, stage.schema) == {short, free, "by_hand"}


def test_patterns_can_leave_out(stage):
    mark = secrets.token_hex(4)
    for name in ("orders", "orders-x-changelog", "orders-y-changelog", "payments"):
        stage.kafka.topic(name=f"{mark}-{name}")
    call = "CALL redshift.create_external_schema(%s, source => 'kafka', uri => %s, authentication => 'none', topics => %s)"
    stage.db.run(call, stage.schema, stage.kafka.bootstrap, f"{mark}-*, !*-changelog ,! {mark}-payments")
    assert tables(stage.db, stage.schema) == {f"{mark}-orders"}
    # Only what is left out: of the others those that are there without a pattern.
    stage.db.run(f"ALTER SERVER {stage.schema} OPTIONS (SET topics '!{mark}-orders-x-*')")
    stage.db.run("CALL redshift.sync_external_schema(%s)", stage.schema)
    mine = {name for name in tables(stage.db, stage.schema) if name.startswith(mark)}
    assert mine == {f"{mark}-orders", f"{mark}-orders-y-changelog", f"{mark}-payments"}
    stage.db.run(f"CREATE SCHEMA {stage.work}_2")
    stage.db.run(f"ALTER SERVER {stage.schema} OPTIONS (SET topics '{mark}-*,!*-changelog')")
    stage.db.run(f"IMPORT FOREIGN SCHEMA topics FROM SERVER {stage.schema} INTO {stage.work}_2")
    assert tables(stage.db, f"{stage.work}_2") == {f"{mark}-orders", f"{mark}-payments"}
    stage.db.run(f"DROP SCHEMA {stage.work}_2 CASCADE")
    for wrong in ("a,,b", "!", "a,! ", ""):
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            stage.db.run(f"ALTER SERVER {stage.schema} OPTIONS (SET topics '{wrong}')")


def test_a_pattern_that_matches_nothing_says_so(stage):
    topic = stage.kafka.topic()
    call = "CALL redshift.create_external_schema(%s, source => 'kafka', uri => %s, authentication => 'none', topics => %s)"
    stage.db.connection.notices.clear()
    stage.db.run(call, stage.schema, stage.kafka.bootstrap, f"{topic},no-such-topic,None*")
    assert stage.db.connection.notices == [f'external schema "{stage.schema}": there is no topic or stream "no-such-topic", "None*"']
    stage.db.connection.notices.clear()
    stage.db.run(f"IMPORT FOREIGN SCHEMA topics LIMIT TO (ordres) FROM SERVER {stage.schema} INTO {stage.work}")
    assert stage.db.connection.notices == [f'external schema "{stage.schema}": there is no topic or stream "ordres"']


def test_a_name_of_a_schema_that_is_too_long_is_an_error(stage):
    with pytest.raises(psycopg.errors.NameTooLong):
        stage.db.run(CREATE, "s" * 64, stage.kafka.bootstrap)


@pytest.mark.apache_only("the embedded broker has no internal topics")
def test_internal_topics_are_left_out(stage):
    topic = stage.kafka.topic()
    producer = stage.kafka.producer(transactional_id=secrets.token_hex(4))
    producer.init_transactions()
    stage.kafka.consume(topic)
    assert {t for t in stage.kafka.topics() if t.startswith("__")}
    stage.db.run(CREATE, stage.schema, stage.kafka.bootstrap)
    found = tables(stage.db, stage.schema)
    assert topic in found and not {t for t in found if t.startswith("__")}


def test_only_topics_of_the_pattern(stage):
    topic, other = stage.kafka.topic(), stage.kafka.topic()
    stage.map(topic)
    assert tables(stage.db, stage.schema) == {topic}
    assert other not in tables(stage.db, stage.schema)


def test_a_topic_created_later_appears_with_sync(stage):
    stage.db.run(CREATE, stage.schema, stage.kafka.bootstrap)
    topic = stage.kafka.topic()
    assert topic not in tables(stage.db, stage.schema)
    stage.db.run("CALL redshift.sync_external_schema(%s)", stage.schema)
    assert topic in tables(stage.db, stage.schema)
    stage.db.run("CALL redshift.sync_external_schema(%s)", stage.schema)
    expected = stage.kafka.produce(topic, [b"x"])
    stage.view(topic)
    stage.refresh()
    stage.count_exactly_once(expected)


def test_server_and_import_foreign_schema_do_the_same(stage):
    topic = stage.kafka.topic()
    expected = stage.kafka.produce(topic, [b"x", b"y"])
    wrapper = stage.db.value("SELECT fdwname FROM pg_foreign_data_wrapper WHERE fdwname LIKE 'redshift%%' LIMIT 1")
    stage.db.run(f"CREATE SCHEMA {stage.schema}")
    stage.db.run(f"CREATE SERVER srv_{stage.schema} TYPE 'kafka' FOREIGN DATA WRAPPER {wrapper} OPTIONS (uri '{stage.kafka.bootstrap}', authentication 'none')")
    try:
        stage.db.run(f'IMPORT FOREIGN SCHEMA "default" LIMIT TO ("{topic}") FROM SERVER srv_{stage.schema} INTO {stage.schema}')
        assert tables(stage.db, stage.schema) == {topic}
        stage.view(topic)
        stage.refresh()
        stage.count_exactly_once(expected)
    finally:
        stage.db.run(f"DROP SERVER srv_{stage.schema} CASCADE")


def test_if_not_exists_leaves_the_existing_one(stage):
    topic = stage.topic()
    with pytest.raises(psycopg.errors.DuplicateSchema):
        stage.db.run(CREATE, stage.schema, stage.kafka.bootstrap)
    stage.db.connection.notices.clear()
    stage.db.run(
        "CALL redshift.create_external_schema(%s, source => 'kafka', uri => %s, authentication => 'none', if_not_exists => true)",
        stage.schema, closed_port(),
    )
    assert any("exists" in notice for notice in stage.db.connection.notices)
    assert tables(stage.db, stage.schema) == {topic}


def test_drop_schema_needs_cascade_and_takes_the_server(stage):
    stage.topic()
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        stage.db.run(f"DROP SCHEMA {stage.schema}")
    stage.db.run(f"DROP SCHEMA {stage.schema} CASCADE")
    assert stage.db.value("SELECT count(*) FROM pg_foreign_server WHERE srvname = %s", stage.schema) == 0


def test_drop_of_the_source_leaves_the_rows(stage):
    topic = stage.topic()
    expected = stage.kafka.produce(topic, [b"x", b"y"])
    stage.view(topic)
    stage.refresh()
    stage.db.run(f"DROP SCHEMA {stage.schema} CASCADE")
    assert set(stage.positions()) == expected
    with pytest.raises(psycopg.Error) as error:
        stage.refresh()
    assert "v" in str(error.value)
    stage.count_exactly_once(expected)


def test_drop_owned_takes_all(stage, role):
    owner = role("SUPERUSER")
    topic = stage.kafka.topic()
    stage.db.run(f"SET ROLE {owner}")
    stage.map(topic)
    stage.db.run("RESET ROLE")
    stage.db.run(f"DROP OWNED BY {owner} CASCADE")
    assert stage.db.value("SELECT count(*) FROM pg_foreign_server WHERE srvname = %s", stage.schema) == 0
    assert stage.db.value("SELECT count(*) FROM pg_namespace WHERE nspname = %s", stage.schema) == 0


def test_usage_on_the_schema_is_what_a_reader_needs(stage, role):
    topic = stage.topic()
    stage.kafka.produce(topic, [b"x", b"y"])
    reader = role()
    stage.db.run(f"SET ROLE {reader}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        stage.db.rows(f"SELECT * FROM {stage.relation(topic)}")
    stage.db.run("RESET ROLE")
    stage.db.run(f"GRANT USAGE ON SCHEMA {stage.schema} TO {reader}")
    stage.db.run(f"SET ROLE {reader}")
    assert stage.db.value(f"SELECT count(*) FROM {stage.relation(topic)}") == 2
    stage.db.run("RESET ROLE")


def test_source_status_shows_watermarks_and_the_last_records_time(stage):
    topic = stage.topic(2)
    stage.kafka.produce(topic, [{"value": b"x", "partition": 0, "timestamp": 1767225600000 - n} for n in (3, 2, 1, 0)])
    cursor = stage.db.run("SELECT * FROM redshift.source_status(%s) ORDER BY partition_id::int", stage.schema)
    assert [c.name for c in cursor.description] == ["topic", "partition_id", "low_watermark", "high_watermark", "last_record_time", "shard_id", "error"]
    rows = cursor.fetchall()
    assert [(r[0], int(r[1]), int(r[2]), int(r[3])) for r in rows] == [(topic, 0, 0, 4), (topic, 1, 0, 0)]
    assert str(rows[0][4]) == "2026-01-01 00:00:00" and rows[1][4] is None


@pytest.mark.parametrize("how", ["closed", "silent", "no such host"])
def test_an_unreachable_broker_is_a_clear_error_in_bounded_time(stage, how):
    stage.db.run("SET redshift.connect_timeout_ms = 1500")
    with silent_port() as silent:
        uri = {"closed": closed_port(), "silent": silent, "no such host": "no-such-host.invalid:9092"}[how]
        began = time.monotonic()
        with pytest.raises(psycopg.Error) as error:
            stage.db.run(CREATE, stage.schema, uri)
        assert time.monotonic() - began < 3
    assert error.value.sqlstate == "08001"
    assert uri.split(":")[0] in str(error.value)
    assert stage.schema not in stage.db.column("SELECT nspname FROM pg_namespace")


@pytest.mark.parametrize("arguments", ["source => 'rabbit', uri => 'h:1'", "source => 'kafka'", "source => 'kafka', uri => 'h:1', authentication => 'magic'"])
def test_arguments_that_make_no_sense_are_refused_by_name(stage, arguments):
    with pytest.raises(psycopg.Error) as error:
        stage.db.run(f"CALL redshift.create_external_schema('{stage.schema}', {arguments})")
    assert any(word in str(error.value) for word in ("rabbit", "uri", "magic"))


def test_svv_external_schemas_lists_it(stage):
    stage.topic()
    row = stage.db.run("SELECT * FROM svv_external_schemas WHERE schemaname = %s", stage.schema)
    assert [c.name for c in row.description] == ["esoid", "eskind", "schemaname", "esowner", "databasename", "esoptions"]
    assert len(row.fetchall()) == 1
