//! Every raw call into librdkafka, behind types that cannot be misused from safe code.
//!
//! The rules they keep: a queue, a topic, a message lives no longer than its [`Handle`]; the only
//! thing of ours that runs on librdkafka's threads is the callback that notes what is wrong with a broker's certificate
//! (those for errors and quotas run where a queue is polled), and the one that looks addresses up (resolve.rs); codes stay numbers, because a newer broker can send one that the
//! bound enum does not know.
#![allow(unsafe_code)]

mod code;
mod exit;
mod handle;
mod message;
mod request;
mod resolve;
mod wait;

pub use code::*;
pub use handle::*;
pub use message::*;
pub use request::*;
pub use wait::*;
