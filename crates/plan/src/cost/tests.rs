use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_records_part_is_told_from_what_any_batch_costs(
        each_ms in 0.0f64..3000.0, of_record_us in 0.0f64..5000.0, small in 1usize..1000, times in 2usize..1000
    ) {
        let cost_of = |records: usize| Duration::from_secs_f64(each_ms / 1e3 + of_record_us / 1e6 * records as f64);
        let (mut cost, now) = (Cost::default(), Instant::now());
        let large = small * times;
        // A class that costs far more than it did before begins anew: the larger one first.
        cost.add(large, cost_of(large), now);
        prop_assert_eq!(cost.of_record(large, now), None);
        cost.add(small, cost_of(small), now);
        for records in [small, large] {
            if let Some(found) = cost.of_record(records, now) {
                prop_assert!((found * 1e6 - of_record_us).abs() < 1.0, "{found}");
            }
        }
        prop_assert!(cost.of_record(large, now).is_some() || class(small) + 1 >= class(large));
        // What was seen long ago says nothing.
        let later = now + BELIEVED;
        cost.add(small, cost_of(small), later);
        prop_assert_eq!(cost.of_record(small, later), None);
    }
}

#[test]
fn a_slower_batch_moves_what_is_known_slowly_and_a_faster_one_at_once() {
    let (mut cost, now) = (Cost::default(), Instant::now());
    let seconds = |cost: &Cost| cost.seen[class(100)].map(|seen| (seen.seconds * 1000.0).round());
    let ms = Duration::from_millis;
    cost.add(100, ms(100), now);
    cost.add(100, ms(200), now);
    assert_eq!(seconds(&cost), Some(125.0));
    cost.add(100, ms(50), now);
    assert_eq!(seconds(&cost), Some(50.0));
    // Another world: nothing of what was known holds.
    cost.add(1000, ms(60), now);
    cost.add(100, ms(1000), now);
    assert_eq!(seconds(&cost), Some(1000.0));
    assert!(cost.seen[class(1000)].is_none());
}
