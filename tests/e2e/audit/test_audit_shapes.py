"""Relations of streams with other columns than their service has: refused where they are made and wherever they are read, and never a crash."""

import json
import os
import random
import secrets

import psycopg
import pytest
from stage import wait_until
from test_auto_refresh import AUTO, status

TOPIC = {
    "kafka_partition": "bigint", "kafka_offset": "bigint", "kafka_timestamp_type": "char(1)", "kafka_timestamp": "timestamp",
    "kafka_key": "varbyte", "kafka_value": "varbyte", "kafka_headers": "super", "refresh_time": "timestamp",
}
STREAM = {
    "approximate_arrival_timestamp": "timestamp", "partition_key": "varchar(256)", "shard_id": "char(20)", "sequence_number": "varchar(128)",
    "refresh_time": "timestamp", "kinesis_data": "varbyte",
}
PREVIEW = {
    "approximatearrivaltimestamp": "timestamp", "partitionkey": "varchar(256)", "shardid": "char(20)", "sequencenumber": "varchar(128)",
    "refresh_time": "timestamp", "data": "varbyte",
}
# What a hostile user may choose. The types of his own have the names of ours, or are domains and arrays of the right ones.
TYPES = [
    "boolean", "smallint", "int", "bigint", "numeric", "real", "float8", "money", "oid", "xid8", "tid", "name", "text", "varchar", "varchar(10)", "varchar(256)",
    "varchar(257)", "varchar(128)", "char", "char(1)", "char(2)", "char(20)", '"char"', "bytea", "bit", "bit varying", "uuid", "date", "time", "timetz", "timestamp",
    "timestamp(0)", "timestamptz", "interval", "json", "jsonb", "xml", "inet", "macaddr", "point", "box", "polygon", "tsvector", "int4range", "regclass",
    "pg_lsn", "txid_snapshot", "bigint[]", "text[]", "varbyte", "varbyte(10)", "super", "super[]", "varbyte[]", "evil.super", "evil.varbyte", "evil.int8",
    "evil.id", "evil.bytes", "evil.doc", "evil.pair", "evil.mood", "evil.super[]",
]
SAME = {"char": "char(1)"}
# As format_type has them.
LONG = {"bigint": "bigint", "char(1)": "character(1)", "char(20)": "character(20)", "timestamp": "timestamp without time zone", "varbyte": "varbyte", "super": "super",
        "varchar(256)": "character varying(256)", "varchar(128)": "character varying(128)"}
EVIL = """
    CREATE SCHEMA evil;
    CREATE TYPE evil.super AS ENUM ('a', 'b');
    CREATE DOMAIN evil.varbyte AS bytea;
    CREATE TYPE evil.int8 AS (x bigint);
    CREATE DOMAIN evil.id AS bigint;
    CREATE DOMAIN evil.bytes AS varbyte;
    CREATE DOMAIN evil.doc AS super;
    CREATE TYPE evil.pair AS (a text, b text);
    CREATE TYPE evil.mood AS ENUM ('sad', 'ok');
"""
REFUSED = ("42804", "HV005")


@pytest.fixture(scope="module", autouse=True)
def evil(db):
    db.run(EVIL)


def create(stage, name, columns, server=None, option="topic", stream=None, tail=""):
    listed = ", ".join(f"{column} {kind}" for column, kind in columns.items())
    stage.db.run(f"CREATE FOREIGN TABLE {name} ({listed}) {tail} SERVER {server or stage.schema} OPTIONS ({option} '{stream}')")


def refused(stage, sql, code, *texts):
    """The statement is refused with this SQLSTATE; the message names all of it."""
    with pytest.raises(psycopg.Error) as error:
        stage.db.run(sql)
    assert error.value.sqlstate == code, (sql, error.value)
    for text in texts:
        assert text in str(error.value), (sql, str(error.value))


