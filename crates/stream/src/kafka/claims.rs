//! Which partitions a client reads: librdkafka keeps one position a partition, so a partition has one reader at a time.

use crate::Error;
use std::collections::{BTreeSet, HashMap};

/// The partitions that have a reader, by topic.
#[derive(Default)]
pub(super) struct Claims(HashMap<String, Claim>);

/// Those of one topic, all with the id that its readers expect.
struct Claim {
    topic_id: Option<String>,
    partitions: BTreeSet<i32>,
}

impl Claims {
    /// Marks partitions as being read; an error if one is already, or if partitions of another topic of that name are.
    pub(super) fn claim(
        &mut self,
        topic: &str,
        topic_id: Option<&str>,
        partitions: &[i32],
    ) -> Result<(), Error> {
        let refused = |partition: &i32, why: &str| {
            Err(Error::Config(format!(
                "topic \"{topic}\", partition {partition} {why}"
            )))
        };
        if let Some(claim) = self.0.get(topic) {
            let other_id = claim.topic_id.as_deref() != topic_id;
            if let Some(other) = claim.partitions.first().filter(|_| other_id) {
                return refused(other, "is being read as another topic");
            }
            if let Some(taken) = partitions.iter().find(|p| claim.partitions.contains(p)) {
                return refused(taken, "has a reader already");
            }
        }
        if !partitions.is_empty() {
            let claim = self.0.entry(topic.to_owned()).or_insert_with(|| Claim {
                topic_id: topic_id.map(str::to_owned),
                partitions: BTreeSet::new(),
            });
            claim.partitions.extend(partitions);
        }
        Ok(())
    }

    /// Ends the claim.
    pub(super) fn disclaim(&mut self, topic: &str, partitions: &[i32]) {
        let Some(claim) = self.0.get_mut(topic) else {
            return;
        };
        claim.partitions.retain(|p| !partitions.contains(p));
        if claim.partitions.is_empty() {
            self.0.remove(topic);
        }
    }
}
