"""The brokers, as an independent client sees them (confluent-kafka, not our own code)."""

import contextlib
import os
import pathlib
import secrets
import signal
import socket
import subprocess
import time

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec, ResourceType


class Kafka:
    """One running broker. Every test makes topics of its own, with names nobody else has."""

    def __init__(self, kind, bootstrap, run):
        self.kind, self.bootstrap, self.run = kind, bootstrap, run
        self.made = []
        self._admin = None

    @property
    def admin(self):
        if self._admin is None:
            self._admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 2})
        return self._admin

    # --- topics

    def topic(self, partitions=1, name=None, config=None):
        """Makes a topic. Its default name is letters and digits only, so it means itself in any kind of pattern."""
        name = name or "t" + secrets.token_hex(6)
        if self.kind == "embedded":
            assert not config, "the embedded broker has no topic settings: mark the test apache_only"
            self._control(f"create-topic {name} {partitions}")
        else:
            done(self.admin.create_topics([NewTopic(name, partitions, 1, config=config or {})]))
            self._until(lambda: len(self.partitions(name)) == partitions)
        self.made.append(name)
        return name

    def delete_topic(self, name):
        done(self.admin.delete_topics([name], operation_timeout=10))
        self._until(lambda: not self.partitions(name))

    def recreate_topic(self, name, partitions=1, config=None):
        """Deletes a topic and makes it again: same name, another identity."""
        self.delete_topic(name)
        deadline = time.monotonic() + 20
        while True:
            try:
                return self.topic(partitions, name, config)
            except Exception:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def add_partitions(self, name, total):
        done(self.admin.create_partitions([NewPartitions(name, total)]))
        self._until(lambda: len(self.partitions(name)) == total)

    def configure(self, name, **settings):
        """Topic settings by their names with underscores for dots: retention_ms=1."""
        entries = [ConfigEntry(k.replace("_", "."), str(v), incremental_operation=AlterConfigOpType.SET) for k, v in settings.items()]
        done(self.admin.incremental_alter_configs([ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)]))

    def delete_records(self, name, partition, before):
        """Moves the earliest offset, as retention does."""
        for future in self.admin.delete_records([TopicPartition(name, partition, before)]).values():
            future.result(20)
        self._until(lambda: self.low(name, partition) >= before)

    def partitions(self, name):
        topic = self.admin.list_topics(timeout=10).topics.get(name)
        return {} if topic is None or topic.error else topic.partitions

    def topics(self):
        return set(self.admin.list_topics(timeout=10).topics)

    def low(self, name, partition=0):
        return self._offset(name, partition, OffsetSpec.earliest())

    def high(self, name, partition=0):
        return self._offset(name, partition, OffsetSpec.latest())

    def _offset(self, name, partition, spec):
        tp = TopicPartition(name, partition)
        return self.admin.list_offsets({tp: spec})[tp].result(10).offset

    def _until(self, condition, seconds=20):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "the broker did not do it in time"
            time.sleep(0.05)

    def _control(self, line):
        """One line to the embedded broker's control socket, one line back."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(os.path.join(self.run, "embedded.control"))
            s.sendall(line.encode() + b"\n")
            answer = s.makefile().readline().strip()
        assert answer.lower().startswith("ok"), f"{line}: {answer}"
        return answer

    # --- records

    def producer(self, **settings):
        conf = {"bootstrap.servers": self.bootstrap, "linger.ms": 5, "message.max.bytes": 20_000_000}
        return Producer(conf | {k.replace("_", "."): v for k, v in settings.items()})

    def produce(self, topic, records, **settings):
        """Writes records, each a value or a dict of produce()'s arguments. Returns what the broker acknowledged: {(partition, offset)}."""
        producer = self.producer(**settings)
        positions = send(producer, topic, records)
        left = producer.flush(60)
        assert left == 0, f"{left} records were not acknowledged"
        return set(positions)

    def consume(self, topic, isolation="read_committed"):
        """Every record now readable, by an independent consumer: the oracle for compaction and transactions."""
        consumer = Consumer(
            {"bootstrap.servers": self.bootstrap, "group.id": secrets.token_hex(4), "isolation.level": isolation, "enable.auto.commit": False,
             "enable.partition.eof": True, "auto.offset.reset": "earliest", "fetch.message.max.bytes": 20_000_000}
        )
        try:
            waiting = set(self.partitions(topic))
            consumer.assign([TopicPartition(topic, p, 0) for p in waiting])
            found = []
            deadline = time.monotonic() + 60
            while waiting:
                assert time.monotonic() < deadline, "could not read the topic to its end"
                message = consumer.poll(1)
                if message is None:
                    continue
                if message.error():
                    assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                    waiting.discard(message.partition())
                else:
                    found.append(message)
            return found
        finally:
            consumer.close()

    # --- trouble

    @contextlib.contextmanager
    def frozen(self):
        """The broker's process does not run: connections stand, nothing answers."""
        with open(os.path.join(self.run, f"{self.kind}.pid"), encoding="ascii") as file:
            pid = int(file.read())
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @contextlib.contextmanager
    def quota(self, client, bytes_per_second):
        """Clients of this name get no more than that (averaged over ten seconds). Of the clients that can be had only Kafka's own tool sets quotas."""
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", pathlib.Path(__file__).parents[2] / "target"))
        tool = ["java", "-cp", f"{next(target.glob('kafka-[0-9]*'))}/*", "kafka.admin.ConfigCommand", "--bootstrap-server", self.bootstrap,
                "--alter", "--entity-type", "clients", "--entity-name", client]
        run = lambda *change: subprocess.run([*tool, *change], check=True, capture_output=True, timeout=60)
        run("--add-config", f"consumer_byte_rate={bytes_per_second}")
        try:
            yield
        finally:
            run("--delete-config", "consumer_byte_rate")

    def clean_up(self):
        if self.kind == "apache" and self.made:
            with contextlib.suppress(Exception):
                done(self.admin.delete_topics(list(set(self.made))))
        self.made = []


def send(producer, topic, records):
    """Queues records with a producer; the list it returns fills with (partition, offset) as they are acknowledged."""
    positions = []

    def delivered(error, message):
        assert error is None, error
        positions.append((message.partition(), message.offset()))

    for record in records:
        arguments = record if isinstance(record, dict) else {"value": record}
        while True:
            try:
                producer.produce(topic, on_delivery=delivered, **arguments)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    return positions


def done(futures):
    for future in futures.values():
        future.result(20)


@contextlib.contextmanager
def silent_port():
    """A port that takes connections and never answers."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(64)
        yield f"127.0.0.1:{s.getsockname()[1]}"


def closed_port():
    """A port nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{s.getsockname()[1]}"
