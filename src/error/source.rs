//! What brokers, services and their records do.

use super::{POSITION_PASSED, TOPIC_RECREATED};
use crate::pg::report::{Report, sqlstate};

/// A failure of the source. `what` says what we were about, e.g. `external schema "shop" (localhost:9092)`.
pub fn source(what: &str, error: &stream::Error) -> Report {
    use stream::Error::*;
    match error {
        Config(text) => Report::new(sqlstate::INVALID_PARAMETER_VALUE, format!("{what}: {text}")),
        Timeout { request, cause } => {
            let request = capitalized(request);
            let report = Report::new(sqlstate::SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION, format!("{what}: no answer from the Kafka broker"))
                .hint("Check the uri of the external schema and that the broker can be reached from this host; redshift.connect_timeout_ms is how long we wait.");
            match cause {
                Some(cause) => report.detail(format!("{request}: {cause}.")),
                None => report.detail(format!("{request}.")),
            }
        }
        Refused { request, refusal, cause } => refused(what, *refusal).detail(format!("{}: {cause}.", capitalized(request))),
        UnknownTopic { topic } => {
            Report::new(sqlstate::UNDEFINED_OBJECT, format!("{what}: topic \"{topic}\" does not exist"))
                .detail("The broker knows no topic of this name, or does not show it to this client.")
        }
        Recreated { topic } => Report::new(TOPIC_RECREATED, format!("{what}: topic \"{topic}\" was re-created"))
            .detail("It was dropped and created again while it was read; nothing was loaded."),
        OffsetOutOfRange { topic, partition, offset } => Report::new(
            POSITION_PASSED,
            format!("{what}: topic \"{topic}\", partition {partition}: there is no offset {offset} any more"),
        )
        .detail("Retention removed the record while it was about to be read."),
        Partition { topic, partition, offset, cause } => Report::new(
            sqlstate::CONNECTION_FAILURE,
            format!("{what}: topic \"{topic}\", partition {partition} cannot be read at offset {offset}"),
        )
        .detail(format!("{cause}.")),
        TooLarge { topic, place, cause } => {
            let at = place.map(|(partition, offset)| format!(", partition {partition}: the batch of records at offset {offset}"));
            let batch = at.unwrap_or_else(|| ": a batch of records".to_owned());
            Report::new(
                sqlstate::PROGRAM_LIMIT_EXCEEDED,
                format!("{what}: topic \"{topic}\"{batch} is larger than half of redshift.memory_limit"),
            )
            .detail(format!("{cause}."))
            .hint("Raise redshift.memory_limit: a batch may have half of it as it arrives and when it is unpacked, and 16 MB in any case. Or pass the batch: CALL redshift.set_position(..).")
        }
        UnknownStream { stream } => {
            Report::new(sqlstate::UNDEFINED_OBJECT, format!("{what}: stream \"{stream}\" does not exist"))
                .detail("Kinesis knows no stream of this name in this account and region.")
        }
        UnknownConsumer { stream, consumer } => {
            Report::new(sqlstate::UNDEFINED_OBJECT, format!("{what}: stream \"{stream}\" has no consumer \"{consumer}\""))
                .hint(format!("aws kinesis register-stream-consumer --stream-arn .. --consumer-name {consumer}; or ALTER MATERIALIZED VIEW .. RESET (consumer)."))
        }
        Shard { shard, cause, .. } => {
            Report::new(sqlstate::CONNECTION_FAILURE, format!("{what}: {shard} cannot be read")).detail(format!("{cause}."))
        }
        Denied { request, cause } => {
            Report::new(sqlstate::INSUFFICIENT_PRIVILEGE, format!("{what}: AWS did not allow it"))
                .detail(format!("{}: {cause}.", capitalized(request)))
                .hint(denied_hint(request, cause))
        }
        other => Report::new(sqlstate::SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION, format!("{what}: {other}")),
    }
}

/// What to allow to whom. `request` begins with the action as a policy names it, such as `kinesis:GetRecords of stream ..`.
fn denied_hint(request: &str, cause: &str) -> String {
    const WHO: &str = "the identity that asks: the last role of the external schema's iam_role; without one the keys of the user mapping, else what the server's machine is for AWS";
    let action = request.split(' ').next().filter(|word| word.contains(':'));
    let says = |words: &[&str]| words.iter().any(|word| cause.contains(word));
    match action {
        Some(_) if cause.starts_with("KMSAccessDenied") => format!("Allow kms:Decrypt with the stream's key to {WHO}."),
        Some("sts:AssumeRole") => "Allow sts:AssumeRole of this role to who assumes it: the role before it in iam_role; of the first one, the keys of the user mapping, else what the server's machine is for AWS. The role's trust policy has to allow it as well.".to_owned(),
        Some(action) if says(&["AccessDenied", "not authorized", "Forbidden"]) => format!("Allow {action} in a policy of {WHO}."),
        Some(_) if !says(&["Token", "Signature", "UnrecognizedClient"]) => "Check the name or the ARN, and the region of the external schema.".to_owned(),
        _ => format!("The credentials are not valid. Check {WHO} (environment, profile, web identity, container or instance)."),
    }
}

