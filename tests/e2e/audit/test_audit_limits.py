"""What a user's value may cost: memory that is not there is his error, time ends when he cancels, nobody else notices either.

The functions come from the catalogue (functions_catalog.py). LIMITS_SCALE makes the values larger (10 is their size here), LIMITS_ALL=1 calls the SQL
functions above those of the library too.
"""

import contextlib
import os
import pathlib
import resource
import threading
import time

import psycopg
import pytest
from functions_catalog import VALUES, calls
from server import as_server

SCALE = int(os.environ.get("LIMITS_SCALE", "10"))
EVERY = bool(os.environ.get("LIMITS_ALL"))
MEGABYTE = 1 << 20

pytestmark = [pytest.mark.embedded_only("functions only"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def lone(cluster):
    """A database whose session may be killed."""
    database = cluster.database()
    database.run("CREATE EXTENSION redshift_streaming")
    database.run("CREATE FUNCTION to_super_string(text) RETURNS super LANGUAGE sql IMMUTABLE AS 'SELECT to_jsonb($1)::super'")
    yield database
    cluster.drop(database)


def harness(scale, each):
    """A DO block with the values in variables, and `each` run for every expression of the array `cases`: EXECUTE query USING {using}."""
    declared = "\n".join(f"{name}_v {of}; {name}_u {of};" for name, of, _ in VALUES)
    # EXECUTE copies what it is given, which takes longer than many a function: only what the case names.
    used = "\n".join(f"{name}_u := CASE WHEN cases[i] ~ '\\m{name}\\M' THEN {name}_v END;" for name, _, _ in VALUES)
    assigned = "\n".join(f"{name}_v := {made.format(scale=scale)};" for name, _, made in VALUES)
    columns = ", ".join(f"${i} AS {name}" for i, (name, _, _) in enumerate(VALUES, 1))
    using = ", ".join(f"{name}_u" for name, _, _ in VALUES)
    return f"""DO $do$ DECLARE {declared} cases text[] := string_to_array(current_setting('test.cases'), E'\\n'); query text;
        BEGIN {assigned}
        FOR i IN 1 .. cardinality(cases) LOOP
            {used}
            query := format('SELECT %s FROM (SELECT {columns}) AS v', cases[i]);
            {each.format(using=using)}
        END LOOP;
        PERFORM set_config('application_name', 'done', false);
        END $do$"""


def cpu_seconds(pid):
    """Of a process. Not of the clock: what else runs on the machine does not count."""
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


class Watched:
    """A session that works through cases, each announced as application_name, and another one that looks at it."""

    def __init__(self, database, sql, cases):
        self.session, self.other = database.connect(), database.connect()
        self.pid = self.session.info.backend_pid
        self.session.execute("SELECT set_config('test.cases', %s, false)", ("\n".join(cases),))
        self.error = None
        self.thread = threading.Thread(target=self._run, args=(sql,))
        self.thread.start()

    def _run(self, sql):
        try:
            self.session.execute(sql)
        except psycopg.Error as error:
            self.error = error

    def state(self):
        row = self.other.execute("SELECT application_name FROM pg_stat_activity WHERE pid = %s", (self.pid,)).fetchone()
        return row and row[0]

    def wait_for(self, state, seconds=120):
        deadline = time.monotonic() + seconds
        while (now := self.state()) != state:
            assert self.thread.is_alive() or now == state, f"{state}: {self.error}"
            assert time.monotonic() < deadline, f"{state} did not come: {now}"
            time.sleep(0.003)

    def wait_while(self, state, seconds=120):
        deadline = time.monotonic() + seconds
        while self.state() == state:
            assert time.monotonic() < deadline, f"{state} does not end"
            time.sleep(0.003)

    def close(self):
        if self.thread.is_alive():
            self.other.execute("SELECT pg_terminate_backend(%s)", (self.pid,))
        self.thread.join()
        for connection in (self.session, self.other):
            with contextlib.suppress(psycopg.Error):
                connection.close()


CANCELLED = """
            PERFORM set_config('application_name', format('run %s', i), false);
            BEGIN
                LOOP
                    BEGIN
                        EXECUTE query USING {using};
                    EXCEPTION WHEN data_exception OR program_limit_exceeded OR cannot_coerce THEN PERFORM pg_sleep(0.001);
                    END;
                END LOOP;
            EXCEPTION WHEN query_canceled THEN NULL;
            END;
"""


def seconds_to_stop(database, cases, after):
    """{case: CPU seconds from the cancel, sent `after` the begin, to the end}"""
    watched = Watched(database, harness(SCALE * 4, CANCELLED), cases)
    took = {}
    try:
        for i, case in enumerate(cases, 1):
            watched.wait_for(f"run {i}")
            time.sleep(after)
            before = cpu_seconds(watched.pid)
            watched.other.execute("SELECT pg_cancel_backend(%s)", (watched.pid,))
            watched.wait_while(f"run {i}")
            took[case] = cpu_seconds(watched.pid) - before
        watched.wait_for("done")
    finally:
        watched.close()
    return took


def test_every_function_stops_within_100_ms(lone):
    """Cancelled while it works on a large value (in the long form at several moments). Those that were too slow are tried again: what is slow is slow each time."""
    left = calls(lone, EVERY)
    assert len(left) > 100
    moments = (0.04, 0.13, 0.3) if EVERY else (0.06,)
    for _ in range(3):
        took = [seconds_to_stop(lone, left, after) for after in moments]
        slowest = {case: max(seconds[case] for seconds in took) for case in left}
        left = [case for case in left if slowest[case] > 0.1]
        if not left:
            return
    assert not {case: round(slowest[case], 3) for case in left}


def test_nothing_is_quadratic(lone):
    """Four times the input takes hardly more than four times the time; quadratic, it would be sixteen."""
    several = [
        "array_distinct(numbers)", "array_sort(numbers)", "array_union(numbers, strings)", "array_except(numbers, numbers, true)", "arrays_overlap(strings, numbers)",
        "redshift.object_transform(object, '{}', paths, numbers)", "redshift.object_transform(object, paths, '{}', '[]')", "split_to_array(text, ',')",
        "json_parse(keys)", "lower_attribute_names(object)", "array_flatten(numbers)", "super_eq_of(numbers)", "array_positions(strings, strings[0]::text)",
    ]
    lone.run("CREATE OR REPLACE FUNCTION super_eq_of(super) RETURNS boolean LANGUAGE sql AS 'SELECT redshift.super_eq($1, $1)'")
    # Of the CPU, not of the clock: a neighbour is no fault of ours.
    timed = """
            PERFORM set_config('test.began', split_part(pg_read_file('/proc/self/schedstat', 0, 100), ' ', 1), false);
            EXECUTE query USING {using};
            RAISE NOTICE '%', split_part(pg_read_file('/proc/self/schedstat', 0, 100), ' ', 1)::bigint - current_setting('test.began')::bigint;
    """
    took = {}
    for scale in (SCALE // 2 or 1, SCALE * 2):
        session = lone.connect()
        session.execute("SELECT set_config('test.cases', %s, false)", ("\n".join(several),))
        session.execute(harness(scale, timed))
        took[scale] = [int(nanoseconds) / 1e9 for nanoseconds in session.notices]
        session.close()
        assert len(took[scale]) == len(several)
    small, large = took.values()
    # The kernel counts in steps of a few milliseconds.
    assert not [(case, a, b) for case, a, b in zip(several, small, large) if b > 10 * max(a, 0.02)]


def limit_memory(pid, headroom=None):
    """What the process may ask for from now on, beyond what it has."""
    limit = "unlimited"
    if headroom is not None:
        pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + headroom
    # By the server's own user: root of a container may not.
    as_server("prlimit", f"--pid={pid}", f"--as={limit}:unlimited")


@pytest.fixture(scope="module")
def held(lone):
    """The values in a table: out of line, not compressed."""
    lone.run("CREATE TABLE held (" + ", ".join(f"{name} {of}" for name, of, _ in VALUES) + ")")
    for name, _, _ in VALUES:
        lone.run(f"ALTER TABLE held ALTER {name} SET STORAGE EXTERNAL")
    lone.run("INSERT INTO held SELECT " + ", ".join(made.format(scale=SCALE // 2 or 1) for *_, made in VALUES))
    return "held"


def started(database):
    return database.value("SELECT pg_postmaster_start_time()"), database.value("SELECT count(*) FROM pg_stat_activity WHERE pid = pg_backend_pid()")


ALLOWED = {"fine", "53200", "54000"}
# What a call of the catalogue's gives anyway, its arguments being none that fit.
MISFIT = ("22", "42846", "0A000")


def test_a_function_without_memory_is_an_error(lone, held):
    """From nearly nothing up to more than enough: wherever a function asks for memory, one of the steps ends there."""
    other, before = lone.connect(), started(lone)
    seen = {}
    for headroom in (1, 4, 10, 40):
        session = lone.connect()
        pid = session.info.backend_pid
        session.execute("SET jit = off")
        for case in calls(lone, EVERY):
            limit_memory(pid, headroom * MEGABYTE)
            try:
                session.execute(f"SELECT ({case}) IS NULL FROM {held}")
                outcome = "fine"
            except psycopg.Error as error:
                outcome = error.sqlstate or "connection lost"
            finally:
                limit_memory(pid)
            seen.setdefault(case, []).append(outcome)
        assert session.execute("SELECT 1").fetchone() == (1,)
        session.close()
    assert other.execute("SELECT 1").fetchone() == (1,), "another session notices nothing"
    assert started(lone) == before
    wrong = {case: them for case, them in seen.items() if not all(it in ALLOWED or it.startswith(MISFIT) for it in them)}
    assert not wrong
    starved = [case for case, them in seen.items() if "53200" in them]
    assert len(starved) > 100


HUGE = [
    ("split_to_array(repeat(',', 200000000))", "54000"),
    ("from_varbyte(repeat('x', 1000000000)::varbyte, 'binary')", "54000"),
    ("to_hex(repeat('x', 600000000)::varbyte)", "54000"),
    ("repeat('x', 100000000)::text::super", "54000"),
    ("json_parse(repeat('[', 200000000))", "22P02"),
    ("json_serialize_to_varbyte(json_parse('[' || repeat('1e131000,', 20000) || '1]'))", "54000"),
    ("json_size(json_parse('[' || repeat('1e131000,', 20000) || '1]'))", "22003"),
    ("json_parse('[' || repeat('1e131000,', 20000) || '1]')::text", "fine"),
    ("redshift.attribute('{}'::super, repeat('N', 200000000))", "fine"),
    ("dateadd(repeat('day', 60000000), 1, timestamp '2020-01-01')", "22023"),
    ("to_date(repeat('9', 200000000), repeat('Q', 200000000), true)", "22007"),
    ("strtol(repeat('z', 200000000), 10)", "22P02"),
    ("redshift.decompress(repeat('x', 200000000)::varbyte, 'gzip')", "22P03"),
    ("redshift.decompress('\\x1f'::bytea::varbyte, repeat('gzip', 50000000))", "22023"),
]
if EVERY:
    HUGE += [
        ("split_to_array(repeat('ab', 60000000), 'b')", "fine"),
        ("from_varbyte(repeat('x', 1000000000)::varbyte, 'hex')", "54000"),
        ("repeat('x', 600000000)::varbyte::text::varbyte::bytea", "fine"),
    ]


@pytest.mark.parametrize(("expression", "expected"), HUGE, ids=lambda it: it[:50])
def test_results_that_no_value_can_hold(lone, expression, expected):
    """With 4 GB to go: each would take more, or end the server, if it were built before it is looked at."""
    before, session = started(lone), lone.connect()
    pid = session.info.backend_pid
    limit_memory(pid, 4096 * MEGABYTE)
    session.execute("SET statement_timeout = '60s'")
    try:
        session.execute(f"SELECT ({expression}) IS NULL")
        outcome = "fine"
    except psycopg.Error as error:
        outcome = error.sqlstate or "connection lost"
    assert outcome == expected
    assert session.execute("SELECT 1").fetchone() == (1,)
    session.close()
    assert started(lone) == before


def test_text_output_is_limited_too(lone):
    session = lone.connect()
    with pytest.raises(psycopg.errors.ProgramLimitExceeded):
        session.execute("SELECT json_parse('[' || repeat('1e131000,', 20000) || '1]')")
    with pytest.raises(psycopg.errors.ProgramLimitExceeded):
        session.execute("SELECT repeat('x', 540000000)::varbyte")
    session.close()


def test_where_rust_finds_no_memory_one_session_ends(lone):
    """Ten million small strings, each asked for in a way that cannot fail: FATAL 53200. Nobody else ends."""
    before, other = started(lone), lone.connect()
    session = lone.connect()
    session.execute("CREATE TEMP TABLE many AS SELECT array_fill('x=y'::text, ARRAY[10000000]) AS options")
    limit_memory(session.info.backend_pid, 260 * MEGABYTE)
    with pytest.raises(psycopg.Error) as caught:
        session.execute("SELECT redshift.stream_fdw_validator(options, 'pg_foreign_server'::regclass) FROM many")
    assert caught.value.sqlstate == "53200"
    assert caught.value.diag.severity_nonlocalized == "FATAL"
    assert other.execute("SELECT 1").fetchone() == (1,)
    assert started(lone) == before
