"""The workers in the life of a server: shutdowns, no process to be had, settings that change, commands on databases."""

import contextlib
import pathlib
import re
import socket
import subprocess
import time

import psycopg
import pytest
from server import Server
from stage import Database, Stage, wait_until
from test_auto_refresh import AUTO, landed, seen, spread, status
from test_failover import prepared, producing

pytestmark = [pytest.mark.timeout(180), pytest.mark.embedded_only("which broker it is does not matter")]

# A shutdown flushes what is dirty, and the machine may be busy: this much is still a worker that lets go at once.
SHUTDOWN_SECONDS = 15


def reconnect(stage):
    stage.db = Database(stage.db.name, **stage.server.arguments)
    stage.db.run(f"SET search_path = {stage.path}")


@pytest.mark.parametrize("mode", ["fast", "immediate", "smart"])
def test_the_server_stops_at_once_under_load_and_goes_on(private_cluster, kafka, mode):
    stage = prepared(private_cluster(), kafka)
    with producing(stage):
        for _ in range(2):
            time.sleep(1)
            stage.db.connection.close()
            assert stage.server.stop(mode) < SHUTDOWN_SECONDS
            stage.server.start()
            reconnect(stage)
    landed(stage, stage.expected, seconds=60)
    stage.refresh("w")
    stage.count_exactly_once(stage.expected, "w")