def give_type(stage, relation, column, kind):
    """What no statement does: the catalogue says that a column has another type, as a table of an older release, or a library that was not loaded, may have it."""
    stage.db.run(f"DROP TABLE IF EXISTS donor; CREATE TABLE donor (x {kind})")
    stage.db.run(
        "UPDATE pg_attribute a SET atttypid = d.atttypid, atttypmod = d.atttypmod, attlen = d.attlen, attbyval = d.attbyval, attalign = d.attalign, "
        "attstorage = d.attstorage, attcollation = d.attcollation, attndims = d.attndims FROM pg_attribute d "
        "WHERE d.attrelid = 'donor'::regclass AND d.attnum = 1 AND a.attrelid = %s::regclass AND a.attname = %s",
        relation, column,
    )


def give_name(stage, relation, column, name):
    stage.db.run("UPDATE pg_attribute SET attname = %s WHERE attrelid = %s::regclass AND attname = %s", name, relation, column)


@pytest.fixture
def topic(stage):
    it = stage.topic(2)
    stage.expected = stage.kafka.produce(
        it, [{"value": b"\xff" * 40 + str(n).encode(), "key": b"k" * n, "partition": n % 2, "headers": [("h", b"v")]} for n in range(10)]
    )
    return it


# --- where a relation is made


@pytest.mark.parametrize("column", TOPIC)
def test_a_topics_column_has_one_type(stage, topic, column):
    for kind in TYPES:
        if SAME.get(kind, kind) == TOPIC[column]:
            continue
        columns = TOPIC | {column: kind}
        with pytest.raises(psycopg.errors.DatatypeMismatch) as error:
            create(stage, "t", columns, stream=topic)
        assert f'column "{column}"' in str(error.value), error.value
    create(stage, "t", {column: TOPIC[column]}, stream=topic)
    assert stage.db.value(f"SELECT count({column}) FROM t") == (9 if column == "kafka_key" else 10) + (column == "kafka_key")


@pytest.mark.parametrize("columns", [STREAM, PREVIEW], ids=["columns", "preview"])
def test_a_streams_column_has_one_type(streams, columns):
    stream = streams.stream()
    produced = streams.kinesis.produce(stream, [b"x"] * 3)
    for column, right in columns.items():
        for kind in TYPES:
            if SAME.get(kind, kind) == right:
                continue
            with pytest.raises(psycopg.errors.DatatypeMismatch) as error:
                create(streams, "t", {column: kind}, option="stream", stream=stream)
            assert f'column "{column}"' in str(error.value), error.value
    create(streams, "t", columns, option="stream", stream=stream)
    names = list(columns)
    assert set(streams.db.rows(f"SELECT {names[2]}, {names[3]} FROM t")) == produced


def test_the_message_says_what_would_be_right(stage, topic):
    refused(stage, f"CREATE FOREIGN TABLE t (kafka_offset text) SERVER {stage.schema} OPTIONS (topic '{topic}')", "42804",
            'column "kafka_offset"', "has type text", "bigint")
    refused(stage, f"CREATE FOREIGN TABLE t (kafka_offse bigint) SERVER {stage.schema} OPTIONS (topic '{topic}')", "HV005",
            'column "kafka_offse"', "kafka_offset")
    refused(stage, f"CREATE FOREIGN TABLE t (kafka_offset bigint GENERATED ALWAYS AS (1) STORED) SERVER {stage.schema} OPTIONS (topic '{topic}')", "42804", "generated")


def test_services_have_no_columns_of_each_other(stage, topic, kinesis):
    for column in set(STREAM) | set(PREVIEW):
        if column not in TOPIC:
            kind = (STREAM | PREVIEW)[column]
            refused(stage, f"CREATE FOREIGN TABLE t (kafka_offset bigint, {column} {kind}) SERVER {stage.schema} OPTIONS (topic '{topic}')", "HV005", f'"{column}"')


def test_a_stream_has_no_columns_of_a_topic(streams):
    stream = streams.stream()
    for column, kind in TOPIC.items():
        if column not in STREAM:
            with pytest.raises(psycopg.Error, match=column) as error:
                create(streams, "t", {"shard_id": "char(20)", column: kind}, option="stream", stream=stream)
            assert error.value.sqlstate == "HV005"


