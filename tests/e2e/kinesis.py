"""Kinesis as an independent client sees it (boto3, not our own code), and a proxy that makes it fail."""

import contextlib
import http.client
import http.server
import json
import pathlib
import secrets
import struct
import subprocess
import threading
import time
import urllib.parse
import zlib

import boto3
from botocore.config import Config

REGION = "us-east-1"
EVENTS = "application/vnd.amazon.eventstream"


class Kinesis:
    """The emulator. Every test makes streams of its own, with names nobody else has."""

    def __init__(self, endpoint, keys=None):
        self.endpoint, self.made = endpoint, []
        self.client = boto3.client(
            "kinesis", endpoint_url=endpoint, region_name=REGION, **(keys or {"aws_access_key_id": "test", "aws_secret_access_key": "test"}),
            config=Config(retries={"max_attempts": 2}, max_pool_connections=32),
        )

    # --- streams

    def stream(self, shards=1, name=None, mode="PROVISIONED"):
        name = name or "s" + secrets.token_hex(6)
        size = {"ShardCount": shards} if mode == "PROVISIONED" else {}
        self.client.create_stream(StreamName=name, StreamModeDetails={"StreamMode": mode}, **size)
        self.made.append(name)
        self.wait(name)
        return name

    def wait(self, name):
        until(lambda: self.client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE")

    def delete(self, name):
        self.client.delete_stream(StreamName=name)
        until(lambda: name not in self.client.list_streams()["StreamNames"])
        self.made.remove(name)

    def recreate(self, name, shards=1):
        self.delete(name)
        # The creation time has milliseconds.
        time.sleep(0.01)
        return self.stream(shards, name)

    def shards(self, name):
        return self.client.list_shards(StreamName=name)["Shards"]

    def open_shards(self, name):
        return [shard["ShardId"] for shard in self.shards(name) if "EndingSequenceNumber" not in shard["SequenceNumberRange"]]

    def split(self, name, shard):
        """Splits a shard in the middle; returns its children."""
        before = {s["ShardId"] for s in self.shards(name)}
        keys = next(s for s in self.shards(name) if s["ShardId"] == shard)["HashKeyRange"]
        middle = (int(keys["StartingHashKey"]) + int(keys["EndingHashKey"])) // 2
        self.client.split_shard(StreamName=name, ShardToSplit=shard, NewStartingHashKey=str(middle))
        self.wait(name)
        return [s["ShardId"] for s in self.shards(name) if s["ShardId"] not in before]

    def consumer(self, name, consumer=None):
        """Registers a consumer; returns its name."""
        consumer, arn = consumer or "c" + secrets.token_hex(4), self.client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]
        registered = self.client.register_stream_consumer(StreamARN=arn, ConsumerName=consumer)["Consumer"]["ConsumerARN"]
        until(lambda: self.client.describe_stream_consumer(ConsumerARN=registered)["ConsumerDescription"]["ConsumerStatus"] == "ACTIVE")
        return consumer

    def merge(self, name, shard, adjacent):
        before = {s["ShardId"] for s in self.shards(name)}
        self.client.merge_shards(StreamName=name, ShardToMerge=shard, AdjacentShardToMerge=adjacent)
        self.wait(name)
        return [s["ShardId"] for s in self.shards(name) if s["ShardId"] not in before]

    def samples(self):
        """The streams of make up."""
        here = pathlib.Path(__file__).resolve().parents[1]
        subprocess.run(["node", here / "kinesis" / "samples.mjs", self.endpoint], check=True, capture_output=True)
        self.made += ["orders", "demo-data-stream", "my-data-stream"]

    # --- records

    def produce(self, name, records, keys=None, size=250):
        """Writes records (bytes, or what JSON can say); returns what the service acknowledged: {(shard, sequence number)}."""
        entries = [
            {"Data": r if isinstance(r, bytes) else json.dumps(r).encode(), "PartitionKey": keys[i] if keys else secrets.token_hex(8)}
            for i, r in enumerate(records)
        ]
        acknowledged = set()
        for first in range(0, len(entries), size):
            answer = self.client.put_records(StreamName=name, Records=entries[first : first + size])
            assert answer["FailedRecordCount"] == 0, answer
            acknowledged |= {(r["ShardId"], r["SequenceNumber"]) for r in answer["Records"]}
        return acknowledged

    def clean_up(self):
        for name in list(self.made):
            with contextlib.suppress(Exception):
                self.client.delete_stream(StreamName=name)


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "Kinesis did not do it in time"
        time.sleep(0.02)


