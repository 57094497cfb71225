//! All sources: the one place that names them together. Whoever works with a stream of any kind comes through here once, and is generic from then on.

use super::column::{Column, ColumnType, Spec};
use super::kafka::Kafka;
use super::kinesis::Kinesis;
use super::sql::Sql;
use super::{Source, Words};
use crate::error;
use crate::pg::foreign::{self, Server, option};
use crate::pg::node::Definition;
use crate::pg::relation::Oid;

/// Does the same with what an enum of all sources holds: `each!(Stream, stream, it => it.name())`.
macro_rules! each {
    ($enum:ident, $value:expr, $it:pat => $body:expr) => {
        match $value {
            $enum::Kafka($it) => $body,
            $enum::Kinesis($it) => $body,
            $enum::Sql($it) => $body,
        }
    };
}
pub(crate) use each;

/// Does the same for the type that a [`Kind`] stands for: `each_kind!(kind, S => S::WORDS)`.
macro_rules! each_kind {
    ($kind:expr, $source:ident => $body:expr) => {
        match $kind {
            $crate::source::any::Kind::Kafka => {
                type $source = $crate::source::kafka::Kafka;
                $body
            }
            $crate::source::any::Kind::Kinesis => {
                type $source = $crate::source::kinesis::Kinesis;
                $body
            }
            $crate::source::any::Kind::Sql => {
                type $source = $crate::source::sql::Sql;
                $body
            }
        }
    };
}
pub(crate) use each_kind;

/// A source, without anything of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Kafka.
    Kafka,
    /// Kinesis.
    Kinesis,
    /// The database itself.
    Sql,
}

impl Kind {
    /// Of a server, by its TYPE.
    pub fn of(server: &Server) -> Kind {
        let kind = server.kind.as_deref().unwrap_or_default();
        if kind.eq_ignore_ascii_case("kinesis") {
            Kind::Kinesis
        } else if kind.eq_ignore_ascii_case("sql") {
            Kind::Sql
        } else {
            Kind::Kafka
        }
    }

    /// Its words.
    pub fn words(self) -> Words {
        each_kind!(self, S => S::WORDS)
    }

    /// May a view of it have a consumer?
    pub fn has_consumers(self) -> bool {
        each_kind!(self, S => S::HAS_CONSUMERS)
    }

    /// Do parts come up while others are read?
    pub fn has_appearing_parts(self) -> bool {
        each_kind!(self, S => S::PARTS_APPEAR)
    }

    /// Have the relations of a server the names of Redshift's preview?
    pub fn has_preview_columns(self, server: &Server) -> bool {
        each_kind!(self, S => S::has_preview_columns(server))
    }
}

/// A source as a server of any kind.
pub enum Any {
    /// Kafka.
    Kafka(Kafka),
    /// Kinesis.
    Kinesis(Kinesis),
    /// The database itself.
    Sql(Sql),
}

impl Any {
    /// The source of a server, read as `user`.
    pub fn of_server(server: &Server, user: Oid) -> Any {
        match Kind::of(server) {
            Kind::Kafka => Any::Kafka(Kafka::of_server(server, user)),
            Kind::Kinesis => Any::Kinesis(Kinesis::of_server(server, user)),
            Kind::Sql => Any::Sql(Sql::of_server(server, user)),
        }
    }
}

/// A stream of one source, as somebody reads it.
pub struct Named<S> {
    /// The source.
    pub source: S,
    /// The topic's or stream's name.
    pub name: String,
}

impl<S: Source> Named<S> {
    fn of(server: &Server, options: &[Definition], user: Oid) -> Named<S> {
        let name = name_of::<S>(options);
        Named {
            source: S::of_server(server, user),
            name,
        }
    }

    fn reads_as(&self, other: &Named<S>) -> bool {
        self.name == other.name && self.source.reads_as(&other.source)
    }
}

/// The topic's or stream's name in a foreign table's options.
pub fn name_of<S: Source>(options: &[Definition]) -> String {
    let name = S::WORDS.stream;
    option(options, name)
        .unwrap_or_else(|| error::foreign_option_missing("the foreign table", name).raise())
}

/// What a foreign table stands for.
pub enum Stream {
    /// A topic of Kafka.
    Kafka(Named<Kafka>),
    /// A stream of Kinesis.
    Kinesis(Named<Kinesis>),
    /// A topic that the database keeps.
    Sql(Named<Sql>),
}

impl Stream {
    /// Of a foreign table, read as `user`.
    pub fn of_table(table: Oid, user: Oid) -> Stream {
        let (server, options) = foreign::of_table(table);
        match Kind::of(&server) {
            Kind::Kafka => Stream::Kafka(Named::of(&server, &options, user)),
            Kind::Kinesis => Stream::Kinesis(Named::of(&server, &options, user)),
            Kind::Sql => Stream::Sql(Named::of(&server, &options, user)),
        }
    }

    /// Of which source it is.
    pub fn kind(&self) -> Kind {
        match self {
            Stream::Kafka(_) => Kind::Kafka,
            Stream::Kinesis(_) => Kind::Kinesis,
            Stream::Sql(_) => Kind::Sql,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        each!(Stream, self, it => &it.name)
    }

    /// The external schema's name.
    pub fn server_name(&self) -> &str {
        each!(Stream, self, it => it.source.server_name())
    }

    /// May a view of it have a consumer?
    pub fn has_consumers(&self) -> bool {
        self.kind().has_consumers()
    }

    /// The columns that tell a row's record from all others.
    pub fn place_columns(&self) -> &'static [&'static str] {
        each!(Stream, self, it => it.source.place_columns())
    }

    /// Would it be read in the same way, by the same client?
    pub fn reads_as(&self, other: &Stream) -> bool {
        match (self, other) {
            (Stream::Kafka(one), Stream::Kafka(other)) => one.reads_as(other),
            (Stream::Kinesis(one), Stream::Kinesis(other)) => one.reads_as(other),
            (Stream::Sql(one), Stream::Sql(other)) => one.reads_as(other),
            _ => false,
        }
    }
}

/// Which columns the relations of a server have.
pub fn column_set(server: &Server) -> ColumnSet {
    let kind = Kind::of(server);
    each_kind!(kind, S => ColumnSet {
        kind,
        specs: S::COLUMNS,
        without: S::column_left_out(server),
    })
}

/// Which columns a relation may have: those of its server's source.
#[derive(Clone, Copy)]
pub struct ColumnSet {
    /// The source.
    pub kind: Kind,
    specs: &'static [Spec],
    without: Option<Column>,
}

impl ColumnSet {
    /// The columns, in the order of the documentation.
    pub fn specs(self) -> impl Iterator<Item = &'static Spec> {
        let is_there = move |spec: &&Spec| Some(spec.column) != self.without;
        self.specs.iter().filter(is_there)
    }

    /// The column of that name, and its type.
    pub fn find(self, name: &str) -> Option<(ColumnType, Column)> {
        let mut specs = self.specs();
        let found = specs.find(|spec| spec.name == name || spec.preview == name);
        found.map(|spec| (spec.kind, spec.column))
    }

    /// The names, for a message.
    pub fn names(self) -> Vec<&'static str> {
        self.specs().map(|spec| spec.name).collect()
    }
}
