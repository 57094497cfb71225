"""What a test stands on: a database with the extension, an external schema over the broker, views, and the count at the end."""

import contextlib
import secrets
import threading
import time
from collections import Counter

import psycopg


class Database:
    """One database; rows(), value() and run() use a connection of their own in autocommit."""

    def __init__(self, name, **connect):
        self.name, self._connect = name, connect
        self.connection = self.connect()

    def connect(self, **settings):
        """Another session. Notices are kept in .notices."""
        connection = psycopg.connect(**(self._connect | {"dbname": self.name, "autocommit": True} | settings))
        connection.notices = []
        connection.add_notice_handler(lambda notice: connection.notices.append(notice.message_primary))
        return connection

    def run(self, sql, *params):
        return self.connection.execute(sql, params or None)

    def rows(self, sql, *params):
        return self.run(sql, *params).fetchall()

    def value(self, sql, *params):
        return self.run(sql, *params).fetchone()[0]

    def column(self, sql, *params):
        return [row[0] for row in self.rows(sql, *params)]


class Stage:
    """A test's own external schema (.schema) and a schema for its views, which is first in the search path."""

    def __init__(self, db, kafka):
        self.db, self.kafka = db, kafka
        mark = secrets.token_hex(4)
        self.schema, self.work = f"ext_{mark}", f"work_{mark}"
        db.run(f"CREATE SCHEMA {self.work}")
        self.path = f"{self.work}, public"
        db.run(f"SET search_path = {self.path}")

    def clean_up(self):
        # A connection that a test left in a broken state must not hide the test's own failure.
        with contextlib.suppress(psycopg.Error):
            self.db.connection.rollback()
        if self.db.connection.closed:
            self.db.connection = self.db.connect()
        self.db.run("RESET ALL")
        for schema in (self.work, self.schema):
            self.db.run("SET client_min_messages = error")
            self.db.run(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        self.db.run("RESET client_min_messages")

    def connect(self, **settings):
        connection = self.db.connect(**settings)
        connection.execute(f"SET search_path = {self.path}")
        return connection

    def topic(self, partitions=1, **arguments):
        """A new topic, with its relation in the test's external schema."""
        topic = self.kafka.topic(partitions, **arguments)
        self.map(topic)
        return topic

    def map(self, topic, schema=None):
        """An external schema that shows this one topic."""
        self.db.run(
            "CALL redshift.create_external_schema(%s, source => 'kafka', uri => %s, authentication => 'none', topics => %s)",
            schema or self.schema, self.kafka.bootstrap, topic,
        )

    def relation(self, topic):
        return f'{self.schema}."{topic}"'

    def view(self, topic, name="v", columns="kafka_partition, kafka_offset, kafka_key, kafka_value", where="", options=""):
        """A streaming materialized view over a topic."""
        self.db.run(
            f"CREATE MATERIALIZED VIEW {name} {f'WITH ({options})' if options else ''} AS "
            f"SELECT {columns} FROM {self.relation(topic)} {f'WHERE {where}' if where else ''}"
        )
        return name

    def refresh(self, name="v", **limits):
        if limits:
            arguments = ", ".join(f"{key} => {value}" for key, value in limits.items())
            self.db.run(f"CALL redshift.refresh('{name}'::regclass, {arguments})")
        else:
            self.db.run(f"REFRESH MATERIALIZED VIEW {name}")

    def positions(self, name="v"):
        return [tuple(row) for row in self.db.rows(f"SELECT kafka_partition, kafka_offset FROM {name}")]

    def count_exactly_once(self, expected, name="v", verified=True):
        """Nothing lost, nothing twice, nothing invented; and the ledger says the same."""
        landed = Counter(self.positions(name))
        lost, twice, invented = expected - landed.keys(), {p for p, n in landed.items() if n > 1}, landed.keys() - expected
        assert not (lost or twice or invented), (
            f"of {len(expected)} records: lost {len(lost)} {sorted(lost)[:5]}, twice {len(twice)} {sorted(twice)[:5]}, "
            f"invented {len(invented)} {sorted(invented)[:5]}"
        )
        if verified:
            broken = self.db.rows(f"SELECT * FROM redshift.verify('{name}') WHERE NOT ok OR gaps <> 0 OR read_twice <> 0")
            assert not broken, broken


class StreamStage(Stage):
    """The same over Kinesis: .through is the address that the external schema uses, the emulator's or a proxy's."""

    def __init__(self, db, kinesis, through=None):
        super().__init__(db, None)
        self.kinesis, self.through = kinesis, through or kinesis.endpoint

    def stream(self, shards=1, **arguments):
        """A new stream, with its relation in the test's external schema."""
        stream = self.kinesis.stream(shards, **arguments)
        self.map(stream)
        return stream

    def map(self, stream, schema=None, **options):
        more = "".join(f", {name} => {value}" for name, value in options.items())
        self.db.run(
            f"CALL redshift.create_external_schema(%s, source => 'kinesis', region => 'us-east-1', endpoint_url => %s, streams => %s{more})",
            schema or self.schema, self.through, stream,
        )

    def view(self, stream, name="v", columns="shard_id, sequence_number, partition_key, kinesis_data", where="", options=""):
        return super().view(stream, name, columns, where, options)

    def positions(self, name="v"):
        return [tuple(row) for row in self.db.rows(f"SELECT shard_id, sequence_number FROM {name}")]

    def checkpoints(self, name="v"):
        """{shard: (position, drained)}"""
        rows = self.db.rows("SELECT partition_id, position, drained FROM redshift.checkpoint JOIN redshift.materialized_view USING (mv_id) WHERE mv = %s::regclass", name)
        return {shard: (position, drained) for shard, position, drained in rows}


class InBackground:
    """Runs a statement in a session of its own; .result() gives what it returned or raises what it raised."""

    def __init__(self, connection, sql):
        self.connection, self.error, self.seconds = connection, None, None
        self.pid = connection.info.backend_pid
        self._thread = threading.Thread(target=self._run, args=(sql,), daemon=True)
        self._thread.start()

    def _run(self, sql):
        began = time.monotonic()
        try:
            self.connection.execute(sql)
        except psycopg.Error as error:
            self.error = error
        self.ended = time.monotonic()
        self.seconds = self.ended - began

    @property
    def running(self):
        return self._thread.is_alive()

    def result(self, timeout=30):
        self._thread.join(timeout)
        assert not self.running, "the statement still runs"
        if self.error:
            raise self.error


def wait_until(condition, seconds=20, what="it"):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.02)
