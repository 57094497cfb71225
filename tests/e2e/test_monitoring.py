"""What a person or Prometheus sees and is told: progress, lag, metrics, events, and the programs in examples/."""

import http.server
import json
import pathlib
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from stage import InBackground, Stage, wait_until

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
PREFIX = "redshift_streaming_"


def spread(n, partitions=2, **more):
    return [{"value": b"x" * 10, "partition": i % partitions, **more} for i in range(n)]


# --- progress ------------------------------------------------------------------------------------------------------------------


def progress(db):
    cursor = db.run("SELECT * FROM redshift.refresh_progress")
    return [dict(zip([column.name for column in cursor.description], row, strict=True)) for row in cursor]


def test_a_running_refresh_is_seen_from_another_session(stage, role):
    topic = stage.topic(2)
    expected = stage.kafka.produce(topic, spread(40))
    stage.view(topic, columns="kafka_partition, kafka_offset, pg_sleep(0.05) IS NULL AS slow")
    assert progress(stage.db) == []
    refresh = InBackground(stage.connect(application_name="a refresh"), "REFRESH MATERIALIZED VIEW v")
    seen = []
    while refresh.running:
        seen += progress(stage.db)
        activity = stage.db.rows("SELECT application_name, state, query FROM pg_stat_activity WHERE pid = %s", refresh.pid)
        assert not seen or not refresh.running or activity == [("a refresh", "active", "REFRESH MATERIALIZED VIEW v")]
        time.sleep(0.05)
    refresh.result()
    assert seen and all(row["pid"] == refresh.pid for row in seen)
    assert {(row["database"], row["schema_name"], row["mv_name"]) for row in seen} == {(stage.db.name, stage.work, "v")}
    loading = [row for row in seen if row["phase"] == "loading"]
    assert {row["records_total"] for row in loading} == {40} and {row["partitions"] for row in loading} == {2}
    done = [row["records_done"] for row in loading]
    assert done == sorted(done) and len(set(done)) >= 3 and 0 < max(done) <= 40
    assert all(row["bytes_done"] == row["records_done"] * 10 for row in loading)
    assert abs(loading[0]["started_at"].timestamp() - time.time()) < 60
    assert progress(stage.db) == []
    stage.count_exactly_once(expected)


def test_progress_outlives_errors_that_the_definition_catches(stage):
    """An exception that PL/pgSQL catches ends a subtransaction, and with it what Postgres knows of a command's progress."""
    topic = stage.topic(1)
    expected = stage.kafka.produce(topic, spread(16, 1))
    stage.db.run(f"""CREATE FUNCTION {stage.work}.guarded(t bytea) RETURNS boolean LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_catalog.pg_sleep(0.05); RETURN 1/0 = 1; EXCEPTION WHEN division_by_zero THEN RETURN false; END $$""")
    stage.view(topic, columns=f"kafka_partition, kafka_offset, {stage.work}.guarded(kafka_value::bytea) AS guarded")
    refresh = InBackground(stage.connect(), "REFRESH MATERIALIZED VIEW v")
    wait_until(lambda: any(row["records_done"] >= 4 for row in progress(stage.db)) or not refresh.running)
    assert refresh.running, "nothing was seen before the end"
    refresh.result()
    stage.count_exactly_once(expected)


def test_progress_of_others_is_not_shown(stage, role):
    user, monitor = role(), role("LOGIN IN ROLE pg_monitor")
    topic = stage.topic(1)
    expected = stage.kafka.produce(topic, spread(8, 1))
    stage.view(topic, columns="kafka_partition, kafka_offset, pg_sleep(0.2) IS NULL AS slow")
    refresh = InBackground(stage.connect(), "REFRESH MATERIALIZED VIEW v")
    wait_until(lambda: progress(stage.db))
    counts = {}
    for who in (user, monitor):
        stage.db.run(f"SET ROLE {who}")
        counts[who] = len(progress(stage.db))
        stage.db.run("RESET ROLE")
    assert refresh.running and counts == {user: 0, monitor: 1}
    refresh.result()
    stage.count_exactly_once(expected)


