//! From where to where a refresh reads: the checkpoints of the view against what the topic has now.
//!
//! (The stream's position, not a checkpoint of WAL.) Whatever cannot be read from where the last refresh stopped is an error that names what is lost,
//! or, by `on_data_loss = 'continue'`, a logged loss: never silence.

use crate::catalog::checkpoint;
use crate::catalog::ledger::{Failure, Jump, Reason};
use crate::catalog::materialized_view::MaterializedView;
use crate::catalog::options::OnDataLoss;
use crate::catalog::position::Offset;
use crate::error;
use crate::source::Watermarks;
use plan::bounds::Bounds;
use stream::{PartitionRange, TopicDescription};

/// Where a view stands in one partition.
pub type Checkpoint = checkpoint::Checkpoint<Offset>;

/// What a refresh is to read.
pub struct Plan {
    /// One entry for each partition of the topic, in their order.
    pub partitions: Vec<Planned>,
    /// Losses that `on_data_loss = 'continue'` accepts.
    pub lost: Vec<Failure>,
    /// The topic's id.
    topic_id: Option<String>,
    /// Partitions without a checkpoint: they are new.
    has_new: bool,
    /// Checkpoints of partitions that a re-created topic, accepted by set_position, does not have any more.
    gone: Vec<i32>,
}

/// One partition: from the position to the end that is fixed now.
pub struct Planned {
    /// What to read.
    pub range: PartitionRange,
    /// What is stored.
    stored: Option<Checkpoint>,
    leader_epoch: Option<i32>,
}

/// A view that stands there in a partition.
pub fn at(partition: i32, position: Option<i64>) -> Checkpoint {
    Checkpoint {
        part: partition,
        position: Offset(position),
        source_id: None,
        caught_up_to: None,
        is_drained: false,
        is_excluded: false,
    }
}

/// Marks partitions of which the definition reads nothing. One that is new gets a row: should the definition read it later, then from its first record.
pub fn exclude(mv_id: i64, known: &[Checkpoint], topic_id: Option<&String>, excluded: &[i32]) {
    for partition in excluded {
        let stored = known.iter().find(|c| c.part == *partition);
        if stored.is_some_and(|stored| stored.is_excluded) {
            continue;
        }
        let new = || Checkpoint {
            source_id: topic_id.cloned(),
            ..at(*partition, Some(0))
        };
        let checkpoint = Checkpoint {
            is_excluded: true,
            ..stored.cloned().unwrap_or_else(new)
        };
        checkpoint::store(mv_id, &checkpoint, None);
    }
}

/// The checkpoints of partitions that the definition reads. Of the others nothing is loaded, so nothing of them can be lost and their positions stay.
pub fn read(checkpoints: &[Checkpoint], bounds: &Bounds) -> Vec<Checkpoint> {
    let is_read = |c: &&Checkpoint| bounds.has_partition(c.part);
    checkpoints.iter().filter(is_read).cloned().collect()
}

/// Compares checkpoints and topic. The watermarks are of the partitions that the definition reads.
pub fn plan(
    view: &MaterializedView,
    topic: &TopicDescription,
    checkpoints: &[Checkpoint],
    watermarks: &[Watermarks],
    bounds: &Bounds,
) -> Plan {
    if checkpoints.is_empty() {
        error::no_checkpoint(&view.name()).raise();
    }
    plan_some(view, topic, &read(checkpoints, bounds), watermarks)
}

/// The same for some partitions, of which all may be new: those that have watermarks here.
pub fn plan_some(
    view: &MaterializedView,
    topic: &TopicDescription,
    checkpoints: &[Checkpoint],
    watermarks: &[Watermarks],
) -> Plan {
    let mut plan = Plan {
        partitions: Vec::with_capacity(watermarks.len()),
        lost: Vec::new(),
        topic_id: topic.topic_id.clone(),
        has_new: false,
        gone: Vec::new(),
    };
    let recreated = difference(topic, checkpoints);
    if let Some(detail) = &recreated {
        accept_new_topic(view, topic, checkpoints, detail, &mut plan.lost);
    }
    let in_topic = |checkpoint: &&Checkpoint| topic.partitions.contains(&checkpoint.part);
    plan.gone = checkpoints
        .iter()
        .filter(|c| !in_topic(c))
        .map(|checkpoint| checkpoint.part)
        .collect();
    for partition in watermarks {
        let checkpoint = checkpoints.iter().find(|c| c.part == partition.partition);
        plan.has_new |= checkpoint.is_none();
        let resume = match checkpoint {
            _ if recreated.is_some() => None,
            Some(checkpoint) => checkpoint.position.0,
            // A partition that came later is read from its first record, which has offset 0.
            None => Some(0),
        };
        let start = readable_start(view, &topic.name, partition, resume, &mut plan.lost);
        plan.partitions.push(Planned {
            range: PartitionRange {
                partition: partition.partition,
                start,
                end: partition.latest,
            },
            stored: checkpoint.cloned(),
            leader_epoch: partition.leader_epoch,
        });
    }
    plan
}

