//! Marks by which the hooks tell what a refresh does with a hidden view from what anybody else does.

use super::relation::Oid;
use std::cell::Cell;

thread_local! {
    /// The hidden view that the plan of a refresh, which is about to be started, reads.
    static EXPECTED: Cell<Option<Oid>> = const { Cell::new(None) };
    /// Statements of ours run.
    static OURS: Cell<bool> = const { Cell::new(false) };
}

/// Starts the plan of a refresh of this hidden view: by `start`, and by no other plan, it may be read.
pub fn reading<T>(definition: Oid, start: impl FnOnce() -> T) -> T {
    let _mark = Mark::set(&EXPECTED, Some(definition), None);
    start()
}

/// The hidden view whose plan is being started, once: the mark goes with it.
pub fn take_expected() -> Option<Oid> {
    EXPECTED.take()
}

/// Runs a statement of ours, which may change a hidden view.
pub fn changing<T>(work: impl FnOnce() -> T) -> T {
    let _mark = Mark::set(&OURS, true, OURS.get());
    work()
}

/// Does a statement of ours run?
pub fn is_ours() -> bool {
    OURS.get()
}

/// A mark that goes when the value is dropped, on errors too.
struct Mark<T: Copy + 'static> {
    place: &'static std::thread::LocalKey<Cell<T>>,
    afterwards: T,
}

impl<T: Copy> Mark<T> {
    fn set(place: &'static std::thread::LocalKey<Cell<T>>, now: T, afterwards: T) -> Mark<T> {
        place.set(now);
        Mark { place, afterwards }
    }
}

impl<T: Copy> Drop for Mark<T> {
    fn drop(&mut self) {
        self.place.set(self.afterwards);
    }
}
