"""Processes that cannot end: locks that one holds itself, a postmaster that is gone."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time

import pytest
from server import Server
from stage import Database, wait_until
from test_audit_databases import follow
from test_auto_refresh import landed, spread

pytestmark = pytest.mark.timeout(180)

CATCHING_CALLBACK = """
#include "postgres.h"
#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
PG_MODULE_MAGIC;
void _PG_init(void);
/* What another extension may do: an error in a callback of the commit, caught there. It resets InterruptHoldoffCount inside of CommitTransaction. */
static void at_end(XactEvent event, void *argument)
{
    MemoryContext context = CurrentMemoryContext;
    if (event != XACT_EVENT_COMMIT)
        return;
    /* Postgres's own processes could not be ended any more. */
    if (MyBackendType != B_BACKEND && (!MyBgworkerEntry || strncmp(MyBgworkerEntry->bgw_type, "redshift_streaming", 18)))
        return;
    PG_TRY();
    {
        ereport(ERROR, (errmsg("caught in a callback")));
    }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        FlushErrorState();
    }
    PG_END_TRY();
}
void _PG_init(void)
{
    RegisterXactCallback(at_end, NULL);
}
"""


@pytest.fixture
def catching_callback(tmp_path, cluster):
    """A library for shared_preload_libraries, compiled against the server's headers."""
    source, library = tmp_path / "callback.c", pathlib.Path(f"/tmp/redshift_callback_{time.monotonic_ns()}.so")
    source.write_text(CATCHING_CALLBACK)
    system = pathlib.Path(os.environ.get("PG_BIN", "/usr/lib/postgresql/15/bin")) / "pg_config"
    include = subprocess.run([system, "--includedir-server"], check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run(["cc", "-shared", "-fPIC", f"-I{include}", "-o", library, source], check=True)
    yield library
    library.unlink()


def processes(stage):
    return stage.db.column("SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'redshift_streaming%'")


def test_an_error_caught_at_a_commit_leaves_no_lock_behind(private_cluster, kafka, catching_callback):
    stage = follow((cluster := private_cluster(shared_preload_libraries=f"redshift_streaming, {catching_callback}")).database(), kafka)
    landed(stage, stage.expected)
    for _ in range(5):
        stage.db.run("ALTER MATERIALIZED VIEW v SET (batch_records = 5)")
        stage.db.run("ALTER MATERIALIZED VIEW v RESET (batch_records)")
        stage.expected |= kafka.produce(stage.topic_name, spread(10))
        landed(stage, stage.expected)
    before = processes(stage)
    stage.db.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type LIKE 'redshift_streaming%'")
    wait_until(lambda: not set(before) & set(processes(stage)), 10, "the end of the processes")
    stage.expected |= kafka.produce(stage.topic_name, spread(10))
    landed(stage, stage.expected)
    stage.db.connection.close()
    assert Server.of(cluster).stop() < 15


def alive(pid):
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        os.kill(pid, 0)
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def test_nothing_outlives_the_postmaster(private_cluster, kafka):
    """While a worker loads all the time, so that it never sleeps."""
    cluster = private_cluster(**{"redshift.commit_window_ms": "0", "redshift.batch_records": "20", "redshift.query_history": "all"})
    stage = follow(cluster.database(), kafka)
    landed(stage, stage.expected)
    stage.db.run("ALTER MATERIALIZED VIEW v SET (auto_refresh = off)")
    stage.expected |= kafka.produce(stage.topic_name, [{"value": b"x", "partition": i % 2} for i in range(20_000)])
    stage.db.run("ALTER MATERIALIZED VIEW v SET (auto_refresh = on)")
    wait_until(lambda: stage.db.value("SELECT count(*) FROM v") > 10, 20, "the first batches")
    ours = processes(stage)
    assert len(ours) >= 3
    server = Server.of(cluster)
    postmaster = int((server.data / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGKILL)
    wait_until(lambda: not any(alive(pid) for pid in ours), 5, "the end of the processes")
    stage.db.connection.close()
    server.start()
    stage.db = Database(stage.db.name, **cluster.connect)
    stage.db.run(f"SET search_path = {stage.path}")
    landed(stage, stage.expected, seconds=60)


def test_a_worker_that_is_stopped_as_it_begins_is_replaced(stage):
    """Stopped before it has read the list of views, it must not leave behind that there is nothing to do: that cost a minute each time."""
    topic = stage.topic()
    stage.view(topic, options="auto_refresh = on")
    last = None
    for _ in range(10):
        pid = None

        def another():
            nonlocal pid
            pid = stage.db.value("SELECT pid FROM redshift.worker_status WHERE mv_name = 'v'")
            return pid not in (None, last)

        wait_until(another, 10, "another worker")
        os.kill(pid, signal.SIGTERM)
        last = pid
    expected = stage.kafka.produce(topic, [{"value": b"x"}] * 10)
    wait_until(lambda: set(stage.positions()) >= expected, 20)
    stage.count_exactly_once(expected)
