//! Every error of ours: message, SQLSTATE, DETAIL and HINT. The only place where SQLSTATEs are chosen.
//!
//! Class RS is ours: states that only a streaming materialized view can be in. Messages name the view, topic, partition and position,
//! never an option's value that may be a secret.

pub use crate::pg::error::out_of_memory;
use crate::pg::report::{Report, sqlstate};
use crate::pg::shared::Obstacle;
use plan::names::Clash;

/// The position is older than the earliest record: records are gone.
const POSITION_PASSED: [u8; 5] = *b"RS001";
/// The position is past the end of the partition.
const POSITION_PAST_END: [u8; 5] = *b"RS002";
/// The topic is not the one that the view has read.
const TOPIC_RECREATED: [u8; 5] = *b"RS003";
/// The view came from a backup or a copy and has not been adopted.
const RESTORED: [u8; 5] = *b"RS004";
/// Where the view stands cannot be read.
const POSITION_UNREADABLE: [u8; 5] = *b"RS005";

/// Somebody reads the hidden view of a materialized view.
pub fn definition_is_not_read(view: &str, table: &str) -> Report {
    Report::new(sqlstate::INSUFFICIENT_PRIVILEGE, format!("permission denied for view {view}"))
        .detail(format!("It is the definition of materialized view {table}: only a refresh reads it."))
        .hint(format!("Read the materialized view. SELECT redshift.definition('{table}') shows the definition's text."))
}

/// Somebody drops or changes the hidden view of a materialized view.
pub fn definition_is_not_changed(view: &str, table: &str) -> Report {
    Report::new(sqlstate::DEPENDENT_OBJECTS_STILL_EXIST, format!("view {view} cannot be changed or dropped by itself"))
        .detail(format!("It is the definition of materialized view {table}."))
        .hint(format!("DROP MATERIALIZED VIEW {table} takes it along, and it follows ALTER MATERIALIZED VIEW. For another definition, create another materialized view."))
}

/// A foreign table that cannot be written: what Postgres says of one.
pub fn foreign_table_is_read_only(name: &str, verb: &str) -> Report {
    Report::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        format!("cannot {verb} foreign table \"{name}\""),
    )
}

/// Anything but INSERT into a stream that the database keeps.
pub fn stream_only_grows(name: &str, qualified: &str, verb: &str) -> Report {
    Report::new(sqlstate::FEATURE_NOT_SUPPORTED, format!("cannot {verb} stream \"{name}\""))
        .detail("Records are added to a stream and never changed; what is old goes by the stream's retention.")
        .hint(format!(
            "CALL redshift.trim_stream('{0}', older_than => interval '1 day') removes old records, CALL redshift.drop_stream('{0}') all of it.",
            qualified.replace('\'', "''")
        ))
}

/// INSERT INTO a stream RETURNING.
pub fn insert_returning(name: &str) -> Report {
    Report::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        format!("INSERT INTO stream \"{name}\" has no RETURNING"),
    )
    .detail("A record gets its offset when its transaction has committed.")
    .hint("SELECT it from the stream by its key afterwards.")
}

/// No type of a timestamp.
pub fn timestamp_type(name: &str) -> Report {
    Report::new(
        sqlstate::INVALID_PARAMETER_VALUE,
        format!("invalid kafka_timestamp_type for stream \"{name}\""),
    )
    .hint("It is C (the time that the record was made), L (that of its arrival) or U (no time).")
}

/// A value for a column that the stream fills.
pub fn column_is_given(name: &str, column: &str) -> Report {
    Report::new(
        sqlstate::GENERATED_ALWAYS,
        format!("cannot insert a value into column \"{column}\" of stream \"{name}\""),
    )
    .hint("Leave it out: a record gets its offset when its transaction has committed.")
}

/// A time that no record has.
pub fn infinite_time(name: &str) -> Report {
    Report::new(
        sqlstate::DATETIME_FIELD_OVERFLOW,
        format!("a record of stream \"{name}\" cannot have an infinite time"),
    )
}

/// A partition that the stream does not have.
pub fn no_partition(name: &str, given: impl std::fmt::Display, partitions: i32) -> Report {
    Report::new(
        sqlstate::INVALID_PARAMETER_VALUE,
        format!("stream \"{name}\" has no partition {given}"),
    )
    .detail(format!("It has {partitions}, the first is 0."))
}