/// Broker and client do not come to terms. Each says what is missing where.
fn refused(what: &str, refusal: stream::Refusal) -> Report {
    use stream::Refusal::*;
    const TLS: [u8; 5] = sqlstate::SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION;
    const AUTHENTICATION: [u8; 5] = sqlstate::INVALID_AUTHORIZATION_SPECIFICATION;
    let (code, text, hint) = match refusal {
        UntrustedBroker => (
            TLS,
            "the broker's certificate is not trusted",
            "Give the authority that signed it: ALTER SERVER .. OPTIONS (ADD ca '-----BEGIN CERTIFICATE-----..').",
        ),
        BrokerCertificateExpired => (
            TLS,
            "the broker's certificate has expired or is not valid yet",
            "Renew the certificate on the broker, or set this machine's clock.",
        ),
        WrongHost => (
            TLS,
            "the broker's certificate is not for this host",
            "Use a name in uri that the certificate has; ALTER SERVER .. OPTIONS (ADD verify_hostname 'off') gives the check up.",
        ),
        ClientCertificate => (
            AUTHENTICATION,
            "the broker did not accept the client's certificate, or wants one",
            "It has to be signed by an authority that the broker trusts and not be expired: authentication 'mtls' of the server, certificate and private_key of the user mapping.",
        ),
        Login => (
            sqlstate::INVALID_PASSWORD,
            "the broker did not accept the user and password",
            "ALTER USER MAPPING .. OPTIONS (SET user '..', SET password '..') of the user who reads: for a materialized view, its owner.",
        ),
        Mechanism => (
            AUTHENTICATION,
            "the broker does not offer this SASL mechanism",
            "Set authentication of the server to one that it offers.",
        ),
        NoToken => (
            sqlstate::INSUFFICIENT_PRIVILEGE,
            "no credentials of AWS for the broker",
            "DETAIL says what is missing: credentials of the machine or of the user mapping, or the right to assume a role of iam_role. redshift.aws_region, or region of the server, names the region.",
        ),
        Token => (
            AUTHENTICATION,
            "the broker did not accept the identity of AWS",
            "It needs kafka-cluster:Connect on the cluster, and region of the server has to be the cluster's.",
        ),
        NoTls => (
            TLS,
            "the broker does not speak TLS on this port",
            "Check the port in uri, or ALTER SERVER .. OPTIONS (ADD tls 'off').",
        ),
        TlsRequired => (
            TLS,
            "the broker seems to speak TLS on this port",
            "ALTER SERVER .. OPTIONS (ADD tls 'on').",
        ),
        SaslRequired => (
            AUTHENTICATION,
            "the broker hung up at the first request, as those do that ask for authentication",
            "Set authentication of the server to plain, scram-sha-256, scram-sha-512 or iam.",
        ),
        OwnCertificate => (
            sqlstate::INVALID_PARAMETER_VALUE,
            "the client's certificate and private key cannot be used",
            "They are a pair in PEM form, certificate and private_key of the user mapping; private_key_password opens an encrypted key.",
        ),
        Authority => (
            sqlstate::INVALID_PARAMETER_VALUE,
            "the certificates of the authorities cannot be used",
            "Option ca of the server is PEM text, ca_file a file that the database server can read.",
        ),
        Tls => (
            TLS,
            "no TLS connection with the broker",
            "Check the port in uri and the TLS settings of the broker.",
        ),
    };
    Report::new(code, format!("{what}: {text}")).hint(hint)
}

/// A failure of AWS while a client was prepared.
pub fn aws(schema: &str, error: &stream::Error) -> Report {
    let what = format!("external schema \"{schema}\"");
    let stream::Error::Timeout { request, .. } = error else {
        return source(&what, error);
    };
    Report::new(
        sqlstate::SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
        format!("{what}: no answer from AWS"),
    )
    .detail(format!("{}.", capitalized(request)))
    .hint("Check the region, redshift.aws_endpoint_url and that AWS can be reached from this host; redshift.connect_timeout_ms is how long we wait.")
}

/// A secret of AWS Secrets Manager of another form.
pub fn secret_form(schema: &str, arn: &str, [one, other]: [&str; 2]) -> Report {
    Report::new(
        sqlstate::INVALID_PARAMETER_VALUE,
        format!("external schema \"{schema}\": secret {arn} has not the expected form"),
    )
    .hint(format!(
        "It is a JSON object: {{\"{one}\": \"..\", \"{other}\": \"..\"}}."
    ))
}

/// Nobody allowed the user to act as the database server's machine at AWS.
pub fn no_aws_identity(server: &str, user: &str) -> Report {
    Report::new(
        sqlstate::INSUFFICIENT_PRIVILEGE,
        format!("external schema \"{server}\": user \"{user}\" has no identity at AWS"),
    )
    .detail("The identity of the database server's machine is only for servers that a superuser owns, or has given an iam_role.")
    .hint(format!("Use keys of your own: CREATE USER MAPPING FOR {user} SERVER {server} OPTIONS (access_key_id '..', secret_access_key '..'); or ask a superuser: ALTER SERVER {server} OPTIONS (ADD iam_role '..');"))
}

