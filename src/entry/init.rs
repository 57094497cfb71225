//! Loading the library.

use pgrx::prelude::*;

::pgrx::pg_module_magic!(name, version);

/// Called by Postgres when it loads the library.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    crate::pg::memory::install();
    super_value::pace::ask_with(crate::pg::wait::interruption);
    crate::pg::setting::define();
    crate::pg::analyze::install(crate::types::super_guard::judge);
    super::utility::install();
    super::hints::install();
    super::definition_guard::install();
    super::statement_clock::install();
    if crate::pg::extension::is_loading_at_start() {
        crate::pg::shared::request();
        super::statement_history::install();
        crate::pg::background::register_launcher();
    }
}
