"""A streaming materialized view's life: CREATE, ALTER, rights, DELETE, DROP."""

import psycopg
import pytest


def create(stage, topic, text="SELECT kafka_partition, kafka_offset, kafka_value FROM {}", head="CREATE MATERIALIZED VIEW v"):
    return stage.db.run(f"{head} AS {text.format(stage.relation(topic))}")


@pytest.fixture
def topic(stage):
    it = stage.topic(2)
    stage.expected = stage.kafka.produce(it, [{"value": str(n).encode(), "partition": n % 2} for n in range(40)])
    return it


def test_create_reads_no_record_and_is_readable_at_once(stage, topic):
    assert create(stage, topic).statusmessage == "CREATE MATERIALIZED VIEW"
    assert stage.db.rows("SELECT * FROM v") == []
    assert stage.db.run("REFRESH MATERIALIZED VIEW v").statusmessage == "REFRESH MATERIALIZED VIEW"
    stage.count_exactly_once(stage.expected)


def test_refresh_tells_its_counts(stage, topic):
    create(stage, topic)
    stage.db.connection.notices.clear()
    stage.refresh()
    assert any("40" in notice for notice in stage.db.connection.notices)


@pytest.mark.parametrize("tail", ["", " WITH NO DATA", " WITH DATA"])
def test_with_data_or_not_it_starts_empty(stage, topic, tail):
    create(stage, topic, "SELECT kafka_partition, kafka_offset FROM {}" + tail)
    assert stage.db.rows("SELECT * FROM v") == []
    stage.refresh()
    stage.count_exactly_once(stage.expected)


def test_if_not_exists(stage, topic):
    create(stage, topic)
    with pytest.raises(psycopg.errors.DuplicateTable):
        create(stage, topic)
    stage.db.connection.notices.clear()
    create(stage, topic, head="CREATE MATERIALIZED VIEW IF NOT EXISTS v")
    assert any("exists" in notice for notice in stage.db.connection.notices)
    stage.refresh()
    stage.count_exactly_once(stage.expected)


def test_column_list(stage, topic):
    create(stage, topic, head="CREATE MATERIALIZED VIEW v (p, o)")
    stage.refresh()
    assert set(stage.db.rows("SELECT p, o FROM v")) == stage.expected
    assert stage.db.column("SELECT attname::text FROM pg_attribute WHERE attrelid = 'v'::regclass AND attnum > 0 ORDER BY attnum") == ["p", "o", "kafka_value"]


def test_a_view_without_position_columns_is_told_so(stage, topic):
    stage.db.connection.notices.clear()
    create(stage, topic, "SELECT kafka_value FROM {}")
    assert any("kafka_offset" in notice for notice in stage.db.connection.notices)
    stage.refresh()
    stage.refresh()
    assert stage.db.value("SELECT count(*) FROM v") == 40
    assert stage.db.value("SELECT bool_and(ok) FROM redshift.verify('v')")


@pytest.mark.parametrize(("option", "kind"), [("", "brin"), ("offset_index = 'brin'", "brin"), ("offset_index = 'btree'", "btree"), ("offset_index = 'none'", None)])
def test_offset_index(stage, topic, option, kind):
    stage.view(topic, options=option)
    found = stage.db.rows(
        "SELECT am.amname, i.indisunique FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am am ON am.oid = c.relam WHERE i.indrelid = 'v'::regclass"
    )
    assert found == ([] if kind is None else [(kind, kind == "btree")])
    stage.refresh()
    stage.count_exactly_once(stage.expected)


@pytest.mark.parametrize(
    "option",
    ["no_such_option = 1", "on_error = 'perhaps'", "on_data_loss = 'shrug'", "start = 'whenever'", "max_record_bytes = -1",
     "max_record_bytes = 'much'", "offset_index = 'hash'", "start = '{\"0\": -5}'", "start = '{\"x\": 5}'", "partition_by = 'ROUND ROBIN'"],
)
def test_an_option_or_value_that_does_not_exist_is_refused_by_name(stage, topic, option):
    with pytest.raises(psycopg.Error) as error:
        stage.view(topic, options=option)
    assert option.split(" ")[0] in str(error.value)
    if option.startswith("no_such"):
        assert error.value.sqlstate == "22023"
    assert stage.db.value("SELECT to_regclass('v')") is None


