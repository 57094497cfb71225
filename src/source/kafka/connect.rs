//! From a foreign server's options to a client of Kafka.

use crate::access::Access;
use crate::error;
use crate::pg::descriptors::Descriptors;
use crate::pg::foreign::{Server, option};
use crate::pg::relation::Oid;
use crate::source::Source;
use crate::source::request::{Pending, answer};
use std::cell::RefCell;
use std::collections::HashMap;
use stream::{Client, Room};

/// Where an external schema's topics are.
pub struct Kafka {
    /// The foreign server, whose name is the external schema's.
    pub server_name: String,
    bootstrap_servers: String,
    access: Access,
    /// `topics` of CREATE SERVER: comma-separated names in which `*` stands for any characters. All but internal topics if absent.
    pub topics: Option<String>,
}

/// What a client opens: for itself, and for each broker (a pipe and a connection).
const DESCRIPTORS: u32 = 5;
const DESCRIPTORS_OF_BROKER: u32 = 3;
/// So many brokers are counted beside the bootstrap servers before the cluster has told how many it has.
const BROKERS_EXPECTED: usize = 1;

thread_local! {
    /// How many brokers there has been room for, by bootstrap servers with more than was expected: the next client need not ask twice.
    static BROKERS_SEEN: RefCell<HashMap<String, usize>> = RefCell::default();
}

/// Counts the files of a client's brokers, as many as its cluster has.
struct Brokers {
    bootstrap_servers: String,
    count: usize,
    descriptors: Descriptors,
}

impl Brokers {
    fn of(bootstrap_servers: &str) -> Brokers {
        let least = bootstrap_servers.split(',').count() + BROKERS_EXPECTED;
        let mut brokers = Brokers {
            bootstrap_servers: bootstrap_servers.to_owned(),
            count: least,
            descriptors: Descriptors::acquire(DESCRIPTORS + DESCRIPTORS_OF_BROKER * least as u32),
        };
        let seen = BROKERS_SEEN.with_borrow(|seen| seen.get(bootstrap_servers).copied());
        brokers.more(seen.map_or(0, |seen| seen.saturating_sub(least)));
        brokers
    }
}

impl Room for Brokers {
    fn more(&mut self, brokers: usize) -> bool {
        let most = (Descriptors::most() / DESCRIPTORS_OF_BROKER) as usize;
        if self.count.saturating_add(brokers) > most
            || !self
                .descriptors
                .more(DESCRIPTORS_OF_BROKER * brokers as u32)
        {
            return false;
        }
        self.count += brokers;
        if brokers > 0 {
            let server = self.bootstrap_servers.clone();
            BROKERS_SEEN.with_borrow_mut(|seen| seen.insert(server, self.count));
        }
        true
    }
}

impl Kafka {
    /// The source of a server, read as `user`.
    pub(super) fn of(server: &Server, user: Oid) -> Kafka {
        let of = |name| option(&server.options, name);
        let uri = of("uri").or_else(|| of("cluster_arn")).unwrap_or_else(|| {
            error::foreign_option_missing(&format!("server \"{}\"", server.name), "uri").raise()
        });
        Kafka {
            server_name: server.name.clone(),
            bootstrap_servers: uri,
            access: Access::of(server, user),
            topics: option(&server.options, "topics"),
        }
    }

    /// What a client of this source is made of.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Its name and where its brokers are.
    pub(super) fn name_and_place(&self) -> String {
        format!(
            "external schema \"{}\" ({})",
            self.server_name, self.bootstrap_servers
        )
    }

    /// A client for so many readers, which divide the memory. It connects in the background.
    pub fn connect_for(&self, readers: usize, memory_bytes: usize) -> Client {
        self.connect_by(&stream::Config {
            readers,
            ..self.access.config(memory_bytes)
        })
    }

    /// The same by what [`Access::config`] has given.
    pub fn connect_by(&self, config: &stream::Config) -> Client {
        let brokers = Brokers::of(&self.bootstrap_servers);
        let client = Client::new(&stream::Config {
            brokers: brokers.count,
            ..config.clone()
        })
        .unwrap_or_else(|error| error::source(&self.label(), &error).raise());
        client.hold_room(Box::new(brokers));
        client
    }

    /// Waits for an answer; raises what went wrong.
    pub fn answer<T>(&self, client: &Client, pending: impl Pending<T>) -> T {
        answer(client, pending).unwrap_or_else(|error| error::source(&self.label(), &error).raise())
    }
}
