"""No name in SQL of ours is looked up where somebody else can put something: not at run time, whatever search_path the database, the role or the session
has, and not when the extension is created."""

import re
import time

import psycopg
import pytest
from conftest import ROOT, Cluster, private_clusters
from server import Server
from shadows import MARK, plant, told, words_of
from stage import Stage, wait_until

pytestmark = [pytest.mark.timeout(240), pytest.mark.embedded_only("which broker it is does not matter")]

INSTALL_SCRIPT = "".join(
    (ROOT / line).read_text() for line in (ROOT / "sql" / "load-order").read_text().splitlines() if line and not line.startswith("#")
)

# Everything that runs logs its text and, spelled out, the functions and operators in its plan: statements of ours too, in backends and workers.
COLLECT = {
    "shared_preload_libraries": "redshift_streaming, auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_nested_statements": "on",
    "auto_explain.log_verbose": "on",
    "log_line_prefix": "%b %u: ",
    "redshift.sync_interval": "1",
    "redshift.query_history": "all",
    "redshift.lag_alert_records": "1",
    "max_worker_processes": "16",
}


@pytest.fixture(scope="module")
def hostile():
    """A cluster with a database whose owner, mallory, is no superuser and has planted a shadow of everything."""
    with private_clusters() as start:
        cluster = start(**COLLECT)
        cluster.administer("CREATE ROLE mallory LOGIN PASSWORD 'mallory'")
        cluster.administer("CREATE DATABASE trap OWNER mallory")
        yield cluster


def connect(cluster, **settings):
    return psycopg.connect(**(cluster.connect | {"dbname": "trap", "autocommit": True} | settings))


def log_of(cluster):
    return Server.of(cluster).log


def value(connection, sql):
    return connection.execute(sql).fetchone()[0]


