//! One entry for each setting and option: what it is called, may be and means.
//!
//! The extension defines its settings, reads and refuses options and words its messages by these entries; the tables of the documentation are written from
//! them (`tests/docs.rs`). Nothing here knows Postgres.

pub mod server;
pub mod session;
pub mod setting;
pub mod table;
mod value;
pub mod view;

pub use value::{Preset, Unit, Values, Whole, switch};
