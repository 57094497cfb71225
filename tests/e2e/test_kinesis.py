"""Streams of Kinesis: relations, refreshes, resharding, and where a view begins. Every test ends by counting."""

import json
import signal
import os
import time

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from stage import InBackground, wait_until


def load_all(stage, name="v"):
    """Refreshes until nothing is new."""
    stage.refresh(name)
    stage.refresh(name)


# --- relations


def test_a_stream_is_a_relation_with_the_documented_columns(streams):
    stream = streams.stream()
    columns = streams.db.rows(
        "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
        streams.relation(stream),
    )
    assert columns == [
        ("approximate_arrival_timestamp", "timestamp without time zone"), ("partition_key", "character varying(256)"), ("shard_id", "character(20)"),
        ("sequence_number", "character varying(128)"), ("refresh_time", "timestamp without time zone"), ("kinesis_data", "varbyte"),
    ]
    kind, options = streams.db.rows("SELECT eskind, esoptions FROM svv_external_schemas WHERE schemaname = %s", streams.schema)[0]
    assert kind == 9 and json.loads(options) == {"SOURCE": "KINESIS", "REGION": "us-east-1"}


def test_the_preview_names_are_there_for_who_asks(streams):
    stream = streams.kinesis.stream()
    streams.map(stream, preview_columns="true")
    produced = streams.kinesis.produce(stream, [{"n": n} for n in range(5)])
    streams.db.run(
        f"CREATE MATERIALIZED VIEW v AS SELECT approximatearrivaltimestamp, partitionkey, shardid, sequencenumber, json_parse(from_varbyte(data, 'utf-8')) AS payload "
        f"FROM {streams.relation(stream)}"
    )
    load_all(streams)
    assert set(streams.db.rows("SELECT shardid, sequencenumber FROM v")) == produced
    assert streams.db.column("SELECT (payload['n'])::int FROM v ORDER BY 1") == list(range(5))


def test_streams_that_come_later_are_found_by_sync(streams):
    first = streams.kinesis.stream()
    prefix = first[:8]
    streams.map(prefix + "*")
    second = streams.kinesis.stream(name=prefix + "later")
    streams.db.run("CALL redshift.sync_external_schema(%s)", streams.schema)
    names = streams.db.column("SELECT relname::text FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = %s ORDER BY 1", streams.schema)
    assert names == sorted([first, second])


