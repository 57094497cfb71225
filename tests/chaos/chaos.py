"""Kills, stops and cuts at random while records arrive, then counts: chaos.py --rounds N [--seed N] (scripts/chaos.sh starts what it needs).

A producer writes numbered records into four partitions. The server reaches the broker through a proxy that can cut the network. Two views follow the topic by auto refresh, a third is refreshed by a
session in a loop, which also rolls back at times and refreshes the first view as well. Each round does one thing of ACTIONS and
waits until every view has come to the end that the topic has then. At last an independent consumer reads the topic: each of its
records has to be in each view once, and so has each record that the broker acknowledged to the producer.
"""

import argparse
import contextlib
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import psycopg

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from broker import Kafka  # noqa: E402
from proxy import Proxy  # noqa: E402
from server import as_server  # noqa: E402

PARTITIONS = 4
VIEWS = {
    "auto_1": "auto_refresh = on",
    # Two workers divide its partitions.
    "auto_2": "auto_refresh = on, parallel = 2",
    "by_hand": "auto_refresh = off",
}
# A view that was refused by the broker for long waits up to half a minute before it tries again.
PATIENCE = 90


class Postgres:
    """The private cluster, and ways to end it."""

    def __init__(self, run, environment):
        self.run, self.data = run, run / "data"
        self.bin = next((run / "postgres" / "lib" / "postgresql").glob("*/bin"))
        self.connect_arguments = {
            "host": environment["PGHOST"], "port": environment["PGPORT"], "user": environment["PGUSER"],
            "password": environment["PGPASSWORD"], "dbname": "chaos", "autocommit": True, "connect_timeout": 5,
        }

    def connect(self, **settings):
        return psycopg.connect(**(self.connect_arguments | settings))

    def control(self, *arguments, **keywords):
        return as_server(self.bin / "pg_ctl", "-D", self.data, *arguments, **keywords)

    def postmaster(self):
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def start(self):
        # Processes of the old server may live a moment longer: Postgres refuses to start beside them, and that is right.
        deadline = time.monotonic() + 30
        while self.control("-l", self.run / "log" / "postgres.log", "-w", "-t", "60", "start", check=False).returncode:
            assert time.monotonic() < deadline, "Postgres does not start again: see log/postgres.log"
            time.sleep(0.2)

    def stop(self, mode):
        self.control("-m", mode, "-w", "-t", "30", "stop")

    def query(self, sql, *params):
        """In a session of its own; again while the server is away."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with self.connect() as connection:
                    cursor = connection.execute(sql, params or None)
                    return cursor.fetchall() if cursor.description else []
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def worker(self):
        """The pid of one of the database's workers, when there is one."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = self.query(
                "SELECT pid FROM pg_stat_activity WHERE backend_type IN ('redshift_streaming worker', 'redshift_streaming ingest') AND datname = 'chaos'")
            if found:
                return random.choice(found)[0]
            assert time.monotonic() < deadline, f"no worker within {PATIENCE} s"
            time.sleep(0.05)


