"""Streams that the database keeps, under attack: what a snapshot that is old, a transaction that is rolled back, or a name that is taken could make of records."""

import threading

import psycopg
import pytest
from server import Server
from stage import Database, InBackground, wait_until

REPEATABLE = "BEGIN ISOLATION LEVEL REPEATABLE READ"


def add(db, word, count, partition=0):
    db.run("INSERT INTO s.orders (kafka_partition, kafka_value) SELECT %s, (%s || n)::text FROM generate_series(1, %s) AS n", partition, word, count)


@pytest.fixture
def view(stream):
    """A view that has loaded ten records."""
    stream.run("CREATE MATERIALIZED VIEW v AS SELECT kafka_partition, kafka_offset, from_varbyte(kafka_value, 'utf8') AS value FROM s.orders")
    add(stream, "old ", 10)
    stream.run("REFRESH MATERIALIZED VIEW v")
    yield stream
    stream.run("DROP MATERIALIZED VIEW IF EXISTS v")


def every_record_is_there(db, word, count):
    db.run("REFRESH MATERIALIZED VIEW v")
    assert db.value("SELECT count(DISTINCT value) FROM v WHERE value LIKE %s || '%%'", word) == count
    assert db.rows("SELECT count(*) = count(DISTINCT (kafka_partition, kafka_offset)) FROM v") == [(True,)]


@pytest.mark.parametrize("how", ["CALL redshift.trim_stream('s.orders', older_than => interval '-1 s')", "CALL redshift.stream_fault('s.orders', 'loss')"])
def test_who_looks_by_an_old_snapshot_numbers_nothing_below_the_beginning(view, how):
    reader = view.connect()
    reader.execute(REPEATABLE)
    reader.execute("SELECT 1")
    view.run(how)
    add(view, "new ", 5)
    # What he is shown does not matter: by now these have their offsets.
    reader.execute("SELECT count(*) FROM s.orders")
    reader.execute("COMMIT")
    assert view.column("SELECT kafka_offset FROM s.orders ORDER BY 1") == [10, 11, 12, 13, 14]
    every_record_is_there(view, "new ", 5)


def test_a_statement_that_began_before_numbers_nothing_below_the_beginning(view):
    session = view.connect()
    process = session.info.backend_pid
    slow = threading.Thread(target=lambda: session.execute(
        "SELECT s.p, (SELECT count(*) FROM s.orders WHERE s.p IS NOT NULL) FROM (SELECT pg_sleep(1)::text AS p OFFSET 0) AS s"))
    slow.start()
    wait_until(lambda: view.value("SELECT wait_event FROM pg_stat_activity WHERE pid = %s", process) == "PgSleep", 5, "the sleep")
    view.run("CALL redshift.stream_fault('s.orders', 'loss')")
    add(view, "new ", 5)
    slow.join()
    every_record_is_there(view, "new ", 5)


@pytest.mark.parametrize("how", ["'recreated'", "'truncated', records => 1", "'truncated', records => 5", "'loss'"])
@pytest.mark.parametrize("back", ["ROLLBACK", "ROLLBACK TO a"])
def test_offsets_given_by_who_takes_his_change_back(view, how, back):
    """He sees a stream that nobody else will see: what others add gets no place in it."""
    session = view.connect()
    session.execute("BEGIN")
    session.execute("SAVEPOINT a")
    session.execute(f"CALL redshift.stream_fault('s.orders', {how})")
    add(view, "new ", 4)
    session.execute("SELECT count(*) FROM s.orders")
    session.execute(back)
    session.execute("SELECT count(*) FROM s.orders")
    session.execute("COMMIT")
    assert view.column("SELECT kafka_offset FROM s.orders ORDER BY 1") == list(range(14))
    every_record_is_there(view, "new ", 4)
    assert view.value("SELECT ok FROM redshift.verify('v') WHERE partition_id = '0'")


