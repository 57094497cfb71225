"""Several workers of a database divide topics and partitions among them, and nothing that one view does holds up the others."""

import contextlib
import threading
import time

import pytest
from stage import Stage, wait_until
from test_auto_refresh import landed, spread, status, wait_for_state

AUTO = "auto_refresh = on"


def workers(stage, name="v"):
    """The numbers of the workers that load a view now."""
    return stage.db.column(
        "SELECT worker FROM redshift.worker_status WHERE schema_name = %s AND mv_name = %s AND state = 'running' ORDER BY worker", stage.work, name
    )


def processes(stage):
    return stage.db.rows(
        "SELECT backend_type, application_name FROM pg_stat_activity WHERE datname = current_database() AND backend_type LIKE 'redshift%' ORDER BY 2 DESC"
    )


@contextlib.contextmanager
def setting(cluster, name, value):
    """A setting of the cluster, while the body runs."""
    cluster.administer(f"ALTER SYSTEM SET {name} = {value}")
    cluster.administer("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        cluster.administer(f"ALTER SYSTEM RESET {name}")
        cluster.administer("SELECT pg_reload_conf()")


class Load:
    """A producer that runs until it is stopped; .expected is what the broker acknowledged."""

    def __init__(self, kafka, topic, partitions, pause=0.001):
        self.expected, self._stop = set(), threading.Event()
        self._thread = threading.Thread(target=self._run, args=(kafka.producer(), topic, partitions, pause))

    def _run(self, producer, topic, partitions, pause):
        def delivered(error, message):
            assert error is None, error
            self.expected.add((message.partition(), message.offset()))

        n = 0
        while not self._stop.is_set():
            producer.produce(topic, b"x", partition=n % partitions, on_delivery=delivered)
            producer.poll(pause)
            n += 1
        assert producer.flush(30) == 0

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


@pytest.fixture
def own(cluster, kafka):
    """A database of the test's own: it has no workers but the test's."""
    database = cluster.database()
    database.run("CREATE EXTENSION redshift_streaming")
    yield Stage(database, kafka)
    cluster.drop(database)


@pytest.fixture
def two_topics(own):
    """Views a and b on topics of their own."""
    own.topics = {name: own.kafka.topic(2) for name in "ab"}
    own.map(",".join(own.topics.values()))
    for name, topic in own.topics.items():
        own.view(topic, name, options=AUTO)
    own.expected = {name: own.kafka.produce(topic, spread(20)) for name, topic in own.topics.items()}
    return own


def all_landed(stage, **more):
    for name in stage.topics:
        landed(stage, stage.expected[name], name, **more)


def test_two_topics_have_two_workers(two_topics):
    all_landed(two_topics)
    wait_until(lambda: [workers(two_topics, name) for name in "ab"] == [[0], [1]])
    database = two_topics.db.name
    assert processes(two_topics) == [
        ("redshift_streaming worker", f"redshift_streaming worker {database}"),
        ("redshift_streaming ingest", f"redshift_streaming ingest {database} 1"),
    ]
    assert two_topics.db.value("SELECT redshift.missing_workers()") == 0


def test_views_of_a_topic_stay_together(two_topics):
    two_topics.view(two_topics.topics["b"], "c", options=AUTO)
    landed(two_topics, two_topics.expected["b"], "c")
    wait_until(lambda: [workers(two_topics, name) for name in "abc"] == [[0], [1], [1]])


def test_an_ingest_worker_that_is_ended_comes_back(two_topics):
    wait_until(lambda: workers(two_topics, "b") == [1])
    two_topics.db.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'redshift_streaming ingest' AND datname = current_database()")
    two_topics.expected["b"] |= two_topics.kafka.produce(two_topics.topics["b"], spread(20))
    all_landed(two_topics)
    wait_until(lambda: workers(two_topics, "b") == [1])


def test_a_database_with_two_workers_is_dropped_without_force(cluster, two_topics):
    wait_until(lambda: workers(two_topics, "b") == [1])
    two_topics.db.connection.close()
    cluster.administer(f'DROP DATABASE "{two_topics.db.name}"')
    cluster.administer(f'CREATE DATABASE "{two_topics.db.name}"')


@pytest.mark.embedded_only("the broker does not matter")
def test_fewer_and_more_workers_after_a_reload(cluster, two_topics):
    wait_until(lambda: workers(two_topics, "b") == [1])
    with setting(cluster, "redshift.ingest_workers", 1):
        wait_until(lambda: len(processes(two_topics)) == 1 and workers(two_topics, "b") == [0])
        two_topics.expected["b"] |= two_topics.kafka.produce(two_topics.topics["b"], spread(20))
        all_landed(two_topics)
    wait_until(lambda: workers(two_topics, "b") == [1])
    two_topics.expected["b"] |= two_topics.kafka.produce(two_topics.topics["b"], spread(20))
    all_landed(two_topics)


@pytest.mark.embedded_only("the broker does not matter")
def test_no_process_for_an_ingest_worker(private_cluster, kafka):
    """One for Postgres's own launcher of logical replication, one for ours, one for the worker."""
    cluster = private_cluster(max_worker_processes=3)
    stage = Stage(cluster.database(), kafka)
    stage.db.run("CREATE EXTENSION redshift_streaming")
    topics = [kafka.topic(2) for _ in "ab"]
    stage.map(",".join(topics))
    for name, topic in zip("ab", topics):
        stage.view(topic, name, options=AUTO)
        landed(stage, kafka.produce(topic, spread(20)), name)
    wait_until(lambda: stage.db.value("SELECT redshift.missing_workers()") == 1)
    assert [workers(stage, name) for name in "ab"] == [[0], [0]]
    assert "1 ingest worker" in stage.db.value("SELECT redshift.status('a')")
    wait_until(lambda: "1 of 2 workers run for this database" in (cluster.run / "log" / "postgres.log").read_text())


def test_one_view_by_two_workers(own):
    topic = own.topic(4)
    own.view(topic, options=AUTO + ", parallel = 2")
    landed(own, own.kafka.produce(topic, spread(40, 4)))
    wait_until(lambda: workers(own) == [0, 1])
    with Load(own.kafka, topic, 4) as load:
        time.sleep(1)
        own.refresh()
        own.db.run("ALTER MATERIALIZED VIEW v SET (parallel = 1)")
        wait_until(lambda: workers(own) == [0])
        own.db.run("ALTER MATERIALIZED VIEW v SET (parallel = 16)")
        wait_until(lambda: workers(own) == [0, 1])
        own.refresh()
        time.sleep(0.5)
    landed(own, load.expected | set(own.positions()) & {(p, o) for p in range(4) for o in range(10)})
    # ALTER may have met a batch, which it stops.
    assert status(own)[1] in (None, "the batch was cancelled by a statement of the view's owner"), "the workers were in each other's way"


@pytest.mark.embedded_only("the broker does not matter")
def test_a_worker_without_a_partition(own):
    topic = own.topic(1)
    own.view(topic, options=AUTO + ", parallel = 2")
    expected = own.kafka.produce(topic, [b"x"] * 10)
    landed(own, expected)
    wait_until(lambda: workers(own) == [0, 1])
    expected |= own.kafka.produce(topic, [b"x"] * 10)
    landed(own, expected)


@pytest.mark.apache_only("the embedded broker cannot add partitions")
def test_a_new_partition_finds_its_worker(own):
    topic = own.topic(1)
    own.view(topic, options=AUTO + ", parallel = 2")
    expected = own.kafka.produce(topic, [b"x"] * 10)
    landed(own, expected)
    own.kafka.add_partitions(topic, 3)
    expected |= own.kafka.produce(topic, spread(30, 3))
    landed(own, expected, seconds=40)


def slow_view(stage, topic, milliseconds, name="slow"):
    """A view that takes so long for each record, as by a slow trigger or definition."""
    stage.db.run(
        f"CREATE FUNCTION {name}_way(v bytea) RETURNS bytea LANGUAGE plpgsql AS "
        f"$$BEGIN PERFORM pg_catalog.pg_sleep({milliseconds / 1000}); RETURN v; END$$"
    )
    stage.view(topic, name, f"kafka_partition, kafka_offset, {stage.work}.{name}_way(kafka_value) AS v", options=AUTO)


@pytest.mark.embedded_only("the broker does not matter")
def test_a_slow_view_does_not_hold_up_the_others(cluster, own):
    """All in one worker; one view on the slow one's topic, one on another."""
    topics = [own.kafka.topic(1) for _ in range(2)]
    own.map(",".join(topics))
    with setting(cluster, "redshift.ingest_workers", 1):
        slow_view(own, topics[0], 10)
        own.view(topics[0], "same", options=AUTO)
        own.view(topics[1], "other", options=AUTO)
        expected = own.kafka.produce(topics[0], [b"x"] * 3000)
        landed(own, expected, "same", 15)
        others = set()
        for _ in range(5):
            others |= own.kafka.produce(topics[1], [b"x"])
            expected |= own.kafka.produce(topics[0], [b"x"])
            produced = time.monotonic()
            wait_until(lambda: own.db.value("SELECT (SELECT count(*) FROM same) + (SELECT count(*) FROM other)") == len(expected) + len(others), 10)
            assert time.monotonic() - produced < 2
        assert own.db.value("SELECT count(*) FROM slow") < len(expected), "it was not slow: the test shows nothing"
        landed(own, expected, "slow", 40)


def test_a_lock_on_one_view_does_not_hold_up_the_other(own):
    topic = own.topic(2)
    own.view(topic, "locked", options=AUTO)
    own.view(topic, "free", options=AUTO)
    expected = own.kafka.produce(topic, spread(10))
    landed(own, expected, "locked")
    with own.connect() as session:
        session.execute("BEGIN")
        session.execute("LOCK TABLE locked IN ACCESS EXCLUSIVE MODE")
        expected |= own.kafka.produce(topic, spread(10))
        landed(own, expected, "free")
        wait_for_state(own, "blocked", "locked", 5)
        assert status(own, "locked")[2] == session.info.backend_pid
        session.execute("COMMIT")
    landed(own, expected, "locked")
