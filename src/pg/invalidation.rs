//! Tells when something may have changed that was looked up before: what a worker needs of a view is kept from batch to batch until then.

use super::relation::Oid;
use pgrx::pg_sys;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;

thread_local! {
    static CHANGES: Cell<u64> = const { Cell::new(0) };
    static SOURCES_CHANGED: Cell<bool> = const { Cell::new(false) };
    static WATCHED: RefCell<Option<HashSet<Oid>>> = const { RefCell::new(None) };
}

/// Counts changes of what is watched. A value that was looked up at one count holds as long as the count is the same; invalidations arrive when
/// a lock is taken, so the count is to be read after the lock.
pub fn changes() -> u64 {
    CHANGES.get()
}

/// Everything that was looked up is to be looked up again.
pub fn forget() {
    CHANGES.set(CHANGES.get().wrapping_add(1));
}

/// Counts changes of this relation from now on, and those of any schema (names).
pub fn watch(relation: Oid) {
    let first = WATCHED.with_borrow_mut(|watched| {
        let first = watched.is_none();
        watched.get_or_insert_default().insert(relation);
        first
    });
    if first {
        // SAFETY: registered once a process.
        unsafe {
            let nothing = pg_sys::Datum::from(0);
            pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), nothing);
            let schemas = pg_sys::SysCacheIdentifier::NAMESPACEOID as i32;
            pg_sys::CacheRegisterSyscacheCallback(schemas, Some(schema_changed), nothing);
        }
    }
}

/// Tells everybody who watches this relation that what he knows of it is old, when the transaction commits.
pub fn tell(relation: Oid) {
    // SAFETY: the relation is there.
    unsafe { pg_sys::CacheInvalidateRelcacheByRelid(relation) }
}

/// From now on changes of foreign servers, foreign tables and user mappings are noticed. Called once a process.
pub fn watch_sources() {
    use pg_sys::SysCacheIdentifier::{FOREIGNSERVEROID, FOREIGNTABLEREL, USERMAPPINGOID};
    for cache in [FOREIGNSERVEROID, FOREIGNTABLEREL, USERMAPPINGOID] {
        // SAFETY: there is room for a few callbacks a process.
        unsafe {
            let nothing = pg_sys::Datum::from(0);
            pg_sys::CacheRegisterSyscacheCallback(cache as i32, Some(source_changed), nothing);
        }
    }
}

/// Has one of them changed since this was last asked?
pub fn take_source_change() -> bool {
    SOURCES_CHANGED.take()
}

unsafe extern "C-unwind" fn source_changed(
    _argument: pg_sys::Datum,
    _cache: std::ffi::c_int,
    _hash: u32,
) {
    SOURCES_CHANGED.set(true);
}

/// Called by Postgres wherever it accepts invalidations; InvalidOid stands for all relations.
unsafe extern "C-unwind" fn relation_changed(_argument: pg_sys::Datum, relation: Oid) {
    let watched = relation == pg_sys::InvalidOid
        || WATCHED.with(|watched| match watched.try_borrow() {
            Ok(watched) => watched.as_ref().is_some_and(|set| set.contains(&relation)),
            Err(_) => true,
        });
    if watched {
        forget();
    }
}

unsafe extern "C-unwind" fn schema_changed(
    _argument: pg_sys::Datum,
    _cache: std::ffi::c_int,
    _hash: u32,
) {
    forget();
}
