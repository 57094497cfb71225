//! Values with units, read as Postgres reads those of its settings.

use crate::pg::relation::c_text;
use pgrx::pg_sys;
use settings::{Unit, Whole};

/// A whole number of the range, such as `100`, `8MB` or `2s`; `None` if it is none.
pub fn parse(value: &str, range: Whole) -> Option<i32> {
    let flags = match range.unit {
        Unit::None => 0,
        Unit::Kilobytes => pg_sys::GUC_UNIT_KB,
        Unit::Milliseconds => pg_sys::GUC_UNIT_MS,
        Unit::Seconds => pg_sys::GUC_UNIT_S,
    };
    let value = c_text(value);
    let mut number = 0;
    // SAFETY: the text and the number outlive the call; no hint is wanted.
    let read = unsafe {
        pg_sys::parse_int(
            value.as_ptr(),
            &mut number,
            flags as i32,
            std::ptr::null_mut(),
        )
    };
    (read && range.contains(number)).then_some(number)
}