/// The user who reads has no credentials for the brokers.
pub fn credentials_missing(server: &str, user: &str, what: &str, options: &str) -> Report {
    Report::new(
        sqlstate::INVALID_AUTHORIZATION_SPECIFICATION,
        format!("external schema \"{server}\": user \"{user}\" has no {what}"),
    )
    .detail("A stream is read with the user mapping of the user who reads (for a materialized view, its owner), else with PUBLIC's.")
    .hint(format!("CREATE USER MAPPING FOR {user} SERVER {server} OPTIONS ({options});"))
}

/// A failure of a service of AWS.
pub fn service(what: &str, error: &stream::Error) -> Report {
    let stream::Error::Timeout { request, cause } = error else {
        return source(what, error);
    };
    let request = capitalized(request);
    let report = Report::new(sqlstate::SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION, format!("{what}: no answer from Kinesis"))
        .hint("Check the region and the endpoint_url of the external schema and that they can be reached from this host; redshift.connect_timeout_ms is how long we wait.");
    match cause {
        Some(cause) => report.detail(format!("{request}: {cause}.")),
        None => report.detail(format!("{request}.")),
    }
}

/// The beginning of a sentence; an action such as `kinesis:GetRecords` stays as policies spell it.
fn capitalized(text: &str) -> String {
    if text
        .split(' ')
        .next()
        .is_some_and(|word| word.contains(':'))
    {
        return text.to_owned();
    }
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(characters).collect()
    })
}

/// No record for `redshift.fetch_timeout_ms` although the end is not reached.
pub fn stalled(topic: &str, waiting_for: &str, cause: Option<String>) -> Report {
    let detail = match cause {
        Some(cause) => format!("Waiting for {waiting_for}. Last trouble: {cause}."),
        None => format!("Waiting for {waiting_for}."),
    };
    Report::new(sqlstate::CONNECTION_FAILURE, format!("topic \"{topic}\": no records from the Kafka broker")).detail(detail).hint(
        "Nothing was loaded and no position moved; try again when the broker answers. redshift.fetch_timeout_ms is how long we wait.",
    )
}

/// Nothing came for `redshift.fetch_timeout_ms` although the shards are not read to parity.
pub fn shards_stalled(stream: &str, waiting_for: &str, cause: Option<String>) -> Report {
    let detail = match cause {
        Some(cause) => format!("Waiting for {waiting_for}. Last trouble: {cause}."),
        None => format!("Waiting for {waiting_for}."),
    };
    Report::new(sqlstate::CONNECTION_FAILURE, format!("{stream}: no answer from Kinesis")).detail(detail).hint(
        "Nothing was loaded and no position moved; try again when the service answers. redshift.fetch_timeout_ms is how long we wait.",
    )
}

/// A stream of Kinesis where only a topic can be.
pub fn not_a_topic(stream: &str) -> Report {
    Report::new(
        sqlstate::WRONG_OBJECT_TYPE,
        format!("\"{stream}\" is a stream of Kinesis, not a topic"),
    )
}

/// A topic where only a stream of Kinesis can be.
pub fn not_a_stream(topic: &str) -> Report {
    Report::new(
        sqlstate::WRONG_OBJECT_TYPE,
        format!("\"{topic}\" is a topic, not a stream of Kinesis"),
    )
}

/// A topic read twice in one refresh's plan.
pub fn rescan() -> Report {
    Report::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        "the definition's plan reads the stream twice",
    )
    .hint("A function in FROM must use the record's columns (LATERAL).")
}

/// A record that a query is about to read does not fit into its row.
pub fn record_does_not_fit(place: &str, part: &str, bytes: u64, limit: u64) -> Report {
    Report::new(
        sqlstate::PROGRAM_LIMIT_EXCEEDED,
        format!("{place}: {bytes} bytes of {part}, more than the limit of {limit}"),
    )
    .detail("A refresh skips such a record and logs it.")
    .hint("Leave the column out, or the record by a condition on kafka_offset.")
}

/// A service that writes what no service of Kinesis does.
pub fn not_kinesis(stream: &str, what: &str, text: &str) -> Report {
    const MOST: usize = 40;
    let shown: String = text
        .chars()
        .take(MOST)
        .flat_map(char::escape_default)
        .collect();
    Report::new(
        sqlstate::PROTOCOL_VIOLATION,
        format!("stream \"{stream}\": the service gives a {what} that cannot be one: \"{shown}\""),
    )
    .hint("Check endpoint_url of the external schema, and redshift.aws_endpoint_url.")
}

/// More was skipped than is logged one by one.
pub fn skips_not_logged(view: &str, logged: usize, skipped: u64) -> Report {
    Report::new(
        sqlstate::WARNING,
        format!(
            "materialized view \"{view}\": {skipped} records were skipped, {logged} of them are listed in sys_stream_scan_errors"
        ),
    )
}
