"""Whoever names a broker or an endpoint names what the server talks to: no answer of theirs ends the server or takes its memory, and nothing that was
asked of them stays behind when nobody waits for it any more."""

import json
import os
import subprocess
import time

import psycopg
import pytest
from hostile import PROGRAM, HostileKinesis, hostile_broker, silent_port, threads_and_descriptors
from stage import wait_until
from test_memory import MEGABYTE, Watch

CODECS = ("gzip", "snappy", "lz4", "zstd")
# A unit of memory that the limit does not count: the program's own, and what is on its way.
OWN = 64


@pytest.fixture
def born(db):
    """Looked at before and after: nothing of the server has crashed between."""
    sql = "SELECT pg_postmaster_start_time()::text || (SELECT min(backend_start)::text FROM pg_stat_activity WHERE backend_type = 'checkpointer')"
    since = db.value(sql)
    yield
    with db.connect() as session:
        assert session.execute(sql).fetchone()[0] == since, "the server was restarted: something crashed"


@pytest.fixture
def foreign(db, tmp_path):
    """The relation hostile.t, of a broker in some scenario: it is mapped while an honest one answers for it."""
    started = []

    def broker(scenario):
        started.append(hostile_broker(scenario, tmp_path))
        return started[-1].__enter__()

    def start(scenario):
        db.run("SET client_min_messages = error")
        db.run("DROP SCHEMA IF EXISTS hostile CASCADE")
        db.run("CALL redshift.create_external_schema('hostile', source => 'kafka', uri => %s, authentication => 'none', topics => 't')", broker("honest"))
        db.run(f"ALTER SERVER hostile OPTIONS (SET uri '{broker(scenario)}')")
        db.run("SET redshift.connect_timeout_ms = 1500; SET redshift.fetch_timeout_ms = 2000")

    yield start
    db.run("SET client_min_messages = error; DROP SCHEMA IF EXISTS hostile CASCADE; DROP TABLE IF EXISTS bombs; RESET ALL")
    for one in started:
        one.__exit__(None, None, None)


def until(value, seconds, what):
    """The first value that is something."""
    found = []
    wait_until(lambda: found.append(value()) or found[-1], seconds, what)
    return found[-1]


def attempt(db, sql):
    """Runs it; an error is what is expected, a lost connection is not."""
    try:
        return db.run(sql)
    except psycopg.OperationalError as error:
        assert error.sqlstate, f"the connection was lost: {error}"
    except psycopg.Error:
        pass
    return None


# --- answers


def test_versions_that_are_null(db, born, foreign):
    foreign("null-versions")
    attempt(db, "SELECT count(*) FROM hostile.t")


@pytest.mark.parametrize("request_key", [1, 2, 3, 18, 23], ids=["Fetch", "ListOffsets", "Metadata", "ApiVersions", "OffsetForLeaderEpoch"])
def test_lies_in_a_backend(db, born, foreign, request_key):
    """The same broker as in the long run of scripts/fuzz-broker.sh, here against the server itself."""
    for seed in range(1, 4):
        foreign(f"lies:{seed}:{request_key}")
        attempt(db, "SELECT count(*), sum(length(kafka_value)) FROM hostile.t")


