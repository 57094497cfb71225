//! What becomes of a process that Rust finds no memory for.
//!
//! Rust aborts, and the postmaster answers a SIGABRT by ending all sessions: one user's large value would stop everyone. So whatever grows with what users
//! send asks in ways that can fail, and is ERROR 53200 (`super_value::memory`, [`super::varlena`]). This is for the rest, small things and other crates:
//! the session ends with FATAL 53200, and nobody else does.
//!
//! - An ERROR is not possible here: it would have to unwind, or jump, out of an allocator, and the frames above are compiled on the promise that an
//!   allocator does neither. FATAL leaves by `exit`: nothing above runs again. Postgres itself raises either wherever palloc is called.
//! - The allocator cannot tell who asks: `Vec::try_reserve` wants a null pointer where `Vec::push` cannot use one. So it only remembers, and acts when
//!   Rust gives up, which is a SIGABRT of the same thread with no allocation in between (`std::alloc::handle_alloc_error`).
//! - Every other SIGABRT means what it always did.
//! - A thread of the client's may not call Postgres. It asks the process to end (SIGTERM) and waits; if it does not end, it aborts.

use super::guard::unguarded;
use pgrx::pg_sys;
use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: Remembering = Remembering;

/// The system's allocator, which remembers whose request it could not meet.
struct Remembering;

/// The thread whose last request failed, 0 if none did.
static FAILED: AtomicUsize = AtomicUsize::new(0);
/// The size of that request.
static SIZE: AtomicUsize = AtomicUsize::new(0);
/// The thread that may call Postgres.
static MAIN: AtomicUsize = AtomicUsize::new(0);
/// What is given back when memory has ended, for the way out.
static RESERVE: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static IS_ENDING: AtomicBool = AtomicBool::new(false);

const RESERVE_LAYOUT: Layout = Layout::new::<[u8; 128 * 1024]>();
/// How long a thread waits for its process to end.
const PATIENCE: Duration = Duration::from_secs(10);

fn this_thread() -> usize {
    // SAFETY: it reads the thread's own number.
    unsafe { libc::pthread_self() as usize }
}

impl Remembering {
    #[inline(always)]
    fn note(memory: *mut u8, size: usize) -> *mut u8 {
        if memory.is_null() || FAILED.load(Relaxed) != 0 {
            Self::note_rare(memory, size);
        }
        memory
    }

    #[cold]
    fn note_rare(memory: *mut u8, size: usize) {
        if memory.is_null() {
            SIZE.store(size, Relaxed);
            FAILED.store(this_thread(), Relaxed);
        } else {
            // Whoever asked and got nothing has found a way.
            let _ = FAILED.compare_exchange(this_thread(), 0, Relaxed, Relaxed);
        }
    }
}

// SAFETY: all requests are handed on to the system's allocator as they are.
unsafe impl GlobalAlloc for Remembering {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        Self::note(unsafe { System.alloc(layout) }, layout.size())
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        Self::note(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    #[inline]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        Self::note(unsafe { System.realloc(memory, layout, size) }, size)
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Takes care of the processes that are forked from this one, and of this one; to be called once, from `_PG_init`.
pub fn install() {
    MAIN.store(this_thread(), Relaxed);
    // SAFETY: a handler of the right type; the reserve has the layout that it is given back by.
    unsafe {
        RESERVE.store(System.alloc(RESERVE_LAYOUT), Relaxed);
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = aborting as *const () as usize;
        libc::sigemptyset(&mut action.sa_mask);
        libc::sigaction(libc::SIGABRT, &action, std::ptr::null_mut());
    }
}

/// Called by `abort()`, on the thread that calls that. When it returns, the process ends as it would without.
extern "C" fn aborting(_signal: c_int) {
    let this = this_thread();
    if FAILED.load(Relaxed) != this {
        return;
    }
    if this == MAIN.load(Relaxed) {
        if !IS_ENDING.swap(true, Relaxed) {
            end_session();
        }
        return;
    }
    // SAFETY: signals of this process to itself.
    unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
    std::thread::sleep(PATIENCE);
}

/// Ends the session as Postgres ends one; returns if this process is none.
fn end_session() {
    let reserve = RESERVE.swap(std::ptr::null_mut(), Relaxed);
    // SAFETY: this is a signal handler, but of a signal that the thread sent to itself in the middle of our own code: it interrupts neither the C library nor
    // Postgres, and may call both wherever that code could have called palloc. FATAL does not return.
    unsafe {
        if !pg_sys::IsUnderPostmaster || pg_sys::proc_exit_inprogress {
            return;
        }
        if !reserve.is_null() {
            System.dealloc(reserve, RESERVE_LAYOUT);
        }
        if unguarded::errstart(pgrx::PgLogLevel::FATAL as c_int, std::ptr::null()) {
            let code = super::report::SqlState(super::report::sqlstate::OUT_OF_MEMORY);
            unguarded::errcode(code.packed());
            unguarded::errmsg(c"out of memory".as_ptr());
            unguarded::errdetail(
                c"Failed on request of size %zu.".as_ptr(),
                SIZE.load(Relaxed),
            );
            unguarded::errfinish(c"redshift_streaming".as_ptr(), 0, std::ptr::null());
        }
    }
}
