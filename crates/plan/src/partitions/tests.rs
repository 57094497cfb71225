//! A topic lives, and a view follows it by plans: each record is read once, or is told as lost.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A partition of the topic: each offset has a record, of which no two are the same.
#[derive(Clone, Default)]
struct Partition {
    earliest: i64,
    records: Vec<u64>,
}

impl Partition {
    fn end(&self) -> i64 {
        self.earliest + self.records.len() as i64
    }
}

/// What happens to a topic.
#[derive(Clone, Debug)]
enum Event {
    Write(usize, u8),
    Expire(usize, u8),
    /// The last records are lost by the brokers.
    Truncate(usize, u8),
    Add,
    /// Another topic of the same name, with so many partitions.
    Recreate(u8),
    Refresh,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (0usize..4, 1u8..5).prop_map(|(at, count)| Event::Write(at, count)),
        2 => (0usize..4, 1u8..4).prop_map(|(at, count)| Event::Expire(at, count)),
        1 => (0usize..4, 1u8..4).prop_map(|(at, count)| Event::Truncate(at, count)),
        1 => Just(Event::Add),
        1 => (1u8..4).prop_map(Event::Recreate),
        4 => Just(Event::Refresh),
    ];
    prop::collection::vec(event, 0..40)
}

/// A topic and a view that follows it, with all that is known of both.
struct World {
    id: u64,
    has_ids: bool,
    partitions: Vec<Partition>,
    next_record: u64,
    stored: BTreeMap<i32, (Option<i64>, u64)>,
    read: BTreeSet<u64>,
    /// Records that are gone, with their topic, partition and offset.
    removed: Vec<(u64, u64, i32, i64)>,
    /// Of each topic and partition what the view has been told to be lost.
    told: Vec<(u64, i32, std::ops::Range<i64>)>,
}

impl World {
    fn new(partitions: usize, has_ids: bool) -> World {
        World {
            id: 1,
            has_ids,
            partitions: vec![Partition::default(); partitions],
            next_record: 0,
            stored: (0..partitions as i32).map(|p| (p, (Some(0), 1))).collect(),
            read: BTreeSet::new(),
            removed: Vec::new(),
            told: Vec::new(),
        }
    }

    fn remove(&mut self, at: usize, offset: i64, record: u64) {
        if !self.read.contains(&record) {
            self.removed.push((record, self.id, at as i32, offset));
        }
    }

    fn happen(&mut self, event: &Event) {
        let count = self.partitions.len();
        match *event {
            Event::Write(at, count_of) => {
                let records = self.next_record..self.next_record + u64::from(count_of);
                self.next_record = records.end;
                self.partitions[at % count].records.extend(records);
            }
            Event::Expire(at, most) => {
                let at = at % count;
                for _ in 0..most.min(self.partitions[at].records.len() as u8) {
                    let record = self.partitions[at].records.remove(0);
                    let offset = self.partitions[at].earliest;
                    self.partitions[at].earliest += 1;
                    self.remove(at, offset, record);
                }
            }
            Event::Truncate(at, most) => {
                let at = at % count;
                for _ in 0..most {
                    if let Some(record) = self.partitions[at].records.pop() {
                        let offset = self.partitions[at].end();
                        // One that was not read has never been for the view: its offset is given to another one.
                        if self.read.contains(&record) {
                            self.remove(at, offset, record);
                        }
                    }
                }
                // Seen before the partition grows again: after that nothing but the leader's epoch would tell.
                self.refresh(OnDataLoss::Continue);
            }
            Event::Add => self.partitions.push(Partition::default()),
            Event::Recreate(partitions) => {
                let old = std::mem::take(&mut self.partitions);
                for (at, partition) in old.iter().enumerate() {
                    for (index, record) in partition.records.iter().enumerate() {
                        self.remove(at, partition.earliest + index as i64, *record);
                    }
                }
                self.id += 1;
                let partitions = if self.has_ids {
                    partitions.into()
                } else {
                    old.len() - 1
                };
                self.partitions = vec![Partition::default(); partitions.max(1)];
            }
            Event::Refresh => self.refresh(OnDataLoss::Continue),
        }
    }

