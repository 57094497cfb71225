"""Auto refresh of streams of Kinesis: what arrives lands, whatever is split, throttled or killed meanwhile. Every test ends by counting."""

import json
import os
import secrets
import signal
import threading
import time

import psycopg
import pytest
from kinesis import THROTTLED, UNAVAILABLE, Cut
from stage import wait_until
from test_ingest_workers import setting

AUTO = "auto_refresh = on"


def landed(stage, produced, name="v", seconds=40):
    wait_until(lambda: set(stage.positions(name)) >= produced, seconds, f"{len(produced)} records")
    stage.count_exactly_once(produced, name)


def state(stage, name="v"):
    rows = stage.db.rows("SELECT state, last_error FROM redshift.worker_status WHERE mv_name = %s AND schema_name = %s", name, stage.work)
    return rows[0] if rows else (None, None)


def test_what_arrives_lands(streams):
    stream = streams.stream(2)
    streams.view(stream, options=AUTO)
    produced = set()
    for n in range(5):
        produced |= streams.kinesis.produce(stream, [{"n": n, "i": i} for i in range(60)])
        time.sleep(0.3)
    landed(streams, produced)
    wait_until(lambda: state(streams)[0] == "running")
    # The ledger is written a little later, and says the same.
    wait_until(lambda: streams.db.value("SELECT sum(scanned) FROM redshift.verify('v')") == 300)
    lag = streams.db.rows("SELECT lag_records, lag_seconds FROM redshift.stream_lag WHERE mv_name = 'v' AND schema_name = %s", streams.work)
    assert lag == [(None, 0.0)] * 2
    assert "lag:" in streams.db.value("SELECT redshift.status('v')")


def test_a_record_after_a_pause_lands_soon(streams):
    stream = streams.stream()
    streams.view(stream, options=AUTO)
    wait_until(lambda: state(streams)[0] == "running")
    waits = []
    produced = set()
    for _ in range(5):
        time.sleep(0.7)
        began = time.monotonic()
        produced |= streams.kinesis.produce(stream, [b"x"])
        wait_until(lambda: len(streams.positions()) == len(produced))
        waits.append(time.monotonic() - began)
    assert min(waits) < 1.5, waits
    streams.count_exactly_once(produced)


def test_two_views_of_one_stream(streams):
    stream = streams.stream(2)
    streams.view(stream, "v", options=AUTO)
    produced = streams.kinesis.produce(stream, [b"x"] * 100)
    streams.view(stream, "w", options=AUTO)
    produced |= streams.kinesis.produce(stream, [b"y"] * 100)
    landed(streams, produced, "v")
    landed(streams, produced, "w")


def test_split_and_merge(streams):
    stream = streams.stream(2)
    streams.view(stream, options=AUTO)
    produced = streams.kinesis.produce(stream, [b"x"] * 60)
    left, right = streams.kinesis.split(stream, "shardId-000000000000")
    produced |= streams.kinesis.produce(stream, [b"y"] * 60)
    (merged,) = streams.kinesis.merge(stream, left, right)
    produced |= streams.kinesis.produce(stream, [b"z"] * 60)
    streams.kinesis.merge(stream, merged, "shardId-000000000001")
    produced |= streams.kinesis.produce(stream, [b"w"] * 60)
    landed(streams, produced)
    wait_until(lambda: sum(drained for _, drained in streams.checkpoints().values()) == 5)
    assert len(streams.checkpoints()) == 6


def test_a_refresh_by_hand_and_a_moved_position(streams):
    stream = streams.stream()
    streams.view(stream, options=AUTO)
    produced = streams.kinesis.produce(stream, [b"x"] * 30)
    for _ in range(5):
        streams.refresh()
        produced |= streams.kinesis.produce(stream, [b"y"] * 10)
    landed(streams, produced)
    shard, number = sorted(produced, key=lambda p: int(p[1]))[9]
    with streams.db.connection.transaction():
        for _ in range(50):
            try:
                with streams.db.connection.transaction():
                    streams.db.run("CALL redshift.set_position('v', %s, %s)", shard, number)
                break
            except psycopg.errors.ObjectInUse:
                time.sleep(0.05)
        streams.db.run("DELETE FROM v WHERE sequence_number::numeric > %s", number)
    wait_until(lambda: set(streams.positions()) >= produced)
    streams.count_exactly_once(produced)


