//! Every error of ours: message, SQLSTATE, DETAIL and HINT. The only place where SQLSTATEs are chosen.
//!
//! Class RS is ours: states that only a streaming materialized view can be in. Messages name the view, topic, partition and position,
//! never an option's value that may be a secret.

mod landing;
mod option;
mod position;
mod schema;
mod source;
mod sql_stream;
mod view;

pub use crate::pg::error::out_of_memory;
pub use landing::*;
pub use option::*;
pub use position::*;
pub use schema::*;
pub use source::*;
pub use sql_stream::*;
pub use view::*;

/// The position is older than the earliest record: records are gone.
const POSITION_PASSED: [u8; 5] = *b"RS001";
/// The position is past the end of the partition.
const POSITION_PAST_END: [u8; 5] = *b"RS002";
/// The topic is not the one that the view has read.
const TOPIC_RECREATED: [u8; 5] = *b"RS003";
/// The view came from a backup or a copy and has not been adopted.
const RESTORED: [u8; 5] = *b"RS004";
/// Where the view stands cannot be read.
const POSITION_UNREADABLE: [u8; 5] = *b"RS005";
