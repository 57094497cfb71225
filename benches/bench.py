"""Rates of a refresh beside COPY and other consumers: bench.py --rows N (scripts/bench.sh starts what it needs).

All contenders read the same N JSON records of 460 bytes from 4 partitions of Apache Kafka, or from a file with the same rows, into
logged tables without indexes, in turn, three times, with a CHECKPOINT before each. Shown are medians: thousands of rows and
megabytes of payload a second, and CPU seconds per million rows of the client, of Postgres (all its processes) and of the broker.
"""

import argparse
import json
import os
import pathlib
import resource
import shlex
import statistics
import subprocess
import sys
import time

import psycopg
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

HERE = pathlib.Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")
PARTITIONS = 4
RECORD_BYTES = 460

FIVE = "kafka_partition bigint, kafka_offset bigint, kafka_timestamp timestamp, kafka_key bytea, kafka_value "
TABLES = {
    "raw": FIVE + "bytea",
    "jsonb": FIVE + "jsonb",
    "typed": "order_id bigint, order_date timestamptz, price float8, customer_id text",
    "kcat": "kafka_partition bigint, kafka_offset bigint, kafka_timestamp bigint, kafka_key text, kafka_value text",
    "kcat_jsonb": "kafka_partition bigint, kafka_offset bigint, kafka_timestamp bigint, kafka_key text, kafka_value jsonb",
}
VIEWS = {
    "raw": "SELECT kafka_partition, kafka_offset, kafka_timestamp, kafka_key, kafka_value FROM {}",
    "json": "SELECT kafka_partition, kafka_offset, kafka_timestamp, kafka_key, json_parse(kafka_value) AS data FROM {} WHERE can_json_parse(kafka_value)",
    "typed": "SELECT (json_parse(kafka_value))['OrderID']::int8 AS order_id, (json_parse(kafka_value))['OrderDate']::timestamptz AS order_date, "
    "(json_parse(kafka_value))['Price']::float8 AS price, (json_parse(kafka_value))['CustomerID']::varchar AS customer_id FROM {}",
}


