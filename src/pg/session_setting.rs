//! Settings of Redshift's: booleans without a dot in their name, reported to the client, each with the alias `redshift.<name>`.
//!
//! A name without a dot in `postgresql.conf` keeps a server from starting that does not preload the library, so there stands the alias. It counts as
//! long as nothing set the name itself, which is what `SHOW` of the name tells.

use std::ffi::{CStr, c_char, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use pgrx::pg_sys;

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
    /// A setting that is `default` until somebody sets it.
    const fn new(default: bool) -> Self {
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
        name: &'static CStr,
        alias: &'static CStr,
        description: &'static CStr,
        assign: unsafe extern "C-unwind" fn(bool, *mut c_void),
        show: unsafe extern "C-unwind" fn() -> *const c_char,
    ) {
        // SAFETY: plain values and functions that live as long as the library.
        unsafe {
            pg_sys::DefineCustomBoolVariable(
                name.as_ptr(),
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
            alias,
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
        let mark = unsafe { super::polyfill::allocate_guc_extra(1) };
        if mark.is_null() {
            return false;
        }
        // SAFETY: a place of Postgres's for it.
        unsafe { *extra = mark };
    }
    true
}

/// Defines a static for each setting, its hooks, which C calls without telling for which, and `define` for all of them.
macro_rules! session_settings {
    ($($(#[$docs:meta])* $setting:ident = $default:literal, $name:literal, $alias:literal, $description:literal;)*) => {
        $($(#[$docs])* pub static $setting: SessionSetting = SessionSetting::new($default);)*

        /// Defines the settings; called once, when the library is loaded.
        pub fn define() {
            $({
                unsafe extern "C-unwind" fn assign(_: bool, extra: *mut c_void) {
                    $setting.assigned(extra);
                }
                unsafe extern "C-unwind" fn show() -> *const c_char {
                    $setting.shown()
                }
                $setting.define($name, $alias, $description, assign, show);
            })*
        }
    };
}

session_settings! {
    /// On: navigation into what is not there gives NULL.
    NAVIGATE_SUPER_NULL_ON_ERROR = true, c"navigate_super_null_on_error", c"redshift.navigate_super_null_on_error",
        c"Whether navigation into what a SUPER value does not have gives NULL in place of an error.";
    /// On: a cast of SUPER that is not possible gives NULL.
    CAST_SUPER_NULL_ON_ERROR = true, c"cast_super_null_on_error", c"redshift.cast_super_null_on_error",
        c"Whether a cast of a SUPER value that is not possible gives NULL in place of an error.";
    /// On: a document that is no JSON gives NULL.
    PARSE_SUPER_NULL_ON_ERROR = false, c"parse_super_null_on_error", c"redshift.parse_super_null_on_error",
        c"Whether JSON_PARSE of what is no JSON gives NULL in place of an error.";
    /// Off: a document in which an object has two attributes of one name is no JSON; on: the last one counts.
    JSON_PARSE_DEDUP_ATTRIBUTES = false, c"json_parse_dedup_attributes", c"redshift.json_parse_dedup_attributes",
        c"Whether JSON_PARSE takes the last of several attributes of one name in place of an error.";
    /// Off: names of attributes in a path are folded to lower case.
    ENABLE_CASE_SENSITIVE_SUPER_ATTRIBUTE = false, c"enable_case_sensitive_super_attribute", c"redshift.enable_case_sensitive_super_attribute",
        c"Whether the case of attribute names in a path of a SUPER value counts.";
    /// On: array functions find NULL like any other value.
    DEFAULT_ARRAY_SEARCH_NULL_HANDLING = true, c"default_array_search_null_handling", c"redshift.default_array_search_null_handling",
        c"Whether functions that search an array treat NULL as a value that can be found.";
}
