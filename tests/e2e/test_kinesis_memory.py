"""One limit of memory for all that a worker reads, of whichever source."""

from broker import Kafka
from conftest import RUN
from stage import Stage, StreamStage, wait_until
from test_ingest_workers import setting
from test_memory import MEGABYTE, Watch

LIMIT = 16


def test_streams_and_topics_keep_within_it_together(cluster, kinesis):
    """Eight streams with a backlog of 4 MB each are followed one after the other, beside topics that have one too."""
    database = cluster.database()
    database.run("CREATE EXTENSION redshift_streaming")
    kafka = Kafka("embedded", (RUN / "embedded.bootstrap").read_text().strip(), str(RUN))
    streams, topics = StreamStage(database, kinesis), Stage(database, kafka)
    database.run(f"SET search_path = {streams.work}; SET redshift.connect_timeout_ms = '60s'")
    length = lambda column: f"length({column}::bytea) AS length"
    try:
        with setting(cluster, "redshift.memory_limit", f"'{LIMIT}MB'"), setting(cluster, "redshift.ingest_workers", 1):
            named = [kinesis.stream(2) for _ in range(8)]
            streams.map(",".join(named))
            for stream in named:
                kinesis.produce(stream, [b"x" * 400_000] * 10, size=5)
            of_kafka = [kafka.topic(2) for _ in range(4)]
            topics.map(",".join(of_kafka))
            for topic in of_kafka:
                kafka.produce(topic, [{"value": b"x" * 10_000, "partition": n % 2} for n in range(800)])
            for n, topic in enumerate(of_kafka):
                topics.view(topic, f"t{n}", columns=f"kafka_partition, kafka_offset, {length('kafka_value')}")
            streams.view(named[0], "s0", columns=f"shard_id, sequence_number, {length('kinesis_data')}", options="auto_refresh = on")
            count = lambda name: database.value(f"SELECT count(*) FROM {name}")
            wait_until(lambda: database.value("SELECT count(pid) FROM redshift.worker_status") == 1)
            with Watch(database.value("SELECT pid FROM redshift.worker_status")) as watch:
                for n in range(8):
                    if n > 0:
                        streams.view(named[n], f"s{n}", columns=f"shard_id, sequence_number, {length('kinesis_data')}", options="auto_refresh = on")
                    if n % 2 == 0:
                        database.run(f"ALTER MATERIALIZED VIEW t{n // 2} SET (auto_refresh = on)")
                wait_until(lambda: all(count(f"s{n}") == 10 for n in range(8)), 120, "eight streams")
                wait_until(lambda: all(count(f"t{n}") == 800 for n in range(4)), 60, "four topics")
            assert watch.peak <= (LIMIT + 40) * MEGABYTE, f"{watch.peak / MEGABYTE:.0f} MB"
            names = [f"s{n}" for n in range(8)] + [f"t{n}" for n in range(4)]
            for name in names:
                wait_until(lambda: database.value(f"SELECT bool_and(ok) FROM redshift.verify('{name}')"))
    finally:
        kafka.clean_up()
        cluster.drop(database)
