//! From where to where a refresh reads a topic: the checkpoints of the view against what the topic has now.

use super::position::Offset;
use super::{Plan, Watermarks};
use crate::catalog::checkpoint;
use crate::catalog::ledger::{Failure, Reason};
use crate::catalog::materialized_view::MaterializedView;
use crate::catalog::options::OnDataLoss;
use crate::catalog::position::State;
use crate::error;
use crate::source::plan::Planned;
use plan::bounds::Bounds;
use stream::{PartitionRange, TopicDescription};

/// Where a view stands in one partition.
pub type Checkpoint = checkpoint::Checkpoint<Offset>;

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

/// What is to be stored of partitions that the definition leaves out, where that is new. One that has no row gets one: should the definition read it
/// later, then from its first record.
fn excluded(
    known: &[Checkpoint],
    topic_id: Option<&String>,
    partitions: &[i32],
) -> Vec<Checkpoint> {
    let row = |partition: &i32| {
        let stored = known.iter().find(|row| row.part == *partition);
        let new = || Checkpoint {
            source_id: topic_id.cloned(),
            ..at(*partition, Some(0))
        };
        let is_known = stored.is_some_and(|stored| stored.is_excluded);
        (!is_known).then(|| Checkpoint {
            is_excluded: true,
            ..stored.cloned().unwrap_or_else(new)
        })
    };
    partitions.iter().filter_map(row).collect()
}

/// Compares checkpoints and topic. The watermarks are of the partitions that the definition reads; beside them those that it does not. Of the latter
/// nothing is loaded, so nothing of them can be lost and their positions stay.
pub fn plan(
    view: &MaterializedView,
    topic: &TopicDescription,
    stored: &[Checkpoint],
    (watermarks, left_out): (&[Watermarks], &[i32]),
    bounds: &Bounds,
) -> Plan {
    let mut plan = Plan {
        parts: Vec::with_capacity(watermarks.len()),
        reading: Vec::new(),
        lost: Vec::new(),
        source_id: topic.topic_id.clone(),
        gone: Vec::new(),
        excluded: excluded(stored, topic.topic_id.as_ref(), left_out),
    };
    let is_read = |row: &&Checkpoint| bounds.has_partition(row.part);
    let checkpoints: Vec<Checkpoint> = stored.iter().filter(is_read).cloned().collect();
    let checkpoints = &checkpoints[..];
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
        let resume = match checkpoint {
            _ if recreated.is_some() => None,
            Some(checkpoint) => checkpoint.position.0,
            // A partition that came later is read from its first record, which has offset 0.
            None => Some(0),
        };
        let start = readable_start(view, &topic.name, partition, resume, &mut plan.lost);
        plan.parts.push(Planned {
            from: State::at(partition.partition, Offset(Some(start))),
            end: Some(Offset(Some(partition.latest))),
            stored: checkpoint.cloned(),
            leader_epoch: partition.leader_epoch,
        });
        if start < partition.latest {
            plan.reading.push(PartitionRange {
                partition: partition.partition,
                start,
                end: partition.latest,
            });
        }
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
