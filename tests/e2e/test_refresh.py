"""REFRESH: each record exactly once, in the caller's transaction, whatever interrupts it."""

import os
import signal
import threading
import time

import psycopg
import pytest
from broker import closed_port
from stage import InBackground, wait_until


def numbers(count, partitions=1, first=0):
    return [{"value": str(first + n).encode(), "partition": n % partitions} for n in range(count)]


@pytest.fixture
def topic(stage):
    """A topic of 4 partitions with 400 records, and a view over it."""
    it = stage.topic(4)
    stage.expected = stage.kafka.produce(it, numbers(400, 4))
    stage.view(it)
    return it


def test_several_refreshes_while_records_arrive(stage, topic):
    for turn in range(5):
        stage.refresh()
        stage.expected |= stage.kafka.produce(topic, numbers(turn * 37, 4))
    stage.refresh()
    stage.refresh()
    stage.count_exactly_once(stage.expected)


def test_a_refresh_under_constant_load_ends(stage, topic):
    stop, sent = threading.Event(), set()

    def load():
        while not stop.is_set():
            sent.update(stage.kafka.produce(topic, numbers(200, 4)))

    producer = threading.Thread(target=load)
    producer.start()
    try:
        began = time.monotonic()
        for _ in range(10):
            stage.refresh()
        assert time.monotonic() - began < 30
    finally:
        stop.set()
        producer.join()
    stage.refresh()
    stage.count_exactly_once(stage.expected | sent)


def test_rollback_and_savepoint_leave_no_trace(stage, topic):
    with stage.connect() as session:
        session.execute("BEGIN")
        session.execute("REFRESH MATERIALIZED VIEW v")
        assert session.execute("SELECT count(*) FROM v").fetchone()[0] == 400
        session.execute("ROLLBACK")
        assert stage.db.value("SELECT count(*) FROM v") == 0
        session.execute("BEGIN")
        session.execute("SAVEPOINT s")
        session.execute("REFRESH MATERIALIZED VIEW v")
        session.execute("ROLLBACK TO s")
        assert session.execute("SELECT count(*) FROM v").fetchone()[0] == 0
        session.execute("COMMIT")
    assert stage.db.value("SELECT count(*) FROM sys_stream_scan_states WHERE external_schema_name = %s AND scanned_rows > 0", stage.schema) == 0
    stage.refresh()
    stage.count_exactly_once(stage.expected)


def test_two_refreshes_in_one_transaction(stage, topic):
    with stage.connect() as session, session.transaction():
        session.execute("REFRESH MATERIALIZED VIEW v")
        stage.expected |= stage.kafka.produce(topic, numbers(10, 4))
        session.execute("SAVEPOINT s")
        session.execute("REFRESH MATERIALIZED VIEW v")
        session.execute("RELEASE s")
        session.execute("REFRESH MATERIALIZED VIEW v")
    stage.count_exactly_once(stage.expected)


@pytest.mark.parametrize(
    "create,call",
    [
        ("CREATE PROCEDURE load() LANGUAGE plpgsql AS $$BEGIN REFRESH MATERIALIZED VIEW v; INSERT INTO seen SELECT count(*) FROM v; END$$", "CALL load()"),
        ("CREATE FUNCTION load() RETURNS void LANGUAGE plpgsql AS $$BEGIN REFRESH MATERIALIZED VIEW v; INSERT INTO seen SELECT count(*) FROM v; END$$", "SELECT load()"),
        (None, "DO $$BEGIN REFRESH MATERIALIZED VIEW v; INSERT INTO seen SELECT count(*) FROM v; END$$"),
        (None, "DO $$BEGIN EXECUTE 'REFRESH MATERIALIZED VIEW v'; INSERT INTO seen SELECT count(*) FROM v; END$$"),
        ("CREATE PROCEDURE load() LANGUAGE plpgsql AS $$BEGIN CALL redshift.refresh('v'); INSERT INTO seen SELECT count(*) FROM v; COMMIT; END$$", "CALL load()"),
    ],
    ids=["procedure", "function", "do", "dynamic", "procedure that commits"],
)
def test_the_next_statement_of_a_routine_reads_the_rows(stage, topic, create, call):
    stage.db.run("CREATE TABLE seen (n bigint)")
    if create:
        stage.db.run(create)
    stage.db.run(call)
    assert stage.db.column("SELECT n FROM seen") == [400]
    stage.db.run(call)
    assert stage.db.column("SELECT n FROM seen") == [400, 400]
    stage.count_exactly_once(stage.expected)


def test_a_caught_exception_takes_the_refresh_back(stage, topic):
    stage.db.run("DO $$BEGIN BEGIN REFRESH MATERIALIZED VIEW v; RAISE 'no'; EXCEPTION WHEN OTHERS THEN NULL; END; END$$")
    assert stage.db.value("SELECT count(*) FROM v") == 0
    stage.refresh()
    stage.count_exactly_once(stage.expected)


