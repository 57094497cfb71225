//! How long until something is tried or looked at again.

use std::time::Duration;

/// The first and the longest pause after an error.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// A view whose batch was cancelled since it took too long is left alone this many times as long: the others of the worker have the rest of the time.
const OTHERS_SHARE: u32 = 10;
const LONGEST: Duration = Duration::from_secs(3_600);
/// How soon a view is tried again that its owner has stopped: at once if the workers are told that the statement has ended.
const SOON: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// How often a topic is looked at: for new partitions, whether it is still the same one, and whether the leaders of its partitions answer.
pub const LOOK: Duration = Duration::from_secs(1);
/// The same where there are many topics: so much for each, up to the longest.
const LOOK_EACH: Duration = Duration::from_millis(300);
const LONGEST_LOOK: Duration = Duration::from_secs(10);

/// After so many errors in a row and one more: a little longer each time, and for each view (by its number) up to a quarter more, so that they do not all
/// come back in the same moment.
pub fn after_error(errors_before: u32, view: i64) -> Duration {
    let (first, longest) = RETRY;
    let pause = first
        .saturating_mul(1 << errors_before.min(10))
        .min(longest);
    let seed = u64::from(errors_before) + 1;
    let spread = view
        .unsigned_abs()
        .wrapping_mul(7919)
        .wrapping_add(seed * 104_729)
        % 1000;
    pause + pause.mul_f64(spread as f64 / 4000.0)
}

/// After a batch that was cancelled since it took so long.
pub fn after_timeout(took: Duration) -> Duration {
    took.saturating_mul(OTHERS_SHARE).min(LONGEST)
}

/// After a batch that a statement of the view's owner has stopped, if that asks for so much time.
pub fn after_statement(asked: Duration) -> Duration {
    asked.clamp(SOON.0, SOON.1)
}

/// Between two looks at one of so many topics. One that tells whether its server answers, or whose brokers are in trouble, is looked at often.
pub fn between_looks(topics: usize, is_often: bool) -> Duration {
    if is_often {
        return LOOK;
    }
    let many = LOOK_EACH.saturating_mul(u32::try_from(topics).unwrap_or(u32::MAX));
    many.clamp(LOOK, LONGEST_LOOK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pauses_after_errors_grow_and_are_spread(errors in 0u32..100, view: i64) {
            let pause = after_error(errors, view);
            let least = RETRY.0 * 2u32.pow(errors.min(6));
            prop_assert!(pause >= least.min(RETRY.1) && pause <= least.min(RETRY.1) * 5 / 4);
        }

        #[test]
        fn topics_share_the_looks_of_a_worker(topics: usize, is_often: bool) {
            let pause = between_looks(topics, is_often);
            prop_assert!((LOOK..=LONGEST_LOOK).contains(&pause) && (!is_often || pause == LOOK));
            // Three topics a second, until the longest pause.
            prop_assert!(is_often || pause == LONGEST_LOOK || pause >= LOOK_EACH * topics as u32);
        }

        #[test]
        fn others_have_the_most_of_the_time(took_ms in 0u64..10_000_000) {
            let took = Duration::from_millis(took_ms);
            prop_assert!(after_timeout(took) == LONGEST || after_timeout(took) == took * 10);
            prop_assert!((SOON.0..=SOON.1).contains(&after_statement(took)));
        }
    }

    #[test]
    fn views_do_not_come_back_in_one_moment() {
        let pauses: std::collections::BTreeSet<_> =
            (0..100).map(|view| after_error(3, view)).collect();
        assert!(pauses.len() > 90);
    }
}
