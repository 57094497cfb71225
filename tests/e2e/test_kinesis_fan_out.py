"""Enhanced fan-out: a worker that reads a stream by subscriptions. What it sees of the end of a shard, the emulator leaves to the proxy to say."""

import psycopg
import pytest
from kinesis import UNAVAILABLE, Cut
from stage import wait_until
from test_kinesis_auto_refresh import landed, state


@pytest.fixture
def pushed(faulty, proxy):
    """As faulty, with views that have a consumer."""
    faulty.proxy = proxy
    plain = faulty.view
    faulty.view = lambda stream, name="v": plain(stream, name, options=f"auto_refresh = on, consumer = '{faulty.kinesis.consumer(stream)}'")
    return faulty


def test_what_arrives_is_pushed(pushed):
    stream = pushed.stream(2)
    produced = pushed.kinesis.produce(stream, [b"x"] * 50)
    pushed.view(stream)
    landed(pushed, produced)
    produced |= pushed.kinesis.produce(stream, [b"y"] * 50)
    landed(pushed, produced)
    assert pushed.proxy.count("SubscribeToShard") == 2 and pushed.proxy.count("GetRecords") == 0
    assert state(pushed) == ("running", None)
    # A refresh by hand and a peek need no consumer.
    produced |= pushed.kinesis.produce(stream, [b"z"] * 20)
    pushed.refresh()
    assert set(pushed.db.rows(f"SELECT shard_id, sequence_number FROM {pushed.relation(stream)}")) == produced
    produced |= pushed.kinesis.produce(stream, [b"w"] * 20)
    landed(pushed, produced)


def test_two_views_need_two_consumers(pushed):
    stream = pushed.stream()
    for name in "vw":
        pushed.view(stream, name)
    produced = pushed.kinesis.produce(stream, [b"x"] * 50)
    for name in "vw":
        landed(pushed, produced, name)


def test_a_subscription_that_breaks_is_renewed(pushed):
    stream = pushed.stream()
    pushed.view(stream)
    produced, events = set(), []

    def cut(action, request, event):
        # In the middle of it: these records have to come again.
        if action == "SubscribeToShard" and event["Records"]:
            events.append(request["StartingPosition"])
            if len(events) % 2:
                raise Cut

    pushed.proxy.after.append(cut)
    for _ in range(2):
        produced |= pushed.kinesis.produce(stream, [b"x"] * 20)
        landed(pushed, produced)
    assert len(events) >= 4 and events[-1]["Type"] == "AFTER_SEQUENCE_NUMBER"


def test_a_split_and_a_merge(pushed):
    stream = pushed.stream()
    pushed.view(stream)

    def end(action, request, event):
        """What the service says at a shard's end (API reference, SubscribeToShardEvent); the emulator says nothing."""
        if action != "SubscribeToShard" or event["Records"]:
            return
        shards = pushed.kinesis.shards(stream)
        shard = next(s for s in shards if s["ShardId"] == request["ShardId"])
        if "EndingSequenceNumber" in shard["SequenceNumberRange"]:
            del event["ContinuationSequenceNumber"]
            parents = lambda s: [s[p] for p in ("ParentShardId", "AdjacentParentShardId") if p in s]
            event["ChildShards"] = [
                {"ShardId": s["ShardId"], "ParentShards": parents(s), "HashKeyRange": s["HashKeyRange"]} for s in shards if request["ShardId"] in parents(s)
            ]

    pushed.proxy.after.append(end)
    produced = pushed.kinesis.produce(stream, [b"x"] * 20)
    landed(pushed, produced)
    # Children are known from events only.
    pushed.proxy.fail(UNAVAILABLE, "ListShards")
    left, right = pushed.kinesis.split(stream, "shardId-000000000000")
    produced |= pushed.kinesis.produce(stream, [b"y"] * 20)
    landed(pushed, produced)
    pushed.kinesis.merge(stream, left, right)
    produced |= pushed.kinesis.produce(stream, [b"z"] * 20)
    landed(pushed, produced)
    wait_until(lambda: sum(drained for _, drained in pushed.checkpoints().values()) == 3)
    assert pushed.proxy.count("GetRecords") == 0


def test_closed_shards_are_fetched(pushed):
    stream = pushed.stream()
    produced = pushed.kinesis.produce(stream, [b"x"] * 20)
    pushed.kinesis.split(stream, "shardId-000000000000")
    produced |= pushed.kinesis.produce(stream, [b"y"] * 20)
    pushed.view(stream)
    landed(pushed, produced)
    assert pushed.proxy.count("SubscribeToShard") == 2


def test_the_option_is_changed_and_wrong_ones_are_said(pushed):
    stream = pushed.stream()
    pushed.view(stream)
    produced = pushed.kinesis.produce(stream, [b"x"] * 20)
    landed(pushed, produced)
    pushed.db.run("ALTER MATERIALIZED VIEW v SET (consumer = 'nobody')")
    wait_until(lambda: 'has no consumer "nobody"' in (state(pushed)[1] or ""), 20, "the error")
    produced |= pushed.kinesis.produce(stream, [b"y"] * 20)
    pushed.proxy.seen.clear()
    pushed.db.run("ALTER MATERIALIZED VIEW v RESET (consumer)")
    landed(pushed, produced)
    assert pushed.proxy.count("SubscribeToShard") == 0
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="consumer"):
        pushed.db.run("ALTER MATERIALIZED VIEW v SET (consumer = 'a b')")
