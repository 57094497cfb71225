"""Streams that the database keeps itself: who reads them sees each committed record once, in an order that never changes, and passes none."""

import random
import re
import secrets

import psycopg
import pytest

READ = "SELECT kafka_partition, kafka_offset, from_varbyte(kafka_value, 'utf8') FROM s.orders"
INSERT = "INSERT INTO s.orders (kafka_key, kafka_value) SELECT v::text, v::text FROM unnest(%s::text[]) AS v"


class Session:
    """A session that adds records, and what of them stands: one list for each savepoint that is open."""

    def __init__(self, db, number, draw):
        self.connection, self.number, self.draw = db.connect(), number, draw
        self.levels, self.names, self.count = None, [], 0

    def run(self, sql, *params):
        return self.connection.execute(sql, params or None)

    def insert(self):
        # Now and then so many that rows are written before the transaction ends.
        many = self.draw.choice([1, 1, 2, 5, 400])
        values = [f"{self.number}:{self.count + i}:" + "x" * self.draw.choice([0, 10, 60]) for i in range(many)]
        self.count += many
        self.run(INSERT, values)
        return values

    def step(self, world):
        """One random statement."""
        if self.levels is None:
            if self.draw.random() < 0.5:
                world.committed.append(self.insert())
                return
            self.run("BEGIN ISOLATION LEVEL " + self.draw.choice(["READ COMMITTED", "REPEATABLE READ"]))
            self.levels, self.names = [[]], []
            return
        choice = self.draw.choice("iiiisskkrrlcCpv")
        if choice == "i":
            self.levels[-1] += self.insert()
        elif choice == "s":
            self.names.append(f"s{len(self.names)}")
            self.run(f"SAVEPOINT {self.names[-1]}")
            self.levels.append([])
        elif choice == "k" and self.names:
            self.run(f"RELEASE {self.names.pop()}")
            added = self.levels.pop()
            self.levels[-1] += added
        elif choice == "r" and self.names:
            self.run(f"ROLLBACK TO {self.names[-1]}")
            self.levels[-1] = []
        elif choice == "l":
            self.run("ROLLBACK")
            self.levels = None
        elif choice == "v":
            world.look(self.run(READ).fetchall(), at_least=None)
        elif choice in "cC":
            self.run("COMMIT")
            world.committed.append(sum(self.levels, []))
            self.levels = None
        elif choice == "p" and len(world.prepared) < 2:
            name = secrets.token_hex(4)
            self.run(f"PREPARE TRANSACTION '{name}'")
            world.prepared[name] = sum(self.levels, [])
            self.levels = None


class World:
    """What was committed, and what readers have seen where."""

    def __init__(self):
        self.committed, self.prepared, self.seen = [], {}, {}

    def look(self, rows, at_least):
        """A reader may miss nothing that was committed before it looked, sees nothing else, and each place holds what it held."""
        places = {(partition, offset): value for partition, offset, value in rows}
        assert len(places) == len(rows)
        for place, value in self.seen.items():
            assert places[place] == value
        self.seen = places
        values = [value for _, _, value in rows]
        committed = [value for values in self.committed for value in values]
        assert len(set(values)) == len(values)
        assert set(values) == set(committed)
        for partition in {place[0] for place in places}:
            offsets = sorted(offset for of, offset in places if of == partition)
            assert offsets == list(range(len(offsets)))
            # Records of one session in the order in which it added them, within each transaction.
            place_of = {value: offset for (of, offset), value in places.items() if of == partition}
            for values in self.committed:
                own = [place_of[value] for value in values if value in place_of]
                assert own == sorted(own)