@pytest.mark.parametrize(
    "definition",
    [
        "SELECT count(*) FROM {0}",
        "SELECT kafka_partition, count(*) FROM {0} GROUP BY 1",
        "SELECT DISTINCT kafka_partition FROM {0}",
        "SELECT kafka_partition FROM {0} ORDER BY 1",
        "SELECT kafka_partition FROM {0} LIMIT 5",
        "SELECT kafka_partition FROM {0} OFFSET 5",
        "SELECT kafka_partition, row_number() OVER () FROM {0}",
        "SELECT kafka_partition FROM {0} UNION ALL SELECT kafka_partition FROM {0}",
        "SELECT kafka_partition FROM {0} EXCEPT SELECT 1",
        "WITH x AS (SELECT * FROM {0}) SELECT * FROM x",
        "SELECT * FROM (SELECT * FROM {0}) x",
        "SELECT a.kafka_partition FROM {0} a, {0} b",
        "SELECT a.kafka_partition FROM {0} a JOIN side s ON s.n = a.kafka_partition",
        "SELECT kafka_partition FROM {0} WHERE kafka_partition IN (SELECT n FROM side)",
        "SELECT kafka_partition, (SELECT max(n) FROM side) FROM {0}",
        "SELECT 1 AS one FROM {0} HAVING true",
        "SELECT kafka_partition FROM {0} FOR UPDATE",
        "SELECT kafka_partition FROM {0} TABLESAMPLE SYSTEM (10)",
    ],
)
def test_what_cannot_be_incremental_is_refused_with_a_hint(stage, topic, definition):
    stage.db.run("CREATE TABLE side (n bigint)")
    with pytest.raises(psycopg.Error) as error:
        create(stage, topic, definition)
    assert error.value.sqlstate == "0A000" or "TABLESAMPLE" in definition, error.value
    assert error.value.diag.message_hint or "TABLESAMPLE" in definition
    assert stage.db.value("SELECT to_regclass('v')") is None


def test_the_text_of_a_definition_may_use_functions_of_the_search_path(stage, topic):
    stage.db.run("CREATE FUNCTION double(bigint) RETURNS bigint IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 2'")
    create(stage, topic, "SELECT kafka_partition, kafka_offset, double(kafka_offset) AS twice FROM {}")
    stage.db.run("SET search_path = pg_catalog")
    stage.db.run(f"REFRESH MATERIALIZED VIEW {stage.work}.v")
    stage.db.run(f"SET search_path = {stage.path}")
    assert stage.db.value("SELECT bool_and(twice = kafka_offset * 2) FROM v")
    stage.count_exactly_once(stage.expected)


def test_rename_set_schema_and_rename_column(stage, topic):
    create(stage, topic)
    stage.refresh()
    assert stage.db.run("ALTER MATERIALIZED VIEW v RENAME TO w").statusmessage == "ALTER MATERIALIZED VIEW"
    stage.db.run("ALTER MATERIALIZED VIEW w RENAME COLUMN kafka_value TO payload")
    stage.db.run(f"CREATE SCHEMA {stage.work}_other")
    try:
        stage.db.run(f"ALTER MATERIALIZED VIEW w SET SCHEMA {stage.work}_other")
        name = f"{stage.work}_other.w"
        stage.expected |= stage.kafka.produce(topic, [b"40"])
        stage.refresh(name)
        stage.refresh(name)
        assert stage.db.value(f"SELECT count(*) FROM {name} WHERE payload::bytea = '40'") == 1
        stage.count_exactly_once(stage.expected, name)
    finally:
        stage.db.run(f"DROP SCHEMA {stage.work}_other CASCADE")


def test_alter_set_changes_an_option_and_refuses_unknown_ones(stage, topic):
    create(stage, topic)
    stage.db.run("ALTER MATERIALIZED VIEW v SET (on_data_loss = 'continue')")
    with pytest.raises(psycopg.Error) as error:
        stage.db.run("ALTER MATERIALIZED VIEW v SET (no_such_option = 1)")
    assert "no_such_option" in str(error.value)
    stage.refresh()
    stage.count_exactly_once(stage.expected)


