//! The service allows each shard 5 reads a second and 2 MB a second; all readers of this process share that.
//!
//! Other processes and other consumers have their part too, so the service may still refuse: then the reader waits and tries again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

const READS: usize = 5;
const WINDOW: Duration = Duration::from_secs(1);
const BYTES_PER_SECOND: f64 = 2.0 * 1024.0 * 1024.0;
/// Shards that were not read for so long are forgotten.
const FORGET: Duration = Duration::from_secs(60);

/// What one shard was asked lately.
#[derive(Default)]
struct Recent {
    /// When the last reads were, or will be, sent.
    reads: VecDeque<Instant>,
    /// When the bytes that were read are paid for.
    paid: Option<Instant>,
}

/// The turns of one shard.
#[derive(Clone, Default)]
pub struct Turns(Arc<Mutex<Recent>>);

type Shards = Mutex<HashMap<String, Turns>>;

/// The shard's turns, by a name that is unique in the process.
pub fn turns(name: String) -> Turns {
    static SHARDS: OnceLock<Shards> = OnceLock::new();
    let mut shards = lock(SHARDS.get_or_init(Shards::default));
    shards.retain(|_, turns| Arc::strong_count(&turns.0) > 1 || !turns.is_old());
    shards.entry(name).or_default().clone()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Turns {
    /// Takes the next turn: when the read may be sent.
    pub fn take(&self) -> Instant {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> Instant {
        let mut recent = lock(&self.0);
        let mut turn = recent.paid.map_or(now, |paid| paid.max(now));
        if recent.reads.len() >= READS
            && let Some(first) = recent.reads.pop_front()
        {
            turn = turn.max(first + WINDOW);
        }
        recent.reads.push_back(turn);
        turn
    }

    /// So many bytes came back.
    pub fn pay(&self, bytes: u64) {
        self.pay_at(Instant::now(), bytes);
    }

    fn pay_at(&self, now: Instant, bytes: u64) {
        let mut recent = lock(&self.0);
        let cost = Duration::from_secs_f64(bytes as f64 / BYTES_PER_SECOND);
        recent.paid = Some(recent.paid.map_or(now, |paid| paid.max(now)) + cost);
    }

    fn is_old(&self) -> bool {
        let recent = lock(&self.0);
        let last = recent.reads.back().copied().max(recent.paid);
        last.is_none_or(|last| last + FORGET < Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_reads_in_any_second() {
        let turns = Turns::default();
        let now = Instant::now();
        let taken: Vec<_> = (0..16).map(|_| turns.take_at(now) - now).collect();
        for (i, turn) in taken.iter().enumerate() {
            assert_eq!(*turn, Duration::from_secs(i as u64 / 5), "{i}");
        }
        let later = now + Duration::from_millis(3_500);
        assert_eq!(turns.take_at(later), later);
    }

    #[test]
    fn two_megabytes_in_a_second() {
        let turns = Turns::default();
        let now = Instant::now();
        assert_eq!(turns.take_at(now), now);
        turns.pay_at(now, 8 * 1024 * 1024);
        assert_eq!(turns.take_at(now), now + Duration::from_secs(4));
        turns.pay_at(now, 2 * 1024 * 1024);
        assert_eq!(turns.take_at(now), now + Duration::from_secs(5));
    }
}
