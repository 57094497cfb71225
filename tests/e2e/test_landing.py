"""Rows land as Postgres's own INSERT lands them: constraints, triggers, partitions, row security."""

import json

import psycopg
import pytest


def orders(count, first=0):
    return [json.dumps({"id": n, "price": n * 2}).encode() for n in range(first, first + count)]


@pytest.fixture
def topic(stage):
    """20 orders, and a view with an id and a price."""
    it = stage.topic(2)
    stage.expected = stage.kafka.produce(it, orders(20))
    stage.view(it, columns="kafka_partition, kafka_offset, (json_parse(kafka_value))['id']::int4 AS id, (json_parse(kafka_value))['price']::int4 AS price")
    return it


def fails_then_works(stage, error, repair):
    with pytest.raises(error):
        stage.refresh()
    assert stage.db.value("SELECT count(*) FROM v") == 0
    stage.db.run(repair)
    stage.refresh()
    stage.count_exactly_once(stage.expected)


def test_check(stage, topic):
    stage.db.run("ALTER TABLE v ADD CONSTRAINT cheap CHECK (price < 30)")
    fails_then_works(stage, psycopg.errors.CheckViolation, "ALTER TABLE v DROP CONSTRAINT cheap")


def test_not_null(stage, topic):
    stage.expected |= stage.kafka.produce(topic, [b'{"id": 99}'])
    stage.db.run("ALTER TABLE v ALTER price SET NOT NULL")
    fails_then_works(stage, psycopg.errors.NotNullViolation, "ALTER TABLE v ALTER price DROP NOT NULL")


def test_unique_index(stage, topic):
    stage.expected |= stage.kafka.produce(topic, orders(1))
    stage.db.run("CREATE UNIQUE INDEX one ON v (id)")
    fails_then_works(stage, psycopg.errors.UniqueViolation, "DROP INDEX one")


def test_exclusion_constraint(stage, topic):
    stage.expected |= stage.kafka.produce(topic, orders(1))
    stage.db.run("ALTER TABLE v ADD CONSTRAINT apart EXCLUDE USING btree (id WITH =)")
    fails_then_works(stage, psycopg.errors.ExclusionViolation, "ALTER TABLE v DROP CONSTRAINT apart")


def test_foreign_key(stage, topic):
    stage.db.run("CREATE TABLE product (id int PRIMARY KEY)")
    stage.db.run("ALTER TABLE v ADD CONSTRAINT fk FOREIGN KEY (id) REFERENCES product")
    fails_then_works(stage, psycopg.errors.ForeignKeyViolation, "INSERT INTO product SELECT generate_series(0, 19)")


def test_generated_identity_and_default_columns(stage, topic):
    stage.db.run("ALTER TABLE v ADD twice int GENERATED ALWAYS AS (price * 2) STORED, ADD n int GENERATED ALWAYS AS IDENTITY, ADD at timestamptz DEFAULT now()")
    stage.refresh()
    assert stage.db.rows("SELECT bool_and(twice = price * 2), count(DISTINCT n), bool_and(at IS NOT NULL) FROM v") == [(True, 20, True)]
    stage.count_exactly_once(stage.expected)


def test_before_and_after_triggers(stage, topic):
    stage.db.run("CREATE TABLE log (op text, id int)")
    stage.db.run("CREATE FUNCTION before() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.price := NEW.price + 1; RETURN NEW; END$$")
    stage.db.run(f"CREATE FUNCTION after() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO {stage.work}.log VALUES (TG_OP, NEW.id); RETURN NULL; END$$")
    stage.db.run("CREATE TRIGGER b BEFORE INSERT ON v FOR EACH ROW EXECUTE FUNCTION before()")
    stage.db.run("CREATE TRIGGER a AFTER INSERT ON v FOR EACH ROW EXECUTE FUNCTION after()")
    stage.refresh()
    assert stage.db.value("SELECT bool_and(price = id * 2 + 1) FROM v")
    assert stage.db.rows("SELECT op, count(DISTINCT id) FROM log GROUP BY 1") == [("INSERT", 20)]
    stage.count_exactly_once(stage.expected)


def test_statement_triggers_with_a_transition_table(stage, topic):
    stage.db.run("CREATE TABLE log (n bigint)")
    stage.db.run(f"CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO {stage.work}.log SELECT count(*) FROM fresh; RETURN NULL; END$$")
    stage.db.run("CREATE TRIGGER s AFTER INSERT ON v REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION note()")
    stage.refresh()
    assert sum(stage.db.column("SELECT n FROM log")) == 20
    stage.count_exactly_once(stage.expected)


def test_a_trigger_that_drops_rows_counts_them_as_not_loaded(stage, topic):
    stage.db.run("CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF NEW.id % 2 = 0 THEN RETURN NULL; END IF; RETURN NEW; END$$")
    stage.db.run("CREATE TRIGGER b BEFORE INSERT ON v FOR EACH ROW EXECUTE FUNCTION odd()")
    stage.refresh()
    assert stage.db.value("SELECT count(*) FROM v") == 10
    assert stage.db.value("SELECT sum(scanned) FROM redshift.verify('v')") == 20
    assert stage.db.value("SELECT bool_and(ok) FROM redshift.verify('v')")


