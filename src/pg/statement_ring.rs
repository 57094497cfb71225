//! Finished statements in shared memory, between the backends that ran them and the monitor that writes them down.
//!
//! One ring of bytes for all databases. A monitor copies what is its database's, writes it, and only then takes it out: one that ends in between
//! finds it again. What does not fit is counted.

use super::relation::Oid;
use super::shared_memory::{self, SharedValues};
use pgrx::prelude::*;
use pgrx::{PGRXSharedMemory, pg_shmem_init, pg_sys};

/// How much of finished statements can wait for the monitors.
const BYTES: usize = 1 << 20;

#[derive(Clone, Copy)]
struct Ring {
    /// Where the next entry goes, and where the oldest one is: they only grow, their place is their remainder.
    head: u64,
    tail: u64,
    lost: i64,
    last_id: i64,
    bytes: [u8; BYTES],
}

impl Default for Ring {
    fn default() -> Ring {
        Ring {
            head: 0,
            tail: 0,
            lost: 0,
            last_id: 0,
            bytes: [0; BYTES],
        }
    }
}

// SAFETY: plain values without pointers.
unsafe impl PGRXSharedMemory for Ring {}

// SAFETY: the name is unique to this extension.
static RING: SharedValues<Ring> =
    unsafe { SharedValues::new(c"redshift_streaming statements", || 1) };

/// Asks for the memory; called while shared_preload_libraries are loaded.
pub fn request() {
    pg_shmem_init!(RING = ());
}

/// A finished statement.
#[derive(Default)]
pub struct Statement {
    /// `query_id` of sys_query_history; 0 in [`push`] asks for a new one.
    pub query_id: i64,
    /// Who ran it.
    pub user: u32,
    /// The process.
    pub pid: i32,
    /// Its transaction, 0 if that had no id.
    pub transaction_id: i64,
    /// `query_type` of sys_query_history.
    pub query_type: String,
    /// `status` of sys_query_history.
    pub status: String,
    /// Begin and end, timestamps in UTC.
    pub times: (i64, i64),
    /// In microseconds.
    pub execution_time: i64,
    /// In microseconds.
    pub planning_time: i64,
    /// Rows that the client got.
    pub returned_rows: i64,
    /// What went wrong; empty if nothing.
    pub error: String,
    /// The text.
    pub text: String,
}

/// Before an entry: its length with this head, whether it still waits, the database.
const HEAD: usize = 9;
const NUMBERS: usize = 9;

