"""Views with auto_refresh = on: the worker of the database loads what arrives, through trouble, and says what it does."""

import contextlib
import secrets
import time

import psycopg
import pytest
from stage import Database, Stage, wait_until

AUTO = "auto_refresh = on"


def landed(stage, expected, name="v", seconds=20):
    """Waits until so many records are there, then counts them one by one."""
    wait_until(lambda: stage.db.value(f"SELECT count(*) FROM {name}") >= len(expected), seconds, f"{len(expected)} records in {name}")
    # The ledger follows within a second or so.
    wait_until(
        lambda: stage.db.value("SELECT count(*) FROM redshift.visible_checkpoint WHERE mv = %s::regclass AND pending_since IS NOT NULL", name) == 0,
        10, "the ledger",
    )
    stage.count_exactly_once(expected, name)


def status(stage, name="v"):
    """state, last_error, blocked_by"""
    return (stage.db.rows(
        "SELECT state, last_error, blocked_by FROM redshift.worker_status WHERE schema_name = %s AND mv_name = %s", stage.work, name
    ) or [(None, None, None)])[0]


def wait_for_state(stage, state, name="v", seconds=20):
    wait_until(lambda: status(stage, name)[0] == state, seconds, f"state {state} of {name} (it is {status(stage, name)})")


def seen(stage, state, began, name="v", word=""):
    """Waits until state and cause are shown; not later than 5 seconds after what caused it. Returns the cause."""
    left = 5 - (time.monotonic() - began)
    is_shown = lambda found: found[0] == state and found[1] and word in found[1]
    wait_until(lambda: is_shown(status(stage, name)), left, f"state {state} of {name}, in 5 s, because of {word!r} (it is {status(stage, name)})")
    return status(stage, name)[1]


def spread(n, partitions=2):
    return [{"value": str(i).encode(), "partition": i % partitions} for i in range(n)]


@pytest.fixture
def own(cluster, kafka):
    """A stage in a database of its own, which the test may drop, rename and copy."""
    database = cluster.database()
    database.run("CREATE EXTENSION redshift_streaming")
    stage = Stage(database, kafka)
    yield stage
    cluster.drop(stage.db)


@pytest.fixture
def followed(stage):
    """A view that follows its topic: the worker has started and has loaded the first records."""
    stage.topic_name = stage.topic(2)
    stage.view(stage.topic_name, options=AUTO)
    stage.expected = stage.kafka.produce(stage.topic_name, spread(10))
    landed(stage, stage.expected)
    return stage


def more(stage, n=10):
    stage.expected |= stage.kafka.produce(stage.topic_name, spread(n))


def test_a_view_follows_its_topic_within_a_second(followed):
    for _ in range(5):
        more(followed)
        produced = time.monotonic()
        wait_until(lambda: followed.db.value("SELECT count(*) FROM v") == len(followed.expected), 5)
        assert time.monotonic() - produced < 1
    assert status(followed)[0] == "running"
    landed(followed, followed.expected)


def test_off_and_on(followed):
    followed.db.run("ALTER MATERIALIZED VIEW v SET (auto_refresh = off)")
    more(followed)
    time.sleep(1.5)
    assert followed.db.value("SELECT count(*) FROM v") == 10
    assert status(followed)[0] is None
    followed.db.run("ALTER MATERIALIZED VIEW v SET (auto_refresh = on)")
    landed(followed, followed.expected)


def test_what_was_created_off_is_loaded_by_hand_and_then_alone(stage):
    topic = stage.topic(2)
    expected = stage.kafka.produce(topic, spread(20))
    stage.view(topic)
    stage.refresh()
    expected |= stage.kafka.produce(topic, spread(20))
    stage.db.run("ALTER MATERIALIZED VIEW v SET (auto_refresh = on)")
    landed(stage, expected)


def test_a_dropped_view_is_let_go_and_another_goes_on(followed):
    followed.view(followed.topic_name, "w", options=AUTO)
    landed(followed, followed.expected, "w")
    followed.db.run("DROP MATERIALIZED VIEW v")
    more(followed)
    landed(followed, followed.expected, "w")
    assert status(followed)[0] is None


def test_renamed_view_and_column(followed):
    followed.db.run("ALTER MATERIALIZED VIEW v RENAME TO w")
    followed.db.run("ALTER MATERIALIZED VIEW w RENAME COLUMN kafka_value TO payload")
    more(followed)
    landed(followed, followed.expected, "w")
    assert followed.db.value("SELECT count(payload) FROM w") == len(followed.expected)
    assert status(followed, "w")[0] == "running"