def event_frame(headers, payload):
    """A message of application/vnd.amazon.eventstream."""
    start = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = start + struct.pack(">I", zlib.crc32(start)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


class Fault(Exception):
    """Raised by a rule: the request is answered with this error and never sent on."""

    def __init__(self, status, code, message="made by the test"):
        super().__init__(code)
        self.status, self.code, self.message = status, code, message


class Cut(Exception):
    """Raised by a rule: the connection is closed without an answer."""


THROTTLED = Fault(400, "ProvisionedThroughputExceededException", "Rate exceeded for shard")
LIMITED = Fault(400, "LimitExceededException", "Rate exceeded")
EXPIRED = Fault(400, "ExpiredIteratorException", "Iterator expired")
INTERNAL = Fault(500, "InternalFailure", "internal")
UNAVAILABLE = Fault(503, "ServiceUnavailable", "unavailable")


class FaultProxy:
    """Stands before the emulator. Rules are asked in their order: before(action, request) may raise Fault or Cut, sleep, or do anything to the
    stream; after(action, request, answer) may change the answer."""

    def __init__(self, endpoint):
        target = urllib.parse.urlsplit(endpoint)
        proxy = self
        self.before, self.after, self.seen = [], [], []
        self._lock = threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                action = self.headers["X-Amz-Target"].rsplit(".", 1)[1]
                request = json.loads(body or b"{}")
                with proxy._lock:
                    proxy.seen.append((time.monotonic(), action, request))
                try:
                    for rule in list(proxy.before):
                        rule(action, request)
                    upstream = http.client.HTTPConnection(target.hostname, target.port, timeout=30)
                    headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "content-length", "connection")}
                    upstream.request("POST", "/", body, headers)
                    response = upstream.getresponse()
                    if response.headers.get("Content-Type") == EVENTS:
                        self.relay(request, response)
                        return
                    status, kind, answer = response.status, response.headers.get("Content-Type"), response.read()
                    upstream.close()
                    if proxy.after and status == 200 and answer:
                        parsed = json.loads(answer)
                        for rule in list(proxy.after):
                            rule(action, request, parsed)
                        answer = json.dumps(parsed).encode()
                except Fault as fault:
                    status, kind = fault.status, "application/x-amz-json-1.1"
                    answer = json.dumps({"__type": fault.code, "message": fault.message}).encode()
                except Cut:
                    self.close_connection = True
                    return
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    self.send_header("Content-Type", kind or "application/x-amz-json-1.1")
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)

            def relay(self, request, response):
                """The events of a subscription, each as it comes; the rules behind it see them as answers to SubscribeToShard."""
                self.close_connection = True
                self.send_response(200)
                self.send_header("Content-Type", EVENTS)
                self.send_header("Connection", "close")
                self.end_headers()
                # Whoever has gone, or is cut off.
                with contextlib.suppress(OSError, http.client.HTTPException):
                    while start := response.read(12):
                        frame = start + response.read(struct.unpack(">I", start[:4])[0] - 12)
                        end = 12 + struct.unpack(">I", frame[4:8])[0]
                        if proxy.after and b"SubscribeToShardEvent" in frame[12:end]:
                            event = json.loads(frame[end:-4])
                            try:
                                for rule in list(proxy.after):
                                    rule("SubscribeToShard", request, event)
                            except Cut:
                                self.wfile.write(frame[: len(frame) // 2])
                                break
                            frame = event_frame(frame[12:end], json.dumps(event).encode())
                        self.wfile.write(frame)
                        self.wfile.flush()
                response.close()

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # clients go away in the middle: that is what the tests are about

        self.server = Server(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def count(self, action):
        return sum(1 for _, seen, _ in self.seen if seen == action)

    def fail(self, fault, action="GetRecords", every=None, times=None):
        """Answers with a fault: the first `times`, or of `every` requests all but one."""
        state = {"n": 0}

        def rule(seen, request):
            if seen != action:
                return
            with self._lock:
                state["n"] += 1
                n = state["n"]
            if (times is not None and n <= times) or (every is not None and n % every != 0) or (times is None and every is None):
                raise fault

        self.before.append(rule)
        return rule

    def once(self, action, deed, at=1):
        """Does something before the nth request of this kind is sent on."""
        state = {"n": 0}

        def rule(seen, request):
            if seen != action:
                return
            with self._lock:
                state["n"] += 1
                due = state["n"] == at
            if due:
                deed()

        self.before.append(rule)

    def clear(self):
        self.before.clear()
        self.after.clear()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
