"""What the tests of TLS, SASL and IAM share: the secure listeners of Apache Kafka, external schemas over them, and errors that must not tell secrets."""

import contextlib
import secrets
import time

import psycopg
import pytest
from psycopg import sql


class Listeners:
    """The secure listeners that scripts/apache-kafka.sh made."""

    def __init__(self, run):
        self.home = run / "kafka"
        self.directory = self.home / "security"
        self.ports = dict(line.split("=") for line in (self.home / "ports").read_text().splitlines())
        self.password = (self.directory / "password").read_text().strip()

    def uri(self, name, host="127.0.0.1"):
        return f"{host}:{self.ports[name + '_PORT']}"

    def path(self, name):
        return str(self.directory / name)

    def text(self, name):
        return (self.directory / name).read_text()

    @property
    def ca(self):
        return self.text("authority.pem")

    def secrets(self):
        """Texts that nobody but the client may see."""
        keys = [self.text(f"{name}.key") for name in ("client", "strange_client", "expired_client", "far_client", "client.locked")]
        return [self.password] + [line for key in keys for line in key.splitlines() if len(line) > 20 and "-----" not in line]


class Secure:
    """External schemas over the secure listeners, for a stage."""

    def __init__(self, stage, listeners):
        self.stage, self.db, self.listeners = stage, stage.db, listeners
        self.made = []

    def server(self, topic, listener, authentication="none", ca=True, host="127.0.0.1", **options):
        """An external schema that shows one topic; its relations come with the first user mapping where credentials are needed."""
        name = f"sec_{secrets.token_hex(4)}"
        options = {"uri": self.listeners.uri(listener, host), "authentication": authentication, "topics": topic} | options
        if ca is not False:
            options["ca"] = self.listeners.ca if ca is True else self.listeners.text(ca)
        call = sql.SQL("CALL redshift.create_external_schema({}, source => 'kafka', {})").format(
            sql.Literal(name),
            sql.SQL(", ").join(sql.SQL("{} => {}").format(sql.Identifier(key), sql.Literal(value)) for key, value in options.items()),
        )
        self.made.append(name)
        self.db.run(call)
        return name

    def map(self, server, who="CURRENT_USER", sync=True, **options):
        self.db.run(mapping("CREATE", server, who, options))
        if sync:
            self.db.run("CALL redshift.sync_external_schema(%s)", server)

    def login(self, server, password=None, who="CURRENT_USER", sync=True):
        self.map(server, who, sync, user="reader", password=password or self.listeners.password)

    def view(self, server, topic, name="v", options=""):
        self.db.run(
            f"CREATE MATERIALIZED VIEW {name} {f'WITH ({options})' if options else ''} AS "
            f'SELECT kafka_partition, kafka_offset, kafka_value FROM {server}."{topic}"'
        )

    def read(self, server, topic, expected):
        """Peek, view, refresh, count."""
        assert self.db.value(f'SELECT count(*) FROM {server}."{topic}"') == len(expected)
        self.view(server, topic)
        self.stage.refresh()
        self.stage.count_exactly_once(expected)

    def refused(self, server, code, *words, seconds=5):
        """Reading fails with this SQLSTATE, says these words and how to help, quickly and without secrets."""
        return refused(self.db, f"SELECT * FROM redshift.topics('{server}')", code, *words, hidden=self.listeners.secrets(), seconds=seconds)

    def clean_up(self):
        with contextlib.suppress(psycopg.Error):
            self.db.connection.rollback()
        self.db.run("RESET ROLE; SET client_min_messages = error")
        self.db.run(f"DROP SCHEMA IF EXISTS {self.stage.work} CASCADE; CREATE SCHEMA {self.stage.work}")
        for name in self.made:
            self.db.run(f"DROP SCHEMA IF EXISTS {name} CASCADE")
            self.db.run(f"DROP SERVER IF EXISTS {name} CASCADE")
        self.db.run("RESET client_min_messages")


def mapping(verb, server, user, options):
    who = sql.SQL(user) if user.isupper() else sql.Identifier(user)
    change = "SET " if verb == "ALTER" else ""
    return sql.SQL("{} USER MAPPING FOR {} SERVER {} OPTIONS ({})").format(
        sql.SQL(verb), who, sql.Identifier(server),
        sql.SQL(", ").join(sql.SQL(change + "{} {}").format(sql.Identifier(key), sql.Literal(value)) for key, value in options.items()),
    )


def everything(error):
    """All that a client is shown of an error."""
    fields = ("message_primary", "message_detail", "message_hint", "context", "statement_position")
    return "\n".join(str(getattr(error.diag, field)) for field in fields)


def refused(db, statement, code, *words, hidden=(), seconds=5):
    began = time.monotonic()
    with pytest.raises(psycopg.Error) as raised:
        db.run(statement)
    taken, text = time.monotonic() - began, everything(raised.value)
    assert raised.value.sqlstate == code, text
    for word in words:
        assert word in text, text
    assert raised.value.diag.message_hint, text
    assert taken < seconds, f"{taken:.1f} s: {text}"
    for secret in hidden:
        assert secret not in text
    return text
