"""Records that Amazon's producer library (KPL, the real one) aggregated: one blob by default, rows by option. Every test ends by counting."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter

import psycopg
import pytest
from conftest import RUN
from stage import wait_until

MAGIC = b"\xf3\x89\x9a\xc2"
PLACE = "shard_id, sequence_number, sub_sequence_number"
AUTO = "auto_refresh = on"


class Producer:
    """tests/kinesis/AggregatingProducer.java. It asks STS for its account, which is moto's to answer; both speak TLS with certificates of their own."""

    def __init__(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            sts = free.getsockname()[1]
        jars = (RUN / "kinesis.producer").read_text().strip()
        self.parts = [subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(sts), "-s"], env=os.environ | {"MOTO_ACCOUNT_ID": "000000000000"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )]
        wait_until(lambda: listens(sts), 60, "moto")
        self.parts.append(subprocess.Popen(
            ["java", "-Xmx128m", f"-Djava.io.tmpdir={jars}/tmp", "-cp", f"{jars}:{jars}/*", "AggregatingProducer", (RUN / "kinesis.tls-port").read_text().strip(),
             str(sts)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        ))
        self.next = 0

    def produce(self, stream, count):
        """{(shard, sequence number, key, n)}, each acknowledged."""
        java = self.parts[-1]
        java.stdin.write(f"{stream} {self.next} {count}\n")
        java.stdin.flush()
        self.next += count
        produced = set()
        while line := java.stdout.readline().strip():
            shard, number, key, digit, n = line.split(" ")
            produced.add((shard, number, f"{key} {digit}", int(n)))
        assert len(produced) == count, "the producer library failed"
        return produced

    def aggregate(self, stream, count=200):
        """The same, until some are aggregated: the library does so once it knows the shards."""
        produced = set()
        for _ in range(60):
            more = self.produce(stream, count)
            produced |= more
            if any(users > 1 for users in records(more).values()):
                return produced
            time.sleep(0.5)
        raise AssertionError("nothing was aggregated")


def records(produced):
    """{(shard, sequence number): number of user records}"""
    return Counter((shard, number) for shard, number, _, _ in produced)


def places(produced):
    """{(shard, sequence number, place)} as they must be."""
    return {(*record, sub) for record, users in records(produced).items() for sub in range(users)}


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def producer():
    it = Producer()
    yield it
    for part in reversed(it.parts):
        part.kill()
        part.wait()


@pytest.fixture
def split(streams):
    """As streams, with schemas that take aggregated records apart. A position is shard, sequence number and place in it."""
    streams.map_plainly = streams.map
    streams.map = lambda stream, deaggregate="on", **options: streams.map_plainly(stream, deaggregate=f"'{deaggregate}'", **options)
    streams.positions = lambda name="v": [tuple(row) for row in streams.db.rows(f"SELECT {PLACE} FROM {name}")]
    return streams


def view(stage, stream, name="v", where="", options=""):
    stage.view(stream, name, f"{PLACE}, partition_key, json_parse(kinesis_data) AS data", where, options)


def rows(stage, source="v", data="data"):
    return set(stage.db.rows(f"SELECT shard_id, sequence_number, partition_key, (({data})['n'])::int FROM {source}"))


def data_of(kinesis, stream, shard, number):
    iterator = kinesis.client.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType="AT_SEQUENCE_NUMBER", StartingSequenceNumber=number)
    return kinesis.client.get_records(ShardIterator=iterator["ShardIterator"], Limit=1)["Records"][0]["Data"]


