#!/usr/bin/env python3
"""Posts each event of the channel redshift_events to a URL, as JSON.

    pip install "psycopg[binary]"
    python3 webhook.py "host=localhost dbname=mydb" https://example.org/hook

Postgres keeps no events for who does not listen: what happens while this program is away is in sys_query_history and sys_stream_scan_errors.
"""

import argparse
import sys
import time
import urllib.error
import urllib.request

import psycopg

PAUSES = (0.5, 1, 2, 5, 10)


def post(url, body):
    """Tries a few times; an event that nobody takes is printed."""
    request = urllib.request.Request(url, body.encode(), {"Content-Type": "application/json"}, method="POST")
    for pause in (*PAUSES, None):
        try:
            with urllib.request.urlopen(request, timeout=10):
                return
        except (urllib.error.URLError, OSError) as error:
            if pause is None:
                print(f"not posted ({error}): {body}", file=sys.stderr, flush=True)
                return
            time.sleep(pause)


def listen(conninfo, url):
    with psycopg.connect(conninfo, autocommit=True, application_name="redshift_events webhook") as connection:
        connection.execute("LISTEN redshift_events")
        print("listening", flush=True)
        for event in connection.notifies():
            post(url, event.payload)


def main():
    arguments = argparse.ArgumentParser(description="from LISTEN redshift_events to a webhook")
    arguments.add_argument("conninfo", help="how to connect, as for psql: a connection string or URI")
    arguments.add_argument("url")
    given = arguments.parse_args()
    while True:
        try:
            listen(given.conninfo, given.url)
        except psycopg.OperationalError as error:
            print(f"connection lost: {error}", file=sys.stderr, flush=True)
            time.sleep(1)


if __name__ == "__main__":
    main()