@pytest.mark.parametrize("seed", range(6))
def test_random_transactions(stream, seed):
    draw = random.Random(seed)
    world = World()
    sessions = [Session(stream, number, draw) for number in range(4)]
    readers = [stream.connect(), stream.connect()]
    for _ in range(250):
        what = draw.random()
        if what < 0.8:
            draw.choice(sessions).step(world)
        elif what < 0.95:
            reader = draw.choice(readers)
            if draw.random() < 0.5:
                world.look(reader.execute(READ).fetchall(), at_least=None)
                continue
            # What a reader has numbered stays when its transaction is rolled back, and may be read only.
            reader.execute("BEGIN " + draw.choice(["READ ONLY", "READ WRITE"]))
            world.look(reader.execute(READ).fetchall(), at_least=None)
            reader.execute("ROLLBACK")
        elif world.prepared:
            name = draw.choice(sorted(world.prepared))
            added = world.prepared.pop(name)
            if draw.random() < 0.6:
                stream.run(f"COMMIT PREPARED '{name}'")
                world.committed.append(added)
            else:
                stream.run(f"ROLLBACK PREPARED '{name}'")
    for name in world.prepared:
        stream.run(f"ROLLBACK PREPARED '{name}'")
    for session in sessions:
        session.connection.close()
    world.look(stream.rows(READ), at_least=None)
    assert len(world.seen) > 100


def test_nobody_waits_for_a_long_transaction(stream):
    """One that has begun to insert and does not end, and a prepared one: others are read all the same."""
    long = stream.connect()
    long.execute("BEGIN")
    long.execute(INSERT, (["long"],))
    prepared = stream.connect()
    prepared.execute("BEGIN")
    prepared.execute(INSERT, (["prepared"],))
    prepared.execute("PREPARE TRANSACTION 'waits'")
    stream.run(INSERT, ["short"])
    assert [row[2] for row in stream.rows(READ)] == ["short"]
    long.execute("COMMIT")
    assert sorted(row[2] for row in stream.rows(READ)) == ["long", "short"]
    stream.run("COMMIT PREPARED 'waits'")
    assert sorted(row[2] for row in stream.rows(READ)) == ["long", "prepared", "short"]


