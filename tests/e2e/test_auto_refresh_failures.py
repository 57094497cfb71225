"""What goes wrong around auto refresh: each time the cause is shown within seconds, the other views go on, and the view goes on by itself when it is over."""

import contextlib
import json
import os
import pathlib
import subprocess
import time

import psycopg
import pytest
from broker import Kafka, closed_port
from confluent_kafka import KafkaException
from confluent_kafka.admin import NewTopic
from conftest import ROOT, RUN
from proxy import Proxy
from server import Server
from stage import InBackground, Stage, wait_until
from test_auto_refresh import AUTO, landed, seen, spread, status, wait_for_state
from test_ingest_workers import Load
from test_memory import MEGABYTE, Watch


def worker(stage, name="v"):
    return stage.db.value("SELECT pid FROM redshift.worker_status WHERE schema_name = %s AND mv_name = %s", stage.work, name)


def as_its_user(pid, *command):
    """Runs a program as the user of a process."""
    of = os.stat(f"/proc/{pid}")
    become = ["setpriv", f"--reuid={of.st_uid}", f"--regid={of.st_gid}", "--clear-groups"] if os.geteuid() == 0 else []
    subprocess.run([*become, *command], check=True, capture_output=True)


def test_no_room_for_the_table(stage):
    """The worker may not write behind the 17th megabyte of a file: the table cannot grow (the WAL's files are smaller)."""
    topic, other = stage.kafka.topic(8), stage.kafka.topic(1)
    stage.map(f"{topic},{other}")
    stage.view(topic, options=AUTO)
    stage.db.run("ALTER TABLE v ALTER kafka_value SET STORAGE EXTERNAL")
    stage.view(other, "w", options=AUTO)
    record = {"value": b"x" * 1900}
    expected = stage.kafka.produce(topic, [record | {"partition": n % 8} for n in range(8000)])
    landed(stage, expected)
    pid = worker(stage)
    as_its_user(pid, "prlimit", f"--pid={pid}", f"--fsize={17 * MEGABYTE}:unlimited")
    try:
        began = time.monotonic()
        expected |= stage.kafka.produce(topic, [record | {"partition": n % 8} for n in range(4000)])
        seen(stage, "retrying", began, word="could not extend file")
        landed(stage, stage.kafka.produce(other, [b"x"]), "w")
    finally:
        as_its_user(pid, "prlimit", f"--pid={pid}", "--fsize=unlimited:unlimited")
    landed(stage, expected, seconds=60)
    wait_for_state(stage, "running")


@contextlib.contextmanager
def small_disk(cluster, megabytes):
    """A tablespace on a file system of its own; .grow(megabytes) makes room."""
    directory = Server.of(cluster).make_directory("small_disk")
    become = [] if os.geteuid() == 0 else ["sudo", "-n"]
    mount = lambda *options: subprocess.run([*become, "mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", directory], capture_output=True, text=True)
    owner = directory.stat()
    mounted = mount(f"size={megabytes}m", "mode=0700", f"uid={owner.st_uid}", f"gid={owner.st_gid}")
    if mounted.returncode:
        directory.rmdir()
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        cluster.administer(f"CREATE TABLESPACE small_disk LOCATION '{directory}'")
        yield lambda megabytes: mount("remount", f"size={megabytes}m").check_returncode()
        cluster.administer("DROP TABLESPACE small_disk")
    finally:
        subprocess.run([*become, "umount", "--lazy", directory], check=True)
        directory.rmdir()


