"""A dump that is restored into the database where its view has been: what happened there since is in the history, and still nothing is lost or twice."""

import pytest
from stage import Stage

pytestmark = pytest.mark.embedded_only("which broker it is does not matter")


@pytest.fixture
def stage(cluster, kafka):
    database = cluster.database()
    database.run("CREATE EXTENSION redshift_streaming")
    yield Stage(database, kafka)
    cluster.drop(database)


def restore(cluster, stage, dump):
    """As far as it comes: history that is there already is an error of pg_restore's, and no matter."""
    stage.db.connection.close()
    cluster.program("pg_restore", "-d", stage.db.name, dump, check=False)
    stage.db.connection = stage.connect()


def test_a_view_that_was_dropped_comes_back(cluster, stage, tmp_path):
    topic = stage.topic(2)
    stage.view(topic)
    records = [{"value": b"x", "partition": i % 2} for i in range(20)]
    expected = stage.kafka.produce(topic, records)
    stage.refresh()
    cluster.program("pg_dump", "-Fc", "-f", tmp_path / "dump", stage.db.name)
    expected |= stage.kafka.produce(topic, records)
    for _ in range(3):
        stage.refresh()
    stage.db.run("DROP MATERIALIZED VIEW v")
    stage.db.run(f"DROP SCHEMA {stage.schema} CASCADE")
    restore(cluster, stage, tmp_path / "dump")
    stage.db.run("CALL redshift.adopt('v')")
    stage.refresh()
    stage.count_exactly_once(expected)
    assert stage.db.value("SELECT sum(reread) FROM redshift.verify('v')") == len(records)
    stage.refresh()
    # pg_dump does not carry that the server belongs to the schema.
    stage.db.run("DROP MATERIALIZED VIEW v")
    stage.db.run(f"DROP SCHEMA {stage.schema} CASCADE")
    assert not stage.db.rows("SELECT FROM pg_foreign_server WHERE srvname = %s", stage.schema)
