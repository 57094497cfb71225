"""What is granted is what was created, options that a superuser set stay his, and who may say where the server's machine connects to."""

import psycopg
import pytest

pytestmark = pytest.mark.embedded_only("which broker it is does not matter")


def acl(db, relation):
    return db.value("SELECT coalesce(relacl::text, '') FROM pg_class WHERE oid = %s::regclass", relation)


def test_sync_grants_what_it_creates_and_nothing_else(stage, db, role):
    """Private tables, landed views and relations that were there before stay as private as they were."""
    reader = role()
    first = stage.kafka.topic(name=stage.schema + "_a")
    stage.map(stage.schema + "_*")
    db.run(f"CREATE TABLE {stage.schema}.salaries (x int); INSERT INTO {stage.schema}.salaries VALUES (1)")
    db.run(f"CREATE MATERIALIZED VIEW {stage.schema}.landed AS SELECT kafka_offset FROM {stage.relation(first)}")
    db.run(f"REVOKE SELECT ON {stage.relation(first)} FROM PUBLIC")
    db.run(f"GRANT USAGE ON SCHEMA {stage.schema} TO {reader}")
    second = stage.kafka.topic(name=stage.schema + "_b")
    for _ in range(2):
        db.run("CALL redshift.sync_external_schema(%s)", stage.schema)
    for private in ("salaries", "landed", "landed_definition", first):
        assert "=r/" not in acl(db, f'{stage.schema}."{private}"').replace("{", ",").replace(",postgres=", ";"), private
    db.run(f"SET ROLE {reader}")
    for private in ("salaries", "landed", first):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.run(f'SELECT * FROM {stage.schema}."{private}"')
    assert db.value(f'SELECT count(*) FROM {stage.schema}."{second}"') == 0
    db.run("RESET ROLE")


def test_source_status_shows_what_a_peek_would(stage, db, role):
    reader = role()
    shown = stage.topic()
    hidden = stage.kafka.topic()
    db.run(f"ALTER SERVER {stage.schema} OPTIONS (DROP topics)")
    db.run(f'CREATE FOREIGN TABLE {stage.schema}.hidden (kafka_offset bigint) SERVER {stage.schema} OPTIONS (topic \'{hidden}\')')
    db.run(f"GRANT USAGE ON SCHEMA {stage.schema} TO {reader}")
    topics = f"SELECT topic FROM redshift.source_status('{stage.schema}')"
    assert sorted(db.column(topics)) == sorted([shown, hidden])
    db.run(f"SET ROLE {reader}")
    assert db.column(topics) == [shown]
    db.run("RESET ROLE")
    db.run(f"REVOKE SELECT ON {stage.relation(shown)} FROM PUBLIC; SET ROLE {reader}")
    assert db.column(topics) == []
    db.run("RESET ROLE")


@pytest.fixture
def owner(db, role):
    """Somebody who may create servers."""
    user = role()
    db.run(f"GRANT USAGE ON FOREIGN DATA WRAPPER redshift_streaming TO {user}; GRANT CREATE ON DATABASE {db.name} TO {user}")
    yield user
    db.run("RESET ROLE; RESET redshift.host_role")


def denied(db, sql, words):
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=words):
        db.run(sql)


