//! Waiting for the signals that end `serve`.

use std::mem::MaybeUninit;

/// The signals that end the process in an orderly way.
pub struct Ending(libc::sigset_t);

/// Blocks SIGTERM and SIGINT in this thread and in all that it starts. Call it before any thread starts.
pub fn block() -> Ending {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set; the other calls read it.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
        libc::sigaddset(set.as_mut_ptr(), libc::SIGINT);
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
        Ending(set.assume_init())
    }
}

impl Ending {
    /// Returns once one of them has arrived.
    pub fn wait(&self) {
        let mut signal = 0;
        // SAFETY: both pointers are valid for the call.
        while unsafe { libc::sigwait(&self.0, &mut signal) } != 0 {}
    }
}
