"""Partitions that a definition does not read: they are not fetched, nothing of them counts, and their positions stay for a definition that does."""

import psycopg
import pytest
from stage import wait_until
from test_auto_refresh import AUTO, status, wait_for_state


def spread(n, partitions=4):
    return [{"value": b"%d" % i, "partition": i % partitions} for i in range(n)]


def positions(stage, name="v"):
    return dict(stage.db.rows("SELECT partition_id, position FROM redshift.visible_checkpoint WHERE mv = %s::regclass", name))


def excluded(stage, name="v"):
    return stage.db.column("SELECT partition_id FROM redshift.visible_checkpoint WHERE mv = %s::regclass AND excluded ORDER BY 1", name)


def of(records, *partitions):
    return {(p, o) for p, o in records if p in partitions}


@pytest.fixture
def choice(stage):
    """A condition that takes the partitions which were chosen last: the definition reads others from one refresh to the next."""
    stage.db.run("CREATE TABLE chosen (partitions bigint[])")
    stage.db.run(f"CREATE FUNCTION choice() RETURNS bigint[] LANGUAGE sql STABLE AS 'SELECT partitions FROM {stage.work}.chosen'")

    def choose(*partitions):
        stage.db.run("BEGIN; TRUNCATE chosen; INSERT INTO chosen VALUES (%s); COMMIT" % ("'{" + ",".join(map(str, partitions)) + "}'"))
        return f"kafka_partition = ANY ({stage.work}.choice())"

    return choose


@pytest.fixture(params=["by hand", "auto"])
def load(request, stage):
    def by_hand(records):
        stage.refresh()
        assert len(stage.positions()) == len(records)

    def auto(records):
        stage.db.run(f"ALTER MATERIALIZED VIEW v SET ({AUTO})")
        wait_until(lambda: len(stage.positions()) >= len(records), what="loading")

    return by_hand if request.param == "by hand" else auto


@pytest.mark.parametrize("where", ["kafka_partition IN (0, 1)", "kafka_partition < 2", "kafka_partition = ANY (ARRAY[0, 1, 77])",
                                   "kafka_partition >= 0 AND kafka_partition <= length(current_setting('server_version_num')) - 5"])