def test_the_place_in_an_aggregated_record_is_there_where_records_are_taken_apart(streams):
    stream = streams.stream()
    relation = streams.relation(stream)
    refused(streams, f"ALTER FOREIGN TABLE {relation} ADD COLUMN sub_sequence_number bigint", "HV005", "sub_sequence_number")
    streams.db.run(f"ALTER SERVER {streams.schema} OPTIONS (ADD deaggregate 'on')")
    streams.db.run(f"ALTER FOREIGN TABLE {relation} ADD COLUMN sub_sequence_number bigint")
    streams.kinesis.produce(stream, [b"x"] * 3)
    assert streams.db.column(f"SELECT sub_sequence_number FROM {relation}") == [0, 0, 0]
    streams.db.run(f"ALTER SERVER {streams.schema} OPTIONS (SET deaggregate 'off')")
    refused(streams, f"SELECT shard_id FROM {relation}", "HV005", "sub_sequence_number")


# --- where it is altered


@pytest.mark.parametrize("sql, code", [
    ("ALTER FOREIGN TABLE {0} RENAME kafka_value TO payload", "HV005"),
    ("ALTER TABLE {0} RENAME COLUMN kafka_offset TO kafka_partitio", "HV005"),
    ("ALTER FOREIGN TABLE {0} ADD COLUMN note text", "HV005"),
    ("ALTER FOREIGN TABLE {0} ADD COLUMN note text DEFAULT 'x' NOT NULL", "HV005"),
    ("ALTER FOREIGN TABLE {0} ALTER kafka_offset TYPE text", "42804"),
    ("ALTER TABLE {0} ALTER kafka_value TYPE bytea", "42804"),
    ("ALTER FOREIGN TABLE {0} ALTER kafka_value TYPE varbyte(10)", "42804"),
    ("ALTER FOREIGN TABLE {0} ALTER kafka_headers TYPE jsonb", "42804"),
    ("ALTER FOREIGN TABLE {0} ALTER kafka_timestamp TYPE timestamptz", "42804"),
    ("ALTER FOREIGN TABLE {0} ALTER refresh_time TYPE evil.id", "42804"),
    ("ALTER FOREIGN TABLE {0} DROP kafka_key, ADD kafka_key text", "42804"),
])
def test_alter_cannot_break_a_relation(stage, topic, sql, code):
    refused(stage, sql.format(stage.relation(topic)), code)
    assert stage.db.value(f"SELECT count(*) FROM {stage.relation(topic)} WHERE kafka_value IS NOT NULL") == 10


def test_names_that_change_places_keep_their_types(stage, topic):
    """Two renames that end with the right names and the right types are several statements: the first one leaves a name that nobody knows."""
    relation = stage.relation(topic)
    refused(stage, f"ALTER FOREIGN TABLE {relation} RENAME kafka_key TO x", "HV005")
    stage.db.run(f"ALTER FOREIGN TABLE {relation} DROP kafka_key, DROP kafka_headers")
    stage.db.run(f"ALTER FOREIGN TABLE {relation} ADD kafka_headers super, ADD kafka_key varbyte")
    assert stage.db.rows(f"SELECT kafka_headers['h']::varchar, octet_length(kafka_key::bytea) FROM {relation} WHERE kafka_offset = 4 AND kafka_partition = 1") == [("v", 9)]


def test_parents_cannot_break_their_children(stage, topic):
    columns = ", ".join(f"{column} {kind}" for column, kind in reversed(TOPIC.items()))
    stage.db.run(f"CREATE TABLE parent ({columns})")
    stage.db.run(f"CREATE FOREIGN TABLE child () INHERITS (parent) SERVER {stage.schema} OPTIONS (topic '{topic}')")
    for sql, code in [
        ("ALTER TABLE parent ALTER kafka_offset TYPE text", "42804"), ("ALTER TABLE parent ADD COLUMN note text", "HV005"),
        ("ALTER TABLE parent RENAME kafka_key TO k", "HV005"), ("ALTER TABLE parent ALTER kafka_value TYPE bytea", "42804"),
    ]:
        refused(stage, sql, code, "child")
    assert stage.db.value("SELECT count(*) FROM parent WHERE kafka_value IS NOT NULL") == 10


