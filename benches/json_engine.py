"""The JSON engine beside Postgres's own: json_engine.py --program THROUGHPUT --out BENCH.JSON (scripts/bench-json.sh starts what it needs).

Each pair of queries reads the same table, in turn, some rounds; no document comes twice in a row, so none is remembered. Shown are medians of the
backend's CPU time in nanoseconds per document, reading the table included. Then the crate without Postgres, beside three Rust parsers.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess

import psycopg

# Kind of document, how many of them.
TABLES = {"order": 20_000, "cdc": 8_000, "array": 60}
PATHS = {
    "order": ("data['OrderID']['N']", "data -> 'OrderID' -> 'N'"),
    "cdc": ("data['payload']['after']['email']", "data -> 'payload' -> 'after' -> 'email'"),
    "array": ("data['items'][500]['Currency']", "data -> 'items' -> 500 -> 'Currency'"),
}
# What is compared, the two expressions, the table's suffix, the aim.
AIMS = {"json_parse": {"order": 4.0, "cdc": 6.0, "array": 4.0}, "can_json_parse": 3.0, "path": 1.0}


def pairs():
    for kind in TABLES:
        yield f"json_parse, {kind}", f"count(json_parse(document)) FROM {kind}_text", f"count(document::jsonb) FROM {kind}_text", AIMS["json_parse"][kind]
        yield f"can_json_parse, {kind}", f"count(can_json_parse(document)) FROM {kind}_text", f"count(document::json) FROM {kind}_text", AIMS["can_json_parse"]
        ours, theirs = PATHS[kind]
        yield f"path, {kind}", f"count({ours}) FROM {kind}_super", f"count({theirs}) FROM {kind}_jsonb", AIMS["path"]
    yield (
        "can_json_parse + json_parse of one document, cdc",
        "count(json_parse(document)) FROM cdc_text WHERE can_json_parse(document)",
        "count(json_parse(document)) FROM cdc_text",
        None,
    )
    four = "count({0}) + count({1}) + count({2}) + count({3}) FROM cdc_text"
    fields = ("['payload']['op']", "['payload']['ts_ms']", "['payload']['after']['id']", "['payload']['after']['email']")
    arrows = ("-> 'payload' -> 'op'", "-> 'payload' -> 'ts_ms'", "-> 'payload' -> 'after' -> 'id'", "-> 'payload' -> 'after' -> 'email'")
    yield (
        "four fields of one document, cdc",
        four.format(*(f"(json_parse(document)){field}" for field in fields)),
        four.format(*(f"document::jsonb {arrow}" for arrow in arrows)),
        None,
    )


class Bench:
    def __init__(self, program, rounds):
        self.program, self.rounds = program, rounds
        with psycopg.connect(dbname="postgres", autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS bench_json WITH (FORCE)")
            connection.execute("CREATE DATABASE bench_json")
        self.db = psycopg.connect(dbname="bench_json", autocommit=True)
        self.db.execute("CREATE EXTENSION redshift_streaming")
        self.db.execute("SET max_parallel_workers_per_gather = 0")
        self.db.execute("SET jit = off")
        self.pid = self.db.info.backend_pid
        self.found = []

    def fill(self):
        for kind, count in TABLES.items():
            self.db.execute(f"CREATE UNLOGGED TABLE {kind}_text (document text)")
            # Compression would be measured with the rest.
            self.db.execute(f"ALTER TABLE {kind}_text ALTER document SET STORAGE EXTERNAL")
            documents = subprocess.run([self.program, kind, str(count)], check=True, capture_output=True, text=True).stdout.splitlines()
            with self.db.cursor().copy(f"COPY {kind}_text FROM STDIN") as copy:
                for document in documents:
                    copy.write_row((document,))
            for stored in ("super", "jsonb"):
                self.db.execute(f"CREATE UNLOGGED TABLE {kind}_{stored} (data {stored})")
                self.db.execute(f"ALTER TABLE {kind}_{stored} ALTER data SET STORAGE EXTERNAL")
            self.db.execute(f"INSERT INTO {kind}_super SELECT json_parse(document) FROM {kind}_text")
            self.db.execute(f"INSERT INTO {kind}_jsonb SELECT document::jsonb FROM {kind}_text")
        self.db.execute("VACUUM ANALYZE")

    def cpu_ns(self, query):
        """CPU time that the backend spends on a query."""

        def spent():
            with open(f"/proc/{self.pid}/schedstat", encoding="ascii") as file:
                return int(file.read().split()[0])

        before = spent()
        self.db.execute("SELECT " + query)
        return spent() - before

    def compare(self, name, ours, theirs, aim):
        kind = next(kind for kind in TABLES if f"FROM {kind}_" in ours)
        times = ([], [])
        for turn in range(self.rounds + 1):
            for query, taken in zip((ours, theirs), times):
                taken.append(self.cpu_ns(query) / TABLES[kind])
        # The first turn warms up.
        mine, other = (statistics.median(taken[1:]) for taken in times)
        ratio = other / mine
        note = "" if aim is None else f"   (aim {aim}{'' if ratio >= aim else ', missed'})"
        print(f"{name:50} {mine:12,.0f} {other:12,.0f} {ratio:7.2f}{note}")
        self.found.append({"name": name, "ours": round(mine), "peer": round(other), "ratio": round(ratio, 3), "unit": "CPU ns per document"})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", type=pathlib.Path, required=True, help="the example throughput of crate super-value")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    bench = Bench(options.program, options.rounds)
    bench.fill()
    print(f"{'CPU ns per document':50} {'ours':>12} {'Postgres':>12} {'ratio':>7}")
    for pair in pairs():
        bench.compare(*pair)
    print()
    subprocess.run([options.program], check=True)
    before = json.loads(options.out.read_text()) if options.out.exists() else []
    names = {found["name"] for found in bench.found}
    kept = [found for found in before if found["name"] not in names]
    options.out.write_text(json.dumps(kept + bench.found, indent=1) + "\n")


if __name__ == "__main__":
    # psycopg reads PGHOST and its like.
    os.environ.pop("PGDATABASE", None)
    main()
