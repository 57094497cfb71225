"""Restores, the missing preload, and what must never happen by surprise."""

import psycopg
import pytest
from stage import Database, Stage


def dump_and_restore(cluster, source, *options):
    """A copy of a database by pg_dump | psql; returns the copy."""
    dump = cluster.program("pg_dump", *options, source.name).stdout
    copy = cluster.database()
    done = cluster.program("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", copy.name, input=dump, check=False)
    assert done.returncode == 0, done.stderr
    assert not [line for line in done.stderr.splitlines() if "WARNING" in line or "ERROR" in line], done.stderr
    return copy


@pytest.fixture
def filled(cluster, kafka):
    """A database of its own with a view that has read half of its topic."""
    database = cluster.database()
    database.run("CREATE EXTENSION redshift_streaming")
    stage = Stage(database, kafka)
    topic = stage.topic(2)
    stage.topic_name = topic
    stage.expected = kafka.produce(topic, [{"value": b"x", "partition": n % 2} for n in range(20)])
    stage.view(topic)
    stage.refresh()
    stage.expected |= kafka.produce(topic, [{"value": b"x", "partition": n % 2} for n in range(20)])
    yield stage
    cluster.drop(database)


def test_a_restored_view_is_paused_until_it_is_adopted(cluster, filled):
    copy = dump_and_restore(cluster, filled.db)
    try:
        name = f"{filled.work}.v"
        assert copy.value(f"SELECT count(*) FROM {name}") == 20
        for sql in (f"REFRESH MATERIALIZED VIEW {name}", f"CALL redshift.refresh('{name}')"):
            with pytest.raises(psycopg.Error) as error:
                copy.run(sql)
            assert error.value.sqlstate == "RS004"
            assert "redshift.adopt" in f"{error.value} {error.value.diag.message_hint}"
        assert copy.value(f"SELECT count(*) FROM {name}") == 20
        copy.run(f"CALL redshift.adopt('{name}')")
        copy.run(f"REFRESH MATERIALIZED VIEW {name}")
        restored = Stage.__new__(Stage)
        restored.db = copy
        restored.count_exactly_once(filled.expected, name)
        copy.run(f"DROP MATERIALIZED VIEW {name}")
    finally:
        cluster.drop(copy)
    filled.refresh()
    filled.count_exactly_once(filled.expected)


def test_a_dump_of_a_dump_is_the_same(cluster, filled):
    copy = dump_and_restore(cluster, filled.db)
    try:
        first = cluster.program("pg_dump", "--schema-only", filled.db.name).stdout
        second = cluster.program("pg_dump", "--schema-only", copy.name).stdout
        strip = lambda text: [line for line in text.splitlines() if line and not line.startswith(("--", "\\"))]
        assert strip(first) == strip(second)
    finally:
        cluster.drop(copy)


def test_pg_dump_warns_of_nothing(cluster, filled):
    assert cluster.program("pg_dump", filled.db.name).stderr == ""


def test_a_schema_only_restore_does_not_read_from_the_start_by_surprise(cluster, filled):
    copy = dump_and_restore(cluster, filled.db, "--schema-only")
    try:
        with pytest.raises(psycopg.Error):
            copy.run(f"REFRESH MATERIALIZED VIEW {filled.work}.v")
        assert copy.value(f"SELECT count(*) FROM {filled.work}.v") == 0
    finally:
        cluster.drop(copy)


def test_a_template_copy_is_paused_too(cluster, filled):
    filled.db.connection.close()
    name = filled.db.name + "_copy"
    cluster.administer(f'CREATE DATABASE "{name}" TEMPLATE "{filled.db.name}"')
    copy = Database(name, **cluster.connect)
    try:
        with pytest.raises(psycopg.Error) as error:
            copy.run(f"REFRESH MATERIALIZED VIEW {filled.work}.v")
        assert error.value.sqlstate == "RS004"
    finally:
        cluster.drop(copy)


def test_without_the_preload_create_extension_refuses_and_says_what_to_do(private_cluster):
    cluster = private_cluster(shared_preload_libraries="")
    database = cluster.database()
    with pytest.raises(psycopg.Error) as error:
        database.run("CREATE EXTENSION redshift_streaming")
    text = f"{error.value} {error.value.diag.message_hint}"
    assert "shared_preload_libraries" in text and "ALTER SYSTEM" in text, text
    assert database.value("SELECT count(*) FROM pg_extension WHERE extname = 'redshift_streaming'") == 0
    database.run("SET session_preload_libraries = ''")
    with database.connect(options="-c session_preload_libraries=redshift_streaming") as session:
        session.execute("CREATE EXTENSION redshift_streaming")
        # What needs a background worker says so where it is asked for.
        session.execute("SET redshift.query_history = 'refreshes'")
        assert session.notices == []
        notices = []
        session.add_notice_handler(lambda told: notices.append((told.severity_nonlocalized, told.message_primary, told.message_detail)))
        for sql in ("SET redshift.query_history = 'all'", "ALTER ROLE CURRENT_USER SET redshift.query_history = 'all'"):
            session.execute(sql)
            severity, text, detail = notices.pop()
            assert severity == "WARNING" and "no effect yet" in text and "shared_preload_libraries" in detail
        session.execute("ALTER ROLE CURRENT_USER RESET redshift.query_history")
        assert notices == []


def test_if_the_preload_goes_away_a_view_is_not_silently_made_native(private_cluster, kafka):
    cluster = private_cluster()
    database = cluster.database()
    database.run("CREATE EXTENSION redshift_streaming")
    stage = Stage(database, kafka)
    topic = stage.topic()
    expected = kafka.produce(topic, [b"x"] * 10)
    stage.view(topic)
    stage.refresh()
    cluster.configure(shared_preload_libraries="")
    stage.db = Database(database.name, **cluster.connect)
    stage.db.run(f"SET search_path = {stage.path}")
    # Each in a session of its own: to touch the stream loads the library, hooks and all.
    for sql in ("REFRESH MATERIALIZED VIEW v", f"CREATE MATERIALIZED VIEW w AS SELECT * FROM {stage.relation(topic)}"):
        with stage.connect() as session, pytest.raises(psycopg.Error):
            session.execute(sql)
    assert stage.db.value("SELECT to_regclass('w')") is None
    assert set(stage.positions()) == expected


def test_drop_extension_needs_cascade_while_views_exist_and_comes_back(cluster, filled):
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        filled.db.run("DROP EXTENSION redshift_streaming")
    filled.db.run("DROP EXTENSION redshift_streaming CASCADE")
    filled.db.run("CREATE EXTENSION redshift_streaming")
    assert filled.db.value("SELECT count(*) FROM svv_mv_info") == 0


def test_in_recovery_nothing_is_written(cluster, filled):
    """A read-only transaction stands for the standby: the same checks refuse."""
    with filled.connect() as session:
        session.execute("SET default_transaction_read_only = on")
        for sql in ("REFRESH MATERIALIZED VIEW v", "CALL redshift.refresh('v')", "CALL redshift.set_position('v', NULL, '0')",
                    "CALL redshift.adopt('v')", "DROP MATERIALIZED VIEW v", f"CALL redshift.sync_external_schema('{filled.schema}')",
                    f"CREATE MATERIALIZED VIEW w AS SELECT kafka_value FROM {filled.relation(filled.topic_name)}"):
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                session.execute(sql)
    filled.refresh()
    filled.count_exactly_once(filled.expected)
