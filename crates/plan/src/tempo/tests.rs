//! A feed is played with a clock of its own, against views whose batches cost a part each and a part for each record.

use super::*;
use proptest::prelude::*;

fn limits(records: usize, window: Duration, per_second: Option<f64>) -> Limits {
    Limits {
        records,
        bytes: 1 << 20,
        window,
        per_second,
    }
}

/// What a batch costs.
#[derive(Clone, Copy)]
struct Costs {
    each: Duration,
    of_record: Duration,
}

impl Costs {
    fn of(self, records: usize) -> Duration {
        self.each + self.of_record * records as u32
    }
}

/// Loads full batches one after the other for so long. When each ended, and how many records it had.
fn load_backlog(
    tempo: &mut Tempo,
    costs: Costs,
    start: Instant,
    time: Duration,
) -> Vec<(Instant, usize)> {
    let mut now = start;
    let mut loaded = Vec::new();
    while now < start + time {
        if !tempo.may_gather(true, now) {
            now = tempo
                .opens_at()
                .unwrap()
                .max(now + Duration::from_micros(1));
            continue;
        }
        let (records, _) = tempo.batch();
        assert!(records >= 1);
        assert!(tempo.is_due(true, true, now));
        let took = costs.of(records);
        now += took;
        tempo.loaded(records, took, true, now);
        loaded.push((now, records));
    }
    loaded
}

proptest! {
    #[test]
    fn records_add_about_a_long_batch_to_what_any_batch_costs(
        each_ms in 0u64..3000, of_record_us in 1u64..20_000, most in 1usize..100_000
    ) {
        let costs = Costs { each: Duration::from_millis(each_ms), of_record: Duration::from_micros(of_record_us) };
        let mut tempo = Tempo::new(limits(most, Duration::ZERO, None), 1);
        let loaded = load_backlog(&mut tempo, costs, Instant::now(), Duration::from_secs(120));
        // Up to twice as many are tried where sizes are too near to each other to tell their parts, and again when what is known grows old.
        let settled = &loaded[loaded.len() / 2..];
        let share = |fits: &dyn Fn(usize, Duration) -> bool| {
            let fitting = settled.iter().filter(|(_, records)| fits(*records, costs.of_record * *records as u32));
            fitting.count() as f64 / settled.len() as f64
        };
        prop_assert!(share(&|records, added| records == 1 || added <= LONG_BATCH * 2) >= 0.75);
        prop_assert!(share(&|records, added| records * 2 >= most || added >= LONG_BATCH / 10) >= 0.75);
    }

    #[test]
    fn a_rate_limit_holds(rate in 1u32..50_000, slices in 1u32..5, window_ms in 0u64..2000) {
        let window = Duration::from_millis(window_ms);
        let mut tempo = Tempo::new(limits(1_000_000, window, Some(f64::from(rate))), slices);
        tempo.most_records = 1_000_000;
        let costs = Costs { each: Duration::from_millis(1), of_record: Duration::ZERO };
        let (start, time) = (Instant::now(), Duration::from_secs(20));
        let loaded = load_backlog(&mut tempo, costs, start, time);
        let records: usize = loaded.iter().map(|(_, records)| records).sum();
        let own = f64::from(rate) / f64::from(slices);
        let largest = loaded.iter().map(|(_, records)| *records).max().unwrap() as f64;
        prop_assert!(records as f64 <= own * time.as_secs_f64() + 2.0 * largest, "{records}");
        // And it is made use of.
        prop_assert!(records as f64 >= own * time.as_secs_f64() * 0.7 - largest, "{records} of {own} a second");
    }

    #[test]
    fn a_current_feed_commits_once_a_window(window_ms in 1u64..5000, gaps_ms in prop::collection::vec(1u64..3000, 1..60)) {
        let window = Duration::from_millis(window_ms);
        let mut tempo = Tempo::new(limits(1000, window, None), 1);
        let mut now = Instant::now();
        let mut last: Option<Instant> = None;
        for gap in gaps_ms {
            now += Duration::from_millis(gap);
            let may = tempo.may_gather(true, now);
            // The first record after a pause is not kept waiting.
            prop_assert_eq!(may, last.is_none_or(|last| now >= last + window));
            if may {
                prop_assert!(tempo.is_due(false, false, now));
                tempo.loaded(1, Duration::ZERO, true, now);
                last = Some(now);
            }
        }
    }

    #[test]
    fn a_batch_is_never_empty_nor_larger_than_its_limit(
        most in 1usize..10_000, batches in prop::collection::vec((0usize..20_000, 0u64..10_000, any::<bool>()), 0..40)
    ) {
        let mut tempo = Tempo::new(limits(most, Duration::ZERO, None), 1);
        let mut now = Instant::now();
        for (records, took_ms, is_alone) in batches {
            let took = Duration::from_millis(took_ms);
            now += took;
            tempo.loaded(records.min(tempo.batch().0), took, is_alone, now);
            let (records, bytes) = tempo.batch();
            prop_assert!((1..=most).contains(&records) && bytes == 1 << 20);
        }
    }
}

#[test]
fn a_very_long_batch_leaves_the_others_their_time() {
    let (start, took) = (Instant::now(), Duration::from_secs(3));
    for (is_alone, pause) in [(true, Duration::ZERO), (false, took * 4)] {
        let mut tempo = Tempo::new(limits(1000, Duration::ZERO, None), 1);
        tempo.loaded(100, took, is_alone, start);
        assert_eq!(tempo.opens_at(), Some(start + pause));
    }
}

#[test]
fn behind_is_who_has_more_than_a_batch_for_a_while() {
    let mut tempo = Tempo::new(limits(1000, Duration::ZERO, None), 1);
    let start = Instant::now();
    let after = |ms| start + Duration::from_millis(ms);
    assert_eq!(tempo.behind_since(), None);
    tempo.is_due(true, true, start);
    tempo.is_due(true, true, after(50));
    assert_eq!(tempo.behind_since(), Some(start));
    // The broker may have kept an answer back for a part of it.
    tempo.is_due(false, false, after(100));
    assert_eq!(tempo.behind_since(), Some(start));
    tempo.wait_anew(after(120));
    assert_eq!(tempo.behind_since(), Some(after(120)));
    tempo.is_due(false, false, after(250));
    assert_eq!(tempo.behind_since(), None);
    tempo.wait_anew(after(260));
    assert_eq!(tempo.behind_since(), None);
    // Room to fetch ahead is no use to whom a limit holds back.
    tempo.limits.per_second = Some(10.0);
    tempo.is_due(true, true, after(300));
    assert_eq!(tempo.behind_since(), None);
}

#[test]
fn a_window_that_is_not_open_waits_for_a_full_batch_and_memory() {
    let window = Duration::from_secs(1);
    let mut tempo = Tempo::new(limits(1000, window, None), 1);
    let start = Instant::now();
    let soon = start + Duration::from_millis(10);
    assert!(tempo.is_due(true, true, start));
    tempo.loaded(1000, Duration::ZERO, true, start);
    assert!(tempo.may_gather(true, soon) && !tempo.may_gather(false, soon));
    assert!(tempo.is_due(true, true, soon) && !tempo.is_due(false, true, soon));
    assert!(tempo.may_gather(false, start + window) && tempo.is_due(false, false, start + window));
}