impl Statement {
    fn write(&self) -> Vec<u8> {
        let texts = [&self.query_type, &self.status, &self.error, &self.text];
        let mut bytes = Vec::with_capacity(
            NUMBERS * 8 + texts.len() * 4 + texts.iter().map(|t| t.len()).sum::<usize>(),
        );
        let numbers: [i64; NUMBERS] = [
            self.query_id,
            i64::from(self.user),
            i64::from(self.pid),
            self.transaction_id,
            self.times.0,
            self.times.1,
            self.execution_time,
            self.planning_time,
            self.returned_rows,
        ];
        for number in numbers {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for text in texts {
            bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Statement> {
        let mut rest = bytes;
        let mut numbers = [0; NUMBERS];
        for number in &mut numbers {
            let (first, others) = rest.split_first_chunk()?;
            (*number, rest) = (i64::from_le_bytes(*first), others);
        }
        let mut text = || {
            let (length, others) = rest.split_first_chunk()?;
            let (text, others) = others.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            rest = others;
            Some(String::from_utf8_lossy(text).into_owned())
        };
        Some(Statement {
            query_id: numbers[0],
            user: numbers[1] as u32,
            pid: numbers[2] as i32,
            transaction_id: numbers[3],
            times: (numbers[4], numbers[5]),
            execution_time: numbers[6],
            planning_time: numbers[7],
            returned_rows: numbers[8],
            query_type: text()?,
            status: text()?,
            error: text()?,
            text: text()?,
        })
    }
}

impl Ring {
    fn put(&mut self, at: u64, bytes: &[u8]) {
        let place = (at % BYTES as u64) as usize;
        let first = bytes.len().min(BYTES - place);
        self.bytes[place..place + first].copy_from_slice(&bytes[..first]);
        self.bytes[..bytes.len() - first].copy_from_slice(&bytes[first..]);
    }

    fn get(&self, at: u64, length: usize) -> Vec<u8> {
        let place = (at % BYTES as u64) as usize;
        let first = length.min(BYTES - place);
        let mut bytes = self.bytes[place..place + first].to_vec();
        bytes.extend_from_slice(&self.bytes[..length - first]);
        bytes
    }

    /// Length, whether it waits, and database of the entry at `at`.
    fn head_of(&self, at: u64) -> (usize, bool, u32) {
        let head = self.get(at, HEAD);
        let number = |from: usize| {
            let mut four = [0; 4];
            four.copy_from_slice(&head[from..from + 4]);
            u32::from_le_bytes(four)
        };
        (number(0) as usize, head[4] != 0, number(5))
    }

    /// Takes entries out that `gone` says, of those before `until`.
    fn take_out(&mut self, until: u64, gone: impl Fn(u32) -> bool) {
        let mut at = self.tail;
        while at < self.head.min(until) {
            let (length, waits, database) = self.head_of(at);
            if waits && gone(database) {
                self.put(at + 4, &[0]);
            }
            at += length as u64;
        }
        while self.tail < self.head {
            let (length, waits, _) = self.head_of(self.tail);
            if waits {
                break;
            }
            self.tail += length as u64;
        }
    }
}

/// What became of a statement.
pub struct Pushed {
    /// Its number.
    pub query_id: i64,
    /// The ring is more than half full.
    pub crowded: bool,
}

/// Leaves a statement for the monitor.
pub fn push(database: Oid, statement: &mut Statement) -> Pushed {
    // Numbers are above those that refreshes have, and go on growing after a restart.
    let clock = super::time::now_utc().saturating_add(946_684_800_000_000);
    let mut bytes = statement.write();
    let mut rings = RING.exclusive();
    let ring = &mut rings[0];
    if statement.query_id == 0 {
        ring.last_id = clock.max(ring.last_id + 1);
        statement.query_id = ring.last_id;
        bytes[..8].copy_from_slice(&statement.query_id.to_le_bytes());
    }
    let length = HEAD + bytes.len();
    let used = (ring.head - ring.tail) as usize;
    if used + length > BYTES {
        ring.lost += 1;
    } else {
        let mut head = [0; HEAD];
        head[..4].copy_from_slice(&(length as u32).to_le_bytes());
        head[4] = 1;
        head[5..].copy_from_slice(&database.to_u32().to_le_bytes());
        let at = ring.head;
        ring.put(at, &head);
        ring.put(at + HEAD as u64, &bytes);
        ring.head += length as u64;
    }
    Pushed {
        query_id: statement.query_id,
        crowded: used + length > BYTES / 2,
    }
}

/// The statements of a database that wait, and up to where they were read.
pub fn waiting(database: Oid) -> (Vec<Statement>, u64) {
    let rings = RING.share();
    let ring = &rings[0];
    let mut found = Vec::new();
    let mut at = ring.tail;
    while at < ring.head {
        let (length, waits, of) = ring.head_of(at);
        if waits && of == database.to_u32() {
            let bytes = ring.get(at + HEAD as u64, length - HEAD);
            found.extend(Statement::read(&bytes));
        }
        at += length as u64;
    }
    (found, ring.head)
}

/// The statements of a database up to there are written, or nobody wants them.
pub fn written(database: Oid, until: u64) {
    RING.exclusive()[0].take_out(until, |of| of == database.to_u32());
}

/// Forgets statements of databases that are gone, or that no monitor may enter.
pub fn forget_other_databases(existing: &[Oid]) {
    RING.exclusive()[0].take_out(u64::MAX, |of| {
        !existing.iter().any(|database| database.to_u32() == of)
    });
}

/// Does a statement of this database wait?
pub fn has_waiting(database: Oid) -> bool {
    let rings = RING.share();
    let ring = &rings[0];
    let mut at = ring.tail;
    while at < ring.head {
        let (length, waits, of) = ring.head_of(at);
        if waits && of == database.to_u32() {
            return true;
        }
        at += length as u64;
    }
    false
}

/// Statements since the server's start that there was no room for.
pub fn lost() -> i64 {
    if shared_memory::is_ready() {
        RING.share()[0].lost
    } else {
        0
    }
}
