//! Loading the library.

use super::{definition_guard, hints, statement_clock, statement_history, utility};
use crate::pg::{
    analyze, background, batch_table, extension, failed_refresh, memory, setting, shared,
    shared_memory, statement_ring, wait,
};
use crate::types::super_guard;
use pgrx::prelude::*;

::pgrx::pg_module_magic!(name, version);

/// Called by Postgres when it loads the library.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    memory::install();
    super_value::pace::ask_with(wait::interruption);
    setting::define();
    analyze::install(super_guard::judge);
    utility::install();
    hints::install();
    definition_guard::install();
    statement_clock::install(statement_history::has_run);
    if extension::is_loading_at_start() {
        shared::request();
        failed_refresh::request();
        statement_ring::request();
        batch_table::request();
        shared_memory::set_ready();
        statement_history::install();
        background::register_launcher();
    }
}