@pytest.mark.embedded_only("which broker it is does not matter")
def test_a_full_disk(stage, cluster):
    topic, other = stage.kafka.topic(4), stage.kafka.topic(1)
    stage.map(f"{topic},{other}")
    with small_disk(cluster, 16) as grow:
        stage.view(topic, options=AUTO)
        stage.db.run("ALTER TABLE v ALTER kafka_value SET STORAGE EXTERNAL")
        stage.db.run("ALTER TABLE v SET TABLESPACE small_disk")
        stage.view(other, "w", options=AUTO)
        record = {"value": b"x" * 1900}
        expected = stage.kafka.produce(topic, [record | {"partition": n % 4} for n in range(4000)])
        landed(stage, expected)
        began = time.monotonic()
        expected |= stage.kafka.produce(topic, [record | {"partition": n % 4} for n in range(8000)])
        seen(stage, "retrying", began, word="No space left on device")
        landed(stage, stage.kafka.produce(other, [b"x"]), "w")
        with pytest.raises(psycopg.errors.DiskFull):
            stage.refresh()
        grow(64)
        landed(stage, expected, seconds=40)
        wait_for_state(stage, "running")
        stage.db.run("DROP MATERIALIZED VIEW v")


@pytest.mark.apache_only("the embedded broker does not expire records")
def test_a_poison_record_that_expires(stage):
    topic = stage.topic(1)
    stage.view(topic, options=AUTO)
    stage.view(topic, "typed", "kafka_partition, kafka_offset, convert_from(kafka_value, 'UTF8')::int AS n", options=AUTO + ", on_data_loss = 'continue'")
    expected = stage.kafka.produce(topic, [b"1", b"2"])
    landed(stage, expected, "typed")
    expected |= stage.kafka.produce(topic, [b"poison", b"4"])
    wait_for_state(stage, "retrying", "typed", 5)
    landed(stage, expected)
    stage.kafka.delete_records(topic, 0, 3)
    wait_for_state(stage, "running", "typed", 40)
    expected |= stage.kafka.produce(topic, [b"5"])
    landed(stage, expected)
    wait_until(lambda: stage.db.column("SELECT n FROM typed ORDER BY 1") == [1, 2, 4, 5])
    assert "Offsets 2 to 2 were removed" in stage.db.value("SELECT error_reason FROM sys_stream_scan_errors WHERE trim(mv_name) = 'typed'")


def made_again(kafka, topic, partitions):
    """The name of a deleted topic stays taken for a moment."""
    try:
        return kafka.topic(partitions, topic)
    except KafkaException:
        return False


@pytest.mark.apache_only("the embedded broker cannot delete topics")
@pytest.mark.parametrize("on_data_loss", ["fail", "continue"])
def test_a_topic_that_is_deleted_and_made_again(stage, on_data_loss):
    topic, other = stage.kafka.topic(2), stage.kafka.topic(1)
    stage.map(f"{topic},{other}")
    stage.view(other, "w", options=AUTO)
    stage.view(topic, options=AUTO + f", on_data_loss = '{on_data_loss}'")
    old = stage.kafka.produce(topic, spread(10))
    landed(stage, old)
    began = time.monotonic()
    stage.kafka.delete_topic(topic)
    seen(stage, "retrying", began, word=topic)
    landed(stage, stage.kafka.produce(other, [b"x"]), "w")
    wait_until(lambda: made_again(stage.kafka, topic, 2), 20, "making the topic again")
    new = stage.kafka.produce(topic, spread(30))
    if on_data_loss == "fail":
        wait_until(lambda: "re-created" in (status(stage)[1] or ""), 60, "the error of a topic that is another one")
        stage.db.run("CALL redshift.set_position('v', NULL, 'earliest')")
    wait_until(lambda: stage.db.value("SELECT count(*) FROM v") == len(old) + len(new), 60)
    wait_for_state(stage, "running")


