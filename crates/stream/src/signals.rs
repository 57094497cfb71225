//! Threads of ours block all signals, so that the process's own handlers run where they are expected: in its main thread.

use std::mem::MaybeUninit;
use std::{io, ptr, thread};

/// Runs `work` with all signals blocked in this thread; threads that it starts inherit that.
pub fn blocked<T>(work: impl FnOnce() -> T) -> T {
    let mut all = MaybeUninit::uninit();
    let mut before = MaybeUninit::uninit();
    // SAFETY: sigfillset initialises the first set, the call the second.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let result = work();
    // SAFETY: the set was filled in above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    result
}

/// Blocks all signals in this thread for good.
pub fn block_here() {
    let mut all = MaybeUninit::uninit();
    // SAFETY: sigfillset initialises the set; the former one is not wanted.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), ptr::null_mut());
    }
}

/// Starts a thread that blocks all signals.
pub fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<thread::JoinHandle<()>> {
    blocked(|| thread::Builder::new().name(name.to_owned()).spawn(work))
}
