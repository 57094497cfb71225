"""Rows are inserted in batches where nobody can tell, else one by one: the same rows, the same errors, in both."""

import json
import os
import time

import psycopg
import pytest

# More than two batches of a thousand.
RECORDS = 2500
BAD = 1700

ONE_BY_ONE = "CREATE TRIGGER zzz BEFORE INSERT ON v FOR EACH ROW EXECUTE FUNCTION as_it_is()"
COLUMNS = "kafka_partition, kafka_offset, (json_parse(kafka_value))['id']::int4 AS id, (json_parse(kafka_value))['price']::int4 AS price"

# What the table is given, and the error that the record at offset BAD causes.
TABLES = {
    "plain": ("", None),
    "check": ("ALTER TABLE v ADD CONSTRAINT cheap CHECK (price < 1000000)", "23514"),
    "check that holds": ("ALTER TABLE v ADD CONSTRAINT cheap CHECK (price > 0)", None),
    "not null": ("ALTER TABLE v ALTER id SET NOT NULL", "23502"),
    "unique": ("CREATE UNIQUE INDEX one ON v (price) WHERE price IN (1, 1000000); INSERT INTO v VALUES (-1, -1, 0, 1000000)", "23505"),
    "unique within a batch": (f"CREATE UNIQUE INDEX one ON v ((CASE WHEN id IS NULL THEN {BAD - 10} ELSE price END))", "23505"),
    "exclusion": ("ALTER TABLE v ADD CONSTRAINT apart EXCLUDE USING btree (price WITH =) WHERE (price > 900000); INSERT INTO v VALUES (-1, -1, 0, 1000000)", "23P01"),
    "expression index": ("CREATE INDEX ON v ((100 / (1000000 - price)))", "22012"),
    "foreign key": ("CREATE TABLE product (id int PRIMARY KEY); ALTER TABLE v ADD CONSTRAINT fk FOREIGN KEY (price) REFERENCES product;"
                    f"INSERT INTO product SELECT n + 1 FROM generate_series(0, {RECORDS}) n", "23503"),
    "partition of another table": ("CREATE TABLE parent (LIKE v) PARTITION BY RANGE (price); "
                                   "ALTER TABLE parent ATTACH PARTITION v FOR VALUES FROM (0) TO (1000000)", "23514"),
    "generated": ("ALTER TABLE v ADD twice int GENERATED ALWAYS AS (price * 2) STORED, ADD CHECK (twice < 2000000)", "23514"),
    "generated, identity, default": ("ALTER TABLE v ADD twice int GENERATED ALWAYS AS (price * 2) STORED, ADD n int GENERATED ALWAYS AS IDENTITY, "
                                     "ADD m serial, ADD note text DEFAULT 'x'", None),
    "dropped column": ("ALTER TABLE v ADD gone text; ALTER TABLE v DROP gone; ALTER TABLE v ADD late int DEFAULT 7", None),
    "after row": ("CREATE TRIGGER a AFTER INSERT ON v FOR EACH ROW EXECUTE FUNCTION note()", None),
    "after row, when": ("CREATE TRIGGER a AFTER INSERT ON v FOR EACH ROW WHEN (NEW.price % 100 = 0) EXECUTE FUNCTION note()", None),
    "after row that fails": ("CREATE TRIGGER a AFTER INSERT ON v FOR EACH ROW WHEN (NEW.price = 1000000) EXECUTE FUNCTION fail()", "P0001"),
    "statement": ("CREATE TRIGGER a BEFORE INSERT ON v EXECUTE FUNCTION note_statement(); CREATE TRIGGER b AFTER INSERT ON v EXECUTE FUNCTION note_statement()", None),
    "transition table": ("CREATE TRIGGER a AFTER INSERT ON v REFERENCING NEW TABLE AS fresh EXECUTE FUNCTION note_fresh()", None),
    "transition table of a row trigger": ("CREATE TRIGGER a AFTER INSERT ON v REFERENCING NEW TABLE AS fresh FOR EACH ROW WHEN (NEW.price % 500 = 0) EXECUTE FUNCTION note_fresh()", None),
    "all at once": ("ALTER TABLE v ADD twice int GENERATED ALWAYS AS (price * 2) STORED; CREATE UNIQUE INDEX ON v (kafka_partition, kafka_offset);"
                    "CREATE INDEX ON v USING hash (twice); CREATE TRIGGER a AFTER INSERT ON v FOR EACH ROW EXECUTE FUNCTION note();"
                    "CREATE TRIGGER b AFTER INSERT ON v REFERENCING NEW TABLE AS fresh EXECUTE FUNCTION note_fresh()", None),
}
# The same, for a table that is partitioned by price, with a default partition.
PARTITIONS = {
    "default partition": ("", None),
    "runs and single rows": ("CREATE TABLE a PARTITION OF v FOR VALUES FROM (100) TO (800); CREATE TABLE b PARTITION OF v FOR VALUES FROM (800) TO (801);"
                             "CREATE TABLE c PARTITION OF v FOR VALUES FROM (801) TO (10000)", None),
    "no partition": ("DROP TABLE v_default; CREATE TABLE a PARTITION OF v FOR VALUES FROM (0) TO (10000)", "23514"),
    "check of a partition": ("CREATE TABLE a PARTITION OF v (CHECK (id > 0)) FOR VALUES FROM (1000000) TO (1000001)", None),
    "not null of a partition": ("CREATE TABLE a PARTITION OF v (id NOT NULL) FOR VALUES FROM (1000000) TO (1000001)", "23502"),
    "unique": ("CREATE UNIQUE INDEX one ON v (price); INSERT INTO v (id, price) VALUES (0, 1000000)", "23505"),
    "other order of columns": ("CREATE TABLE a (note text DEFAULT 'x', price int, id int, gone int, kafka_offset bigint, kafka_partition bigint); ALTER TABLE a DROP gone;"
                               "ALTER TABLE v ADD note text; ALTER TABLE v ATTACH PARTITION a FOR VALUES FROM (500) TO (2000); CREATE INDEX ON v (id)", None),
    "generated and identity": ("ALTER TABLE v ADD twice int GENERATED ALWAYS AS (price * 2) STORED, ADD n bigserial; "
                               "CREATE TABLE a PARTITION OF v FOR VALUES FROM (500) TO (2000)", None),
    "two levels": ("CREATE TABLE a PARTITION OF v FOR VALUES FROM (500) TO (2000) PARTITION BY HASH (id); CREATE TABLE a0 PARTITION OF a FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
                   "CREATE TABLE a1 PARTITION OF a FOR VALUES WITH (MODULUS 2, REMAINDER 1)", None),
    "after row": ("CREATE TABLE a PARTITION OF v FOR VALUES FROM (500) TO (600); CREATE TRIGGER t AFTER INSERT ON v FOR EACH ROW EXECUTE FUNCTION note();"
                  "CREATE TRIGGER u AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION note()", None),
    "statement": ("CREATE TABLE a PARTITION OF v FOR VALUES FROM (500) TO (600); CREATE TRIGGER a BEFORE INSERT ON v EXECUTE FUNCTION note_statement();"
                  "CREATE TRIGGER b AFTER INSERT ON v EXECUTE FUNCTION note_statement(); CREATE TRIGGER c AFTER INSERT ON a EXECUTE FUNCTION note_statement()", None),
    "a partition's trigger counts the rows before": ("CREATE TABLE a PARTITION OF v FOR VALUES FROM (500) TO (600);"
                                                     "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION count_them()", None),
    "a partition's trigger drops rows": ("CREATE TABLE a PARTITION OF v FOR VALUES FROM (500) TO (600); CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION odd()", None),
    "a partition's trigger moves a row": ("CREATE TABLE a PARTITION OF v FOR VALUES FROM (1000000) TO (1000001);"
                                          "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION move()", "23514"),
    "foreign partition": ("CREATE TABLE far (LIKE v, unlike int, CHECK (id > 0)); CREATE FOREIGN TABLE a PARTITION OF v FOR VALUES FROM (1000000) TO (1000001) SERVER here OPTIONS (table_name 'far')", None),
    "foreign partition that fails": ("CREATE TABLE far (LIKE v, unlike int, CHECK (id IS NOT NULL)); CREATE FOREIGN TABLE a PARTITION OF v FOR VALUES FROM (1000000) TO (1000001) "
                                     "SERVER here OPTIONS (table_name 'far')", "23514"),
}
# The records whose errors are only seen when the statement ends have no place any more.
SEEN_AT_THE_END = {"foreign key", "after row that fails"}