/// Fewer partitions than there are.
pub fn fewer_partitions(name: &str, partitions: i32) -> Report {
    Report::new(
        sqlstate::INVALID_PARAMETER_VALUE,
        format!("stream \"{name}\" has {partitions} partitions and cannot have fewer"),
    )
    .hint("Partitions that nobody writes to cost nothing; another stream may have fewer.")
}

/// A foreign table of an external schema over SQL that no stream was created for.
pub fn no_stream(name: &str) -> Report {
    Report::new(
        sqlstate::UNDEFINED_OBJECT,
        format!("foreign table \"{name}\" has no stream"),
    )
    .hint("CALL redshift.create_stream(..) creates a stream together with its relation.")
}

/// Something that is for streams kept by the database only.
pub fn not_a_sql_stream(name: &str) -> Report {
    Report::new(
        sqlstate::WRONG_OBJECT_TYPE,
        format!("\"{name}\" is no stream of an external schema over SQL"),
    )
}

/// Somebody else's stream.
pub fn not_owner_of_stream(name: &str) -> Report {
    Report::new(
        sqlstate::INSUFFICIENT_PRIVILEGE,
        format!("must be owner of stream {name}"),
    )
}

/// By `redshift.stream_fault`.
pub fn stream_unreachable(name: &str, qualified: &str) -> Report {
    Report::new(
        sqlstate::SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
        format!("stream \"{name}\": no answer"),
    )
    .detail("redshift.stream_fault has made it unreachable.")
    .hint(format!(
        "CALL redshift.stream_fault('{}', 'none');",
        qualified.replace('\'', "''")
    ))
}

/// Records that are none.
pub fn damaged_records(name: &str, partition: i32, offset: i64) -> Report {
    Report::new(
        sqlstate::DATA_CORRUPTED,
        format!(
            "stream \"{name}\", partition {partition}: the records at offset {offset} are damaged"
        ),
    )
}

/// The table of its records has lost the row that says what is numbered, or is gone itself.
pub fn damaged_stream(qualified: &str) -> Report {
    Report::new(
        sqlstate::DATA_CORRUPTED,
        format!("the records of stream {qualified} are damaged"),
    )
    .detail("The table of its records, in schema redshift_stream, was truncated or dropped.")
    .hint(format!(
        "Restore it from a backup, or CALL redshift.drop_stream('{0}') and create it anew.",
        qualified.replace('\'', "''")
    ))
}

/// Larger than what a scan may hold.
pub fn record_too_large(name: &str, partition: i32, offset: i64, bytes: i64) -> Report {
    Report::new(
        sqlstate::PROGRAM_LIMIT_EXCEEDED,
        format!("stream \"{name}\", partition {partition}: the record at offset {offset} is larger than half of redshift.memory_limit"),
    )
    .detail(format!("It has {bytes} bytes."))
    .hint("Raise redshift.memory_limit: a record may have half of it, and 16 MB in any case. Or pass it: CALL redshift.set_position(..).")
}

/// Another stream has the name.
pub fn stream_exists(relation: &str) -> Report {
    Report::new(
        sqlstate::DUPLICATE_OBJECT,
        format!("the external schema has a stream of this name already: {relation}"),
    )
    .hint("Choose another name for its option topic.")
}

/// Somebody drops it.
pub fn stream_is_locked(qualified: &str) -> Report {
    Report::new(
        sqlstate::LOCK_NOT_AVAILABLE,
        format!("stream {qualified} is locked by another transaction"),
    )
}

/// It was created anew, or dropped, while it was read.
pub fn stream_changed(name: &str) -> Report {
    Report::new(
        sqlstate::SERIALIZATION_FAILURE,
        format!("stream \"{name}\" was changed by another transaction"),
    )
    .hint("Try again.")
}

/// Retention was faster.
pub fn removed_while_read(name: &str, partition: i32, from: i64, until: i64) -> Report {
    Report::new(
        POSITION_PASSED,
        format!(
            "stream \"{name}\", partition {partition}: records {from} to {} are gone",
            until - 1
        ),
    )
    .detail("They were removed while they were about to be read.")
}

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

/// Records of a shard expired before they were loaded.
pub fn shard_expired(view: &str, stream: &str, shard: &str, from: &str, until: &str) -> Report {
    Report::new(
        POSITION_PASSED,
        format!("materialized view \"{view}\": records of stream \"{stream}\", {shard} may be lost"),
    )
    .detail(format!(
        "Everything that arrived before {from} is loaded, and the stream keeps what arrived after {until}: what arrived between may have expired."
    ))
    .hint(format!(
        "To accept the loss: CALL redshift.set_position('{view}', '{shard}', 'earliest'), which loads from the oldest record that is left; or ALTER MATERIALIZED VIEW {view} SET (on_data_loss = 'continue')."
    ))
}

