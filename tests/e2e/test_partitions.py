"""Partitions of a view: added while it is loaded, and kept by pg_partman."""

import threading

import psycopg
import pytest
from stage import wait_until

BY_OFFSET = "partition_by = 'RANGE (kafka_offset)', auto_refresh = on, commit_window_ms = 0"


@pytest.fixture
def producing(stage):
    """A topic into which records go all the time, until .stop()."""
    topic, ended, made = stage.topic(2), threading.Event(), set()

    def produce():
        for n in range(400):
            if ended.is_set():
                return
            made.update(stage.kafka.produce(topic, [{"value": b"x", "partition": p} for p in (0, 1) for _ in range(10)]))
            ended.wait(0.01)

    thread = threading.Thread(target=produce)
    thread.start()

    def stop():
        ended.set()
        thread.join()
        return made

    yield topic, stop
    stop()


def test_partitions_are_added_while_records_arrive(stage, producing):
    topic, stop = producing
    stage.view(topic, options=BY_OFFSET)
    wait_until(lambda: stage.db.value("SELECT count(*) FROM v_default") > 500, 30)
    for low in range(0, 400, 100):
        stage.db.run("CALL redshift.add_partition('v', %s, %s)", str(low), str(low + 100))
    made = stop()
    wait_until(lambda: stage.db.value("SELECT count(*) FROM v") == len(made), 30)
    stage.count_exactly_once(made)
    assert stage.db.value("SELECT count(*) FROM ONLY v_default WHERE kafka_offset < 400") == 0
    assert stage.db.value("SELECT count(*) FROM ONLY v_100") == 200
    # A worker that had to wait has gone on.
    wait_until(lambda: stage.db.column("SELECT DISTINCT state FROM redshift.worker_status WHERE mv_name = 'v'") == ["running"], 30)


def test_a_partition_is_detached_concurrently(stage, producing):
    topic, stop = producing
    stage.view(topic, options="partition_by = 'RANGE (kafka_offset)', auto_refresh = on, commit_window_ms = 0, default_partition = off")
    stage.db.run("CALL redshift.add_partition('v', '0', '100', 'v_a')")
    stage.db.run("CALL redshift.add_partition('v', '100', NULL, 'v_b')")
    wait_until(lambda: stage.db.value("SELECT count(*) FROM v_b") > 100, 30)
    stage.db.run("ALTER TABLE v DETACH PARTITION v_a CONCURRENTLY")
    made = stop()
    wait_until(lambda: stage.db.value("SELECT count(*) FROM v") == len(made) - 200, 30)
    assert stage.db.value("SELECT count(*) FROM v_a") == 200


def test_two_at_a_time_wait_for_each_other(stage, producing):
    topic, stop = producing
    stage.view(topic, options=BY_OFFSET)
    wait_until(lambda: stage.db.value("SELECT count(*) FROM v_default") > 300, 30)
    errors = []

    def add(low):
        try:
            stage.connect().execute("CALL redshift.add_partition('v', %s, %s)", (str(low), str(low + 50)))
        except psycopg.Error as error:
            errors.append(error)

    threads = [threading.Thread(target=add, args=(low,)) for low in (0, 50, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
    made = stop()
    wait_until(lambda: stage.db.value("SELECT count(*) FROM v") == len(made), 30)
    stage.count_exactly_once(made)


@pytest.fixture
def partman(db):
    if not db.value("SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_partman'"):
        pytest.skip("pg_partman is not installed: apt-get install postgresql-15-partman")
    db.run("CREATE SCHEMA IF NOT EXISTS partman")
    db.run("CREATE EXTENSION IF NOT EXISTS pg_partman SCHEMA partman")
    yield "partman"


def test_pg_partman_keeps_the_partitions_of_a_view(stage, partman):
    topic = stage.topic(2)
    made = stage.kafka.produce(topic, [{"value": b"x", "partition": n % 2} for n in range(300)])
    stage.view(topic, columns="kafka_partition, kafka_offset, kafka_timestamp", options="partition_by = 'RANGE (kafka_offset)', default_partition = off, auto_refresh = on")
    view = f"{stage.work}.v"
    create = "SELECT partman.create_parent(%s, 'kafka_offset', 'native', '50', p_premake := 2, p_start_partition := '0')"
    # Its records have no partition until there is one.
    wait_until(lambda: "no partition" in (stage.db.value("SELECT last_error FROM redshift.worker_status WHERE mv_name = 'v'") or ""), 30)
    assert stage.db.value(create, view)
    made |= stage.kafka.produce(topic, [{"value": b"x", "partition": n % 2} for n in range(400)])
    wait_until(lambda: stage.db.value("SELECT count(*) FROM v") == len(made), 30)
    # What came before a partition was made is in the default one, and goes into its own.
    assert stage.db.value("SELECT count(*) FROM v_default") > 0
    for _ in range(3):
        stage.db.run("CALL partman.partition_data_proc(%s)", view)
        stage.db.run("CALL partman.run_maintenance_proc()")
        made |= stage.kafka.produce(topic, [{"value": b"y", "partition": n % 2} for n in range(40)])
    wait_until(lambda: stage.db.value("SELECT count(*) FROM v") == len(made), 30)
    stage.db.run("CALL partman.partition_data_proc(%s)", view)
    assert stage.db.value("SELECT count(*) FROM ONLY v_default") == 0
    assert stage.db.value("SELECT count(*) FROM ONLY v_p50") == 100
    stage.count_exactly_once(made)
    stage.db.run("DELETE FROM partman.part_config WHERE parent_table = %s", view)