def test_progress_goes_when_a_refresh_fails(stage):
    topic = stage.topic(1)
    expected = stage.kafka.produce(topic, spread(3, 1))
    stage.view(topic)
    stage.db.run("ALTER TABLE v ADD CHECK (kafka_offset < 1)")
    with pytest.raises(psycopg.errors.CheckViolation):
        stage.refresh()
    assert progress(stage.db) == []
    stage.db.run("ALTER TABLE v DROP CONSTRAINT v_kafka_offset_check")
    stage.refresh()
    stage.count_exactly_once(expected)


# --- lag -----------------------------------------------------------------------------------------------------------------------


def lag(stage, name="v"):
    cursor = stage.db.run("SELECT * FROM redshift.stream_lag WHERE schema_name = %s AND mv_name = %s ORDER BY partition_id", stage.work, name)
    return [dict(zip([column.name for column in cursor.description], row, strict=True)) for row in cursor]


def test_stream_lag_has_its_columns_and_right_values(stage):
    topic = stage.topic(2)
    now = int(time.time() * 1000)
    expected = stage.kafka.produce(topic, spread(60, timestamp=now - 90_000))
    stage.view(topic)
    before = lag(stage)
    assert list(before[0]) == "schema_name mv_name partition_id position high_watermark lag_records lag_seconds records_per_second error".split()
    # Nothing is loaded yet: the view is behind since it is there.
    assert [(row["high_watermark"], row["lag_records"]) for row in before] == [(30, 30), (30, 30)]
    assert all(0 < row["lag_seconds"] < 30 and row["records_per_second"] == 0 for row in before)
    stage.refresh()
    after = lag(stage)
    assert [(row["partition_id"], row["position"], row["high_watermark"], row["lag_records"], row["lag_seconds"]) for row in after] == [
        ("0", "30", 30, 0, 0), ("1", "30", 30, 0, 0),
    ]
    assert [row["records_per_second"] for row in after] == [0.5, 0.5], "30 records in the last minute"
    # Three more in one partition: the last record there is 90 seconds old.
    expected |= stage.kafka.produce(topic, [{"value": b"x", "partition": 1, "timestamp": now}] * 3)
    behind = lag(stage)
    assert [row["lag_records"] for row in behind] == [0, 3]
    assert behind[0]["lag_seconds"] == 0 and 90 <= behind[1]["lag_seconds"] < 120
    # A minute later the rate is 0.
    stage.db.run("UPDATE redshift.scan_ledger SET logged_at = logged_at - interval '61 seconds' WHERE mv_id = "
                 "(SELECT mv_id FROM redshift.materialized_view WHERE mv = %s::regclass)", f"{stage.work}.v")
    assert [row["records_per_second"] for row in lag(stage)] == [0, 0]
    stage.refresh()
    stage.count_exactly_once(expected)


def test_stream_lag_of_a_view_under_auto_refresh(stage):
    topic = stage.topic(1)
    stage.view(topic, options="auto_refresh = on")
    expected = stage.kafka.produce(topic, spread(120, 1))
    wait_until(lambda: stage.db.value("SELECT count(*) FROM v") == 120)
    wait_until(lambda: lag(stage)[0]["lag_records"] == 0)
    assert lag(stage)[0]["records_per_second"] == pytest.approx(2.0)
    stage.count_exactly_once(expected)


def test_a_worker_with_a_backlog_is_seen(stage):
    topic = stage.topic(2)
    expected = stage.kafka.produce(topic, spread(1500))
    stage.view(topic, columns="kafka_partition, kafka_offset, pg_sleep(0.001) IS NULL AS slow", options="auto_refresh = on")
    seen = []
    while stage.db.value("SELECT count(*) FROM v") < len(expected):
        seen += [row for row in progress(stage.db) if row["mv_name"] == "v"]
        assert value(metrics(stage.db), "refreshes_running") == 0, "of refreshes by hand"
    worker = stage.db.value("SELECT pid FROM redshift.worker_status WHERE schema_name = %s", stage.work)
    told = ("pid", "schema_name", "phase", "refresh_type", "partitions", "records_total")
    assert {tuple(row[name] for name in told) for row in seen} == {(worker, stage.work, "loading", "Auto", 2, 1500)}
    done = [row["records_done"] for row in seen]
    assert done == sorted(done) and len(set(done)) >= 3 and 0 < max(done) <= 1500
    assert all(row["bytes_done"] == row["records_done"] * 10 for row in seen) and len({row["started_at"] for row in seen}) == 1
    wait_until(lambda: progress(stage.db) == [], 5, "the end of the entry")
    stage.count_exactly_once(expected)


