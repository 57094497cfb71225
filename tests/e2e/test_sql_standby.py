"""Streams that the database keeps itself, on standbys, after promotion and recovery to a point in time: records, offsets, rows and positions of one moment."""

import contextlib
import itertools
import threading
import time

import psycopg
import pytest
from server import Server
from stage import Stage, wait_until
from test_auto_refresh import AUTO, status
from test_failover import at, caught_up, positions_fit_rows, running

# Each needs a few servers one after the other.
pytestmark = [pytest.mark.timeout(240), pytest.mark.embedded_only("no broker is needed")]


def prepared(cluster):
    """A cluster of its own: stream s.orders with view v that follows it, stream s.quiet with view w that is refreshed by hand."""
    database = cluster.database("mydb")
    database.run("CREATE EXTENSION redshift_streaming")
    stage = Stage(database, None)
    stage.server = Server.of(cluster)
    for stream, view, options in (("orders", "v", f"WITH ({AUTO})"), ("quiet", "w", "")):
        database.run(f"CALL redshift.create_stream('s.{stream}', partitions => 3)")
        add(database.connection, words("first", 30), stream)
        database.run(f"CREATE MATERIALIZED VIEW {view} {options} AS "
                     f"SELECT kafka_partition, kafka_offset, from_varbyte(kafka_value, 'utf8') AS value FROM s.{stream}")
    stage.refresh("w")
    landed(stage)
    return stage


def words(word, count):
    return [f"{word} {n}" for n in range(count)]


def add(session, values, stream="orders"):
    session.execute(f"INSERT INTO s.{stream} (kafka_key, kafka_value) SELECT v::text, v::text FROM unnest(%s::text[]) AS v", (values,))


def records(stage, stream="orders"):
    """{(partition, offset): value}"""
    rows = stage.db.rows(f"SELECT kafka_partition, kafka_offset, from_varbyte(kafka_value, 'utf8') FROM s.{stream}")
    places = {(partition, offset): value for partition, offset, value in rows}
    assert len(places) == len(rows)
    return places


def add_to_both(session, values):
    for stream in ("orders", "quiet"):
        add(session, values, stream)


def values_of(stage, view):
    return sorted(stage.db.column(f"SELECT value FROM {view}"))


def landed(stage, seconds=30):
    """Waits until v has as many rows as its stream has records."""
    count = stage.db.value("SELECT count(*) FROM s.orders")
    wait_until(lambda: stage.db.value("SELECT count(*) FROM v") >= count, seconds, f"{count} records in v ({status(stage)})")


def exactly(stage, expected, view, stream):
    """The view has each of these values once, at the place that it has in the stream."""
    places = records(stage, stream)
    assert sorted(places.values()) == sorted(expected)
    assert sorted(stage.db.rows(f"SELECT kafka_partition, kafka_offset, value FROM {view}")) == sorted((*place, value) for place, value in places.items())
    pending = "SELECT count(*) FROM redshift.visible_checkpoint WHERE mv = %s::regclass AND pending_since IS NOT NULL"
    wait_until(lambda: stage.db.value(pending, view) == 0, 10, "the ledger")
    stage.count_exactly_once(set(places), view)
    positions_fit_rows(stage, view)


def both_exactly(stage, expected):
    landed(stage)
    stage.refresh("w")
    exactly(stage, expected, "v", "orders")
    exactly(stage, expected, "w", "quiet")


class Writers:
    """Sessions that add the same values to both streams in one transaction, and roll back each fourth."""

    def __init__(self, server, word, count=3):
        self.server, self.word = server, word
        self.acknowledged, self.in_flight = [], {}
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(number,), daemon=True) for number in range(count)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self._stopped.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _write(self, number):
        # Until the server goes away.
        with contextlib.suppress(psycopg.OperationalError), self.server.connect("mydb") as session:
            for turn in itertools.count():
                if self._stopped.is_set():
                    return
                is_undone = turn % 4 == 0
                values = words(f"{'undone' if is_undone else self.word} {number} {turn}", 1 + turn % 5)
                self.in_flight[number] = values
                session.execute("BEGIN")
                add_to_both(session, values)
                session.execute("ROLLBACK" if is_undone else "COMMIT")
                self.in_flight[number] = []
                if not is_undone:
                    self.acknowledged += values
                time.sleep(0.002)


