"""Options that say how a worker loads one view: batch limits, commit window, rate limit; pause and resume; the settings behind them."""

import time

import psycopg
import pytest
from stage import Stage, wait_until
from test_auto_refresh import landed, spread, status
from test_ingest_workers import setting

AUTO = "auto_refresh = on"
pytestmark = pytest.mark.embedded_only("the broker does not matter")


@pytest.fixture
def batches(stage):
    """Makes a view that notes the size of each batch; returns the function that reads them."""

    def make(options, count, statement=""):
        topic = stage.topic(1)
        expected = stage.kafka.produce(topic, [b"x" * 1000] * count)
        stage.db.run("CREATE TABLE batch (n bigint, at timestamptz)")
        stage.db.run(
            f"CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$BEGIN {statement} INSERT INTO {stage.work}.batch SELECT count(*), clock_timestamp() FROM new HAVING count(*) > 0; RETURN NULL; END$$"
        )
        stage.view(topic, options=options or "start = 'earliest'")
        stage.db.run("CREATE TRIGGER note AFTER INSERT ON v REFERENCING NEW TABLE AS new FOR EACH STATEMENT EXECUTE FUNCTION note()")
        stage.db.run("ALTER MATERIALIZED VIEW v SET (auto_refresh = on)")
        landed(stage, expected)
        return stage.db.column("SELECT n FROM batch ORDER BY at")

    return make


def test_batch_records(batches):
    assert batches("batch_records = 7", 20) == [7, 7, 6]


def test_batch_size(batches):
    sizes = batches("batch_size = '4kB'", 20)
    assert max(sizes) == 5, "the record that reaches the limit is in"


def commits(stage):
    return stage.db.value("SELECT count(DISTINCT xmin::text) FROM v")


def test_commit_window(stage, batches):
    batches("commit_window_ms = '300ms'", 1)
    topic = stage.db.value("SELECT stream_name FROM redshift.materialized_view WHERE mv = 'v'::regclass")
    for _ in range(100):
        stage.kafka.produce(topic, [b"x"])
        time.sleep(0.01)
    landed(stage, {(0, n) for n in range(101)})
    gaps = stage.db.column("SELECT at - lag(at) OVER (ORDER BY at) FROM batch ORDER BY at")[1:]
    assert gaps and min(gaps).total_seconds() > 0.29


def test_a_backlog_waits_for_no_window(stage, batches):
    """Full batches go one after the other; only the last one, which is not, waits for its window."""
    began = time.monotonic()
    sizes = batches("commit_window_ms = '3s'", 4000)
    assert time.monotonic() - began < 9, sizes
    assert commits(stage) <= 8, sizes


def test_batches_do_not_shrink_where_that_does_not_help(stage, batches):
    """A trigger takes a third of a second for each statement, whatever the number of its records."""
    sizes = batches("", 4000, "PERFORM pg_sleep(0.3);")
    assert len(sizes) < 15 and max(sizes) > 500, sizes


def test_batches_shrink_where_that_helps(stage, batches):
    sizes = batches("", 300, "PERFORM pg_sleep(0.01 * (SELECT count(*) FROM new));")
    assert sizes[0] == 100 and all(n <= 60 for n in sizes[1:]), sizes


def test_rate_limit(stage, batches):
    began = time.monotonic()
    sizes = batches("max_records_per_second = 50", 100)
    assert 1.5 < time.monotonic() - began < 10 and max(sizes) <= 5
    rates = stage.db.column("SELECT count(*) FROM (SELECT at, sum(n) FROM batch GROUP BY at) AS b GROUP BY date_trunc('second', at)")
    assert max(rates) <= 12
    # Another view on the topic is not held up.
    topic = stage.db.value("SELECT stream_name FROM redshift.materialized_view WHERE mv = 'v'::regclass")
    stage.view(topic, "fast", options=AUTO)
    expected = stage.kafka.produce(topic, [b"x"] * 200) | {(0, n) for n in range(100)}
    landed(stage, expected, "fast", 2)
    stage.db.run("ALTER MATERIALIZED VIEW v RESET (max_records_per_second)")
    landed(stage, expected, "v", 3)


@pytest.mark.parametrize("option, hint", [
    ("batch_records = 0", "a whole number from 1"), ("batch_size = '1s'", "memory"), ("commit_window_ms = '-1'", "a time"),
    ("max_records_per_second = none", "from 1 to 2147483647"), ("parallel = 17", "from 1 to 16"),
])
def test_values_that_are_none(stage, option, hint):
    topic = stage.topic()
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=hint):
        stage.view(topic, options=option)
    stage.view(topic)
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=hint):
        stage.db.run(f"ALTER MATERIALIZED VIEW v SET ({option})")


def test_pause_and_resume(stage, role):
    topic = stage.topic(2)
    stage.view(topic, options=AUTO)
    expected = stage.kafka.produce(topic, spread(10))
    landed(stage, expected)
    with pytest.raises(psycopg.errors.InsufficientPrivilege), stage.connect() as session:
        session.execute(f"SET ROLE {role()}")
        session.execute(f"CALL redshift.pause('{stage.work}.v')")
    stage.db.run("CALL redshift.pause('v')")
    wait_until(lambda: status(stage)[0] == "paused")
    expected |= stage.kafka.produce(topic, spread(10))
    time.sleep(1)
    assert stage.db.value("SELECT count(*) FROM v") == 10
    stage.refresh()
    stage.count_exactly_once(expected)
    expected |= stage.kafka.produce(topic, spread(10))
    stage.db.run("CALL redshift.resume('v')")
    landed(stage, expected)
    assert status(stage)[0] == "running"
    stage.view(topic, "manual")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="not under auto refresh"):
        stage.db.run("CALL redshift.pause('manual')")


def test_a_setting_that_is_reloaded_holds_for_views_without_the_option(cluster, stage):
    topic = stage.topic(1)
    stage.view(topic, options=AUTO)
    stage.view(topic, "w", options=AUTO + ", commit_window_ms = 0")
    expected = stage.kafka.produce(topic, [b"x"])
    landed(stage, expected)
    landed(stage, expected, "w")
    with setting(cluster, "redshift.commit_window_ms", 4000):
        time.sleep(0.5)
        expected |= stage.kafka.produce(topic, [b"x"])
        landed(stage, expected, "w", 2)
        wait_until(lambda: stage.db.value("SELECT count(*) FROM v") == 2, 5)
        expected |= stage.kafka.produce(topic, [b"x"])
        landed(stage, expected, "w", 2)
        assert stage.db.value("SELECT count(*) FROM v") == 2, "the window is still open"
    landed(stage, expected, "v", 2)


@pytest.mark.embedded_only("has a cluster of its own")
def test_batches_grow_where_commits_are_slow(private_cluster, kafka):
    """A tenth of a second each, as where a replica is far away: more records cost nothing more."""
    cluster = private_cluster(fsync="on", commit_delay="100000", commit_siblings="0")
    database = cluster.database()
    database.run("CREATE EXTENSION redshift_streaming")
    stage = Stage(database, kafka)
    topic = stage.topic(2)
    stage.view(topic, options=AUTO)
    landed(stage, stage.kafka.produce(topic, spread(2)))
    began = time.monotonic()
    expected = stage.kafka.produce(topic, spread(20_000))
    wait_until(lambda: stage.db.value("SELECT count(*) FROM v") == 20_002, 30)
    assert time.monotonic() - began < 8, f"{commits(stage)} commits"
    assert commits(stage) < 60
    stage.db.connection.close()
    assert len(expected) == 20_000
