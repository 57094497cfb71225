"""Records a second from Kinesis: a refresh beside the bare SDK, which reads the same stream and lands nothing (scripts/bench-kinesis.sh starts what it
needs).

Both read all shards side by side from the first record until nothing is behind: with the service's limits (5 reads and 2 MB a second and shard) and
without. In turn; shown are medians. A shard has more than one page (10,000 records), so the limits count. The emulator's GetRecords is most of the time
that both take, so the ratio says whether a refresh keeps it busy.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

import psycopg

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "e2e"))
from kinesis import Kinesis  # noqa: E402

SHARDS = 2
AIM = 0.95


def order(number):
    """Short: the emulator takes 1,000 of these a second, and fewer of longer ones."""
    return {"OrderID": number, "CustomerID": f"c{number % 997}", "Price": (number * 37 % 20000) / 100, "State": "WA"}


def fill(kinesis, records):
    stream = kinesis.stream(SHARDS)
    written = kinesis.produce(stream, [order(number) for number in range(records)], size=500)
    assert len(written) == records
    return stream


def cpu(pid):
    """User and system seconds of a process with all its threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Bench:
    def __init__(self, options):
        self.options, self.results = options, {}
        self.kinesis = Kinesis(options.endpoint)
        conninfo = f"host={os.environ['PGHOST']} port={os.environ['PGPORT']} user={os.environ['PGUSER']}"
        with psycopg.connect(f"{conninfo} dbname=postgres", autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS bench_kinesis WITH (FORCE)")
            connection.execute("CREATE DATABASE bench_kinesis")
        self.conninfo = f"{conninfo} dbname=bench_kinesis"
        self.db = psycopg.connect(self.conninfo, autocommit=True)
        self.db.execute("CREATE EXTENSION redshift_streaming")

    def refresh(self, limits):
        """In a session of its own, which has no connection to the service yet; nor has the peer."""
        self.db.execute("DROP MATERIALIZED VIEW IF EXISTS v")
        self.db.execute(
            "CREATE MATERIALIZED VIEW v WITH (offset_index = 'none') AS "
            f'SELECT shard_id, sequence_number, partition_key, approximate_arrival_timestamp, kinesis_data FROM k."{self.stream}"'
        )
        self.db.execute("CHECKPOINT")
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            connection.execute(f"SET redshift.kinesis_limits = {'on' if limits else 'off'}")
            used, began = cpu(connection.info.backend_pid), time.monotonic()
            connection.execute("REFRESH MATERIALIZED VIEW v")
            seconds, used = time.monotonic() - began, cpu(connection.info.backend_pid) - used
        return self.db.execute("SELECT count(*) FROM v").fetchone()[0], seconds, used

    def sdk(self, limits):
        command = [self.options.peer, self.options.endpoint, self.stream, *(["limits"] if limits else [])]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        records, _, seconds = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return int(records), float(seconds), after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def all(self):
        print(f"writing {self.options.records} records", flush=True)
        self.stream = fill(self.kinesis, self.options.records)
        self.db.execute(
            f"CALL redshift.create_external_schema('k', source => 'kinesis', region => 'us-east-1', endpoint_url => '{self.options.endpoint}', streams => '{self.stream}')"
        )
        self.sdk(False)  # the emulator's code is compiled when it has run for a while
        for _ in range(self.options.rounds):
            for limits in (False, True):
                for name, read in (("refresh", self.refresh), ("bare SDK", self.sdk)):
                    records, seconds, used = read(limits)
                    assert records == self.options.records, f"{name}: {records} of {self.options.records} records"
                    self.results.setdefault((name, limits), []).append((records / seconds, used * 1e6 / records))
                    print(f"  {name:10} limits {'on ' if limits else 'off'} {records / seconds:10.0f} records/s", flush=True)
        self.kinesis.clean_up()

    def entries(self):
        print(f"\n{self.options.records} records of about 70 bytes, {SHARDS} shards, medians of {self.options.rounds}, records/s\n")
        for limits in (False, True):
            ours, peer = (self.median(name, limits, 0) for name in ("refresh", "bare SDK"))
            what = f"Kinesis, limits {'on' if limits else 'off'}: refresh / bare SDK"
            ratio = ours / peer
            print(f"{what:44} {ours:8.0f} {peer:8.0f} {ratio:5.2f}   (aim {AIM}{'' if ratio >= AIM else ', missed'})")
            yield {"name": what, "ours": round(ours), "peer": round(peer), "ratio": round(ratio, 3), "unit": "records/s"}
        ours, peer = (self.median(name, False, 1) for name in ("refresh", "bare SDK"))
        print(f"CPU of the client, µs a record: refresh (landing too) {ours:.1f}, bare SDK {peer:.1f}")
        yield {"name": "Kinesis, CPU: refresh / bare SDK", "ours": round(ours, 2), "peer": round(peer, 2), "ratio": round(ours / peer, 3), "unit": "CPU µs a record"}

    def median(self, name, limits, index):
        return statistics.median(run[index] for run in self.results[name, limits])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=20_500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--peer", required=True, help="the program kinesis_rate")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="bench.json, to which the figures are added")
    options = parser.parse_args()
    bench = Bench(options)
    bench.all()
    new = list(bench.entries())
    others = json.loads(options.out.read_text()) if options.out.exists() else []
    kept = [entry for entry in others if not entry["name"].startswith("Kinesis")]
    options.out.write_text(json.dumps(kept + new, indent=1) + "\n")


if __name__ == "__main__":
    main()