@pytest.fixture
def topic(stage):
    it = stage.topic(1)
    values = [{"id": n, "price": n + 1} for n in range(RECORDS)]
    values[BAD] = {"id": None, "price": 1000000}
    stage.expected = stage.kafka.produce(it, [json.dumps(value).encode() for value in values])
    return it


def build(stage, topic, tables, columns=COLUMNS, options=""):
    stage.db.run("DROP TABLE IF EXISTS v, parent, product, log, far CASCADE")
    stage.db.run("CREATE TABLE log (what text, n bigint)")
    body = "RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {} END$$"
    for name, does in {
        "as_it_is": "RETURN NEW;",
        "odd": "IF NEW.id % 2 = 0 THEN RETURN NULL; END IF; NEW.id = -NEW.id; RETURN NEW;",
        "move": "NEW.price := 7; RETURN NEW;",
        "count_them": f"NEW.id = (SELECT count(*) FROM {stage.work}.v); RETURN NEW;",
        "fail": "RAISE 'not this one';",
        "note": f"INSERT INTO {stage.work}.log VALUES (TG_OP, NEW.id); RETURN NULL;",
        "note_statement": f"INSERT INTO {stage.work}.log SELECT TG_WHEN, count(*) FROM {stage.work}.v; RETURN NULL;",
        "note_fresh": f"INSERT INTO {stage.work}.log SELECT 'fresh', sum(price) FROM fresh; RETURN NULL;",
    }.items():
        stage.db.run(f"CREATE OR REPLACE FUNCTION {name}() {body.format(does)}")
    stage.view(topic, columns=columns, options=options)
    if tables:
        stage.db.run(tables)