def test_a_superusers_options_are_his(db, owner):
    """Owners neither set, change, nor drop them: on servers and user mappings."""
    pem = "-----BEGIN CERTIFICATE-----"
    db.run(f"CREATE SERVER s_{owner} TYPE 'kinesis' FOREIGN DATA WRAPPER redshift_streaming OPTIONS (region 'us-east-1', iam_role 'default', endpoint_url 'http://localhost:1')")
    db.run(f"CREATE SERVER k_{owner} TYPE 'kafka' FOREIGN DATA WRAPPER redshift_streaming OPTIONS (uri 'h:1', ca_file '/x')")
    db.run(f"CREATE SERVER m_{owner} TYPE 'kafka' FOREIGN DATA WRAPPER redshift_streaming OPTIONS (uri 'h:1')")
    for server in "skm":
        db.run(f"ALTER SERVER {server}_{owner} OWNER TO {owner}")
    db.run(f"CREATE USER MAPPING FOR {owner} SERVER m_{owner} OPTIONS (certificate_file '/x', private_key '{pem.replace('CERTIFICATE', 'PRIVATE KEY')}')")
    db.run(f"SET ROLE {owner}")
    for sql in (
        f"ALTER SERVER s_{owner} OPTIONS (DROP iam_role)",
        f"ALTER SERVER s_{owner} OPTIONS (DROP endpoint_url)",
        f"ALTER SERVER s_{owner} OPTIONS (DROP iam_role, DROP endpoint_url)",
        f"ALTER SERVER s_{owner} OPTIONS (SET iam_role 'arn:aws:iam::123456789012:role/x')",
        f"ALTER SERVER s_{owner} OPTIONS (SET region 'eu-west-1')",
        f"ALTER SERVER k_{owner} OPTIONS (DROP ca_file)",
        f"ALTER SERVER k_{owner} OPTIONS (DROP ca_file, ADD ca '{pem}')",
        f"ALTER USER MAPPING FOR {owner} SERVER m_{owner} OPTIONS (DROP certificate_file)",
        f"ALTER USER MAPPING FOR CURRENT_USER SERVER m_{owner} OPTIONS (SET certificate_file '/y')",
    ):
        denied(db, sql, "only a superuser may set option")
    db.run("RESET ROLE")
    for sql in (f"ALTER SERVER s_{owner} OPTIONS (DROP iam_role, SET region 'eu-west-1')", f"ALTER USER MAPPING FOR {owner} SERVER m_{owner} OPTIONS (DROP certificate_file)"):
        db.run(sql)
    db.run(f"DROP SERVER s_{owner}, k_{owner}, m_{owner} CASCADE")


def test_hosts_are_named_by_superusers_and_the_role_for_it(db, owner, role):
    hosts = role("NOLOGIN")
    server = f"h_{owner}"
    create = f"CREATE SERVER {server} TYPE 'kafka' FOREIGN DATA WRAPPER redshift_streaming OPTIONS (uri 'one:1, two:2', topics 'a')"
    msk = f"CREATE SERVER {server}_msk TYPE 'msk' FOREIGN DATA WRAPPER redshift_streaming OPTIONS (cluster_arn 'arn:aws:kafka:us-east-1:123456789012:cluster/x/1')"
    db.run(f"SET ROLE {owner}")
    for sql in (create, msk, f"CALL redshift.create_external_schema('{server}', source => 'kafka', uri => 'localhost:1')"):
        denied(db, sql, "permission denied to set option")
    denied(db, "SET redshift.host_role = 'pg_monitor'", "permission denied to set parameter")
    # A role that does not exist is nobody's.
    db.run("RESET ROLE; SET redshift.host_role = 'nobody_at_all'")
    db.run(f"SET ROLE {owner}")
    denied(db, create, "permission denied to set option")
    db.run(f"RESET ROLE; SET redshift.host_role = '{hosts}'")
    db.run(f"SET ROLE {owner}")
    denied(db, create, "permission denied to set option")
    db.run(f"RESET ROLE; GRANT {hosts} TO {owner}; SET ROLE {owner}")
    db.run(create)
    db.run(msk)
    db.run(f"ALTER SERVER {server} OPTIONS (SET uri 'elsewhere:1')")
    db.run(f"RESET ROLE; REVOKE {hosts} FROM {owner}; ALTER SERVER {server} OPTIONS (SET uri 'one:1,two:2'); SET ROLE {owner}")
    # What is there may stay or get shorter; another host is another host.
    db.run(f"ALTER SERVER {server} OPTIONS (SET topics 'b')")
    db.run(f"ALTER SERVER {server} OPTIONS (SET uri ' two:2')")
    for uri in ("one:1", "two:2,three:3", "two:22"):
        denied(db, f"ALTER SERVER {server} OPTIONS (SET uri '{uri}')", "permission denied to set option")
    denied(db, f"ALTER SERVER {server} OPTIONS (DROP uri, ADD cluster_arn 'arn:aws:kafka:us-east-1:123456789012:cluster/x/1')", "permission denied to set option")
    # What an earlier statement was about is nothing to the next one.
    denied(db, create.replace(server, server + "2").replace("one:1, two:2", "two:2"), "permission denied to set option")
    # Kinesis is where AWS is.
    db.run(f"CREATE SERVER {server}_k TYPE 'kinesis' FOREIGN DATA WRAPPER redshift_streaming OPTIONS (region 'us-east-1')")
    db.run(f"RESET ROLE; DROP SERVER {server}, {server}_msk, {server}_k CASCADE")


