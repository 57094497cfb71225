"""What a record's parts become: keys, values, headers, timestamps; by peek and by refresh alike."""

import json
import secrets

import pytest


def landed(stage, topic, columns):
    """The same columns by a peek and through a view: they must agree."""
    peek = stage.db.rows(f"SELECT {columns} FROM {stage.relation(topic)} ORDER BY kafka_partition, kafka_offset")
    stage.view(topic, name="all_columns", columns="*")
    stage.refresh("all_columns")
    rows = stage.db.rows(f"SELECT {columns} FROM all_columns ORDER BY kafka_partition, kafka_offset")
    assert rows == peek
    return rows


def test_bytes_are_kept_exactly(stage):
    topic = stage.topic()
    values = [b"", b"x", b"\x00", bytes(range(256)), "Grüße 🦀".encode(), b"\xff\xfe", secrets.token_bytes(100_000)]
    expected = stage.kafka.produce(topic, [{"value": v, "key": v[:50]} for v in values])
    rows = landed(stage, topic, "kafka_value::bytea, kafka_key::bytea")
    assert rows == [(v, v[:50]) for v in values]
    stage.count_exactly_once(expected, "all_columns")


def test_tombstones_and_missing_keys_are_null(stage):
    topic = stage.topic()
    expected = stage.kafka.produce(topic, [{"key": b"k", "value": None}, {"key": None, "value": b"v"}, {"key": None, "value": None}, {"key": b"", "value": b""}])
    rows = landed(stage, topic, "kafka_key::bytea, kafka_value::bytea, kafka_headers::jsonb")
    assert rows == [(b"k", None, None), (None, b"v", None), (None, None, None), (b"", b"", None)]
    stage.count_exactly_once(expected, "all_columns")


@pytest.mark.parametrize(
    ("headers", "shown"),
    [
        ([("a", b"1")], {"a": "1"}),
        ([("a", b"1"), ("b", "ü".encode())], {"a": "1", "b": "ü"}),
        ([("a", b"1"), ("a", b"2"), ("b", b"3")], {"a": ["1", "2"], "b": "3"}),
        ([("raw", b"\xff\x00\xab")], {"raw": "ff00ab"}),
        ([("nothing", None)], {"nothing": None}),
        ([("empty", b"")], {"empty": ""}),
        ([("", b"no name")], {"": "no name"}),
        ([('q"\\', b'"\n\\')], {'q"\\': '"\n\\'}),
        ([("a", b"1"), ("a", None), ("a", b"\xff")], {"a": ["1", None, "ff"]}),
    ],
)
def test_headers_are_an_object(stage, headers, shown):
    topic = stage.topic()
    expected = stage.kafka.produce(topic, [{"value": b"x", "headers": headers}])
    [(found,)] = landed(stage, topic, "kafka_headers::jsonb::text")
    assert json.loads(found) == shown
    stage.count_exactly_once(expected, "all_columns")


def test_a_headers_nul_byte_does_no_harm(stage):
    topic = stage.topic()
    expected = stage.kafka.produce(topic, [{"value": b"x", "headers": [("nul", b"a\x00b")]}])
    landed(stage, topic, "kafka_headers::jsonb::text")
    stage.count_exactly_once(expected, "all_columns")


def test_create_time_and_its_type(stage):
    topic = stage.topic()
    expected = stage.kafka.produce(topic, [{"value": b"x", "timestamp": 1767225600123}])
    [(kind, time)] = landed(stage, topic, "kafka_timestamp_type, kafka_timestamp::text")
    assert (kind, time) == ("C", "2026-01-01 00:00:00.123")
    stage.count_exactly_once(expected, "all_columns")


@pytest.mark.apache_only("the embedded broker has no log append time")
def test_log_append_time_and_its_type(stage):
    topic = stage.topic(config={"message.timestamp.type": "LogAppendTime"})
    expected = stage.kafka.produce(topic, [{"value": b"x", "timestamp": 1767225600123}])
    rows = landed(stage, topic, "kafka_timestamp_type, abs(extract(epoch FROM kafka_timestamp - (now() AT TIME ZONE 'UTC'))) < 60")
    assert rows == [("L", True)]
    stage.count_exactly_once(expected, "all_columns")


def test_refresh_time_is_the_start_of_the_refresh_for_all_its_rows(stage):
    topic = stage.topic(2)
    expected = stage.kafka.produce(topic, [b"x"] * 100)
    stage.view(topic, columns="kafka_partition, kafka_offset, refresh_time")
    stage.db.run("SET TimeZone = 'Asia/Kathmandu'")
    stage.refresh()
    expected |= stage.kafka.produce(topic, [b"x"] * 100)
    stage.refresh()
    assert stage.db.rows("SELECT count(*) FROM v GROUP BY refresh_time") == [(100,), (100,)]
    assert stage.db.value("SELECT bool_and(abs(extract(epoch FROM refresh_time - (now() AT TIME ZONE 'UTC'))) < 60) FROM v")
    stage.db.run("RESET TimeZone")
    stage.count_exactly_once(expected)


def test_json_is_read_by_paths_and_bad_records_are_filtered(stage):
    topic = stage.topic()
    good = [json.dumps({"OrderID": n, "OrderDate": "2026-01-01T00:00:00Z", "Price": n * 1.5}).encode() for n in range(20)]
    bad = [b"not json", b"\xff\xfe", b"", None, b'{"OrderID": ', b"[" * 5000]
    positions = [stage.kafka.produce(topic, [record]) for record in good + bad]
    stage.db.run(
        f"CREATE MATERIALIZED VIEW v AS SELECT kafka_partition, kafka_offset, refresh_time, json_parse(kafka_value) AS data "
        f"FROM {stage.relation(topic)} WHERE can_json_parse(kafka_value)"
    )
    stage.refresh()
    rows = stage.db.rows("SELECT data['OrderID']::int4, data['OrderDate']::timestamptz, data['Price']::float8 FROM v ORDER BY 1")
    assert [(r[0], r[2]) for r in rows] == [(n, n * 1.5) for n in range(20)]
    assert all(r[1].year in (2025, 2026) for r in rows)
    scanned, loaded, filtered = stage.db.rows("SELECT scanned, loaded, filtered FROM redshift.verify('v')")[0]
    assert (scanned, loaded, filtered) == (26, 20, 6)
    stage.count_exactly_once(set().union(*positions[:20]))


def test_a_definition_may_unnest_the_record(stage):
    topic = stage.topic()
    expected = stage.kafka.produce(topic, [json.dumps({"lines": [{"sku": s} for s in skus]}).encode() for skus in (["a", "b"], [], ["c"])])
    assert len(expected) == 3
    stage.db.run(
        f"CREATE MATERIALIZED VIEW v AS SELECT r.kafka_offset, l.value ->> 'sku' AS sku FROM {stage.relation(topic)} r, "
        f"LATERAL jsonb_array_elements(json_parse(r.kafka_value)::jsonb -> 'lines') l"
    )
    stage.refresh()
    stage.refresh()
    assert stage.db.rows("SELECT * FROM v ORDER BY 2") == [(0, "a"), (0, "b"), (2, "c")]
    assert stage.db.value("SELECT bool_and(ok) FROM redshift.verify('v')")