def test_a_blob_by_default(streams, producer):
    stream = streams.stream(2)
    produced = producer.aggregate(stream)
    streams.view(stream)
    streams.refresh()
    streams.count_exactly_once(set(records(produced)))
    blobs = {(shard, number) for (shard, number), users in records(produced).items() if users > 1}
    assert set(streams.db.rows("SELECT shard_id, sequence_number FROM v WHERE substr(kinesis_data::bytea, 1, 4) = %s", MAGIC)) == blobs
    with pytest.raises(psycopg.errors.UndefinedColumn):
        streams.db.run(f"SELECT sub_sequence_number FROM {streams.relation(stream)}")
    # Whoever changes his mind later.
    streams.db.run(f"ALTER SERVER {streams.schema} OPTIONS (ADD deaggregate 'on')")
    streams.db.run(f"ALTER FOREIGN TABLE {streams.relation(stream)} ADD COLUMN sub_sequence_number bigint")
    assert set(streams.db.rows(f"SELECT {PLACE} FROM {streams.relation(stream)}")) == places(produced)


def test_user_records_are_rows(split, producer):
    stream = split.stream(2)
    produced = producer.aggregate(stream)
    peek = split.relation(stream)
    assert rows(split, peek, "json_parse(kinesis_data)") == produced
    assert set(split.db.rows(f"SELECT {PLACE} FROM {peek}")) == places(produced)
    assert len(split.db.rows(f"SELECT * FROM {peek} LIMIT 3")) == 3
    view(split, stream, options="offset_index = 'btree'")
    view(split, stream, "w", "((json_parse(kinesis_data))['n'])::int % 2 = 0")
    split.refresh()
    split.count_exactly_once(places(produced))
    assert rows(split) == produced
    # Others come as they are.
    ((shard, number),) = split.kinesis.produce(stream, [{"n": -1}], ["plain"])
    produced |= {(shard, number, "plain", -1)} | producer.produce(stream, 50)
    for name in "vw":
        split.refresh(name)
    split.count_exactly_once(places(produced))
    assert rows(split) == produced
    assert split.db.rows("SELECT sum(scanned), sum(loaded), sum(filtered) FROM redshift.verify('w')") == [
        (len(produced), sum(n % 2 == 0 for *_, n in produced), sum(n % 2 != 0 for *_, n in produced))
    ]


def test_a_limit_never_divides_a_record(split, producer):
    stream = split.stream()
    produced = producer.aggregate(stream, 50)
    view(split, stream)
    split.refresh()
    produced |= producer.produce(stream, 100)
    for _ in range(len(produced)):
        before = len(split.positions())
        if before == len(produced):
            break
        split.refresh(max_records=1)
        counts = Counter(place[:2] for place in split.positions())
        assert sum(counts.values()) > before and all(records(produced)[record] == users for record, users in counts.items())
    split.count_exactly_once(places(produced))


def test_the_preview_has_its_name_too(split, producer):
    stream = split.kinesis.stream()
    split.map(stream, preview_columns="true")
    produced = producer.aggregate(stream)
    split.db.run(f"CREATE MATERIALIZED VIEW v AS SELECT shardid, sequencenumber, subsequencenumber FROM {split.relation(stream)}")
    split.refresh()
    assert {tuple(row) for row in split.db.rows("SELECT * FROM v")} == places(produced)


