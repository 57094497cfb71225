//! Amazon Web Services beside the streams themselves: who a request is made as, tokens of MSK, and the few requests that need no service's own crate.

mod arn;
mod identity;
mod request;
mod token;

pub use arn::{Arn, is_region};
pub use identity::{Identity, Keys};
pub(crate) use request::kind_and_message;
pub use request::{BrokerAccess, Request, bootstrap_brokers, exported_certificate, secret};
pub use token::{Token, msk_token};
