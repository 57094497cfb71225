"""IAM on Kafka, roles across accounts, secrets of Secrets Manager: against moto with enforcement, and a broker that checks each token's signature."""

import base64
import datetime
import json
import re
import secrets
import time
import urllib.parse
from unittest import mock

import psycopg
import pytest
from aws import CLUSTER, HOME, REGION, STREAMS, Aws, documented_policy, without
from conftest import RUN
from secure import Listeners, Secure, everything, mapping, refused
from stage import wait_until

pytestmark = pytest.mark.apache_only("the embedded broker has no SASL")


@pytest.fixture(scope="module")
def account():
    aws = Aws(Listeners(RUN).directory / "access-keys")
    yield aws
    aws.close()


@pytest.fixture
def aws(account, db):
    """Everything of AWS is at the emulator's address, in sessions and in the worker; the setting is a superuser's."""
    account.denies_brokers, account.brokers, account.calls = False, {}, []
    db.run(f"ALTER DATABASE {db.name} SET redshift.aws_endpoint_url = '{account.url}'")
    db.run(f"SET redshift.aws_endpoint_url = '{account.url}'")
    account.enforce(False)
    yield account
    db.run(f"ALTER DATABASE {db.name} RESET redshift.aws_endpoint_url")


@pytest.fixture
def secure(stage, aws):
    it = Secure(stage, Listeners(RUN))
    stage.db.run(f"SET redshift.aws_endpoint_url = '{aws.url}'")
    yield it
    it.clean_up()


def keys(aws):
    access_key, secret = aws.user
    return {"access_key_id": access_key, "secret_access_key": secret}


def own_keys(secure, server, aws, who="CURRENT_USER", sync=True):
    secure.map(server, who, sync, **keys(aws))


def server_with_role(secure, aws, topic, role, listener="IAM", authentication="iam", **options):
    """External schemas with a role are a superuser's; the machine of the tests has no identity, so the user mapping has keys."""
    name = f"sec_{secrets.token_hex(4)}"
    secure.made.append(name)
    given = {"uri": secure.listeners.uri(listener), "authentication": authentication, "topics": topic, "ca": secure.listeners.ca, "region": REGION, "iam_role": role}
    given = {key: value for key, value in (given | options).items() if value is not None}
    secure.db.run(f"CREATE SCHEMA {name}")
    literal = lambda value: "'" + value.replace("'", "''") + "'"
    secure.db.run(f"CREATE SERVER {name} TYPE 'msk' FOREIGN DATA WRAPPER redshift_streaming OPTIONS ({', '.join(f'{k} {literal(v)}' for k, v in given.items())})")
    own_keys(secure, name, aws, sync=False)
    return name


def sync(secure, server):
    secure.db.run("CALL redshift.sync_external_schema(%s)", server)


# --- tokens ---------------------------------------------------------------------------------------------------------------------


def test_iam_with_keys_of_the_user(secure, topic, aws):
    server = server_with_role(secure, aws, topic, None)
    sync(secure, server)
    secure.read(server, topic, secure.stage.expected)


def test_the_token_is_amazons(secure, topic, aws):
    """The official library, given the same moment and keys, makes the same token, up to the name of the agent."""
    server = server_with_role(secure, aws, topic, None)
    sync(secure, server)
    token = (secure.listeners.directory / "last-token").read_text()
    ours = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    moment = re.search(r"X-Amz-Date=(\w+)", ours)[1]
    when = datetime.datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    import botocore.auth
    from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
    from botocore.credentials import CredentialProvider, Credentials

    class Fixed(CredentialProvider):
        def load(self):
            return Credentials(*aws.user)

    clock = "get_current_datetime" if hasattr(botocore.auth, "get_current_datetime") else "datetime"
    with mock.patch.object(botocore.auth, clock) as now:
        now.return_value = when
        now.datetime.utcnow.return_value = when.replace(tzinfo=None)
        theirs, _ = MSKAuthTokenProvider.generate_auth_token_from_credentials_provider(REGION, Fixed())
    theirs = base64.urlsafe_b64decode(theirs + "=" * (-len(theirs) % 4)).decode()
    parts = lambda url: {k: v for k, v in urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query) if k != "User-Agent"}
    assert parts(ours) == parts(theirs)
    assert urllib.parse.urlsplit(ours)[:3] == urllib.parse.urlsplit(theirs)[:3]
    assert ours.split("&")[-1].startswith("User-Agent=") and theirs.split("&")[-1].startswith("User-Agent=")


