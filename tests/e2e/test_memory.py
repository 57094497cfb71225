"""Memory of a refresh is bounded by redshift.memory_limit, whatever the backlog and the number of partitions."""

import os
import threading
import time

import psycopg
import pytest
from broker import send
from stage import wait_until
from test_auto_refresh import landed
from test_ingest_workers import own, setting  # noqa: F401

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


def count(stage, name):
    return stage.db.value(f"SELECT count(*) FROM {name}")


@pytest.mark.apache_only("the embedded broker keeps 5 MB a partition")
def test_one_worker_with_backlogs_in_many_topics(cluster, own):
    """Twenty topics of 8 MB at once, then a burst of 4 MB in each: the limit holds for all of them together, and a topic without a backlog does not wait."""
    stage, kafka = own, own.kafka
    with setting(cluster, "redshift.memory_limit", "'16MB'"), setting(cluster, "redshift.ingest_workers", 1):
        topics = [kafka.topic(2) for _ in range(21)]
        stage.map(",".join(topics))
        small = topics.pop()
        stage.view(small, "small", options="auto_refresh = on")
        landed(stage, kafka.produce(small, [b"x"]), "small")
        producer, sent = kafka.producer(), []

        def burst(records):
            for topic in topics:
                sent.append(send(producer, topic, ({"value": b"x" * 10_000, "partition": n % 2} for n in range(records))))
            assert producer.flush(60) == 0

        burst(800)
        for n, topic in enumerate(topics):
            stage.view(topic, f"v{n}", columns="kafka_partition, kafka_offset, length(kafka_value::bytea) AS length")
        pid = stage.db.value("SELECT pid FROM redshift.worker_status")
        with Watch(pid) as watch:
            stage.db.run("; ".join(["BEGIN", *(f"ALTER MATERIALIZED VIEW v{n} SET (auto_refresh = on)" for n in range(20)), "COMMIT"]))
            wait_until(lambda: count(stage, "v0") > 0, what="the first batch")
            kafka.produce(small, [b"y"])
            wait_until(lambda: count(stage, "small") == 2, 5, "the record of a topic without a backlog")
            wait_until(lambda: all(count(stage, f"v{n}") == 800 for n in range(20)), 60, "twenty topics")
            burst(400)
            wait_until(lambda: all(count(stage, f"v{n}") == 1200 for n in range(20)), 60, "the burst")
        assert watch.peak <= (16 + 40) * MEGABYTE, f"{watch.peak / MEGABYTE:.0f} MB"
        for n in range(20):
            landed(stage, set(sent[n] + sent[n + 20]), f"v{n}")


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
