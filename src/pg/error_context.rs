//! CONTEXT lines and hints of error messages.

use super::guard::unguarded;
use super::report::SqlState;
use pgrx::pg_sys;
use std::ffi::{CString, c_int, c_void};

/// Says where the work is, or nothing if that is not known.
pub type Describe = fn() -> Option<String>;

/// Runs `work`; an error inside it carries what `describe` says at that moment as a CONTEXT line.
pub fn with_context<T>(describe: Describe, work: impl FnOnce() -> T) -> T {
    with_callback(add_line, describe as *mut c_void, work)
}

/// Runs `work`; an error of one of these SQLSTATEs inside it carries the hint, instead of any that it has.
pub fn with_hint<T>(codes: &[[u8; 5]], hint: &str, work: impl FnOnce() -> T) -> T {
    let hint = Hint {
        codes: codes.iter().map(|code| SqlState(*code).packed()).collect(),
        text: CString::new(hint).unwrap_or_default(),
    };
    with_callback(add_hint, (&raw const hint).cast_mut().cast(), work)
}

struct Hint {
    codes: Vec<c_int>,
    text: CString,
}

unsafe extern "C-unwind" fn add_hint(hint: *mut c_void) {
    // SAFETY: called by errfinish, which has an error on its stack; the hint outlives the work during which the callback is there; errhint copies the text.
    unsafe {
        let hint = &*hint.cast::<Hint>();
        if hint.codes.contains(&unguarded::geterrcode()) {
            unguarded::errhint(c"%s".as_ptr(), hint.text.as_ptr());
        }
    }
}

/// Runs `work` with an error context callback: called with `argument` for each message that is sent meanwhile.
pub(super) fn with_callback<T>(
    callback: unsafe extern "C-unwind" fn(*mut c_void),
    argument: *mut c_void,
    work: impl FnOnce() -> T,
) -> T {
    struct Pop(*mut pg_sys::ErrorContextCallback);
    impl Drop for Pop {
        fn drop(&mut self) {
            // SAFETY: the stack is as before the push, on the normal and on the unwinding way.
            unsafe { pg_sys::error_context_stack = self.0 }
        }
    }
    let mut callback = pg_sys::ErrorContextCallback {
        // SAFETY: reads a variable of the backend.
        previous: unsafe { pg_sys::error_context_stack },
        callback: Some(callback),
        arg: argument,
    };
    let _pop = Pop(callback.previous);
    // SAFETY: `callback` outlives `work`, and `_pop` takes it off the stack.
    unsafe { pg_sys::error_context_stack = &mut callback }
    work()
}

unsafe extern "C-unwind" fn add_line(describe: *mut c_void) {
    // SAFETY: the argument is the function pointer that `with_context` stored.
    let describe: Describe = unsafe { std::mem::transmute(describe) };
    if let Some(line) = describe().and_then(|line| CString::new(line).ok()) {
        // SAFETY: called by errfinish, which has an error on its stack; errcontext_msg copies the text.
        unsafe {
            unguarded::set_errcontext_domain(std::ptr::null());
            unguarded::errcontext_msg(c"%s".as_ptr(), line.as_ptr());
        }
    }
}