def test_another_owner(followed, role):
    owner = role()
    followed.db.run(f"GRANT USAGE ON SCHEMA {followed.schema} TO {owner}")
    followed.db.run(f"GRANT USAGE, CREATE ON SCHEMA {followed.work} TO {owner}")
    followed.db.run(f"ALTER MATERIALIZED VIEW v OWNER TO {owner}")
    more(followed)
    landed(followed, followed.expected)
    followed.db.run("ALTER MATERIALIZED VIEW v OWNER TO postgres")


def test_views_that_begin_apart_share_the_topic(stage):
    topic = stage.topic(2)
    expected = stage.kafka.produce(topic, spread(100))
    stage.view(topic, options=AUTO)
    landed(stage, expected)
    stage.view(topic, "w", options=AUTO)
    stage.view(topic, "late", options=AUTO + ", start = 'latest'")
    landed(stage, expected, "w")
    wait_for_state(stage, "running", "late")
    later = stage.kafka.produce(topic, spread(100))
    landed(stage, expected | later)
    landed(stage, expected | later, "w")
    landed(stage, later, "late")


def test_a_second_view_on_a_topic_says_what_it_costs(stage):
    stage.db.connection.notices.clear()  # the connection is the module's
    topic = stage.topic()
    stage.view(topic, options=AUTO)
    stage.view(topic, "w")
    stage.db.connection.notices.clear()
    stage.db.run("ALTER MATERIALIZED VIEW w SET (auto_refresh = on)")
    assert [n for n in stage.db.connection.notices if "as well" in n] == [f'topic "{topic}" is loaded by {stage.work}.v as well']


def test_fifty_views(stage):
    topics = [stage.kafka.topic(2) for _ in range(3)]
    stage.map(",".join(topics))
    for n in range(50):
        stage.view(topics[n % 3], f"v{n}", options=AUTO)
    expected = [stage.kafka.produce(topic, spread(50)) for topic in topics]
    for n in range(50):
        landed(stage, expected[n % 3], f"v{n}", 30)


def test_refresh_by_hand_meanwhile(followed):
    for _ in range(20):
        more(followed)
        followed.refresh()
        assert followed.db.value("SELECT count(*) FROM v") == len(followed.expected)
    landed(followed, followed.expected)
    assert "past" not in (status(followed)[1] or "")


def test_refresh_by_hand_under_load_is_no_loss(stage):
    """A position that moves while the worker asks for the topic's ends is not past them."""
    topic = stage.topic(2)
    stage.view(topic, options=AUTO + ", on_data_loss = 'continue'")
    producer, expected = stage.kafka.producer(), set()

    def delivered(error, message):
        assert error is None, error
        expected.add((message.partition(), message.offset()))

    for n in range(4000):
        producer.produce(topic, b"x", partition=n % 2, on_delivery=delivered)
        producer.poll(0.001)
        if n % 40 == 0:
            stage.refresh()
    assert producer.flush(30) == 0
    landed(stage, expected)
    assert stage.db.value("SELECT count(*) FROM sys_stream_scan_errors WHERE trim(mv_name) = 'v'") == 0
    assert "past" not in (status(stage)[1] or "")


def test_set_position_meanwhile(followed):
    followed.db.run("CALL redshift.set_position('v', NULL, '0')")
    later = followed.kafka.produce(followed.topic_name, spread(10))
    wait_until(lambda: followed.db.value("SELECT count(*) FROM v") == 30)
    time.sleep(0.5)
    assert followed.db.value("SELECT count(*) FROM v") == 30
    assert set(followed.positions()) == followed.expected | later


def test_a_poison_record_stops_its_own_view_and_no_other(stage):
    topic = stage.topic(1)
    stage.db.run("CREATE FUNCTION number(v bytea) RETURNS int LANGUAGE sql AS $$SELECT convert_from(v, 'UTF8')::int$$")
    stage.view(topic, options=AUTO)
    stage.view(topic, "typed", f"kafka_partition, kafka_offset, {stage.work}.number(kafka_value) AS n", options=AUTO)
    expected = stage.kafka.produce(topic, [b"1", b"2"])
    landed(stage, expected, "typed")
    began = time.monotonic()
    expected |= stage.kafka.produce(topic, [b"3", b"poison", b"5"])
    error = seen(stage, "retrying", began, "typed")
    landed(stage, expected)
    assert topic in error and "partition 0" in error and "offset 3" in error, error
    expected |= stage.kafka.produce(topic, [b"6"])
    landed(stage, expected)
    stage.db.run("CREATE OR REPLACE FUNCTION number(v bytea) RETURNS int LANGUAGE sql AS $$SELECT CASE WHEN v <> 'poison' THEN convert_from(v, 'UTF8')::int END$$")
    landed(stage, expected, "typed", 40)
    wait_for_state(stage, "running", "typed")


