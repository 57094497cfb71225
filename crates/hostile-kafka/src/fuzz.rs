//! Many rounds, in processes that may die: a round that kills its process is found, counted and told by its seed.

use crate::round;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Rounds of one process.
const OF_PROCESS: u64 = 400;
/// Rounds at a time within it: they wait most of the time.
const AT_ONCE: usize = 16;

/// Plays rounds of seeds from `first` on; prints `rounds=n crashes=0` at the end, with the seeds of those that crashed before it.
pub fn run(rounds: u64, first: u64) -> bool {
    let (mut done, mut crashes, mut records) = (0, BTreeSet::new(), 0);
    while done < rounds {
        let count = OF_PROCESS.min(rounds - done);
        let mut from = first + done;
        let end = from + count;
        // A process that dies takes the rounds with it that were under way: each of them alone then, the others once more.
        while from < end {
            let part = process(from, end - from);
            records += part.records;
            if part.is_ok {
                break;
            }
            let suspects: Vec<u64> = part.begun.difference(&part.ended).copied().collect();
            let before = crashes.len();
            crashes.extend(
                suspects
                    .iter()
                    .copied()
                    .filter(|&seed| !process(seed, 1).is_ok),
            );
            if crashes.len() == before {
                println!("seeds {suspects:?}: crashed together only");
                crashes.extend(suspects.first());
            }
            println!("crashed: {crashes:?}");
            from = part.begun.last().map_or(end, |last| last + 1);
        }
        done += count;
        if done % (OF_PROCESS * 5) == 0 {
            println!(
                "{done} rounds, {} crashes, {records} records",
                crashes.len()
            );
        }
    }
    for seed in &crashes {
        println!("seed {seed} crashes");
    }
    println!("rounds={done} crashes={}", crashes.len());
    crashes.is_empty()
}

/// What became of a process.
struct Part {
    begun: BTreeSet<u64>,
    ended: BTreeSet<u64>,
    records: u64,
    is_ok: bool,
}

fn process(first: u64, count: u64) -> Part {
    let program = std::env::current_exe().expect("this program");
    let arguments = ["rounds".to_owned(), first.to_string(), count.to_string()];
    let mut child = Command::new(program)
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let mut part = Part {
        begun: BTreeSet::new(),
        ended: BTreeSet::new(),
        records: 0,
        is_ok: false,
    };
    for line in BufReader::new(child.stdout.take().expect("piped"))
        .lines()
        .map_while(Result::ok)
    {
        let mut words = line.split(' ');
        let (word, seed) = (
            words.next(),
            words.next().and_then(|seed| seed.parse().ok()),
        );
        let number = words
            .next()
            .and_then(|number| number.parse().ok())
            .unwrap_or(0);
        match (word, seed) {
            (Some("+"), Some(seed)) => drop(part.begun.insert(seed)),
            (Some("-"), Some(seed)) => {
                part.ended.insert(seed);
                part.records += number;
            }
            _ => println!("{line}"),
        }
    }
    part.is_ok = child.wait().is_ok_and(|status| status.success());
    part
}

/// The rounds of one process; false if a client did not end.
pub fn rounds(first: u64, count: u64) -> bool {
    let (next, hung) = (AtomicU64::new(first), AtomicU64::new(0));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count {
                return;
            }
            println!("+ {seed}");
            let outcome = round::play(seed);
            if outcome.hangs {
                println!("seed {seed} hangs");
                hung.fetch_add(1, Ordering::Relaxed);
            } else {
                println!("- {seed} {}", outcome.records);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(count as usize) {
            scope.spawn(work);
        }
    });
    hung.into_inner() == 0
}
