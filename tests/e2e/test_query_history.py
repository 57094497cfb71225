"""sys_query_history with redshift.query_history = 'all': each statement of a client once, none of its secrets."""

import contextlib
import threading

import psycopg
import pytest
from stage import wait_until

pytestmark = pytest.mark.embedded_only("statements know no broker")

COLUMNS = "query_id, trim(query_type), trim(status), trim(query_text), trim(error_message), returned_rows, elapsed_time, execution_time, planning_time"
SECRET = "hunter2"


@pytest.fixture
def session(db):
    """A session that is recorded, with its own rows: .history() after what it ran."""
    connection = db.connect()
    connection.execute("SET redshift.query_history = 'all'")

    def history(marked=None, at_least=1):
        """What is recorded of this session, in order; `marked`: only texts with this in them. Waits for the monitor."""
        def rows():
            found = db.rows(f"SELECT {COLUMNS} FROM sys_query_history WHERE session_id = %s ORDER BY start_time, query_id", connection.info.backend_pid)
            return [row for row in found if marked is None or marked in row[3]]

        wait_until(lambda: len(rows()) >= at_least, 10, f"{at_least} rows of history")
        return rows()

    connection.history = history
    yield connection
    connection.close()


def fails(connection, sql):
    with pytest.raises(psycopg.Error) as raised:
        connection.execute(sql)
    return raised.value


def test_off_by_default(db):
    with db.connect() as connection:
        connection.execute("SELECT 'not recorded'")
        connection.execute("SET redshift.query_history = 'all'")
        connection.execute("SELECT 'recorded'")
    wait_until(lambda: db.value("SELECT count(*) FROM sys_query_history WHERE query_text LIKE '%%recorded%%' AND query_text NOT LIKE '%%sys_query%%'") == 1, 10)
    assert db.value("SHOW redshift.query_history") == "refreshes"


def test_each_kind_of_statement(session):
    session.execute("CREATE TEMP TABLE k (a int)")
    session.execute("INSERT INTO k SELECT generate_series(1, 5)")
    session.execute("UPDATE k SET a = a + 1")
    session.execute("SELECT * FROM k WHERE a > 2")
    session.execute("SELECT * FROM k WHERE a > %s", (3,), prepare=True)
    session.execute("DELETE FROM k RETURNING a")
    session.execute("CREATE TEMP TABLE l AS SELECT 1 AS one")
    with session.cursor() as cursor, cursor.copy("COPY l FROM STDIN") as copy:
        copy.write("2\n")
    session.execute("SET work_mem = '5MB'")
    session.execute("DO $$ BEGIN PERFORM count(*) FROM pg_class; END $$")
    rows = session.history(at_least=10)
    assert [(row[1], row[2], row[5]) for row in rows] == [
        ("DDL", "success", 0), ("INSERT", "success", 0), ("UPDATE", "success", 0), ("SELECT", "success", 4), ("SELECT", "success", 3), ("OTHER", "success", 5),
        ("CTAS", "success", 0), ("COPY", "success", 0), ("UTILITY", "success", 0), ("OTHER", "success", 0),
    ]
    assert rows[3][3] == "SELECT * FROM k WHERE a > 2" and rows[4][3] == "SELECT * FROM k WHERE a > $1"
    assert all(0 <= row[7] <= row[6] < 10_000_000 for row in rows)
    ids = [row[0] for row in rows]
    assert ids == sorted(ids) and len(set(ids)) == len(ids)


def test_durations_are_in_microseconds(session):
    session.execute("SELECT pg_sleep(0.2)")
    row = session.history("pg_sleep")[0]
    assert 200_000 <= row[7] <= row[6] < 1_500_000
    assert 0 < row[8] < 100_000


def test_failures_with_their_error(session):
    fails(session, "SELECT 1/0 AS division")
    fails(session, "SELEC syntax")
    fails(session, "SELECT * FROM nowhere")
    fails(session, "DROP TABLE nowhere")
    session.execute("SET statement_timeout = '100ms'")
    fails(session, "SELECT pg_sleep(10)")
    rows = [row for row in session.history(at_least=5) if row[2] != "success"]
    assert [(row[1], row[2], row[3], row[4]) for row in rows] == [
        ("SELECT", "failed", "SELECT 1/0 AS division", "division by zero"),
        ("UTILITY", "failed", "SELEC syntax", 'syntax error at or near "SELEC"'),
        ("SELECT", "failed", "SELECT * FROM nowhere", 'relation "nowhere" does not exist'),
        ("DDL", "failed", "DROP TABLE nowhere", 'table "nowhere" does not exist'),
        ("SELECT", "canceled", "SELECT pg_sleep(10)", "canceling statement due to statement timeout"),
    ]
    assert 90_000 <= rows[4][6] < 2_000_000