def test_the_name_of_a_stream_is_taken_once(stream, role):
    """By a relation elsewhere, before the stream is made, and by the option of one that is registered under another name."""
    other = role()
    stream.run(f"GRANT USAGE ON FOREIGN SERVER s TO {other}")
    stream.run(f"CREATE SCHEMA evil AUTHORIZATION {other}")
    columns = ("(kafka_partition bigint, kafka_offset bigint, kafka_timestamp_type char(1), kafka_timestamp timestamp, kafka_key varbyte, kafka_value varbyte, "
               "kafka_headers super, refresh_time timestamp)")
    evil = stream.connect()
    evil.execute(f"SET ROLE {other}")
    evil.execute(f"CREATE FOREIGN TABLE evil.early {columns} SERVER s OPTIONS (topic 'early')")
    evil.execute("SELECT redshift.register_stream('evil.early', 1)")
    evil.execute("INSERT INTO evil.early (kafka_value) VALUES ('evil'::text)")
    evil.execute(f"CREATE FOREIGN TABLE evil.again {columns} SERVER s OPTIONS (topic 'orders')")
    with pytest.raises(psycopg.errors.DuplicateObject, match="s.orders"):
        evil.execute("SELECT redshift.register_stream('evil.again', 1)")
    with pytest.raises(psycopg.errors.DuplicateObject, match="evil.early"):
        stream.run("CALL redshift.create_stream('s.early')")
    evil.execute("ALTER FOREIGN TABLE evil.early OPTIONS (SET topic 'orders')")
    add(stream, "good ", 3)
    assert stream.value("SELECT count(*) FROM s.orders") == 3
    evil.execute("RESET ROLE")
    stream.run("SET client_min_messages = error")
    stream.run("DROP SCHEMA evil CASCADE")
    stream.run("RESET client_min_messages")


def test_beside_a_parallel_plan(stream):
    add(stream, "x", 5)
    stream.run("CREATE TABLE big AS SELECT g FROM generate_series(1, 300000) AS g")
    stream.run("ANALYZE big")
    stream.run("SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0")
    try:
        for sql in ("SELECT (SELECT max(kafka_offset) FROM s.orders), count(*) FROM big", "SELECT (SELECT max(kafka_offset) FROM s.orders), count(*) FROM big, s.orders",
                    "SELECT max(g), count(*) FROM big WHERE g > (SELECT max(kafka_offset) FROM s.orders)"):
            assert "Gather" in str(stream.rows("EXPLAIN " + sql))
            stream.rows(sql)
    finally:
        stream.run("RESET min_parallel_table_scan_size; RESET parallel_setup_cost; RESET parallel_tuple_cost")
        stream.run("DROP TABLE big")


def test_a_record_takes_no_more_than_half_of_the_limit(view):
    view.run("SET redshift.memory_limit = '64MB'")
    view.run("INSERT INTO s.orders (kafka_partition, kafka_value) SELECT 0, repeat('x', 40000000)::text")
    add(view, "behind ", 1)
    for sql in ("SELECT count(*) FROM s.orders", "REFRESH MATERIALIZED VIEW v"):
        with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="partition 0: the record at offset 10 is larger than half of redshift.memory_limit"):
            view.run(sql)
    view.run("SET redshift.memory_limit = '100MB'")
    assert view.value("SELECT count(*) FROM s.orders") == 12
    view.run("RESET redshift.memory_limit")
    # Or it is passed.
    view.run("CALL redshift.set_position('v', 0, 11)")
    every_record_is_there(view, "behind ", 1)


def test_a_scan_keeps_few_buffers(stream):
    stream.run("CREATE EXTENSION IF NOT EXISTS pg_buffercache")
    stream.run("CALL redshift.alter_stream('s.orders', partitions => 1000)")
    stream.run("INSERT INTO s.orders (kafka_partition, kafka_value) SELECT p, repeat('x', 7000)::text FROM generate_series(0, 999) AS p")
    reader = stream.connect()
    reader.execute("BEGIN")
    reader.execute("DECLARE c CURSOR FOR SELECT kafka_partition FROM s.orders")
    reader.execute("MOVE 900 IN c")
    assert stream.value("SELECT count(*) FROM pg_buffercache WHERE pinning_backends > 0") < 100
    reader.execute("ROLLBACK")


