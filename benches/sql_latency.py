"""From COMMIT to visible in another session, of a stream that the database keeps itself: sql_latency.py --run DIRECTORY --out FILE (scripts/bench-sql.sh starts
what it needs).

A process inserts records of 200 bytes at a fixed rate, each in a transaction of its own, and notes the time before each COMMIT. Another session looks for
them as in latency.py. The peers have a plain table in place of the stream, and the same table with a btree for what comes out:

- an AFTER trigger for each row inserts into it. There is nothing to wait for but the commit itself; the work is done before, in the writer's transaction.
- a trigger for each statement notifies a Python process that listens, which inserts what is new and commits: what an application does that must not hold up
  its writers. It takes up where it was by number, which is right only as long as there is one writer.

The writer's time, from its INSERT to the end of its COMMIT, is shown too: it is where the first peer pays. fsync is on.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import time
from array import array

import psycopg
from latency import PADDING, SECONDS, WARM_UP, latencies, quantiles, watch

RATES = (100, 500)
TABLE = "CREATE TABLE {} (kafka_partition bigint, kafka_offset bigint, kafka_value bytea)"
TRIGGER = """CREATE FUNCTION work() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {}; RETURN NULL; END $$;
CREATE TRIGGER work AFTER INSERT ON source FOR EACH {} EXECUTE FUNCTION work();"""


def write(conninfo, statement, rate, file):
    """Notes in `file` of each record when its COMMIT began, and then of each how long its writer was busy."""
    committed, busy = array("q"), array("q")
    with psycopg.connect(conninfo) as connection:
        began = time.time_ns()
        for number in range(rate * SECONDS):
            time.sleep(max(0, began + number * 1_000_000_000 // rate - time.time_ns()) / 1e9)
            before = time.time_ns()
            connection.execute(statement, {"number": number, "value": PADDING})
            committed.append(time.time_ns())
            connection.commit()
            busy.append(time.time_ns() - before)
    with open(file, "wb") as out:
        committed.tofile(out)
        busy.tofile(out)


def listen(conninfo, ready):
    """Inserts what is new whenever it is notified."""
    last = -1
    with psycopg.connect(conninfo, autocommit=True) as ear, psycopg.connect(conninfo) as connection:
        ear.execute("LISTEN source")
        ready.set()
        while True:
            for _ in ear.notifies(stop_after=1):
                pass
            new = "INSERT INTO t SELECT * FROM source WHERE kafka_partition = 0 AND kafka_offset > %s RETURNING kafka_offset"
            last = max((row[0] for row in connection.execute(new, (last,))), default=last)
            connection.commit()


class Bench:
    def __init__(self, run):
        self.run = run
        conninfo = f"host={os.environ['PGHOST']} port={os.environ['PGPORT']} user={os.environ['PGUSER']}"
        with psycopg.connect(f"{conninfo} dbname=postgres", autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS latency_sql WITH (FORCE)")
            connection.execute("CREATE DATABASE latency_sql")
        self.conninfo = f"{conninfo} dbname=latency_sql"
        self.db = psycopg.connect(self.conninfo, autocommit=True)
        self.db.execute("CREATE EXTENSION redshift_streaming")

    def ours(self, rate, window):
        self.db.execute(f"ALTER SYSTEM SET redshift.commit_window_ms = {window}" if window is not None else "ALTER SYSTEM RESET redshift.commit_window_ms")
        self.db.execute("SELECT pg_reload_conf()")
        self.db.execute("CALL redshift.create_stream('s.source')")
        self.db.execute("CREATE MATERIALIZED VIEW t WITH (auto_refresh = on, offset_index = 'btree') AS SELECT kafka_partition, kafka_offset, kafka_value FROM s.source")
        while self.db.execute("SELECT state FROM redshift.worker_status").fetchone() != ("running",):
            time.sleep(0.1)
        time.sleep(1)
        found = self.measure("INSERT INTO s.source (kafka_partition, kafka_value) VALUES (0, %(value)b)", rate)
        self.db.execute("DROP MATERIALIZED VIEW t")
        self.db.execute("CALL redshift.drop_stream('s.source')")
        return found

    def peer(self, rate, trigger, listens):
        for table in ("source", "t"):
            self.db.execute(TABLE.format(table))
            self.db.execute(f"CREATE UNIQUE INDEX ON {table} (kafka_partition, kafka_offset)")
        self.db.execute(trigger)
        ready = multiprocessing.Event()
        process = multiprocessing.Process(target=listen, args=(self.conninfo, ready), daemon=True)
        if listens:
            process.start()
            assert ready.wait(20)
        time.sleep(1)
        found = self.measure("INSERT INTO source VALUES (0, %(number)s, %(value)b)", rate)
        if listens:
            process.terminate()
            process.join()
        self.db.execute("DROP TABLE source, t")
        self.db.execute("DROP FUNCTION work")
        return found

    def measure(self, statement, rate):
        """p50 and p99 in milliseconds, from the commit to the sight; and of the writer's transactions."""
        self.db.execute("CHECKPOINT")
        file = self.run / "committed"
        process = multiprocessing.Process(target=write, args=(self.conninfo, statement, rate, file), daemon=True)
        process.start()
        seen = watch(self.db, rate * SECONDS)
        process.join()
        noted = array("q")
        noted.frombytes(file.read_bytes())
        total, first = rate * SECONDS, rate * WARM_UP
        return quantiles(latencies(noted[:total], seen, first)), quantiles(busy / 1e6 for busy in noted[total + first:])

    def all(self):
        entries = []
        print(f"{'commits/s':>10}  {'':36} {'p50 ms':>7} {'p99 ms':>7}   {'writer, p50 ms':>14} {'p99 ms':>7}")
        for rate in RATES:
            shown = {
                "AFTER trigger": self.peer(rate, TRIGGER.format("INSERT INTO t VALUES (NEW.*)", "ROW"), False),
                "LISTEN": self.peer(rate, TRIGGER.format("NOTIFY source", "STATEMENT"), True),
            }
            peers = list(shown.items())
            for name, window in (("default commit window", None), ("commit window 0", 0)):
                shown[f"auto refresh, {name}"] = ours = self.ours(rate, window)
                for peer, theirs in peers:
                    for index, quantile in enumerate(("p50", "p99")):
                        mine, other = ours[0][index], theirs[0][index]
                        entries.append({"name": f"commit to visible, {quantile} at {rate}/s, {name} / {peer}", "ours": round(mine, 2), "peer": round(other, 2),
                                        "ratio": round(mine / other, 3), "unit": "ms"})
            for name, ((p50, p99), (busy, most_busy)) in shown.items():
                print(f"{rate:10}  {name:36} {p50:7.1f} {p99:7.1f}   {busy:14.1f} {most_busy:7.1f}", flush=True)
        self.db.execute("ALTER SYSTEM RESET redshift.commit_window_ms")
        return entries


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=pathlib.Path, required=True, help="the run directory of the cluster")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    entries = Bench(options.run).all()
    # Beside the entries of the other benches.
    others = json.loads(options.out.read_text()) if options.out.exists() else []
    others = [entry for entry in others if not entry["name"].startswith("commit to visible")]
    options.out.write_text(json.dumps(others + entries, indent=1) + "\n")


if __name__ == "__main__":
    main()