class Broker(Kafka):
    """Apache Kafka, and ways to trouble it."""

    def __init__(self, run):
        super().__init__("apache", (run / "apache.bootstrap").read_text().strip(), str(run))

    @property
    def pid(self):
        return int((pathlib.Path(self.run) / "apache.pid").read_text())

    def resume(self):
        done = subprocess.run([ROOT / "scripts" / "apache-kafka.sh", "resume"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout


class Refresher(threading.Thread):
    """The session that refreshes by hand."""

    def __init__(self, postgres, chance):
        super().__init__(daemon=True)
        self.postgres, self.random = postgres, random.Random(chance)
        self.pid, self.done, self.refused, self.stopped = None, 0, Counter(), False

    def run(self):
        while not self.stopped:
            try:
                with self.postgres.connect() as connection:
                    self.pid = connection.info.backend_pid
                    while not self.stopped:
                        self.refresh(connection)
                        self.done += 1
            except psycopg.Error as error:
                self.refused[error.sqlstate or "connection lost"] += 1
                self.pid = None
                time.sleep(0.1)

    def refresh(self, connection):
        kind = self.random.random()
        if kind < 0.2:
            connection.execute("BEGIN")
            connection.execute("REFRESH MATERIALIZED VIEW by_hand")
            time.sleep(self.random.random() * 0.05)
            connection.execute("ROLLBACK" if kind < 0.15 else "COMMIT")
        elif kind < 0.3:
            connection.execute("REFRESH MATERIALIZED VIEW auto_1")
        elif kind < 0.4:
            connection.execute("CALL redshift.refresh('by_hand', max_records => 100)")
        else:
            connection.execute("REFRESH MATERIALIZED VIEW by_hand")


class Chaos:
    def __init__(self, postgres, broker, proxy, rate):
        self.postgres, self.broker, self.proxy, self.rate = postgres, broker, proxy, rate
        # Letters and digits: the name means itself in a pattern of topics.
        self.topic = f"chaos{os.getpid()}"
        self.acknowledged = pathlib.Path(broker.run) / "acknowledged"

    # --- what a round does

    def kill_worker(self):
        os.kill(self.postgres.worker(), signal.SIGKILL)

    def terminate_worker(self):
        self.postgres.query("SELECT pg_terminate_backend(%s)", self.postgres.worker())

    def kill_backend(self):
        while not (pid := self.refresher.pid):
            time.sleep(0.01)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def kill_postmaster(self):
        os.kill(self.postgres.postmaster(), signal.SIGKILL)
        time.sleep(random.random())
        self.postgres.start()

    def stop_immediate(self):
        self.postgres.stop("immediate")
        self.postgres.start()

    def stop_fast(self):
        self.postgres.stop("fast")
        self.postgres.start()

    def kill_broker(self):
        os.kill(self.broker.pid, signal.SIGKILL)
        time.sleep(random.random() * 2)
        self.broker.resume()

    def freeze_broker(self):
        with self.broker.frozen():
            time.sleep(0.5 + random.random() * 3)

    def cut_network(self):
        with self.proxy.cut():
            time.sleep(random.random() * 3)

    def silence_network(self):
        with self.proxy.silent():
            time.sleep(0.5 + random.random() * 3)

    def slow_network(self):
        with self.proxy.slow(random.random() * 0.5):
            time.sleep(2)

    def cut_network_and_kill_worker(self):
        with self.proxy.cut():
            time.sleep(random.random())
            self.kill_worker()
            time.sleep(random.random())

    def silence_network_and_stop(self):
        with self.proxy.silent():
            time.sleep(random.random())
            self.stop_fast()

    ACTIONS = {
        "kill -9 the worker": kill_worker,
        "pg_terminate_backend the worker": terminate_worker,
        "kill -9 the refreshing backend": kill_backend,
        "kill -9 the postmaster": kill_postmaster,
        "stop the server, immediate": stop_immediate,
        "stop the server, fast": stop_fast,
        "kill -9 the broker": kill_broker,
        "freeze the broker": freeze_broker,
        "cut the network": cut_network,
        "silence the network": silence_network,
        "slow the network": slow_network,
        "cut the network, kill -9 the worker": cut_network_and_kill_worker,
        "silence the network, stop the server": silence_network_and_stop,
    }

    # --- the run

    def set_up(self):
        with self.postgres.connect(dbname="postgres") as connection:
            connection.execute("DROP DATABASE IF EXISTS chaos WITH (FORCE)")
            connection.execute("CREATE DATABASE chaos")
        self.broker.topic(PARTITIONS, self.topic)
        run = self.postgres.query
        run("CREATE EXTENSION redshift_streaming")
        run(
            "CALL redshift.create_external_schema('stream', source => 'kafka', uri => %s, authentication => 'none', topics => %s)",
            self.proxy.bootstrap, self.topic,
        )
        for view, options in VIEWS.items():
            run(
                f"CREATE MATERIALIZED VIEW {view} WITH ({options}) AS "
                f"SELECT kafka_partition, kafka_offset, kafka_value FROM stream.{self.topic}"
            )

    def go(self, rounds, seed):
        random.seed(seed)
        self.set_up()
        producer = subprocess.Popen(
            [sys.executable, pathlib.Path(__file__).with_name("producer.py"), self.broker.bootstrap, self.topic, str(PARTITIONS), str(self.rate),
             self.acknowledged],
            stdout=subprocess.PIPE, text=True,
        )
        self.refresher = Refresher(self.postgres, seed)
        self.refresher.start()
        try:
            deck = []
            for number in range(1, rounds + 1):
                # Like cards: everything happens once before anything happens again.
                deck = deck or random.sample(list(self.ACTIONS), len(self.ACTIONS))
                what = deck.pop()
                time.sleep(random.random())
                began = time.monotonic()
                self.ACTIONS[what](self)
                acted = time.monotonic() - began
                self.wait_for_views(what)
                print(f"round {number:3}: {what:36} {acted:5.1f} s, all views went on after {time.monotonic() - began - acted:4.1f} s", flush=True)
        finally:
            producer.terminate()
            print(producer.communicate(timeout=180)[0].strip())
        self.wait_for_views("the end")
        self.refresher.stopped = True
        self.refresher.join(60)
        refused = ", ".join(f"{n} times {state}" for state, n in self.refresher.refused.items())
        print(f"{self.refresher.done} refreshes by hand; refused: {refused or 'none'}")

    def ends(self):
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return {p: self.broker.high(self.topic, p) for p in range(PARTITIONS)}
            except Exception:
                if time.monotonic() > deadline:
                    raise
                # librdkafka asks with the leader epoch that it knows from before the broker died, and again and again.
                self.broker._admin = None
                time.sleep(0.2)

    def wait_for_views(self, what):
        """Until every view has all that the topic has now."""
        ends = self.ends()
        deadline = time.monotonic() + PATIENCE
        while True:
            rows = self.postgres.query("SELECT mv::text, partition_id::int, position::bigint FROM redshift.visible_checkpoint")
            behind = sorted({view for view, partition, position in rows if (position or 0) < ends[partition]})
            if not behind and len(rows) == PARTITIONS * len(VIEWS):
                return
            if time.monotonic() > deadline:
                status = self.postgres.query("SELECT mv_name, state, since, last_error, blocked_by FROM redshift.worker_status")
                sys.exit(f"{what}: {behind} did not go on within {PATIENCE} s\nends: {ends}\npositions: {rows}\nstatus: {status}")
            time.sleep(0.05)

    def count(self):
        """Lost and twice, over all views; and whether the ledger says the same."""
        topic = Counter()
        values = set()
        for message in self.broker.consume(self.topic):
            topic[message.partition(), message.offset(), message.value()] += 1
            values.add(message.value())
        acknowledged = {line.encode() for line in self.acknowledged.read_text().split()}
        print(f"{len(topic)} records in the topic, {len(acknowledged)} acknowledged")
        if vanished := acknowledged - values:
            print(f"the broker itself has lost {len(vanished)} records that it acknowledged: {sorted(vanished)[:5]}")
        if len(values) != len(topic):
            print(f"the producer wrote {len(topic) - len(values)} records twice")
        lost = twice = 0
        well = True
        for view in VIEWS:
            rows = self.postgres.query(f"SELECT kafka_partition, kafka_offset, kafka_value::bytea FROM {view}")
            landed = Counter((p, o, bytes(v)) for p, o, v in rows)
            missing, more = topic.keys() - landed.keys(), {r for r, n in landed.items() if n > 1}
            invented = landed.keys() - topic.keys()
            lost, twice = lost + len(missing), twice + len(more)
            broken = self.postgres.query(f"SELECT * FROM redshift.verify('{view}') WHERE NOT ok OR gaps <> 0 OR read_twice <> 0")
            for name, found in (("lost", missing), ("twice", more), ("not in the topic", invented), ("redshift.verify", broken)):
                if found:
                    well = False
                    print(f"{view}: {name}: {len(found)}, such as {sorted(found)[:5]}")
            print(f"{view}: {len(landed)} records")
        return lost, twice, well

    def crashes(self, since):
        """Processes that died of themselves."""
        with open(self.postgres.run / "log" / "postgres.log", encoding="utf-8", errors="replace") as log:
            log.seek(since)
            return [line.strip() for line in log if re.search(r"terminated by signal (4|6|7|11)\b|PANIC:|TRAP:", line)]


def main(prepare, rounds, rate):
    """Reads the command line, goes through the rounds of what `prepare(postgres, run, rate)` gives, and counts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--rate", type=int, default=rate, help="records a second")
    parser.add_argument("--run", type=pathlib.Path, required=True, help="the run directory of the cluster and its source")
    options = parser.parse_args()
    print(f"rounds {options.rounds}, seed {options.seed}", flush=True)
    environment = dict(line.split("=", 1) for line in (options.run / "env").read_text().splitlines())
    postgres = Postgres(options.run, environment)
    log_begins = (options.run / "log" / "postgres.log").stat().st_size
    chaos = prepare(postgres, options.run, options.rate)
    began = time.monotonic()
    chaos.go(options.rounds, options.seed)
    lost, twice, well = chaos.count()
    crashes = chaos.crashes(log_begins)
    print(*crashes, f"seed {options.seed}, {time.monotonic() - began:.0f} s", sep="\n")
    print(f"rounds={options.rounds} lost={lost} twice={twice}")
    sys.exit(0 if well and not crashes else 1)


if __name__ == "__main__":
    main(lambda postgres, run, rate: Chaos(postgres, Broker(run), Proxy.of(run), rate), rounds=30, rate=1000)