def refresh(stage):
    """Refreshes; returns the lane, and what there is to see afterwards."""
    stage.db.run("SET client_min_messages = debug1")
    stage.db.connection.notices.clear()
    seen = {"error": None}
    try:
        stage.refresh()
    except psycopg.Error as error:
        diag = error.diag
        seen["error"] = [getattr(diag, part) for part in ("sqlstate", "message_primary", "message_detail", "context", "constraint_name", "column_name", "table_name")]
    finally:
        stage.db.run("RESET client_min_messages")
    lanes = [notice for notice in stage.db.connection.notices if notice.startswith("rows are inserted")]
    assert len(lanes) == 1, stage.db.connection.notices
    seen["rows"] = stage.db.rows("SELECT * FROM v ORDER BY kafka_partition, kafka_offset")
    seen["log"] = stage.db.rows("SELECT * FROM log")
    seen["ledger"] = stage.db.rows("SELECT partition_id, first_position, last_position, scanned, loaded, filtered, skipped, gaps, read_twice, ok FROM redshift.verify('v')")
    return lanes[0], seen


@pytest.mark.parametrize("case", TABLES)
def test_both_lanes_do_the_same(stage, topic, case):
    tables, sqlstate = TABLES[case]
    build(stage, topic, tables)
    lane, batches = refresh(stage)
    assert lane == "rows are inserted in batches"
    build(stage, topic, tables)
    stage.db.run(ONE_BY_ONE)
    lane, singly = refresh(stage)
    assert lane == "rows are inserted one by one: the table has a BEFORE INSERT row trigger"
    assert batches == singly
    if sqlstate is None:
        assert batches["error"] is None and len(batches["rows"]) == RECORDS
        stage.count_exactly_once(stage.expected)
    else:
        assert batches["error"][0] == sqlstate
        context = batches["error"][3]
        place = f'topic "{topic}", partition 0, offset {BAD}'
        assert (place in (context or "")) == (case not in SEEN_AT_THE_END), context
        assert case not in SEEN_AT_THE_END or "offset" not in (context or "")
        assert len(batches["rows"]) <= 1