# --- metrics -------------------------------------------------------------------------------------------------------------------


def parse(text):
    """{name: {labels: value}} by Prometheus's own parser; every family has a HELP and a TYPE, no sample comes twice."""
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation and family.type in ("counter", "gauge"), family
        for sample in family.samples:
            values = found.setdefault(sample.name, {})
            labels = tuple(sorted(sample.labels.items()))
            assert labels not in values, sample
            values[labels] = sample.value
    return found


def metrics(db):
    return parse(db.value("SELECT redshift.metrics()"))


def value(found, name, **labels):
    """The one sample of a metric that has these labels."""
    rows = [number for has, number in found.get(PREFIX + name, {}).items() if labels.items() <= dict(has).items()]
    assert len(rows) == 1, (name, labels, rows)
    return rows[0]


def total(found, name, **labels):
    return sum(number for has, number in found.get(PREFIX + name, {}).items() if labels.items() <= dict(has).items())


def test_metrics_tell_what_happened(stage):
    topic = stage.topic(2)
    expected = stage.kafka.produce(topic, spread(20) + [{"value": b"y" * 200, "partition": 0}, {"value": b"filtered", "partition": 1}])
    stage.view(topic, options="max_record_bytes = 100", where="kafka_value <> 'filtered'::varchar::varbyte")
    view = {"schema": stage.work, "view": "v", "database": stage.db.name}
    found = metrics(stage.db)
    assert total(found, "lag_records", **view) == 22
    assert value(found, "source_up", external_schema=stage.schema) == 1
    began = time.time()
    stage.refresh()
    stage.refresh()
    found = metrics(stage.db)
    assert total(found, "lag_records", **view) == total(found, "lag_seconds", **view) == 0
    names = ["scanned_records_total", "loaded_records_total", "filtered_records_total", "skipped_records_total"]
    assert [total(found, name, **view) for name in names] == [22, 20, 1, 1]
    assert total(found, "scanned_bytes_total", **view) == 20 * 10 + 200 + 8
    assert value(found, "scanned_records_total", partition="0", **view) == 11
    assert value(found, "refreshes_total", type="Manual", status="success", **view) == 2
    assert began - 1 < value(found, "last_success_timestamp_seconds", **view) < time.time() + 1
    assert value(found, "scan_errors", error_code="1", **view) == 1
    assert value(found, "refreshes_running") == 0
    assert value(found, "journal_lost_total", kind="refreshes") == 0
    # A failed refresh counts; it changes nothing else.
    stage.db.run("ALTER TABLE v ADD CHECK (kafka_offset < 12)")
    stage.kafka.produce(topic, spread(6))
    with pytest.raises(psycopg.errors.CheckViolation):
        stage.refresh()
    wait_until(lambda: total(metrics(stage.db), "refreshes_total", status="failed", **view) == 1)
    assert total(metrics(stage.db), "scanned_records_total", **view) == 22
    # Counters go on when the history is gone.
    stage.db.run("DELETE FROM redshift.refresh_history; DELETE FROM redshift.scan_ledger")
    found = metrics(stage.db)
    assert total(found, "scanned_records_total", **view) == 22 and total(found, "refreshes_total", **view) == 3
    stage.db.run("DROP MATERIALIZED VIEW v")
    assert not [labels for samples in metrics(stage.db).values() for labels in samples if ("schema", stage.work) in labels]
    assert stage.db.value("SELECT count(*) FROM redshift.refresh_total") == stage.db.value(
        "SELECT count(*) FROM redshift.refresh_total AS t JOIN redshift.materialized_view AS v USING (mv_id)")
    assert len(expected) == 22