HANGING_RESOLVER = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>
/* The look-up of one name takes ten minutes, as it does where the name server is silent. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result) {
    int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");
    if (node && strstr(node, "hangs.invalid")) sleep(600);
    return next(node, service, hints, result);
}
"""


@pytest.fixture
def hanging_resolver(tmp_path):
    """A library that makes the look-up of hangs.invalid hang, for LD_PRELOAD."""
    source, library = tmp_path / "resolver.c", pathlib.Path(f"/tmp/redshift_resolver_{time.monotonic_ns()}.so")
    source.write_text(HANGING_RESOLVER)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    yield library
    library.unlink()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_broker_name_that_does_not_resolve_holds_up_no_shutdown(private_cluster, kafka, hanging_resolver, monkeypatch, mode):
    stage = prepared(private_cluster(), kafka)
    stage.db.connection.close()
    stage.server.stop()
    monkeypatch.setenv("LD_PRELOAD", str(hanging_resolver))
    stage.server.start()
    monkeypatch.delenv("LD_PRELOAD")
    reconnect(stage)
    # The broker moves to that name: the worker's client and a session's both hang in the look-up.
    stage.db.run("SET redshift.connect_timeout_ms = '1s'")
    began = time.monotonic()
    stage.db.run(f"ALTER SERVER {stage.schema} OPTIONS (SET uri 'hangs.invalid:9092')")
    with pytest.raises(psycopg.Error) as error:
        stage.refresh("w")
    assert time.monotonic() - began < 5, error.value
    seen(stage, "retrying", began, word="hangs.invalid")
    stage.db.connection.close()
    assert stage.server.stop(mode) < SHUTDOWN_SECONDS
    assert "terminated by signal 11" not in stage.server.log.read_text()
    stage.server.start()
    reconnect(stage)
    stage.db.run(f"ALTER SERVER {stage.schema} OPTIONS (SET uri '{kafka.bootstrap}')")
    stage.expected |= kafka.produce(stage.topic_name, spread(10))
    landed(stage, stage.expected, seconds=60)


def test_no_free_worker_process_is_said_and_overcome(private_cluster, kafka):
    # One for the launcher, one for a database.
    cluster = private_cluster(max_worker_processes="2", max_logical_replication_workers="0")
    first = prepared(cluster, kafka)
    second = Stage(cluster.database(), kafka)
    second.db.run("CREATE EXTENSION redshift_streaming")
    topic = second.topic(2)
    expected = kafka.produce(topic, spread(10))
    second.view(topic, options=AUTO)
    log = first.server.log
    wait_until(lambda: "no background worker is free" in log.read_text(), 20, "the complaint")
    time.sleep(3)
    assert status(second)[0] == "waiting for a worker"
    assert second.db.value("SELECT count(*) FROM v") == 0
    # Said again and again it would fill the log.
    assert len(re.findall("no background worker is free", log.read_text())) == 1
    first.expected |= kafka.produce(first.topic_name, spread(10))
    landed(first, first.expected)
    first.db.run("ALTER MATERIALIZED VIEW v SET (auto_refresh = off)")
    landed(second, expected, seconds=60)
    assert status(second)[0] == "running"


def test_changed_settings_act_after_a_reload(private_cluster, kafka):
    stage = prepared(private_cluster(track_commit_timestamp="on"), kafka)

    def commits():
        """Commits, while records arrive all the time for three seconds. A batch that is full does not wait: the first ones are small."""
        began = stage.db.value("SELECT clock_timestamp()")
        with producing(stage):
            time.sleep(3)
        landed(stage, stage.expected)
        return stage.db.value("SELECT count(DISTINCT xmin::text) FROM v WHERE pg_xact_commit_timestamp(xmin) > %s", began)

    pid = stage.db.value("SELECT pid FROM redshift.worker_status")
    assert commits() > 40
    stage.db.run("ALTER SYSTEM SET redshift.commit_window_ms = '1s'")
    stage.db.run("SELECT pg_reload_conf()")
    time.sleep(1.5)
    assert commits() < 16
    stage.db.run("ALTER SYSTEM RESET redshift.commit_window_ms")
    stage.db.run("SELECT pg_reload_conf()")
    time.sleep(1.5)
    assert commits() > 40
    assert stage.db.value("SELECT pid FROM redshift.worker_status") == pid


def test_the_worker_blocks_no_command_on_its_database(private_cluster, kafka):
    """While records arrive: copy, rename, move and drop the database, none of them by force."""
    cluster = private_cluster()
    stage = prepared(cluster, kafka)
    directory = stage.server.make_directory("space")
    cluster.administer(f"CREATE TABLESPACE elsewhere LOCATION '{directory}'")
    with producing(stage):
        time.sleep(0.5)
        stage.db.connection.close()
        for command in ('CREATE DATABASE copied TEMPLATE mydb', 'ALTER DATABASE mydb SET TABLESPACE elsewhere', 'ALTER DATABASE mydb RENAME TO moved'):
            began = time.monotonic()
            cluster.administer(command)
            assert time.monotonic() - began < 10, command
            time.sleep(0.5)
    stage.db.name = "moved"
    reconnect(stage)
    landed(stage, stage.expected, seconds=60)
    stage.db.connection.close()
    for name in ("moved", "copied"):
        began = time.monotonic()
        cluster.administer(f"DROP DATABASE {name}")
        assert time.monotonic() - began < 10, name
    wait_until(lambda: stage.server.value("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'redshift_streaming worker'") == 0, 10, "the end of the worker")


def test_the_extension_comes_goes_and_comes_while_the_server_runs(private_cluster, kafka):
    cluster = private_cluster()
    database = cluster.database("mydb")
    time.sleep(1)
    for _ in range(2):
        database.run("CREATE EXTENSION redshift_streaming")
        stage = Stage(database, kafka)
        topic = stage.topic(2)
        expected = kafka.produce(topic, spread(10))
        stage.view(topic, options=AUTO)
        landed(stage, expected)
        began = time.monotonic()
        database.run("SET client_min_messages = error")
        database.run("DROP EXTENSION redshift_streaming CASCADE")
        assert time.monotonic() - began < 10
        with contextlib.suppress(psycopg.Error):
            database.run(f"DROP SCHEMA {stage.schema} CASCADE")
        database.run(f"DROP SCHEMA {stage.work} CASCADE")
    log = Server.of(cluster).log.read_text()
    assert "PANIC" not in log and "terminated by signal" not in log


def test_a_restart_keeps_the_port_although_a_client_stays_connected(kafka, private_cluster):
    cluster = private_cluster()
    port = (cluster.run / "port").read_text()
    with socket.create_connection(("127.0.0.1", int(port))):
        cluster.restart()
        assert (cluster.run / "port").read_text() == port