def test_a_bad_record_stops_the_view_and_says_why(streams):
    stream = streams.stream()
    streams.view(stream, columns="shard_id, sequence_number, json_parse(kinesis_data) AS d", options=AUTO)
    good = streams.kinesis.produce(stream, [{"n": n} for n in range(10)])
    landed(streams, good)
    ((shard, number),) = streams.kinesis.produce(stream, [b"{broken"])
    wait_until(lambda: state(streams)[0] == "retrying")
    later = streams.kinesis.produce(stream, [{"n": 1}])
    wait_until(lambda: state(streams)[0] == "retrying")
    assert state(streams)[1]
    for _ in range(100):
        try:
            streams.db.run("CALL redshift.set_position('v', %s, %s)", shard, number)
            break
        except psycopg.errors.ObjectInUse:
            time.sleep(0.05)
    wait_until(lambda: set(streams.positions()) == good | later, 60)


def test_a_service_that_is_throttled_or_away_is_shown_and_lasts(faulty, proxy):
    stream = faulty.stream(2)
    faulty.view(stream, options=AUTO)
    produced = faulty.kinesis.produce(stream, [b"x"] * 30)
    landed(faulty, produced)
    for fault, shown, word in ((THROTTLED, "throttled", "ProvisionedThroughputExceeded"), (UNAVAILABLE, "retrying", "ServiceUnavailable")):
        proxy.fail(fault)
        wait_until(lambda: state(faulty)[0] == shown and word in (state(faulty)[1] or ""), 5, word)
        produced |= faulty.kinesis.produce(stream, [b"y"] * 30)
        proxy.clear()
        landed(faulty, produced)
        wait_until(lambda: state(faulty)[0] == "running")


def test_a_service_that_does_not_answer_is_shown(faulty, proxy):
    stream = faulty.stream()
    faulty.view(stream, options=AUTO)
    produced = faulty.kinesis.produce(stream, [b"x"] * 30)
    landed(faulty, produced)
    wait_until(lambda: state(faulty) == ("running", None))
    held = threading.Event()
    proxy.before.append(lambda *_: held.wait(30))
    wait_until(lambda: state(faulty)[0] == "retrying" and "no answer" in state(faulty)[1], 5, "the state")
    held.set()
    proxy.clear()
    produced |= faulty.kinesis.produce(stream, [b"y"] * 30)
    landed(faulty, produced, seconds=5)
    wait_until(lambda: state(faulty)[0] == "running", 5)


def test_answers_that_are_cut_now_and_then(faulty, proxy):
    stream = faulty.stream(2)
    faulty.view(stream, options=AUTO)
    seen = {"n": 0}

    def cut(action, request, answer):
        seen["n"] += 1
        if seen["n"] % 3 == 0:
            raise Cut

    proxy.after.append(cut)
    produced = set()
    for _ in range(6):
        produced |= faulty.kinesis.produce(stream, [b"x"] * 40)
        time.sleep(0.3)
    proxy.clear()
    landed(faulty, produced)


def test_a_stream_that_was_re_created_is_said(streams):
    stream = streams.stream()
    streams.view(stream, options=AUTO)
    produced = streams.kinesis.produce(stream, [b"x"] * 10)
    landed(streams, produced)
    streams.kinesis.recreate(stream)
    new = streams.kinesis.produce(stream, [b"y"] * 10)
    wait_until(lambda: "re-created" in (state(streams)[1] or ""), 40, "the error")
    streams.db.run("CALL redshift.set_position('v', NULL, 'earliest')")
    wait_until(lambda: set(streams.positions()) == produced | new, 60)
    streams.count_exactly_once(produced | new)


