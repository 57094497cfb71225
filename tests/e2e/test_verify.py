"""redshift.verify: `ok` is false for what nobody asked for, and only for that; what an owner did on purpose has columns of its own."""

import psycopg
import pytest
from stage import wait_until

COLUMNS = "gaps, read_twice, passed, reread, lost, ok"


def verified(stage, name="v"):
    """{partition: (gaps, read_twice, passed, reread, lost, ok)}"""
    return {row[0]: row[1:] for row in stage.db.rows(f"SELECT partition_id, {COLUMNS} FROM redshift.verify(%s::regclass)", name)}


@pytest.fixture
def read(stage):
    """A view that has read a topic of 2 partitions with 100 records each."""
    topic = stage.topic(2)
    stage.expected = stage.kafka.produce(topic, [{"value": str(i).encode(), "partition": i % 2} for i in range(200)])
    stage.view(topic)
    stage.refresh()
    return topic


def test_the_documented_reload_leaves_nothing_to_complain_of(stage, read):
    stage.db.run("TRUNCATE v")
    stage.db.run("CALL redshift.set_position('v', NULL, 'earliest')")
    # Not read again yet.
    assert set(verified(stage).values()) == {(0, 0, 0, 0, 0, True)}
    stage.refresh()
    assert set(verified(stage).values()) == {(0, 0, 0, 100, 0, True)}
    stage.expected |= stage.kafka.produce(read, [b"more"])
    stage.refresh()
    stage.count_exactly_once(stage.expected)


def test_a_record_that_was_passed_by_hand_is_no_gap(stage):
    topic = stage.topic()
    stage.kafka.produce(topic, [b'{"n": 1}', b"poison", b'{"n": 3}'])
    stage.view(topic, columns="kafka_partition, kafka_offset, (json_parse(kafka_value))['n']::int AS n")
    with pytest.raises(psycopg.Error, match="offset 1"):
        stage.db.run("REFRESH MATERIALIZED VIEW v")
    stage.refresh(max_records=1)
    stage.db.run("CALL redshift.set_position('v', 0, 2)")
    stage.refresh()
    assert verified(stage) == {"0": (0, 0, 1, 0, 0, True)}
    assert stage.db.column("SELECT n FROM v ORDER BY 1") == [1, 3]


def test_moves_add_up(stage, read):
    for to in ("40", "earliest", "90", "50", "95"):
        stage.db.run("CALL redshift.set_position('v', 0, %s)", to)
    stage.refresh()
    assert verified(stage)["0"] == (0, 0, 0, 5, 0, True)
    stage.db.run("CALL redshift.set_position('v', 0, 10)")
    stage.refresh()
    stage.kafka.produce(read, [{"value": b"x", "partition": 0}] * 10)
    stage.db.run("CALL redshift.set_position('v', 0, 103)")
    stage.refresh()
    assert verified(stage) == {"0": (0, 0, 3, 95, 0, True), "1": (0, 0, 0, 0, 0, True)}


def test_before_the_first_refresh_a_move_is_no_matter(stage):
    topic = stage.topic()
    stage.kafka.produce(topic, [b"x"] * 10)
    stage.view(topic)
    stage.db.run("CALL redshift.set_position('v', 0, 4)")
    stage.refresh()
    assert verified(stage) == {"0": (0, 0, 0, 0, 0, True)}


def test_what_nobody_asked_for_is_not_ok(stage, read):
    """As a position that was written by other means, or ledger rows that went."""
    change = "UPDATE redshift.checkpoint SET position = %s WHERE partition_id = '0' AND mv_id = (SELECT mv_id FROM redshift.materialized_view WHERE mv = 'v'::regclass)"
    stage.db.run(change, "90")
    stage.refresh()
    assert verified(stage)["0"] == (0, 10, 0, 0, 0, False)
    stage.kafka.produce(read, [{"value": b"x", "partition": 0}] * 10)
    stage.db.run(change, "104")
    stage.refresh()
    assert verified(stage)["0"] == (4, 10, 0, 0, 0, False)
    # Between moves as well.
    stage.db.run(change, "107")
    stage.db.run("CALL redshift.set_position('v', 0, 100)")
    stage.db.run(change, "102")
    stage.refresh()
    assert verified(stage) == {"0": (6, 13, 0, 7, 0, False), "1": (0, 0, 0, 0, 0, True)}


@pytest.mark.apache_only("the embedded broker keeps its records")
@pytest.mark.parametrize("auto", ["off", "on"])
def test_losses_that_the_owner_accepts_are_counted_apart(stage, auto):
    topic = stage.topic(1)
    stage.kafka.produce(topic, [b"x"] * 10)
    stage.view(topic, options="on_data_loss = continue")
    stage.refresh(max_records=4)
    stage.kafka.delete_records(topic, 0, 7)
    if auto == "on":
        stage.db.run("ALTER MATERIALIZED VIEW v SET (auto_refresh = on)")
        wait_until(lambda: stage.db.value("SELECT count(*) FROM v") == 7, 30)
    else:
        stage.refresh()
    assert verified(stage) == {"0": (0, 0, 0, 0, 3, True)}
    # Moved back to what is left, and lost again.
    stage.db.run("ALTER MATERIALIZED VIEW v SET (auto_refresh = off)")
    wait_until(lambda: stage.db.value("SELECT count(*) FROM redshift.worker_status WHERE mv_name = 'v'") == 0)
    stage.db.run("CALL redshift.set_position('v', 0, 5)")
    stage.refresh()
    assert verified(stage) == {"0": (0, 0, 0, 5, 5, True)}

