//! Loading the library.

use pgrx::prelude::*;

::pgrx::pg_module_magic!(name, version);

/// Called by Postgres when it loads the library.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    super::memory::install();
    super_value::pace::ask_with(super::wait::interruption);
    crate::settings::define();
    super::analyze::install(crate::types::super_guard::judge);
    super::utility::install();
    super::hints::install();
    super::definition_guard::install();
    super::statement_clock::install();
    if super::extension::is_loading_at_start() {
        super::shared::request();
        super::statement_history::install();
        super::background::register_launcher();
    }
}
