"""Fixtures: the cluster and the brokers that scripts/test.sh (or make up) started, a database per module, a stage per test."""

import contextlib
import os
import pathlib
import secrets
import subprocess

import psycopg
import pytest
from broker import Kafka
from kinesis import FaultProxy, Kinesis
from stage import Database, Stage, StreamStage

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUN = pathlib.Path(os.environ.get("RUN_DIR", ROOT / ".run")).resolve()


def pytest_addoption(parser):
    parser.addoption("--kafka", choices=["embedded", "apache"], action="append", help="the brokers to test on (default: those that run)")


def brokers(config):
    return config.getoption("--kafka") or [kind for kind in ("embedded", "apache") if (RUN / f"{kind}.bootstrap").exists()]


def pytest_generate_tests(metafunc):
    if "kafka" in metafunc.fixturenames:
        metafunc.parametrize("kafka", brokers(metafunc.config), indirect=True)


def pytest_collection_modifyitems(config, items):
    """A test that needs Apache Kafka is not a skipped test of the embedded broker: it is none. And the other way round."""
    elsewhere = {"embedded": "apache_only", "apache": "embedded_only"}

    def broker(item):
        of_test = item.callspec.params.get("kafka") if hasattr(item, "callspec") else None
        return of_test or next(iter(brokers(config)), "embedded")

    out = [item for item in items if item.get_closest_marker(elsewhere[broker(item)])]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


def read_env(path):
    """The shell lines of an env file."""
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


class Cluster:
    """A running Postgres cluster, with its programs."""

    def __init__(self, run):
        self.run = run
        env = read_env(run / "env")
        self.connect = {"host": env["PGHOST"], "port": env["PGPORT"], "user": env["PGUSER"], "password": env["PGPASSWORD"]}
        self.environment = os.environ | env
        self.bin = next((run / "postgres" / "lib" / "postgresql").glob("*/bin"))

    def administer(self, sql):
        with psycopg.connect(**self.connect, dbname="postgres", autocommit=True) as connection:
            connection.execute(sql)

    def database(self, name=None):
        name = name or "e2e_" + secrets.token_hex(4)
        self.administer(f'CREATE DATABASE "{name}"')
        return Database(name, **self.connect)

    def drop(self, database):
        database.connection.close()
        self.administer(f'DROP DATABASE "{database.name}" WITH (FORCE)')

    def program(self, name, *arguments, check=True, **keywords):
        """Runs a client program such as pg_dump; returns its output."""
        return subprocess.run([self.bin / name, *arguments], env=self.environment, check=check, capture_output=True, text=True, **keywords)


@pytest.fixture(scope="session")
def cluster():
    return Cluster(RUN)


@pytest.fixture(scope="module")
def db(cluster):
    database = cluster.database()
    database.run("CREATE EXTENSION redshift_streaming")
    yield database
    cluster.drop(database)


@pytest.fixture
def kafka(request):
    kind = request.param
    broker = Kafka(kind, (RUN / f"{kind}.bootstrap").read_text().strip(), str(RUN))
    yield broker
    broker.clean_up()


@pytest.fixture
def stage(db, kafka):
    it = Stage(db, kafka)
    yield it
    it.clean_up()


@pytest.fixture
def topic(stage):
    """A topic of 200 records without a relation of its own; the stage knows what to expect."""
    topic = stage.kafka.topic(2)
    stage.expected = stage.kafka.produce(topic, [{"value": str(i).encode(), "partition": i % 2} for i in range(200)])
    return topic


@pytest.fixture
def kinesis():
    service = Kinesis((RUN / "kinesis.endpoint").read_text().strip())
    yield service
    service.clean_up()


@pytest.fixture
def streams(db, kinesis):
    it = StreamStage(db, kinesis)
    yield it
    it.clean_up()


@pytest.fixture
def proxy(kinesis):
    it = FaultProxy(kinesis.endpoint)
    yield it
    it.close()


@pytest.fixture
def faulty(db, kinesis, proxy):
    """As streams, through the proxy."""
    it = StreamStage(db, kinesis, proxy.endpoint)
    yield it
    proxy.clear()
    it.clean_up()


@pytest.fixture
def stream(db):
    """A database with a stream of its own, s.orders."""
    db.run("CALL redshift.create_external_schema('s', source => 'sql')")
    db.run("CALL redshift.create_stream('s.orders', partitions => 3)")
    yield db
    db.run("SET client_min_messages = error")
    db.run("DROP SCHEMA s CASCADE")
    db.run("RESET client_min_messages")


@pytest.fixture
def role(db):
    """Makes roles that go away with the test."""
    made = []

    def make(attributes="LOGIN"):
        name = "role_" + secrets.token_hex(4)
        db.run(f"CREATE ROLE {name} {attributes}")
        made.append(name)
        return name

    yield make
    db.run("RESET ROLE")
    for name in made:
        db.run(f"DROP OWNED BY {name} CASCADE")
        db.run(f"DROP ROLE {name}")


def configure(cluster, settings):
    """Sets what stands in postgresql.conf (ALTER SYSTEM cannot write an empty list) and restarts."""
    with open(cluster.run / "data" / "postgresql.conf", "a", encoding="ascii") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
    cluster.restart()


@pytest.fixture
def private_cluster():
    """A cluster of the test's own, to stop, break and configure: called with settings of postgresql.conf. It survives crashes of the server,
    not of the machine: without fsync such a test takes half the time."""
    with private_clusters() as start:
        yield start


@contextlib.contextmanager
def private_clusters():
    started = []

    def start(**settings):
        run = RUN / f"private-{len(started)}"
        lines = "\n".join(f"{name} = '{value}'" for name, value in ({"fsync": "off"} | settings).items())
        # Away from the suite's own cluster, and from those of another run on this machine.
        port = str(int(os.environ.get("PGPORT_WANTED", "24400")) + 200)
        environment = os.environ | {"RUN_DIR": str(run), "PGPORT_WANTED": port, "PG_SETTINGS": lines}
        script = str(ROOT / "scripts" / "cluster.sh")
        started.append((script, environment))
        started_cluster = subprocess.run([script, "start"], env=environment, capture_output=True, text=True)
        assert started_cluster.returncode == 0, started_cluster.stdout + started_cluster.stderr
        made = Cluster(run)
        made.restart = lambda: subprocess.run([script, "restart"], env=environment, check=True, capture_output=True)
        made.configure = lambda **values: configure(made, values)
        return made

    yield start
    for script, environment in started:
        with contextlib.suppress(subprocess.CalledProcessError):
            subprocess.run([script, "stop"], env=environment, check=True, capture_output=True)
        subprocess.run(["rm", "-rf", environment["RUN_DIR"]], check=True)
