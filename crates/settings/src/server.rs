//! Options of CREATE SERVER, CREATE USER MAPPING and CREATE FOREIGN TABLE.

use crate::Values;

/// What the value of an option is, which says how it is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// `host:port[,host:port..]`
    Brokers,
    /// How clients prove who they are.
    Authentication,
    /// Patterns of names.
    Names,
    /// A name.
    Name,
    /// A region of AWS.
    Region,
    /// The address of a service.
    Address,
    /// What AWS names so: service, beginning of the resource, and its form.
    Arn(&'static str, &'static str, &'static str),
    /// Roles that are assumed one after the other.
    Roles,
    /// A switch, or one of some words, as they are written here.
    Of(Values),
    /// Certificates in PEM form.
    Certificates,
    /// A private key in PEM form.
    PrivateKey,
    /// A file of the server's machine.
    File,
    /// Properties of librdkafka.
    Properties,
    /// Anything but nothing.
    Any,
}

impl Form {
    /// What is allowed, for the hint of an error.
    pub fn allowed(&self) -> String {
        match self {
            Form::Brokers => "host:port[,host:port..]",
            Form::Authentication => "none, mtls, iam, plain, scram-sha-256, scram-sha-512",
            Form::Names => {
                "names separated by commas, * stands for any characters, ! before a name leaves it out"
            }
            Form::Name => "a name",
            Form::Region => "a region of AWS, such as us-east-1",
            Form::Address => "https://host[:port], http://host[:port]",
            Form::Arn(_, _, form) => form,
            Form::Roles => {
                "default, or ARNs of at most 10 roles, arn:aws:iam::ACCOUNT:role/NAME[,..], each assumed by the one before it"
            }
            Form::Of(values) => return values.allowed(),
            Form::Certificates => "certificates as PEM text",
            Form::PrivateKey => "a private key as PEM text",
            Form::File => "the absolute path of a file",
            Form::Properties => {
                "name=value[,name=value..] of harmless properties of librdkafka, such as client.rack, client.id, socket.timeout.ms, fetch.min.bytes"
            }
            Form::Any => "a text",
        }
        .to_owned()
    }
}

/// Who may set an option, beside whose server or mapping it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    /// Nobody else is asked.
    Owner,
    /// Members of `redshift.host_role`: it says to which hosts the server's machine connects. (Hosts of Kinesis are those of AWS in the region.)
    HostRole,
    /// Superusers: it reads files of the server's machine, or speaks for it at AWS.
    Superuser,
}

/// An option.
#[derive(Clone, Copy, Debug)]
pub struct ServerOption {
    /// Its name.
    pub name: &'static str,
    /// What it may be.
    pub form: Form,
    /// Who may set it.
    pub who: Who,
    /// No message repeats its value: a key may have been pasted into the wrong option.
    pub is_secret: bool,
    /// An option that it excludes.
    pub not_with: Option<&'static str>,
    /// What it means, for the documentation.
    pub meaning: &'static str,
}

const fn entry(name: &'static str, form: Form, meaning: &'static str) -> ServerOption {
    ServerOption {
        name,
        form,
        who: Who::Owner,
        is_secret: false,
        not_with: None,
        meaning,
    }
}

impl ServerOption {
    const fn by(self, who: Who) -> ServerOption {
        ServerOption { who, ..self }
    }

    const fn secret(self) -> ServerOption {
        ServerOption {
            is_secret: true,
            ..self
        }
    }

    const fn not_with(self, other: &'static str) -> ServerOption {
        ServerOption {
            not_with: Some(other),
            ..self
        }
    }
}

const CLUSTER: Form = Form::Arn(
    "kafka",
    "cluster/",
    "arn:aws:kafka:REGION:ACCOUNT:cluster/NAME/ID",
);
const SECRET: Form = Form::Arn(
    "secretsmanager",
    "secret:",
    "arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME",
);
const CERTIFICATE: Form = Form::Arn(
    "acm",
    "certificate/",
    "arn:aws:acm:REGION:ACCOUNT:certificate/ID",
);

