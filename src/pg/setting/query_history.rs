//! The setting `redshift.query_history`.

use super::kind::{context, kept, name};
use crate::pg::guard::entry;
use pgrx::guc::{GucEnum, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};
use pgrx::pg_sys;
use settings::setting::QUERY_HISTORY;
use std::ffi::{c_int, c_void};

/// Values of `redshift.query_history`.
#[derive(Clone, Copy, PartialEq, Eq, PostgresGucEnum)]
pub enum QueryHistory {
    /// Refreshes only.
    #[name = c"refreshes"]
    Refreshes,
    /// Whatever clients send.
    #[name = c"all"]
    All,
}

/// Defines `redshift.query_history`.
pub fn define(setting: &'static GucSetting<QueryHistory>) {
    // SAFETY: the hook keeps to what check hooks may do.
    unsafe {
        GucRegistry::define_enum_guc_with_hooks(
            name(&QUERY_HISTORY),
            kept(QUERY_HISTORY.summary),
            kept(QUERY_HISTORY.details),
            setting,
            context(&QUERY_HISTORY),
            GucFlags::default(),
            Some(check_setting),
            None,
            None,
        );
    }
}

/// Says to whoever sets it that it has no effect without a monitor.
unsafe extern "C-unwind" fn check_setting(
    value: *mut c_int,
    _extra: *mut *mut c_void,
    source: pg_sys::GucSource::Type,
) -> bool {
    use pg_sys::GucSource::{PGC_S_SESSION, PGC_S_TEST};
    // SAFETY: Postgres calls it with the new value.
    let is_all = unsafe { *value } == QueryHistory::All.to_ordinal();
    if is_all
        && (source == PGC_S_SESSION || source == PGC_S_TEST)
        && !crate::pg::shared_memory::is_ready()
    {
        // SAFETY: a report at WARNING raises nothing.
        unsafe { entry(|| crate::pg::error::no_monitor().warn()) };
    }
    true
}