def test_a_standby_shows_what_the_primary_has_numbered(private_cluster):
    stage = prepared(private_cluster())
    standby = stage.server.base_backup("standby", "-R")
    with running(standby):
        there = at(stage, standby)
        caught_up(stage, there.db)
        assert there.db.value("SELECT pg_is_in_recovery()")
        assert records(there) == records(stage) and len(records(there)) == 30
        assert values_of(there, "v") == values_of(there, "w") == sorted(words("first", 30))

        # Added, and looked at by nobody; then somebody looks at the primary.
        add(stage.db.connection, words("second", 20), "quiet")
        caught_up(stage, there.db)
        assert len(records(there, "quiet")) == 30
        assert there.db.value("SELECT sum(lag_records) FROM redshift.stream_lag WHERE mv_name = 'w'") == 0
        numbered = records(stage, "quiet")
        assert len(numbered) == 50
        wait_until(lambda: len(records(there, "quiet")) == 50, 20, "the numbers on the standby")
        assert records(there, "quiet") == numbered
        assert there.db.value("SELECT sum(lag_records) FROM redshift.stream_lag WHERE mv_name = 'w'") == 20
        assert values_of(there, "w") == sorted(words("first", 30))

        # What the primary's view follows arrives with its rows.
        add(stage.db.connection, words("second", 20))
        landed(stage)
        caught_up(stage, there.db)
        assert values_of(there, "v") == sorted(records(there).values()) == sorted(words("first", 30) + words("second", 20))
        assert there.db.value("SELECT bool_and(ok) FROM redshift.verify('v')")


def test_reading_a_standby_while_records_come(private_cluster):
    """Each look shows the beginning of each partition, without holes, and no place ever holds another record."""
    stage = prepared(private_cluster())
    standby = stage.server.base_backup("standby", "-R")
    with running(standby):
        there = at(stage, standby)
        seen, looks = {}, 0
        with Writers(stage.server, "more") as writers:
            until = time.monotonic() + 5
            while time.monotonic() < until:
                now = records(there)
                assert seen.items() <= now.items()
                for partition in range(3):
                    offsets = sorted(offset for of, offset in now if of == partition)
                    assert offsets == list(range(len(offsets)))
                looks += len(now) > len(seen)
                seen = now
        assert looks > 10
        end = records(stage)
        assert sorted(end.values()) == sorted(words("first", 30) + writers.acknowledged)
        wait_until(lambda: records(there) == end, 20, "the rest on the standby")


def test_a_standby_takes_no_records(private_cluster):
    stage = prepared(private_cluster())
    standby = stage.server.base_backup("standby", "-R")
    with running(standby):
        there = at(stage, standby)
        caught_up(stage, there.db)
        for sql in ("INSERT INTO s.orders (kafka_value) VALUES ('x'::text)", "COPY s.orders (kafka_value) FROM PROGRAM 'echo 41'",
                    "REFRESH MATERIALIZED VIEW w", "CALL redshift.create_stream('s.other')", "CALL redshift.drop_stream('s.orders')",
                    "CALL redshift.alter_stream('s.orders', partitions => 9)", "CALL redshift.trim_stream('s.orders', keep_bytes => 1)",
                    "CALL redshift.stream_fault('s.orders', 'loss')"):
            with pytest.raises(psycopg.Error) as error:
                there.db.run(sql)
            assert isinstance(error.value, psycopg.errors.ReadOnlySqlTransaction), f"{sql}: {error.value!r}"
            assert "read-only transaction" in str(error.value) or "recovery" in str(error.value), f"{sql}: {error.value}"
        # The session is as it was, and nothing is left for after the promotion.
        assert len(records(there)) == 30
        standby.promote()
        there = at(stage, standby)
        both_exactly(there, words("first", 30))


@pytest.mark.parametrize("durability", ["off", "on", "remote_apply"])
def test_a_promoted_standby_goes_on_exactly(private_cluster, durability):
    """With synchronous_commit off and on it may miss the last transactions: records, rows and positions alike."""
    stage = prepared(private_cluster())
    standby = stage.server.base_backup("standby", "-R")
    with running(standby):
        # One that stays prepared, and one that stays open and goes with its server.
        session = stage.db.connect()
        session.execute("BEGIN")
        add_to_both(session, words("prepared", 5))
        session.execute("PREPARE TRANSACTION 'both'")
        session.execute("BEGIN")
        add_to_both(session, words("open", 5))
        with Writers(stage.server, "before") as before:
            wait_until(lambda: len(before.acknowledged) > 100, 20, "records")
            early = list(before.acknowledged)
            caught_up(stage, at(stage, standby).db)
            stage.server.configure(synchronous_commit=durability, synchronous_standby_names="*" if durability == "remote_apply" else "")
            stage.db.value("SELECT pg_reload_conf()")
            time.sleep(0.5)
            for _ in range(5):
                stage.refresh("w")
            stage.server.stop("immediate")
        standby.promote()
        there = at(stage, standby)
        positions_fit_rows(there, "w")
        found, first = records(there), set(words("first", 30))
        here = set(found.values())
        assert len(here) == len(found)
        assert first | set(before.acknowledged if durability == "remote_apply" else early) <= here
        # Of what was being committed when the server went away either is right.
        in_doubt = {value for values in before.in_flight.values() for value in values if not value.startswith("undone")}
        assert here <= first | set(before.acknowledged) | in_doubt
        # Both streams of each transaction.
        quiet = records(there, "quiet")
        assert sorted(quiet.values()) == sorted(here)
        with Writers(standby, "after") as after:
            wait_until(lambda: len(after.acknowledged) > 100, 20, "records")
            there.refresh("w")
            there.db.run("COMMIT PREPARED 'both'")
            time.sleep(0.3)
        both_exactly(there, [*here, *after.acknowledged, *words("prepared", 5)])
        assert found.items() <= records(there).items() and quiet.items() <= records(there, "quiet").items()
        assert status(there)[0] == "running"


