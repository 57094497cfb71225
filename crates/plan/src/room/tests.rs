use super::*;
use proptest::prelude::*;

const STEP: Duration = Duration::from_millis(50);

/// What happens to a line of feeds whose backlogs come and go: each step says which feed becomes behind, or catches up.
fn play(feeds: usize, steps: &[usize], mut look: impl FnMut(&[Place], Change, Instant)) {
    let mut line = vec![Place::default(); feeds];
    let mut now = Instant::now();
    for step in steps {
        if let Some(place) = line.get_mut(*step) {
            place.behind_since = match place.behind_since {
                None => Some(now),
                Some(_) => None,
            };
        }
        let change = turn(&line, now);
        look(&line, change, now);
        if let Some(holder) = change.ends {
            line[holder].room_since = None;
            // To the end of the line.
            line[holder].behind_since = line[holder].behind_since.and(Some(now));
        }
        if let Some(next) = change.begins {
            line[next].room_since = Some(now);
        }
        now += STEP;
    }
}

proptest! {
    #[test]
    fn one_feed_at_a_time_has_room(feeds in 1usize..6, steps in prop::collection::vec(0usize..30, 1..300)) {
        play(feeds, &steps, |line, change, now| {
            let holders = line.iter().filter(|place| place.room_since.is_some()).count();
            assert!(holders <= 1);
            // Who begins follows one who ends, unless nobody has it, and has waited.
            assert_eq!(change.begins.is_some() && holders == 1, change.begins.is_some() && change.ends.is_some());
            if let Some(next) = change.begins {
                assert!(line[next].behind_since.is_some_and(|since| now - since >= PATIENCE));
                assert!(line[next].room_since.is_none());
            }
        });
    }

    #[test]
    fn who_stays_behind_gets_room_in_turn(feeds in 1usize..6) {
        // All become behind, and stay it.
        let steps: Vec<usize> = (0..feeds).chain(std::iter::repeat_n(usize::MAX, 500)).collect();
        let mut turns = Vec::new();
        play(feeds, &steps, |_, change, _| turns.extend(change.begins));
        let expected = (0..feeds).cycle().take(turns.len());
        prop_assert!(turns.iter().copied().eq(expected));
        prop_assert!(turns.len() >= feeds);
    }

    #[test]
    fn when_the_memory_is_used_up_somebody_loads(limit in 1usize..1 << 30, own in prop::collection::vec(0usize..1 << 28, 1..20)) {
        let gathered: usize = own.iter().sum();
        let states: Vec<Waiting> = own.iter().map(|own_bytes| Waiting::of(limit, gathered, *own_bytes, own.len())).collect();
        if gathered < limit / 4 {
            prop_assert!(states.iter().all(|state| *state == Waiting::Free));
        } else {
            // Whoever has most of it.
            let most = own.iter().zip(&states).max_by_key(|(bytes, _)| **bytes).map(|(_, state)| *state);
            prop_assert_eq!(most, Some(Waiting::Own));
        }
    }

    #[test]
    fn the_parts_stay_within_the_limit(limit in 0usize..1 << 40) {
        // Half, a quarter, and an eighth for readers that share clients.
        prop_assert!(of_turn(limit) + of_gathered(limit) + limit / 8 <= limit);
    }

    #[test]
    fn all_share_one_limit(limit in 14usize << 20..1 << 40, has in any::<[bool; 3]>()) {
        let parts = parts(limit, has);
        let taken: Vec<usize> = parts.into_iter().zip(has).filter_map(|(part, is_there)| is_there.then_some(part)).collect();
        prop_assert!(taken.iter().sum::<usize>() <= limit);
        prop_assert!(taken.iter().all(|part| *part >= limit / 8));
        prop_assert!(!has[1] || parts[1] >= PAGE);
        if let [alone] = taken[..] {
            prop_assert_eq!(alone, limit);
        }
    }
}
