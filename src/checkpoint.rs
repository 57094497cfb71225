//! From where to where a refresh reads: the checkpoints of the view against what the topic has now.
//!
//! (The stream's position, not a checkpoint of WAL.) Whatever cannot be read from where the last refresh stopped is an error that names what is lost,
//! or, by `on_data_loss = 'continue'`, a logged loss: never silence.

use crate::catalog::checkpoint::{self, Checkpoint};
use crate::catalog::ledger::{Failure, Reason};
use crate::catalog::materialized_view::MaterializedView;
use crate::error;
use crate::source::Watermarks;
use crate::view::options::OnDataLoss;
use stream::{PartitionRange, TopicDescription};

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
#[derive(Clone, Copy)]
pub struct Planned {
    /// What to read.
    pub range: PartitionRange,
    /// The position that is stored.
    stored: Option<i64>,
    leader_epoch: Option<i32>,
}

/// Compares checkpoints and topic.
pub fn plan(
    view: &MaterializedView,
    topic: &TopicDescription,
    checkpoints: &[Checkpoint],
    watermarks: &[Watermarks],
) -> Plan {
    let name = view.name();
    if checkpoints.is_empty() {
        error::no_checkpoint(&name).raise();
    }
    let mut plan = Plan {
        partitions: Vec::with_capacity(watermarks.len()),
        lost: Vec::new(),
        topic_id: topic.topic_id.clone(),
        has_new: false,
        gone: Vec::new(),
    };
    for checkpoint in checkpoints {
        check_same_topic(&name, topic, checkpoint);
        if !topic.partitions.contains(&checkpoint.partition) {
            if checkpoint.position.is_some() {
                let detail = format!("It has no partition {} any more.", checkpoint.partition);
                error::topic_recreated(&name, &topic.name, detail).raise();
            }
            plan.gone.push(checkpoint.partition);
        }
    }
    for partition in watermarks {
        let checkpoint = checkpoints.iter().find(|c| c.partition == partition.partition);
        plan.has_new |= checkpoint.is_none();
        // A partition that came later is read from its first record, which has offset 0.
        let resume = checkpoint.map_or(Some(0), |checkpoint| checkpoint.position);
        let start = readable_start(view, &topic.name, partition, resume, &mut plan.lost);
        plan.partitions.push(Planned {
            range: PartitionRange { partition: partition.partition, start, end: partition.latest },
            stored: checkpoint.and_then(|checkpoint| checkpoint.position),
            leader_epoch: partition.leader_epoch,
        });
    }
    plan
}

/// Raises an error if the broker says that this is another topic than the one the position belongs to. (Offsets alone would not tell: a new topic may
/// well have more records than the old one.)
fn check_same_topic(view: &str, topic: &TopicDescription, checkpoint: &Checkpoint) {
    if let (Some(old), Some(new)) = (&checkpoint.topic_id, &topic.topic_id)
        && old != new
    {
        let detail = format!("Its id was {old}, now it is {new}.");
        error::topic_recreated(view, &topic.name, detail).raise();
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
    let Watermarks { partition, earliest, latest, .. } = *watermarks;
    let Some(resume) = resume else { return earliest };
    if resume > latest {
        error::position_past_end(&view.name(), topic, partition, resume, latest).raise();
    }
    if resume >= earliest {
        return resume;
    }
    if view.options.on_data_loss == OnDataLoss::Fail {
        error::position_passed(&view.name(), topic, partition, resume, earliest).raise();
    }
    lost.push(Failure {
        partition,
        position: resume,
        timestamp_type: "U",
        timestamp: None,
        reason: Reason::Lost { until: earliest },
    });
    earliest
}

impl Plan {
    /// The ranges that hold something.
    pub fn ranges(&self) -> Vec<PartitionRange> {
        self.partitions.iter().map(|planned| planned.range).filter(|range| range.start < range.end).collect()
    }

    /// Stores where the next refresh resumes; `reached` says where this one stopped in a partition, if that is not the fixed end.
    pub fn store(&self, mv_id: i64, reached: impl Fn(i32) -> Option<i64>) {
        for partition in &self.gone {
            checkpoint::remove(mv_id, *partition);
        }
        for planned in &self.partitions {
            let partition = planned.range.partition;
            let position = reached(partition).unwrap_or(planned.range.end);
            if planned.stored != Some(position) {
                let checkpoint =
                    Checkpoint { partition, position: Some(position), topic_id: self.topic_id.clone() };
                checkpoint::store(mv_id, &checkpoint, planned.leader_epoch);
            }
        }
        if self.has_new {
            checkpoint::touch_first(mv_id);
        }
    }
}
