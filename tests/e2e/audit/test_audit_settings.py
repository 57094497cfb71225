"""Settings of databases and roles, meant for sessions: workers load all the same, and each record once."""

import os
import time

import pytest
from stage import wait_until
from test_audit_databases import follow, worker
from test_auto_refresh import landed, spread, wait_for_state

pytestmark = pytest.mark.timeout(300)

# Each of these has stopped a worker, or has made it load something else, or could.
HOSTILE = {
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "statement_timeout": "1ms",
    "lock_timeout": "1ms",
    "idle_in_transaction_session_timeout": "1ms",
    "idle_session_timeout": "1ms",
    "session_replication_role": "replica",
    "row_security": "off",
    "role": "pg_monitor",
    "search_path": "nowhere",
    "restrict_nonsystem_relation_kind": "view, foreign-table",
    "standard_conforming_strings": "off",
    "transform_null_equals": "on",
}
# These shape values, plans or logs.
HARMLESS = {
    "TimeZone": "Asia/Kathmandu",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "work_mem": "64kB",
    "temp_file_limit": "0",
    "default_tablespace": "nowhere",
    "temp_tablespaces": "nowhere",
    "default_table_access_method": "nothing",
    "lc_messages": "C",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "lc_time": "C",
    "client_encoding": "latin1",
    "client_min_messages": "error",
    "log_min_messages": "fatal",
    "log_statement": "all",
    "enable_indexscan": "off",
    "enable_seqscan": "off",
    "enable_nestloop": "off",
    "enable_hashjoin": "off",
    "enable_sort": "off",
    "plan_cache_mode": "force_custom_plan",
    "jit": "on",
    "jit_above_cost": "0",
    "force_parallel_mode": "on",
    "parallel_setup_cost": "0",
    "max_parallel_workers_per_gather": "4",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "array_nulls": "off",
    "quote_all_identifiers": "on",
    "synchronous_commit": "off",
    "default_toast_compression": "lz4",
    "check_function_bodies": "off",
    "join_collapse_limit": "1",
    "xmloption": "document",
    "track_counts": "off",
    "redshift.memory_limit": "1MB",
    "redshift.fetch_timeout_ms": "10",
}


def groups():
    """Hostile ones together, then the others; each alone with AUDIT_LONG=1, which takes two minutes."""
    if os.environ.get("AUDIT_LONG"):
        return [{name: value} for name, value in (HOSTILE | HARMLESS).items()]
    return [HOSTILE, HARMLESS]


@pytest.mark.parametrize("on", ["DATABASE", "ROLE"])
def test_records_land_once_whatever_sessions_are_given(cluster, kafka, on):
    stage = follow(cluster.database(), kafka)
    # Triggers and keys hold also where the database says replica.
    stage.db.run(f"CREATE FUNCTION {stage.work}.count() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.kafka_key := '01'; RETURN NEW; END $$")
    stage.db.run(f"CREATE TRIGGER count BEFORE INSERT ON v FOR EACH ROW EXECUTE FUNCTION {stage.work}.count()")
    of = f'ALTER DATABASE "{stage.db.name}"' if on == "DATABASE" else f'ALTER ROLE postgres IN DATABASE "{stage.db.name}"'
    try:
        landed(stage, stage.expected)
        stage.db.run("DELETE FROM v")
        stage.expected = type(stage.expected)()
        for settings in groups():
            before = worker(stage)
            for name, value in settings.items():
                # In lists of names a quoted one would be a single name.
                value = value if name in ("search_path", "DateStyle") else f"'{value}'"
                cluster.administer(f"{of} SET {name} = {value}")
            wait_until(lambda: worker(stage) not in (None, before), 20, "a worker that has read them")  # noqa: B023
            stage.expected |= kafka.produce(stage.topic_name, spread(6))
            landed(stage, stage.expected)
            cluster.administer(f"{of} RESET ALL")
        assert stage.db.column("SELECT DISTINCT encode(kafka_key::bytea, 'hex') FROM v") == ["01"]
    finally:
        cluster.administer(f"{of} RESET ALL")
        cluster.drop(stage.db)


def test_a_worker_that_a_setting_stopped_goes_on_when_it_is_reset(cluster, kafka):
    """What a worker is not independent of, it reads again."""
    stage = follow(cluster.database(), kafka)
    name = stage.db.name
    try:
        landed(stage, stage.expected)
        before = worker(stage)
        cluster.administer(f'ALTER DATABASE "{name}" SET redshift.connect_timeout_ms = \'10ms\'')
        cluster.administer(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        wait_until(lambda: worker(stage) not in (None, before), 20, "a worker that has read it")
        time.sleep(1)
        cluster.administer(f'ALTER DATABASE "{name}" RESET ALL')
        stage.expected |= kafka.produce(stage.topic_name, spread(6))
        landed(stage, stage.expected)
        wait_for_state(stage, "running")
    finally:
        cluster.drop(stage.db)