def test_dropping_a_mapped_column_is_refused_with_a_hint(stage, topic):
    create(stage, topic)
    with pytest.raises(psycopg.Error) as error:
        stage.db.run("ALTER TABLE v DROP COLUMN kafka_value")
    assert error.value.diag.message_hint
    stage.db.run("ALTER TABLE v ADD COLUMN note text DEFAULT 'new'")
    stage.refresh()
    assert stage.db.column("SELECT DISTINCT note FROM v") == ["new"]
    stage.count_exactly_once(stage.expected)


def test_the_owner_refreshes_and_others_do_not(stage, topic, role):
    owner, other = role(), role()
    create(stage, topic)
    stage.db.run(f"GRANT USAGE ON SCHEMA {stage.schema}, {stage.work} TO {owner}, {other}")
    stage.db.run(f"GRANT CREATE ON SCHEMA {stage.work} TO {owner}")
    stage.db.run(f"ALTER MATERIALIZED VIEW v OWNER TO {owner}")
    stage.db.run(f"SET ROLE {other}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        stage.refresh()
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        stage.db.run("DROP MATERIALIZED VIEW v")
    stage.db.run(f"SET ROLE {owner}")
    stage.refresh()
    stage.db.run(f"GRANT SELECT ON v TO {other}")
    stage.db.run(f"SET ROLE {other}")
    assert stage.db.value("SELECT count(*) FROM v") == 40
    stage.db.run("RESET ROLE")
    stage.count_exactly_once(stage.expected)


def test_the_definition_runs_as_the_owner(stage, topic, role):
    owner = role()
    stage.db.run(f"GRANT USAGE ON SCHEMA {stage.schema} TO {owner}")
    stage.db.run(f"GRANT USAGE, CREATE ON SCHEMA {stage.work} TO {owner}")
    stage.db.run(f"SET ROLE {owner}")
    stage.db.run("CREATE FUNCTION me() RETURNS text LANGUAGE sql AS 'SELECT current_user::text'")
    create(stage, topic, "SELECT kafka_partition, kafka_offset, " + f"{stage.work}.me() AS me" + " FROM {}")
    stage.db.run("RESET ROLE")
    stage.refresh()
    assert stage.db.column("SELECT DISTINCT me FROM v") == [owner]
    assert stage.db.value("SELECT current_user") == "postgres"
    stage.count_exactly_once(stage.expected)


def test_delete_and_truncate_move_no_position(stage, topic):
    create(stage, topic)
    stage.refresh()
    stage.db.run("DELETE FROM v WHERE kafka_partition = 0")
    stage.refresh()
    assert stage.db.value("SELECT count(*) FROM v") == 20
    stage.db.run("TRUNCATE v")
    stage.refresh()
    assert stage.db.value("SELECT count(*) FROM v") == 0
    later = stage.kafka.produce(topic, [b"x"] * 10)
    stage.refresh()
    stage.count_exactly_once(later)


def test_indexes_comments_and_constraints_by_the_user(stage, topic):
    create(stage, topic)
    stage.db.run("COMMENT ON MATERIALIZED VIEW v IS 'orders'")
    assert stage.db.value("SELECT obj_description('v'::regclass)") == "orders"
    stage.db.run("CREATE UNIQUE INDEX ON v (kafka_partition, kafka_offset)")
    stage.db.run("CREATE INDEX ON v ((kafka_value::bytea))")
    stage.refresh()
    stage.count_exactly_once(stage.expected)


def test_drop_leaves_nothing(stage, topic):
    def left():
        return stage.db.value(
            "SELECT count(*) FROM pg_class WHERE relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('redshift', %s)) AND relkind IN ('r', 'v', 'p', 'm')",
            stage.work,
        )

    before = left()
    create(stage, topic)
    stage.refresh()
    assert stage.db.run("DROP MATERIALIZED VIEW v").statusmessage == "DROP MATERIALIZED VIEW"
    assert left() == before
    create(stage, topic)
    stage.refresh()
    stage.count_exactly_once(stage.expected)


def test_drop_several_if_exists_and_cascade(stage, topic):
    for name in ("v", "w", "x"):
        create(stage, topic, head=f"CREATE MATERIALIZED VIEW {name}")
    stage.db.run("DROP MATERIALIZED VIEW IF EXISTS nobody, v")
    stage.db.run("CREATE VIEW above AS SELECT * FROM w")
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        stage.db.run("DROP MATERIALIZED VIEW w")
    stage.db.run("DROP MATERIALIZED VIEW w, x CASCADE")
    for name in ("v", "w", "x", "above"):
        assert stage.db.value("SELECT to_regclass(%s)", name) is None
    with pytest.raises(psycopg.errors.UndefinedTable):
        stage.db.run("DROP MATERIALIZED VIEW v")


def test_drop_table_and_drop_schema_clean_up_too(stage, topic):
    create(stage, topic)
    stage.db.run("DROP TABLE v")
    create(stage, topic)
    stage.refresh()
    stage.count_exactly_once(stage.expected)
    stage.db.run(f"DROP SCHEMA {stage.work} CASCADE")
    assert stage.db.value("SELECT count(*) FROM svv_mv_info WHERE trim(schema_name) = %s", stage.work) == 0
    stage.db.run(f"CREATE SCHEMA {stage.work}")


def test_create_rolls_back(stage, topic):
    with stage.connect() as session:
        session.execute("BEGIN")
        session.execute(f"CREATE MATERIALIZED VIEW v AS SELECT kafka_partition, kafka_offset FROM {stage.relation(topic)}")
        session.execute("REFRESH MATERIALIZED VIEW v")
        session.execute("ROLLBACK")
    assert stage.db.value("SELECT to_regclass('v')") is None
    create(stage, topic)
    stage.refresh()
    stage.count_exactly_once(stage.expected)


def test_a_view_over_no_stream_stays_postgres_own(stage):
    stage.db.run("CREATE TABLE side AS SELECT generate_series(1, 5) AS n")
    stage.db.run("CREATE MATERIALIZED VIEW native AS SELECT count(*) AS n FROM side")
    assert stage.db.value("SELECT relkind FROM pg_class WHERE oid = 'native'::regclass") in ("m", b"m")
    stage.db.run("INSERT INTO side VALUES (6)")
    stage.db.run("REFRESH MATERIALIZED VIEW native")
    assert stage.db.value("SELECT n FROM native") == 6
    stage.db.run("ALTER MATERIALIZED VIEW native RENAME TO other")
    stage.db.run("DROP MATERIALIZED VIEW other")


def test_event_triggers_see_the_commands(stage, topic):
    stage.db.run("CREATE TABLE seen (tag text)")
    stage.db.run(
        f"CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO {stage.work}.seen VALUES (tg_tag); END$$"
    )
    stage.db.run("CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION note()")
    try:
        create(stage, topic)
        stage.db.run("ALTER MATERIALIZED VIEW v RENAME TO w")
        stage.refresh("w")
    finally:
        stage.db.run("DROP EVENT TRIGGER watch")
    seen = stage.db.column("SELECT tag FROM seen")
    assert {"CREATE MATERIALIZED VIEW", "ALTER MATERIALIZED VIEW", "REFRESH MATERIALIZED VIEW"} <= set(seen)
    stage.count_exactly_once(stage.expected, "w")


@pytest.mark.parametrize("start", ["earliest", "latest"])
def test_start(stage, topic, start):
    stage.view(topic, options=f"start = '{start}'")
    later = stage.kafka.produce(topic, [b"x"] * 10)
    stage.refresh()
    stage.refresh()
    stage.count_exactly_once(stage.expected | later if start == "earliest" else later)


def test_start_at_given_offsets(stage, topic):
    stage.view(topic, options="start = '{\"0\": 5, \"1\": 20}'")
    stage.refresh()
    stage.count_exactly_once({(p, o) for p, o in stage.expected if p == 0 and o >= 5})


@pytest.mark.apache_only("the embedded broker has no timestamp look-up")
def test_start_at_a_time(stage):
    topic = stage.topic()
    stage.kafka.produce(topic, [{"value": b"old", "timestamp": 1767225600000}] * 10)
    expected = stage.kafka.produce(topic, [{"value": b"new", "timestamp": 1767312000000}] * 10)
    stage.view(topic, options="start = '2026-01-01 12:00:00'")
    stage.refresh()
    stage.count_exactly_once(expected)
