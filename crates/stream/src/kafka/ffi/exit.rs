//! The end of the process while clients are alive.
//!
//! `exit` frees what OpenSSL shares among its connections, and a client's thread that speaks TLS in that moment crashes. A caller cannot always
//! end its clients first: they may be waiting for a broker, or the process is told to end in the middle. So the process ends without
//! further ado then: its memory and its connections go with it all the same.

use std::ffi::{c_int, c_void};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

static ALIVE: AtomicUsize = AtomicUsize::new(0);

/// Counts a client, from the moment that it exists to the one when its threads have ended.
pub(super) struct Alive(());

impl Alive {
    /// To be made when the client has been: by then OpenSSL has registered its own handler, and ours has to run first.
    pub(super) fn new() -> Alive {
        static REGISTERED: Once = Once::new();
        ALIVE.fetch_add(1, Ordering::SeqCst);
        REGISTERED.call_once(register);
        Alive(())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn register() {
    unsafe extern "C" {
        fn on_exit(
            function: unsafe extern "C" fn(c_int, *mut c_void),
            argument: *mut c_void,
        ) -> c_int;
    }
    // SAFETY: the function stays where it is as long as the process.
    unsafe { on_exit(end_at_once, std::ptr::null_mut()) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn register() {
    unsafe extern "C" fn without_status() {
        // SAFETY: as below. The status is not known here.
        unsafe { end_at_once(0, std::ptr::null_mut()) }
    }
    // SAFETY: the function stays where it is as long as the process.
    unsafe { libc::atexit(without_status) };
}

unsafe extern "C" fn end_at_once(status: c_int, _argument: *mut c_void) {
    if ALIVE.load(Ordering::SeqCst) > 0 {
        // SAFETY: ends the process.
        unsafe { libc::_exit(status) }
    }
}
