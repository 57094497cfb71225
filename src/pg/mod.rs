//! Postgres's C interface. The only place in the extension with `unsafe`; what it gives to the rest is safe to use.

pub mod analyze;
pub mod datetime;
pub mod datum;
pub mod raise;
pub mod subscript;
