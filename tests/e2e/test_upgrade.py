"""Another version of the extension while its workers run: ALTER EXTENSION goes through, and a version that the library does not understand is waited for."""

import time

import pytest
from server import Server
from stage import Stage, wait_until
from test_auto_refresh import AUTO, landed, spread, status, wait_for_state
from test_failover import prepared, producing

pytestmark = [pytest.mark.timeout(180), pytest.mark.embedded_only("which broker it is does not matter")]

# What a next version may do: tables that the worker reads and writes, a function that it calls.
NEXT = """
ALTER TABLE redshift.materialized_view ADD COLUMN note text;
ALTER TABLE redshift.checkpoint ADD COLUMN note text DEFAULT 'new';
CREATE OR REPLACE FUNCTION redshift.blocker(mv_id bigint) RETURNS integer LANGUAGE sql STABLE STRICT AS 'SELECT -1';
"""


class Installation:
    """The extension's files of a private cluster."""

    def __init__(self, cluster):
        self.directory = next((cluster.run / "postgres" / "share" / "postgresql").glob("*/extension"))
        control = (self.directory / "redshift_streaming.control").read_text()
        self.version = next(line.split("'")[1] for line in control.splitlines() if line.startswith("default_version"))

    def add(self, versions, script):
        (self.directory / f"redshift_streaming--{versions}.sql").write_text(script)

    def offer(self, version, script):
        """Makes a next version what ALTER EXTENSION .. UPDATE goes to."""
        self.add(f"{self.version}--{version}", script)
        control = self.directory / "redshift_streaming.control"
        control.write_text(control.read_text().replace(self.version, version))


def test_an_update_while_views_are_loaded(private_cluster, kafka):
    cluster = private_cluster()
    stage = prepared(cluster, kafka)
    release = Installation(cluster)
    release.offer(release.version.rsplit(".", 1)[0] + ".99", NEXT)
    pid = stage.db.value("SELECT pid FROM redshift.worker_status")
    with producing(stage):
        time.sleep(0.5)
        began = time.monotonic()
        stage.db.run("ALTER EXTENSION redshift_streaming UPDATE")
        assert time.monotonic() - began < 5
        time.sleep(0.5)
    landed(stage, stage.expected)
    assert stage.db.value("SELECT pid FROM redshift.worker_status") == pid
    # It calls the function that there is now.
    with stage.connect() as session:
        session.execute("BEGIN")
        session.execute("REFRESH MATERIALIZED VIEW v")
        stage.expected |= kafka.produce(stage.topic_name, spread(10))
        wait_for_state(stage, "blocked", seconds=5)
        assert status(stage)[2] == -1
        session.execute("COMMIT")
    landed(stage, stage.expected)
    stage.refresh("w")
    stage.count_exactly_once(stage.expected, "w")


def test_a_version_that_the_library_does_not_understand_is_waited_for(private_cluster, kafka):
    cluster = private_cluster()
    release, log = Installation(cluster), Server.of(cluster).log
    release.add("0.0.9", (release.directory / f"redshift_streaming--{release.version}.sql").read_text())
    release.add(f"0.0.9--{release.version}", "CREATE TABLE redshift.note (n int);")
    release.add(f"{release.version}--9.0.0", "ALTER TABLE redshift.checkpoint RENAME position TO place;")
    release.add(f"9.0.0--{release.version}", "ALTER TABLE redshift.checkpoint RENAME place TO position;")

    def said(version):
        return log.read_text().count(f"version {version} of the extension in this database is none that this library")

    # The library is newer than what is in the database.
    database = cluster.database("mydb")
    database.run("CREATE EXTENSION redshift_streaming VERSION '0.0.9'")
    stage = Stage(database, kafka)
    topic = stage.topic(2)
    expected = kafka.produce(topic, spread(10))
    stage.view(topic, options=AUTO)
    wait_until(lambda: said("0.0.9"), 10, "the message")
    time.sleep(2)
    assert database.value("SELECT count(*) FROM v") == 0 and said("0.0.9") == 1
    database.run("ALTER EXTENSION redshift_streaming UPDATE")
    landed(stage, expected)
    # And older: the files were installed and the database updated before the restart.
    database.run("ALTER EXTENSION redshift_streaming UPDATE TO '9.0.0'")
    expected |= kafka.produce(topic, spread(10))
    wait_until(lambda: said("9.0.0"), 10, "the message")
    time.sleep(2)
    assert database.value("SELECT count(*) FROM v") == 10
    database.run(f"ALTER EXTENSION redshift_streaming UPDATE TO '{release.version}'")
    landed(stage, expected)
    assert "terminated by signal" not in log.read_text() and "PANIC" not in log.read_text()