def test_what_an_aborted_transaction_did_is_not_lost(session):
    with pytest.raises(psycopg.errors.DivisionByZero), session.transaction():
        session.execute("SELECT 'in the transaction'")
        session.execute("SAVEPOINT s")
        fails(session, "SELECT 1/0 AS inside")
        session.execute("ROLLBACK TO s")
        session.execute("SELECT 'after the savepoint'")
        session.execute("SELECT 2/0 AS outside")
    texts = [(row[2], row[3]) for row in session.history(at_least=8)]
    assert texts == [
        ("success", "BEGIN"), ("success", "SELECT 'in the transaction'"), ("success", "SAVEPOINT s"), ("failed", "SELECT 1/0 AS inside"),
        ("success", "ROLLBACK TO s"), ("success", "SELECT 'after the savepoint'"), ("failed", "SELECT 2/0 AS outside"), ("success", "ROLLBACK"),
    ]


def test_only_what_the_client_sent(session, db):
    db.run("CREATE TABLE IF NOT EXISTS nested (a int)")
    db.run("CREATE OR REPLACE FUNCTION nest() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM 'in a trigger' FROM pg_class LIMIT 1; RETURN NULL; END $$")
    db.run("DROP TRIGGER IF EXISTS t ON nested")
    db.run("CREATE CONSTRAINT TRIGGER t AFTER INSERT ON nested DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nest()")
    session.execute("INSERT INTO nested VALUES (1), (2)")
    session.execute("DO $$ BEGIN BEGIN PERFORM 1/0; EXCEPTION WHEN division_by_zero THEN NULL; END; CREATE TEMP TABLE inner_table (a int); END $$")
    session.execute("EXPLAIN ANALYZE SELECT 'explained'")
    with session.transaction():
        session.execute("DECLARE c CURSOR FOR SELECT generate_series(1, 10)")
        session.execute("FETCH 3 FROM c")
    session.execute("SELECT count(*) FROM pg_class AS a, pg_class AS b")
    assert [row[3].split()[0] for row in session.history(at_least=8)] == ["INSERT", "DO", "EXPLAIN", "BEGIN", "DECLARE", "FETCH", "COMMIT", "SELECT"]


def test_statements_of_one_message_are_told_apart(session):
    session.execute("SELECT 'one'; SELECT 'two'; CREATE TEMP TABLE three (a int)")
    session.execute("INSERT INTO three VALUES (3)")
    fails(session, "SELECT 'four'; SELECT a / 0 AS five FROM three; SELECT 'six'")
    assert [(row[2], row[3]) for row in session.history(at_least=6)] == [
        ("success", "SELECT 'one'"), ("success", "SELECT 'two'"), ("success", "CREATE TEMP TABLE three (a int)"),
        ("success", "INSERT INTO three VALUES (3)"), ("success", "SELECT 'four'"), ("failed", "SELECT a / 0 AS five FROM three"),
    ]


def test_pg_last_query_id(session):
    session.execute("SELECT 'this one'")
    last = session.execute("SELECT pg_last_query_id()").fetchone()[0]
    assert session.history("this one")[0][0] == last
    fails(session, "SELECT 1/0 AS failure")
    last = session.execute("SELECT pg_last_query_id()").fetchone()[0]
    assert session.history("failure")[0][0] == last


def test_long_texts_are_cut_and_stay_characters(session):
    session.execute("SELECT '" + "ü" * 6000 + "'")
    row = session.history("ü")[0]
    assert row[3] == ("SELECT '" + "ü" * 6000)[:4000]


