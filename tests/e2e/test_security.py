"""TLS, mTLS and SASL against Apache Kafka: who gets in, who does not and why, and that no secret shows anywhere."""

import secrets
import time

import psycopg
import pytest
from conftest import RUN
from secure import Listeners, Secure, everything, mapping, refused
from psycopg import sql
from stage import InBackground, Stage, wait_until

pytestmark = pytest.mark.apache_only("the embedded broker has no TLS")


@pytest.fixture
def secure(stage):
    it = Secure(stage, Listeners(RUN))
    yield it
    it.clean_up()


# --- TLS ------------------------------------------------------------------------------------------------------------------------


def test_tls_with_a_private_authority(secure, topic):
    secure.read(secure.server(topic, "TLS"), topic, secure.stage.expected)


def test_the_authority_may_be_in_a_file(secure, topic):
    server = secure.server(topic, "TLS", ca=False, ca_file=secure.listeners.path("authority.pem"))
    secure.read(server, topic, secure.stage.expected)


@pytest.mark.parametrize("ca", ["stranger.pem", False])
def test_a_broker_of_a_stranger_is_not_believed(secure, topic, ca):
    with pytest.raises(psycopg.Error) as raised:
        secure.server(topic, "TLS", ca=ca, tls=True)
    text = everything(raised.value)
    assert raised.value.sqlstate == "08001" and "certificate is not trusted" in text and "ADD ca" in text, text
    assert not secure.db.rows("SELECT 1 FROM pg_foreign_server WHERE srvname = %s", secure.made[-1])


def test_the_host_name_is_verified(secure, topic):
    with pytest.raises(psycopg.Error, match="not for this host") as raised:
        secure.server(topic, "TLS", host="localhost")
    assert raised.value.sqlstate == "08001" and "verify_hostname" in raised.value.diag.message_hint
    server = secure.server(topic, "TLS", host="localhost", verify_hostname=False)
    secure.read(server, topic, secure.stage.expected)


def test_an_expired_certificate_of_the_broker(secure, topic):
    with pytest.raises(psycopg.Error, match="has expired") as raised:
        secure.server(topic, "EXPIRED")
    assert raised.value.sqlstate == "08001"


def test_the_wrong_port_says_so(secure, topic):
    """Plain text to a TLS port, and TLS to a plain one: known only when the time is over, which is the user's to set."""
    secure.db.run("SET redshift.connect_timeout_ms = '2s'")
    for listener, options, words in [
        ("TLS", {"ca": False}, ("seems to speak TLS", "tls 'on'")),
        ("CLEAR", {}, ("does not speak TLS", "tls 'off'")),
        ("CLEAR", {"ca": False}, ("ask for authentication", "scram-sha-512")),
    ]:
        with pytest.raises(psycopg.Error) as raised:
            secure.server(topic, listener, **options)
        text = everything(raised.value)
        assert raised.value.sqlstate in ("08001", "28000") and all(word in text for word in words), text


def test_alter_server_mends_it(secure, topic):
    server = secure.server(topic, "TLS")
    stranger = secure.listeners.text("stranger.pem").replace("\n", "\\n")
    secure.db.run(f"ALTER SERVER {server} OPTIONS (SET ca E'{stranger}')")
    secure.refused(server, "08001", "not trusted")
    ca = secure.listeners.ca.replace("\n", "\\n")
    secure.db.run(f"ALTER SERVER {server} OPTIONS (SET ca E'{ca}')")
    secure.read(server, topic, secure.stage.expected)


# --- client certificates --------------------------------------------------------------------------------------------------------


def pair(listeners, certificate, key=None):
    return {"certificate": listeners.text(f"{certificate}.pem"), "private_key": listeners.text(f"{key or certificate}.key")}


@pytest.mark.parametrize("certificate", ["client", "far_client"])
def test_mtls(secure, topic, certificate):
    """Also with a certificate that another one, sent along, leads from to the authority."""
    server = secure.server(topic, "MTLS", "mtls")
    secure.map(server, **pair(secure.listeners, certificate))
    secure.read(server, topic, secure.stage.expected)


