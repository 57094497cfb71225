"""How failed refreshes come into the history: neither a database that lets no worker in nor somebody who may not refresh takes the way from the others."""

import time

import psycopg
import pytest
from stage import Stage, wait_until

FAILED = "SELECT count(*) FROM redshift.refresh_history AS h JOIN redshift.materialized_view AS v USING (mv_id) WHERE v.mv = 'v'::regclass AND h.error_message IS NOT NULL"


def failing(stage):
    """A view whose refresh always fails."""
    topic = stage.topic()
    stage.view(topic)
    stage.db.run("ALTER TABLE v ADD CHECK (kafka_offset < 0)")
    stage.kafka.produce(topic, [b"x"])


def fail(stage, times):
    for _ in range(times):
        with pytest.raises(psycopg.errors.CheckViolation):
            stage.refresh()


def test_a_database_that_lets_nobody_in(private_cluster, kafka):
    """On a server of its own: what it has lost there is counted until the server ends."""
    cluster = private_cluster()
    closed, stage = (Stage(cluster.database(), kafka) for _ in range(2))
    for one in (closed, stage):
        one.db.run("CREATE EXTENSION redshift_streaming")
        failing(one)
    cluster.administer(f'ALTER DATABASE "{closed.db.name}" WITH ALLOW_CONNECTIONS false')
    fail(closed, 300)
    fail(stage, 5)
    wait_until(lambda: stage.db.value(FAILED) == 5, 30, "five failures in the history")


def test_who_may_not_refresh_leaves_nothing(stage, role):
    failing(stage)
    stranger = role()
    stage.db.run(f"GRANT USAGE ON SCHEMA {stage.work} TO {stranger}")
    stage.db.run(f"SET ROLE {stranger}")
    for _ in range(5):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            stage.refresh()
    stage.db.run("RESET ROLE")
    fail(stage, 1)
    wait_until(lambda: stage.db.value(FAILED) >= 1, 30, "the owner's failure")
    time.sleep(1)
    assert stage.db.value(FAILED) == 1
    stage.db.run(f"REVOKE USAGE ON SCHEMA {stage.work} FROM {stranger}")
