//! A streaming materialized view: an ordinary table, a hidden view with the definition, a registration.
//!
//! The statements of Postgres's that name it arrive here from `crate::pg::utility`.

pub mod alter;
pub mod check;
pub mod create;
pub mod definition;
pub mod drop;
pub mod options;
pub mod pace;
pub mod start;

use crate::pg::relation::{self, Oid};

/// Is this table a streaming materialized view?
pub fn registered(table: Oid) -> bool {
    relation::is_table(table) && crate::catalog::materialized_view::exists(table)
}
