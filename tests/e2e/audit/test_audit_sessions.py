"""A worker runs the triggers of many owners in one process: what one leaves, the next must not find."""

import pytest
from stage import wait_until
from test_auto_refresh import AUTO, landed, status, wait_for_state


@pytest.fixture
def two(stage):
    """Two views of one worker; .does(name, body) gives one a trigger, .produce() a record each."""
    topic = stage.topic(1)
    for name in ("v", "w"):
        stage.view(topic, name, options=AUTO)
    stage.db.run("CREATE TABLE found (what text)")
    expected = stage.kafka.produce(topic, [b"x"])
    landed(stage, expected)
    landed(stage, expected, "w")

    def does(name, body):
        function = f"{stage.work}.of_{name}"
        stage.db.run(f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN NEW; END $$")
        stage.db.run(f"CREATE OR REPLACE TRIGGER does BEFORE INSERT ON {name} FOR EACH ROW EXECUTE FUNCTION {function}()")

    stage.does = does
    stage.more = lambda: stage.kafka.produce(topic, [b"x"])
    stage.pid = stage.db.value("SELECT pid FROM redshift.worker_status WHERE schema_name = %s AND mv_name = 'v'", stage.work)
    stage.expected = expected
    return stage


def find(two, body):
    """What the second view's trigger finds after the first one's: body sets variable `what`."""
    two.does("w", f"DECLARE what text; BEGIN {body}; INSERT INTO {two.work}.found VALUES (what); END")
    two.more()
    wait_until(lambda: two.db.value("SELECT count(*) FROM found") > 0, what="the second trigger")
    return two.db.value("SELECT what FROM found LIMIT 1")


def locks(two):
    return two.db.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = %s", two.pid)


def test_advisory_locks_end_with_the_batch(two):
    two.does("v", "PERFORM pg_advisory_lock(n), pg_advisory_lock_shared(n, 1) FROM generate_series(1, 100) AS n")
    two.expected |= two.more()
    landed(two, two.expected)
    assert locks(two) == 0
    two.does("v", "PERFORM pg_advisory_lock(1); RAISE 'after the lock'")
    two.more()
    wait_until(lambda: "after the lock" in (status(two)[1] or ""), what="the error")
    assert locks(two) == 0


def test_settings_end_with_the_batch(two):
    two.does("v", "PERFORM set_config('work_mem', '77MB', false), set_config('lock_timeout', '0', false), set_config('my.own', 'mine', false)")
    assert find(two, "what := concat_ws(' ', current_setting('work_mem'), nullif(current_setting('my.own', true), ''))") == two.db.value("SHOW work_mem")


def test_sequences_end_with_the_batch(two):
    two.db.run("CREATE SEQUENCE counter START 42")
    two.does("v", f"PERFORM nextval('{two.work}.counter')")
    assert find(two, "BEGIN what := lastval(); EXCEPTION WHEN object_not_in_prerequisite_state THEN what := 'none'; END") == "none"


@pytest.mark.parametrize("statement", [
    "PREPARE kept AS SELECT 1", "DEALLOCATE ALL", "LISTEN something", "UNLISTEN *", "CREATE TEMP TABLE kept ()", "DISCARD ALL",
    "DECLARE kept CURSOR WITH HOLD FOR SELECT 1", "SET SESSION AUTHORIZATION DEFAULT", "SET ROLE NONE", "COMMIT",
])
def test_what_would_outlive_the_batch_is_refused(two, statement):
    two.does("v", f"EXECUTE '{statement}'")
    two.more()
    wait_for_state(two, "retrying", seconds=10)
    error = status(two)[1]
    refused = ("security-restricted operation", "security-definer function", "EXECUTE of transaction commands")
    assert any(words in error for words in refused), error


CALLS = {
    "set_position": "CALL redshift.set_position('{v}', NULL, 'earliest')",
    "refresh": "CALL redshift.refresh('{v}')",
    "pause": "CALL redshift.pause('{v}')",
    "resume": "CALL redshift.resume('{v}')",
    "adopt": "CALL redshift.adopt('{v}')",
    "REFRESH": "REFRESH MATERIALIZED VIEW {v}",
    "SET": "ALTER MATERIALIZED VIEW {v} SET (batch_records = 5)",
    "off": "ALTER MATERIALIZED VIEW {v} SET (auto_refresh = off)",
    "RENAME": "ALTER MATERIALIZED VIEW {v} RENAME TO other",
    "TRUNCATE": "TRUNCATE {v}",
    "DROP": "DROP MATERIALIZED VIEW {v}",
}


@pytest.mark.parametrize("what", CALLS)
def test_a_view_is_not_changed_by_its_own_trigger(two, what):
    two.does("v", CALLS[what].format(v=f"{two.work}.v"))
    two.more()
    wait_for_state(two, "retrying", seconds=10)
    error = status(two)[1]
    assert "is being loaded by this transaction" in error or "cannot be refreshed inside" in error or "being used by active queries" in error, error
    assert two.db.value("SELECT auto_refresh AND NOT paused AND batch_records IS NULL FROM redshift.materialized_view WHERE mv = 'v'::regclass")
    assert two.positions() == [(0, 0)]