def test_wrong_keys(secure, topic, aws):
    server = server_with_role(secure, aws, topic, None)
    wrong = "wrong" + secrets.token_hex(10)
    secure.db.run(mapping("ALTER", server, "CURRENT_USER", {"secret_access_key": wrong}))
    text = secure.refused(server, "28000", "did not accept the identity of AWS", "kafka-cluster:Connect")
    assert wrong not in text and aws.user[1] not in text


def test_an_expired_session(secure, topic, aws):
    """Temporary keys whose time is over: the broker's answer names it, or AWS's does."""
    server = server_with_role(secure, aws, topic, None)
    secure.db.run(mapping("ALTER", server, "CURRENT_USER", {"access_key_id": "ASIAEXPIRED0000000"}))
    secure.refused(server, "28000", "did not accept the identity of AWS", "unknown access key")


def test_a_worker_authenticates_again(secure, topic, aws):
    """The broker ends sessions of this listener after 4 seconds unless the client authenticates anew: the worker does, and loses nothing."""
    server = server_with_role(secure, aws, topic, None)
    sync(secure, server)
    secure.view(server, topic, options="auto_refresh = on")
    count = lambda: secure.db.value("SELECT count(*) FROM v")
    expected = set(secure.stage.expected)
    wait_until(lambda: count() == len(expected), 20, "the records")
    for _ in range(4):
        time.sleep(2.5)
        expected |= secure.stage.kafka.produce(topic, [b"later"] * 5)
        wait_until(lambda: count() == len(expected), 10, "the records after it")
    secure.stage.count_exactly_once(expected, verified=False)


# --- who may act as whom ----------------------------------------------------------------------------------------------------------


