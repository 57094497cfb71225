use super::*;
use proptest::prelude::*;

fn views() -> impl Strategy<Value = Vec<(u8, i32)>> {
    prop::collection::vec((0u8..5, -1i32..20), 0..12)
}

proptest! {
    #[test]
    fn each_partition_of_each_view_is_one_workers(views in views(), workers in 1usize..17, partition in 0i32..1000) {
        let shares: Vec<_> = (0..workers).map(|worker| slices(Share { worker, workers }, &views)).collect();
        for view in 0..views.len() {
            let takers = shares.iter().filter(|share| share[view].is_some_and(|slice| slice.takes(partition)));
            prop_assert_eq!(takers.count(), 1);
        }
    }

    #[test]
    fn views_of_one_topic_are_together(views in views(), workers in 1usize..17, worker in 0usize..17) {
        let slices = slices(Share { worker: worker % workers, workers }, &views);
        for (one, a) in views.iter().zip(&slices) {
            for (other, b) in views.iter().zip(&slices) {
                prop_assert!(one != other || a == b);
            }
        }
    }

    #[test]
    fn no_worker_that_is_useful_is_idle(views in views().prop_filter("some", |views| !views.is_empty())) {
        // Of each topic the most divided view is divided among all workers that are useful for it, from a different one on.
        let useful = useful_workers(&views);
        let topics: std::collections::BTreeSet<u8> = views.iter().map(|view| view.0).collect();
        prop_assert!(useful >= topics.len());
        if views.iter().all(|view| view.1 <= 1) {
            for worker in 0..useful {
                let own = slices(Share { worker, workers: useful }, &views);
                prop_assert!(own.iter().any(Option::is_some));
            }
        }
    }

    #[test]
    fn a_view_is_cut_into_as_many_slices_as_it_says_and_workers_there_are(parallel in 1i32..20, workers in 1usize..17) {
        let share = |worker| slices(Share { worker, workers }, &[("topic", parallel)])[0];
        let taken: Vec<Slice> = (0..workers).filter_map(share).collect();
        let expected = (parallel as usize).min(workers);
        prop_assert_eq!(taken.len(), expected);
        prop_assert!(taken.iter().all(|slice| slice.of() as usize == expected));
    }
}
