"""A Postgres server by its data directory: start, stop, copy, promote. For tests that break and copy servers."""

import contextlib
import itertools
import os
import pathlib
import random
import shutil
import socket
import subprocess
import time

import psycopg


class Server:
    """One data directory. `connect` are the arguments of a connection to it, without the database."""

    def __init__(self, programs, data, log, connect):
        self.programs, self.data, self.log, self.arguments = programs, pathlib.Path(data), log, connect

    @classmethod
    def of(cls, cluster):
        """The server of a cluster that scripts/cluster.sh started."""
        return cls(cluster.bin, cluster.run / "data", cluster.run / "log" / "postgres.log", cluster.connect)

    def program(self, name, *arguments, check=True, environment=None):
        """Runs one of Postgres's programs as the server's user."""
        return as_server(self.programs / name, *arguments, check=check, environment=environment)

    def start(self, options="", seconds=30, environment=None):
        # Processes of the old server may live a moment longer: Postgres refuses to start beside them, and that is right.
        deadline = time.monotonic() + seconds
        while self.program("pg_ctl", "-D", self.data, "-l", self.log, "-o", options, "-w", "-t", "60", "start", check=False, environment=environment).returncode:
            assert time.monotonic() < deadline, f"Postgres does not start: see {self.log}"
            time.sleep(0.2)

    def stop(self, mode="fast"):
        """Returns how many seconds it took."""
        began = time.monotonic()
        self.program("pg_ctl", "-D", self.data, "-m", mode, "-w", "-t", "60", "stop")
        return time.monotonic() - began

    def promote(self):
        self.program("pg_ctl", "-D", self.data, "-w", "-t", "60", "promote")

    def configure(self, **settings):
        """Settings that win over all others, from the next start or reload on."""
        with open(self.data / "postgresql.auto.conf", "a", encoding="ascii") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def signal(self, name):
        """Makes a signal file such as recovery.signal."""
        as_server("touch", self.data / name)

    def connect(self, database="postgres", **settings):
        return psycopg.connect(**(self.arguments | {"dbname": database, "autocommit": True} | settings))

    def value(self, sql, database="postgres"):
        with self.connect(database) as connection:
            return connection.execute(sql).fetchone()[0]

    def base_backup(self, name, *options):
        """A copy by pg_basebackup beside this one's data directory, on a port of its own, not started. Removed with the cluster."""
        directory = self.make_directory(name)
        self.program("pg_basebackup", "-h", self.arguments["host"], "-p", self.arguments["port"], "-U", self.arguments["user"],
                     "-D", directory, "-X", "stream", "-c", "fast", "--no-sync", *options)
        return self._neighbour(directory)

    def copy(self, name):
        """A copy of the files of a server that does not run."""
        directory = self.data.parent / name
        subprocess.run(["cp", "-a", self.data, directory], check=True)
        return self._neighbour(directory)

    def _neighbour(self, directory):
        port = free_port()
        server = Server(self.programs, directory, directory / "server.log", self.arguments | {"port": str(port)})
        server.configure(port=port)
        return server

    def make_directory(self, name):
        """A directory that the server may write to."""
        directory = self.data.parent / name
        directory.mkdir(mode=0o700)
        if os.geteuid() == 0:
            shutil.chown(directory, "postgres", "postgres")
        return directory


def as_server(*command, check=True, environment=None):
    """Postgres refuses to run as root: root runs it as user postgres, anyone else as himself."""
    user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PG") and k != "RUST_BACKTRACE"}
    environment = inherited | {"LC_ALL": "C.UTF-8"} | (environment or {})
    return subprocess.run([*user, *map(str, command)], env=environment, cwd="/", check=check, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, close_fds=True)


def free_port():
    """Below the ports that the kernel gives to whoever connects: such a port stays free while the server is down."""
    for port in itertools.count(random.randrange(25_000, 29_000)):
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port
