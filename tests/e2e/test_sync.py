"""Topics that appear become relations by themselves: option sync of an external schema, redshift.sync_interval."""

import secrets
import time

import pytest
from broker import closed_port
from stage import wait_until
from test_auto_refresh import AUTO, landed, spread
from test_ingest_workers import setting

pytestmark = pytest.mark.embedded_only("which broker it is does not matter")


@pytest.fixture
def synced(cluster, stage):
    """Every second, in a database with a worker; .map_all(..) makes an external schema over all topics that begin alike, .appear(name) one more."""
    prefix = "s" + secrets.token_hex(4)
    stage.view(stage.topic(2), options=AUTO)
    made = []

    def map_all(name, **options):
        more = "".join(f", {key} => '{value}'" for key, value in options.items())
        made.append(name)
        stage.db.run(
            f"CALL redshift.create_external_schema('{name}', source => 'kafka', uri => '{stage.kafka.bootstrap}', topics => '{prefix}*'{more})")

    stage.map_all, stage.appear = map_all, lambda name: stage.kafka.topic(name=prefix + name)
    with setting(cluster, "redshift.sync_interval", 1):
        yield stage
    for name in made:
        stage.db.run(f"DROP SCHEMA IF EXISTS {name} CASCADE")


def relations(stage, schema):
    return stage.db.column("SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace ORDER BY 1", schema)


def test_a_topic_that_appears_is_its_owners_and_readable(synced, role):
    owner, reader = role(), role()
    synced.db.run(f"GRANT USAGE ON FOREIGN DATA WRAPPER redshift_streaming TO {owner}")
    synced.db.run(f'GRANT CREATE ON DATABASE "{synced.db.name}" TO {owner}')
    synced.db.run(f"SET redshift.host_role = {owner}; SET ROLE {owner}")
    synced.map_all("followed")
    synced.db.run(f"GRANT USAGE ON SCHEMA followed TO {reader}")
    synced.db.run("RESET ROLE")
    synced.map_all("by_hand", sync="manual")
    topic = synced.appear("a")
    synced.kafka.produce(topic, [b"x"])
    wait_until(lambda: relations(synced, "followed") == [topic], 10, "the relation")
    assert synced.db.value(f"SELECT relowner::regrole::text FROM pg_class WHERE oid = 'followed.{topic}'::regclass") == owner
    synced.db.run(f"SET ROLE {reader}")
    assert synced.db.value(f"SELECT count(*) FROM followed.{topic}") == 1
    synced.db.run("RESET ROLE")
    assert relations(synced, "by_hand") == []
    synced.db.run("ALTER SERVER by_hand OPTIONS (SET sync 'auto')")
    synced.db.run("ALTER SERVER followed OPTIONS (SET sync 'manual')")
    other = synced.appear("b")
    wait_until(lambda: relations(synced, "by_hand") == [topic, other], 10, "the relations")
    assert relations(synced, "followed") == [topic]


@pytest.mark.parametrize("statement", ["DROP SCHEMA held CASCADE", "CALL redshift.sync_external_schema('held')"])
def test_nobody_waits_for_it_and_it_waits_for_nobody(synced, statement):
    topic = synced.db.value("SELECT stream_name FROM redshift.materialized_view WHERE mv = 'v'::regclass")
    synced.map_all("held")
    with synced.connect() as session:
        session.execute("BEGIN")
        session.execute(statement)
        appeared = synced.appear("c")
        time.sleep(2)
        assert synced.db.value("SELECT to_regclass(%s)", f"held.{appeared}") is None
        landed(synced, synced.kafka.produce(topic, spread(10)), seconds=3)
        session.execute("ROLLBACK")
    wait_until(lambda: relations(synced, "held") == [appeared], 10, "the relation")


def test_a_broker_that_is_away_is_told_once(cluster, synced):
    name = "away" + secrets.token_hex(4)
    with setting(cluster, "redshift.connect_timeout_ms", 300):
        synced.map_all(name)
        synced.db.run(f"ALTER SERVER {name} OPTIONS (SET uri '{closed_port()}')")
        log = cluster.run / "log" / "postgres.log"
        told = lambda: log.read_text().count(f'external schema "{name}" not synchronized')
        wait_until(lambda: told() > 0, 10, "the message")
        synced.map_all("near")
        topic = synced.appear("d")
        wait_until(lambda: relations(synced, "near") == [topic], 10, "the relation of another schema")
        time.sleep(2)
        assert told() == 1
