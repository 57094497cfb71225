//! A broker that answers what no broker would.
//!
//! `serve SCENARIO READY_FILE` runs one for a test until it is ended, `fuzz ROUNDS [SEED]` plays rounds of a client of ours against brokers that lie
//! in random places. Everything follows from a round's seed, so `rounds SEED 1` repeats one.

mod answers;
mod broker;
mod fuzz;
mod random;
mod records;
mod round;
mod wire;

use answers::{Cluster, REQUESTS};
use broker::Scenario;
use records::Codec;
use std::process::ExitCode;

const USAGE: &str = "usage: hostile-kafka fuzz ROUNDS [SEED] | rounds SEED COUNT | serve SCENARIO READY_FILE
SCENARIO: honest, many:BROKERS, silent, null-versions, lies[:SEED[:REQUEST]], bomb:CODEC:BYTES:BATCHES, endless:BYTES";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().ok();
    let ok = match words.as_slice() {
        ["fuzz", rounds] => number(rounds).map(|rounds| fuzz::run(rounds, 1)),
        ["fuzz", rounds, seed] => number(rounds)
            .zip(number(seed))
            .map(|(rounds, seed)| fuzz::run(rounds, seed)),
        ["rounds", seed, count] => number(seed)
            .zip(number(count))
            .map(|(seed, count)| fuzz::rounds(seed, count)),
        ["serve", scenario, ready] => parse(scenario).map(|served| serve(served, ready)),
        _ => None,
    };
    match ok {
        Some(true) => ExitCode::SUCCESS,
        Some(false) => ExitCode::FAILURE,
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// What `serve` is told to be.
struct Served {
    scenario: Scenario,
    brokers: i32,
    seed: u64,
}

fn parse(text: &str) -> Option<Served> {
    let words: Vec<&str> = text.split(':').collect();
    let (mut brokers, mut seed) = (1, 1);
    let scenario = match words.as_slice() {
        ["honest"] => Scenario::Honest,
        ["many", number] => {
            brokers = number.parse().ok()?;
            Scenario::Honest
        }
        ["silent"] => Scenario::Silent,
        ["null-versions"] => Scenario::NullVersions,
        ["lies", ..] => {
            seed = words.get(1).map_or(Some(1), |seed| seed.parse().ok())?;
            let only = words.get(2).and_then(|request| request.parse().ok());
            Scenario::Lies(30, only)
        }
        ["bomb", codec, bytes, batches] => Scenario::Bomb(
            Codec::parse(codec)?,
            bytes.parse().ok()?,
            batches.parse().ok()?,
        ),
        ["endless", bytes] => Scenario::Endless(bytes.parse().ok()?),
        _ => return None,
    };
    Some(Served {
        scenario,
        brokers,
        seed,
    })
}

/// Until the process is ended.
fn serve(served: Served, ready: &str) -> bool {
    let Served {
        scenario,
        brokers,
        seed,
    } = served;
    let is_plain = matches!(scenario, Scenario::Bomb(..));
    let versions = if is_plain {
        broker::bomb_versions()
    } else {
        REQUESTS.to_vec()
    };
    let cluster = Cluster {
        port: 0,
        brokers,
        partitions: 2,
        records: 100,
        versions,
        epoch: 1,
    };
    let Ok(running) = broker::start(cluster, scenario, seed) else {
        return false;
    };
    if std::fs::write(ready, format!("127.0.0.1:{}\n", running.port)).is_err() {
        return false;
    }
    loop {
        std::thread::park();
    }
}
