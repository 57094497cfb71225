"""The best single-process consumer we know how to write in Python: consumer.py BOOTSTRAP TOPIC ROWS raw|typed|jsonb CONNINFO TABLE

confluent-kafka in large batches, rows packed by hand for COPY BINARY, one write a batch. Prints the seconds from the first batch
to the commit: joining costs confluent-kafka half a second before its first record, which is not held against it.
"""

import datetime
import struct
import sys
import time

import orjson
import psycopg
from confluent_kafka import Consumer, TopicPartition

POSTGRES_EPOCH_MS = 946_684_800_000
HEADER = b"PGCOPY\n\xff\r\n\x00" + struct.pack(">ii", 0, 0)
POSITION = struct.Struct(">hiqiqiqi").pack
LENGTH = struct.Struct(">i").pack
TYPED = struct.Struct(">hiqiqidi").pack


def raw(message, parts):
    key, value = message.key(), message.value()
    parts.append(POSITION(5, 8, message.partition(), 8, message.offset(), 8, (message.timestamp()[1] - POSTGRES_EPOCH_MS) * 1000, len(key)))
    parts.append(key)
    parts.append(LENGTH(len(value)))
    parts.append(value)


def jsonb(message, parts):
    key, value = message.key(), message.value()
    parts.append(POSITION(5, 8, message.partition(), 8, message.offset(), 8, (message.timestamp()[1] - POSTGRES_EPOCH_MS) * 1000, len(key)))
    parts.append(key)
    parts.append(LENGTH(len(value) + 1))
    parts.append(b"\x01")
    parts.append(value)


def typed(message, parts):
    order = orjson.loads(message.value())
    date = int(datetime.datetime.fromisoformat(order["OrderDate"]).timestamp() * 1e6) - POSTGRES_EPOCH_MS * 1000
    customer = order["CustomerID"].encode()
    parts.append(TYPED(4, 8, order["OrderID"], 8, date, 8, order["Price"], len(customer)))
    parts.append(customer)


def main(bootstrap, topic, rows, shape, conninfo, table):
    rows, add = int(rows), {"raw": raw, "typed": typed, "jsonb": jsonb}[shape]
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "bench", "enable.auto.commit": False, "auto.offset.reset": "error",
         "queued.min.messages": 1_000_000, "queued.max.messages.kbytes": 1_048_576, "fetch.queue.backoff.ms": 5, "check.crcs": False}
    )
    partitions = consumer.list_topics(topic, 10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
    with psycopg.connect(conninfo) as connection, connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy:
        copy.write(HEADER)
        messages, began = consumer.consume(10_000, 10), time.monotonic()
        done = 0
        while True:
            parts = []
            for message in messages:
                add(message, parts)
            copy.write(b"".join(parts))
            done += len(messages)
            if done >= rows:
                break
            messages = consumer.consume(10_000, 10)
            assert messages, f"the topic ended after {done} rows"
        copy.write(struct.pack(">h", -1))
    print(time.monotonic() - began)
    consumer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
