//! How a worker follows topics.

use super::asking::{Topic, TopicAsking};
use super::clients::Clients;
use super::plan::{self, Checkpoint};
use super::position::Offset;
use super::tail::KafkaTail;
use super::{Kafka, Plan};
use crate::access::Access;
use crate::catalog::checkpoint;
use crate::catalog::materialized_view::MaterializedView;
use crate::pg::background::Failure;
use crate::pg::wait::WakeSet;
use crate::source::follow::{Follow, Place};
use ::plan::bounds::Bounds;
use stream::PartitionRange;

impl Follow for Kafka {
    type Clients = Clients;
    type Asking = TopicAsking;
    type Found = Topic;
    type Tail = KafkaTail;

    const TAKES_TURNS: bool = true;

    fn access(&self) -> Option<&Access> {
        Some(self.access())
    }

    fn has_client(&self, clients: &Clients) -> bool {
        clients.find(self).is_some()
    }

    fn ask(&self, name: &str, clients: &mut Clients, wake: &WakeSet) -> TopicAsking {
        let shared = clients.find(self);
        let shared = shared.unwrap_or_else(|| clients.add(self, false, wake));
        TopicAsking::begin(name, shared)
    }

    fn plan_found(
        &self,
        view: &MaterializedView,
        found: &Topic,
        stored: Vec<Checkpoint>,
        bounds: &Bounds,
    ) -> Plan {
        let (read, out) = found.parted(bounds);
        plan::plan(view, &found.description, &stored, (&read, &out), bounds)
    }

    fn left_out(found: &Topic, bounds: &Bounds) -> Vec<i32> {
        found.parted(bounds).1
    }

    fn follow(
        place: &Place<Kafka>,
        asking: TopicAsking,
        found: Topic,
        _reading: Vec<PartitionRange>,
        (clients, wake): (&mut Clients, &WakeSet),
    ) -> Result<KafkaTail, Failure> {
        KafkaTail::begin(place, asking, &found, clients, wake)
    }

    /// Workers that share a view lock different partitions.
    fn lock(mv_id: i64, partitions: &[i32]) -> Vec<Checkpoint> {
        checkpoint::lock_positions::<Offset>(mv_id, partitions)
    }
}
