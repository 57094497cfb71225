"""Statements with secrets in them: nothing of a secret is kept, wherever a text or an error of it is kept. The rule is in docs/monitoring.md."""

import contextlib
import itertools
import pathlib
import time

import psycopg
import pytest

MARKER = "HUNTER2"
CORPUS = (pathlib.Path(__file__).parent / "statements_with_secrets.txt").read_text(encoding="utf-8").split("\n%%\n")

# What tells of no secret is kept as it was sent.
HARMLESS = [
    "SELECT relname FROM pg_class WHERE relname = 'it''s' -- a comment",
    "SELECT count(*) FROM pg_class WHERE relname LIKE 'order%' AND reltuples > 1.5",
    "SET work_mem = '5MB'",
    "SET LOCAL statement_timeout TO '1min'",
    "SET redshift.memory_limit = '32MB'",
    "SELECT set_config('work_mem', '4MB', false)",
    "CREATE TEMP TABLE customers (id int, name text DEFAULT 'nobody')",
    "INSERT INTO customers VALUES (1, 'Bob O''Neill'), (2, 'bob@example.com')",
    "UPDATE customers SET name = 'Ada' WHERE id = 1",
    "DO $$ BEGIN PERFORM count(*) FROM pg_class; END $$",
    "SELECT '2020-01-01 12:00:00'::timestamp, 'a:b', 'https://example.com/path?page=2', 'basic things'",
    "SELECT 'the key to the city', 'first and second', '12:30'",
    "EXPLAIN SELECT 1",
    "ALTER TABLE customers ALTER name SET DEFAULT 'somebody'",
    "SHOW work_mem",
    "PREPARE harmless (int) AS SELECT 'x', $1",
    "DROP TABLE customers",
]


@pytest.fixture(scope="module")
def recorded(db):
    """A session whose statements are recorded, and what is kept of it in the end: .kept()."""
    session = db.connect()
    session.execute("SET redshift.query_history = 'all'")
    session.execute("PREPARE prepared (text) AS SELECT $1::int")

    ends = itertools.count(1)

    def kept():
        """Up to now, without the statement that says so."""
        end = f"SELECT 'the end {next(ends)}'"
        session.execute(end)
        pid, deadline = session.info.backend_pid, time.monotonic() + 20
        last = "SELECT query_text FROM redshift.statement_history WHERE session_id = %s ORDER BY start_time DESC, query_id DESC LIMIT 1"
        while db.value(last, pid) != end:
            assert time.monotonic() < deadline, "the history did not come"
            time.sleep(0.1)
        rows = db.rows("SELECT query_text, error_message, h::text FROM redshift.statement_history AS h WHERE session_id = %s ORDER BY start_time, query_id", pid)
        return rows[:-1]

    session.kept = kept
    yield session
    session.close()


def test_the_corpus_is_large_enough():
    assert len(CORPUS) >= 200 and len(set(CORPUS)) == len(CORPUS)
    assert all("HUN" in sql for sql in CORPUS)


@pytest.mark.parametrize("standard_strings", ["on", "off"])
def test_no_secret_is_kept(recorded, standard_strings):
    recorded.execute(f"SET standard_conforming_strings = {standard_strings}")
    recorded.execute("SET escape_string_warning = off")
    for sql in CORPUS:
        # What succeeds is taken back.
        with contextlib.suppress(psycopg.Error):
            recorded.execute("BEGIN")
            recorded.execute(sql)
        recorded.execute("ROLLBACK")
    recorded.execute("RESET standard_conforming_strings")
    rows = recorded.kept()
    assert len(rows) >= len(CORPUS)
    assert not [row[:2] for row in rows if MARKER in row[2].upper()]
    assert not [row[:2] for row in rows if "TER2" in row[2].upper()]


def test_what_is_kept_is_the_command(recorded):
    for sql, command in [
        ("ALTER /* x */ role nobody_y PASSWORD 'HUNTER2'", "ALTER ROLE ***"), ("EXECUTE prepared('HUNTER2')", "EXECUTE ***"),
        ("CREATE USER MAPPING FOR nobody_y SERVER x OPTIONS (password 'HUNTER2')", "CREATE USER MAPPING ***"), ("select 'password HUNTER2'", "SELECT ***"),
        ("COPY (SELECT 1) TO PROGRAM 'false HUNTER2'", "COPY ***"), ("PASSWORD HUNTER2", "***"), ("SET my.x = 'HUNTER2'", "SET ***"),
    ]:
        with contextlib.suppress(psycopg.Error):
            recorded.execute(sql)
        assert recorded.kept()[-1][0] == command
    recorded.execute("RESET my.x")
    with pytest.raises(psycopg.Error):
        recorded.execute("ALTER ROLE nobody_y PASSWORD 'HUNTER2'")
    assert recorded.kept()[-1][1] == "*** (SQLSTATE 42704)"


def test_in_a_very_long_text_too(recorded):
    filling = ", ".join(f"'{n}'" for n in range(20_000))
    for sql in (f"SELECT {filling}, 'password HUNTER2'", f"ALTER ROLE nobody_y PASSWORD 'HUNTER2' {filling}", f"SELECT '{'x' * 65_530}HUNTER2' AS a, 'HUNTER2'",
                f"SELECT 1, $$ {filling} HUNTER2 $$", f"SELECT {'1 + ' * 40_000} 'HUNTER2'"):
        with contextlib.suppress(psycopg.Error):
            recorded.execute(sql)
    rows = recorded.kept()
    assert not [row[:2] for row in rows if MARKER in row[2].upper()]


def test_what_tells_of_no_secret_is_kept_whole(recorded):
    for sql in HARMLESS:
        recorded.execute(sql)
    kept = [row[0] for row in recorded.kept()]
    assert not [sql for sql in HARMLESS if sql not in kept]


def test_an_error_that_tells_is_hidden_too(recorded, db):
    db.run("CREATE FUNCTION tells() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'Bearer HUNTER2 is not valid'; END $$")
    db.run("CREATE FUNCTION quotes() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 'https://bob:HUNTER2@x.invalid'; END $$")
    for name in ("tells", "quotes"):
        with pytest.raises(psycopg.Error):
            recorded.execute(f"SELECT {name}()")
    assert [row[0] for row in recorded.kept()[-2:]] == ["SELECT tells()", "SELECT quotes()"]
    assert not [row[:2] for row in recorded.kept() if MARKER in row[2]]
