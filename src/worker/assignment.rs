//! What a worker has to do.

use crate::catalog::pace::Pace;
use crate::pg::relation::Oid;
use plan::share::Slice;

/// What of a view a worker follows, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Assignment {
    /// The view.
    pub mv_id: i64,
    /// Its table.
    pub table: Oid,
    /// The partitions that are this worker's.
    pub slice: Slice,
    /// Options of the view.
    pub pace: Pace,
}