/// The stream was deleted and created again.
pub fn stream_recreated(view: &str, stream: &str, old: &str, new: &str) -> Report {
    Report::new(TOPIC_RECREATED, format!("materialized view \"{view}\": stream \"{stream}\" was re-created"))
        .detail(format!("The one that was loaded was created at {old}, this one at {new}."))
        .hint(format!(
            "To load the new stream from its start: CALL redshift.set_position('{view}', NULL, 'earliest'). The rows of the old one stay."
        ))
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

/// Records between the position and the earliest offset are gone.
pub fn position_passed(
    view: &str,
    topic: &str,
    partition: i32,
    position: i64,
    earliest: i64,
) -> Report {
    Report::new(
        POSITION_PASSED,
        format!("materialized view \"{view}\": records of topic \"{topic}\", partition {partition} are lost"),
    )
    .detail(format!(
        "The next record to load is offset {position}, the earliest that the broker still has is {earliest}: offsets {position} to {} are gone.",
        earliest - 1
    ))
    .hint(format!(
        "To accept the loss: CALL redshift.set_position('{view}', '{partition}', '{earliest}'); or ALTER MATERIALIZED VIEW {view} SET (on_data_loss = 'continue')."
    ))
}

/// The position is after the last record.
pub fn position_past_end(
    view: &str,
    topic: &str,
    partition: i32,
    position: i64,
    end: i64,
) -> Report {
    Report::new(
        POSITION_PAST_END,
        format!("materialized view \"{view}\": the position in topic \"{topic}\", partition {partition} is past its end"),
    )
    .detail(format!(
        "The next record to load is offset {position}, but the partition ends at {end}: the broker lost records, or the topic was re-created."
    ))
    .hint(format!("To go on at the end: CALL redshift.set_position('{view}', '{partition}', '{end}'). To load what is there from the start: CALL redshift.set_position('{view}', NULL, 'earliest')."))
}

/// The topic was dropped and created again.
pub fn topic_recreated(view: &str, topic: &str, detail: String) -> Report {
    Report::new(TOPIC_RECREATED, format!("materialized view \"{view}\": topic \"{topic}\" was re-created")).detail(detail).hint(format!(
        "To load the new topic from its start: CALL redshift.set_position('{view}', NULL, 'earliest'). The rows of the old one stay."
    ))
}

/// What of a row of redshift.checkpoint cannot be read.
pub struct UnreadablePosition<'a> {
    /// The view, as SQL names it.
    pub view: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its number.
    pub mv_id: i64,
    /// What its parts are called: partition or shard.
    pub of: &'a str,
    /// The part, as it stands there.
    pub part: &'a str,
    /// Can that be read?
    pub has_part: bool,
    /// What cannot be read.
    pub what: &'a str,
    /// What stands there.
    pub text: &'a str,
    /// Where the view stood by what was loaded last.
    pub known: Option<String>,
    /// The part could be one, but the stream has none of that name.
    pub is_unknown: bool,
    /// If it is the part that cannot be read: where the view stands in all parts, with `..` for those that are not known.
    pub positions: Vec<(String, String)>,
}

/// As `redshift.set_position` takes them: offsets as numbers.
fn explicit(positions: &[(String, String)]) -> String {
    let member = |(part, position): &(String, String)| match position.parse::<i64>() {
        Ok(offset) => format!("\"{part}\": {offset}"),
        Err(_) => format!("\"{part}\": \"{position}\""),
    };
    let members: Vec<String> = positions.iter().map(member).collect();
    format!("{{{}}}", members.join(", "))
}

