//! The memory of a worker, `redshift.memory_limit`: half is for the feed whose turn it is to fetch ahead for a backlog, a quarter for records that wait
//! for a window, an eighth for all readers that share clients. The rest is slack.

use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// A feed that has been behind for so long gets room.
const PATIENCE: Duration = Duration::from_millis(100);
/// So long it has it while others wait.
const TURN: Duration = Duration::from_secs(2);
/// And so long while nobody does.
const LONG_TURN: Duration = Duration::from_secs(10);

/// Bytes for the client of the feed whose turn it is.
pub fn of_turn(limit: usize) -> usize {
    limit / 2
}

/// Bytes of records that wait for a window.
pub fn of_gathered(limit: usize) -> usize {
    limit / 4
}

/// A stream whose readers hold whole pages has no use for less than one.
const PAGE: usize = 10 * 1024 * 1024;

/// Of one limit for all: the part of topics, that of streams, and that of topics which the database keeps. Streams have half where there is something
/// else beside them, and the topics of both kinds the same of what is left.
pub fn parts(limit: usize, has: [bool; 3]) -> [usize; 3] {
    let [has_topics, has_streams, has_own] = has;
    let has_any_topics = has_topics || has_own;
    let streams = if has_any_topics {
        (limit / 2).max(PAGE)
    } else {
        limit
    };
    let left = if has_streams {
        limit.saturating_sub(streams).max(limit / 4)
    } else {
        limit
    };
    let topics = if has_topics && has_own {
        left / 2
    } else {
        left
    };
    [topics, streams, topics]
}

/// Where the memory for records that wait for a window is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waiting {
    /// Some is free.
    Free,
    /// Used up, by this feed for one: it loads at once.
    Own,
    /// Used up by others.
    Others,
}

impl Waiting {
    /// For one of so many feeds. All of them have gathered so many bytes, this one `own` of them.
    pub fn of(limit: usize, gathered: usize, own: usize, feeds: usize) -> Waiting {
        let most = of_gathered(limit);
        if gathered < most {
            Waiting::Free
        } else if own >= most / feeds.max(1) {
            Waiting::Own
        } else {
            Waiting::Others
        }
    }
}

/// How a feed stands in the line for room.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Place {
    /// Since when more has been waiting for it than goes into a batch.
    pub behind_since: Option<Instant>,
    /// Since when it has room.
    pub room_since: Option<Instant>,
}

/// What changes: whose turn ends, and then whose begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Change {
    /// This feed shares clients again.
    pub ends: Option<usize>,
    /// This feed has room from now on.
    pub begins: Option<usize>,
}

/// Who has the client with room: one feed at a time, in turn, who has waited longest first.
pub fn turn(line: &[Place], now: Instant) -> Change {
    let for_long = |since: Instant| now.saturating_duration_since(since);
    let waiting = line.iter().enumerate().filter_map(|(index, place)| {
        let since = place.behind_since.filter(|_| place.room_since.is_none())?;
        (for_long(since) >= PATIENCE).then_some((since, index))
    });
    let begins = waiting.min_by_key(|(since, _)| *since).map(|(_, i)| i);
    let holder = line.iter().position(|place| place.room_since.is_some());
    let Some(holder) = holder else {
        return Change { ends: None, begins };
    };
    let Place {
        behind_since,
        room_since,
    } = line[holder];
    let held = room_since.map_or(Duration::ZERO, for_long);
    let is_over = match begins {
        Some(_) => behind_since.is_none() || held > TURN,
        None => behind_since.is_none() && held > LONG_TURN,
    };
    if is_over {
        let ends = Some(holder);
        Change { ends, begins }
    } else {
        Change::default()
    }
}
