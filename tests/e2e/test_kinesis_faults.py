"""What goes wrong between us and Kinesis: tried again, shown, and nothing lost or twice. The faults are made by a proxy of ours."""

import time

import psycopg
import pytest
from kinesis import EXPIRED, INTERNAL, LIMITED, THROTTLED, UNAVAILABLE, Cut, Fault
from stage import InBackground, wait_until

RECORDS = 300


@pytest.fixture
def loaded(faulty):
    """A view over a stream of three shards, and what was produced."""
    stream = faulty.stream(3)
    faulty.view(stream)
    return stream, faulty.kinesis.produce(stream, [{"n": n} for n in range(RECORDS)])


def finish(stage, produced):
    stage.refresh()
    stage.refresh()
    stage.count_exactly_once(produced)


@pytest.mark.parametrize("fault", [THROTTLED, LIMITED, INTERNAL, UNAVAILABLE, EXPIRED], ids=lambda fault: fault.code)
@pytest.mark.parametrize("action", ["GetRecords", "GetShardIterator"])
def test_a_refresh_goes_on_after(faulty, proxy, loaded, fault, action):
    _, produced = loaded
    proxy.fail(fault, action, times=4)
    faulty.refresh()
    faulty.count_exactly_once(produced)
    assert proxy.count(action) > 4


@pytest.mark.parametrize("action", ["ListShards", "DescribeStreamSummary"])
def test_a_description_is_asked_for_again(faulty, proxy, loaded, action):
    _, produced = loaded
    proxy.fail(LIMITED, action, times=3)
    faulty.refresh()
    faulty.count_exactly_once(produced)


def test_answers_that_are_cut(faulty, proxy, loaded):
    _, produced = loaded
    state = {"n": 0}

    def cut(action, request):
        state["n"] += 1
        if state["n"] % 2:
            raise Cut

    proxy.before.append(cut)
    faulty.refresh()
    proxy.clear()
    finish(faulty, produced)


def test_answers_that_are_cut_after_the_records_were_read(faulty, proxy, loaded):
    _, produced = loaded
    state = {"n": 0}

    def cut(action, request, answer):
        state["n"] += action == "GetRecords"
        if action == "GetRecords" and state["n"] % 3:
            raise Cut

    proxy.after.append(cut)
    faulty.refresh()
    proxy.clear()
    finish(faulty, produced)


def test_empty_pages_on_the_way(faulty, proxy, loaded):
    """The service may answer without records although there are some: only MillisBehindLatest says that nothing is left."""
    _, produced = loaded
    state = {"n": 0}

    def empty(action, request, answer):
        if action != "GetRecords":
            return
        state["n"] += 1
        if state["n"] <= 12:
            answer["Records"], answer["NextShardIterator"], answer["MillisBehindLatest"] = [], request["ShardIterator"], 60_000

    proxy.after.append(empty)
    faulty.refresh()
    faulty.count_exactly_once(produced)


def test_pages_of_one_record(faulty, proxy, loaded):
    """Small pages, with a new iterator in the middle of each shard."""
    stream, produced = loaded
    faulty.db.run("SET redshift.kinesis_limits = off")
    state = {"n": 0}

    def expire(action, request):
        if action == "GetRecords":
            request["Limit"] = 1
            state["n"] += 1
            if state["n"] % 7 == 0:
                raise EXPIRED

    def cut_page(action, request, answer):
        # The rest of a page is asked for by number, as a new iterator would be.
        if action == "GetRecords" and len(answer["Records"]) > 5:
            last = answer["Records"][4]
            answer["Records"] = answer["Records"][:5]
            answer["MillisBehindLatest"] = 1000
            shard = next(s for s, number in produced if number == last["SequenceNumber"])
            answer["NextShardIterator"] = faulty.kinesis.client.get_shard_iterator(
                StreamName=stream, ShardId=shard, ShardIteratorType="AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=last["SequenceNumber"]
            )["ShardIterator"]

    proxy.before.append(expire)
    proxy.after.append(cut_page)
    faulty.refresh()
    faulty.count_exactly_once(produced)
    assert proxy.count("GetRecords") > RECORDS / 5


def test_slow_answers(faulty, proxy, loaded):
    _, produced = loaded
    proxy.before.append(lambda action, request: time.sleep(0.4) if action == "GetRecords" else None)
    began = time.monotonic()
    faulty.refresh()
    # Side by side: not three times as long.
    assert time.monotonic() - began < 2.5
    faulty.count_exactly_once(produced)


def test_what_does_not_pass_is_an_error_with_its_cause(faulty, proxy, loaded):
    _, produced = loaded
    faulty.db.run("SET redshift.fetch_timeout_ms = 1500")
    proxy.fail(THROTTLED)
    began = time.monotonic()
    with pytest.raises(psycopg.OperationalError) as raised:
        faulty.refresh()
    assert time.monotonic() - began < 5
    assert "ProvisionedThroughputExceededException: Rate exceeded for shard" in raised.value.diag.message_detail
    assert "shardId-000000000001" in raised.value.diag.message_detail
    proxy.clear()
    finish(faulty, produced)


