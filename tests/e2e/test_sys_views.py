"""The SYS_ and SVV_ views: Redshift's columns, status strings and visibility."""

import datetime

import psycopg
import pytest

COLUMNS = {
    "sys_stream_scan_states": "external_schema_name stream_name mv_name transaction_id query_id record_time partition_id latest_position scanned_rows "
    "skipped_rows scanned_bytes stream_record_time_min stream_record_time_max",
    "sys_stream_scan_errors": "external_schema_name stream_name mv_name transaction_id query_id stream_timestamp_type stream_timestamp record_time "
    "partition_id position error_code error_reason",
    "sys_mv_refresh_history": "user_id session_id transaction_id database_name schema_name mv_id mv_name refresh_type status start_time end_time duration "
    "consumer_account consumer_region consumer_namespace",
    "svv_mv_info": "database_name schema_name user_name name is_stale state autorewrite autorefresh",
    "svv_external_schemas": "esoid eskind schemaname esowner databasename esoptions",
}
TYPES = {
    "sys_stream_scan_states": {"external_schema_name": "character(128)", "stream_name": "character(255)", "mv_name": "character(128)", "transaction_id": "bigint",
                               "query_id": "bigint", "record_time": "timestamp without time zone", "partition_id": "character(128)",
                               "latest_position": "character(128)", "scanned_rows": "bigint", "skipped_rows": "bigint", "scanned_bytes": "bigint",
                               "stream_record_time_min": "timestamp without time zone", "stream_record_time_max": "timestamp without time zone"},
    "sys_stream_scan_errors": {"stream_timestamp_type": "character(1)", "position": "character(128)", "error_code": "integer", "error_reason": "character(128)"},
    "sys_mv_refresh_history": {"user_id": "integer", "session_id": "integer", "database_name": "character(128)", "mv_id": "bigint", "refresh_type": "character(32)",
                               "status": "text", "duration": "bigint", "consumer_account": "character(12)", "consumer_region": "character(32)",
                               "consumer_namespace": "character(36)"},
    "svv_mv_info": {"database_name": "character(128)", "is_stale": "character(1)", "state": "integer", "autorewrite": "character(1)", "autorefresh": "character(1)"},
    "svv_external_schemas": {"esoid": "oid", "eskind": "smallint", "schemaname": "name", "esowner": "integer", "databasename": "text", "esoptions": "text"},
}
DONE = "Refresh successfully updated MV incrementally"


@pytest.mark.parametrize("view", COLUMNS)
def test_columns_and_types_are_redshifts(db, view):
    found = db.rows("SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum", view)
    assert [name for name, _ in found] == COLUMNS[view].split()
    assert {name: kind for name, kind in found if name in TYPES[view]} == TYPES[view]


@pytest.fixture
def topic(stage):
    it = stage.topic(2)
    stage.expected = stage.kafka.produce(it, [{"value": b"x" * 10, "partition": n % 2, "timestamp": 1767225600000 + n * 1000} for n in range(10)])
    stage.view(it)
    return it


def history(stage):
    return stage.db.column("SELECT status FROM sys_mv_refresh_history WHERE trim(mv_name) = 'v' AND trim(schema_name) = %s ORDER BY start_time", stage.work)


def test_scan_states_tell_what_was_read(stage, topic):
    stage.refresh()
    cursor = stage.db.run("SELECT * FROM sys_stream_scan_states WHERE external_schema_name = %s ORDER BY partition_id", stage.schema)
    names = [c.name for c in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor]
    assert [r["partition_id"].strip() for r in rows] == ["0", "1"]
    for partition, row in enumerate(rows):
        assert (row["stream_name"].strip(), row["mv_name"].strip()) == (topic, "v")
        assert row["latest_position"].strip() == "4"
        assert (row["scanned_rows"], row["skipped_rows"]) == (5, 0)
        assert row["scanned_bytes"] >= 50
        first = datetime.datetime(2026, 1, 1, 0, 0, partition)
        assert (row["stream_record_time_min"], row["stream_record_time_max"]) == (first, first + datetime.timedelta(seconds=8))
        assert row["transaction_id"] > 0 and row["query_id"] is not None
    stage.count_exactly_once(stage.expected)


def test_scan_states_sum_up_over_refreshes(stage, topic):
    for _ in range(3):
        stage.refresh()
        stage.expected |= stage.kafka.produce(topic, [b"x"] * 7)
    stage.refresh()
    assert stage.db.value("SELECT sum(scanned_rows)::bigint FROM sys_stream_scan_states WHERE external_schema_name = %s", stage.schema) == len(stage.expected)
    stage.count_exactly_once(stage.expected)


