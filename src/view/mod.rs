//! A streaming materialized view: an ordinary table, a hidden view with the definition, a registration.
//!
//! The statements of Postgres's that name it arrive here from `crate::entry::utility`.

pub mod alter;
pub mod check;
pub mod create;
pub mod definition;
pub mod landing_table;
pub mod options;
pub mod partition;
pub mod position;
pub mod start;

use crate::catalog::materialized_view::{self, MaterializedView};
use crate::error;
use crate::pg::relation::{self, Oid};
use crate::scan::job;

/// Is this table a streaming materialized view?
pub fn registered(table: Oid) -> bool {
    relation::is_table(table) && materialized_view::exists(table)
}

/// The streaming materialized view, which must be the current user's.
pub fn owned(table: Oid) -> MaterializedView {
    let name = relation::name(table)
        .unwrap_or_else(|| error::undefined_relation(&table.to_u32().to_string()).raise());
    let view = materialized_view::find(table)
        .unwrap_or_else(|| error::not_a_streaming_view(&name).raise());
    if !relation::is_owned_by_current_user(table) {
        error::not_owner(&name).raise();
    }
    view
}

/// The same for who is going to change it: not what a refresh or a batch of this very view runs.
pub fn owned_at_rest(table: Oid) -> MaterializedView {
    let view = owned(table);
    if job::loaded_table() == Some(table) {
        error::changes_itself(&view.name()).raise();
    }
    view
}