def test_only_superusers_say_where_signed_requests_go(streams, role):
    user = role()
    streams.db.run(f"GRANT USAGE ON FOREIGN DATA WRAPPER redshift_streaming TO {user}")
    streams.db.run(f"SET ROLE {user}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="endpoint_url"):
        streams.db.run(f"CREATE SERVER x TYPE 'kinesis' FOREIGN DATA WRAPPER redshift_streaming OPTIONS (endpoint_url '{streams.through}')")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        streams.db.run("SET redshift.aws_endpoint_url = 'http://127.0.0.1:1'")
    streams.db.run("RESET ROLE")
    streams.db.run(f"REVOKE USAGE ON FOREIGN DATA WRAPPER redshift_streaming FROM {user}")


def test_source_status_says_whether_data_flows(streams):
    stream = streams.stream(2)
    streams.kinesis.produce(stream, [b"x"] * 20)
    rows = streams.db.rows("SELECT topic, shard_id, partition_id, last_record_time IS NOT NULL FROM redshift.source_status(%s) ORDER BY 2", streams.schema)
    assert rows == [(stream, f"shardId-{n:012}", None, True) for n in range(2)]


def test_the_endpoint_and_the_region_may_be_settings(streams):
    stream = streams.kinesis.stream()
    produced = streams.kinesis.produce(stream, [b"x"] * 3)
    streams.db.run(f"SET redshift.aws_endpoint_url = '{streams.through}'")
    streams.db.run("SET redshift.aws_region = 'us-east-1'")
    streams.db.run("CALL redshift.create_external_schema(%s, source => 'kinesis', streams => %s)", streams.schema, stream)
    assert set(streams.db.rows(f"SELECT shard_id, sequence_number FROM {streams.relation(stream)}")) == produced


# --- peek


def test_a_peek_reads_what_is_there_and_moves_nothing(streams):
    stream = streams.stream(3)
    produced = streams.kinesis.produce(stream, [{"n": n} for n in range(300)])
    relation = streams.relation(stream)
    for _ in range(2):
        assert set(streams.db.rows(f"SELECT shard_id, sequence_number FROM {relation}")) == produced
    assert len(streams.db.rows(f"SELECT * FROM {relation} LIMIT 7")) == 7
    one = sorted(shard for shard, _ in produced)[0]
    expected = {p for p in produced if p[0] == one}
    assert set(streams.db.rows(f"SELECT shard_id, sequence_number FROM {relation} WHERE shard_id = %s", one)) == expected
    assert set(streams.db.rows(f"SELECT shard_id, sequence_number FROM {relation} WHERE shard_id IN ('{one}', 'shardId-000000000099')")) == expected
    assert streams.db.value(f"SELECT count(*) FROM {relation} WHERE approximate_arrival_timestamp > timezone('UTC', now()) + interval '1 hour'") == 0
    # Joined to itself it is read twice.
    assert streams.db.value(f"SELECT count(*) FROM {relation} a JOIN {relation} b USING (sequence_number)") == 300


def test_explain_says_what_a_peek_reads(streams):
    stream = streams.stream(2)
    streams.kinesis.produce(stream, [b"x"] * 20)
    relation = streams.relation(stream)
    plan = "\n".join(streams.db.column(f"EXPLAIN SELECT * FROM {relation}"))
    assert f"Stream: {stream}" in plan and "Shards: all" in plan
    one = "shardId-000000000001"
    plan = "\n".join(streams.db.column(f"EXPLAIN (ANALYZE) SELECT * FROM {relation} WHERE shard_id = '{one}' AND approximate_arrival_timestamp >= '2020-01-01'"))
    assert "Shards: = " in plan and "Timestamps: >= " in plan and f"Shards Read: {one}\n" in plan + "\n"


def test_a_peek_ends_with_the_time_that_the_query_asks_for(streams):
    stream = streams.stream(2)
    streams.kinesis.produce(stream, [b"old"] * 30)
    time.sleep(0.05)
    cut = streams.db.value("SELECT timezone('UTC', clock_timestamp())")
    time.sleep(0.05)
    produced = streams.kinesis.produce(stream, [b"new"] * 20)
    found = streams.db.rows(f"SELECT shard_id, sequence_number FROM {streams.relation(stream)} WHERE approximate_arrival_timestamp >= %s", cut)
    assert set(found) == produced


def test_a_native_materialized_view_cannot_read_a_stream(streams):
    stream = streams.stream()
    streams.db.run(f"CREATE VIEW plain AS SELECT * FROM {streams.relation(stream)}")
    with pytest.raises(psycopg.Error):
        streams.db.run("CREATE MATERIALIZED VIEW m AS SELECT * FROM plain")


# --- refresh


def test_refreshes_load_each_record_once(streams):
    stream = streams.stream(3)
    streams.view(stream)
    produced = set()
    for n in range(4):
        produced |= streams.kinesis.produce(stream, [{"n": n, "i": i} for i in range(120)])
        streams.refresh()
    streams.refresh()
    streams.count_exactly_once(produced)
    states = streams.db.rows("SELECT trim(partition_id), scanned_rows FROM sys_stream_scan_states WHERE mv_name = 'v' AND external_schema_name = %s", streams.schema)
    assert sum(rows for _, rows in states) == 480
    assert {shard for shard, _ in states} == {shard for shard, _ in produced}


def test_a_rollback_puts_the_positions_back(streams):
    stream = streams.stream(2)
    streams.view(stream)
    produced = streams.kinesis.produce(stream, [b"x"] * 50)
    before = streams.checkpoints()
    with streams.connect(autocommit=False) as connection:
        connection.execute("REFRESH MATERIALIZED VIEW v")
        assert connection.execute("SELECT count(*) FROM v").fetchone()[0] == 50
        connection.rollback()
    assert streams.checkpoints() == before
    streams.refresh()
    streams.count_exactly_once(produced)


def test_two_refreshes_at_a_time_load_each_record_once(faulty, proxy):
    stream = faulty.stream(2)
    faulty.view(stream)
    produced = faulty.kinesis.produce(stream, [b"x"] * 100)
    proxy.before.append(lambda action, request: time.sleep(0.3) if action == "GetRecords" else None)
    running = [InBackground(faulty.connect(), "REFRESH MATERIALIZED VIEW v") for _ in range(3)]
    for one in running:
        one.result()
    faulty.count_exactly_once(produced)


def test_a_refresh_in_steps_ends_at_the_same_place(streams):
    stream = streams.stream(3)
    streams.view(stream)
    produced = streams.kinesis.produce(stream, [{"n": n} for n in range(200)])
    for _ in range(100):
        before = streams.db.value("SELECT count(*) FROM v")
        streams.refresh(max_records=17)
        after = streams.db.value("SELECT count(*) FROM v")
        assert after - before <= 17
        if after == before:
            break
    streams.count_exactly_once(produced)


def test_a_refresh_ends_under_constant_load(streams):
    stream = streams.stream(2)
    streams.view(stream)
    produced, stop = set(), []

    import threading

    def load():
        while not stop:
            produced.update(streams.kinesis.produce(stream, [b"x" * 100] * 50))

    loader = threading.Thread(target=load)
    loader.start()
    try:
        for _ in range(4):
            began = time.monotonic()
            streams.refresh()
            assert time.monotonic() - began < 15
    finally:
        stop.append(True)
        loader.join()
    load_all(streams)
    streams.count_exactly_once(produced)


def test_an_error_of_the_definition_names_the_record_and_loads_nothing(streams):
    stream = streams.stream()
    streams.view(stream, columns="shard_id, sequence_number, json_parse(kinesis_data) AS d")
    good = streams.kinesis.produce(stream, [{"n": n} for n in range(10)])
    (bad,) = streams.kinesis.produce(stream, [b"{broken"])
    with pytest.raises(psycopg.Error) as raised:
        streams.refresh()
    assert f"{bad[0]}, sequence number {bad[1]}" in raised.value.diag.context
    assert streams.db.value("SELECT count(*) FROM v") == 0
    streams.db.run(f"CALL redshift.set_position('v', '{bad[0]}', {bad[1]})")  # a number of 56 digits, without quotes
    later = streams.kinesis.produce(stream, [{"n": 11}])
    streams.refresh()
    streams.count_exactly_once(later)
    assert good and streams.db.value("SELECT count(*) FROM v") == 1


def test_a_constraint_that_fails_names_the_record(streams):
    stream = streams.stream()
    streams.view(stream, columns="shard_id, sequence_number, (json_parse(kinesis_data))['n']::int AS n")
    streams.db.run("ALTER TABLE v ADD CHECK (n <> 5)")
    streams.kinesis.produce(stream, [{"n": n} for n in range(5)])
    (bad,) = streams.kinesis.produce(stream, [{"n": 5}])
    with pytest.raises(psycopg.errors.CheckViolation) as raised:
        streams.refresh()
    assert bad[1] in raised.value.diag.context


def test_records_that_are_too_large_are_skipped_and_logged(streams):
    stream = streams.stream()
    streams.view(stream, options="max_record_bytes = 1000")
    small = streams.kinesis.produce(stream, [b"x" * 1000, b"y"])
    ((shard, number),) = streams.kinesis.produce(stream, [b"z" * 1001])
    load_all(streams)
    streams.count_exactly_once(small)
    rows = streams.db.rows("SELECT trim(partition_id), trim(position), error_code FROM sys_stream_scan_errors WHERE external_schema_name = %s", streams.schema)
    assert rows == [(shard, number, 1)]


def test_large_records_arrive_whole(streams):
    stream = streams.stream()
    streams.view(stream)
    records = [bytes([n]) * 900_000 for n in range(1, 9)]
    produced = set()
    for record in records:
        produced |= streams.kinesis.produce(stream, [record])
    streams.refresh()
    streams.count_exactly_once(produced)
    assert streams.db.value("SELECT sum(length(kinesis_data)) FROM v") == 8 * 900_000


def test_on_demand_streams_are_read_as_well(streams):
    stream = streams.stream(mode="ON_DEMAND")
    streams.view(stream)
    produced = streams.kinesis.produce(stream, [{"n": n} for n in range(100)])
    load_all(streams)
    streams.count_exactly_once(produced)
    assert len({shard for shard, _ in produced}) > 1


def test_a_filter_is_counted(streams):
    stream = streams.stream(2)
    streams.view(stream, columns="shard_id, sequence_number, (json_parse(kinesis_data))['n']::int AS n", where="(json_parse(kinesis_data))['n']::int >= 10")
    streams.kinesis.produce(stream, [{"n": n} for n in range(25)])
    load_all(streams)
    assert streams.db.column("SELECT n FROM v ORDER BY 1") == list(range(10, 25))
    assert streams.db.rows("SELECT sum(scanned), sum(loaded), sum(filtered), bool_and(ok) FROM redshift.verify('v')") == [(25, 15, 10, True)]


def test_metrics_and_lag_limits_of_a_stream(streams):
    """A shard has no offsets: its lag is in seconds only."""
    stream = streams.stream(1)
    streams.view(stream)
    streams.kinesis.produce(stream, [{"n": n} for n in range(5)])
    load_all(streams)
    families = {family.name: family.samples for family in text_string_to_metric_families(streams.db.value("SELECT redshift.metrics()"))}

    def values(name):
        return [sample.value for sample in families.get("redshift_streaming_" + name, []) if sample.labels["view"] == "v" and sample.labels["schema"] == streams.work]

    assert values("loaded_records") == [5] and values("lag_records") == []
    assert len(values("lag_seconds")) <= 1 and all(seconds < 60 for seconds in values("lag_seconds"))
    # A limit of records means nothing here: nobody is told, of nothing.
    with streams.db.connect() as listener:
        listener.execute("LISTEN redshift_events")
        streams.db.run("SELECT redshift.look_at_lag(1, NULL)")
        assert not list(listener.notifies(timeout=0.5))
    assert streams.db.rows("SELECT sum(scanned), bool_and(ok) FROM redshift.verify('v')") == [(5, True)]


# --- resharding


def test_split_and_merge_between_refreshes(streams):
    stream = streams.stream(2)
    streams.view(stream)
    produce = lambda: streams.kinesis.produce(stream, [b"x"] * 60)
    produced = produce()
    streams.refresh()
    produced |= produce()
    left, right = streams.kinesis.split(stream, "shardId-000000000000")
    produced |= produce()
    streams.refresh()
    streams.count_exactly_once(produced)
    # Twice in one go: the children are merged again, and the result is split.
    (merged,) = streams.kinesis.merge(stream, left, right)
    produced |= produce()
    streams.kinesis.split(stream, merged)
    produced |= produce()
    load_all(streams)
    streams.count_exactly_once(produced)
    closed = {s["ShardId"] for s in streams.kinesis.shards(stream) if "EndingSequenceNumber" in s["SequenceNumberRange"]}
    assert {shard for shard, (_, drained) in streams.checkpoints().items() if drained} == closed


def test_a_split_while_a_refresh_runs(faulty, proxy):
    stream = faulty.stream(1)
    faulty.view(stream)
    produced = faulty.kinesis.produce(stream, [b"x"] * 60)

    def reshard():
        faulty.kinesis.split(stream, "shardId-000000000000")
        produced.update(faulty.kinesis.produce(stream, [b"y"] * 60))

    # The stream is described already, and the first page is asked for.
    proxy.once("GetRecords", reshard)
    faulty.refresh()
    assert len(faulty.checkpoints()) == 3
    load_all(faulty)
    faulty.count_exactly_once(produced)


def test_a_merge_while_a_refresh_runs(faulty, proxy):
    stream = faulty.stream(2)
    faulty.view(stream)
    produced = faulty.kinesis.produce(stream, [b"x"] * 60)

    def reshard():
        faulty.kinesis.merge(stream, "shardId-000000000000", "shardId-000000000001")
        produced.update(faulty.kinesis.produce(stream, [b"y"] * 60))

    proxy.once("GetRecords", reshard, at=2)
    faulty.refresh()
    load_all(faulty)
    faulty.count_exactly_once(produced)


def test_children_are_read_after_their_parents(streams):
    stream = streams.stream(2)
    streams.db.run(f"CREATE MATERIALIZED VIEW v AS SELECT shard_id, sequence_number FROM {streams.relation(stream)}")
    streams.db.run("ALTER TABLE v ADD COLUMN landed bigint GENERATED ALWAYS AS IDENTITY")
    parents = streams.kinesis.produce(stream, [b"x"] * 200)
    (child,) = streams.kinesis.merge(stream, "shardId-000000000000", "shardId-000000000001")
    children = streams.kinesis.produce(stream, [b"y"] * 100)
    for _ in range(60):
        streams.refresh(max_records=13)
        landed = streams.positions()
        if any(shard == child for shard, _ in landed):
            assert parents <= set(landed)
        if len(landed) == 300:
            break
    streams.count_exactly_once(parents | children)
    last_parent = streams.db.value("SELECT max(landed) FROM v WHERE shard_id <> %s", child)
    assert last_parent < streams.db.value("SELECT min(landed) FROM v WHERE shard_id = %s", child)


def test_a_closed_shard_that_the_service_forgets_is_forgotten(faulty, proxy):
    stream = faulty.stream(1)
    faulty.view(stream)
    produced = faulty.kinesis.produce(stream, [b"x"] * 20)
    faulty.kinesis.split(stream, "shardId-000000000000")
    produced |= faulty.kinesis.produce(stream, [b"y"] * 20)
    load_all(faulty)

    def expire(action, request, answer):
        if action == "ListShards":
            answer["Shards"] = [s for s in answer["Shards"] if s["ShardId"] != "shardId-000000000000"]

    proxy.after.append(expire)
    produced |= faulty.kinesis.produce(stream, [b"z"] * 20)
    faulty.refresh()
    assert "shardId-000000000000" not in faulty.checkpoints()
    faulty.count_exactly_once(produced)


def test_an_error_at_the_end_names_no_record(streams):
    stream = streams.stream()
    streams.view(stream)
    streams.db.run("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$")
    streams.db.run("CREATE TRIGGER refuse AFTER INSERT ON v EXECUTE FUNCTION refuse()")
    produced = streams.kinesis.produce(stream, [b"x"] * 5)
    with pytest.raises(psycopg.errors.RaiseException) as raised:
        streams.refresh()
    assert "sequence number" not in raised.value.diag.context
    streams.db.run("DROP TRIGGER refuse ON v; DROP FUNCTION refuse()")
    streams.refresh()
    streams.count_exactly_once(produced)


# --- what is lost is said


def test_a_stream_that_was_re_created_is_an_error_and_then_a_choice(streams):
    stream = streams.stream()
    streams.view(stream)
    streams.kinesis.produce(stream, [b"old"] * 5)
    streams.refresh()
    streams.kinesis.recreate(stream)
    new = streams.kinesis.produce(stream, [b"new"] * 7)
    with pytest.raises(psycopg.Error) as raised:
        streams.refresh()
    assert raised.value.sqlstate == "RS003" and "was created at" in raised.value.diag.message_detail
    streams.db.run("TRUNCATE v")
    streams.db.run("CALL redshift.set_position('v', NULL, 'earliest')")
    streams.refresh()
    streams.count_exactly_once(new)


def test_a_re_created_stream_is_read_on_where_losses_are_accepted(streams):
    stream = streams.stream()
    streams.view(stream, options="on_data_loss = 'continue'")
    streams.kinesis.produce(stream, [b"old"] * 5)
    streams.refresh()
    streams.kinesis.recreate(stream)
    new = streams.kinesis.produce(stream, [b"new"] * 7)
    streams.db.run("TRUNCATE v")
    streams.refresh()
    streams.count_exactly_once(new)
    assert streams.db.value("SELECT sum(lost) FROM redshift.verify('v')") > 0
    assert streams.db.column("SELECT error_code FROM sys_stream_scan_errors WHERE external_schema_name = %s", streams.schema) == [3]


def test_a_stream_that_is_deleted_while_it_is_read(faulty, proxy):
    stream = faulty.stream()
    faulty.view(stream)
    faulty.kinesis.produce(stream, [b"x"] * 5)
    proxy.once("GetRecords", lambda: faulty.kinesis.recreate(stream))
    with pytest.raises(psycopg.Error):
        faulty.refresh()
    assert faulty.db.value("SELECT count(*) FROM v") == 0


def age(streams, hours):
    """Makes it so long ago that the view was at parity."""
    streams.db.run(
        "UPDATE redshift.checkpoint SET caught_up_to = caught_up_to - make_interval(hours => %s) FROM redshift.materialized_view v "
        "WHERE v.mv_id = checkpoint.mv_id AND v.mv = 'v'::regclass", hours,
    )


def test_what_may_have_expired_is_an_error_with_its_time(streams):
    stream = streams.stream()
    streams.view(stream)
    produced = streams.kinesis.produce(stream, [b"x"] * 5)
    streams.refresh()
    age(streams, 23)
    streams.refresh()
    age(streams, 25)
    with pytest.raises(psycopg.Error) as raised:
        streams.refresh()
    assert raised.value.sqlstate == "RS001"
    assert "arrived before" in raised.value.diag.message_detail and "UTC" in raised.value.diag.message_detail
    streams.db.run("ALTER MATERIALIZED VIEW v SET (on_data_loss = 'continue')")
    produced |= streams.kinesis.produce(stream, [b"y"] * 5)
    streams.refresh()
    streams.count_exactly_once(produced)
    assert streams.db.value("SELECT sum(lost) FROM redshift.verify('v')") == 1
    codes = streams.db.rows("SELECT error_code, error_reason FROM redshift.scan_error JOIN redshift.materialized_view USING (mv_id) WHERE mv = 'v'::regclass")
    assert len(codes) == 1 and codes[0][0] == 5 and "may have expired" in codes[0][1]


def test_a_shard_that_expired_before_it_was_loaded_is_an_error(faulty, proxy):
    stream = faulty.stream(1)
    faulty.view(stream)
    faulty.kinesis.produce(stream, [b"x"] * 5)
    faulty.refresh()
    faulty.kinesis.produce(stream, [b"lost"] * 5)
    faulty.kinesis.split(stream, "shardId-000000000000")
    age(faulty, 30)

    def expire(action, request, answer):
        if action == "ListShards":
            answer["Shards"] = [s for s in answer["Shards"] if s["ShardId"] != "shardId-000000000000"]

    proxy.after.append(expire)
    with pytest.raises(psycopg.Error) as raised:
        faulty.refresh()
    assert raised.value.sqlstate == "RS001" and "shardId-000000000000" in raised.value.diag.message_primary


# --- where a view begins


def test_starts(streams):
    stream = streams.stream(2)
    relation = streams.relation(stream)
    old = streams.kinesis.produce(stream, [b"old"] * 40)
    time.sleep(0.05)
    cut = streams.db.value("SELECT timezone('UTC', clock_timestamp())::text")
    time.sleep(0.05)
    middle = streams.kinesis.produce(stream, [b"middle"] * 40)
    time.sleep(0.05)
    shard, number = sorted(middle)[3]
    for name, start in (("a", "earliest"), ("b", "trim_horizon"), ("c", "latest"), ("d", cut), ("e", json.dumps({shard: number}))):
        streams.db.run(f"CREATE MATERIALIZED VIEW {name} WITH (start = '{start}') AS SELECT shard_id, sequence_number FROM {relation}")
    time.sleep(0.05)
    new = streams.kinesis.produce(stream, [b"new"] * 40)
    for name in "abcde":
        load_all(streams, name)
    for name, expected in (("a", old | middle | new), ("b", old | middle | new), ("c", new), ("d", middle | new),
                           ("e", {p for p in old | middle | new if p[0] != shard or int(p[1]) > int(number)})):
        streams.count_exactly_once(expected, name)
    with pytest.raises(psycopg.Error, match="start"):
        streams.db.run(f"CREATE MATERIALIZED VIEW f WITH (start = 'yesterday morning') AS SELECT shard_id FROM {relation}")
    with pytest.raises(psycopg.Error, match="start"):
        streams.db.run(f"""CREATE MATERIALIZED VIEW f WITH (start = '{{"shardId-000000000077": "1"}}') AS SELECT shard_id FROM {relation}""")


def test_latest_after_a_split_reads_what_is_new(streams):
    stream = streams.stream(1)
    streams.kinesis.produce(stream, [b"old"] * 10)
    streams.kinesis.split(stream, "shardId-000000000000")
    streams.kinesis.produce(stream, [b"old"] * 10)
    time.sleep(0.05)
    streams.view(stream, options="start = 'latest'")
    time.sleep(0.05)
    new = streams.kinesis.produce(stream, [b"new"] * 10)
    load_all(streams)
    streams.count_exactly_once(new)


def test_a_position_is_moved_and_the_ledger_says_so(faulty, proxy):
    stream = faulty.stream(1)
    faulty.view(stream)
    produced = sorted(faulty.kinesis.produce(stream, [{"n": n} for n in range(20)]), key=lambda p: int(p[1]))
    faulty.refresh()
    shard, number = produced[9]
    faulty.db.run("DELETE FROM v WHERE sequence_number::numeric > %s", number)
    faulty.db.run("CALL redshift.set_position('v', %s, %s)", shard, number)
    faulty.refresh()
    faulty.count_exactly_once(set(produced))
    moves = faulty.db.rows("SELECT partition_id, first_position, end_position, scanned FROM redshift.scan_ledger WHERE moved AND mv_id = (SELECT mv_id FROM redshift.materialized_view WHERE mv = 'v'::regclass)")
    assert moves == [(shard, produced[-1][1], number, 0)]
    assert faulty.db.rows("SELECT gaps, read_twice, passed, reread, lost, ok FROM redshift.verify('v')") == [(0, 0, 1, 0, 0, True)]
    # Not while a refresh runs.
    proxy.before.append(lambda action, request: time.sleep(1) if action == "GetRecords" else None)
    running = InBackground(faulty.connect(), "REFRESH MATERIALIZED VIEW v")
    wait_until(lambda: proxy.seen and proxy.seen[-1][1] == "GetRecords")
    with pytest.raises(psycopg.errors.ObjectInUse):
        faulty.db.run("CALL redshift.set_position('v', NULL, 'latest')")
    running.result()
    for wrong in ("tomorrow or so", "-1", "12x"):
        with pytest.raises(psycopg.Error, match="position"):
            faulty.db.run("CALL redshift.set_position('v', %s, %s)", shard, wrong)
    with pytest.raises(psycopg.Error, match="partition"):
        faulty.db.run("CALL redshift.set_position('v', 'shardId-000000000055', 'earliest')")


# --- DynamoDB's change records into a fact table


def change(kind, customer, transaction, amount=None, percent=None, provider=None):
    image = {"pk": {"S": f"CUSTOMER#{customer}"}, "sk": {"S": f"TRANSACTION#{transaction}"}}
    for name, form, value in (("OutofPockAmount", "N", amount), ("OutofPockPercent", "N", percent), ("Provider", "S", provider)):
        if value is not None:
            image[name] = {form: str(value)}
    return {"eventName": kind, "dynamodb": {"Keys": {"pk": image["pk"], "sk": image["sk"]}, "NewImage": image}}


FACT = """
CREATE TABLE customer_transaction_fact (transaction_id text PRIMARY KEY, customer_id text, percent numeric(5,2), amount int, provider text);
CREATE TABLE metadata_etl (job text PRIMARY KEY, loaded_until timestamp);
INSERT INTO metadata_etl VALUES ('fact', '2000-01-01');
CREATE PROCEDURE load_fact() LANGUAGE plpgsql AS $$
BEGIN
    REFRESH MATERIALIZED VIEW demo_stream;
    DROP TABLE IF EXISTS stage;
    CREATE TEMPORARY TABLE stage AS
    WITH changes AS (
        SELECT split_part(payload['dynamodb']['Keys']['sk']['S']::text, '#', 2) AS transaction_id,
               split_part(payload['dynamodb']['Keys']['pk']['S']::text, '#', 2) AS customer_id,
               payload['dynamodb']['NewImage']['OutofPockPercent']['N']::numeric(5,2) AS percent,
               payload['dynamodb']['NewImage']['OutofPockAmount']['N']::int AS amount,
               payload['dynamodb']['NewImage']['Provider']['S']::text AS provider,
               sequence_number::numeric AS place
        FROM demo_stream
        WHERE upper(payload['eventName']::text) <> 'REMOVE'
          AND approximate_arrival_timestamp > (SELECT loaded_until FROM metadata_etl WHERE job = 'fact'))
    SELECT transaction_id, (array_agg(customer_id ORDER BY place DESC))[1] AS customer_id,
           (array_agg(percent ORDER BY place DESC) FILTER (WHERE percent IS NOT NULL))[1] AS percent,
           (array_agg(amount ORDER BY place DESC) FILTER (WHERE amount IS NOT NULL))[1] AS amount,
           (array_agg(provider ORDER BY place DESC) FILTER (WHERE provider IS NOT NULL))[1] AS provider
    FROM changes GROUP BY transaction_id;
    DELETE FROM customer_transaction_fact AS f USING stage AS s WHERE s.transaction_id = f.transaction_id;
    INSERT INTO customer_transaction_fact SELECT transaction_id, customer_id, percent, amount, provider FROM stage;
    UPDATE metadata_etl SET loaded_until = coalesce((SELECT max(approximate_arrival_timestamp) FROM demo_stream), loaded_until) WHERE job = 'fact';
END $$;
"""


def test_changes_of_dynamodb_into_a_fact_table(streams):
    stream = streams.stream(2)
    streams.db.run(
        f"CREATE MATERIALIZED VIEW demo_stream AS SELECT approximate_arrival_timestamp, partition_key, shard_id, sequence_number, json_parse(kinesis_data) AS payload "
        f"FROM {streams.relation(stream)}"
    )
    streams.db.run(FACT)
    expected = {}
    for round_ in range(3):
        changes, keys = [], []
        for n in range(40):
            transaction, amount = f"t{n}", round_ * 1000 + n
            provider = f"p{n}" if round_ == 0 else None  # later changes leave it out: the last one known stays
            changes.append(change("INSERT" if round_ == 0 else "MODIFY", f"c{n % 7}", transaction, amount, "12.5", provider))
            keys.append(transaction)
            expected[transaction] = (f"c{n % 7}", amount)
        changes.append(change("REMOVE", "c0", f"gone{round_}"))
        keys.append(f"gone{round_}")
        streams.kinesis.produce(stream, changes, keys)
        streams.db.run("CALL load_fact()")
        time.sleep(0.02)
    rows = streams.db.rows("SELECT transaction_id, customer_id, amount FROM customer_transaction_fact")
    assert {t: (c, a) for t, c, a in rows} == expected
    assert streams.db.value("SELECT count(*) FROM demo_stream") == 123
    streams.db.run("DROP PROCEDURE load_fact(); DROP TABLE customer_transaction_fact, metadata_etl")


# --- kills


def test_a_killed_backend_loads_nothing(private_cluster, kinesis, proxy):
    from stage import StreamStage

    cluster = private_cluster()
    database = cluster.database()
    database.run("CREATE EXTENSION redshift_streaming")
    stage = StreamStage(database, kinesis, proxy.endpoint)
    stream = stage.stream(2)
    stage.view(stream)
    produced = kinesis.produce(stream, [b"x"] * 50)
    stage.refresh()
    produced |= kinesis.produce(stream, [b"y"] * 50)
    slow = lambda action, request: time.sleep(0.7) if action == "GetRecords" else None
    proxy.before.append(slow)
    for kill in (signal.SIGTERM, signal.SIGKILL):
        proxy.seen.clear()
        running = InBackground(stage.connect(), "REFRESH MATERIALIZED VIEW v")
        wait_until(lambda: proxy.count("GetRecords") >= 2)
        os.kill(running.pid, kill)
        with pytest.raises(psycopg.Error):
            running.result()
        wait_until(lambda: reconnects(stage), 60)
    proxy.clear()
    # The whole server as well.
    produced |= kinesis.produce(stream, [b"z"] * 50)
    kinesis.split(stream, "shardId-000000000000")
    produced |= kinesis.produce(stream, [b"w"] * 50)
    stage.db.connection.close()
    cluster.restart()
    assert reconnects(stage)
    load_all(stage)
    stage.count_exactly_once(produced)


def reconnects(stage):
    try:
        stage.db.connection = stage.connect()
        stage.db.run("SELECT 1")
        return True
    except psycopg.Error:
        return False