def test_who_only_asks_waits_for_nobody(view):
    """While somebody's transaction drops the stream."""
    session = view.connect()
    session.execute("BEGIN")
    session.execute("DROP FOREIGN TABLE s.orders CASCADE")
    view.run("SET statement_timeout = '5s'")
    try:
        [(error,)] = view.rows("SELECT error FROM redshift.stream_lag WHERE mv_name = 'v'")
        assert "locked by another transaction" in error
        assert "lag" in view.value("SELECT redshift.metrics()")
        assert "locked by another transaction" in str(view.rows("SELECT error FROM redshift.source_status('s')"))
    finally:
        session.execute("ROLLBACK")
        view.run("RESET statement_timeout")


def test_one_that_does_not_answer_is_a_row(view):
    view.run("CALL redshift.create_stream('s.other')")
    view.run("CALL redshift.stream_fault('s.orders', 'unreachable')")
    rows = dict(view.rows("SELECT topic, string_agg(error, '') FROM redshift.source_status('s') GROUP BY 1"))
    assert "no answer" in rows["orders"] and rows["other"] is None
    view.run("CALL redshift.stream_fault('s.orders', 'none')")


@pytest.mark.parametrize("mistake", ["TRUNCATE", "DROP TABLE"])
def test_mistakes_of_superusers_are_errors(view, mistake):
    table = view.value("SELECT 'redshift_stream.records_' || stream_id FROM redshift.stream WHERE relation = 's.orders'::regclass")
    writer = view.connect()
    writer.execute("BEGIN")
    writer.execute("INSERT INTO s.orders (kafka_value) VALUES ('x'::text)")
    view.run(f"{mistake} {table}")
    if mistake == "DROP TABLE":
        with pytest.raises(psycopg.errors.DataCorrupted, match="damaged"):
            writer.execute("COMMIT")
    else:
        writer.execute("COMMIT")
        with pytest.raises(psycopg.errors.DataCorrupted, match="damaged"):
            view.run("REFRESH MATERIALIZED VIEW v")


def test_what_was_committed_before_comes_before(view):
    """Whichever transaction began first: who waits for another one's commit and adds then is behind it."""
    view.run("CREATE TABLE customer (id int PRIMARY KEY)")
    first = view.connect()
    first.execute("BEGIN")
    first.execute("INSERT INTO customer VALUES (1)")
    first.execute("INSERT INTO s.orders (kafka_partition, kafka_value) VALUES (0, 'new a'::text)")
    add(view, "new b", 1)
    first.execute("INSERT INTO s.orders (kafka_partition, kafka_value) VALUES (0, 'new c'::text)")
    first.execute("COMMIT")
    values = view.column("SELECT from_varbyte(kafka_value, 'utf8') FROM s.orders WHERE kafka_offset >= 10 ORDER BY kafka_offset")
    assert values.index("new b1") < values.index("new c") and values.index("new a") < values.index("new c")
    every_record_is_there(view, "new ", 3)
    view.run("DROP TABLE customer")


@pytest.mark.parametrize("end", ["CLOSE c", "COMMIT"])
def test_a_cursor_that_failed_in_a_savepoint(view, end):
    """What it had open is gone with the savepoint, before the cursor is."""
    session = view.connect()
    session.execute("BEGIN")
    session.execute("DECLARE c CURSOR FOR SELECT 1 / (kafka_offset - 5) FROM s.orders")
    session.execute("SAVEPOINT a")
    with pytest.raises(psycopg.errors.DivisionByZero):
        session.execute("FETCH 20 FROM c")
    session.execute("ROLLBACK TO a")
    session.execute(end)
    session.execute("SELECT count(*) FROM s.orders")
    assert not session.broken
    session.close()
    every_record_is_there(view, "old ", 10)