@pytest.fixture
def three_brokers(db, tmp_path):
    """A stage on an embedded Kafka of its own, with three brokers."""
    program = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "mock-kafka"
    ready = tmp_path / "ready"
    process = subprocess.Popen([program, "serve", "--brokers", "3", "--ready-file", ready, "--control", tmp_path / "embedded.control"])
    try:
        wait_until(lambda: ready.exists() and ready.read_text().strip(), what="the embedded Kafka")
        stage = Stage(db, Kafka("embedded", ready.read_text().strip(), str(tmp_path)))
        yield stage
        stage.clean_up()
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.embedded_only("has a broker of its own")
def test_a_leader_that_moves(three_brokers):
    stage = three_brokers
    topic = stage.topic(2)
    stage.view(topic, options=AUTO)
    with Load(stage.kafka, topic, 2) as load:
        for leader in (2, 3, 1):
            for partition in range(2):
                stage.kafka._control(f"leader {topic} {partition} {leader}")
            before = stage.db.value("SELECT count(*) FROM v")
            wait_until(lambda: stage.db.value("SELECT count(*) FROM v") > before + 10, 20, "going on with another leader")
    landed(stage, load.expected)


@pytest.mark.embedded_only("has a broker of its own")
def test_a_leader_that_is_away(three_brokers):
    """The other brokers answer, so do the partitions that they lead."""
    stage = three_brokers
    topic, other = stage.kafka.topic(2), stage.kafka.topic(1)
    for name, partition, broker in ((topic, 0, 2), (topic, 1, 3), (other, 0, 1)):
        stage.kafka._control(f"leader {name} {partition} {broker}")
    stage.map(f"{topic},{other}")
    stage.view(other, "w", options=AUTO)
    stage.view(topic, options=AUTO)
    expected, others = stage.kafka.produce(topic, spread(10)), stage.kafka.produce(other, [b"x"])
    landed(stage, expected)
    time.sleep(1)
    began = time.monotonic()
    stage.kafka._control("broker-down 3")
    seen(stage, "retrying", began, word=topic)
    expected |= stage.kafka.produce(topic, [{"value": b"y", "partition": 0}])
    others |= stage.kafka.produce(other, [b"y"])
    landed(stage, expected)
    landed(stage, others, "w")
    time.sleep(2)
    assert (status(stage)[0], status(stage, "w")[0]) == ("retrying", "running")
    stage.kafka._control("broker-up 3")
    expected |= stage.kafka.produce(topic, [{"value": b"z", "partition": 1}])
    landed(stage, expected, seconds=5)
    wait_for_state(stage, "running", seconds=5)


@pytest.mark.apache_only("the embedded broker has no address that a proxy can have")
@pytest.mark.parametrize("how", ["silent", "cut"])
def test_a_network_that_is_cut(stage, how):
    """Nothing comes through, with connections that stand or that break. A view whose broker is reached in another way goes on."""
    topic, other, elsewhere = stage.kafka.topic(2), stage.kafka.topic(1), stage.schema + "_other"
    proxy = Proxy.of(RUN)
    try:
        stage.map(topic)
        stage.map(other, elsewhere)
        stage.db.run(f"ALTER SERVER {stage.schema} OPTIONS (SET uri '{proxy.bootstrap}')")
        stage.view(topic, options=AUTO)
        stage.db.run(f'CREATE MATERIALIZED VIEW w WITH ({AUTO}) AS SELECT kafka_partition, kafka_offset FROM {elsewhere}."{other}"')
        expected = stage.kafka.produce(topic, spread(10))
        landed(stage, expected)
        time.sleep(1)
        began = time.monotonic()
        with getattr(proxy, how)():
            expected |= stage.kafka.produce(topic, spread(10))
            seen(stage, "retrying", began, word=topic)
            landed(stage, stage.kafka.produce(other, [b"x"]), "w")
            assert status(stage, "w")[0] == "running"
        landed(stage, expected, seconds=5)
        wait_for_state(stage, "running", seconds=5)
    finally:
        proxy.close()
        stage.db.run("SET client_min_messages = error")
        stage.db.run(f"DROP SCHEMA {elsewhere} CASCADE")


