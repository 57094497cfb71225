//! Redshift streaming ingestion for PostgreSQL.
#![deny(unsafe_code)]

pub mod api;
#[allow(unsafe_code)]
pub mod pg;
pub mod types;

::pgrx::pg_module_magic!(name, version);

/// Called by Postgres when it loads the library.
#[allow(unsafe_code)]
#[pgrx::pg_guard]
pub extern "C-unwind" fn _PG_init() {
    pg::analyze::install(types::super_guard::judge);
}