def everything_by_hand(session, kafka, kinesis, owner):
    """Statements over every part of the extension, none with a name of its own that is not qualified; then what they left."""
    work, topic = "work", kafka.topic(2)
    kafka.produce(topic, [{"value": b'{"n": 1}', "partition": i % 2} for i in range(20)])
    source = f'followed."{topic}"'
    run = session.execute
    session.execute(f"CREATE SCHEMA {work} AUTHORIZATION {owner}")
    run("CALL redshift.create_external_schema('followed', source => 'kafka', uri => '%s', topics => '*')" % kafka.bootstrap)
    run("CALL redshift.sync_external_schema('followed')")
    run("CREATE SCHEMA imported")
    run(f'IMPORT FOREIGN SCHEMA x LIMIT TO ("{topic}") FROM SERVER followed INTO imported')
    run(f"GRANT USAGE ON SCHEMA followed, imported TO {owner}")
    run(f"CREATE MATERIALIZED VIEW {work}.v AS SELECT *, public.json_parse(kafka_value) AS doc FROM {source}")
    run(f"CREATE MATERIALIZED VIEW {work}.w WITH (auto_refresh = on, parallel = 2, start = 'earliest', lag_alert_seconds = 1) AS SELECT kafka_partition, kafka_offset FROM {source}")
    run(f"CREATE MATERIALIZED VIEW {work}.p WITH (partition_by = 'LIST (kafka_partition)', start = 'earliest') AS SELECT kafka_partition, kafka_offset FROM {source}")
    for view in "vwp":
        run(f"ALTER TABLE {work}.{view} OWNER TO {owner}")
    run(f"REFRESH MATERIALIZED VIEW {work}.v")
    run(f"CALL redshift.refresh('{work}.p'::pg_catalog.regclass, 5, 100000)")
    for to in ("earliest", "latest", "3"):
        run(f"CALL redshift.set_position('{work}.p'::pg_catalog.regclass, 0, '{to}'::pg_catalog.text)")
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        run(f"CALL redshift.set_position('{work}.p'::pg_catalog.regclass, 0, '2001-01-01 00:00:00'::pg_catalog.text)")
    run(f"CALL redshift.set_position('{work}.p'::pg_catalog.regclass, NULL::pg_catalog.text, 'earliest'::pg_catalog.text)")
    run(f"CALL redshift.pause('{work}.w'::pg_catalog.regclass)")
    run(f"CALL redshift.resume('{work}.w'::pg_catalog.regclass)")
    run(f"CALL redshift.adopt('{work}.v'::pg_catalog.regclass)")
    run(f"ALTER MATERIALIZED VIEW {work}.v SET (auto_refresh = on, on_data_loss = 'continue', fillfactor = 70)")
    run(f"ALTER MATERIALIZED VIEW {work}.v RENAME COLUMN doc TO document")
    run(f"ALTER MATERIALIZED VIEW {work}.v RENAME TO x")
    run(f"CREATE SCHEMA elsewhere AUTHORIZATION {owner}")
    run(f"ALTER MATERIALIZED VIEW {work}.x SET SCHEMA elsewhere")
    run(f"ALTER MATERIALIZED VIEW elsewhere.x SET SCHEMA {work}")
    run(f"ALTER MATERIALIZED VIEW {work}.x OWNER TO CURRENT_USER")
    run(f"ALTER MATERIALIZED VIEW {work}.x OWNER TO {owner}")
    run(f"ALTER MATERIALIZED VIEW {work}.x RENAME TO v")
    run(f"COMMENT ON MATERIALIZED VIEW {work}.v IS 'v'")
    run(f"ALTER TABLE {work}.v ADD COLUMN note pg_catalog.text")
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        run(f"ALTER MATERIALIZED VIEW {work}.v DROP COLUMN document")
    with pytest.raises(psycopg.Error) as raised:
        run(f"DROP VIEW {work}.v_definition")
    assert MARK not in str(raised.value)
    run(f"EXPLAIN SELECT * FROM {source}")
    run(f"SELECT * FROM {source}")
    # Records that are skipped, a partition for a range that has rows, its children, and a stream of Kinesis.
    run(f"CREATE MATERIALIZED VIEW {work}.r WITH (partition_by = 'RANGE (kafka_offset)', max_record_bytes = 8) AS SELECT kafka_partition, kafka_offset FROM {source}")
    kafka.produce(topic, [b"longer than eight bytes"] * 2)
    run(f"REFRESH MATERIALIZED VIEW {work}.r")
    run(f"CALL redshift.add_partition('{work}.r'::pg_catalog.regclass, '0', '5')")
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        run(f"ALTER TABLE {work}.r_default SET UNLOGGED")
    stream = kinesis.stream(2)
    kinesis.produce(stream, [b"x"] * 10)
    run(f"CALL redshift.create_external_schema('streams', source => 'kinesis', region => 'us-east-1', endpoint_url => '{kinesis.endpoint}', streams => '{stream}')")
    run(f'CREATE MATERIALIZED VIEW {work}.k AS SELECT shard_id, sequence_number FROM streams."{stream}"')
    run(f"REFRESH MATERIALIZED VIEW {work}.k")
    run(f"ALTER MATERIALIZED VIEW {work}.k SET (auto_refresh = on)")
    # A stream that the database keeps.
    run("CALL redshift.create_stream('kept.s', partitions => 2)")
    run("INSERT INTO kept.s (kafka_key, kafka_value) VALUES ('k'::pg_catalog.text, 'x'::pg_catalog.text)")
    run(f"CREATE MATERIALIZED VIEW {work}.s WITH (on_data_loss = 'continue') AS SELECT kafka_partition, kafka_offset FROM kept.s")
    run(f"REFRESH MATERIALIZED VIEW {work}.s")
    run(f"ALTER MATERIALIZED VIEW {work}.s SET (auto_refresh = on)")
    run("CALL redshift.alter_stream('kept.s', partitions => 3, retention => '1 day', retention_bytes => 1000000)")
    run("CALL redshift.trim_stream('kept.s')")
    for fault in ("gap", "truncated", "loss", "partition", "unreachable", "none", "recreated"):
        run(f"CALL redshift.stream_fault('kept.s', '{fault}')")
        run("INSERT INTO kept.s (kafka_partition, kafka_value) VALUES (0, 'x'::pg_catalog.text), (0, 'y'::pg_catalog.text)")
    run("SELECT * FROM redshift.source_status('kept')")
    run("CALL redshift.create_stream('kept.gone')")
    run("CALL redshift.drop_stream('kept.gone')")
    run(f"SELECT * FROM redshift.stream_lag")
    run("SELECT redshift.definition('work.v'::pg_catalog.regclass), redshift.status('work.w'::pg_catalog.regclass), redshift.metrics()")
    run("SELECT * FROM redshift.verify('work.v'::pg_catalog.regclass)")
    run("SELECT * FROM redshift.topics('followed')")
    run("SELECT * FROM redshift.source_status('followed')")
    run("SELECT public.pg_last_query_id(), redshift.checked_cast(document, 1::pg_catalog.int4), public.getdate(), redshift.date_part('month', public.getdate()), "
        "public.sha2('x', 256), document['n'] FROM work.v")
    return work, topic