def test_a_service_that_is_away(faulty, proxy, loaded):
    _, produced = loaded
    faulty.db.run("SET redshift.connect_timeout_ms = 1000")
    endpoint = proxy.endpoint
    faulty.db.run(f"ALTER SERVER {faulty.schema} OPTIONS (SET endpoint_url 'http://127.0.0.1:9')")
    began = time.monotonic()
    with pytest.raises(psycopg.OperationalError) as raised:
        faulty.refresh()
    assert time.monotonic() - began < 4 and raised.value.sqlstate == "08001"
    faulty.db.run(f"ALTER SERVER {faulty.schema} OPTIONS (SET endpoint_url '{endpoint}')")
    finish(faulty, produced)


@pytest.mark.parametrize("code", ["AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException"])
def test_who_is_not_allowed_is_told_at_once(faulty, proxy, loaded, code):
    proxy.fail(Fault(400, code, "User: arn:aws:iam::1:user/x is not authorized to perform: kinesis:GetRecords"))
    began = time.monotonic()
    with pytest.raises(psycopg.errors.InsufficientPrivilege) as raised:
        faulty.refresh()
    assert time.monotonic() - began < 3 and "kinesis:GetRecords" in raised.value.diag.message_detail


def test_a_cancel_is_heard_while_nothing_answers(faulty, proxy, loaded):
    _, produced = loaded
    proxy.before.append(lambda action, request: time.sleep(3) if action in ("GetRecords", "DescribeStreamSummary") else None)
    for action in ("DescribeStreamSummary", "GetRecords"):
        proxy.seen.clear()
        session = faulty.connect()
        running = InBackground(session, "REFRESH MATERIALIZED VIEW v")
        wait_until(lambda: proxy.count(action))
        time.sleep(0.1)
        began = time.monotonic()
        session.cancel()
        with pytest.raises(psycopg.errors.QueryCanceled):
            running.result()
        assert time.monotonic() - began < 1
    proxy.clear()
    finish(faulty, produced)


def test_reads_keep_within_the_limits_of_the_service(faulty, proxy, loaded):
    """No shard is read more than five times in any second, however many pages there are."""
    stream, produced = loaded

    def never_done(action, request, answer):
        if action == "GetRecords" and proxy.count("GetRecords") < 40:
            answer["MillisBehindLatest"] = max(answer["MillisBehindLatest"], 1)

    proxy.after.append(never_done)
    shards, iterators = {}, {}

    def arrive(action, request):
        if action == "GetRecords":
            shards.setdefault(iterators[request["ShardIterator"]], []).append(time.monotonic())

    def remember(action, request, answer):
        if action == "GetShardIterator":
            iterators[answer["ShardIterator"]] = request["ShardId"]
        if action == "GetRecords" and answer.get("NextShardIterator"):
            iterators[answer["NextShardIterator"]] = iterators[request["ShardIterator"]]

    proxy.before.append(arrive)
    proxy.after.append(remember)
    faulty.refresh()
    faulty.count_exactly_once(produced)
    assert len(shards) == 3
    for times in shards.values():
        # What is late on the way seems to be close to what follows: much is forgiven to one second, nothing to all of them.
        assert len(times) > 8 and (len(times) - 5) / (times[-1] - times[0]) < 5.5, times
        assert all(later - earlier > 0.5 for earlier, later in zip(times, times[5:])), times


def test_a_closed_shard_is_read_to_its_end_although_nothing_seems_to_be_behind(faulty, proxy, loaded):
    """The service may say that nothing is behind before it gives the end of a closed shard: the children's records belong to the refresh too."""
    stream, produced = loaded
    faulty.kinesis.split(stream, "shardId-000000000001")
    produced |= faulty.kinesis.produce(stream, [b"y"] * 60)
    held = {}

    def hold(action, request, answer):
        if action == "GetRecords" and answer.get("NextShardIterator") is None and not held.get(request["ShardIterator"]):
            held[request["ShardIterator"]] = True
            answer["NextShardIterator"], answer["Records"], answer["MillisBehindLatest"] = request["ShardIterator"], [], 0
            answer.pop("ChildShards", None)

    proxy.after.append(hold)
    faulty.refresh()
    faulty.count_exactly_once(produced)
    assert held


def test_the_clock_of_the_service_is_ahead(faulty, proxy, loaded):
    """Records that arrived before the refresh are loaded by it although our clock says that they are still to come."""
    _, produced = loaded

    def ahead(action, request, answer):
        for record in answer.get("Records", []):
            record["ApproximateArrivalTimestamp"] += 30
        if answer.get("Records") and len(answer["Records"]) > 50:
            answer["MillisBehindLatest"] = 500

    proxy.after.append(ahead)
    faulty.refresh()
    faulty.count_exactly_once(produced)