def test_a_broker_whose_name_does_not_resolve(stage):
    """And one that was never there: a worker that has to open its views finds nobody."""
    topic = stage.topic(2)
    stage.view(topic, options=AUTO)
    expected = stage.kafka.produce(topic, spread(10))
    landed(stage, expected)
    for uri in ("no-such-host.invalid:9092", closed_port()):
        began = time.monotonic()
        stage.db.run(f"ALTER SERVER {stage.schema} OPTIONS (SET uri '{uri}')")
        seen(stage, "retrying", began, word=uri)
    time.sleep(3)
    stage.db.run(f"ALTER SERVER {stage.schema} OPTIONS (SET uri '{stage.kafka.bootstrap}')")
    expected |= stage.kafka.produce(topic, spread(10))
    landed(stage, expected, seconds=5)


@pytest.mark.embedded_only("has a broker of its own")
def test_brokers_that_are_slow(three_brokers):
    """As those that throttle their clients: answers come late, nothing is lost, nothing is an error."""
    stage = three_brokers
    topic = stage.topic(2)
    stage.view(topic, options=AUTO)
    expected = stage.kafka.produce(topic, spread(100))
    for broker in (1, 2, 3):
        stage.kafka._control(f"rtt {broker} 300")
    expected |= stage.kafka.produce(topic, spread(100))
    landed(stage, expected)
    assert status(stage)[:2] == ("running", None)


@pytest.mark.apache_only("the embedded broker has no quotas")
def test_a_broker_that_throttles(stage):
    """The state says so, a refresh by hand too; a view on another topic is not starved, and all of it lands."""
    topic, other = stage.kafka.topic(1), stage.kafka.topic(1)
    stage.map(f"{topic},{other}")
    stage.view(topic, options=AUTO)
    stage.view(other, "w", options=AUTO)
    stage.view(topic, "by_hand")
    others = stage.kafka.produce(other, [b"x"])
    landed(stage, others, "w")
    with stage.kafka.quota("redshift_streaming", 300_000):
        began = time.monotonic()
        expected = stage.kafka.produce(topic, [b"x" * 4000] * 2000)
        assert "quota" in seen(stage, "throttled", began)
        assert stage.db.value("SELECT count(*) FROM v") < len(expected)
        refresh = InBackground(stage.connect(), "REFRESH MATERIALIZED VIEW by_hand")
        phase = lambda: stage.db.column("SELECT phase FROM redshift.refresh_progress WHERE mv_name = 'by_hand'")
        wait_until(lambda: phase() == ["throttled"], 10, "the phase of the refresh by hand")
        others |= stage.kafka.produce(other, [b"y"])
        landed(stage, others, "w", seconds=10)
        assert status(stage)[0] == "throttled" and refresh.running
    refresh.result()
    stage.count_exactly_once(expected, "by_hand")
    landed(stage, expected)
    wait_for_state(stage, "running", seconds=10)


def test_a_table_that_is_locked_while_much_arrives(stage):
    """What the worker has fetched stays within its bounds, a view on another topic goes on, and the burst drains."""
    topic, other = stage.kafka.topic(8), stage.kafka.topic(1)
    stage.map(f"{topic},{other}")
    stage.view(topic, options=AUTO)
    stage.view(other, "w", options=AUTO)
    landed(stage, stage.kafka.produce(other, [b"x"]), "w")
    wait_for_state(stage, "running")
    burst = 30_000 if stage.kafka.kind == "embedded" else 300_000
    with Watch(worker(stage)) as watch:
        with stage.connect() as session:
            session.execute("BEGIN")
            session.execute("LOCK TABLE v IN ACCESS EXCLUSIVE MODE")
            expected = stage.kafka.produce(topic, [{"value": b"x" * 1000, "partition": n % 8} for n in range(burst)])
            wait_for_state(stage, "blocked", seconds=5)
            landed(stage, stage.kafka.produce(other, [b"x"] * 2) | {(0, 0)}, "w")
            session.execute("COMMIT")
        landed(stage, expected, seconds=60)
    assert watch.peak < 160 * MEGABYTE, f"{watch.peak / MEGABYTE:.0f} MB"