def test_rounds_of_the_fuzz_target():
    """A short form: each round is a client that asks everything of a broker that lies. `make fuzz-broker` has the long one."""
    rounds = os.environ.get("FUZZ_BROKER_ROUNDS", "1200")
    done = subprocess.run([PROGRAM, "fuzz", rounds, "500000"], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == f"rounds={rounds} crashes=0", done.stdout[-2000:] + done.stderr[-2000:]


# --- brokers


def test_a_cluster_that_lists_thousands_of_brokers(db, born, foreign):
    """Each costs a thread and three files, and a session that has none left for the WAL ends the server."""
    foreign("many:9000")
    with db.connect() as session:
        session.execute("SET redshift.connect_timeout_ms = 3000; SET redshift.fetch_timeout_ms = 3000")
        session.execute("BEGIN")
        session.execute("DECLARE reading CURSOR FOR SELECT kafka_offset FROM hostile.t")
        assert len(session.execute("FETCH 100 FROM reading").fetchall()) == 100
        threads, descriptors = threads_and_descriptors(session.info.backend_pid)
        assert threads < 40 and descriptors < 100, (threads, descriptors)
        session.execute("COMMIT")
        # Records are told only of brokers that there is room for, or the error says what is missing.
        for _ in range(3):
            try:
                assert session.execute("SELECT count(*) FROM hostile.t").fetchone()[0] >= 100
            except psycopg.OperationalError as error:
                assert "brokers more than there is room for" in str(error), error
        threads, descriptors = threads_and_descriptors(session.info.backend_pid)
        assert threads < 40 and descriptors < 100, (threads, descriptors)


def test_a_cluster_of_more_brokers_than_were_expected(db, born, tmp_path):
    """There is room for them as soon as the cluster has told of them."""
    ready = tmp_path / "twelve.ready"
    program = PROGRAM.with_name("mock-kafka")
    broker = subprocess.Popen([program, "serve", "--brokers", "12", "--topic", "wide:24", "--ready-file", ready])
    try:
        wait_until(ready.exists, 30, "the brokers")
        uri = ready.read_text().strip().split(",")[0]
        subprocess.run(
            [program, "produce", "--bootstrap-servers", uri, "--topic", "wide", "--records", "2400", "--partitions", "24"],
            check=True, capture_output=True, timeout=60,
        )
        db.run("CALL redshift.create_external_schema('hostile', source => 'kafka', uri => %s, authentication => 'none', topics => 'wide')", uri)
        with db.connect() as session:
            for _ in range(3):
                assert session.execute("SELECT count(*), count(DISTINCT kafka_partition) FROM hostile.wide").fetchone() == (2400, 24)
    finally:
        broker.kill()
        broker.wait()
        db.run("SET client_min_messages = error; DROP SCHEMA IF EXISTS hostile CASCADE")


# --- memory


@pytest.mark.parametrize("codec", CODECS)
def test_a_batch_that_is_too_large_unpacked(db, born, foreign, codec):
    # Snappy packs twenty to one only: more of it would be too large as it arrives.
    foreign("bomb:snappy:200000000:1" if codec == "snappy" else f"bomb:{codec}:400000000:4")
    db.run("CREATE MATERIALIZED VIEW bombs AS SELECT kafka_partition, kafka_offset, length(kafka_value::text) AS n FROM hostile.t")
    with db.connect() as session:
        session.execute("SET redshift.memory_limit = '64MB'; SET redshift.fetch_timeout_ms = 5000")
        with Watch(session.info.backend_pid) as watch, pytest.raises(psycopg.Error) as error:
            session.execute("REFRESH MATERIALIZED VIEW bombs")
    assert watch.peak <= (64 + OWN) * MEGABYTE, f"{codec}: {watch.peak / MEGABYTE:.0f} MB"
    assert error.value.sqlstate == "54000", error.value
    text = f"{error.value.diag.message_primary} {error.value.diag.message_hint}"
    assert all(word in text for word in ('topic "t"', "partition", "offset 0", "redshift.memory_limit")), text
    # It fails again: nothing was passed.
    with pytest.raises(psycopg.Error) as again:
        db.run("REFRESH MATERIALIZED VIEW bombs")
    assert again.value.sqlstate == "54000"
    assert db.value("SELECT count(*) FROM bombs") == 0


@pytest.mark.parametrize("codec", CODECS)
def test_many_batches_that_are_large_unpacked(db, born, foreign, codec):
    """Each may be; all of one answer together are many times the limit."""
    foreign(f"bomb:{codec}:15000000:15")
    with db.connect() as session:
        session.execute("SET redshift.memory_limit = '64MB'; SET redshift.fetch_timeout_ms = 1500")
        with Watch(session.info.backend_pid) as watch:
            found = session.execute("SELECT count(*) FROM hostile.t WHERE kafka_offset < 15").fetchone()[0]
    assert watch.peak <= (64 + OWN) * MEGABYTE, f"{codec}: {watch.peak / MEGABYTE:.0f} MB"
    assert found == 30


def test_bombs_in_a_worker(db, born, foreign):
    foreign("bomb:zstd:400000000:4")
    db.run("CREATE MATERIALIZED VIEW bombs WITH (auto_refresh = on) AS SELECT kafka_partition, kafka_offset FROM hostile.t")
    pid = until(lambda: db.value("SELECT max(pid) FROM redshift.worker_status"), 20, "a worker")
    with Watch(pid) as watch:
        time.sleep(4)
    assert watch.peak <= (64 + OWN) * MEGABYTE, f"{watch.peak / MEGABYTE:.0f} MB"
    error = until(lambda: db.value("SELECT max(last_error) FROM redshift.worker_status"), 20, "an error that is shown")
    assert "redshift.memory_limit" in error, error


def test_an_answer_without_end(db, born, foreign):
    foreign("endless:200000000")
    with db.connect() as session:
        session.execute("SET redshift.memory_limit = '64MB'; SET redshift.fetch_timeout_ms = 3000")
        with Watch(session.info.backend_pid) as watch, pytest.raises(psycopg.Error) as error:
            session.execute("SELECT count(*) FROM hostile.t")
    assert watch.peak <= (64 + OWN) * MEGABYTE, f"{watch.peak / MEGABYTE:.0f} MB"
    assert error.value.sqlstate == "54000", error.value


def endless(write):
    block = b'{"Records":[{"Data":"' + b"A" * 1_000_000
    end = time.monotonic() + 8
    while time.monotonic() < end:
        write(block)
        block = b"A" * 1_000_000


def swarming(write):
    """Fifteen million bytes of records of two bytes each."""
    write(b'{"NextShardIterator":"x","MillisBehindLatest":0,"Records":[{}' + b",{}" * 5_000_000 + b"]}")


def hostile_values(write):
    record = {"SequenceNumber": "-" + "9" * 5_000, "Data": "////", "PartitionKey": "k" * 100_000, "ApproximateArrivalTimestamp": 1e300}
    write(json.dumps({"NextShardIterator": "x", "MillisBehindLatest": -(2**63), "Records": [record] * 3}).encode())


def dripping(write):
    for _ in range(600):
        write(b" ")
        time.sleep(0.05)


@pytest.mark.parametrize("page", [endless, swarming, hostile_values, dripping], ids=lambda page: page.__name__)
def test_pages_of_kinesis(db, born, page):
    service = HostileKinesis(page)
    try:
        db.run("SET client_min_messages = error; SET redshift.connect_timeout_ms = 3000; SET redshift.fetch_timeout_ms = 3000")
        db.run("CALL redshift.create_external_schema('shards', source => 'kinesis', region => 'us-east-1', endpoint_url => %s, streams => 's')", service.endpoint)
        with db.connect() as session:
            session.execute("SET redshift.memory_limit = '64MB'; SET redshift.fetch_timeout_ms = 4000; SET statement_timeout = '30s'")
            with Watch(session.info.backend_pid) as watch:
                try:
                    session.execute("SELECT count(*) FROM shards.s")
                except psycopg.Error as error:
                    assert error.sqlstate, error
        assert service.asked
        assert watch.peak <= (64 + OWN) * MEGABYTE, f"{watch.peak / MEGABYTE:.0f} MB"
    finally:
        db.run("DROP SCHEMA IF EXISTS shards CASCADE; RESET ALL")
        service.close()


# --- what was asked and is not waited for


def cancels(db, sql, count, settings=""):
    """A session that is cancelled so often while it waits; its threads and descriptors before and after."""
    with db.connect() as session:
        session.execute(f"SET redshift.connect_timeout_ms = 60000; SET redshift.fetch_timeout_ms = 60000; SET client_min_messages = error; {settings}")
        session.execute("SET statement_timeout = '12ms'")
        pid, before, most = session.info.backend_pid, None, (0, 0)
        for number in range(count):
            with pytest.raises(psycopg.errors.QueryCanceled):
                session.execute(sql)
            now = threads_and_descriptors(pid)
            most = tuple(map(max, most, now))
            if number == 4:
                time.sleep(1)
                before = threads_and_descriptors(pid)
        time.sleep(1)
        return before, most, threads_and_descriptors(pid)


def test_cancels_of_kafka(db, born, foreign):
    with silent_port() as port:
        foreign("honest")
        db.run(f"ALTER SERVER hostile OPTIONS (SET uri '127.0.0.1:{port}')")
        before, most, after = cancels(db, "SELECT count(*) FROM hostile.t", 1000)
    assert after[0] <= before[0] + 2 and after[1] <= before[1] + 2, (before, most, after)
    assert most[1] < 400, (before, most, after)


def test_cancels_of_kinesis(db, born):
    service = HostileKinesis(endless)
    with silent_port() as port:
        try:
            db.run("SET client_min_messages = error")
            db.run("CALL redshift.create_external_schema('shards', source => 'kinesis', region => 'us-east-1', endpoint_url => %s, streams => 's')", service.endpoint)
            db.run(f"ALTER SERVER shards OPTIONS (SET endpoint_url 'http://127.0.0.1:{port}')")
            before, most, after = cancels(db, "SELECT count(*) FROM shards.s", 1000)
        finally:
            db.run("DROP SCHEMA IF EXISTS shards CASCADE; RESET ALL")
            service.close()
    assert after[0] <= before[0] + 2 and after[1] <= before[1] + 2, (before, most, after)
    assert most[1] < 400, (before, most, after)
