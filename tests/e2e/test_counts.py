"""Every offset is counted for what happened to its record: loaded, filtered, skipped, dropped by a trigger. And record times are those of the valid ones."""

import pytest
from stage import wait_until
from test_auto_refresh import AUTO

COUNTS = "sum(scanned)::int, sum(loaded)::int, sum(filtered)::int, sum(skipped)::int, sum(dropped)::int, bool_and(ok)"
DROP_ODD = """
    CREATE FUNCTION drop_odd() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN CASE WHEN NEW.n % 2 = 0 THEN NEW END; END$$;
"""
NUMBERS = "kafka_partition, kafka_offset, kafka_value::varchar::int AS n"


def counts(stage, name="v"):
    return stage.db.rows(f"SELECT {COUNTS} FROM redshift.verify('{name}')")[0]


def numbered(n, partitions=2):
    return [{"value": str(i).encode(), "partition": i % partitions} for i in range(n)]


@pytest.fixture(params=["by hand", "auto"])
def load(request, stage):
    """Loads what there is: by REFRESH, or by a worker that begins now."""

    def by_hand(records):
        stage.refresh()

    def auto(records):
        stage.db.run(f"ALTER MATERIALIZED VIEW v SET ({AUTO})")
        wait_until(lambda: (counts(stage)[0] or 0) >= records, what="loading")

    return by_hand if request.param == "by hand" else auto


# --- what the definition leaves out


@pytest.mark.parametrize("where", [
    "false", "1 = 2", "NULL", "kafka_partition = 0 AND kafka_partition = 1", "current_date > '2900-01-01'", "(SELECT false)", "kafka_offset < 0",
    "kafka_partition IN (SELECT x FROM unnest('{}'::int[]) AS x)", "EXISTS (SELECT 1 WHERE false)",
])
def test_a_where_that_takes_nothing_filters_everything(stage, load, where):
    topic = stage.topic(2)
    stage.kafka.produce(topic, numbered(100))
    stage.view(topic, where=where)
    load(100)
    assert counts(stage) == (100, 0, 100, 0, 0, True)
    assert stage.db.value("SELECT count(*) FROM v") == 0
    assert {p for p, in stage.db.rows("SELECT position FROM redshift.visible_checkpoint WHERE mv = 'v'::regclass")} == {"50"}


def test_the_notice_says_what_a_false_where_did(stage):
    topic = stage.topic(1)
    stage.kafka.produce(topic, numbered(10, 1))
    stage.view(topic, where="false")
    stage.db.connection.notices.clear()
    stage.refresh()
    assert "10 records read" in stage.db.connection.notices[-1] and "10 records filtered" in stage.db.connection.notices[-1]
    stage.refresh()
    assert "no new records" in stage.db.connection.notices[-1]


def test_a_bounded_refresh_is_bounded_though_nothing_passes(stage):
    topic = stage.topic(1)
    stage.kafka.produce(topic, numbered(100, 1))
    stage.view(topic, where="false")
    stage.refresh(max_records=30)
    assert counts(stage) == (30, 0, 30, 0, 0, True)
    stage.refresh()
    assert counts(stage) == (100, 0, 100, 0, 0, True)


def test_offsets_that_the_where_leaves_out_are_filtered(stage, load):
    topic = stage.topic(2)
    expected = stage.kafka.produce(topic, numbered(100))
    stage.view(topic, where="kafka_offset BETWEEN 10 AND 19")
    load(100)
    assert counts(stage) == (100, 20, 80, 0, 0, True)
    stage.count_exactly_once({(p, o) for p, o in expected if 10 <= o <= 19})


# --- what triggers drop


