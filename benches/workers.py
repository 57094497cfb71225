"""Auto refresh of 1, 2 and 4 views, topics and workers: workers.py --run DIRECTORY --producer PROGRAM --out FILE (scripts/bench-workers.sh starts what it needs).

Topics of N JSON records of 460 bytes in 4 partitions of Apache Kafka wait; the views are switched on in one statement, and the time counts until less than
a full batch of each is missing: the last one waits for its commit window. Rates are rows landed in all views together, medians of three.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import time

import psycopg
from confluent_kafka.admin import AdminClient, NewTopic

PARTITIONS = 4
ROUNDS = 3
# redshift.batch_records
BATCH = 10_000
DEFINITION = "SELECT kafka_partition, kafka_offset, json_parse(kafka_value) AS data FROM workers_stream.{}"
# Name, number of topics, views on each, workers, parallel; more options of the views, or None for REFRESH by hand.
CASES = [
    ("1 view", 1, 1, 1, 1),
    ("1 view, REFRESH by hand", 1, 1, 1, 1, None),
    ("1 view, commit_window_ms = 1000", 1, 1, 1, 1, ", commit_window_ms = 1000"),
    ("2 views of a topic, 1 worker", 1, 2, 1, 1),
    ("4 views of a topic, 1 worker", 1, 4, 1, 1),
    ("2 topics, 1 worker", 2, 1, 1, 1),
    ("2 topics, 2 workers", 2, 1, 2, 1),
    ("4 topics, 2 workers", 4, 1, 2, 1),
    ("4 topics, 4 workers", 4, 1, 4, 1),
    ("1 view, parallel = 2", 1, 1, 2, 2),
    ("1 view, parallel = 4", 1, 1, 4, 4),
]


class Bench:
    def __init__(self, rows, run, producer):
        self.rows, self.producer = rows, producer
        self.bootstrap = (run / "apache.bootstrap").read_text().strip()
        conninfo = f"host={os.environ['PGHOST']} port={os.environ['PGPORT']} user={os.environ['PGUSER']}"
        with psycopg.connect(conninfo + " dbname=postgres", autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS workers WITH (FORCE)")
            connection.execute("CREATE DATABASE workers")
        self.db = psycopg.connect(conninfo + " dbname=workers", autocommit=True)
        self.db.execute("CREATE EXTENSION redshift_streaming")
        self.topics = [f"workers{rows}n{n}" for n in range(4)]

    def fill(self):
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        have = admin.list_topics(timeout=10).topics
        for topic in self.topics:
            if topic in have:
                continue
            admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(20)
            time.sleep(0.5)
            subprocess.run(
                [self.producer, "produce", "--bootstrap-servers", self.bootstrap, "--topic", topic, "--partitions", str(PARTITIONS),
                 "--records", str(self.rows), "--shape", "order"], check=True)
        self.db.execute(
            f"CALL redshift.create_external_schema('workers_stream', source => 'kafka', uri => '{self.bootstrap}', authentication => 'none', "
            f"topics => '{','.join(self.topics)}')")
        # A view without records keeps the workers running from one case to the next, as they do where views are followed.
        admin.create_topics([NewTopic("workersidle", PARTITIONS, 1)])["workersidle"].exception(20)
        self.db.execute(
            f"CALL redshift.create_external_schema('idle', source => 'kafka', uri => '{self.bootstrap}', authentication => 'none', topics => 'workersidle')")
        self.db.execute("CREATE MATERIALIZED VIEW idle_view WITH (auto_refresh = on, parallel = 4) AS SELECT kafka_partition, kafka_offset FROM idle.workersidle")

    def measure(self, topics, views, workers, parallel, options=""):
        """Rows a second."""
        self.db.execute(f"ALTER SYSTEM SET redshift.ingest_workers = {workers}")
        self.db.execute("SELECT pg_reload_conf()")
        names = [f"v{t}{v}" for t in range(topics) for v in range(views)]
        for name in names:
            self.db.execute(f"CREATE MATERIALIZED VIEW {name} WITH (offset_index = 'none', parallel = {parallel}{options or ''}) AS {DEFINITION.format(self.topics[int(name[1])])}")
        running = "SELECT count(*) FROM pg_stat_activity WHERE backend_type IN ('redshift_streaming worker', 'redshift_streaming ingest')"
        while self.db.execute(running).fetchone()[0] != workers:
            time.sleep(0.05)
        self.db.execute("CHECKPOINT")
        began, rows = time.monotonic(), self.rows * len(names)
        if options is None:
            self.db.execute(f"REFRESH MATERIALIZED VIEW {names[0]}")
        else:
            self.db.execute("; ".join(["BEGIN", *(f"ALTER MATERIALIZED VIEW {name} SET (auto_refresh = on)" for name in names), "COMMIT"]))
            rows = self.wait(rows - BATCH * len(names) + 1)
        seconds = time.monotonic() - began
        self.wait(self.rows * len(names))
        for name in names:
            found = self.db.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            assert found == self.rows, f"{found} of {self.rows} rows in {name}"
            self.db.execute(f"DROP MATERIALIZED VIEW {name}")
        return rows / seconds

    def wait(self, rows):
        """Until at least so many rows have landed in all views; how many it were."""
        landed = "SELECT coalesce(sum(position::bigint), 0)::bigint FROM redshift.visible_checkpoint WHERE mv <> 'idle_view'::regclass"
        while (found := self.db.execute(landed).fetchone()[0]) < rows:
            time.sleep(0.01)
        return found

    def all(self):
        self.fill()
        rates = {}
        for _ in range(ROUNDS):
            for name, *case in CASES:
                rates.setdefault(name, []).append(self.measure(*case))
        self.db.execute("ALTER SYSTEM RESET redshift.ingest_workers")
        self.db.execute("SELECT pg_reload_conf()")
        one = statistics.median(rates["1 view"])
        print(f"{self.rows} records a topic, {PARTITIONS} partitions, json_parse, medians of {ROUNDS}, {os.cpu_count()} cores\n")
        print(f"{'auto refresh of':34} {'krows/s':>8} {'/ 1 view':>9}")
        entries = []
        for name, found in rates.items():
            rate = statistics.median(found)
            print(f"{name:34} {rate / 1000:8.0f} {rate / one:9.2f}")
            entries.append({"name": f"auto refresh, {name} / 1 view", "ours": round(rate), "peer": round(one), "ratio": round(rate / one, 3), "unit": "rows/s"})
        return entries


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--run", type=pathlib.Path, required=True, help="the run directory of cluster and broker")
    parser.add_argument("--producer", required=True, help="the mock-kafka program")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    entries = Bench(options.rows, options.run, options.producer).all()
    # Beside the entries of the other benches.
    others = json.loads(options.out.read_text()) if options.out.exists() else []
    others = [entry for entry in others if not entry["name"].startswith("auto refresh, ")]
    options.out.write_text(json.dumps(others + entries, indent=1) + "\n")


if __name__ == "__main__":
    main()
