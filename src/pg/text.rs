//! Strings of C.

use std::ffi::{CStr, CString, c_char};

/// Copies a C string of Postgres's; `None` for a null pointer.
pub(crate) fn text(pointer: *const c_char) -> Option<String> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: Postgres's strings are NUL-terminated.
    let text = unsafe { CStr::from_ptr(pointer) };
    Some(text.to_string_lossy().into_owned())
}

/// `CString` of a name that came from Postgres and so has no NUL inside.
pub fn c_text(text: &str) -> CString {
    CString::new(text).unwrap_or_else(|_| panic!("a name has a NUL byte inside"))
}