@pytest.fixture
def postgres_fdw(stage):
    """A server that is this database."""
    stage.db.run("CREATE EXTENSION postgres_fdw SCHEMA public")
    info = stage.db.connection.info
    stage.db.run(
        f"CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{info.host}', port '{info.port}', dbname '{info.dbname}', options '-csearch_path={stage.work}')"
    )
    stage.db.run("CREATE USER MAPPING FOR PUBLIC SERVER here")
    yield
    stage.db.run("DROP EXTENSION postgres_fdw CASCADE")


@pytest.mark.parametrize("case", PARTITIONS)
def test_partitions_in_both_lanes(stage, topic, postgres_fdw, case):
    tables, sqlstate = PARTITIONS[case]
    options = "partition_by = 'RANGE (price)'"
    seen = {}
    # A volatile default is what makes the second one insert row by row.
    for default, lane in ((7, "in batches"), ("random()", "one by one: the definition or a default has a volatile function")):
        build(stage, topic, tables, options=options)
        stage.db.run(f"ALTER TABLE v ADD unlike int DEFAULT {default}")
        taken, it = refresh(stage)
        assert taken == f"rows are inserted {lane}"
        it["rows"] = [row[:-1] for row in it["rows"]]
        it["tables"] = stage.db.rows("SELECT tableoid::regclass::text, kafka_offset FROM v ORDER BY kafka_offset")
        if it["error"]:
            it["error"][2] = None  # the DETAIL shows the whole row
        seen[default] = it
    batches, singly = seen.values()
    assert batches == singly
    if sqlstate:
        assert batches["error"][0] == sqlstate and f'topic "{topic}", partition 0, offset {BAD}' in batches["error"][3]
    else:
        assert batches["error"] is None
    if not sqlstate and "drops" not in case:
        stage.count_exactly_once(stage.expected)


@pytest.mark.parametrize(
    "tables, options, reason",
    [
        ("CREATE TRIGGER b BEFORE INSERT ON v FOR EACH ROW EXECUTE FUNCTION as_it_is()", "", "the table has a BEFORE INSERT row trigger"),
        (
            "CREATE TRIGGER a AFTER INSERT ON v REFERENCING NEW TABLE AS fresh EXECUTE FUNCTION note_fresh()",
            "partition_by = 'RANGE (kafka_offset)'",
            "the table is partitioned, and a trigger has a transition table",
        ),
        ("ALTER TABLE v ADD r float8 DEFAULT random()", "", "the definition or a default has a volatile function"),
    ],
)
def test_one_by_one(stage, topic, tables, options, reason):
    build(stage, topic, tables, options=options)
    assert refresh(stage)[0] == f"rows are inserted one by one: {reason}"
    stage.count_exactly_once(stage.expected)


def test_a_volatile_function_of_the_definition_sees_the_rows_before(stage, topic):
    stage.db.run("CREATE TABLE v ()")
    stage.db.run(f"CREATE FUNCTION here() RETURNS bigint LANGUAGE plpgsql AS $$BEGIN RETURN (SELECT count(*) FROM {stage.work}.v); END$$")
    stage.db.run("DROP TABLE v")
    build(stage, topic, "", columns="kafka_partition, kafka_offset, here() AS here")
    assert refresh(stage)[0] == "rows are inserted one by one: the definition or a default has a volatile function"
    assert stage.db.value("SELECT bool_and(here = kafka_offset) FROM v")
    stage.count_exactly_once(stage.expected)


