"""A stored position, partition or shard that cannot be read is an error that names the row and the statement that mends it: nothing is loaded by a guess."""

import psycopg
import pytest
from damage import damage, is_told, statement, unchecked  # noqa: F401
from stage import wait_until
from test_auto_refresh import AUTO, landed, status, wait_for_state

POSITIONS = ["abc", "", "-5", "+7", "007", "7.0", "99999999999999999999", "@1700000000000"]


@pytest.fixture
def read(stage):
    """A view that has read 100 records of each of two partitions, and has 50 more to read."""
    topic = stage.topic(2)
    stage.expected = stage.kafka.produce(topic, [{"value": b"x", "partition": n % 2} for n in range(200)])
    stage.view(topic)
    stage.refresh()
    stage.expected |= stage.kafka.produce(topic, [{"value": b"x", "partition": n % 2} for n in range(100)])
    return topic


def refused(stage, text):
    with pytest.raises(psycopg.Error) as raised:
        stage.refresh()
    error = raised.value
    assert error.sqlstate == "RS005" and f'"{text}" cannot be read' in error.diag.message_primary, error
    assert stage.db.value("SELECT count(*) FROM v") == 200
    return error


@pytest.mark.parametrize("text", POSITIONS)
def test_a_position(stage, unchecked, read, text):
    damage(stage.db, "position", text, "0")
    error = refused(stage, text)
    assert "partition 0" in error.diag.message_primary and "'0', '100'" in statement(error)
    if text == "abc":
        is_told(stage, '"abc" cannot be read')
    stage.db.run(statement(error))
    stage.refresh()
    stage.count_exactly_once(stage.expected)


@pytest.mark.parametrize("text", ["x", "-1", "00", "99999999999"])
def test_a_partition(stage, unchecked, read, text):
    damage(stage.db, "partition_id", text, "0")
    error = refused(stage, text)
    is_told(stage, f'"{text}" cannot be read')
    assert """NULL, '{"1": 100, "..": 100}'""" in statement(error) or """NULL, '{"..": 100, "1": 100}'""" in statement(error)
    stage.db.run(statement(error).replace("..", "0", 1))
    stage.refresh()
    stage.count_exactly_once(stage.expected)


@pytest.mark.parametrize("on_data_loss", ["fail", "continue"])
def test_a_partition_that_the_topic_has_never_had(stage, unchecked, read, on_data_loss):
    """Brokers that tell a topic's id tell that it is the same one: then it has not lost a partition, and nothing is read from the start."""
    if stage.db.value("SELECT source_id IS NULL FROM redshift.checkpoint JOIN redshift.materialized_view USING (mv_id) WHERE mv = 'v'::regclass LIMIT 1"):
        pytest.skip("this broker tells no ids of topics")
    stage.db.run(f"ALTER MATERIALIZED VIEW v SET (on_data_loss = '{on_data_loss}')")
    damage(stage.db, "partition_id", "9", "0")
    with pytest.raises(psycopg.Error) as raised:
        stage.refresh()
    error = raised.value
    assert error.sqlstate == "RS005" and '"9" is none of the stream' in error.diag.message_primary, error
    stage.db.run(statement(error).replace("..", "0", 1))
    stage.refresh()
    stage.count_exactly_once(stage.expected)


def test_what_no_ledger_tells_has_to_be_said(stage, unchecked, read):
    damage(stage.db, "position", "abc", "1")
    stage.db.run("DELETE FROM redshift.scan_ledger WHERE mv_id = (SELECT mv_id FROM redshift.materialized_view WHERE mv = 'v'::regclass)")
    assert "'1', '..'" in statement(refused(stage, "abc"))
    stage.db.run("CALL redshift.set_position('v', 1, 100)")
    stage.refresh()
    stage.count_exactly_once(stage.expected)


def test_the_ledger(stage, unchecked, read):
    damage(stage.db, "end_position", "abc", "0", table="scan_ledger")
    notes = stage.db.column("SELECT note FROM redshift.verify('v') WHERE NOT ok")
    assert len(notes) == 1 and "RS005" in notes[0] and "abc" in notes[0]
    stage.refresh()
    stage.count_exactly_once(stage.expected, verified=False)


def test_auto_refresh_of_that_view_alone_waits(stage, unchecked):
    topic = stage.topic(2)
    stage.view(topic, options=AUTO)
    stage.view(topic, "w", options=AUTO)
    produce = lambda: stage.kafka.produce(topic, [{"value": b"x", "partition": n % 2} for n in range(100)])
    expected = produce()
    for name in "vw":
        landed(stage, expected, name)
    # Known by the counts beside the position, or by the ledger.
    damage(stage.db, "position", "abc", "1")
    expected |= produce()
    landed(stage, expected, "w")
    wait_for_state(stage, "retrying")
    last_error = status(stage)[1]
    assert '"abc" cannot be read' in last_error and "'1', '50')" in last_error
    assert status(stage, "w")[0] == "running"
    assert stage.db.value("SELECT count(*) FROM v WHERE kafka_partition = 1") == 50
    is_told(stage, '"abc" cannot be read')
    stage.db.run("CALL redshift.set_position('v', 1, 50)")
    landed(stage, expected)
    wait_for_state(stage, "running")
    damage(stage.db, "partition_id", "x", "0")
    expected |= produce()
    landed(stage, expected, "w")
    wait_for_state(stage, "retrying")
    stage.db.run("""CALL redshift.set_position('v', NULL, '{"0": 100, "1": 100}')""")
    landed(stage, expected)
    for name in "vw":
        wait_until(lambda: stage.db.value(f"SELECT bool_and(ok) FROM redshift.verify('{name}')"))


@pytest.mark.parametrize("table, column, text", [
    ("checkpoint", "partition_id", "x y"), ("checkpoint", "position", "abc"), ("checkpoint", "position", "earliest"), ("checkpoint", "position", "007"),
    ("checkpoint", "caught_up_to", "infinity"), ("checkpoint", "pending_first", "-1"), ("checkpoint", "pending_latest", "@1"),
    ("scan_ledger", "partition_id", ""), ("scan_ledger", "first_position", "abc"), ("scan_ledger", "end_position", "1.0"),
    ("scan_ledger", "latest_position", "abc"),
])
def test_the_catalogue_refuses_it(stage, read, table, column, text):
    with pytest.raises(psycopg.errors.CheckViolation):
        damage(stage.db, column, text, "0", table=table)
