//! JSON text to the stored form of SUPER, and reading that form; knows nothing of Postgres.
//!
//! A SUPER value is stored exactly as Postgres stores `jsonb`, byte for byte, so that everything Postgres has for `jsonb` works on it. This
//! crate builds that image straight from the bytes of a record:
//!
//! ```text
//! bytes --(index)--> where something begins --(grammar)--> it is a document, its containers --(image)--> jsonb image: keys sorted, duplicates
//!                                                                                                       dropped, numbers as numeric
//! ```
//!
//! [`Parser`] strings the three steps together and remembers the last document. [`Value`] reads an image and cuts parts out of it, [`compose`] makes new
//! ones from parts, [`text`] writes JSON; [`mod@array`], [`cast`], [`changes`], [`compare()`] and [`number`] hold what Redshift says of them. What it leaves to
//! others: memory that Postgres owns, error codes, SQL's other types.
//!
//! Values come from users, so growth that follows them is an error where memory ends ([`memory`]), long work asks whether to go on ([`pace`]), and
//! nothing takes time that grows with the square of its input.
#![deny(unsafe_code)]

pub mod array;
mod block;
pub mod cast;
pub mod changes;
mod compare;
pub mod compose;
mod container;
mod diagnose;
mod equality;
mod error;
mod escape;
mod grammar;
mod image;
mod index;
mod keys;
mod layout;
pub mod limits;
pub mod memory;
pub mod number;
mod numeric;
pub mod pace;
mod parser;
mod shape;
mod split;
pub mod text;
mod value;

pub use block::prefetch;
pub use compare::compare;
pub use container::{Attributes, Children};
pub use error::{JsonError, JsonErrorKind};
pub use memory::Limit;
pub use number::Number;
pub use parser::Parser;
pub use split::{Split, split};
pub use value::{Kind, Value};
