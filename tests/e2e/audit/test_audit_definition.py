"""The hidden view of a materialized view is no way round: nobody reads it but a refresh, and nobody drops or changes it by itself."""

import psycopg
import pytest
from stage import wait_until

pytestmark = pytest.mark.embedded_only("which broker it is does not matter")


@pytest.fixture
def view(stage):
    """v over a topic of 20 records, of which row security shows a reader none."""
    stage.name = stage.topic(2)
    stage.expected = stage.kafka.produce(stage.name, [{"value": str(i).encode(), "partition": i % 2} for i in range(20)])
    stage.view(stage.name)
    stage.refresh()
    return stage


def refused(session, sql, sqlstate="42501"):
    with pytest.raises(psycopg.Error) as raised:
        session.execute(sql)
    assert raised.value.sqlstate == sqlstate, (sql, raised.value)
    return f"{raised.value}"


def test_whatever_is_granted_nobody_reads_it(view, role):
    """Directly, through views, functions, cursors, prepared statements and COPY; by readers, the owner and superusers."""
    reader, owner = role(), role()
    work, hidden = view.work, f"{view.work}.v_definition"
    view.db.run(f"ALTER TABLE v OWNER TO {owner}; GRANT USAGE ON SCHEMA {view.schema} TO {owner}; GRANT CREATE, USAGE ON SCHEMA {work} TO {reader}, {owner}")
    view.db.run("ALTER TABLE v ENABLE ROW LEVEL SECURITY; ALTER TABLE v FORCE ROW LEVEL SECURITY")
    view.db.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA {work} TO {reader}; GRANT ALL ON {hidden} TO {reader}")
    view.db.run(f"CREATE VIEW {work}.over AS SELECT * FROM {hidden}; GRANT SELECT ON {work}.over TO {reader}")
    view.db.run(f"CREATE FUNCTION {work}.definer() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM {hidden}'")
    view.db.run(f"CREATE FUNCTION {work}.inlined() RETURNS SETOF bigint LANGUAGE sql STABLE AS 'SELECT kafka_offset FROM {hidden}'")
    for who in (reader, owner, "postgres"):
        session = view.connect()
        session.execute(f"SET ROLE {who}")
        for sql in (
            f"SELECT * FROM {hidden}",
            f"SELECT FROM {hidden} LIMIT 0",
            f"SELECT EXISTS (SELECT FROM {hidden})",
            f"SELECT 1 WHERE 1 IN (SELECT kafka_offset FROM {hidden})",
            f"WITH w AS (SELECT * FROM {hidden}) SELECT count(*) FROM w",
            f"SELECT t.* FROM {work}.v AS t RIGHT JOIN {hidden} USING (kafka_offset)",
            f"TABLE {work}.over" if who != owner else f"SELECT * FROM {hidden} AS x",
            f"SELECT {work}.definer()",
            f"SELECT * FROM {work}.inlined()" if who != owner else f"SELECT 2 FROM {hidden}",
            f"COPY (SELECT * FROM {hidden}) TO STDOUT",
            f"EXPLAIN ANALYZE SELECT * FROM {hidden}",
            f"DO $$ BEGIN PERFORM count(*) FROM {hidden}; END $$",
            f"CREATE TABLE {work}.taken AS SELECT * FROM {hidden}",
            f"CREATE MATERIALIZED VIEW {work}.taken AS SELECT * FROM {work}.over",
        ):
            with pytest.raises(psycopg.Error) as raised:
                session.execute(sql)
            assert raised.value.sqlstate in ("42501", "55000", "0A000"), (who, sql, raised.value)
        session.execute(f"PREPARE p AS SELECT * FROM {hidden}")
        message = refused(session, "EXECUTE p")
        assert "only a refresh reads it" in message and "redshift.definition" in message
        session.close()
    # Nothing came through, and a refresh, by hand and by a worker, goes on.
    view.expected |= view.kafka.produce(view.name, [b"later"] * 10)
    view.db.run("ALTER TABLE v DISABLE ROW LEVEL SECURITY; ALTER TABLE v NO FORCE ROW LEVEL SECURITY")
    view.refresh()
    view.count_exactly_once(view.expected)
    view.db.run("ALTER MATERIALIZED VIEW v SET (auto_refresh = on)")
    view.expected |= view.kafka.produce(view.name, [b"last"] * 10)
    wait_until(lambda: view.db.value("SELECT count(*) FROM v") == len(view.expected), 20, "auto refresh")


def test_not_even_while_it_is_refreshed(view, role):
    """Code of the owner's that runs in a refresh is not the refresh."""
    view.db.run(
        "CREATE FUNCTION peek() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"NEW.kafka_value := (SELECT kafka_value FROM {view.work}.v_definition LIMIT 1); RETURN NEW; END $$; "
        "CREATE TRIGGER peek BEFORE INSERT ON v FOR EACH ROW EXECUTE FUNCTION peek()")
    view.kafka.produce(view.name, [b"later"])
    with pytest.raises(psycopg.Error, match="v_definition|native"):
        view.refresh()
    view.db.run("DROP TRIGGER peek ON v")
    view.refresh()