    fn plan(&self, on_loss: OnDataLoss) -> Result<Plan, Refusal> {
        let ids: Vec<(i32, Option<i64>, String)> = self
            .stored
            .iter()
            .map(|(p, (position, id))| (*p, *position, id.to_string()))
            .collect();
        let stored: Vec<Stored> = ids
            .iter()
            .map(|(partition, position, id)| Stored {
                partition: *partition,
                position: *position,
                topic_id: self.has_ids.then_some(id.as_str()),
            })
            .collect();
        let id = self.id.to_string();
        let partitions: Vec<i32> = (0..self.partitions.len() as i32).collect();
        let held: Vec<Held> = self
            .partitions
            .iter()
            .zip(&partitions)
            .map(|(partition, number)| Held {
                partition: *number,
                earliest: partition.earliest,
                end: partition.end(),
            })
            .collect();
        let topic = Topic {
            id: self.has_ids.then_some(id.as_str()),
            partitions: &partitions,
        };
        plan(topic, &stored, &held, on_loss)
    }

    fn refresh(&mut self, on_loss: OnDataLoss) {
        let plan = self.plan(on_loss).expect("losses are taken");
        // A view that takes none is told, exactly where there is one.
        let refusal = self.plan(OnDataLoss::Fail).err();
        assert_eq!(
            refusal.is_none(),
            plan.lost.is_empty() && plan.abandoned.is_empty(),
            "{refusal:?} {plan:?}"
        );
        for (partition, position) in &plan.abandoned {
            let rest = *position..i64::MAX;
            self.told.push((self.id - 1, *partition, rest));
        }
        for loss in &plan.lost {
            self.told.push(match *loss {
                Loss::Removed {
                    partition,
                    position,
                    earliest,
                } => (self.id, partition, position..earliest),
                Loss::PastEnd {
                    partition,
                    position,
                    end,
                } => (self.id, partition, end..position),
            });
        }
        for gone in &plan.gone {
            self.stored.remove(gone);
        }
        for range in &plan.ranges {
            let partition = &self.partitions[range.partition as usize];
            assert!(
                partition.earliest <= range.from
                    && range.from <= range.end
                    && range.end == partition.end()
            );
            for offset in range.from..range.end {
                let record = partition.records[(offset - partition.earliest) as usize];
                assert!(self.read.insert(record), "record {record} is read twice");
            }
            self.stored
                .insert(range.partition, (Some(range.end), self.id));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn each_record_is_read_once_or_told_as_lost(partitions in 1usize..4, events in events()) {
        let mut world = World::new(partitions, true);
        for event in &events {
            // Two topics later nobody can tell what the one between had: that one was never seen.
            if matches!(event, Event::Recreate(_)) {
                world.refresh(OnDataLoss::Continue);
            }
            world.happen(event);
            if matches!(event, Event::Recreate(_)) {
                world.refresh(OnDataLoss::Continue);
            }
        }
        world.refresh(OnDataLoss::Continue);
        for record in 0..world.next_record {
            let is_there = world.partitions.iter().any(|partition| partition.records.contains(&record));
            prop_assert!(!is_there || world.read.contains(&record), "record {} was passed", record);
        }
        for (record, id, partition, offset) in &world.removed {
            let is_told = world.told.iter().any(|(topic, part, range)| topic == id && part == partition && range.contains(offset));
            prop_assert!(is_told, "record {} of offset {} is lost in silence", record, offset);
        }
        // Nothing more to do.
        let plan = world.plan(OnDataLoss::Fail).unwrap();
        prop_assert!(plan.ranges.iter().all(|range| range.from == range.end) && plan.gone.is_empty());
    }

    #[test]
    fn a_plan_goes_forward_from_where_the_view_stands_unless_it_tells(position in prop::option::of(0i64..20), earliest in 0i64..20, length in 0i64..20) {
        let held = Held { partition: 3, earliest, end: earliest + length };
        let stored = [Stored { partition: 3, position, topic_id: Some("a") }];
        // A broker that does not tell ids is believed.
        for id in [Some("a"), None] {
            let topic = Topic { id, partitions: &[3] };
            let taken = plan(topic, &stored, &[held], OnDataLoss::Continue).unwrap();
            let [range] = taken.ranges[..] else { panic!() };
            prop_assert!(earliest <= range.from && range.from <= range.end && range.end == held.end);
            prop_assert_eq!(taken.lost.is_empty(), position.is_none_or(|position| position == range.from));
            let refused = plan(topic, &stored, &[held], OnDataLoss::Fail);
            match taken.lost.first() {
                None => prop_assert_eq!(refused, Ok(taken)),
                Some(loss) => prop_assert_eq!(refused, Err(Refusal::Lost(*loss))),
            }
        }
    }
}

#[test]
fn a_partition_that_came_later_is_read_from_its_first_record() {
    let topic = Topic {
        id: None,
        partitions: &[0, 1],
    };
    let stored = [Stored {
        partition: 0,
        position: Some(5),
        topic_id: None,
    }];
    let held = |earliest| {
        [
            Held {
                partition: 0,
                earliest: 0,
                end: 5,
            },
            Held {
                partition: 1,
                earliest,
                end: 9,
            },
        ]
    };
    let ranges = |plan: Plan| {
        plan.ranges
            .iter()
            .map(|range| (range.from, range.end))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        plan(topic, &stored, &held(0), OnDataLoss::Fail).map(ranges),
        Ok(vec![(5, 5), (0, 9)])
    );
    // Its first records were removed before anybody looked.
    let lost = Loss::Removed {
        partition: 1,
        position: 0,
        earliest: 4,
    };
    assert_eq!(
        plan(topic, &stored, &held(4), OnDataLoss::Fail),
        Err(Refusal::Lost(lost))
    );
}

#[test]
fn a_topic_is_another_one_by_its_id_or_by_a_partition_that_it_lacks() {
    let stored = |position, topic_id| {
        [
            Stored {
                partition: 0,
                position: Some(5),
                topic_id,
            },
            Stored {
                partition: 1,
                position,
                topic_id,
            },
        ]
    };
    let held = [Held {
        partition: 0,
        earliest: 0,
        end: 9,
    }];
    let given = |id, position, topic_id, on_loss| {
        let topic = Topic {
            id,
            partitions: &[0],
        };
        plan(topic, &stored(position, topic_id), &held, on_loss)
    };
    let refusal = |id, position| given(Some(id), position, Some("a"), OnDataLoss::Fail);
    let difference = Difference::Id {
        old: "a".to_owned(),
        new: "b".to_owned(),
    };
    assert_eq!(refusal("b", Some(1)), Err(Refusal::Recreated(difference)));
    // Brokers that tell no ids.
    assert_eq!(
        given(None, Some(1), None, OnDataLoss::Fail),
        Err(Refusal::Recreated(Difference::Partition(1)))
    );
    // The same topic never lacks one: it is the row that is wrong, and nothing else may be made of it.
    for on_loss in [OnDataLoss::Fail, OnDataLoss::Continue] {
        let refused = given(Some("a"), Some(1), Some("a"), on_loss);
        assert_eq!(refused, Err(Refusal::Unknown(1)));
    }
    // Of which nothing was read: its row goes, and nothing is lost.
    let plan = refusal("a", None).unwrap();
    assert_eq!(
        (plan.gone, plan.abandoned, plan.ranges[0].from),
        (vec![1], vec![], 5)
    );
}