def test_what_a_standby_has_missed_is_missing_everywhere(private_cluster):
    """Its stream ends where its rows end; what comes next takes the offsets that others had on the lost primary."""
    stage = prepared(private_cluster())
    standby = stage.server.base_backup("standby", "-R")
    with running(standby):
        caught_up(stage, at(stage, standby).db)
    missed = words("missed", 50)
    add_to_both(stage.db.connection, missed)
    landed(stage)
    stage.refresh("w")
    exactly(stage, words("first", 30) + missed, "v", "orders")
    stage.server.stop("immediate")
    with running(standby):
        standby.promote()
        there = at(stage, standby)
        both_exactly(there, words("first", 30))
        add_to_both(there.db.connection, words("next", 50))
        both_exactly(there, words("first", 30) + words("next", 50))


def test_recovery_to_a_point_in_time(private_cluster):
    cluster = private_cluster()
    archive = Server.of(cluster).make_directory("archive")
    cluster.configure(archive_mode="on", archive_command=f"cp %p {archive}/%f")
    stage = prepared(cluster)
    open_session = stage.db.connect()
    backup = stage.server.base_backup("backup")
    expected, targets = words("first", 30), {}
    # One that is prepared before all targets, and committed behind them.
    open_session.execute("BEGIN")
    add_to_both(open_session, words("prepared", 5))
    open_session.execute("PREPARE TRANSACTION 'both'")
    for kind, sql in (
        ("name", "SELECT pg_create_restore_point('here')"),
        ("lsn", "SELECT pg_current_wal_insert_lsn()::text"),
        ("time", "SELECT clock_timestamp()::text"),
    ):
        # Loaded, added and not loaded, added and not committed.
        add_to_both(stage.db.connection, words(f"{kind} loaded", 20))
        stage.refresh("w")
        add_to_both(stage.db.connection, words(f"{kind} waiting", 20))
        landed(stage)
        in_w = values_of(stage, "w")
        open_session.execute("BEGIN")
        add_to_both(open_session, words(f"{kind} open", 400))
        expected = expected + words(f"{kind} loaded", 20) + words(f"{kind} waiting", 20)
        places = records(stage)
        point = stage.db.value(sql)
        targets[kind] = ("here" if kind == "name" else point, expected, in_w, places)
        time.sleep(0.1)
        open_session.execute("COMMIT")
        expected = expected + words(f"{kind} open", 400)
    stage.db.run("COMMIT PREPARED 'both'")
    both_exactly(stage, expected + words("prepared", 5))
    file = stage.db.value("SELECT pg_walfile_name(pg_switch_wal())")
    wait_until(lambda: (stage.db.value("SELECT last_archived_wal FROM pg_stat_archiver") or "") >= file, 20, "the archive")
    stage.server.stop("immediate")
    for kind, (target, then, in_w, places) in targets.items():
        restored = backup.copy(f"restored_{kind}")
        # Without the workers first: the copy shows the moment, and nothing loads.
        restored.configure(restore_command=f"cp {archive}/%f %p", recovery_target_action="promote", archive_mode="off",
                           shared_preload_libraries="", **{f"recovery_target_{kind}": target})
        restored.signal("recovery.signal")
        with running(restored):
            wait_until(lambda: not restored.value("SELECT pg_is_in_recovery()"), 30, "the end of recovery")  # noqa: B023
            there = at(stage, restored)
            assert values_of(there, "v") == sorted(then), kind
            assert values_of(there, "w") == in_w, kind
            for view in "vw":
                positions_fit_rows(there, view)
        restored.configure(shared_preload_libraries="redshift_streaming")
        with running(restored):
            there = at(stage, restored)
            assert records(there) == places
            both_exactly(there, then)
            there.db.run("COMMIT PREPARED 'both'")
            add_to_both(there.db.connection, words("after", 20))
            both_exactly(there, then + words("prepared", 5) + words("after", 20))
