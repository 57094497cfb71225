//! Bounds only narrow what is read: no record that the conditions take is ever left out.

use super::*;
use proptest::prelude::*;

const ALL: [Comparison; 5] = [
    Comparison::Less,
    Comparison::LessOrEqual,
    Comparison::Equal,
    Comparison::GreaterOrEqual,
    Comparison::Greater,
];

fn holds(value: i64, comparison: Comparison, operand: i64) -> bool {
    match comparison {
        Comparison::Less => value < operand,
        Comparison::LessOrEqual => value <= operand,
        Comparison::Equal => value == operand,
        Comparison::GreaterOrEqual => value >= operand,
        Comparison::Greater => value > operand,
        Comparison::AnyOf => false,
    }
}

fn operands() -> impl Strategy<Value = i64> {
    prop_oneof![-2i64..12, Just(i64::MIN), Just(i64::MAX)]
}

proptest! {
    #[test]
    fn what_the_conditions_take_is_within(
        conditions in prop::collection::vec((0usize..3, 0usize..5, operands()), 0..5),
        list in prop::option::of(prop::collection::vec(-1i64..8, 0..4)),
        record in (0i64..10, 0i64..10, 0i64..10),
    ) {
        let mut bounds = Bounds::default();
        let (partition, offset, time) = record;
        let mut takes = true;
        let mut takes_partition = true;
        for (column, comparison, operand) in conditions {
            let (column, value) = [(BoundColumn::Partition, partition), (BoundColumn::Offset, offset), (BoundColumn::Timestamp, time)][column];
            let comparison = ALL[comparison];
            bounds.narrow(Bound { column, comparison }, Some(operand));
            takes &= holds(value, comparison, operand);
            takes_partition &= column != BoundColumn::Partition || holds(value, comparison, operand);
        }
        if let Some(list) = list {
            takes &= list.contains(&partition);
            takes_partition &= list.contains(&partition);
            bounds.only_partitions(list);
        }
        // Of partitions no more than that is read.
        prop_assert_eq!(bounds.has_partition(partition as i32), takes_partition);
        let is_within = bounds.has_partition(partition as i32)
            && (bounds.offsets.0..=bounds.offsets.1).contains(&offset)
            && bounds.timestamp_from.is_none_or(|from| time >= from);
        prop_assert!(!bounds.is_never && (is_within || !takes));
    }

    #[test]
    fn lists_of_shards_are_what_they_have_in_common(lists in prop::collection::vec(prop::collection::vec("[ab]{1,2} {0,2}", 0..5), 1..4), shard in "[ab]{1,2}") {
        let mut bounds = Bounds::default();
        for list in &lists {
            bounds.only_shards(list.clone());
        }
        let in_all = lists.iter().all(|list| list.iter().any(|id| id.trim_end() == shard));
        prop_assert_eq!(bounds.has_shard(&shard), in_all);
    }

    #[test]
    fn any_code_is_a_bound_or_none(code: i32) {
        prop_assert!(Bound::from_code(code).is_none_or(|bound| bound.to_code() == code));
    }
}

#[test]
fn each_bound_has_a_code() {
    for (column, _) in COLUMNS {
        for (comparison, _) in COMPARISONS {
            let bound = Bound { column, comparison };
            assert_eq!(Bound::from_code(bound.to_code()), Some(bound));
        }
    }
}

#[test]
fn a_comparison_with_null_is_never_true() {
    let mut bounds = Bounds::default();
    bounds.narrow(
        Bound {
            column: BoundColumn::Offset,
            comparison: Comparison::Equal,
        },
        None,
    );
    assert!(bounds.is_never);
}

#[test]
fn strategies_are_those_of_a_btree() {
    let found = (0..7).map(Comparison::of_btree_strategy);
    let expected = [None].into_iter().chain(ALL.map(Some)).chain([None]);
    assert!(found.eq(expected));
}

#[test]
fn explain_tells_parts_always() {
    let bound = |column, comparison| Bound { column, comparison };
    assert_eq!(
        explain(&[], BoundColumn::Shard),
        [(c"Shards", "all".to_owned())]
    );
    let told = explain(
        &[
            (
                bound(BoundColumn::Offset, Comparison::Greater),
                "5".to_owned(),
            ),
            (
                bound(BoundColumn::Offset, Comparison::LessOrEqual),
                "9".to_owned(),
            ),
        ],
        BoundColumn::Partition,
    );
    assert_eq!(
        told,
        [
            (c"Partitions", "all".to_owned()),
            (c"Offsets", "> 5 and <= 9".to_owned())
        ]
    );
}
