"""Restored and copied external schemas: nothing is created in them by itself until they are adopted, so no restore meets a worker."""

import os
import secrets
import time

import pytest
from stage import Stage, wait_until
from test_auto_refresh import AUTO, spread
from test_ingest_workers import setting

pytestmark = [pytest.mark.timeout(600), pytest.mark.embedded_only("which broker it is does not matter")]

# With RESTORES=50 it takes several minutes.
RESTORES = int(os.environ.get("RESTORES", "2"))
TOPICS = 12


@pytest.fixture
def synced(cluster, kafka):
    """An external schema over many topics, with a view; relations are looked for every second."""
    prefix = "r" + secrets.token_hex(4)
    for n in range(TOPICS):
        kafka.topic(name=f"{prefix}_{n}")
    database = cluster.database()
    database.run("CREATE EXTENSION redshift_streaming")
    stage = Stage(database, kafka)
    stage.prefix = prefix
    database.run("CALL redshift.create_external_schema(%s, source => 'kafka', uri => %s, topics => %s)", stage.schema, kafka.bootstrap, prefix + "_*")
    stage.expected = kafka.produce(f"{prefix}_0", spread(20, 1))
    stage.view(f"{prefix}_0", options=AUTO)
    with setting(cluster, "redshift.sync_interval", 1):
        yield stage
    cluster.drop(database)


def relations(database, schema):
    return database.value("SELECT count(*) FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'f'", schema)


@pytest.mark.parametrize("form", ["plain", "custom", "parallel", "directory"])
def test_no_restore_meets_a_worker(cluster, synced, form, tmp_path):
    dump = tmp_path / "dump"
    kinds = {"plain": ["-Fp"], "custom": ["-Fc"], "parallel": ["-Fc"], "directory": ["-Fd", "-j", "2"]}
    cluster.program("pg_dump", *kinds[form], "-f", dump, synced.db.name)
    for _ in range(RESTORES):
        copy = cluster.database()
        try:
            if form == "plain":
                cluster.program("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", copy.name, "-f", dump)
            else:
                parallel = [] if form == "custom" else ["-j", "4"]
                done = cluster.program("pg_restore", "--exit-on-error", *parallel, "-d", copy.name, dump, check=False)
                assert done.returncode == 0, done.stderr
            assert relations(copy, synced.schema) == TOPICS
        finally:
            cluster.drop(copy)


def copies(cluster, synced, kind):
    if kind == "template":
        synced.db.connection.close()
        name = synced.db.name + "_copy"
        cluster.administer(f'CREATE DATABASE "{name}" TEMPLATE "{synced.db.name}"')
        synced.db.connection = synced.db.connect()
        database = type(synced.db)(name, **cluster.connect)
    else:
        database = cluster.database()
        dump = cluster.program("pg_dump", synced.db.name).stdout
        cluster.program("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database.name, input=dump)
    return database


@pytest.mark.parametrize("kind", ["template", "restore"])
@pytest.mark.parametrize("adopt", ["CALL redshift.adopt('{work}.v')", "CALL redshift.sync_external_schema('{schema}')"])
def test_a_copied_schema_follows_its_brokers_when_it_is_adopted(cluster, synced, kind, adopt):
    wait_until(lambda: relations(synced.db, synced.schema) == TOPICS, 10, "the relations")
    copy = copies(cluster, synced, kind)
    try:
        # A worker runs there.
        other = Stage(copy, synced.kafka)
        other.view(other.topic(1), options=AUTO)
        synced.kafka.topic(name=f"{synced.prefix}_late")
        wait_until(lambda: relations(synced.db, synced.schema) == TOPICS + 1, 10, "the relation in the original")
        time.sleep(2)
        assert relations(copy, synced.schema) == TOPICS
        copy.run(adopt.format(work=synced.work, schema=synced.schema))
        wait_until(lambda: relations(copy, synced.schema) == TOPICS + 1, 10, "the relation in the copy")
        synced.kafka.topic(name=f"{synced.prefix}_later")
        wait_until(lambda: relations(copy, synced.schema) == TOPICS + 2, 10, "the next relation in the copy")
    finally:
        cluster.drop(copy)


def test_a_schema_made_by_hand_follows_after_the_first_call(cluster, synced):
    name = "hand" + secrets.token_hex(4)
    synced.db.run(f"CREATE SERVER {name} TYPE 'kafka' FOREIGN DATA WRAPPER redshift_streaming "
                  f"OPTIONS (uri '{synced.kafka.bootstrap}', topics '{synced.prefix}_*', sync 'auto')")
    synced.db.run(f"CREATE SCHEMA {name}")
    time.sleep(2)
    assert relations(synced.db, name) == 0
    synced.db.run(f"CALL redshift.sync_external_schema('{name}')")
    synced.kafka.topic(name=f"{synced.prefix}_late")
    wait_until(lambda: relations(synced.db, name) == TOPICS + 1, 10, "the relation")
    synced.db.run(f"DROP SCHEMA {name} CASCADE")
    assert synced.db.value("SELECT count(*) FROM redshift.external_schema") == 1


REPLICA = "SET session_replication_role = replica"


@pytest.mark.parametrize("statement", ["DROP MATERIALIZED VIEW v", "DROP TABLE v CASCADE", "DROP SCHEMA {work} CASCADE", "DROP OWNED BY CURRENT_USER"])
def test_a_view_is_forgotten_in_every_role_of_a_session(cluster, synced, role, statement):
    """Triggers of a replica do not fire unless they are always enabled."""
    database = synced.db
    if "OWNED" in statement:
        owner = role()
        database.run(f"ALTER MATERIALIZED VIEW v OWNER TO {owner}")
        statement = statement.replace("CURRENT_USER", owner)
    database.run(REPLICA)
    database.run(statement.format(work=synced.work))
    for table in ("materialized_view", "checkpoint"):
        assert database.value(f"SELECT count(*) FROM redshift.{table}") == 0, table


def test_what_no_trigger_saw_is_removed_later_and_not_dumped(cluster, synced):
    """As where event triggers are off: the table is gone, or its OID is another relation's by now."""
    database = synced.db
    database.run("SET client_min_messages = error")
    for name in ("gone", "taken"):
        synced.view(f"{synced.prefix}_1", name=name)
        synced.refresh(name)
    database.run("CREATE TABLE innocent (a int)")
    database.run("ALTER EVENT TRIGGER redshift_streaming_drop DISABLE")
    database.run("DROP TABLE gone")
    database.run("UPDATE redshift.materialized_view SET mv = 'innocent'::regclass WHERE mv = 'taken'::regclass")
    database.run("ALTER EVENT TRIGGER redshift_streaming_drop ENABLE ALWAYS")
    dump = cluster.program("pg_dump", "--data-only", database.name).stdout
    registered = dump.split("COPY redshift.materialized_view ")[1].split("\n\\.")[0]
    assert registered.count("\n") == 1 and f"{synced.work}.v" in registered, registered
    positions = dump.split("COPY redshift.checkpoint ")[1].split("\n\\.")[0]
    assert positions.count("\n") == 1, positions
    database.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'redshift_streaming worker' AND datname = current_database()")
    count = lambda: database.value("SELECT count(*) FROM redshift.materialized_view")
    wait_until(lambda: count() == 1, 20, "the end of the registrations")
    assert database.value("SELECT count(*) FROM redshift.checkpoint") == 1
    assert database.value("SELECT count(*) FROM innocent") == 0
    database.run("CALL redshift.adopt('v')")
    assert count() == 1
