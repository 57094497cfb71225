"""Auto refresh for an hour at a steady trickle: trickle.py --run DIRECTORY --minutes N (scripts/bench-trickle.sh starts what it needs).

A process produces 1,000 records of 200 bytes a second into one partition of Apache Kafka; one view with a btree index follows. Every minute: the
memory of its worker and the size, dead rows and HOT share of the extension's own tables. At the end transaction ids, WAL and CPU an hour, and the count.
fsync is on, autovacuum has its defaults.
"""

import argparse
import multiprocessing
import os
import pathlib
import time

import psycopg
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

RATE = 1_000
PADDING = b"x" * 200
TABLES = ("checkpoint", "scan_ledger", "refresh_history", "refresh_total", "auto_refresh_state")


def produce(bootstrap, topic, seconds, produced):
    """Exactly RATE records for each second, dealt evenly."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 1, "acks": "all", "enable.idempotence": True})
    sent, began = 0, time.monotonic()
    while sent < RATE * seconds:
        due = min(int((time.monotonic() - began) * RATE), RATE * seconds)
        for _ in range(due - sent):
            producer.produce(topic, PADDING, partition=0)
        sent = due
        producer.poll(0)
        time.sleep(0.001)
    assert producer.flush(60) == 0
    produced.value = sent


class Worker:
    """What the operating system says of the worker's process."""

    def __init__(self, pid):
        self.pid = pid

    def memory(self):
        """Its private memory in MB."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith("RssAnon"))

    def cpu(self):
        """Seconds so far, those of the client's threads as well."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            user, system = file.read().rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


class Bench:
    def __init__(self, run):
        self.bootstrap = (run / "apache.bootstrap").read_text().strip()
        conninfo = f"host={os.environ['PGHOST']} port={os.environ['PGPORT']} user={os.environ['PGUSER']} dbname="
        with psycopg.connect(conninfo + "postgres", autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS trickle WITH (FORCE)")
            connection.execute("CREATE DATABASE trickle")
        self.db = psycopg.connect(conninfo + "trickle", autocommit=True)
        self.db.execute("CREATE EXTENSION redshift_streaming")
        self.topic = f"trickle{os.getpid()}"
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        admin.create_topics([NewTopic(self.topic, 1, 1)])[self.topic].result(20)
        time.sleep(0.5)
        self.db.execute(
            f"CALL redshift.create_external_schema('s', source => 'kafka', uri => '{self.bootstrap}', authentication => 'none', topics => '{self.topic}')")
        self.db.execute(
            f"CREATE MATERIALIZED VIEW t WITH (auto_refresh = on, offset_index = 'btree') AS SELECT kafka_partition, kafka_offset, kafka_value FROM s.{self.topic}")
        while self.value("SELECT state FROM redshift.worker_status") != "running":
            time.sleep(0.1)
        self.worker = Worker(self.value("SELECT pid FROM redshift.worker_status"))

    def value(self, sql):
        row = self.db.execute(sql).fetchone()
        return row and row[0]

    def counters(self):
        return {
            "time": time.monotonic(),
            "xids": self.value("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"),
            "wal": self.value("SELECT pg_current_wal_lsn() - '0/0'"),
            "cpu": self.worker.cpu(),
        }

    def tables(self):
        """By table: kB with its indexes, dead rows, the share of updates that were HOT."""
        rows = self.db.execute(
            "SELECT relname, pg_total_relation_size(relid) / 1024, n_dead_tup, round(100.0 * n_tup_hot_upd / nullif(n_tup_upd, 0), 2) "
            "FROM pg_stat_user_tables WHERE schemaname = 'redshift' AND relname = ANY (%s)", (list(TABLES),))
        return {name: figures for name, *figures in rows.fetchall()}

    def show(self, minute):
        tables = self.tables()
        shown = "  ".join(f"{name} {tables[name][0]} kB {tables[name][1]} dead" for name in TABLES[:2])
        print(f"{minute:4} min  {self.worker.memory():6.1f} MB  {shown}  {self.value('SELECT sum(position::bigint) FROM redshift.visible_checkpoint')} records", flush=True)

    def measure(self, minutes):
        produced = multiprocessing.Value("q", 0)
        process = multiprocessing.Process(target=produce, args=(self.bootstrap, self.topic, minutes * 60, produced), daemon=True)
        before = self.counters()
        process.start()
        for minute in range(1, minutes + 1):
            time.sleep(max(0, before["time"] + minute * 60 - time.monotonic()))
            self.show(minute)
        process.join()
        while self.value("SELECT max(position::bigint) FROM redshift.visible_checkpoint") < produced.value:
            time.sleep(0.1)
        after = self.counters()
        hours = (after["time"] - before["time"]) / 3600
        print(f"\n{produced.value} records, {RATE} a second for {minutes} minutes, window {self.value('SHOW redshift.commit_window_ms')}")
        print(f"{'transaction ids an hour':28} {(after['xids'] - before['xids']) / hours:14,.0f}")
        print(f"{'WAL an hour, GB':28} {float(after['wal'] - before['wal']) / hours / 1e9:14.2f}")
        print(f"{'CPU of the worker, % of one':28} {(after['cpu'] - before['cpu']) / hours / 36:14.1f}")
        for name, (size, dead, hot) in sorted(self.tables().items()):
            print(f"{name:28} {size:10} kB, {dead} dead rows, {'no' if hot is None else f'{hot} % HOT'} updates")
        # The ledger of the last second.
        time.sleep(2)
        found, distinct = self.db.execute("SELECT count(*), count(DISTINCT kafka_offset) FROM t").fetchone()
        broken = self.value("SELECT count(*) FROM redshift.verify('t') WHERE NOT ok")
        print(f"lost={produced.value - distinct} twice={found - distinct} ledger={'ok' if not broken else 'broken'}")
        assert found == distinct == produced.value and not broken


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=pathlib.Path, required=True, help="the run directory of cluster and broker")
    parser.add_argument("--minutes", type=int, default=60)
    options = parser.parse_args()
    Bench(options.run).measure(options.minutes)


if __name__ == "__main__":
    main()
