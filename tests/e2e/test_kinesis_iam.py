"""Streams of Kinesis read as somebody: with the least that the pages tell users to grant, and with what the server's process has of its own. Against
moto with enforcement: a request that nobody signed who may is refused."""

import time
from unittest import mock

import psycopg
import pytest
from aws import HOME, REGION, Aws, actions_of, documented_policy, without
from conftest import private_clusters
from machine import TOKEN, Machine, Metadata
from secure import everything, refused
from stage import wait_until

OURS = documented_policy("kinesis.md")
# What Redshift's own documentation asks for.
REDSHIFTS = [
    {"Action": [f"kinesis:{action}" for action in ("DescribeStreamSummary", "GetShardIterator", "GetRecords", "ListShards", "DescribeStream")]},
    {"Action": ["kinesis:ListStreams"]},
]


@pytest.fixture(scope="module")
def aws():
    it = Aws()
    yield it
    it.close()


@pytest.fixture(scope="module")
def machine(aws):
    with private_clusters() as start:
        yield Machine(start(), aws)


@pytest.fixture
def stage(machine, aws):
    """A stage over moto, with a stream of two shards and 20 records; it clears up as everybody may."""
    aws.enforce(False)
    it = machine.stage()
    it.stream = machine.kinesis.stream(2)
    it.expected = machine.kinesis.produce(it.stream, [{"n": n} for n in range(20)])
    aws.enforce()
    yield it
    it.clean_up()
    it.db.run("DROP SCHEMA IF EXISTS k CASCADE")


@pytest.fixture
def metadata():
    it = Metadata()
    yield it
    it.close()


def environment_of(keys):
    return {name.upper(): value for name, value in keys.items()}


def schema(stage, name="k", region=REGION, **options):
    options = {"source": "kinesis", "streams": stage.stream, "region": region} | options
    return f"CALL redshift.create_external_schema('{name}', {', '.join(f'{key} => {value!r}' for key, value in options.items() if value)})"


def load(stage, schema="k"):
    stage.db.run(f'CREATE MATERIALIZED VIEW v AS SELECT shard_id, sequence_number, kinesis_data FROM {schema}."{stage.stream}"')
    stage.refresh()
    stage.count_exactly_once(stage.expected)


# --- the least that is needed --------------------------------------------------------------------------------------------------


@pytest.fixture
def role(machine, aws):
    """A role that the machine may assume, and that may do what is documented; the machine is a user's keys in its environment."""
    arn = aws.role(aws.home)
    aws.allow_user(("sts:AssumeRole", arn))
    access_key, secret = aws.user
    machine.start(AWS_ACCESS_KEY_ID=access_key, AWS_SECRET_ACCESS_KEY=secret)
    return arn


@pytest.mark.parametrize("policy", [OURS, REDSHIFTS], ids=["ours", "Redshift's"])
def test_the_documented_policy_suffices(stage, role, aws, policy):
    aws.set_policy(aws.home, role, without(policy))
    stage.db.run(schema(stage, iam_role=role))
    assert stage.db.value(f'SELECT count(*) FROM k."{stage.stream}"') == 20
    load(stage)


def test_each_action_is_needed_and_named(stage, role, aws):
    """Without it something of all this fails, and whatever fails says which action is missing."""
    aws.set_policy(aws.home, role, without(OURS))
    stage.db.run(schema(stage, iam_role=role))
    stage.db.run(f'CREATE MATERIALIZED VIEW v AS SELECT * FROM k."{stage.stream}"')
    work = [
        schema(stage, "l", iam_role=role), f'SELECT * FROM k."{stage.stream}"', f'CREATE MATERIALIZED VIEW w AS SELECT * FROM k."{stage.stream}"',
        "REFRESH MATERIALIZED VIEW v",
    ]
    for action in actions_of(OURS):
        aws.set_policy(aws.home, role, without(OURS, action))
        failed = 0
        for statement in work:
            try:
                stage.db.run(statement)
            except psycopg.Error as error:
                failed += 1
                text = everything(error)
                assert error.sqlstate == "42501", text
                assert f"{action} of stream" in text or f"{action}: AccessDenied" in text, text
                assert f"Allow {action} in a policy of" in error.diag.message_hint, text
                assert not any(secret in text for secret in aws.known.values())
            stage.db.run("DROP SCHEMA IF EXISTS l CASCADE; DROP MATERIALIZED VIEW IF EXISTS w")
        assert failed, action
    aws.set_policy(aws.home, role, without(OURS))
    stage.refresh()
    stage.count_exactly_once(stage.expected)


def test_who_may_not_assume_the_role(stage, role, aws):
    aws.allow_user()
    text = refused(stage.db, schema(stage, iam_role=role), "42501", "sts:AssumeRole of " + role, "AccessDenied", "Allow sts:AssumeRole", hidden=aws.known.values())
    assert "trust policy" in text


