//! Words for the record that a refresh works on, for the CONTEXT of errors.

use crate::pg::current_record::{self, CurrentRecord};
use std::cell::{Cell, RefCell};

/// A batch of rows that lands together is not longer: so long it is remembered which record is which.
const REMEMBERED: usize = 2048;

/// The latest records in words. The strings stay, so that a record costs no allocation.
#[derive(Default)]
struct Recent {
    places: Vec<String>,
    next: u64,
}

thread_local! {
    static RECENT: RefCell<Recent> = RefCell::default();
    /// What is being read, in words.
    static STREAM: Cell<String> = const { Cell::new(String::new()) };
}

/// Says what is read from now on.
pub fn read_from(stream: String) {
    STREAM.set(stream);
}

/// The refresh works on a numbered record from now on.
#[inline]
pub fn work_on(partition: i32, offset: i64) {
    current_record::work_on(Some(CurrentRecord {
        at: (partition, offset),
        describe: describe_offset,
    }));
}

/// The refresh works on a record from now on that cannot be told by two numbers: `write` appends its place in words to an empty string.
pub fn remember(write: impl FnOnce(&mut String)) {
    RECENT.with_borrow_mut(|recent| {
        let at = recent.next as usize % REMEMBERED;
        if recent.places.len() <= at {
            recent.places.push(String::new());
        }
        let place = &mut recent.places[at];
        place.clear();
        write(place);
        current_record::work_on(Some(CurrentRecord {
            at: (0, recent.next as i64),
            describe: describe_remembered,
        }));
        recent.next += 1;
    });
}

fn describe_offset(partition: i32, offset: i64) -> Option<String> {
    Some(within_stream(&format!(
        "partition {partition}, offset {offset}"
    )))
}

fn describe_remembered(_: i32, number: i64) -> Option<String> {
    RECENT.with_borrow(|recent| {
        let is_known = recent.next - number as u64 <= REMEMBERED as u64;
        let place = recent.places.get(number as usize % REMEMBERED);
        place.filter(|_| is_known).map(|place| within_stream(place))
    })
}

fn within_stream(place: &str) -> String {
    let stream = STREAM.take();
    let text = format!("{stream}, {place}");
    STREAM.set(stream);
    text
}