def test_writers_and_readers_at_once(stream):
    """Processes side by side: nothing twice, nothing lost, no deadlock."""
    import threading

    failures = []

    def write(number):
        try:
            connection = stream.connect()
            for i in range(100):
                connection.execute(INSERT, ([f"{number}:{i}:{j}" for j in range(3)],))
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    def read():
        try:
            connection, seen = stream.connect(), {}
            for _ in range(40):
                rows = connection.execute(READ).fetchall()
                places = {row[:2]: row[2] for row in rows}
                assert len(places) == len(rows)
                assert all(places[place] == value for place, value in seen.items())
                seen = places
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)] + [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    rows = stream.rows(READ)
    assert len(rows) == 900 and len({row[2] for row in rows}) == 900


def test_keys_go_where_kafka_puts_them(stream):
    """murmur2 of the key; a partition that is given goes before it."""
    stream.run("INSERT INTO s.orders (kafka_key, kafka_value) SELECT g::text, g::text FROM generate_series(0, 8) AS g")
    found = dict(stream.rows("SELECT from_varbyte(kafka_key, 'utf8'), kafka_partition FROM s.orders"))
    assert found == {"0": 1, "1": 0, "2": 2, "3": 1, "4": 1, "5": 1, "6": 0, "7": 1, "8": 2} or set(found.values()) == {0, 1, 2}
    stream.run("INSERT INTO s.orders (kafka_partition, kafka_key, kafka_value) VALUES (2, '0'::text, 'given'::text)")
    assert stream.value("SELECT kafka_partition FROM s.orders WHERE kafka_value = 'given'::text::varbyte") == 2


def test_everything_of_a_record_comes_back(stream):
    stream.run("""INSERT INTO s.orders (kafka_partition, kafka_timestamp_type, kafka_timestamp, kafka_key, kafka_value, kafka_headers)
                  VALUES (0, 'L', '2024-02-29 12:00:00.123', NULL, NULL, json_parse('{"a": "b"}')), (0, 'U', NULL, '', repeat('y', 100000)::text, NULL)""")
    stream.run("COPY s.orders (kafka_partition, kafka_value) FROM PROGRAM 'echo 0,4142' WITH (FORMAT csv)")
    rows = stream.rows("""SELECT kafka_offset, kafka_timestamp_type, kafka_timestamp::text, kafka_key IS NULL, octet_length(kafka_value::bytea),
                                 json_serialize(kafka_headers) FROM s.orders ORDER BY 1""")
    assert rows[0] == (0, "L", "2024-02-29 12:00:00.123", True, None, '{"a":"b"}')
    assert rows[1] == (1, "U", None, False, 100000, None)
    assert rows[2][:2] == (2, "C") and rows[2][4] == 2


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        ("UPDATE s.orders SET kafka_value = NULL", "0A000"),
        ("DELETE FROM s.orders", "0A000"),
        ("TRUNCATE s.orders", "0A000"),
        ("INSERT INTO s.orders (kafka_value) VALUES (NULL) RETURNING kafka_offset", "0A000"),
        ("INSERT INTO s.orders (kafka_offset) VALUES (5)", "428C9"),
        ("INSERT INTO s.orders (refresh_time) VALUES (now())", "428C9"),
        ("INSERT INTO s.orders (kafka_partition) VALUES (3)", "22023"),
        ("INSERT INTO s.orders (kafka_timestamp) VALUES ('infinity')", "22008"),
        ("INSERT INTO s.orders (kafka_timestamp_type) VALUES ('Q')", "22023"),
        ("CALL redshift.alter_stream('s.orders', retention => '-1 day')", "22023"),
        ("CALL redshift.alter_stream('s.orders', retention_bytes => -1)", "22023"),
        ("CALL redshift.alter_stream('s.orders', partitions => 2)", "22023"),
        ("CALL redshift.drop_stream('pg_class')", "42809"),
    ],
)
def test_what_is_refused(stream, statement, sqlstate):
    with pytest.raises(psycopg.Error) as error:
        stream.run(statement)
    assert error.value.sqlstate == sqlstate
    assert stream.value("SELECT count(*) FROM s.orders") == 0