@pytest.mark.parametrize("option", ["region", "cluster_arn", "secret_arn", "authentication_arn", "iam_role"])
def test_what_becomes_a_host_name_has_its_form(db, option):
    """Requests signed with a user's keys go to AWS, not to a host that the region spells."""
    services = {"cluster_arn": ("kafka", "cluster/x/1"), "secret_arn": ("secretsmanager", "secret:x"), "authentication_arn": ("acm", "certificate/x"), "iam_role": ("iam", "role/x")}
    regions = ["evil.example/", "us-east-1.evil.example", "evil.example#", "us-east-1@evil.example", "evil.example:443/?", "US-EAST-1", "", "x", "us-east-1 ", "%65vil-example-1"]
    if option == "region":
        values = regions
    else:
        service, resource = services[option]
        values = [f"arn:aws:{service}:{region}:123456789012:{resource}" for region in regions if region or option != "iam_role"]
        values += [f"arn:{partition}:{service}:us-east-1:123456789012:{resource}" for partition in ("evil", "aws.evil", "")]
        values += [f"arn:aws:{service}:us-east-1:{account}:{resource}" for account in ("1", "12345678901a", "", "123456789012.evil.example")]
        values += [f"arn:aws:s3:us-east-1:123456789012:{resource}", f"arn:aws:{service}:us-east-1:123456789012:", f"arn:aws:{service}:us-east-1:123456789012"]
    for value in values:
        with pytest.raises(psycopg.errors.InvalidParameterValue, match=option):
            db.run(f"CREATE SERVER form TYPE 'msk' FOREIGN DATA WRAPPER redshift_streaming OPTIONS ({option} '{value}')")
    good = "us-gov-west-1" if option == "region" else f"arn:aws-us-gov:{services[option][0]}:{'' if option == 'iam_role' else 'us-gov-west-1'}:123456789012:{services[option][1]}"
    db.run(f"CREATE SERVER form TYPE 'msk' FOREIGN DATA WRAPPER redshift_streaming OPTIONS ({option} '{good}')")
    db.run("DROP SERVER form")


def test_a_region_from_elsewhere_is_looked_at_too(db):
    """That of the setting, and of servers that an earlier release let through."""
    db.run("SET redshift.aws_region = 'us-east-1.evil.example'")
    db.run("CREATE SERVER elsewhere TYPE 'kinesis' FOREIGN DATA WRAPPER redshift_streaming")
    with pytest.raises(psycopg.Error, match="is no AWS region"):
        db.run("SELECT * FROM redshift.topics('elsewhere')")
    db.run("RESET redshift.aws_region")
    db.run("UPDATE pg_foreign_server SET srvoptions = '{region=us-east-1.evil.example}' WHERE srvname = 'elsewhere'")
    with pytest.raises(psycopg.Error, match="is no AWS region"):
        db.run("SELECT * FROM redshift.topics('elsewhere')")
    db.run("DROP SERVER elsewhere")
