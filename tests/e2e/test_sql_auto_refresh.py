"""Auto refresh of views over streams that the database keeps: woken by commits, exactly once, through what befalls streams."""

import statistics
import threading
import time

import psycopg
import pytest
from stage import wait_until

INSERT = "INSERT INTO s.orders (kafka_key, kafka_value) SELECT v::text, v::text FROM unnest(%s::text[]) AS v"


@pytest.fixture(autouse=True)
def no_views_left(stream):
    yield
    stream.run("DROP MATERIALIZED VIEW IF EXISTS v, one, slow")


@pytest.fixture
def followed(stream):
    """A view that has loaded its first records."""
    view(stream)
    add(stream, "first", 10)
    landed(stream, 10)
    return stream


def view(stream, name="v", where="", options=""):
    stream.run(f"CREATE MATERIALIZED VIEW {name} WITH (auto_refresh = on{options}) AS "
               f"SELECT kafka_partition, kafka_offset, from_varbyte(kafka_value, 'utf8') AS value FROM s.orders {where}")


def add(stream, word, count):
    stream.run(INSERT, [f"{word} {n}" for n in range(count)])


def landed(stream, count, name="v", seconds=20):
    """Waits for so many rows; each place of a record is there once."""
    number = f"SELECT count(*) FROM {name}"
    wait_until(lambda: stream.value(number) >= count, seconds, f"{count} records in {name} (it has {stream.value(number)}, {status(stream, name)})")
    assert stream.rows(f"SELECT count(*), count(DISTINCT (kafka_partition, kafka_offset)) FROM {name}") == [(count, count)]


def status(stream, name="v"):
    return stream.rows("SELECT state, last_error FROM redshift.worker_status WHERE mv_name = %s", name)


def no_lag(stream):
    lag = "SELECT sum(lag_records) FROM redshift.stream_lag WHERE mv_name = 'v'"
    wait_until(lambda: stream.value(lag) == 0, 20, f"no lag ({stream.value(lag)})")


def shown(stream, state, word):
    """Waits until a state and its cause are shown."""
    deadline = time.monotonic() + 15
    while not any(found == state and word in (error or "") for found, error in status(stream)):
        assert time.monotonic() < deadline, f"{state} because of {word!r}: it is {status(stream)}"
        time.sleep(0.02)


def test_commits_wake_the_worker(followed):
    """A record is visible long before a worker would look by itself."""
    times = []
    for count in range(11, 41):
        began = time.monotonic()
        add(followed, "more", 1)
        while followed.value("SELECT count(*) FROM v") < count:
            time.sleep(0.0005)
            assert time.monotonic() - began < 20
        times.append(time.monotonic() - began)
    print(f"from the insertion to the row: median {statistics.median(times) * 1000:.1f} ms")
    assert statistics.median(times) < 0.5


def test_a_prepared_transaction_wakes_it_when_it_is_committed(followed):
    session = followed.connect()
    session.execute("BEGIN")
    session.execute(INSERT, (["prepared"],))
    session.execute("PREPARE TRANSACTION 'sql_stream'")
    add(followed, "between", 1)
    landed(followed, 11)
    began = time.monotonic()
    session.execute("COMMIT PREPARED 'sql_stream'")
    landed(followed, 12)
    assert time.monotonic() - began < 0.9
    assert followed.value("SELECT count(*) FROM v WHERE value = 'prepared'") == 1


def test_writers_and_rollbacks(followed):
    """Sessions that insert, roll back and hold transactions open; the view has what was committed, once."""
    def write(number):
        with followed.connect() as session:
            for turn in range(40):
                session.execute("BEGIN")
                session.execute(INSERT, ([f"{number} {turn} {n}" for n in range(turn % 7)],))
                session.execute("ROLLBACK" if turn % 3 == 0 else "COMMIT")

    held = followed.connect()
    held.execute("BEGIN")
    held.execute(INSERT, (["held"],))
    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    committed = sum(turn % 7 for turn in range(40) if turn % 3) * 4
    landed(followed, 10 + committed)
    held.execute("COMMIT")
    landed(followed, 11 + committed)
    assert followed.value("SELECT count(*) - count(DISTINCT value) FROM v") == 0
    assert followed.value("SELECT ok FROM redshift.verify('v')")


def test_views_share_and_differ(followed):
    """A view of one partition, one with a window, and one that comes late."""
    view(followed, "one", "WHERE kafka_partition = 1")
    view(followed, "slow", options=", commit_window_ms = 300")
    add(followed, "more", 500)
    landed(followed, 510)
    landed(followed, 510, "slow")
    landed(followed, followed.value("SELECT count(*) FROM s.orders WHERE kafka_partition = 1"), "one")


def test_a_backlog_is_loaded_in_batches(stream):
    stream.run("INSERT INTO s.orders (kafka_value) SELECT repeat('x', 100)::text || n FROM generate_series(1, 200000) AS n")
    view(stream)
    landed(stream, 200_000, seconds=60)
    no_lag(stream)