/// A stored position, or what names its partition or shard, is none.
pub fn position_unreadable(row: &UnreadablePosition) -> Report {
    let UnreadablePosition {
        view,
        name,
        mv_id,
        of,
        part,
        what,
        text,
        ..
    } = row;
    let quoted = |text: &str| text.replace('\'', "''");
    let to = row.known.as_deref().unwrap_or("..");
    let (statement, hint) = match (row.has_part, &row.known) {
        (true, Some(_)) => (
            format!(
                "CALL redshift.set_position('{}', '{}', '{to}')",
                quoted(view),
                quoted(part)
            ),
            format!(
                "{to} is where what was loaded last ends, by redshift.scan_ledger or the counts beside the position."
            ),
        ),
        (true, None) => (
            format!(
                "CALL redshift.set_position('{}', '{}', '{to}')",
                quoted(view),
                quoted(part)
            ),
            "Say where the view goes on: nothing tells what was loaded last.".to_owned(),
        ),
        (false, _) => (
            format!(
                "CALL redshift.set_position('{}', NULL, '{}')",
                quoted(view),
                explicit(&row.positions)
            ),
            format!(
                "Write the name of the {of} that is missing in the place of \"..\": what stands behind it is where the view stood there. A {of} that is not named begins at its earliest record."
            ),
        ),
    };
    let place = if row.has_part {
        format!("{of} {part}: ")
    } else {
        String::new()
    };
    let why = if row.is_unknown {
        "is none of the stream's"
    } else {
        "cannot be read"
    };
    Report::new(POSITION_UNREADABLE, format!("materialized view \"{name}\": {place}the stored {} \"{text}\" {why}", what.replace('_', " ")))
        .detail(format!("The row of redshift.checkpoint with mv_id {mv_id} and partition_id '{}' was damaged; nothing is loaded until it is mended: {statement}.", quoted(part)))
        .hint(hint)
}

/// The view is a copy: of a backup, or of another database.
pub fn restored(view: &str) -> Report {
    Report::new(RESTORED, format!("materialized view \"{view}\" was restored and is paused"))
        .detail("It came from a backup or a copy of another database. Loading goes on only when you say so, since the original may still load.")
        .hint(format!("CALL redshift.adopt('{view}') lets this copy load from where the original stood."))
}

/// The hidden definition is gone.
pub fn definition_gone(view: &str, external_schema: &str, stream: &str) -> Report {
    Report::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("materialized view \"{view}\" has lost its definition"))
        .detail(format!("Its definition over {external_schema}.\"{stream}\" was dropped, probably with the external schema. The rows are all here, in an ordinary table."))
        .hint(format!("To load again, create the external schema and a new materialized view; CALL redshift.set_position makes it go on where this one stood. DROP MATERIALIZED VIEW {view} removes the rows."))
}

/// Another user's view.
pub fn not_owner(view: &str) -> Report {
    Report::new(
        sqlstate::INSUFFICIENT_PRIVILEGE,
        format!("must be owner of materialized view {view}"),
    )
}

/// Not one of ours.
pub fn not_a_streaming_view(name: &str) -> Report {
    Report::new(
        sqlstate::WRONG_OBJECT_TYPE,
        format!("\"{name}\" is not a streaming materialized view"),
    )
}

/// REFRESH inside a REFRESH, of the same view or of another.
pub fn refresh_running(view: &str, running: &str) -> Report {
    Report::new(
        sqlstate::OBJECT_IN_USE,
        format!("materialized view \"{view}\" cannot be refreshed inside the refresh of \"{running}\""),
    )
    .hint("A trigger or function that a refresh runs cannot refresh a materialized view over a stream. Refresh the views one after the other.")
}

/// AS SELECT FROM topic.
pub fn no_columns() -> Report {
    Report::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        "a streaming materialized view must have a column",
    )
    .hint("SELECT kafka_partition, kafka_offset, .. (of a stream: shard_id, sequence_number, ..).")
}

/// WITH (start = .., start = ..).
pub fn option_twice(name: &str) -> Report {
    Report::new(
        sqlstate::SYNTAX_ERROR,
        format!("option \"{name}\" is specified more than once"),
    )
}

/// A view is to be changed by what its own batch or refresh runs.
pub fn changes_itself(view: &str) -> Report {
    Report::new(
        sqlstate::OBJECT_IN_USE,
        format!("materialized view \"{view}\" is being loaded by this transaction"),
    )
    .hint("A trigger or function that runs while a view is loaded cannot move, pause, adopt or alter that view.")
}

/// A position is to be moved while a refresh holds it.
pub fn refreshing(view: &str) -> Report {
    Report::new(
        sqlstate::OBJECT_IN_USE,
        format!("materialized view \"{view}\" is being refreshed by another session"),
    )
    .hint("Its position can be moved when that transaction has ended.")
}

/// REFRESH .. WITH NO DATA.
pub fn refresh_without_data(view: &str) -> Report {
    Report::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        format!("materialized view \"{view}\" over a stream cannot be refreshed WITH NO DATA"),
    )
    .hint(format!(
        "TRUNCATE {view} removes its rows; the next refresh goes on with the records after them."
    ))
}