def test_a_transaction_that_stays_open_after_refresh_blocks_its_view_only(followed):
    followed.view(followed.topic_name, "w", options=AUTO)
    landed(followed, followed.expected, "w")
    with followed.connect() as session:
        session.execute("BEGIN")
        session.execute("REFRESH MATERIALIZED VIEW v")
        began = time.monotonic()
        more(followed)
        seen(followed, "blocked", began)
        assert status(followed)[2] == session.info.backend_pid
        landed(followed, followed.expected, "w")
        session.execute("COMMIT")
    landed(followed, followed.expected)
    wait_for_state(followed, "running")


@contextlib.contextmanager
def away(kafka):
    """The embedded broker refuses connections, Apache Kafka keeps them and does not answer."""
    if kafka.kind == "apache":
        with kafka.frozen():
            yield
        return
    kafka._control("broker-down 1")
    try:
        yield
    finally:
        kafka._control("broker-up 1")


def test_the_broker_goes_away_and_comes_back(followed):
    time.sleep(1)
    began = time.monotonic()
    with away(followed.kafka):
        assert "topic" in seen(followed, "retrying", began)
    back = time.monotonic()
    more(followed)
    landed(followed, followed.expected, seconds=5)
    wait_for_state(followed, "running", seconds=5 - (time.monotonic() - back))


def test_a_record_too_large_is_logged(stage):
    topic = stage.topic()
    stage.view(topic, options=AUTO + ", max_record_bytes = 100")
    expected = stage.kafka.produce(topic, [b"a", b"b"])
    stage.kafka.produce(topic, [b"x" * 1000])
    expected |= stage.kafka.produce(topic, [b"c"])
    landed(stage, expected)
    assert [(p.strip(), o.strip()) for p, o in stage.db.rows(
        "SELECT partition_id, position FROM sys_stream_scan_errors WHERE trim(mv_name) = 'v' ORDER BY record_time DESC LIMIT 1"
    )] == [("0", "2")]


# --- the database itself


@pytest.fixture
def own_followed(own):
    own.topic_name = own.topic(2)
    own.view(own.topic_name, options=AUTO)
    own.expected = own.kafka.produce(own.topic_name, spread(10))
    landed(own, own.expected)
    return own


def test_a_database_is_dropped_without_force(cluster, kafka):
    stage = Stage(cluster.database(), kafka)
    stage.db.run("CREATE EXTENSION redshift_streaming")
    topic = stage.topic()
    stage.view(topic, options=AUTO)
    landed(stage, kafka.produce(topic, [b"x"]))
    stage.db.connection.close()
    cluster.administer(f'DROP DATABASE "{stage.db.name}"')


def test_a_database_is_renamed(cluster, own_followed):
    stage = own_followed
    stage.db.connection.close()
    name = "renamed_" + secrets.token_hex(4)
    cluster.administer(f'ALTER DATABASE "{stage.db.name}" RENAME TO "{name}"')
    stage.db = Database(name, **cluster.connect)
    stage.db.run(f"SET search_path = {stage.path}")
    more(stage)
    landed(stage, stage.expected, seconds=30)
    assert stage.db.value("SELECT database FROM redshift.worker_status LIMIT 1") == name


def test_a_template_copy_loads_nothing_until_it_is_adopted(cluster, own_followed):
    stage = own_followed
    stage.db.connection.close()
    name = stage.db.name + "_copy"
    cluster.administer(f'CREATE DATABASE "{name}" TEMPLATE "{stage.db.name}"')
    stage.db.connection = stage.db.connect()
    stage.db.run(f"SET search_path = {stage.path}")
    copy = Database(name, **cluster.connect)
    try:
        copied = Stage.__new__(Stage)
        copied.db, copied.work = copy, stage.work
        copy.run(f"SET search_path = {stage.path}")
        more(stage)
        landed(stage, stage.expected, seconds=30)
        time.sleep(1)
        assert copy.value("SELECT count(*) FROM v") == 10
        assert status(copied)[0] == "restored"
        copy.run("CALL redshift.adopt('v')")
        landed(copied, stage.expected, seconds=30)
    finally:
        cluster.drop(copy)


def test_the_extension_is_dropped_and_created_again(own_followed):
    stage = own_followed
    stage.db.run("SET client_min_messages = error")
    stage.db.run("DROP EXTENSION redshift_streaming CASCADE")
    stage.db.run(f"DROP SCHEMA IF EXISTS {stage.schema} CASCADE")
    stage.db.run("DROP TABLE IF EXISTS v")
    stage.db.run("CREATE EXTENSION redshift_streaming")
    stage.map(stage.topic_name)
    stage.view(stage.topic_name, options=AUTO)
    landed(stage, stage.expected, seconds=30)


def test_a_worker_that_is_ended_comes_back(own_followed):
    stage = own_followed
    stage.db.run("SELECT pg_terminate_backend(pid) FROM redshift.worker_status")
    more(stage)
    landed(stage, stage.expected)
