"""What real topics do: transactions, compaction, retention, re-creation, more partitions, codecs, sizes."""

import secrets
import time

import psycopg
import pytest
from broker import send
from stage import wait_until


def numbers(count, **more):
    return [{"value": str(n).encode(), **more} for n in range(count)]


def transaction(kafka, topic, records, end="commit"):
    """Writes records in a transaction of its own and ends it, or returns the producer with the transaction open."""
    producer = kafka.producer(transactional_id=secrets.token_hex(4))
    producer.init_transactions(30)
    producer.begin_transaction()
    positions = send(producer, topic, records)
    producer.flush(30)
    if end == "commit":
        producer.commit_transaction(30)
    elif end == "abort":
        producer.abort_transaction(30)
    else:
        return producer, set(positions)
    return set(positions)


@pytest.mark.apache_only("transactions")
def test_committed_transactions_land_and_aborted_ones_do_not(stage):
    topic = stage.topic(2)
    expected = stage.kafka.produce(topic, numbers(10))
    stage.view(topic)
    for turn in range(6):
        positions = transaction(stage.kafka, topic, numbers(20), "abort" if turn % 2 else "commit")
        if turn % 2 == 0:
            expected |= positions
        stage.refresh()
    stage.refresh()
    stage.count_exactly_once(expected)


@pytest.mark.apache_only("transactions")
def test_a_topic_that_ends_in_markers_is_read_to_its_end(stage):
    topic = stage.topic()
    stage.view(topic)
    transaction(stage.kafka, topic, numbers(5), "abort")
    stage.refresh()
    assert stage.positions() == []
    expected = transaction(stage.kafka, topic, numbers(5))
    stage.refresh()
    began = time.monotonic()
    stage.refresh()
    assert time.monotonic() - began < 2
    expected |= stage.kafka.produce(topic, numbers(5))
    stage.refresh()
    stage.count_exactly_once(expected)


@pytest.mark.apache_only("transactions")
@pytest.mark.parametrize("end", ["commit", "abort"])
def test_an_open_transaction_is_not_waited_for(stage, end):
    topic = stage.topic()
    stage.view(topic)
    expected = stage.kafka.produce(topic, numbers(10))
    producer, held = transaction(stage.kafka, topic, numbers(5), "open")
    behind = stage.kafka.produce(topic, numbers(10))
    began = time.monotonic()
    stage.refresh()
    assert time.monotonic() - began < 2
    stage.count_exactly_once(expected)
    assert stage.db.value(f"SELECT count(*) FROM {stage.relation(topic)}") == 10
    if end == "commit":
        producer.commit_transaction(30)
        expected |= held
    else:
        producer.abort_transaction(30)
    wait_until(lambda: len(stage.kafka.consume(topic)) == len(expected | behind))
    stage.refresh()
    stage.count_exactly_once(expected | behind)


@pytest.mark.apache_only("compaction")
def test_holes_of_compaction_are_passed(stage):
    topic = stage.topic(config={"cleanup.policy": "compact", "segment.ms": 500, "min.cleanable.dirty.ratio": "0.01", "max.compaction.lag.ms": 500})
    stage.view(topic, options="start = 'earliest'")
    early = stage.kafka.produce(topic, [{"key": str(n % 7).encode(), "value": str(n).encode()} for n in range(1000)])

    def compacted():
        # A closed segment is what compaction works on: a record now and then closes one.
        stage.kafka.produce(topic, [{"key": b"tick", "value": b"x"}])
        return len(stage.kafka.consume(topic)) < 100

    wait_until(compacted, 60, "compaction")
    left = {(m.partition(), m.offset()) for m in stage.kafka.consume(topic)}
    assert not early <= left
    stage.refresh()
    # Compaction goes on beside us: what landed is what was there at some moment between the two counts.
    after = {(m.partition(), m.offset()) for m in stage.kafka.consume(topic)}
    landed = stage.positions()
    assert len(set(landed)) == len(landed) and after <= set(landed) <= left
    assert stage.db.value("SELECT bool_and(ok) FROM redshift.verify('v')")
    later = stage.kafka.produce(topic, [{"key": b"later", "value": b"1"}])
    stage.refresh()
    stage.count_exactly_once(set(landed) | later)


@pytest.mark.apache_only("compaction")
def test_compaction_behind_the_position_is_no_loss(stage):
    topic = stage.topic(config={"cleanup.policy": "compact", "segment.ms": 500, "min.cleanable.dirty.ratio": "0.01", "max.compaction.lag.ms": 500})
    stage.view(topic)
    expected = stage.kafka.produce(topic, [{"key": str(n % 7).encode(), "value": str(n).encode()} for n in range(500)])
    stage.refresh()
    stage.count_exactly_once(expected)

    def compacted():
        nonlocal expected
        expected |= stage.kafka.produce(topic, [{"key": b"tick" + secrets.token_hex(4).encode(), "value": b"x"}])
        stage.refresh()
        return len([m for m in stage.kafka.consume(topic) if m.offset() < 500]) < 50

    wait_until(compacted, 60, "compaction")
    stage.count_exactly_once(expected)