/// A definition that cannot be maintained record by record.
pub fn not_incremental(what: &str, hint: &str) -> Report {
    Report::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        format!("a streaming materialized view cannot have {what}"),
    )
    .detail("Each record is loaded once, when it arrives; earlier records are not read again.")
    .hint(hint)
}

/// CREATE MATERIALIZED VIEW pg_temp.x.
pub fn temporary_view() -> Report {
    Report::new(sqlstate::FEATURE_NOT_SUPPORTED, "a streaming materialized view cannot be temporary")
        .detail("Its definition runs in a security-restricted operation, where temporary tables cannot be written.")
}

/// auto_refresh without shared_preload_libraries.
pub fn no_workers() -> Report {
    Report::new(
        sqlstate::WARNING,
        "auto_refresh has no effect yet: there are no background workers",
    )
    .detail("The library is not in shared_preload_libraries.")
    .hint("ALTER SYSTEM SET shared_preload_libraries = 'redshift_streaming'; and restart.")
}

/// pause or resume of a view that no worker loads.
pub fn not_under_auto_refresh(view: &str) -> Report {
    Report::new(
        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("materialized view \"{view}\" is not under auto refresh"),
    )
    .hint("ALTER MATERIALIZED VIEW .. SET (auto_refresh = on) turns it on.")
}

/// start = timestamp where the broker cannot look records up by time.
pub fn no_time_lookup(topic: &str) -> Report {
    Report::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        format!("the broker cannot look up records of topic \"{topic}\" by time"),
    )
    .hint("Use start = earliest, latest or positions such as {\"0\": 42}.")
}

/// EXPLAIN CREATE MATERIALIZED VIEW.
pub fn explain_create() -> Report {
    Report::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        "EXPLAIN of CREATE MATERIALIZED VIEW over a stream is not supported",
    )
    .hint("EXPLAIN the SELECT of its definition.")
}

/// A native materialized view was about to read a stream.
pub fn native_materialized_view(table: &str) -> Report {
    Report::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("{table} cannot be read by a native materialized view"))
        .detail("PostgreSQL would read the whole topic again at every refresh.")
        .hint("Preload the library: shared_preload_libraries = 'redshift_streaming' (restart), or session_preload_libraries = 'redshift_streaming' (new sessions). A stream is read by one streaming materialized view directly, not through a view.")
}

/// CREATE EXTENSION without preloading.
pub fn not_preloaded() -> Report {
    Report::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, "redshift_streaming must be preloaded")
        .detail("Without it PostgreSQL would take CREATE and REFRESH MATERIALIZED VIEW over a stream for its own and read the topic again each time.")
        .hint("ALTER SYSTEM SET shared_preload_libraries = 'redshift_streaming'; and restart. Where that cannot be: ALTER DATABASE .. SET session_preload_libraries = 'redshift_streaming'; and reconnect.")
}

/// CREATE SERVER without USAGE on the wrapper; the text is Postgres's.
pub fn wrapper_denied(user: &str) -> Report {
    Report::new(
        sqlstate::INSUFFICIENT_PRIVILEGE,
        "permission denied for foreign-data wrapper redshift_streaming",
    )
    .hint(format!(
        "Ask a superuser: GRANT USAGE ON FOREIGN DATA WRAPPER redshift_streaming TO {};",
        pgrx::spi::quote_identifier(user)
    ))
}

/// An option with a value that it cannot have.
pub fn option_value(name: &str, value: &str, allowed: &str) -> Report {
    Report::new(
        sqlstate::INVALID_PARAMETER_VALUE,
        format!("invalid value for option \"{name}\": \"{value}\""),
    )
    .hint(format!("Allowed: {allowed}."))
}

/// An option that a setting bounds is more than that.
pub fn option_bounded(name: &str, value: &str, most: &str) -> Report {
    Report::new(
        sqlstate::SUCCESSFUL_COMPLETION,
        format!("option \"{name}\": \"{value}\" is more than redshift.{name}, {most}, which holds"),
    )
    .detail("The option holds where it is less than the setting.")
}

/// An option of a later release.
pub fn option_not_yet(name: &str, instead: &str) -> Report {
    Report::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        format!("option \"{name}\" is not supported by this release"),
    )
    .hint(instead)
}

/// An option that is fixed when the view is created.
pub fn option_fixed(name: &str) -> Report {
    Report::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        format!("option \"{name}\" can only be given to CREATE MATERIALIZED VIEW"),
    )
}

