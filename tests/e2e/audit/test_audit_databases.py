"""Statements on whole databases, and many databases: nobody keeps the workers of another one away."""

import contextlib
import secrets
import threading
import time

import psycopg
import pytest
from server import Server
from stage import Database, Stage, wait_until
from test_auto_refresh import AUTO, landed, spread, status

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def followed(cluster, kafka):
    """A view under auto refresh in a database of its own."""
    stage = follow(cluster.database(), kafka)
    yield stage
    cluster.drop(stage.db)


def follow(database, kafka):
    database.run("CREATE EXTENSION redshift_streaming")
    stage = Stage(database, kafka)
    stage.topic_name = stage.topic(2)
    stage.expected = kafka.produce(stage.topic_name, spread(10))
    stage.view(stage.topic_name, options=AUTO)
    return stage


def worker(stage):
    return stage.db.value("SELECT max(pid) FROM pg_stat_activity WHERE backend_type = 'redshift_streaming worker' AND datname = current_database()")


@contextlib.contextmanager
def repeated(connection, statements):
    """The statements one after the other, over and over, in a session of their own; .refused counts them by SQLSTATE."""
    stop, refused = threading.Event(), {}

    def run():
        while not stop.is_set():
            for statement in statements:
                try:
                    connection.execute(statement)
                except psycopg.Error as error:
                    refused.setdefault(statement, set()).add(error.sqlstate)
                else:
                    refused.setdefault(statement, set()).add("00000")

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield refused
    finally:
        stop.set()
        thread.join()
        connection.close()


@contextlib.contextmanager
def user(cluster, attributes):
    name = "user_" + secrets.token_hex(4)
    cluster.administer(f"CREATE ROLE {name} LOGIN PASSWORD 'x' {attributes}")
    try:
        yield name, lambda **settings: psycopg.connect(**(cluster.connect | {"user": name, "password": "x", "dbname": "postgres", "autocommit": True} | settings))
    finally:
        cluster.administer(f"DROP ROLE {name}")


def delays(stage, rounds):
    """How long records take to land, a few one after the other."""
    taken = []
    for _ in range(rounds):
        began = time.monotonic()
        stage.expected |= stage.kafka.produce(stage.topic_name, spread(2))
        wait_until(lambda: stage.db.value("SELECT count(*) FROM v") == len(stage.expected), 20, "the records")
        taken.append(time.monotonic() - began)
        time.sleep(0.1)
    return taken


def test_what_is_refused_stops_no_worker(cluster, followed):
    landed(followed, followed.expected)
    name, pid = followed.db.name, worker(followed)
    statements = [
        f'DROP DATABASE "{name}"',
        f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)',
        f'ALTER DATABASE "{name}" RENAME TO stolen',
        f'ALTER DATABASE "{name}" SET TABLESPACE pg_default',
        f'ALTER DATABASE "{name}" CONNECTION LIMIT 1',
        f'CREATE DATABASE copied TEMPLATE "{name}"',
        f'DO $$ BEGIN EXECUTE \'ALTER DATABASE "{name}" RENAME TO stolen\'; END $$',
    ]
    with user(cluster, "CREATEDB") as (_, connect):
        session = connect()
        with repeated(session, statements) as refused:
            slowest = max(delays(followed, 15))
        assert all(refused[statement] == {"42501"} for statement in statements), refused
    assert slowest < 1, slowest
    assert worker(followed) == pid
    landed(followed, followed.expected)