/// Why this is another topic than the one that the positions belong to, if it is. (Offsets alone would not tell: a new topic may well have more records
/// than the old one.)
fn difference(topic: &TopicDescription, checkpoints: &[Checkpoint]) -> Option<String> {
    checkpoints.iter().find_map(
        |checkpoint| match (&checkpoint.source_id, &topic.topic_id) {
            (Some(old), Some(new)) if old != new => {
                Some(format!("Its id was {old}, now it is {new}."))
            }
            _ if checkpoint.position.0.is_some()
                && !topic.partitions.contains(&checkpoint.part) =>
            {
                Some(format!("It has no partition {} any more.", checkpoint.part))
            }
            _ => None,
        },
    )
}

/// Raises an error, or by `on_data_loss = 'continue'` logs what of the old topic may be lost.
fn accept_new_topic(
    view: &MaterializedView,
    topic: &TopicDescription,
    checkpoints: &[Checkpoint],
    detail: &str,
    lost: &mut Vec<Failure>,
) {
    if view.options.on_data_loss == OnDataLoss::Fail {
        error::topic_recreated(&view.name(), &topic.name, detail.to_owned()).raise();
    }
    lost.extend(checkpoints.iter().filter_map(|checkpoint| {
        Some(loss(
            checkpoint.part,
            checkpoint.position.0?,
            Reason::Recreated,
        ))
    }));
}

fn loss(partition: i32, position: i64, reason: Reason) -> Failure {
    Failure {
        partition: partition.to_string(),
        position: position.to_string(),
        timestamp_type: "U",
        timestamp: None,
        reason,
    }
}

/// Where to begin: the resume position, unless its record is gone.
fn readable_start(
    view: &MaterializedView,
    topic: &str,
    watermarks: &Watermarks,
    resume: Option<i64>,
    lost: &mut Vec<Failure>,
) -> i64 {
    let Watermarks {
        partition,
        earliest,
        latest,
        ..
    } = *watermarks;
    let Some(resume) = resume else {
        return earliest;
    };
    let goes_on = view.options.on_data_loss == OnDataLoss::Continue;
    if resume > latest {
        if !goes_on {
            error::position_past_end(&view.name(), topic, partition, resume, latest).raise();
        }
        // The broker lost records that were loaded already (its leader was elected uncleanly): what comes next is new.
        lost.push(loss(partition, latest, Reason::Truncated { until: resume }));
        return latest;
    }
    if resume >= earliest {
        return resume;
    }
    if !goes_on {
        error::position_passed(&view.name(), topic, partition, resume, earliest).raise();
    }
    lost.push(loss(partition, resume, Reason::Removed { until: earliest }));
    earliest
}

impl Plan {
    /// The ranges that hold something.
    pub fn ranges(&self) -> Vec<PartitionRange> {
        self.partitions
            .iter()
            .map(|planned| planned.range)
            .filter(|range| range.start < range.end)
            .collect()
    }

    /// The steps that accepted losses made: from where the view stood to where it goes on.
    pub fn jumps(&self) -> Vec<Jump> {
        let from = |planned: &Planned| match &planned.stored {
            Some(checkpoint) => checkpoint.position.0,
            // A new partition is read from its first record.
            None => Some(0),
        };
        self.partitions
            .iter()
            .filter_map(|planned| {
                let (from, to) = (from(planned)?, planned.range.start);
                (from != to).then(|| Jump {
                    partition: planned.range.partition.to_string(),
                    from: from.to_string(),
                    to: to.to_string(),
                    lost: true,
                })
            })
            .collect()
    }

    /// Leaves partitions out that were not read after all.
    pub fn keep_read(&mut self, bounds: &Bounds) {
        self.partitions
            .retain(|planned| bounds.has_partition(planned.range.partition));
    }

    /// Stores where the next refresh resumes; `reached` says where this one stopped in a partition, if that is not the fixed end.
    pub fn store(&self, mv_id: i64, reached: impl Fn(i32) -> Option<i64>) {
        for partition in &self.gone {
            checkpoint::remove(mv_id, *partition);
        }
        for planned in &self.partitions {
            let partition = planned.range.partition;
            let position = reached(partition).unwrap_or(planned.range.end);
            let checkpoint = Checkpoint {
                source_id: self.topic_id.clone(),
                ..at(partition, Some(position))
            };
            if planned.stored.as_ref() != Some(&checkpoint) {
                checkpoint::store(mv_id, &checkpoint, planned.leader_epoch);
            }
        }
        if self.has_new {
            checkpoint::touch_first(mv_id);
        }
    }
}