def cpu(pid):
    """User and system seconds of a process, and of its children that have ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(fields[i]) for i in (11, 12, 13, 14)) / TICKS


def family(pid):
    """A process and its children (Postgres's tree has no more levels)."""
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout.split()
    return [pid, *children]


class Bench:
    def __init__(self, rows, rounds, run, producer):
        self.rows, self.rounds, self.run, self.producer = rows, rounds, run, producer
        self.topic = f"bench{rows}"
        self.bootstrap = (run / "apache.bootstrap").read_text().strip()
        self.broker = int((run / "apache.pid").read_text())
        self.postmaster = int((run / "data" / "postmaster.pid").read_text().split()[0])
        self.conninfo = f"host={os.environ['PGHOST']} port={os.environ['PGPORT']} user={os.environ['PGUSER']} dbname=bench"
        with psycopg.connect(self.conninfo.replace("dbname=bench", "dbname=postgres"), autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS bench WITH (FORCE)")
            connection.execute("CREATE DATABASE bench")
        self.db = psycopg.connect(self.conninfo, autocommit=True)
        # Postgres writes its files where only it may: both it and we can read there.
        self.files = run / "data" / "bench"
        self.results = {}

    # --- the same rows for everyone

    def fill_topic(self):
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        if self.topic not in admin.list_topics(timeout=10).topics:
            admin.create_topics([NewTopic(self.topic, PARTITIONS, 1)])[self.topic].result(20)
            time.sleep(0.5)
        ends = admin.list_offsets({TopicPartition(self.topic, p): OffsetSpec.latest() for p in range(PARTITIONS)})
        have = sum(future.result(20).offset for future in ends.values())
        if have == 0:
            subprocess.run(
                [self.producer, "produce", "--bootstrap-servers", self.bootstrap, "--topic", self.topic, "--partitions", str(PARTITIONS),
                 "--records", str(self.rows), "--shape", "order"],
                check=True,
            )
        else:
            assert have == self.rows, f"topic {self.topic} holds {have} records"

    def write_files(self):
        """The server files for COPY, from rows that a peer landed, not we."""
        self.table("raw")
        self.consume("raw")
        self.db.execute(f"COPY t TO '{self.files}.binary' (FORMAT binary)")
        self.db.execute(
            "COPY (SELECT kafka_partition, kafka_offset, kafka_timestamp, kafka_key, convert_from(kafka_value, 'UTF8') FROM t) "
            f"TO '{self.files}.text'"
        )

    def table(self, shape):
        self.db.execute("DROP TABLE IF EXISTS t")
        self.db.execute(f"CREATE TABLE t ({TABLES[shape]})")

    # --- contenders; each returns the seconds it took, or None to have its whole run timed

    def refresh(self, shape):
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            connection.execute("REFRESH MATERIALIZED VIEW v")

    def view(self, shape):
        self.db.execute("DROP MATERIALIZED VIEW IF EXISTS v")
        self.db.execute(f"CREATE MATERIALIZED VIEW v WITH (offset_index = 'none') AS {VIEWS[shape].format(f'bench_stream.{self.topic}')}")

    def copy_file(self, kind):
        options = "(FORMAT binary)" if kind == "binary" else ""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            connection.execute(f"COPY t FROM '{self.files}.{kind}' {options}")

    def consume(self, shape):
        out = subprocess.run(
            [sys.executable, HERE / "consumer.py", self.bootstrap, self.topic, str(self.rows), shape, self.conninfo, "t"],
            check=True, capture_output=True, text=True,
        ).stdout
        return float(out)

    def kcat(self, _):
        kcat = (
            f"kcat -C -q -e -b {self.bootstrap} -t {self.topic} -o beginning -f '%p\\t%o\\t%T\\t%k\\t%s\\n' -X queued.min.messages=1000000 "
            "-X queued.max.messages.kbytes=1048576 -X check.crcs=false"
        )
        subprocess.run(["bash", "-o", "pipefail", "-c", f"{kcat} | psql -X -q {shlex.quote(self.conninfo)} -c 'COPY t FROM STDIN'"], check=True)

    # --- measuring

    def measure(self, name, prepare, shape, work, argument, counted):
        prepare(shape)
        self.db.execute("CHECKPOINT")
        postgres = {pid: cpu(pid) for pid in family(self.postmaster)}
        broker = cpu(self.broker)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        mine = resource.getrusage(resource.RUSAGE_SELF)
        began = time.monotonic()
        seconds = work(argument) or time.monotonic() - began
        client = 0
        for before, who in ((used, resource.RUSAGE_CHILDREN), (mine, resource.RUSAGE_SELF)):
            after = resource.getrusage(who)
            client += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        broker = cpu(self.broker) - broker
        # A backend that has ended is in its parent's count of ended children; wait until it has.
        time.sleep(0.2)
        server = sum(cpu(pid) - postgres.get(pid, 0.0) for pid in family(self.postmaster))
        landed = self.db.execute(f"SELECT count(*) FROM {counted}").fetchone()[0]
        assert landed == self.rows, f"{name}: {landed} rows instead of {self.rows}"
        self.results.setdefault(name, []).append((seconds, client, server, broker))
        print(f"  {name:34} {self.rows / seconds / 1000:8.0f} krows/s", flush=True)

    def contenders(self):
        for shape in ("raw", "json", "typed"):
            yield f"refresh, {shape}", self.view, shape, self.refresh, shape, "v"
        yield "COPY BINARY, server file", self.table, "raw", self.copy_file, "binary", "t"
        yield "COPY into jsonb, server file", self.table, "jsonb", self.copy_file, "text", "t"
        for shape in ("raw", "jsonb", "typed"):
            yield f"Python consumer, {shape}", self.table, shape, self.consume, shape, "t"
        yield "kcat into COPY, text", self.table, "kcat", self.kcat, "raw", "t"
        yield "kcat into COPY, jsonb", self.table, "kcat_jsonb", self.kcat, "jsonb", "t"

    def all(self):
        self.fill_topic()
        self.write_files()
        self.db.execute("CREATE EXTENSION redshift_streaming")
        self.db.execute(
            f"CALL redshift.create_external_schema('bench_stream', source => 'kafka', uri => '{self.bootstrap}', authentication => 'none', topics => '{self.topic}')"
        )
        for turn in range(self.rounds):
            print(f"round {turn + 1} of {self.rounds}", flush=True)
            for contender in self.contenders():
                self.measure(*contender)
        self.db.execute("DROP TABLE t")
        for kind in ("binary", "text"):
            os.remove(f"{self.files}.{kind}")

    # --- telling

    def median(self, name, index=0):
        return statistics.median(run[index] for run in self.results[name])

    def rate(self, name):
        return self.rows / self.median(name)

    def show(self):
        print(f"\n{self.rows} records of {RECORD_BYTES} bytes, {PARTITIONS} partitions, medians of {self.rounds}\n")
        print(f"{'':34} {'krows/s':>8} {'MB/s':>6}   CPU s per 1M rows: {'client':>6} {'Postgres':>8} {'broker':>6}")
        for name in self.results:
            client, server, broker = (self.median(name, i) * 1e6 / self.rows for i in (1, 2, 3))
            rate = self.rate(name)
            print(f"{name:34} {rate / 1e3:8.0f} {rate * RECORD_BYTES / 1e6:6.0f} {'':20} {client:6.1f} {server:8.1f} {broker:6.1f}")

    def ratios(self):
        best = {
            "raw": max(("Python consumer, raw", "kcat into COPY, text"), key=self.rate),
            "json": max(("Python consumer, jsonb", "kcat into COPY, jsonb"), key=self.rate),
            "typed": "Python consumer, typed",
        }
        pairs = [
            ("refresh, raw", "COPY BINARY, server file", 0.75),
            ("refresh, raw", best["raw"], 1.8),
            ("refresh, json", "COPY into jsonb, server file", 2.3),
            ("refresh, json", best["json"], 2.0),
            ("refresh, typed", best["typed"], 1.2),
        ]
        found = []
        print()
        for ours, peer, aim in pairs:
            ratio = self.rate(ours) / self.rate(peer)
            print(f"{ours:16} / {peer:30} {ratio:5.2f}   (aim {aim}{'' if ratio >= aim else ', missed'})")
            found.append({"name": f"{ours} / {peer}", "ours": round(self.rate(ours)), "peer": round(self.rate(peer)), "ratio": round(ratio, 3), "unit": "rows/s"})
        for ours, peer, _ in pairs:
            mine, other = (sum(self.median(name, i) for i in (1, 2)) * 1e6 / self.rows for name in (ours, peer))
            found.append({"name": f"{ours} / {peer}, CPU", "ours": round(mine, 2), "peer": round(other, 2), "ratio": round(mine / other, 3),
                          "unit": "CPU s of client and Postgres per 1M rows"})
        return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--run", type=pathlib.Path, required=True, help="the run directory of cluster and broker")
    parser.add_argument("--producer", required=True, help="the mock-kafka program")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    bench = Bench(options.rows, options.rounds, options.run, options.producer)
    bench.all()
    bench.show()
    options.out.write_text(json.dumps(bench.ratios(), indent=1) + "\n")


if __name__ == "__main__":
    main()
