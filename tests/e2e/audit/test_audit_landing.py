"""Ways to part a view's rows from its positions by what stands around its table: tables that inherit from the topic's relation, rules, unlogged partitions."""

import os

import psycopg
import pytest
from stage import InBackground, wait_until
from test_auto_refresh import AUTO, spread

pytestmark = pytest.mark.embedded_only("which broker it is does not matter")


@pytest.mark.parametrize("child", ["foreign", "plain"])
@pytest.mark.parametrize("options", ["", AUTO])
def test_what_inherits_from_a_topic_is_not_loaded(stage, child, options):
    topic = stage.topic(2)
    stage.view(topic, options=options)
    expected = stage.kafka.produce(topic, spread(20, 2))
    if not options:
        stage.refresh()
    wait_until(lambda: set(stage.positions()) == expected, 20)
    parent = stage.relation(topic)
    if child == "foreign":
        stage.db.run(f"CREATE FOREIGN TABLE c () INHERITS ({parent}) SERVER {stage.schema} OPTIONS (topic '{topic}')")
    else:
        stage.db.run(f"CREATE TABLE c (LIKE {parent}); ALTER TABLE c INHERIT {parent}; INSERT INTO c (kafka_partition, kafka_offset) VALUES (0, 0)")
    expected |= stage.kafka.produce(topic, spread(4, 2))
    if options:
        wait_until(lambda: "inherit" in (stage.db.value("SELECT last_error FROM redshift.worker_status WHERE mv_name = 'v'") or ""), 20, "the error")
    else:
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="other tables inherit from it") as raised:
            stage.refresh()
        assert "NO INHERIT" in raised.value.diag.message_hint
    stage.db.run(f"ALTER TABLE c NO INHERIT {parent}")
    if not options:
        stage.refresh()
    wait_until(lambda: set(stage.positions()) == expected, 40)
    stage.count_exactly_once(expected)


def test_a_rule_makes_no_view_of_a_materialized_view(stage):
    topic = stage.topic()
    stage.view(topic, options="offset_index = 'none'")
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="cannot have rules on INSERT or SELECT"):
        stage.db.run("""CREATE RULE "_RETURN" AS ON SELECT TO v DO INSTEAD
            SELECT 1::bigint AS kafka_partition, 1::bigint AS kafka_offset, ''::varbyte AS kafka_key, ''::varbyte AS kafka_value""")
    expected = stage.kafka.produce(topic, [{"value": b"x"}] * 3)
    stage.refresh()
    stage.count_exactly_once(expected)


def test_no_partition_becomes_unlogged_while_it_is_attached(stage):
    topic = stage.topic()
    stage.view(topic, options="partition_by = 'RANGE (kafka_offset)', default_partition = off")
    stage.db.run("CREATE TABLE p (LIKE v)")
    first, second = stage.connect(autocommit=False), stage.connect()
    first.execute("ALTER TABLE v ATTACH PARTITION p FOR VALUES FROM (0) TO (1000000)")
    waiting = InBackground(second, "ALTER TABLE p SET UNLOGGED")
    wait_until(lambda: stage.db.value("SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s", waiting.pid) == "Lock", 10)
    first.commit()
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="cannot be unlogged"):
        waiting.result()
    expected = stage.kafka.produce(topic, [{"value": b"x"}] * 3)
    stage.refresh()
    stage.count_exactly_once(expected)


def test_nobody_without_rights_keeps_a_schema_from_being_synchronized(stage, role):
    stage.topic()
    name = role()
    stranger = stage.connect()
    stranger.execute(f"SET ROLE {name}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        stranger.execute("SELECT redshift.lock_external_schema(%s)", (stage.schema,))
    stranger.execute("BEGIN")
    # Whatever key of an advisory lock it would be.
    stranger.execute(
        "SELECT pg_advisory_xact_lock('pg_foreign_server'::regclass::bigint << 32 | s.oid::bigint) FROM pg_foreign_server AS s WHERE srvname = %s",
        (stage.schema,),
    )
    stage.db.run("SET statement_timeout = '10s'")
    stage.db.run(f"CALL redshift.sync_external_schema('{stage.schema}')")
    stranger.execute("ROLLBACK")


def test_a_function_that_partition_by_calls_changes_no_hidden_view(stage):
    topic = stage.topic()
    stage.view(topic, "h")
    stage.db.run(f"""CREATE FUNCTION {stage.work}.g() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
            EXECUTE 'CREATE OR REPLACE VIEW {stage.work}.h_definition AS
                SELECT kafka_partition, kafka_offset, kafka_key, kafka_value FROM {stage.relation(topic)} WHERE kafka_offset % 2 = 0';
            RETURN 1; END $$""")
    stage.db.run(f"CREATE FUNCTION {stage.work}.i(int) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN {stage.work}.g(); END $$")
    with pytest.raises(psycopg.errors.DependentObjectsStillExist, match="cannot be changed or dropped by itself"):
        stage.view(topic, "pp", options=f"partition_by = 'RANGE ((kafka_offset + {stage.work}.i(1)))'")


def test_scans_do_not_use_up_descriptors(stage):
    """Each open scan has a client with files of its own: counted as Postgres counts, so there is an end of them before there is none for the WAL."""
    topic = stage.topic()
    expected = stage.kafka.produce(topic, [{"value": b"x"}] * 3)
    stage.view(topic)
    limit = stage.db.value("SELECT current_setting('max_files_per_process')::int")
    session = stage.connect(autocommit=False)
    pid = session.info.backend_pid
    with pytest.raises(psycopg.errors.InsufficientResources, match="too many clients of brokers") as raised:
        for n in range(limit):
            session.execute(f"DECLARE c{n} CURSOR FOR SELECT kafka_offset FROM {stage.relation(topic)}")
            session.execute(f"FETCH 1 FROM c{n}")
    assert n > 20 and "Close cursors" in raised.value.diag.message_hint
    assert descriptors(pid) < limit / 2
    session.rollback()
    wait_until(lambda: descriptors(pid) < 60, 10, "the end of the clients")
    session.execute(f"REFRESH MATERIALIZED VIEW {stage.work}.v")
    session.commit()
    stage.count_exactly_once(expected)


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))