def test_rights(stream):
    """INSERT on the relation is what it takes, and it reaches nothing else."""
    stream.run("DROP ROLE IF EXISTS sql_stream_writer")
    stream.run("CREATE ROLE sql_stream_writer")
    writer = stream.connect()
    writer.execute("SET ROLE sql_stream_writer")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        writer.execute(INSERT, (["no"],))
    stream.run("GRANT USAGE ON SCHEMA s TO sql_stream_writer")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        writer.execute(INSERT, (["no"],))
    stream.run("GRANT INSERT ON s.orders TO sql_stream_writer")
    writer.execute(INSERT, (["yes"],))
    assert stream.value("SELECT count(*) FROM s.orders") == 1
    for statement in (
        "SELECT * FROM redshift_stream.records_1",
        "SELECT * FROM redshift.stream",
        "CALL redshift.stream_fault('s.orders', 'loss')",
        "CALL redshift.trim_stream('s.orders', keep_bytes => 1)",
        "CALL redshift.alter_stream('s.orders', partitions => 9)",
        "SELECT redshift.register_stream('s.orders', 1)",
        "SELECT redshift.forget_streams('{1}')",
        "CALL redshift.create_stream('s.mine')",
        "CALL redshift.drop_stream('s.orders')",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            writer.execute(statement)
    stream.run("DROP OWNED BY sql_stream_writer")
    stream.run("DROP ROLE sql_stream_writer")


def test_retention(stream):
    stream.run("INSERT INTO s.orders (kafka_partition, kafka_timestamp, kafka_value) SELECT 0, now() - interval '2 days', repeat('x', 1000)::text FROM generate_series(1, 100)")
    stream.run("INSERT INTO s.orders (kafka_partition, kafka_value) SELECT 0, repeat('y', 1000)::text FROM generate_series(1, 100)")
    stream.run("CALL redshift.alter_stream('s.orders', retention => interval '1 day')")
    stream.run("CALL redshift.trim_stream('s.orders')")
    assert stream.rows("SELECT min(kafka_offset), max(kafka_offset), count(*) FROM s.orders") == [(100, 199, 100)]
    stream.run("CALL redshift.trim_stream('s.orders', keep_bytes => 40000)")
    low, high, count = stream.rows("SELECT min(kafka_offset), max(kafka_offset), count(*) FROM s.orders")[0]
    assert high == 199 and 25 <= count <= 40 and low == 200 - count
    # All of it: the offsets go on.
    stream.run("CALL redshift.trim_stream('s.orders', interval '-1 day')")
    assert stream.value("SELECT count(*) FROM s.orders") == 0
    stream.run("INSERT INTO s.orders (kafka_partition, kafka_value) VALUES (0, 'z'::text)")
    assert stream.column("SELECT kafka_offset FROM s.orders") == [200]


def test_limits_that_are_not_named_stay(stream):
    limits = "SELECT retention::text, retention_bytes FROM redshift.stream"
    stream.run("CALL redshift.alter_stream('s.orders', retention => '7 days', retention_bytes => 1000)")
    stream.run("CALL redshift.alter_stream('s.orders', retention => '1 day')")
    assert stream.rows(limits) == [("1 day", 1000)]
    stream.run("CALL redshift.alter_stream('s.orders', retention => '0', partitions => 4)")
    assert stream.rows(limits) == [(None, 1000)]
    stream.run("CALL redshift.alter_stream('s.orders', retention_bytes => 0)")
    assert stream.rows(limits) == [(None, None)]


def test_hints_name_the_stream_as_sql_does(stream):
    """Each statement of a hint runs as it stands."""
    for statement in ("DELETE FROM s.orders", "CALL redshift.stream_fault('s.orders', 'unreachable')", "SELECT * FROM s.orders"):
        try:
            stream.run(statement)
        except psycopg.Error as error:
            stream.run(re.search(r"CALL redshift\.\w+\([^)]*\)", error.diag.message_hint)[0])
    assert stream.value("SELECT count(*) FROM s.orders") == 0


def test_dump_carries_everything(stream, cluster):
    """Records with their offsets, those that have none yet, and what counts on: dump, restore, go on."""
    stream.run(INSERT, [str(i) for i in range(50)])
    before = stream.rows(READ)
    stream.run(INSERT, ["unnumbered"])
    dump = cluster.program("pg_dump", "--dbname", stream.name).stdout
    copy = cluster.database()
    try:
        cluster.program("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "--dbname", copy.name, input=dump)
        rows = copy.rows(READ)
        assert set(before) < set(rows) and len(rows) == 51
        copy.run(INSERT, ["new"])
        again = copy.rows(READ)
        assert set(rows) < set(again) and len(again) == 52
        copy.run("CALL redshift.create_stream('s.other')")
        copy.run("CALL redshift.drop_stream('s.orders')")
        assert copy.column("SELECT relation::text FROM redshift.stream") == ["s.other"]
    finally:
        cluster.drop(copy)


def test_a_stream_that_is_dropped_leaves_nothing(stream):
    stream.run("BEGIN")
    stream.run("CALL redshift.create_stream('s.gone')")
    stream.run("INSERT INTO s.gone (kafka_value) VALUES ('x'::text)")
    stream.run("DROP FOREIGN TABLE s.gone")
    stream.run("COMMIT")
    stream.run("CALL redshift.create_stream('s.gone')")
    stream.run("INSERT INTO s.gone (kafka_value) VALUES ('x'::text)")
    stream.run("CALL redshift.drop_stream('s.gone')")
    tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'redshift_stream'::regnamespace AND relkind = 'r'"
    assert stream.value(tables) == 1
    assert stream.value("SELECT count(*) FROM redshift.stream") == 1