def test_excluded_partitions_are_not_read_and_stay_where_they_are(stage, load, where):
    topic = stage.topic(4)
    expected = stage.kafka.produce(topic, spread(400))
    stage.view(topic, where=where)
    for _ in range(2):
        load(of(expected, 0, 1))
        assert positions(stage) == {"0": str(len(expected) // 4), "1": str(len(expected) // 4), "2": None, "3": None}
        assert excluded(stage) == ["2", "3"]
        stage.count_exactly_once(of(expected, 0, 1))
        assert stage.db.rows("SELECT partition_id, scanned, loaded, filtered, ok FROM redshift.verify('v') ORDER BY 1") == [
            (p, len(expected) // 4, len(expected) // 4, 0, True) for p in "01"
        ]
        expected |= stage.kafka.produce(topic, spread(40))
    # Nothing of them waits.
    load(of(expected, 0, 1))
    assert stage.db.rows("SELECT partition_id, lag_records FROM redshift.stream_lag WHERE schema_name = %s ORDER BY 1", stage.work) == [("0", 0), ("1", 0)]


def test_partitions_that_are_read_later_are_read_from_where_they_stayed(stage, load, choice):
    topic = stage.topic(4)
    records = stage.kafka.produce(topic, spread(100))
    stage.view(topic, where=choice(0, 1))
    load(wanted := of(records, 0, 1))
    choice(1, 2)
    more = stage.kafka.produce(topic, spread(100))
    load(wanted := wanted | of(records | more, 1, 2))
    wait_until(lambda: excluded(stage) == ["0", "3"], what="the change")
    stage.count_exactly_once(wanted)
    assert positions(stage)["0"] == "25"
    choice(0, 1, 2, 3)
    more |= stage.kafka.produce(topic, spread(100))
    load(records | more)
    stage.count_exactly_once(records | more)
    wait_until(lambda: excluded(stage) == [], what="the change")


def test_two_views_divide_a_topic_and_one_takes_over(stage, choice):
    topic = stage.topic(4)
    expected = stage.kafka.produce(topic, spread(100))
    stage.view(topic, "v", where=choice(0, 1), options=AUTO)
    stage.view(topic, "w", where="kafka_partition IN (2, 3)", options=AUTO)
    wait_until(lambda: len(stage.positions("v")) + len(stage.positions("w")) == 100, what="loading")
    stage.count_exactly_once(of(expected, 0, 1), "v")
    stage.count_exactly_once(of(expected, 2, 3), "w")
    # The position goes over with the partition.
    stage.db.run("ALTER MATERIALIZED VIEW w SET (auto_refresh = off)")
    more = stage.kafka.produce(topic, spread(40))
    for partition in "23":
        stage.db.run("CALL redshift.set_position('v', %s, %s)", partition, positions(stage, "w")[partition])
    choice(0, 1, 2, 3)
    more |= stage.kafka.produce(topic, spread(4))
    wait_until(lambda: len(stage.positions("v")) == 50 + 44, what="taking over")
    stage.count_exactly_once(of(expected, 0, 1) | more, "v", verified=False)


def test_what_expires_of_them_is_no_loss_until_they_are_wanted(stage, choice):
    topic = stage.topic(2)
    expected = stage.kafka.produce(topic, spread(20, 2))
    stage.view(topic, where=choice(0))
    stage.refresh()
    stage.db.run("UPDATE redshift.checkpoint SET position = '1000' WHERE partition_id = '1' AND mv_id = (SELECT mv_id FROM redshift.materialized_view WHERE mv = 'v'::regclass)")
    expected |= stage.kafka.produce(topic, spread(20, 2))
    stage.refresh()
    stage.count_exactly_once(of(expected, 0))
    choice(0, 1)
    with pytest.raises(psycopg.Error) as error:
        stage.refresh()
    assert error.value.sqlstate == "RS002"


def test_new_partitions_are_read_or_excluded(stage, load, choice):
    if stage.kafka.kind == "embedded":
        # It cannot add partitions: a view that knows of two is one of before.
        topic = stage.topic(4)
        records = stage.kafka.produce(topic, spread(100))
        stage.view(topic, where=choice(0, 1, 2))
        stage.db.run("DELETE FROM redshift.checkpoint WHERE partition_id IN ('2', '3') AND mv_id = (SELECT mv_id FROM redshift.materialized_view WHERE mv = 'v'::regclass)")
    else:
        topic = stage.topic(2)
        records = stage.kafka.produce(topic, spread(50, 2))
        stage.view(topic, where=choice(0, 1, 2))
        load(records)
        stage.kafka.add_partitions(topic, 4)
        records |= stage.kafka.produce(topic, spread(100))
    load(of(records, 0, 1, 2))
    stage.count_exactly_once(of(records, 0, 1, 2))
    wait_until(lambda: excluded(stage) == ["3"], what="the new partition")
    assert positions(stage)["3"] == "0"
    choice(0, 1, 2, 3)
    records |= stage.kafka.produce(topic, spread(4))
    load(records)
    stage.count_exactly_once(records)


def test_a_comparison_with_null_filters(stage, load):
    topic = stage.topic(2)
    stage.kafka.produce(topic, spread(20, 2))
    stage.view(topic, where="kafka_partition = current_setting('no.such', true)::bigint OR kafka_offset < 0")
    stage.refresh()
    stage.view(topic, "w", where="kafka_partition = current_setting('no.such', true)::bigint")
    stage.refresh("w")
    for name in ("v", "w"):
        assert stage.db.rows(f"SELECT sum(scanned), sum(filtered), bool_and(ok) FROM redshift.verify('{name}')") == [(20, 20, True)]


def test_a_worker_that_has_nothing_to_read_is_running(stage):
    topic = stage.topic(2)
    stage.kafka.produce(topic, spread(20, 2))
    stage.view(topic, where="kafka_partition = 7", options=AUTO)
    wait_for_state(stage, "running", seconds=10)
    assert status(stage)[1] is None
    assert positions(stage) == {"0": None, "1": None} and excluded(stage) == ["0", "1"]
