//! How far each partition has been read, and which have reached their end.

use crate::Error;

/// Offsets `start` (included) to `end` (excluded) of one partition. The end is fixed by the caller, as a rule the last
/// stable offset at the time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartitionRange {
    /// The partition.
    pub partition: i32,
    /// The first offset to read.
    pub start: i64,
    /// One past the last offset to read; an empty range is at its end already.
    pub end: i64,
}

/// No cluster has partitions with numbers like this; a larger one is a mistake that would cost memory.
const LARGEST_PARTITION: i32 = 1_000_000;

/// One partition. It is being read while `next < end`.
#[derive(Clone, Copy)]
struct Slot {
    next: i64,
    end: i64,
    /// librdkafka counts an event as if it were a record: a position up to here proves nothing.
    event_end: i64,
}

const NOT_READ: Slot = Slot {
    next: i64::MIN,
    end: i64::MIN,
    event_end: i64::MIN,
};

/// The partitions of one reader, found by number without hashing.
pub struct Partitions {
    slots: Vec<Slot>,
    unfinished: usize,
    finished: Vec<i32>,
}

impl Partitions {
    /// All at their starts.
    pub fn new(ranges: &[PartitionRange]) -> Result<Partitions, Error> {
        let mut partitions = Partitions {
            slots: Vec::new(),
            unfinished: 0,
            finished: Vec::new(),
        };
        for range in ranges {
            partitions.add(range)?;
        }
        Ok(partitions)
    }

    fn add(&mut self, range: &PartitionRange) -> Result<(), Error> {
        if !(0..=LARGEST_PARTITION).contains(&range.partition) || range.start < 0 {
            return Err(Error::Config(format!(
                "there is no partition {} from offset {}",
                range.partition, range.start
            )));
        }
        let index = range.partition as usize;
        if self.slots.len() <= index {
            self.slots.resize(index + 1, NOT_READ);
        }
        if self.slots[index].end != NOT_READ.end {
            return Err(Error::Config(format!(
                "partition {} is given twice",
                range.partition
            )));
        }
        let end = range.end.max(range.start);
        self.slots[index] = Slot {
            next: range.start,
            end,
            event_end: i64::MIN,
        };
        self.unfinished += usize::from(range.start < end);
        Ok(())
    }

    /// Whether a record of this partition and offset is wanted; counts it as read if so.
    #[inline]
    pub fn take(&mut self, partition: i32, offset: i64) -> bool {
        let Some(slot) = self.slots.get_mut(partition as usize) else {
            return false;
        };
        if offset < slot.next {
            return false;
        }
        let wanted = offset < slot.end;
        if wanted {
            slot.next = offset + 1;
        }
        if offset + 1 >= slot.end {
            self.finish(partition, wanted);
        }
        wanted
    }

    /// Everything before `offset` has been delivered, or will never be.
    pub fn reached(&mut self, partition: i32, offset: i64) {
        if let Some(slot) = self.reading(partition).filter(|slot| offset >= slot.end) {
            debug_assert!(slot.next < slot.end);
            self.finish(partition, false);
        }
    }

    /// As [`Partitions::reached`], for librdkafka's count of what it has handed out.
    pub fn reached_position(&mut self, partition: i32, position: i64) {
        if self
            .reading(partition)
            .is_some_and(|slot| position > slot.event_end)
        {
            self.reached(partition, position);
        }
    }

    /// An event with this offset went through the queue.
    pub fn saw_event(&mut self, partition: i32, offset: i64) {
        if let Some(slot) = self.slots.get_mut(partition as usize) {
            slot.event_end = slot.event_end.max(offset.saturating_add(1));
        }
    }

    /// `last_was_taken`: the record at hand brought `next` to the end already.
    fn finish(&mut self, partition: i32, last_was_taken: bool) {
        let slot = &mut self.slots[partition as usize];
        if !last_was_taken && slot.next >= slot.end {
            return;
        }
        slot.next = slot.end;
        self.unfinished -= 1;
        self.finished.push(partition);
    }

