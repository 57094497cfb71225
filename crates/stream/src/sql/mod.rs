//! Streams that a database keeps itself: which partition a record goes to, how records are kept together, and what a transaction has not written yet. How
//! they are stored and numbered is for who has a database.

mod chunk;
mod horizon;
mod partitioner;
mod pending;

pub use chunk::{CHUNK_BYTES, Damaged, Entries, Entry, kept_records};
pub use horizon::{Horizon, Origin};
pub use partitioner::partition_of;
pub use pending::{Chunk, Pending};