def retained(stage, partitions=1):
    """A view whose position, 50, lies before the earliest record, 80, of partition 0."""
    topic = stage.topic(partitions)
    expected = stage.kafka.produce(topic, numbers(50, partition=0))
    stage.view(topic)
    stage.refresh()
    passed = stage.kafka.produce(topic, numbers(50, partition=0))
    stage.kafka.delete_records(topic, 0, 80)
    return topic, expected | {(p, o) for p, o in passed if o >= 80}


@pytest.mark.apache_only("deletion of records")
def test_retention_past_the_position_is_an_error_that_names_the_range(stage):
    _, expected = retained(stage)
    for _ in range(2):
        with pytest.raises(psycopg.Error) as error:
            stage.refresh()
        assert error.value.sqlstate == "RS001"
        text = f"{error.value} {error.value.diag.message_detail} {error.value.diag.message_hint}"
        assert "50" in text and "79" in text and "set_position" in text, text
        assert stage.db.value("SELECT count(*) FROM v") == 50
    stage.db.run("CALL redshift.set_position('v', '0', '80')")
    stage.refresh()
    stage.count_exactly_once(expected)


@pytest.mark.apache_only("deletion of records")
def test_on_data_loss_continue_goes_on_and_says_so(stage):
    _, expected = retained(stage)
    stage.db.run("ALTER MATERIALIZED VIEW v SET (on_data_loss = 'continue')")
    stage.refresh()
    errors = stage.db.rows('SELECT trim(partition_id), trim("position"), trim(error_reason) FROM sys_stream_scan_errors WHERE external_schema_name = %s', stage.schema)
    assert len(errors) == 1 and errors[0][0] == "0"
    assert "50" in " ".join(errors[0]) and "79" in " ".join(errors[0])
    stage.refresh()
    stage.count_exactly_once(expected)


@pytest.mark.apache_only("retention")
def test_real_retention_before_the_first_refresh_is_no_loss(stage):
    """start = 'earliest' is resolved at the first refresh, not at CREATE."""
    topic = stage.topic(config={"segment.bytes": 1048576, "retention.ms": 1000, "segment.ms": 500})
    stage.view(topic)
    old = int((time.time() - 3600) * 1000)
    stage.kafka.produce(topic, numbers(100, timestamp=old))

    def expired():
        stage.kafka.produce(topic, [{"value": b"tick", "timestamp": old}])
        return stage.kafka.low(topic) >= 100

    wait_until(expired, 60, "retention")
    stage.kafka.configure(topic, retention_ms=3600_000_000)
    expected = stage.kafka.produce(topic, numbers(10))
    stage.refresh()
    assert expected <= set(stage.positions())
    assert all(o >= 100 for _, o in stage.positions())


@pytest.mark.apache_only("topic deletion")
@pytest.mark.parametrize("count", [3, 10, 500], ids=["lower", "same", "higher"])
@pytest.mark.parametrize("on_data_loss", ["fail", "continue"])
def test_a_topic_made_again_is_noticed(stage, count, on_data_loss):
    topic = stage.topic()
    expected = stage.kafka.produce(topic, numbers(10))
    stage.view(topic, columns="kafka_partition, kafka_offset, kafka_value, refresh_time", options=f"on_data_loss = '{on_data_loss}'")
    stage.refresh()
    stage.count_exactly_once(expected)
    stage.kafka.recreate_topic(topic)
    again = stage.kafka.produce(topic, numbers(count))
    if on_data_loss == "fail":
        for _ in range(2):
            with pytest.raises(psycopg.Error) as error:
                stage.refresh()
            assert error.value.sqlstate == "RS003"
            assert error.value.diag.message_hint
        stage.db.run("CALL redshift.set_position('v', '0', '0')")
    stage.refresh()
    stage.refresh()
    assert sorted(stage.positions()) == sorted([*expected, *again])


@pytest.mark.apache_only("topic deletion")
def test_a_topic_that_is_gone_is_an_error(stage):
    topic = stage.topic()
    expected = stage.kafka.produce(topic, numbers(10))
    stage.view(topic)
    stage.refresh()
    stage.kafka.delete_topic(topic)
    began = time.monotonic()
    with pytest.raises(psycopg.Error) as error:
        stage.refresh()
    assert topic in str(error.value)
    assert time.monotonic() - began < 15
    stage.count_exactly_once(expected)