SECRETS = [
    f"ALTER ROLE {{role}} PASSWORD '{SECRET}'",
    f"ALTER ROLE {{role}} PASSWORD E'{SECRET}\\'x'",
    f"ALTER ROLE {{role}} PASSWORD $x${SECRET}$x$",
    f"alter role {{role}} /* {SECRET} */ password '{SECRET}' -- {SECRET}",
    f"ALTER ROLE {{role}} PASSWRD '{SECRET}'",
    f"ALTER ROLE {{role}} PASSWORD '{SECRET}",
    f"CREATE ROLE {{role}} PASSWORD '{SECRET}'",
    f"CREATE USER u_{{role}} ENCRYPTED PASSWORD '{SECRET}' VALID",
    f"SELECT 'x'; ALTER USER {{role}} WITH PASSWORD '{SECRET}'; SELECT 1/0",
    f"CREATE SERVER s_{{role}} FOREIGN DATA WRAPPER redshift_streaming OPTIONS (uri 'h:1', sasl '{SECRET}')",
    f"CREATE SERVER s_{{role}} FOREIGN DATA WRAPPER redshift_streaming OPTIONS ('{SECRET}')",
    f"ALTER SERVER nowhere OPTIONS (SET uri '{SECRET}')",
    f"CREATE USER MAPPING FOR {{role}} SERVER nowhere OPTIONS (user 'u', password '{SECRET}')",
    f"ALTER USER MAPPING FOR {{role}} SERVER nowhere OPTIONS (SET password '{SECRET}')",
    f"CREATE SUBSCRIPTION sub CONNECTION 'host=localhost password={SECRET}' PUBLICATION p",
    f"SELECT set_config('my.password', '{SECRET}', false)",
    f"SET my.api_token = '{SECRET}'",
    f"DO $$ BEGIN EXECUTE 'ALTER ROLE {{role}} PASSWORD ''{SECRET}'''; END $$",
    f"COPY (SELECT 1) TO STDOUT WITH (CREDENTIALS 'aws_secret_access_key={SECRET}')",
    f"CALL redshift.create_external_schema('x', source => 'kafka', uri => '{SECRET}', authentication => '{SECRET}')",
]


def test_secrets_are_not_kept(session, db, role):
    user = role()
    for sql in SECRETS:
        with contextlib.suppress(psycopg.Error):
            session.execute(sql.format(role=user))
    session.execute("SELECT 'the end'")
    wait_until(lambda: session.history()[-1][3] == "SELECT 'the end'", 10)
    kept = [str(row) for row in db.rows("SELECT * FROM redshift.statement_history WHERE session_id = %s", session.info.backend_pid)]
    # The one of three statements, whose last one fails in its own right, has three rows.
    assert len(kept) == len(SECRETS) + 2 + 1
    assert not [row for row in kept if SECRET in row]
    assert sum("ALTER ROLE ***" in row for row in kept) >= 4, "the command stays"


def test_of_a_very_long_text_the_beginning_is_kept_without_its_literals(session):
    session.execute("SELECT 'beginning', '" + "x" * 1_000_000 + "' AS end_of_text")
    assert session.history("SELECT '***'")[0][3].startswith("SELECT '***', '***'")


def test_what_is_no_secret_is_kept_whole(session):
    sql = "SELECT relname FROM pg_class WHERE relname = 'it''s' -- a comment"
    session.execute(sql)
    assert session.history("it''s")[0][3] == sql


