"""Refreshes on a schedule, by the real pg_cron (which starts jobs when a minute begins)."""

import secrets
import time

import psycopg
import pytest
from stage import wait_until


@pytest.fixture
def cron(cluster, db):
    """Schedules jobs in the test's database; .runs(job) is what became of them."""
    with psycopg.connect(**cluster.connect, dbname="postgres", autocommit=True) as connection:
        preloaded = connection.execute("SHOW shared_preload_libraries").fetchone()[0]
        assert "pg_cron" in preloaded, "the tests' cluster has pg_cron: run them by make test"
        connection.execute("SET client_min_messages = warning")
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_cron")
        jobs = []

        def schedule(command):
            jobs.append("job_" + secrets.token_hex(4))
            connection.execute("SELECT cron.schedule_in_database(%s, '* * * * *', %s, %s)", (jobs[-1], command, db.name))
            return jobs[-1]

        def runs(job):
            return connection.execute(
                "SELECT d.status, d.return_message, d.start_time, d.end_time FROM cron.job_run_details AS d JOIN cron.job AS j USING (jobid) WHERE j.jobname = %s",
                (job,)).fetchall()

        schedule.runs = runs
        yield schedule
        for job in jobs:
            connection.execute("SELECT cron.unschedule(%s)", (job,))


@pytest.mark.embedded_only("pg_cron does not know which broker it is")
def test_refresh_and_call_on_a_schedule_and_at_the_same_time(stage, cron):
    topic = stage.topic(2)
    expected = stage.kafka.produce(topic, [{"value": b"x", "partition": n % 2} for n in range(40)])
    # Slow, so that the jobs, which start in the same moment, meet.
    stage.view(topic, columns="kafka_partition, kafka_offset, pg_sleep(0.05) IS NULL AS slow")
    commands = [f"REFRESH MATERIALIZED VIEW {stage.work}.v", f"REFRESH MATERIALIZED VIEW {stage.work}.v", f"CALL redshift.refresh('{stage.work}.v', max_records => 10)"]
    jobs = [cron(command) for command in commands]
    # Records go on to arrive until the minute begins and while the jobs run.
    deadline = time.monotonic() + 90
    while not all(cron.runs(job) for job in jobs):
        assert time.monotonic() < deadline, "pg_cron has not started the jobs"
        expected |= stage.kafka.produce(topic, [{"value": b"x", "partition": 0}])
        time.sleep(0.5)
    wait_until(lambda: all(run[0] in ("succeeded", "failed") for job in jobs for run in cron.runs(job)), 30, "the end of the jobs")
    ended = [run for job in jobs for run in cron.runs(job)]
    assert {run[0] for run in ended} == {"succeeded"}, ended
    assert max(run[2] for run in ended) < min(run[3] for run in ended), "they ran at the same time"
    refreshes = stage.db.rows("SELECT trim(refresh_type), status, session_id FROM sys_mv_refresh_history WHERE trim(schema_name) = %s", stage.work)
    assert len(refreshes) == 3 and {row[0] for row in refreshes} == {"Manual"} and len({row[2] for row in refreshes}) == 3
    assert stage.db.value("SELECT count(*) FROM v") >= 40
    stage.refresh()
    stage.count_exactly_once(expected)
