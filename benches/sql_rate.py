"""Streams that the database keeps itself, beside plain tables: sql_rate.py --rows N (scripts/bench-sql.sh starts what it needs).

The same N records of 460 bytes with key and time, in turns for 3 partitions, go into a stream and into a table with the same columns, by COPY BINARY from a
server file and by INSERT .. SELECT from a table; a view over the stream is refreshed, and the same rows are copied from a server file into a table like it.
Who reads a stream first gives the records their offsets; as a CHECKPOINT comes before, each page of the stream goes into the WAL once more then. The other
refresh is of a view that comes later. In turn, three times, with a CHECKPOINT before each. Shown are medians: thousands of rows a second, and CPU seconds per
million rows of the client and of Postgres (all its processes).
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import time

import psycopg
from bench import RECORD_BYTES, TABLES, VIEWS, cpu, family

PARTITIONS = 3
COLUMNS = "kafka_partition, kafka_timestamp, kafka_key, kafka_value"
# The longest of them is shorter than RECORD_BYTES; blanks fill it up.
ORDER = (
    """format('{"OrderID": %s, "OrderDate": "2026-01-01T%s", "Price": %s, "CustomerID": "C%s", "status": "%s", "currency": "EUR", "paid": %s, "coupon": null, """
    """"items": [{"sku": "P%s", "qty": %s, "price": %s.50}, {"sku": "P%s", "qty": 1, "price": %s.50}], """
    """"address": {"street": "Long Street %s", "city": "Berlin", "zip": "10115", "country": "DE"}, "note": "%s"}', """
    "n, to_char(make_interval(secs => n % 86400), 'HH24:MI:SS'), n % 997 * 1.25, n * 7919 % 1000000, (ARRAY['NEW', 'SHIPPED', 'DELIVERED'])[n % 3 + 1], n % 2 = 0, "
    "n % 1000, n % 9 + 1, n % 90 + 10, n % 1000 + 1, n % 90 + 11, n % 300, md5(n::text))"
)
# What a stream does, and what a table does beside it.
PAIRS = [
    ("COPY into a stream", "COPY into a table"),
    ("INSERT .. SELECT into a stream", "INSERT .. SELECT into a table"),
    ("REFRESH, first reader", "COPY BINARY, server file"),
    ("REFRESH, later reader", "COPY BINARY, server file"),
]


