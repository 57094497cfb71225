//! The extension itself: its schema, and how its library was loaded.

use super::relation::{EXTENSION, text};
use pgrx::pg_sys;

/// The schema that holds the dialect's types and functions.
pub fn schema() -> String {
    let sql = "SELECT n.nspname::pg_catalog.text FROM pg_catalog.pg_extension AS e
        JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'redshift_streaming'";
    super::spi::first(sql, &[], super::spi::only).unwrap_or_default()
}

/// The version of the extension's objects in this database; `None` if it is not created.
pub fn version() -> Option<String> {
    if !super::relation::extension_exists() {
        return None;
    }
    let sql = "SELECT e.extversion FROM pg_catalog.pg_extension AS e WHERE e.extname = 'redshift_streaming'";
    super::spi::first(sql, &[], super::spi::only)
}

/// Can this library work with the objects of that version? It can if both are of one release, `x.y`: what the third number counts changes
/// nothing that a worker reads or writes.
pub fn is_understood(version: &str) -> bool {
    fn release(version: &str) -> &str {
        version
            .rsplit_once('.')
            .map_or(version, |(release, _)| release)
    }
    release(version) == release(env!("CARGO_PKG_VERSION"))
}

/// Is the extension created in this database, in a version that this library understands?
pub fn is_usable() -> bool {
    version().is_some_and(|version| is_understood(&version))
}

/// Is Postgres loading shared_preload_libraries, in the postmaster and not for a binary upgrade?
pub fn is_loading_at_start() -> bool {
    // SAFETY: reads variables of the process.
    unsafe { pg_sys::process_shared_preload_libraries_in_progress && !pg_sys::IsBinaryUpgrade }
}

/// Is the library in one of the preload settings of this session? (That it is loaded says nothing: calling a function of it loads it.)
pub fn is_preloaded() -> bool {
    [
        c"shared_preload_libraries",
        c"session_preload_libraries",
        c"local_preload_libraries",
    ]
    .iter()
    // SAFETY: the setting exists; its text belongs to Postgres and is copied.
    .filter_map(|setting| text(unsafe { pg_sys::GetConfigOption(setting.as_ptr(), true, false) }))
    .any(|libraries| libraries.split(',').any(is_this_library))
}

fn is_this_library(entry: &str) -> bool {
    let file = entry
        .trim()
        .trim_matches('"')
        .rsplit('/')
        .next()
        .unwrap_or_default();
    let name = file.strip_suffix(".so").unwrap_or(file);
    Some(name) == EXTENSION.to_str().ok()
}