def test_children_and_partitions_have_attribute_numbers_of_their_own(stage, topic):
    stage.db.run("CREATE TABLE whole (kafka_offset bigint, kafka_value varbyte, kafka_partition bigint) PARTITION BY LIST (kafka_partition)")
    stage.db.run("CREATE TABLE other PARTITION OF whole DEFAULT")
    stage.db.run(f"CREATE FOREIGN TABLE part (refresh_time timestamp, kafka_partition bigint, kafka_key varbyte, kafka_value varbyte, kafka_offset bigint) "
                 f"SERVER {stage.schema} OPTIONS (topic '{topic}')")
    stage.db.run("ALTER FOREIGN TABLE part DROP refresh_time, DROP kafka_key")
    stage.db.run("ALTER TABLE whole ATTACH PARTITION part FOR VALUES IN (1)")
    assert stage.db.rows("SELECT kafka_offset, substr(kafka_value::bytea, 41) FROM whole WHERE kafka_partition = 1 ORDER BY 1") == [(n, str(2 * n + 1).encode()) for n in range(5)]
    # A foreign partition is not asked for its bounds: it has the topic's other partition too.
    assert stage.db.value("SELECT count(w) FROM whole w WHERE w.kafka_offset = 3") == 2


def test_an_imported_schema_is_as_it_should_be(stage, topic):
    stage.db.run("CREATE SCHEMA imported")
    stage.db.run(f'IMPORT FOREIGN SCHEMA "x" LIMIT TO ("{topic}") FROM SERVER {stage.schema} INTO imported')
    assert stage.db.value(f'SELECT count(*) FROM imported."{topic}"') == 10
    stage.db.run("DROP SCHEMA imported CASCADE")


# --- where it is read


def broken(stage, topic, column="kafka_offset", kind="text"):
    relation = stage.relation(topic)
    give_type(stage, relation, column, kind)
    return relation


@pytest.mark.parametrize("kind", ["text", "numeric", "uuid", "bit varying", "int", "evil.super", "varbyte", "bigint[]", "evil.id"])
def test_a_relation_with_other_types_is_not_read(stage, topic, kind):
    relation = broken(stage, topic, kind=kind)
    for sql in (f"SELECT * FROM {relation}", f"SELECT kafka_offset FROM {relation}", f"SELECT kafka_partition FROM {relation}", f"SELECT count(*) FROM {relation}",
                f"SELECT t FROM {relation} t", f"EXPLAIN SELECT * FROM {relation}", f"SELECT * FROM {relation} FOR UPDATE",
                f"CREATE MATERIALIZED VIEW w AS SELECT kafka_partition FROM {relation}"):
        refused(stage, sql, "42804", "kafka_offset")


def test_a_column_of_an_unknown_name_is_not_null(stage, topic):
    stage.view(topic)
    stage.refresh()
    before = stage.db.rows("SELECT partition_id, position FROM redshift.visible_checkpoint WHERE mv = 'v'::regclass ORDER BY 1")
    relation = stage.relation(topic)
    give_name(stage, relation, "kafka_value", "payload")
    stage.kafka.produce(topic, [b"later"] * 5)
    refused(stage, f"SELECT payload FROM {relation}", "HV005", "payload")
    refused(stage, "REFRESH MATERIALIZED VIEW v", "HV005", "payload")
    assert stage.db.rows("SELECT partition_id, position FROM redshift.visible_checkpoint WHERE mv = 'v'::regclass ORDER BY 1") == before
    # It is mended step by step.
    give_type(stage, relation, "kafka_key", "text")
    stage.db.run(f"ALTER FOREIGN TABLE {relation} RENAME payload TO kafka_value")
    refused(stage, f"SELECT kafka_value FROM {relation}", "42804", "kafka_key")
    give_type(stage, relation, "kafka_key", "varbyte")
    stage.refresh()
    assert stage.db.value("SELECT count(*) FROM v WHERE kafka_value IS NOT NULL") == 15


def test_prepared_plans_do_not_outlive_a_relations_columns(stage, topic):
    relation = stage.relation(topic)
    with stage.connect(prepare_threshold=None) as session:
        session.execute(f"PREPARE p AS SELECT kafka_offset, kafka_value FROM {relation}")
        for _ in range(7):
            assert len(session.execute("EXECUTE p").fetchall()) == 10
        give_type(stage, relation, "kafka_value", "uuid")
        with pytest.raises(psycopg.Error) as error:
            session.execute("EXECUTE p")
        assert error.value.sqlstate in ("42804", "0A000")
        give_type(stage, relation, "kafka_value", "varbyte")
        assert len(session.execute("EXECUTE p").fetchall()) == 10