def test_refresh_history_and_its_statuses(stage, topic):
    stage.refresh()
    stage.refresh()
    stage.expected |= stage.kafka.produce(topic, [b"x"])
    stage.refresh()
    assert history(stage) == [DONE, DONE + " Stream returned no new data", DONE]
    row = stage.db.run("SELECT * FROM sys_mv_refresh_history WHERE trim(schema_name) = %s ORDER BY start_time LIMIT 1", stage.work)
    found = dict(zip([c.name for c in row.description], row.fetchone(), strict=True))
    assert found["refresh_type"].strip() == "Manual"
    assert found["database_name"].strip() == stage.db.name
    assert found["mv_id"] == stage.db.value("SELECT 'v'::regclass::oid::bigint")
    assert found["session_id"] == stage.db.connection.info.backend_pid
    assert found["user_id"] == stage.db.value("SELECT oid::int FROM pg_roles WHERE rolname = current_user")
    assert found["end_time"] >= found["start_time"] and found["duration"] >= 0
    assert abs((found["end_time"] - found["start_time"]).total_seconds() * 1e6 - found["duration"]) < 2
    stage.count_exactly_once(stage.expected)


def test_a_refresh_cut_short_says_the_stream_may_contain_more(stage, topic):
    stage.refresh(max_records=3)
    assert history(stage) == [DONE + " The stream may contain more data"]
    stage.refresh()
    stage.count_exactly_once(stage.expected)


def test_times_are_utc_whatever_the_sessions_zone(stage, topic):
    stage.db.run("SET TimeZone = 'Asia/Kathmandu'")
    stage.refresh()
    for column, view in (("start_time", "sys_mv_refresh_history"), ("record_time", "sys_stream_scan_states")):
        shift = stage.db.value(f"SELECT max({column}) - (now() AT TIME ZONE 'UTC') FROM {view}")
        assert abs(shift.total_seconds()) < 60
    stage.db.run("RESET TimeZone")
    stage.count_exactly_once(stage.expected)


def test_svv_mv_info(stage, topic):
    rows = stage.db.rows("SELECT trim(database_name), trim(user_name), trim(name), state, autorewrite, autorefresh FROM svv_mv_info WHERE trim(schema_name) = %s", stage.work)
    assert len(rows) == 1
    assert rows[0][:4] == (stage.db.name, "postgres", "v", 1)
    stage.db.run("ALTER MATERIALIZED VIEW v RENAME TO w")
    assert stage.db.column("SELECT trim(name) FROM svv_mv_info WHERE trim(schema_name) = %s", stage.work) == ["w"]


def test_a_plain_user_sees_his_own_rows(stage, topic, role):
    owner, other, monitor = role(), role(), role("LOGIN IN ROLE pg_monitor")
    stage.db.run(f"GRANT USAGE ON SCHEMA {stage.schema} TO {owner}")
    stage.db.run(f"GRANT USAGE, CREATE ON SCHEMA {stage.work} TO {owner}")
    stage.db.run(f"ALTER MATERIALIZED VIEW v OWNER TO {owner}")
    stage.db.run(f"SET ROLE {owner}")
    stage.refresh()
    counts = {}
    for who in (owner, other, monitor):
        stage.db.run(f"SET ROLE {who}")
        counts[who] = [
            stage.db.value("SELECT count(*) FROM sys_stream_scan_states WHERE external_schema_name = %s", stage.schema),
            stage.db.value("SELECT count(*) FROM sys_mv_refresh_history WHERE schema_name = %s", stage.work),
        ]
    stage.db.run("RESET ROLE")
    assert counts == {owner: [2, 1], other: [0, 0], monitor: [2, 1]}
    stage.count_exactly_once(stage.expected)


def test_nobody_writes_the_books_by_hand(stage, topic, role):
    stage.refresh()
    user = role()
    stage.db.run(f"SET ROLE {user}")
    tables = stage.db.column("SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'redshift'")
    assert tables
    for table in tables:
        for sql in (f"DELETE FROM {table}", f"TRUNCATE {table}"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                stage.db.run(sql)
    stage.db.run("RESET ROLE")
    stage.count_exactly_once(stage.expected)


def test_verify_has_its_columns_and_finds_nothing_wrong(stage, topic):
    for _ in range(4):
        stage.refresh(max_records=3)
        stage.expected |= stage.kafka.produce(topic, [b"x"])
    stage.refresh()
    cursor = stage.db.run("SELECT * FROM redshift.verify('v') ORDER BY partition_id")
    assert [c.name for c in cursor.description] == (
        "partition_id first_position last_position scanned loaded filtered skipped dropped gaps read_twice passed reread lost ok note".split()
    )
    rows = cursor.fetchall()
    assert [r[0].strip() for r in rows] == ["0", "1"]
    assert sum(r[3] for r in rows) == sum(r[4] for r in rows) == len(stage.expected)
    assert all(str(r[1]).strip() == "0" and r[7:] == (0, 0, 0, 0, 0, 0, True, None) for r in rows)
    stage.count_exactly_once(stage.expected)


@pytest.mark.parametrize("view", COLUMNS)
def test_the_statements_of_the_seed_need_no_schema(db, view):
    db.run("RESET search_path")
    db.rows(f"SELECT * FROM {view} LIMIT 1")
