//! From where to where a topic is read: what a view has stored against what the topic has now. Whatever cannot be read from where the view stands is a
//! loss, never silence.

use crate::loss::OnDataLoss;

#[cfg(test)]
mod tests;

/// What a view has stored of a partition.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// The partition.
    pub partition: i32,
    /// The next offset to read; `None` is the earliest that there is.
    pub position: Option<i64>,
    /// The topic's id when that was stored, if its brokers told.
    pub topic_id: Option<&'a str>,
}

/// A topic as its brokers describe it.
#[derive(Clone, Copy, Debug)]
pub struct Topic<'a> {
    /// Its id, if they tell.
    pub id: Option<&'a str>,
    /// Its partitions.
    pub partitions: &'a [i32],
}

/// What a partition that is to be read holds now.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// The partition.
    pub partition: i32,
    /// The earliest offset that still exists (or would be the first).
    pub earliest: i64,
    /// One past the last offset that may be read.
    pub end: i64,
}

/// Why a topic is another one than the positions belong to. (Offsets alone would not tell: a new topic may well have more records than the old one.)
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Difference {
    /// It has another id.
    Id {
        /// The stored one.
        old: String,
        /// Its own.
        new: String,
    },
    /// It lacks a partition that was read.
    Partition(i32),
}

/// Records that are not there any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// They were removed before they were read: from the position to the earliest that is left.
    Removed {
        /// The partition.
        partition: i32,
        /// Where the view stood.
        position: i64,
        /// Where the partition begins.
        earliest: i64,
    },
    /// The broker lost records that were read (its leader was elected uncleanly): from the end to the position.
    PastEnd {
        /// The partition.
        partition: i32,
        /// Where the view stood.
        position: i64,
        /// Where the partition ends.
        end: i64,
    },
}

/// What a view that takes no losses is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The topic is another one.
    Recreated(Difference),
    /// It is the same one, and has never had this partition, of which something is stored.
    Unknown(i32),
    /// The first loss.
    Lost(Loss),
}

/// A range of a partition that is to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// The partition.
    pub partition: i32,
    /// The first offset.
    pub from: i64,
    /// One past the last: fixed now, so that a refresh ends under constant load.
    pub end: i64,
}

/// What is to be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// A range, which may be empty, for each partition that is to be read.
    pub ranges: Vec<Range>,
    /// Where the view stood in the partitions of another topic of the same name: what that had from there on is given up.
    pub abandoned: Vec<(i32, i64)>,
    /// What is given up of this topic.
    pub lost: Vec<Loss>,
    /// Partitions that are stored and that the topic does not have: nothing of them will ever come.
    pub gone: Vec<i32>,
}

/// Compares what is stored, of the partitions that are to be read, with what they hold.
pub fn plan(
    topic: Topic,
    stored: &[Stored],
    held: &[Held],
    on_loss: OnDataLoss,
) -> Result<Plan, Refusal> {
    if let Some(row) = stored.iter().find(|row| is_of_none(topic, row)) {
        return Err(Refusal::Unknown(row.partition));
    }
    let difference = difference(topic, stored);
    let stood = |row: &Stored| Some((row.partition, row.position?));
    let abandoned = match difference {
        Some(_) => stored.iter().filter_map(stood).collect(),
        None => Vec::new(),
    };
    let mut lost = Vec::new();
    let range = |held: &Held| {
        let row = stored.iter().find(|row| row.partition == held.partition);
        let position = match row {
            _ if difference.is_some() => None,
            Some(row) => row.position,
            // A partition that came later is read from its first record, which has offset 0.
            None => Some(0),
        };
        let (from, loss) = start(held, position);
        lost.extend(loss);
        Range {
            partition: held.partition,
            from,
            end: held.end,
        }
    };
    let ranges = held.iter().map(range).collect();
    if on_loss == OnDataLoss::Fail {
        if let Some(difference) = difference {
            return Err(Refusal::Recreated(difference));
        }
        if let Some(loss) = lost.first() {
            return Err(Refusal::Lost(*loss));
        }
    }
    let is_gone = |partition: &i32| !topic.partitions.contains(partition);
    let known = stored.iter().map(|row| row.partition);
    Ok(Plan {
        ranges,
        abandoned,
        lost,
        gone: known.filter(is_gone).collect(),
    })
}

/// Has the same topic no such partition? None is ever taken from a topic: what is stored was damaged, whether losses are taken or not.
fn is_of_none(topic: Topic, row: &Stored) -> bool {
    let is_same = topic.id.is_some() && row.topic_id == topic.id;
    is_same && row.position.is_some() && !topic.partitions.contains(&row.partition)
}

fn difference(topic: Topic, stored: &[Stored]) -> Option<Difference> {
    stored
        .iter()
        .find_map(|row| match (row.topic_id, topic.id) {
            (Some(old), Some(new)) if old != new => Some(Difference::Id {
                old: old.to_owned(),
                new: new.to_owned(),
            }),
            _ if row.position.is_some() && !topic.partitions.contains(&row.partition) => {
                Some(Difference::Partition(row.partition))
            }
            _ => None,
        })
}

/// Where to begin: at the position, unless its record is gone.
fn start(held: &Held, position: Option<i64>) -> (i64, Option<Loss>) {
    let Held {
        partition,
        earliest,
        end,
    } = *held;
    let Some(position) = position else {
        return (earliest, None);
    };
    if position > end {
        // What comes next is new.
        let loss = Loss::PastEnd {
            partition,
            position,
            end,
        };
        return (end, Some(loss));
    }
    if position < earliest {
        let loss = Loss::Removed {
            partition,
            position,
            earliest,
        };
        return (earliest, Some(loss));
    }
    (position, None)
}
