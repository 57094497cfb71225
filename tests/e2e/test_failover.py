"""Standbys, promotion and recovery to a point in time: a physical copy goes on at the exact record of its own state."""

import contextlib
import threading
import time

import psycopg
import pytest
from server import Server
from stage import Database, Stage, wait_until
from test_auto_refresh import AUTO, landed, spread, status

# Each needs a few servers one after the other.
pytestmark = [pytest.mark.timeout(240), pytest.mark.apache_only("proofs of exactly once are about the real broker")]


@contextlib.contextmanager
def producing(stage):
    """Records arrive all the time. What was acknowledged is in stage.expected afterwards."""
    stopped = threading.Event()

    def produce():
        while not stopped.is_set():
            stage.expected |= stage.kafka.produce(stage.topic_name, spread(20))
            time.sleep(0.01)

    thread = threading.Thread(target=produce, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(30)


def prepared(cluster, kafka):
    """A cluster of its own, in it a view v that follows its topic and a view w that is refreshed by hand."""
    database = cluster.database("mydb")
    database.run("CREATE EXTENSION redshift_streaming")
    stage = Stage(database, kafka)
    stage.server = Server.of(cluster)
    stage.topic_name = stage.topic(2)
    stage.expected = kafka.produce(stage.topic_name, spread(10))
    stage.view(stage.topic_name, options=AUTO)
    stage.view(stage.topic_name, "w")
    landed(stage, stage.expected)
    stage.refresh("w")
    return stage


def at(stage, server):
    """The same views, in a copy of the server."""
    there = Stage.__new__(Stage)
    there.__dict__.update(stage.__dict__)
    there.server, there.db = server, Database(stage.db.name, **server.arguments)
    there.db.run(f"SET search_path = {stage.path}")
    return there


@contextlib.contextmanager
def running(server):
    """The server runs; it is stopped at the end, whatever it is by then."""
    server.start()
    try:
        yield server
    finally:
        server.program("pg_ctl", "-D", server.data, "-m", "immediate", "-w", "stop", check=False)


def caught_up(stage, standby):
    """Waits until the standby shows what the primary shows now."""
    end = stage.db.value("SELECT pg_current_wal_flush_lsn()")
    wait_until(lambda: standby.value(f"SELECT pg_last_wal_replay_lsn() >= '{end}'"), 20, "the standby")


def positions_fit_rows(there, name="v"):
    """Rows and positions of one moment: the next offset of each partition is one past the last row."""
    rows = there.db.rows(f"SELECT kafka_partition::text, max(kafka_offset) + 1, count(*) FROM {name} GROUP BY 1 ORDER BY 1")
    stored = there.db.rows("SELECT partition_id, position::bigint FROM redshift.visible_checkpoint WHERE mv = %s::regclass ORDER BY 1", name)
    assert [(p, end) for p, end, _ in rows] == stored
    assert all(end == count for _, end, count in rows), rows


def test_a_standby_loads_nothing_and_shows_everything(private_cluster, kafka):
    stage = prepared(private_cluster(), kafka)
    with producing(stage):
        standby = stage.server.base_backup("standby", "-R")
        with running(standby):
            there = at(stage, standby)
            time.sleep(1)
            # Nothing of ours runs there.
            assert there.db.value("SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'redshift_streaming%'") == 0
            assert there.db.value("SELECT pg_is_in_recovery()")
            for sql in ("REFRESH MATERIALIZED VIEW w", "CALL redshift.refresh('w')", "CALL redshift.adopt('w')",
                        "CALL redshift.set_position('w', NULL, '0')", "ALTER MATERIALIZED VIEW v SET (auto_refresh = off)",
                        f"CALL redshift.sync_external_schema('{stage.schema}')", "DROP MATERIALIZED VIEW v",
                        f"CREATE MATERIALIZED VIEW x AS SELECT kafka_value FROM {stage.relation(stage.topic_name)}"):
                with pytest.raises(psycopg.Error) as error:
                    there.db.run(sql)
                assert isinstance(error.value, psycopg.errors.ReadOnlySqlTransaction), f"{sql}: {error.value}"
            # Every view can be read, and a topic too.
            for view in there.db.column("""SELECT c.oid::regclass::text FROM pg_depend AS d JOIN pg_class AS c ON c.oid = d.objid
                    WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'e' AND c.relkind IN ('v', 'r', 'S')
                      AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'redshift_streaming')"""):
                there.db.run(f"SELECT * FROM {view}")
            assert there.db.value(f"SELECT count(*) FROM {stage.relation(stage.topic_name)} WHERE kafka_offset < 3") == 6
            assert len(there.db.rows("SELECT * FROM redshift.stream_lag WHERE mv_name = 'v'")) == 2
            assert there.db.rows("SELECT state, pid FROM redshift.worker_status") == [("in recovery", None)]
            assert "in recovery" in there.db.value("SELECT redshift.status('v')")
            assert there.db.value("SELECT bool_and(ok) FROM redshift.verify('v')")
    landed(stage, stage.expected)
    assert status(stage)[0] == "running"


@pytest.mark.parametrize("durability", ["off", "on", "remote_apply"])
def test_a_promoted_standby_goes_on_at_the_exact_record(private_cluster, kafka, durability):
    """With synchronous_commit off and on the standby is asynchronous: it may miss a tail, which is loaded again. remote_apply waits for it."""
    stage = prepared(private_cluster(), kafka)
    standby = stage.server.base_backup("standby", "-R")
    with running(standby):
        with producing(stage):
            stage.server.configure(synchronous_commit=durability, synchronous_standby_names="*" if durability == "remote_apply" else "")
            stage.db.value("SELECT pg_reload_conf()")
            time.sleep(0.5)
            for _ in range(5):
                stage.refresh("w")
            shown = [stage.db.value(f"SELECT count(*) FROM {view}") for view in "vw"]
            stage.server.stop("immediate")
            standby.promote()
            there = at(stage, standby)
            if durability == "remote_apply":
                assert all(there.db.value(f"SELECT count(*) FROM {view}") >= n for view, n in zip("vw", shown))
            positions_fit_rows(there, "w")
            there.refresh("w")
            time.sleep(1)
        landed(there, stage.expected, seconds=60)
        there.refresh("w")
        there.count_exactly_once(stage.expected, "w")
        assert status(there)[0] == "running"


def test_a_standby_that_was_behind_loads_the_rest_itself(private_cluster, kafka):
    stage = prepared(private_cluster(), kafka)
    standby = stage.server.base_backup("standby", "-R")
    with running(standby):
        caught_up(stage, standby)
    behind = len(stage.expected)
    stage.expected |= kafka.produce(stage.topic_name, spread(50))
    landed(stage, stage.expected)
    stage.server.stop("immediate")
    with running(standby):
        there = at(stage, standby)
        assert there.db.value("SELECT count(*) FROM v") == behind
        positions_fit_rows(there)
        standby.promote()
        landed(there, stage.expected, seconds=60)
        there.refresh("w")
        there.count_exactly_once(stage.expected, "w")


def test_recovery_to_a_point_in_time(private_cluster, kafka):
    cluster = private_cluster()
    archive = Server.of(cluster).make_directory("archive")
    cluster.configure(archive_mode="on", archive_command=f"cp %p {archive}/%f")
    stage = prepared(cluster, kafka)
    backup = stage.server.base_backup("backup")
    targets = {}
    for kind, sql in (
        ("name", "SELECT pg_create_restore_point('here')"),
        ("lsn", "SELECT pg_current_wal_insert_lsn()::text"),
        ("time", "SELECT clock_timestamp()::text"),
    ):
        stage.expected |= kafka.produce(stage.topic_name, spread(30))
        landed(stage, stage.expected)
        point = stage.db.value(sql)
        targets[kind] = ("here" if kind == "name" else point, set(stage.expected))
        time.sleep(0.1)
    stage.expected |= kafka.produce(stage.topic_name, spread(30))
    landed(stage, stage.expected)
    file = stage.db.value("SELECT pg_walfile_name(pg_switch_wal())")
    wait_until(lambda: (stage.db.value("SELECT last_archived_wal FROM pg_stat_archiver") or "") >= file, 20, "the archive")
    stage.server.stop("immediate")
    for kind, (target, expected) in targets.items():
        restored = backup.copy(f"restored_{kind}")
        # Without the library first: the copy shows the moment, and nothing loads.
        restored.configure(restore_command=f"cp {archive}/%f %p", recovery_target_action="promote", archive_mode="off",
                           shared_preload_libraries="", **{f"recovery_target_{kind}": target})
        restored.signal("recovery.signal")
        with running(restored):
            wait_until(lambda: not restored.value("SELECT pg_is_in_recovery()"), 30, "the end of recovery")  # noqa: B023
            there = at(stage, restored)
            assert set(there.positions()) == expected, kind
            positions_fit_rows(there)
        restored.configure(shared_preload_libraries="redshift_streaming")
        with running(restored):
            there = at(stage, restored)
            landed(there, stage.expected, seconds=60)
            there.refresh("w")
            there.count_exactly_once(stage.expected, "w")


def test_a_physical_copy_can_be_made_to_wait_for_adopt(private_cluster, kafka):
    """A second server of the same system identifier: nothing tells it from the first one, so its operator does."""
    stage = prepared(private_cluster(), kafka)
    clone = stage.server.base_backup("clone")
    clone.configure(shared_preload_libraries="")
    with running(clone):
        with clone.connect("mydb") as session:
            session.execute("UPDATE redshift.materialized_view SET origin = NULL")
    clone.configure(shared_preload_libraries="redshift_streaming")
    with running(clone):
        there = at(stage, clone)
        stage.expected |= kafka.produce(stage.topic_name, spread(10))
        landed(stage, stage.expected)
        time.sleep(1.5)
        assert there.db.value("SELECT count(*) FROM v") == 10
        assert status(there)[0] == "restored"
        with pytest.raises(psycopg.Error) as error:
            there.refresh("w")
        assert error.value.sqlstate == "RS004"
        there.db.run("CALL redshift.adopt('v')")
        landed(there, stage.expected)
