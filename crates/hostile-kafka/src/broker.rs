//! A broker that listens on the loopback and answers as it is told to.

use crate::answers::{API_VERSIONS, Cluster, FETCH, REQUESTS, is_flexible};
use crate::records::{Codec, bomb};
use crate::wire::Wire;
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// How a broker behaves.
#[derive(Clone)]
pub enum Scenario {
    /// As it should.
    Honest,
    /// Takes connections and says nothing.
    Silent,
    /// One field in so many is a lie, in answers to this request (None: to all).
    Lies(u64, Option<i16>),
    /// Each answer about versions has a null array.
    NullVersions,
    /// Records that are larger by far when they are unpacked: so many batches an answer, each of so many bytes.
    Bomb(Codec, usize, usize),
    /// An answer of so many bytes is announced, and comes.
    Endless(usize),
}

/// What all connections of a broker share.
struct Broker {
    cluster: Cluster,
    scenario: Scenario,
    seed: u64,
    connections: AtomicU64,
    bomb: Vec<u8>,
}

/// A running broker; dropping it ends it.
pub struct Running {
    /// Where it listens.
    pub port: u16,
    broker: Arc<Broker>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.broker.connections.store(ENDED, Ordering::Relaxed);
        // One more, so that it is seen.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

const ENDED: u64 = 1 << 60;
/// A connection that says nothing for so long is closed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts a broker.
pub fn start(mut cluster: Cluster, scenario: Scenario, seed: u64) -> io::Result<Running> {
    let listener = TcpListener::bind(("127.0.0.1", cluster.port))?;
    cluster.port = listener.local_addr()?.port();
    let bomb = match scenario {
        Scenario::Bomb(codec, size, batches) => {
            let one = bomb(codec, size, 0);
            (0..batches as i64)
                .flat_map(|number| {
                    let mut next = one.clone();
                    next[..8].copy_from_slice(&number.to_be_bytes());
                    next
                })
                .collect()
        }
        _ => Vec::new(),
    };
    let port = cluster.port;
    let connections = AtomicU64::new(0);
    let broker = Arc::new(Broker {
        cluster,
        scenario,
        seed,
        connections,
        bomb,
    });
    let accepting = Arc::clone(&broker);
    thread::Builder::new()
        .stack_size(1 << 18)
        .spawn(move || accepting.accept(&listener))?;
    Ok(Running { port, broker })
}

impl Broker {
    fn accept(self: Arc<Broker>, listener: &TcpListener) {
        for stream in listener.incoming().flatten() {
            let number = self.connections.fetch_add(1, Ordering::Relaxed);
            if number >= ENDED {
                return;
            }
            let broker = Arc::clone(&self);
            let serving = thread::Builder::new().stack_size(1 << 18);
            // A connection that breaks is what many of them end with.
            let _ = serving.spawn(move || broker.serve(stream, number));
        }
    }

    fn serve(&self, mut stream: TcpStream, number: u64) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut answered: HashMap<i16, u64> = HashMap::new();
        loop {
            let mut size = [0; 4];
            stream.read_exact(&mut size)?;
            let mut frame = vec![0; (u32::from_be_bytes(size) as usize).min(1 << 20)];
            stream.read_exact(&mut frame)?;
            let (Some(header), Some(body)) = (frame.get(..8), frame.get(8..)) else {
                return Ok(());
            };
            if matches!(self.scenario, Scenario::Silent) {
                continue;
            }
            let request = i16::from_be_bytes([header[0], header[1]]);
            let version = i16::from_be_bytes([header[2], header[3]]);
            let count = answered.entry(request).or_default();
            let kind = self.seed ^ number << 40 ^ (request as u64) << 20 ^ *count;
            let answer = self.answer(kind, request, version, body, *count, &header[4..8]);
            *count += 1;
            if request == FETCH && *count > 2 {
                thread::sleep(Duration::from_millis(20));
            }
            stream.write_all(&answer)?;
        }
    }

    fn answer(
        &self,
        seed: u64,
        request: i16,
        version: i16,
        body: &[u8],
        answered: u64,
        id: &[u8],
    ) -> Vec<u8> {
        let one_in = match self.scenario {
            Scenario::Lies(one_in, None) => one_in,
            Scenario::Lies(one_in, Some(only)) if only == request => one_in,
            _ => 0,
        };
        let flexible = is_flexible(request, version);
        let mut wire = Wire::new(flexible, seed, one_in);
        if one_in > 0 && wire.random.one_in(100) {
            wire.bytes.extend((wire.random.next() as u32).to_be_bytes());
        } else {
            wire.bytes.extend(id);
        }
        // The header of answers about versions has the old form always.
        if flexible && request != API_VERSIONS {
            wire.tags();
        }
        match &self.scenario {
            Scenario::NullVersions if request == API_VERSIONS => {
                wire.bytes.extend([0, 0]);
                wire.bytes.extend(if flexible {
                    &[0, 0, 0, 0, 0, 0][..]
                } else {
                    &[0xff; 4]
                });
            }
            Scenario::Bomb(..) if request == FETCH => self.bombs(&mut wire, version),
            Scenario::Endless(size) if request == FETCH => wire.bytes.resize(*size, 0),
            _ => self
                .cluster
                .answer(&mut wire, request, version, body, answered),
        }
        wire.scratch();
        let mut frame = wire.bytes;
        let mut size = frame.len() as i64;
        if one_in > 0 && wire.random.one_in(80) {
            size = wire
                .random
                .of(&[-1, 0, 3, size - 1, size + 1, 0x7fff_ffff, 100_000_000]);
        }
        frame.splice(0..0, (size as i32).to_be_bytes());
        frame
    }

    /// Version 11, which [`bomb_versions`] offers as the newest.
    fn bombs(&self, wire: &mut Wire, version: i16) {
        let end = 1_000_000;
        if version >= 1 {
            wire.i32(0);
        }
        if version >= 7 {
            wire.i16(0);
            wire.i32(0);
        }
        wire.count(1);
        wire.string(Some(crate::answers::TOPIC));
        wire.count(self.cluster.partitions as usize);
        for partition in 0..self.cluster.partitions {
            wire.i32(partition);
            wire.i16(0);
            wire.i64(end);
            if version >= 4 {
                wire.i64(end);
            }
            if version >= 5 {
                wire.i64(0);
            }
            if version >= 4 {
                wire.count(0);
            }
            if version >= 11 {
                wire.i32(-1);
            }
            wire.blob(&self.bomb);
        }
    }
}

/// What a broker offers that is to be fetched from in the plain form.
pub fn bomb_versions() -> Vec<(i16, i16)> {
    REQUESTS
        .iter()
        .map(|&(request, newest)| (request, if request == FETCH { 11 } else { newest }))
        .collect()
}