def test_extended_protocol_and_prepared(stage, topic):
    with stage.connect(prepare_threshold=0) as session:
        for _ in range(3):
            session.execute("REFRESH MATERIALIZED VIEW v", prepare=True, binary=True)
    with stage.connect() as session, session.pipeline():
        session.execute("REFRESH MATERIALIZED VIEW v")
        session.execute("SELECT 1")
    stage.count_exactly_once(stage.expected)


def test_a_read_only_transaction_refuses(stage, topic):
    with stage.connect() as session:
        session.execute("BEGIN READ ONLY")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            session.execute("REFRESH MATERIALIZED VIEW v")
        session.execute("ROLLBACK")
    stage.refresh()
    stage.count_exactly_once(stage.expected)


def test_concurrent_refreshes_serialize(stage, topic):
    sessions = [stage.connect() for _ in range(6)]
    for _ in range(4):
        for running in [InBackground(session, "REFRESH MATERIALIZED VIEW v") for session in sessions]:
            running.result()
        stage.expected |= stage.kafka.produce(topic, numbers(100, 4))
    stage.refresh()
    stage.count_exactly_once(stage.expected)


def waits_for_a_lock(stage, running):
    return stage.db.value("SELECT coalesce(wait_event_type = 'Lock', false) FROM pg_stat_activity WHERE pid = %s", running.pid)


def test_the_second_waits_for_the_first_and_then_reads_on(stage, topic):
    first, second = stage.connect(), stage.connect()
    first.execute("BEGIN")
    first.execute("REFRESH MATERIALIZED VIEW v")
    waiting = InBackground(second, "REFRESH MATERIALIZED VIEW v")
    wait_until(lambda: waits_for_a_lock(stage, waiting))
    stage.expected |= stage.kafka.produce(topic, numbers(10, 4))
    first.execute("COMMIT")
    waiting.result()
    stage.count_exactly_once(stage.expected)


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_the_loser_under_repeatable_read_gets_40001_before_it_fetches(stage, topic, level):
    winner, loser = stage.connect(), stage.connect()
    loser.execute(f"BEGIN ISOLATION LEVEL {level}")
    loser.execute("SELECT 1 FROM v")
    winner.execute("BEGIN")
    winner.execute("REFRESH MATERIALIZED VIEW v")
    waiting = InBackground(loser, "REFRESH MATERIALIZED VIEW v")
    wait_until(lambda: waits_for_a_lock(stage, waiting))
    winner.execute("COMMIT")
    with pytest.raises(psycopg.errors.SerializationFailure):
        waiting.result()
    loser.execute("ROLLBACK")
    loser.execute("REFRESH MATERIALIZED VIEW v")
    stage.count_exactly_once(stage.expected)


def test_a_refresh_alone_works_under_repeatable_read(stage, topic):
    with stage.connect() as session:
        session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        session.execute("REFRESH MATERIALIZED VIEW v")
        assert session.execute("SELECT count(*) FROM v").fetchone()[0] == 400
        session.execute("COMMIT")
    stage.count_exactly_once(stage.expected)


@pytest.mark.parametrize("other", ["DROP MATERIALIZED VIEW v", "TRUNCATE v", "ALTER MATERIALIZED VIEW v RENAME TO w", "ALTER TABLE v ADD COLUMN note text"])
def test_refresh_and_ddl_wait_for_each_other_without_deadlock(stage, topic, other):
    first, second = stage.connect(), stage.connect()
    first.execute("BEGIN")
    first.execute("REFRESH MATERIALIZED VIEW v")
    waiting = InBackground(second, other)
    wait_until(lambda: waits_for_a_lock(stage, waiting))
    first.execute("REFRESH MATERIALIZED VIEW v")
    first.execute("COMMIT")
    waiting.result()
    # And the other way round: the statement first.
    stage.db.run("DROP MATERIALIZED VIEW IF EXISTS v, w")
    stage.view(topic)
    first.execute("BEGIN")
    first.execute(other)
    waiting = InBackground(second, "REFRESH MATERIALIZED VIEW v")
    wait_until(lambda: waits_for_a_lock(stage, waiting))
    first.execute("ROLLBACK")
    waiting.result()
    stage.count_exactly_once(stage.expected)


INTERRUPTIONS = ["cancel", "statement_timeout", "terminate"]


