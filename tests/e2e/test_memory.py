"""Memory of a refresh is bounded by redshift.memory_limit, whatever the backlog and the number of partitions."""

import os
import threading
import time

import psycopg
import pytest

MEGABYTE = 1024 * 1024


def private_memory(pid):
    """Resident memory of a backend without what it shares with the others."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("RssAnon"))


class Watch:
    """Keeps the peak of a process's private memory while the body runs."""

    def __init__(self, pid):
        self.pid, self.peak, self._stop = pid, 0, threading.Event()

    def __enter__(self):
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()
        return self

    def _sample(self):
        while not self._stop.is_set():
            self.peak = max(self.peak, private_memory(self.pid))
            time.sleep(0.005)

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


def watched_refresh(stage, limit):
    with stage.connect() as session:
        session.execute(f"SET redshift.memory_limit = '{limit}MB'")
        with Watch(session.info.backend_pid) as watch:
            session.execute("REFRESH MATERIALIZED VIEW v")
    assert watch.peak <= (limit + 64) * MEGABYTE, f"{watch.peak / MEGABYTE:.0f} MB with a limit of {limit} MB"


@pytest.mark.apache_only("the embedded broker keeps 5 MB a partition")
@pytest.mark.parametrize("limit", [16, 64])
def test_a_big_backlog(stage, limit):
    topic = stage.topic(4)
    expected = stage.kafka.produce(topic, [b"x" * 1000] * 300_000)
    stage.view(topic)
    watched_refresh(stage, limit)
    stage.count_exactly_once(expected)


@pytest.mark.apache_only("the embedded broker keeps 5 MB a partition")
def test_many_partitions_with_a_backlog_each(stage):
    topic = stage.topic(100)
    expected = stage.kafka.produce(topic, [{"value": b"x" * 10_000, "partition": n % 100} for n in range(30_000)])
    stage.view(topic)
    watched_refresh(stage, 32)
    stage.count_exactly_once(expected)


@pytest.mark.apache_only("the embedded broker keeps 5 MB a partition")
def test_compressed_batches_that_grow(stage):
    """Batches twenty times larger than what the network carried. (An answer is unpacked as a whole, so the bound has a limit of its own.)"""
    topic = stage.topic(4)
    expected = stage.kafka.produce(
        topic, [{"value": os.urandom(25_000) + bytes(475_000), "partition": n % 4} for n in range(800)], compression_type="zstd"
    )
    stage.view(topic, columns="kafka_partition, kafka_offset, length(kafka_value::bytea) AS length")
    watched_refresh(stage, 64)
    assert stage.db.value("SELECT sum(length)::bigint FROM v") == 800 * 500_000
    stage.count_exactly_once(expected)


@pytest.mark.apache_only("the embedded broker keeps 5 MB a partition")
def test_large_records(stage):
    topic = stage.topic(4, config={"max.message.bytes": 20_000_000})
    expected = stage.kafka.produce(topic, [{"value": bytes(10_000_000), "partition": n % 4} for n in range(40)])
    stage.view(topic, columns="kafka_partition, kafka_offset, length(kafka_value::bytea) AS length")
    watched_refresh(stage, 64)
    stage.count_exactly_once(expected)


def test_a_limit_too_small_to_work_is_refused(db):

    with pytest.raises(psycopg.Error):
        db.run("SET redshift.memory_limit = '1kB'")


def test_memory_is_given_back(stage):
    topic = stage.topic(4)
    # Dealt evenly: the embedded broker keeps 5 MB a partition.
    expected = stage.kafka.produce(topic, [{"value": b"x" * 1000, "partition": n % 4} for n in range(10_000)])
    with stage.connect() as session:
        session.execute(f"CREATE MATERIALIZED VIEW v AS SELECT kafka_partition, kafka_offset FROM {stage.relation(topic)}")
        session.execute("REFRESH MATERIALIZED VIEW v")
        first = private_memory(session.info.backend_pid)
        for _ in range(30):
            expected |= stage.kafka.produce(topic, [{"value": b"x" * 1000, "partition": n % 4} for n in range(100)])
            session.execute("REFRESH MATERIALIZED VIEW v")
        assert private_memory(session.info.backend_pid) - first < 16 * MEGABYTE
        assert len([1 for _ in open(f"/proc/{session.info.backend_pid}/maps", encoding="ascii")]) < 2000


        assert len(os.listdir(f"/proc/{session.info.backend_pid}/task")) == 1, "a refresh left threads behind"
    stage.count_exactly_once(expected)
