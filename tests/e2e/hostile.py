"""Brokers and endpoints that answer what no service would."""

import contextlib
import http.server
import json
import os
import pathlib
import socket
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "hostile-kafka"


@contextlib.contextmanager
def hostile_broker(scenario, directory):
    """Runs crates/hostile-kafka in one of its scenarios; the value is its address. Its topic is called t."""
    ready = pathlib.Path(directory) / "hostile.ready"
    ready.unlink(missing_ok=True)
    process = subprocess.Popen([PROGRAM, "serve", scenario, ready])
    try:
        deadline = time.monotonic() + 30
        while not (ready.exists() and ready.read_text().endswith("\n")):
            assert process.poll() is None and time.monotonic() < deadline, "the hostile broker does not start"
            time.sleep(0.02)
        yield ready.read_text().strip()
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def silent_port():
    """An address where connections are taken and nothing is said."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    taken, running = [], True

    def accept():
        while running:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                taken.append(connection)
                # Those that the other side has given up would use up descriptors here.
                if len(taken) > 200:
                    taken.pop(0).close()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        running = False
        listener.close()
        for connection in taken:
            connection.close()


class HostileKinesis:
    """An endpoint with one stream of one shard, whose records are whatever `page` writes: page(write) is called for each GetRecords."""

    def __init__(self, page):
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                action = self.headers["X-Amz-Target"].rsplit(".", 1)[1]
                self.send_response(200)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Connection", "close")
                self.end_headers()
                self.close_connection = True
                with contextlib.suppress(OSError):
                    if action == "GetRecords":
                        endpoint.asked += 1
                        page(self.wfile.write)
                    else:
                        self.wfile.write(json.dumps(endpoint.answers(action)).encode())

        self.asked = 0
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answers(self, action):
        summary = {
            "StreamName": "s", "StreamARN": "arn:aws:kinesis:us-east-1:123456789012:stream/s", "StreamStatus": "ACTIVE", "RetentionPeriodHours": 24,
            "StreamCreationTimestamp": 1_700_000_000, "EnhancedMonitoring": [], "OpenShardCount": 1,
        }
        shard = {
            "ShardId": "shardId-000000000000", "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": str(2**128 - 1)},
            "SequenceNumberRange": {"StartingSequenceNumber": "1"},
        }
        return {
            "ListStreams": {"StreamNames": ["s"], "HasMoreStreams": False},
            "DescribeStreamSummary": {"StreamDescriptionSummary": summary},
            "ListShards": {"Shards": [shard]},
            "GetShardIterator": {"ShardIterator": "x"},
        }[action]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def threads_and_descriptors(pid):
    """How many of each a process has."""
    return tuple(len(os.listdir(f"/proc/{pid}/{what}")) for what in ("task", "fd"))