def test_what_is_broken_is_a_record_and_what_is_anothers_is_skipped(split, producer):
    stream = split.stream(2)
    produced = producer.aggregate(stream)
    (shard, number), _ = max(records(produced).items(), key=lambda item: item[1])
    good = data_of(split.kinesis, stream, shard, number)
    assert good.startswith(MAGIC)
    key = str(2**127 if shard.endswith("0") else 0)
    # Whole, but in the other shard: as if it had been packed before a split.
    other = split.kinesis.client.put_record(StreamName=stream, Data=good, PartitionKey="a", ExplicitHashKey=key)
    message = bytes(MAGIC) + b"\x1a\xff\xff\xff\xff\x0f"
    broken = [good[:-1] + bytes([good[-1] ^ 1]), message + hashlib.md5(message[4:]).digest(), MAGIC]
    plain = split.kinesis.produce(stream, broken)
    split.db.run(f"CREATE MATERIALIZED VIEW v AS SELECT {PLACE}, kinesis_data FROM {split.relation(stream)}")
    split.refresh()
    split.count_exactly_once(places(produced) | {(*record, 0) for record in plain})
    assert sorted(bytes.fromhex(row) for row in split.db.column("SELECT encode(kinesis_data::bytea, 'hex') FROM v WHERE substr(kinesis_data::bytea, 1, 4) = %s", MAGIC)) == sorted(broken)
    users = records(produced)[shard, number]
    skipped = split.db.rows("SELECT partition_id, position, error_code, error_reason FROM redshift.scan_error JOIN redshift.materialized_view USING (mv_id) WHERE mv = 'v'::regclass")
    assert {row[:3] for row in skipped} == {(other["ShardId"], other["SequenceNumber"], 6)}
    assert sorted(int(row[3].split()[2]) for row in skipped) == list(range(users))
    assert split.db.rows("SELECT sum(scanned) - sum(loaded), sum(skipped) FROM redshift.verify('v')") == [(users, users)]
    assert split.db.value(f"SELECT count(*) FROM {split.relation(stream)} WHERE sequence_number = %s", other["SequenceNumber"]) == 0
    # Who packs for several shards at once says so.
    split.db.run(f"ALTER SERVER {split.schema} OPTIONS (SET deaggregate 'all')")
    assert split.db.value(f"SELECT count(*) FROM {split.relation(stream)} WHERE sequence_number = %s", other["SequenceNumber"]) == users


def test_an_error_names_the_user_record(split, producer):
    stream = split.stream()
    produced = producer.aggregate(stream)
    (_, number), _ = max(records(produced).items(), key=lambda item: item[1])
    split.db.run(f"CREATE MATERIALIZED VIEW v AS SELECT 1 / (CASE WHEN sequence_number = '{number}' AND sub_sequence_number = 1 THEN 0 ELSE 1 END) AS x FROM {split.relation(stream)}")
    with pytest.raises(psycopg.errors.DivisionByZero) as raised:
        split.refresh()
    assert f"sequence number {number}, user record 1" in raised.value.diag.context


def test_auto_refresh(split, producer):
    stream = split.stream(2)
    view(split, stream, options=AUTO + ", batch_records = 10")
    produced = producer.aggregate(stream)
    for _ in range(3):
        produced |= producer.produce(stream, 100)
    wait_until(lambda: len(split.positions()) >= len(produced), 40, f"{len(produced)} user records")
    split.count_exactly_once(places(produced))
    assert rows(split) == produced
    wait_until(lambda: split.db.value("SELECT sum(scanned) FROM redshift.verify('v')") == len(produced))


def test_a_killed_worker_loses_nothing(private_cluster, kinesis, producer):
    from stage import StreamStage

    database = private_cluster().database()
    database.run("CREATE EXTENSION redshift_streaming")
    stage = StreamStage(database, kinesis)
    stream = kinesis.stream(2)
    stage.map(stream, deaggregate="'on'")
    view(stage, stream, options=AUTO + ", batch_records = 10")
    produced = producer.aggregate(stream)
    worker = "SELECT pid FROM redshift.worker_status WHERE pid IS NOT NULL LIMIT 1"
    for _ in range(2):
        wait_until(lambda: stage.db.column(worker), 60, "the worker")
        os.kill(stage.db.column(worker)[0], signal.SIGTERM)
        produced |= producer.produce(stream, 300)
    wait_until(lambda: len(rows(stage)) == len(produced), 60, f"{len(produced)} user records")
    assert rows(stage) == produced
    assert stage.db.value("SELECT count(*) FROM v") == len(produced)


def test_a_split_while_the_library_writes(split, producer):
    """It learns of the split by records that come to other shards than it meant, and writes those again that do not belong there."""
    stream = split.stream(1)
    view(split, stream)
    first = producer.next
    producer.aggregate(stream)
    split.kinesis.split(stream, "shardId-000000000000")
    producer.produce(stream, 500)
    split.refresh()
    split.refresh()
    found = split.db.column("SELECT (data['n'])::int FROM v")
    assert set(found) == set(range(first, producer.next))
    assert split.db.value("SELECT bool_and(ok) FROM redshift.verify('v')")