def test_row_security_of_the_owner(stage, topic, role):
    owner = role()
    stage.db.run(f"GRANT USAGE ON SCHEMA {stage.schema} TO {owner}")
    stage.db.run(f"GRANT USAGE, CREATE ON SCHEMA {stage.work} TO {owner}")
    stage.db.run(f"ALTER MATERIALIZED VIEW v OWNER TO {owner}")
    stage.db.run("ALTER TABLE v ENABLE ROW LEVEL SECURITY")
    stage.db.run("ALTER TABLE v FORCE ROW LEVEL SECURITY")
    stage.db.run("CREATE POLICY cheap ON v USING (true) WITH CHECK (price < 30)")
    fails_then_works(stage, psycopg.errors.InsufficientPrivilege, "DROP POLICY cheap ON v; CREATE POLICY all_of_it ON v USING (true) WITH CHECK (true)")


def test_partitioned_landing_table(stage):
    topic = stage.topic(2)
    expected = stage.kafka.produce(topic, [b"x"] * 20)
    stage.view(topic, columns="kafka_partition, kafka_offset, refresh_time", options="partition_by = 'RANGE (refresh_time)'")
    assert stage.db.value("SELECT pg_get_partkeydef('v'::regclass)") == "RANGE (refresh_time)"
    stage.refresh()
    stage.count_exactly_once(expected)
    stage.db.run("CREATE TABLE future PARTITION OF v FOR VALUES FROM ('2999-01-01') TO (MAXVALUE)")
    expected |= stage.kafka.produce(topic, [b"x"] * 20)
    stage.refresh()
    stage.count_exactly_once(expected)
    stage.db.run("DROP MATERIALIZED VIEW v")
    assert stage.db.value("SELECT to_regclass('future')") is None


def test_partitions_by_list_of_the_kafka_partition(stage):
    topic = stage.topic(3)
    expected = stage.kafka.produce(topic, [{"value": b"x", "partition": n % 3} for n in range(30)])
    stage.view(topic, options="partition_by = 'LIST (kafka_partition)'")
    stage.db.run("CREATE TABLE v_0 PARTITION OF v FOR VALUES IN (0)")
    stage.refresh()
    assert stage.db.value("SELECT count(*) FROM v_0") == 10
    stage.count_exactly_once(expected)


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE v ADD CONSTRAINT later UNIQUE (id) DEFERRABLE INITIALLY DEFERRED",
        "ALTER TABLE v ADD CONSTRAINT later FOREIGN KEY (id) REFERENCES product DEFERRABLE INITIALLY DEFERRED",
    ],
)
def test_deferred_constraints_are_refused(stage, topic, change):
    stage.db.run("CREATE TABLE product (id int PRIMARY KEY)")
    with pytest.raises(psycopg.Error) as error:
        stage.db.run(change)
    assert "defer" in str(error.value).lower()
    stage.refresh()
    stage.count_exactly_once(stage.expected)


def test_temporary_views_are_refused(stage, topic):
    with pytest.raises(psycopg.Error):
        stage.db.run(f"CREATE MATERIALIZED VIEW pg_temp.t_{stage.work} AS SELECT kafka_value FROM {stage.relation(topic)}")


def test_columns_are_matched_by_name(stage, topic):
    """Moved and added columns do not shift values."""
    stage.db.run("ALTER TABLE v ADD COLUMN note text, DROP CONSTRAINT IF EXISTS nothing")
    stage.db.run("ALTER MATERIALIZED VIEW v RENAME COLUMN id TO swap")
    stage.db.run("ALTER MATERIALIZED VIEW v RENAME COLUMN price TO id")
    stage.db.run("ALTER MATERIALIZED VIEW v RENAME COLUMN swap TO price")
    stage.refresh()
    assert stage.db.value("SELECT bool_and(id = price * 2) FROM v")
    stage.count_exactly_once(stage.expected)


def test_a_derived_column_that_overflows_fails_the_refresh(stage):
    topic = stage.topic()
    expected = stage.kafka.produce(topic, [b"abc", b"abcdef"])
    stage.view(topic, columns="kafka_partition, kafka_offset, convert_from(kafka_value::bytea, 'UTF8') AS text")
    stage.db.run("ALTER TABLE v ALTER text TYPE varchar(4)")
    with pytest.raises(psycopg.errors.StringDataRightTruncation):
        stage.refresh()
    stage.db.run("ALTER TABLE v ALTER text TYPE varchar(10)")
    stage.refresh()
    stage.count_exactly_once(expected)


def test_a_publication_carries_the_rows(stage, topic):
    stage.db.run("ALTER TABLE v REPLICA IDENTITY FULL")
    stage.db.run(f"CREATE PUBLICATION pub_{stage.work} FOR TABLE v")
    stage.db.value(f"SELECT pg_create_logical_replication_slot('slot_{stage.work}', 'test_decoding')")
    try:
        stage.refresh()
        changes = stage.db.column(f"SELECT data FROM pg_logical_slot_get_changes('slot_{stage.work}', NULL, NULL)")
        assert len([c for c in changes if f"table {stage.work}.v: INSERT" in c]) == 20
    finally:
        stage.db.run(f"SELECT pg_drop_replication_slot('slot_{stage.work}')")
        stage.db.run(f"DROP PUBLICATION pub_{stage.work}")
    stage.count_exactly_once(stage.expected)