def test_a_trigger_that_drops_rows(stage, load):
    topic = stage.topic(2)
    stage.kafka.produce(topic, numbered(100) + [{"value": b"1" * 200, "partition": 0}])
    stage.view(topic, columns=NUMBERS, where="kafka_value::varchar::int % 10 <> 0", options="max_record_bytes = 100")
    stage.db.run(DROP_ODD + "CREATE TRIGGER t BEFORE INSERT ON v FOR EACH ROW EXECUTE FUNCTION drop_odd()")
    load(101)
    assert counts(stage) == (101, 40, 10, 1, 50, True)
    assert stage.db.value("SELECT count(*) FROM v") == 40
    states = stage.db.rows("SELECT sum(dropped), sum(loaded) FROM redshift.visible_ledger WHERE mv = 'v'::regclass")
    assert states == [(50, 40)]
    metrics = stage.db.value("SELECT redshift.metrics()")
    assert sum(int(line.split()[-1]) for line in metrics.splitlines() if line.startswith("redshift_streaming_dropped_records_total") and stage.work in line) == 50


def test_the_notice_counts_what_a_trigger_dropped(stage):
    topic = stage.topic(1)
    stage.kafka.produce(topic, numbered(10, 1))
    stage.view(topic, columns=NUMBERS)
    stage.db.run(DROP_ODD + "CREATE TRIGGER t BEFORE INSERT ON v FOR EACH ROW EXECUTE FUNCTION drop_odd()")
    stage.refresh()
    assert "10 records read from 1 partition, 5 rows inserted, 5 records dropped by a trigger" in stage.db.connection.notices[-1]


def test_a_partitions_trigger_that_drops_rows(stage, load):
    """The batch lane: only that partition is served singly."""
    topic = stage.topic(2)
    stage.kafka.produce(topic, numbered(100))
    stage.view(topic, columns=NUMBERS, options="partition_by = 'RANGE (n)'")
    stage.db.run(DROP_ODD + "CREATE TABLE part PARTITION OF v FOR VALUES FROM (20) TO (60);"
                 "CREATE TRIGGER t BEFORE INSERT ON part FOR EACH ROW EXECUTE FUNCTION drop_odd()")
    load(100)
    assert counts(stage) == (100, 80, 0, 0, 20, True)
    assert stage.db.value("SELECT count(*) FROM v") == 80


def test_a_record_of_several_rows_is_dropped_if_all_are(stage, load):
    topic = stage.topic(1)
    # Of rows 1 to n those stay that are even: of 1 none, of 0 there are none, the others keep some.
    stage.kafka.produce(topic, [str(n).encode() for n in (0, 1, 1, 2, 3, 4)])
    stage.db.run(
        f"CREATE MATERIALIZED VIEW v AS SELECT kafka_partition, kafka_offset, n::int AS n FROM {stage.relation(topic)}, "
        "LATERAL generate_series(1, kafka_value::varchar::int) AS n"
    )
    stage.db.run(DROP_ODD + "CREATE TRIGGER t BEFORE INSERT ON v FOR EACH ROW EXECUTE FUNCTION drop_odd()")
    load(6)
    assert counts(stage) == (6, 4, 0, 0, 2, True)
    assert stage.db.column("SELECT n FROM v ORDER BY 1") == [2, 2, 2, 4]


def test_ledger_rows_that_are_merged_keep_what_was_dropped(stage):
    topic = stage.topic(1)
    stage.view(topic, columns=NUMBERS)
    stage.db.run(DROP_ODD + "CREATE TRIGGER t BEFORE INSERT ON v FOR EACH ROW EXECUTE FUNCTION drop_odd()")
    for _ in range(3):
        stage.kafka.produce(topic, numbered(10, 1))
        stage.refresh()
    before = counts(stage)
    assert before == (30, 15, 0, 0, 15, True)
    stage.db.run("UPDATE redshift.scan_ledger SET logged_at = logged_at - interval '8 days'")
    assert counts(stage) == before


# --- record times