def test_a_cursor_goes_on_with_what_it_began_with(stage, topic):
    relation = stage.relation(topic)
    stage.db.run("BEGIN")
    stage.db.run(f"DECLARE c CURSOR FOR SELECT * FROM {relation}")
    assert len(stage.db.rows("FETCH 3 FROM c")) == 3
    give_type(stage, relation, "kafka_value", "text")
    stage.db.run("SAVEPOINT a")
    refused(stage, f"SELECT * FROM {relation}", "42804")
    stage.db.run("ROLLBACK TO a")
    assert len(stage.db.rows("FETCH ALL FROM c")) == 7
    stage.db.run("ROLLBACK")


def test_auto_refresh_over_broken_columns_waits_and_says_why(stage, topic):
    stage.view(topic, options=AUTO)
    wait_until(lambda: stage.db.value("SELECT count(*) FROM v") == 10, what="loading")
    pid = stage.db.value("SELECT pid FROM redshift.worker_status WHERE mv_name = 'v'")
    relation = broken(stage, topic, "kafka_value", "bit varying")
    stage.kafka.produce(topic, [b"later"] * 5)
    wait_until(lambda: (status(stage)[0], "kafka_value" in (status(stage)[1] or "")) == ("retrying", True), what="the error")
    give_type(stage, relation, "kafka_value", "varbyte")
    wait_until(lambda: stage.db.value("SELECT count(*) FROM v") == 15, what="loading")
    assert stage.db.value("SELECT pid FROM redshift.worker_status WHERE mv_name = 'v'") == pid


def test_whole_rows_and_system_columns(stage, topic):
    relation = stage.relation(topic)
    stage.db.run(f"ALTER FOREIGN TABLE {relation} DROP kafka_key")
    rows = stage.db.rows(f"SELECT to_jsonb(t)->>'kafka_offset', tableoid::regclass::text, (t).kafka_headers['h']::varchar FROM {relation} t WHERE kafka_partition = 0")
    assert sorted(rows) == [(str(n), relation.replace('"', ""), "v") for n in range(5)]
    assert len(stage.db.rows(f"SELECT * FROM {relation} FOR UPDATE")) == 10


# --- text from a service


def records_are(proxy, change):
    """The proxy gives records that are changed so."""

    def rule(action, request, answer):
        if action == "GetRecords":
            for record in answer["Records"]:
                change(record)

    proxy.after.append(rule)


def test_a_partition_key_with_nul_is_text(faulty, proxy):
    stream = faulty.stream()
    produced = faulty.kinesis.produce(stream, [b"x"] * 3, keys=["a", "b", "c"])
    keys = {"a": "a\0", "b": "\0" * 256, "c": "\ufffd"}
    records_are(proxy, lambda record: record.update(PartitionKey=keys[record["PartitionKey"]]))
    assert sorted(faulty.db.column(f"SELECT partition_key FROM {faulty.relation(stream)}")) == sorted(["a\ufffd", "\ufffd" * 256, "\ufffd"])
    faulty.view(stream, columns="shard_id, sequence_number, partition_key, kinesis_data")
    faulty.refresh()
    faulty.count_exactly_once(produced)
    assert faulty.db.value("SELECT bool_and(convert_from(convert_to(partition_key, 'UTF8'), 'UTF8') = partition_key) FROM v")