def test_more_partitions_are_read(followed):
    followed.run("CALL redshift.alter_stream('s.orders', partitions => 5)")
    add(followed, "more", 200)
    landed(followed, 210)
    assert followed.value("SELECT count(DISTINCT kafka_partition) FROM v") == 5


def test_workers_share_a_view(stream):
    """The batches of four workers, each with its partitions."""
    stream.run("CALL redshift.alter_stream('s.orders', partitions => 8)")
    stream.run("ALTER SYSTEM SET redshift.ingest_workers = 4")
    stream.run("SELECT pg_reload_conf()")
    try:
        view(stream, options=", parallel = 4")
        for turn in range(20):
            add(stream, f"turn {turn}", 100)
        landed(stream, 2_000)
    finally:
        stream.run("ALTER SYSTEM RESET redshift.ingest_workers")
        stream.run("SELECT pg_reload_conf()")
    assert stream.value("SELECT ok FROM redshift.verify('v')")


def test_a_gap_is_passed(followed):
    followed.run("CALL redshift.stream_fault('s.orders', 'gap', records => 7)")
    add(followed, "more", 50)
    landed(followed, 60)
    no_lag(followed)


def test_who_does_not_answer_is_waited_for(followed):
    followed.run("CALL redshift.stream_fault('s.orders', 'unreachable')")
    add(followed, "more", 5)
    shown(followed, "retrying", "no answer")
    assert followed.value("SELECT count(*) FROM v") == 10
    followed.run("CALL redshift.stream_fault('s.orders', 'none')")
    landed(followed, 15)


@pytest.mark.parametrize(("fault", "word"), [("truncated", "past its end"), ("recreated", "re-created")])
def test_what_is_lost_stops_a_view_that_takes_no_losses(followed, fault, word):
    partition = followed.value("SELECT kafka_partition FROM v LIMIT 1")
    followed.run(f"CALL redshift.stream_fault('s.orders', '{fault}', partition_id => {partition})")
    shown(followed, "retrying", word)
    followed.run("ALTER MATERIALIZED VIEW v SET (on_data_loss = 'continue')")
    add(followed, "more", 5)
    wait_until(lambda: followed.value("SELECT count(*) FROM v WHERE value LIKE 'more%'") == 5, 20, "what came after the loss")


def test_what_expired_before_it_was_loaded(followed):
    followed.run("ALTER MATERIALIZED VIEW v SET (auto_refresh = off)")
    followed.run("INSERT INTO s.orders (kafka_partition, kafka_value) SELECT 0, repeat('x', 1000)::text FROM generate_series(1, 100)")
    followed.run("CALL redshift.stream_fault('s.orders', 'loss')")
    followed.run("ALTER MATERIALIZED VIEW v SET (auto_refresh = on)")
    shown(followed, "retrying", "lost")


def test_a_stream_that_is_dropped_with_all_that_reads_it(followed):
    with pytest.raises(psycopg.errors.DependentObjectsStillExist, match="other objects depend on stream s.orders") as error:
        followed.run("CALL redshift.drop_stream('s.orders')")
    assert error.value.diag.message_detail in ("v reads it.", "public.v reads it.")
    followed.run("DROP FOREIGN TABLE s.orders CASCADE")
    wait_until(lambda: any(error for _, error in status(followed)), 10, f"an error ({status(followed)})")
    assert followed.value("SELECT count(*) FROM v") == 10


def test_who_drops_a_stream_holds_up_nobody(followed):
    """An open transaction has the stream's records locked: other views go on."""
    followed.run("CALL redshift.create_stream('s.other')")
    followed.run("CREATE MATERIALIZED VIEW one WITH (auto_refresh = on) AS SELECT kafka_partition, kafka_offset FROM s.other")
    session = followed.connect()
    session.execute("BEGIN")
    session.execute("DROP FOREIGN TABLE s.orders CASCADE")
    try:
        began = time.monotonic()
        for turn in range(5):
            followed.run("INSERT INTO s.other (kafka_value) VALUES ('x'::text)")
            landed(followed, turn + 1, "one")
        assert time.monotonic() - began < 5
    finally:
        session.execute("ROLLBACK")
    add(followed, "more", 5)
    landed(followed, 15)


def test_what_a_stream_does_not_keep_goes_by_itself(followed):
    followed.run("CALL redshift.alter_stream('s.orders', retention_bytes => 20000)")
    followed.run("INSERT INTO s.orders (kafka_partition, kafka_value) SELECT 0, repeat('x', 1000)::text FROM generate_series(1, 200)")
    wait_until(lambda: followed.value("SELECT low_watermark FROM redshift.source_status('s') WHERE partition_id = 0") > 150, 30, "trimming")
    landed(followed, 210)


def test_kills_of_the_worker(followed):
    """Terminated at any moment, it is started again, and goes on where it committed."""
    for turn in range(12):
        add(followed, f"turn {turn}", 300)
        followed.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND backend_type LIKE 'redshift%'")
        time.sleep(0.05 * (turn % 4))
    landed(followed, 10 + 12 * 300, seconds=60)
    assert followed.value("SELECT ok FROM redshift.verify('v')")