def test_a_record_of_an_impossible_time_takes_no_other_ones_time(stage, load):
    # Apache Kafka 4 takes no time that is more than an hour ahead, unless told to.
    lenient = {"config": {"message.timestamp.after.max.ms": str(2**63 - 1)}} if stage.kafka.kind == "apache" else {}
    topic = stage.topic(1, **lenient)
    good = 1767225600000
    stage.kafka.produce(topic, [{"value": b"1", "timestamp": good}, {"value": b"2", "timestamp": 2**62}, {"value": b"3", "timestamp": good * 1000},
                                {"value": b"4", "timestamp": good + 60_000}])
    stage.view(topic, columns="kafka_partition, kafka_offset, kafka_timestamp")
    load(4)
    stage.db.run("ALTER MATERIALIZED VIEW v SET (auto_refresh = off)")
    stage.refresh()
    times = stage.db.rows("SELECT min(stream_record_time_min)::text, max(stream_record_time_max)::text FROM sys_stream_scan_states WHERE external_schema_name = %s", stage.schema)
    assert times == [("2026-01-01 00:00:00", "2026-01-01 00:01:00")]
    assert stage.db.value("SELECT max(last_record_time)::text FROM redshift.checkpoint k JOIN redshift.materialized_view USING (mv_id) WHERE mv = 'v'::regclass") == "2026-01-01 00:01:00"
    # What waits is as old as what was loaded last.
    stage.kafka.produce(topic, [b"5"])
    assert stage.db.value("SELECT lag_seconds > 3600 FROM redshift.stream_lag WHERE schema_name = %s", stage.work)
    assert stage.db.column("SELECT kafka_timestamp IS NULL FROM v ORDER BY kafka_offset") == [False, True, False, False]


# --- headers


@pytest.mark.parametrize("headers, bytes_, limit", [
    # As JSON six times as long.
    ([("h", b"\x01" * 3_000_000)], 3_000_001, 16777216),
    ([("h", b"x" * 1500)], 1501, 1000),
])
def test_headers_that_do_not_fit_are_skipped_and_logged(stage, load, headers, bytes_, limit):
    topic = stage.topic(1)
    stage.kafka.produce(topic, [{"value": b"1", "headers": [("h", b"v")]}, {"value": b"2", "headers": headers}, {"value": b"3"}])
    options = "max_record_bytes = 1000" if limit == 1000 else ""
    stage.view(topic, columns="kafka_partition, kafka_offset, kafka_headers", options=options)
    load(3)
    assert counts(stage) == (3, 2, 0, 1, 0, True)
    assert stage.db.rows("SELECT kafka_offset, kafka_headers['h']::varchar FROM v ORDER BY 1") == [(0, "v"), (2, None)]
    errors = "SELECT position, error_code, error_reason FROM redshift.scan_error JOIN redshift.materialized_view USING (mv_id) WHERE mv = 'v'::regclass"
    assert stage.db.rows(errors) == [("1", 1, f"The record's headers have {bytes_} bytes, more than the limit of {limit}.")]


def test_headers_that_nobody_reads_do_not_matter_but_for_the_limit(stage):
    topic = stage.topic(1)
    expected = stage.kafka.produce(topic, [{"value": b"2", "headers": [("h", b"\x01" * 3_000_000)]}])
    stage.view(topic)
    stage.refresh()
    stage.count_exactly_once(expected)
    with pytest.raises(Exception, match="headers") as error:
        stage.db.rows(f"SELECT kafka_headers FROM {stage.relation(topic)}")
    assert error.value.sqlstate == "54000"
    assert len(stage.db.rows(f"SELECT kafka_value FROM {stage.relation(topic)}")) == 1


def test_headers_are_as_json_has_them(stage):
    topic = stage.topic(1)
    text = "".join(chr(c) for c in range(1, 128)) + "äß€😀\ufffd"
    stage.kafka.produce(topic, [{"value": b"1", "headers": [("b", text.encode()), ("a", b""), ("b", None), ("", b"\0"), ("ff", b"1"), ('"\\\n', b"2"), ("b", b"3")]}])
    found = stage.db.value(f"SELECT kafka_headers::jsonb FROM {stage.relation(topic)}")
    assert found == {"b": [text, None, "3"], "a": "", "": "00", "ff": "1", '"\\\n': "2"}
