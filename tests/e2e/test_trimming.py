"""What is older than redshift.history_days goes, table by table; what cannot go is shown."""

import secrets

import pytest
from stage import Stage, wait_until

MINE = "mv_id = (SELECT mv_id FROM redshift.materialized_view WHERE mv = 'v'::regclass)"


@pytest.fixture
def old(cluster, kafka):
    """A database of its own, in which no worker runs yet, with a view that has read, moved and skipped; all of it is 30 days old."""
    db = cluster.database("trim_" + secrets.token_hex(4))
    db.run("CREATE EXTENSION redshift_streaming")
    stage = Stage(db, kafka)
    topic = stage.topic(2)
    stage.expected = stage.kafka.produce(topic, [{"value": str(i).encode(), "partition": i % 2} for i in range(200)])
    stage.view(topic, options="max_record_bytes = 100")
    stage.refresh()
    for to in ("50", "earliest", "80"):
        db.run("CALL redshift.set_position('v', 0, %s)", to)
        stage.refresh()
    db.run("CALL redshift.set_position('v', 0, 60)")
    db.run("CALL redshift.set_position('v', 0, 100)")
    for n in range(3):
        stage.kafka.produce(topic, [{"value": bytes(1000) if n == 0 else b"x", "partition": 0}] * 5)
        stage.refresh()
    for table, column in (("scan_ledger", "logged_at"), ("scan_error", "logged_at"), ("refresh_history", "start_time")):
        db.run(f"UPDATE redshift.{table} SET {column} = {column} - interval '30 days'")
    stage.map_topic = topic
    yield stage
    cluster.drop(db)


def count(stage, table, where="true"):
    return stage.db.value(f"SELECT count(*) FROM redshift.{table} WHERE {MINE} AND {where}")


def verified(stage):
    return stage.db.rows("SELECT * FROM redshift.verify('v')")


def worker(stage):
    """A worker that starts looks for what is old."""
    if stage.db.value("SELECT to_regclass('w') IS NULL"):
        stage.view(stage.map_topic, "w", options="auto_refresh = on")
    else:
        stage.db.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'redshift_streaming worker' AND datname = current_database()")


def test_merged_history_verifies_as_before(old):
    before, reads, moves = verified(old), count(old, "scan_ledger", "NOT moved"), count(old, "scan_ledger", "moved")
    assert [row[-7:] for row in before] == [(0, 0, 0, 170, 0, True, None), (0, 0, 0, 0, 0, True, None)]
    worker(old)
    wait_until(lambda: count(old, "scan_error") + count(old, "refresh_history") == 0, 30)
    assert count(old, "scan_ledger", "NOT moved") < reads and count(old, "scan_ledger", "moved") == moves
    assert verified(old) == before


def test_a_publication_of_all_tables_stops_no_trimming(old):
    old.db.run("CREATE PUBLICATION everything FOR ALL TABLES")
    assert count(old, "scan_error") == 5
    worker(old)
    wait_until(lambda: count(old, "scan_error") + count(old, "refresh_history") == 0, 30)
    wait_until(lambda: old.db.value("SELECT count(*) FROM w") > 0, 30)
    assert old.db.value("SELECT count(*) FROM redshift.trimming") == 0


def test_a_table_that_cannot_be_trimmed_stops_no_other_and_is_shown(old):
    old.db.run("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not today'; END $$")
    old.db.run("CREATE TRIGGER refuse BEFORE DELETE ON redshift.scan_error FOR EACH ROW EXECUTE FUNCTION refuse()")
    reads = count(old, "scan_ledger", "NOT moved")
    worker(old)
    wait_until(lambda: old.db.value("SELECT count(*) FROM redshift.trimming") == 1, 30)
    wait_until(lambda: count(old, "refresh_history") == 0, 30)
    assert count(old, "scan_ledger", "NOT moved") < reads and count(old, "scan_error") == 5
    assert old.db.rows("SELECT table_name, last_error FROM redshift.trimming") == [("redshift.scan_error", "not today")]
    lines = [line for line in old.db.value("SELECT redshift.status('v')").splitlines() if line.startswith("old history stays")]
    assert len(lines) == 1 and "redshift.scan_error since " in lines[0] and lines[0].endswith("UTC: not today")
    old.db.run("DROP TRIGGER refuse ON redshift.scan_error")
    worker(old)
    wait_until(lambda: count(old, "scan_error") == 0, 30)
    assert old.db.value("SELECT count(*) FROM redshift.trimming") == 0
