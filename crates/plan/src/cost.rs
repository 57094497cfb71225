//! What a batch costs: a part that is the same for any number of records (the commit on a slow disk or a replica, a trigger for each statement), and a part
//! for each record. Only the second one becomes less with fewer records, so the two are told apart by batches of different sizes.

use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// Batches of one size class, from a power of two to the next one.
#[derive(Clone, Copy)]
struct Seen {
    records: f64,
    seconds: f64,
    when: Instant,
}

/// Size classes.
const CLASSES: usize = 24;
/// How far one slower batch moves what is known of its class; a faster one is believed, since a busy machine only adds.
const DRIFT: f64 = 0.25;
/// A batch that takes so many times as long as others of its class, and so much longer, says that what was known holds no more.
const OTHER_TIMES: (f64, f64) = (4.0, 0.05);
/// What was seen is believed for so long.
const BELIEVED: Duration = Duration::from_secs(60);

/// What is known of a feed's batches.
#[derive(Default)]
pub struct Cost {
    seen: [Option<Seen>; CLASSES],
}

fn class(records: usize) -> usize {
    (records.max(1).ilog2() as usize).min(CLASSES - 1)
}

impl Cost {
    /// A batch of so many records, which ended now, took so long.
    pub fn add(&mut self, records: usize, took: Duration, now: Instant) {
        let new = Seen {
            records: records.max(1) as f64,
            seconds: took.as_secs_f64(),
            when: now,
        };
        let (times, longer) = OTHER_TIMES;
        let is_other = |old: Seen| new.seconds > old.seconds * times + longer;
        if self.seen[class(records)].is_some_and(is_other) {
            self.seen = Default::default();
        }
        let seen = &mut self.seen[class(records)];
        *seen = Some(match *seen {
            Some(old) if new.seconds > old.seconds => Seen {
                seconds: old.seconds + (new.seconds - old.seconds) * DRIFT,
                ..new
            },
            _ => new,
        });
    }

    /// The seconds that a record adds to a batch of about this size: by comparison with the batches whose size is the farthest from it. None if all were of
    /// about one size.
    pub fn of_record(&self, records: usize, now: Instant) -> Option<f64> {
        let own = self.seen[class(records)]?;
        let ratio = |other: &Seen| (other.records / own.records).log2().abs();
        let seen = self.seen.iter().flatten();
        let others = seen.filter(|other| now.saturating_duration_since(other.when) < BELIEVED);
        let other = others.max_by(|a, b| ratio(a).total_cmp(&ratio(b)))?;
        // Less than twice as many would say little.
        if ratio(other) < 1.0 {
            return None;
        }
        let slope = (own.seconds - other.seconds) / (own.records - other.records);
        Some(slope.max(0.0))
    }
}
