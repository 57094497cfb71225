"""From produce() to visible in another session: latency.py --run DIRECTORY --out FILE (scripts/bench-latency.sh starts what it needs).

A process produces records of 200 bytes at a fixed rate into one partition of Apache Kafka and notes the time of each call. Another
session asks for the largest offset in the table (it has a btree on it) in a loop with 0.2 ms of sleep: a record is visible at the
end of the first query that answers its offset or a later one, for batches are committed whole and in order. fsync is on. All is on
one machine, the producer and the asking session too. The first two seconds of each run are not counted.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import struct
import time
from array import array

import psycopg
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

RATES = (1_000, 5_000, 50_000)
SECONDS = 6
WARM_UP = 2
PADDING = b"x" * 200


def produce(bootstrap, topic, rate, file):
    """Notes in `file` when each record was given to the client; the n-th has offset n."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 1, "acks": "all", "enable.idempotence": True, "queue.buffering.max.messages": 1_000_000})
    sent, began = array("q"), time.time_ns()
    while len(sent) < rate * SECONDS:
        due = min((time.time_ns() - began) * rate // 1_000_000_000, rate * SECONDS)
        while len(sent) < due:
            sent.append(time.time_ns())
            producer.produce(topic, PADDING, partition=0)
        producer.poll(0)
        time.sleep(0.0005)
    assert producer.flush(60) == 0
    with open(file, "wb") as out:
        sent.tofile(out)


def consume(bootstrap, topic, conninfo, ready):
    """The tuned consumer: what 10 ms bring is one COPY BINARY and one commit."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "latency", "enable.auto.commit": False, "fetch.queue.backoff.ms": 1, "fetch.wait.max.ms": 10})
    consumer.assign([TopicPartition(topic, 0, 0)])
    row, header, end = struct.Struct(">hiqiqi").pack, b"PGCOPY\n\xff\r\n\x00" + struct.pack(">ii", 0, 0), struct.pack(">h", -1)
    with psycopg.connect(conninfo) as connection, connection.cursor() as cursor:
        ready.set()
        while True:
            messages = [m for m in consumer.consume(10_000, 0.01) if m.error() is None]
            if not messages:
                continue
            parts = [header]
            for message in messages:
                value = message.value()
                parts.append(row(3, 8, message.partition(), 8, message.offset(), len(value)))
                parts.append(value)
            parts.append(end)
            with cursor.copy("COPY t FROM STDIN (FORMAT binary)") as copy:
                copy.write(b"".join(parts))
            connection.commit()


def watch(db, total):
    """The largest offset in the table, and when it was seen, until so many records are visible."""
    seen, last = [], -1
    deadline = time.monotonic() + SECONDS * 4
    while last < total - 1:
        assert time.monotonic() < deadline, f"{last + 1} of {total} records are visible"
        row = db.execute("SELECT kafka_offset FROM t WHERE kafka_partition = 0 ORDER BY kafka_offset DESC LIMIT 1").fetchone()
        if row and row[0] > last:
            last = row[0]
            seen.append((last, time.time_ns()))
        time.sleep(0.0002)
    return seen


def latencies(sent, seen, warm_up):
    """Milliseconds from when a record was sent until it was seen; not of the first ones."""
    found, offset = [], 0
    for last, when in seen:
        while offset <= last:
            if offset >= warm_up:
                found.append((when - sent[offset]) / 1e6)
            offset += 1
    return found


def quantiles(values):
    """p50 and p99."""
    values = sorted(values)
    return values[len(values) // 2], values[len(values) * 99 // 100]


class Bench:
    def __init__(self, run):
        self.run = run
        self.bootstrap = (run / "apache.bootstrap").read_text().strip()
        self.conninfo = f"host={os.environ['PGHOST']} port={os.environ['PGPORT']} user={os.environ['PGUSER']} dbname=latency"
        with psycopg.connect(self.conninfo.replace("dbname=latency", "dbname=postgres"), autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS latency WITH (FORCE)")
            connection.execute("CREATE DATABASE latency")
        self.db = psycopg.connect(self.conninfo, autocommit=True)
        self.db.execute("CREATE EXTENSION redshift_streaming")
        self.admin = AdminClient({"bootstrap.servers": self.bootstrap})
        self.topics = 0

    def topic(self):
        self.topics += 1
        name = f"latency{os.getpid()}n{self.topics}"
        self.admin.create_topics([NewTopic(name, 1, 1)])[name].result(20)
        time.sleep(0.5)
        return name

    def ours(self, rate, window):
        topic = self.topic()
        self.db.execute(f"ALTER SYSTEM SET redshift.commit_window_ms = {window}" if window is not None else "ALTER SYSTEM RESET redshift.commit_window_ms")
        self.db.execute("SELECT pg_reload_conf()")
        self.db.execute(
            f"CALL redshift.create_external_schema('s{self.topics}', source => 'kafka', uri => '{self.bootstrap}', authentication => 'none', topics => '{topic}')"
        )
        self.db.execute(
            f"CREATE MATERIALIZED VIEW t WITH (auto_refresh = on, offset_index = 'btree') AS SELECT kafka_partition, kafka_offset, kafka_value FROM s{self.topics}.{topic}"
        )
        while self.db.execute("SELECT state FROM redshift.worker_status").fetchone() != ("running",):
            time.sleep(0.1)
        time.sleep(1)
        found = self.measure(topic, rate)
        self.db.execute("DROP MATERIALIZED VIEW t")
        return found

    def peer(self, rate):
        topic = self.topic()
        self.db.execute("CREATE TABLE t (kafka_partition bigint, kafka_offset bigint, kafka_value bytea)")
        self.db.execute("CREATE UNIQUE INDEX ON t (kafka_partition, kafka_offset)")
        ready = multiprocessing.Event()
        process = multiprocessing.Process(target=consume, args=(self.bootstrap, topic, self.conninfo, ready), daemon=True)
        process.start()
        assert ready.wait(20)
        time.sleep(1)
        found = self.measure(topic, rate)
        process.terminate()
        process.join()
        self.db.execute("DROP TABLE t")
        return found

    def measure(self, topic, rate):
        """p50 and p99 in milliseconds."""
        self.db.execute("CHECKPOINT")
        file = self.run / "sent"
        process = multiprocessing.Process(target=produce, args=(self.bootstrap, topic, rate, file), daemon=True)
        process.start()
        seen = watch(self.db, rate * SECONDS)
        process.join()
        sent = array("q")
        sent.frombytes(file.read_bytes())
        return quantiles(latencies(sent, seen, rate * WARM_UP))

    def all(self):
        entries = []
        print(f"{'records/s':>10}  {'':36} {'p50 ms':>7} {'p99 ms':>7}")
        # A broker that has just started stalls now and then: whoever comes first would have that in its p99.
        self.peer(RATES[0])
        for rate in RATES:
            peer = self.peer(rate)
            shown = {"Python consumer": peer}
            for name, window in (("default commit window", None), ("commit window 0", 0)):
                shown[f"auto refresh, {name}"] = ours = self.ours(rate, window)
                for index, quantile in enumerate(("p50", "p99")):
                    entries.append({"name": f"produce to visible, {quantile} at {rate}/s, {name} / Python consumer", "ours": round(ours[index], 2),
                                    "peer": round(peer[index], 2), "ratio": round(ours[index] / peer[index], 3), "unit": "ms"})
            for name, (p50, p99) in shown.items():
                print(f"{rate:10}  {name:36} {p50:7.1f} {p99:7.1f}", flush=True)
        self.db.execute("ALTER SYSTEM RESET redshift.commit_window_ms")
        return entries


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=pathlib.Path, required=True, help="the run directory of cluster and broker")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    entries = Bench(options.run).all()
    # Beside the entries of the other bench.
    others = json.loads(options.out.read_text()) if options.out.exists() else []
    others = [entry for entry in others if not entry["name"].startswith("produce to visible")]
    options.out.write_text(json.dumps(others + entries, indent=1) + "\n")


if __name__ == "__main__":
    main()