def test_keys_that_are_wrong(stage, machine, aws):
    machine.start(AWS_ACCESS_KEY_ID=aws.user[0], AWS_SECRET_ACCESS_KEY="wrong-key-of-the-machine")
    refused(stage.db, schema(stage), "42501", "kinesis:ListStreams", "The credentials are not valid", hidden=[*aws.known.values(), "wrong-key-of-the-machine"])


# --- what the server's process has of its own ----------------------------------------------------------------------------------


@pytest.fixture
def keys(aws):
    """Of a role's session, that may read Kinesis."""
    return aws.session(aws.role(aws.home, (" ".join(actions_of(OURS)), "*")))


def test_nothing(stage, machine):
    machine.start()
    refused(stage.db, schema(stage), "42501", "database server's machine: there are none", "environment, profile, web identity, container or instance")


def test_the_environment(stage, machine, keys):
    machine.start(AWS_REGION=REGION, **environment_of(keys))
    stage.db.run(schema(stage, region=None))
    load(stage)


def test_a_profile_in_the_shared_files(stage, machine, keys):
    given = "".join(f"{name} = {value}\n" for name, value in keys.items())
    machine.start(
        AWS_SHARED_CREDENTIALS_FILE=machine.file("credentials", f"[default]\naws_access_key_id = x\naws_secret_access_key = y\n[streams]\n{given}"),
        AWS_CONFIG_FILE=machine.file("config", f"[default]\nregion = eu-west-1\n[profile streams]\nregion = {REGION}\n"), AWS_PROFILE="streams",
    )
    stage.db.run(schema(stage, region=None))
    load(stage)


def test_a_profile_that_assumes_a_role(stage, machine, aws):
    role = aws.role(aws.home, (" ".join(actions_of(OURS)), "*"))
    aws.allow_user(("sts:AssumeRole", role))
    machine.start(
        AWS_SHARED_CREDENTIALS_FILE=machine.file("credentials", f"[base]\naws_access_key_id = {aws.user[0]}\naws_secret_access_key = {aws.user[1]}\n"),
        AWS_CONFIG_FILE=machine.file("config", f"[default]\nregion = {REGION}\nrole_arn = {role}\nsource_profile = base\n"), AWS_ENDPOINT_URL_STS=aws.url,
    )
    stage.db.run(schema(stage))
    load(stage)


def test_a_web_identity(stage, machine, aws):
    """As on EKS: a token in a file, shown to STS."""
    role = aws.role(aws.home, (" ".join(actions_of(OURS)), "*"))
    aws.calls.clear()
    machine.start(
        AWS_WEB_IDENTITY_TOKEN_FILE=machine.file("token", "token-of-the-pod"), AWS_ROLE_ARN=role, AWS_REGION=REGION, AWS_ENDPOINT_URL_STS=aws.url,
    )
    stage.db.run(schema(stage))
    load(stage)
    assert any("AssumeRoleWithWebIdentity" in call and "token-of-the-pod" in call for call, _ in aws.calls)


def test_a_container(stage, machine, metadata, keys):
    metadata.sets = [(keys, 3600)]
    machine.start(AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{metadata.url}/container", AWS_CONTAINER_AUTHORIZATION_TOKEN=TOKEN)
    stage.db.run(schema(stage))
    load(stage)
    assert metadata.given == 1  # one session, however many requests


def test_an_instance(stage, machine, metadata, keys):
    """Its region is asked for as well."""
    metadata.sets = [(keys, 3600)]
    machine.start(AWS_EC2_METADATA_DISABLED="false", AWS_EC2_METADATA_SERVICE_ENDPOINT=metadata.url)
    stage.db.run(schema(stage, region=None))
    load(stage)


def test_a_worker_renews_before_they_expire(stage, machine, aws, metadata):
    """The first keys are said to last five minutes and some seconds, so they are renewed in seconds; when they are taken away, nobody reads with them."""
    role = aws.role(aws.home, (" ".join(actions_of(OURS)), "*"))
    first, second = aws.session(role), aws.session(role)
    metadata.sets = [(second, 3600)]
    machine.start(AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{metadata.url}/container", AWS_CONTAINER_AUTHORIZATION_TOKEN=TOKEN)
    stage.db.run(schema(stage))
    metadata.sets, metadata.given = [(first, 303), (second, 3600)], 0
    stage.db.run(
        f'CREATE MATERIALIZED VIEW v WITH (auto_refresh = on) AS SELECT shard_id, sequence_number, kinesis_data FROM k."{stage.stream}"'
    )
    count = lambda: stage.db.value("SELECT count(*) FROM v")
    wait_until(lambda: count() == len(stage.expected), 10, "the records")
    wait_until(lambda: metadata.given == 2, 10, "new credentials")
    with mock.patch.object(aws, "revoked", {first["aws_access_key_id"]}):
        for _ in range(3):
            stage.expected |= machine.kinesis.produce(stage.stream, [b"later"] * 5)
            wait_until(lambda: count() == len(stage.expected), 10, "the records after it")
            time.sleep(0.5)
        assert not aws.refused_as_revoked
    assert metadata.given == 2
    stage.count_exactly_once(stage.expected, verified=False)
