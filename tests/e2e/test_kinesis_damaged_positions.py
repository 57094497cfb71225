"""As of topics (test_damaged_positions.py): what cannot be read of a shard's row stops the view."""

import psycopg
import pytest
from damage import damage, is_told, statement, unchecked  # noqa: F401
from stage import wait_until
from test_kinesis_auto_refresh import AUTO, landed, state

SHARD = "shardId-000000000000"


@pytest.mark.parametrize("column, text", [
    ("position", "abc"), ("position", "@x"), ("position", "@-1"), ("position", "00"), ("position", "earliest "),
    ("partition_id", "no shard"), ("source_id", "yesterday"),
])
def test_a_row(streams, unchecked, column, text):
    stream = streams.stream(2)
    expected = streams.kinesis.produce(stream, [b"x"] * 50)
    streams.view(stream)
    streams.refresh()
    expected |= streams.kinesis.produce(stream, [b"y"] * 50)
    stood = {shard: position for shard, (position, _) in streams.checkpoints().items()}
    damage(streams.db, column, text, SHARD)
    with pytest.raises(psycopg.Error) as raised:
        streams.refresh()
    error = raised.value
    assert error.sqlstate == "RS005" and f'"{text}" cannot be read' in error.diag.message_primary, error
    assert streams.db.value("SELECT count(*) FROM v") == 50
    if column == "partition_id":
        named = ", ".join(f'"{shard}": "{position}"' for shard, position in stood.items())
        mend = f"CALL redshift.set_position('v', NULL, '{{{named}}}')"
    else:
        mend = statement(error)
        assert SHARD in error.diag.message_primary and stood[SHARD] in mend
    if column == "position":
        is_told(streams, "cannot be read")
    streams.db.run(mend)
    streams.refresh()
    streams.count_exactly_once(expected)


def test_auto_refresh_of_that_view_alone_waits(streams, unchecked):
    stream = streams.stream(1)
    for name in "vw":
        streams.view(stream, name, options=AUTO)
    expected = streams.kinesis.produce(stream, [b"x"] * 20)
    for name in "vw":
        landed(streams, expected, name)
    wait_until(lambda: streams.db.value("SELECT count(*) FROM redshift.checkpoint WHERE pending_since IS NOT NULL") == 0)
    position = streams.checkpoints()[SHARD][0]
    damage(streams.db, "position", "abc", SHARD)
    expected |= streams.kinesis.produce(stream, [b"y"] * 20)
    landed(streams, expected, "w")
    wait_until(lambda: state(streams)[0] == "retrying")
    assert '"abc" cannot be read' in state(streams)[1] and position in state(streams)[1]
    assert state(streams, "w")[0] == "running" and streams.db.value("SELECT count(*) FROM v") == 20
    streams.db.run(f"CALL redshift.set_position('v', '{SHARD}', '{position}')")
    landed(streams, expected)
    wait_until(lambda: state(streams)[0] == "running")