def test_mtls_with_an_encrypted_key(secure, topic):
    server = secure.server(topic, "MTLS", "mtls")
    options = pair(secure.listeners, "client", "client.locked")
    secure.map(server, sync=False, **options, private_key_password="wrong")
    secure.refused(server, "22023", "certificate and private key cannot be used")
    secure.db.run(mapping("ALTER", server, "CURRENT_USER", {"private_key_password": "locked"}))
    secure.db.run("CALL redshift.sync_external_schema(%s)", server)
    secure.read(server, topic, secure.stage.expected)


def test_mtls_from_files(secure, topic):
    server = secure.server(topic, "MTLS", "mtls")
    secure.map(server, certificate_file=secure.listeners.path("client.pem"), private_key_file=secure.listeners.path("client.key"))
    secure.read(server, topic, secure.stage.expected)


@pytest.mark.parametrize("certificate", ["strange_client", "expired_client"])
def test_a_certificate_that_the_broker_does_not_accept(secure, topic, certificate):
    server = secure.server(topic, "MTLS", "mtls")
    secure.map(server, sync=False, **pair(secure.listeners, certificate))
    secure.refused(server, "28000", "did not accept the client's certificate", "expired")


def test_mtls_without_a_certificate(secure, topic):
    server = secure.server(topic, "MTLS", "mtls")
    assert any("no relations yet" in notice for notice in secure.db.connection.notices)
    secure.refused(server, "28000", "has no client certificate and private key", "CREATE USER MAPPING")
    with pytest.raises(psycopg.Error) as raised:
        secure.server(topic, "MTLS")
    assert raised.value.sqlstate == "28000" and "mtls" in raised.value.diag.message_hint, everything(raised.value)


def test_a_key_of_another_certificate(secure, topic):
    server = secure.server(topic, "MTLS", "mtls")
    secure.map(server, sync=False, **pair(secure.listeners, "client", "strange_client"))
    secure.refused(server, "22023", "certificate and private key cannot be used")


# --- SASL -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listener", "mechanism"),
    [("SASL", "plain"), ("SASL", "scram-sha-256"), ("SASL", "SCRAM-SHA-512"), ("CLEAR", "plain"), ("CLEAR", "scram-sha-256")],
)
def test_sasl(secure, topic, listener, mechanism):
    server = secure.server(topic, listener, mechanism, **({"ca": False, "tls": False} if listener == "CLEAR" else {}))
    secure.login(server)
    secure.read(server, topic, secure.stage.expected)


@pytest.mark.parametrize("mechanism", ["plain", "scram-sha-256", "scram-sha-512"])
def test_a_wrong_password(secure, topic, mechanism):
    server = secure.server(topic, "SASL", mechanism)
    secure.login(server, "wrong" + secrets.token_hex(6), sync=False)
    text = secure.refused(server, "28P01", "did not accept the user and password", "USER MAPPING")
    assert "wrong" not in text


def test_a_mechanism_that_is_not_offered(secure, topic):
    server = secure.server(topic, "CLEAR", "scram-sha-512", ca=False, tls=False)
    secure.login(server, sync=False)
    secure.refused(server, "28000", "does not offer this SASL mechanism", "PLAIN,SCRAM-SHA-256")


def test_sasl_is_encrypted_unless_told_otherwise(secure, topic):
    """A password never goes over a connection in plain text because somebody forgot an option."""
    server = secure.server(topic, "CLEAR", "plain", ca=False)
    secure.login(server, sync=False)
    secure.db.run("SET redshift.connect_timeout_ms = '2s'")
    secure.refused(server, "08001", "does not speak TLS")


# --- the end of a session ----------------------------------------------------------------------------------------------------------