/// Consumers are registered with streams.
pub fn consumer_of_topic() -> Report {
    Report::new(
        sqlstate::INVALID_PARAMETER_VALUE,
        "option \"consumer\" is for streams of Kinesis".to_owned(),
    )
}

/// The same for a value that may be a secret.
pub fn secret_option_value(name: &str, allowed: &str) -> Report {
    Report::new(
        sqlstate::INVALID_PARAMETER_VALUE,
        format!("invalid value for option \"{name}\""),
    )
    .hint(format!("Allowed: {allowed}."))
}

/// Options that exclude each other.
pub fn conflicting_options(one: &str, other: &str) -> Report {
    Report::new(
        sqlstate::INVALID_PARAMETER_VALUE,
        format!("options \"{one}\" and \"{other}\" cannot be given together"),
    )
}

/// An option that only a superuser may set.
pub fn superuser_option(name: &str) -> Report {
    Report::new(
        sqlstate::INSUFFICIENT_PRIVILEGE,
        format!("only a superuser may set option \"{name}\""),
    )
    .detail("It lets the database server's own machine answer for whoever uses it; ALTER counts as setting all options anew.")
}

/// An option that says where brokers are, by a user who may not.
pub fn host_option(name: &str, role: Option<&str>, user: &str) -> Report {
    const FIRST: &str = "CREATE ROLE stream_hosts; ALTER SYSTEM SET redshift.host_role = 'stream_hosts'; SELECT pg_reload_conf(); ";
    let (who, first) = match role {
        Some(role) => (format!("superusers and members of role \"{role}\" may"), ""),
        None => (
            "only superusers may, until redshift.host_role names a role for others".to_owned(),
            FIRST,
        ),
    };
    let role = role.unwrap_or("stream_hosts");
    Report::new(
        sqlstate::INSUFFICIENT_PRIVILEGE,
        format!("permission denied to set option \"{name}\""),
    )
    .detail(format!(
        "It says to which hosts the database server's machine connects: {who}."
    ))
    .hint(format!(
        "A superuser allows it: {first}GRANT {} TO {};",
        pgrx::spi::quote_identifier(role),
        pgrx::spi::quote_identifier(user)
    ))
}

/// `client_properties` that were valid for an earlier release.
pub fn client_properties(allowed: &str) -> Report {
    Report::new(
        sqlstate::INVALID_PARAMETER_VALUE,
        "invalid value for option \"client_properties\"",
    )
    .hint(format!("Properties that can be set: {allowed}."))
}

/// An unknown option of a server or foreign table.
pub fn foreign_option(name: &str, allowed: &str) -> Report {
    Report::new(
        sqlstate::FDW_INVALID_OPTION_NAME,
        format!("invalid option \"{name}\""),
    )
    .hint(format!("Valid options here: {allowed}."))
}

/// A required option is missing.
pub fn foreign_option_missing(object: &str, name: &str) -> Report {
    Report::new(
        sqlstate::INVALID_PARAMETER_VALUE,
        format!("{object} has no option \"{name}\""),
    )
}

/// A schema without a server of its name.
pub fn not_an_external_schema(name: &str) -> Report {
    Report::new(
        sqlstate::UNDEFINED_OBJECT,
        format!("external schema \"{name}\" does not exist"),
    )
    .hint("CALL redshift.create_external_schema(..) creates one.")
}

/// More topics than anyone wants as tables.
pub fn too_many_topics(server: &str, found: usize, limit: usize) -> Report {
    Report::new(
        sqlstate::PROGRAM_LIMIT_EXCEEDED,
        format!("external schema \"{server}\" would have {found} topics, more than {limit}"),
    )
    .hint("Give a pattern, for example topics => 'orders*,payments,!orders-*-changelog'.")
}

/// Topics without a relation, since another one has its name.
pub fn topic_name_clash(server: &str, clash: &Clash, count: usize) -> Report {
    let Clash { topic, name, other } = clash;
    let more = match count - 1 {
        0 => String::new(),
        more => format!(" So it is with {more} more."),
    };
    Report::new(
        sqlstate::WARNING,
        format!("topic \"{topic}\" has no relation: its name would be \"{name}\", which is that of topic \"{other}\""),
    )
    .detail(format!("A relation's name has at most 63 bytes, so longer topic names are cut and end with a hash.{more}"))
    .hint(format!(
        "Map it by hand under another name: CREATE FOREIGN TABLE .. (columns as the others have) SERVER {server} OPTIONS (topic '{topic}')."
    ))
}

