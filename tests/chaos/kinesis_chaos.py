"""The same as chaos.py for a stream of Kinesis: kinesis_chaos.py --rounds N [--seed N] (scripts/chaos.sh starts what it needs).

A producer writes numbered records; shards are split and merged; a proxy throttles, cuts, delays and expires; workers, backends and the server
are killed. Two views follow the stream by auto refresh, a third is refreshed by a session in a loop. At last each record that the service
acknowledged has to be in each view once.
"""

import os
import random
import sys
import threading
import time
from collections import Counter

from chaos import PATIENCE, Chaos, Refresher, main

# chaos.py has put tests/e2e on the path.
from kinesis import EXPIRED, LIMITED, THROTTLED, UNAVAILABLE, Cut, FaultProxy, Kinesis

VIEWS = {"auto_1": "auto_refresh = on", "auto_2": "auto_refresh = on", "by_hand": "auto_refresh = off"}
MOST_SHARDS = 6


class Producer(threading.Thread):
    """Writes numbered records and remembers what was acknowledged."""

    def __init__(self, kinesis, stream, rate):
        super().__init__(daemon=True)
        self.kinesis, self.stream, self.rate, self.stopped = kinesis, stream, rate, False
        self.acknowledged = set()

    def run(self):
        number = 0
        while not self.stopped:
            batch = [str(number + i).encode() for i in range(self.rate // 10)]
            number += len(batch)
            self.acknowledged |= self.kinesis.produce(self.stream, batch)
            time.sleep(0.1)


class KinesisChaos:
    def __init__(self, postgres, endpoint, rate):
        self.postgres, self.rate = postgres, rate
        self.kinesis, self.proxy = Kinesis(endpoint), FaultProxy(endpoint)
        self.stream = f"chaos{os.getpid()}"

    # What chaos.py does to the server.
    kill_worker, terminate_worker, kill_backend = Chaos.kill_worker, Chaos.terminate_worker, Chaos.kill_backend
    kill_postmaster, stop_immediate, stop_fast = Chaos.kill_postmaster, Chaos.stop_immediate, Chaos.stop_fast

    def trouble(self, rule):
        self.proxy.before.append(rule)
        time.sleep(0.5 + random.random() * 3)
        self.proxy.clear()

    def fail(self, faults, chance):
        def rule(action, request):
            if action in ("GetRecords", "GetShardIterator", "ListShards") and random.random() < chance:
                fault = random.choice(faults)
                if fault is not EXPIRED or action == "GetRecords":
                    raise fault

        self.trouble(rule)

    def throttle(self):
        self.fail([THROTTLED, LIMITED], 0.8)

    def break_down(self):
        self.fail([UNAVAILABLE], 1.0)

    def expire(self):
        self.fail([EXPIRED], 0.5)

    def cut(self):
        def after(action, request, answer):
            if random.random() < 0.5:
                raise Cut

        self.proxy.after.append(after)
        time.sleep(0.5 + random.random() * 3)
        self.proxy.clear()

    def delay(self):
        self.trouble(lambda action, request: time.sleep(random.random()))

    def split(self):
        shards = self.kinesis.open_shards(self.stream)
        if len(shards) < MOST_SHARDS:
            self.kinesis.split(self.stream, random.choice(shards))
        else:
            self.merge()

    def merge(self):
        """Two neighbours."""
        shards = [s for s in self.kinesis.shards(self.stream) if s["ShardId"] in self.kinesis.open_shards(self.stream)]
        shards.sort(key=lambda s: int(s["HashKeyRange"]["StartingHashKey"]))
        if len(shards) < 2:
            return self.split()
        place = random.randrange(len(shards) - 1)
        self.kinesis.merge(self.stream, shards[place]["ShardId"], shards[place + 1]["ShardId"])

    def split_and_kill_worker(self):
        self.split()
        self.kill_worker()

    def merge_and_stop_immediate(self):
        self.merge()
        self.stop_immediate()

    ACTIONS = {
        "split a shard": split,
        "merge two shards": merge,
        "throttle": throttle,
        "kill -9 the worker": kill_worker,
        "expire iterators": expire,
        "pg_terminate_backend the worker": terminate_worker,
        "kill -9 the refreshing backend": kill_backend,
        "cut answers": cut,
        "kill -9 the postmaster": kill_postmaster,
        "the service is unavailable": break_down,
        "delay": delay,
        "split, kill -9 the worker": split_and_kill_worker,
        "merge, stop the server, immediate": merge_and_stop_immediate,
        "stop the server, fast": stop_fast,
    }

    def set_up(self):
        with self.postgres.connect(dbname="postgres") as connection:
            connection.execute("DROP DATABASE IF EXISTS chaos WITH (FORCE)")
            connection.execute("CREATE DATABASE chaos")
        self.kinesis.stream(2, self.stream)
        run = self.postgres.query
        run("CREATE EXTENSION redshift_streaming")
        run(
            "CALL redshift.create_external_schema('stream', source => 'kinesis', region => 'us-east-1', endpoint_url => %s, streams => %s)",
            self.proxy.endpoint, self.stream,
        )
        for view, options in VIEWS.items():
            run(f"CREATE MATERIALIZED VIEW {view} WITH ({options}) AS SELECT shard_id, sequence_number, kinesis_data FROM stream.{self.stream}")

    def go(self, rounds, seed):
        random.seed(seed)
        self.set_up()
        self.producer = Producer(self.kinesis, self.stream, self.rate)
        self.producer.start()
        self.refresher = Refresher(self.postgres, seed)
        self.refresher.start()
        deck = []
        for number in range(1, rounds + 1):
            deck = deck or random.sample(list(self.ACTIONS), len(self.ACTIONS))
            what = deck.pop()
            time.sleep(random.random())
            began = time.monotonic()
            self.ACTIONS[what](self)
            acted = time.monotonic() - began
            self.wait_for_views(what)
            print(f"round {number:3}: {what:36} {acted:5.1f} s, all views went on after {time.monotonic() - began - acted:4.1f} s", flush=True)
        self.producer.stopped = True
        self.producer.join(60)
        self.wait_for_views("the end")
        self.refresher.stopped = True
        self.refresher.join(60)
        refused = ", ".join(f"{n} times {state}" for state, n in self.refresher.refused.items())
        print(f"{self.refresher.done} refreshes by hand; refused: {refused or 'none'}; {len(self.kinesis.shards(self.stream))} shards")

    def wait_for_views(self, what):
        """Until every view has all that was acknowledged by now."""
        # A copy: the producer goes on.
        produced = len(self.producer.acknowledged)
        deadline = time.monotonic() + PATIENCE
        while True:
            counts = {view: self.postgres.query(f"SELECT count(*) FROM {view}")[0][0] for view in VIEWS}
            if all(count >= produced for count in counts.values()):
                return
            if time.monotonic() > deadline:
                status = self.postgres.query("SELECT mv_name, state, since, last_error, blocked_by FROM redshift.worker_status")
                positions = self.postgres.query("SELECT mv::text, partition_id, position, drained FROM redshift.visible_checkpoint ORDER BY 1, 2")
                sys.exit(f"{what}: not {produced} records within {PATIENCE} s: {counts}\nstatus: {status}\npositions: {positions}")
            time.sleep(0.1)

    def count(self):
        expected = self.producer.acknowledged
        lost = twice = 0
        well = True
        for view in VIEWS:
            landed = Counter(self.postgres.query(f"SELECT shard_id, sequence_number FROM {view}"))
            missing, more = expected - landed.keys(), {r for r, n in landed.items() if n > 1}
            lost, twice = lost + len(missing), twice + len(more)
            broken = self.postgres.query(f"SELECT * FROM redshift.verify('{view}') WHERE NOT ok OR gaps <> 0 OR read_twice <> 0")
            for name, found in (("lost", missing), ("twice", more), ("never acknowledged", landed.keys() - expected), ("redshift.verify", broken)):
                if found:
                    well = False
                    print(f"{view}: {name}: {len(found)}, such as {sorted(found)[:5]}")
            print(f"{view}: {len(landed)} records of {len(expected)}")
        return lost, twice, well

    crashes = Chaos.crashes


if __name__ == "__main__":
    # As scripts/cluster.sh starts the server: with keys that the emulator takes, never the machine's own.
    for name, value in {"AWS_ACCESS_KEY_ID": "emulator", "AWS_SECRET_ACCESS_KEY": "emulator", "AWS_EC2_METADATA_DISABLED": "true"}.items():
        os.environ.setdefault(name, value)
    main(lambda postgres, run, rate: KinesisChaos(postgres, (run / "kinesis.endpoint").read_text().strip(), rate), rounds=14, rate=200)
