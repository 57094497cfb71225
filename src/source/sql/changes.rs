//! Streams of which this transaction has removed records. As long as it may be rolled back nobody can say what the last number of a partition is but others, who
//! do not see what it has removed: so it gives no numbers.

use crate::pg::relation::Oid;
use std::cell::RefCell;
use std::collections::HashSet;

thread_local! {
    static CHANGED: RefCell<HashSet<Oid>> = RefCell::default();
}

/// Records of the stream with this table are being removed.
pub fn mark(table: Oid) {
    CHANGED.with_borrow_mut(|changed| changed.insert(table));
}

/// Has this transaction removed some? If a savepoint took that back: as if it had.
pub fn is_changed(table: Oid) -> bool {
    CHANGED.with_borrow(|changed| changed.contains(&table))
}

/// The transaction is over.
pub fn forget() {
    CHANGED.take();
}