def test_a_position_past_the_end_is_an_error(stage):
    topic = stage.topic()
    expected = stage.kafka.produce(topic, numbers(10))
    stage.view(topic, options="start = '{\"0\": 5000}'")
    with pytest.raises(psycopg.Error) as error:
        stage.refresh()
    assert error.value.sqlstate == "RS002"
    assert "5000" in str(error.value) + str(error.value.diag.message_detail)
    stage.db.run("CALL redshift.set_position('v', '0', '0')")
    stage.refresh()
    stage.count_exactly_once(expected)


@pytest.mark.apache_only("partitions cannot be added to the embedded broker's topics")
@pytest.mark.parametrize("start", ["earliest", "latest"])
def test_new_partitions_are_read_from_their_first_record(stage, start):
    topic = stage.topic(2)
    old = stage.kafka.produce(topic, numbers(10, partition=0) + numbers(10, partition=1))
    stage.view(topic, options=f"start = '{start}'")
    stage.refresh()
    expected = old if start == "earliest" else set()
    stage.kafka.add_partitions(topic, 5)
    expected |= stage.kafka.produce(topic, [r for p in range(5) for r in numbers(10, partition=p)])
    stage.refresh()
    stage.refresh()
    stage.count_exactly_once(expected)


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_codecs(stage, codec):
    topic = stage.topic(2)
    stage.view(topic)
    values = [str(n).encode() * 50 for n in range(2000)]
    expected = stage.kafka.produce(topic, values, compression_type=codec)
    stage.refresh()
    assert set(stage.db.column("SELECT kafka_value::bytea FROM v")) == set(values)
    stage.count_exactly_once(expected)


def test_all_codecs_in_one_topic(stage):
    topic = stage.topic()
    stage.view(topic)
    expected = set()
    for codec in ("none", "gzip", "snappy", "lz4", "zstd") * 2:
        expected |= stage.kafka.produce(topic, numbers(50), compression_type=codec)
    stage.refresh()
    stage.count_exactly_once(expected)


@pytest.mark.apache_only("the embedded broker keeps 5 MB a partition")
def test_records_of_1_byte_and_of_15_megabytes(stage):
    topic = stage.topic(config={"max.message.bytes": 20_000_000})
    big = [secrets.token_bytes(15_000_000) for _ in range(3)]
    expected = stage.kafka.produce(topic, [b"1", big[0], b"2", big[1], big[2], b"3"])
    stage.view(topic)
    stage.refresh()
    assert stage.db.column("SELECT kafka_value::bytea FROM v WHERE length(kafka_value::bytea) > 1 ORDER BY kafka_offset") == big
    stage.count_exactly_once(expected)


def test_a_record_larger_than_the_limit_is_skipped_and_logged(stage):
    topic = stage.topic()
    expected = stage.kafka.produce(topic, [b"a" * 100])
    [skipped] = stage.kafka.produce(topic, [{"value": b"b" * 5000, "timestamp": 1767225600000}])
    expected |= stage.kafka.produce(topic, [b"c" * 100])
    stage.view(topic, options="max_record_bytes = 1000")
    stage.refresh()
    stage.count_exactly_once(expected)
    cursor = stage.db.run("SELECT * FROM sys_stream_scan_errors WHERE external_schema_name = %s", stage.schema)
    names = [c.name for c in cursor.description]
    [row] = cursor.fetchall()
    found = dict(zip(names, row, strict=True))
    assert (found["partition_id"].strip(), found["position"].strip()) == (str(skipped[0]), str(skipped[1]))
    assert found["stream_timestamp_type"] == "C" and str(found["stream_timestamp"]) == "2026-01-01 00:00:00"
    assert found["error_reason"].strip()
    assert stage.db.rows("SELECT scanned, loaded, filtered, skipped FROM redshift.verify('v')") == [(3, 2, 0, 1)]
    assert stage.db.value("SELECT status FROM sys_mv_refresh_history WHERE schema_name = %s", stage.work).endswith("Some stream records were skipped")


def test_when_all_records_are_skipped_the_status_says_so(stage):
    topic = stage.topic()
    stage.kafka.produce(topic, [b"b" * 5000] * 3)
    stage.view(topic, options="max_record_bytes = 1000")
    stage.refresh()
    stage.count_exactly_once(set())
    status = stage.db.value("SELECT status FROM sys_mv_refresh_history WHERE schema_name = %s", stage.work)
    assert status.endswith("All records received from the stream were skipped")


def test_many_partitions(stage):
    topic = stage.topic(100)
    expected = stage.kafka.produce(topic, [{"value": b"x", "partition": n % 100} for n in range(5000)])
    stage.view(topic)
    stage.refresh()
    expected |= stage.kafka.produce(topic, [{"value": b"x", "partition": 99}])
    stage.refresh()
    stage.count_exactly_once(expected)
