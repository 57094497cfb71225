"""Produces numbered records until it gets SIGTERM: producer.py BOOTSTRAP TOPIC PARTITIONS RATE FILE. FILE gets the numbers that the broker acknowledged."""

import signal
import sys
import time

from confluent_kafka import Producer


def main(bootstrap, topic, partitions, rate, file):
    partitions, rate = int(partitions), int(rate)
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    # Idempotent: what is sent again because an acknowledgement was lost is in the topic once.
    producer = Producer(
        {"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5, "message.timeout.ms": 300_000, "socket.timeout.ms": 10_000,
         "reconnect.backoff.max.ms": 500, "log_level": 0}
    )
    with open(file, "w", encoding="ascii") as acknowledged:

        def delivered(error, message):
            if error is None:
                acknowledged.write(message.value().decode() + "\n")

        number, began = 0, time.monotonic()
        while not stopped:
            due = int((time.monotonic() - began) * rate)
            while number < due:
                try:
                    producer.produce(topic, str(number).encode(), partition=number % partitions, on_delivery=delivered)
                except BufferError:
                    break
                number += 1
            producer.poll(0.01)
        left = producer.flush(120)
    print(f"{number} records, {left} without an answer")


if __name__ == "__main__":
    main(*sys.argv[1:])
