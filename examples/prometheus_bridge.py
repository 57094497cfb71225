#!/usr/bin/env python3
"""Serves redshift.metrics() of one database over HTTP, for Prometheus.

    pip install "psycopg[binary]"
    python3 prometheus_bridge.py "host=localhost dbname=mydb user=monitor" --port 9399

The user must be a member of pg_monitor. One connection is kept, and made again when it breaks.
"""

import argparse
import http.server
import threading

import psycopg

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Database:
    def __init__(self, conninfo):
        self.conninfo, self.connection, self.lock = conninfo, None, threading.Lock()

    def metrics(self):
        with self.lock:
            try:
                return self._ask()
            except psycopg.OperationalError:
                # The server was restarted, or the network was away.
                self.connection = None
                return self._ask()

    def _ask(self):
        if self.connection is None:
            self.connection = psycopg.connect(self.conninfo, autocommit=True, application_name="prometheus_bridge")
        return self.connection.execute("SELECT redshift.metrics()").fetchone()[0]


def handler(database):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path.split("?")[0] != "/metrics":
                self._answer(404, "text/plain", b"see /metrics\n")
                return
            try:
                self._answer(200, CONTENT_TYPE, database.metrics().encode())
            except psycopg.Error as error:
                self._answer(503, "text/plain", f"{error}\n".encode())

        def _answer(self, status, kind, body):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


def main():
    arguments = argparse.ArgumentParser(description="redshift.metrics() over HTTP")
    arguments.add_argument("conninfo", help="how to connect, as for psql: a connection string or URI")
    arguments.add_argument("--host", default="127.0.0.1")
    arguments.add_argument("--port", type=int, default=9399)
    given = arguments.parse_args()
    server = http.server.ThreadingHTTPServer((given.host, given.port), handler(Database(given.conninfo)))
    print(f"http://{given.host}:{server.server_address[1]}/metrics", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