/// A pattern, or a name of LIMIT TO, that no topic or stream matches.
pub fn nothing_matches(server: &str, parts: &[&str]) -> Report {
    let parts: Vec<String> = parts.iter().map(|part| format!("\"{part}\"")).collect();
    Report::new(
        sqlstate::SUCCESSFUL_COMPLETION,
        format!("external schema \"{server}\": there is no topic or stream {}", parts.join(", ")),
    )
    .hint("Check the spelling, upper and lower case included, and whether these credentials may see it. What appears later becomes a relation when the schema is synchronized.")
}

/// The source shows nothing at all.
pub fn no_topics(server: &str) -> Report {
    Report::new(
        sqlstate::SUCCESSFUL_COMPLETION,
        format!("external schema \"{server}\": the source shows no topic or stream"),
    )
    .hint("Internal topics and those whose names begin with __ are left out unless a pattern names them; others may be hidden from these credentials.")
}

/// Why a relation cannot be read.
pub enum Misfit {
    /// The service has no such column.
    Unknown(String),
    /// It has one of another type: the column, its type, what it should be.
    Type(String, String, String),
    /// The column would not show what the stream has: it is generated.
    Generated(String),
}

/// A relation with a column that its stream does not have, or not in this form.
pub fn stream_shape(table: &str, misfit: &Misfit, names: &[&str]) -> Report {
    match misfit {
        Misfit::Unknown(column) => Report::new(
            sqlstate::FDW_COLUMN_NAME_NOT_FOUND,
            format!("column \"{column}\" of {table} is none of its stream"),
        )
        .detail(format!("The stream has {}.", names.join(", ")))
        .hint(format!(
            "ALTER FOREIGN TABLE {table} RENAME COLUMN {0} TO .., or DROP COLUMN {0}.",
            pgrx::spi::quote_identifier(column)
        )),
        Misfit::Type(column, has, right) => Report::new(
            sqlstate::DATATYPE_MISMATCH,
            format!("column \"{column}\" of {table} has type {has}, but the stream's is {right}"),
        )
        .hint(format!(
            "ALTER FOREIGN TABLE {table} ALTER COLUMN {} TYPE {right}; cast it in the query.",
            pgrx::spi::quote_identifier(column)
        )),
        Misfit::Generated(column) => Report::new(
            sqlstate::DATATYPE_MISMATCH,
            format!("column \"{column}\" of {table} is generated, but comes from the stream"),
        )
        .hint("Compute it in the query, or in a view over the relation."),
    }
}

/// A column that the definition fills.
pub fn column_is_mapped(view: &str, column: &str) -> Report {
    Report::new(
        sqlstate::DEPENDENT_OBJECTS_STILL_EXIST,
        format!("cannot drop column \"{column}\" of materialized view \"{view}\": its definition fills it"),
    )
    .hint("Drop the materialized view and create it without the column, or rename the column.")
}

/// A table that is empty after a crash, while the positions say that its records are loaded.
pub fn unlogged(view: &str, table: &str) -> Report {
    Report::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        format!("table {table} of materialized view \"{view}\" cannot be unlogged"),
    )
    .detail("After a crash it would be empty, and the positions would say that its records are loaded.")
    .hint("Keep it logged. For less waiting use synchronous_commit = off: rows and positions are in one transaction, so what a crash takes is loaded again. A table that is to be attached: ALTER TABLE .. SET LOGGED first.")
}

/// add_partition of a view that has no ranges.
pub fn no_range_partitions(view: &str) -> Report {
    Report::new(
        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("materialized view \"{view}\" is not partitioned by ranges of one column or expression"),
    )
    .hint("Views that are: WITH (partition_by = 'RANGE (..)'). For others: CREATE TABLE .. PARTITION OF .., before rows of the partition are in the default partition.")
}

/// Moving rows between partitions would fire it.
pub fn trigger_on_delete(view: &str, name: &str) -> Report {
    Report::new(
        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("rows of materialized view \"{view}\" cannot be moved out of its default partition: \"{name}\" acts on DELETE"),
    )
    .detail("The rows stay in the view, so neither a trigger on DELETE nor a foreign key of another table may act.")
    .hint("Disable the trigger or drop the foreign key meanwhile.")
}

/// A name that PostgreSQL would cut.
pub fn name_too_long(name: &str) -> Report {
    Report::new(
        sqlstate::NAME_TOO_LONG,
        format!("the name \"{name}\" has more than 63 bytes"),
    )
}