def test_a_topic_without_records_keeps_its_position(stage):
    """For as long as nothing arrives nothing is written."""
    topic = stage.topic(2)
    stage.view(topic, options=AUTO)
    expected = stage.kafka.produce(topic, spread(10))
    landed(stage, expected)
    seen = lambda: stage.db.rows("SELECT partition_id, position, updated_at, xmin::text FROM redshift.checkpoint "
                                 "WHERE mv_id = (SELECT mv_id FROM redshift.materialized_view WHERE mv = 'v'::regclass) ORDER BY 1")
    before = seen()
    time.sleep(3)
    assert seen() == before
    landed(stage, expected | stage.kafka.produce(topic, spread(10)))


def test_positions_and_ledger_do_not_bloat(stage):
    """Positions are updated in place (HOT), the ledger gets a row a second and partition however many commits there are."""
    topic = stage.topic(2)
    stage.view(topic, options=AUTO + ", commit_window_ms = 0")
    began = time.monotonic()
    with Load(stage.kafka, topic, 2) as load:
        time.sleep(6)
    landed(stage, load.expected)
    seconds = time.monotonic() - began
    updates = lambda: stage.db.rows("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = 'redshift.checkpoint'::regclass")[0]
    wait_until(lambda: updates()[0] > 500, 10)
    updated, hot = updates()
    assert hot > updated * 0.97, f"{hot} of {updated}"
    assert stage.db.value("SELECT count(*) FROM redshift.scan_ledger WHERE mv_id = (SELECT mv_id FROM redshift.materialized_view WHERE mv = 'v'::regclass)") <= 2 * (seconds + 2)
    assert stage.db.value("SELECT pg_relation_size('redshift.checkpoint')") <= 128 * 1024


@pytest.fixture
def told(stage):
    """What was told of a view since the test began: its events, and its failures in the history."""
    with stage.db.connect() as listener:
        listener.execute("LISTEN redshift_events")
        heard = []

        def told(name="v"):
            heard.extend(json.loads(n.payload) for n in listener.notifies(timeout=0.1))
            events = [e["event"] for e in heard if e["schema_name"] == stage.work and e["mv_name"] == name]
            failed = stage.db.value("SELECT count(*) FROM redshift.refresh_history WHERE schema_name = %s AND mv_name = %s AND error_message IS NOT NULL", stage.work, name)
            return events, failed

        told.heard = heard
        yield told


ONCE = ["refresh_failed", "refresh_recovered"], 1


@pytest.mark.embedded_only("which broker it is does not matter")
def test_brokers_that_are_frozen_are_told_once(stage, told):
    """Of each view, also of one that two workers divide."""
    topic, other = stage.kafka.topic(2), stage.kafka.topic(1)
    stage.map(f"{topic},{other}")
    stage.view(topic, options=AUTO + ", parallel = 2")
    for name in ("a", "b"):
        stage.view(other, name, options=AUTO)
    expected, others = stage.kafka.produce(topic, spread(10)), stage.kafka.produce(other, [b"x"])
    landed(stage, expected)
    landed(stage, others, "a")
    landed(stage, others, "b")
    wait_until(lambda: set(states(stage)) == {"running"}, what="running views")
    with stage.kafka.frozen():
        wait_until(lambda: set(states(stage)) == {"retrying"}, 8, "views that wait for the brokers")
        time.sleep(2)
        assert told() == (["refresh_failed"], 1)
    for name in ("v", "a", "b"):
        wait_until(lambda: told(name) == ONCE, 20, f"what is told of {name} (it is {told(name)})")
    assert stage.db.value("SELECT bool_and(last_error_at > now() - interval '1 minute') FROM redshift.worker_status WHERE schema_name = %s", stage.work)
    landed(stage, expected | stage.kafka.produce(topic, spread(10)))
    assert told() == ONCE
    assert all(list(event) == ["event", "schema_name", "mv_name"] for event in told.heard)