def test_a_partition_key_that_is_too_long_is_skipped_and_logged(faulty, proxy):
    stream = faulty.stream()
    produced = faulty.kinesis.produce(stream, [b"x"] * 3, keys=["a", "b", "c"])
    keys = {"a": "ä" * 256, "b": "b" * 257, "c": ""}
    records_are(proxy, lambda record: record.update(PartitionKey=keys[record["PartitionKey"]]))
    faulty.view(stream, columns="shard_id, sequence_number, partition_key, kinesis_data")
    faulty.refresh()
    assert sorted(faulty.db.column("SELECT length(partition_key) FROM v")) == [0, 256]
    assert faulty.db.rows("SELECT scanned, loaded, skipped, ok FROM redshift.verify('v')") == [(3, 2, 1, True)]
    [skipped] = faulty.db.rows("SELECT partition_id, position, error_code, error_reason FROM redshift.scan_error JOIN redshift.materialized_view USING (mv_id) WHERE mv = 'v'::regclass")
    assert skipped[:2] in produced and skipped[2] == 1 and "partition key has 257 bytes" in skipped[3]
    with pytest.raises(psycopg.Error, match="partition key") as error:
        faulty.db.rows(f"SELECT * FROM {faulty.relation(stream)}")
    assert error.value.sqlstate == "54000"


@pytest.mark.parametrize("number", ["", "\0", "12a", "1" * 129, "ä", "-1"])
def test_sequence_numbers_that_cannot_be_are_refused(faulty, proxy, number):
    stream = faulty.stream()
    faulty.view(stream)
    faulty.kinesis.produce(stream, [b"x"] * 3)
    records_are(proxy, lambda record: record.update(SequenceNumber=number))
    for sql in (f"SELECT sequence_number FROM {faulty.relation(stream)}", "REFRESH MATERIALIZED VIEW v"):
        refused(faulty, sql, "08P01", "sequence number")
    proxy.clear()
    faulty.refresh()
    assert faulty.db.value("SELECT count(*) FROM v") == 3


@pytest.mark.parametrize("shard", ["", "shard\0", "shardId-0000000000001", "shard 1", "shärd"])
def test_shards_that_cannot_be_are_refused(faulty, proxy, shard):
    stream = faulty.stream()
    faulty.view(stream)

    def rule(action, request, answer):
        if action == "ListShards":
            answer["Shards"].append(answer["Shards"][0] | {"ShardId": shard})

    proxy.after.append(rule)
    statements = [f"SELECT shard_id FROM {faulty.relation(stream)}", "REFRESH MATERIALIZED VIEW v", f"CREATE MATERIALIZED VIEW w AS SELECT * FROM {faulty.relation(stream)}",
                  f"SELECT * FROM redshift.source_status('{faulty.schema}')", "CALL redshift.set_position('v', NULL::text, 'earliest')"]
    for sql in statements:
        refused(faulty, sql, "08P01", "shard")
    proxy.clear()
    faulty.refresh()


# --- a random choice of all that


# The planner itself has seen that `force` has damaged the catalogue: both errors of make_inh_translation_list (appendinfo.c).
DAMAGED = ("does not match parent's type", "could not find inherited attribute")