def texts_of_source():
    """The texts of SQL in src, each as the pieces between what is put into it."""
    for path in (ROOT / "src").rglob("*.rs"):
        for literal in re.findall(r'"((?:[^"\\]|\\.)*)"', path.read_text(), re.S):
            text = re.sub(r"\\\n\s*", "", literal).replace('\\"', '"')
            if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b.*\b(FROM|INTO|SET|pg_catalog)", text, re.S):
                pieces = [piece for piece in (" ".join(part.split()) for part in re.split(r"\{[^}]*\}", text)) if len(piece) > 12]
                if pieces:
                    yield path.name, pieces


def read_all_views(session, clean):
    names = clean.execute(
        "SELECT format('%%I.%%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_depend d "
        "ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e' WHERE c.relkind = 'v' AND d.refobjid = "
        "(SELECT oid FROM pg_extension WHERE extname = 'redshift_streaming') AND has_table_privilege(%s, c.oid, 'SELECT')", (session.info.user,)).fetchall()
    assert len(names) > 15
    for (name,) in names:
        session.execute(f"SELECT * FROM {name}")


PATHS = {
    "of the database": ("ALTER DATABASE trap SET search_path = evil, public, pg_catalog", "ALTER DATABASE trap RESET search_path", {}),
    "of the role": ("ALTER ROLE CURRENT_USER IN DATABASE trap SET search_path = evil, public, pg_catalog", "ALTER ROLE CURRENT_USER IN DATABASE trap RESET search_path", {}),
    "of the session": ("SELECT 1", "SELECT 1", {"options": "-c search_path=pg_temp,evil,public,pg_catalog"}),
}