def states(stage):
    return stage.db.column("SELECT state FROM redshift.worker_status WHERE schema_name = %s", stage.work)


@pytest.mark.embedded_only("which broker it is does not matter")
def test_bad_records_are_told_once_until_the_view_is_past_them(stage, told):
    """Three in one partition, while the other one goes on."""
    topic = stage.topic(2)
    stage.view(topic, columns="kafka_partition, kafka_offset, convert_from(kafka_value, 'UTF8')::int AS n", options=AUTO)
    landed(stage, stage.kafka.produce(topic, spread(10)))
    stage.kafka.produce(topic, [{"value": value, "partition": 0} for value in (b"bad", b"1", b"bad", b"1", b"bad")])
    for _ in range(12):
        stage.kafka.produce(topic, [{"value": b"1", "partition": 1}] * 3)
        time.sleep(0.3)
    assert told() == (["refresh_failed"], 1)
    assert status(stage)[0] == "retrying"
    stage.db.run("CALL redshift.set_position('v', '0', '10')")
    wait_until(lambda: told() == ONCE, 20, "the recovery")
    wait_for_state(stage, "running")


@pytest.mark.embedded_only("about Postgres only")
def test_a_lock_is_told_once_if_it_lasts(stage, told):
    topic = stage.topic(2)
    stage.view(topic, options=AUTO)
    expected = stage.kafka.produce(topic, spread(10))
    landed(stage, expected)
    for seconds, wanted in ((0.3, ([], 0)), (2.5, ONCE)):
        with stage.connect() as session, session.transaction():
            session.execute("LOCK TABLE v IN ACCESS EXCLUSIVE MODE")
            expected |= stage.kafka.produce(topic, spread(10))
            time.sleep(seconds)
        landed(stage, expected)
        wait_until(lambda: told() == wanted, 10, f"what is told of a lock of {seconds} s (it is {told()})")


def make_again(kafka, topic):
    """Deletes a topic and makes it again as soon as the broker lets it."""
    for done in kafka.admin.delete_topics([topic], operation_timeout=5).values():
        done.result(20)
    wait_until(lambda: not is_refused(lambda: kafka.admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(20)), 20, "the new topic")


def is_refused(what):
    try:
        what()
    except KafkaException:
        return True
    return False


@pytest.mark.apache_only("topic deletion")
@pytest.mark.parametrize("on_data_loss", ["fail", "continue"])
@pytest.mark.parametrize("attempt", range(3))
def test_a_topic_that_is_made_again_while_it_is_read(stage, on_data_loss, attempt):
    """Its records are never taken for those that follow the old ones, although their offsets do."""
    topic = stage.topic()
    stage.view(topic, options=f"{AUTO}, on_data_loss = '{on_data_loss}'")
    old = stage.kafka.produce(topic, [b"old%d" % n for n in range(10)])
    landed(stage, old)
    make_again(stage.kafka, topic)
    stage.kafka.produce(topic, [b"new%d" % n for n in range(30)])
    values = "SELECT convert_from(kafka_value::bytea, 'UTF8') FROM v"
    if on_data_loss == "fail":
        wait_until(lambda: "was re-created" in (status(stage)[1] or ""), 20, "the cause")
        assert not [value for (value,) in stage.db.rows(values) if value.startswith("new")]
        stage.db.run("CALL redshift.set_position('v', NULL, 'earliest')")
    wait_until(lambda: stage.db.value("SELECT count(*) FROM v") >= 40, 20, "all records")
    time.sleep(1)
    assert sorted(value for (value,) in stage.db.rows(values)) == sorted([f"old{n}" for n in range(10)] + [f"new{n}" for n in range(30)])
