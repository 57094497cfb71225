"""SELECT on a stream relation: a peek, bounded by the watermarks, that moves no position."""

import datetime
import re

import psycopg
import pytest


@pytest.fixture
def peeked(stage):
    """A topic of 3 partitions with 10 records each, a second apart from 2026-01-01 on."""
    topic = stage.topic(3)
    first = 1767225600000
    stage.kafka.produce(
        topic, [{"partition": p, "value": f"{p}/{n}".encode(), "key": str(n).encode(), "timestamp": first + n * 1000} for p in range(3) for n in range(10)]
    )
    return stage.relation(topic)


def plan(stage, sql, options="ANALYZE, COSTS off, TIMING off, SUMMARY off"):
    return "\n".join(stage.db.column(f"EXPLAIN ({options}) {sql}"))


def test_select_reads_everything_and_twice_the_same(stage, peeked):
    for _ in range(2):
        assert stage.db.value(f"SELECT count(DISTINCT (kafka_partition, kafka_offset)) FROM {peeked}") == 30


def test_an_empty_topic_has_no_rows(stage):
    assert stage.db.rows(f"SELECT * FROM {stage.relation(stage.topic(2))}") == []


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("kafka_partition = 1", 10),
        ("kafka_partition IN (0, 2)", 20),
        ("kafka_partition = 7", 0),
        ("kafka_partition < 0", 0),
        ("kafka_offset >= 8", 6),
        ("kafka_offset BETWEEN 2 AND 4", 9),
        ("kafka_offset > 9223372036854775806", 0),
        ("kafka_offset = -1", 0),
        ("kafka_partition = 1 AND kafka_offset = 3", 1),
        ("kafka_partition = 1 OR kafka_offset = 3", 12),
        ("kafka_partition = (SELECT 2)", 10),
        ("kafka_timestamp >= '2026-01-01 00:00:05'", 15),
        ("kafka_timestamp < '2026-01-01 00:00:05'", 15),
        ("kafka_timestamp = '2026-01-01 00:00:05'", 3),
        ("kafka_timestamp > '2030-01-01'", 0),
        ("kafka_timestamp > 'infinity'", 0),
        ("kafka_timestamp >= '-infinity'", 30),
        ("kafka_partition IS NULL", 0),
    ],
)
def test_quals_are_right(stage, peeked, where, count):
    assert stage.db.value(f"SELECT count(*) FROM {peeked} WHERE {where}") == count


def test_a_parameter_is_a_qual_too(stage, peeked):
    stage.db.run(f"PREPARE p(bigint) AS SELECT count(*) FROM {peeked} WHERE kafka_offset >= $1")
    stage.db.run("SET plan_cache_mode = force_generic_plan")
    assert [stage.db.value(f"EXECUTE p({n})") for n in (8, 0, 10)] == [6, 30, 0]
    stage.db.run("DEALLOCATE p")


def test_partition_and_offset_quals_read_only_what_they_name(stage, peeked):
    text = plan(stage, f"SELECT * FROM {peeked} WHERE kafka_partition = 1 AND kafka_offset >= 8")
    assert re.search(r"Topic: \S+", text) and re.search(r"Partitions: .*1", text)
    assert re.search(r"Records: 2\b", text), text


@pytest.mark.apache_only("the embedded broker has no timestamp look-up")
def test_a_timestamp_qual_reads_from_there_on(stage, peeked):
    text = plan(stage, f"SELECT * FROM {peeked} WHERE kafka_timestamp >= '2026-01-01 00:00:08'")
    assert re.search(r"Records: 6\b", text), text


def test_explain_shows_topic_and_partitions_without_reading(stage, peeked):
    text = plan(stage, f"SELECT * FROM {peeked}", "COSTS off")
    assert "Topic: " in text and "Partitions: " in text


def test_limit_stops_early(stage):
    topic = stage.topic()
    stage.kafka.produce(topic, [b"x" * 100] * 20_000)
    assert len(stage.db.rows(f"SELECT * FROM {stage.relation(topic)} LIMIT 5")) == 5
    read = int(re.search(r"Records: (\d+)", plan(stage, f"SELECT * FROM {stage.relation(topic)} LIMIT 5"))[1])
    assert read < 20_000


def test_a_peek_moves_no_position(stage):
    topic = stage.topic(2)
    expected = stage.kafka.produce(topic, [b"x"] * 50)
    stage.view(topic)
    assert stage.db.value(f"SELECT count(*) FROM {stage.relation(topic)}") == 50
    stage.refresh()
    assert stage.db.value(f"SELECT count(*) FROM {stage.relation(topic)}") == 50
    stage.refresh()
    stage.count_exactly_once(expected)


def test_a_scan_ends_at_the_watermarks_it_began_with(stage):
    topic = stage.topic()
    stage.kafka.produce(topic, [b"x"] * 10)
    with stage.connect() as session, session.transaction():
        cursor = session.cursor(name="peek")
        cursor.execute(f"SELECT kafka_offset FROM {stage.relation(topic)}")
        assert cursor.fetchone()[0] == 0
        stage.kafka.produce(topic, [b"x"] * 10)
        assert len(cursor.fetchall()) == 9


def test_joins_and_rescans(stage, peeked):
    assert stage.db.value(f"SELECT count(*) FROM {peeked} a JOIN {peeked} b USING (kafka_partition, kafka_offset)") == 30
    stage.db.run("SET enable_material = off")
    stage.db.run("SET enable_hashjoin = off")
    stage.db.run("SET enable_mergejoin = off")
    assert stage.db.value(f"SELECT count(*) FROM generate_series(1, 3) g, LATERAL (SELECT * FROM {peeked} WHERE kafka_partition = g - 1) x") == 30
    for setting in ("enable_material", "enable_hashjoin", "enable_mergejoin"):
        stage.db.run(f"RESET {setting}")


def test_timestamps_are_utc_whatever_the_sessions_zone(stage, peeked):
    for zone in ("America/New_York", "Asia/Kathmandu", "UTC"):
        stage.db.run(f"SET TimeZone = '{zone}'")
        found = stage.db.value(f"SELECT kafka_timestamp FROM {peeked} WHERE kafka_partition = 0 AND kafka_offset = 0")
        assert found == datetime.datetime(2026, 1, 1)
        shift = stage.db.value(f"SELECT refresh_time - (now() AT TIME ZONE 'UTC') FROM {peeked} LIMIT 1")
        assert abs(shift.total_seconds()) < 10
    stage.db.run("RESET TimeZone")


def test_nothing_can_be_written(stage, peeked):

    for sql in (f"INSERT INTO {peeked} (kafka_partition) VALUES (1)", f"DELETE FROM {peeked}", f"UPDATE {peeked} SET kafka_partition = 1"):
        with pytest.raises(psycopg.Error):
            stage.db.run(sql)