def test_metrics_of_auto_refresh(stage):
    topic = stage.topic(2)
    expected = stage.kafka.produce(topic, spread(30))
    stage.view(topic, options="auto_refresh = on")
    view = {"schema": stage.work, "view": "v"}
    wait_until(lambda: total(metrics(stage.db), "loaded_records_total", **view) == 30)
    wait_until(lambda: total(metrics(stage.db), "refreshes_total", type="Auto", status="success", **view) >= 1)
    states = {dict(labels)["state"]: number for labels, number in metrics(stage.db)[PREFIX + "worker_state"].items() if view.items() <= dict(labels).items()}
    assert {state for state, number in states.items() if number} == {"running"} and len(states) >= 5
    stage.count_exactly_once(expected)


def test_labels_are_escaped(stage):
    topic = stage.topic(1)
    expected = stage.kafka.produce(topic, spread(3, 1))
    name = 'a "quoted" \\ name\nof two lines'
    stage.view(topic, '"' + name.replace('"', '""') + '"')
    assert value(metrics(stage.db), "lag_records", view=name, schema=stage.work) == 3
    stage.db.run('ALTER MATERIALIZED VIEW "' + name.replace('"', '""') + '" RENAME TO v')
    stage.refresh()
    stage.count_exactly_once(expected)


def test_metrics_when_a_broker_is_away(stage):
    topic = stage.topic(1)
    expected = stage.kafka.produce(topic, spread(3, 1))
    stage.view(topic)
    stage.refresh()
    server = stage.schema
    stage.db.run(f"ALTER SERVER {server} OPTIONS (SET uri '127.0.0.1:1')")
    try:
        began = time.monotonic()
        found = metrics(stage.db)
        assert time.monotonic() - began < 8
        assert value(found, "source_up", external_schema=server) == 0
        assert total(found, "loaded_records_total", schema=stage.work, view="v") == 3
        assert not [labels for labels in found.get(PREFIX + "lag_records", {}) if ("schema", stage.work) in labels]
    finally:
        stage.db.run(f"ALTER SERVER {server} OPTIONS (SET uri '{stage.kafka.bootstrap}')")
    stage.count_exactly_once(expected)


