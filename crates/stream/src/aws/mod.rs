//! Amazon Web Services beside the streams themselves: who a request is made as, and the few requests that need no service's own crate.

mod identity;

pub use identity::{Identity, Keys};