def test_a_session_may_end_while_its_client_speaks_tls(secure, topic):
    """Whatever the client's threads are doing then, the server does not crash: a session that was open all the time still is."""
    server = secure.server(topic, "TLS")
    stranger = secure.listeners.text("stranger.pem")
    witness = secure.stage.connect()
    for number in range(10):
        # Reading, and ended from outside.
        session = secure.stage.connect()
        thread = InBackground(session, f'SELECT count(*) FROM {server}."{topic}" AS a, {server}."{topic}" AS b')
        time.sleep(number / 100)
        secure.db.run("SELECT pg_terminate_backend(%s)", thread.pid)
    for _ in range(3):
        # Refused, and gone: the clients still try again when the process ends.
        session = secure.stage.connect()
        session.execute("BEGIN")
        session.execute(sql.SQL("ALTER SERVER {} OPTIONS (SET ca {})").format(sql.Identifier(server), sql.Literal(stranger)))
        for _ in range(25):
            session.execute("SAVEPOINT before")
            with pytest.raises(psycopg.Error, match="not trusted"):
                session.execute(f'SELECT count(*) FROM {server}."{topic}"')
            session.execute("ROLLBACK TO before")
        session.close()
        time.sleep(0.2)
    assert witness.execute("SELECT 1").fetchone() == (1,)
    secure.read(server, topic, secure.stage.expected)


# --- whose credentials ----------------------------------------------------------------------------------------------------------


def test_a_view_is_read_with_its_owners_credentials(secure, topic, role):
    """Whoever refreshes it; a peek is read with the credentials of the one who peeks."""
    owner, other = role(), role()
    server = secure.server(topic, "SASL", "scram-sha-512")
    secure.login(server)
    secure.db.run(f"GRANT USAGE ON SCHEMA {server} TO {owner}, {other}; GRANT ALL ON SCHEMA {secure.stage.work} TO {owner}")
    secure.login(server, who=owner, sync=False)
    secure.db.run(f"SET ROLE {owner}")
    secure.view(server, topic)
    secure.db.run("RESET ROLE")
    secure.db.run(mapping("ALTER", server, "CURRENT_USER", {"password": "not-the-owners"}))
    secure.stage.refresh()
    secure.stage.count_exactly_once(secure.stage.expected)
    secure.db.run(mapping("ALTER", server, owner, {"password": "wrong-now"}))
    secure.stage.kafka.produce(topic, [b"more"])
    text = refused(secure.db, "REFRESH MATERIALIZED VIEW v", "28P01", "for a materialized view, its owner")
    assert "wrong-now" not in text
    secure.db.run(f"SET ROLE {other}")
    refused(secure.db, f'SELECT count(*) FROM {server}."{topic}"', "28000", f'user "{other}" has no user and password')
    secure.db.run("RESET ROLE")


def test_public_stands_in_for_who_has_no_mapping(secure, topic, role):
    reader = role()
    server = secure.server(topic, "SASL", "plain")
    secure.login(server, who="PUBLIC")
    secure.db.run(f"GRANT USAGE ON SCHEMA {server} TO {reader}")
    secure.db.run(f"SET ROLE {reader}")
    assert secure.db.value(f'SELECT count(*) FROM {server}."{topic}"') == len(secure.stage.expected)
    secure.db.run("RESET ROLE")
    secure.login(server, "not-" + secure.listeners.password[:4], who=reader, sync=False)
    secure.db.run(f"SET ROLE {reader}")
    refused(secure.db, f'SELECT count(*) FROM {server}."{topic}"', "28P01")


def test_a_peek_through_a_view_uses_its_owners_credentials(secure, topic, role):
    reader = role()
    server = secure.server(topic, "SASL", "plain")
    secure.login(server)
    secure.db.run(f'CREATE VIEW {secure.stage.work}.shown AS SELECT * FROM {server}."{topic}"')
    secure.db.run(f"GRANT USAGE ON SCHEMA {secure.stage.work} TO {reader}; GRANT SELECT ON {secure.stage.work}.shown TO {reader}")
    secure.db.run(f"SET ROLE {reader}")
    assert secure.db.value(f"SELECT count(*) FROM {secure.stage.work}.shown") == len(secure.stage.expected)