def test_indexes_that_are_built_anew_beside_readers(view):
    """A transaction that has read, and so numbered, is waited for: it knows the old index only."""
    table = view.value("SELECT 'redshift_stream.records_' || stream_id FROM redshift.stream WHERE relation = 's.orders'::regclass")
    reader = view.connect()
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM s.orders")
    builder = view.connect()
    building = InBackground(builder, f"REINDEX INDEX CONCURRENTLY {table}_numbered")
    for turn in range(10):
        add(view, f"new {turn} ", 20)
        reader.execute("SELECT count(*) FROM s.orders")
        add(view, f"more {turn} ", 20)
        view.value("SELECT count(*) FROM s.orders")
    assert building.running
    reader.execute("COMMIT")
    building.result()
    assert view.rows("SELECT count(*), count(DISTINCT kafka_offset), max(kafka_offset) FROM s.orders") == [(410, 410, 409)]
    every_record_is_there(view, "new ", 200)


def test_who_is_ended_while_he_writes_leaves_no_locks(view):
    table = view.value("SELECT 'redshift_stream.records_' || stream_id FROM redshift.stream WHERE relation = 's.orders'::regclass")
    holder, writer = view.connect(), view.connect()
    process = writer.info.backend_pid
    writer.execute("BEGIN")
    writer.execute("INSERT INTO s.orders (kafka_value) VALUES ('x'::text)")
    holder.execute("BEGIN")
    holder.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
    commit = InBackground(writer, "COMMIT")
    wait_until(lambda: view.value("SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s", process) == "Lock", 5, "the wait")
    view.run("SELECT pg_terminate_backend(%s)", process)
    wait_until(lambda: view.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", process) == 0, 5, "its end")
    holder.execute("ROLLBACK")
    with pytest.raises(psycopg.Error):
        commit.result()
    assert view.value("SELECT count(*) FROM pg_locks WHERE pid = %s", process) == 0
    add(view, "new ", 3)
    every_record_is_there(view, "new ", 3)


def test_a_session_of_an_old_snapshot_forgets_what_it_saw(stream):
    """One key stays in one partition when partitions are added."""
    old = stream.connect()
    old.execute(REPEATABLE)
    old.execute("SELECT 1")
    stream.run("CALL redshift.alter_stream('s.orders', partitions => 16)")
    old.execute("INSERT INTO s.orders (kafka_key, kafka_value) VALUES ('k'::text, 'first'::text)")
    old.execute("COMMIT")
    for key in range(30):
        for session in (old, stream.connection):
            session.execute("INSERT INTO s.orders (kafka_key, kafka_value) VALUES (%s::text, 'x'::text)", (str(key),))
    assert stream.value("SELECT max(n) FROM (SELECT count(DISTINCT kafka_partition) AS n FROM s.orders WHERE kafka_key <> to_varbyte('k', 'utf8') GROUP BY kafka_key) AS keys") == 1


def test_gaps_are_made_outside_of_savepoints(view):
    session = view.connect()
    session.execute("BEGIN")
    session.execute("INSERT INTO s.orders (kafka_partition, kafka_value) VALUES (0, 'new 1'::text)")
    session.execute("SAVEPOINT a")
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        session.execute("CALL redshift.stream_fault('s.orders', 'gap')")
    session.execute("ROLLBACK TO a")
    session.execute("COMMIT")
    every_record_is_there(view, "new ", 1)


def test_an_offset_that_was_shown_stays_after_a_crash(private_cluster):
    """A record of a prepared transaction would take its place."""
    cluster = private_cluster(max_prepared_transactions=2, shared_preload_libraries="redshift_streaming")
    server = Server.of(cluster)
    db = cluster.database()
    for statement in ("CREATE EXTENSION redshift_streaming", "CALL redshift.create_stream('s.orders')", "BEGIN", "INSERT INTO s.orders (kafka_value) VALUES ('A'::text)",
                      "PREPARE TRANSACTION 'a'", "INSERT INTO s.orders (kafka_value) VALUES ('B'::text)"):
        db.run(statement)
    shown = "SELECT kafka_offset, from_varbyte(kafka_value, 'utf8') FROM s.orders ORDER BY 1"
    assert db.rows(shown) == [(0, "B")]
    server.stop("immediate")
    server.start()
    db = Database(db.name, **cluster.connect)
    db.run("COMMIT PREPARED 'a'")
    assert db.rows(shown) == [(0, "B"), (1, "A")]