def test_the_machines_identity_is_given_by_superusers(secure, topic, aws, role):
    user = role()
    secure.db.run(f"GRANT USAGE ON FOREIGN DATA WRAPPER redshift_streaming TO {user}; GRANT CREATE ON DATABASE {secure.db.name} TO {user}")
    secure.db.run(f"SET redshift.host_role = {user}; SET ROLE {user}")
    server = secure.server(topic, "IAM", "iam", region=REGION)
    assert any("is read with credentials" in notice for notice in secure.db.connection.notices)
    refused(secure.db, f"SELECT * FROM redshift.topics('{server}')", "42501", "has no identity at AWS", "access_key_id", "iam_role")
    for statement in (
        f"ALTER SERVER {server} OPTIONS (ADD iam_role 'default')",
        f"ALTER SERVER {server} OPTIONS (ADD iam_role 'arn:aws:iam::{HOME}:role/admin')",
        f"ALTER SERVER {server} OPTIONS (ADD endpoint_url 'http://127.0.0.1:1')",
        "SET redshift.default_iam_role = 'arn:aws:iam::1:role/admin'",
        "SET redshift.aws_endpoint_url = 'http://127.0.0.1:1'",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            secure.db.run(statement)
    own_keys(secure, server, aws)
    assert secure.db.value(f'SELECT count(*) FROM {server}."{topic}"') == len(secure.stage.expected)


def test_a_chain_of_roles_across_accounts(secure, topic, aws):
    """The least that is needed: the user may assume A, A may assume B, and nothing else. Without either step the error names it."""
    b = aws.role(aws.streams)
    a = aws.role(aws.home, ("sts:AssumeRole", b))
    aws.set_user_policy(without(documented_policy("msk-iam.md"), resource=a))
    aws.enforce()
    server = server_with_role(secure, aws, topic, f"{a},\n    {b}", external_id="shop-7")
    sync(secure, server)
    options = secure.db.value("SELECT esoptions FROM svv_external_schemas WHERE schemaname = %s", server)
    assert json.loads(options) == {
        "SOURCE": "MSK", "URI": secure.listeners.uri("IAM"), "AUTHENTICATION": "iam", "IAM_ROLE": f"{a},\n    {b}", "REGION": REGION,
    }
    secure.read(server, topic, secure.stage.expected)
    asked = [call for call, status in aws.calls if "AssumeRole" in call and status == 200]
    assert len(asked) >= 2 and all("ExternalId=shop-7" in call for call in asked), asked

    aws.allow_role(aws.home, a)
    server = server_with_role(secure, aws, topic, f"{a},{b}", external_id="shop-8")
    secure.refused(server, "42501", "sts:AssumeRole", b, "AccessDenied")
    aws.allow_user()
    server = server_with_role(secure, aws, topic, f"{a},{b}", external_id="shop-9")
    secure.refused(server, "42501", "sts:AssumeRole", a, "AccessDenied")


def test_the_default_role(secure, topic, aws):
    a = aws.role(aws.home)
    aws.allow_user(("sts:AssumeRole", a))
    aws.enforce()
    server = server_with_role(secure, aws, topic, "default")
    secure.db.run(f"SET redshift.default_iam_role = '{a}'")
    sync(secure, server)
    assert any("AssumeRole" in call for call, _ in aws.calls)
    secure.db.run("RESET redshift.default_iam_role")


@pytest.mark.parametrize("text", ["admin", "arn:aws:iam::1:user/x", ",".join(["arn:aws:iam::123456789012:role/x"] * 11)])
def test_what_is_no_role(secure, topic, aws, text):
    with pytest.raises(psycopg.Error) as raised:
        server_with_role(secure, aws, topic, text)
    assert raised.value.sqlstate == "22023" and "at most 10 roles" in raised.value.diag.message_hint


# --- the brokers of a cluster -----------------------------------------------------------------------------------------------------


def test_brokers_by_cluster_arn(secure, topic, aws):
    aws.brokers = {"bootstrapBrokerStringTls": "127.0.0.1:1", "bootstrapBrokerStringSaslIam": secure.listeners.uri("IAM")}
    server = server_with_role(secure, aws, topic, None, uri=None, region=None, cluster_arn=CLUSTER)
    sync(secure, server)
    secure.read(server, topic, secure.stage.expected)
    assert any(urllib.parse.quote(CLUSTER, safe="") in call for call, _ in aws.calls)


def test_brokers_that_may_not_be_asked_for(secure, topic, aws):
    aws.denies_brokers = True
    server = server_with_role(secure, aws, topic, None, uri=None, cluster_arn=CLUSTER + "2")
    secure.refused(server, "42501", "kafka:GetBootstrapBrokers", "not authorized")


# --- secrets ----------------------------------------------------------------------------------------------------------------------


def test_mtls_from_secrets_manager(secure, topic, aws):
    arn = aws.secret(aws.streams, {"certificate": secure.listeners.text("client.pem"), "privateKey": secure.listeners.text("client.key")})
    b = aws.role(aws.streams, ("secretsmanager:GetSecretValue", "*"))  # moto does not look at the secret's name
    a = aws.role(aws.home, ("sts:AssumeRole", b))
    aws.allow_user(("sts:AssumeRole", a))
    aws.enforce()
    server = server_with_role(secure, aws, topic, f"{a},{b}", "MTLS", "mtls", secret_arn=arn)
    sync(secure, server)
    secure.read(server, topic, secure.stage.expected)


def certificate_of_acm(aws, listeners):
    """One that an intermediate authority signed: the chain is needed as well."""
    own, between = listeners.text("far_client.pem"), listeners.text("intermediate.pem")
    assert own.endswith(between)
    return aws.certificate(aws.home, own[: -len(between)], between, listeners.path("far_client.key"))


def test_mtls_from_certificate_manager(secure, topic, aws):
    """As the page tells users to grant it; the key comes encrypted with a passphrase that nobody else knows."""
    arn = certificate_of_acm(aws, secure.listeners)
    aws.set_user_policy(without(documented_policy("tls-and-sasl.md"), "secretsmanager:GetSecretValue"))
    aws.enforce()
    server = server_with_role(secure, aws, topic, None, "MTLS", "mtls", authentication_arn=arn)
    sync(secure, server)
    secure.read(server, topic, secure.stage.expected)
    assert all(len(passphrase) >= 32 for passphrase in aws.passphrases) and len(set(aws.passphrases)) == len(aws.passphrases)


def test_a_certificate_that_may_not_be_exported(secure, topic, aws):
    arn = certificate_of_acm(aws, secure.listeners)
    aws.set_user_policy(without(documented_policy("tls-and-sasl.md"), "acm:ExportCertificate"))
    aws.enforce()
    server = server_with_role(secure, aws, topic, None, "MTLS", "mtls", authentication_arn=arn)
    secure.refused(server, "42501", f"acm:ExportCertificate of {arn}", "AccessDenied", "Allow acm:ExportCertificate in a policy")


def test_a_certificate_that_is_not_there(secure, topic, aws):
    arn = certificate_of_acm(aws, secure.listeners)[:-1] + "x"
    aws.set_user_policy(without(documented_policy("tls-and-sasl.md")))
    aws.enforce()
    server = server_with_role(secure, aws, topic, None, "MTLS", "mtls", authentication_arn=arn)
    secure.refused(server, "42501", f"acm:ExportCertificate of {arn}", "ResourceNotFound", "Check the name or the ARN")


def test_scram_from_secrets_manager(secure, topic, aws):
    arn = aws.secret(aws.home, {"username": "reader", "password": secure.listeners.password})
    server = server_with_role(secure, aws, topic, None, "SASL", "scram-sha-512", secret_arn=arn)
    aws.set_user_policy(without(documented_policy("tls-and-sasl.md"), "acm:ExportCertificate"))
    aws.enforce()
    sync(secure, server)
    secure.read(server, topic, secure.stage.expected)


def test_a_secret_that_may_not_be_read(secure, topic, aws):
    arn = aws.secret(aws.home, {"username": "reader", "password": secure.listeners.password})
    server = server_with_role(secure, aws, topic, None, "SASL", "scram-sha-512", secret_arn=arn)
    aws.set_user_policy(without(documented_policy("tls-and-sasl.md"), "secretsmanager:GetSecretValue"))
    aws.enforce()
    secure.refused(server, "42501", f"secretsmanager:GetSecretValue of {arn}", "AccessDenied", "Allow secretsmanager:GetSecretValue in a policy")


def test_a_secret_of_another_form(secure, topic, aws):
    arn = aws.secret(aws.home, {"user": "reader", "pass": "hidden-in-a-secret"})
    server = server_with_role(secure, aws, topic, None, "SASL", "scram-sha-512", secret_arn=arn)
    text = secure.refused(server, "22023", "not the expected form", "username")
    assert "hidden-in-a-secret" not in text


def test_aws_that_does_not_answer(secure, topic, aws):
    secure.db.run("SET redshift.aws_endpoint_url = 'http://127.0.0.1:1'; SET redshift.connect_timeout_ms = '3s'")
    server = server_with_role(secure, aws, topic, None, "SASL", "scram-sha-512", secret_arn=f"arn:aws:secretsmanager:{REGION}:{STREAMS}:secret:x")
    with pytest.raises(psycopg.Error) as raised:
        secure.db.run(f"SELECT * FROM redshift.topics('{server}')")
    text = everything(raised.value)
    assert raised.value.sqlstate == "08001" and "secretsmanager:GetSecretValue" in text, text


# --- nothing shows ------------------------------------------------------------------------------------------------------------------


def test_no_secret_of_aws_shows(secure, topic, aws):
    """Keys, tokens and secrets that were used by the tests above, in the server's log and in what the database shows."""
    server = server_with_role(secure, aws, topic, None)
    sync(secure, server)
    secure.view(server, topic, options="auto_refresh = on")
    wait_until(lambda: secure.db.value("SELECT count(*) FROM v") == len(secure.stage.expected), 20, "the records")
    secure.db.run(mapping("ALTER", server, "CURRENT_USER", {"secret_access_key": "wrong-key-of-aws"}))
    told = [secure.refused(server, "28000", "identity of AWS")]
    token = (secure.listeners.directory / "last-token").read_text()
    hidden = [*aws.known.values(), *aws.passphrases, "wrong-key-of-aws", "hidden-in-a-secret", token[200:300]]
    told.append((RUN / "log" / "postgres.log").read_text(errors="replace"))
    for view in ("sys_mv_refresh_history", "sys_query_history", "sys_stream_scan_errors", "svv_external_schemas", "redshift.worker_status", "pg_foreign_server"):
        told.append(str(secure.db.rows(f"SELECT * FROM {view}")))
    told.append(str(secure.db.rows("SELECT query FROM pg_stat_activity WHERE query NOT LIKE '%%USER MAPPING%%'")))
    for text in told:
        for secret in hidden:
            at = text.find(secret)
            assert at < 0, f"a secret shows: ..{text[max(0, at - 200):at]}"