def status(secure, name):
    rows = secure.db.rows(
        "SELECT state, last_error FROM redshift.worker_status WHERE schema_name = %s AND mv_name = %s", secure.stage.work, name
    )
    return rows[0] if rows else (None, None)


def test_a_worker_keeps_users_apart(secure, topic, role):
    """Two owners of one server: the one with a wrong password gets nothing through the other's client, and is served once it is right."""
    good, bad = role(), role()
    server = secure.server(topic, "SASL", "scram-sha-256")
    secure.login(server)
    wrong = "wrong" + secrets.token_hex(8)
    for owner in (good, bad):
        secure.login(server, who=owner, sync=False)
        secure.db.run(f"GRANT USAGE ON SCHEMA {server} TO {owner}; GRANT ALL ON SCHEMA {secure.stage.work} TO {owner}")
        secure.db.run(f"SET ROLE {owner}")
        secure.view(server, topic, f"of_{owner}")
        secure.db.run("RESET ROLE")
    secure.db.run(mapping("ALTER", server, bad, {"password": wrong}))
    for owner in (good, bad):
        secure.db.run(f"ALTER MATERIALIZED VIEW of_{owner} SET (auto_refresh = on)")
    count = lambda owner: secure.db.value(f"SELECT count(*) FROM of_{owner}")
    wait_until(lambda: count(good) == len(secure.stage.expected), 20, "the good owner's view")
    wait_until(lambda: status(secure, f"of_{bad}")[0] == "retrying", 20, "the bad owner's state")
    assert count(bad) == 0
    error = status(secure, f"of_{bad}")[1]
    assert "did not accept the user and password" in error and wrong not in error
    secure.db.run(mapping("ALTER", server, bad, {"password": secure.listeners.password}))
    wait_until(lambda: count(bad) == len(secure.stage.expected), 40, "the bad owner's view")
    secure.stage.count_exactly_once(secure.stage.expected, f"of_{bad}", verified=False)
    secure.stage.count_exactly_once(secure.stage.expected, f"of_{good}", verified=False)


def test_a_worker_takes_a_new_password(secure, topic):
    """A password that changes under a running worker: it goes on with the new one, and loses nothing."""
    server = secure.server(topic, "SASL", "scram-sha-512")
    secure.login(server)
    secure.view(server, topic, options="auto_refresh = on")
    count = lambda: secure.db.value("SELECT count(*) FROM v")
    wait_until(lambda: count() == len(secure.stage.expected), 20, "the records")
    secure.db.run(mapping("ALTER", server, "CURRENT_USER", {"password": "changed"}))
    wait_until(lambda: status(secure, "v")[0] == "retrying", 60, "the new password is tried")
    secure.db.run(mapping("ALTER", server, "CURRENT_USER", {"password": secure.listeners.password}))
    expected = secure.stage.expected | secure.stage.kafka.produce(topic, [b"later"] * 10)
    wait_until(lambda: count() == len(expected), 60, "the records after it")
    secure.stage.count_exactly_once(expected, verified=False)


# --- who may set what -----------------------------------------------------------------------------------------------------------


def test_files_are_for_superusers(secure, topic, role):
    """Neither CREATE nor ALTER lets anybody else make the server read its files, or move what a superuser has set elsewhere."""
    user = role()
    secure.db.run(f"GRANT USAGE ON FOREIGN DATA WRAPPER redshift_streaming TO {user}")
    server = secure.server(topic, "TLS", ca=False, ca_file=secure.listeners.path("authority.pem"))
    secure.db.run(f"ALTER SERVER {server} OWNER TO {user}; SET redshift.host_role = {user}")
    secure.db.run(f"SET ROLE {user}")
    for statement in [
        f"CREATE SERVER x_{user} FOREIGN DATA WRAPPER redshift_streaming OPTIONS (uri 'h:1', ca_file '/etc/passwd')",
        f"ALTER SERVER {server} OPTIONS (SET uri 'h:1')",
        f"ALTER SERVER {server} OPTIONS (SET ca_file '/etc/shadow')",
        f"ALTER SERVER {server} OPTIONS (DROP ca_file)",
        f"CREATE USER MAPPING FOR CURRENT_USER SERVER {server} OPTIONS (certificate_file '/etc/passwd')",
        f"CREATE USER MAPPING FOR CURRENT_USER SERVER {server} OPTIONS (private_key_file '/etc/passwd')",
    ]:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only a superuser may set option"):
            secure.db.run(statement)
    secure.db.run("RESET ROLE; RESET redshift.host_role")
    secure.db.run(f"ALTER SERVER {server} OWNER TO CURRENT_USER")


