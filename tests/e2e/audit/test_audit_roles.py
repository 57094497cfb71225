"""Roles are told apart by what they are, not by how their names read: upper case, dots, quotes, blanks, names as long as they may be."""

import psycopg
import pytest
from psycopg import sql

pytestmark = pytest.mark.embedded_only("which broker it is does not matter")

# "Postgres" and POSTGRES are not postgres; the last one is cut by nothing.
NAMES = ["Postgres", "POSTGRES", "Jane.Doe@corp", "Zed", "a b", 'quo"te', "single'quote", "back\\slash", "$money", "1st", "n" * 63, "Ä" * 31, "user", "public.x"]


@pytest.fixture(scope="module")
def crowd(cluster):
    """A database in which each of these has an external schema of his own to read, a view, a refresh of it and one that failed."""
    database = cluster.database()
    database.run("CREATE EXTENSION redshift_streaming")
    yield database
    for name in NAMES:
        database.run(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(name)))
        database.run(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
    cluster.drop(database)


def views(db):
    return db.column(
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_depend d "
        "ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass "
        "WHERE c.relkind = 'v' AND has_table_privilege('public', c.oid, 'SELECT') ORDER BY 1")


def test_every_view_shows_each_his_own(crowd, kafka):
    db = crowd
    topic = kafka.topic()
    kafka.produce(topic, [b"x"] * 3)
    db.run("CALL redshift.create_external_schema('shop', source => 'kafka', uri => %s, topics => %s)", kafka.bootstrap, topic)
    for number, name in enumerate(NAMES):
        role, schema = sql.Identifier(name), sql.Identifier(f"of_{number}")
        db.run(sql.SQL("CREATE ROLE {}").format(role))
        db.run(sql.SQL("GRANT USAGE ON SCHEMA shop TO {0}; CREATE SCHEMA {1} AUTHORIZATION {0}").format(role, schema))
        db.run(sql.SQL("SET ROLE {}").format(role))
        db.run(sql.SQL('CREATE MATERIALIZED VIEW {}.v AS SELECT kafka_offset FROM shop.{}').format(schema, sql.Identifier(topic)))
        db.run(sql.SQL("REFRESH MATERIALIZED VIEW {}.v").format(schema))
        db.run("RESET ROLE")
    # What a superuser of the ordinary name did.
    db.run(f'CREATE SCHEMA boss; CREATE MATERIALIZED VIEW boss.v AS SELECT kafka_offset FROM shop."{topic}"; REFRESH MATERIALIZED VIEW boss.v')
    shown = views(db)
    assert len(shown) > 15
    for number, name in enumerate(NAMES):
        db.run(sql.SQL("SET ROLE {}").format(sql.Identifier(name)))
        for view in shown:
            rows = db.run(f"SELECT * FROM {view}")
            columns = [column.name for column in rows.description]
            places = {column: columns.index(column) for column in ("schema_name", "mv_schema") if column in columns}
            for row in rows.fetchall():
                for place in places.values():
                    assert row[place].strip() == f"of_{number}", (name, view, row)
        assert db.value("SELECT count(*) FROM sys_mv_refresh_history") == 1, name
        assert db.value("SELECT count(*) FROM svl_mv_refresh_status") == 1, name
        assert db.value("SELECT count(*) FROM sys_query_history WHERE query_type = 'OTHER'") == 1, name
        assert db.value("SELECT count(*) FROM sys_stream_scan_states") == 1, name
        assert db.value("SELECT username FROM sys_query_history").strip() == name
        db.run("SELECT * FROM sys_stream_scan_errors; SELECT * FROM sys_mv_state")
        assert db.value("SELECT redshift.current_role_id() = oid FROM pg_roles WHERE rolname = %s", name)
        assert not db.value("SELECT redshift.sees_everything()")
        assert "materialized view" in db.value(f"SELECT redshift.status('of_{number}.v')")
        db.run("RESET ROLE")


@pytest.mark.parametrize("attributes", ["SUPERUSER", "IN ROLE pg_monitor"])
def test_who_sees_everything_does_whatever_he_is_called(crowd, attributes):
    db = crowd
    total = db.value("SELECT count(*) FROM sys_mv_refresh_history")
    assert total == len(NAMES) + 1
    for name in ("Big.Zed", "ZED@x"):
        db.run(sql.SQL(f"CREATE ROLE {{}} {attributes}").format(sql.Identifier(name)))
        db.run(sql.SQL("SET ROLE {}").format(sql.Identifier(name)))
        assert db.value("SELECT count(*) FROM sys_mv_refresh_history") == total
        assert db.value("SELECT count(*) FROM sys_query_history") == total
        assert db.value("SELECT length(redshift.metrics()) > 0")
        db.run("RESET ROLE")
        db.run(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_a_failed_refresh_is_shown_to_who_tried(crowd, kafka):
    """It is written by a worker, which knows the role by its OID."""
    db = crowd
    db.run('SET ROLE "Postgres"')
    db.run("ALTER TABLE of_0.v ADD CHECK (false) NOT VALID")
    kafka.produce(db.value("SELECT dependent_name::text FROM svv_mv_dependency LIMIT 1"), [b"y"])
    with pytest.raises(psycopg.errors.CheckViolation):
        db.run("REFRESH MATERIALIZED VIEW of_0.v")
    db.run("DO $$ BEGIN FOR i IN 1..100 LOOP EXIT WHEN (SELECT count(*) FROM sys_mv_refresh_history) = 2; PERFORM pg_sleep(0.1); COMMIT; END LOOP; END $$")
    assert db.value("SELECT count(*) FROM sys_mv_refresh_history") == 2
    db.run('SET ROLE "POSTGRES"')
    assert db.value("SELECT count(*) FROM sys_mv_refresh_history") == 1
    db.run("RESET ROLE")