class Bench:
    def __init__(self, rows, rounds, run):
        self.rows, self.rounds = rows, rounds
        self.postmaster = int((run / "data" / "postmaster.pid").read_text().split()[0])
        conninfo = f"host={os.environ['PGHOST']} port={os.environ['PGPORT']} user={os.environ['PGUSER']}"
        with psycopg.connect(f"{conninfo} dbname=postgres", autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS bench_sql WITH (FORCE)")
            connection.execute("CREATE DATABASE bench_sql")
        self.conninfo = f"{conninfo} dbname=bench_sql"
        self.db = psycopg.connect(self.conninfo, autocommit=True)
        self.db.execute("CREATE EXTENSION redshift_streaming")
        # Postgres writes its files where only it may.
        self.files = run / "data" / "bench_sql"
        self.results = {}

    def write_rows(self):
        """The rows, as a table and as server files: what goes into a stream, and what a view of it has."""
        self.db.execute(
            f"CREATE TABLE r AS SELECT n % {PARTITIONS} AS kafka_partition, n / {PARTITIONS} AS kafka_offset, timestamp '2026-01-01' + n * interval '1 ms' AS kafka_timestamp, "
            f"convert_to('C' || n * 7919 % 1000000, 'UTF8') AS kafka_key, convert_to(rpad({ORDER}, {RECORD_BYTES}), 'UTF8') AS kafka_value "
            f"FROM generate_series(0::bigint, {self.rows - 1}) AS n"
        )
        self.db.execute("VACUUM ANALYZE r")
        self.db.execute(f"COPY (SELECT {COLUMNS} FROM r) TO '{self.files}.records' (FORMAT binary)")
        self.db.execute(f"COPY r TO '{self.files}.rows' (FORMAT binary)")

    # --- what is written into

    def stream(self):
        self.db.execute("DROP MATERIALIZED VIEW IF EXISTS v")
        if self.db.execute("SELECT to_regclass('s.t')").fetchone()[0]:
            self.db.execute("CALL redshift.drop_stream('s.t')")
        self.db.execute(f"CALL redshift.create_stream('s.t', partitions => {PARTITIONS})")

    def table(self):
        self.db.execute("DROP TABLE IF EXISTS t")
        self.db.execute("CREATE TABLE t (kafka_partition bigint, kafka_timestamp timestamp, kafka_key bytea, kafka_value bytea)")

    def view(self):
        """Over the stream as the last contender has left it."""
        self.db.execute("DROP MATERIALIZED VIEW IF EXISTS v")
        self.db.execute(f"CREATE MATERIALIZED VIEW v WITH (offset_index = 'none') AS {VIEWS['raw'].format('s.t')}")

    def landed(self):
        self.db.execute("DROP TABLE IF EXISTS t")
        self.db.execute(f"CREATE TABLE t ({TABLES['raw']})")

    def contenders(self):
        copy = f"COPY {{}} ({COLUMNS}) FROM '{self.files}.records' (FORMAT binary)"
        insert = f"INSERT INTO {{}} ({COLUMNS}) SELECT {COLUMNS} FROM r"
        yield "COPY into a table", self.table, copy.format("t"), "t"
        yield "COPY into a stream", self.stream, copy.format("s.t"), None
        yield "INSERT .. SELECT into a table", self.table, insert.format("t"), "t"
        yield "INSERT .. SELECT into a stream", self.stream, insert.format("s.t"), None
        yield "REFRESH, first reader", self.view, "REFRESH MATERIALIZED VIEW v", "v"
        yield "REFRESH, later reader", self.view, "REFRESH MATERIALIZED VIEW v", "v"
        yield "COPY BINARY, server file", self.landed, f"COPY t FROM '{self.files}.rows' (FORMAT binary)", "t"

    # --- measuring

    def measure(self, name, prepare, statement, counted):
        prepare()
        self.db.execute("CHECKPOINT")
        postgres = {pid: cpu(pid) for pid in family(self.postmaster)}
        mine = resource.getrusage(resource.RUSAGE_SELF)
        began = time.monotonic()
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            written = connection.execute(statement).rowcount
        seconds = time.monotonic() - began
        after = resource.getrusage(resource.RUSAGE_SELF)
        client = after.ru_utime + after.ru_stime - mine.ru_utime - mine.ru_stime
        # A backend that has ended is in its parent's count of ended children; wait until it has.
        time.sleep(0.2)
        server = sum(cpu(pid) - postgres.get(pid, 0.0) for pid in family(self.postmaster))
        # The records of a stream are counted by what reads them next.
        landed = self.db.execute(f"SELECT count(*) FROM {counted}").fetchone()[0] if counted else written
        assert landed == self.rows, f"{name}: {landed} rows instead of {self.rows}"
        self.results.setdefault(name, []).append((seconds, client + server))
        print(f"  {name:34} {self.rows / seconds / 1000:8.0f} krows/s", flush=True)

    def all(self):
        self.write_rows()
        for turn in range(self.rounds):
            print(f"round {turn + 1} of {self.rounds}", flush=True)
            for contender in self.contenders():
                self.measure(*contender)
        size = "SELECT pg_table_size({}) / 1e6"
        of_stream = size.format("(SELECT format('redshift_stream.records_%s', stream_id)::regclass FROM redshift.stream)")
        self.sizes = [self.db.execute(sql).fetchone()[0] for sql in (of_stream, size.format("'v'::regclass"))]
        self.db.close()
        for kind in ("records", "rows"):
            os.remove(f"{self.files}.{kind}")

    # --- telling

    def median(self, name, index):
        return statistics.median(run[index] for run in self.results[name])

    def rate(self, name):
        return self.rows / self.median(name, 0)

    def cpu(self, name):
        return self.median(name, 1) * 1e6 / self.rows

    def entries(self):
        print(f"\n{self.rows} records of {RECORD_BYTES} bytes, {PARTITIONS} partitions, medians of {self.rounds}\n")
        print(f"{'':34} {'krows/s':>8}   CPU s per 1M rows of client and Postgres")
        for name in self.results:
            print(f"{name:34} {self.rate(name) / 1e3:8.0f}   {self.cpu(name):6.2f}")
        print(f"\nthe stream's records take {self.sizes[0]:.0f} MB, the view's rows {self.sizes[1]:.0f} MB\n")
        for ours, peer in PAIRS:
            mine, other = self.rate(ours), self.rate(peer)
            print(f"{ours:30} / {peer:30} {mine / other:5.2f}")
            yield {"name": f"SQL stream: {ours} / {peer}", "ours": round(mine), "peer": round(other), "ratio": round(mine / other, 3), "unit": "rows/s"}
        for ours, peer in PAIRS:
            mine, other = self.cpu(ours), self.cpu(peer)
            yield {"name": f"SQL stream: {ours} / {peer}, CPU", "ours": round(mine, 2), "peer": round(other, 2), "ratio": round(mine / other, 3),
                   "unit": "CPU s of client and Postgres per 1M rows"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--run", type=pathlib.Path, required=True, help="the run directory of the cluster")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="bench.json, to which the figures are added")
    options = parser.parse_args()
    bench = Bench(options.rows, options.rounds, options.run)
    bench.all()
    new = list(bench.entries())
    others = json.loads(options.out.read_text()) if options.out.exists() else []
    kept = [entry for entry in others if not entry["name"].startswith("SQL stream")]
    options.out.write_text(json.dumps(kept + new, indent=1) + "\n")


if __name__ == "__main__":
    main()