/// An option that means something beside another one only.
pub fn option_needs(name: &str, other: &str) -> Report {
    Report::new(
        sqlstate::INVALID_PARAMETER_VALUE,
        format!("option \"{name}\" goes with option \"{other}\""),
    )
}

/// A partition whose rows commit somewhere else.
pub fn foreign_partition(view: &str, table: &str) -> Report {
    Report::new(
        sqlstate::WARNING,
        format!("partition {table} of materialized view \"{view}\" is a foreign table"),
    )
    .detail("Its rows commit on another server, apart from the positions: a failure between the two can load records twice or lose them.")
    .hint("For rows that are not loaded any more it is of no matter.")
}

/// CREATE RULE .. ON INSERT.
pub fn insert_rule(view: &str) -> Report {
    Report::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        format!("materialized view \"{view}\" cannot have rules on INSERT or SELECT"),
    )
    .detail("A refresh inserts the rows of records whose positions it moves; a rule would put them elsewhere, or nowhere.")
    .hint("Use a trigger.")
}

/// Relations of an external schema are created by those who may.
pub fn no_right_to_create(schema: &str) -> Report {
    Report::new(
        sqlstate::INSUFFICIENT_PRIVILEGE,
        format!("permission denied for schema {schema}"),
    )
    .hint(format!(
        "Whoever creates relations in it needs: GRANT CREATE ON SCHEMA {} TO ..",
        pgrx::spi::quote_identifier(schema)
    ))
}

/// A landing table that a rule made a view.
pub fn not_a_landing_table(view: &str) -> Report {
    Report::new(
        sqlstate::WRONG_OBJECT_TYPE,
        format!("materialized view \"{view}\" has no table any more, so it has no place for rows"),
    )
}

/// The landing table lost columns of the definition, or has none of them.
pub fn column_missing(view: &str, column: &str) -> Report {
    Report::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("materialized view \"{view}\" has no column \"{column}\" any more"))
        .detail("Its definition fills it; columns are matched by name.")
        .hint(format!(
            "If it was renamed: ALTER TABLE {view} RENAME COLUMN .. TO {}. If it was dropped: add it again with the type that it had, or drop the materialized view and create it anew.",
            pgrx::spi::quote_identifier(column)
        ))
}

/// A deferrable constraint on a landing table.
pub fn deferrable(view: &str, name: &str) -> Report {
    Report::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        format!("\"{name}\" on materialized view \"{view}\" cannot be deferrable"),
    )
    .detail("A refresh runs as the view's owner in a security-restricted operation, where PostgreSQL fires no deferred trigger.")
    .hint("Create it NOT DEFERRABLE.")
}

/// set_position with something that is no position.
pub fn invalid_position(position: &str) -> Report {
    Report::new(
        sqlstate::INVALID_PARAMETER_VALUE,
        format!("invalid position \"{position}\""),
    )
    .hint("A position is the next offset to load (of a shard: the last sequence number that is loaded), or earliest, latest, a timestamp.")
}

/// No checkpoint for the partition.
pub fn unknown_partition(view: &str, partition: &str) -> Report {
    Report::new(
        sqlstate::UNDEFINED_OBJECT,
        format!("materialized view \"{view}\" has read no partition \"{partition}\""),
    )
    .hint("redshift.visible_checkpoint lists the partitions; NULL stands for all.")
}

/// Why no worker loads, in words; for `last_error` of redshift.worker_status.
pub fn obstacle(obstacle: &Obstacle) -> String {
    match obstacle {
        Obstacle::NotPreloaded => "the library is not in shared_preload_libraries".to_owned(),
        Obstacle::TooManyDatabases(most) => {
            format!("{most} other databases have auto refresh; raise redshift.max_databases")
        }
        Obstacle::NoFreeProcess => {
            "no background worker is free; raise max_worker_processes".to_owned()
        }
    }
}

/// No checkpoint rows at all: deleted by hand, or lost by a partial restore.
pub fn no_checkpoint(view: &str) -> Report {
    Report::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("materialized view \"{view}\" has no positions"))
        .detail("Its rows in redshift.checkpoint are missing, so it is not known which records it holds already.")
        .hint(format!("Restore them, or say where to go on: CALL redshift.set_position('{view}', NULL, 'earliest') loads the topic again from its start."))
}

/// A relation that does not exist.
pub fn undefined_relation(name: &str) -> Report {
    Report::new(
        sqlstate::UNDEFINED_TABLE,
        format!("relation \"{name}\" does not exist"),
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