def test_it_is_changed_with_the_materialized_view_only(view):
    hidden = f"{view.work}.v_definition"
    for sql in (
        f"DROP VIEW {hidden}",
        f"DROP VIEW IF EXISTS {hidden} CASCADE",
        f"CREATE OR REPLACE VIEW {hidden} AS SELECT 1 AS kafka_partition",
        f"ALTER VIEW {hidden} RENAME TO other",
        f"ALTER TABLE {hidden} RENAME TO other",
        f"ALTER VIEW {hidden} RENAME COLUMN kafka_offset TO o",
        f"ALTER VIEW {hidden} SET SCHEMA public",
        f"ALTER VIEW {hidden} OWNER TO postgres",
        f"ALTER VIEW {hidden} SET (security_barrier)",
        f"ALTER VIEW {hidden} ALTER COLUMN kafka_offset SET DEFAULT 1",
        f"CREATE RULE r AS ON INSERT TO {hidden} DO INSTEAD NOTHING",
        f"CREATE TRIGGER t INSTEAD OF INSERT ON {hidden} FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    ):
        with pytest.raises(psycopg.errors.DependentObjectsStillExist) as raised:
            view.db.run(sql)
        assert "DROP MATERIALIZED VIEW" in raised.value.diag.message_hint and f"{view.work}.v" in raised.value.diag.message_hint, sql
    # What does no harm, and stands in dumps.
    view.db.run(f"GRANT SELECT ON {hidden} TO PUBLIC; REVOKE ALL ON {hidden} FROM PUBLIC; COMMENT ON VIEW {hidden} IS 'x'")
    # And what is done to the materialized view is done to it.
    view.db.run("ALTER MATERIALIZED VIEW v RENAME COLUMN kafka_value TO value")
    view.db.run("ALTER MATERIALIZED VIEW v RENAME TO w")
    view.db.run("CREATE SCHEMA moved; ALTER MATERIALIZED VIEW w SET SCHEMA moved")
    assert view.db.value("SELECT to_regclass('moved.w_definition') IS NOT NULL")
    view.db.run("DROP MATERIALIZED VIEW moved.w; DROP SCHEMA moved")


def test_other_views_are_nobodys_business(view, db):
    """A view of the same name that is no definition, and views over a topic that a user made."""
    db.run(f"CREATE VIEW {view.work}.x_definition AS SELECT * FROM {view.relation(view.name)}")
    assert db.value(f"SELECT count(*) FROM {view.work}.x_definition") == 20
    db.run(f"CREATE OR REPLACE VIEW {view.work}.x_definition AS SELECT * FROM {view.relation(view.name)} WHERE true; DROP VIEW {view.work}.x_definition")


def test_its_text_is_for_who_may_read_the_view(view, role):
    reader = role()
    view.db.run(f"GRANT USAGE ON SCHEMA {view.work} TO {reader}")
    text = view.db.value("SELECT redshift.definition('v')")
    assert view.name in text and "kafka_offset" in text
    assert view.db.value(f"SELECT pg_get_viewdef('{view.work}.v_definition'::regclass)")
    view.db.run(f"SET ROLE {reader}")
    assert view.db.value(f"SELECT redshift.definition('{view.work}.v')") is None
    view.db.run("RESET ROLE")
    view.db.run(f"GRANT SELECT ON v TO {reader}")
    view.db.run(f"SET ROLE {reader}")
    assert view.db.value(f"SELECT redshift.definition('{view.work}.v')") == text
    view.db.run("RESET ROLE")


def test_dump_and_restore_carry_it(view, cluster, tmp_path, role):
    """With grants on it, into an empty database, stopping at the first error; and the copy's is guarded as well."""
    reader = role()
    view.db.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA {view.work} TO {reader}")
    copy = cluster.database()
    dump = tmp_path / "dump"
    cluster.program("pg_dump", "-Fc", "-f", str(dump), view.db.name)
    cluster.program("pg_restore", "--exit-on-error", "-d", copy.name, str(dump))
    hidden = f"{view.work}.v_definition"
    refused(copy.connection, f"SELECT * FROM {hidden}")
    refused(copy.connection, f"DROP VIEW {hidden}", "2BP01")
    copy.run(f"CALL redshift.adopt('{view.work}.v')")
    copy.run(f"REFRESH MATERIALIZED VIEW {view.work}.v")
    assert copy.value(f"SELECT count(*) FROM {view.work}.v") == 20
    # The source goes with CASCADE and takes the definition; the rows stay.
    copy.run(f"DROP SCHEMA {view.schema} CASCADE")
    assert copy.value(f"SELECT to_regclass('{hidden}') IS NULL AND count(*) = 20 FROM {view.work}.v")
    cluster.drop(copy)


def test_other_views_are_looked_at_in_any_transaction(view):
    """Read-only and parallel ones too: nothing is written by the look."""
    view.db.run(f"CREATE VIEW {view.work}.shown AS SELECT * FROM {view.relation(view.name)}; CREATE TABLE {view.work}.big AS SELECT i FROM generate_series(1, 20000) AS i")
    session = view.connect()
    session.execute("SET force_parallel_mode = on; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0")
    session.execute("BEGIN READ ONLY")
    for sql in (f"SELECT count(*) FROM {view.work}.shown", f"SELECT count(*) FROM {view.work}.shown WHERE (SELECT count(*) FROM {view.work}.big WHERE i % 7 = 1) > 0"):
        assert session.execute(sql).fetchone() == (20,)
    plan = str(session.execute(f"EXPLAIN SELECT count(*) FROM {view.work}.shown WHERE (SELECT count(*) FROM {view.work}.big) > 0").fetchall())
    assert "Gather" in plan, plan
    assert session.execute("SELECT pg_current_xact_id_if_assigned()").fetchone() == (None,)
    session.close()
