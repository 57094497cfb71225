"""A view or a server that is broken spoils nobody else's figures, and costs nobody else's time."""

import pathlib
import time

import pytest
from broker import closed_port
from stage import wait_until
from test_auto_refresh import spread
from test_ingest_workers import setting

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def healthy(stage):
    """A view that is five records behind."""
    topic = stage.topic(2)
    stage.expected = stage.kafka.produce(topic, spread(10))
    stage.view(topic, name="events")
    stage.refresh("events")
    stage.kafka.produce(topic, spread(5))
    stage.topic_name = topic
    yield stage
    for name in ("dead_a", "dead_b", "dead_c"):
        stage.db.run("SET client_min_messages = error")
        stage.db.run(f"DROP SCHEMA IF EXISTS {name} CASCADE")


def break_view(stage, owner):
    """Its owner drops the option that names the topic."""
    stage.db.run(f'CREATE SCHEMA dead_a AUTHORIZATION {owner}')
    stage.db.run(f"GRANT USAGE ON FOREIGN DATA WRAPPER redshift_streaming TO {owner}")
    stage.db.run(f"GRANT ALL ON SCHEMA {stage.work}, {stage.schema} TO {owner}")
    stage.db.run(f"GRANT USAGE ON FOREIGN SERVER {stage.schema} TO {owner}")
    stage.db.run(f"SET ROLE {owner}")
    stage.db.run(f"IMPORT FOREIGN SCHEMA x FROM SERVER {stage.schema} INTO dead_a")
    stage.db.run(f'CREATE MATERIALIZED VIEW broken AS SELECT kafka_partition, kafka_offset FROM dead_a."{stage.topic_name}"')
    stage.db.run(f'ALTER FOREIGN TABLE dead_a."{stage.topic_name}" OPTIONS (DROP topic)')
    stage.db.run("RESET ROLE")


def kill_server(stage, name):
    """A view over an external schema whose broker goes away."""
    stage.map(stage.topic_name, schema=name)
    stage.db.run(f'CREATE MATERIALIZED VIEW of_{name} AS SELECT kafka_partition, kafka_offset FROM {name}."{stage.topic_name}"')
    stage.db.run(f"ALTER SERVER {name} OPTIONS (SET uri '{closed_port()}')")


def lags(stage, condition="true"):
    rows = stage.db.rows(f"SELECT mv_name, sum(lag_records)::int, max(error) FROM redshift.stream_lag WHERE schema_name = %s AND {condition} GROUP BY 1", stage.work)
    return {name: (lag, error) for name, lag, error in rows}


def sample(stage, name, **labels):
    text = stage.db.value("SELECT redshift.metrics()")
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    lines = [line for line in text.splitlines() if line.startswith(f"redshift_streaming_{name}{{") and all(label in line for label in wanted)]
    return [float(line.rsplit(" ", 1)[1]) for line in lines]


def test_a_broken_view_is_one_row_of_its_own(healthy, role):
    break_view(healthy, role())
    found = lags(healthy)
    assert found["events"] == (5, None)
    assert found["broken"][0] is None and 'has no option "topic"' in found["broken"][1]
    assert sum(sample(healthy, "lag_records", schema=healthy.work, view="events")) == 5
    assert sample(healthy, "source_up", external_schema=healthy.schema) == [1]
    assert sample(healthy, "lag_known", schema=healthy.work, view="broken") == [0]
    assert sample(healthy, "lag_known", schema=healthy.work, view="events") == [1]
    assert "lag: 5 records" in healthy.db.value("SELECT redshift.status('events')")
    assert 'lag: unknown: the foreign table has no option "topic"' in healthy.db.value("SELECT redshift.status('broken')")
    monitor = role()
    healthy.db.run(f"GRANT pg_monitor TO {monitor}; GRANT USAGE ON SCHEMA {healthy.work} TO {monitor}; GRANT SELECT ON events, broken TO {monitor}")
    healthy.db.run(f"SET ROLE {monitor}")
    assert lags(healthy)["events"] == (5, None)
    healthy.db.run("RESET ROLE")