def test_what_is_refused_to_the_owner_stops_no_worker(cluster, followed):
    landed(followed, followed.expected)
    name, pid = followed.db.name, worker(followed)
    with user(cluster, "") as (owner, connect):
        cluster.administer(f'ALTER DATABASE "{name}" OWNER TO {owner}')
        try:
            with repeated(connect(), [
                f'BEGIN; DROP DATABASE "{name}"', "ROLLBACK",
                f'BEGIN; CREATE DATABASE copied TEMPLATE "{name}"', "ROLLBACK",
                "SET default_transaction_read_only = on", f'DROP DATABASE "{name}"', "RESET default_transaction_read_only",
                f'CREATE DATABASE copied TEMPLATE "{name}"',
                f'ALTER DATABASE "{name}" RENAME TO moved',
                f'ALTER DATABASE "{name}" SET TABLESPACE pg_global',
                f'ALTER DATABASE "{name}" SET TABLESPACE nowhere',
                f'ALTER DATABASE "{name}" CONNECTION LIMIT 100',
            ]):
                slowest = max(delays(followed, 10))
        finally:
            cluster.administer(f'ALTER DATABASE "{name}" OWNER TO postgres')
    assert slowest < 1, slowest
    assert worker(followed) == pid


def test_after_a_statement_that_fails_the_workers_come_back_at_once(cluster, followed):
    """A session is in the way: Postgres waits for it for 5 seconds, then gives up."""
    landed(followed, followed.expected)
    drop = f'DROP DATABASE "{followed.db.name}"'
    # Who is ended in the middle lets go as well.
    with in_a_session(cluster, drop) as pid:
        wait_until(lambda: worker(followed) is None, 20, "the end of the worker")
        cluster.administer(f"SELECT pg_terminate_backend({pid})")
    followed.expected |= followed.kafka.produce(followed.topic_name, spread(2))
    landed(followed, followed.expected, seconds=5)
    followed.expected |= followed.kafka.produce(followed.topic_name, spread(2))
    with pytest.raises(psycopg.Error) as error:
        cluster.administer(drop)
    assert error.value.sqlstate == "55006"
    landed(followed, followed.expected, seconds=3)
    # A second one waits as long as the first one took: whoever repeats it does not keep the workers away.
    with in_a_session(cluster, drop) as pid:
        assert max(delays(followed, 10)) < 1
        cluster.administer(f"SELECT pg_cancel_backend({pid})")


@contextlib.contextmanager
def in_a_session(cluster, statement):
    """The statement in a session of its own, whatever becomes of it; gives the session's process."""
    session = Database("postgres", **cluster.connect).connection

    def run():
        with contextlib.suppress(psycopg.Error):
            session.execute(statement)

    thread = threading.Thread(target=run)
    thread.start()
    yield session.info.backend_pid
    thread.join()
    session.close()


def test_more_databases_than_slots(private_cluster, kafka):
    """Databases without views take nothing; of those with views the ones that have no room say why."""
    cluster = private_cluster(**{"redshift.max_databases": "2", "max_worker_processes": "12"})
    for _ in range(4):
        cluster.database().connection.close()
    time.sleep(2)
    stages = [follow(cluster.database(), kafka) for _ in range(2)]
    for stage in stages:
        landed(stage, stage.expected)
    third = follow(cluster.database(), kafka)
    wait_until(lambda: "redshift.max_databases" in (status(third)[1] or ""), 10, "the cause")
    assert status(third)[0] == "waiting for a worker"
    assert third.db.value("SELECT count(*) FROM v") == 0
    server = Server.of(cluster)
    for stage in (*stages, third):
        stage.db.connection.close()
    cluster.configure(**{"redshift.max_databases": "3"})
    for stage in (*stages, third):
        stage.db = Database(stage.db.name, **cluster.connect)
        stage.db.run(f"SET search_path = {stage.path}")
        landed(stage, stage.expected)
    assert "PANIC" not in server.log.read_text()


def test_a_place_that_becomes_free_is_taken(private_cluster, kafka):
    cluster = private_cluster(**{"redshift.max_databases": "1"})
    first = follow(cluster.database(), kafka)
    landed(first, first.expected)
    second = follow(cluster.database(), kafka)
    first.db.run("ALTER MATERIALIZED VIEW v SET (auto_refresh = off)")
    wait_until(lambda: worker(first) is None, 20, "the end of the worker")
    second.db.run("ALTER MATERIALIZED VIEW v SET (auto_refresh = off)")
    second.db.run("ALTER MATERIALIZED VIEW v SET (auto_refresh = on)")
    landed(second, second.expected)