def test_own_rows_only(session, db, role):
    user, monitor = role(), role("LOGIN IN ROLE pg_monitor")
    session.execute(f"SET SESSION AUTHORIZATION {user}")
    session.execute("SELECT 'mine'")
    session.execute("RESET SESSION AUTHORIZATION")
    session.history("mine")
    seen = {}
    for who in (user, monitor):
        db.run(f"SET ROLE {who}")
        seen[who] = {row[0] for row in db.rows("SELECT trim(username) FROM sys_query_history WHERE session_id = %s", session.info.backend_pid)}
        db.run("RESET ROLE")
    assert seen[user] == {user}
    assert seen[monitor] > {user}
    with db.connect() as plain:
        plain.execute(f"SET ROLE {user}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            plain.execute("SET redshift.query_history = 'all'")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            plain.execute("SELECT * FROM redshift.statement_history")


def test_a_refresh_is_there_once(stage, session):
    topic = stage.topic(2)
    expected = stage.kafka.produce(topic, [{"value": b"x", "partition": n % 2} for n in range(10)])
    stage.view(topic)
    session.execute(f"SET search_path = {stage.path}")
    session.execute("REFRESH MATERIALIZED VIEW v")
    last = session.execute("SELECT pg_last_query_id()").fetchone()[0]
    with session.transaction(force_rollback=True):
        session.execute("REFRESH MATERIALIZED VIEW v")
    session.execute("SELECT 'the end'")
    wait_until(lambda: session.history(at_least=5)[-1][3] == "SELECT 'the end'")
    refreshes = session.history("REFRESH")
    assert [(row[1], row[2], row[3]) for row in refreshes] == [
        ("OTHER", "success", f"REFRESH MATERIALIZED VIEW {stage.work}.v"), ("OTHER", "success", "REFRESH MATERIALIZED VIEW v"),
    ]
    assert refreshes[0][0] == last
    stage.db.run("ALTER TABLE v ADD CHECK (kafka_offset < 5)")
    expected |= stage.kafka.produce(topic, [{"value": b"x", "partition": 0}])
    fails(session, "REFRESH MATERIALIZED VIEW v")
    wait_until(lambda: [row[2] for row in session.history("REFRESH")] == ["success", "success", "failed"])
    assert "violates check constraint" in session.history("REFRESH")[2][4]
    stage.db.run("ALTER TABLE v DROP CONSTRAINT v_kafka_offset_check")
    stage.refresh()
    stage.count_exactly_once(expected)


def test_under_load_every_statement_is_there_or_counted(db):
    """More than the ring holds at once, from several sessions: recorded + lost = sent."""
    sessions, each = 4, 1500
    lost = db.value("SELECT redshift.statements_lost()")

    def run(number):
        with db.connect() as connection:
            connection.execute("SET redshift.query_history = 'all'")
            for n in range(each):
                connection.execute(f"SELECT 'load {number} {n} {'.' * 700}'")

    threads = [threading.Thread(target=run, args=(number,)) for number in range(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    def accounted():
        found = db.value("SELECT count(*) FROM redshift.statement_history WHERE query_text LIKE 'SELECT ''load %%'")
        return found + db.value("SELECT redshift.statements_lost()") - lost

    wait_until(lambda: accounted() >= sessions * each, 20, "the history of all statements")
    assert accounted() == sessions * each
    assert db.value("SELECT count(DISTINCT query_text) = count(*) FROM redshift.statement_history WHERE query_text LIKE 'SELECT ''load %%'")


def test_history_ends(private_cluster):
    cluster = private_cluster(**{"redshift.query_history": "all"})
    database = cluster.database("ends")
    database.run("CREATE EXTENSION redshift_streaming")
    database.run("SELECT 'to be forgotten'")
    kept = "SELECT count(*) FROM redshift.statement_history WHERE query_text LIKE 'SELECT ''to be%%'"
    wait_until(lambda: database.value(kept) == 1, 15)
    database.run("UPDATE redshift.statement_history SET start_time = start_time - interval '8 days' WHERE query_text LIKE 'SELECT ''to be%%'")
    # A monitor that starts looks at once.
    database.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'redshift_streaming monitor'")
    wait_until(lambda: database.value(kept) == 0, 20)
    assert database.value("SELECT count(*) FROM redshift.statement_history") > 0


def test_a_database_that_is_recorded_can_be_dropped_and_copied(cluster):
    database = cluster.database()
    database.run("CREATE EXTENSION redshift_streaming")
    database.run("SET redshift.query_history = 'all'")
    database.run("SELECT 1")
    wait_until(lambda: database.value("SELECT count(*) FROM sys_query_history") > 0, 10)
    database.connection.close()
    cluster.administer(f'CREATE DATABASE "{database.name}_copy" TEMPLATE "{database.name}"')
    cluster.administer(f'DROP DATABASE "{database.name}_copy"')
    cluster.administer(f'DROP DATABASE "{database.name}"')


def test_a_database_without_the_extension_fills_nothing(cluster, db):
    lost = db.value("SELECT redshift.statements_lost()")
    database = cluster.database()
    database.run("LOAD 'redshift_streaming'")
    database.run("SET redshift.query_history = 'all'")
    for n in range(2500):
        database.run(f"SELECT '{n} {'.' * 700}'")
    assert db.value("SELECT redshift.statements_lost()") == lost
    # Created later, its statements are there.
    database.run("CREATE EXTENSION redshift_streaming")
    database.run("SELECT 'created'")
    wait_until(lambda: database.value("SELECT count(*) FROM sys_query_history WHERE trim(query_text) = 'SELECT ''created'''") == 1, 15)
    cluster.drop(database)


def test_killing_the_monitor_loses_and_doubles_nothing(private_cluster):
    """An immediate stop of the monitor by SIGTERM, again and again, while statements come."""
    cluster = private_cluster()
    database = cluster.database("killed")
    database.run("CREATE EXTENSION redshift_streaming")
    database.run("SET redshift.query_history = 'all'")
    for n in range(300):
        database.run(f"SELECT 'killed {n}'")
        if n % 50 == 25:
            with database.connect() as other:
                other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'redshift_streaming monitor'")
    wait_until(lambda: database.value("SELECT count(*) FROM redshift.statement_history WHERE query_text LIKE 'SELECT ''killed%%'") >= 300, 20)
    assert database.value("SELECT count(DISTINCT query_text) FROM redshift.statement_history WHERE query_text LIKE 'SELECT ''killed%%'") == 300
    assert database.value("SELECT count(*) FROM redshift.statement_history WHERE query_text LIKE 'SELECT ''killed%%'") == 300
    assert database.value("SELECT redshift.statements_lost()") == 0