def test_dead_brokers_cost_one_timeout_together_and_the_others_nothing(healthy):
    for name in ("dead_a", "dead_b", "dead_c"):
        kill_server(healthy, name)
    healthy.db.run("SET redshift.connect_timeout_ms = '2s'")
    began = time.monotonic()
    found = lags(healthy)
    assert 1.5 < time.monotonic() - began < 4
    assert found["events"] == (5, None)
    for name in ("of_dead_a", "of_dead_b", "of_dead_c"):
        assert found[name][0] is None and "no answer from the Kafka broker" in found[name][1]
    healthy.db.run("RESET redshift.connect_timeout_ms")
    began = time.monotonic()
    assert lags(healthy, "mv_name = 'events'") == {"events": (5, None)}
    assert "lag: 5 records" in healthy.db.value("SELECT redshift.status('events')")
    assert time.monotonic() - began < 1.5
    began = time.monotonic()
    assert sample(healthy, "source_up", external_schema="dead_b") == [0]
    assert sample(healthy, "source_up", external_schema=healthy.schema) == [1]
    assert time.monotonic() - began < 8
    healthy.db.run("SET redshift.connect_timeout_ms = '500ms'")
    assert "lag: unknown: external schema" in healthy.db.value("SELECT redshift.status('of_dead_a')")


def test_what_is_asked_is_given_up_with_the_statement(healthy):
    """An answer that nobody fetches leaves no thread behind, and a cancel is a cancel."""
    kill_server(healthy, "dead_a")
    pid = healthy.db.connection.info.backend_pid
    threads = lambda: len(list(pathlib.Path(f"/proc/{pid}/task").iterdir()))
    lags(healthy, "mv_name = 'events'")
    wait_until(lambda: threads() <= 2, 5, "the end of the threads")
    before = threads()
    healthy.db.run("SET statement_timeout = '300ms'")
    for _ in range(3):
        with pytest.raises(Exception, match="statement timeout"):
            lags(healthy)
    healthy.db.run("RESET statement_timeout")
    healthy.db.run("SELECT redshift.ask_lag('events') FROM generate_series(1, 5)")
    wait_until(lambda: threads() <= before, 15, "the end of the threads")


def test_who_may_not_read_a_view_may_not_ask_for_it(healthy, role):
    reader = role()
    healthy.db.run(f"GRANT USAGE ON SCHEMA {healthy.work} TO {reader}")
    healthy.db.run(f"SET ROLE {reader}")
    assert lags(healthy) == {}
    with pytest.raises(Exception, match="permission denied for table events"):
        healthy.db.run(f"SELECT redshift.ask_lag('{healthy.work}.events'::regclass::oid)")
    healthy.db.run("RESET ROLE")


def test_alerts_of_the_others_go_on(cluster, healthy, role):
    break_view(healthy, role())
    kill_server(healthy, "dead_b")
    healthy.db.run("ALTER MATERIALIZED VIEW events SET (lag_alert_records = 2)")
    with setting(cluster, "redshift.lag_alert_records", 1000):
        wait_until(lambda: healthy.db.value("SELECT count(*) FROM redshift.lag_alert") == 1, 20, "the alert")
        healthy.refresh("events")
        wait_until(lambda: healthy.db.value("SELECT count(*) FROM redshift.lag_alert") == 0, 20, "the end of the alert")


def test_streams_are_asked_like_topics(streams):
    stream = streams.stream(2)
    expected = streams.kinesis.produce(stream, [b"x"] * 10)
    streams.view(stream, name="events")
    streams.refresh("events")
    streams.map(stream, schema="dead_c")
    try:
        streams.db.run(f'CREATE MATERIALIZED VIEW of_dead AS SELECT shard_id, sequence_number FROM dead_c."{stream}"')
        streams.db.run(f"ALTER SERVER dead_c OPTIONS (SET endpoint_url 'http://{closed_port()}')")
        streams.db.run("SET redshift.connect_timeout_ms = '2s'")
        began = time.monotonic()
        rows = streams.db.rows("SELECT mv_name, partition_id, lag_seconds, error FROM redshift.stream_lag WHERE schema_name = %s", streams.work)
        assert time.monotonic() - began < 5
        assert len(expected) == 10
        assert sorted(lag for name, _, lag, error in rows if name == "events" and error is None) == [0, 0]
        broken = [row for row in rows if row[0] == "of_dead"]
        assert all(lag is None and error for _, _, lag, error in broken) and broken, broken
    finally:
        streams.db.run("SET client_min_messages = error")
        streams.db.run("DROP SCHEMA dead_c CASCADE")
