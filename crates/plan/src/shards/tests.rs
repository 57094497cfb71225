//! Of each shard that has records somebody reads, from where the view stands; what expired unread is told.

use super::*;
use proptest::prelude::*;

const NAMES: [&str; 6] = ["s0", "s1", "s2", "s3", "s4", "s5"];

/// A row: shard, position, age of the parity, drained.
type Row = (usize, u32, Option<i64>, bool);

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (
        0usize..6,
        any::<u32>(),
        prop::option::of(0i64..200),
        any::<bool>(),
    );
    prop::collection::vec(row, 1..6).prop_map(|mut rows| {
        rows.sort_by_key(|row| row.0);
        rows.dedup_by_key(|row| row.0);
        rows
    })
}

fn stored<'a>(rows: &'a [Row], created: Option<&'a str>) -> Vec<Stored<'a, u32>> {
    let row = |(shard, position, caught_up_to, is_drained): &'a Row| Stored {
        shard: NAMES[*shard],
        position,
        created,
        caught_up_to: *caught_up_to,
        is_drained: *is_drained,
    };
    rows.iter().map(row).collect()
}

proptest! {
    #[test]
    fn every_shard_is_read_from_where_the_view_stands_or_is_drained(rows in rows(), shown in prop::sample::subsequence(NAMES.to_vec(), 0..6), oldest in 0i64..200) {
        let stream = Stream { created: "1", oldest, shards: &shown };
        let stored = stored(&rows, Some("1"));
        let taken = plan(stream, &stored, OnDataLoss::Continue).unwrap();
        for shard in &shown {
            let row = stored.iter().find(|row| row.shard == *shard);
            let read = taken.reads.iter().find(|read| read.shard == *shard);
            match row {
                Some(row) if row.is_drained => prop_assert!(read.is_none()),
                row => prop_assert_eq!(read.unwrap().from, row.map(|row| row.position)),
            }
        }
        prop_assert!(taken.reads.iter().all(|read| shown.contains(&read.shard)));
        // A row goes with the last record of its shard, not before.
        for row in &stored {
            prop_assert_eq!(taken.gone.contains(&row.shard), !shown.contains(&row.shard));
            let may_lack = !row.is_drained && row.caught_up_to.is_some_and(|time| time < oldest);
            let told = taken.lost.iter().find(|loss| loss.shard == row.shard);
            prop_assert_eq!(told.copied(), may_lack.then(|| Loss { shard: row.shard, from: row.caught_up_to.unwrap(), until: oldest }));
        }
        let refused = plan(stream, &stored, OnDataLoss::Fail);
        match taken.lost.first() {
            None => prop_assert_eq!(refused, Ok(taken)),
            Some(loss) => prop_assert_eq!(refused, Err(Refusal::Lost(*loss))),
        }
    }

    #[test]
    fn another_stream_is_read_from_its_start(rows in rows(), shown in prop::sample::subsequence(NAMES.to_vec(), 0..6)) {
        let stream = Stream { created: "2", oldest: 0, shards: &shown };
        let stored = stored(&rows, Some("1"));
        prop_assert_eq!(plan(stream, &stored, OnDataLoss::Fail), Err(Refusal::Recreated { old: "1" }));
        let taken = plan(stream, &stored, OnDataLoss::Continue).unwrap();
        let read: Vec<&str> = taken.reads.iter().map(|read| read.shard).collect();
        prop_assert_eq!(&read, &shown);
        prop_assert!(taken.reads.iter().all(|read| read.from.is_none()));
        let unread: Vec<&str> = stored.iter().filter(|row| !row.is_drained).map(|row| row.shard).collect();
        prop_assert!(taken.lost.is_empty() && taken.abandoned == unread);
    }
}

#[test]
fn a_shard_that_was_cut_hands_over_to_its_children() {
    let stream = Stream {
        created: "1",
        oldest: 100,
        shards: &["parent", "left", "right"],
    };
    let row = |is_drained| Stored {
        shard: "parent",
        position: &7,
        created: Some("1"),
        caught_up_to: Some(150),
        is_drained,
    };
    let reads = |is_drained| {
        plan(stream, &[row(is_drained)], OnDataLoss::Fail)
            .unwrap()
            .reads
    };
    let read = |shard, from| Read { shard, from };
    assert_eq!(
        reads(false),
        [
            read("parent", Some(&7)),
            read("left", None),
            read("right", None)
        ]
    );
    assert_eq!(reads(true), [read("left", None), read("right", None)]);
}

#[test]
fn what_nobody_knows_to_be_another_stream_is_the_same_one() {
    let stream = Stream {
        created: "2",
        oldest: 0,
        shards: &["s0"],
    };
    let rows = [(0, 7, None, false)];
    let plan = plan(stream, &stored(&rows, None), OnDataLoss::Fail).unwrap();
    assert_eq!(
        plan.reads,
        [Read {
            shard: "s0",
            from: Some(&7)
        }]
    );
}
