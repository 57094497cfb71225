//! Settings of Redshift's: booleans without a dot in their name, reported to the client, each with the alias `redshift.<name>`.
//!
//! A name without a dot in `postgresql.conf` keeps a server from starting that does not preload the library, so there stands the alias. It counts as
//! long as nothing set the name itself, which is what `SHOW` of the name tells.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use pgrx::pg_sys;
use settings::session::{self as entry, SessionSwitch};

use super::kind::kept;

/// One such setting.
pub struct SessionSetting {
    /// What Postgres writes; read through [`get`](Self::get).
    value: GucValue,
    /// Whether anything but the default set it.
    explicit: AtomicBool,
    alias: GucSetting<bool>,
}

/// A C `bool` that Postgres writes.
struct GucValue(std::cell::UnsafeCell<bool>);
// SAFETY: only the backend's one thread that may call Postgres touches it.
unsafe impl Sync for GucValue {}

impl SessionSetting {
    /// A setting that is its default until somebody sets it.
    const fn new(entry: &SessionSwitch) -> Self {
        let default = entry.default;
        SessionSetting {
            value: GucValue(std::cell::UnsafeCell::new(default)),
            explicit: AtomicBool::new(false),
            alias: GucSetting::<bool>::new(default),
        }
    }

    /// What holds in this session.
    pub fn get(&self) -> bool {
        if self.explicit.load(Ordering::Relaxed) {
            // SAFETY: as at `GucValue`.
            unsafe { *self.value.0.get() }
        } else {
            self.alias.get()
        }
    }

    fn define(
        &'static self,
        entry: &SessionSwitch,
        assign: unsafe extern "C-unwind" fn(bool, *mut c_void),
        show: unsafe extern "C-unwind" fn() -> *const c_char,
    ) {
        let description = kept(entry.summary);
        // SAFETY: plain values and functions that live as long as the library.
        unsafe {
            pg_sys::DefineCustomBoolVariable(
                kept(entry.name).as_ptr(),
                description.as_ptr(),
                ptr::null(),
                self.value.0.get(),
                *self.value.0.get(),
                pg_sys::GucContext::PGC_USERSET,
                pg_sys::GUC_REPORT as i32,
                Some(check),
                Some(assign),
                Some(show),
            );
        }
        GucRegistry::define_bool_guc(
            kept(&format!("redshift.{}", entry.name)),
            description,
            c"Counts as long as nothing sets the name without the prefix.",
            &self.alias,
            GucContext::Userset,
            GucFlags::default(),
        );
    }

    /// Postgres assigns a value that [`check`] has seen.
    fn assigned(&self, extra: *mut c_void) {
        self.explicit.store(!extra.is_null(), Ordering::Relaxed);
    }

    /// What `SHOW` prints.
    fn shown(&self) -> *const c_char {
        if self.get() { c"on" } else { c"off" }.as_ptr()
    }
}

/// Marks values that do not come from the default: Postgres keeps the mark with the value, through RESET, SET LOCAL and rollback.
unsafe extern "C-unwind" fn check(
    _: *mut bool,
    extra: *mut *mut c_void,
    source: pg_sys::GucSource::Type,
) -> bool {
    if source > pg_sys::GucSource::PGC_S_DEFAULT {
        // SAFETY: Postgres frees it by the function that belongs to this one.
        let mark = unsafe { crate::pg::polyfill::allocate_guc_extra(1) };
        if mark.is_null() {
            return false;
        }
        // SAFETY: a place of Postgres's for it.
        unsafe { *extra = mark };
    }
    true
}

/// Defines a static for each entry, its hooks, which C calls without telling for which, and `define` for all of them.
macro_rules! session_settings {
    ($($setting:ident)*) => {
        $(
            #[doc = concat!("[`entry::", stringify!($setting), "`]")]
            pub static $setting: SessionSetting = SessionSetting::new(&entry::$setting);
        )*

        /// Defines the settings; called once, when the library is loaded.
        pub fn define() {
            $({
                unsafe extern "C-unwind" fn assign(_: bool, extra: *mut c_void) {
                    $setting.assigned(extra);
                }
                unsafe extern "C-unwind" fn show() -> *const c_char {
                    $setting.shown()
                }
                $setting.define(&entry::$setting, assign, show);
            })*
        }
    };
}

session_settings! {
    NAVIGATE_SUPER_NULL_ON_ERROR
    CAST_SUPER_NULL_ON_ERROR
    PARSE_SUPER_NULL_ON_ERROR
    JSON_PARSE_DEDUP_ATTRIBUTES
    ENABLE_CASE_SENSITIVE_SUPER_ATTRIBUTE
    DEFAULT_ARRAY_SEARCH_NULL_HANDLING
}