# --- secrets --------------------------------------------------------------------------------------------------------------------


def test_no_secret_shows_anywhere(cluster, kafka, role):
    """Logs, views, errors, settings, activity: with right and wrong credentials, by hand and by the worker."""
    listeners = Listeners(RUN)
    wrong = "wrong" + secrets.token_hex(10)
    hidden = listeners.secrets() + [wrong]
    database = cluster.database()
    log = RUN / "log" / "postgres.log"
    start = log.stat().st_size
    database.run("CREATE EXTENSION redshift_streaming")
    stage = Stage(database, kafka)
    secure = Secure(stage, listeners)
    topic = kafka.topic()
    expected = kafka.produce(topic, [b"x"] * 10)
    told = []
    for number, (listener, authentication, right, bad) in enumerate([
        ("SASL", "plain", {"user": "reader", "password": listeners.password}, {"password": wrong}),
        ("SASL", "scram-sha-512", {"user": "reader", "password": listeners.password}, {"password": wrong}),
        ("MTLS", "mtls", pair(listeners, "client"), pair(listeners, "strange_client")),
        ("MTLS", "mtls", pair(listeners, "client", "client.locked") | {"private_key_password": "locked"}, {"private_key_password": wrong}),
    ]):
        server = secure.server(topic, listener, authentication)
        secure.map(server, **right)
        secure.view(server, topic, f"v{number}", "auto_refresh = on")
        wait_until(lambda: database.value(f"SELECT count(*) FROM v{number}") == len(expected), 20, "the records")
        database.run(mapping("ALTER", server, "CURRENT_USER", bad))
        for statement in (f"REFRESH MATERIALIZED VIEW v{number}", f'SELECT * FROM {server}."{topic}"', f"CALL redshift.sync_external_schema('{server}')"):
            with pytest.raises(psycopg.Error) as raised:
                database.run(statement)
            told.append(everything(raised.value))
        with pytest.raises(psycopg.Error) as raised:
            database.run(f"EXPLAIN ANALYZE SELECT * FROM {server}.\"{topic}\"")
        told.append(everything(raised.value))
    wait_until(lambda: database.value("SELECT count(*) FROM redshift.worker_status WHERE state = 'retrying'") == 4, 60, "the worker's trouble")
    views = database.column(
        "SELECT format('%I.%I', schemaname, viewname) FROM pg_views WHERE schemaname IN ('public', 'redshift') "
        "UNION ALL SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'redshift'"
    )
    # redshift.stream_lag asks the brokers.
    readable = [view for view in views if not view.endswith("stream_lag")]
    for view in readable + ["pg_stat_activity", "pg_foreign_server", "pg_settings"]:
        told.append(str(database.rows(f"SELECT * FROM {view} WHERE to_jsonb({view.split('.')[-1]})::text NOT LIKE '%%USER MAPPING%%'")))
    told.append("\n".join(database.connection.notices))
    told.append(log.read_bytes()[start:].decode(errors="replace"))
    assert len(readable) > 10 and len(told[-1]) > 100
    for text in told:
        for secret in hidden:
            at = text.find(secret)
            assert at < 0, f"a secret shows: ..{text[max(0, at - 100):at]}"
    # A user sees his own mapping, others none.
    other = role("LOGIN")
    database.run(f"SET ROLE {other}")
    shown = str(database.rows("SELECT umoptions FROM pg_user_mappings"))
    assert not any(secret in shown for secret in hidden)
    database.run("RESET ROLE")
    database.run("DROP OWNED BY " + other)
    cluster.drop(database)