class Fuzz:
    """Random relations and changes of them. A round ends with reading: rows as they should be, or an error that names the column; never a crash."""

    def __init__(self, stage, columns, option, stream, count, seed):
        self.stage, self.columns, self.option, self.stream, self.count = stage, columns, option, stream, count
        self.random = random.Random(seed)
        # Prepared by the client, a statement would be one of an earlier round's table.
        stage.db.connection.prepare_threshold = None
        self.done = 0

    def name(self):
        known = list(TOPIC) + list(STREAM) + list(PREVIEW) + ["sub_sequence_number", "ctid_", "x", "KAFKA_OFFSET", "kafka_offset "]
        names = list(self.columns) if self.random.random() < 0.8 else known
        return self.random.choice(names)

    def kind(self, name):
        return self.columns.get(name, "text") if self.random.random() < 0.7 else self.random.choice(TYPES)

    def shape(self):
        names = {self.name() for _ in range(self.random.randint(0, 8))}
        return ", ".join(f'"{name}" {self.kind(name)}' for name in names)

    def change(self):
        name, other = self.name(), self.name()
        return self.random.choice([
            f'ALTER FOREIGN TABLE f RENAME "{name}" TO "{other}"', f'ALTER FOREIGN TABLE f DROP "{name}"',
            f'ALTER FOREIGN TABLE f ADD "{name}" {self.kind(name)}', f'ALTER FOREIGN TABLE f ALTER "{name}" TYPE {self.kind(name)}',
            f'ALTER FOREIGN TABLE f DROP "{name}", ADD "{name}" {self.kind(name)}', f'ALTER FOREIGN TABLE f ALTER "{name}" SET NOT NULL',
            f'ALTER FOREIGN TABLE f ALTER "{name}" SET DEFAULT NULL', "ALTER FOREIGN TABLE f INHERIT parent", "ALTER FOREIGN TABLE f NO INHERIT parent",
            f'ALTER TABLE parent ADD "{name}" {self.kind(name)}', f'ALTER TABLE parent ALTER "{name}" TYPE {self.kind(name)}',
        ])

    def force(self):
        """Past the hook."""
        name = self.name()
        if self.random.random() < 0.5:
            give_type(self.stage, "f", name, self.random.choice(TYPES))
        else:
            give_name(self.stage, "f", name, self.name())

    def attempt(self, what, *codes):
        try:
            return what()
        except psycopg.Error as error:
            assert not self.stage.db.connection.broken, f"the server went away: {error}"
            if any(text in str(error) for text in DAMAGED):
                return None
            assert error.sqlstate and error.sqlstate[:2] not in ("XX", "08", "57", "58"), (error.sqlstate, str(error))
            assert not codes or error.sqlstate in codes, (error.sqlstate, str(error))
            return None

    def round(self):
        run = self.stage.db.run
        run("DROP FOREIGN TABLE IF EXISTS f")
        run("DROP TABLE IF EXISTS parent")
        run(f"CREATE TABLE parent ({self.shape()})")
        made = self.attempt(lambda: run(f"CREATE FOREIGN TABLE f ({self.shape()}) SERVER {self.stage.schema} OPTIONS ({self.option} '{self.stream}')"))
        if made is None:
            self.done += 1
            return
        for _ in range(self.random.randint(0, 3)):
            self.attempt(lambda: run(self.change()))
        if self.random.random() < 0.5:
            self.attempt(self.force)
        columns = self.stage.db.rows("SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute "
                                     "WHERE attrelid = 'f'::regclass AND attnum > 0 AND NOT attisdropped")
        fits = all(LONG.get(self.columns.get(name)) == kind for name, kind in columns)
        reads = ["SELECT * FROM f", "SELECT t FROM f t", "SELECT to_jsonb(t) FROM f t", "SELECT * FROM f FOR UPDATE"]
        reads += [f'SELECT "{name}"::text, "{name}" IS NULL FROM f' for name, _ in self.random.sample(columns, min(2, len(columns)))]
        read = self.random.choice(reads)
        if fits:
            rows = self.attempt(lambda: self.stage.db.rows(read), "22021")
            assert rows is None or len(rows) == self.count, read
        else:
            with pytest.raises(psycopg.Error) as error:
                self.stage.db.rows(read)
            assert error.value.sqlstate in (*REFUSED, "42846"), (read, columns, error.value)
        self.attempt(lambda: self.stage.db.rows("SELECT * FROM parent"), *REFUSED)
        self.done += 1
        if self.done % 5000 == 0:
            print(self.done, "rounds", flush=True)


def rounds(short):
    """make audit FUZZ=100000: the long form."""
    return int(os.environ.get("FUZZ") or short)


LONG_FORM = pytest.mark.timeout(120 + rounds(0) // 5)


@LONG_FORM
def test_random_shapes_of_a_topic(stage, topic):
    seed = int(os.environ.get("SEED") or secrets.randbits(32))
    print("seed", seed)
    fuzz = Fuzz(stage, TOPIC, "topic", topic, 10, seed)
    for _ in range(rounds(150)):
        fuzz.round()
    assert stage.db.value(f"SELECT count(*) FROM {stage.relation(topic)}") == 10


@LONG_FORM
def test_random_shapes_of_a_stream(streams):
    stream = streams.stream()
    streams.kinesis.produce(stream, [json.dumps({"n": n}).encode() for n in range(10)])
    seed = int(os.environ.get("SEED") or secrets.randbits(32))
    print("seed", seed)
    fuzz = Fuzz(streams, STREAM | PREVIEW, "stream", stream, 10, seed)
    for _ in range(rounds(80)):
        fuzz.round()
    assert streams.db.value(f"SELECT count(*) FROM {streams.relation(stream)}") == 10