/// Of a server, in the order in which hints name them: of Kafka, of both sources, of Kinesis.
pub const SERVER: [ServerOption; 19] = [
    entry("uri", Form::Brokers, "one or more brokers")
        .by(Who::HostRole)
        .not_with("cluster_arn"),
    entry(
        "cluster_arn",
        CLUSTER,
        "instead of `uri`: [MSK](msk-iam.md) is asked for the brokers",
    )
    .by(Who::HostRole),
    entry(
        "authentication",
        Form::Authentication,
        "how the client proves who it is: [TLS, mTLS, SASL](tls-and-sasl.md)",
    ),
    entry(
        "secret_arn",
        SECRET,
        "the secret with what the client shows",
    )
    .not_with("authentication_arn"),
    entry(
        "authentication_arn",
        CERTIFICATE,
        "the client's certificate at AWS",
    ),
    entry(
        "topics",
        Form::Names,
        "[which topics](external-schemas.md#which-topics); without it all but internal ones",
    ),
    entry(
        "tls",
        Form::Of(Values::Switch),
        "whether connections are [encrypted](tls-and-sasl.md)",
    ),
    entry("ca", Form::Certificates, "authorities that are believed")
        .secret()
        .not_with("ca_file"),
    entry(
        "ca_file",
        Form::File,
        "the same in a file of the database server",
    )
    .by(Who::Superuser),
    entry(
        "verify_hostname",
        Form::Of(Values::Switch),
        "`off`: the broker's certificate may be another host's",
    ),
    entry(
        "client_properties",
        Form::Properties,
        "[properties of the client](tls-and-sasl.md#client-properties)",
    )
    .secret(),
    entry(
        "region",
        Form::Region,
        "the region of AWS; without it that of an ARN, then `redshift.aws_region`, then the machine's",
    ),
    entry(
        "iam_role",
        Form::Roles,
        "[who acts as whom](msk-iam.md#who-acts-as-whom)",
    )
    .by(Who::Superuser),
    entry(
        "external_id",
        Form::Any,
        "what the roles' trust policies ask for",
    ),
    entry(
        "endpoint_url",
        Form::Address,
        "another address of AWS's service",
    )
    .by(Who::Superuser),
    entry(
        "streams",
        Form::Names,
        "which streams; without it all of the account in this region",
    ),
    entry(
        "preview_columns",
        Form::Of(Values::Words(&["true", "false"])),
        "`true`: the columns have the names of Redshift's preview",
    ),
    entry(
        "deaggregate",
        Form::Of(Values::Words(&["off", "on", "all"])),
        "[aggregated records](kinesis.md#aggregated-records) come as the records in them",
    ),
    entry(
        "sync",
        Form::Of(Values::Words(&["auto", "manual"])),
        "`auto`: [topics that come later](external-schemas.md#topics-that-come-later) become relations by themselves",
    ),
];

/// Of a user mapping.
pub const MAPPING: [ServerOption; 10] = [
    entry("user", Form::Any, "for `plain` and `scram`").secret(),
    entry("password", Form::Any, "for `plain` and `scram`").secret(),
    entry(
        "certificate",
        Form::Certificates,
        "the client's certificate, then those between it and the authority",
    )
    .secret()
    .not_with("certificate_file"),
    entry(
        "certificate_file",
        Form::File,
        "the same in a file of the database server",
    )
    .secret()
    .by(Who::Superuser),
    entry("private_key", Form::PrivateKey, "the client's key")
        .secret()
        .not_with("private_key_file"),
    entry(
        "private_key_file",
        Form::File,
        "the same in a file of the database server",
    )
    .secret()
    .by(Who::Superuser),
    entry(
        "private_key_password",
        Form::Any,
        "what the key is encrypted with",
    )
    .secret(),
    entry("access_key_id", Form::Any, "a user's own key of AWS").secret(),
    entry("secret_access_key", Form::Any, "the secret of that key").secret(),
    entry("session_token", Form::Any, "of a temporary key").secret(),
];

/// Of a relation.
pub const TABLE: [ServerOption; 2] = [
    entry("topic", Form::Name, "the topic's whole name"),
    entry("stream", Form::Name, "the stream's whole name"),
];
