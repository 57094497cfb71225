"""Nobody's view stops the others: definitions that sleep or take no notice of a cancel, services that do not answer, mappings that change in a loop."""

import secrets
import threading
import time

import psycopg
import pytest
from broker import silent_port
from stage import Stage, wait_until
from test_auto_refresh import AUTO, landed, status, wait_for_state

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:AmazonMSK_{}-AbCdEf"
KEYS = "access_key_id 'AKIAIOSFODNN7EXAMPLE', secret_access_key 'x'"
DEAF = "LOOP BEGIN PERFORM pg_sleep(3600); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP"


@pytest.fixture
def own(cluster, kafka):
    """A stage in a database of its own, with one worker; .settings(name=value) changes settings of the server."""
    changed = []

    def settings(**values):
        for name, value in values.items():
            cluster.administer(f"ALTER SYSTEM SET redshift.{name} = '{value}'")
            changed.append(name)
        cluster.administer("SELECT pg_reload_conf()")

    settings(ingest_workers=1)
    database = cluster.database()
    database.run("CREATE EXTENSION redshift_streaming")
    stage = Stage(database, kafka)
    stage.settings = settings
    yield stage
    for name in changed:
        cluster.administer(f"ALTER SYSTEM RESET redshift.{name}")
    cluster.administer("SELECT pg_reload_conf()")
    cluster.drop(stage.db)


