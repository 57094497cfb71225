//! How the positions of numbered records move while a worker follows a stream: of Kafka's topics, and of those that the database keeps.

use super::position::Offset;
use crate::catalog::position::State;
use crate::source::Source;
use crate::source::follow::{Batch, Move};
use std::collections::BTreeMap;
use std::rc::Rc;
use stream::PartitionRange;

/// One past the last record by partition.
pub(in crate::source) type Ends = BTreeMap<i32, i64>;

/// Partition and offset of what is stored.
pub(in crate::source) fn offsets(stored: &[State<Offset>]) -> impl Iterator<Item = (i32, i64)> {
    let offset = |state: &State<Offset>| Some((state.part, state.position.0?));
    stored.iter().filter_map(offset)
}

fn state(partition: i32, offset: i64) -> State<Offset> {
    State::at(partition, Offset(Some(offset)))
}

/// Where the partitions end, as positions.
pub(in crate::source) fn as_states(ends: &Ends) -> Vec<State<Offset>> {
    let ends = ends.iter();
    ends.map(|(partition, end)| state(*partition, *end))
        .collect()
}

/// How many records wait beyond these positions.
pub(in crate::source) fn waiting(stored: &[State<Offset>], ends: &Ends) -> u64 {
    let left = |(partition, position)| {
        let end = ends.get(&partition)?;
        u64::try_from(end - position).ok()
    };
    offsets(stored).filter_map(left).sum()
}

/// Past the next record of each partition that has one.
pub(in crate::source) fn next(stored: &[State<Offset>], ends: &Ends) -> Vec<State<Offset>> {
    let is_there =
        |(partition, position): &(i32, i64)| ends.get(partition).is_some_and(|end| end > position);
    let next = offsets(stored).filter(is_there);
    next.map(|(partition, position)| state(partition, position + 1))
        .collect()
}

/// A batch of what was gathered from these positions up to where the reader is in each partition.
pub(in crate::source) fn batch<S>(
    records: S::Records,
    stored: &[State<Offset>],
    reached: impl Fn(i32) -> Option<i64>,
) -> Batch<S>
where
    S: Source<Position = Offset, Reading = Vec<PartitionRange>>,
{
    let range = |(partition, start)| {
        let end = reached(partition)?;
        (end > start).then_some(PartitionRange {
            partition,
            start,
            end,
        })
    };
    let reading: Vec<PartitionRange> = offsets(stored).filter_map(range).collect();
    let moved = |range: &PartitionRange| Move {
        from: Offset(Some(range.start)),
        to: state(range.partition, range.end),
        is_new: false,
        is_noted: false,
    };
    Batch {
        records: Rc::new(records),
        moves: reading.iter().map(moved).collect(),
        reading,
    }
}