    fn reading(&self, partition: i32) -> Option<Slot> {
        self.slots
            .get(partition as usize)
            .copied()
            .filter(|slot| slot.next < slot.end)
    }

    /// Whether records of this partition are still wanted.
    pub fn is_reading(&self, partition: i32) -> bool {
        self.reading(partition).is_some()
    }

    /// Where to resume: the range's end once that is reached, whatever the last record's offset was.
    pub fn next_offset(&self, partition: i32) -> Option<i64> {
        self.slots
            .get(partition as usize)
            .filter(|slot| slot.end != NOT_READ.end)
            .map(|slot| slot.next)
    }

    /// The partitions that are still being read.
    pub fn unfinished(&self) -> impl Iterator<Item = i32> + '_ {
        let numbered = self.slots.iter().enumerate();
        numbered
            .filter(|(_, slot)| slot.next < slot.end)
            .map(|(index, _)| index as i32)
    }

    /// Whether all have reached their ends.
    pub fn all_finished(&self) -> bool {
        self.unfinished == 0
    }

    /// Those that have reached their ends since the last call.
    pub fn take_finished(&mut self) -> Vec<i32> {
        std::mem::take(&mut self.finished)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(start: i64, end: i64) -> Partitions {
        Partitions::new(&[PartitionRange {
            partition: 2,
            start,
            end,
        }])
        .unwrap()
    }

    #[test]
    fn the_last_record_ends_the_range() {
        let mut partitions = one(5, 7);
        assert!(partitions.take(2, 5));
        assert!(!partitions.all_finished());
        assert!(partitions.take(2, 6));
        assert!(partitions.all_finished());
        assert_eq!(partitions.take_finished(), [2]);
        assert_eq!(partitions.next_offset(2), Some(7));
    }

    #[test]
    fn a_record_past_the_end_ends_the_range_and_is_not_wanted() {
        let mut partitions = one(5, 7);
        assert!(!partitions.take(2, 9));
        assert!(!partitions.take(2, 10));
        assert!(partitions.all_finished());
        assert_eq!(partitions.take_finished(), [2]);
        assert_eq!(partitions.next_offset(2), Some(7));
    }

    #[test]
    fn no_record_is_wanted_twice() {
        let mut partitions = one(5, 9);
        assert!(partitions.take(2, 6));
        assert!(!partitions.take(2, 5));
        assert!(!partitions.take(2, 6));
        assert_eq!(partitions.next_offset(2), Some(7));
    }

    #[test]
    fn foreign_partitions_are_not_wanted() {
        let mut partitions = one(0, 9);
        assert!(!partitions.take(0, 0) && !partitions.take(3, 0) && !partitions.take(-1, 0));
        assert_eq!(partitions.next_offset(0), None);
    }

    #[test]
    fn an_empty_range_is_finished_at_once() {
        let partitions = one(7, 7);
        assert!(partitions.all_finished());
        assert_eq!(partitions.next_offset(2), Some(7));
    }

    #[test]
    fn the_end_of_the_log_ends_a_range_only_at_its_end() {
        let mut partitions = one(0, 9);
        partitions.reached(2, 8);
        assert!(partitions.is_reading(2));
        partitions.reached(2, 9);
        assert!(partitions.all_finished());
        assert_eq!(partitions.next_offset(2), Some(9));
    }

    #[test]
    fn a_position_that_an_event_explains_proves_nothing() {
        let mut partitions = one(0, 9);
        partitions.saw_event(2, 8);
        partitions.reached_position(2, 9);
        assert!(partitions.is_reading(2));
        partitions.reached_position(2, 10);
        assert!(partitions.all_finished());
    }

    #[test]
    fn mistakes_are_refused() {
        let range = |partition, start| PartitionRange {
            partition,
            start,
            end: 9,
        };
        for ranges in [
            vec![range(-1, 0)],
            vec![range(0, -2)],
            vec![range(0, 0), range(0, 1)],
            vec![range(i32::MAX, 0)],
        ] {
            assert!(
                matches!(Partitions::new(&ranges), Err(Error::Config(_))),
                "{ranges:?}"
            );
        }
    }
}