@pytest.mark.parametrize("kill", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_worker_loses_nothing(private_cluster, kinesis, kill):
    from stage import StreamStage

    cluster = private_cluster()
    database = cluster.database()
    database.run("CREATE EXTENSION redshift_streaming")
    stage = StreamStage(database, kinesis)
    stream = stage.stream(2)
    stage.view(stream, options=AUTO)
    produced = set()
    for round_ in range(4):
        produced |= kinesis.produce(stream, [b"x"] * 50)
        if round_ == 1:
            kinesis.split(stream, "shardId-000000000000")
        pid = until_value(stage, "SELECT pid FROM redshift.worker_status WHERE pid IS NOT NULL LIMIT 1")
        os.kill(pid, kill)
        produced |= kinesis.produce(stream, [b"y"] * 50)
        time.sleep(0.5)
        wait_until(lambda: reconnects(stage), 60)
    wait_until(lambda: set(stage.positions()) >= produced, 60)
    stage.count_exactly_once(produced)


def until_value(stage, sql):
    found = []

    def look():
        if reconnects(stage):
            found[:] = stage.db.column(sql)
        return found

    wait_until(look, 60, sql)
    return found[0]


def reconnects(stage):
    try:
        stage.db.run("SELECT 1")
        return True
    except psycopg.Error:
        try:
            stage.db.connection.close()
            stage.db.connection = stage.connect()
        except psycopg.Error:
            pass
        return False


def test_another_address_of_the_server_is_noticed(streams, proxy):
    """The first address answers nothing any more: only a worker that has noticed the other one can load what arrives."""
    streams.through = proxy.endpoint
    stream = streams.stream()
    streams.view(stream, options=AUTO)
    produced = streams.kinesis.produce(stream, [b"x"] * 20)
    landed(streams, produced)
    proxy.fail(UNAVAILABLE)
    streams.db.run(f"ALTER SERVER {streams.schema} OPTIONS (SET endpoint_url '{streams.kinesis.endpoint}')")
    produced |= streams.kinesis.produce(stream, [b"y"] * 20)
    landed(streams, produced)


def test_a_stream_that_appears_becomes_a_relation(cluster, streams):
    streams.view(streams.stream(), options=AUTO)
    prefix = "s" + secrets.token_hex(4)
    streams.map(prefix + "*", "appearing")
    try:
        with setting(cluster, "redshift.sync_interval", 1):
            stream = streams.kinesis.stream(name=prefix + "a")
            wait_until(lambda: streams.db.value("SELECT to_regclass(%s)", f"appearing.{stream}"), 10, "the relation")
    finally:
        streams.db.run("DROP SCHEMA appearing CASCADE")


def test_trouble_is_told_once(faulty, proxy):
    """Of a service that is away, and of a bad record while another shard goes on: one event when it begins, one when it is over."""
    stream = faulty.stream(2)
    faulty.view(stream, columns="shard_id, sequence_number, json_parse(kinesis_data) AS d", options=AUTO)
    produced = faulty.kinesis.produce(stream, [b"1"] * 20)
    landed(faulty, produced)
    with faulty.db.connect() as listener:
        listener.execute("LISTEN redshift_events")
        heard = []

        def told():
            heard.extend(json.loads(n.payload)["event"] for n in listener.notifies(timeout=0.1))
            return heard, faulty.db.value("SELECT count(*) FROM redshift.refresh_history WHERE schema_name = %s AND error_message IS NOT NULL", faulty.work)

        proxy.fail(UNAVAILABLE)
        wait_until(lambda: state(faulty)[0] == "retrying", 5)
        time.sleep(2)
        assert told() == (["refresh_failed"], 1)
        proxy.clear()
        wait_until(lambda: told() == (["refresh_failed", "refresh_recovered"], 1), 20, f"the recovery ({told()})")
        heard.clear()
        ((shard, number),) = faulty.kinesis.produce(stream, [b"{bad"])
        wait_until(lambda: state(faulty)[0] == "retrying", 5)
        for _ in range(8):
            produced |= faulty.kinesis.produce(stream, [b"1"] * 10)
            time.sleep(0.4)
        assert told() == (["refresh_failed"], 2)
        assert state(faulty)[0] == "retrying"
        faulty.db.run("CALL redshift.set_position('v', %s, %s)", shard, number)
        wait_until(lambda: told() == (["refresh_failed", "refresh_recovered"], 2), 40, f"the recovery ({told()})")
        wait_until(lambda: set(faulty.positions()) == produced, 30)


def test_views_of_a_stream_share_its_reads(faulty, proxy):
    """A shard gives so many reads a second to all consumers together. A view that has stumbled reads by itself until it has caught up."""
    stream = faulty.stream(1)
    names = ["v", "w", "x", "y"]
    for name in names:
        faulty.view(stream, name, options=AUTO)
    produced = faulty.kinesis.produce(stream, [b"x"] * 50)
    for name in names:
        landed(faulty, produced, name)

    def reads():
        """In two seconds."""
        before = proxy.count("GetRecords")
        time.sleep(2)
        return proxy.count("GetRecords") - before

    together = min(reads() for _ in range(2))
    faulty.db.run("ALTER MATERIALIZED VIEW w SET (auto_refresh = off); ALTER MATERIALIZED VIEW x SET (auto_refresh = off); ALTER MATERIALIZED VIEW y SET (auto_refresh = off)")
    wait_until(lambda: state(faulty, "y") == (None, None))
    alone = max(reads() for _ in range(2))
    assert together <= alone * 1.5 + 2, (together, alone)
    # One that is moved back reads what it needs, and then with the others again.
    faulty.db.run("ALTER MATERIALIZED VIEW w SET (auto_refresh = on)")
    faulty.db.run("ALTER TABLE v ADD CONSTRAINT good CHECK (from_varbyte(kinesis_data, 'utf-8') <> 'bad')")
    bad = faulty.kinesis.produce(stream, [b"bad"])
    produced |= bad
    landed(faulty, produced, "w")
    wait_until(lambda: state(faulty)[0] == "retrying")
    faulty.db.run("ALTER TABLE v DROP CONSTRAINT good")
    landed(faulty, produced)
    produced |= faulty.kinesis.produce(stream, [b"z"] * 20)
    for name in "vw":
        landed(faulty, produced, name)
