//! Topics and streams that appear become relations: external schemas with option `sync = auto` are compared with their brokers from time to time.
//!
//! The broker is asked without waiting, and outside of any transaction. What is created is created as the server's owner, a few relations in a transaction
//! whose locks are waited for a moment only: nobody's statement waits for it.

use super::lookup::Lookups;
use super::state::LOCK_NOT_AVAILABLE;
use crate::api::external_schema;
use crate::aws;
use crate::pg::background::{self, Failure, transaction};
use crate::pg::foreign::{self, Server};
use crate::pg::relation::{self, Oid};
use crate::pg::report::Report;
use crate::pg::setting;
use crate::pg::spi::{self, as_view_owner};
use crate::pg::{extension, shared};
use crate::source::Source;
use crate::source::any::{Any, each};
use crate::source::follow::bound_lock_waits;
use crate::source::request::Pending;
use crate::source::status::Listed;
use plan::names::Pattern;
use std::collections::HashMap;

/// So many relations are created in one transaction.
const AT_ONCE: usize = 100;

/// The external schemas that are being looked at.
pub struct Sync {
    database: Oid,
    questions: Vec<Question>,
    lookups: Lookups,
    /// The last error of each schema: one that repeats is logged once.
    complaints: HashMap<String, String>,
}

struct Question {
    server: Server,
    asked: Asked,
}

enum Asked {
    /// AWS is asked before a client can be made.
    Aws(Any, Vec<aws::Question>),
    Source(Listing),
    Answered(Vec<String>),
}

/// A source that is asked which streams it has.
struct Listing {
    // The answer goes before the client.
    answer: Box<dyn Pending<Vec<Listed>>>,
    _client: Box<dyn std::any::Any>,
    pattern: Option<String>,
    label: String,
    failure: fn(&str, &stream::Error) -> Report,
}

impl Listing {
    fn ask<S: Source>(source: &S) -> Listing {
        let client = source.connect(setting::memory_limit_bytes());
        Listing {
            answer: source.list(&client),
            _client: Box::new(client),
            pattern: source.pattern().map(str::to_owned),
            label: source.label(),
            failure: S::failure,
        }
    }

    /// The names that are to have relations.
    fn poll(&mut self) -> Option<Result<Vec<String>, Failure>> {
        Some(match self.answer.poll()? {
            Ok(listed) => Ok(external_schema::shown(self.pattern.as_deref(), listed)),
            Err(error) => {
                let (label, failure) = (&self.label, self.failure);
                transaction(|| failure(label, &error).raise())
            }
        })
    }
}

impl Sync {
    /// Of this database.
    pub fn new(database: Oid) -> Sync {
        Sync {
            database,
            questions: Vec::new(),
            lookups: Lookups::default(),
            complaints: HashMap::new(),
        }
    }

    /// Is an answer waited for?
    pub fn is_busy(&self) -> bool {
        !self.questions.is_empty()
    }

    /// Asks if it is time to, and acts on the answers that have come.
    pub fn tend(&mut self) {
        let Some(interval) = setting::sync_interval() else {
            self.questions.clear();
            return;
        };
        if self.questions.is_empty() && shared::take_sync_turn(self.database, interval) {
            self.ask();
        }
        for mut question in std::mem::take(&mut self.questions) {
            let name = question.server.name.clone();
            match question.tend(&mut self.lookups) {
                Ok(true) => self.questions.push(question),
                Ok(false) => {
                    self.complaints.remove(&name);
                }
                Err(failure) => self.complain(name, failure),
            }
        }
    }

    fn ask(&mut self) {
        let servers = transaction(|| {
            if extension::is_usable() {
                servers()
            } else {
                Vec::new()
            }
        });
        for server in servers.unwrap_or_default() {
            let name = server.name.clone();
            match transaction(|| Question::ask(server)) {
                Ok(question) => self.questions.extend(question),
                Err(failure) => self.complain(name, failure),
            }
        }
    }

    fn complain(&mut self, name: String, failure: Failure) {
        let Failure { sqlstate, message } = failure;
        // Somebody is changing the schema: next time.
        if sqlstate != LOCK_NOT_AVAILABLE && self.complaints.get(&name) != Some(&message) {
            background::log(&format!(
                "external schema \"{name}\" not synchronized: {message}"
            ));
            self.complaints.insert(name, message);
        }
    }
}

/// Servers with a schema that shall follow their brokers. A restored copy is left alone until somebody adopts it: its relations may only be on their way.
fn servers() -> Vec<Server> {
    let names = spi::rows(
        "SELECT s.srvname::pg_catalog.text FROM pg_catalog.pg_foreign_server AS s
         JOIN pg_catalog.pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw
         JOIN pg_catalog.pg_namespace AS n ON n.nspname = s.srvname
         WHERE w.fdwname = 'redshift_streaming'
           AND EXISTS (SELECT FROM pg_catalog.pg_options_to_table(s.srvoptions) AS o
                       WHERE o.option_name = 'sync' AND o.option_value = 'auto')
           AND EXISTS (SELECT FROM redshift.external_schema AS e WHERE e.server = s.oid AND e.origin = redshift.origin())
         ORDER BY s.srvname",
        &[],
        spi::only::<String>,
    );
    names
        .iter()
        .filter_map(|name| foreign::find_server(name))
        .collect()
}

/// Unless redshift.sync_external_schema has it.
fn takes_lock(server: &Server) -> bool {
    relation::lock_server(server.oid, false)
}

/// Are these names, none a pattern, all there?
fn is_complete(pattern: Option<&str>, server: &Server) -> bool {
    let names = pattern.and_then(|pattern| Pattern::parse(pattern).plain_names());
    names.is_some_and(|names| {
        let mapped = external_schema::mapped(server);
        names
            .iter()
            .all(|name| mapped.iter().any(|topic| topic == name))
    })
}

impl Question {
    /// Asks which topics or streams there are; `None` if nothing can be missing.
    fn ask(server: Server) -> Option<Question> {
        let source = Any::of_server(&server, server.owner);
        let (is_complete, questions) = each!(Any, &source, it => {
            (is_complete(it.pattern(), &server), it.questions())
        });
        if is_complete {
            return None;
        }
        let asked = Asked::Aws(source, questions);
        Some(Question { server, asked })
    }

    /// Acts on the answer if it has come. True if there is more to do.
    fn tend(&mut self, lookups: &mut Lookups) -> Result<bool, Failure> {
        if let Asked::Aws(_, questions) = &self.asked {
            if !lookups.are_answered(questions, None)? {
                return Ok(true);
            }
            let nothing = Asked::Answered(Vec::new());
            if let Asked::Aws(source, _) = std::mem::replace(&mut self.asked, nothing) {
                self.asked =
                    transaction(|| Asked::Source(each!(Any, &source, it => Listing::ask(it))))?;
            }
        }
        let names = match &mut self.asked {
            Asked::Aws(..) => return Ok(true),
            Asked::Source(listing) => match listing.poll() {
                None => return Ok(true),
                Some(names) => names?,
            },
            Asked::Answered(names) => std::mem::take(names),
        };
        let server = &self.server;
        let created = transaction(|| {
            bound_lock_waits();
            // Dropped or created anew meanwhile, or somebody does the same: next time.
            if foreign::find_server(&server.name).is_none_or(|now| now.oid != server.oid)
                || !takes_lock(server)
            {
                return 0;
            }
            as_view_owner(server.owner, || {
                external_schema::create_missing(server, names.clone(), AT_ONCE)
            })
        })?;
        self.asked = Asked::Answered(names);
        Ok(created == AT_ONCE)
    }
}
