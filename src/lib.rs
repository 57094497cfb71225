//! Redshift streaming ingestion for PostgreSQL.
use pgrx::prelude::*;

::pgrx::pg_module_magic!(name, version);

#[pg_extern]
fn probe() -> i32 { 1 }