def interrupt(stage, session, sql, how):
    """Runs sql, interrupts it, and returns how long it took to notice."""
    if how == "statement_timeout":
        session.execute("SET statement_timeout = 700")
    running = InBackground(session, sql)
    time.sleep(0.7)
    asked = time.monotonic()
    if how == "cancel":
        stage.db.run("SELECT pg_cancel_backend(%s)", running.pid)
    elif how == "terminate":
        stage.db.run("SELECT pg_terminate_backend(%s)", running.pid)
    with pytest.raises((psycopg.errors.QueryCanceled, psycopg.errors.AdminShutdown, psycopg.OperationalError)) as error:
        running.result()
    assert not isinstance(error.value, psycopg.errors.ConnectionException) or how == "terminate", error.value
    wait_until(lambda: how != "terminate" or stage.db.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", running.pid) == 0)
    return time.monotonic() - asked


@pytest.mark.parametrize("how", INTERRUPTIONS)
@pytest.mark.parametrize("what", ["REFRESH MATERIALIZED VIEW v", "peek", "source_status"])
def test_interruptions_act_at_once_when_the_broker_is_silent(stage, topic, how, what):
    statement = {"peek": f"SELECT * FROM {stage.relation(topic)}", "source_status": f"SELECT * FROM redshift.source_status('{stage.schema}')"}.get(what, what)
    session = stage.connect()
    for setting in ("connect_timeout_ms", "fetch_timeout_ms"):
        session.execute(f"SET redshift.{setting} = 60000")
    with stage.kafka.frozen():
        assert interrupt(stage, session, statement, how) < 1
    stage.refresh()
    stage.count_exactly_once(stage.expected)


@pytest.mark.parametrize("how", INTERRUPTIONS)
def test_interruptions_act_at_once_when_the_broker_is_unreachable(stage, topic, how):
    server_option = f"uri '{closed_port()}'"
    stage.db.run(f"ALTER SERVER {stage.schema} OPTIONS (SET {server_option})")
    session = stage.connect()
    session.execute("SET redshift.connect_timeout_ms = 60000")
    assert interrupt(stage, session, "REFRESH MATERIALIZED VIEW v", how) < 1
    stage.db.run(f"ALTER SERVER {stage.schema} OPTIONS (SET uri '{stage.kafka.bootstrap}')")
    stage.refresh()
    stage.count_exactly_once(stage.expected)


@pytest.mark.parametrize("how", INTERRUPTIONS)
def test_interruptions_act_at_once_in_the_middle(stage, how):
    """A definition that sleeps 10 ms a record keeps the refresh busy with a client that fetches."""
    topic = stage.topic(2)
    expected = stage.kafka.produce(topic, numbers(2000, 2))
    stage.view(topic, columns="kafka_partition, kafka_offset, pg_sleep(0.01)::text AS slept")
    session = stage.connect()
    assert interrupt(stage, session, "REFRESH MATERIALIZED VIEW v", how) < 1
    stage.db.run("DROP MATERIALIZED VIEW v")
    stage.view(topic)
    stage.refresh()
    stage.count_exactly_once(expected)


def test_a_silent_broker_is_an_error_in_bounded_time(stage, topic):
    stage.db.run("SET redshift.connect_timeout_ms = 1500")
    stage.db.run("SET redshift.fetch_timeout_ms = 1500")
    with stage.kafka.frozen():
        began = time.monotonic()
        with pytest.raises(psycopg.Error) as error:
            stage.refresh()
        assert time.monotonic() - began < 6
        assert error.value.sqlstate in ("08001", "08006")
    stage.db.run("RESET redshift.connect_timeout_ms")
    stage.db.run("RESET redshift.fetch_timeout_ms")
    stage.refresh()
    stage.count_exactly_once(stage.expected)


def test_steps_of_at_most_so_many_records(stage, topic):
    seen = 0
    for _ in range(100):
        stage.refresh(max_records=70)
        now = stage.db.value("SELECT count(*) FROM v")
        assert now - seen <= 70
        if now == seen:
            break
        seen = now
    stage.count_exactly_once(stage.expected)


def test_steps_of_at_most_so_many_bytes(stage):
    topic = stage.topic()
    expected = stage.kafka.produce(topic, [b"x" * 1000] * 300)
    stage.view(topic)
    stage.refresh(max_bytes=50_000)
    first = stage.db.value("SELECT count(*) FROM v")
    assert 1 <= first <= 60
    for _ in range(20):
        stage.refresh(max_bytes=50_000)
    stage.count_exactly_once(expected)


def test_one_record_larger_than_max_bytes_is_still_passed(stage):
    topic = stage.topic()
    expected = stage.kafka.produce(topic, [b"x" * 100_000] * 3)
    stage.view(topic)
    for turn in (1, 2, 3):
        stage.refresh(max_bytes=10)
        assert stage.db.value("SELECT count(*) FROM v") == turn
    stage.count_exactly_once(expected)


@pytest.mark.parametrize("limits", [{"max_records": 0}, {"max_records": -1}, {"max_bytes": 0}])
def test_limits_that_make_no_progress_are_refused(stage, topic, limits):
    with pytest.raises(psycopg.Error):
        stage.refresh(**limits)


def test_set_position_forward_skips_and_back_repeats(stage, topic):
    """Numbers may stand in quotes or not, in literals or in variables."""
    stage.db.run("CALL redshift.set_position('v', NULL, 'earliest'); CALL redshift.set_position('v', 0, 'latest'); CALL redshift.set_position('v', '0', 10)")
    stage.db.run("DO $$ DECLARE p int := 0; o bigint := 90; BEGIN CALL redshift.set_position('v', p, o); END $$")
    stage.refresh()
    assert set(stage.positions()) == {(p, o) for p, o in stage.expected if p != 0 or o >= 90}
    stage.db.run("DELETE FROM v WHERE kafka_partition = 0")
    stage.db.run("CALL redshift.set_position('v', '0', '0')")
    stage.refresh()
    stage.count_exactly_once(stage.expected)


@pytest.mark.parametrize(("partition", "position"), [("9", "0"), ("x", "0"), ("0", "x"), ("0", "-1"), ("0", "99999999999999999999")])
def test_set_position_refuses_what_is_not_there(stage, topic, partition, position):
    with pytest.raises(psycopg.Error):
        stage.db.run("CALL redshift.set_position('v', %s, %s)", partition, position)
    stage.refresh()
    stage.count_exactly_once(stage.expected)


def test_views_on_one_topic_are_independent(stage, topic):
    stage.view(topic, name="w")
    stage.refresh("v")
    stage.expected |= stage.kafka.produce(topic, numbers(100, 4))
    stage.refresh("w")
    stage.refresh("v")
    stage.count_exactly_once(stage.expected, "v")
    stage.count_exactly_once(stage.expected, "w")


def test_a_definition_that_throws_names_the_record_and_works_once_the_cause_is_gone(stage):
    topic = stage.topic(2)
    expected = stage.kafka.produce(topic, numbers(100, 2))
    bad = stage.kafka.produce(topic, [{"value": b"not a number", "partition": 1}])
    expected |= stage.kafka.produce(topic, numbers(100, 2))
    stage.db.run("CREATE FUNCTION number(bytea) RETURNS int LANGUAGE sql AS $$SELECT convert_from($1, 'UTF8')::int$$")
    stage.view(topic, columns="kafka_partition, kafka_offset, number(kafka_value::bytea) AS n")
    for _ in range(2):
        with pytest.raises(psycopg.errors.InvalidTextRepresentation) as error:
            stage.refresh()
        text = f"{error.value} {error.value.diag.message_detail} {error.value.diag.context}"
        [(partition, offset)] = bad
        assert topic in text and f"partition {partition}" in text and f"offset {offset}" in text, text
        assert stage.db.value("SELECT count(*) FROM v") == 0
    stage.db.run("CREATE OR REPLACE FUNCTION number(bytea) RETURNS int LANGUAGE sql AS $$SELECT length($1)$$")
    stage.refresh()
    stage.count_exactly_once(expected | bad)


def test_a_record_that_throws_can_be_passed_by_set_position(stage):
    topic = stage.topic()
    expected = stage.kafka.produce(topic, numbers(10))
    [(_, offset)] = stage.kafka.produce(topic, [b"not a number"])
    stage.view(topic, columns="kafka_partition, kafka_offset, convert_from(kafka_value::bytea, 'UTF8')::int AS n")
    stage.refresh(max_records=10)
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        stage.refresh()
    stage.db.run("CALL redshift.set_position('v', '0', %s)", str(offset + 1))
    expected |= stage.kafka.produce(topic, numbers(10))
    stage.refresh()
    stage.count_exactly_once(expected)


def test_a_crash_loses_nothing_and_repeats_nothing(private_cluster, kafka):
    from stage import Stage

    cluster = private_cluster()
    database = cluster.database()
    database.run("CREATE EXTENSION redshift_streaming")
    stage = Stage(database, kafka)
    topic = stage.topic(2)
    expected = kafka.produce(topic, numbers(500, 2))
    stage.view(topic)
    stage.refresh(max_records=200)
    session = stage.connect()
    session.execute("BEGIN")
    session.execute("REFRESH MATERIALIZED VIEW v")
    postmaster = int((cluster.run / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGQUIT)
    wait_until(lambda: not os.path.exists(f"/proc/{postmaster}"))
    cluster.restart()
    stage.db = cluster_database(cluster, database.name)
    stage.db.run(f"SET search_path = {stage.path}")
    assert stage.db.value("SELECT count(*) FROM v") <= 200
    stage.refresh()
    stage.count_exactly_once(expected)


def cluster_database(cluster, name):
    from conftest import Cluster
    from stage import Database

    return Database(name, **Cluster(cluster.run).connect)