def sleeper(stage, name, body="PERFORM pg_sleep(3600)"):
    """A trigger of a view that does this for each row."""
    function = f"{stage.work}.sleep_{name}"
    stage.db.run(f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN NEW; END $$")
    stage.db.run(f"CREATE TRIGGER sleeps BEFORE INSERT ON {name} FOR EACH ROW EXECUTE FUNCTION {function}()")


def is_asleep(stage):
    return stage.db.value("SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'redshift%' AND wait_event = 'PgSleep' AND datname = current_database()") > 0


def longest_latency(stage, topic, name, seconds):
    """Produces a record at a time and waits until it is there; the longest time of that."""
    longest, ends = 0, time.monotonic() + seconds
    while time.monotonic() < ends:
        before = stage.db.value(f"SELECT count(*) FROM {name}")
        began = time.monotonic()
        stage.kafka.produce(topic, [b"x"])
        wait_until(lambda: stage.db.value(f"SELECT count(*) FROM {name}") > before, 60, f"a record in {name}")
        longest = max(longest, time.monotonic() - began)
    return longest


def two_views(stage, body="PERFORM pg_sleep(3600)", options=AUTO):
    """A view that sleeps over one topic, and a healthy one over another, both followed by the database's one worker."""
    topic, other = stage.kafka.topic(1), stage.kafka.topic(1)
    stage.map(f"{topic},{other}")
    stage.view(other, "healthy", options=AUTO)
    landed(stage, stage.kafka.produce(other, [b"x"]), "healthy")
    stage.view(topic, options=options)
    wait_for_state(stage, "running")
    sleeper(stage, "v", body)
    return topic, other


def test_a_secret_manager_that_hangs_holds_nobody(own):
    """Six servers whose secrets nobody tells; views are made while the brokers can be reached."""
    topics = own.kafka.topic(1), *(own.kafka.topic(1) for _ in range(6))
    own.map(topics[0])
    own.view(topics[0], "healthy", options=AUTO)
    landed(own, own.kafka.produce(topics[0], [b"x"]), "healthy")
    with silent_port() as port:
        own.settings(aws_endpoint_url=f"http://{port}")
        for n, topic in enumerate(topics[1:]):
            server = f"hangs_{n}"
            own.map(topic, server)
            own.db.run(f'CREATE MATERIALIZED VIEW v{n} AS SELECT kafka_partition, kafka_offset FROM {server}."{topic}"')
            own.db.run(f"CREATE USER MAPPING FOR CURRENT_USER SERVER {server} OPTIONS ({KEYS})")
            own.db.run(f"ALTER SERVER {server} OPTIONS (SET authentication 'scram-sha-512', ADD region 'us-east-1', ADD secret_arn '{ARN.format(n)}')")
            own.db.run(f"ALTER MATERIALIZED VIEW v{n} SET (auto_refresh = on)")
        longest = longest_latency(own, topics[0], "healthy", 9)
        assert longest < 1.5, f"a record came after {longest:.1f} s"
        rows = own.db.rows("SELECT mv_name, state, last_error, last_error_at FROM redshift.worker_status WHERE mv_name LIKE 'v_' ORDER BY 1")
        assert len(rows) == 6 and all(state == "retrying" and "AWS" in (error or "") and at for _, state, error, at in rows), rows
        assert status(own, "healthy")[0] == "running"


def test_a_batch_has_a_time_limit(own):
    own.settings(batch_timeout="1s")
    topic, other = two_views(own)
    expected = own.kafka.produce(topic, [b"x"] * 10)
    longest = longest_latency(own, other, "healthy", 5)
    assert longest < 3, f"a record came after {longest:.1f} s"
    state, error, _ = status(own)
    assert state == "retrying" and "it took longer than 1000 ms" in error, (state, error)
    own.db.run("DROP TRIGGER sleeps ON v")
    own.db.run("ALTER MATERIALIZED VIEW v SET (batch_records = 100)")
    landed(own, expected)
    wait_for_state(own, "running")


def test_a_definition_that_sleeps_while_it_is_opened(own):
    """Which partitions it reads is asked of its plan, which may call functions of the owner's."""
    own.settings(batch_timeout="1s")
    topic, other = own.kafka.topic(1), own.kafka.topic(1)
    own.map(f"{topic},{other}")
    own.view(other, "healthy", options=AUTO)
    chooses = f"CREATE OR REPLACE FUNCTION {own.work}.chosen() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN {{}} RETURN 0; END $$"
    own.db.run(chooses.format(""))
    own.view(topic, where=f"kafka_partition = {own.work}.chosen()", options=AUTO)
    landed(own, own.kafka.produce(topic, [b"x"]))
    own.db.run(chooses.format("PERFORM pg_sleep(3600);"))
    own.db.run("ALTER MATERIALIZED VIEW v SET (batch_records = 100)")
    wait_until(lambda: "longer than 1000 ms" in (status(own)[1] or ""), 10, "the end of the opening")
    longest = longest_latency(own, other, "healthy", 3)
    assert longest < 3, f"a record came after {longest:.1f} s"


def test_the_owner_may_make_the_limit_shorter(own):
    topic, _ = two_views(own, options=AUTO + ", batch_timeout = '300ms'")
    own.kafka.produce(topic, [b"x"])
    wait_until(lambda: "longer than 300 ms" in (status(own)[1] or ""), 5, "the end of the batch")
    own.settings(batch_timeout="200ms")
    own.db.run("ALTER MATERIALIZED VIEW v SET (batch_timeout = '1h')")
    wait_until(lambda: "longer than 200 ms" in (status(own)[1] or ""), 10, "the end of the batch by the setting")
    for value in ("0", "-1", "x"):
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            own.db.run(f"ALTER MATERIALIZED VIEW v SET (batch_timeout = '{value}')")


def test_what_takes_no_notice_of_a_cancel_costs_its_worker_not_the_others(own):
    own.settings(batch_timeout="500ms")
    topic, other = two_views(own, DEAF)
    own.kafka.produce(topic, [b"x"])
    wait_until(lambda: is_asleep(own), what="the batch")
    longest = longest_latency(own, other, "healthy", 10)
    assert longest < 12, f"a record came after {longest:.1f} s"
    state, error, _ = status(own)
    assert state == "retrying" and "took no notice" in error, (state, error)


def test_who_waits_for_another_views_batch_is_shown_so(own, role):
    topic, other = two_views(own)
    own.kafka.produce(topic, [b"x"])
    wait_until(lambda: is_asleep(own), what="the batch")
    own.kafka.produce(other, [b"x"])
    wait_for_state(own, "waiting", "healthy", 5)
    own.view(other, "made_now", options=AUTO)
    assert status(own, "made_now")[0] == "waiting"
    cause = status(own, "healthy")[1]
    assert "another view" in cause and own.work not in cause
    assert status(own)[0] == "running"
    own.db.run("DROP MATERIALIZED VIEW v")
    wait_for_state(own, "running", "healthy", 5)
    wait_for_state(own, "running", "made_now", 5)


@pytest.mark.parametrize("statement", [
    "DROP MATERIALIZED VIEW v", "DROP TABLE v", "ALTER MATERIALIZED VIEW v SET (batch_records = 7)", "ALTER TABLE v ADD more int", "TRUNCATE v",
    "ALTER MATERIALIZED VIEW v RENAME TO w", "DROP TRIGGER sleeps ON v", "CALL redshift.pause('v')", "CALL redshift.set_position('v', NULL, 'latest')", "DROP OWNED BY CURRENT_USER",
])
def test_an_owners_statement_stops_the_batch(sleeping, statement):
    began = time.monotonic()
    sleeping.session.execute(statement)
    assert time.monotonic() - began < 2
    if "pause" in statement or "DROP" in statement:
        wait_until(lambda: not is_asleep(sleeping), 2, "the end of the batch")
    assert failures(sleeping) == 0


@pytest.fixture
def sleeping(own):
    """A plain owner's view whose batch sleeps; .session is his."""
    owner = "owner_" + secrets.token_hex(4)
    own.db.run(f"CREATE ROLE {owner} LOGIN")
    try:
        topic, _ = two_views(own)
        own.db.run(f"GRANT ALL ON SCHEMA {own.work}, {own.schema} TO {owner}")
        own.db.run(f"GRANT USAGE ON FOREIGN SERVER {own.schema} TO {owner}")
        own.db.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA {own.schema} TO {owner}")
        own.db.run(f"ALTER MATERIALIZED VIEW v OWNER TO {owner}")
        own.session = own.connect()
        own.session.execute(f"SET SESSION AUTHORIZATION {owner}")
        own.kafka.produce(topic, [b"x"])
        wait_until(lambda: is_asleep(own), what="the batch")
        yield own
        own.session.close()
    finally:
        own.db.run(f"DROP OWNED BY {owner} CASCADE")
        own.db.run(f"DROP ROLE {owner}")


def failures(stage):
    return stage.db.value("SELECT count(*) FROM redshift.refresh_history WHERE error_message IS NOT NULL")


def test_nobody_else_stops_it(sleeping):
    nobody = "nobody_" + secrets.token_hex(4)
    with sleeping.connect() as other:
        sleeping.db.run(f"CREATE ROLE {nobody}")
        sleeping.db.run(f"GRANT USAGE ON SCHEMA {sleeping.work} TO {nobody}")
        other.execute(f"SET SESSION AUTHORIZATION {nobody}")
        for statement in ("DROP TABLE v", "ALTER TABLE v ADD more int", "TRUNCATE v", "CALL redshift.pause('v')"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                other.execute(statement)
    sleeping.db.run(f"DROP OWNED BY {nobody}")
    sleeping.db.run(f"DROP ROLE {nobody}")
    assert is_asleep(sleeping)


def test_a_plain_owner_sees_what_becomes_of_his_view(sleeping):
    see = lambda: sleeping.session.execute("SELECT state, pid IS NOT NULL FROM redshift.worker_status").fetchall()
    assert see() == [("running", True)]
    assert "auto refresh: running" in sleeping.session.execute("SELECT redshift.status('v')").fetchone()[0]
    sleeping.settings(batch_timeout="200ms")
    sleeping.session.execute("ALTER MATERIALIZED VIEW v SET (batch_timeout = '100ms')")
    wait_until(lambda: see() == [("retrying", True)], 5, "the state that the owner sees")
    for history in ("sys_mv_refresh_history WHERE status LIKE '%failed%' AND trim(refresh_type) = 'Auto'", "sys_query_history WHERE trim(error_message) LIKE '%longer than 100 ms%'"):
        assert sleeping.session.execute(f"SELECT count(*) FROM {history}").fetchone()[0] == 1, history


def test_a_mapping_that_changes_in_a_loop_is_its_users_own_matter(own):
    topic, elsewhere = own.kafka.topic(1), own.kafka.topic(1)
    own.map(topic)
    own.view(topic, "healthy", options=AUTO)
    landed(own, own.kafka.produce(topic, [b"x"]), "healthy")
    own.map(elsewhere, "of_the_user")
    own.db.run(f'CREATE MATERIALIZED VIEW his WITH ({AUTO}) AS SELECT kafka_partition, kafka_offset FROM of_the_user."{elsewhere}"')
    own.db.run("CREATE USER MAPPING FOR CURRENT_USER SERVER of_the_user OPTIONS (user 'a', password 'b')")
    stop = threading.Event()

    def loop():
        with own.connect() as session:
            while not stop.is_set():
                session.execute(f"ALTER USER MAPPING FOR CURRENT_USER SERVER of_the_user OPTIONS (SET password '{time.monotonic()}')")
                time.sleep(0.01)

    looping = threading.Thread(target=loop, daemon=True)
    looping.start()
    try:
        longest = longest_latency(own, topic, "healthy", 4)
    finally:
        stop.set()
        looping.join()
    assert longest < 1, f"a record came after {longest:.1f} s"
    before = opened(own)
    # What does not change the connection opens nothing, not even the views of that server.
    own.db.run(f"ALTER SERVER {own.schema} OPTIONS (SET topics '*')")
    time.sleep(1)
    assert opened(own) == before


def opened(stage):
    """When each view was opened last."""
    return stage.db.rows("SELECT mv_id, since FROM redshift.auto_refresh_state WHERE mv_id = (SELECT mv_id FROM redshift.materialized_view WHERE mv = 'healthy'::regclass)")