def test_row_security(stage, topic, role):
    build(stage, topic, "")
    owner = role()
    stage.db.run(f"GRANT USAGE ON SCHEMA {stage.schema} TO {owner}; GRANT USAGE, CREATE ON SCHEMA {stage.work} TO {owner}")
    stage.db.run(f"ALTER MATERIALIZED VIEW v OWNER TO {owner}")
    stage.db.run("ALTER TABLE v ENABLE ROW LEVEL SECURITY; CREATE POLICY dear ON v WITH CHECK (price > 0)")
    assert refresh(stage)[0] == "rows are inserted in batches"  # not forced on its owner
    stage.db.run("CALL redshift.set_position('v', null, '0'); TRUNCATE v; ALTER TABLE v FORCE ROW LEVEL SECURITY")
    assert refresh(stage)[0] == "rows are inserted one by one: row security applies to the table's owner"
    stage.count_exactly_once(stage.expected)


def test_long_rows(stage):
    """Rows of more than a page, out of line or not: the error of one that fits nowhere names its record."""
    topic = stage.topic(1)
    values = [os.urandom(length) for length in (10, 3000, 100, 9000, 8000, 200_000, 10, 2_000_000, 10)]
    expected = stage.kafka.produce(topic, values)
    for storage in ("EXTENDED", "EXTERNAL"):
        build(stage, topic, f"ALTER TABLE v ALTER kafka_value SET STORAGE {storage}", columns="kafka_partition, kafka_offset, kafka_value")
        assert refresh(stage)[0] == "rows are inserted in batches"
        assert [bytes(value) for value in stage.db.column("SELECT kafka_value::bytea FROM v ORDER BY kafka_offset")] == values
        stage.count_exactly_once(expected)
    build(stage, topic, "ALTER TABLE v ALTER kafka_value SET STORAGE PLAIN", columns="kafka_partition, kafka_offset, kafka_value")
    error = refresh(stage)[1]["error"]
    assert error[0] == "54000" and f'topic "{topic}", partition 0, offset 3' in error[3]


def test_several_rows_of_a_record(stage):
    topic = stage.topic(1)
    stage.kafka.produce(topic, [b"%d" % n for n in range(1500)])
    build(stage, topic, "DROP TABLE log")
    stage.db.run("DROP MATERIALIZED VIEW v; CREATE TABLE log (what text, n bigint)")
    stage.db.run(
        f"CREATE MATERIALIZED VIEW v AS SELECT kafka_partition, kafka_offset, n FROM {stage.relation(topic)}, generate_series(1, kafka_value::varchar::int % 4) AS n"
    )
    stage.db.run("CREATE UNIQUE INDEX one ON v ((kafka_offset * 10 + CASE WHEN kafka_offset = 1399 THEN 1 ELSE n END))")
    lane, seen = refresh(stage)
    assert lane == "rows are inserted in batches"
    assert seen["error"][0] == "23505" and f'topic "{topic}", partition 0, offset 1399' in seen["error"][3]
    stage.db.run("DROP INDEX one")
    lane, seen = refresh(stage)
    assert sorted((row[1], row[2]) for row in seen["rows"]) == [(n, i) for n in range(1500) for i in range(1, n % 4 + 1)]
    assert all(row[-1] for row in seen["ledger"])


def test_cancel_within_a_batch(stage, topic):
    build(stage, topic, "CREATE FUNCTION slow(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(0.02); RETURN $1; END$$")
    stage.db.run("CREATE INDEX dear ON v (slow(price))")
    stage.db.run("SET statement_timeout = '500ms'")
    began = time.monotonic()
    with pytest.raises(psycopg.errors.QueryCanceled):
        stage.refresh()
    assert time.monotonic() - began < 1.5
    stage.db.run("RESET statement_timeout; DROP INDEX dear")
    stage.refresh()
    stage.count_exactly_once(stage.expected)
