//! From where to where a refresh reads a topic: the checkpoints of the view against what the topic has now.

use super::Watermarks;
pub use super::position::Checkpoint;
use super::position::{Offset, at};
use crate::catalog::checkpoint::Damage;
use crate::catalog::ledger::{Failure, Reason};
use crate::catalog::materialized_view::MaterializedView;
use crate::catalog::position::State;
use crate::error;
use crate::source::Source;
use crate::source::plan::{Plan, Planned};
use plan::bounds::Bounds;
use plan::partitions::{self, Difference, Held, Loss, Range, Refusal, Stored, Topic};
use stream::{PartitionRange, TopicDescription};

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
pub fn plan<S: Source<Position = Offset, Reading = Vec<PartitionRange>>>(
    view: &MaterializedView,
    topic: &TopicDescription,
    stored: &[Checkpoint],
    (watermarks, left_out): (&[Watermarks], &[i32]),
    bounds: &Bounds,
) -> Plan<S> {
    let is_read = |row: &&Checkpoint| bounds.has_partition(row.part);
    let rows = stored.iter().filter(is_read).map(|row| Stored {
        partition: row.part,
        position: row.position.0,
        topic_id: row.source_id.as_deref(),
    });
    let held = watermarks.iter().map(|watermarks| Held {
        partition: watermarks.partition,
        earliest: watermarks.earliest,
        end: watermarks.latest,
    });
    let decided = partitions::plan(
        Topic {
            id: topic.topic_id.as_deref(),
            partitions: &topic.partitions,
        },
        &rows.collect::<Vec<_>>(),
        &held.collect::<Vec<_>>(),
        view.options.on_data_loss,
    )
    .unwrap_or_else(|refusal| refused(view, &topic.name, refusal));
    let planned = |(range, watermarks): (&Range, &Watermarks)| Planned {
        from: State::at(range.partition, Offset(Some(range.from))),
        end: Some(Offset(Some(range.end))),
        stored: stored.iter().find(|c| c.part == range.partition).cloned(),
        leader_epoch: watermarks.leader_epoch,
    };
    let filled = decided.ranges.iter().filter(|range| range.from < range.end);
    let abandoned = decided.abandoned.iter();
    let abandoned = abandoned.map(|(partition, at)| failure(*partition, *at, Reason::Recreated));
    Plan {
        parts: decided.ranges.iter().zip(watermarks).map(planned).collect(),
        reading: filled
            .map(|range| PartitionRange {
                partition: range.partition,
                start: range.from,
                end: range.end,
            })
            .collect(),
        lost: abandoned.chain(decided.lost.iter().map(lost)).collect(),
        source_id: topic.topic_id.clone(),
        gone: decided.gone,
        excluded: excluded(stored, topic.topic_id.as_ref(), left_out),
    }
}

/// The error of a view that takes no losses.
fn refused(view: &MaterializedView, topic: &str, refusal: Refusal) -> ! {
    let (id, view) = (view.id, &view.name());
    let error = match refusal {
        Refusal::Unknown(partition) => {
            Damage::unknown_part(partition.to_string()).raise::<Offset>(id)
        }
        Refusal::Recreated(Difference::Id { old, new }) => {
            let detail = format!("Its id was {old}, now it is {new}.");
            error::topic_recreated(view, topic, detail)
        }
        Refusal::Recreated(Difference::Partition(partition)) => {
            let detail = format!("It has no partition {partition} any more.");
            error::topic_recreated(view, topic, detail)
        }
        Refusal::Lost(Loss::Removed {
            partition,
            position,
            earliest,
        }) => error::position_passed(view, topic, partition, position, earliest),
        Refusal::Lost(Loss::PastEnd {
            partition,
            position,
            end,
        }) => error::position_past_end(view, topic, partition, position, end),
    };
    error.raise()
}

fn lost(loss: &Loss) -> Failure {
    match *loss {
        Loss::Removed {
            partition,
            position,
            earliest,
        } => failure(partition, position, Reason::Removed { until: earliest }),
        Loss::PastEnd {
            partition,
            position,
            end,
        } => failure(partition, end, Reason::Truncated { until: position }),
    }
}

fn failure(partition: i32, position: i64, reason: Reason) -> Failure {
    Failure {
        partition: partition.to_string(),
        position: position.to_string(),
        timestamp_type: "U",
        timestamp: None,
        reason,
    }
}