def test_metrics_are_for_pg_monitor(db, role):
    user, monitor = role(), role("LOGIN IN ROLE pg_monitor")
    db.run(f"SET ROLE {user}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        db.run("SELECT redshift.metrics()")
    db.run(f"SET ROLE {monitor}")
    assert PREFIX + "refreshes_running" in metrics(db)
    db.run("RESET ROLE")


# --- events --------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def own(private_cluster, kafka):
    """A stage in a cluster of its own, whose settings the test may change; .events() are those of its database."""
    cluster = private_cluster()
    database = cluster.database()
    database.run("CREATE EXTENSION redshift_streaming")
    stage = Stage(database, kafka)
    stage.listener = database.connect()
    stage.listener.execute("LISTEN redshift_events")
    stage.heard = []

    def events(name):
        stage.heard += [json.loads(n.payload) for n in stage.listener.notifies(timeout=0.2, stop_after=None)]
        return [event for event in stage.heard if event["event"] == name]

    stage.events = events
    yield stage
    database.connection.close()
    stage.listener.close()


@pytest.mark.embedded_only("waits for the monitor, again and again")
def test_events_when_the_lag_crosses_a_limit_and_when_it_is_back(own):
    own.db.run("ALTER SYSTEM SET redshift.lag_alert_records = 10")
    own.db.run("ALTER SYSTEM SET redshift.lag_alert_seconds = '1min'")
    own.db.run("SELECT pg_reload_conf()")
    topic = own.topic(2)
    own.view(topic)
    own.view(topic, "w")
    expected = own.kafka.produce(topic, spread(10))
    time.sleep(6)
    assert own.events("lag_over_limit") == [], "ten are allowed"
    expected |= own.kafka.produce(topic, spread(4))
    own.refresh("w")
    wait_until(lambda: own.events("lag_over_limit"), 30)
    event = own.events("lag_over_limit")[0]
    assert (event["schema_name"], event["mv_name"], event["lag_records"]) == (own.work, "v", 14) and event["lag_seconds"] > 0
    assert value(metrics(own.db), "lag_over_limit", view="v") == 1 and value(metrics(own.db), "lag_over_limit", view="w") == 0
    # Once, however long it lasts, and also over a restart.
    own.db.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'redshift_streaming monitor'")
    time.sleep(6)
    assert len(own.events("lag_over_limit")) == 1
    assert own.events("lag_within_limit") == []
    own.refresh()
    wait_until(lambda: own.events("lag_within_limit"), 30)
    back = own.events("lag_within_limit")
    assert [(event["mv_name"], event["lag_records"], event["lag_seconds"]) for event in back] == [("v", 0, 0)]
    assert len(own.events("lag_over_limit")) == 1
    # By age: one record waits, and the last that was loaded is two minutes old.
    other = own.kafka.topic(1)
    own.schema += "_other"
    own.map(other)
    old = own.kafka.produce(other, spread(1, 1, timestamp=int(time.time() * 1000) - 120_000))
    own.view(other, "x")
    own.refresh("x")
    old |= own.kafka.produce(other, spread(1, 1))
    wait_until(lambda: len(own.events("lag_over_limit")) == 2, 30)
    event = own.events("lag_over_limit")[1]
    assert event["mv_name"] == "x" and event["lag_records"] == 1 and 120 <= event["lag_seconds"] < 180
    own.refresh("x")
    wait_until(lambda: len(own.events("lag_within_limit")) == 2, 30)
    own.refresh("w")
    own.count_exactly_once(expected)
    own.count_exactly_once(expected, "w")
    own.count_exactly_once(old, "x")


@pytest.mark.embedded_only("waits for the monitor, again and again")
def test_a_view_has_limits_of_its_own(own):
    topic = own.topic(2)
    own.view(topic, options="lag_alert_records = 5, lag_alert_seconds = '2min'")
    own.view(topic, "w")
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        own.db.run("ALTER MATERIALIZED VIEW w SET (lag_alert_records = -1)")
    expected = own.kafka.produce(topic, spread(10))
    names = lambda event: [told["mv_name"] for told in own.events(event)]
    wait_until(lambda: names("lag_over_limit"), 20, "the event by the view's own limit, without a setting")
    own.db.run("ALTER MATERIALIZED VIEW v SET (lag_alert_records = 100)")
    own.db.run("ALTER SYSTEM SET redshift.lag_alert_records = 3")
    own.db.run("SELECT pg_reload_conf()")
    wait_until(lambda: names("lag_within_limit") == ["v"] and names("lag_over_limit") == ["v", "w"], 20, "v back, w over the setting")
    own.db.run("ALTER MATERIALIZED VIEW v RESET (lag_alert_records, lag_alert_seconds)")
    own.db.run("ALTER MATERIALIZED VIEW w SET (lag_alert_records = 0)")
    wait_until(lambda: names("lag_within_limit") == ["v", "w"] and names("lag_over_limit") == ["v", "w", "v"], 20, "v over the setting, w without a limit")
    limits = "SELECT lag_alert_records, lag_alert_seconds FROM redshift.materialized_view ORDER BY mv_id"
    assert own.db.rows(limits) == [(None, None), (0, None)]
    for name in "vw":
        own.refresh(name)
        own.count_exactly_once(expected, name)


# --- examples/ -----------------------------------------------------------------------------------------------------------------


def conninfo(db, **more):
    return psycopg.conninfo.make_conninfo(**(db._connect | {"dbname": db.name} | more))


class Program:
    """A program of examples/, up to the first line that it prints."""

    def __init__(self, name, *arguments):
        self.process = subprocess.Popen([sys.executable, EXAMPLES / name, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.first_line = self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(10)


def test_the_prometheus_bridge(stage):
    topic = stage.topic(1)
    expected = stage.kafka.produce(topic, spread(5, 1))
    stage.view(topic)
    stage.refresh()
    with Program("prometheus_bridge.py", conninfo(stage.db), "--port", "0") as bridge:
        def get(url):
            with urllib.request.urlopen(url, timeout=20) as answer:
                return answer.headers["Content-Type"], answer.read().decode()

        kind, text = get(bridge.first_line)
        assert kind.startswith("text/plain; version=0.0.4")
        assert value(parse(text), "loaded_records_total", view="v", schema=stage.work) == 5
        # Its connection is lost: the next scrape makes another.
        stage.db.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'prometheus_bridge'")
        assert parse(get(bridge.first_line)[1])
        with pytest.raises(urllib.error.HTTPError):
            get(bridge.first_line.replace("/metrics", "/other"))
    stage.count_exactly_once(expected)


def test_the_webhook(stage):
    """Each kind of event of a refresh arrives at an HTTP server, also after it was away for a moment."""
    got, refuse = [], [True]

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(503 if refuse else 204)
            self.end_headers()
            if refuse:
                refuse.clear()
            else:
                got.append(json.loads(body))

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    topic = stage.topic(1)
    stage.view(topic, options="max_record_bytes = 100, auto_refresh = on")
    with Program("webhook.py", conninfo(stage.db), f"http://127.0.0.1:{server.server_address[1]}/hook") as hook:
        assert hook.first_line == "listening"
        wanted = {"schema_name": stage.work, "mv_name": "v"}
        stage.kafka.produce(topic, [{"value": b"y" * 200, "partition": 0}])
        wait_until(lambda: {"event": "records_skipped", "records": 1} | wanted in got)
        stage.db.run("ALTER TABLE v ADD CHECK (kafka_offset < 1)")
        stage.kafka.produce(topic, [{"value": b"x", "partition": 0}])
        wait_until(lambda: {"event": "refresh_failed"} | wanted in got)
        stage.db.run("ALTER TABLE v DROP CONSTRAINT v_kafka_offset_check")
        wait_until(lambda: {"event": "refresh_recovered"} | wanted in got, 40)
    server.shutdown()


def test_dashboard_and_alerts_use_metrics_that_are_there(stage):
    """Every metric and label of the queries is in redshift.metrics(), and every metric is in the dashboard."""
    topic = stage.topic(1)
    stage.kafka.produce(topic, [{"value": b"y" * 200, "partition": 0}])
    stage.view(topic, options="max_record_bytes = 100, auto_refresh = on")
    wait_until(lambda: total(metrics(stage.db), "scan_errors", view="v", schema=stage.work) == 1)
    wait_until(lambda: total(metrics(stage.db), "refreshes_total", view="v", schema=stage.work) >= 1)
    there = {name: {label for labels in samples for label, _ in labels} for name, samples in metrics(stage.db).items()}

    dashboard = json.loads((EXAMPLES / "grafana-dashboard.json").read_text())
    panels = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    variables = [variable["query"] for variable in dashboard["templating"]["list"] if variable["type"] == "query"]
    alerts = re.findall(r"expr: (.*)", (EXAMPLES / "alerts.yml").read_text())
    assert len(panels) > 10 and len(alerts) > 4
    used = set()
    for query in panels + variables + alerts:
        names = re.findall(rf"\b({PREFIX}\w+)(?:{{([^}}]*)}})?", query)
        assert names, query
        for name, selector in names:
            assert name in there, query
            used.add(name)
            asked = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))
            grouped = {label.strip() for by in re.findall(r"\bby \(([^)]*)\)", query) for label in by.split(",")}
            listed = set(re.findall(r"label_values\([^,]*(?:{.*})?, (\w+)\)", query))
            assert asked | grouped | listed <= there[name], (query, there[name])
    assert used == set(there), "each metric has its place in the dashboard or the alerts"
    legends = {label for panel in dashboard["panels"] for target in panel["targets"] for label in re.findall(r"{{(\w+)}}", target["legendFormat"])}
    assert legends <= {label for labels in there.values() for label in labels}
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in dashboard["panels"]]
    assert len(set(places)) == len(places) and len({p["id"] for p in dashboard["panels"]}) == len(places)