def test_no_shadow_runs_whatever_the_search_path(hostile, kafka, kinesis):
    """Backends (the superuser's over a user's views) and all kinds of workers."""
    log = log_of(hostile)
    clean = connect(hostile, options="-c search_path=pg_catalog")
    clean.execute("CREATE EXTENSION redshift_streaming SCHEMA public")
    with connect(hostile, user="mallory", password="mallory") as mallory:
        mallory.execute("CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO PUBLIC")
        plant(mallory, "evil", words_of(INSTALL_SCRIPT))
        planted = value(mallory, "SELECT count(*) FROM pg_operator WHERE oprnamespace = 'evil'::regnamespace")
        assert planted > 6000
    for what, (on, off, options) in PATHS.items():
        # By the database's owner where he can.
        with connect(hostile, **({"user": "mallory", "password": "mallory"} if "database" in what else {}), options="-c search_path=pg_catalog") as setter:
            setter.execute(on)
        # Workers that start now have it.
        for (pid,) in clean.execute("SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'redshift_streaming%' AND datname = 'trap'").fetchall():
            clean.execute("SELECT pg_terminate_backend(%s)", (pid,))
        start = log.stat().st_size
        session = connect(hostile, **options)
        if options:
            session.execute("CREATE TEMP TABLE pg_class (x pg_catalog.int4); CREATE TEMP TABLE pg_depend (x pg_catalog.int4); CREATE TEMP TABLE pg_namespace (x pg_catalog.int4); "
                            "CREATE DOMAIN pg_temp.int8 AS pg_catalog.text CHECK (evil.tell('temporary type')); CREATE DOMAIN pg_temp.regclass AS pg_catalog.text CHECK (evil.tell('temporary type'))")
        else:
            # The trap works: whoever names something without care falls into it.
            with pytest.raises(psycopg.Error, match=MARK):
                session.execute("SELECT 1 OPERATOR(=) 1")
            wait_until(lambda: told(log, start), 5, "the mark in the log")
            start = log.stat().st_size
        work, topic = everything_by_hand(session, kafka, kinesis, "mallory")
        wait_until(lambda: value(clean, f"SELECT count(*) FROM {work}.w") == 22, 30, "auto refresh")
        kafka.topic(name=topic + "_later")
        wait_until(lambda: value(clean, f"SELECT to_regclass('followed.\"{topic}_later\"') IS NOT NULL"), 30, "the sync worker")
        wait_until(lambda: value(clean, "SELECT count(*) FROM redshift.statement_history") > 0, 30, "the monitor")
        kafka.produce(topic, [b"{}"] * 2000)
        wait_until(lambda: value(clean, f"SELECT count(*) FROM {work}.w") == 2022, 30, "auto refresh")
        read_all_views(session, clean)
        with connect(hostile, user="mallory", password="mallory", **options) as mallory:
            read_all_views(mallory, clean)
            mallory.execute(f"REFRESH MATERIALIZED VIEW {work}.p")
        session.execute(f"DROP MATERIALIZED VIEW {work}.p")
        session.execute("CALL redshift.uninstall()")
        with connect(hostile, options="-c search_path=pg_catalog") as setter:
            setter.execute(off)
        session.execute(f"DROP SCHEMA {work}, elsewhere, imported, kept CASCADE")
        assert told(log, start) == [], what
        session.close()
        wait_until(lambda: "schema \"followed\"" not in str(clean.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'followed'").fetchall()), 5)
    logged = log.read_text(errors="replace")
    # The texts that ran, as they were collected, in backends and workers: nearly all that there are, so a shadow of any of them would have told. The rest are for
    # what is rare, such as lost records; they go through the same door.
    ran = " ".join(logged.split())
    texts = list(texts_of_source())
    missed = [(name, pieces[0][:100]) for name, pieces in texts if not all(piece in ran for piece in pieces)]
    assert len(texts) > 50 and len(missed) <= len(texts) // 4, missed
    assert re.search(r"redshift_streaming worker [^:]*: LOG: +duration", logged) and re.search(r"redshift_streaming monitor [^:]*: LOG: +duration", logged)
    # And no plan, in which names are spelled out, has one of the trap's.
    plans = [line for line in logged.splitlines() if re.search(r"evil\.|OPERATOR\(evil", line) and re.search(r"Filter|Cond|Output|Key", line)]
    assert not plans, plans[:5]


def test_a_worker_runs_as_nobody_it_was_told_to(hostile, kafka):
    """Role, session user and the kind of its transactions are not the database's to choose."""
    clean = connect(hostile, options="-c search_path=pg_catalog")
    cluster, log = hostile, log_of(hostile)
    cluster.administer("CREATE DATABASE settings OWNER mallory")
    with psycopg.connect(**(cluster.connect | {"dbname": "settings", "autocommit": True, "user": "mallory", "password": "mallory"})) as mallory:
        for setting in ("role = mallory", "session_authorization = mallory", "default_transaction_read_only = on", "default_transaction_isolation = serializable",
                        "row_security = off", "lock_timeout = 1", "statement_timeout = 1", "transform_null_equals = on", "standard_conforming_strings = off",
                        "quote_all_identifiers = on", "array_nulls = off", "search_path = nowhere", "default_tablespace = ''", "check_function_bodies = off"):
            mallory.execute(f"ALTER DATABASE settings SET {setting}")
    session = psycopg.connect(**(cluster.connect | {"dbname": "settings", "autocommit": True}),
                              options="-c default_transaction_read_only=off -c statement_timeout=0 -c lock_timeout=0 -c search_path=public")
    session.execute("RESET SESSION AUTHORIZATION")
    session.execute("SET SESSION AUTHORIZATION postgres; SET ROLE NONE")
    session.execute("CREATE EXTENSION redshift_streaming SCHEMA public")
    stage_topic = kafka.topic()
    session.execute(f"CALL redshift.create_external_schema('s', source => 'kafka', uri => '{kafka.bootstrap}', topics => '{stage_topic}')")
    session.execute(f'CREATE MATERIALIZED VIEW v WITH (auto_refresh = on) AS SELECT kafka_offset FROM s."{stage_topic}"')
    kafka.produce(stage_topic, [b"x"] * 10)
    wait_until(lambda: value(session, "SELECT count(*) FROM v") == 10, 30, "auto refresh")
    assert told(log) == [] or MARK
    clean.close()
    session.close()


def test_nothing_of_ours_is_bound_to_what_was_planted_before_it_was_created(cluster):
    """In public, where the extension goes, and in a schema of its own."""
    database = cluster.database()
    plant(database.connection, "public", words_of(INSTALL_SCRIPT), twins=False)
    for schema in ("public", "elsewhere"):
        database.run("SET search_path = public, pg_catalog; SET client_min_messages = error")
        if schema != "public":
            database.run(f"CREATE SCHEMA {schema}")
        database.run(f"CREATE EXTENSION redshift_streaming SCHEMA {schema}")
        database.run("SET search_path = pg_catalog")
        strangers = database.rows(
            """
            WITH RECURSIVE ours AS (
                SELECT d.classid, d.objid FROM pg_depend AS d WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
                    AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'redshift_streaming')
                UNION SELECT d.classid, d.objid FROM pg_depend AS d JOIN ours AS o ON d.refclassid = o.classid AND d.refobjid = o.objid WHERE d.deptype IN ('i', 'a'))
            SELECT pg_describe_object(d.classid, d.objid, d.objsubid), pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid)
            FROM ours AS o JOIN pg_depend AS d ON d.classid = o.classid AND d.objid = o.objid
            WHERE d.refclassid <> 'pg_extension'::regclass AND (d.refclassid, d.refobjid) NOT IN (SELECT classid, objid FROM ours)
              AND (d.refclassid, d.refobjid) NOT IN (SELECT 'pg_namespace'::regclass::oid, oid FROM pg_namespace)
              AND d.refobjid >= 16384
              -- Languages come with the database.
              AND d.refclassid <> 'pg_language'::regclass
            """
        )
        assert strangers == []
        # And nothing was left where it was built, or landed elsewhere.
        places = database.column(
            "SELECT DISTINCT i.schema FROM pg_depend AS d, LATERAL pg_identify_object(d.classid, d.objid, 0) AS i WHERE d.refclassid = 'pg_extension'::regclass "
            "AND d.deptype = 'e' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'redshift_streaming') AND i.schema IS NOT NULL")
        assert sorted(places) == sorted({schema, "redshift"})
        # Its views and functions give what they should, whoever reads them on whatever path.
        database.run("SET search_path = public, pg_catalog")
        for view in ("sys_mv_refresh_history", "sys_query_history", "svv_external_schemas"):
            database.run(f"SELECT * FROM {schema}.{view}")
        database.run("SET search_path = pg_catalog")
        database.run("DROP EXTENSION redshift_streaming")
    cluster.drop(database)


def test_bodies_that_are_text_close_the_path_themselves(db):
    """What is bound when it is created needs no path; what is text is looked up each time. Polymorphic functions are text, and inlined, so they have no
    settings: every name in them is qualified, and there is no operator."""
    open_ones = db.rows(
        """
        SELECT p.oid::regprocedure::text, l.lanname, p.prosrc FROM pg_proc AS p JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
            JOIN pg_language AS l ON l.oid = p.prolang
        WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'redshift_streaming')
          AND l.lanname NOT IN ('c', 'internal') AND p.prosqlbody IS NULL
          AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false)
        """
    )
    assert len(open_ones) < 10
    for name, language, body in open_ones:
        assert language == "sql" and "any" in name, name
        body = re.sub(r"OPERATOR\(pg_catalog\.[^)]*\)|::|\b(pg_catalog|redshift)\.\w+|\bCOALESCE\b|\bAS u \(v, n\)", ",", body)
        assert not re.search(r"[-+*/<>=~!@#%^&|`?]|\w\s*\(|\bIN\b|\bBETWEEN\b|\bLIKE\b|DISTINCT", body), (name, body)


def test_sql_runs_through_one_door():
    """Nothing but src/pg/spi.rs calls SPI, and nothing in it but the one function that closes the path."""
    for path in (ROOT / "src").rglob("*.rs"):
        calls = re.findall(r"\bSpi::\w+|SPI_\w+\(", path.read_text())
        assert calls == (["Spi::connect_mut"] if path.name == "spi.rs" else []), path


def test_a_schema_of_our_name_that_is_somebody_elses(cluster, role):
    """His objects are not taken for ours: the extension is refused."""
    database = cluster.database()
    database.run("CREATE ROLE squatter")
    for schema in ("redshift", "redshift_streaming_install"):
        database.run(f"CREATE SCHEMA {schema} AUTHORIZATION squatter")
        with pytest.raises(psycopg.errors.DuplicateSchema):
            database.run("CREATE EXTENSION redshift_streaming")
        database.run(f"DROP SCHEMA {schema}")
    for conflicting in ("CREATE FUNCTION public.json_parse(text) RETURNS text LANGUAGE sql AS 'SELECT $1'", "CREATE TYPE public.super AS (x int)",
                        "CREATE VIEW public.sys_query_history AS SELECT 1"):
        database.run("BEGIN")
        database.run(conflicting)
        with pytest.raises(psycopg.Error) as raised:
            database.run("CREATE EXTENSION redshift_streaming SCHEMA public")
        assert raised.value.sqlstate in ("42723", "42710", "42P07"), raised.value
        database.run("ROLLBACK")
    database.run("DROP ROLE squatter")
    cluster.drop(database)


def test_what_an_owner_has_written_runs_as_the_owner(cluster):
    """redshift.uninstall, called by a superuser, changes tables of others: their CHECK constraints are looked at again."""
    database = cluster.database()
    owner = "owner_" + database.name
    database.run(f"CREATE EXTENSION redshift_streaming; CREATE ROLE {owner}; CREATE SCHEMA own AUTHORIZATION {owner}; CREATE TABLE public.spied (who text); GRANT INSERT ON public.spied TO PUBLIC")
    database.run(f"SET ROLE {owner}")
    database.run(
        "CREATE FUNCTION own.spy(jsonb) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.spied VALUES (current_user); RETURN true; END $$; "
        "CREATE TABLE own.t (data super CHECK (own.spy(data)), x int); INSERT INTO own.t VALUES (json_parse('{}'), 1)")
    database.run("CREATE INDEX ON own.t (data)")
    database.run("RESET ROLE; TRUNCATE public.spied")
    database.run("CALL redshift.uninstall()")
    assert set(database.column("SELECT who FROM public.spied")) == {owner}
    assert database.value("SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = 'own.t'::regclass AND attname = 'data'") == "jsonb"
    database.run("DROP EXTENSION redshift_streaming")
    assert database.value("SELECT count(*) FROM own.t") == 1
    database.run(f"DROP OWNED BY {owner} CASCADE; DROP ROLE {owner}")
    cluster.drop(database)
